"""Kernels k(x, y) of two points: what a maximum mean discrepancy compares measures with.

A built-in kernel is a function of q = |x - y|^2 / h^2, with the bandwidth h, and has a line in `KERNELS`. A user's is a
function of two points, compiled as ground costs are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from monge.problem._ground import cost_matrix
from monge.problem.arrays import sampled
from monge.problem.ground import as_ground
from monge.problem.user_cost import GroundCost

__all__ = ["KERNELS", "BuiltIn", "Kernel", "Written", "known", "median_distance"]

Array = NDArray[np.float64]

# At most so many points, evenly spread over all, tell the median of their distances.
_SAMPLE = 1024
# 1 / h^2 is a number for bandwidths down to this, of points of at most unit size.
_LEAST = 1e-150
# A pair of points that is nearer than this part of their size adds more to a derivative than differences of sums
# resolve, where slopes grow without bound.
_CLOSE = 1e-4
# Of a written kernel: at so many points its symmetry is tried, and how far it may be off, beside the largest value.
_TRIED, _SAME = 8, 1e-9
# Numbers that derivatives of a user's kernel take at a time.
_AT_ONCE = 1 << 20


class _Profile(NamedTuple):
    value: Callable[[Array], Array]  # of q, which it may overwrite
    slope: Callable[[Array], Array]  # twice the derivative, likewise: dk/dx = slope(q) (x - y) / h^2
    formula: str
    singular: bool = False  # whether the slope is infinite at zero
    bounded: bool = True  # whether a bandwidth matters, and values keep theirs in other units


def _gaussian(q: Array) -> Array:
    return np.asarray(np.exp(np.multiply(q, -0.5, out=q), out=q))


def _gaussian_slope(q: Array) -> Array:
    return np.negative(_gaussian(q), out=q)


def _laplacian(q: Array) -> Array:
    return np.asarray(np.exp(np.negative(np.sqrt(q, out=q), out=q), out=q))


def _laplacian_slope(q: Array) -> Array:
    r = np.sqrt(q)
    return _over(_laplacian(q), r)


def _over(values: Array, r: Array) -> Array:
    """-values / r, and zero where r is."""
    r[r == 0.0] = -np.inf
    np.negative(r, out=r)
    return np.asarray(np.divide(values, r, out=values))


def _energy(q: Array) -> Array:
    return np.asarray(np.negative(np.sqrt(q, out=q), out=q))


def _energy_slope(q: Array) -> Array:
    r = np.sqrt(q, out=q)
    return _over(np.ones_like(r), r)


def _imq(q: Array) -> Array:
    q += 1.0
    return np.asarray(np.divide(1.0, np.sqrt(q, out=q), out=q))


def _imq_slope(q: Array) -> Array:
    root = _imq(q)
    return -(root * root * root)


def _cauchy(q: Array) -> Array:
    q += 1.0
    return np.asarray(np.divide(1.0, q, out=q))


def _cauchy_slope(q: Array) -> Array:
    one = _cauchy(q)
    return -2.0 * one * one


KERNELS = {
    "gaussian": _Profile(_gaussian, _gaussian_slope, "exp(-|x - y|^2 / (2 h^2))"),
    "laplacian": _Profile(_laplacian, _laplacian_slope, "exp(-|x - y| / h)", singular=True),
    "imq": _Profile(_imq, _imq_slope, "(1 + |x - y|^2 / h^2)^(-1/2)"),
    "cauchy": _Profile(_cauchy, _cauchy_slope, "1 / (1 + |x - y|^2 / h^2)"),
    "energy": _Profile(_energy, _energy_slope, "-|x - y|", singular=True, bounded=False),
}


class Kernel(Protocol):
    """A kernel between points that stand in one array z (N, d)."""

    def values(self, z: Array, rows: slice, columns: slice) -> Array:
        """k(z_i, z_j), (k, l), of some rows and columns."""
        ...

    def diagonal(self, z: Array) -> Array:
        """k(z_i, z_i), (N,)."""
        ...

    def forces(self, z: Array, rows: slice, columns: slice, V: Array, itself: bool) -> tuple[Array, Array]:
        """sum_j V_jc dk/dz_i, (k, c, d), over some columns, and sum_i V_ic dk/dz_j, (l, c, d), over some rows.

        `itself` says whether a point's pair with itself counts.
        """
        ...

    def side(self, d: int) -> int:
        """How many rows and columns suit a processor's cache, of points of so many coordinates."""
        ...


