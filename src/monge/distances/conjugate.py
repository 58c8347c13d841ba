"""The conjugate of entropic transport in its first argument, in closed form.

H(h) = max over a of  <h, a> - F(a)  =  eps sum_j b_j log sum_i r_i exp((h_i - C_ij) / eps)

where F(a) = min over P of <P, C> + eps KL(P | r x b), with P 1 = a and P' 1 = b (Cuturi and Peyre 2016).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from monge.distances.loss import Loss
from monge.exact.dense import dense
from monge.problem.arrays import available_threads, positive, real_array
from monge.problem.costs import as_cost
from monge.problem.home import home_of_any
from monge.problem.measures import check_weights

__all__ = ["Conjugate", "dual_conjugate"]

Array = NDArray[np.float64]


class Conjugate(Loss):
    """The value of the conjugate at h, a float that knows its derivative.

    Attributes
    ----------
    value : float
        The number itself, in cost units.
    grad : ndarray (n,)
        Its derivative with respect to h: the histogram a at which the maximum is, positive and of total one.
    """

    def __new__(cls, value: float, shares: Array, b: Array) -> Conjugate:
        return super().__new__(cls, value)  # type: ignore[return-value]

    def __init__(self, value: float, shares: Array, b: Array) -> None:
        self._shares, self._b = shares, b

    def __reduce__(self) -> Any:
        return Conjugate, (float(self), self._shares, self._b)

    @property
    def grad(self) -> Any:
        """The derivative with respect to h, (n,)."""
        return self._at_home(self._grad)

    @cached_property
    def _grad(self) -> Array:
        return np.asarray(self._shares @ self._b)


def dual_conjugate(
    h: Any, b: Any, cost: Any, *, eps: float, reference: Any = None, threads: int | None = None
) -> Conjugate:
    """The Legendre transform, in the first histogram, of entropic transport to a fixed second one.

    ``H(h) = max_a <h, a> - F(a)`` over histograms a, where ``F(a) = min_P <P, C> + eps KL(P | r x b)`` over plans with
    P 1 = a and P' 1 = b. F itself takes an iteration; its conjugate is a sum,
    ``H(h) = eps sum_j b_j log sum_i r_i exp((h_i - C_ij) / eps)``, convex and smooth, and its derivative, the histogram
    at which the maximum is, another one. So a problem such as ``min_a F(a) + G(a)`` is best solved as
    ``max_h -H(h) - G*(-h)``.

    Parameters
    ----------
    h : array_like (n,)
        A potential, in cost units.
    b : array_like (m,), optional
        The fixed histogram; None for uniform weights. Its total is taken for one.
    cost : array_like (n, m), CostMatrix, PointCloud or Grid
        The cost, as for `emd`; +inf forbids an arc.
    eps : float
        Strength of the entropy, positive, in units of the cost.
    reference : array_like (n,), optional
        The r of KL(P | r x b), positive; None for ones.
    threads : int, optional
        For the matrix of costs.

    Returns
    -------
    Conjugate
        A float, with its derivative ``grad`` (n,).

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, numbers that are not finite, an eps that is not positive, a reference that is not, a
        target with mass to which every arc is forbidden.

    Notes
    -----
    Cuturi and Peyre 2016, "A smoothed dual approach for variational Wasserstein problems". The measure in
    the entropy matters here, where a varies. `sinkhorn` has KL(P | a x b), and F(a) is its value plus eps KL(a | r):

        KL(P | r x b) = KL(P | a x b) + KL(a | r),  with KL(p | q) = sum p log(p / q) here, where totals need not agree.

    The conjugate of `sinkhorn` itself has no closed form. The paper's own entropy, <P, log P - 1>, has neither r nor
    b: for r = 1, its H is this one minus eps (sum_j b_j log b_j - 1).

    Examples
    --------
    >>> import numpy as np, monge
    >>> C, b, h = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.3, 0.7]), np.array([0.2, 0.0])
    >>> H = monge.dual_conjugate(h, b, C, eps=0.5)
    >>> a = H.grad
    >>> a.round(4)
    array([0.3926, 0.6074])

    At that histogram h and a meet, <h, a> = F(a) + H(h):

    >>> F = monge.sinkhorn(C, a, b, eps=0.5, tol=1e-9).value + 0.5 * (a @ np.log(a))
    >>> bool(abs(h @ a - F - H) < 1e-8)
    True
    """
    strength, one = positive(eps, "eps"), as_cost(cost)
    n, m = one.shape
    one.checked()
    potential = _vector(h, n, "h")
    masses = check_weights(None, b, n, m)[1]
    masses = np.full(m, 1.0 / m) if masses is None else masses / masses.sum()
    r = np.ones(n) if reference is None else _vector(reference, n, "reference")
    if not r.min() > 0.0:
        raise ValueError(f"reference should be positive; reference[{int(r.argmin())}] = {float(r.min())}.")
    used = masses > 0.0
    logs = (potential[:, np.newaxis] - dense(one, available_threads(threads)).astype(np.float64)[:, used]) / strength
    logs += np.log(r)[:, np.newaxis]
    sums = logsumexp(logs, axis=0)
    if not np.isfinite(sums).all():
        j = int(np.flatnonzero(used)[np.argmin(np.isfinite(sums))])
        raise ValueError(f"cost should leave a way to every target with mass; all of column {j} is forbidden.")
    found = Conjugate(strength * float(masses[used] @ sums), np.exp(logs - sums), masses[used])
    found.home = home_of_any(one.home, h, b, reference)
    return found


def _vector(values: Any, size: int, name: str) -> Array:
    array = real_array(values, name, 1, f"numbers of shape ({size},), one per row of the cost").astype(np.float64)
    if array.shape != (size,):
        raise ValueError(f"{name} should have shape ({size},), one number per row of the cost; got {array.shape}.")
    if not np.isfinite(array).all():
        at = int(np.argmin(np.isfinite(array)))
        raise ValueError(f"{name} should hold finite numbers; {name}[{at}] = {array[at]}.")
    return array
