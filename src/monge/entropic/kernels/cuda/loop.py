"""One problem on the device, from its start to its potentials.

A round is a number of passes, each of three kernels: rows, columns, and the step between passes. The host sends a round
after the other and looks, while one of them runs, at what the one before has come to; so it never waits within one, and
the device never waits for the host. Kernels that find the problem solved return at once.

Rounds are replayed as graphs, which are recorded once for a workspace. Workspaces of small problems are kept for the
next one of the same shape.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.iteration import ANNEAL, Found, Schedule
from monge.entropic.kernels.cuda import layout, load
from monge.entropic.kernels.cuda.block import DEPTH, memory_rows
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, launch
from monge.entropic.kernels.cuda.driver import Pinned, recorded
from monge.entropic.kernels.cuda.load import load_kernel, size_of
from monge.entropic.kernels.cuda.step import THREADS, step_kernel
from monge.entropic.marginals import Marginal

__all__ = ["Side", "Solver"]

Array = NDArray[np.float64]

# Errors of so many passes are kept.
_KEPT = 10_000
# Passes of a round, and pairs from which it has fewer: a round should not take much more than a tenth of a second.
_ROUND, _LONG = 2 if SIMULATED else 4, 2**33


class Side(NamedTuple):
    """What a side starts from; all (n,)."""

    weights: Array
    potential: Array
    softmin: Array


class Solver:
    """The arrays and the kernels for problems of one shape and one kind of cost.

    Parameters
    ----------
    sums : CloudSums or MatrixSums
        Their half steps.
    """

    def __init__(self, sums: Any) -> None:
        self.sums, self.stream = sums, cuda.stream()
        n, m = sums.sizes
        D1, f64, f32 = layout.width(sums.d), np.float64, np.float32
        self.ctl = cuda.device_array(layout.CTL, f64)
        self.A, self.B = cuda.device_array((layout.ROWS, n), f64), cuda.device_array((layout.ROWS, m), f64)
        self.X = {real: cuda.device_array(n * D1, real) for real in (f32, f64)}
        self.Y = {real: cuda.device_array(m * D1, real) for real in (f32, f64)}
        self.memory = cuda.to_device(np.zeros((memory_rows, m), f32), stream=self.stream)
        self.gram = cuda.device_array(DEPTH * DEPTH, f64)
        self.errors = cuda.device_array(_KEPT, f64)
        grids = [(size, sums.grid(real, side)) for real in (f32, f64) for side, size in ((0, n), (1, m))]
        most = max(parts * size for size, (_, parts, _) in grids)
        self.part = {real: cuda.device_array(most, real) for real in (f32, f64)}
        self.after, self.first = step_kernel(sums.d, sums.lifted)
        self.load_points = load_kernel(sums.d)
        size = size_of(n, m, sums.d)
        self.sent = Pinned(cuda.device_array(size, f64))
        self.known = [(Pinned(self.ctl), cuda.event()) for _ in range(2)]
        self.errors_back = Pinned(self.errors)
        # The rows of softmins and potentials, which come back.
        some = slice(layout.SOFTMIN, layout.POTENTIAL + 1)
        self.back = [Pinned(V[some]) for V in (self.A, self.B)]
        self.opening: Callable[[], None] | None = None
        self.passes = _ROUND if n * m < _LONG else 1
        self.rounds: dict[Any, Callable[[], None]] = {}

    def load(
        self, x: Array, y: Array, rows: Side, columns: Side, factor: float, marginals: tuple[Marginal, Marginal],
        schedule: Schedule, noise: float, symmetric: bool = False,
    ) -> None:  # fmt: skip
        """Puts points (n, d), (m, d), what the sides start from and what the loop is to know on the device."""
        d, at = self.sums.d, layout.CTL
        self.sent.host[:at] = _to_know(factor, marginals, schedule, noise, symmetric)
        for points, side in ((x, rows), (y, columns)):
            size = len(points)
            self.sent.host[at : at + size * d] = points.ravel()
            vectors = self.sent.host[at + size * d : at + size * (d + 3)].reshape(size, 3)
            vectors[:, 0], vectors[:, 1], vectors[:, 2] = side
            at += size * (d + 3)
        if self.opening is None:
            self._open()  # compiles, and loads the kernels
            self.opening = recorded(self.stream, self._open)
        else:
            self.opening()
        self.single = noise < math.inf  # a round of the wrong precision is soon over

    def _open(self) -> None:
        (n, m), f32, f64 = self.sums.sizes, np.float32, np.float64
        self.sent.send(self.stream)
        blocks = -(-max(n + m, layout.CTL) // load.THREADS)
        launch(
            self.load_points, blocks, load.THREADS, self.stream,
            self.sent.array, self.ctl, self.A, self.B, self.X[f32], self.X[f64], self.Y[f32], self.Y[f64], n, m,
        )  # fmt: skip
        launch(self.first, 1, THREADS, self.stream, self.ctl, self.B, self.Y[f32], self.Y[f64], m)

    def solve(self, report: Callable[[int, float, float], None] | None = None) -> Found:
        """Runs the loop for what was loaded."""
        single, turn, waiting = self.single, 0, None
        while True:
            self._round(np.float32 if single else np.float64)
            look = self._look(turn)
            if waiting is not None:
                state = waiting()
                if report is not None:
                    report(int(state[layout.PASSES]), float(state[layout.EPS]), float(state[layout.ERROR]))
                if state[layout.DONE] != 0.0:
                    break
                single = bool(state[layout.SINGLE])
            waiting, turn = look, 1 - turn
        found = Found(
            bool(state[layout.CONVERGED]), int(state[layout.PASSES]), float(state[layout.ERROR]),
            float(state[layout.DUAL]),
        )  # fmt: skip
        self.errors_back.fetch(self.stream)
        self.stream.synchronize()
        found.errors = self.errors_back.host[: min(found.passes, _KEPT)].tolist()
        return found

    def best_rows(self) -> Array:
        """The best potentials (n,) of the rows for those of the columns that were loaded."""
        for real in (np.float32, np.float64):  # of which one finds that it is the other's turn
            self.half(real, 0)
        return self.potentials()[0]

    def potentials(self) -> tuple[Array, Array, Array, Array]:
        """The vectors f and r of the rows, g and s of the columns: potentials and softmins."""
        for copy in self.back:
            copy.fetch(self.stream)
        self.stream.synchronize()
        (r, f), (s, g) = (copy.host.copy() for copy in self.back)
        return f, r, g, s

    def _look(self, turn: int) -> Callable[[], Array]:
        """Asks for what the loop knows when the device gets there; the answer waits for that."""
        copy, event = self.known[turn]
        copy.fetch(self.stream)
        event.record(self.stream)

        def known() -> Array:
            event.synchronize()
            return copy.host

        return known

    def _round(self, real: Any) -> None:
        if real not in self.rounds:
            self._pass(real)  # compiles, loads, and is the first one
            self.rounds[real] = recorded(self.stream, functools.partial(self._pass, real))
            return
        for _ in range(self.passes):
            self.rounds[real]()

    def _pass(self, real: Any) -> None:
        self.half(real, 0)
        self.half(real, 1)
        self.step(real)

    def step(self, real: Any) -> None:
        """What follows a pass in this precision."""
        (n, m), single = self.sums.sizes, 1.0 if real is np.float32 else 0.0
        launch(
            self.after, 1, THREADS, self.stream,
            self.ctl, self.A, self.B, self.Y[np.float32], self.Y[np.float64], self.memory, self.gram, self.errors, n, m,
            single,
        )  # fmt: skip

    def half(self, real: Any, side: int) -> None:
        """One half step: of the rows, or of the columns."""
        V, X, Y = self.A, self.X[real], self.Y[real]
        if side == 1:
            V, X, Y = self.B, Y, X
        self.sums.launch(real, side, self.stream, self.ctl, V, X, Y, self.part[real])


def _to_know(
    factor: float, marginals: tuple[Marginal, Marginal], schedule: Schedule, noise: float, symmetric: bool
) -> Array:
    first, last, tol, max_iter = schedule
    eps = last
    while eps * ANNEAL <= first:
        eps *= ANNEAL
    ctl, (rows, columns) = np.zeros(layout.CTL), marginals
    ctl[[layout.LAST, layout.TOL, layout.MAX_ITER, layout.NOISE]] = last, tol, max_iter, noise
    ctl[[layout.FACTOR, layout.KL_A, layout.CAP_A, layout.KL_B, layout.CAP_B]] = (
        factor, rows.kl, rows.cap, columns.kl, columns.cap
    )  # fmt: skip
    ctl[[layout.KEPT, layout.EPS, layout.SYMMETRIC]] = _KEPT, eps, symmetric
    return ctl