@dataclass(frozen=True)
class BuiltIn:
    """The sum of a built-in kernel over bandwidths, which are in the unit of the points."""

    name: str
    bandwidths: tuple[float, ...]

    @property
    def profile(self) -> _Profile:
        """What it is a function of."""
        return KERNELS[self.name]

    @cached_property
    def inverses(self) -> list[float]:
        """1 / h^2 of each."""
        return [max(h, _LEAST) ** -2.0 for h in self.bandwidths]

    def values(self, z: Array, rows: slice, columns: slice) -> Array:
        """See `Kernel`."""
        return self._summed(_squares(z, rows, columns), lambda q, _: self.profile.value(q))

    def _summed(self, squares: Array, function: Callable[[Array, float], Array]) -> Array:
        """The sum over bandwidths of a function of q and 1 / h^2. Overwrites the squares."""
        *others, last = self.inverses
        parts = [function(squares * factor, factor) for factor in others]
        squares *= last
        total = function(squares, last)
        for part in parts:
            total += part
        return total

    def diagonal(self, z: Array) -> Array:
        """See `Kernel`."""
        return np.full(len(z), len(self.bandwidths) * float(self.profile.value(np.zeros(1))[0]))

    def forces(self, z: Array, rows: slice, columns: slice, V: Array, itself: bool) -> tuple[Array, Array]:
        """See `Kernel`. They are sums of S_ij V_j (z_i - z_j), computed as z_i sum_j S_ij V_j - sum_j S_ij V_j z_j."""
        squares = _squares(z, rows, columns)
        middle = 0.5 * (z[rows].mean(axis=0) + z[columns].mean(axis=0))
        x, y = z[rows] - middle, z[columns] - middle
        close = None
        if self.profile.singular:
            size = max(float(np.abs(x).max()), float(np.abs(y).max()))
            close = np.nonzero(squares < (_CLOSE * size) ** 2)
        S = self._summed(squares, lambda q, factor: factor * self.profile.slope(q))
        if rows == columns:
            np.fill_diagonal(S, 0.0)  # a point does not pull itself, but for rounding, which narrow kernels enlarge
        if close is not None:
            strong, S[close] = S[close], 0.0
        forward, back = _pulled(S, x, y, V[columns]), _pulled(S.T, y, x, V[rows])
        if close is not None:
            at = np.flatnonzero(strong)  # not a point and itself
            for first in range(0, len(at), step := max(1, _AT_ONCE // (V.shape[1] * z.shape[1]))):
                some = at[first : first + step]
                i, j = close[0][some], close[1][some]
                apart = z[rows][i] - z[columns][j]  # exact, as near numbers are
                pulls = (strong[some, np.newaxis] * apart)[:, np.newaxis]  # (pairs, 1, d)
                np.add.at(forward, i, V[columns][j][:, :, np.newaxis] * pulls)
                np.subtract.at(back, j, V[rows][i][:, :, np.newaxis] * pulls)
        return forward, back

    def side(self, d: int) -> int:
        """See `Kernel`."""
        return 256


def _squares(z: Array, rows: slice, columns: slice) -> Array:
    """|z_i - z_j|^2 from differences of coordinates: of near points no digits cancel."""
    ground = as_ground("sqeuclidean")
    return np.asarray(cost_matrix(z[rows], z[columns], ground.code, ground.exponent, ground.factor, 1))


def _pulled(S: Array, x: Array, y: Array, V: Array) -> Array:
    """sum_j S_ij V_jc (x_i - y_j), (k, c, d)."""
    c, d = V.shape[1], x.shape[1]
    sums = S @ np.concatenate([V, (V[:, :, np.newaxis] * y[:, np.newaxis]).reshape(len(y), c * d)], axis=1)
    return np.asarray(sums[:, :c, np.newaxis] * x[:, np.newaxis] - sums[:, c:].reshape(len(x), c, d))


@dataclass(frozen=True)
class Written:
    """A kernel that is a user's function."""

    ground: GroundCost

    def check(self, x: Array, y: Array) -> None:
        """Raises a TypeError or a ValueError, where it is no symmetric function of two points."""
        self.ground.check(x, y)
        some = np.concatenate([x[sampled(len(x), _TRIED)], y[sampled(len(y), _TRIED)]])
        K = self.ground.matrix(some, some)
        if not np.isfinite(K).all():
            raise ValueError(f"the kernel {self.ground.name} should return finite numbers; it does not for all points.")
        off = float(np.abs(K - K.T).max())
        if off > _SAME * float(np.abs(K).max()):
            raise ValueError(
                f"a kernel should be symmetric; {self.ground.name}(x, y) and {self.ground.name}(y, x) differ by up to "
                f"{off:.3g}. Take the mean of both."
            )

    def values(self, z: Array, rows: slice, columns: slice) -> Array:
        """See `Kernel`."""
        return self.ground.matrix(z[rows], z[columns])

    def diagonal(self, z: Array) -> Array:
        """See `Kernel`."""
        return self.ground.pairs(z, z)

    def forces(self, z: Array, rows: slice, columns: slice, V: Array, itself: bool) -> tuple[Array, Array]:
        """See `Kernel`."""
        x, y = z[rows], z[columns]
        (k, d), length = x.shape, len(y)
        along_x, along_y = self.ground.derivatives(np.repeat(x, length, axis=0), np.tile(y, (k, 1)))
        shaped = along_x.reshape(k, length, d), along_y.reshape(k, length, d)
        if rows == columns and not itself:
            for slopes in shaped:
                slopes[np.arange(k), np.arange(k)] = 0.0
        return np.einsum("kld,lc->kcd", shaped[0], V[columns]), np.einsum("kld,kc->lcd", shaped[1], V[rows])

    def side(self, d: int) -> int:
        """See `Kernel`."""
        return max(8, int((_AT_ONCE // (4 * d)) ** 0.5))


def median_distance(z: Array) -> float:
    """The median of the distances between different ones of the points z (N, d), as far as they are not zero.

    Of more than a thousand or so points, some are taken, evenly spread. Without any two different ones it is zero.
    """
    some = np.ascontiguousarray(z[sampled(len(z), _SAMPLE)])
    ground = as_ground("euclidean")
    distances = cost_matrix(some, some, ground.code, ground.exponent, ground.factor, 1)
    apart = distances[np.triu_indices(len(some), 1)]
    apart = apart[apart > 0.0]
    return float(np.median(apart)) if apart.size else 0.0


def known() -> str:
    """What kernels there are, for the text of an error."""
    return ", ".join(map(repr, KERNELS))
