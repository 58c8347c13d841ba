"""POT's names: the same calls under both, and the same types, shapes, keys and values."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import ot
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import monge
import monge.compat.pot as shim
from monge.compat.pot.missing import missing_from

RNG = np.random.default_rng(5)
N, M = 6, 7


def weights(n, *columns):
    w = RNG.random((n, *columns)) + 0.1
    return w / w.sum(axis=0)


C = RNG.random((N, M))
A, B, B3 = weights(N), weights(M), weights(M, 3)
X, Y = RNG.random(N), RNG.random(M)
X2, Y2 = RNG.random((N, 2)), RNG.random((M, 2))
# A plan exists on these entries: all but a few.
SPARSE = sp.coo_array(
    np.where(RNG.random((N, M)) < 0.7, C, 0.0) + np.where(np.eye(N, M) + np.eye(N, M, 1) > 0, 1e-3, 0)
)
HALF = {"a": A.astype("f4"), "b": B.astype("f4"), "M": C.astype("f4")}

# Potentials are defined up to a constant, scalings up to a factor; what was iterated differs.
SHIFTED = {"u", "v", "log_u", "log_v", "logu", "logv", "alpha", "beta"}
COUNTED = {"niter", "n_iter"}


def same(ours, theirs, tol, key=None):
    """The same type all the way down, and the same values."""
    assert type(ours).__name__ == type(theirs).__name__, key
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for name in theirs:
            same(ours[name], theirs[name], tol, name)
    elif key == "err":
        assert all(type(each) is type(theirs[0]) for each in ours)
        assert ours[-1] <= max(theirs[-1], tol)
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other, tol, key)
    elif sp.issparse(theirs):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours.toarray(), theirs.toarray(), rtol=0, atol=tol)
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype
        assert ours.flags.writeable
        if key in SHIFTED | {"warmstart"}:
            assert ours.shape == theirs.shape
        elif key is None or not key.startswith("perms"):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, rtol=tol, atol=tol)
    elif key not in COUNTED and theirs is not None and not isinstance(theirs, str):
        assert ours == pytest.approx(theirs, rel=tol, abs=tol)


def both(call, tol=1e-9):
    theirs = call(ot)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = call(shim)
    same(ours, theirs, tol)
    return ours, theirs


# --- Signatures -------------------------------------------------------------------------------------------------------

NAMES = ["emd", "emd2", "emd_1d", "emd2_1d", "wasserstein_1d", "dist", "unif", "sinkhorn", "sinkhorn2"]
BREGMAN = ["sinkhorn_knopp", "sinkhorn_log", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling", "greenkhorn"]
OTHERS = [
    ("lp", "emd2_lazy"),
    ("unbalanced", "sinkhorn_unbalanced"),
    ("unbalanced", "sinkhorn_unbalanced2"),
    ("unbalanced", "sinkhorn_knopp_unbalanced"),
    ("partial", "partial_wasserstein"),
    ("partial", "partial_wasserstein2"),
    ("datasets", "make_1D_gauss"),
    ("datasets", "make_2D_samples_gauss"),
]
UTILS = ["euclidean_distances", "dist0", "kernel", "clean_zeros", "proj_simplex"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [pytest.param(getattr(shim, name), getattr(ot, name), id=name) for name in NAMES]
    + [pytest.param(getattr(shim.bregman, name), getattr(ot.bregman, name), id=name) for name in BREGMAN]
    + [pytest.param(getattr(shim.utils, name), getattr(ot.utils, name), id=name) for name in UTILS]
    + [pytest.param(getattr(getattr(shim, at), name), getattr(getattr(ot, at), name), id=name) for at, name in OTHERS],
)
def test_arguments_have_the_order_and_the_defaults_of_pot(ours, theirs):
    def seen(function):
        return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]

    assert seen(ours) == seen(theirs)


def test_submodules_are_modules():
    import monge.compat.pot.bregman as bregman
    import monge.compat.pot.lp as lp
    from monge.compat.pot.lp.solver_1d import wasserstein_1d
    from monge.compat.pot.utils import dist

    assert bregman.sinkhorn is shim.sinkhorn
    assert lp.emd is shim.emd
    assert dist is shim.dist
    assert wasserstein_1d is shim.wasserstein_1d


def test_every_name_of_pot_is_there_or_says_what_to_use():
    missing = [name for name in ot.__all__ if name in dir(ot) and name not in dir(shim)]
    assert "gromov_wasserstein" in missing
    for name in missing:
        with pytest.raises(AttributeError, match=rf"{name}: .*`import ot`"):
            getattr(shim, name)
    with pytest.raises(AttributeError, match=r"Use monge.sliced_wasserstein; or"):
        shim.sliced_wasserstein_distance  # noqa: B018
    with pytest.raises(AttributeError, match=r"monge\.compat\.pot\.lp has no free_support_barycenter"):
        shim.lp.free_support_barycenter  # noqa: B018
    with pytest.raises(AttributeError, match=r'Use monge.TransportMap\("group"\); or'):
        missing_from("ot.da")("SinkhornL1l2Transport")
    assert not hasattr(shim, "__path_of_nothing__")


def test_what_is_said_of_missing_averages_and_structures_is_what_pot_computes():
    rng = np.random.default_rng(0)
    histograms = rng.dirichlet(np.ones(9), 3)
    x, grid, w, reg = np.arange(9.0), np.arange(3.0) / 2.0, np.array([0.2, 0.3, 0.5]), 0.2
    M = (x[:, None] - x) ** 2 / 64.0
    found = monge.barycenter(histograms, M, w, eps=reg, tol=1e-9).weights
    # Its default method starts from a mean with equal weights, and ends elsewhere; the others do not.
    wanted = ot.barycenter(histograms.T, M, reg, w, method="sinkhorn_log", stopThr=1e-12)
    np.testing.assert_allclose(found, wanted, atol=1e-7)
    images = histograms.reshape(3, 3, 3)
    found = monge.barycenter(images.reshape(3, -1), monge.Grid((3, 3), spacing=grid[1]), w, eps=reg, tol=1e-9).weights
    wanted = ot.bregman.convolutional_barycenter2d(images, reg, w, stopThr=1e-12)
    np.testing.assert_allclose(found.reshape(3, 3), wanted, atol=1e-6)
    C1, C2, p, q = (x[:, None] - x) ** 2, rng.random((5, 5)), histograms[0], np.full(5, 0.2)
    C2, features, start = C2 + C2.T, rng.random((9, 5)), np.outer(p, q)
    t = monge.gromov_wasserstein(
        monge.CostMatrix(C1), monge.CostMatrix(C2), p, q, features=features, alpha=0.3, init=start
    )
    wanted = ot.gromov.fused_gromov_wasserstein2(features, C1, C2, p, q, alpha=0.3, G0=start, tol_rel=1e-12)
    assert t.value == pytest.approx(wanted, rel=1e-9)


# --- Exact transport --------------------------------------------------------------------------------------------------

EMD_FORMS = {
    "arrays": lambda f: f(A, B, C),
    "lists": lambda f: f(A.tolist(), B.tolist(), C.tolist()),
    "empty lists": lambda f: f([], [], C),
    "empty arrays": lambda f: f(np.array([]), np.array([]), C),
    "one empty": lambda f: f([], B, C),
    "None": lambda f: f(None, B, C),
    "keywords": lambda f: f(a=A, b=B, M=C),
    "float32": lambda f: f(**HALF),
    "float32 empty": lambda f: f([], [], HALF["M"]),
    "float32 a": lambda f: f(HALF["a"], B, C),
    "float32 b, a a list": lambda f: f(A.tolist(), HALF["b"], C),
    "float32 b, a None": lambda f: f(None, HALF["b"], C),
    "float16 a": lambda f: f(np.array([2, 2, 1, 1, 1, 1], "f2") / np.float16(8), B, C),
    "counts in lists": lambda f: f([M] * N, [N] * M, C),
    "totals of 3": lambda f: f(3 * A, 3 * B, C),
    "integer costs": lambda f: f(A, B, (C * 1000).astype(int)),
    "Fortran order": lambda f: f(A, B, np.asfortranarray(C)),
    "every other": lambda f: f(A, B, np.repeat(np.repeat(C, 2, 0), 2, 1)[::2, ::2]),
    "totals apart by 1e-6": lambda f: f(A, B * (1 + 1e-6), C),
    "totals unchecked": lambda f: f(A, B * 2, C, check_marginals=False),
    "numItermax": lambda f: f(A, B, C, numItermax=10**7),
    "start": lambda f: f(A, B, C, potentials_init=(np.zeros(N), C.min(0))),
    "coo": lambda f: f(A, B, SPARSE),
    "csr, float32 a": lambda f: f(HALF["a"], HALF["b"], SPARSE.tocsr()),
    "sparse matrix": lambda f: f([], [], sp.csc_matrix(C)),
}


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("form", EMD_FORMS)
def test_emd(form, log):
    tol = 2e-3 if "16" in form else 2e-6 if "32" in form else 1e-9
    ours, theirs = both(lambda lib: EMD_FORMS[form](partial(lib.emd, log=log)), tol)
    if log:
        for name in ("u", "v"):
            np.testing.assert_allclose(ours[1][name], theirs[1][name], atol=max(tol, 1e-7))


@pytest.mark.parametrize("more", [{}, {"log": True}, {"return_matrix": True}, {"log": True, "return_matrix": True}])
@pytest.mark.parametrize("form", EMD_FORMS)
def test_emd2(form, more):
    tol = 2e-3 if "16" in form else 2e-6 if "32" in form else 1e-9
    both(lambda lib: EMD_FORMS[form](partial(lib.emd2, **more)), tol)


@pytest.mark.parametrize("more", [{}, {"log": True}, {"return_matrix": True}])
@pytest.mark.parametrize("b", [B3, B3[:, :1], B3.astype("f4")], ids=["three", "one", "float32"])
def test_emd2_of_columns_is_a_list(b, more):
    both(lambda lib: lib.emd2(A, b, C, **more), 1e-6 if b.dtype == np.float32 else 1e-9)


def test_emd2_of_columns_of_a_sparse_cost():
    both(lambda lib: lib.emd2(A, np.stack([B, B], 1), SPARSE))


def test_positional_arguments():
    """Each place means what it means in POT: the fourth of emd is numItermax, that of emd2 processes."""
    both(lambda lib: lib.emd(A, B, C, 1000, True, True, 1, True, None))
    both(lambda lib: lib.emd2(A, B, C, 1, 1000, True, True, True, 1, True, None))


def test_dual_variables_are_centred_and_feasible():
    u, v = (shim.emd(A, B, C, log=True)[1][name] for name in "uv")
    assert u @ A == pytest.approx(v @ B, abs=1e-12)
    assert u @ A + v @ B == pytest.approx(shim.emd2(A, B, C), abs=1e-12)
    assert (u[:, None] + v <= C + 1e-12).all()
    free = shim.emd(A, B, C, center_dual=False, log=True)[1]
    np.testing.assert_allclose(free["u"] - free["u"][0], u - u[0], atol=1e-12)


def test_zero_weights():
    a, b = A.copy(), B.copy()
    a[2], b[[0, 5]] = 0.0, 0.0
    a, b = a / a.sum(), b / b.sum()
    ours, theirs = shim.emd(a, b, C, log=True), ot.emd(a, b, C, log=True)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-12)
    assert not ours[0][2].any()
    assert not ours[0][:, [0, 5]].any()
    assert (ours[1]["u"][:, None] + ours[1]["v"] <= C + 1e-12).all()


def test_integer_weights_keep_their_plan():
    """POT cuts it to integers, with a warning."""
    a, b = np.array([1, 2]), np.array([2, 1])
    M = [[0.0, 1.0], [1.0, 0.0]]
    ours = shim.emd(a, b, M)
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, [[1, 0], [1, 1]])
    assert shim.emd2(a, b, M) == 1.0
    half = shim.emd(np.array([1, 1]), np.array([1, 1, 0, 0]) * 1, np.array([[0.0, 0.0, 9, 9], [0.0, 0.0, 9, 9]]) + 1)
    assert half.sum() == 2.0


def test_totals_that_differ():
    for call in (shim.emd, shim.emd2, ot.emd, ot.emd2):
        with pytest.raises(AssertionError, match="a and b vector must have the same sum"):
            call(A, B * 1.001, C)
    with pytest.raises(ValueError, match=r"monge\.partial"):
        shim.emd(A, B * 1.001, C)
    with pytest.raises(AssertionError, match="Dimension mismatch"):
        shim.emd(A[1:], B, C)
    with pytest.raises(AssertionError, match="same sum"):
        shim.emd2(A, B3 * [1.0, 1.0, 1.1], C)


@pytest.mark.parametrize(
    ("a", "b", "M", "error", "text"),
    [
        (A, B, C * np.nan, ValueError, "NaN"),
        (np.r_[-0.1, A[1:]], B, C, ValueError, "same sum|negative"),
        (np.r_[np.nan, A[1:]], B, C, ValueError, "finite"),
        (A * 0, B * 0, C, ValueError, "mass"),
        (A, B, np.where(np.arange(N)[:, None] == 0, np.inf, C), monge.InfeasibleError, "forbidden"),
        (A, B, C[0], ValueError, "matrix"),
        (A, B, C.astype(str), TypeError, "real numbers"),
        (A, B, C * 1j, TypeError, "real numbers"),
    ],
)
def test_bad_input(a, b, M, error, text):
    for call in (shim.emd, shim.emd2):
        with pytest.raises(error, match=text):
            call(a, b, M)


def test_costs_beyond_what_the_solver_takes_are_for_never():
    huge = C.copy()
    huge[0, :2] = 1.79e308
    G = shim.emd(A, B, huge)
    assert not G[0, :2].any()
    np.testing.assert_allclose(G.sum(1), A)
    assert shim.emd2(A, B, huge) == pytest.approx((G * C).sum())
    huge[0] = 1e300  # no other way
    assert shim.emd2(A, B, huge) == pytest.approx(A[0] * 1e300)
    np.testing.assert_allclose(shim.emd(A, B, huge).sum(1), A)
    assert shim.emd2(A, B, sp.coo_array(huge)) == pytest.approx(A[0] * 1e300)


@pytest.mark.parametrize("number", [2, "max", np.int64(1)])
def test_threads_change_nothing(number):
    np.testing.assert_array_equal(shim.emd(A, B, C, numThreads=number), shim.emd(A, B, C))


@pytest.mark.parametrize("number", [0, "all", 1.5, True])
def test_bad_threads(number):
    with pytest.raises(ValueError, match="numThreads"):
        shim.emd(A, B, C, numThreads=number)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_problem_costs_what_it_costs_in_pot(data):
    """Ties, zero weights, single places."""
    n, m = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    masses = st.integers(0, 4)
    a = np.array(data.draw(st.lists(masses, min_size=n, max_size=n).filter(any)), dtype=float)
    b = np.array(data.draw(st.lists(masses, min_size=m, max_size=m).filter(any)), dtype=float)
    a, b = a / a.sum(), b / b.sum()
    M = np.array(data.draw(st.lists(st.integers(0, 9), min_size=n * m, max_size=n * m)), dtype=float).reshape(n, m)
    value, log = shim.emd2(a, b, M, log=True, return_matrix=True)
    assert value == pytest.approx(ot.emd2(a, b, M), abs=1e-9)
    assert shim.emd2(a, b, M - 3) == pytest.approx(value - 3, abs=1e-9)  # where POT may find no plan
    G = log["G"]
    np.testing.assert_allclose(G.sum(1), a, atol=1e-12)
    np.testing.assert_allclose(G.sum(0), b, atol=1e-12)
    assert (G * M).sum() == pytest.approx(value, abs=1e-12)
    assert (log["u"][:, None] + log["v"] <= M + 1e-9).all()
    assert log["u"] @ a + log["v"] @ b == pytest.approx(value, abs=1e-9)
    P = shim.sinkhorn(a, b, M, 1.0)
    np.testing.assert_allclose(P.sum(1), a, atol=1e-12)
    np.testing.assert_allclose(P.sum(0), b, atol=1e-9)


# --- On the line ------------------------------------------------------------------------------------------------------

LINE_FORMS = {
    "uniform": lambda f: f(X, Y),
    "weights": lambda f: f(X, Y, A, B),
    "lists": lambda f: f(X.tolist(), Y.tolist(), A.tolist(), B.tolist()),
    "empty": lambda f: f(X, Y, [], []),
    "one empty": lambda f: f(X, Y, A, []),
    "columns": lambda f: f(X[:, None], Y[:, None]),
    "float32": lambda f: f(X.astype("f4"), Y.astype("f4"), HALF["a"], HALF["b"]),
    "cityblock": lambda f: f(X, Y, A, B, "cityblock"),
    "euclidean": lambda f: f(X, Y, A, B, metric="euclidean", p=3),
    "minkowski": lambda f: f(X, Y, A, B, "minkowski", 3.0),
    "sparse": lambda f: f(X, Y, A, B, dense=False),
    "totals of 3": lambda f: f(X, Y, 3 * A, 3 * B),
}


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("name", ["emd_1d", "emd2_1d"])
@pytest.mark.parametrize("form", LINE_FORMS)
def test_on_the_line(form, name, log):
    ours, _ = both(lambda lib: LINE_FORMS[form](partial(getattr(lib, name), log=log)), 1e-6 if "32" in form else 1e-9)
    if name == "emd_1d" and log and form != "sparse":
        rows, cols = ours[1]["perms_x_a"], ours[1]["perms_x_b"]
        assert ours[0][rows, cols].sum() == pytest.approx(ours[0].sum())


def test_on_the_line_of_integers_and_errors():
    G = shim.emd_1d(np.arange(2), np.arange(3))
    assert G.dtype == np.float64
    assert G.sum() == pytest.approx(1.0)  # POT cuts it to integers
    for lib in (shim, ot):
        with pytest.raises(AssertionError):
            lib.emd_1d(X2, Y)
        with pytest.raises(AssertionError, match="same sum"):
            lib.emd_1d(X, Y, A, 2 * B)
        with pytest.raises(ValueError, match="metric"):
            lib.emd_1d(X, Y, metric="cosine")
    lib = shim
    with pytest.raises(ValueError, match="p should be"):
        lib.emd2_1d(X, Y, metric="minkowski", p=0.5)
    with pytest.raises(AssertionError, match="Dimension mismatch"):
        lib.emd2_1d(X, Y, A[1:], B)
    np.testing.assert_allclose(shim.emd_1d(X, Y, A, 2 * B, check_marginals=False).sum(1), A)


@pytest.mark.parametrize("p", [1, 2, 2.5])
@pytest.mark.parametrize(
    "call",
    [
        lambda f, p: f(X, Y, p=p),
        lambda f, p: f(X, Y, A, B, p),
        lambda f, p: f(X, Y, A, B, p, True),
        lambda f, p: f(np.sort(X), np.sort(Y), A, B, p, False),
        lambda f, p: f(X2, Y2, p=p),
        lambda f, p: f(X2, Y2, A, B, p),
        lambda f, p: f(X2, Y2, weights(N, 2) * 0 + A[:, None], weights(M, 2) * 0 + B[:, None], p),
        lambda f, p: f(X.astype("f4"), Y.astype("f4"), p=p),
        lambda f, p: f(X2.astype("f4"), Y2.astype("f4"), p=p),
        lambda f, p: f(X, Y, 3 * A, 3 * B, p),
        lambda f, p: f(X2, Y2, A, B, p, return_plans=True),
    ],
)
def test_wasserstein_1d_is_the_power(call, p):
    both(lambda lib: call(lib.wasserstein_1d, p), 1e-6)


def test_wasserstein_1d_more():
    assert shim.wasserstein_1d(np.array([0.0]), np.array([3.0]), p=2) == 9.0
    value, (plan,) = shim.wasserstein_1d(X, Y, A, B, p=2, return_plans="coo_tuple")
    assert plan._fields == ("data", "rows", "cols")
    assert (plan.data * (X[plan.rows] - Y[plan.cols]) ** 2).sum() == pytest.approx(value)
    many = shim.wasserstein_1d(RNG.random((4, 3, 2)), RNG.random((5, 3, 2)))
    assert many.shape == (3, 2)
    assert shim.wasserstein_1d(np.arange(3), np.arange(3) + 1) == 1.0  # POT: a whole number, rounded down
    for lib in (shim, ot):
        with pytest.raises(AssertionError):
            lib.wasserstein_1d(X, Y, p=0.5)
    with pytest.raises(AssertionError, match="same sum"):
        shim.wasserstein_1d(X, Y, A, 2 * B)
    with pytest.raises(ValueError, match="columns"):
        shim.wasserstein_1d(X2, Y)


# --- Costs and small things -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize(
    "more",
    [
        {"metric": metric}
        for metric in ("sqeuclidean", "euclidean", "cityblock", "minkowski", "cosine", "correlation", "chebyshev")
    ]
    + [
        {"metric": "jaccard"},
        {"metric": "canberra"},
        {"metric": "seuclidean"},
        {"metric": "minkowski", "p": 3},
        {"metric": "minkowski", "p": 3, "w": np.array([1.0, 2.0])},
        {"metric": "sqeuclidean", "backend": "scipy"},
        {"metric": "sqeuclidean", "w": np.array([1.0, 2.0]), "backend": "scipy"},
        {"metric": lambda u, v: abs(u[0] - v[0])},
    ],
    ids=repr,
)
def test_dist(more, dtype):
    x, y = X2.astype(dtype), Y2.astype(dtype)
    both(lambda lib: lib.dist(x, y, **more), 1e-5 if dtype == "f4" else 1e-9)
    if "w" not in more:
        both(lambda lib: lib.dist(x, **more), 1e-3 if dtype == "f4" else 1e-7)


def test_dist_more():
    both(lambda lib: lib.dist(X2, Y2, "cityblock"))
    assert shim.dist(np.array([[0], [2]])).dtype == np.float64
    assert shim.dist([[0.0, 0.0]], [[3.0, 4.0]]) == 25.0
    near = np.array([[1e8, 0.0]])
    assert shim.dist(near, near + 1.0) == 2.0  # the expanded square has no digits left
    with pytest.raises(ValueError, match="Unknown Distance Metric"):
        shim.dist(X2, Y2, "foo")
    with pytest.raises(ValueError, match="w is for"):
        shim.dist(X2, Y2, w=np.ones(2))
    with pytest.raises(ValueError, match="dimension"):
        shim.dist(X2, Y2[:, :1])


@pytest.mark.parametrize(
    "call",
    [
        lambda lib: lib.unif(5),
        lambda lib: lib.unif(5, HALF["a"]),
        lambda lib: lib.unif(5, type_as=np.arange(3)),
        lambda lib: lib.utils.unif(3),
        lambda lib: lib.utils.dist0(4),
        lambda lib: lib.utils.dist0(4, method="lin_square"),
        lambda lib: lib.utils.euclidean_distances(X2, Y2),
        lambda lib: lib.utils.euclidean_distances(X2, Y2, squared=True),
        lambda lib: lib.utils.kernel(X2, Y2, sigma=0.5),
        lambda lib: lib.utils.clean_zeros(np.array([0.5, 0.0, 0.5]), np.array([1.0, 0.0]), C[:3, :2]),
        lambda lib: lib.utils.proj_simplex(X),
        lambda lib: lib.utils.proj_simplex(X2 * 3 - 1, 2.0),
    ],
)
def test_small_things(call):
    both(call, 1e-7)


def test_clock(capsys):
    shim.tic()
    assert 0.0 <= shim.toq() <= shim.toc("{} passed") < 1000.0
    assert capsys.readouterr().out.endswith(" passed\n")


# --- Entropic transport -----------------------------------------------------------------------------------------------

METHODS = ["sinkhorn", "sinkhorn_log", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling", "greenkhorn"]
SINKHORN_FORMS = {
    "arrays": lambda f: f(A, B, C, 0.3),
    "lists": lambda f: f(A.tolist(), B.tolist(), C.tolist(), 0.3),
    "empty": lambda f: f([], [], C, 0.3),
    "keywords": lambda f: f(a=A, b=B, M=C, reg=0.3),
    "float32": lambda f: f(reg=0.3, stopThr=1e-5, **HALF),
    "float32 M": lambda f: f(A, B, HALF["M"], 0.3, stopThr=1e-7),
    "float32 a": lambda f: f(HALF["a"], B, C, 0.3, stopThr=1e-7),
    "integer M": lambda f: f(A, B, (C * 10).astype(int), 3),
    "counts": lambda f: f(np.full(N, M), np.full(M, N), C, 0.3),
    "totals of 3": lambda f: f(3 * A, 3 * B, C, 0.3),
}


@pytest.mark.filterwarnings("ignore:Sinkhorn did not converge")  # POT's
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", SINKHORN_FORMS)
def test_sinkhorn(form, method):
    tol = 1e-5 if "32" in form else 1e-7
    most = 20_000 if method == "greenkhorn" else 200
    call = SINKHORN_FORMS[form]
    if form == "integer M" and method in ("sinkhorn_stabilized", "sinkhorn_epsilon_scaling"):
        with pytest.raises(TypeError):  # POT, whose arrays take the type of M
            call(partial(ot.sinkhorn, method=method))
        np.testing.assert_allclose(call(partial(shim.sinkhorn, method=method)), call(shim.sinkhorn), atol=1e-9)
        return
    both(lambda lib: call(partial(lib.sinkhorn, method=method, numItermax=most)), tol)
    ours, theirs = both(lambda lib: call(partial(lib.sinkhorn, method=method, numItermax=most, log=True)), tol)
    P, log = ours
    # The scalings, up to one factor, in whatever form they are logged.
    for lib_log in (log, theirs[1]):
        kernel = np.exp(
            -np.asarray(C if form != "integer M" else (C * 10).astype(int)) / (3 if "integer" in form else 0.3)
        )
        if "u" in lib_log:
            np.testing.assert_allclose(lib_log["u"][:, None] * kernel * lib_log["v"], P, atol=1e-4)
        for u, v, unit in (
            ("log_u", "log_v", 1),
            ("logu", "logv", 1),
            ("alpha", "beta", 3 if "integer" in form else 0.3),
        ):
            if u in lib_log:
                np.testing.assert_allclose(
                    np.exp(lib_log[u][:, None] / unit + lib_log[v] / unit) * kernel, P, atol=1e-4
                )


@pytest.mark.parametrize("method", METHODS)
def test_sinkhorn2_is_the_cost_without_entropy(method):
    value = shim.sinkhorn2(A, B, C, 0.3, method)
    assert type(value) is np.float64
    assert value == pytest.approx((shim.sinkhorn(A, B, C, 0.3) * C).sum(), rel=1e-9)
    assert value == pytest.approx(monge.sinkhorn(C, A, B, eps=0.3, tol=1e-10).cost, rel=1e-8)
    if method in METHODS[:3]:
        both(lambda lib: lib.sinkhorn2(A, B, C, 0.3, method=method), 1e-8)
        both(lambda lib: lib.sinkhorn2(A, B, C, 0.3, method=method, log=True), 1e-8)
    half = shim.sinkhorn2(**HALF, reg=0.3)
    assert type(half) is np.float32


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("name", ["sinkhorn", "sinkhorn2"])
@pytest.mark.parametrize("method", METHODS)
def test_columns_give_losses(method, name, log):
    ours = getattr(shim, name)(A, B3, C, 0.3, method, log=log)
    losses = ours[0] if log else ours
    each = [shim.sinkhorn2(A, b, C, 0.3) for b in B3.T]
    np.testing.assert_allclose(losses, each, rtol=1e-8)
    if method in METHODS[:3]:
        both(lambda lib: getattr(lib, name)(A, B3, C, 0.3, method=method, log=log), 1e-7)
    one = getattr(shim, name)(A, B3[:, :1], C, 0.3, method)
    assert one.shape == (1,)


@pytest.mark.parametrize("name", BREGMAN)
def test_functions_of_the_methods(name):
    both(lambda lib: getattr(lib.bregman, name)(A, B, C, 0.3, log=True), 1e-7)


@pytest.mark.parametrize("threshold", [1e-2, 1e-5, 1e-9, 1e-13])
def test_stop_threshold_is_the_norm_of_what_columns_miss(threshold):
    P, log = shim.sinkhorn(A, B, C, 0.02, stopThr=threshold, log=True)
    missed = np.linalg.norm(P.sum(0) - B)
    assert missed <= threshold
    assert log["err"][-1] == pytest.approx(missed, abs=1e-16)
    np.testing.assert_allclose(P.sum(1), A, rtol=1e-14)  # as after POT's last half of an iteration


@pytest.mark.parametrize("most", [1, 3, 30])
def test_within_the_same_iterations_the_error_is_no_larger(most):
    rng = np.random.default_rng(3)
    M = shim.dist(rng.random((40, 2)), rng.random((50, 2)))
    with pytest.warns(UserWarning, match="numItermax"):
        theirs = ot.sinkhorn([], [], M, 0.01, numItermax=most)
    ours, log = shim.sinkhorn([], [], M, 0.01, numItermax=most, warn=False, log=True)
    assert np.linalg.norm(ours.sum(0) - 1 / 50) <= np.linalg.norm(theirs.sum(0) - 1 / 50)
    assert log["niter"] <= 2 * most


def test_warnings():
    with pytest.warns(UserWarning, match="numItermax"):
        shim.sinkhorn(A, B, C, 0.001, numItermax=1)
    shim.sinkhorn(A, B, C, 0.001, numItermax=1, warn=False)
    shim.sinkhorn2(A, B, C, 0.001, numItermax=1)
    with pytest.warns(UserWarning, match="numItermax"):
        shim.sinkhorn2(A, B, C, 0.001, numItermax=1, warn=True)


def test_a_reg_without_digits():
    with pytest.warns(UserWarning, match="below the digits"):
        P = shim.sinkhorn(A, B, C, 1e-20, warn=False)
    np.testing.assert_allclose(P.sum(1), A)
    with pytest.warns(UserWarning, match=r"numItermax|digits") as caught:  # of which there are none for the columns
        shim.sinkhorn(A, B, C, 1e-20)
    assert ["digits" in str(each.message) for each in caught] == [True, False]


def test_totals_that_differ_are_solved_for_that_of_a():
    """POT ends at the plan whose columns are in proportion to b, and warns."""
    with pytest.warns(UserWarning, match="did not converge"):
        theirs = ot.sinkhorn(A, 2 * B, C, 0.3)
    with pytest.warns(UserWarning, match="totals"):
        ours = shim.sinkhorn(A, 2 * B, C, 0.3)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_where_pot_underflows():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not np.allclose(ot.sinkhorn(A, B, C, 1e-4).sum(1), A)
    P, log = shim.sinkhorn(A, B, C, 1e-4, log=True, method="sinkhorn_log")
    np.testing.assert_allclose(P.sum(0), B, atol=1e-9)
    assert (P * C).sum() == pytest.approx(ot.emd2(A, B, C), abs=1e-3)
    assert np.isfinite(log["log_u"]).all()
    assert np.isfinite(log["log_v"]).all()


def test_zero_weights_and_forbidden_arcs():
    a = A.copy()
    a[1] = 0.0
    a /= a.sum()
    P, log = shim.sinkhorn(a, B, C, 0.3, log=True)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(P, ot.sinkhorn(a, B, C, 0.3), atol=1e-8)
    assert not P[1].any()
    assert log["u"][1] == 0.0
    M = C.copy()
    M[0, 0] = np.inf
    P = shim.sinkhorn(A, B, M, 0.3)
    assert P[0, 0] == 0.0
    assert shim.sinkhorn2(A, B, M, 0.3) == pytest.approx((P * C).sum())  # POT: NaN
    never = np.where(np.isinf(M), 1.79e308, M)
    np.testing.assert_array_equal(shim.sinkhorn(A, B, never, 0.3), P)
    unbalanced = shim.sinkhorn_unbalanced(A, B, never, 0.3, 1.0)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(P, ot.sinkhorn(A, B, never, 0.3), atol=1e-8)
        np.testing.assert_allclose(unbalanced, ot.sinkhorn_unbalanced(A, B, never, 0.3, 1.0), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_warm_starts_shorten(method):
    _, log = shim.sinkhorn(A, B, C, 0.02, method, log=True)
    scaled = {
        "sinkhorn_log": lambda: (log["log_u"], log["log_v"]),
        "sinkhorn_stabilized": lambda: log["warmstart"],
        "sinkhorn_epsilon_scaling": lambda: log["warmstart"],
    }.get(method, lambda: (np.log(log["u"]), np.log(log["v"])))()
    again, after = shim.sinkhorn(A, B, C, 0.02, method, log=True, warmstart=scaled)
    count = "niter" if "niter" in log else "n_iter"
    assert after[count] < log[count]
    np.testing.assert_allclose(again, shim.sinkhorn(A, B, C, 0.02), atol=1e-8)


@pytest.mark.parametrize("columns", [B3, B3[:, :2]], ids=["three", "two"])
def test_warm_starts_of_columns(columns):
    value, log = shim.sinkhorn(A, columns, C, 0.02, log=True)
    pair = np.log(log["u"]), np.log(log["v"])
    again, after = shim.sinkhorn(A, columns, C, 0.02, log=True, warmstart=pair)
    assert after["niter"] < log["niter"]
    np.testing.assert_allclose(again, value, rtol=1e-7)
    pairs = list(zip(pair[0].T, pair[1].T, strict=True))
    listed, after = shim.sinkhorn(A, columns, C, 0.02, "sinkhorn_log", warmstart=pairs, log=True)
    np.testing.assert_allclose(listed, value, rtol=1e-7)
    with pytest.raises(ValueError, match="warmstart"):
        shim.sinkhorn(A, columns, C, 0.02, warmstart=pairs[:1])


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ({"reg": 0.0}, ValueError, "reg"),
        ({"reg": -1.0}, ValueError, "reg"),
        ({"method": "foo"}, ValueError, "Unknown method"),
        ({"numIterMax": 3}, TypeError, "numIterMax"),
        ({"numItermax": 0}, ValueError, "numItermax"),
        ({"stopThr": float("nan")}, ValueError, "stopThr"),
        ({"b": np.empty((M, 0))}, ValueError, "column"),
        ({"M": sp.coo_array(C)}, TypeError, "full matrix"),
        ({"M": C * np.nan}, ValueError, "NaN"),
        ({"a": A[1:]}, AssertionError, "Dimension mismatch"),
        ({"a": -A}, ValueError, "negative"),
        ({"warmstart": (A,)}, ValueError, "pair"),
        ({"warmstart": (A, A)}, ValueError, "shape"),
    ],
)
def test_bad_input_of_sinkhorn(more, error, text):
    for call in (shim.sinkhorn, shim.sinkhorn2):
        with pytest.raises(error, match=text):
            call(**{"a": A, "b": B, "M": C, "reg": 0.3, **more})


def test_options_of_pot_are_taken(capsys):
    shim.sinkhorn(A, B, C, 0.3, "sinkhorn_stabilized", tau=1e5, print_period=10, verbose=True)
    assert "passes" in capsys.readouterr().out
    shim.bregman.sinkhorn_epsilon_scaling(A, B, C, 0.3, 100, 1e2, 50, 1e3, 1e-8)


# --- Unbalanced, partial, lazy ----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:If reg_type", "ignore:Method not")  # POT's
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"reg_type": "entropy"},
        {"reg_m": (1.0, 3.0)},
        {"reg_m": (1.0, float("inf"))},
        {"reg_m": [0.5]},
        {"c": np.ones((N, M)) / 50},
        {"method": "sinkhorn_stabilized"},
        {"method": "sinkhorn_translation_invariant"},
        {"method": "sinkhorn_reg_scaling"},
        {"a": [], "b": []},
        HALF,
    ],
    ids=lambda more: "float32" if more is HALF else ", ".join(more) or "plain",
)
def test_unbalanced(more):
    problem = {"a": A, "b": 2 * B, "M": C, "reg": 0.3, "reg_m": 1.0, "numItermax": 10_000, "stopThr": 1e-9} | more
    tol = 1e-5 if more is HALF else 1e-6
    ours = shim.unbalanced.sinkhorn_unbalanced(**problem, log=True)
    theirs = ot.unbalanced.sinkhorn_unbalanced(**problem, log=True)
    np.testing.assert_allclose(ours[0], theirs[0], atol=tol)
    assert ours[0].dtype == theirs[0].dtype
    assert set(ours[1]) == set(theirs[1])
    for name in ("logu", "logv", "cost", "total_cost"):
        same(ours[1][name], theirs[1][name], 1e-4 if more is HALF else 1e-5, None if name[0] != "l" else "warmstart")
        if np.isfinite(np.ravel(problem["reg_m"])).all():  # else up to a factor
            np.testing.assert_allclose(ours[1][name], theirs[1][name], rtol=1e-4, atol=1e-4)
    problem |= {"a": A, "b": B}
    both(lambda lib: lib.sinkhorn_unbalanced2(**problem), 1e-5)
    both(lambda lib: lib.sinkhorn_unbalanced2(**problem, returnCost="total"), 1e-5)


def test_unbalanced_more():
    plan, log = shim.sinkhorn_unbalanced(A, B, C, 0.02, 1.0, log=True)
    again, after = shim.sinkhorn_unbalanced(A, B, C, 0.02, 1.0, warmstart=(log["logu"], log["logv"]), log=True)
    assert len(after["err"]) < len(log["err"])
    np.testing.assert_allclose(again, plan, atol=1e-6)
    knopp = shim.unbalanced.sinkhorn_knopp_unbalanced
    plan = partial(knopp, reg=0.3, reg_m=1.0)(A, B, C)
    np.testing.assert_allclose(
        plan, monge.sinkhorn(C, A, B, eps=0.3, marginals=monge.KL(1.0), tol=1e-7).plan.toarray(), atol=1e-6
    )
    with pytest.warns(UserWarning, match="numItermax"):
        shim.sinkhorn_unbalanced(A, B, C, 0.01, 1.0, numItermax=1)
    balanced = shim.sinkhorn_unbalanced(A, B, C, 0.3, np.inf, stopThr=1e-9)
    np.testing.assert_allclose(balanced, shim.sinkhorn(A, B, C, 0.3), atol=1e-8)
    for more, text in (
        ({"method": "foo"}, "method"),
        ({"reg_type": "l2"}, "reg_type"),
        ({"reg_m": 0}, "reg_m"),
        ({"b": B3}, "columns"),
    ):
        with pytest.raises(ValueError, match=text):
            shim.sinkhorn_unbalanced(**{"a": A, "b": B, "M": C, "reg": 0.3, "reg_m": 1.0, **more})
    with pytest.raises(ValueError, match="returnCost"):
        shim.sinkhorn_unbalanced2(A, B, C, 0.3, 1.0, returnCost="foo")


@pytest.mark.parametrize("m", [None, 0.0, 0.3, 1.0])
def test_partial(m):
    if m == 1.0 or m is None:  # which POT's may call infeasible, as rounding has it
        value = shim.partial.partial_wasserstein2(A, 2 * B, C, m)
        assert type(value) is np.float64
        assert value == pytest.approx(monge.partial(C, A, 2 * B, mass=1.0).cost)
    else:
        both(lambda lib: lib.partial.partial_wasserstein(A, 2 * B, C, m))
        both(lambda lib: lib.partial.partial_wasserstein2(A, 2 * B, C, m))
    half = shim.partial.partial_wasserstein(**HALF, m=m)  # where POT may call rounded totals infeasible
    assert half.dtype == np.float32
    assert half.sum() == pytest.approx(1.0 if m is None else m, rel=1e-6)
    plan, log = shim.partial.partial_wasserstein(A, 2 * B, C, m, log=True)
    theirs = ot.partial.partial_wasserstein(A, 2 * B, C, 0.3, log=True)[1]
    assert set(theirs) <= set(log)
    assert log["cost"] == pytest.approx((plan * C).sum())
    log = shim.partial.partial_wasserstein2(A, 2 * B, C, m, log=True)[1]
    np.testing.assert_array_equal(log["T"], plan)


def test_partial_bad_input():
    for m in (-0.1, 3.0):
        for lib in (shim, ot):
            with pytest.raises(ValueError, match=r"mass|infeasible"):
                lib.partial.partial_wasserstein(A, B, C, m)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("more", [{}, {"log": True}, {"return_matrix": False}, {"log": True, "return_matrix": False}])
def test_lazy(metric, more):
    if metric == "cityblock":  # several plans are optimal
        more = more | {"return_matrix": False}
    both(lambda lib: lib.lp.emd2_lazy(X2, Y2, A, B, metric=metric, **more))
    both(lambda lib: lib.emd2_lazy(X2, Y2, [], [], metric, **more))
    both(lambda lib: lib.emd2_lazy(X2.astype("f4"), Y2.astype("f4"), **{**more, "log": True}), 1e-5)


def test_data_and_pictures_of_the_examples():
    both(lambda lib: lib.datasets.make_1D_gauss(50, m=20, s=5))
    both(lambda lib: lib.datasets.make_2D_samples_gauss(20, [0, 4], 0.5, random_state=3))
    both(lambda lib: lib.datasets.make_2D_samples_gauss(20, [0, 4], np.array([[1, 0.8], [0.8, 1]]), 3))
    plt = pytest.importorskip("matplotlib.pyplot", reason="needs the extra demo")
    import ot.plot

    plt.switch_backend("Agg")
    G = shim.emd(A, B, C)
    seen = []
    for lib in (shim.plot, ot.plot):
        for plan in (G, sp.coo_array(G)):
            lib.plot2D_samples_mat(X2, Y2, plan, alpha=0.5, color="r")
        seen.append([(line.get_alpha(), line.get_xydata().tolist()) for line in plt.gca().lines])
        plt.close()
        for style in ("yx", "xy"):
            axes = lib.plot1D_mat(A, B, G, "plan", style)
            seen.append([len(each.lines) for each in axes] + [axes[2].images[0].get_array().shape])
            plt.gcf().canvas.draw()
            plt.close()
    assert seen[:3] == seen[3:]
    with pytest.raises(ValueError, match="plot_style"):
        shim.plot.plot1D_mat(A, B, G, plot_style="zz")


# --- Programs ---------------------------------------------------------------------------------------------------------

SLIDE = """
import numpy as np
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import {module} as ot

