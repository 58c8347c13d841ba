"""From a plan that almost has the right marginals to one that has them.

Given P >= 0, a and b, find G >= 0 with G 1 = a, G' 1 = b and |P - G|_1 <= 2 (|P 1 - a|_1 + |P' 1 - b|_1)

Altschuler, Weed and Rigollet 2017, "Near-linear time approximation algorithms for optimal transport via Sinkhorn
iteration", Algorithm 2 and Lemma 7: rows that send too much are scaled down, then columns that receive too much, and
what is missing after that is sent along any plan between the two remainders.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.lazy import Lazy
from monge.exact.univariate import emd_1d
from monge.problem.arrays import real_array, require_memory
from monge.problem.at_home import PlanAtHome, at_home
from monge.problem.home import home_of_any
from monge.problem.measures import check_weights, total_mass

__all__ = ["RoundedPlan", "Rounding", "marginals", "round_plan", "scalings"]

Array = NDArray[np.float64]


def round_plan(P: Any, a: Any = None, b: Any = None) -> Any:
    """The plan P, changed as little as its marginals are wrong, so that they are a and b.

    A dense plan gives a dense one, in which what was missing is spread as a product of the missing masses
    (Algorithm 2). A sparse plan gives a sparse one with at most n + m - 1 more entries, in which it is sent along a
    monotone plan. A lazy plan, such as that of `sinkhorn`, gives a lazy one, at the price of three products with P.

    Parameters
    ----------
    P : array_like (n, m), scipy.sparse array, or the plan of a Transport
        Masses >= 0 of any total.
    a : array_like (n,), optional
        Row sums of the result. None for uniform ones.
    b : array_like (m,), optional
        Column sums of the result, of the same total.

    Returns
    -------
    ndarray, scipy.sparse.csr_array or RoundedPlan (n, m)
        G >= 0 with G 1 = a and G' 1 = b to rounding, and |P - G|_1 <= 2 (|P 1 - a|_1 + |P' 1 - b|_1). Of arrays of
        another library it is or gives such arrays, as those of `emd`.

    Raises
    ------
    ValueError
        If P is not a matrix of finite masses >= 0, or for weights that `emd` would not take either.
    TypeError
        If P or the weights are not real numbers.

    Examples
    --------
    >>> import numpy as np, monge
    >>> monge.round_plan([[0.4, 0.1], [0.1, 0.2]], a=[0.5, 0.5], b=[0.5, 0.5])
    array([[0.4, 0.1],
           [0.1, 0.4]])
    """
    if isinstance(P, PlanAtHome):
        return P.at_home(_rounded(P.on_host, a, b))
    home = home_of_any(P, a, b)
    return at_home(_rounded(P, a, b), home)


def _rounded(P: Any, a: Any, b: Any) -> Any:
    from scipy.sparse import csr_array, issparse

    lazy = hasattr(P, "toarray") and not issparse(P)
    if not lazy:
        # Sums in double precision, whatever the masses are stored in.
        P = csr_array(P, dtype=np.float64) if issparse(P) else _matrix(P)
        masses = P.data if issparse(P) else P
        if not (np.isfinite(masses) & (masses >= 0.0)).all():
            raise ValueError("P should hold finite masses that are not negative.")
    n, m = P.shape
    found = scalings(P, *marginals(a, b, n, m))
    if lazy:
        return RoundedPlan(P, found)
    if not issparse(P):
        return found.x[:, np.newaxis] * P * found.y + np.outer(found.u, found.v)
    scaled = csr_array((found.x[_rows(P)] * P.data * found.y[P.indices], P.indices, P.indptr), shape=P.shape)
    rows, cols = np.flatnonzero(found.u), np.flatnonzero(found.v)
    if len(rows) == 0 or len(cols) == 0:
        return scaled
    missing = emd_1d(rows, cols, found.u[rows] * found.v.sum(), found.v[cols] * found.u.sum()).plan
    return scaled + csr_array((missing.data, (rows[missing.row], cols[missing.col])), shape=P.shape)


class Rounding(NamedTuple):
    """G = diag(x) P diag(y) + u v'."""

    x: Array  # (n,)
    y: Array  # (m,)
    u: Array  # (n,)
    v: Array  # (m,)


