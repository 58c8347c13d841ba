"""Options are looked at where a function is traced, since compiled code cannot say what is wrong with them."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np

from monge.jax.arrays import Measures
from monge.jax.function import Kind
from monge.problem.user_cost import GroundCost

__all__ = ["tried"]


def tried(kind: Kind, measures: Measures, seed: Any = None) -> None:
    """Solves a problem of two points, or of two places, if the arrays are traced; raises what the solver raises.

    A function of the caller's is not tried: it need not be made for these points.
    """
    if not any(isinstance(array, jax.core.Tracer) for array in measures):
        return  # the call itself will say it
    if any(callable(one) or isinstance(one, GroundCost) for one in (kind.ground, *dict(kind.options).values())):
        return
    half = np.full(2, 0.5)
    if measures.x is not None:
        d = measures.x.shape[-1]
        problem = Measures(np.outer([1.0, 2.0], np.ones(d)), np.outer([1.0, 3.0], np.ones(d)), None, half, half)
    elif measures.C is not None:
        problem = Measures(None, None, 1.0 - np.eye(2), half, half)
    else:
        n, m = kind.ground.shape
        problem = Measures(a=np.full(n, 1.0 / n), b=np.full(m, 1.0 / m))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as of few passes
        kind.solve(kind, [problem], seed)