n = 100
rng = np.random.default_rng(0)
xs = rng.normal([0, 0], 1, (n, 2))
xt = rng.normal([4, 4], [1, 0.5], (n, 2))
a, b = np.ones(n) / n, np.ones(n) / n
C = ot.dist(xs, xt)
P = ot.emd(a, b, C)
match = P.argmax(axis=1)
fig = plt.figure()
plt.plot(xs[:, 0], xs[:, 1], "+b")
plt.plot(xt[:, 0], xt[:, 1], "xr")
for i, j in enumerate(match):
    plt.plot([xs[i, 0], xt[j, 0]], [xs[i, 1], xt[j, 1]], color="grey", alpha=P[i, j] * n)
fig.canvas.draw()
lines = len(plt.gca().lines)
plt.close(fig)
cost = ot.emd2(a, b, C)
"""


def test_a_program_runs_unchanged():
    pytest.importorskip("matplotlib", reason="needs the extra demo")
    seen = []
    for module in ("ot", "monge.compat.pot"):
        names = {}
        exec(compile(SLIDE.format(module=module), module, "exec"), names)
        seen.append(names)
    theirs, ours = seen
    np.testing.assert_array_equal(ours["match"], theirs["match"])
    np.testing.assert_array_equal(np.sort(ours["match"]), np.arange(100))
    assert ours["lines"] == theirs["lines"] == 102
    assert ours["cost"] == pytest.approx(theirs["cost"], rel=1e-12)


def test_the_page_about_it_runs(monkeypatch):
    """Its lines that are no examples, which are run with those of all pages."""
    monkeypatch.setitem(sys.modules, "ot", ot)  # is put back
    page = (Path(__file__).parents[2] / "docs" / "from_pot.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", page, re.MULTILINE)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(textwrap.dedent(block), names)
    assert names["ot"] is shim
    assert sys.modules["ot"] is shim


def test_packages_that_import_pot_themselves_can_be_given_this():
    code = """
