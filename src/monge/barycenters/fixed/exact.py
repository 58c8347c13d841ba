"""The barycenter of histograms on given places, by linear programming.

minimise  sum_k w_k <P_k, C_k>  over plans P_k >= 0 and a >= 0,  P_k 1 = a_k,  P_k' 1 = a   (Agueh and Carlier 2011)
maximise  sum_k w_k <f_k, a_k>  subject to  f_k(i) + g_k(j) <= C_k(i, j),  sum_k w_k g_k = 0      (its dual)

Without entropy, and without an iteration that could stop too early; for small problems and as the reference of others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd
from monge.problem.arrays import require_memory
from monge.problem.transport import InfeasibleError

__all__ = ["ExactBarycenter", "exact_barycenter", "programme", "transformed"]

Array = NDArray[np.float64]

# Bytes that HiGHS takes for a variable, which is an entry of a plan and stands in two constraints: 1500, measured.
_BYTES = 1_700
# It counts in 32 bits.
_MOST_ENTRIES = 2**30
# In units of the total mass and of the largest cost; the coarser of its own are 1e-7.
_TOLERANCE = 1e-10
# Of the statuses of SciPy.
_SOLVED, _LIMIT, _INFEASIBLE = 0, 1, 2


class ExactBarycenter(NamedTuple):
    """A barycenter and the proof that it is one."""

    a: Array  # (m,), of the total of the histograms
    value: float  # sum_k w_k OT(a_k, a), of plans that are feasible
    gap: float  # no a has a value below value - gap
    f: list[Array]  # k of (n_k,)
    g: Array  # (k, m), sum_k w_k g_k = 0 but for rounding


def exact_barycenter(
    histograms: Sequence[Array] | Array,
    costs: Array | Sequence[Array],
    weights: Array,
    *,
    threads: int = 1,
    time_limit: float = math.inf,
) -> ExactBarycenter:
    """The a (m,) with the least sum_k w_k OT(a_k, a), for histograms a_k (n_k,) of equal totals.

    `costs` is one matrix (n, m) for all, or one (n_k, m) for each; +inf forbids an arc. The weights w (k,) sum to one.

    Where several are optimal, it is one of them that has few places. What the potentials prove is computed from them,
    and the value from plans of `emd`: neither is what the solver of the programme says of itself.
    """
    k = len(histograms)
    each = [costs] * k if isinstance(costs, np.ndarray) else list(costs)
    known = [i for i in range(k) if weights[i] > 0.0]
    a, potentials = programme(
        [histograms[i] for i in known], [each[i] for i in known], weights[known], time_limit=time_limit
    )
    # Back to where the potentials are feasible. Rows without mass have a part in it, too: others may give them some.
    g = np.zeros((k, len(a)))
    g[known] = potentials
    g -= weights @ g
    f = [transformed(C, potential) for C, potential in zip(each, g, strict=True)]
    value = bound = 0.0
    for i in known:
        value += weights[i] * emd(each[i], histograms[i], a, init=(f[i], g[i]), threads=threads).value
        bound += weights[i] * float(f[i] @ histograms[i])
    return ExactBarycenter(a, value, max(value - bound, 0.0), f, g)


def transformed(C: Array, g: Array) -> Array:
    """f_i = min_j C_ij - g_j; zero for places from which nothing goes anywhere."""
    f = np.asarray((C - g).min(axis=1), dtype=np.float64)
    return np.where(np.isfinite(f), f, 0.0)


def programme(
    histograms: Sequence[Array], costs: Sequence[Array], weights: Array, *, time_limit: float = math.inf
) -> tuple[Array, Array]:
    """The barycenter (m,), and the potentials g (k, m), as HiGHS finds them; the weights are positive."""
    m = costs[0].shape[1]
    total = float(np.mean([own.sum() for own in histograms]))
    unit = max(float(np.abs(C[np.isfinite(C)]).max(initial=0.0)) for C in costs) or 1.0
    arcs = []  # rows and columns that are in use, of each plan
    for own, C in zip(histograms, costs, strict=True):
        sending = own > 0.0
        rows, columns = np.nonzero(np.isfinite(C) & sending[:, np.newaxis])
        arcs.append(((np.cumsum(sending) - 1)[rows], rows, columns))
    entries = sum(len(rows) for _, rows, _ in arcs)
    remedy = "Take fewer or smaller histograms, or entropy: eps=, which needs no list of plans."
    if entries > _MOST_ENTRIES:
        raise ValueError(
            f"the linear programme takes at most {_MOST_ENTRIES} entries of plans; got {entries} for {len(costs)} "
            f"histograms on {costs[0].shape[0]} places and a barycenter on {m}. {remedy}"
        )
    require_memory(entries * _BYTES, f"the linear programme of a barycenter, with {entries} entries of plans,", remedy)

    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    sent = [own[own > 0.0] / total for own in histograms]
    # The rows of the matrix: first what each place sends, then what each place gets. The last m variables are a.
    rows_sent = np.concatenate([r + at for (r, _, _), at in zip(arcs, _starts(map(len, sent)), strict=True)])
    rows_got = np.concatenate([columns + i * m for i, (_, _, columns) in enumerate(arcs)]) + sum(map(len, sent))
    variables, ones = np.arange(entries), np.ones(entries)
    places, count = np.arange(m), len(costs)
    matrix = coo_array(
        (
            np.concatenate((ones, ones, np.full(count * m, -1.0))),
            (
                np.concatenate((rows_sent, rows_got, sum(map(len, sent)) + np.arange(count * m))),
                np.concatenate((variables, variables, np.tile(entries + places, count))),
            ),
        ),
        shape=(sum(map(len, sent)) + count * m, entries + m),
    ).tocsc()
    objective = np.concatenate(
        [w / unit * C[rows, columns] for w, C, (_, rows, columns) in zip(weights, costs, arcs, strict=True)]
        + [np.zeros(m)]
    )
    options: dict[str, Any] = {
        "primal_feasibility_tolerance": _TOLERANCE,
        "dual_feasibility_tolerance": _TOLERANCE,
    }
    if time_limit < math.inf:
        options["time_limit"] = time_limit
    found = linprog(
        objective, A_eq=matrix, b_eq=np.concatenate((*sent, np.zeros(count * m))), method="highs", options=options
    )
    if found.status == _LIMIT:
        raise TimeoutError(f"time_limit ran out before the linear programme was solved. Raise time_limit. {remedy}")
    if found.status == _INFEASIBLE:
        raise InfeasibleError(
            "no plans to a common histogram avoid the forbidden arcs (cost +inf). Give them a large finite cost."
        )
    if found.status != _SOLVED:
        raise RuntimeError(f"the linear programme of the barycenter was not solved: {found.message}")
    duals = found.eqlin.marginals[sum(map(len, sent)) :].reshape(count, m)
    a = np.maximum(found.x[entries:], 0.0)
    return a * (total / float(a.sum())), unit * duals / weights[:, np.newaxis]


def _starts(sizes: Any) -> Array:
    """Where each of several ranges begins that follow each other."""
    return np.concatenate(([0], np.cumsum(list(sizes))[:-1]))
