"""Maximum mean discrepancy: how far two measures are apart, as a reproducing kernel sees them.

MMD^2 = sum_ij a_i a_j k(x_i, x_j) + sum_ij b_i b_j k(y_i, y_j) - 2 sum_ij a_i b_j k(x_i, y_j)

(Gretton, Borgwardt, Rasch, Schölkopf and Smola 2012, "A Kernel Two-Sample Test", Lemma 6 and equation 5). With the
kernel -|x - y| it is the energy distance (Sejdinovic et al. 2013), which is computed here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.all_pairs import forces, potentials
from monge.distances.clouds import Clouds, each_pair
from monge.distances.kernels import KERNELS, BuiltIn, Kernel, Written, known, median_distance
from monge.distances.loss import Loss
from monge.problem.arrays import available_threads, positive, shown
from monge.problem.user_cost import GroundCost

__all__ = ["KernelLoss", "between", "mmd"]

Array = NDArray[np.float64]


def mmd(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    kernel: str | GroundCost | Callable[..., Any] = "gaussian",
    bandwidth: float | Sequence[float] | None = None,
    biased: bool = True,
    threads: int | None = None,
) -> Any:
    """The squared maximum mean discrepancy of two weighted point clouds.

    sum_ij a_i a_j k(x_i, x_j) + sum_ij b_i b_j k(y_i, y_j) - 2 sum_ij a_i b_j k(x_i, y_j)

    Parameters
    ----------
    x : array_like (n, d), or a batch
        Points of the first measure; a vector stands for points on the line. A batch is an array (B, n, d) or a list of
        clouds.
    y : array_like (m, d), or a batch
        Points of the second; one cloud stands for all of a batch.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals; None for uniform ones. They are normalised to probabilities. For a batch a list, or
        one vector for all.
    kernel : str, callable or GroundCost
        "gaussian" exp(-r^2 / (2 h^2)), "laplacian" exp(-r / h), "imq" (1 + r^2 / h^2)^(-1/2), "cauchy" 1 / (1 + r^2 /
        h^2), "energy" -r, with r = |x - y| and the bandwidth h. Or a symmetric function k(x, y) of two points, which
        is compiled as `GroundCost` says, and needs its gradient there if derivatives with respect to points are wanted.
        If it is not positive definite, neither is this.
    bandwidth : float, or sequence of floats, optional
        The h, in the unit of the coordinates; the kernel is the sum over several. None for the median of the distances
        between different ones of all points (beyond about a thousand points: of evenly spaced ones), weights aside.
    biased : bool
        Whether pairs of a point and itself count (the V-statistic, which is not negative). Without them it is the
        U-statistic, whose mean over samples is the discrepancy of the distributions, and which may be negative: each
        sum over pairs within a cloud leaves out i = j and is divided by 1 - sum_i a_i^2, for uniform weights
        n (n - 1) / n^2.
    threads : int, optional
        None for all processors. The answer has the same bits for any number.

    Returns
    -------
    Loss, or list of them
        A float with ``grad_x``, ``grad_y``, ``grad_a``, ``grad_b`` and the ``bandwidth`` that was taken, which
        derivatives hold fixed. For a batch a list.

    Raises
    ------
    ValueError, TypeError
        Points and weights as for `wasserstein`; an unknown kernel, a bandwidth that is not positive, or one for a
        kernel that has none; a function that is not symmetric; biased=False for a cloud with all weight at one point.

    Notes
    -----
    Gretton et al. 2012, "A Kernel Two-Sample Test". Time grows with (n + m)^2, memory with n + m. As normalising does,
    derivatives take out what scales all weights of a measure: <grad_a, a> = 0. A pair of equal points, where -r or
    exp(-r / h) has no derivative, contributes nothing to it. What is below zero by rounding is returned as zero, if it
    is biased and the kernel is a built-in one.

    Examples
    --------
    >>> import monge
    >>> loss = monge.mmd([[0.0, 0.0]], [[3.0, 4.0]], bandwidth=5.0)
    >>> round(loss, 6)  # 2 - 2 exp(-1/2)
    0.786939
    >>> loss.grad_x.round(6)
    array([[-0.145567, -0.19409 ]])
    >>> monge.mmd([0.0, 4.0], [1.0, 9.0]).bandwidth
    4.5
    >>> round(monge.mmd([0.0, 4.0], [1.0, 9.0], bandwidth=[1.0, 4.0], biased=False), 6)
    -0.697353
    """
    workers = available_threads(threads)
    name = kernel if isinstance(kernel, str) else None
    if name is None or name not in KERNELS:
        if name is not None or not (callable(kernel) or isinstance(kernel, GroundCost)):
            raise ValueError(
                f"kernel should be one of {known()}, or a function k(x, y) of two points; got {shown(kernel)}."
            )
        written = Written(kernel if isinstance(kernel, GroundCost) else GroundCost(kernel))
    if bandwidth is not None and (name is None or not KERNELS[name].bounded):
        what = "the kernel 'energy'" if name is not None else "a kernel that is a function"
        raise ValueError(f"{what} has no bandwidth; got bandwidth={shown(bandwidth)}. Leave it out.")
    several, alone = _bandwidths(bandwidth)

    def one(x: Any, y: Any, a: Any, b: Any, threads: int) -> KernelLoss:
        clouds = Clouds.of(x, y, a, b)
        if name is None:
            written.check(clouds.points[: clouds.n], clouds.points[clouds.n :])
            return between(clouds, written, None, biased, threads)
        if not KERNELS[name].bounded:
            return between(clouds, BuiltIn(name, (1.0,)), None, biased, threads)
        taken: float | tuple[float, ...]
        in_unit: tuple[float, ...]
        if several is None:
            weighty = np.concatenate([clouds.a, clouds.b]) > 0.0
            taken = median_distance(clouds.z[weighty]) * clouds.unit or 1.0  # any will do for points that are all equal
            in_unit = (taken / clouds.unit,)
        else:
            in_unit = tuple(h / clouds.unit for h in several)
            taken = several[0] if alone else several
        return between(clouds, BuiltIn(name, in_unit), taken, biased, threads)

    return each_pair(x, y, a, b, workers, one)


def _bandwidths(bandwidth: Any) -> tuple[tuple[float, ...] | None, bool]:
    """What was given, and whether it was one number."""
    if bandwidth is None:
        return None, False
    if np.ndim(bandwidth) == 0:
        return (positive(bandwidth, "bandwidth"),), True
    several = tuple(positive(h, "each bandwidth") for h in bandwidth)
    if not several:
        raise ValueError("bandwidth should hold at least one number; got none. Pass None for the median of distances.")
    return several, False


def between(
    clouds: Clouds, kernel: Kernel, bandwidth: float | tuple[float, ...] | None, biased: bool, threads: int
) -> KernelLoss:
    """The statistic for a kernel between the points of `Clouds.z`, or for a written one between those of `points`."""
    n, (a, b) = clouds.n, (clouds.a, clouds.b)
    z = _points(clouds, kernel)
    sums = potentials(kernel, z, clouds.sides, threads)  # (n + m, 2)
    own, other = (sums[:n, 0], sums[n:, 1]), (sums[:n, 1], sums[n:, 0])
    if biased:
        value = float(a @ (own[0] - other[0])) + float(b @ (own[1] - other[1]))
        slopes = [2.0 * (one - two) for one, two in zip(own, other, strict=True)]
        if isinstance(kernel, BuiltIn):
            value = max(value, 0.0)
    else:
        itself = kernel.diagonal(z)
        value, slopes = -2.0 * float(a @ other[0]), []
        each = zip(own, other, (a, b), (itself[:n], itself[n:]), clouds.rest, strict=True)
        for sums_own, sums_other, weights, alone, rest in each:
            left = (sums_own - weights * alone) / rest
            mean = float(weights @ left)
            value += mean
            slopes.append(2.0 * (left - sums_other + mean / rest * weights))
    size = clouds.unit if isinstance(kernel, BuiltIn) and not kernel.profile.bounded else 1.0
    if not np.isfinite(value * size):
        raise ValueError("the kernel should return finite numbers, whose sums are finite; got infinite ones or NaN.")
    return KernelLoss(value * size, clouds, kernel, bandwidth, biased, threads, size * np.concatenate(slopes))


class KernelLoss(Loss):
    """The squared discrepancy of two clouds; see `mmd`.

    Attributes
    ----------
    bandwidth : float, tuple of floats or None
        That of the kernel, in the unit of the coordinates: as it was given, or the median of distances.
    """

    def __init__(
        self,
        value: float,
        clouds: Clouds,
        kernel: Kernel,
        bandwidth: float | tuple[float, ...] | None,
        biased: bool,
        threads: int,
        slopes: Array,
    ) -> None:
        self.bandwidth, self.home = bandwidth, clouds.home
        self.threads = threads  # for derivatives, which are computed later
        self._clouds, self._kernel, self._biased = clouds, kernel, biased
        self._slopes = slopes  # derivatives with respect to probabilities (n + m,)

    @cached_property
    def _point_gradients(self) -> tuple[Array, Array]:
        clouds, kernel, V = self._clouds, self._kernel, self._clouds.sides
        n, z = clouds.n, _points(clouds, kernel)
        if isinstance(kernel, Written):
            kernel.ground.require_gradient()
        if self._biased:
            signed = V[:, :1] - V[:, 1:]
            pulls = signed * forces(kernel, z, signed, True, self.threads)[:, 0]
        else:
            by_x, by_y = np.moveaxis(forces(kernel, z, V, False, self.threads), 1, 0)
            by_x[:n] /= clouds.rest[0]
            by_y[n:] /= clouds.rest[1]
            pulls = (V[:, :1] - V[:, 1:]) * (by_x - by_y)
        gradients = 2.0 * pulls
        if isinstance(kernel, BuiltIn) and kernel.profile.bounded:
            gradients /= clouds.unit
        return gradients[:n], gradients[n:]

    @cached_property
    def _weight_gradients(self) -> tuple[Array, Array]:
        return self._clouds.of_weights(self._slopes)


def _points(clouds: Clouds, kernel: Kernel) -> Array:
    return clouds.points if isinstance(kernel, Written) else clouds.z
