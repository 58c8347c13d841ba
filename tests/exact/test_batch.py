"""Batches: the same answers as one by one, errors that name the problem, limits and interrupts."""

import signal

import numpy as np
import pytest

import monge
from benchmarks.problems import make

SIZES = [(7, 5), (1, 1), (32, 32), (3, 40), (64, 1), (20, 20)]


def problems(sizes=SIZES, seed=0):
    """(costs, a, b) of the sizes."""
    _, costs, a, b = zip(*(make("weighted2d", size, seed + k) for k, size in enumerate(sizes)), strict=True)
    return list(costs), list(a), list(b)


def assert_same(t, single):
    """The same bits."""
    assert t.value == single.value
    assert t.gap == single.gap
    assert t.status is single.status
    np.testing.assert_array_equal(t.f, single.f)
    np.testing.assert_array_equal(t.g, single.g)
    np.testing.assert_array_equal(t.plan.toarray(), single.plan.toarray())
    assert t.marginal_error == single.marginal_error


class TestAnswers:
    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_sizes_differ(self, threads):
        costs, a, b = problems()
        answers = monge.emd(costs, a, b, threads=threads)
        assert len(answers) == len(costs)
        for t, C, a_k, b_k in zip(answers, costs, a, b, strict=True):
            assert_same(t, monge.emd(C, a_k, b_k))

    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_array(self, threads):
        costs, a, b = problems([(12, 9)] * 300)
        answers = monge.emd(np.stack(costs), np.stack(a), np.stack(b), threads=threads)
        for t, C, a_k, b_k in zip(answers, costs, a, b, strict=True):
            assert_same(t, monge.emd(C, a_k, b_k))

    def test_threads_left_over_go_to_large_problems(self):
        costs, a, b = problems([(1100, 1000), (30, 30)])
        for t, other in zip(monge.emd(costs, a, b, threads=5), monge.emd(costs, a, b, threads=1), strict=True):
            assert_same(t, other)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, ">f8"])
    @pytest.mark.parametrize(
        "view",
        [
            lambda stack: stack,
            lambda stack: stack[::2, 1:, ::3],
            lambda stack: stack.transpose(2, 1, 0),
            lambda stack: stack[::-1, ::-1, ::-1],
            lambda stack: np.broadcast_to(stack[:1], (4, *stack.shape[1:])),
        ],
    )
    def test_types_and_strides(self, dtype, view):
        stack = view((np.random.default_rng(0).random((6, 12, 15)) * 100).astype(dtype))
        for t, C in zip(monge.emd(stack), stack, strict=True):
            assert_same(t, monge.emd(C))

    def test_costs_of_all_kinds_in_one_batch(self):
        rng = np.random.default_rng(1)
        x, y = rng.random((6, 2)), rng.random((4, 2))
        costs = [monge.PointCloud(x, y), monge.CostMatrix([[1, 2], [3, 4]]), rng.random((2, 3)).astype(np.float32)]
        for t, cost in zip(monge.emd(costs), costs, strict=True):
            assert_same(t, monge.emd(cost))
        for t, cost in zip(monge.emd(tuple(costs[::-1])), costs[::-1], strict=True):
            assert_same(t, monge.emd(cost))

    def test_weights_shared_missing_and_mixed(self):
        costs, a, b = problems([(5, 5)] * 3)
        a, b = [w / w.sum() for w in a], [w / w.sum() for w in b]
        for t, C in zip(monge.emd(costs, a[0], b[0].tolist()), costs, strict=True):
            assert_same(t, monge.emd(C, a[0], b[0]))
        given = [None, a[1], a[2].tolist()]
        for t, C, a_k, b_k in zip(monge.emd(costs, given, b), costs, given, b, strict=True):
            assert_same(t, monge.emd(C, a_k, b_k))

    def test_forbidden_arcs_and_zero_weights(self):
        costs = np.array([[[np.inf, 1.0], [2.0, 3.0]], [[0.0, 1.0], [1.0, np.inf]]])
        weights = np.array([[1.0, 1.0], [2.0, 0.0]])
        for t, C, w in zip(monge.emd(costs, weights, weights), costs, weights, strict=True):
            assert_same(t, monge.emd(C, w, w))

    def test_agrees_with_pot(self):
        ot = pytest.importorskip("ot")
        costs, a, b = problems([(20, 30)] * 10)
        values = [t.value for t in monge.emd(costs, a, b)]
        np.testing.assert_allclose(values, [ot.emd2(*p) for p in zip(a, b, costs, strict=True)], rtol=1e-10)


class TestWhatIsABatch:
    def test_lists_of_numbers_are_one_matrix(self):
        assert isinstance(monge.emd([[0, 1], [1, 0]]), monge.Transport)
        assert isinstance(monge.emd([np.array([0, 1]), np.array([1, 0])]), monge.Transport)
        with pytest.raises(ValueError, match=r"cost should be an \(n, m\) matrix; got shape \(1, 2, 2\)"):
            monge.emd([[[0, 1], [1, 0]]])

    def test_no_problems_no_answers(self):
        assert monge.emd(np.zeros((0, 3, 4))) == []
        assert monge.emd(np.zeros((0, 3, 4)), np.zeros((0, 3)), []) == []

    def test_batch_of_one(self):
        C = np.random.default_rng(2).random((1, 4, 4))
        (t,) = monge.emd(C)
        assert_same(t, monge.emd(C[0]))


