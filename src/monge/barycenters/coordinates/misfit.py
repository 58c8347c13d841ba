"""How far a barycenter is from a target: three losses, with their slopes, and about how they curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from monge.barycenters.fixed.adjoint import Linearised
from monge.distances.divergence import sinkhorn_divergence
from monge.problem.costs import Cost

__all__ = ["MISFITS", "Misfit", "misfit_of"]

Array = NDArray[np.float64]


class Misfit:
    """Of a target b (m,)."""

    def __init__(self, target: Array, cost: Cost, eps: float, tol: float, threads: int) -> None:
        self.target, self.cost, self.eps, self.tol, self.threads = target, cost, eps, tol, threads

    def value(self, alpha: Array) -> float:
        """The loss; `slope` is then asked for at the same alpha, if at all."""
        raise NotImplementedError

    def slope(self, alpha: Array) -> Array:
        """The derivative, times alpha: for a relative change."""
        raise NotImplementedError

    def curvature(self, linear: Linearised, jacobian: Array) -> Array:
        """About the second derivative (k, k) along relative changes (k, m), which come of a change of each weight."""
        raise NotImplementedError


class _Squares(Misfit):
    """|alpha - b|^2"""

    def value(self, alpha: Array) -> float:
        return float(((alpha - self.target) ** 2).sum())

    def slope(self, alpha: Array) -> Array:
        return 2.0 * (alpha - self.target) * alpha

    def curvature(self, linear: Linearised, jacobian: Array) -> Array:
        changes = jacobian * linear.alpha
        return np.asarray(2.0 * changes @ changes.T)


class _Divergence(Misfit):
    """KL(b | alpha)"""

    def value(self, alpha: Array) -> float:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = np.where(self.target > 0.0, self.target / alpha, 1.0)
        return float((xlogy(self.target, ratio) - self.target + alpha).sum())

    def slope(self, alpha: Array) -> Array:
        return alpha - self.target

    def curvature(self, linear: Linearised, jacobian: Array) -> Array:
        return np.asarray((jacobian * self.target) @ jacobian.T)


class _Transport(Misfit):
    """The Sinkhorn divergence. Near the target of a debiased barycenter, its second derivative is eps (alpha G)^-1,
    with the G of `adjoint`, and so along its changes alpha G t it is eps <t, alpha G t>, which is at hand."""

    _loss: Any = None

    def value(self, alpha: Array) -> float:
        alpha = alpha * (self.target.sum() / alpha.sum())
        options: dict[str, Any] = {"eps": self.eps, "tol": self.tol, "threads": self.threads}
        self._loss = sinkhorn_divergence(a=alpha, b=self.target, cost=self.cost, init=self._loss, **options)
        return float(self._loss)

    def slope(self, alpha: Array) -> Array:
        slopes = np.asarray(self._loss.grad_a)
        return np.where(alpha > 0.0, slopes * alpha, 0.0)

    def curvature(self, linear: Linearised, jacobian: Array) -> Array:
        t = linear.t - linear.weights @ linear.t
        matrix = self.eps * t @ (linear.alpha * jacobian).T
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
        return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


MISFITS: dict[str, Any] = {"l2": _Squares, "kl": _Divergence, "wasserstein": _Transport}


def misfit_of(loss: Any, target: Array, cost: Cost, eps: float, tol: float, threads: int) -> Misfit:
    """The loss of this name; ValueError for others, and for a cost that does not allow it."""
    if loss not in MISFITS:
        raise ValueError(f"loss should be one of {', '.join(map(repr, MISFITS))}; got {loss!r}.")
    if loss == "wasserstein":
        try:
            cost.require_symmetric()
        except ValueError as error:
            raise ValueError(
                "loss='wasserstein' compares histograms on the same places, by a symmetric cost. Take 'l2' or 'kl'. "
                f"{error}"
            ) from error
    found: Misfit = MISFITS[loss](target, cost, eps, tol, threads)
    return found
