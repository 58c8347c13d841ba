"""Bad input is refused with a remedy before any work starts; odd input is taken as what it means."""

from __future__ import annotations

import numpy as np
import pytest
from cases import squared
from oracle import assert_optimal
from scipy.sparse import coo_array

import monge

C = np.array([[1.0, 2.0, 0.5], [3.0, 0.0, 1.0]])
X, Y = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[1.0, 1.0], [0.0, 2.0], [4.0, 4.0]])


def with_entry(value, dtype=np.float64):
    spoilt = C.astype(dtype)
    spoilt[1, 2] = value
    return spoilt


class TestBadCost:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("value", [np.nan, -np.inf])
    def test_not_a_cost(self, value, dtype):
        with pytest.raises(ValueError, match=r"NaN or -inf.*cost\[1, 2\]"):
            monge.emd(with_entry(value, dtype))

    @pytest.mark.parametrize("value", [1e291, -1e291])
    def test_too_large(self, value):
        with pytest.raises(ValueError, match=r"1e290.*cost\[1, 2\]"):
            monge.emd(with_entry(value))

    @pytest.mark.parametrize("at", [0, 40, 111, 112, 159])
    @pytest.mark.parametrize("layout", ["C", "F"])
    def test_one_nan_anywhere(self, at, layout):
        big = np.ones((130, 160), order=layout)
        big[77, at] = np.nan
        with pytest.raises(ValueError, match=rf"cost\[77, {at}\] = .*nan"):
            monge.emd(big)

    def test_nan_where_there_is_no_mass(self):
        with pytest.raises(ValueError, match="NaN"):
            monge.emd(with_entry(np.nan), [1.0, 0.0], [0.5, 0.5, 0.0])

    @pytest.mark.parametrize("cost", [np.ones(3), np.ones((2, 2, 2, 2)), np.float64(1.0), [1.0, 2.0]])
    def test_not_a_matrix(self, cost):
        with pytest.raises(ValueError, match=r"\(n, m\) matrix.*got shape"):
            monge.emd(cost)

    @pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
    def test_empty(self, shape):
        with pytest.raises(ValueError, match="at least one row and one column"):
            monge.emd(np.ones(shape))

    @pytest.mark.parametrize(
        "cost",
        [
            C.astype(complex),
            C.astype(object),
            C.astype(str),
            C.astype("datetime64[s]"),
            [["a", "b"]],
            [[1.0, 2.0], [3.0]],
            {"cost": 1},
            None,
            C.astype(np.longdouble),
        ],
        ids=["complex", "object", "str", "datetime", "list of str", "ragged", "dict", "None", "longdouble"],
    )
    def test_not_numbers(self, cost):
        if isinstance(cost, np.ndarray) and cost.dtype == np.float64:
            pytest.skip("long double is double here")
        with pytest.raises(TypeError, match="cost should be"):
            monge.emd(cost)

    @pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, np.iinfo(np.int64).min])
    def test_integers_beyond_double(self, value):
        with pytest.raises(ValueError, match=r"2\*\*53"):
            monge.emd(np.array([[value, 0]], dtype=np.int64))

    def test_unsigned_beyond_double(self):
        with pytest.raises(ValueError, match=r"2\*\*53"):
            monge.emd(np.array([[2**64 - 1, 0]], dtype=np.uint64))

    def test_masked(self):
        with pytest.raises(TypeError, match="masked"):
            monge.emd(np.ma.masked_array(C, mask=C > 2))


