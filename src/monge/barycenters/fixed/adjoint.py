"""How a barycenter moves when its mixing weights or its histograms do.

Plans P_k = exp(u_k + v_k - C / eps), with P_k 1 = a_k, P_k' 1 = alpha, and log alpha = sum_k w_k t_k + h, where
t_k = log K' exp(u_k) and h = log d for a debiased barycenter, zero else. Let S_k be the mean over a_k's places of the
mean over alpha's, (1 / alpha) P_k' (1 / a_k) P_k, which is symmetric for the inner product <., .> with weights alpha;
M = (1 / alpha) d K d. Differentiated, the equations say of changes v'_k, h', and q = alpha' / alpha, where w changes by
w' and r = sum_k w'_k t_k:

    (I - S_k) v'_k = q,    sum_k w_k v'_k = r + h',    (I + M) h' = q

Thus q = G r, with a symmetric G, and z' alpha' = <z, G r> = <G z, r>: the adjoint problem is the same one, with z in
the place of r. With v'_k = y_k + r + h' and the projection P y = y - sum_l w_l y_l that is

    (I - P S P) y - P S h' = P S r,    -sum_k w_k S_k y_k - (M + sum_k w_k S_k) h' = sum_k w_k S_k r - r

symmetric for weights w_k alpha, and solved by MINRES (Paige and Saunders 1975), which keeps a few arrays (k, m),
whatever the number of iterations. Without h' it is positive, and I - P S P is what one iteration of the projections
leaves of an error: so this takes about the root of the number of iterations that these take. (The derivative of a
number of such iterations, Bonneel, Peyre and Cuturi 2016, Algorithm 1, tends to this one at their rate, and needs all
of them kept.)

With h' it is not, and M has no lower bound: a debiased barycenter answers to changes on a scale below the kernel's by
undoing its blur. Such parts of z converge slowly. A change r of mixing weights has few.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.spread.blas import one_thread

__all__ = ["Linearised"]

Array = NDArray[np.float64]

# What MINRES is asked for, relative to the right-hand side, and its iterations: a problem without debiasing takes some
# twenty, one with debiasing can take any number.
_TOL, _ITERATIONS = 1e-10, 300


class Linearised:
    """A barycenter and its first derivatives.

    Parameters
    ----------
    kernel : object
        See `monge.barycenters.kernels.reference`.
    log_histograms : ndarray (k, n)
    weights : ndarray (k,)
        They sum to one.
    v : ndarray (k, m) or (k + 1, m)
        Potentials over eps of the barycenter; a debiased one has one more row, log d.

    Attributes
    ----------
    alpha : ndarray (m,)
        The barycenter after one more iteration.
    residual : float
        The largest, relative to the right-hand side, of the systems that were solved.
    iterations : int
        Of MINRES, in all.
    most : int
        Of MINRES, for one system.
    """

    def __init__(self, kernel: Any, log_histograms: Array, weights: Array, v: Array) -> None:
        self.kernel, self.transposed, self.weights = kernel, kernel.T, weights
        k = len(weights)
        self.h = v[k] if len(v) > k else None
        self.u = log_histograms - kernel.log_sum(v[:k])
        self.t: Array = self.transposed.log_sum(self.u)
        self.log_alpha: Array = weights @ self.t
        if self.h is not None:
            self.log_alpha += self.h
        self.v = self.log_alpha - self.t
        self._sums = kernel.log_sum(self.v)
        self.alpha: Array = np.exp(self.log_alpha)
        self._some = weights > 0.0  # those of weight zero move with the barycenter, which they do not move
        self.residual, self.iterations, self.most = 0.0, 0, _ITERATIONS

    # What comes of a change.

    def response(self, r: Array, tol: float = _TOL) -> tuple[Array, Array]:
        """alpha' / alpha (m,), and potentials' changes v' as v is, when sum_k w_k t_k changes by r."""
        solved = self._solve(r, tol)
        v = np.zeros((len(self.weights) + (self.h is not None), len(r)))
        v[: len(self.weights)][self._some] = solved.moved
        if self.h is not None:
            v[-1] = solved.h
        return solved.q, v

    def jacobian(self, tol: float = _TOL) -> Array:
        """alpha' / alpha for a change of each mixing weight, (k, m), the others being lowered in their proportions."""
        slopes = np.array([self._solve(t, tol).q for t in self.t])
        slopes -= self.weights @ slopes
        return slopes

    # What a change comes from.

    def vjp(self, z: Array, tol: float = _TOL) -> tuple[Array, Array]:
        """Derivatives of z' alpha with respect to the mixing weights, (k,), and to the histograms, (k, n).

        The former as of weights that are then divided by their sum. The latter hold for changes that keep the totals
        of all the same.
        """
        mean = float(z @ self.alpha) / float(self.alpha.sum())
        z = z - mean
        solved = self._solve(z, tol)
        histograms = np.zeros(self.u.shape)
        histograms[self._some] = self.weights[self._some, np.newaxis] * (solved.sent + mean)
        if self.h is None:
            weights = self.t @ (self.alpha * solved.q)
        else:  # changes of weights are smoother than z, and so what comes of them is known better
            weights = np.array([self._solve(t, tol).q for t in self.t]) @ (self.alpha * z)
        return weights - float(self.weights @ weights), histograms

    def _solve(self, r: Array, tol: float) -> _Solved:
        from scipy.sparse.linalg import LinearOperator, minres  # of no use to a session without derivatives

        w, alpha = self.weights[self._some], self.alpha
        k, m, extra = len(w), len(alpha), int(self.h is not None)
        mean = float(r @ alpha) / float(alpha.sum())
        r = r - mean
        # In variables for which the inner product is the plain one.
        scale = np.sqrt(np.concatenate([w, np.ones(extra)])[:, np.newaxis] * alpha)
        with np.errstate(divide="ignore"):
            back = np.where(scale > 0.0, 1.0 / scale, 0.0)

        def times(x: Array) -> Array:
            y = x.reshape(scale.shape) * back
            centred = y[:k] - w @ y[:k]
            c = self._mean_of_columns(self._mean_of_rows(centred + y[k] if extra else centred))
            total = w @ c
            out = np.empty_like(y)
            out[:k] = centred - c + total
            if extra:
                out[k] = -total - self._spread(y[k])
            out *= scale
            return out.ravel()

        sent = self._mean_of_rows_apart(r)
        c = self._mean_of_columns(sent)
        right = np.empty_like(scale)
        right[:k] = c - w @ c
        if extra:
            right[k] = w @ c - r
        right *= scale
        size = float(np.linalg.norm(right))
        x = np.zeros(right.size)
        if size > 0.0:

            def count(_: Array) -> None:
                self.iterations += 1

            operator = LinearOperator((right.size, right.size), matvec=times, dtype=np.float64)
            with one_thread:  # of BLAS, which would wait for its threads in each of many short products
                x, _ = minres(operator, right.ravel(), rtol=tol, maxiter=self.most, callback=count)
            self.residual = max(self.residual, float(np.linalg.norm(times(x) - right.ravel())) / size)
        y = x.reshape(scale.shape) * back
        h = y[k] if extra else np.zeros(m)
        moved = y[:k] - w @ y[:k] + h
        sent += self._mean_of_rows(moved)
        q = r + h - w @ self._mean_of_columns(sent)
        return _Solved(q, moved + r, h, sent)

    # The means. A vector is made positive, so that its logarithm can be taken, by its least value, or in two parts
    # where that may be so large as to take the digits of all others.

    def _mean_of_rows(self, x: Array) -> Array:
        """The mean of x (k, m) over what each of the histograms' places is sent to, (k, n)."""
        return _mean(self.kernel, self.v[self._some], self._sums[self._some], x)

    def _mean_of_rows_apart(self, r: Array) -> Array:
        mean = np.zeros((int(self._some.sum()), self.u.shape[1]))
        with np.errstate(divide="ignore", under="ignore"):
            for sign in (1.0, -1.0):
                part = np.maximum(sign * r, 0.0)
                if part.any():
                    logs = self.kernel.log_sum(self.v[self._some] + np.log(part))
                    mean += sign * np.exp(logs - self._sums[self._some])
        return mean

    def _mean_of_columns(self, y: Array) -> Array:
        """The mean of y (k, n) over what each place of the barycenter is sent from, (k, m)."""
        return _mean(self.transposed, self.u[self._some], self.t[self._some], y)

    def _spread(self, x: Array) -> Array:
        """M x (m,)."""
        assert self.h is not None
        low = float(x.min())
        with np.errstate(divide="ignore", under="ignore"):
            both = self.kernel.log_sum(np.stack([self.h, self.h + np.log(x - low)])) + self.h - self.log_alpha
            sums = np.exp(both)
        return np.asarray(low * sums[0] + sums[1])


def _mean(kernel: Any, potentials: Array, sums: Array, x: Array) -> Array:
    """Of values x, over the kernel's columns weighted by exp(potentials), whose sums have these logarithms."""
    low = x.min(axis=1, keepdims=True)
    with np.errstate(divide="ignore", under="ignore"):
        logs = kernel.log_sum(potentials + np.log(x - low))
        return np.asarray(low + np.exp(logs - sums))


class _Solved:
    """q (m,), the changes v' (k, m) of those with a weight, h' (m,), and the means of v' over the rows (k, n)."""

    def __init__(self, q: Array, moved: Array, h: Array, sent: Array) -> None:
        self.q, self.moved, self.h, self.sent = q, moved, h, sent
