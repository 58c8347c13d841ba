"""Problems, by name: families that stress one thing each, and problems whose answer is known beforehand.

All are drawn from fixed seeds. A `Problem` with points can also be posed as a `PointCloud`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """A transport problem; `None` stands for uniform weights, and for an answer or points that it does not have."""

    cost: Array  # (n, m)
    a: Array | None = None  # (n,)
    b: Array | None = None  # (m,)
    points: tuple[Array, Array, Any] | None = None  # x (n, d), y (m, d), the ground cost
    value: float | None = None
    plan: Array | None = None  # (n, m), where there is but one


# Distances of differences z (..., d), and all ground costs that are built in: names, and powers of each distance.
DISTANCES: dict[str, Callable[[Array], Array]] = {
    "euclidean": lambda z: np.sqrt((z**2).sum(axis=-1)),
    "cityblock": lambda z: np.abs(z).sum(axis=-1),
    "chebyshev": lambda z: np.abs(z).max(axis=-1),
}
NAMED = ["sqeuclidean", *DISTANCES, "cosine"]
GROUNDS: list[Any] = [*NAMED, *((distance, power) for distance in DISTANCES for power in (0.5, 1.5, 3.0))]


# --- Ground costs that a user might write, each with the same in NumPy ------------------------------------------------


def distance(x, y):
    total = 0.0
    for s, t in zip(x, y):  # noqa: B905 - strict= is beyond the compiler
        total += (s - t) ** 2
    return math.sqrt(total)


def user_squared(x, y):
    total = 0.0
    for k in range(len(x)):
        total += (x[k] - y[k]) ** 2
    return total


def user_squared_slopes(x, y, out):
    for k in range(len(x)):
        out[k] = 2.0 * (x[k] - y[k])


def huber(x, y):
    r = distance(x, y)
    return 0.5 * r * r if r < 1.0 else r - 0.5


def huber_slopes(x, y, out):
    r = max(distance(x, y), 1.0)
    for k in range(len(x)):
        out[k] = (x[k] - y[k]) / r


def power_17(x, y):
    return math.pow(distance(x, y), 1.7)


def great_circle(x, y):
    u, v = math.sin(0.5 * (x[0] - y[0])), math.sin(0.5 * (x[1] - y[1]))
    return 2.0 * math.asin(min(1.0, math.sqrt(u * u + math.cos(x[0]) * math.cos(y[0]) * v * v)))


def great_circle_costs(x: Array, y: Array) -> Array:
    u, v = (np.sin(0.5 * (x[:, np.newaxis, k] - y[:, k])) for k in range(2))
    return 2.0 * np.arcsin(np.sqrt(u * u + np.multiply.outer(np.cos(x[:, 0]), np.cos(y[:, 0])) * v * v))


PRECISION = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.2], [0.0, -0.2, 3.0]])


def mahalanobis(x, y):
    total = 0.0
    for k in range(3):
        for q in range(3):
            total += PRECISION[k, q] * (x[k] - y[k]) * (x[q] - y[q])
    return total


def mahalanobis_costs(x: Array, y: Array) -> Array:
    z = x[:, np.newaxis] - y
    return np.einsum("ijk,kq,ijq->ij", z, PRECISION, z)


BETWEEN_KINDS = np.array([[0.0, 1.0, 2.5], [1.0, 0.0, 0.7], [2.5, 0.7, 0.0]])


def mixed(x, y):
    """Of points with a number and a kind."""
    return abs(x[0] - y[0]) + BETWEEN_KINDS[int(abs(x[1])) % 3, int(abs(y[1])) % 3]


def mixed_costs(x: Array, y: Array) -> Array:
    kinds = (np.abs(points[:, 1]).astype(int) % 3 for points in (x, y))
    return np.abs(x[:, np.newaxis, 0] - y[:, 0]) + BETWEEN_KINDS[np.ix_(*kinds)]


def uphill(x, y):
    """More for going up than for coming down."""
    climb = y[0] - x[0]
    return distance(x, y) + (0.5 * climb if climb > 0.0 else -0.1 * climb)


def uphill_slopes(x, y, out):
    r, climb = distance(x, y), y[0] - x[0]
    for k in range(len(x)):
        out[k] = (x[k] - y[k]) / r if r > 0.0 else 0.0
    out[0] += -0.5 if climb > 0.0 else 0.1 if climb < 0.0 else 0.0


def uphill_slopes_back(x, y, out):
    uphill_slopes(x, y, out)
    for k in range(len(x)):
        out[k] = -out[k]


def _uphill_costs(x: Array, y: Array) -> Array:
    climb = y[:, 0] - x[:, np.newaxis, 0]
    return np.sqrt(squared(x, y)) + np.where(climb > 0.0, 0.5, -0.1) * climb


def _huber_costs(x: Array, y: Array) -> Array:
    r = np.sqrt(squared(x, y))
    return np.where(r < 1.0, 0.5 * r * r, r - 0.5)


# Name -> the cost, its gradient, the costs of all pairs, and a number of dimensions.
USER_COSTS: dict[str, tuple[Any, Any, Callable[[Array, Array], Array], int]] = {
    "squared": (user_squared, user_squared_slopes, lambda x, y: squared(x, y), 3),
    "squared in 9": (user_squared, user_squared_slopes, lambda x, y: squared(x, y), 9),
    "Huber": (huber, huber_slopes, _huber_costs, 2),
    "power": (power_17, None, lambda x, y: squared(x, y) ** 0.85, 3),
    "great circle": (great_circle, None, great_circle_costs, 2),
    "Mahalanobis": (mahalanobis, None, mahalanobis_costs, 3),
    "mixed": (mixed, None, mixed_costs, 2),
    "uphill": (uphill, (uphill_slopes, uphill_slopes_back), _uphill_costs, 2),
}


def squared(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2 for points (n, d) and (m, d), from differences, so that no digits cancel."""
    return sum((x[:, np.newaxis, k] - y[np.newaxis, :, k]) ** 2 for k in range(x.shape[1]))