class TestBadWeights:
    @pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("side", ["a", "b"])
    def test_not_a_weight(self, value, side):
        w = {"a": np.array([0.5, 0.5]), "b": np.array([0.2, 0.3, 0.5])}
        w[side][1] = value
        with pytest.raises(ValueError, match=rf"not negative; {side}\[1\]"):
            monge.emd(C, **w)

    def test_negative_zero_is_zero(self):
        assert_optimal(monge.emd(C, [1.0, -0.0]), C, [1.0, -0.0])

    @pytest.mark.parametrize("side", ["a", "b"])
    def test_no_mass(self, side):
        with pytest.raises(ValueError, match=f"{side} should have some mass"):
            monge.emd(C, **{side: np.zeros(2 if side == "a" else 3)})

    def test_infinite_total(self):
        with pytest.raises(ValueError, match=r"total between.*inf.*Rescale"):
            monge.emd(np.eye(3), np.full(3, 1e308), np.full(3, 1e308))

    @pytest.mark.parametrize("w", [np.ones(3) / 3, np.ones((2, 1)) / 2, np.float64(1.0), np.ones(0), [[0.5, 0.5]]])
    def test_wrong_shape(self, w):
        with pytest.raises(ValueError, match=r"a should.*\(2,\).*row of the cost"):
            monge.emd(C, w)
        with pytest.raises(ValueError, match=r"b should.*\(2,\).*column of the cost"):
            monge.emd(C.T, None, w)

    @pytest.mark.parametrize("w", [np.array([0.5, 0.5j]), np.array([1, None]), ["x", "y"], {1: 2}])
    def test_not_numbers(self, w):
        with pytest.raises(TypeError, match="a should be weights"):
            monge.emd(C, w)

    def test_totals_differ(self):
        with pytest.raises(ValueError, match=r"same total.*1\.0.*1\.5.*partial.*marginals="):
            monge.emd(C, [0.5, 0.5], [0.5, 0.5, 0.5])

    @pytest.mark.parametrize("excess", [1e-9, 1e-6, -1e-9])
    def test_totals_differ_visibly(self, excess):
        with pytest.raises(ValueError, match="same total"):
            monge.emd(C, [0.5, 0.5 + excess], [0.2, 0.3, 0.5])

    def test_totals_differ_by_rounding(self):
        # Ten tenths add up to 1 - 1e-16.
        big = np.random.default_rng(0).random((10, 3))
        t = monge.emd(big, np.full(10, 0.1), [0.2, 0.3, 0.5])
        assert_optimal(t, big, np.full(10, 0.1), np.array([0.2, 0.3, 0.5]))

    def test_totals_differ_by_single_precision(self):
        rng = np.random.default_rng(1)
        big, a, b = rng.random((400, 500)), rng.random(400, dtype=np.float32), rng.random(500, dtype=np.float32)
        a, b = a / a.sum(), b / b.sum()
        assert a.sum(dtype=np.float64) != b.sum(dtype=np.float64)
        assert_optimal(monge.emd(big, a, b), big, a, b)
        with pytest.raises(ValueError, match="same total"):
            monge.emd(big, a, b * np.float32(1.001))
        with pytest.raises(ValueError, match="same total"):
            monge.emd(big, a.astype(np.float64), b.astype(np.float64) * (1 + 1e-7))


