"""A step on a grid, by entropic scaling (Peyre 2015, "Entropic approximation of Wasserstein gradient flows").

minimise over P with P' 1 = q   (<P, C> + eps sum_ij P_ij (log P_ij - 1)) / (2 step) + F(P 1)

with C the squared distances of cells. The reference measure of the entropic term is the uniform one on pairs of
cells, as in the paper, which writes it KL(P | exp(-C / eps)). It is not the product of the marginals, a x b, of
`sinkhorn`: the new density p = P 1 is free, and a reference that moves with it would make the problem another one.
Against the uniform reference p pays for its own entropy, eps / (2 step) int p log p, and each step blurs by a variance
of eps / 2 more; against the product it would shrink by as much.

So p is given back what it pays to itself: minus half of the same problem from p to p is added, and what is minimised is

    S_eps(p, q) / (2 step) + F(p)

up to a constant, S_eps the Sinkhorn divergence, for which both references are the same. Its blur is of order eps^2. As
half of the problem from p to p is the maximum over h of <p, h> - eps/2 sum_ij exp((h_i + h_j - C_ij) / eps) (Janati,
Cuturi and Gramfort 2020, "Debiased Sinkhorn barycenters", section 3), h is one more potential, and its turn to be
improved comes after that of the others:

    p    of eps (log p - log r) + 2 step F'(p) = h,  where r = K exp(g / eps)           each cell for itself
    g    = eps (log q - log K' exp(f / eps)),  where f = eps (log p - log r)
    h    <- (h + eps (log p - log K exp(h / eps))) / 2

The first is the proximal operator of F for the divergence KL. In the logarithm l of the density it is one equation per
cell, (eps + 2 step) l = ... for an entropy, which is Peyre's power law in closed form; Newton's method takes one step
to that, and some for a porous medium. Potentials are a part of its right hand side. So are interactions W * p, for a p
that is taken anew whenever the rest has settled: what is found is the implicit step, p the same on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.grid_sums import GridSums
from monge.entropic.kernels.threads import Threads
from monge.flows.jko.cells import Cells
from monge.flows.jko.energies import Parts
from monge.flows.jko.mixing import Mixing
from monge.flows.jko.result import Advance

__all__ = ["GridScheme"]

Array = NDArray[np.float64]

# Rounds of a step, and of potentials of a density to itself, at most.
_ROUNDS = 5_000
# Newton's steps to the logarithm of a density, and the change that ends them: they converge quadratically.
_STEPS, _CHANGE = 100, 1e-9
# Interactions are taken anew once the error for the last ones is this share of what they are off by.
_SETTLED = 0.1


class GridScheme:
    """The scheme for a density on cells. Inside, p and q are masses of cells, and u, v, d the potentials f, g, h over
    eps."""

    bandwidth = None

    def __init__(
        self, density: Array, cells: Cells, parts: Parts, step: float, tol: float, eps: float, debias: bool,
        threads: Threads,
    ) -> None:  # fmt: skip
        self.start, self.cells, self.parts, self.step = density, cells, parts, step
        self.tol, self.eps, self.debias = tol, eps, debias
        self.log_volume = math.log(cells.volume)
        self.potential = cells.potential(parts)
        self.interaction = cells.interaction(parts)
        if (self.potential[density.reshape(-1) > 0.0] == math.inf).any():
            raise ValueError("x0 has mass where the potential is +inf, a wall. Set the density to zero there.")
        self.sums = GridSums(cells.grid, eps, threads)
        self._last: tuple[Array, Array] = np.empty(0), np.empty(0)  # a density and its potential to itself, d

    def value(self, density: Array) -> float:
        """F."""
        rho = density.reshape(-1)
        inside = rho > 0.0
        rho = rho[inside]
        e, _, _ = self.parts.of_log(np.log(rho))
        p = density.reshape(-1) * self.cells.volume
        return float(p[inside] @ (e + self.potential[inside] + 0.5 * self.interaction(p)[inside]))

    @np.errstate(over="ignore", invalid="ignore")  # where a mixture leads astray, which is taken back
    def advance(self, density: Array, check: Callable[[], None]) -> Advance:
        """The next density."""
        q = density.reshape(-1) * self.cells.volume
        mass = float(q.sum())
        with np.errstate(divide="ignore"):
            log_q = np.log(q)
        d_q = self._last[1] if density is self._last[0] else self._to_itself(log_q, check)
        n = len(q)
        z, mixing, solved = np.concatenate([log_q - self.sums.log_sum(np.zeros(n)), np.zeros(n)]), Mixing(), False
        pulled = self.interaction(q)  # at the density `at`
        p, at, trust, strayed = q, q, 1.0, math.inf
        for k in range(_ROUNDS):
            check()
            v, d = z[:n], z[n:]
            log_r, before = self.sums.log_sum(v), p
            log_p = self._prox(log_r, d, pulled)
            p, u = np.exp(log_p), log_p - log_r
            arrived = self.sums.log_sum(u)  # what would arrive of v is exp(v + arrived)
            error = float(np.abs(np.exp(v + arrived) - q).sum()) + float(np.abs(p - before).sum())
            image = np.concatenate([log_q - arrived, d])
            if self.debias:
                d = 0.5 * log_p if k == 0 else d
                own = self.sums.log_sum(d)
                error += float(np.abs(np.exp(d + own) - p).sum())
                image[n:] = 0.5 * (d + log_p - own)
            away = float(np.abs(p - at).sum()) if self.parts.interaction else 0.0
            if error + away <= self.tol * mass:
                solved = True
                break
            if error <= max(_SETTLED * away, self.tol * mass):
                trust, strayed = trust * (0.5 if away > strayed else 1.0), away
                at = (1.0 - trust) * at + trust * p * (mass / float(p.sum()))
                pulled = self.interaction(at)
                mixing = Mixing()
            z = image if k == 0 else mixing.next(z, image, np.concatenate([q, p]))
        v, d = image[:n], image[n:]
        log_p = u + self.sums.log_sum(v)  # whose mass is that of q
        p = np.exp(log_p)
        d_p = self._to_itself(log_p, check, d if self.debias else None)
        squared = self.eps * (_dot(p, u) + _dot(q, v) - _dot(p, d_p) - _dot(q, d_q))
        if not np.isfinite(p).all():
            return Advance(density, 0.0, False)
        rho = (p / self.cells.volume).reshape(density.shape)
        self._last = rho, d_p
        return Advance(rho, math.sqrt(max(squared, 0.0)), solved)

    def _prox(self, log_r: Array, d: Array, pulled: Array) -> Array:
        """log p with eps (log p - log r - d) + 2 step F'(p) = 0, with the pull of interactions as it is."""
        eps, twice = self.eps, 2.0 * self.step
        with np.errstate(invalid="ignore"):
            right = eps * (log_r + d - self.log_volume) - twice * (self.potential + pulled)
        inside = right > -math.inf  # not beyond walls
        level = self._level(right[inside])
        out = np.full(len(right), -math.inf)
        out[inside] = level + self.log_volume
        return out

    def _level(self, right: Array) -> Array:
        """l with eps l + 2 step (e + e')(l) = right."""
        eps, twice = self.eps, 2.0 * self.step
        # Where one term alone makes up for the right hand side with the others positive, the root is not above.
        level = right / eps
        if not self.parts.internal:
            return level
        level = np.maximum(level, 0.0)
        for weight, term in self.parts.internal:
            level = np.minimum(level, np.maximum(term.bound(right / (twice * weight)), 0.0))
        for _ in range(_STEPS):  # downhill all the way: the left hand side is convex and rises
            e, first, second = self.parts.of_log(level)
            change = (eps * level + twice * (e + first) - right) / (eps + twice * (first + second))
            level = level - change
            if float(np.abs(change).max()) <= _CHANGE:
                break
        return level

    def _to_itself(self, log_p: Array, check: Callable[[], None], start: Array | None = None) -> Array:
        """d with exp(d) K exp(d) = p."""
        p, d = np.exp(log_p), 0.5 * log_p if start is None else start
        for _ in range(_ROUNDS):
            check()
            own = self.sums.log_sum(d)
            if float(np.abs(np.exp(d + own) - p).sum()) <= self.tol * float(p.sum()):
                break
            d = 0.5 * (d + log_p - own)
        return d


def _dot(weights: Array, values: Array) -> float:
    """Their product, where there is weight."""
    inside = weights > 0.0
    return float(weights[inside] @ values[inside])
