"""What plans, certificates and gradients take from the core, over all pairs and over near ones, against plain NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import xlogy

from monge.entropic._near import BLOCK, Plan, Transform
from monge.entropic._pairs import plan_gradient, plan_product, plan_sums, spread_price, transform
from monge.entropic.kernels.layout import in_panels
from monge.problem._ground import kd_order
from monge.problem.ground import as_ground

GROUNDS = [
    ("euclidean", 2.0),
    ("euclidean", 1.0),
    ("euclidean", 1.5),
    ("euclidean", 3.0),
    ("cityblock", 1.0),
    ("cityblock", 0.5),
    ("cityblock", 2.0),
]
LOG_TAU = math.log2(1e-20)


def clouds(n, m, d):
    """Points in the order of a k-d tree, some of them the same in both clouds."""
    rng = np.random.default_rng(d)
    x, y = rng.random((n, d)) - 0.5, rng.random((m, d)) - 0.45
    y[: min(n, m) // 8] = x[: min(n, m) // 8]
    return x[kd_order(x)], y[kd_order(y)]


def costs_between(ground, x, y):
    name, power = ground
    return cdist(x, y, name) ** power


def for_pairs(ground, x, y):
    """Points as `_pairs` takes them."""
    ground = as_ground(ground)
    return x, in_panels(y).ravel(), ground.code, False, ground.exponent


def for_near(ground, x, y):
    """Points as `_near` takes them."""
    ground = as_ground(ground)
    three = [np.zeros((3, len(points))) for points in (x, y)]
    for out, points in zip(three, (x, y), strict=True):
        out[: points.shape[1]] = points.T
    return *three, x.shape[1], (ground.code, ground.exponent, False)


def logs(numbers):
    with np.errstate(divide="ignore"):
        return np.log2(numbers)


def softmins(C, weights, eps):
    """-eps log sum_j weights_j exp(-C_ij / eps)."""
    exponents = math.log(2.0) * logs(weights) - C / eps
    top = exponents.max(axis=1, keepdims=True)
    with np.errstate(under="ignore"):
        return -eps * (top[:, 0] + np.log(np.exp(exponents - top).sum(axis=1)))


class Case:
    """A plan with the marginals of a few Sinkhorn passes, some of its rows and columns empty."""

    def __init__(self, ground, n, m, d, rel, rough=0.0, empty=True):
        rng = np.random.default_rng(8)
        self.ground, self.x, self.y = ground, *clouds(n, m, d)
        self.C = costs_between(ground, self.x, self.y)
        a, b = 0.2 + rng.random(n), 0.2 + rng.random(m)
        if empty:
            a[rng.random(n) < 0.1], b[rng.random(m) < 0.1] = 0.0, 0.0
            b[m // 3 : m // 3 + 20] = 0.0
        a[0] = b[0] = 1.0
        a, b, eps = a / a.sum(), b / b.sum(), rel * self.C.mean()
        f, g = np.zeros(n), np.zeros(m)
        for _ in range(3):
            f = softmins(self.C - g, b, eps)
            g = softmins(self.C.T - f, a, eps)
        self.inverse = 1.0 / (eps * math.log(2.0))
        self.rows = f * self.inverse + logs(a) + rough * rng.standard_normal(n)
        self.columns = g * self.inverse + logs(b) + rough * rng.standard_normal(m)
        with np.errstate(under="ignore"):
            self.P = np.exp2(self.rows[:, np.newaxis] + self.columns - self.inverse * self.C)
        self.sent, self.received = self.P.sum(axis=1), self.P.sum(axis=0)

    def near(self, log_tau=LOG_TAU, received=None):
        masses = logs(self.sent), logs(self.received if received is None else received)
        return Plan(*for_near(self.ground, self.x, self.y), self.inverse, self.rows, self.columns, *masses, log_tau)

    def pairs(self):
        return for_pairs(self.ground, self.x, self.y), self.inverse, self.rows, in_panels(self.columns, -np.inf)

    def parts(self):
        """Cuts of the rows, at whole blocks."""
        n = len(self.x)
        cut = n // 2 // BLOCK * BLOCK
        return [(0, cut), (cut, n)] if cut else [(0, n)]

    def same_rows(self, found, expected, digits=1e-11):
        """Entries are as exact as their exponents."""
        size = np.abs(expected).max() if np.ndim(expected) else abs(expected)
        largest = max(1.0, self.inverse * self.C.max())
        np.testing.assert_allclose(found, expected, rtol=digits + 1e-15 * largest, atol=1e-30 * size)


CASES = [
    *((ground, 203, 331, d, 0.02) for ground in GROUNDS for d in (1, 2, 3)),
    *((ground, 130, 90, 2, rel) for ground in GROUNDS for rel in (1e-9, 1e-4, 1.0, 1e9)),
    *((ground, 150, 140, 2, 0.01, 20.0) for ground in GROUNDS),
    *((GROUNDS[0], n, m, 2, 0.1, 0.0, False) for n, m in ((1, 1), (1, 40), (17, 1), (16, 16))),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(str(part) for part in case))
def case(request):
    return Case(*request.param)


def test_sums_of_near_pairs_are_those_of_all(case):
    n, m = case.P.shape
    rng = np.random.default_rng(1)
    u, v = rng.random(n), rng.random(m)
    plan, sent, received, price = case.near(), np.full(n, np.nan), np.zeros(m), 0.0
    for first, last in case.parts():
        part = np.full(m, np.nan)
        more, pairs = plan.sums(first, last, u, v, sent, part)
        assert pairs <= (last - first) * m
        received += part
        price += more
    case.same_rows(sent, case.P @ v)
    case.same_rows(received, u @ case.P)
    case.same_rows(price, u @ (case.P * case.C) @ v)
    # Where an entry is computed, it has the bits that it has among all pairs.
    everything, many = np.empty(n), np.empty(len(in_panels(v)))
    plan_sums(case.pairs(), m, 0, n, u, in_panels(v), everything, many)
    np.testing.assert_allclose(sent, everything, rtol=1e-14)


def test_products_of_near_pairs_are_those_of_all(case):
    n, m = case.P.shape
    V = np.random.default_rng(2).standard_normal((m, 24))
    V[:, 5:] = 0.0
    out, everything = np.full((n, 24), np.nan), np.empty((n, 24))
    for first, last in case.parts():
        case.near().product(first, last, V, out)
    plan_product(case.pairs(), m, 0, n, V, everything)
    size = (case.P @ np.abs(V)).max(axis=1, keepdims=True)
    assert (np.abs(out - everything) <= 1e-14 * size).all()


@pytest.mark.parametrize("spread", [1e-12, 1e-3, 0.0])
def test_entropy_of_near_pairs_is_that_of_all(case, spread):
    n, m = case.P.shape
    rng = np.random.default_rng(3)
    u, v = spread * rng.random(n), spread * rng.random(m)
    u[rng.random(n) < 0.3], v[rng.random(m) < 0.3] = 0.0, 0.0
    plan, sent, received, price, entropy = case.near(), np.full(n, np.nan), np.zeros(m), 0.0, 0.0
    for first, last in case.parts():
        part = np.full(m, np.nan)
        *more, _ = plan.entropy(first, last, u, v, sent, part)
        received += part
        price, entropy = price + more[0], entropy + more[1]
    case.same_rows(sent, case.sent)
    case.same_rows(received, case.received)
    case.same_rows(price, (case.P * case.C).sum())
    w = np.outer(u, v)
    expected = (xlogy(case.P + w, case.P + w) - xlogy(w, w)).sum() / math.log(2.0)
    size = -(xlogy(case.P, np.minimum(case.P, 0.5)).sum() + xlogy(w, w).sum())
    assert abs(entropy - expected) <= 1e-11 * size + 1e-15 * case.inverse * case.C.max() * case.P.sum()


def slopes_between(ground, x, y):
    """dC_ij / dx_i (n, m, d); zero where that is not defined."""
    name, power = ground
    z = x[:, np.newaxis] - y
    distance = costs_between((name, 1.0), x, y)[..., np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = power * distance ** (power - 1.0) * (z / distance if name == "euclidean" else np.sign(z))
    return np.where(distance > 0.0, slopes, 0.0)


def close_gradients(found, P, slopes, axis, case):
    expected = (P[..., np.newaxis] * slopes).sum(axis=axis)
    size = (P[..., np.newaxis] * np.abs(slopes)).sum(axis=axis)
    digits = 1e-11 + 1e-15 * max(1.0, case.inverse * case.C.max())
    assert (np.abs(found - expected) <= digits * size + 1e-30 * size.max()).all()


def test_gradients_over_near_pairs_are_those_over_all(case):
    (n, m), d = case.P.shape, case.x.shape[1]
    slopes = slopes_between(case.ground, case.x, case.y)
    plan, sent, received, x, y, price = (
        case.near(),
        np.empty(n),
        np.zeros(m),
        np.full((n, d), np.nan),
        np.zeros((m, d)),
        0,
    )
    for first, last in case.parts():
        part, pull = np.full(m, np.nan), np.full((m, d), np.nan)
        more, _ = plan.gradient(first, last, sent, part, x, pull)
        received, y, price = received + part, y + pull, price + more
    close_gradients(x, case.P, slopes, 1, case)
    close_gradients(y, case.P, -slopes, 0, case)
    case.same_rows(sent, case.sent)
    case.same_rows(received, case.received)
    case.same_rows(price, (case.P * case.C).sum())


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("d", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("rel", [1e-3, 0.1, 1e6])
def test_gradients_over_all_pairs(ground, d, rel):
    n, m = 45, 70
    case = Case(ground, n, m, d, rel)
    slopes = slopes_between(ground, case.x, case.y)
    sent, received, x, y, price = np.empty(n), np.zeros(72), np.full((n, d), np.nan), np.zeros((m, d)), 0.0
    for first, last in ((0, 3), (3, n)):
        part, pull = np.full(72, np.nan), np.full((m, d), np.nan)
        price += plan_gradient(case.pairs(), m, first, last, sent, part, x, pull)
        received, y = received + part, y + pull
    close_gradients(x, case.P, slopes, 1, case)
    close_gradients(y, case.P, -slopes, 0, case)
    case.same_rows(sent, case.sent)
    case.same_rows(received[:m], case.received)
    case.same_rows(price, (case.P * case.C).sum())


@pytest.mark.parametrize("ground", [*GROUNDS, ("euclidean", 0.1), ("cityblock", 0.1), ("euclidean", 40.0)])
def test_gradients_of_points_that_are_the_same_or_next_to_each_other(ground):
    x = np.array([[0.0, 0.0], [1e-170, 0.0], [1e-160, 1e-160], [5e-324, 0.0], [1e-3, 0.0], [1e9, 1e9]])
    for other in (x, x[::-1].copy(), np.zeros((6, 2))):
        plan = for_pairs(ground, x, other), 1.0, np.zeros(6), in_panels(np.zeros(6), -np.inf)
        sent, received, at, to = np.empty(6), np.empty(24), np.empty((6, 2)), np.empty((6, 2))
        price = plan_gradient(plan, 6, 0, 6, sent, received, at, to)
        assert all(np.isfinite(found).all() for found in (sent, received, at, to, price))
        near = Plan(*for_near(ground, x, other), 1.0, np.zeros(6), np.zeros(6), np.zeros(6), np.zeros(6), LOG_TAU)
        price, _ = near.gradient(0, 6, sent, received[:6], at, to)
        assert all(np.isfinite(found).all() for found in (sent, received, at, to, price))
    same = for_pairs(ground, np.ones((3, 2)), np.ones((4, 2))), 1.0, np.zeros(3), in_panels(np.zeros(4), -np.inf)
    at, to = np.full((3, 2), np.nan), np.full((4, 2), np.nan)
    plan_gradient(same, 4, 0, 3, np.empty(3), np.empty(24), at, to)
    assert (at == 0.0).all()
    assert (to == 0.0).all()


def test_no_row_and_no_column_loses_more_than_tau():
    for ground in GROUNDS:
        for rough in (0.0, 10.0):
            case = Case(ground, 400, 500, 2, 0.003, rough=rough)
            for tau in (1e-2, 1e-5):
                plan, sent, received = case.near(math.log2(tau)), np.empty(400), np.empty(500)
                _, pairs = plan.sums(0, 400, np.ones(400), np.ones(500), sent, received)
                assert (sent >= (1.0 - tau - 1e-9) * case.sent).all()
                assert (received >= (1.0 - tau - 1e-9) * case.received).all()
                assert rough > 0.0 or pairs < 0.8 * case.P.size


def test_columns_that_hold_less_than_they_should_are_found_out():
    case = Case(GROUNDS[0], 300, 300, 2, 0.01, empty=False)
    weights, some = case.received.copy(), slice(64, 128)
    case.columns[some] -= 100.0  # they hold 1e-30 of their weights
    case.P[:, some] *= 2.0**-100
    case.sent, case.received = case.P.sum(axis=1), case.P.sum(axis=0)
    sent, found, again = np.empty(300), np.empty(300), np.empty(300)
    case.near(math.log2(1e-9), weights).sums(0, 300, np.ones(300), np.ones(300), sent, found)
    assert found[some].max() < 1e-9 * weights.max()
    assert found[some].sum() < 0.5 * case.received[some].sum()
    case.near(math.log2(1e-9), found).sums(0, 300, np.ones(300), np.ones(300), sent, again)
    np.testing.assert_allclose(again, case.received, rtol=2e-9)


def test_rows_and_columns_of_which_nothing_is_known_keep_all_pairs():
    case = Case(("euclidean", 2.0), 60, 70, 2, 0.01)
    plan = Plan(
        *for_near(case.ground, case.x, case.y), case.inverse, case.rows, case.columns, np.full(60, -np.inf),
        np.full(70, -np.inf), LOG_TAU,
    )  # fmt: skip
    sent, received = np.empty(60), np.empty(70)
    plan.sums(0, 60, np.ones(60), np.ones(70), sent, received)
    case.same_rows(sent, case.sent)
    case.same_rows(received, case.received)


def test_an_empty_plan_has_empty_sums():
    case = Case(("euclidean", 1.0), 40, 50, 2, 0.1)
    for rows, columns in ((np.full(40, -np.inf), case.columns), (case.rows, np.full(50, -np.inf))):
        nothing = np.full(40, -np.inf), np.full(50, -np.inf)
        plan = Plan(*for_near(case.ground, case.x, case.y), case.inverse, rows, columns, *nothing, LOG_TAU)
        sent, received = np.empty(40), np.empty(50)
        price, _ = plan.sums(0, 40, np.ones(40), np.ones(50), sent, received)
        assert price == 0.0
        assert (sent == 0.0).all()
        assert (received == 0.0).all()


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("d", [1, 2, 3, 7, 40])
def test_transforms_of_points(ground, d):
    n, m = 61, 103
    x, y = clouds(n, m, d)
    rng = np.random.default_rng(4)
    C, g = costs_between(ground, x, y), rng.standard_normal(m)
    g[rng.random(m) < 0.2] = -np.inf
    f, low = np.full(n, np.nan), np.full(m, np.inf)
    for first, last in ((0, 1), (1, 30), (30, n)):
        part = np.full(m, np.nan)
        transform(for_pairs(ground, x, y), g, first, last, f, part)
        low = np.minimum(low, part)
    np.testing.assert_allclose(f, (C - g).min(axis=1), rtol=0.0, atol=1e-15 * (4.0 + C.max()))
    np.testing.assert_allclose(low, (C - f[:, np.newaxis]).min(axis=0), rtol=0.0, atol=2e-15 * (4.0 + C.max()))
    alone = np.empty(n)
    transform(for_pairs(ground, x, y), g, 0, n, alone)
    assert (alone == f).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 3), (30, 25), (9, 240)])
def test_transforms_of_matrices(dtype, n, m):
    rng = np.random.default_rng(5)
    C = rng.random((n, m)).astype(dtype)
    C[rng.random((n, m)) < 0.3] = np.inf
    C[n // 2] = np.inf  # a row without any arc
    g = rng.standard_normal(m)
    g[0] = -np.inf
    f, low = np.empty(n), np.empty(m)
    transform((C,), g, 0, n, f, low)
    with np.errstate(invalid="ignore"):
        expected = (C - g).min(axis=1)
    assert (f == expected).all()
    assert f[n // 2] == np.inf
    assert (low == (C - np.where(f < np.inf, f, 0.0)[:, np.newaxis]).min(axis=0)).all()


@pytest.mark.parametrize("d", [1, 3, 9])
def test_the_price_of_a_product(d):
    rng = np.random.default_rng(6)
    x, y = clouds(50, 77, d)
    u, v = rng.random(50), rng.random(77)
    u[::3], v[::4] = 0.0, 0.0
    for ground in GROUNDS:
        price = sum(
            spread_price(for_pairs(ground, x, y), 77, first, last, u, in_panels(v)) for first, last in ((0, 7), (7, 50))
        )
        assert price == pytest.approx(u @ costs_between(ground, x, y) @ v, rel=1e-13)


def test_the_price_of_a_product_over_forbidden_arcs():
    C = np.ones((5, 7))
    C[2], C[:, 3] = np.inf, np.inf
    u, v = np.ones(5), np.ones(7)
    assert spread_price((C,), 7, 0, 5, u, in_panels(v)) == np.inf
    u[2], v[3] = 0.0, 0.0
    assert spread_price((C,), 7, 0, 5, u, in_panels(v)) == 24.0


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_transforms_of_near_pairs_have_the_bits_of_those_of_all(ground, d):
    n, m = 211, 345
    x, y = clouds(n, m, d)
    rng = np.random.default_rng(7)
    C = costs_between(ground, x, y)
    smooth = (C - softmins(C, np.ones(m), 0.01 * C.mean())[:, np.newaxis]).min(axis=0)
    for g in (np.zeros(m), smooth, 1e-9 * rng.standard_normal(m), rng.standard_normal(m), 1e9 * rng.standard_normal(m)):
        for left_out in (0.0, 0.3, 0.99):
            known = np.where(rng.random(m) < left_out, -np.inf, g)
            f, everything = np.full(n, np.nan), np.empty(n)
            near = Transform(*for_near(ground, x, y), known)
            for first, last in ((0, 3 * BLOCK), (3 * BLOCK, n)):
                near.rows(first, last, f)
            transform(for_pairs(ground, x, y), known, 0, n, everything)
            assert (f == everything).all()


def test_a_transform_goes_over_few_pairs():
    x, y = clouds(3000, 3000, 2)
    C = costs_between(("euclidean", 2.0), x, y)
    f = np.empty(3000)
    pairs = Transform(*for_near(("euclidean", 2.0), x, y), (C - C.min(axis=1)[:, np.newaxis]).min(axis=0)).rows(
        0, 3000, f
    )
    assert pairs < 0.1 * C.size


def test_a_transform_without_columns():
    x, y = clouds(20, 30, 2)
    f = np.zeros(20)
    Transform(*for_near(("euclidean", 2.0), x, y), np.full(30, -np.inf)).rows(0, 20, f)
    assert (f == np.inf).all()


def test_near_pairs_are_few_where_eps_is_small():
    case = Case(("euclidean", 2.0), 2000, 2000, 2, 1e-4, empty=False)
    sent, received = np.empty(2000), np.empty(2000)
    _, pairs = case.near().sums(0, 2000, np.ones(2000), np.ones(2000), sent, received)
    assert pairs < 0.1 * case.P.size
    case.same_rows(sent, case.sent)
    case.same_rows(received, case.received)
