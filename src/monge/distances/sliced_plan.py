"""The best plan that projections to a line give.

minimise  sum_ij P_ij |x_i - y_j|^p  over the plans P(theta) that keep the order of <x_i, theta> and <y_j, theta>

for theta among some directions (Mahey et al. 2023, "Fast optimal transport through sliced Wasserstein generalized
geodesics", min-SWGG). And since |<x - y, theta>| <= |x - y|, the potentials that prove P(theta) optimal on its line are
feasible for the points, too: those of the direction along which the clouds are furthest apart bound the optimum from
below.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.directions import directions, drawing
from monge.distances.slices import Slices
from monge.exact.univariate import check_power, emd_1d
from monge.problem.arrays import available_threads, positive_integer, shown
from monge.problem.at_home import at_home
from monge.problem.costs import PointCloud
from monge.problem.measures import check_value
from monge.problem.transport import Status, Transport

__all__ = ["SlicedTransport", "sliced_plan"]

Array = NDArray[np.float64]

# As in `emd_1d`: beyond it, sums of costs could overflow.
_LARGEST_COST = 1e250


class SlicedTransport(Transport):
    """A feasible plan that keeps the order along one direction; see `sliced_plan`.

    Attributes
    ----------
    direction : ndarray (d,)
        The unit vector along which the plan keeps the order.
    """

    def __init__(self, direction: Array, **parts: Any) -> None:
        super().__init__(**parts)
        self.direction = direction

    @property
    def _weight_gradients(self) -> tuple[Array, Array]:
        raise TypeError(
            "the plan of sliced_plan is feasible, not optimal: its potentials bound the cost from below and are no "
            "derivatives with respect to the weights. Use emd, or sliced_wasserstein."
        )


def sliced_plan(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    n_projections: int = 100,
    rng: Any = None,
    threads: int | None = None,
) -> Any:
    """A sparse, feasible plan between two clouds by sorting projections, with a bound on how far it is from the best.

    Among the plans that keep the order of projections to a line, for some directions, this is the one that minimises
    ``sum_ij P_ij |x_i - y_j|^p``, at least W_p^p. It takes the time of sorting, where `emd` takes that of n m costs or
    more. It is close where clouds are long in few directions, in one or two dimensions, or near each other's images
    under a shift and a scaling, for which it is optimal; in many dimensions it may be far from the optimum.

    Parameters
    ----------
    x : array_like (n, d)
        Points of the first measure; a vector stands for points on the line, where the plan is optimal.
    y : array_like (m, d)
        Points of the second.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals; None for uniform ones.
    p : float
        Exponent of the distance, >= 1.
    n_projections : int
        Number of directions, as in `sliced_wasserstein`.
    rng : None, int or numpy.random.Generator
        What draws the directions (SPEC 7).
    threads : int, optional
        As in `sliced_wasserstein`.

    Returns
    -------
    Transport
        ``cost``, which is also ``value``, in units of distance^p times mass; the ``plan``, with at most n + m - 1
        entries; ``direction`` (d,); potentials ``f`` and ``g`` that are feasible for all pairs, and ``gap``: no plan
        costs less than ``cost - gap``. ``status`` is FEASIBLE. ``grad_x`` and ``grad_y`` are derivatives of the cost,
        whose plan and direction stay what they are for small changes of the points; there is none for the weights.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `sliced_wasserstein` and `PointCloud` do, and for distances whose powers overflow.

    Examples
    --------
    >>> import numpy as np, monge
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> t = monge.sliced_plan(x, 2.0 * x[::-1] + [3.0, 4.0], rng=0)
    >>> np.array_equal(t.plan.col[t.plan.row.argsort()], np.arange(500)[::-1])
    True
    >>> start = monge.sliced_plan(x, -x, rng=0)
    >>> bool(start.cost - start.gap <= monge.emd(monge.PointCloud(x, -x)).cost <= start.cost)
    True
    """
    power, count, workers = check_power(p), positive_integer(n_projections, "n_projections"), available_threads(threads)
    slices = Slices.of(x, y, a, b, power, workers)
    cloud = PointCloud(slices.x, slices.y, ("euclidean", power))
    in_units = _unit_cost(slices, power)
    drawn = drawing(directions, count, rng)(slices.x.shape[1])
    found = slices.sums(drawn, lifted=True)
    best, furthest = int(found["lifted"].argmin()), int(found["means"].argmax())
    along = _on_line(slices, drawn[best])
    bound = along if furthest == best else _on_line(slices, drawn[furthest])
    entries = along.plan.row, along.plan.col, along.plan.data
    with np.errstate(over="ignore"):
        cost = float(entries[2] @ cloud.at(*entries[:2]))
    check_value(cost, slices.a, slices.b)
    result = SlicedTransport(
        drawn[best],
        value=cost,
        cost=cost,
        f=in_units * bound.f,
        g=in_units * bound.g,
        gap=max(cost - in_units * (bound.value - bound.gap), 0.0),
        status=Status.FEASIBLE,
        iterations=0,
        stats={"projections": len(drawn)},
        weights=(slices.a, slices.b),
        entries=entries,
        cloud=cloud,
    )
    return at_home(result, slices.home)


def _unit_cost(slices: Slices, p: float) -> float:
    """The cost of two points whose distance is the power of two over which points are placed."""
    try:
        cost = math.pow(math.ldexp(1.0, slices.scale), p)
    except OverflowError:
        cost = math.inf
    if not cost < _LARGEST_COST:
        raise ValueError(
            f"the points should lie so close that distance**p stays below {_LARGEST_COST:g}; got a box with a diagonal "
            f"of {slices.reach:.3g} and p = {shown(p)}. Choose a larger unit for the coordinates, or a smaller p."
        )
    return cost


def _on_line(slices: Slices, direction: Array) -> Transport:
    """The optimal plan and potentials of projections to a line, of placed points."""
    x, y = slices.placed(slices.x) @ direction, slices.placed(slices.y) @ direction
    return emd_1d(x, y, slices.a, slices.b, p=slices.p, threads=slices.threads)