def cloud(
    x: Array, y: Array, cost: Any = "sqeuclidean", a: Array | None = None, b: Array | None = None, **known: Any
) -> Problem:
    """The problem of a point cloud, its matrix computed independently of the library."""
    return Problem(ground_costs(x, y, cost), a, b, (x, y, cost), **known)


def ground_costs(x: Array, y: Array, cost: Any) -> Array:
    """The costs (n, m) between points (n, d) and (m, d), computed independently of the library."""
    if cost == "cosine":
        return 1.0 - (x @ y.T) / np.linalg.norm(x, axis=1)[:, np.newaxis] / np.linalg.norm(y, axis=1)
    distance, power = {"sqeuclidean": ("euclidean", 2.0)}.get(cost, (cost, 1.0)) if isinstance(cost, str) else cost
    if distance == "euclidean":
        return squared(x, y) ** (power / 2)
    return DISTANCES[distance](x[:, np.newaxis] - y) ** power


def simplex(rng: np.random.Generator, size: int) -> Array:
    """Random weights that add up to one."""
    w = rng.random(size) + 0.01
    return w / w.sum()


# --- Families ---------------------------------------------------------------------------------------------------------

Family = Callable[[np.random.Generator, int], Problem]
FAMILIES: dict[str, Family] = {}


def family(make: Family) -> Family:
    FAMILIES[make.__name__] = make
    return make


def sample(name: str, size: int = 160, seed: int = 0) -> Problem:
    """The problem of a family at about the given size."""
    return FAMILIES[name](np.random.default_rng(seed), size)


@family
def gaussians_plane(rng, n):
    return cloud(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 1.0)


@family
def gaussians_plane_weighted(rng, n):
    m = n + n // 4
    return cloud(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) * 2.0, a=simplex(rng, n), b=simplex(rng, m))


@family
def gaussians_64d(rng, n):
    return cloud(rng.normal(size=(n, 64)), rng.normal(size=(n, 64)))


@family
def gaussians_64d_weighted(rng, n):
    return cloud(rng.normal(size=(n, 64)), rng.normal(size=(n + 3, 64)) + 0.2, a=simplex(rng, n), b=simplex(rng, n + 3))


@family
def clusters(rng, n):
    centers = rng.normal(size=(5, 3)) * 20.0
    x, y = (centers[rng.integers(5, size=n)] + rng.normal(size=(n, 3)) for _ in range(2))
    return cloud(x, y, a=simplex(rng, n), b=simplex(rng, n))