import sys
import monge.compat.pot
sys.modules["ot"] = monge.compat.pot
import ot as pot
import ot.unbalanced
from ot import emd2
from ot.lp import emd
from functools import partial
assert emd2 is monge.compat.pot.emd2
assert emd is monge.compat.pot.emd
assert pot.unbalanced.sinkhorn_knopp_unbalanced([], [], [[0.0, 1.0]], reg=1.0, reg_m=1.0).shape == (1, 2)
assert not any(name.startswith("ot.") and "monge" not in str(module.__file__) for name, module in sys.modules.items())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("lib", [shim, ot], ids=["monge", "pot"])
class TestCallsOfOtherPackages:
    """The forms in which they call POT."""

    def test_torchcfm(self, lib):
        plan = partial(lib.emd, numThreads=1)
        p = plan(lib.unif(N), lib.unif(M), HALF["M"])
        assert np.isfinite(p).all()
        assert p.sum() == pytest.approx(1.0)
        assert np.all(p.flatten() >= 0.0)
        p = partial(lib.unbalanced.sinkhorn_knopp_unbalanced, reg=0.05, reg_m=1.0)(lib.unif(N), lib.unif(M), C)
        assert np.isfinite(p).all()
        p = partial(lib.sinkhorn, reg=0.05)(lib.unif(N), lib.unif(M), HALF["M"].astype("f8"))
        assert p.sum() == pytest.approx(1.0)
        assert lib.emd2(lib.unif(N), lib.unif(M), C, numItermax=int(1e7)) > 0.0
        assert lib.sinkhorn2(lib.unif(N), lib.unif(M), C, reg=0.05, numItermax=int(1e7)) > 0.0

    def test_gudhi(self, lib):
        """Masses are counts; the corner is written to; what is not matched is exactly zero."""
        x, y = np.random.default_rng(2).random((4, 2)), np.random.default_rng(3).random((5, 2))
        M = np.zeros((5, 6))
        M[:-1, :-1] = lib.dist(x, y)
        M[:-1, -1], M[-1, :-1] = 0.05, 0.05
        a, b = np.ones(5), np.ones(6)
        a[-1], b[-1] = 5, 4
        P = lib.emd(a=a, b=b, M=M, numItermax=2000000)
        P[-1, -1] = 0
        pairs = np.argwhere(P)
        assert len(pairs) == np.count_nonzero(P) <= 10
        np.testing.assert_array_equal(P, np.round(P))
        value = lib.emd2(a=a, b=b, M=M, numItermax=2000000)
        assert value == pytest.approx((P * M).sum())

    def test_gensim(self, lib):
        """Bags of words over the vocabulary of both documents, so with zero weights on both sides."""
        emd2 = lib.emd2
        M = lib.dist(np.random.default_rng(4).random((5, 3)), metric="euclidean")
        d1, d2 = np.array([0.5, 0.5, 0, 0, 0]), np.array([0, 0, 0.25, 0.5, 0.25])
        value = emd2(d1, d2, M)
        assert type(value) is float
        assert value == pytest.approx(ot.emd2(d1[:2], d2[2:], np.ascontiguousarray(M[:2, 2:])))

    def test_pyemd(self, lib):
        p = lib.partial.partial_wasserstein(A, 2 * B, C, m=0.5)
        assert p.sum() == pytest.approx(0.5)

    def test_graph_ricci_curvature(self, lib):
        d = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
        x, y = np.array([0.5, 0.25, 0.25]), np.array([0.1, 0.4, 0.5])
        exact = lib.emd2(x, y, d)
        assert exact == pytest.approx(0.65)
        assert lib.sinkhorn2(x, y, d, 1e-1, method="sinkhorn") == pytest.approx(exact, abs=1e-2)


