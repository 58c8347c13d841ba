"""The barycenter of normal distributions, which is one, too.

minimise  sum_k w_k W_2^2(N(m, S), N(m_k, C_k)):  m = sum_k w_k m_k, and S the fixed point of (Alvarez-Esteban, del
Barrio, Cuesta-Albertos and Matran 2016, "A fixed-point approach to barycenters in Wasserstein space", Theorem 4.2)

S <- S^{-1/2} (sum_k w_k (S^{1/2} C_k S^{1/2})^{1/2})^2 S^{-1/2}

Here it is written for a root, S = L L', without an inverse. W_2^2 is the least |L - C_k^{1/2} U|^2 over rotations U,
which is attained by the polar factor U_k of C_k^{1/2} L; so L <- sum_k w_k C_k^{1/2} U_k, the mean of the roots turned
towards L, lowers the sum as each choice of U_k does, whether or not covariances are singular.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.free_result import FreeStatus
from monge.barycenters.inputs import as_mixture
from monge.distances.normals import as_means, roots_of
from monge.problem.arrays import positive, positive_integer
from monge.problem.at_home import at_home
from monge.problem.home import home_of_any
from monge.problem.transport import ConvergenceWarning

__all__ = ["GaussianBarycenter", "gaussian_barycenter"]

Array = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class GaussianBarycenter:
    """A normal distribution between others; what `gaussian_barycenter` returns.

    Attributes
    ----------
    mean : array (..., d)
        Its mean.
    cov : array (..., d, d)
        Its covariance.
    value : float, or ndarray (...)
        sum_k w_k W_2^2, in squared units of the coordinates.
    iterations : int
        Steps taken.
    status : FreeStatus
        Why the iteration ended; ``status.value`` is advice.
    converged : bool
        Whether it reached what was asked for.
    grad_weights : array (..., k)
        W_2^2 to each of the distributions: the derivatives of the value with respect to the weights.
    """

    mean: Any
    cov: Any
    value: Any
    iterations: int
    status: FreeStatus
    grad_weights: Any

    @property
    def converged(self) -> bool:
        """Whether it reached what was asked for."""
        return self.status is FreeStatus.CONVERGED

    def __repr__(self) -> str:
        return f"GaussianBarycenter({self.mean.shape[-1]}-D, {self.status.name}, {self.iterations} iterations)"


def gaussian_barycenter(
    means: Any, covs: Any, weights: Any = None, *, tol: float = 1e-12, max_iter: int = 1000
) -> GaussianBarycenter:
    """The Wasserstein barycenter of normal distributions: the N(m, S) with the least sum_k w_k W_2^2(N(m, S), N_k).

    No other distribution has a smaller sum either (Agueh and Carlier 2011, Theorem 6.1).

    Parameters
    ----------
    means : array_like (k, d) or (..., k, d)
        The means; or those of a batch of such problems. Batches are combined as NumPy broadcasts.
    covs : array_like (k, d, d) or (..., k, d, d)
        The covariances, symmetric and positive semidefinite; singular ones will do.
    weights : array_like (k,), optional
        The weights w, which sum to one; None for equal ones.
    tol : float
        The iteration ends when a step moves the root of S by no more than that, relative to its size.
    max_iter : int
        Largest number of steps.

    Returns
    -------
    GaussianBarycenter
        ``mean``, ``cov``, ``value``, ``iterations``, ``status``, and ``grad_weights``. In double precision; of arrays
        of another library, mean, covariance and gradient are such arrays.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, numbers that are not finite, covariances that are not symmetric or have a negative
        eigenvalue, as for `bures`; weights that are negative or do not sum to one.

    Notes
    -----
    The iteration of Alvarez-Esteban et al. 2016, which is gradient descent with steps of length one and converges at a
    rate that does not depend on the dimension (Altschuler, Chewi, Gerber and Stromme 2021, "Averaging on the
    Bures-Wasserstein manifold"). It begins at the mean of the roots, which is the answer for covariances that commute.
    Where all covariances lack the same direction so does S; where some lack it, several S may have the least value.

    Examples
    --------
    The roots of covariances that commute are averaged:

    >>> import numpy as np, monge
    >>> found = monge.gaussian_barycenter([[0.0, 0.0], [4.0, 2.0]], [np.diag([1.0, 4.0]), np.diag([9.0, 4.0])])
    >>> found.mean
    array([2., 1.])
    >>> found.cov.round(12)
    array([[4., 0.],
           [0., 4.]])
    >>> round(found.value, 12)
    6.0
    """
    tol, max_iter = positive(tol, "tol"), positive_integer(max_iter, "max_iter")
    home = home_of_any(means, covs, weights)
    centres, roots = as_means(means, "means"), roots_of(covs, "covs")
    if centres.ndim < 2 or roots.ndim < 3 or centres.shape[-2:] != roots.shape[-3:-1]:
        raise ValueError(
            "means should have shape (k, d) and covs (k, d, d), for the same k and d, with any leading axes; got "
            f"{centres.shape} and {roots.shape}."
        )
    k = centres.shape[-2]
    try:
        np.broadcast_shapes(centres.shape[:-2], roots.shape[:-3])
    except ValueError:
        raise ValueError(
            "batches of means and covariances should have the same shape, or one item; got "
            f"{centres.shape[:-2]} and {roots.shape[:-3]}."
        ) from None
    w = as_mixture(weights, k)
    each = w[:, np.newaxis, np.newaxis]
    unit = float(np.abs(roots).max()) or 1.0  # squares of large and small roots are out of range
    roots = roots / unit
    root = (each * roots).sum(axis=-3)
    status, steps = FreeStatus.MAX_ITER, 0
    goals = _turned(roots, root)
    while steps < max_iter:
        after = (each * goals).sum(axis=-3)
        moved, size = (np.sqrt((A**2).sum(axis=(-2, -1))) for A in (after - root, after))
        root, goals, steps = after, _turned(roots, after), steps + 1
        if (moved <= tol * size).all():
            status = FreeStatus.CONVERGED
            break
    mean = (w[:, np.newaxis] * centres).sum(axis=-2)
    spread = ((root[..., np.newaxis, :, :] - goals) ** 2).sum(axis=(-2, -1))
    with np.errstate(over="ignore", invalid="ignore"):
        apart = ((centres - mean[..., np.newaxis, :]) ** 2).sum(axis=-1) + unit * unit * spread
        cov = unit * (unit * (root @ np.swapaxes(root, -1, -2)))
    if not (np.isfinite(apart).all() and np.isfinite(cov).all()):
        raise ValueError("squared distances overflow float64. Choose a larger unit for the coordinates.")
    if status is FreeStatus.MAX_ITER:
        warnings.warn(f"gaussian_barycenter: {status.value} ({steps} steps).", ConvergenceWarning, stacklevel=2)
    value = (w * apart).sum(axis=-1)
    return GaussianBarycenter(
        at_home(mean, home), at_home(cov, home), float(value) if value.ndim == 0 else value, steps, status,
        at_home(apart, home),
    )  # fmt: skip


def _turned(roots: Array, towards: Array) -> Array:
    """The roots C U (..., k, d, d) of C C' that are closest to a root (..., d, d)."""
    left, _, right = np.linalg.svd(roots @ towards[..., np.newaxis, :, :])
    return np.asarray(roots @ (left @ right))
