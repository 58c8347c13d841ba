"""Where descents begin.

The objective has many local optima, and which one is found is decided here. For clouds the plan counts through the
small matrix A = X' P Y alone (`clouds`), so that is what is tried: with principal axes U and V of the clouds, and
deviations s and t along them, A = U diag(+-s t) V' is what a plan has that takes one cloud's axes to the other's. Which
of the signs are likely, third moments say, which are the same for isometric clouds. What more is wanted are rotations.

For other structures, places go together whose distances to all others are alike, by quantiles (the plan of the third
bound) or by mean and deviation (that of the first one); what more is wanted are plans for costs that are drawn.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import CostMatrix, PointCloud
from monge.structures.bounds import Rows, quantiles, shares_for
from monge.structures.clouds import Cloud, CloudForm, TowardClouds
from monge.structures.forms import Evaluated, Toward

__all__ = ["best_orders", "cloud_starts", "drawn_clouds", "drawn_costs", "row_starts"]

Array = NDArray[np.float64]

# Along so many principal axes all signs are looked at, and along others the likelier one; so many of these are starts.
_SIGNED, _LIKELIEST = 6, 8
# Up to so many places all orders are compared.
_FEW = 7


def cloud_starts(form: CloudForm) -> list[TowardClouds]:
    """Axes laid on axes, the likeliest first, and the product of the weights."""
    (s, U, skew, tensor), (t, V, skew_y, tensor_y) = _axes(form.x), _axes(form.y)
    k, d = min(len(s), len(t)), min(len(s), len(t), _SIGNED)
    s, t = s[:k], t[:k]
    unit = max(float(s[0]), float(t[0])) ** 3 or 1.0  # so that squares of third moments are numbers
    skew, tensor, skew_y, tensor_y = skew / unit, tensor / unit, skew_y / unit, tensor_y / unit
    likelier = np.where(skew[:k] * skew_y[:k] < 0.0, -1.0, 1.0)
    found = []
    for signs in product((1.0, -1.0), repeat=d):
        each = np.concatenate([signs, likelier[d:]])
        e = each[:d]
        turned = np.einsum("ijk,i,j,k->ijk", tensor[:d, :d, :d], e, e, e) - tensor_y[:d, :d, :d]
        off = float(np.vdot(turned, turned) + np.sum((skew[:d] * e - skew_y[:d]) ** 2))
        found.append((off, each))
    found.sort(key=lambda pair: pair[0])
    matrices = [(U[:, :k] * (s * t * each)) @ V[:, :k].T for _, each in found[:_LIKELIEST]]
    return [form.toward(form.x.mass * A) for A in matrices] + [form.toward(form.product)]


def drawn_clouds(form: CloudForm, count: int, rng: np.random.Generator) -> list[TowardClouds]:
    """What a plan would have that turns one cloud, made round, in any way to the other."""
    mass, found = form.x.mass, []
    root_x, root_y = (np.linalg.cholesky(_regular(side.scatter / mass)) for side in (form.x, form.y))
    d, e = len(root_x), len(root_y)
    for _ in range(count):
        turn = np.linalg.qr(rng.normal(size=(max(d, e), max(d, e))))[0]
        found.append(form.toward(mass * root_x @ turn[:d, :e] @ root_y.T))
    return found


def _axes(cloud: Cloud) -> tuple[Array, Array, Array, Array]:
    """Deviations along principal axes, the largest first, the axes (d, d), mean |z|^2 z and mean z z z along them."""
    a = cloud.weights / cloud.mass
    squares, axes = np.linalg.eigh(cloud.scatter / cloud.mass)
    axes = axes[:, ::-1]
    z = cloud.x @ axes
    few = z[:, :_SIGNED]
    thirds = np.einsum("n,ni,nj,nk->ijk", a, few, few, few, optimize=True)
    return np.sqrt(np.maximum(squares[::-1], 0.0)), axes, (a * cloud.u) @ z, thirds


def _regular(scatter: Array) -> Array:
    """A matrix of second moments with a root, also where points are on a line or in a plane."""
    return scatter + (1e-12 * float(np.trace(scatter)) + np.finfo(float).tiny) * np.eye(len(scatter))


def row_starts(x: Rows, y: Rows) -> list[Evaluated]:
    """Places with like distances to all others, the likeliest first."""
    shares = shares_for(x, y)
    likely = [
        PointCloud(quantiles(x, shares), quantiles(y, shares)),
        PointCloud(np.column_stack(x.moments()), np.column_stack(y.moments())),
    ]
    return [Toward(cost) for cost in likely]


def best_orders(x: Rows, y: Rows, count: int) -> list[Evaluated]:
    """The best of all orders, of few places that weigh the same; where the objective is concave, the first is best of
    all plans."""
    n = len(x)
    if n != len(y) or n > _FEW or np.ptp(x.weights) > 0.0 or np.ptp(y.weights) > 0.0:
        return []
    C, D = x.rows(slice(None)), y.rows(slice(None))
    orders = np.array(list(permutations(range(n))))
    values = ((C - D[orders[:, :, np.newaxis], orders[:, np.newaxis, :]]) ** 2).sum(axis=(1, 2))
    return [Toward(CostMatrix(-np.eye(n)[order])) for order in orders[np.argsort(values)[:count]]]


def drawn_costs(shape: tuple[int, int], count: int, rng: np.random.Generator) -> list[Evaluated]:
    """Any plans."""
    return [Toward(CostMatrix(rng.random(shape))) for _ in range(count)]
