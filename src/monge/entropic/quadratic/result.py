"""The result of L2-regularised transport: a `Transport` with a sparse plan and a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.rounding import scalings
from monge.exact.emd import emd
from monge.problem.transport import InfeasibleError, Status, Transport

__all__ = ["QuadraticTransport"]

Array = NDArray[np.float64]

# Mass that the plan gives back for each unit that is missing, where forbidden arcs leave no other way than through its
# own arcs, of which some carry little; at last, all.
_ROOM = (0.0, 1e1, 1e3, 1e5, 1e7, 1e9)
# Of the total mass, what may be missing in a plan that is feasible to rounding.
_NOTHING = 1e-15


class QuadraticTransport(Transport):
    """A plan P_ij = (f_i + g_j - C_ij)_+ / eps; see `Transport`.

    ``value`` is the dual value of f and g, a lower bound of the optimum of <P, C> + eps / 2 sum P_ij^2; ``gap``,
    computed when first asked for, bounds how far it is from that. It looks at the costs once more: a matrix is the
    caller's, so do not change it before.

    Attributes
    ----------
    eps : float
        Strength of the regularisation.
    plan : scipy.sparse.coo_array (n, m)
        The plan, with its positive entries alone.
    value : float
        The dual value, <f, a> + <g, b> - 1 / (2 eps) sum_ij (f_i + g_j - C_ij)_+^2.
    gap : float
        The objective of a feasible plan next to this one, minus `value`: no plan has a lower objective than `value`,
        and some plan has one of at most `value` + `gap`.
    """

    def __init__(
        self,
        given: Any,
        weights: tuple[Array, Array],
        eps: float,
        threads: int,
        prices: Array,
        *,
        entries: tuple[NDArray[np.int64], NDArray[np.int64], Array],
        cloud: Any,
        value: float,
        cost: float,
        f: Array,
        g: Array,
        status: Status,
        iterations: int,
        stats: Mapping[str, Any],
    ) -> None:
        self.eps, self.value, self.cost = eps, value, cost
        self.f, self.g = f, g
        self.status, self.iterations, self.stats = status, iterations, dict(stats)
        self._given, self._threads = given, threads  # the cost as `emd` takes it
        self._prices = prices  # of the entries
        self.weights = self._weights = weights
        self._mass = None
        self._entries, self._listed, self._cloud = entries, None, cloud

    @cached_property
    def marginal_error(self) -> float:
        """(|P 1 - a|_1 + |P' 1 - b|_1) / total mass, measured on the plan."""
        assert self._entries is not None
        rows, cols, mass = self._entries
        both = zip((rows, cols), self.weights, strict=True)
        error = sum(float(np.abs(np.bincount(at, mass, len(w)) - w).sum()) for at, w in both)
        return error / float(self.weights[0].sum())

    @cached_property
    def gap(self) -> float:  # type: ignore[override]
        """How far `value` may be from the optimum: the objective of a feasible plan, minus `value`.

        What the plan sends too much is taken from it (see `round_plan`), and what is then missing is sent by `emd`.
        """
        from scipy.sparse import coo_array, csr_array

        a, b = self.weights
        assert self._entries is not None
        rows, cols, mass = self._entries
        x, y, u, v = scalings(csr_array(self.plan), a, b)
        mass = mass * x[rows] * y[cols]
        missing, whole = float(u.sum() * v.sum()), float(a.sum())
        for share in (*(room * missing / whole for room in _ROOM), 1.0):
            kept = (1.0 - min(share, 1.0)) * mass
            rest_a = np.maximum(a - np.bincount(rows, kept, len(a)), 0.0)
            rest_b = np.maximum(b - np.bincount(cols, kept, len(b)), 0.0)
            size_a, size_b = float(rest_a.sum()), float(rest_b.sum())
            if min(size_a, size_b) <= _NOTHING * whole:
                return self._above(kept)
            try:
                more = emd(self._given, rest_a / size_a, rest_b / size_b, threads=self._threads)
            except InfeasibleError:
                continue
            more = getattr(more, "on_host", more)
            both = csr_array(coo_array((kept, (rows, cols)), shape=self.shape)) + csr_array(size_a * more.plan)
            return self._above(kept, size_a * more.cost, both.data)
        return np.inf

    def _above(self, kept: Array, more: float = 0.0, masses: Array | None = None) -> float:
        """The objective of entries and of more, of so much cost and with so many masses together, minus the value."""
        masses = kept if masses is None else masses
        objective = float(kept @ self._prices) + more + 0.5 * self.eps * float(masses @ masses)
        return max(objective - self.value, 0.0)

    def __repr__(self) -> str:
        n, m = self.shape
        return (
            f"Transport({n} x {m}, value={self.value:.6g}, eps={self.eps:.3g}, "
            f"{self.status.name}, {self.iterations} iterations)"
        )
