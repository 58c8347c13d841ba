"""Uses of the plan between points, on the device and in double precision: see `reference` for what each is.

P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps) = 2^(rows_i + columns_j - C_ij / unit). A thread has a row and goes through
the columns by tiles; parts of the columns are added up by the host, in their order.

What only some rows or columns are asked of, and all that is asked of a matrix, is done on the CPU, as `AllPairs` does.
"""

from __future__ import annotations

import functools
import math
from functools import cached_property
from typing import Any

import numpy as np
from numba import float64, uint32
from numpy.typing import NDArray

from monge.entropic.iteration import Schedule
from monge.entropic.kernels.all_pairs import Mixture, log_weights
from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, exact, exp2, kernel, launch, log2
from monge.entropic.kernels.cuda.driver import default_stream
from monge.entropic.kernels.cuda.grounds import REGISTERS, from_other_side, rule_of, the_same
from monge.entropic.kernels.cuda.loop import Side, Solver
from monge.entropic.kernels.cuda.points import on_device, taken
from monge.entropic.kernels.cuda.sums import CloudSums, cut
from monge.entropic.kernels.native import NativePairs
from monge.entropic.marginals import Balanced

__all__ = ["CudaPairs", "plan_kernel"]

Array = NDArray[np.float64]

_LN2 = float(np.log(2.0))
# Pairs from which a few columns are worth a solver.
_MANY = 2**24
# Coordinates of which a tile has room for a point at least.
_MOST_COORDINATES = 4096
# Threads of a block, bytes of a tile, and columns of values that are taken at once.
_THREADS, _TILE, _VALUES = (4, 256, 2) if SIMULATED else (128, 12288, 8)


def _tile(d: int, values: int) -> int:
    """Columns of a tile."""
    columns = 64
    while columns > 1 and columns * (d + 1 + values) * 8 > _TILE:
        columns //= 2
    return columns