# --- Tensors ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs the extra torch")


@pytest.mark.filterwarnings("ignore")  # POT's use of torch
def test_tensors_come_back(torch):
    for dtype in (torch.float64, torch.float32):
        a, b, M = (torch.tensor(each, dtype=dtype) for each in (A, B, C))
        tol = 1e-9 if dtype == torch.float64 else 1e-5
        for call in (
            lambda lib: lib.emd(a, b, M),  # noqa: B023
            lambda lib: lib.emd(a, b, M, log=True)[1]["u"],  # noqa: B023
            lambda lib: lib.emd2(a, b, M),  # noqa: B023
            lambda lib: lib.emd2(a, b, M, log=True)[1]["cost"],  # noqa: B023
            lambda lib: lib.emd2([], [], M, return_matrix=True)[1]["G"],  # noqa: B023
            lambda lib: lib.sinkhorn(a, b, M, 0.3, stopThr=1e-5),  # noqa: B023
            lambda lib: lib.sinkhorn2(a, b, M, 0.3, stopThr=1e-5),  # noqa: B023
            lambda lib: lib.sinkhorn(a, b, M, 0.3, stopThr=1e-5, log=True)[1]["err"][-1] * 0,  # noqa: B023
            lambda lib: lib.dist(a[:, None], b[:, None]),  # noqa: B023
            lambda lib: lib.unif(3, a),  # noqa: B023
            lambda lib: lib.wasserstein_1d(a, b),  # noqa: B023
            lambda lib: lib.emd_1d(a, b),  # noqa: B023
            lambda lib: lib.emd2_1d(a, b),  # noqa: B023
            lambda lib: lib.utils.proj_simplex(a * 3),  # noqa: B023
        ):
            ours, theirs = call(shim), call(ot)
            assert isinstance(ours, torch.Tensor)
            assert ours.dtype == dtype
            assert ours.shape == theirs.shape
            torch.testing.assert_close(ours, theirs.to(dtype), rtol=10 * tol, atol=max(tol, 1e-5))
    half = shim.emd(torch.tensor([0.25, 0.25, 0.125, 0.125, 0.125, 0.125]).bfloat16(), [], M)
    assert half.dtype == torch.bfloat16
    places = shim.emd_1d(a, b, log=True)[1]["perms_x_a"]
    assert places.dtype == torch.int64


