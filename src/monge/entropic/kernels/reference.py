"""The specification of pairs and of steps, in plain NumPy and double precision: all others are compared with these.

Pairs are a cost, the weights a (n,), b (m,) and the marginals of one problem, and the threads that work on it:

    run(steps, eps, single, complete)
                            one pass: fills in steps.f and steps.s for steps.g. `single` allows single precision. Unless
                            it has to be `complete` it may go by what an earlier pass found to matter; returns whether
                            it did not
    size                    of the costs, which tells where eps starts
    noise                   what single precision adds to the marginal error, times eps; inf if it has none
    skipped                 the marginal error that even a complete pass may leave out
    exact_below             the eps below which potentials of the problem without entropy are the better start
    patience                passes that may not halve the error before such potentials are tried
    T                       the pairs from the columns to the rows

A pass fills in, for potentials g (m,),

    f_i = clip(r_i / (1 + eps / kl), -cap, cap)   r_i = -eps log sum_j b_j exp((g_j - C_ij) / eps)
    s_j = -eps log sum_i a_i exp((f_i - C_ij) / eps)

where kl and cap are of the marginal of the rows. s_j may be anything where b_j = 0. Potentials (f, g) at eps have a
plan, P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps), of which pairs know, in double precision and cost units,

    sums(f, g, eps, u, v)               P v (n,), P' u (m,) and the cost of diag(u) P diag(v); anything in place of what
                                        needs a u or a v that is None
    product(f, g, eps, V)               P V (n, k)
    mixture(f, g, eps, x, y, u, v)      price, divergence and sums of diag(x) P diag(y) + u v', see `Mixture`
    gradient(f, g, eps)                 sum_j P_ij dC_ij / dx_i (n, d) and sum_i P_ij dC_ij / dy_j (m, d), for points; a
                                        pair contributes nothing where its cost has no derivative
    entries(f, g, eps, rows)            the entries (k, m) of some rows
    over_rows(f, g, eps, use, out)      use(rows, entries) for blocks of rows, one after the other or side by side
    softmins(f, eps, columns)           s_j of some columns, +inf for an empty sum
    transforms(g)                       f_i = min_j C_ij - g_j, and then g_j = min_i C_ij - f_i; -inf in g leaves a
                                        column out; zero where there is no minimum

Steps are the potentials of one problem, and what happens to them between passes. All numbers are in one unit. They hold
f (n,), g (m,) and the softmins s (m,), which are zero at first; the caller's f and g are modified in place.

    measure(eps)            of the plan: the error of its columns, its mass, and what f and g add to the dual value
    keep_digits(eps)        before an eps: balanced potentials that are too far from the others for eps to count beside
                            them are brought near
    advance(eps)            g becomes the plain step: the best g for this f, translated if there is a KL marginal
    accelerate(eps, anew)   the same, and then Anderson's combination with the steps before, unless it starts `anew`;
                            whether that went further than the plain step
    shorten(share)          g goes back to this share of the way from the plain step
    take_back()             g goes back to the plain step, the changes before are forgotten
    forget()                so is that one
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, xlogy

from monge.entropic.kernels.all_pairs import Mixture
from monge.entropic.kernels.scale import EXACT_BELOW
from monge.entropic.marginals import Marginal

__all__ = ["LONGEST_STEP", "RIDGE", "SAME_MASS", "TRUSTED_RESIDUAL", "ReferencePairs", "ReferenceSteps"]

Array = NDArray[np.float64]

# In units of eps, how far potentials may be from their median where an eps starts: further ones have too few digits.
_FARTHEST = 1e11
# In units of eps. One pass tells little about changes beyond this, where the plan changes by a factor of 3e4.
TRUSTED_RESIDUAL = 10.0
# How far, in units of eps, acceleration may go beyond the plain step in any column.
LONGEST_STEP = 40.0
# Added to the unit diagonal of the least squares problem: in its directions below this there is only noise.
RIDGE = 1e-13
# Masses that agree so far are equal but for rounding, which a large rho would turn into a shift that means nothing.
SAME_MASS = 1e-14


class ReferencePairs:
    """Of a whole matrix of costs."""

    noise, skipped, patience = math.inf, 0.0, 30

    def __init__(
        self, cost: Any, a: Array, b: Array, marginals: tuple[Marginal, Marginal], threads: Any = None
    ) -> None:
        self.cost, self.a, self.b, self.marginals, self.threads = cost, a, b, marginals, threads
        self.C = cost.block(slice(None))

    @property
    def T(self) -> ReferencePairs:
        return ReferencePairs(self.cost.T, self.b, self.a, self.marginals[::-1], self.threads)

    @cached_property
    def size(self) -> float:
        finite = self.C[np.isfinite(self.C)]
        return float(np.mean(finite - finite.min())) if finite.size else 0.0

    @property
    def exact_below(self) -> float:
        return EXACT_BELOW * self.size

    def run(self, steps: Any, eps: float, single: bool, complete: bool) -> bool:
        with np.errstate(divide="ignore"):
            r = -eps * logsumexp((steps.g - self.C) / eps, b=self.b, axis=1)
            steps.f[:] = self.marginals[0].potential(r, eps)
            steps.s[:] = self.softmins(steps.f, eps, np.arange(len(self.b)))
        return True

    def plan(self, f: Array, g: Array, eps: float) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            weights = np.log(self.a)[:, np.newaxis] + np.log(self.b)
            return np.asarray(np.exp((f[:, np.newaxis] + g - self.C) / eps + weights))

    def sums(self, f: Array, g: Array, eps: float, u: Array | None, v: Array | None) -> tuple[Array, Array, float]:
        P = self.plan(f, g, eps)
        u, v = (np.ones(size) if one is None else one for one, size in zip((u, v), P.shape, strict=True))
        return P @ v, P.T @ u, _priced(u[:, np.newaxis] * P * v, self.C)

    def product(self, f: Array, g: Array, eps: float, values: Array) -> Array:
        return np.asarray(self.plan(f, g, eps) @ values)

    def mixture(self, f: Array, g: Array, eps: float, x: Array, y: Array, u: Array, v: Array) -> Mixture:
        G = x[:, np.newaxis] * self.plan(f, g, eps) * y + np.multiply.outer(u, v)
        product = np.multiply.outer(self.a, self.b)
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence = float(xlogy(G, np.where(G > 0.0, G / product, 1.0)).sum())
        return Mixture(_priced(G, self.C), divergence, G.sum(axis=1), G.sum(axis=0))

    def gradient(self, f: Array, g: Array, eps: float) -> tuple[Array, Array]:
        P, (x, y) = self.plan(f, g, eps), (self.cost.x, self.cost.y)
        grad_x, grad_y = np.zeros(x.shape), np.zeros(y.shape)
        for i in range(len(x)):
            here = np.broadcast_to(x[i], y.shape)
            slopes_x, slopes_y = self.cost.ground.derivatives(here, y)
            grad_x[i] = P[i] @ slopes_x
            grad_y += P[i][:, np.newaxis] * slopes_y
        return grad_x, grad_y

    def entries(self, f: Array, g: Array, eps: float, rows: Any) -> Array:
        return np.asarray(self.plan(f, g, eps)[rows])

    def over_rows(
        self, f: Array, g: Array, eps: float, use: Callable[[slice, Array], None], out: Array | None = None
    ) -> None:
        entries = self.plan(f, g, eps)
        if out is not None:
            out[:] = entries
        use(slice(0, len(entries)), entries)

    def softmins(self, f: Array, eps: float, columns: NDArray[np.intp]) -> Array:
        with np.errstate(divide="ignore"):
            exponents = (f[:, np.newaxis] - self.C[:, columns]) / eps
            return np.asarray(-eps * logsumexp(exponents, b=self.a[:, np.newaxis], axis=0))

    def transforms(self, g: Array) -> tuple[Array, Array]:
        f = (self.C - g).min(axis=1)
        f[f == np.inf] = 0.0
        back = (self.C - f[:, np.newaxis]).min(axis=0)
        back[back == np.inf] = 0.0
        return f, back


def _priced(masses: Array, C: Array) -> float:
    """<masses, C>, where no mass on a forbidden arc costs nothing."""
    return float((masses * np.where(masses != 0.0, C, 0.0)).sum())


class ReferenceSteps:
    """Potentials and the steps on them."""

    def __init__(
        self,
        a: Array,
        b: Array,
        marginals: tuple[Marginal, Marginal],
        f: Array,
        g: Array,
        depth: int,
        symmetric: bool = False,
    ) -> None:
        self.symmetric = symmetric
        self.a, self.b, (self.rows, self.columns) = a, b, marginals
        self.f, self.g, self.s = f, g, np.zeros(len(b))
        self._depth = depth
        self._safe = np.zeros(len(b))
        self._residual = np.zeros(len(b))
        self._changes: list[tuple[Array, Array]] = []  # of the residual, in units of eps, and of the plain step
        self._begun = False

    def measure(self, eps: float) -> tuple[float, float, float, float]:
        """The error is that of the column sums against those that g calls for, b exp(-g / kl), over the plan's mass.
        Where g is at a bound, TV takes any column sum on one side of the weight."""
        g, some = self.g, self.b > 0.0
        sums = np.where(some, self.b * np.exp(np.where(some, g - self.s, 0.0) / eps), 0.0)
        wanted = self.b * np.exp(-g / self.columns.kl)
        cap = self.columns.cap
        at_bound = ((g >= cap) & (sums <= wanted)) | ((g <= -cap) & (sums >= wanted))
        mass, error = float(sums.sum()), float(np.abs(sums - wanted)[some & ~at_bound].sum())
        error = error / mass if mass > 0.0 else 1.0 if error > 0.0 else 0.0
        return error, mass, _worth(self.a, self.f, self.rows), _worth(self.b, g, self.columns)

    def keep_digits(self, eps: float) -> None:
        known = self.g[self.b > 0.0]
        if self.rows.fixed and self.columns.fixed and known.max() - known.min() > _FARTHEST * eps:
            middle = np.sort(known)[len(known) // 2]
            np.clip(self.g, middle - _FARTHEST * eps, middle + _FARTHEST * eps, out=self.g)

    def advance(self, eps: float) -> None:
        self.g[:] = self._plain(eps)

    def _plain(self, eps: float) -> Array:
        if self.symmetric:  # see csrc/entropic/steps.hpp
            best = self.columns.potential(self.s, eps)
            return np.where(self.b > 0.0, (self.g + 8.0 * (self.f + best)) / 17.0, 0.0)
        translate = min(self.rows.kl, self.columns.kl) < math.inf == min(self.rows.cap, self.columns.cap)
        shift = self._translation(self.g) if translate else 0.0
        plain = np.where(self.b > 0.0, self.columns.potential(self.s - shift, eps), 0.0)
        if translate:
            self.f += shift
            plain -= self._translation(plain)
        return plain

    def _translation(self, g: Array) -> float:
        """The t for which f + t, g - t have the largest dual value: sum a exp(-f / kl_a) = sum b exp(-g / kl_b)."""
        kl_a, kl_b = self.rows.kl, self.columns.kl
        difference = logsumexp(-self.f / kl_a, b=self.a) - logsumexp(-g / kl_b, b=self.b)
        return float(difference / (1.0 / kl_a + 1.0 / kl_b)) if abs(difference) > SAME_MASS else 0.0

    def accelerate(self, eps: float, anew: bool) -> bool:
        """Walker and Ni 2011, section 2: least squares over the changes of the residual, in the norm of the weights."""
        plain = self._plain(eps)
        residual = np.where(self.b > 0.0, (plain - self.g) / eps, 0.0)
        residual = np.clip(residual, -TRUSTED_RESIDUAL, TRUSTED_RESIDUAL)
        if anew:
            self.forget()
        if self._begun:
            self._changes.append((residual - self._residual, plain - self._safe))
            del self._changes[: -self._depth]
        self._begun, self._residual, self._safe = True, residual, plain
        self.g[:] = plain
        if not self._changes:
            return False
        residuals, steps = (np.stack(part) for part in zip(*self._changes, strict=True))
        gram, against = (residuals * self.b) @ residuals.T, (residuals * self.b) @ residual
        if not (np.diag(gram) > 0.0).all():
            return False
        scaling = 1.0 / np.sqrt(np.diag(gram))
        scaled = gram * np.multiply.outer(scaling, scaling) + RIDGE * np.eye(len(gram))
        further = -(scaling * np.linalg.solve(scaled, scaling * against)) @ steps
        step = np.clip(further, -LONGEST_STEP * eps, LONGEST_STEP * eps)
        self.g[:] = np.clip(plain + step, -self.columns.cap, self.columns.cap)
        return True

    def shorten(self, share: float) -> None:
        self.g[:] = self._safe + share * (self.g - self._safe)

    def take_back(self) -> None:
        self.g[:] = self._safe
        self._changes = []

    def forget(self) -> None:
        self._changes, self._begun = [], False


def _worth(weights: Array, potential: Array, side: Marginal) -> float:
    """What a potential adds to the dual value."""
    some = weights > 0.0
    weights, potential = weights[some], potential[some]
    if side.kl < math.inf:
        return float(weights @ (-side.kl * np.expm1(-potential / side.kl)))
    return float(weights @ np.minimum(potential, side.cap))
