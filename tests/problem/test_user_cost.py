"""Ground costs that users write: what they compute, what is asked of them, and what becomes of their code."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import subprocess
import sys
from math import pi, sqrt
from typing import NamedTuple

import cases
import numba
import numpy as np
import pytest
from cases import USER_COSTS

import monge
from monge.problem import compiled, double, kept, single
from monge.problem.kept import digest
from monge.problem.narrow import Functions, frozen, narrow
from monge.problem.user_cost import GroundCost

# A guard against hanging, not a measurement.
HANG = 300
EPS = np.finfo(np.float64).eps

rng = np.random.default_rng(0)


def clouds(d: int, n: int = 37, m: int = 70):
    return rng.normal(size=(n, d)), rng.normal(size=(m, d))


# --- Numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", USER_COSTS)
def test_costs_are_those_of_the_function(name):
    cost, _, formula, d = USER_COSTS[name]
    x, y = clouds(d)
    cloud, right = monge.PointCloud(x, y, cost), formula(x, y)
    np.testing.assert_allclose(cloud.block(slice(None)), right, rtol=1e-13, atol=1e-14)
    if name in ("squared in 9", "uphill"):
        np.testing.assert_allclose(cloud.T.block(slice(3, 9)), right.T[3:9], rtol=1e-13, atol=1e-14)
        rows, columns = np.array([0, 5, 36]), np.array([69, 1, 2])
        np.testing.assert_allclose(cloud.at(rows, columns), right[rows, columns], rtol=1e-13, atol=1e-14)
    assert cloud.error_in_single <= 2e-6 * np.abs(right).max()
    assert cloud.largest(0.0) <= np.abs(right).max() * (1.0 + 1e-14)


@pytest.mark.parametrize(
    ("d", "dtype"), [*((d, np.float64) for d in (1, 2, 3, 8, 9, 64)), (3, np.float32), (9, np.float32)]
)
def test_squares_as_built_in(d, dtype):
    x, y = (points.astype(dtype) for points in clouds(d))
    cloud, right = monge.PointCloud(x, y, cases.user_squared), monge.PointCloud(x, y)
    assert cloud.dtype == right.dtype == dtype
    np.testing.assert_allclose(cloud.block(slice(None)), right.block(slice(None)), rtol=1e-14)
    for points in ((x[:1], y), (x, y[:1]), (x[:1], y[:1])):
        values = [monge.emd(monge.PointCloud(*points, cost)).value for cost in (cases.user_squared, "sqeuclidean")]
        assert values[0] == pytest.approx(values[1], rel=1e-14 if dtype == np.float64 else 1e-6)


def test_large_matrices_are_filled_by_threads():
    x, y = clouds(3, 1100, 1000)
    cost = GroundCost(cases.user_squared)
    one, two = (cost.matrix(x, y, threads=threads) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()
    np.testing.assert_allclose(one, cases.squared(x, y), rtol=1e-13)


@pytest.mark.parametrize("name", [name for name, (_, gradient, _, _) in USER_COSTS.items() if gradient])
def test_derivatives(name):
    cost, gradient, formula, d = USER_COSTS[name]
    x, y = clouds(d, 9, 9)
    each, step = np.arange(9), 1e-6
    both = GroundCost(cost, gradient).derivatives(x, y)
    for k in range(d):
        z = step * np.eye(d)[k]
        for found, moved in zip(both, ((z, 0.0), (0.0, z)), strict=True):
            slopes = (formula(x + moved[0], y + moved[1]) - formula(x - moved[0], y - moved[1]))[each, each] / (
                2 * step
            )
            np.testing.assert_allclose(found[:, k], slopes, rtol=1e-6, atol=1e-8)


def test_no_derivative_adds_nothing():
    def slope(x, y, out):
        out[0] = (x[0] - y[0]) / abs(x[0] - y[0])

    cost = GroundCost(lambda x, y: abs(x[0] - y[0]), slope)
    with np.errstate(all="raise"), pytest.raises(ValueError, match="the gradient failed: ZeroDivisionError"):
        monge.PointCloud([[1.0]], [[1.0]], cost)
    found = cost.derivatives(np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]]))
    np.testing.assert_array_equal(found[0][:, 0], [0.0, -1.0])
    np.testing.assert_array_equal(found[1][:, 0], [0.0, 1.0])


# Name -> arguments.
RANGES = {
    "exp2": (np.linspace(-125.0, 126.0, 4001),),
    "exp": (np.linspace(-9.0, 9.0, 4001),),
    "log2": (np.geomspace(1e-37, 1e37, 4001),),
    "log": (np.linspace(0.3, 3.0, 4001),),
    "log10": (np.geomspace(1e-3, 1e3, 4001),),
    "pow": (np.linspace(0.0, 9.0, 4001), 1.7),
    "sqrt": (np.linspace(0.0, 9.0, 4001),),
    "sin": (np.linspace(-20.0, 20.0, 4001),),
    "cos": (np.linspace(-20.0, 20.0, 4001),),
    "tan": (np.linspace(-1.5, 1.5, 4001),),
    "asin": (np.linspace(-1.0, 1.0, 4001),),
    "acos": (np.linspace(-1.0, 1.0, 4001),),
    "hypot": (np.linspace(-3.0, 3.0, 4001), 0.7),
}


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_functions_are_those_of_math(name, real):
    function = getattr(single.SINGLE if real == np.float32 else double.DOUBLE, name)
    x, *more = RANGES[name]
    x, more = x.astype(real), [real(one) for one in more]

    @numba.njit
    def loop(x, more, out):
        for k in range(len(x)):
            out[k] = function(x[k], *more)

    out = np.empty_like(x)
    loop(x, tuple(more), out)
    exact = [getattr(math, name)(float(one), *map(float, more)) for one in x]
    if real == np.float32:
        size = 1.0 if name in ("sin", "cos", "acos", "asin") else 1e-30
        np.testing.assert_allclose(out, exact, rtol=1e-6, atol=2e-7 * size)
    else:
        np.testing.assert_allclose(out, exact, rtol=(16.0 if name == "pow" else 2.1) * EPS, atol=1e-300)


SPECIAL = np.array([-0.0, 0.0, 1.0, -1.0, 2.0, -2.0, 0.5, math.inf, -math.inf, math.nan, 800.0, -1100.0])
POWERS = [1.7, 2.0, 3.0, 0.0, -1.0, -0.5]


@pytest.mark.parametrize("name", ["exp2", "exp", "log2", "log", "log10", "sin", "cos", "asin", "acos", *POWERS])
def test_functions_in_double_precision_know_special_numbers(name):
    more = () if isinstance(name, str) else (name,)
    function = getattr(double.DOUBLE, name if isinstance(name, str) else "pow")
    x = SPECIAL if not more else SPECIAL[1:] if name == round(name) else SPECIAL[-math.inf < SPECIAL]

    @numba.njit
    def loop(x, more, out):
        for k in range(len(x)):
            out[k] = function(x[k], *more)

    out = np.empty_like(x)
    loop(x, more, out)
    with np.errstate(all="ignore"):
        exact = getattr(np, {"asin": "arcsin", "acos": "arccos"}.get(name, name) if not more else "power")(x, *more)
    np.testing.assert_allclose(out, exact, rtol=16 * EPS, atol=2 * EPS)


# --- Copies -----------------------------------------------------------------------------------------------------------


class Held:
    """What no compiler takes."""


HELD = Held()


class Scale(NamedTuple):
    size: float
    power: int


SCALE = Scale(0.5, 3)
OFFSETS = np.array([0.25, 0.5])


def helper(t):
    return SCALE.size * t if t < pi else sqrt(t)


def down(k):
    return 1.0 if k < 1 else 0.5 * down(k - 1)


def closure(s):
    def cost(x, y, p=1.5):
        inner = [math.pi * q for q in (1.0, 2.0)]
        return s * helper(x[0] - y[0]) ** SCALE.power + math.exp(-p) + OFFSETS[1] + inner[1] + down(2) + cases.math.e

    return cost


FUNCTIONS = {
    "closure": closure(2.5),
    "compiled": numba.njit(closure(1.5)),
    "lambda": lambda x, y: 0.5 * abs(x[0] - y[0]) + np.sqrt(2.0),
    "module": lambda x, y: cases.huber(x, y) + 0.1,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_copies_compute_in_their_precision(name):
    function, (x, y) = FUNCTIONS[name], ((1.3,), (0.4,))
    right = getattr(function, "py_func", function)(x, y)
    assert frozen(function)(x, y) == right
    exact = {f: getattr(np, f) for f in ("exp", "sqrt")}
    narrowed = narrow(frozen(function), Functions(np.float32, **exact), lambda copy: copy)
    found = narrowed((np.float32(1.3),), (np.float32(0.4),))
    assert type(found) is np.float32
    assert found == pytest.approx(right, rel=1e-6)


def test_a_cost_holds_on_to_what_it_was_made_with(monkeypatch):
    scale, table = 2.0, np.ones(3)

    def cost(x, y):
        return scale * abs(x[0] - y[0]) + table[1] + helper(1.0)

    made = GroundCost(cost)
    before = made.function((1.0,), (3.0,))
    scale, table[1] = 5.0, 7.0
    monkeypatch.setitem(globals(), "SCALE", Scale(9.0, 1))
    assert made.function((1.0,), (3.0,)) == before
    assert monge.emd(monge.PointCloud([[1.0]], [[3.0]], made)).value == before
    assert GroundCost(cost).function((1.0,), (3.0,)) != before


def test_transposed_and_pickled():
    cost = GroundCost(cases.uphill, (cases.uphill_slopes, cases.uphill_slopes_back), name="climb")
    x, y = (1.0, 0.0), (3.0, 1.0)
    assert cost.T.T is cost
    for one in (cost, pickle.loads(pickle.dumps(cost))):
        assert one.name == "climb"
        assert one.function(x, y) == one.T.function(y, x) == cases.uphill(x, y)
        out = np.zeros((3, 2))
        one.gradients[0](x, y, out[0])
        one.gradients[1](y, x, out[1])
        one.T.gradients[1](y, x, out[2])
        np.testing.assert_array_equal(out[2], out[0])
        assert (out[0] != out[1]).any()
    assert pickle.loads(pickle.dumps(cost.T)).function(y, x) == cases.uphill(x, y)
    cloud = monge.PointCloud(*clouds(2), cost)
    right = cloud.T.stripe(slice(0, 4))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cloud)).T.stripe(slice(0, 4)), right)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(GroundCost(lambda x, y: 0.0))


# --- Errors -----------------------------------------------------------------------------------------------------------


def generator(x, y):
    yield 1.0


def unknown_to_numba(x, y):
    distance = abs(x[0] - y[0])
    return [distance, "far"] if distance > 9.0 else distance


BAD = {
    "builtin": (math.dist, TypeError, r"made by def or lambda; got <built-in function dist>"),
    "one point": (lambda x: 0.0, TypeError, r"function c\(x, y\) of two points; got <lambda>\(x\)"),
    "keyword": (lambda x, y, *, p: 0.0, TypeError, "of two points"),
    "arrays": (lambda x, y: x - y, ValueError, r"failed \(<lambda> at x\[0\], y\[0\]\): TypeError.*index the coordin"),
    "outside": (lambda x, y: x[2], ValueError, "IndexError"),
    "None": (lambda x, y: None, TypeError, "return a real number; got None"),
    "complex": (lambda x, y: 1j * x[0], TypeError, "return a real number; got"),
    "array": (lambda x, y: np.array([x[0]]), TypeError, r"return a real number; got array\("),
    "generator": (generator, TypeError, "return a real number"),
    "NaN": (lambda x, y: math.nan, ValueError, r"not NaN or -inf; got nan \(<lambda> at x\[0\], y\[0\]\)"),
    "-inf": (lambda x, y: -math.inf, ValueError, "got -inf"),
    "unknown": ("huber", ValueError, r"or a function c\(x, y\) of two points; got 'huber'"),
    "asymmetric": (
        GroundCost(cases.uphill, cases.uphill_slopes),
        ValueError,
        r"symmetric cost; uphill\(x\[0\], y\[0\]\) = .* gradient=\(dcx, dcy\)",
    ),
    "gradient that returns": (
        GroundCost(cases.huber, lambda x, y, out: out),
        TypeError,
        r"should return nothing; got array.* out\[k\] = ",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_cost_is_refused_at_once(name):
    cost, error, text = BAD[name]
    with pytest.raises(error, match=text):
        monge.PointCloud([[0.0, 0.0], [1.0, 2.0]], [[1.0, 1.0]], cost)


def test_gradients_are_functions_of_three():
    for gradient in (cases.huber, (cases.huber_slopes, cases.huber)):
        with pytest.raises(TypeError, match=r"dc\(x, y, out\).*; got huber\(x, y\)"):
            GroundCost(cases.huber, gradient)
    with pytest.raises(TypeError, match=r"a pair of them.*; got 1 items"):
        GroundCost(cases.huber, (cases.huber_slopes,))


def test_what_cannot_be_compiled_is_quoted():
    cloud = monge.PointCloud([[0.0]], [[1.0]], unknown_to_numba)
    with pytest.raises(TypeError, match=r"cannot compile the cost unknown_to_numba, in the line .*distance, .far.*: "):
        monge.emd(cloud)
    with pytest.raises(TypeError, match="cannot compile the cost unknown_to_numba"):
        monge.sinkhorn(cloud, eps=1.0)


def test_gradients_that_are_missing():
    cloud = monge.PointCloud([[0.0]], [[1.0]], cases.huber)
    for t in (monge.emd(cloud), monge.sinkhorn(cloud, eps=1.0)):
        with pytest.raises(TypeError, match=r"derivative of the cost huber. Pass GroundCost\(c, gradient=dc\)"):
            t.grad_x  # noqa: B018


def test_numbers_that_are_none_are_found_beyond_the_first():
    x = np.linspace(0.0, 1.0, 64)
    cloud = monge.PointCloud(x, x, lambda x, y: math.nan if x[0] > 0.99 and y[0] > 0.4 else abs(x[0] - y[0]))
    for solve in (monge.emd, lambda cost: monge.sinkhorn(cost, eps=1.0)):
        with pytest.raises(ValueError, match=r"not NaN or -inf; cost\[63, 26\] = nan"):
            solve(cloud)
    with pytest.raises(ValueError, match=r"got nan \(<lambda> at x\[63\], y\[28\]\)"):
        cloud.largest(0.0)


def test_nothing_is_known_of_other_distances():
    cloud = monge.PointCloud([[0.0]], [[1.0]], cases.huber)
    assert cloud.bound == math.inf
    assert not cloud.squared
    assert cloud.formed is None
    assert repr(cloud) == "PointCloud(shape=(1, 1), d=1, cost=GroundCost(huber))"
    for name in ("power", "distance", "reach", "placed"):
        with pytest.raises(AttributeError, match="has a function for its cost"):
            getattr(cloud, name)


# --- Machine code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["squared", "Huber", "power", "great circle"])
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_loops_are_vector_instructions(name, real, monkeypatch):
    monkeypatch.setattr(compiled, "_made", {})
    monkeypatch.setattr(compiled, "keep", lambda loop, key: loop)  # what comes from disk cannot be looked at
    cost, _, _, d = USER_COSTS[name]
    x, y = clouds(d)
    costs = GroundCost(cost).between(x, y, real)
    costs.fill(0, np.empty((1, 70), real))
    (text,) = costs._filler.inspect_llvm().values()
    body = re.search(r"^define [^\n]*@_ZN[^\n]*fill[^\n]*\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)[1]
    assert re.search(rf"fmul[^\n]* <\d+ x {'float' if real == np.float32 else 'double'}>", body)
    assert ("double" in body) is (real == np.float64)
    # Roots that are left for the last few columns are one instruction, too.
    called = {name for name in re.findall(r"call [^\n]*?@([\w.]+)\(", body) if not name.startswith("llvm.")}
    assert called <= {"sqrt", "sqrtf"}
    assert not re.search(r"@llvm\.(exp|log|pow|sin|cos)\w*\.f", body)


# --- On disk ----------------------------------------------------------------------------------------------------------

SCRIPT = """
import json, math, sys
import numba.core.event as event, numpy as np, monge
sys.path.insert(0, sys.argv[2])