def gradients(torch, lib, function, *arrays):
    tensors = [torch.tensor(each, requires_grad=True) for each in arrays]
    function(lib, *tensors).backward()
    return [each.grad for each in tensors]


def centred(each):
    return each - each.mean()


def test_derivatives_of_emd2(torch):
    ours, theirs = (gradients(torch, lib, lambda lib, a, b, M: lib.emd2(a, b, M) ** 2, A, B, C) for lib in (shim, ot))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-7)
    # Of columns, where POT's fail.
    a, b, M = gradients(torch, shim, lambda lib, a, b, M: sum(lib.emd2(a, b, M)), A, B3, C)
    each = [gradients(torch, shim, lambda lib, a, b, M: lib.emd2(a, b, M), A, column, C) for column in B3.T]
    torch.testing.assert_close(a, sum(one[0] for one in each))
    torch.testing.assert_close(b, torch.stack([one[1] for one in each], dim=1))
    torch.testing.assert_close(M, sum(one[2] for one in each))
    # Some need none.
    a, M = torch.tensor(A), torch.tensor(C, requires_grad=True)
    value, log = shim.emd2(a, B.tolist(), M, return_matrix=True)
    (value + 0 * log["cost"]).backward()
    torch.testing.assert_close(M.grad, log["G"])


