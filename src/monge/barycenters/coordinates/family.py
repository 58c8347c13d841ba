"""The barycenters of some histograms, for one set of mixing weights after the other."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.coordinates.simplex import least_on_simplex
from monge.barycenters.fixed.adjoint import Linearised
from monge.barycenters.fixed.loop import Found, iterate
from monge.barycenters.fixed.problem import Problem
from monge.entropic.iteration import ANNEAL, START
from monge.entropic.kernels.threads import Threads

__all__ = ["Family", "Member"]

Array = NDArray[np.float64]

# Passes at each eps, and at the last one, by which potentials of a target are found to begin with, and the change at
# which they will do: they are for a first guess.
_COARSE, _FINE, _CLOSE = 10, 100, 1e-4
# Passes for one barycenter, which is the start of the next; a debiased one may never be as precise as is asked for.
_PASSES, _PASSES_DEBIASED = 1_000, 200


class Member:
    """A barycenter, its potentials, and its derivatives."""

    def __init__(self, weights: Array, found: Found, linear: Linearised) -> None:
        self.weights, self.found, self.linear = weights, found, linear

    @property
    def alpha(self) -> Array:
        return self.found.steps.alpha

    @property
    def v(self) -> Array:
        """Potentials over eps, with log d as the last row of a debiased one."""
        return self.found.steps.v


class Family:
    """Barycenters of the histograms of a problem.

    Parameters
    ----------
    problem : Problem
        Its weights are of no account.
    eps : float
    threads : Threads
    """

    def __init__(self, problem: Problem, eps: float, threads: Threads) -> None:
        self.problem, self.eps, self.threads = problem, eps, threads
        self.kernel = problem.kernel(eps, threads)
        self.passes = 0

    def of(self, histograms: Array) -> Family:
        """The family of others of the same total, on the same places, with the same kernel."""
        family = copy.copy(self)
        family.problem, family.passes = copy.copy(self.problem), 0
        family.problem.histograms = histograms
        with np.errstate(divide="ignore"):
            family.problem.log_histograms = np.log(histograms)
        return family

    def with_weights(self, weights: Array, v: Array | None, tol: float, deadline: float = math.inf) -> Member:
        """That with these mixing weights, from potentials `v` over eps where there are some."""
        problem = _WithKernel(self.problem, self.kernel)
        problem.weights = weights
        k, start = len(weights), None
        if v is not None:
            start = v.copy()
            start[:k] -= weights @ v[:k]
            start[k:] = 0.0  # the density begins anew; see `Debiased.onwards`
            start *= self.eps
        most = _PASSES_DEBIASED if problem.debias else _PASSES
        found = iterate(problem, self.eps, tol, most, start, self.threads, deadline)
        self.passes += found.passes
        mass = float(found.steps.alpha.sum())
        if v is not None and not 0.5 * problem.total <= mass <= 2.0 * problem.total:  # from a start that was far off
            return self.with_weights(weights, None, tol, deadline)
        return Member(weights, found, Linearised(self.kernel, problem.log_histograms, weights, found.steps.v))

    def guess(self, target: Array) -> Array:
        """Mixing weights for a target (m,).

        Potentials v_k between the histograms and a barycenter, and its log d, have sum_k w_k v_k = log d. So weights
        for which that is nearly so, in the mean square over the target, are nearly those of a target that is nearly a
        barycenter (as for maps: Werenski et al. 2022, "Measure estimation in the barycentric coding model"). The
        equation is linear in w: this is a guess at the whole simplex, not at what is near some start.
        """
        k, m, seen = len(self.problem.histograms), len(target), target > 0.0
        with np.errstate(divide="ignore"):
            log_target = np.log(target)
        level = self.eps
        while level * ANNEAL <= START * self.problem.cost.largest(0.0):
            level *= ANNEAL
        v = np.where(seen, 0.0, -np.inf) + np.zeros((k, 1))
        while True:
            kernel = self.kernel if level <= self.eps else self.problem.kernel(level, self.threads)
            for _ in range(_FINE if level <= self.eps else _COARSE):
                following = log_target - kernel.T.log_sum(self.problem.log_histograms - kernel.log_sum(v))
                moved = np.abs(following[:, seen] - v[:, seen])
                change = float((moved @ target[seen]).max()) / self.problem.total
                v, self.passes = following, self.passes + 1
                if change <= _CLOSE:
                    break
            if level <= self.eps:
                break
            level, before = max(level / ANNEAL, self.eps), level
            v *= before / level
        h = np.zeros(m)
        if self.problem.debias:
            h = 0.5 * log_target
            for _ in range(_COARSE):
                h = 0.5 * (h + log_target - self.kernel.log_sum(h[np.newaxis])[0])
        share = target[seen] / target.sum()
        some = v[:, seen] - (v[:, seen] @ share)[:, np.newaxis]
        wanted = h[seen] - share @ h[seen]
        slope = -(some * share) @ wanted
        return least_on_simplex((some * share) @ some.T, slope, np.full(k, 1.0 / k))


class _WithKernel(Problem):
    """A problem whose kernel at one eps is at hand."""

    def __init__(self, problem: Problem, own: Any) -> None:
        self.__dict__.update(problem.__dict__)
        self._own = own

    def kernel(self, eps: float, threads: Threads) -> Any:
        """exp(-C / eps)."""
        return self._own if eps == self._own.eps else super().kernel(eps, threads)