def helper(t):
    return math.sqrt(t)

def make(s):
    return lambda x, y: s * helper(abs(x[0] - y[0]))

x = np.linspace(0.0, 1.0, 50)
with event.install_recorder("numba:compile") as compiled:
    cloud = monge.PointCloud(x, x[::-1] ** 2, make(float(sys.argv[1])))
    values = [monge.emd(cloud).value, monge.sinkhorn(cloud, eps=0.1).value, cloud.error_in_single]
print(json.dumps({"values": values, "compiled": len(compiled.buffer)}))
"""


def test_another_process_compiles_nothing_and_another_value_does(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    found = []
    for value in ("1.5", "1.5", "3.0"):
        command = [sys.executable, "-c", SCRIPT, value, str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=HANG, env=environment)
        assert result.returncode == 0, result.stderr
        found.append(json.loads(result.stdout))
    assert [bool(one["compiled"]) for one in found] == [True, False, True]
    assert found[0]["values"] == found[1]["values"]
    assert found[2]["values"][0] == pytest.approx(2.0 * found[0]["values"][0])


NO_MODULE = """
import math, numpy as np, monge
names = {"math": math}
exec("def cost(x, y):\\n    return 1.25 * math.sqrt(abs(x[0] - y[0]))", names)
assert names["cost"].__module__ is None
print(monge.sinkhorn(monge.PointCloud(np.arange(9.0), np.arange(9.0), names["cost"]), eps=1.0).value)
"""


ANOTHER_MODULE = NO_MODULE.replace('{"math": math}', '{"math": math, "__name__": "once_there"}').replace(
    "is None", "== 'once_there'"
)


@pytest.mark.parametrize("first", [NO_MODULE, ANOTHER_MODULE], ids=["none", "another"])
def test_a_function_of_no_module_is_found_again(first, tmp_path):
    """Such as one that `exec` made: what is on disk does not ask for its module, nor for one that had the same code."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    printed = []
    for script in (first, NO_MODULE):
        command = [sys.executable, "-c", script]
        result = subprocess.run(command, capture_output=True, text=True, timeout=HANG, env=environment)
        assert result.returncode == 0, result.stderr
        printed.append(result.stdout)
    assert printed[0] == printed[1]


