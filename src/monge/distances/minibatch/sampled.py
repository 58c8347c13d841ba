"""What a run of pairs of batches comes to: values, the mean plan, mean derivatives."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monge.distances.minibatch.running import Part, Run
from monge.distances.minibatch.solvers import Asked, add_rows
from monge.problem.arrays import require_memory
from monge.problem.costs import PointCloud
from monge.problem.plan_slopes import plan_slopes
from monge.problem.transport import ConvergenceWarning
from monge.spread.base import Source

__all__ = ["Estimate", "Sampled", "slopes_of_plan", "warn_of_shortfalls"]

Array = NDArray[np.float64]
Triple = tuple[NDArray[Any], NDArray[Any], Array]

# Of the weight of an epoch, what sets a whole one off from a part.
_WHOLE = 1.0 - 1e-9
_NO_INDICES = "a sampler has no rows that a plan or a derivative could belong to. Pass an array of its samples."


class Estimate(Protocol):
    """A mean over pairs of batches; `Sampled`, or `OnLine` in closed form."""

    @property
    def value(self) -> float:
        """The mean."""

    @property
    def drawn(self) -> bool:
        """Whether chance has a part in it."""

    @property
    def units(self) -> Array:
        """Values of what is independent: of pairs, or means of epochs."""

    @property
    def count(self) -> int:
        """Pairs of batches."""

    @property
    def whole(self) -> bool:
        """Whether all that was asked for was done."""

    @property
    def late(self) -> int:
        """Pairs that are less precise than they should be."""

    @property
    def shape(self) -> tuple[int, int]:
        """Points of x and of y."""

    @property
    def entries(self) -> tuple[NDArray[Any], NDArray[Any], Array]:
        """Rows, columns and masses of the mean plan."""

    def slopes(self, side: int) -> Array:
        """The derivatives with respect to x or y."""

    def within(self, side: int) -> Estimate:
        """The same between one side and itself."""


@dataclass
class Sampled:
    """The sums of a run over the blocks that were done; of epochs, over whole ones as soon as there is one.

    Attributes
    ----------
    run : Run
        The run.
    values, weights : ndarray (k,)
        Of all pairs.
    units : ndarray (u,)
        Of independent units: means of epochs, or values of pairs. Empty without chance, and without a whole epoch.
    blocks, late : int
        Blocks that count, and pairs that are less precise than they should be.
    """

    run: Run
    values: Array
    weights: Array
    units: Array
    blocks: int
    late: int
    _entries: Triple | None
    _sums: list[Array | None]
    _reason: str

    @classmethod
    def of(cls, run: Run) -> Sampled:
        """Draws and solves."""
        sides = run.x, run.y
        indexed = tuple(source.rows is not None for source in sides)
        # Where the plan comes along, derivatives are made of it when asked for.
        plans = run.solver.sparse and all(indexed)
        total = _Total(run, Asked(plans, (False, False) if plans else (indexed[0], indexed[1])))
        return total.result()

    @property
    def value(self) -> float:
        """The mean."""
        return float((self.values * self.weights).sum() / self.weights.sum())

    @property
    def drawn(self) -> bool:
        """Whether chance has a part in it."""
        return self.run.draws.drawn

    @property
    def count(self) -> int:
        """Pairs of batches that were solved."""
        return len(self.values)

    @property
    def whole(self) -> bool:
        """Whether all blocks were done."""
        return self.blocks == self.run.draws.blocks

    def within(self, side: int) -> Sampled:
        """The same between one side and itself, with the same draws where it has as many points as the other."""
        source = (self.run.x, self.run.y)[side]
        return Sampled.of(replace(self.run, draws=self.run.draws.within(side), x=source, y=source))

    @property
    def shape(self) -> tuple[int, int]:
        """Points of x and of y. TypeError for a sampler."""
        n, m = self.run.x.rows, self.run.y.rows
        if n is None or m is None:
            raise TypeError(f"there is no plan: {_NO_INDICES}")
        return n, m

    @property
    def entries(self) -> Triple:
        """Rows, columns and masses of the mean plan; entries at the same place are to be summed."""
        _ = self.shape
        if self._entries is None:
            if not self.run.solver.has_plans:
                raise TypeError("there is no plan: loss= says what a pair of batches is worth, not how mass moves.")
            again = _Total(replace(self.run, progress=False, time_limit=None), Asked(plans=True), self.blocks)
            self._entries = again.result()._entries
        assert self._entries is not None
        return self._entries

    def slopes(self, side: int) -> Array:
        """The mean derivatives (n, d) with respect to x or y. TypeError where there are none."""
        sums = self._sums[side]
        if sums is None:
            source, name = (self.run.x, self.run.y)[side], "xy"[side]
            if source.rows is None:
                raise TypeError(f"there is no grad_{name}: {_NO_INDICES}")
            if not self.run.solver.sparse or self._entries is None:
                raise TypeError(f"there is no grad_{name}: {self._reason}")
            sums = slopes_of_plan(self.run.x, self.run.y, self.run.solver.cost, self._entries, side)
            self._sums[side] = sums
        return sums


class _Total:
    """Sums over the blocks of a run, in their order."""

    def __init__(self, run: Run, asked: Asked, most: int | None = None) -> None:
        self._run = run
        self._parts: list[Part] = []  # without their slopes, which are summed up
        self._sums: list[Array | None] = [None, None]
        self._blocks = 0
        unit, waiting = run.draws.unit, []
        for parts in run.blocks(asked):
            waiting.append(parts)
            if len(waiting) == unit:
                self._add(waiting)
                waiting = []
                if self._blocks == unit:
                    self._require_room()
            if self._blocks + len(waiting) == most:
                break
        if self._blocks == 0 or most is not None:
            self._add(waiting)

    def _add(self, blocks: list[list[Part]]) -> None:
        self._blocks += len(blocks)
        parts = [part for block in blocks for part in block]
        for part in parts:
            for side, (source, slopes) in enumerate(zip((self._run.x, self._run.y), part.slopes, strict=True)):
                if slopes is not None:
                    if self._sums[side] is None:
                        assert source.rows is not None
                        self._sums[side] = np.zeros((source.rows, source.columns))
                    add_rows(self._sums[side], slopes.places, slopes.rows)  # type: ignore[arg-type]
            self._parts.append(replace(part, slopes=(None, None)))

    def _require_room(self) -> None:
        """For a plan with as many entries in all blocks as in those so far."""
        of_all = [each for part in self._parts for each in part.entries or ()]
        wanted = sum(each.nbytes for each in of_all) * self._run.draws.blocks // self._blocks
        require_memory(wanted, "the mean plan", "Solve fewer pairs of batches, or smaller ones.")

    def _units(self, values: Array, weights: Array) -> Array:
        """Values of pairs, or means of whole epochs."""
        parts = self._parts
        if not self._run.draws.drawn:
            return np.empty(0)
        if parts[0].epochs is None:
            return values
        epochs = np.concatenate([part.epochs for part in parts if part.epochs is not None])
        parts_of_all, sums = (np.bincount(epochs, weights=each) for each in (weights, weights * values))
        whole = parts_of_all > _WHOLE * parts_of_all.max()
        return np.asarray(sums[whole] / parts_of_all[whole])

    def result(self) -> Sampled:
        parts = self._parts
        values, weights = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "weights"))
        done = 1.0 / float(weights.sum()) if self._blocks < self._run.draws.blocks else 1.0
        entries = None
        if parts[0].entries is not None:
            rows, columns, mass = (
                np.concatenate(each) for each in zip(*(part.entries or () for part in parts), strict=True)
            )
            entries = rows, columns, mass * done
        for total in self._sums:
            if total is not None and done != 1.0:  # else pages that no batch has met stay untouched
                total *= done
        reason = next((part.reason for part in parts if part.reason), "")
        late = sum(part.late for part in parts)
        units = self._units(values, weights)
        return Sampled(self._run, values, weights, units, self._blocks, late, entries, self._sums, reason)


def warn_of_shortfalls(estimate: Estimate, stacklevel: int) -> None:
    """Warns whoever called the function that is so far up where an estimate is not what was asked for.

    TimeoutError where what was done stands for nothing.
    """
    if not estimate.whole:
        text = f"time_limit ran out after {estimate.count} pairs of batches"
        if not estimate.drawn:
            raise TimeoutError(f"{text}, and a part of all pairs stands for nothing. Raise time_limit, or draw some.")
        text = f"minibatch: {text}; the value is the mean over these. Raise time_limit."
        warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel)
    if estimate.late > 0:
        text = (
            f"minibatch: {estimate.late} of {estimate.count} pairs of batches are not solved as precisely as they "
            "should be. Solve one of them with monge.sinkhorn or monge.emd, which say what to change."
        )
        warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel)


def slopes_of_plan(x: Source, y: Source, cost: Any, entries: Triple, side: int) -> Array:
    """sum_j P_ij dc(x_i, y_j) / dx_i (n, d), or for side 1 the same for y (m, d). Reads what the plan meets."""
    (rows, of_x), (columns, of_y) = (_met(*each) for each in zip((x, y), entries[:2], strict=True))
    points = x.take(rows), y.take(columns)
    ground = PointCloud(points[0][:1], points[1][:1], cost).ground
    (slopes,) = plan_slopes(ground, *points, (of_x, of_y, entries[2]), (side,))
    met = (rows, columns)[side]
    if len(met) == (x, y)[side].rows:
        return slopes
    found = np.zeros(((x, y)[side].rows or 0, x.columns))
    found[met] = slopes
    return found


def _met(source: Source, places: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows that stand there, and where in these each does."""
    met = np.zeros(source.rows or 0, bool)
    met[places] = True
    return np.flatnonzero(met), (np.cumsum(met) - 1)[places]
