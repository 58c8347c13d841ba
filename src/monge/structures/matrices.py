"""Two structures given as matrices Cx (n, n) and Cy (m, m): one product of matrices for each plan, or less.

The derivative is 2 sum_kl (Cx_ik - Cy_jl)^2 P_kl = r_i + s_j - 4 G_ij for symmetric matrices, G = Cx P Cy. A plan of
`emd` has few entries, so Cx P gathers columns of Cx and one product is left; G is linear in the plan.

A matrix that is not symmetric is S + A, with S' = S and A' = -A. Then sum Cx_ik Cy_jl P_ij P_kl is <P, Sx P Sy> -
<P, Ax P Ay>: what is odd in one and even in the other adds up to nothing. Both structures may be shifted by one number,
which leaves their differences; about their mean they have more digits.

Late in a descent, plans differ from the one before in a few columns, and with them G by a product of matrices that are
as narrow: `walk`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array, require_memory
from monge.problem.costs import CostMatrix, is_sparse
from monge.structures.forms import Form, Free
from monge.structures.products import priced, sums_of, times

__all__ = ["MatrixForm", "as_structure"]

Array = NDArray[np.float64]

# A sparse structure with more entries than this part of all is taken as a full one, whose products are faster.
_SPARSE = 0.05
# Plans with so many entries or fewer are full ones: SciPy's sparse ones take some microseconds for all that is done.
_SMALL = 1 << 12
# A product over this part of the columns, or less, takes the place of a whole one; and as many times in a row, so that
# rounding does not add up.
_FEW, _IN_A_ROW = 0.6, 30
# Differences between a matrix and its transpose below this part of its entries are rounding.
_SYMMETRIC = 64.0


def as_structure(values: Any, name: str) -> Any:
    """A structure (n, n), of finite numbers: an array, or scipy.sparse's, whose missing entries are zero.

    Raises TypeError for what holds no real numbers, ValueError for a matrix that is not square or not finite.
    """
    expected = "a structure of shape (n, n), one number for each pair of its points"
    sparse = is_sparse(values)
    if sparse:
        values = values.tocsr()
        if values.shape[0] * values.shape[1] * _SPARSE < values.nnz:
            values, sparse = values.toarray(), False
    if sparse:
        numbers = real_array(values.data, name, 1, expected)
        from scipy.sparse import csr_array

        matrix = csr_array((numbers, values.indices, values.indptr), shape=values.shape)
    else:
        numbers = matrix = real_array(values, name, 2, expected)
    if matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ValueError(f"{name} should be {expected}; got shape {matrix.shape}. Points (n, d) go in as an array.")
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"{name} should hold finite numbers; some are NaN or infinite. Between parts that are not connected, take "
            "a number above all other distances, such as twice the largest."
        )
    return matrix


class MatrixForm(Form):
    """Of the structures Cx (n, n) and Cy (m, m), which `as_structure` has checked.

    Parameters
    ----------
    x, y : ndarray or scipy.sparse.csr_array (n, n), (m, m)
        Cx and Cy. The products of two float32 structures are in single precision, values are not.
    threads : int
        For the products. The numbers are the same for any.
    """

    def __init__(self, x: Any, y: Any, threads: int = 1) -> None:
        n, m = self.shape = x.shape[0], y.shape[0]
        self.threads = threads
        self.dtype = np.result_type(x.dtype, y.dtype)
        wide = self.dtype.itemsize
        require_memory(
            wide * (n * n + m * m + 4 * n * m), f"matching structures of {n} and {m} points", "Subsample the points."
        )
        self.shift = 0.0 if is_sparse(x) or is_sparse(y) else 0.5 * float(x.mean(dtype=float) + y.mean(dtype=float))
        even_x, odd_x = _parts(x, self.shift, self.dtype)
        even_y, odd_y = _parts(y, self.shift, self.dtype)
        # Pairs of parts, with the sign that their product has.
        self.pairs: list[tuple[Any, Any, float]] = [(even_x, even_y, 1.0)]
        if odd_x is not None and odd_y is not None:
            self.pairs.append((odd_x, odd_y, -1.0))
        self.parts_x, self.parts_y = [even_x, odd_x], [even_y, odd_y]

    def at(self, plan: Any) -> MatricesAt:
        plan = self.usable(plan)
        return MatricesAt(self, plan, self.across(plan))

    def usable(self, plan: Any) -> Any:
        """A plan as an array, of a lazy one all entries; or sparse if it is and that is less work."""
        if not is_sparse(plan):
            return np.asarray(plan)
        return plan.toarray() if self.shape[0] * self.shape[1] <= _SMALL else plan.tocsr()

    def walk(self) -> Callable[[Any], MatricesAt]:
        """`at` for a sequence of plans, each of which may be near the one before."""
        return _Walk(self)

    def across(self, plan: Any) -> NDArray[Any]:
        """G = Cx P Cy of the symmetric parts, less that of the others, (n, m)."""
        G = sum(sign * self._product(x, plan, y) for x, y, sign in self.pairs)
        return np.asarray(G)

    def _product(self, x: Any, plan: Any, y: Any) -> NDArray[Any]:
        plan = plan.astype(self.dtype, copy=False)
        n, m = self.shape
        if m <= n:
            G = times(times(x, plan, self.threads), y, self.threads)
        else:
            G = times(x, times(plan, y, self.threads), self.threads)
        return np.asarray(G.toarray() if is_sparse(G) else G)

    def sides(self, sent: Array, received: Array) -> tuple[Array, Array]:
        """2 sum_k Cx_ik^2 p_k, (n,), and 2 sum_l Cy_jl^2 q_l, (m,), for the sums p and q of a plan."""
        return 2.0 * _squares(self.parts_x, sent), 2.0 * _squares(self.parts_y, received)

    def gradients(self, plan: Any) -> tuple[Array, Array]:
        """2 (Cx * p p' - P Cy P'), (n, n), and likewise (m, m)."""
        x, y = (_whole(parts) for parts in (self.parts_x, self.parts_y))
        plan = self.usable(plan)
        p, q = sums_of(plan)
        back = times(times(plan, y, self.threads), plan.T, self.threads)
        forth = times(times(plan.T, x, self.threads), plan, self.threads)
        return 2.0 * (x * np.multiply.outer(p, p) - back), 2.0 * (y * np.multiply.outer(q, q) - forth)


class MatricesAt(Free):
    """A form of matrices at a plan P, with G = Cx P Cy and the sums of P."""

    def __init__(self, form: MatrixForm, P: Any, G: NDArray[Any], known: tuple[Array, ...] | None = None) -> None:
        self.form, self.P, self.G = form, P, G
        if known is None:
            sent, received = sums_of(P)
            known = (sent, received, *form.sides(sent, received))
        self.sent, self.received, *sides = self._known = known
        self._sides = sides[0], sides[1]
        self.value = self.product(self)

    @property
    def plan(self) -> Any:
        """P, sparse."""
        from scipy.sparse import coo_array

        return coo_array(self.P)

    @property
    def size(self) -> float:  # type: ignore[override]
        return float(0.5 * (self._sides[0] @ self.sent + self._sides[1] @ self.received))

    def product(self, other: MatricesAt) -> float:
        """sum (Cx_ik - Cy_jl)^2 P_ij Q_kl."""
        r, s = self._sides
        return float(0.5 * (r @ other.sent + s @ other.received) - 2.0 * priced(other.P, self.G))

    def cost(self) -> CostMatrix:
        return CostMatrix(-4.0 * self.G)

    def sides(self) -> tuple[Array, Array]:
        return self._sides

    def along(self, other: Any) -> tuple[float, float]:
        # Of differences, so that what is left of them near the end of a descent has its digits.
        moved, (r, s), (r1, s1) = other.P - self.P, self._sides, other._sides
        sent, received = other.sent - self.sent, other.received - self.received
        slope = float(r @ sent + s @ received) - 4.0 * priced(moved, self.G)
        curve = 0.5 * float((r1 - r) @ sent + (s1 - s) @ received) - 2.0 * priced(moved, other.G - self.G)
        return slope, curve

    def mixed(self, t: float, other: Any) -> MatricesAt:
        if t == 1.0:
            return other  # type: ignore[no-any-return]
        known = tuple((1.0 - t) * mine + t * theirs for mine, theirs in zip(self._known, other._known, strict=True))
        return MatricesAt(self.form, self.P * (1.0 - t) + other.P * t, (1.0 - t) * self.G + t * other.G, known)

    def exact(self) -> float:
        # In double precision, whatever G is in.
        form, P = self.form, self.P
        r, s = form.sides(self.sent, self.received)
        value = 0.5 * float(r @ self.sent + s @ self.received)
        for x, y, sign in form.pairs:  # <P, X P Y> = <X' P, P Y>, which takes no product of full matrices
            left, right = times(x.T.astype(float), P, form.threads), times(P, y.astype(float), form.threads)
            product = left.multiply(right) if is_sparse(left) else left * right
            value -= 2.0 * sign * float(product.sum())
        return max(value, 0.0)


class _Walk:
    """Evaluates a form of matrices at plans, each from the one before where they differ in few columns or rows."""

    def __init__(self, form: MatrixForm) -> None:
        self.form = form
        self.plan: Any = None
        self.G: NDArray[Any] | None = None
        self.in_a_row = 0

    def __call__(self, plan: Any) -> MatricesAt:
        form, P = self.form, self.form.usable(plan)
        G = self._moved(P) if self.G is not None and is_sparse(P) and self.in_a_row < _IN_A_ROW else None
        self.in_a_row = 0 if G is None else self.in_a_row + 1
        there = MatricesAt(form, P, form.across(P) if G is None else G)
        self.plan, self.G = (P, there.G) if is_sparse(P) else (None, None)
        return there

    def _moved(self, plan: Any) -> NDArray[Any] | None:
        """G at a plan, from that at the last one; None where that is not less work."""
        form, G = self.form, self.G
        change = (plan - self.plan).tocoo()
        moved = change.data != 0.0
        rows, columns = np.unique(change.row[moved]), np.unique(change.col[moved])
        narrow, (n, m) = min(len(rows), len(columns)), form.shape
        if any(is_sparse(part) for pair in form.pairs for part in pair[:2]) or narrow > _FEW * min(n, m):
            return None
        assert G is not None
        if narrow == 0:
            return G
        change = change.tocsr().astype(form.dtype)
        G = G.copy()
        for x, y, sign in form.pairs:
            if len(columns) <= len(rows):
                left, right = times(x, change[:, columns], form.threads), y[columns]
            else:
                left, right = x[:, rows], times(change[rows], y, form.threads)
            G += sign * times(left, right, form.threads)
        return G


def _parts(C: Any, shift: float, dtype: Any) -> tuple[Any, Any]:
    """(C + C') / 2 - shift and (C - C') / 2, the latter None if it is nothing but rounding."""
    odd = 0.5 * (C - C.T)
    largest = abs(C).max()
    if not abs(odd).max() > _SYMMETRIC * np.finfo(C.dtype).eps * largest:
        odd = None
    even = C if odd is None else 0.5 * (C + C.T)
    if shift != 0.0:
        even = even - C.dtype.type(shift)
    return (part if part is None else part.astype(dtype, copy=False) for part in (even, odd))  # type: ignore[return-value]


def _whole(parts: list[Any]) -> Array:
    """The matrix that has these parts, as a full one."""
    whole = sum(part for part in parts if part is not None)
    return np.asarray(whole.toarray() if is_sparse(whole) else whole, dtype=np.float64)


def _squares(parts: list[Any], weights: Array) -> Array:
    """sum_k C_ik^2 w_k, over both orders of i and k, in double precision."""
    total = np.zeros(len(weights))
    for part in parts:
        if is_sparse(part):
            total += part.astype(float).power(2) @ weights
        elif part is not None:
            step = max(1, (1 << 18) // len(weights))
            for first in range(0, len(weights), step):  # some rows at a time: squares take as much memory as the matrix
                some = slice(first, first + step)
                total[some] += np.square(part[some], dtype=np.float64) @ weights
    return total