def test_the_same_code_is_compiled_once():
    x, y = clouds(1)
    made = [GroundCost(closure(2.0)).between(x, y, np.float64)._filler for _ in range(2)]
    assert made[0] is made[1]


def test_without_a_directory_nothing_is_kept(monkeypatch):
    def refuse(*_):
        raise RuntimeError("cannot cache")

    monkeypatch.setattr(kept, "_Kept", refuse)
    monkeypatch.setattr(compiled, "_made", {})
    x, y = clouds(1)
    np.testing.assert_array_equal(GroundCost(lambda x, y: x[0] - y[0]).matrix(x, y), x - y[:, 0])


def test_digests_tell_apart_all_that_matters(monkeypatch):
    def cost(table, q=1.0):
        return lambda x, y: table[0] * helper(x[0]) + down(1) * cases.huber(x, y) * q

    first = digest(cost(OFFSETS))
    assert first == digest(cost(OFFSETS.copy()))
    assert len({first, digest(cost(2.0 * OFFSETS)), digest(cost((0.25, 0.5))), digest(cost(OFFSETS, 2.0))}) == 4
    with monkeypatch.context() as changed:
        changed.setitem(globals(), "SCALE", Scale(0.5, 2))
        assert digest(cost(OFFSETS)) != first
    with monkeypatch.context() as changed:
        changed.setattr(cases, "huber", cases.power_17)
        assert digest(cost(OFFSETS)) != first
    assert digest(cost(OFFSETS), __file__) != first
    for unknown in (object(), HELD, Held):  # of which the next process may know something else
        assert digest(cost(unknown)) != digest(cost(unknown))
