"""Half steps of every kernel on the device, against logarithms of sums of exponentials that NumPy makes in double
precision."""

from __future__ import annotations

from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import USER_COSTS, ground_costs
from numpy.typing import NDArray
from scipy.special import logsumexp

import monge
from monge.entropic.iteration import Schedule
from monge.entropic.kernels.cuda import layout, screen, sums
from monge.entropic.kernels.cuda.device import SIMULATED
from monge.entropic.kernels.cuda.half_step import shape_of
from monge.entropic.kernels.cuda.loop import Side, Solver
from monge.entropic.kernels.cuda.points import on_device, taken
from monge.entropic.kernels.cuda.sums import CloudSums, MatrixSums
from monge.entropic.marginals import KL, TV, Balanced, Marginal

Array = NDArray[np.float64]
REALS = {"single": np.float32, "double": np.float64}
BALANCED = (Balanced(), Balanced())


class Problem(NamedTuple):
    """A cost for the solver, and the same costs as NumPy has them."""

    cost: Any
    C: Array


def of_points(cost: Any, d: int, n: int, m: int) -> Problem:
    """A name of USER_COSTS is that function."""
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1.0
    if isinstance(cost, str) and cost in USER_COSTS:
        function, _, costs, _ = USER_COSTS[cost]
        return Problem(monge.PointCloud(x, y, monge.GroundCost(function)), costs(x, y))
    return Problem(monge.PointCloud(x, y, cost), ground_costs(x, y, cost))


