"""One L2-regularised problem: its checks, the units it is solved in, and the way from steps to a `Transport`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.threads import Threads
from monge.entropic.problem import weights_of
from monge.entropic.quadratic.costs import EntryCosts, MatrixCosts, costs_of
from monge.entropic.quadratic.newton import Ascent, ascend
from monge.entropic.quadratic.result import QuadraticTransport
from monge.problem.costs import SparseCost, as_cost, is_sparse
from monge.problem.measures import check_value, rounding_of
from monge.problem.start import start_potentials
from monge.problem.transport import Status

__all__ = ["Problem"]

Array = NDArray[np.float64]

# Of eps times the total mass: beyond these, its products are no numbers.
_SCALES = (1e-280, 1e150)
# What a tight arc carries at the start, beside the mean mass of a place: so that it counts as active, and no other.
_TIGHT = 1e-9
# A start is gone on from where its marginal error is below this, for so many steps; then exact potentials do better.
_NEAR, _TRIED = 0.5, 30


class Problem:
    """A problem that has been checked."""

    def __init__(self, cost: Any, a: Any, b: Any, eps: float, init: Any) -> None:
        self.cost = SparseCost(cost) if is_sparse(cost) else as_cost(cost)
        self.given = cost if is_sparse(cost) else self.cost  # as `emd` takes it
        n, m = self.cost.shape
        self.a, self.b, _ = weights_of(a, b, n, m, True)
        self.rounding = rounding_of(a, b)
        self.eps, self.total = eps, float(self.a.sum())
        if not _SCALES[0] < eps * self.total < _SCALES[1]:
            raise ValueError(
                f"eps times the total mass should be between {_SCALES[0]:g} and {_SCALES[1]:g}; got {eps!r} times "
                f"{self.total!r}. For the limit of a small eps use monge.emd; that of a large one spreads mass evenly."
            )
        self.start = start_potentials(init, n, m)
        if self.start is not None and not isinstance(self.cost, SparseCost):
            self.cost.checked()  # which the exact solver does elsewhere
        entries = getattr(getattr(init, "on_host", init), "_entries", None)
        self.arcs: tuple[Any, Any] = (None, None) if entries is None else entries[:2]  # for the exact solver

    def solved(
        self, tol: float, max_iter: int, workers: int, deadline: float,
        report: Callable[[int, float, float], None] | None,
    ) -> QuadraticTransport:  # fmt: skip
        began = time.perf_counter()
        costs = costs_of(self.cost, workers)
        with Threads(workers) as threads:
            inner = _Inner(self, costs, tol, deadline, threads, report)
            found = None
            if self.start is not None:
                found = inner.ascent(self.start, 0.0, min(max_iter, _TRIED), _NEAR)
            exact_seconds = 0.0
            if found is None:
                since = time.perf_counter()
                start = *(self.start or (None, None)), *self.arcs
                exact = costs.exact((self.a, self.b), self.rounding, start, workers, max(deadline - since, 0.0))
                exact_seconds = time.perf_counter() - since
                found = inner.ascent((exact.f, exact.g), _TIGHT, max_iter, math.inf)
            assert found is not None
            answer = inner.answer(found)
        answer.stats = {
            **answer.stats, "seconds_exact": exact_seconds, "seconds_total": time.perf_counter() - began
        }  # fmt: skip
        return answer


class _Inner:
    """The same between the places that have weight, in a unit in which a place's mean mass is about one."""

    def __init__(
        self, problem: Problem, costs: MatrixCosts | EntryCosts, tol: float, deadline: float, threads: Threads,
        report: Callable[[int, float, float], None] | None,
    ) -> None:  # fmt: skip
        self.problem, self.all, self.tol, self.deadline, self.threads = problem, costs, tol, deadline, threads
        self.rows, self.cols = np.flatnonzero(problem.a), np.flatnonzero(problem.b)
        self.costs = costs.among(self.rows, self.cols)
        self.unit = 2.0 ** round(math.log2(problem.eps) + math.log2(problem.total / (len(self.rows) + len(self.cols))))
        self.a, self.b = (
            (weights[some] / self.unit) * problem.eps if self.unit > 1.0 else weights[some] * (problem.eps / self.unit)
            for weights, some in ((problem.a, self.rows), (problem.b, self.cols))
        )
        self.report = None if report is None else lambda passes, error: report(passes, problem.eps, error)
        self.base: tuple[Array, Array] = problem.a, problem.b

    def ascent(self, base: tuple[Array, Array], lift: float, steps: int, near: float) -> Ascent | None:
        """From potentials; None if the error is not below `near` there, or not below tol in so many steps."""
        self.base = base
        within = base[0][self.rows], base[1][self.cols]
        here = np.full(len(self.rows), lift), np.zeros(len(self.cols))

        def listing(here: tuple[Array, Array], there: tuple[Array, Array], most: int) -> Any:
            return self.costs.listed(within, self.unit, here, there, most, self.threads)

        options = self.a, self.b, here, self.tol
        if near < math.inf:
            first = ascend(listing, *options, 0, self.deadline, self.threads)
            if first.error >= near:
                return None
        found = ascend(listing, *options, steps, self.deadline, self.threads, self.report)
        return found if near == math.inf or found.ended.converged or found.ended.out_of_time else None

    def answer(self, found: Ascent) -> QuadraticTransport:
        """The Transport that an ascent has led to."""
        problem, eps = self.problem, self.problem.eps
        (h, k), (begin, col, cost) = found.here, found.arcs
        row = np.repeat(np.arange(len(h)), np.diff(begin))
        z = h[row] + k[col] - cost
        some = z > 0.0
        rows, cols, mass = self.rows[row[some]], self.cols[col[some]], z[some] * (self.unit / eps)
        f, g = self._potentials(h, k)
        # Of the sums the base has most; what the steps add to it is summed up by itself.
        value = float(problem.a @ self.base[0] + problem.b @ self.base[1])
        more = problem.a[self.rows] @ h + problem.b[self.cols] @ k - 0.5 * float(z[some] @ mass)
        value += float(more) * self.unit
        check_value(value, problem.a, problem.b)
        prices = self.all.at(rows, cols)
        converged, out_of_steps, out_of_time, _ = found.ended
        status = (
            Status.CONVERGED if converged
            else Status.MAX_ITER if out_of_steps
            else Status.OUT_OF_TIME if out_of_time
            else Status.ROUNDED
        )  # fmt: skip
        return QuadraticTransport(
            problem.given,
            (problem.a, problem.b),
            eps,
            self.threads.number,
            prices,
            cloud=getattr(problem.cost, "cloud", None),
            value=value,
            cost=float(prices @ mass),
            f=f,
            g=g,
            entries=(rows.astype(np.int64), cols.astype(np.int64), mass),
            status=status,
            iterations=found.steps,
            stats={"newton_steps": found.steps, "passes": found.passes, "error": found.error, "entries": len(mass)},
        )

    def _potentials(self, h: Array, k: Array) -> tuple[Array, Array]:
        """f (n,) and g (m,). Of a place without weight, the largest at which it would still send or receive nothing."""
        f, g = (np.array(values) for values in self.base)
        f[self.rows] += self.unit * h
        g[self.cols] += self.unit * k
        for own, other, with_weight, costs in ((f, g, self.rows, self.all), (g, f, self.cols, self.all.T)):
            empty = np.setdiff1d(np.arange(len(own)), with_weight)
            if not empty.size:
                continue
            limit = other
            if own is f:  # columns without weight follow
                limit = np.full_like(g, -math.inf)
                limit[self.cols] = g[self.cols]
            free = costs.transform(limit, empty)
            own[empty] = np.where(free < math.inf, free, own[empty])
        return f, g
