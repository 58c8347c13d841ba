"""The atoms that a source is sent to, and what potentials of theirs say at other points.

f(x) = -eps log sum_j b_j exp((g_j - c(x, y_j)) / eps),   or  min_j c(x, y_j) - g_j  for eps = 0
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import PointCloud

__all__ = ["Atoms", "Sent", "different", "parts"]

Array = NDArray[np.float64]

# Pairs whose costs are held at a time: they stay in the cache.
_AT_ONCE = 2**18

# Multiplications up to which usual libraries keep a product of matrices on one thread; and rows that are too few.
_ONE_THREAD, _FEW_ROWS = 2**18, 16


class Sent(NamedTuple):
    """What potentials say at k points: their transform (k,), and to which atoms each point is sent.

    That is the index (k,) of one atom where eps is zero, else shares (k, m) that add up to one.
    """

    f: Array
    to: NDArray[Any]

    @property
    def single(self) -> bool:
        """Whether each point is sent to one atom."""
        return self.to.ndim == 1

    def masses(self, size: int, weights: Array | None = None) -> Array:
        """The mass (size,) that each atom receives from points of these weights (k,), None for one each."""
        if self.single:
            return np.bincount(self.to, weights, size).astype(np.float64)
        received: Array = self.to.sum(axis=0) if weights is None else weights @ self.to
        return received


@dataclass(frozen=True)
class Atoms:
    """Atoms of masses b (m,) > 0 that add up to one, the columns of `cloud`, and a strength eps >= 0 of the entropy."""

    cloud: PointCloud
    b: Array
    eps: float

    @property
    def y(self) -> Array:
        """Where they are, (m, d)."""
        return self.cloud.y

    @property
    def cost(self) -> Any:
        """The ground cost, as `PointCloud` takes it."""
        return self.cloud.cost

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.b)

    def transform(self, g: Array) -> Transform:
        """The function that these potentials (m,) are."""
        return Transform(self, g)


class Transform:
    """Potentials g (m,), as a function of points."""

    def __init__(self, atoms: Atoms, g: Array) -> None:
        self.atoms = atoms
        self._log_b = atoms.eps * np.log(atoms.b) if atoms.eps > 0.0 else 0.0
        if atoms.cloud.squared:
            # |x - y|^2 - g = |x|^2 + <(x, 1), (-2 y, |y|^2 - g)> about the middle, beside which nothing cancels.
            self._middle = atoms.b @ atoms.y
            apart = atoms.y - self._middle
            self._squares = np.einsum("jk,jk->j", apart, apart)
            self._factor = np.concatenate([-2.0 * apart.T, self._squares[np.newaxis]])
        self.g = g

    @property
    def g(self) -> Array:
        """The potentials."""
        return self._g

    @g.setter
    def g(self, g: Array) -> None:
        self._g = g
        if self.atoms.cloud.squared:
            self._factor[-1] = self._squares - g - self._log_b

    def __call__(self, x: Array) -> Sent:
        """What they say at points x (k, d)."""
        left, rest = self._left(x)
        eps = self.atoms.eps
        if eps == 0.0:
            nearest = left.argmin(axis=1)
            return Sent(left[np.arange(len(left)), nearest] + rest, nearest)
        least = left.min(axis=1)
        left -= least[:, np.newaxis]
        left *= -1.0 / eps
        np.exp(left, out=left)
        total = left.sum(axis=1)
        left /= total[:, np.newaxis]
        return Sent(least + rest - eps * np.log(total), left)

    def two_least(self, x: Array) -> Array:
        """The two least c(x_i, y_j) - g_j of each point (k, 2); infinite where there is but one atom."""
        left, rest = self._left(x)
        if self.atoms.size == 1:
            left = np.concatenate([left, np.full_like(left, np.inf)], axis=1)
        return np.asarray(np.partition(left, 1, axis=1)[:, :2] + rest[:, np.newaxis])

    def beyond(self, x: Array) -> Array:
        """c(x_i, y_j) - g_j at points x (k, d), as a matrix (k, m)."""
        left, rest = self._left(x)
        left += self._log_b
        left += rest[:, np.newaxis]
        return left

    def _left(self, x: Array) -> tuple[Array, Array]:
        """c(x_i, y_j) - g_j - eps log b_j as a matrix (k, m) and what is to be added to its rows (k,)."""
        if not self.atoms.cloud.squared:
            return self.atoms.cloud.of_others(x) - (self._g + self._log_b), np.zeros(len(x))
        lifted = np.empty((len(x), x.shape[1] + 1))
        apart = np.subtract(x, self._middle, out=lifted[:, :-1])
        lifted[:, -1] = 1.0
        return _product(lifted, self._factor), np.einsum("ij,ij->i", apart, apart)


def _product(x: Array, factor: Array) -> Array:
    """x @ factor, a few rows at a time where they are short: threads that wait for each other would take longer."""
    step = _ONE_THREAD // factor.size
    if not _FEW_ROWS <= step < len(x):
        return np.asarray(x @ factor)
    out = np.empty((len(x), factor.shape[1]))
    for first in range(0, len(x), step):
        np.matmul(x[first : first + step], factor, out=out[first : first + step])
    return out


def parts(count: int, size: int) -> Iterator[slice]:
    """Of so many points, those that are looked at together beside so many atoms."""
    step = max(1, _AT_ONCE // size)
    return (slice(first, min(first + step, count)) for first in range(0, count, step))


def different(y: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows (k,) of points y (m, d) that are not like one before, and which of these each row is like (m,)."""
    keys = np.ascontiguousarray(y + 0.0).view(np.dtype((np.void, y.itemsize * y.shape[1]))).reshape(-1)  # -0 is 0
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.intp)
    order = np.argsort(first)
    rank[order] = np.arange(len(first))
    return first[order], rank[place]