def of_matrix(kind: str, n: int, m: int) -> Problem:
    C = of_points("sqeuclidean", 2, n, m).C
    if kind == "forbidden":
        C[np.random.default_rng(1).random(C.shape) < 0.3] = np.inf
        C[0, 0] = C[-1, -1] = 1.0
        C[n // 2], C[:, m // 2] = np.inf, np.inf  # a row and a column that nothing leads away from
    C = C.astype(np.float32 if kind == "float32" else np.float64)
    return Problem(monge.CostMatrix(C), C.astype(np.float64))


# With no multiple of a tile or a block among the sizes, and on the simulator several of both.
KERNELS = {
    "one coordinate": of_points("sqeuclidean", 1, 9, 11),
    "squares in registers": of_points("sqeuclidean", 3, 11, 17),
    "distances in registers": of_points("euclidean", 2, 11, 9),
    "a power": of_points(("euclidean", 1.7), 3, 11, 9),
    "cosine": of_points("cosine", 3, 11, 9),
    "as many coordinates as registers hold": of_points("cityblock", 8, 11, 9),
    "squares, tiled": of_points("sqeuclidean", 10, 6, 11),
    "distances, tiled": of_points(("euclidean", 0.5), 9, 5, 6),
    "sums, tiled": of_points("cityblock", 17, 5, 6),
    "maxima, tiled": of_points("chebyshev", 12, 5, 6),
    "user's of the plane": of_points("uphill", 2, 11, 9),
    "user's with arrays of its own": of_points("Mahalanobis", 3, 11, 9),
    "user's of arrays": of_points("squared in 9", 9, 11, 9),
    "a wide matrix": of_matrix("float64", 5, 18),
    "a high matrix": of_matrix("float32", 18, 5),
    "a matrix with gaps": of_matrix("forbidden", 9, 13),
    "one row": of_points("sqeuclidean", 3, 1, 9),
    "one column": of_points("sqeuclidean", 3, 9, 1),
    "one pair": of_points("sqeuclidean", 3, 1, 1),
    "one row, tiled": of_points("sqeuclidean", 10, 1, 7),
    "one column, tiled": of_points("euclidean", 10, 7, 1),
    "one row of a matrix": of_matrix("float64", 1, 9),
    "one column of a matrix": of_matrix("float64", 9, 1),
}
# Those whose sums are split among blocks on the simulator, by sides.
SPLIT = {"squares in registers": (0, 1), "squares, tiled": (0, 1), "a wide matrix": (0,), "a high matrix": (1,)}


class Trial:
    """Potentials of the columns, and what the rows' half step and then the columns' should find."""

    def __init__(self, problem: Problem, marginals: tuple[Marginal, Marginal] = BALANCED) -> None:
        (self.cost, self.C), self.marginals = problem, marginals
        n, m = self.C.shape
        rng = np.random.default_rng(2)
        self.a, self.b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
        if min(n, m) > 4:
            self.a[1] = self.b[3] = 0.0
        finite = np.isfinite(self.C)
        self.a[~finite.any(axis=1)], self.b[~finite.any(axis=0)] = 0.0, 0.0  # as a problem leaves them out
        scale = float(np.abs(self.C[finite]).mean()) or 1.0
        self.eps, self.g = 0.1 * scale, 0.3 * scale * rng.normal(size=m)
        self.r = softmins(self.C, self.b, self.g, self.eps)
        self.f = self.marginals[0].potential(self.r, self.eps)
        self.s = softmins(self.C.T, self.a, self.f, self.eps)

    def limit(self, real: Any) -> float:
        """What the softmins may be off by. In single precision exponents are off by a few roundings of numbers such as
        costs over eps, and for squared distances of the squares of the points, which may be a few times larger."""
        costs = np.abs(self.C[np.isfinite(self.C)]).max()
        return float(4 * np.finfo(real).eps * (4 * costs + np.abs(self.g).max() + np.abs(self.f).max() + 8 * self.eps))

    def solver(self, real: Any, start: tuple[Array, Array]) -> Solver:
        """Loaded, with these softmins of the rows and the columns as shifts."""
        n, m = self.C.shape
        if self.cost.cloud is None:
            x, y, factor = np.zeros((n, 0)), np.zeros((m, 0)), 1.0
            solver = Solver(MatrixSums(on_device(self.cost.C), n, m))
        else:
            x, y, factor, *_ = taken(self.cost)
            solver = Solver(CloudSums(self.cost.ground, n, m, x.shape[1]))
        sides = Side(self.a, np.zeros(n), start[0]), Side(self.b, self.g, start[1])
        # The last eps is the first, and whether single precision is enough is what the noise says.
        noise = 1e-8 * self.eps if real is np.float32 else np.inf
        solver.load(x, y, *sides, factor, self.marginals, Schedule(self.eps, self.eps, 1e-3, 9), noise)
        return solver


def softmins(C: Array, weights: Array, potentials: Array, eps: float) -> Array:
    """-eps log sum_j b_j exp((g_j - C_ij) / eps); zero where no cost is finite."""
    with np.errstate(divide="ignore"):
        sums = logsumexp(np.log(weights) + (potentials - C) / eps, axis=1)
    return np.where(np.isfinite(sums), -eps * np.where(np.isfinite(sums), sums, 0.0), 0.0)


def unsafe(solver: Solver) -> int:
    """Sums that were made again."""
    return int(solver.ctl.copy_to_host()[layout.UNSAFE])


def close(found: Array, right: Array, limit: float) -> None:
    np.testing.assert_allclose(found, right, rtol=0, atol=limit)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_and_columns(kernel: str, real: str) -> None:
    c, of = Trial(KERNELS[kernel]), REALS[real]
    off = c.eps * np.random.default_rng(3).normal(size=sum(c.C.shape))  # by a factor of a few in the sums
    solver = c.solver(of, (c.r + off[: len(c.r)], c.s + off[len(c.r) :]))
    solver.half(of, 0)
    solver.half(of, 1)
    f, r, g, s = solver.potentials()
    limit = c.limit(of)
    close(r, c.r, limit)
    close(f, c.f, limit)
    close(s, c.s, 2 * limit)  # of potentials f that are off
    np.testing.assert_array_equal(g, c.g)
    # Only those of rows and columns without a finite cost are made again.
    finite = np.isfinite(c.C)
    assert unsafe(solver) == (~finite.any(axis=1)).sum() + (~finite.any(axis=0)).sum()


# Each kernel in one precision, and kernels of each sort in both.
@pytest.mark.parametrize(("kernel", "real"), list(zip(KERNELS, cycle(REALS), strict=False)))
def test_shifts_that_are_far_off(kernel: str, real: str) -> None:
    c, of = Trial(KERNELS[kernel]), REALS[real]
    away = 300.0 * np.log(2.0) * c.eps  # sums of 2^300 and 2^-300, as far as those are numbers
    n = len(c.r)
    far = away * (-1.0) ** np.arange(n + len(c.s))
    solver = c.solver(of, (c.r + far[:n], c.s + far[n:]))
    solver.half(of, 0)
    r = solver.potentials()[1]
    assert unsafe(solver) == n
    close(r, c.r, c.limit(of))
    solver.half(of, 1)
    close(solver.potentials()[3], c.s, 2 * c.limit(of))
    assert unsafe(solver) == n + len(c.s)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("kernel", ["one pair", "one row, tiled", "one row of a matrix"])
def test_the_other_precision_leaves_all_as_it_is(kernel: str, real: str) -> None:
    c, of = Trial(KERNELS[kernel]), REALS[real]
    solver = c.solver(of, (c.r, c.s))
    before = solver.potentials()
    other = np.float64 if of is np.float32 else np.float32
    for side in (0, 1):
        solver.half(other, side)
    for found, known in zip(solver.potentials(), before, strict=True):
        np.testing.assert_array_equal(found, known)


@pytest.mark.parametrize(("kernel", "real"), list(zip(SPLIT, [*REALS, *REALS], strict=True)))
def test_columns_are_split_among_blocks_and_the_bits_are_the_same(kernel: str, real: str) -> None:
    c, of = Trial(KERNELS[kernel]), REALS[real]
    solver = c.solver(of, (c.r, c.s))
    if SIMULATED:
        for side in SPLIT[kernel]:
            assert solver.sums.grid(of, side)[1] > 1
    found = []
    for _ in range(2):
        solver = c.solver(of, (c.r, c.s))
        solver.half(of, 0)
        solver.half(of, 1)
        found.append(solver.potentials())
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kernel", ["squares in registers", "squares, tiled", "a wide matrix"])
@pytest.mark.parametrize("side", [KL(0.7), TV(0.2)])
def test_potentials_under_a_penalty(kernel: str, side: Marginal) -> None:
    c = Trial(KERNELS[kernel], (side, Balanced()))
    solver = c.solver(np.float32, (c.r, c.s))
    solver.half(np.float32, 0)
    f, r, _, _ = solver.potentials()
    close(r, c.r, c.limit(np.float32))
    close(f, c.f, c.limit(np.float32))
    if side.cap < np.inf:
        assert (np.abs(f) == side.cap).any()


# For a GPU, with all of its shapes of blocks at work.
MANY: dict[str, tuple[Any, ...]] = {
    "squares in registers": (of_points, "sqeuclidean", 3, 3001, 5003),
    "distances in registers": (of_points, "euclidean", 2, 3001, 5003),
    "squares, tiled": (of_points, "sqeuclidean", 64, 1001, 3003),
    "sums, tiled": (of_points, "cityblock", 20, 1001, 3003),
    "user's": (of_points, "uphill", 2, 3001, 5003),
    "a wide matrix": (of_matrix, "float32", 1001, 3003),
    "a high matrix with gaps": (of_matrix, "forbidden", 3003, 1001),
}


@pytest.mark.gpu
@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("kernel", MANY)
def test_many_points(kernel: str, real: str) -> None:
    make, *arguments = MANY[kernel]
    c, of = Trial(make(*arguments)), REALS[real]
    solver = c.solver(of, (c.r, c.s))
    solver.half(of, 0)
    solver.half(of, 1)
    _, r, _, s = solver.potentials()
    close(r, c.r, c.limit(of))
    close(s, c.s, 2 * c.limit(of))


class TestTilesOutOfReach:
    """Points in their order, and tiles of columns of which some cannot matter to some rows."""

    def trial(self, real: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Solver, Array, Array, int]:
        """A solver, what the softmins of its rows should be, weights over the columns as exponents in units of eps, and
        the columns of a tile. Rows and columns are in two places that are far from each other."""
        monkeypatch.setattr(sums, "_SCREENED_FROM", 1)
        tile = shape_of(2, real, 1).columns
        rng = np.random.default_rng(4)
        x, y = rng.normal(size=(tile, 2)), rng.normal(size=(2 * tile + 3, 2))
        x[tile // 2 :] += 40.0
        y[tile : 2 * tile] += 40.0
        cost = monge.PointCloud(x, y)
        n, m = cost.shape
        weights, g = rng.dirichlet(np.ones(m)), rng.normal(size=m)
        weights[3] = 0.0
        right = softmins(cost.block(slice(None)), weights, g, 1.0)
        here, there, factor, *_ = taken(cost)
        solver = Solver(CloudSums(cost.ground, n, m, 2, True))
        assert solver.sums.screened
        sides = Side(np.full(n, 1.0 / n), np.zeros(n), right), Side(weights, g, np.zeros(m))
        noise = 1e-8 if real is np.float32 else np.inf
        solver.load(here, there, *sides, factor, BALANCED, Schedule(1.0, 1.0, 1e-3, 9), noise)
        with np.errstate(divide="ignore"):
            exponents = (np.log(weights) + g + right[:, np.newaxis] - cost.block(slice(None))) / np.log(2.0)
        return solver, right, exponents, tile

    @pytest.mark.parametrize("real", REALS)
    def test_what_is_left_out_does_not_matter(self, real: str, monkeypatch: pytest.MonkeyPatch) -> None:
        solver, right, exponents, tile = self.trial(REALS[real], monkeypatch)
        limit, starts = screen.limit_of(exponents.shape[1]), np.arange(0, exponents.shape[1], tile)
        reached = np.maximum.reduceat(exponents, starts, axis=1).max(axis=0) > limit
        halves = np.maximum.reduceat(exponents[: tile // 2], starts, axis=1).max(axis=0) > limit
        assert reached.all()  # by some row
        assert not halves.all()  # but not by each
        solver.half(REALS[real], 0)
        assert unsafe(solver) == 0
        close(solver.potentials()[1], right, 1e-3 if real == "single" else 1e-9)

    @pytest.mark.parametrize("real", REALS)
    def test_it_goes_by_the_bounds(self, real: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """With a bound that says so, columns that do matter are left out."""
        solver, right, exponents, tile = self.trial(REALS[real], monkeypatch)
        bounds = solver.sums._bounds

        def too_low(*arguments: Any) -> Any:
            found = bounds(*arguments)
            numbers = found.copy_to_host()
            numbers[4] = -1e4  # the first tile's largest exponent
            return on_device(numbers)

        monkeypatch.setattr(solver.sums, "_bounds", too_low)
        solver.half(REALS[real], 0)
        rest = np.log2(np.exp2(exponents[: tile // 2, tile:]).sum(axis=1))
        wanted = right[: tile // 2] - np.log(2.0) * rest
        close(solver.potentials()[1][: tile // 2], wanted, 1e-3 if real == "single" else 1e-9)
