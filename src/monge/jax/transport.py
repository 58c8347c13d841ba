"""Exact and entropic transport, as functions of arrays of JAX; see `monge.emd` and `monge.sinkhorn`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from monge.entropic import sinkhorn as entropic
from monge.exact import emd as exact
from monge.jax.arrays import Measures, checked, of_costs, of_points
from monge.jax.function import Kind, value_of
from monge.jax.trial import tried
from monge.problem.costs import Cost, CostMatrix, PointCloud
from monge.problem.transport import Transport

__all__ = ["emd", "sinkhorn"]


def emd(
    x: Any = None,
    y: Any = None,
    a: Any = None,
    b: Any = None,
    *,
    cost: Any = "sqeuclidean",
    threads: int | None = None,
) -> jax.Array:
    """The least cost of transport, ``min <P, C>`` over plans P with P 1 = a and P' 1 = b, differentiable once.

    Solved by `monge.emd`, on the host; a batch in one call, whether it comes from leading dimensions or from jax.vmap.

    Parameters
    ----------
    x : array (..., n, d)
        Points of the first measure; leading dimensions are those of a batch, and broadcast.
    y : array (..., m, d)
        Points of the second.
    a : array (..., n), optional
        Weights, of equal totals; None for uniform ones, of the total of the others.
    b : array (..., m), optional
        Likewise.
    cost : str, (str, float), callable, GroundCost, array (..., n, m) or Grid
        The ground cost of points, as `PointCloud` takes it; or without x and y, an array of costs, or a Grid.
    threads : int, optional
        As in `monge.emd`.

    Returns
    -------
    jax.Array (...)
        Of the widest floating type of the arrays. Points and costs are computed with in double precision, whatever
        their type.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not fit, arrays that hold no real numbers and options that are none, also where a function is
        traced. For what is wrong with the numbers, as `monge.emd` does: where the function is compiled this cannot be
        raised; it is written to the log, ``logging.getLogger("monge.jax")``, and the loss and its derivatives are NaN,
        those of the problem that is to blame.
    RuntimeError
        In a second derivative.

    Notes
    -----
    The derivative with respect to costs is the plan, with respect to weights the potentials, up to a constant since
    totals must stay equal, and with respect to points that of the costs along the plan. Where several plans or
    several potentials are optimal, as potentials are for uniform weights, these are subgradients. Derivatives are
    computed together with the value, of those arrays alone that they are wanted of; forward mode works, too.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, monge.jax
    >>> C = jnp.array([[0.0, 1.0], [1.0, 0.0]])
    >>> jax.grad(lambda C: monge.jax.emd(cost=C))(C)
    Array([[0.5, 0. ],
           [0. , 0.5]], dtype=float32)
    """
    return _transport("emd", exact.emd, x, y, a, b, cost, {"threads": threads})


def sinkhorn(
    x: Any = None,
    y: Any = None,
    a: Any = None,
    b: Any = None,
    *,
    eps: float,
    cost: Any = "sqeuclidean",
    marginals: Any = None,
    tol: float = 1e-3,
    max_iter: int = 10_000,
    threads: int | None = None,
) -> jax.Array:
    """The value of entropic optimal transport, differentiable once.

    Minimises ``<P, C> + eps KL(P | a x b)`` over plans P between weights a and b; solved by `monge.sinkhorn`, on the
    host; a batch in one call.

    Parameters
    ----------
    x : array (..., n, d)
        Points of the first measure; leading dimensions are those of a batch, and broadcast.
    y : array (..., m, d)
        Points of the second.
    a : array (..., n), optional
        Weights, of equal totals unless `marginals` lets them differ; None for uniform ones, of the total of the others.
    b : array (..., m), optional
        Likewise.
    eps : float
        Strength of the entropy, in the units of the cost.
    cost : str, (str, float), callable, GroundCost, array (..., n, m) or Grid
        The ground cost of points, as `PointCloud` takes it; or without x and y, an array of costs, or a Grid.
    marginals : monge.KL, monge.TV, or a pair, optional
        Penalties in place of the constraints, as in `monge.sinkhorn`.
    tol : float
        Largest marginal error. Derivatives are about as accurate as that, relative to their size; the value is more.
    max_iter : int
        Largest number of passes over all pairs.
    threads : int, optional
        As in `monge.sinkhorn`.

    Returns
    -------
    jax.Array (...)
        Of the widest floating type of the arrays; computed in double precision where the tolerance calls for it.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `emd` of this module does.

    Notes
    -----
    Derivatives are those of the envelope theorem. Where totals must stay equal, those with respect to weights are
    defined up to a constant.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, monge.jax
    >>> x = jnp.array([[0.0], [1.0]])
    >>> slope = jax.grad(lambda x, y: monge.jax.sinkhorn(x, y, eps=0.5, tol=1e-9))(x, x + 2.0)
    >>> slope.sum()
    Array(-4., dtype=float32)
    """
    options = {"eps": eps, "marginals": marginals, "tol": tol, "max_iter": max_iter, "threads": threads}
    return _transport("sinkhorn", entropic.sinkhorn, x, y, a, b, cost, options)


def _transport(
    name: str, plain: Callable[..., Any], x: Any, y: Any, a: Any, b: Any, cost: Any, options: dict[str, Any]
) -> jax.Array:
    matrix = cost if of_costs(cost) else None
    if of_points(x, y):
        if matrix is not None or isinstance(cost, Cost):
            raise TypeError("pass points x and y, or their costs with x = y = None; got both.")
    elif matrix is None and not isinstance(cost, Cost):
        raise TypeError(f"without points x and y, cost should be an array (..., n, m) or a monge.Grid; got {cost!r}.")
    measures = checked(x, y, matrix, a, b, cost.shape if isinstance(cost, Cost) else None)
    kind = Kind.of(name, _solve, _plan, plain, None if matrix is not None else cost, options)
    tried(kind, measures)
    return value_of(kind, measures)


def _solve(kind: Kind, problems: list[Measures], _: Any) -> list[Any]:
    costs = [_cost(problem, kind.ground) for problem in problems]
    if len(problems) == 1:
        return [kind.plain(costs[0], problems[0].a, problems[0].b, **dict(kind.options))]
    return list(kind.plain(costs, [p.a for p in problems], [p.b for p in problems], **dict(kind.options)))


def _plan(t: Transport) -> Any:
    return t.plan.toarray()


def _cost(problem: Measures, ground: Any) -> Cost:
    if problem.C is not None:
        return CostMatrix(problem.C)
    return ground if problem.x is None else PointCloud(problem.x, problem.y, ground)