class TestBadOptions:
    @pytest.mark.parametrize("threads", [0, -1, 1.5, "two", True])
    def test_threads(self, threads):
        with pytest.raises((ValueError, TypeError), match="threads should be a positive integer"):
            monge.emd(C, threads=threads)

    def test_threads_numpy_integer(self):
        assert monge.emd(C, threads=np.int32(2)).converged

    @pytest.mark.parametrize("limit", [-1.0, np.nan, -np.inf])
    def test_time_limit(self, limit):
        with pytest.raises(ValueError, match="time_limit should be a number of seconds"):
            monge.emd(C, time_limit=limit)

    @pytest.mark.parametrize("limit", ["soon", [1.0], 1j])
    def test_time_limit_type(self, limit):
        with pytest.raises((ValueError, TypeError), match="time_limit should be a number of seconds"):
            monge.emd(C, time_limit=limit)

    @pytest.mark.parametrize(
        ("init", "error", "words"),
        [
            ((np.zeros(2), np.zeros(2)), ValueError, r"init's g should have shape \(3,\)"),
            ((np.zeros(3), np.zeros(3)), ValueError, r"init's f should have shape \(2,\)"),
            ((np.zeros((2, 1)), np.zeros(3)), ValueError, "init's f should have shape"),
            ((np.full(2, np.nan), np.zeros(3)), ValueError, "finite"),
            ((np.zeros(2), np.full(3, np.inf)), ValueError, "finite"),
            ((np.zeros(2), None), (ValueError, TypeError), "init's g should"),
            ((np.zeros(2), ["a", "b", "c"]), (ValueError, TypeError), "init's g should"),
            (np.zeros(2), TypeError, "Transport or a pair"),
            ("warm", TypeError, "Transport or a pair"),
            ((np.zeros(2),), TypeError, "Transport or a pair"),
            ((np.zeros(2) * 1j, np.zeros(3)), (ValueError, TypeError), "init's f should"),
        ],
    )
    def test_init(self, init, error, words):
        with pytest.raises(error, match=words):
            monge.emd(C, init=init)

    def test_init_of_another_problem(self):
        with pytest.raises(ValueError, match="init's f should have shape"):
            monge.emd(C, init=monge.emd(C.T))

    def test_infeasible_is_a_value_error(self):
        assert issubclass(monge.InfeasibleError, ValueError)
        with pytest.raises(monge.InfeasibleError, match=r"\+inf.*partial"):
            monge.emd(np.array([[1.0, np.inf], [1.0, np.inf]]))


class TestBadPoints:
    def test_dimensions_differ(self):
        with pytest.raises(ValueError, match=r"same dimension.*\(2, 2\).*\(3, 3\)"):
            monge.PointCloud(X, np.ones((3, 3)))

    @pytest.mark.parametrize("shape", [(0, 2), (2, 0), (0,)])
    def test_empty(self, shape):
        with pytest.raises(ValueError, match="x should hold at least one point"):
            monge.PointCloud(np.ones(shape), Y)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, value):
        bad = Y.copy()
        bad[2, 1] = value
        with pytest.raises(ValueError, match=r"finite coordinates; y\[2, 1\]"):
            monge.PointCloud(X, bad)

    @pytest.mark.parametrize("points", [X.astype(complex), X.astype(object), [["a"]], [[1.0], [1.0, 2.0]], None])
    def test_not_numbers(self, points):
        with pytest.raises(TypeError, match="x should be"):
            monge.PointCloud(points, Y)

    @pytest.mark.parametrize("points", [np.ones((2, 2, 2)), np.float64(1.0)])
    def test_wrong_shape(self, points):
        with pytest.raises(ValueError, match=r"x should be points of shape \(n, d\)"):
            monge.PointCloud(points, Y)

    @pytest.mark.parametrize(
        "cost",
        [
            "squared",
            "",
            None,
            2,
            ("euclidean",),
            ("euclidean", 1, 2),
            ("sqeuclidean", 3.0),
            ("cosine", 2.0),
            ["euclidean", 2],
        ],
    )
    def test_unknown_cost(self, cost):
        with pytest.raises(ValueError, match="euclidean"):
            monge.PointCloud(X, Y, cost)

    @pytest.mark.parametrize("power", [0.0, -1.0, np.nan, np.inf])
    def test_power(self, power):
        with pytest.raises(ValueError, match="power of a ground cost should be positive"):
            monge.PointCloud(X, Y, ("euclidean", power))

    @pytest.mark.parametrize("power", ["two", None, 1j])
    def test_power_type(self, power):
        with pytest.raises((ValueError, TypeError), match="power of a ground cost should be"):
            monge.PointCloud(X, Y, ("euclidean", power))

    def test_cosine_at_the_origin(self):
        with pytest.raises(ValueError, match=r"origin; x\[0\]"):
            monge.PointCloud([[0.0, 0.0], [1.0, 0.0]], Y, "cosine")

    @pytest.mark.parametrize("p", [0.5, 0.0, -1.0, np.nan, np.inf])
    def test_wasserstein_exponent(self, p):
        with pytest.raises(ValueError, match="p should be a finite number >= 1"):
            monge.wasserstein(X, Y, p=p)

    @pytest.mark.parametrize(
        ("x", "y", "cost"),
        [
            (np.array([[1e200]]), np.array([[0.0]]), "sqeuclidean"),
            (np.array([[1e25]], dtype=np.float32), np.array([[0.0]], dtype=np.float32), "sqeuclidean"),
            (np.array([[1e4]]), np.array([[0.0]]), ("euclidean", 100.0)),
            (np.array([[1e4]]), np.array([[0.0]]), ("cityblock", 100.0)),
        ],
    )
    def test_overflow_is_not_a_forbidden_arc(self, x, y, cost):
        with pytest.raises(ValueError, match="overflow") as caught:
            monge.emd(monge.PointCloud(x, y, cost))
        assert not isinstance(caught.value, monge.InfeasibleError)

    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    def test_cosine_has_no_scale(self, scale):
        x, y = np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])
        t = monge.emd(monge.PointCloud(x * scale, y * scale, "cosine"))
        assert t.value == pytest.approx(1 - 0.5**0.5, rel=1e-14, abs=0)

    def test_too_large_for_memory(self, monkeypatch):
        monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 10**6)
        cloud = monge.PointCloud(np.zeros((400, 2)), np.zeros((400, 2)))
        monkeypatch.setattr("monge.exact.dense.cost_matrix", lambda *_: pytest.fail("allocated"))
        with pytest.raises(MemoryError, match=r"400 x 400 cost matrix.*GiB.*float32"):
            monge.emd(cloud)

    def test_memory_is_asked_in_bytes(self, monkeypatch):
        # 400 x 400 in float32 is 640,000 bytes.
        x = np.zeros((400, 2), dtype=np.float32)
        monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 640_000)
        assert monge.emd(monge.PointCloud(x, x)).value == 0.0
        monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 639_999)
        with pytest.raises(MemoryError):
            monge.emd(monge.PointCloud(x, x))