class RoundedPlan(Lazy):
    """The lazy plan diag(x) P diag(y) + u v', for a lazy plan P; or with a sparse plan in the place of u v'.

    It takes part in products, has ``T``, ``sum(axis)``, rows and ``toarray()``, and becomes an array, as P does.
    """

    def __init__(self, P: Any, rounding: Rounding, missing: Any = None) -> None:
        self.P, self.rounding = P, rounding
        self._missing = _Product(rounding.u, rounding.v) if missing is None else missing

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        n, m = self.P.shape
        return n, m

    @property
    def T(self) -> RoundedPlan:
        """The transposed plan (m, n), lazy too."""
        x, y, u, v = self.rounding
        return RoundedPlan(self.P.T, Rounding(y, x, v, u), self._missing.T)

    def __matmul__(self, other: Any) -> Array:
        """The product with a vector (m,) or a matrix (m, k), without storing the plan."""
        x, y, _, _ = self.rounding
        values = self._operand(other, 1)
        product: Array = (x * (self.P @ (y * values.T).T).T).T + self._missing @ values
        return product

    def __rmatmul__(self, other: Any) -> Array:
        return np.asarray((self.T @ self._operand(np.transpose(other), 0)).T)

    def toarray(self) -> Array:
        """All entries, as an array (n, m)."""
        (x, y, _, _), (n, m) = self.rounding, self.shape
        what = f"the {n} x {m} plan as an array, with room to compute it,"
        require_memory(3 * n * m * 8, what, "Use products or rows instead.")
        dense: Array = x[:, np.newaxis] * self.P.toarray()
        dense *= y
        dense += self._missing.toarray()
        return dense

    def _rows_at(self, index: NDArray[np.intp]) -> Array:
        x, y, _, _ = self.rounding
        return np.asarray(np.multiply.outer(x[index], y) * self.P[index] + self._missing[index].toarray())

    def _marginal(self, axis: int) -> Array:
        n, m = self.shape
        return self @ np.ones(m) if axis == 1 else self.T @ np.ones(n)

    def __repr__(self) -> str:
        n, m = self.shape
        return f"RoundedPlan({n} x {m})"


class _Product:
    """u v', with as much of what a sparse array does as is needed here."""

    def __init__(self, u: Array, v: Array) -> None:
        self.u, self.v = u, v

    @property
    def T(self) -> _Product:
        return _Product(self.v, self.u)

    def __matmul__(self, values: Array) -> Array:
        return np.multiply.outer(self.u, self.v @ values)

    def __getitem__(self, rows: Any) -> _Product:
        return _Product(self.u[rows], self.v)

    def toarray(self) -> Array:
        return np.multiply.outer(self.u, self.v)


def scalings(P: Any, a: Array, b: Array) -> Rounding:
    """Algorithm 2 on anything that can be summed and multiplied with vectors."""
    n, m = P.shape
    x = _at_most(a, np.asarray(P.sum(axis=1)).reshape(n))
    received = np.asarray(P.T @ x).reshape(m)
    y = _at_most(b, received)
    u = np.maximum(a - x * (P @ y), 0.0)
    v = np.maximum(b - y * received, 0.0)
    # The two totals agree but for rounding; where that is all that is left, the larger one keeps the product below it.
    missing = max(u.sum(), v.sum())
    return Rounding(x, y, u / missing if missing > 0.0 else u, v)


def _at_most(wanted: Array, found: Array) -> Array:
    """The largest factors <= 1 that bring what is found down to what is wanted."""
    if not (np.isfinite(found) & (found >= 0.0)).all():
        raise ValueError("P should hold finite masses that are not negative, with sums that are finite.")
    with np.errstate(over="ignore"):
        return np.minimum(np.divide(wanted, found, out=np.ones_like(wanted), where=found > 0.0), 1.0)


def marginals(a: Any, b: Any, n: int, m: int) -> tuple[Array, Array]:
    """Both weights in full, b rescaled by the rounding in which its total differs from a's."""
    weights_a, weights_b = check_weights(a, b, n, m)
    total = total_mass(weights_a if weights_a is not None else weights_b)
    row_sums = np.full(n, total / n) if weights_a is None else weights_a
    column_sums = np.full(m, total / m) if weights_b is None else weights_b * (total / total_mass(weights_b))
    return row_sums, column_sums


def _matrix(P: Any) -> Array:
    masses = real_array(P, "P", 2, "a plan of shape (n, m)").astype(np.float64, copy=False)
    if 0 in masses.shape:
        raise ValueError(f"P should have at least one row and one column; got shape {masses.shape}.")
    return masses


def _rows(P: Any) -> NDArray[np.intp]:
    """The row of each entry of a csr_array."""
    return np.repeat(np.arange(P.shape[0]), np.diff(P.indptr))
