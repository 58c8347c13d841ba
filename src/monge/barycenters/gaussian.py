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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.free.result import FreeStatus
from monge.distances.bures import bures
from monge.distances.normals import as_means, roots_of
from monge.problem.arrays import positive, positive_integer
from monge.problem.at_home import at_home
from monge.problem.home import home_of_any
from monge.problem.measures import as_mixture
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
        sum_k w_k W_2^2, or of what was asked for in its place, in squared units of the coordinates.
    iterations : int
        Steps taken.
    status : FreeStatus
        Why the iteration ended; ``status.value`` is advice.
    converged : bool
        Whether it reached what was asked for.
    grad_weights : array (..., k)
        The terms of that sum before they are weighted: the derivatives of the value with respect to the weights.
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
    means: Any,
    covs: Any,
    weights: Any = None,
    *,
    eps: float | None = None,
    debias: bool = False,
    tol: float = 1e-12,
    max_iter: int = 1000,
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
    eps : float, optional
        The least sum of entropic optima, ``bures(..., eps=eps)``, in place of W_2^2. It has a smaller covariance, by
        eps / 2 in each direction if all of them are equal and larger than that.
    debias : bool
        With eps: of divergences, ``bures(p, q, eps=eps) - 0.5 * bures(p, p, eps=eps) - 0.5 * bures(q, q, eps=eps)``.
    tol : float
        The iteration ends when a step moves the root of S by no more than that, relative to its size; S itself, with
        eps.
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

    With entropy, and s = eps / 2, S solves 2 S + s I = sum_k w_k (4 S^{1/2} C_k S^{1/2} + s^2 I)^{1/2}, and debiased
    (4 S^2 + s^2 I)^{1/2} is on the left: the derivative of the sum, by those of `bures`, is zero. Both are solved
    by iterating them (on the line: Janati, Cuturi and Gramfort 2020, "Debiased Sinkhorn barycenters"; Mallasto, Gerolin
    and Minh 2021, "Entropy-regularized 2-Wasserstein distance between Gaussian measures").

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
    strength = None if eps is None else positive(eps, "eps")
    if debias and strength is None:
        raise ValueError("debias= takes out what entropy does; give eps=, or leave it out.")
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
    unit = float(np.abs(roots).max()) or 1.0  # squares of large and small roots are out of range
    roots = roots / unit
    root, goals, steps, status = _mean_root(roots, w, tol, max_iter)
    mean = (w[:, np.newaxis] * centres).sum(axis=-2)
    with np.errstate(over="ignore", invalid="ignore"):
        apart = ((centres - mean[..., np.newaxis, :]) ** 2).sum(axis=-1)
        cov = root @ np.swapaxes(root, -1, -2)
        if strength is not None:
            blur = 0.5 * strength / unit / unit
            cov, more, status = _blurred(roots, w, cov, blur, debias, tol, max_iter)
            steps += more
            apart = apart + _entropic(cov, roots, unit, strength, debias)
        else:
            apart = apart + unit * unit * ((root[..., np.newaxis, :, :] - goals) ** 2).sum(axis=(-2, -1))
        cov = unit * (unit * cov)
    if not (np.isfinite(apart).all() and np.isfinite(cov).all()):
        raise ValueError("squared distances overflow float64. Choose a larger unit for the coordinates.")
    if status is FreeStatus.MAX_ITER:
        warnings.warn(f"gaussian_barycenter: {status.value} ({steps} steps).", ConvergenceWarning, stacklevel=2)
    value = (w * apart).sum(axis=-1)
    return GaussianBarycenter(
        at_home(mean, home), at_home(cov, home), float(value) if value.ndim == 0 else value, steps, status,
        at_home(apart, home),
    )  # fmt: skip


def _mean_root(roots: Array, w: Array, tol: float, max_iter: int) -> tuple[Array, Array, int, FreeStatus]:
    """The root L (..., d, d), the roots (..., k, d, d) turned towards it, and how it was found."""
    each = w[:, np.newaxis, np.newaxis]
    root = (each * roots).sum(axis=-3)
    goals = _turned(roots, root)
    for steps in range(1, max_iter + 1):
        before, root = root, (each * goals).sum(axis=-3)
        goals = _turned(roots, root)
        if _near(before, root, tol):
            return root, goals, steps, FreeStatus.CONVERGED
    return root, goals, max_iter, FreeStatus.MAX_ITER


def _turned(roots: Array, towards: Array) -> Array:
    """The roots C U (..., k, d, d) of C C' that are closest to a root (..., d, d)."""
    left, _, right = np.linalg.svd(roots @ towards[..., np.newaxis, :, :])
    return np.asarray(roots @ (left @ right))


def _blurred(
    roots: Array, w: Array, cov: Array, s: float, debias: bool, tol: float, max_iter: int
) -> tuple[Array, int, FreeStatus]:
    """The covariance (..., d, d) with entropy of eps = 2 s, from the one without."""
    each, eye = w[:, np.newaxis, np.newaxis], np.eye(cov.shape[-1])
    for steps in range(1, max_iter + 1):
        half = _function(cov, np.sqrt)[..., np.newaxis, :, :]
        between = roots @ half
        inner = np.swapaxes(between, -1, -2) @ between
        mean = (each * _function(inner, lambda v: np.sqrt(4.0 * v + s * s))).sum(axis=-3)
        if debias:
            after = _function(mean, lambda v: 0.5 * np.sqrt(np.maximum((v - s) * (v + s), 0.0)))
        else:
            after = 0.5 * (mean - s * eye)
        before, cov = cov, after
        if _near(before, cov, tol):
            return cov, steps, FreeStatus.CONVERGED
    return cov, max_iter, FreeStatus.MAX_ITER


def _near(before: Array, after: Array, tol: float) -> bool:
    moved, size = (np.sqrt((A**2).sum(axis=(-2, -1))) for A in (after - before, after))
    return bool((moved <= tol * size).all())


def _function(A: Array, f: Callable[[Array], Array]) -> Array:
    """Of symmetric matrices (..., d, d), whose eigenvalues are not negative but for rounding."""
    values, vectors = np.linalg.eigh(0.5 * (A + np.swapaxes(A, -1, -2)))
    return np.asarray((vectors * f(np.maximum(values, 0.0))[..., np.newaxis, :]) @ np.swapaxes(vectors, -1, -2))


def _entropic(cov: Array, roots: Array, unit: float, eps: float, debias: bool) -> Array:
    """The entropic optima (..., k) between centred distributions, or divergences."""
    none = np.zeros(cov.shape[-1])

    def optima(A: Array, B: Array) -> Array:
        return np.asarray(bures(none, A, none, B, eps=eps), dtype=np.float64)

    own = _function(unit * unit * cov, lambda v: v)[..., np.newaxis, :, :]  # symmetric, and not negative
    others = unit * unit * (roots @ roots)
    found = optima(own, others)
    return found - 0.5 * optima(own, own) - 0.5 * optima(others, others) if debias else found
