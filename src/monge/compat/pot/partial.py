"""POT's `ot.partial`: transport of a part of the mass, by `monge.partial`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from monge.compat.pot.arrays import back_home, measures, needs_gradient
from monge.compat.pot.missing import missing_from
from monge.exact.partial import partial as exact
from monge.problem.costs import is_sparse

__all__ = ["partial_wasserstein", "partial_wasserstein2"]

__getattr__ = missing_from(__name__)


def partial_wasserstein(
    a: Any, b: Any, M: Any, m: float | None = None, nb_dummies: int = 1, log: bool = False, **kwargs: Any
) -> Any:
    """The plan of least cost that moves the mass m: argmin <P, M> over P >= 0 with P 1 <= a, P' 1 <= b, sum P = m.

    Parameters
    ----------
    a, b : array_like (n,), (m,)
        Weights, whose totals may differ; [] or None for uniform ones.
    M : array_like (n, m)
        Costs.
    m : float, optional
        The mass to move; None for the smaller total.
    nb_dummies : int
        Not used: nothing is added to the problem.
    log : bool
        Whether to return a dictionary, too.
    **kwargs
        Those of `emd`; not used.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        The plan, in the type of a. The dictionary holds ``cost`` and ``partial_w_dist``, which are <P, M>, potentials
        ``u`` and ``v``, ``warning`` and ``result_code``; also where m is None, for which POT's has no
        ``partial_w_dist``.

    Raises
    ------
    ValueError
        A mass that is negative or more than the smaller total, and what `monge.partial` does not take.
    TypeError
        Tensors that carry derivatives.

    Examples
    --------
    >>> from monge.compat.pot.partial import partial_wasserstein
    >>> partial_wasserstein([0.5, 0.5], [0.5, 0.5], [[0.0, 9.0], [9.0, 9.0]], m=0.5)
    array([[0.5, 0. ],
           [0. , 0. ]])
    """
    if needs_gradient(a, b, M):
        raise TypeError("partial transport has no derivatives here; detach the tensors.")
    if is_sparse(M):
        raise TypeError("M should be a full matrix for partial transport; +inf forbids an arc.")
    problem = measures(a, b, M, check=False)
    mass = min(math.fsum(problem.a), math.fsum(problem.given_b)) if m is None else float(m)
    G = np.zeros(problem.M.shape, problem.dtype)
    u, v = np.zeros(problem.M.shape[0]), np.zeros(problem.M.shape[1])
    cost, text = 0.0, None
    if mass != 0.0:
        t = exact(problem.M, problem.a, problem.given_b, mass=mass)
        G[t.plan.row, t.plan.col] = t.plan.data
        u, v, cost = t.f, t.g, float(t.cost)
        text = None if t.converged else t.status.value
    plan = back_home(G, problem.reference)
    if not log:
        return plan
    potentials = (back_home(each.astype(problem.dtype), problem.reference) for each in (u, v))
    dictionary: dict[str, Any] = {"cost": cost, **dict(zip("uv", potentials, strict=True))}
    dictionary |= {"warning": text, "result_code": 1 if text is None else 3}
    return plan, {**dictionary, "partial_w_dist": back_home(problem.common.type(cost), problem.reference)}


def partial_wasserstein2(
    a: Any, b: Any, M: Any, m: float | None = None, nb_dummies: int = 1, log: bool = False, **kwargs: Any
) -> Any:
    """The least cost of moving the mass m: min <P, M> over P >= 0 with P 1 <= a, P' 1 <= b, sum P = m.

    Parameters
    ----------
    a, b, M, m, nb_dummies, log, **kwargs : see `partial_wasserstein`
        As there.

    Returns
    -------
    numpy.float64, or with `log` (numpy.float64, dict)
        The dictionary is that of `partial_wasserstein`, and holds the plan as ``T``.

    Raises
    ------
    ValueError, TypeError
        As `partial_wasserstein`.

    Examples
    --------
    >>> from monge.compat.pot.partial import partial_wasserstein2
    >>> float(partial_wasserstein2([0.5, 0.5], [0.5, 0.5], [[0.0, 9.0], [9.0, 9.0]], m=0.75))
    2.25
    """
    plan, dictionary = partial_wasserstein(a, b, M, m, nb_dummies, log=True)
    value = dictionary["partial_w_dist"]
    return (value, {**dictionary, "T": plan}) if log else value