BASE = np.array([[3, 1, 2], [0, 2, 7], [5, 5, 1], [2, 0, 9]])


def forms(tmp_path):
    memory_map = np.memmap(tmp_path / "cost.bin", dtype=np.float64, mode="w+", shape=BASE.shape)
    memory_map[:] = BASE
    read_only = BASE.astype(float)
    read_only.flags.writeable = False
    unaligned = np.zeros(BASE.size * 8 + 1, dtype=np.uint8)[1:].view(np.float64).reshape(BASE.shape)
    unaligned[:] = BASE
    record = np.zeros(BASE.shape, dtype=[("cost", "f8"), ("flag", "i1")])
    record["cost"] = BASE

    class Subclass(np.ndarray):
        pass

    class Arraylike:
        def __array__(self, dtype=None, copy=None):
            return BASE.astype(dtype or float)

    yield from (
        ("list", BASE.tolist()),
        ("tuple of rows", tuple(map(tuple, BASE.tolist()))),
        ("read-only", read_only),
        ("memory map", memory_map),
        ("unaligned", unaligned),
        ("field of a record", record["cost"]),
        ("subclass", BASE.astype(float).view(Subclass)),
        ("array protocol", Arraylike()),
        ("masked without a mask", np.ma.masked_array(BASE.astype(float))),
        ("reversed", BASE.astype(float)[::-1, ::-1].copy()[::-1, ::-1]),
        ("transposed", BASE.T.astype(float).T),
    )
    for dtype in ("f2", "f4", "f8", ">f2", ">f4", ">f8", "i1", "i2", "i4", "i8", ">i4", "u1", "u2", "u4", "u8"):
        yield dtype, BASE.astype(dtype)


FORMS = [
    "list", "tuple of rows", "read-only", "memory map", "unaligned", "field of a record", "subclass", "array protocol",
    "masked without a mask", "reversed", "transposed",
    "f2", "f4", "f8", ">f2", ">f4", ">f8", "i1", "i2", "i4", "i8", ">i4", "u1", "u2", "u4", "u8",
]  # fmt: skip