@functools.lru_cache(maxsize=64)
def plan_kernel(ground: Any, d: int, use: str, values: int) -> Any:
    """kernel(x, y, rows, columns, u, v, out, n, m, per, k): what `use` makes of every row's entries.

    x (n d,), y (m d,) are points, rows (n,) and columns (m,) what belongs to them in the exponent, k the exponent per
    cost, u (n,) and v (m values,) factors; out (parts, outputs, n), of which a block fills in its part.

    - "sums": sum_j P_ij v_j of each of the values, and sum_j P_ij C_ij v_j of the first
    - "mixture": of G_ij = P_ij + u_i v_j: sum_j G_ij, sum_j G_ij C_ij and sum_j G_ij log2 G_ij
    - "gradient": sum_j P_ij dC_ij / dx_ik for each k
    - "least": min_j C_ij - v_j, where -inf in v leaves a column out
    """
    T, TJ = _THREADS, _tile(d, values)
    in_registers = d <= REGISTERS
    rule = rule_of(ground, d, np.float64, 1)
    cost, slope = rule.cost, rule.slope
    held = d if in_registers else 1
    outputs = {"sums": values + 1, "mixture": 3, "gradient": d, "least": 1}[use]
    WIDE = d + 1 + values
    SIZE = TJ * WIDE
    infinite = float("inf")

    @exact
    def add(out: Any, point: Any, at: Any, tile: Any, q: Any, row: Any, u: Any, k: Any) -> None:
        c = cost(point, at, tile, q)
        if use == "least":
            out[0] = min(out[0], c - tile[q + d + 1])
            return
        p = exp2((row + tile[q + d]) - k * c)
        if use == "sums":
            for s in range(values):
                out[s] += p * tile[q + d + 1 + s]
            if p > 0.0:
                out[values] += p * c * tile[q + d + 1]
        elif use == "mixture":
            mass = p + u * tile[q + d + 1]
            out[0] += mass
            if mass > 0.0:
                out[1] += mass * c
                out[2] += mass * log2(mass)
        else:
            for s in range(d):
                out[s] += p * slope(point, at, tile, q, s)

    def go(x, y, rows, columns, u, v, out, n, m, per, k):  # type: ignore[no-untyped-def]
        tile = cuda.shared.array(SIZE, float64)
        t = cuda.threadIdx.x
        i = cuda.blockIdx.x * T + t
        here = min(i, n - 1)
        point = cuda.local.array(held, float64)
        found = cuda.local.array(outputs, float64)
        for s in range(outputs):
            found[s] = infinite if use == "least" else 0.0
        if in_registers:
            for c in range(d):
                point[c] = x[here * d + c]
        begin = cuda.blockIdx.y * per
        end = min(begin + per, m)
        for j0 in range(begin, end, TJ):
            cuda.syncthreads()
            for q in range(t, SIZE, T):
                j, slot = min(j0 + q // WIDE, end - 1), q % WIDE
                if slot < d:
                    tile[q] = y[j * d + slot]
                elif slot == d:
                    tile[q] = columns[j]
                else:
                    tile[q] = v[j * values + slot - d - 1]
            cuda.syncthreads()
            for j in range(min(TJ, end - j0)):
                if in_registers:
                    add(found, point, 0, tile, uint32(j * WIDE), rows[here], u[here], k)
                else:
                    add(found, x, here * d, tile, uint32(j * WIDE), rows[here], u[here], k)
        if i < n:
            for s in range(outputs):
                out[(cuda.blockIdx.y * outputs + s) * n + i] = found[s]

    return kernel(go, False, ground, d, use, values), outputs


class CudaPairs(NativePairs):
    """A cost and the weights of a problem that a device solves."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_placed"}

    @property
    def _on_device(self) -> bool:
        return self.cost.cloud is not None and self.cost.x.shape[1] <= _MOST_COORDINATES

    @cached_property
    def _placed(self) -> tuple[Any, Any, float, float]:
        """The points on the device, the factor to cost units, and the unit of coordinates."""
        x, y, factor, unit = taken(self.cost)
        with default_stream:
            return on_device(x), on_device(y), factor, unit

    def _of_rows(self, use: str, rows: Array, columns: Array, eps: float, u: Array, v: Array, turned: bool) -> Array:
        """The outputs (., n) of a kernel for the rows, or with `turned` for the columns (., m)."""
        ground, (x, y, factor, _) = the_same(self.cost.ground), self._placed
        if turned:
            x, y = y, x
        n, m, values = len(rows), len(columns), v.shape[1]
        go, outputs = plan_kernel(from_other_side(ground) if turned else ground, self.cost.x.shape[1], use, values)
        blocks = -(-n // _THREADS)
        parts, per = cut(m, blocks, 64)
        with default_stream:
            out = cuda.device_array(parts * outputs * n, np.float64)
            launch(
                go, (blocks, parts), _THREADS, 0,
                x, y, *(on_device(part) for part in (rows, columns, u, v)), out, n, m, per,
                factor / (eps * _LN2),
            )  # fmt: skip
            found = out.copy_to_host().reshape(parts, outputs, n)
        return np.asarray(found.min(axis=0) if use == "least" else found.sum(axis=0))

    def _exponents(self, a: Array, b: Array, f: Array, g: Array, eps: float) -> tuple[Array, Array]:
        rows, columns = (np.maximum(log_weights(*side, eps) / _LN2, layout.FAR) for side in ((a, f), (b, g)))
        return rows, columns

    def sums(self, f: Array, g: Array, eps: float, u: Array | None, v: Array | None) -> tuple[Array, Array, float]:
        """P v (n,), P' u (m,) and the cost of diag(u) P diag(v)."""
        if not self._on_device:
            return super().sums(f, g, eps, u, v)
        n, m = self.shape
        full_u, full_v = self._factors(u, v)
        rows, columns = self._exponents(self.a, self.b, f, g, eps)
        sent, priced = np.zeros(n), np.zeros(n)
        if v is not None or u is None:
            sent, priced = self._of_rows("sums", rows, columns, eps, np.zeros(n), _column(full_v), False)
        received = np.zeros(m)
        if u is not None:
            received = self._of_rows("sums", columns, rows, eps, np.zeros(m), _column(full_u), True)[0]
        return sent, received, float(priced @ full_u) * self._placed[2]

    def product(self, f: Array, g: Array, eps: float, values: Array) -> Array:
        """P V (n, k) for V (m, k)."""
        if not self._on_device:
            return super().product(f, g, eps, values)
        n, (_, k) = self.shape[0], values.shape
        rows, columns = self._exponents(self.a, self.b, f, g, eps)
        out = np.empty((n, k))
        for first in range(0, k, _VALUES):
            some = np.ascontiguousarray(values[:, first : first + _VALUES], dtype=np.float64)
            out[:, first : first + _VALUES] = self._of_rows("sums", rows, columns, eps, np.zeros(n), some, False)[:-1].T
        return out

    def mixture(self, f: Array, g: Array, eps: float, x: Array, y: Array, u: Array, v: Array) -> Mixture:
        """Of G = diag(x) P diag(y) + u v'."""
        if not self._on_device:
            return super().mixture(f, g, eps, x, y, u, v)
        rows, columns = self._exponents(self.a * x, self.b * y, f, g, eps)
        sent, prices, entropies = self._of_rows("mixture", rows, columns, eps, u, _column(v), False)
        received = self._of_rows("mixture", columns, rows, eps, v, _column(u), True)[0]
        divergence = _LN2 * float(entropies.sum()) - self._log_product(sent, received)
        return Mixture(float(prices.sum()) * self._placed[2], divergence, sent, received)

    def gradient(self, f: Array, g: Array, eps: float) -> tuple[Array, Array]:
        """sum_j P_ij dC_ij / dx_i (n, d) and sum_i P_ij dC_ij / dy_j (m, d), for points."""
        if not self._on_device:
            return super().gradient(f, g, eps)
        rows, columns = self._exponents(self.a, self.b, f, g, eps)
        factor = self._placed[2]
        grads = []
        for here, there, turned in ((rows, columns, False), (columns, rows, True)):
            none = np.zeros(len(here))
            nothing = _column(np.zeros(len(there)))
            grads.append(factor * self._of_rows("gradient", here, there, eps, none, nothing, turned).T)
        if self.cost.formed is None:
            return grads[0], grads[1]
        unit = self._placed[3]
        x, y = ((points, unit * grad) for points, grad in zip((self.cost.x, self.cost.y), grads, strict=True))
        return self.cost.ground.turned(*x), self.cost.ground.turned(*y)

    def softmins(self, f: Array, eps: float, columns: NDArray[np.intp]) -> Array:
        """-eps log sum_i a_i exp((f_i - C_ij) / eps) of some columns j."""
        n = self.shape[0]
        if not self._on_device or n * len(columns) < _MANY:
            return super().softmins(f, eps, columns)
        ground, (x, y, factor, _) = the_same(self.cost.ground), taken(self.cost)
        none = np.zeros(len(columns))
        solver = Solver(CloudSums(from_other_side(ground), len(columns), n, x.shape[1]))
        sides = Side(np.ones(len(columns)), none, none), Side(self.a, f, f)
        balanced = Balanced(), Balanced()
        solver.load(y[columns], x, *sides, factor, balanced, Schedule(eps, eps, 1e-9, 2), math.inf)
        return solver.best_rows()

    def transforms(self, g: Array) -> tuple[Array, Array]:
        """f_i = min_j C_ij - g_j, and then g_j = min_i C_ij - f_i; -inf in g leaves a column out."""
        if not self._on_device:
            return super().transforms(g)
        factor, (n, m) = self._placed[2], self.shape
        none, many = np.zeros(n), np.zeros(m)
        f = self._of_rows("least", none, many, 1.0, none, _column(g / factor), False)[0]
        f[f == np.inf] = 0.0
        back = self._of_rows("least", many, none, 1.0, many, _column(f), True)[0]
        back[back == np.inf] = 0.0
        return f * factor, back * factor


def _column(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=np.float64)[:, np.newaxis]