@family
def iid(rng, n):
    return Problem(rng.random((n, n)))


@family
def iid_weighted(rng, n):
    return Problem(rng.random((n, n + 7)), simplex(rng, n), simplex(rng, n + 7))


def _histograms(rng, n, cost):
    side = max(2, round(n**0.5))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2).astype(float)
    counts = [rng.multinomial(255 * side, simplex(rng, side * side)) for _ in range(2)]
    return cloud(grid, grid, cost, *(c / c.sum() for c in counts))


@family
def histograms_squared(rng, n):
    return _histograms(rng, n, "sqeuclidean")


@family
def histograms_cityblock(rng, n):
    return _histograms(rng, n, "cityblock")


@family
def integers(rng, n):
    return Problem(rng.integers(0, 10, size=(n, n)).astype(float))


@family
def integers_weighted(rng, n):
    return Problem(
        rng.integers(0, 10, size=(n, n)).astype(float),
        rng.multinomial(5 * n, np.full(n, 1 / n)) * 1.0,
        rng.multinomial(5 * n, np.full(n, 1 / n)) * 1.0,
    )


@family
def constant(rng, n):
    return Problem(np.full((n, n + 1), 3.0), simplex(rng, n), simplex(rng, n + 1), value=3.0)


@family
def zero(rng, n):
    return Problem(np.zeros((n, n)), value=0.0)


@family
def truncated(rng, n):
    x, y = rng.random((n, 2)), rng.random((n, 2))
    return Problem(np.minimum(squared(x, y), 0.05), simplex(rng, n), simplex(rng, n))


@family
def euclidean(rng, n):
    return cloud(rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), "euclidean", simplex(rng, n), simplex(rng, n))


@family
def cityblock(rng, n):
    return cloud(rng.normal(size=(n, 5)), rng.normal(size=(n, 5)), "cityblock")


@family
def cubed(rng, n):
    return cloud(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), ("euclidean", 3.0))


@family
def concave(rng, n):
    return cloud(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), ("euclidean", 0.5))


@family
def cosine(rng, n):
    return cloud(rng.normal(size=(n, 6)), rng.normal(size=(n, 6)) + 0.3, "cosine")


@family
def pareto_weights(rng, n):
    a, b = (rng.pareto(0.7, size=n) + 1e-3 for _ in range(2))
    return cloud(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), a=a / a.sum(), b=b / b.sum())


@family
def low_rank(rng, n):
    return Problem(rng.random((n, 3)) @ rng.random((3, n)))


@family
def negative(rng, n):
    return Problem(-rng.random((n, n)) * 7.0, simplex(rng, n), simplex(rng, n))


@family
def logarithmic(rng, n):
    return Problem(np.log(rng.random((n, n)) + 1e-12))


@family
def wide_range(rng, n):
    return Problem(10.0 ** rng.uniform(-6, 6, size=(n, n)))


