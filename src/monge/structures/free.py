"""From structures whose masses need not all be matched to a result: partial plans, and such with penalties."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.measures import as_weights, check_partial, total_mass
from monge.structures.descent import descended
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
    plan = None if asked.init is None or _is_product(asked.init) else given_plan(asked.init, pair.shape)
    path = partial_steps(form, a, b, mass, plan, asked.threads)
    found = descended(path, asked.tol, asked.max_iter, asked.deadline, report)
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
    penalties = as_penalties(marginals)
    (n, m), eps = pair.shape, asked.eps
    assert eps is not None
    weights = [_filled(as_weights(w, size, name, side)[0], size) for w, size, name, side in _PLACES(a, b, n, m)]
    return _penalised(pair, weights, penalties, eps, features, alpha, asked)
