"""Where descents begin.

The objective has many local optima, and which one is found is decided here. For clouds the plan counts through the
small matrix A = X' P Y alone (`clouds`), so that is what is tried: with principal axes U and V of the clouds, and
deviations s and t along them, A = U diag(+-s t) V' is what a plan has that takes one cloud's axes to the other's. Which
of the signs are likely, third moments say, which are the same for isometric clouds. What more is wanted are rotations.

For other structures, places go together whose distances to all others are alike, by quantiles (the plan of the third
bound) or by mean and deviation (that of the first one); what more is wanted are plans for costs that are drawn.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import CostMatrix, PointCloud
from monge.structures.bounds import Rows, quantiles, shares_for
from monge.structures.clouds import Cloud, CloudForm, TowardClouds
from monge.structures.forms import Evaluated, Toward

__all__ = ["cloud_starts", "row_starts"]

Array = NDArray[np.float64]

# Along so many principal axes all signs are tried, and along others the likelier one.
_SIGNED = 6


def cloud_starts(form: CloudForm, count: int, rng: np.random.Generator) -> list[TowardClouds]:
    """`count` of them, the likeliest first."""
    (s, U, skew, tensor), (t, V, skew_y, tensor_y) = _axes(form.x), _axes(form.y)
    k, d = min(len(s), len(t)), min(len(s), len(t), _SIGNED)
    s, t = s[:k], t[:k]
    likelier = np.where(skew[:k] * skew_y[:k] < 0.0, -1.0, 1.0)
    found = []
    for signs in product((1.0, -1.0), repeat=d):
        each = np.concatenate([signs, likelier[d:]])
        e = each[:d]
        turned = np.einsum("ijk,i,j,k->ijk", tensor[:d, :d, :d], e, e, e) - tensor_y[:d, :d, :d]
        off = float(np.vdot(turned, turned) + np.sum((skew[:d] * e - skew_y[:d]) ** 2))
        found.append((off, each))
    found.sort(key=lambda pair: pair[0])
    matrices = [(U[:, :k] * (s * t * each)) @ V[:, :k].T for _, each in found[:count]]
    mass = form.x.mass
    while len(matrices) < count:
        turn = np.linalg.qr(rng.normal(size=(max(len(U), len(V)),) * 2))[0]
        root_x, root_y = (np.linalg.cholesky(_regular(side.scatter / mass)) for side in (form.x, form.y))
        matrices.append(root_x @ turn[: len(U), : len(V)] @ root_y.T)
    return [form.toward(mass * A) for A in matrices]


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


def row_starts(x: Rows, y: Rows, count: int, rng: np.random.Generator) -> list[Evaluated]:
    """`count` of them, the likeliest first."""
    shares = shares_for(x, y)
    likely = [
        PointCloud(quantiles(x, shares), quantiles(y, shares)),
        PointCloud(np.column_stack(x.moments()), np.column_stack(y.moments())),
    ]
    drawn = [CostMatrix(rng.random((len(x), len(y)))) for _ in range(count - len(likely))]
    return [Toward(cost) for cost in (likely + drawn)[:count]]
