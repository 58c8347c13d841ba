"""Means and covariances of normal distributions: checks, and symmetric roots."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array

__all__ = ["as_means", "roots_of"]

Array = NDArray[np.float64]

# A covariance may be off by rounding, of its own type: that far from its transpose, and its eigenvalues below zero,
# beside the largest of them and per dimension. Estimates from samples add up rounding over these.
_ROUNDING = 64.0


def as_means(values: Any, name: str) -> Array:
    """Means (..., d) of normal distributions, a copy."""
    expected = "a mean (d,), or a batch of them (..., d)"
    means = real_array(values, name, None, expected)
    if means.ndim == 0 or 0 in means.shape:
        raise ValueError(f"{name} should be {expected}; got shape {means.shape}.")
    _check_finite(means, name)
    return means.astype(np.float64)  # a copy


def roots_of(values: Any, name: str) -> Array:
    """The symmetric roots (..., d, d) of covariances."""
    expected = "a covariance (d, d), or a batch of them (..., d, d)"
    given = real_array(values, name, None, expected)
    if given.ndim < 2 or 0 in given.shape or given.shape[-1] != given.shape[-2]:
        raise ValueError(f"{name} should be {expected}; got shape {given.shape}.")
    _check_finite(given, name)
    cov = given.astype(np.float64)
    allowed = _ROUNDING * float(np.finfo(given.dtype).eps) * cov.shape[-1]
    across = np.swapaxes(cov, -1, -2)
    off, size = np.abs(cov - across).max(axis=(-2, -1)), np.abs(cov).max(axis=(-2, -1))
    if (off > allowed * size).any():
        raise ValueError(
            f"{name} should be symmetric; entries differ from those across by up to {float(off.max()):.3g}. "
            "Pass (C + C.T) / 2 if that is what you mean."
        )
    eigenvalues, vectors = np.linalg.eigh(0.5 * cov + 0.5 * across)
    low, high = eigenvalues[..., 0], np.abs(eigenvalues).max(axis=-1)
    if (low < -allowed * high).any():
        raise ValueError(
            f"{name} should have no negative eigenvalue; got {float(low.min()):.3g}. A covariance is positive "
            "semidefinite: check what it was estimated from, or add a multiple of the identity."
        )
    least = float(np.finfo(given.dtype).eps) * cov.shape[-1] * high[..., np.newaxis]
    roots = np.sqrt(np.where(eigenvalues > least, eigenvalues, 0.0))
    return np.asarray((vectors * roots[..., np.newaxis, :]) @ np.swapaxes(vectors, -1, -2))


def _check_finite(values: NDArray[Any], name: str) -> None:
    if not np.isfinite(values).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"{name} should hold finite numbers; {name}[{', '.join(map(str, at))}] = {values[at]}.")
