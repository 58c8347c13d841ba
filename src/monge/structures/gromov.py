"""The distance of Gromov and Wasserstein: transport between structures that know only their own distances."""

from __future__ import annotations

from typing import Any

import numpy as np

from monge.exact.emd import emd
from monge.problem.costs import CostMatrix
from monge.structures.clouds import CloudForm
from monge.structures.descent import steps
from monge.structures.forms import Form
from monge.structures.matrices import MatrixForm

__all__ = ["gromov_wasserstein"]


def gromov_wasserstein(x: Any, y: Any, a: Any = None, b: Any = None, *, tol: float = 1e-9, max_iter: int = 1000) -> Any:
    """The value, the plan and the number of steps, from the product of the weights on."""
    form: Form
    if isinstance(x, CostMatrix):
        form = MatrixForm(x.C, y.C)
    else:
        x, y = np.asarray(x, float), np.asarray(y, float)
        form = CloudForm(x - x.mean(axis=0), y - y.mean(axis=0))
    n, m = form.shape
    start = form.at(np.full((n, m), 1.0 / (n * m)))
    descent = enumerate(steps(start, form.at, lambda cost, last: emd(cost, a, b, init=last)))
    done = ((k, step) for k, step in descent if step.gap <= tol * abs(start.value) or k + 1 == max_iter)
    k, step = next(done)
    return step.after.value, step.after.plan, k + 1
