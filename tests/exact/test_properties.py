"""What must hold for every problem: invariances of optimal transport, on problems that hypothesis makes up."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from oracle import assert_certified, assert_feasible, assert_optimal
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_flow

import monge

pytestmark = pytest.mark.filterwarnings("error")

# Small numbers tie often, and break what random ones never touch.
SIZES = st.integers(1, 12)
TIED = st.integers(-4, 4).map(float)
SMOOTH = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 6))
COUNTS = st.integers(0, 6)


@st.composite
def problems(draw, entries=None, forbidden=False):
    """C (n, m), a (n,), b (m,) with equal integer totals."""
    n, m = draw(SIZES), draw(SIZES)
    entries = draw(st.sampled_from([TIED, SMOOTH])) if entries is None else entries
    if forbidden:
        entries = entries | st.just(np.inf)
    C = draw(hnp.arrays(np.float64, (n, m), elements=entries))
    a = draw(hnp.arrays(np.int64, n, elements=COUNTS))
    b = draw(hnp.arrays(np.int64, m, elements=COUNTS))
    # What is missing on one side goes to one place there.
    surplus = int(a.sum() - b.sum())
    (b if surplus > 0 else a)[0] += abs(surplus)
    if a.sum() == 0:
        a[0] = b[0] = 1
    return C, a.astype(float), b.astype(float)


def value(C, a, b):
    return monge.emd(C, a, b).value


def close(x, y, C, a):
    """Equal but for the rounding of sums over a dozen products of such sizes."""
    assert abs(x - y) <= 1e-14 * (1.0 + np.abs(C).max()) * a.sum()


@given(problems(forbidden=True), st.data())
@settings(max_examples=300)
def test_optimal_or_infeasible(problem, data):
    # Infeasible exactly if some rows hold more than the columns they reach can take: max flow < total (Hall, Gale).
    # The same of the stored entries alone, and with a place cut into two at the same cost.
    C, a, b = problem
    n, m = C.shape
    capacity = np.zeros((n + m + 2, n + m + 2), dtype=np.int32)
    capacity[0, 1 : n + 1], capacity[n + 1 : n + m + 1, n + m + 1] = a, b
    capacity[1 : n + 1, n + 1 : n + m + 1] = np.where(np.isfinite(C), int(a.sum()), 0)
    feasible = maximum_flow(csr_array(capacity), 0, n + m + 1).flow_value == a.sum()
    i = data.draw(st.integers(0, len(a) - 1))
    share = data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    split, C_split = np.append(a, a[i] * (1 - share)), np.vstack([C, C[i]])
    split[i] *= share
    rows, cols = np.nonzero(np.isfinite(C))
    stored = coo_array((C[rows, cols], (rows, cols)), shape=C.shape)
    if feasible:
        t = monge.emd(C, a, b)
        for of in (t, monge.emd(stored, a, b)):
            assert_optimal(of, C, a, b)
            close(of.value, t.value, C[np.isfinite(C)], a)
        close(value(C_split, split, b), t.value, C[np.isfinite(C)], a)
        close(value(C_split.T, b, split), t.value, C[np.isfinite(C)], a)
    else:
        for args in ((C, a, b), (stored, a, b), (C_split, split, b), (C_split.T, b, split)):
            with pytest.raises(monge.InfeasibleError):
                monge.emd(*args)


@given(
    hnp.arrays(
        st.sampled_from([np.int8, np.uint8, np.int64, np.bool_, np.float16, np.float32]), st.tuples(SIZES, SIZES)
    )
)
def test_any_matrix(C):
    C = np.where(np.isnan(C) | (-np.inf == C), 1, C).astype(C.dtype)
    if C.dtype == np.int64:
        C = C % 2**53
    if C.dtype.kind == "f" and np.isinf(C).any():
        C = np.where(np.isinf(C), 0, C).astype(C.dtype)
    assert_optimal(monge.emd(C), C)


# What is true of a problem and of what becomes of it; each is told the value, and makes its own changes.
PROPERTIES = []


def true_of_all(check):
    PROPERTIES.append(check)
    return check


@given(problems(), st.integers(0, 2**32 - 1))
def test_properties(problem, seed):
    C, a, b = problem
    t = monge.emd(C, a, b)
    assert_optimal(t, C, a, b)
    for check in PROPERTIES:
        check(C, a, b, t.value, np.random.default_rng(seed))


@true_of_all
def permuted(C, a, b, best, rng):
    rows, cols = rng.permutation(len(a)), rng.permutation(len(b))
    close(value(C[np.ix_(rows, cols)], a[rows], b[cols]), best, C, a)


@true_of_all
def transposed(C, a, b, best, rng):
    close(value(C.T, b, a), best, C, a)
    close(value(np.ascontiguousarray(C.T), b, a), best, C, a)


@true_of_all
def cost_scaled(C, a, b, best, rng):
    factor = rng.choice([2.0**-90, 1 / 3, 7.0, 2.0**90])
    close(value(C * factor, a, b) / factor, best, C, a)


@true_of_all
def mass_scaled(C, a, b, best, rng):
    factor = rng.choice([2.0**-40, 1 / 3, 7.0, 2.0**40])
    close(value(C, a * factor, b * factor) / factor, best, C, a)


@true_of_all
def shifted(C, a, b, best, rng):
    # <P, C + u 1' + 1 v'> = <P, C> + a.u + b.v for every plan.
    u, v = (rng.integers(-4, 5, size).astype(float) for size in C.shape)
    close(value(C + u[:, np.newaxis] + v, a, b), best + a @ u + b @ v, np.abs(C).max() + 8.0, a)


@true_of_all
def padded(C, a, b, best, rng):
    # Places without mass change nothing, whatever they cost.
    n, m = C.shape
    wide = rng.choice([*range(-4, 5), np.inf, -1e6, 1e6], size=(n + 3, m + 2))
    rows, cols = (np.sort(rng.choice(more, less, replace=False)) for more, less in ((n + 3, n), (m + 2, m)))
    wide[np.ix_(rows, cols)] = C
    wide_a, wide_b = np.zeros(n + 3), np.zeros(m + 2)
    wide_a[rows], wide_b[cols] = a, b
    t = monge.emd(wide, wide_a, wide_b)
    close(t.value, best, C, a)
    assert_optimal(t, wide, wide_a, wide_b)


@true_of_all
def monotone_in_the_cost(C, a, b, best, rng):
    more = rng.choice([0.0, 0.0, 1.0, 5.0], size=C.shape)
    upper = value(C + more, a, b)
    rounding = 1e-14 * (6.0 + np.abs(C).max()) * a.sum()
    assert best <= upper + rounding
    assert upper <= best + more.max() * a.sum() + rounding


@true_of_all
def no_better_than_any_plan(C, a, b, best, rng):
    # The product plan is a plan.
    product = np.outer(a, b) / a.sum()
    assert best <= (product * C).sum() + 1e-14 * (1.0 + np.abs(C).max()) * a.sum() * C.size


@true_of_all
def solved_from_any_start(C, a, b, best, rng):
    f, g = (rng.uniform(-100.0, 100.0, size).round(6) for size in C.shape)
    assert_optimal(monge.emd(C, a, b, init=(f, g)), C, a, b)


@true_of_all
def bounded_when_stopped(C, a, b, best, rng):
    with pytest.warns(monge.ConvergenceWarning):
        t = monge.emd(C, a, b, time_limit=0)
    assert_feasible(t, C, a, b)
    assert_certified(t, C, a, b)
    rounding = 1e-14 * (1.0 + np.abs(C).max()) * a.sum()
    assert t.value - t.gap <= best + rounding
    assert best <= t.value + rounding


POINTS = st.integers(1, 3).flatmap(
    lambda d: st.tuples(
        *(hnp.arrays(np.float64, st.tuples(st.integers(1, 7), st.just(d)), elements=SMOOTH) for _ in range(3))
    )
)


@given(POINTS, st.sampled_from([1.0, 1.5, 2.0, 4.0]), hnp.arrays(np.float64, 3, elements=SMOOTH))
def test_wasserstein(clouds, p, shift):
    x, y, z = clouds
    # A metric. The p-th root magnifies rounding near zero: distances below 1e-3 of the coordinates' size of 100 are
    # rounding for p = 4.
    xy, yz, xz = (monge.wasserstein(*pair, p=p) for pair in ((x, y), (y, z), (x, z)))
    rounding = 100 * 1e-14 ** (1 / p) if min(xy, yz, xz) < 1e-2 else 1e-10
    assert xz <= xy + yz + rounding
    assert monge.wasserstein(y, x, p=p) == pytest.approx(xy, rel=1e-12, abs=rounding)
    assert monge.wasserstein(x, x, p=p) == 0.0
    # It grows with p, by Jensen's inequality.
    for smaller, larger in pairwise([monge.wasserstein(x, y, p=q) for q in (1.0, 2.0, 3.0)]):
        assert smaller <= larger * (1 + 1e-12) + 1e-13
    # Coordinates of up to 200 are added with a rounding of 1e-13 in all.
    shift = shift[: x.shape[1]]
    assert monge.wasserstein(x, x + shift) == pytest.approx(np.linalg.norm(shift), rel=1e-9, abs=1e-12)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["ties", "smooth", "plane", "forbidden"]))
def test_middling_sizes(seed, kind):
    # Beyond the sizes that shrink well: where lists fill up, rows are skipped, and the start aggregates.
    rng = np.random.default_rng(seed)
    n, m = rng.integers(100, 260, 2)
    a, b = rng.multinomial(3 * n, np.full(n, 1 / n)) * 1.0, rng.multinomial(3 * n, np.full(m, 1 / m)) * 1.0
    if kind == "ties":
        C = rng.integers(0, 4, (n, m)).astype(np.float32)
    elif kind == "plane":
        C = np.abs(rng.integers(0, 9, (n, 1, 2)) - rng.integers(0, 9, (1, m, 2))).sum(-1).astype(float)
    else:
        C = rng.random((n, m))
    if kind == "forbidden":
        C[rng.random((n, m)) < 0.5] = np.inf
    assert_optimal(monge.emd(C, a, b), C, a, b)
