"""From structures with weights to a result: descents from the chosen starts, of which the best is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd_within
from monge.problem.arrays import real_array, shown
from monge.problem.home import on_host
from monge.problem.transport import Transport
from monge.spread.threads import in_threads
from monge.structures import descent, entropic
from monge.structures.bounds import lower_bound
from monge.structures.clouds import CloudForm
from monge.structures.forms import Evaluated, Toward
from monge.structures.fused import FusedForm
from monge.structures.result import GromovTransport
from monge.structures.search import chosen, exact_solver
from monge.structures.sides import Sides

__all__ = ["Asked", "balanced", "bound_of", "given_plan"]

Array = NDArray[np.float64]

# By which part of the mass the sums of a plan to begin with may be off: those of entropic plans are.
_OFF = 1e-2
# By which part those of plans are off that are between the weights: by rounding.
_EXACT = 1e-12


class Asked(NamedTuple):
    """What a caller asks for, beside the structures; checked."""

    eps: float | None
    init: Any
    n_starts: int
    rng: np.random.Generator
    tol: float
    max_iter: int
    threads: int
    deadline: float


def balanced(sides: Sides, asked: Asked, report: Callable[[int], None] | None) -> GromovTransport:
    """The best of `n_starts` descents between structures whose masses are all matched."""
    eps, deadline, workers = asked.eps, asked.deadline, asked.threads
    done = 0

    def step(_: int) -> None:
        nonlocal done
        done += 1
        if report is not None:
            report(done)

    def at(plan: Any) -> Evaluated:
        return sides.form.at(plan if sides.lazy else plan.toarray())

    starts = [] if asked.init is None else [_given(asked.init, sides)]
    if asked.n_starts > len(starts):
        starts += chosen(sides, asked.n_starts - len(starts), asked.rng, deadline, workers)
    threads = 1 if len(starts) > 1 else workers

    def descended(k: int) -> Any:
        if eps is None:
            solve = exact_solver(*sides.weights, threads)
            path = descent.steps(starts[k], sides.form.walk(), solve)
            return descent.descend(path, asked.tol, asked.max_iter, deadline, step)
        soft = entropic.entropic_solver(*sides.weights, eps, threads)
        return entropic.descend(starts[k], at, soft, asked.tol, asked.max_iter, deadline, step)

    found = sorted(in_threads(descended, len(starts), workers, deadline), key=lambda each: float(each.objective))
    best = found[0]
    return GromovTransport(
        value=best.at.exact(),
        objective=best.objective,
        plan=best.plan,
        f=best.transport.f,
        g=best.transport.g,
        status=best.status,
        iterations=best.iterations,
        stats={"stationarity": best.gap, "starts": len(found), "iterations": [each.iterations for each in found]},
        weights=sides.weights,
        starts=np.array([each.objective for each in found]),
        bound=partial(bound_of, sides, workers),
        eps=None if eps is None else best.transport.eps,
    )


def bound_of(sides: Sides, threads: int) -> float:
    """What the value cannot be below: that of the structures, and the least cost of the features."""
    form = sides.form
    if not isinstance(form, FusedForm):
        return lower_bound(sides.x, sides.y, threads)
    t = emd_within(form.features.beside(None, 0.0), *sides.weights, None, threads)
    return (1.0 - form.alpha) * (t.value - t.gap) + form.alpha * lower_bound(sides.x, sides.y, threads)


def given_plan(init: Any, shape: tuple[int, int]) -> Any:
    """A plan (n, m) that was given as such or as a result: sparse, lazy or an array; of masses, not all zero."""
    plan = getattr(init, "on_host", init)
    plan = plan.plan if isinstance(plan, Transport) else on_host(plan)
    plan = getattr(plan, "on_host", plan)
    if not hasattr(plan, "toarray"):
        plan = real_array(plan, "init", 2, f"a plan of shape {shape}, a result, or 'product'").astype(np.float64)
    if tuple(plan.shape) != shape:
        raise ValueError(f"init should be a plan of shape {shape}; got {tuple(plan.shape)}.")
    # Those of lazy plans are positive.
    masses = plan if isinstance(plan, np.ndarray) else plan.tocoo().data if hasattr(plan, "tocoo") else np.ones(1)
    if not (np.isfinite(masses).all() and (masses >= 0.0).all() and masses.any()):
        raise ValueError(
            "init should be a plan, of finite masses that are not negative, nor all zero. np.maximum(plan, 0) takes "
            "away what rounding has put below zero."
        )
    return plan


def _given(init: Any, sides: Sides) -> Evaluated:
    """The form at a plan that was given."""
    (a, b), form = sides.weights, sides.form
    if isinstance(init, str):
        if init != "product":
            raise ValueError(f"init should be a plan, a result, or 'product'; got {shown(init)}.")
        if isinstance(form, CloudForm):
            return form.toward(form.product)
        return form.at(np.multiply.outer(a, b / b.sum()))
    plan = given_plan(init, form.shape)
    off = float(np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum()) / sides.x.mass
    if not off <= _OFF:
        raise ValueError(
            f"init should be a plan between the weights; its sums are off by {off:.2g} of the mass. monge.round_plan "
            "makes it one."
        )
    at = form.at(plan if sides.lazy or hasattr(plan, "tocoo") or isinstance(plan, np.ndarray) else plan.toarray())
    return at if off <= _EXACT else Toward(at.cost())  # which goes to a plan between the weights
