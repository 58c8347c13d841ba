"""From structures whose masses need not all be matched to a result: partial plans, and such with penalties."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.measures import check_partial, check_weights
from monge.structures.descent import descend
from monge.structures.partial import partial_steps
from monge.structures.result import GromovStatus, GromovTransport
from monge.structures.sides import Structures
from monge.structures.solving import Asked, given_plan
from monge.structures.unbalanced import as_penalties, unbalanced

__all__ = ["partially", "penalised"]

Array = NDArray[np.float64]


def partially(
    pair: Structures, a: Any, b: Any, mass: Any, features: Any, alpha: Any, asked: Asked,
    report: Callable[[int], None] | None,
) -> GromovTransport:  # fmt: skip
    """A plan of this mass."""
    n, m = pair.shape
    a, b, mass, _, _ = check_partial(a, b, n, m, mass)
    a, b = _filled(a, n), _filled(b, m)
    form = pair.free(features, alpha, asked.threads)
    plan = None if _is_product(asked.init) else given_plan(asked.init, pair.shape)
    path = partial_steps(form, a, b, mass, plan, asked.threads)
    found = descend(path, asked.tol, asked.max_iter, asked.deadline, report)
    return GromovTransport(
        value=found.at.exact(),
        objective=found.objective,
        plan=found.plan,
        f=found.transport.f,
        g=found.transport.g,
        status=found.status,
        iterations=found.iterations,
        stats={"stationarity": found.gap, "starts": 1, "iterations": [found.iterations]},
        weights=(a, b),
        starts=np.array([found.objective]),
        mass=mass,
    )


def penalised(
    pair: Structures, a: Any, b: Any, marginals: Any, features: Any, alpha: Any, asked: Asked
) -> GromovTransport:
    """A plan whose sums are near the weights, at a price."""
    n, m = pair.shape
    penalties = as_penalties(marginals)
    a, b = _filled(check_weights(a, None, n, m)[0], n), _filled(check_weights(None, b, n, m)[1], m)
    form, eps = pair.free(features, alpha, asked.threads), asked.eps
    assert eps is not None
    plan = None if _is_product(asked.init) else given_plan(asked.init, pair.shape)
    found = unbalanced(
        form, a, b, penalties, eps,
        start=plan, tol=asked.tol, max_iter=asked.max_iter, threads=asked.threads, deadline=asked.deadline,
    )  # fmt: skip
    late = GromovStatus.TIME_LIMIT if time.monotonic() >= asked.deadline else GromovStatus.MAX_ITER
    return GromovTransport(
        value=found.structures,
        objective=found.value,
        plan=found.lazy,
        f=found.potentials[0],
        g=found.potentials[1],
        status=GromovStatus.STATIONARY if found.converged else late,
        iterations=len(found.relaxed),
        stats={"stationarity": found.change, "starts": 1, "iterations": [len(found.relaxed)]},
        weights=(a, b),
        starts=np.array([found.value]),
        eps=eps,
    )


def _is_product(init: Any) -> bool:
    return init is None or (isinstance(init, str) and init == "product")


def _filled(weights: Array | None, size: int) -> Array:
    return np.full(size, 1.0 / size) if weights is None else weights