def test_derivatives_of_lazy(torch):
    def loss(lib, a, b, x, y):
        return lib.emd2_lazy(x, y, a, b)[0]

    ours, theirs = (gradients(torch, lib, loss, A, B, X2, Y2) for lib in (shim, ot))
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        torch.testing.assert_close(one, other)
    through = gradients(torch, shim, lambda lib, a, b, x, y: lib.emd2(a, b, lib.dist(x, y)), A, B, X2, Y2)
    for one, other in zip(ours, through, strict=True):
        torch.testing.assert_close(one, other)


def test_derivatives_through_dist(torch):
    for metric in ("sqeuclidean", "euclidean", "cityblock"):
        ours, theirs = (
            gradients(torch, lib, lambda lib, x, y: lib.emd2([], [], lib.dist(x, y, metric=metric)), X2, Y2)  # noqa: B023
            for lib in (shim, ot)
        )
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    x = torch.tensor(X2, requires_grad=True)
    shim.dist(x, metric="euclidean").sum().backward()
    assert torch.isfinite(x.grad).all()
    shim.dist(x, x * 2, metric="minkowski", p=3).sum().backward()
    assert torch.isfinite(x.grad).all()
    with pytest.raises(TypeError, match="cosine"):
        shim.dist(x, metric="cosine")


