import numpy as np
from numpy.typing import NDArray

BLOCK: int

class Bounds:
    def __init__(
        self,
        Y: NDArray[np.float64],
        potentials: NDArray[np.float64],
        log_weights: NDArray[np.float64],
        scale: float,
        linear: bool,
    ) -> None: ...

class Lists: ...

class Pass:
    def __init__(
        self,
        X: NDArray[np.float64],
        Y: NDArray[np.float64],
        scale: float,
        metric: tuple[int, float, bool],
        beta: NDArray[np.float64],
        log_a: NDArray[np.float64],
        b: NDArray[np.float64],
        damp: float,
        cap: float,
        shift: NDArray[np.float64],
        f: NDArray[np.float64],
        single: bool,
    ) -> None: ...
    def screened(
        self,
        first: int,
        last: int,
        bounds: Bounds,
        log_tau: float,
        sums: NDArray[np.float64],
        old: Lists | None = None,
    ) -> tuple[int, int, Lists]: ...
    def listed(self, first: int, last: int, lists: Lists | None, sums: NDArray[np.float64]) -> int: ...
    def columns(
        self,
        chunk_sums: NDArray[np.float64],
        log_b: NDArray[np.float64],
        g: NDArray[np.float64],
        unit: float,
        lost_share: float,
        repairs: int,
        s: NDArray[np.float64],
    ) -> int: ...

class Plan:
    """A plan P_ij = 2^(rows_i + columns_j - inverse C_ij) over the pairs that matter, in double precision.

    Points are as `Pass` takes them, in the order of a k-d tree; `dimensions` of the three coordinates are used. C is
    base(x - y)^exponent as `metric` has it, and prices are in its units. rows (n,) and columns (m,) are logarithms to
    base 2, -inf for a row or a column that is empty. row_mass (n,) and column_mass (m,) are those of about what rows
    and columns of P hold. A pair is left out if P_ij <= tau min(row_mass_i / m, column_mass_j / n): so no row or column
    loses more than tau of that. -inf says that nothing is known, and keeps all pairs whose entry is a number. Where
    `sums` finds much less than these say, a plan made anew with what it finds has that to all digits.

    All methods take rows from `first`, a multiple of BLOCK, to `last`, overwrite what they fill in, and may run on
    several threads at once. The pairs gone over come last.
    """

    def __init__(
        self,
        X: NDArray[np.float64],
        Y: NDArray[np.float64],
        dimensions: int,
        metric: tuple[int, float, bool],
        inverse: float,
        rows: NDArray[np.float64],
        columns: NDArray[np.float64],
        row_mass: NDArray[np.float64],
        column_mass: NDArray[np.float64],
        log_tau: float,
    ) -> None: ...
    def sums(
        self,
        first: int,
        last: int,
        u: NDArray[np.float64],
        v: NDArray[np.float64],
        sent: NDArray[np.float64],
        received: NDArray[np.float64],
    ) -> tuple[float, int]:
        """sent_i = sum_j P_ij v_j for these rows of sent (n,), received_j = sum_i u_i P_ij over these rows, in (m,),
        and the price sum_ij u_i P_ij v_j C_ij."""

    def entropy(
        self,
        first: int,
        last: int,
        u: NDArray[np.float64],
        v: NDArray[np.float64],
        sent: NDArray[np.float64],
        received: NDArray[np.float64],
    ) -> tuple[float, float, int]:
        """What P adds to the product w_ij = u_i v_j of u, v >= 0: sent_i = sum_j P_ij, received_j = sum_i P_ij, the
        price sum_ij P_ij C_ij, and sum_ij (G_ij log2 G_ij - w_ij log2 w_ij) with G = P + w.

        The rest is separable, and the caller's: sum_ij w_ij log2 w_ij, and the sums and the price of w
        (`spread_price` of _pairs).
        """

    def product(self, first: int, last: int, V: NDArray[np.float64], out: NDArray[np.float64]) -> int:
        """out_ic = sum_j P_ij V_jc for these rows of out (n, k); V is (m, k), k a multiple of panel_size of _pairs."""

    def gradient(
        self,
        first: int,
        last: int,
        sent: NDArray[np.float64],
        received: NDArray[np.float64],
        x: NDArray[np.float64],
        y: NDArray[np.float64],
    ) -> tuple[float, int]:
        """x_i = sum_j P_ij dC_ij / dx_i for these rows of x (n, dimensions), y_j = sum_i P_ij dC_ij / dy_j over these
        rows, in (m, dimensions), and the sums and the price of P. A pair of equal points adds nothing to a gradient."""

class Transform:
    """f_i = min_j C_ij - g_j, to the last bit as `transform` of _pairs has it, over the columns that can attain it.

    Points, dimensions and metric are as for `Plan`; g (m,) is in the units of C, -inf for a column that is left out.
    """

    def __init__(
        self,
        X: NDArray[np.float64],
        Y: NDArray[np.float64],
        dimensions: int,
        metric: tuple[int, float, bool],
        g: NDArray[np.float64],
    ) -> None: ...
    def rows(self, first: int, last: int, f: NDArray[np.float64]) -> int:
        """Fills in f (n,) for these rows, +inf where all columns are left out; returns the pairs gone over. Rows and
        threads are as for `Plan`."""