class TestOddInput:
    @pytest.mark.parametrize("form", FORMS)
    def test_cost(self, form, tmp_path):
        given = dict(forms(tmp_path))[form]
        t = monge.emd(given, [1, 2, 3, 4], [2, 3, 5])
        assert_optimal(t, BASE, [1, 2, 3, 4], [2, 3, 5])
        assert t.f.dtype == t.g.dtype == np.float64

    @pytest.mark.parametrize(
        "form", ["f2", "f4", ">f8", "i1", "u8", "list", "read-only", "strided", "broadcast", "bool"]
    )
    def test_weights(self, form):
        w = np.array([1, 2, 3, 4])
        v = np.array([2, 3, 5])
        if form == "bool":
            w, v = np.array([True, False, True, True]), np.array([True, True, True])
        elif form == "broadcast":
            w, v = np.broadcast_to(np.float64(3.0), 4), np.broadcast_to(np.float64(4.0), 3)
        elif form == "strided":
            w, v = np.repeat(w, 2)[::2] * 1.0, np.arange(6.0)[::-2] * 0 + v
        elif form == "list":
            w, v = w.tolist(), v.tolist()
        elif form == "read-only":
            w = w.astype(float)
            w.flags.writeable = False
        else:
            w, v = w.astype(form), v.astype(form)
        assert_optimal(monge.emd(BASE, w, v), BASE, w, v)

    def test_bool_cost(self):
        B = BASE > 2
        assert_optimal(monge.emd(B), B)

    @pytest.mark.parametrize("shape", [(6, 4), (1, 4), (6, 1), (130, 140)])
    @pytest.mark.parametrize("base", ["row", "column", "scalar"])
    def test_broadcast(self, base, shape):
        rng = np.random.default_rng(0)
        values = {"row": rng.random((1, shape[1])), "column": rng.random((shape[0], 1)), "scalar": rng.random((1, 1))}
        B = np.broadcast_to(values[base], shape)
        assert_optimal(monge.emd(B), B)

    def test_integer_points(self):
        x, y = np.array([[0, 0], [200, 0]], dtype=np.uint8), np.array([[0, 100], [255, 255]], dtype=np.uint8)
        D = squared(x.astype(float), y.astype(float))
        assert_optimal(monge.emd(monge.PointCloud(x, y)), D)

    def test_points_on_the_line(self):
        assert monge.emd(monge.PointCloud([0, 1, 2], [[3], [4], [5]], "cityblock")).value == pytest.approx(
            3.0, rel=1e-15, abs=0
        )

    def test_mixed_precision_points(self):
        t = monge.emd(monge.PointCloud(X.astype(np.float32), Y + 1e-9))
        assert_optimal(t, squared(X, Y + 1e-9))

    def test_tiny_points(self):
        # Their squares are below the smallest float32, their distances are not.
        x, y = np.zeros((1, 1), dtype=np.float32), np.full((1, 1), 1e-30, dtype=np.float32)
        assert monge.emd(monge.PointCloud(x, y, "euclidean")).value == pytest.approx(1e-30, rel=1e-6, abs=0)

    @pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
    @pytest.mark.parametrize("cost", ["euclidean", "cityblock", ("euclidean", 1.25)])
    def test_scale_of_points(self, scale, cost):
        plain = monge.emd(monge.PointCloud(X, Y, cost)).value
        power = cost[1] if isinstance(cost, tuple) else 1.0
        scaled = monge.emd(monge.PointCloud(X * scale, Y * scale, cost)).value
        assert scaled == pytest.approx(plain * scale**power, rel=1e-13, abs=0)

    def test_one_by_one(self):
        t = monge.emd([[7.0]])
        assert t.value == 7.0
        assert t.plan.toarray().tolist() == [[1.0]]

    @pytest.mark.parametrize("total", [1e-270, 1e-30, 1e17, 1e18, 1e19, 1e30, 1e270])
    def test_extreme_totals(self, total):
        rng = np.random.default_rng(0)
        B = rng.random((6, 7))
        a, b = rng.integers(1, 9, 6), rng.integers(1, 9, 7)
        a, b = a / a.sum() * total, b / b.sum() * total
        assert_optimal(monge.emd(B, a, b), B, a, b)

    @pytest.mark.parametrize("total", [1e-300, 5e-324, 1e300])
    def test_totals_beyond_reach(self, total):
        with pytest.raises(ValueError, match=r"total between.*Rescale"):
            monge.emd(np.ones((2, 2)), np.array([1.0, 0.0]) * total, np.array([0.0, 1.0]) * total)

    def test_weights_below_resolution(self):
        # 1e-30 of the total is mass all the same: it travels, and nothing is said to be infeasible.
        a = np.array([1.0, 1e-30, 1e-25])
        assert_optimal(monge.emd(np.eye(3), a / a.sum(), a[::-1] / a.sum()), np.eye(3), a / a.sum(), a[::-1] / a.sum())

    def test_inputs_are_not_modified(self):
        rng = np.random.default_rng(0)
        cost = rng.random((150, 140))
        cost[rng.random(cost.shape) < 0.1] = np.inf
        a, b = rng.integers(0, 5, 150).astype(float), rng.integers(1, 5, 140).astype(float)
        a, b = a / a.sum(), b / b.sum()
        x, y = rng.normal(size=(150, 2)), rng.normal(size=(140, 2))
        f, g = rng.normal(size=150), rng.normal(size=140)
        arrays = (cost, a, b, x, y, f, g)
        before = [v.tobytes() for v in arrays]
        monge.emd(cost, a, b, init=(f, g))
        monge.emd(monge.PointCloud(x, y, "cosine"), a, b, init=(f, g))
        monge.wasserstein(x, y, a, b)
        assert [v.tobytes() for v in arrays] == before

    def test_result_does_not_alias_the_input(self):
        cost, a = np.random.default_rng(0).random((5, 5)), np.full(5, 0.2)
        t = monge.emd(cost, a, a)
        error = t.marginal_error
        again = monge.emd(cost, a, a)
        a[:] = 0.0
        assert again.marginal_error == error


