"""The distance between normal distributions, in closed form.

W_2^2(N(m, A), N(n, B)) = |m - n|^2 + tr A + tr B - 2 tr (A^{1/2} B A^{1/2})^{1/2}

With entropy, min_P <P, |x - y|^2> + eps KL(P | N(m, A) x N(n, B)) for eps = 2 s is, with D = (4 A^{1/2} B A^{1/2} +
s^2 I)^{1/2} and in d dimensions (Janati, Muzellec, Peyre and Cuturi 2020, "Entropic optimal transport between
unbalanced Gaussian measures has a closed form", Theorem 1)

|m - n|^2 + tr A + tr B - tr D + d s (1 - log 2 s) + s log det(D + s I)

Both are computed from the singular values S of A^{1/2} B^{1/2} = W S V', since A^{1/2} B A^{1/2} = W S^2 W'.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.loss import Loss
from monge.distances.nested import nested
from monge.distances.normals import as_means, roots_of
from monge.problem.arrays import positive, real_array
from monge.problem.home import Home, home_of_any

__all__ = ["bures"]

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)


def bures(mean_x: Any, cov_x: Any, mean_y: Any, cov_y: Any, *, eps: float | None = None) -> Any:
    """The squared Bures-Wasserstein distance, W_2^2 of two normal distributions.

    |m_x - m_y|^2 + tr(A + B - 2 (A^{1/2} B A^{1/2})^{1/2}) for covariances A and B. For all other distributions with
    these means and covariances it is a lower bound of W_2^2 (Gelbrich 1990).

    Parameters
    ----------
    mean_x : array_like (d,) or (..., d)
        Mean of the first; or a batch of them. Batches are combined as NumPy broadcasts.
    cov_x : array_like (d, d) or (..., d, d)
        Its covariance, symmetric and positive semidefinite; singular ones will do, also of points without any spread.
    mean_y : array_like (d,) or (..., d)
        Mean of the second.
    cov_y : array_like (d, d) or (..., d, d)
        Its covariance.
    eps : float, optional
        The optimum of entropic transport in its place, which `sinkhorn` solves for point clouds with the cost
        |x - y|^2, and which is smooth for singular covariances, too. It is not zero for equal distributions; the
        divergence, ``bures(*p, *q, eps=eps) - 0.5 * bures(*p, *p, eps=eps) - 0.5 * bures(*q, *q, eps=eps)``, is.

    Returns
    -------
    Loss, or lists of them
        A float, in squared units of the coordinates, with the derivatives ``grad_mean_x``, ``grad_mean_y`` (d,) and
        ``grad_cov_x``, ``grad_cov_y`` (d, d), and with ``map(points)``, which sends points (n, d) of the first to
        the second (with entropy, to the mean of what is received). For a batch one for each pair, in lists that are
        nested as the leading axes; `numpy.asarray` makes an array of their values.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, numbers that are not finite, covariances that are not symmetric or have an eigenvalue
        that is negative beyond rounding (those within it, d 2^-52 of the largest, count as zero), an eps that is not
        positive.

    Notes
    -----
    The value is the least |A^{1/2} - B^{1/2} U|^2 over rotations U, so it has no rounding below zero and small ones
    have all their digits (Bhatia, Jain and Lim 2019, "On the Bures-Wasserstein distance between positive definite
    matrices", Theorem 1). The derivative with respect to A is I - T, where T = B^{1/2} (B^{1/2} A B^{1/2})^{-1/2}
    B^{1/2} is the matrix of the map; derivatives with respect to covariances are symmetric, <G, H> for a symmetric H.
    Where A is singular and B is not, the derivative is infinite along what A lacks, as that of a root is at zero. The
    inverse root is then a pseudoinverse, and T zero along it: that is right for all that keeps to the range of A, as
    the covariance of a few samples does when they move.

    Examples
    --------
    >>> import numpy as np, monge
    >>> loss = monge.bures([0.0, 0.0], np.diag([1.0, 4.0]), [3.0, 0.0], np.diag([4.0, 4.0]))
    >>> round(loss, 12)
    10.0
    >>> loss.grad_cov_x.round(12) + 0.0
    array([[-1.,  0.],
           [ 0.,  0.]])
    >>> loss.map([[1.0, 1.0]]).round(12)
    array([[5., 1.]])
    """
    s = 0.0 if eps is None else 0.5 * positive(eps, "eps")
    home = home_of_any(mean_x, cov_x, mean_y, cov_y)
    means_x, means_y = as_means(mean_x, "mean_x"), as_means(mean_y, "mean_y")
    roots_x, roots_y = roots_of(cov_x, "cov_x"), roots_of(cov_y, "cov_y")
    sizes = [means_x.shape[-1], roots_x.shape[-1], means_y.shape[-1], roots_y.shape[-1]]
    if len(set(sizes)) > 1:
        raise ValueError(
            "means and covariances should have the same dimension; got "
            f"mean_x {sizes[0]}, cov_x {sizes[1]}, mean_y {sizes[2]} and cov_y {sizes[3]}."
        )
    leading = means_x.shape[:-1], roots_x.shape[:-2], means_y.shape[:-1], roots_y.shape[:-2]
    try:
        batch = np.broadcast_shapes(*leading)
    except ValueError:
        raise ValueError(
            f"batches of means and covariances should have the same shape, or one item; got {leading[0]}, "
            f"{leading[1]}, {leading[2]} and {leading[3]}."
        ) from None
    d = sizes[0]
    with np.errstate(over="ignore", invalid="ignore"):
        left, S, right = np.linalg.svd(roots_x @ roots_y)
        turned = np.swapaxes(left @ right, -1, -2)  # V W'
        apart = roots_x - roots_y @ turned
        values = (apart**2).sum(axis=(-2, -1))
        if s > 0.0:
            D = np.hypot(2.0 * S, s)
            grown = 2.0 * S * (2.0 * S / (D + s))  # D - s, of which a difference would leave few digits for a large s
            more = s * ((2.0 * S + grown) / (2.0 * S + D)) + s * np.log1p(grown / (2.0 * s))
            values = values + more.sum(axis=-1)
        values = np.broadcast_to(((means_x - means_y) ** 2).sum(axis=-1) + values, batch)
    if not np.isfinite(values).all():
        raise ValueError("squared distances overflow float64. Choose a larger unit for the coordinates.")
    full_x, full_y = (np.broadcast_to(mean, (*batch, d)) for mean in (means_x, means_y))
    spread_x, spread_y = (np.broadcast_to(roots, (*batch, d, d)) for roots in (roots_x, roots_y))

    def one(at: tuple[int, ...]) -> BuresLoss:
        return BuresLoss(float(values[at]), (full_x[at], full_y[at]), (spread_x[at], spread_y[at]), s, home)

    return nested(one, batch)


class BuresLoss(Loss):
    """Between one pair of normal distributions; see `bures`."""

    def __init__(
        self, value: float, means: tuple[Array, Array], roots: tuple[Array, Array], s: float, home: Home | None
    ) -> None:
        self._means, self._roots, self._s = means, roots, s  # (d,), and roots of the covariances (d, d)
        self.home = home

    @property
    def grad_mean_x(self) -> Any:
        """Derivative with respect to the first mean, (d,)."""
        return self._at_home(2.0 * (self._means[0] - self._means[1]))

    @property
    def grad_mean_y(self) -> Any:
        """Derivative with respect to the second mean, (d,)."""
        return self._at_home(2.0 * (self._means[1] - self._means[0]))

    @property
    def grad_cov_x(self) -> Any:
        """Derivative with respect to the first covariance, (d, d), symmetric."""
        return self._at_home(np.eye(len(self._means[0])) - self._maps[0])

    @property
    def grad_cov_y(self) -> Any:
        """Derivative with respect to the second covariance, (d, d), symmetric."""
        return self._at_home(np.eye(len(self._means[0])) - self._maps[1])

    def map(self, points: Any) -> Any:
        """Where the optimal plan sends points (n, d) or (d,) of the first distribution; with entropy, on average.

        T(x) = m_y + T (x - m_x).
        """
        x = real_array(points, "points", (1, 2), "points of shape (n, d)")
        d = len(self._means[0])
        if x.shape[-1] != d:
            raise ValueError(f"points should have {d} coordinates; got shape {x.shape}.")
        images = self._means[1] + (x - self._means[0]) @ self._maps[0]
        home = home_of_any(self.home, points)
        return images if home is None else home(images)

    @cached_property
    def _maps(self) -> tuple[Array, Array]:
        """The matrices of the maps from the first to the second, and back.

        T = 2 B^{1/2} (D_B + s I)^{-1} B^{1/2} with D_B = (4 B^{1/2} A B^{1/2} + s^2 I)^{1/2}, which is the derivative
        of tr D - s log det(D + s I) with respect to A.
        """
        x, y = self._roots
        left, S, right = np.linalg.svd(x @ y)
        roots = np.hypot(2.0 * S, self._s) + self._s
        known = roots > 2.0 * len(S) * _EPS * roots.max(initial=0.0)  # by more than rounding
        weights = np.divide(2.0, roots, out=np.zeros_like(S), where=known)
        forward, back = y @ right.T, x @ left
        maps = (forward * weights) @ forward.T, (back * weights) @ back.T
        return 0.5 * (maps[0] + maps[0].T), 0.5 * (maps[1] + maps[1].T)
