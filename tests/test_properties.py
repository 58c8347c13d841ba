"""What must hold for every problem: invariances of optimal transport, on problems that hypothesis makes up."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from oracle import assert_certified, assert_feasible, assert_optimal

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


@given(problems())
def test_optimal(problem):
    C, a, b = problem
    assert_optimal(monge.emd(C, a, b), C, a, b)


@given(problems(forbidden=True))
@settings(max_examples=300)
def test_optimal_or_infeasible(problem):
    # Infeasible exactly if some rows hold more than the columns they reach can take: max flow < total (Hall, Gale).
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    C, a, b = problem
    n, m = C.shape
    capacity = np.zeros((n + m + 2, n + m + 2), dtype=np.int32)
    capacity[0, 1 : n + 1], capacity[n + 1 : n + m + 1, n + m + 1] = a, b
    capacity[1 : n + 1, n + 1 : n + m + 1] = np.where(np.isfinite(C), int(a.sum()), 0)
    feasible = maximum_flow(csr_array(capacity), 0, n + m + 1).flow_value == a.sum()
    if feasible:
        assert_optimal(monge.emd(C, a, b), C, a, b)
    else:
        with pytest.raises(monge.InfeasibleError):
            monge.emd(C, a, b)


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


@given(problems(), st.randoms(use_true_random=False))
def test_permuted(problem, random):
    C, a, b = problem
    rows, cols = list(range(len(a))), list(range(len(b)))
    random.shuffle(rows)
    random.shuffle(cols)
    close(value(C[np.ix_(rows, cols)], a[rows], b[cols]), value(C, a, b), C, a)


@given(problems())
def test_transposed(problem):
    C, a, b = problem
    close(value(C.T, b, a), value(C, a, b), C, a)
    close(value(np.ascontiguousarray(C.T), b, a), value(C, a, b), C, a)


@given(problems(), st.sampled_from([2.0**-90, 1 / 3, 7.0, 2.0**90]))
def test_cost_scaled(problem, factor):
    C, a, b = problem
    close(value(C * factor, a, b) / factor, value(C, a, b), C, a)


@given(problems(), st.sampled_from([2.0**-40, 1 / 3, 7.0, 2.0**40]))
def test_mass_scaled(problem, factor):
    C, a, b = problem
    close(value(C, a * factor, b * factor) / factor, value(C, a, b), C, a)


@given(problems(), st.data())
def test_shifted(problem, data):
    # <P, C + u 1' + 1 v'> = <P, C> + a.u + b.v for every plan.
    C, a, b = problem
    u = data.draw(hnp.arrays(np.float64, len(a), elements=TIED))
    v = data.draw(hnp.arrays(np.float64, len(b), elements=TIED))
    shifted = C + u[:, np.newaxis] + v
    close(value(shifted, a, b), value(C, a, b) + a @ u + b @ v, np.abs(C).max() + 8.0, a)


@given(problems(forbidden=True), st.data())
def test_split(problem, data):
    # A place cut into two at the same cost is the same place: together again, the value has not changed.
    C, a, b = problem
    i = data.draw(st.integers(0, len(a) - 1))
    share = data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    split = np.append(a, a[i] * (1 - share))
    split[i] *= share
    try:
        whole = value(C, a, b)
    except monge.InfeasibleError:
        with pytest.raises(monge.InfeasibleError):
            value(np.vstack([C, C[i]]), split, b)
        return
    finite = C[np.isfinite(C)]
    close(value(np.vstack([C, C[i]]), split, b), whole, finite, a)
    close(value(np.vstack([C, C[i]]).T, b, split), whole, finite, a)


@given(problems(), st.data())
def test_padded(problem, data):
    # Places without mass change nothing, whatever they cost.
    C, a, b = problem
    n, m = C.shape
    padded = data.draw(hnp.arrays(np.float64, (n + 3, m + 2), elements=TIED | st.sampled_from([np.inf, -1e6, 1e6])))
    rows = sorted(data.draw(st.sets(st.integers(0, n + 2), min_size=n, max_size=n)))
    cols = sorted(data.draw(st.sets(st.integers(0, m + 1), min_size=m, max_size=m)))
    padded[np.ix_(rows, cols)] = C
    wide_a, wide_b = np.zeros(n + 3), np.zeros(m + 2)
    wide_a[rows], wide_b[cols] = a, b
    t = monge.emd(padded, wide_a, wide_b)
    close(t.value, value(C, a, b), C, a)
    assert_optimal(t, padded, wide_a, wide_b)


@given(problems(), st.data())
def test_monotone_in_the_cost(problem, data):
    C, a, b = problem
    more = data.draw(hnp.arrays(np.float64, C.shape, elements=st.sampled_from([0.0, 0.0, 1.0, 5.0])))
    lower, upper = value(C, a, b), value(C + more, a, b)
    rounding = 1e-14 * (6.0 + np.abs(C).max()) * a.sum()
    assert lower <= upper + rounding
    assert upper <= lower + more.max() * a.sum() + rounding


@given(problems())
def test_no_better_than_any_plan(problem):
    # The product plan is a plan.
    C, a, b = problem
    product = np.outer(a, b) / a.sum()
    assert value(C, a, b) <= (product * C).sum() + 1e-14 * (1.0 + np.abs(C).max()) * a.sum() * C.size


@given(problems(), st.data())
def test_any_start(problem, data):
    C, a, b = problem
    f = data.draw(hnp.arrays(np.float64, len(a), elements=SMOOTH))
    g = data.draw(hnp.arrays(np.float64, len(b), elements=SMOOTH))
    assert_optimal(monge.emd(C, a, b, init=(f, g)), C, a, b)


@given(problems())
def test_stopped(problem):
    C, a, b = problem
    with pytest.warns(monge.ConvergenceWarning):
        t = monge.emd(C, a, b, time_limit=0)
    assert_feasible(t, C, a, b)
    assert_certified(t, C, a, b)
    best = value(C, a, b)
    rounding = 1e-14 * (1.0 + np.abs(C).max()) * a.sum()
    assert t.value - t.gap <= best + rounding
    assert best <= t.value + rounding


POINTS = st.integers(1, 3).flatmap(
    lambda d: st.tuples(
        *(hnp.arrays(np.float64, st.tuples(st.integers(1, 7), st.just(d)), elements=SMOOTH) for _ in range(3))
    )
)


@given(POINTS, st.sampled_from([1.0, 1.5, 2.0, 4.0]))
def test_wasserstein_is_a_metric(clouds, p):
    x, y, z = clouds
    xy, yz, xz = (monge.wasserstein(*pair, p=p) for pair in ((x, y), (y, z), (x, z)))
    # The p-th root magnifies rounding near zero: distances below 1e-3 of the coordinates' size of 100 are rounding
    # for p = 4.
    rounding = 100 * 1e-14 ** (1 / p) if min(xy, yz, xz) < 1e-2 else 1e-10
    assert xz <= xy + yz + rounding
    assert monge.wasserstein(y, x, p=p) == pytest.approx(xy, rel=1e-12, abs=rounding)
    assert monge.wasserstein(x, x, p=p) == 0.0


@given(POINTS)
def test_wasserstein_grows_with_p(clouds):
    # Jensen's inequality.
    x, y, _ = clouds
    distances = [monge.wasserstein(x, y, p=p) for p in (1.0, 2.0, 3.0)]
    for smaller, larger in pairwise(distances):
        assert smaller <= larger * (1 + 1e-12) + 1e-13


@given(POINTS, hnp.arrays(np.float64, 3, elements=SMOOTH))
def test_wasserstein_of_a_shift(clouds, shift):
    x, _, _ = clouds
    shift = shift[: x.shape[1]]
    # Coordinates of up to 200 are added with a rounding of 1e-13 in all.
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