class Frame:
    """As data frames and labelled series do: items have names, not numbers, and going through it gives the names."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.names = [f"column {k}" for k in range(self.values.shape[-1])]

    ndim = property(lambda self: self.values.ndim)
    shape = property(lambda self: self.values.shape)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __getitem__(self, name):
        if name not in self.names:
            raise KeyError(name)
        return self.values[..., self.names.index(name)]

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.values)


class Bare:
    """Nothing but an array in waiting."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


def frames():
    def of_pandas(values):
        pandas = pytest.importorskip("pandas")
        values = np.asarray(values)
        if values.ndim > 2:
            return values  # pandas has no such thing
        labels = [f"row {k}" for k in range(len(values))]
        return pandas.Series(values, index=labels) if values.ndim == 1 else pandas.DataFrame(values, index=labels)

    return pytest.mark.parametrize("frame", [Frame, Bare, of_pandas], ids=["labelled", "bare", "pandas"])


def approx(values):
    """Data frames keep their columns together, and sums in another order have another rounding."""
    return pytest.approx(values, rel=1e-13, abs=0)


class TestFrames:
    rng = np.random.default_rng(0)
    costs, a, b = rng.random((3, 4, 5)), rng.dirichlet(np.ones(4), size=3), rng.dirichlet(np.ones(5), size=3)

    @frames()
    def test_one_problem(self, frame):
        C, a, b = self.costs[0], self.a[0], self.b[0]
        assert monge.emd(frame(C), frame(a), frame(b)).value == approx(monge.emd(C, a, b).value)
        half = monge.partial(C, a, b, mass=0.5).value
        assert monge.partial(frame(C), frame(a), frame(b), mass=0.5).value == approx(half)
        t = monge.sinkhorn(C, a, b, eps=0.1)
        u = monge.sinkhorn(frame(C), frame(a), frame(b), eps=0.1, init=(frame(t.f), frame(t.g)))
        assert u.value == approx(monge.sinkhorn(C, a, b, eps=0.1, init=t).value)
        np.testing.assert_array_equal(t.plan @ frame(b), t.plan @ b)
        np.testing.assert_array_equal(t.map(frame(b)), t.map(b))
        P = t.plan.toarray()
        rounded = monge.round_plan(frame(P), frame(a), frame(b))
        np.testing.assert_allclose(rounded, monge.round_plan(P, a, b), rtol=1e-11)

    @frames()
    def test_batches(self, frame):
        for solve in (monge.emd, lambda *args: monge.sinkhorn(*args, eps=0.1)):
            values = [t.value for t in solve(self.costs, self.a, self.b)]
            listed = [frame(C) for C in self.costs], [frame(a) for a in self.a], [frame(b) for b in self.b]
            for given in ((frame(self.costs), frame(self.a), frame(self.b)), listed):
                assert [t.value for t in solve(*given)] == approx(values)
            shared = [t.value for t in solve(self.costs, self.a[0], self.b)]
            assert [t.value for t in solve(self.costs, frame(self.a[0]), frame(self.b))] == approx(shared)

    @frames()
    def test_points(self, frame):
        a, b = np.array([0.25, 0.75]), np.array([0.5, 0.25, 0.25])
        assert monge.wasserstein(frame(X), frame(Y), frame(a), frame(b)) == monge.wasserstein(X, Y, a, b)
        x, y = X[:, 0], Y[:, 0]
        assert monge.wasserstein_1d(frame(x), frame(y), frame(a), frame(b)) == monge.wasserstein_1d(x, y, a, b)

    @frames()
    def test_measures(self, frame):
        C = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
        D = monge.pairwise(self.b, cost=C)
        np.testing.assert_array_equal(monge.pairwise(frame(self.b), cost=frame(C)), D)
        np.testing.assert_array_equal(monge.pairwise([frame(b) for b in self.b], frame(self.b), cost=C), D)
        D = monge.pairwise([(X, self.a[0][:2] / self.a[0][:2].sum()), Y])
        weighted = frame(X), frame(self.a[0][:2] / self.a[0][:2].sum())
        np.testing.assert_array_equal(monge.pairwise([weighted, frame(Y)]), D)
        stack = self.rng.random((3, 4, 2))
        np.testing.assert_array_equal(monge.pairwise(frame(stack)), monge.pairwise(stack))


