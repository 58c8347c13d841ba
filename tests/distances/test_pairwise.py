"""Distance matrices: the same numbers as one by one, the properties of a metric, errors that name the pair."""

import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monge
from monge.distances import pairs as module


def clouds(count, seed=0, d=2, dtype=np.float64, most=20):
    """Clouds of different sizes, each second one with weights."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(count):
        n = int(rng.integers(1, most + 1))
        x = (rng.normal(size=(n, d)) + rng.normal(size=d)).astype(dtype)
        w = rng.random(n)
        out.append((x, w / w.sum()) if k % 2 else x)
    return out


def histograms(count, n, seed=0):
    """(histograms (count, n), distances between their places)."""
    rng = np.random.default_rng(seed)
    places = rng.random((n, 2))
    h = rng.random((count, n)) * (rng.random((count, n)) < 0.7)
    h[:, 0] += 0.1
    return h / h.sum(axis=1, keepdims=True), np.linalg.norm(places[:, None] - places, axis=2)


def one_by_one(measures, other, p):
    pairs = [[m if isinstance(m, tuple) else (m, None) for m in side] for side in (measures, other)]
    return np.array([[monge.wasserstein(x, y, a, b, p=p) for y, b in pairs[1]] for x, a in pairs[0]])


def assert_metric(D, scale):
    np.testing.assert_array_equal(D, D.T)
    np.testing.assert_array_equal(np.diag(D), 0.0)
    assert D.min() >= 0.0
    assert (D[:, :, None] - D[:, None, :] - D[None, :, :].transpose(0, 2, 1)).max() <= 1e-9 * scale


class TestPointClouds:
    @pytest.mark.parametrize("p", [1, 2])
    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_upper_triangle_is_that_of_wasserstein(self, p, threads):
        measures = clouds(9)
        upper = np.triu_indices(9, 1)
        np.testing.assert_array_equal(
            monge.pairwise(measures, p=p, threads=threads)[upper], one_by_one(measures, measures, p)[upper]
        )

    @pytest.mark.parametrize("p", [1.5, 3, 30])
    def test_other_powers(self, p):
        """One scale for all points, where wasserstein has one for each pair: powers of it are rounded."""
        measures = clouds(9)
        np.testing.assert_allclose(
            monge.pairwise(measures, p=p), one_by_one(measures, measures, p), rtol=1e-12, atol=1e-12
        )

    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    def test_far_and_near(self, scale):
        x = np.array([[0.0, 0.0], [3.0, 4.0]]) * scale
        np.testing.assert_allclose(monge.pairwise([x[:1], x[1:]], p=4), [[0.0, 5.0 * scale], [5.0 * scale, 0.0]])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_rectangular(self, dtype):
        measures, other = clouds(4, 1, 3, dtype), clouds(6, 2, 3, dtype)
        np.testing.assert_array_equal(monge.pairwise(measures, other), one_by_one(measures, other, 2))

    def test_other_may_be_the_same(self):
        measures = clouds(5)
        np.testing.assert_allclose(monge.pairwise(measures, measures), monge.pairwise(measures), rtol=1e-12, atol=1e-12)

    def test_metric(self):
        D = monge.pairwise(clouds(15, 3))
        assert_metric(D, D.max())

    @settings(deadline=None, max_examples=30)
    @given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([1.0, 2.0]), st.floats(1e-3, 1e6))
    def test_metric_at_any_scale(self, seed, d, p, scale):
        measures = [x if isinstance(x, np.ndarray) else x[0] for x in clouds(5, seed, d, most=6)]
        D = monge.pairwise([x * scale for x in measures], p=p)
        assert_metric(D, scale)

    @pytest.mark.parametrize("chunk", [1, 100, 1000])
    def test_chunks_do_not_matter(self, monkeypatch, chunk):
        measures = clouds(8, 4)
        whole = monge.pairwise(measures)
        monkeypatch.setattr(module, "_CHUNK", chunk)
        np.testing.assert_array_equal(monge.pairwise(measures), whole)

    def test_views_vectors_arrays_and_lists(self):
        rng = np.random.default_rng(5)
        x = rng.random((4, 6, 3))
        D = monge.pairwise(x)
        np.testing.assert_array_equal(monge.pairwise(list(x)), D)
        np.testing.assert_array_equal(monge.pairwise(x.tolist()), D)
        np.testing.assert_array_equal(monge.pairwise([np.asfortranarray(points) for points in x]), D)
        np.testing.assert_array_equal(monge.pairwise([[0.0, 2.0], [1.0, 5.0]], p=1), [[0, 2], [2, 0]])

    def test_against_pot(self):
        ot = pytest.importorskip("ot")
        measures = [x for x, *_ in ((m if isinstance(m, tuple) else (m,)) for m in clouds(6, 6))]
        expected = [[np.sqrt(ot.emd2([], [], ot.dist(x, y))) for y in measures] for x in measures]
        np.testing.assert_allclose(monge.pairwise(measures), expected, rtol=1e-7, atol=1e-7)

    def test_weights_are_normalised(self):
        measures = [(x, 3.0 * np.ones(len(x)) / len(x)) for x in np.random.default_rng(7).random((4, 5, 2))]
        bare = [x for x, _ in measures]
        np.testing.assert_allclose(monge.pairwise(measures), monge.pairwise(bare), rtol=1e-12)

    def test_few_measures(self):
        np.testing.assert_array_equal(monge.pairwise([np.ones((3, 2))]), [[0.0]])
        assert monge.pairwise([]).shape == (0, 0)
        assert monge.pairwise([np.ones((3, 2))], []).shape == (1, 0)


class TestHistograms:
    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_upper_triangle_is_that_of_emd(self, threads):
        h, C = histograms(12, 15)
        D = monge.pairwise(h, cost=C, threads=threads)
        upper = np.triu_indices(12, 1)
        np.testing.assert_array_equal(D[upper], [monge.emd(C, h[s], h[t]).value for s, t in zip(*upper, strict=True)])
        assert_metric(D, C.max())

    @pytest.mark.parametrize(
        "change",
        [lambda C: C + np.triu(C), lambda C: C + np.eye(len(C)), lambda C: C - 2.0 * (C.max() == C)],
        ids=["not symmetric", "staying costs", "negative"],
    )
    def test_costs_that_make_no_metric(self, change):
        h, C = histograms(6, 8, 1)
        C = change(C)
        expected = [[monge.emd(C, a, b).value for b in h] for a in h]
        np.testing.assert_allclose(monge.pairwise(h, cost=C), expected, rtol=1e-12, atol=1e-14)

    def test_a_negative_pair_is_cheaper_than_staying(self):
        """Zero diagonal, symmetric, and yet a histogram is not at distance zero from itself."""
        C = np.array([[0.0, -1.0], [-1.0, 0.0]])
        np.testing.assert_allclose(monge.pairwise([[0.5, 0.5]], cost=C), [[-1.0]])

    def test_rectangular(self):
        rng = np.random.default_rng(2)
        C, h, g = rng.random((5, 7)).astype(np.float32), rng.random((3, 5)), rng.random((4, 7))
        h, g = h / h.sum(axis=1, keepdims=True), g / g.sum(axis=1, keepdims=True)
        expected = [[monge.emd(C, a, b).value for b in g] for a in h]
        np.testing.assert_array_equal(monge.pairwise(h, g, cost=C), expected)
        np.testing.assert_array_equal(monge.pairwise(h[:, ::-1], g, cost=C[::-1]), expected)

    def test_cost_objects(self):
        x = np.random.default_rng(3).random((6, 2))
        h, _ = histograms(4, 6, 3)
        cost = monge.PointCloud(x, x, "euclidean")
        expected = [[monge.emd(cost, a, b).value for b in h] for a in h]
        np.testing.assert_allclose(monge.pairwise(h, cost=cost), expected, rtol=1e-12, atol=1e-15)

    def test_float32_histograms(self):
        h, C = histograms(5, 200, 4)
        single = h.astype(np.float32)
        np.testing.assert_allclose(monge.pairwise(single, cost=C), monge.pairwise(h, cost=C), rtol=1e-4, atol=1e-6)


class TestErrors:
    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (lambda: monge.pairwise(np.ones((3, 4))), r"list of point clouds.*shape \(3, 4\).*pass cost="),
            (
                lambda: monge.pairwise([np.zeros((2, 2)), np.zeros((2, 3))]),
                r"got 2 in measures\[0\] and 3 in measures\[1\]",
            ),
            (lambda: monge.pairwise([np.zeros((2, 2)), [[np.nan, 0.0]]]), r"^measures\[1\]: points should hold finite"),
            (lambda: monge.pairwise([np.zeros((2, 2))], [(np.zeros((2, 2)), [1.0])]), r"^other\[0\]: .*shape \(2,\)"),
            (lambda: monge.pairwise([np.zeros((2, 2))], p=0.5), "p should be a finite number >= 1"),
            (lambda: monge.pairwise([[1.0, 0.0]], cost=np.eye(2), p=1), "p belongs to point clouds"),
            (lambda: monge.pairwise([[1.0, 0.0]], cost=np.ones((2, 3))), "cost should be square"),
            (lambda: monge.pairwise([[1, 0], [1, 0, 0]], cost=np.eye(2)), r"^measures\[1\]: .*shape \(2,\)"),
            (lambda: monge.pairwise([[1, 0], [-1, 0]], cost=np.eye(2)), r"^measures\[1\]: .*not negative"),
            (lambda: monge.pairwise([[1, 0], [2, 0], [1, 0]], cost=np.eye(2)), r"^pair \(0, 1\): .*same total mass"),
            (lambda: monge.pairwise([[1, 0]], cost=[[0, np.nan], [1, 0]]), r"^pair \(0, 0\): .*cost\[0, 1\]"),
            (lambda: monge.pairwise([[1, 0], [0, 1]], cost=[[0, np.inf], [np.inf, 0]]), r"^pair \(0, 1\): no plan"),
        ],
    )
    def test_texts(self, call, text):
        with pytest.raises(ValueError, match=text):
            call()

    def test_interrupt(self, bars):
        bars.on_part = lambda: signal.raise_signal(signal.SIGINT)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            for count in (100, 200, 400):  # until the core takes long enough to tell of a part
                bars.clear()
                h, C = histograms(count, 64)
                try:
                    monge.pairwise(h, cost=C, progress=True)
                except KeyboardInterrupt:
                    break
            else:
                pytest.fail("the bar was never told of a part")
        finally:
            signal.signal(signal.SIGINT, before)
        assert [bar.n < bar.total for bar in bars] == [True]

    def test_progress_counts_pairs(self, bars, monkeypatch):
        monkeypatch.setattr(module, "_CHUNK", 500)
        monge.pairwise(clouds(6), progress=True)
        monge.pairwise(clouds(3), clouds(4), progress=True)
        assert [(bar.n, bar.total) for bar in bars] == [(15, 15), (12, 12)]


class TestOnTheLine:
    """Points with one coordinate are solved as `wasserstein_1d` does, each set sorted once."""

    @pytest.mark.parametrize("p", [1, 2, 3.5, 900])
    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_the_same_numbers(self, p, threads):
        measures, other = clouds(9, d=1), clouds(7, 1, d=1)
        measures.append(np.repeat(np.random.default_rng(2).integers(0, 4, 3000), 2) * 1.0)  # ties, and enough to radix
        D, E = monge.pairwise(measures, p=p, threads=threads), monge.pairwise(measures, other, p=p, threads=threads)
        upper = np.triu_indices(10, 1)
        np.testing.assert_array_equal(D[upper], one_by_one(measures, measures, p)[upper])
        np.testing.assert_array_equal(D, D.T)
        np.testing.assert_array_equal(E, one_by_one(measures, other, p))
        pairs = [[m if isinstance(m, tuple) else (m, None) for m in side] for side in (measures, other)]
        line = [[monge.wasserstein_1d(x, y, a, b, p=p) for y, b in pairs[1]] for x, a in pairs[0]]
        np.testing.assert_array_equal(E, line)

    def test_no_matrix_is_computed(self, monkeypatch):
        monkeypatch.setattr("monge.distances.pairs.cost_matrix", lambda *_: pytest.fail("a matrix"))
        monkeypatch.setattr("monge.exact._core.emd", lambda *_: pytest.fail("a simplex"))
        x = np.random.default_rng(3).random((3, 50))
        assert monge.pairwise(list(x))[0, 1] == monge.wasserstein(x[0], x[1])
        assert monge.wasserstein(x[0][:, None].astype(np.float32), x[1]) > 0.0

    def test_each_set_is_sorted_once(self, monkeypatch):
        from monge.exact import univariate

        sorts, order = [], univariate._univariate.order
        monkeypatch.setattr(univariate._univariate, "order", lambda values: sorts.append(len(values)) or order(values))
        monge.pairwise(clouds(6, d=1))
        assert len(sorts) == 6

    def test_a_pair_too_far_apart_is_named(self):
        with pytest.raises(ValueError, match=r"^pair \(1, 2\): x and y should span a finite range"):
            monge.pairwise([[0.0], [1e308], [-1e308]])

    def test_progress_counts_pairs(self, bars, monkeypatch):
        monkeypatch.setattr(module, "_PAIRS", 4)
        monge.pairwise(clouds(6, d=1), progress=True)
        monge.pairwise(clouds(3, d=1), clouds(4, d=1), progress=True)
        assert [(bar.n, bar.total) for bar in bars] == [(15, 15), (12, 12)]

    @pytest.mark.parametrize("threads", [1, 2])
    def test_interrupt(self, bars, monkeypatch, threads):
        monkeypatch.setattr(module, "_PAIRS", 4)
        bars.on_part = lambda: signal.raise_signal(signal.SIGINT)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                monge.pairwise(clouds(40, d=1), progress=True, threads=threads)
        finally:
            signal.signal(signal.SIGINT, before)
        assert [bar.n < bar.total for bar in bars] == [True]

    def test_few_measures(self):
        np.testing.assert_array_equal(monge.pairwise([[1.0, 2.0]]), [[0.0]])
        np.testing.assert_array_equal(monge.pairwise([[1.0, 2.0]], [[3.0]], p=1), [[1.5]])


class TestTuples:
    two = ((0.0, 0.0), (3.0, 1.0))

    def test_two_tuples_may_be_two_points(self):
        text = r"^measures\[0\]: .*Write \[\[0\.0, 0\.0\], \[3\.0, 1\.0\]\] for two points, .*weights\."
        with pytest.raises(ValueError, match=text):
            monge.pairwise([self.two, ((5.0, 5.0), (2.0, 2.0))])

    def test_what_it_says_to_write(self):
        points, weights = [[0.0, 0.0], [3.0, 1.0]], ([0.0, 1.0], [3.0, 1.0])
        assert monge.pairwise([points], [[[0.0, 0.0], [3.0, 2.0]]], p=1)[0, 0] == pytest.approx(0.5)
        assert monge.pairwise([weights], [[0.0]], p=1)[0, 0] == pytest.approx(0.25)

    def test_tuples_that_can_only_be_one_thing(self):
        points = ((0.0, 0.0), (3.0, 4.0), (3.0, 4.0))
        assert monge.pairwise([points], [[[0.0, 0.0]]], p=1)[0, 0] == pytest.approx(10.0 / 3.0)
        assert monge.pairwise([(points[:2], (0.5, 0.5))], [[[0.0, 0.0]]], p=1)[0, 0] == pytest.approx(2.5)


TIMED = {
    "clouds": lambda **run: monge.pairwise(clouds(12), **run),
    "lines": lambda **run: monge.pairwise(clouds(12, d=1), **run),
    "a high power": lambda **run: monge.pairwise(clouds(12), p=30, **run),
    "histograms": lambda **run: monge.pairwise(np.eye(12), cost=1.0 - np.eye(12), **run),
}


class TestTimeLimit:
    @pytest.mark.parametrize("call", TIMED)
    def test_what_is_missing_is_nan(self, call):
        with pytest.warns(monge.ConvergenceWarning, match="132 of 144 distances are NaN: time_limit ran out. Raise it"):
            D = TIMED[call](time_limit=0.0)
        np.testing.assert_array_equal(np.isnan(D), ~np.eye(12, dtype=bool))

    @pytest.mark.parametrize("call", TIMED)
    def test_enough_time(self, call):
        np.testing.assert_array_equal(TIMED[call](time_limit=1e6), TIMED[call]())
