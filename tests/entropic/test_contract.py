"""Pairs of every kind, for every cost they take, against their specification, `kernels.reference`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any, NamedTuple

import cases
import numpy as np
import pytest
from numpy.typing import NDArray

import monge
from monge.entropic.iteration import noise_floor
from monge.entropic.kernels.grid import GridPairs
from monge.entropic.kernels.native import NativePairs
from monge.entropic.kernels.near import NearPairs
from monge.entropic.kernels.reference import ReferencePairs
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import KL, TV, Balanced, Marginal
from monge.problem import ground

Array = NDArray[Any]
EPS = np.finfo(np.float64).eps

# --- Costs ------------------------------------------------------------------------------------------------------------

# All that are built in, and powers of distances.
GROUNDS = ground.GROUND_COSTS
POWERS = [(distance, power) for distance in ground.DISTANCES for power in (0.5, 1.5, 3.0)]
DIMENSIONS = [1, 2, 3, 8, 21]
MATRICES: dict[str, Callable[[Array], Array]] = {
    "float64": lambda C: C,
    "float32": lambda C: C.astype(np.float32),
    "columns first": np.asfortranarray,
    "with a sign": lambda C: C - C.mean(),
    "forbidden": lambda C: np.where(np.random.default_rng(2).random(C.shape) < 0.3, np.inf, C),
}
GRIDS = [
    monge.Grid(1),
    monge.Grid(40, power=1),
    monge.Grid((9, 7), spacing=0.5),
    monge.Grid((6, 4), power=1.5, spacing=(2, 1)),
    monge.Grid((3, 5, 4)),
]


def points(n: int, m: int, d: int) -> tuple[Array, Array]:
    """Two clouds off the origin; some points are in both."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)) + 2.0, rng.normal(size=(m, d)) + 2.0
    y[: m // 8] = x[: m // 8]
    return x, y


def cloud(cost: Any, d: int, n: int = 130, m: int = 67) -> monge.PointCloud:
    return monge.PointCloud(*points(n, m, d), cost)


def matrix(form: str, n: int = 130, m: int = 67) -> monge.CostMatrix:
    x, y = points(n, m, 3)
    return monge.CostMatrix(MATRICES[form](((x[:, np.newaxis] - y) ** 2).sum(axis=2)))


# Of each kind: a name and how to make it.
STORED = {f"matrix, {form}": (matrix, form) for form in MATRICES}
CLOUDS = {
    f"{cost} in {d}": (cloud, cost, d)
    for costs, dimensions in ((GROUNDS, DIMENSIONS), (POWERS, [2, 21]))
    for cost in costs
    for d in dimensions
}
FEW = {name: made for name, made in CLOUDS.items() if made[2] <= 3}
USERS = {
    f"user's {name}": (cloud, monge.GroundCost(cost, gradient), d)
    for name, (cost, gradient, _, d) in cases.USER_COSTS.items()
    if name in ("squared in 9", "Huber", "great circle", "uphill")  # others differ from these by their loops alone
}
CELLS = {repr(grid): (lambda grid: grid, grid) for grid in GRIDS}

# For the specification itself.
SOME = {"matrix, forbidden", "sqeuclidean in 2", repr(GRIDS[-1])}

# --- Kernels ----------------------------------------------------------------------------------------------------------

KERNELS: dict[str, tuple[Any, dict[str, tuple[Any, ...]]]] = {
    "reference": (ReferencePairs, {cost: made for cost, made in (STORED | FEW | CELLS).items() if cost in SOME}),
    "native": (NativePairs, STORED | CLOUDS | USERS),
    "near": (NearPairs, FEW),
    "grid": (GridPairs, CELLS),
}
EVERY = [pytest.param(kernel, cost, id=f"{kernel}-{cost}") for kernel, (_, costs) in KERNELS.items() for cost in costs]

MARGINALS: dict[str, tuple[Marginal, Marginal]] = {
    "balanced": (Balanced(), Balanced()),
    "KL": (KL(0.3), KL(2.0)),
    "TV": (TV(0.1), TV(0.2)),
    "half": (Balanced(), KL(1.0)),
}
# In units of the size of the costs.
SHARES = [10.0, 0.1, 1e-3]


class Potentials(NamedTuple):
    """What pairs see of steps."""

    f: Array
    g: Array
    s: Array


class Case:
    """A problem, its specification, and potentials: some that a solve may meet, and those it ends near."""

    def __init__(self, cost: str, marginals: str) -> None:
        make, *arguments = next(costs[cost] for _, costs in KERNELS.values() if cost in costs)
        self.cost, self.marginals = make(*arguments), MARGINALS[marginals]
        n, m = self.cost.shape
        rng = np.random.default_rng(1)
        self.a, self.b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
        if n > 8:
            self.a[[0, n // 2]], self.b[[3, m - 1]] = 0.0, 0.0
        self.right = ReferencePairs(self.cost, self.a, self.b, self.marginals)
        finite = self.right.C[np.isfinite(self.right.C)]
        self.largest, self.scale = float(np.abs(finite).max()) or 1.0, self.right.size or 1.0
        cap = self.marginals[1].cap
        self.g = np.clip(0.1 * self.scale * rng.normal(size=m), -cap, cap)
        self.operands = rng.normal(size=(n,)), rng.normal(size=(m,)), rng.normal(size=(m, 3))

    def pairs(self, kernel: str, threads: int = 1) -> Any:
        return KERNELS[kernel][0](self.cost, self.a, self.b, self.marginals, Threads(threads))

    def rounding(self, eps: float) -> float:
        """Of the entries of a plan, relative: they are exponentials of sums of numbers of this size."""
        f, g = near(self, eps)
        size = (self.largest + np.abs(f).max() + np.abs(g).max()) / eps
        return float(16 * EPS * (size * self.digits + 8))

    @property
    def digits(self) -> float:
        """By how much more than one rounding a cost may be off, as the power of a distance."""
        if isinstance(self.cost, monge.PointCloud) and self.cost.formed is None:
            return 8.0
        return max(1.0, getattr(self.cost, "power", 1.0))

    @cached_property
    def mixed(self) -> tuple[Array, Array, Array, Array]:
        """Factors x, y and masses u, v, as rounding makes them: at places with weight alone, and some zero."""
        rng = np.random.default_rng(4)
        (n, m), out = self.cost.shape, []
        for size, weights, most in ((n, self.a, 1.0), (m, self.b, 1.0), (n, self.a, 0.1), (m, self.b, 0.1)):
            values = most * rng.random(size)
            values[rng.random(size) < 0.3] = 0.0
            values[weights == 0.0] = 0.0
            out.append(values)
        return out[0], out[1], out[2], out[3]


def passed(pairs: Any, g: Array, eps: float, single: bool = False, complete: bool = True) -> Potentials:
    """What a pass makes of g."""
    steps = Potentials(np.zeros(len(pairs.a)), g.copy(), np.zeros(len(pairs.b)))
    pairs.run(steps, eps, single, complete)
    np.testing.assert_array_equal(steps.g, g)
    return steps


def received(c: Case, steps: Potentials, right: Potentials, eps: float) -> Array:
    """The column sums that steps speak of, (m,): of a total that is no number, as shares of what the right ones are."""
    logs, known = (np.where(c.b > 0.0, (one.g - one.s) / eps, -np.inf) for one in (steps, right))
    return np.asarray(c.b * np.exp(logs - max(known.max(), 0.0)))


case = cache(Case)


@cache
def after(c: Case, eps: float) -> Potentials:
    """A pass from g, as specified."""
    return passed(c.right, c.g, eps)


@cache
def near(c: Case, eps: float) -> tuple[Array, Array]:
    """Potentials of a plan with about the right rows, and columns that are off by some."""
    g = 0.0 * c.g
    for now in (c.scale, 0.2 * c.scale, eps):
        for _ in range(4):
            g = c.marginals[1].potential(np.where(c.b > 0.0, passed(c.right, g, now).s, 0.0), now)
    g = g + 0.3 * eps * np.random.default_rng(3).normal(size=len(g))
    return passed(c.right, g, eps).f, g


class Contract:
    """What holds for each kernel of KERNELS, and for those of other devices: see `tests/cuda`."""

    @pytest.mark.parametrize("marginals", MARGINALS)
    def test_passes(self, kernel: str, cost: str, marginals: str) -> None:
        c = case(cost, marginals)
        for eps in (share * c.scale for share in SHARES):
            right, size = after(c, eps), c.largest + np.abs(c.g).max() + eps
            for single in (False, True):
                pairs = c.pairs(kernel)
                if single and pairs.noise == np.inf:  # no solve asks for it
                    continue
                error = (2e-7 if single else 1e-15) * (4 * size + c.digits * c.largest) + 10.0 * pairs.skipped * eps
                # Of a column that gets next to nothing, all may be what is skipped.
                some = c.b > 0.0 if pairs.skipped == 0.0 else received(c, right, right, eps) > 1e-3 * c.b
                steps = Potentials(np.zeros(len(c.a)), c.g, np.zeros(len(c.b)))
                # The first pass, one that knows the potentials of the rows, and one that may go by what that found.
                for complete in (True, True, False):
                    was_complete = pairs.run(steps, eps, single, complete)
                    assert was_complete or not complete
                    np.testing.assert_allclose(steps.f, right.f, atol=error, rtol=0)
                    np.testing.assert_allclose(steps.s[some], right.s[some], atol=2 * error, rtol=0)

    def test_passes_skip_no_more_than_is_said(self, kernel: str, cost: str) -> None:
        c = case(cost, "balanced")
        for eps in (share * c.scale for share in SHARES):
            g, pairs = near(c, eps)[1], c.pairs(kernel)
            right = passed(c.right, g, eps)
            for _ in range(2):
                found, known = (received(c, steps, right, eps) for steps in (passed(pairs, g, eps), right))
                assert np.abs(found - known).sum() <= (pairs.skipped + c.rounding(eps)) * known.sum()

    def test_noise_is_no_more_than_is_said(self, kernel: str, cost: str) -> None:
        c = case(cost, "balanced")
        for eps in (share * c.scale for share in SHARES):
            pairs = c.pairs(kernel)
            if pairs.noise < np.inf:
                g = near(c, eps)[1]
                right = passed(pairs, g, eps)
                known, found = (received(c, steps, right, eps) for steps in (right, passed(pairs, g, eps, single=True)))
                assert np.abs(known - found).sum() <= noise_floor(pairs.noise, eps) * known.sum()

    def test_scalars(self, kernel: str, cost: str) -> None:
        c = case(cost, "balanced")
        pairs = c.pairs(kernel)
        sampled = kernel not in ("reference", "grid")
        if sampled:
            assert c.right.size / 3.0 <= pairs.size <= 3.0 * c.right.size
        else:
            assert pairs.size == pytest.approx(c.right.size, rel=1e-14)
        assert 0.0 <= pairs.exact_below <= pairs.size
        assert pairs.noise > 0.0
        assert 0.0 <= pairs.skipped < 1e-6
        assert pairs.patience > 0

    def test_sums(self, kernel: str, cost: str) -> None:
        for marginals in ("balanced", "KL"):
            c = case(cost, marginals)
            u, v, _ = c.operands
            for eps in (share * c.scale for share in SHARES):
                potentials, limit = near(c, eps), c.rounding(eps)
                for left, right in ((u, v), (np.ones_like(u), np.ones_like(v))):
                    sent, received, price = c.pairs(kernel).sums(*potentials, eps, left, right)
                    right_sent, right_received, right_price = c.right.sums(*potentials, eps, left, right)
                    P = c.right.plan(*potentials, eps)
                    assert (np.abs(sent - right_sent) <= limit * (P @ np.abs(right)) + 1e-18).all()
                    assert (np.abs(received - right_received) <= limit * (P.T @ np.abs(left)) + 1e-18).all()
                    size = c.largest * float(np.abs(left) @ P @ np.abs(right))
                    assert price == pytest.approx(right_price, rel=0, abs=limit * size + 1e-17 * c.largest)

    def test_sums_that_are_not_asked_for(self, kernel: str, cost: str) -> None:
        c = case(cost, "balanced")
        eps = 0.1 * c.scale
        (u, v, _), potentials, pairs = c.operands, near(c, eps), c.pairs(kernel)
        sent, received, _ = pairs.sums(*potentials, eps, u, v)
        assert bits(pairs.sums(*potentials, eps, None, v)[0]) == bits(sent)
        assert bits(pairs.sums(*potentials, eps, u, None)[1]) == bits(received)

    def test_product(self, kernel: str, cost: str) -> None:
        c = case(cost, "KL")
        V = c.operands[2]
        for eps in (share * c.scale for share in SHARES):
            potentials = near(c, eps)
            found = c.pairs(kernel).product(*potentials, eps, V)
            size = c.right.plan(*potentials, eps) @ np.abs(V)
            assert (np.abs(found - c.right.product(*potentials, eps, V)) <= c.rounding(eps) * size + 1e-18).all()

    @pytest.mark.parametrize("rest", [True, False])
    def test_mixture(self, kernel: str, cost: str, rest: bool) -> None:
        c = case(cost, "balanced")
        x, y, u, v = c.mixed
        if not rest or not np.isfinite(c.right.C).all():
            u, v = 0.0 * u, 0.0 * v
        for eps in (share * c.scale for share in SHARES):
            potentials = near(c, eps)
            limit = c.rounding(eps)
            found, right = (pairs.mixture(*potentials, eps, x, y, u, v) for pairs in (c.pairs(kernel), c.right))
            np.testing.assert_allclose(found.sent, right.sent, rtol=limit, atol=1e-18)
            np.testing.assert_allclose(found.received, right.received, rtol=limit, atol=1e-18)
            mass = right.sent.sum()
            assert found.price == pytest.approx(right.price, rel=0, abs=limit * mass * c.largest + 1e-17 * c.largest)
            # Logarithms of entries are as large as their exponents.
            size = (c.largest + sum(np.abs(side).max() for side in potentials)) / eps + 100.0
            error = 2 * limit * mass * size + 1e-16
            if kernel == "grid" and u.any() and v.any():  # a bound from above
                assert right.divergence - error <= found.divergence <= right.divergence + np.log(2.0) * mass + error
            else:
                assert found.divergence == pytest.approx(right.divergence, rel=0, abs=error)

    def test_a_forbidden_arc_costs_nothing_unless_used(self, kernel: str, cost: str) -> None:
        c = case(cost, "balanced")
        if np.isfinite(c.right.C).all():
            return
        eps = 0.1 * c.scale
        _, _, u, v = c.mixed
        ones = np.ones(len(c.a)), np.ones(len(c.b))
        assert np.isfinite(c.pairs(kernel).sums(*near(c, eps), eps, *ones)[2])
        assert np.isfinite(c.pairs(kernel).mixture(*near(c, eps), eps, *ones, 0.0 * u, 0.0 * v).price)
        assert c.pairs(kernel).mixture(*near(c, eps), eps, *ones, u, v).price == np.inf

    def test_entries(self, kernel: str, cost: str) -> None:
        c = case(cost, "KL")
        n = len(c.a)
        pairs = c.pairs(kernel)
        for eps in (share * c.scale for share in SHARES):
            potentials = near(c, eps)
            for rows in (slice(None), np.arange(0, n, 7), np.array([n - 1, 0]), slice(n // 3, n // 2 + 1)):
                found, right = (one.entries(*potentials, eps, rows) for one in (pairs, c.right))
                np.testing.assert_allclose(found, right, rtol=c.rounding(eps), atol=1e-300)

    def test_blocks_of_rows(self, kernel: str, cost: str) -> None:
        c = case(cost, "balanced")
        shape = c.cost.shape
        for eps in (share * c.scale for share in SHARES):
            potentials = near(c, eps)
            right = c.right.plan(*potentials, eps)
            for out in (None, np.full(shape, np.nan)):
                found, times = np.full(shape, np.nan), np.zeros(shape[0], dtype=int)

                def use(rows: slice, entries: Array, found: Array = found, times: Array = times) -> None:
                    found[rows] = entries
                    times[rows] += 1

                c.pairs(kernel).over_rows(*potentials, eps, use, out)
                assert (times == 1).all()
                for entries in (found,) if out is None else (found, out):
                    np.testing.assert_allclose(entries, right, rtol=c.rounding(eps), atol=1e-300)

    def test_softmins(self, kernel: str, cost: str) -> None:
        c = case(cost, "KL")
        m = len(c.b)
        for eps in (share * c.scale for share in SHARES):
            f = near(c, eps)[0]
            for columns in (np.arange(m), np.array([m - 1, 0]), np.array([], dtype=np.intp)):
                found, right = (pairs.softmins(f, eps, columns) for pairs in (c.pairs(kernel), c.right))
                size = c.largest * c.digits + np.abs(f).max()
                np.testing.assert_allclose(found, right, rtol=0, atol=8 * EPS * (size + 100 * eps))

    def test_transforms(self, kernel: str, cost: str) -> None:
        c = case(cost, "balanced")
        left_out = c.g.copy()
        left_out[1::5] = -np.inf
        for g in (c.g, left_out):
            found, right = (pairs.transforms(g) for pairs in (c.pairs(kernel), c.right))
            error = 8 * EPS * (c.digits * c.largest + np.abs(c.g).max())
            for one, other in zip(found, right, strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=error)

    def test_gradient(self, kernel: str, cost: str) -> None:
        c = case(cost, "KL")
        if not isinstance(c.cost, monge.PointCloud) or getattr(c.cost.ground, "gradients", True) is None:
            return
        for eps in (share * c.scale for share in SHARES):
            potentials = near(c, eps)
            found, right = (pairs.gradient(*potentials, eps) for pairs in (c.pairs(kernel), c.right))
            # Entries are off by their rounding, and derivatives by that of the largest coordinates of their points.
            P, (each, back) = c.right.plan(*potentials, eps), slopes(c)
            for one, other, size in zip(found, right, ((P * each).sum(axis=1), (P * back).sum(axis=0)), strict=True):
                assert (np.abs(one - other) <= c.rounding(eps) * size[:, np.newaxis] + 1e-18).all()

    def test_transposed(self, kernel: str, cost: str) -> None:
        c = case(cost, "half")
        eps = 0.1 * c.scale
        pairs = c.pairs(kernel, 3)
        back = pairs.T
        assert type(back) is type(pairs)
        assert back.threads is pairs.threads
        right = ReferencePairs(c.cost.T, c.b, c.a, c.marginals[::-1])
        (f, g), (u, v, _) = near(c, eps), c.operands
        for one, other in zip(back.sums(g, f, eps, v, u), right.sums(g, f, eps, v, u), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=c.rounding(eps) * np.abs(c.operands[2]).sum())
        found, known = (passed(one, f, eps) for one in (back, right))
        np.testing.assert_allclose(found.f, known.f, rtol=0, atol=1e-14 * (c.digits * c.largest + eps))


@pytest.mark.parametrize(("kernel", "cost"), EVERY)
class TestContract(Contract):
    """Those of a CPU."""


@cache
def slopes(c: Case) -> tuple[Array, Array]:
    """For each pair, (n, m), how large the coordinates of both derivatives are."""
    x, y, kind = c.cost.x, c.cost.y, c.cost.ground
    both = [kind.derivatives(np.broadcast_to(one, y.shape), y) for one in x]
    each, back = (np.stack([np.abs(slopes[k]).max(axis=1) for slopes in both]) for k in (0, 1))
    if getattr(kind, "directions", False):  # differences of these cancel
        each, back = (1.0 / np.linalg.norm(points, axis=1) for points in (x, y))
        each = each[:, np.newaxis]
    return each, back


# So many rows that every kernel has several chunks of them.
MANY = {
    "native": {"matrix": lambda: matrix("float64", 2100, 300), **{
        f"{d} dimensions": lambda d=d: cloud("sqeuclidean", d, 2100, 300) for d in (3, 21)
    }, "user's": lambda: cloud(USERS["user's Huber"][1], 2, 2100, 300)},
    "near": {"plane": lambda: cloud("euclidean", 2, 2100, 300)},
    "grid": {"image": lambda: monge.Grid((53, 41))},
}  # fmt: skip


@pytest.mark.parametrize(("kernel", "cost"), [(kernel, cost) for kernel, costs in MANY.items() for cost in costs])
def test_any_number_of_threads_gives_the_same_bits(kernel: str, cost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monge.entropic.kernels.threads.PARALLEL", 0)
    monkeypatch.setattr("monge.entropic.kernels.threads.PARALLEL_ONCE", 0)
    monkeypatch.setattr("monge.entropic.kernels.grid_sums._CHUNK", 2**14)
    problem = MANY[kernel][cost]()
    n, m = problem.shape
    rng = np.random.default_rng(0)
    a, b, g, V = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m)), 0.1 * rng.normal(size=m), rng.random((m, 3))
    x, y, u, v = rng.random(n), rng.random(m), rng.random(n), rng.random(m)
    found = []
    for number in (1, 2, 5):
        with Threads(number) as threads:
            pairs = KERNELS[kernel][0](problem, a, b, (Balanced(), Balanced()), threads)
            eps = 0.05 * pairs.size
            runs = [passed(pairs, g, eps, single, complete) for single in (True, False) for complete in (True, False)]
        f, plan = runs[-1].f, np.full((n, m), np.nan)
        later = KERNELS[kernel][0](problem, a, b, (Balanced(), Balanced()), Threads(number))  # its threads come and go
        later.over_rows(f, g, eps, lambda rows, entries: None, plan)
        found.append(
            [*runs, later.sums(f, g, eps, u, v), later.product(f, g, eps, V), later.mixture(f, g, eps, x, y, u, v),
             later.transforms(g), later.gradient(f, g, eps) if isinstance(problem, monge.PointCloud) else None,
             later.softmins(f, eps, np.arange(m)), plan]
        )  # fmt: skip
    for other in found[1:]:
        assert bits(other) == bits(found[0])


def bits(values: Any) -> Any:
    return [bits(value) for value in values] if isinstance(values, list | tuple) else np.asarray(values).tobytes()