@pytest.mark.parametrize("values", [(k for k in range(3)), {1: 2}, {1.0, 2.0}, {}.values()], ids=lambda v: str(type(v)))
def test_what_is_no_array_is_to_become_a_list(values):
    with pytest.raises(TypeError, match=r"cost should be an \(n, m\) matrix, of real numbers; got .*list\(\.\.\.\)"):
        monge.emd(values)
    with pytest.raises(TypeError, match=r"one per row of the cost, of real numbers; got"):
        monge.emd(C, values)
    with pytest.raises(TypeError, match=r"a should be an array, a list of one array per problem, or None; got"):
        monge.emd([C, C], values)


@pytest.mark.parametrize(
    "call",
    [
        lambda: monge.emd(C, [np.nan, 1.0]),
        lambda: monge.emd(C, np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0])),
        lambda: monge.emd(C, time_limit=np.float64(-1.0)),
        lambda: monge.emd(C, threads=np.float64(2.0)),
        lambda: monge.partial(C, mass=np.float64(7.0)),
        lambda: monge.sinkhorn(C, eps=np.float64(np.nan)),
        lambda: monge.sinkhorn(C, eps=1.0, max_iter=np.int64(-1)),
        lambda: monge.wasserstein(X, Y, p=np.float64(np.nan)),
        lambda: monge.wasserstein_1d([0.0], [1.0], period=np.float64(-1.0)),
        lambda: monge.wasserstein_1d([np.nan], [1.0]),
        lambda: monge.PointCloud(X, [[np.nan, 0.0]]),
        lambda: monge.PointCloud(X, Y, ("cosine", np.float64(2.0))),
        lambda: monge.Grid((2, 3), spacing=(np.float64(1.0),)),
        lambda: monge.Grid((np.int64(0), 3)),
        lambda: monge.KL(np.float64(-1.0)),
        lambda: monge.pairwise([X, Y], cost=C, p=np.float64(2.0)),
    ],
)
def test_numbers_in_texts_are_plain(call):
    with pytest.raises(ValueError, match=r".") as caught:
        call()
    assert "np." not in str(caught.value)
    assert "," + ";" not in str(caught.value)