def test_derivatives_of_wasserstein_1d(torch):
    for columns, weighted in ((False, False), (False, True), (True, True)):
        arrays = ((X2, Y2) if columns else (X, Y)) + ((A, B) if weighted else ())
        ours, theirs = (
            gradients(torch, lib, lambda lib, *each: lib.wasserstein_1d(*each, p=2).sum(), *arrays)
            for lib in (shim, ot)
        )
        for k, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if k < 2:
                torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-8)
            else:
                assert one.shape == other.shape
    # With respect to weights: what moving a little from one place to another changes.
    a = torch.tensor(A, requires_grad=True)
    shim.wasserstein_1d(torch.tensor(X), torch.tensor(Y), a, torch.tensor(B), p=2).backward()
    step = np.zeros(N)
    step[0], step[3] = 1e-6, -1e-6
    change = shim.wasserstein_1d(X, Y, A + step, B, p=2) - shim.wasserstein_1d(X, Y, A - step, B, p=2)
    assert float(a.grad[0] - a.grad[3]) == pytest.approx(change / 2e-6, rel=1e-4)


@pytest.mark.parametrize(("metric", "p"), [("sqeuclidean", 2), ("euclidean", 1), ("minkowski", 3)])
def test_derivatives_of_emd2_1d(torch, metric, p):
    column = X[:, np.newaxis]  # which the line may be, too
    found = gradients(torch, shim, lambda lib, *each: lib.emd2_1d(*each, metric=metric, p=p), column, Y, A, B)
    logged = gradients(torch, shim, lambda lib, *each: lib.emd2_1d(*each, metric, p, log=True)[0], column, Y, A, B)
    right = gradients(torch, shim, lambda lib, *each: lib.wasserstein_1d(*each, p=p), X, Y, A, B)
    for one, same, other in zip(found, logged, right, strict=True):
        torch.testing.assert_close(one.reshape(-1), other)
        torch.testing.assert_close(one, same)


def test_what_has_no_derivatives_says_so(torch):
    M = torch.tensor(C, requires_grad=True)
    for call in (shim.sinkhorn, shim.sinkhorn2):
        with pytest.raises(TypeError, match=r"monge\.torch\.sinkhorn"):
            call([], [], M, 0.3)
    assert not shim.emd([], [], M).requires_grad  # as POT's
    with pytest.raises(TypeError, match="sparse tensor"):
        shim.emd([], [], torch.tensor(C).to_sparse())


def test_jax():
    jax = pytest.importorskip("jax", reason="needs the extra jax")
    a, b, M = (jax.numpy.asarray(each, dtype="float32") for each in (A, B, C))
    G = shim.emd(a, b, M)
    assert isinstance(G, jax.Array)
    assert G.dtype == np.float32
    np.testing.assert_allclose(np.asarray(G), shim.emd(A, B, C), atol=1e-6)
    assert isinstance(shim.sinkhorn2(a, b, M, 0.3), jax.Array)
    with pytest.raises(TypeError, match=r"monge\.jax"):
        jax.grad(lambda M: shim.emd2(a, b, M))(M)
