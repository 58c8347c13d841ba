"""Losses between measures, as functions of arrays of JAX: what a plain function of the same name computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from monge.distances import divergence, energy, max_sliced, sliced
from monge.distances import mmd as discrepancy
from monge.jax.arrays import Measures, checked, of_costs, of_points
from monge.jax.function import Kind, value_of
from monge.jax.trial import tried
from monge.problem.costs import Cost

__all__ = [
    "between_points",
    "energy_distance",
    "max_sliced_wasserstein",
    "mmd",
    "sinkhorn_divergence",
    "sliced_wasserstein",
]


def sinkhorn_divergence(
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
    """The Sinkhorn divergence between two weighted point clouds, or between two histograms, differentiable once.

    ``S(a, b) = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2 + eps / 2 (sum a - sum b)^2``, where OT is what `sinkhorn`
    minimises; see `monge.sinkhorn_divergence`, which computes it.

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
    cost : str, (str, float), callable, GroundCost, array (..., n, n) or Grid
        The ground cost of points, which must be symmetric; or without x and y, an array of symmetric costs between the
        places of both histograms, or a Grid.
    marginals : monge.KL or monge.TV, optional
        The penalty in place of the constraints, the same for both sides.
    tol : float
        Largest marginal error of each of the three transports. Derivatives are as precise as that.
    max_iter : int
        Largest number of passes over all pairs for each.
    threads : int, optional
        As in `monge.sinkhorn`.

    Returns
    -------
    jax.Array (...)
        Of the widest floating type of the arrays; computed in double precision where the tolerance calls for it.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `monge.jax.emd` does.

    Notes
    -----
    Derivatives are those of the envelope theorem; with respect to costs that is P - (P_aa + P_bb) / 2 of the plans
    between both measures and within each, along changes that keep the costs symmetric.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, monge.jax
    >>> x = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> loss = lambda x, y: monge.jax.sinkhorn_divergence(x, y, eps=0.5, tol=1e-6)
    >>> round(float(jax.jit(loss)(x, x + jnp.array([3.0, 4.0]))), 3)
    25.0
    """
    name = "sinkhorn_divergence"
    options = {"eps": eps, "marginals": marginals, "tol": tol, "max_iter": max_iter, "threads": threads}
    if of_points(x, y):
        return between_points(name, divergence.sinkhorn_divergence, x, y, a, b, ground=cost, **options)
    if not (of_costs(cost) or isinstance(cost, Cost)):
        raise TypeError(f"without points x and y, cost should be an array (..., n, n) or a monge.Grid; got {cost!r}.")
    matrix, shape = (cost, None) if of_costs(cost) else (None, cost.shape)
    measures = checked(None, None, matrix, a, b, shape)
    ground = None if of_costs(cost) else cost
    kind = Kind.of(name, _between_histograms, divergence.cost_slopes, divergence.sinkhorn_divergence, ground, options)
    tried(kind, measures)
    return value_of(kind, measures)


def _between_histograms(kind: Kind, problems: list[Measures], _: Any) -> list[Any]:
    options = dict(kind.options)
    costs = [kind.ground if p.C is None else p.C for p in problems]
    if len(problems) == 1:
        one = problems[0]
        return [kind.plain(a=one.a, b=one.b, cost=costs[0], **options)]
    if problems[0].a is None:
        return list(kind.plain(cost=costs, **options))
    shared = all(cost is costs[0] for cost in costs)
    a, b = [p.a for p in problems], [p.b for p in problems]
    return list(kind.plain(a=a, b=b, cost=costs[0] if shared else costs, **options))


def mmd(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    kernel: Any = "gaussian",
    bandwidth: Any = None,
    biased: bool = True,
    threads: int | None = None,
) -> jax.Array:
    """The squared maximum mean discrepancy between two weighted point clouds, differentiable once.

    ``sum_ij a_i a_j k(x_i, x_j) + sum_ij b_i b_j k(y_i, y_j) - 2 sum_ij a_i b_j k(x_i, y_j)``; see `monge.mmd`, which
    computes it, and explains kernels, bandwidths and the bias.

    Parameters
    ----------
    x : array (..., n, d)
        Points of the first measure; leading dimensions are those of a batch, and broadcast.
    y : array (..., m, d)
        Points of the second.
    a : array (..., n), optional
        Weights, normalised to probabilities; None for uniform ones.
    b : array (..., m), optional
        Likewise.
    kernel : str, callable or GroundCost
        "gaussian", "laplacian", "imq", "cauchy", "energy", or a symmetric function of two points.
    bandwidth : float, or sequence of floats, optional
        Of the kernel; None for the median of distances, which derivatives hold fixed.
    biased : bool
        Whether pairs of a point and itself count.
    threads : int, optional
        As in `monge.mmd`.

    Returns
    -------
    jax.Array (...)
        Of the widest floating type of the arrays; computed in double precision.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `monge.jax.emd` does.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, monge.jax
    >>> x, y = jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]])
    >>> slope = jax.grad(lambda x: monge.jax.mmd(x, y, bandwidth=5.0))(x)
    >>> [round(float(part), 4) for part in slope[0]]
    [-0.1456, -0.1941]
    """
    options = {"kernel": kernel, "bandwidth": bandwidth, "biased": biased, "threads": threads}
    return between_points("mmd", discrepancy.mmd, x, y, a, b, **options)


def energy_distance(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    biased: bool = True,
    projections: int | None = None,
    rng: Any = 0,
    threads: int | None = None,
) -> jax.Array:
    """The energy distance ``2 E|x - y| - E|x - x'| - E|y - y'|`` of two weighted point clouds, differentiable once.

    See `monge.energy_distance`, which computes it.

    Parameters
    ----------
    x : array (..., n, d)
        Points of the first measure; leading dimensions are those of a batch, and broadcast.
    y : array (..., m, d)
        Points of the second.
    a : array (..., n), optional
        Weights, normalised to probabilities; None for uniform ones.
    b : array (..., m), optional
        Likewise.
    biased : bool
        Whether pairs of a point and itself count.
    projections : int, optional
        Along so many directions the points are sorted, in place of going through all pairs.
    rng : int, array of integers, or key of jax.random
        Turns the directions. It is an argument like the points, which may be traced: what is compiled once can draw
        others in each call, and takes the same ones for the same number. Not used without `projections`.
    threads : int, optional
        As in `monge.energy_distance`.

    Returns
    -------
    jax.Array (...)
        Of the widest floating type of the arrays; computed in double precision.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `monge.jax.emd` does.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, monge.jax
    >>> x, y = jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]])
    >>> jax.value_and_grad(monge.jax.energy_distance)(x, y)
    (Array(10., dtype=float32), Array([[-1.2, -1.6]], dtype=float32))
    """
    options = {"biased": biased, "projections": projections, "threads": threads}
    seed = None if projections is None else rng
    return between_points("energy_distance", energy.energy_distance, x, y, a, b, rng=seed, **options)


def sliced_wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    n_projections: int = 100,
    rng: Any = 0,
    threads: int | None = None,
) -> jax.Array:
    """The sliced Wasserstein distance ``(mean over directions of W_p^p)^(1/p)``, differentiable once.

    See `monge.sliced_wasserstein`, which computes it.

    Parameters
    ----------
    x : array (..., n, d)
        Points of the first measure; leading dimensions are those of a batch, and broadcast.
    y : array (..., m, d)
        Points of the second.
    a : array (..., n), optional
        Weights, normalised to probabilities; None for uniform ones.
    b : array (..., m), optional
        Likewise.
    p : float
        Exponent, >= 1.
    n_projections : int
        Number of directions.
    rng : int, array of integers, or key of jax.random
        Draws the directions; an argument like the points, as in `energy_distance`.
    threads : int, optional
        As in `monge.sliced_wasserstein`.

    Returns
    -------
    jax.Array (...)
        Of the widest floating type of the arrays; computed in double precision.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `monge.jax.emd` does.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, monge.jax
    >>> x = jnp.array([[0.0, 0.0], [1.0, 0.0]])
    >>> round(float(monge.jax.sliced_wasserstein(x, x + 1.0)), 5)  # the root of |t|^2 / d
    1.0
    """
    options = {"p": p, "n_projections": n_projections, "threads": threads}
    return between_points("sliced_wasserstein", sliced.sliced_wasserstein, x, y, a, b, rng=rng, **options)


def max_sliced_wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    n_projections: int = 100,
    rng: Any = 0,
    threads: int | None = None,
) -> jax.Array:
    """The largest W_p along a direction, differentiable once: at the direction that was found.

    See `monge.max_sliced_wasserstein`, which computes it.

    Parameters
    ----------
    x : array (..., n, d)
        Points of the first measure; leading dimensions are those of a batch, and broadcast.
    y : array (..., m, d)
        Points of the second.
    a : array (..., n), optional
        Weights, normalised to probabilities; None for uniform ones.
    b : array (..., m), optional
        Likewise.
    p : float
        Exponent, >= 1.
    n_projections : int
        Number of directions that are looked at; ascents start from the best.
    rng : int, array of integers, or key of jax.random
        Draws them; an argument like the points, as in `energy_distance`.
    threads : int, optional
        As in `monge.max_sliced_wasserstein`.

    Returns
    -------
    jax.Array (...)
        Of the widest floating type of the arrays; computed in double precision.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `monge.jax.emd` does.

    Examples
    --------
    >>> import jax.numpy as jnp, monge.jax
    >>> x = jnp.array([[0.0, 0.0], [1.0, 0.0]])
    >>> round(float(monge.jax.max_sliced_wasserstein(x, x + jnp.array([3.0, 4.0]))), 4)
    5.0
    """
    options = {"p": p, "n_projections": n_projections, "threads": threads}
    return between_points("max_sliced_wasserstein", max_sliced.max_sliced_wasserstein, x, y, a, b, rng=rng, **options)


def between_points(
    name: str, plain: Callable[..., Any], x: Any, y: Any, a: Any, b: Any, *, ground: Any = None, rng: Any = None,
    **options: Any,
) -> jax.Array:  # fmt: skip
    """A loss of points and weights that a plain function computes, with its derivatives.

    It takes x, y, a and b, or a list of each for a batch, and `options`; `ground` as its option `cost` if there is one;
    and with `rng`, an integer, an array of them or a key of jax.random, a generator of NumPy as its option `rng`.
    """
    if not of_points(x, y):
        raise TypeError(f"monge.jax.{name} needs points x and y; got neither.")
    if of_costs(ground) or isinstance(ground, Cost):
        raise TypeError("pass points x and y, or their costs with x = y = None; got both.")
    measures = checked(x, y, None, a, b)
    kind = Kind.of(name, _between_points, None, plain, ground, options)
    seeds = None if rng is None else _seeds(rng, measures)
    tried(kind, measures, None if rng is None else np.zeros(1, dtype=np.uint32))
    return value_of(kind, measures, seeds)


def _between_points(kind: Kind, problems: list[Measures], seed: Any) -> list[Any]:
    options = dict(kind.options)
    if kind.ground is not None:
        options["cost"] = kind.ground
    if seed is not None:
        options["rng"] = np.random.default_rng(seed.ravel().tolist())
    if len(problems) == 1:
        one = problems[0]
        return [kind.plain(one.x, one.y, one.a, one.b, **options)]
    each = [None if problems[0][k] is None else [p[k] for p in problems] for k in (0, 1, 3, 4)]
    return list(kind.plain(*each, **options))


def _seeds(rng: Any, measures: Measures) -> Any:
    """Integers (1, ..., 1, k) to draw from, which may be traced: an argument of a compiled function."""
    if isinstance(rng, jax.Array) and jax.numpy.issubdtype(rng.dtype, jax.dtypes.prng_key):
        rng = jax.random.key_data(rng)
    seeds = jax.numpy.asarray(rng)
    if not jax.numpy.isdtype(seeds.dtype, "integral") or isinstance(rng, bool) or seeds.ndim > 1:
        raise TypeError(
            "rng should be an integer, or a key of jax.random or an array of integers, which may be traced; got "
            f"{type(rng).__name__}."
        )
    seeds = seeds.astype(jax.numpy.uint32)
    return seeds.reshape((1,) * (measures.x.ndim - 2) + (seeds.size,))