@pytest.mark.parametrize("p", ["two", "2", None, [2.0], np.array([2.0]), 2j])
@pytest.mark.parametrize("distance", [monge.wasserstein, monge.wasserstein_1d, monge.emd_1d])
def test_an_exponent_is_a_number(distance, p):
    with pytest.raises(TypeError, match="p should be a finite number >= 1; got"):
        distance([0.0, 1.0], [2.0], p=p)
    with pytest.raises(TypeError, match="period should be a positive, finite circumference, or None for the line; got"):
        monge.wasserstein_1d([0.0], [1.0], period="2" if p is None else p)
    if p is not None:
        with pytest.raises(TypeError, match="p should be a finite number >= 1; got"):
            monge.pairwise([X, Y], p=p)


def test_integers_beyond_double_are_no_numbers():
    with pytest.raises(ValueError, match="p should be a finite number >= 1; got an integer beyond float64"):
        monge.wasserstein(X, Y, p=10**400)


def test_more_threads_than_there_can_be():
    assert monge.emd(C, threads=10**30).value == monge.emd(C).value
    assert monge.sinkhorn(C, eps=0.1, threads=10**30).value == monge.sinkhorn(C, eps=0.1).value
    assert monge.wasserstein_1d([0.0], [1.0], threads=2**31) == 1.0


@pytest.mark.parametrize("nothing", [[], (), np.zeros((0, 4, 4))], ids=["list", "tuple", "array"])
def test_no_problems_no_answers(nothing):
    assert monge.emd(nothing) == []
    assert monge.sinkhorn(nothing, eps=0.1) == []


class TestMassesTimesCosts:
    """That a value is no number is an error, not an answer."""

    big = np.array([2e200, 2e200])
    C = np.array([[0.0, 1e120], [1.0, 0.0]])

    @pytest.mark.parametrize(
        "solve",
        [
            lambda C, a, b: monge.emd(C, a, b),
            lambda C, a, b: monge.emd([C], [a], [b]),
            lambda C, a, b: monge.emd(coo_array(C + 1.0), a, b),
            lambda C, a, b: monge.partial(C, a, b, mass=3e200),
            lambda C, a, b: monge.pairwise([a], [b], cost=C),
            lambda C, a, b: monge.emd_1d([0.0, 0.0], [0.0, 1e120], a, b),
            lambda C, a, b: monge.sinkhorn(C, a, b, eps=1.0),
            lambda C, a, b: monge.sinkhorn(C, a, b, eps=1.0, marginals=monge.KL(1.0)),
            lambda C, a, b: monge.sinkhorn(monge.PointCloud([0.0, 1.0], [1.0, 0.0]), a, b, eps=1.0),
        ],
    )
    def test_what_overflows(self, solve):
        text = r"masses times costs overflow float64; got a\.sum\(\) = 4e\+200 and b.*Rescale the weights"
        with pytest.raises(ValueError, match=text):
            solve(self.C, self.big, np.array([0.0, 4e200]))

    def test_what_does_not(self):
        C = np.minimum(self.C, 1.0)
        assert monge.emd(C, self.big, np.array([0.0, 4e200])).value == pytest.approx(2e200)
        assert monge.emd_1d([0.0, 0.0], [1e50, 0.0], self.big, self.big).value == pytest.approx(2e250)
        t = monge.sinkhorn(C, self.big * 1e-60, self.big * 1e-60, eps=0.1)
        assert np.isfinite([t.value, t.cost, t.gap]).all()