@family
def duplicates(rng, n):
    places = rng.normal(size=(max(2, n // 10), 2))
    x, y = (places[rng.integers(len(places), size=n)] for _ in range(2))
    return cloud(x, y, a=simplex(rng, n), b=simplex(rng, n))


@family
def tall(rng, n):
    return cloud(rng.normal(size=(6 * n, 2)), rng.normal(size=(n // 4 + 1, 2)))


@family
def wide(rng, n):
    return cloud(rng.normal(size=(n // 4 + 1, 2)), rng.normal(size=(6 * n, 2)), a=simplex(rng, n // 4 + 1))


@family
def costs_1e30(rng, n):
    return Problem(rng.random((n, n)) * 1e30, simplex(rng, n), simplex(rng, n))


@family
def costs_1e_minus_30(rng, n):
    return Problem(rng.random((n, n)) * 1e-30, simplex(rng, n), simplex(rng, n))


@family
def costs_1e200(rng, n):
    return Problem(squared(rng.random((n, 2)), rng.random((n, 2))) * 1e200)


@family
def mass_1e12(rng, n):
    return Problem(rng.random((n, n)), simplex(rng, n) * 1e12, simplex(rng, n) * 1e12)


@family
def mass_1e_minus_12(rng, n):
    return Problem(rng.random((n, n)), simplex(rng, n) * 1e-12, simplex(rng, n) * 1e-12)


@family
def mixed_masses(rng, n):
    a, b = (10.0 ** rng.uniform(-12, 0, size=n) for _ in range(2))
    return cloud(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), a=a / a.sum(), b=b / b.sum())


@family
def zero_weights(rng, n):
    a, b = (np.where(rng.random(n) < 0.4, 0.0, rng.random(n)) for _ in range(2))
    return cloud(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), a=a / a.sum(), b=b / b.sum())


@family
def all_weights_but_one_zero(rng, n):
    a, b = np.zeros(n), simplex(rng, n)
    a[n // 3] = 1.0
    C = rng.random((n, n))
    return Problem(C, a, b, value=float(C[n // 3] @ b), plan=np.outer(a, b))


def forbid(rng, C, allowed):
    """C with arcs at +inf, but for the allowed share and a hidden permutation, which keeps uniform weights feasible."""
    n = len(C)
    keep = rng.random(C.shape) < allowed
    keep[np.arange(n), rng.permutation(n)] = True
    return np.where(keep, C, np.inf)


@family
def forbidden_few(rng, n):
    return Problem(forbid(rng, squared(rng.random((n, 2)), rng.random((n, 2))), 0.95))


@family
def forbidden_half(rng, n):
    return Problem(forbid(rng, rng.random((n, n)), 0.5))


@family
def forbidden_most(rng, n):
    return Problem(forbid(rng, rng.random((n, n)), 3.0 / n))


@family
def forbidden_weighted(rng, n):
    # The product of the weights on a random support: feasible by construction.
    P = np.where(rng.random((n, n)) < 0.1, rng.random((n, n)), 0.0)
    P[np.arange(n), rng.permutation(n)] += 0.1
    return Problem(np.where(P > 0, rng.random((n, n)), np.inf), P.sum(1) / P.sum(), P.sum(0) / P.sum())


@family
def forbidden_negative(rng, n):
    return Problem(forbid(rng, rng.random((n, n)) - 3.0, 0.1))


@family
def forbidden_zero_weights(rng, n):
    P = np.where(rng.random((n, n)) < 0.2, rng.random((n, n)), 0.0)
    dead_rows, dead_cols = rng.random(n) < 0.3, rng.random(n) < 0.3
    P[dead_rows], P[:, dead_cols] = 0.0, 0.0
    C = np.where((P > 0) | (rng.random((n, n)) < 0.1), rng.random((n, n)), np.inf)
    # Places without mass may be cut off altogether.
    C[np.argmax(dead_rows)], C[:, np.argmax(dead_cols)] = np.inf, np.inf
    return Problem(C, P.sum(1) / P.sum(), P.sum(0) / P.sum())


@family
def forbidden_but_a_permutation(rng, n):
    p = rng.permutation(n)
    C = np.full((n, n), np.inf)
    C[np.arange(n), p] = rng.random(n)
    plan = np.zeros((n, n))
    plan[np.arange(n), p] = 1.0 / n
    return Problem(C, value=float(C[np.arange(n), p].mean()), plan=plan)


@family
def forbidden_above_the_diagonal(rng, n):
    # i may only serve j <= i: with uniform weights the identity is the one feasible plan.
    C = np.where(np.tri(n, dtype=bool), rng.random((n, n)), np.inf)
    return Problem(C, value=float(np.trace(C) / n), plan=np.eye(n) / n)


# --- Known answers ----------------------------------------------------------------------------------------------------


def _sorted_line(rng):
    x, y = rng.normal(size=(90, 1)), rng.normal(size=(90, 1)) * 3.0
    return cloud(x, y, ("euclidean", 3.0), value=float((np.abs(np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 3).mean()))


def _translated(rng):
    x, shift = rng.normal(size=(120, 3)), np.array([3.0, -1.0, 0.5])
    w, order = simplex(rng, 120), rng.permutation(120)
    return cloud(x, (x + shift)[order], a=w, b=w[order], value=float(shift @ shift))


def _translated_euclidean(rng):
    # |shift| bounds the cost from below by Kantorovich's duality, though other plans than the translation reach it too.
    x, shift = rng.normal(size=(120, 2)), np.array([3.0, 4.0])
    return cloud(x, x + shift, "euclidean", value=5.0)


def _convex_gradient(rng):
    # The gradient of |x|^4 / 4 + <Ax, x> / 2, A positive definite: optimal for the squared cost (Brenier 1991).
    x = rng.normal(size=(100, 2))
    A = np.array([[2.0, 0.5], [0.5, 1.0]])
    y = (x**2).sum(1, keepdims=True) * x + x @ A
    order = rng.permutation(100)
    plan = np.zeros((100, 100))
    plan[order, np.arange(100)] = 0.01
    return cloud(x, y[order], value=float(((x - y) ** 2).sum(1).mean()), plan=plan)


def _permutation(rng):
    # Far apart places, each moved a little: everyone goes to his own, the plan is a permutation.
    x = 100.0 * np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(-1, 2)
    moves = rng.normal(size=x.shape)
    order = rng.permutation(len(x))
    plan = np.zeros((64, 64))
    plan[order, np.arange(64)] = 1 / 64
    return cloud(x, (x + moves)[order], value=float((moves**2).sum(1).mean()), plan=plan)


def _diracs(rng):
    return cloud(np.array([[1.0, 2.0]]), np.array([[4.0, 6.0]]), value=25.0, plan=np.ones((1, 1)))


def _from_one_place(rng):
    y, b = rng.normal(size=(300, 2)), simplex(rng, 300)
    return cloud(np.zeros((1, 2)), y, b=b, value=float(b @ (y**2).sum(1)), plan=b[np.newaxis])


def _to_one_place(rng):
    x, a = rng.normal(size=(300, 2)), simplex(rng, 300)
    return cloud(x, np.zeros((1, 2)), a=a, value=float(a @ (x**2).sum(1)), plan=a[:, np.newaxis])


def _itself(rng):
    x, w = rng.normal(size=(130, 2)), simplex(rng, 130)
    return cloud(x, x, a=w, b=w, value=0.0, plan=np.diag(w))


def _monge_matrix(rng):
    # C_ij + C_i'j' <= C_ij' + C_i'j for i < i', j < j': the north-west corner rule is optimal (Hoffman 1963).
    n, m = 70, 90
    C = (np.arange(n)[:, np.newaxis] / n - np.arange(m) / m) ** 2 + rng.random((n, 1)) + rng.random(m)
    a, b = simplex(rng, n), simplex(rng, m)
    cuts = np.union1d(np.concatenate([[0.0], np.cumsum(a)]), np.cumsum(b))
    cuts = cuts[cuts <= 1.0]
    middle = (cuts[1:] + cuts[:-1]) / 2
    i = np.minimum(np.searchsorted(np.cumsum(a), middle), n - 1)
    j = np.minimum(np.searchsorted(np.cumsum(b), middle), m - 1)
    return Problem(C, a, b, value=float((np.diff(cuts) * C[i, j]).sum()))


KNOWN: dict[str, Callable[[np.random.Generator], Problem]] = {
    make.__name__[1:]: make
    for make in (
        _sorted_line,
        _translated,
        _translated_euclidean,
        _convex_gradient,
        _permutation,
        _diracs,
        _from_one_place,
        _to_one_place,
        _itself,
        _monge_matrix,
    )
}


def known(name: str) -> Problem:
    return KNOWN[name](np.random.default_rng(7))


# --- Ways to hand a cost over -----------------------------------------------------------------------------------------


def _strided(C):
    wide = np.zeros((2 * C.shape[0], 3 * C.shape[1]), dtype=C.dtype)
    wide[::2, ::3] = C
    return wide[::2, ::3]


# Each makes an equal matrix with another layout in memory.
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "c": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "strided": _strided,
    "rows_strided": lambda C: np.repeat(C, 2, axis=0)[::2],
    "reversed": lambda C: np.ascontiguousarray(C[::-1, ::-1])[::-1, ::-1],
    "rows_reversed": lambda C: np.ascontiguousarray(C[::-1])[::-1],
    "fortran_reversed": lambda C: np.asfortranarray(C[:, ::-1])[:, ::-1],
}