class TestErrors:
    def test_bad_cost(self):
        costs, a, b = problems()
        costs[3][1, 2] = np.nan
        with pytest.raises(ValueError, match=r"^problem 3: .*cost\[1, 2\] = .*nan"):
            monge.emd(costs, a, b)
        costs[3] = np.zeros(4)
        with pytest.raises(ValueError, match=r"^problem 3: cost should be an \(n, m\) matrix; got shape \(4,\)"):
            monge.emd(costs)
        costs[3] = np.zeros((2, 2), complex)
        with pytest.raises(TypeError, match=r"^problem 3: .*complex"):
            monge.emd(costs)

    def test_empty_matrices(self):
        with pytest.raises(ValueError, match=r"^problem 0: .*at least one row and one column; got shape \(0, 3\)"):
            monge.emd(np.zeros((2, 0, 3)))

    def test_infeasible(self):
        costs = np.zeros((5, 2, 2))
        costs[4, 0] = np.inf
        with pytest.raises(monge.InfeasibleError, match=r"^problem 4: no plan avoids"):
            monge.emd(costs)

    @pytest.mark.parametrize(
        ("bad", "text"),
        [
            (np.array([1.0, -1.0, 1.0]), r"^problem 1: a should hold finite weights that are not negative; a\[1\]"),
            (np.ones(4), r"^problem 1: a should have shape \(3,\)"),
            (np.zeros(3), r"^problem 1: a should have some mass"),
            (np.ones(3), r"^problem 1: a and b should have the same total mass; a.sum\(\) = 3.0 and b.sum\(\) = 2.0"),
        ],
    )
    def test_bad_weights(self, bad, text):
        with pytest.raises(ValueError, match=text):
            monge.emd(np.zeros((2, 3, 2)), [None, bad], [None, np.ones(2)])

    def test_number_of_weights(self):
        costs = np.zeros((3, 2, 2))
        with pytest.raises(ValueError, match=r"each of the 3 problems.*got 2 items"):
            monge.emd(costs, np.ones((2, 2)))
        with pytest.raises(TypeError, match=r"b should be an array.*got 1\.0"):
            monge.emd(costs, None, 1.0)

    def test_no_start(self):
        with pytest.raises(ValueError, match="init= is for a single problem"):
            monge.emd(np.zeros((3, 2, 2)), init=(np.zeros(2), np.zeros(2)))

    def test_memory(self, monkeypatch):
        monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 1 << 20)
        x = np.zeros((200, 1))
        with pytest.raises(MemoryError, match="cost matrices of these 4 point clouds"):
            monge.emd([monge.PointCloud(x, x)] * 4)


class TestStopping:
    def test_time_limit_warns_once(self):
        costs, a, b = problems([(60, 60)] * 5)
        with pytest.warns(monge.ConvergenceWarning, match="of 5 problems: time_limit ran out") as caught:
            answers = monge.emd(costs, a, b, time_limit=0.0, threads=2)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        for t, C in zip(answers, costs, strict=True):
            assert t.marginal_error < 1e-12
            assert t.gap >= 0.0
            assert (t.f[:, None] + t.g - C).max() < 1e-12

    def test_time_limit_of_wrong_type(self):
        with pytest.raises(ValueError, match="time_limit should be a number of seconds"):
            monge.emd(np.zeros((3, 2, 2)), time_limit=-1)

    @pytest.mark.parametrize(
        "problems",
        [
            lambda k: [np.eye(40)[::-1] + np.arange(40.0)] * (2000 * k),
            lambda k: [np.eye(8), np.random.default_rng(0).random((1000 * k,) * 2)],
        ],
        ids=["many", "one that others wait for"],
    )
    @pytest.mark.parametrize("threads", [1, 2])
    def test_interrupt(self, problems, threads, bars):
        """Ctrl-C comes while the bar is told of a part: the solve stops there. The core tells twenty times a second:
        batches grow until one takes longer."""
        bars.on_part = lambda: signal.raise_signal(signal.SIGINT)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            for k in (2, 4, 8, 16, 32):
                bars.clear()
                try:
                    monge.emd(problems(k), threads=threads, progress=True)
                except KeyboardInterrupt:
                    break
            else:
                pytest.fail("the bar was never told of a part")
        finally:
            signal.signal(signal.SIGINT, before)
        assert [bar.n < bar.total for bar in bars] == [True]

    def test_progress_counts_problems(self, bars):
        costs, a, b = problems([(30, 30)] * 50)
        monge.emd(costs, a, b, progress=True)
        assert [(bar.n, bar.total) for bar in bars] == [(50, 50)]
