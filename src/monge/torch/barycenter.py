"""Barycenters as functions of tensors: differentiable in the histograms and in the weights of the mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from monge.barycenters.fixed.barycenter import barycenter as solve

__all__ = ["barycenter"]


def barycenter(
    histograms: Tensor,
    cost: Any,
    weights: Tensor | None = None,
    *,
    eps: float,
    debias: bool = False,
    tol: float = 1e-6,
    max_iter: int = 1_000,
    threads: int | None = None,
) -> Tensor:
    """The Wasserstein barycenter of histograms, differentiable in these and in the mixing weights.

    What `monge.barycenter` finds, ``.weights`` of it: the histogram that minimises ``sum_k w_k OT(a_k, alpha)``. Its
    derivatives are those of the exact barycenter, of which no iteration is kept.

    Parameters
    ----------
    histograms : Tensor (k, n)
        As there: of one total, and none negative; for example ``logits.softmax(-1)``.
    cost : array_like (n, m), CostMatrix, PointCloud or Grid
        A constant.
    weights : Tensor (k,), optional
        Mixing weights that sum to one. None for equal ones.
    eps : float
        Strength of the entropy, positive, in the units of the cost.
    debias : bool
        Without the blur of entropy.
    tol : float
        The largest error of the barycenter; derivatives are as precise as it is.
    max_iter : int
        Largest number of passes over all histograms.
    threads : int, optional
        None for all processors.

    Returns
    -------
    Tensor (m,)
        Of the type and on the device of the histograms.

    Raises
    ------
    TypeError
        For what is no tensor of real numbers.
    ValueError
        As `monge.barycenter` does.
    RuntimeError
        If a second derivative is asked for: there are first ones.

    Notes
    -----
    Histograms and weights can change only so that totals stay equal; what is returned is the derivative along such
    changes. A softmax before takes care of that.

    Examples
    --------
    >>> import torch, monge, monge.torch
    >>> x = torch.arange(20.0, dtype=torch.float64)
    >>> bumps = torch.softmax(-((x - torch.tensor([[5.0], [14.0]])) ** 2) / 4.0, dim=-1)
    >>> w = torch.tensor([0.5, 0.5], dtype=torch.float64, requires_grad=True)
    >>> mean = monge.torch.barycenter(bumps, monge.Grid(20), w, eps=1.0) @ x
    >>> mean.backward()  # it moves by 9 as the weights go from the first to the second
    >>> round(float(w.grad[1] - w.grad[0]), 1)
    9.0
    """
    for name, tensor, own in (("histograms", histograms, 2), ("weights", weights, 1)):
        if tensor is None and name == "weights":
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} should be a tensor; got {type(tensor).__name__}. Convert it with torch.as_tensor.")
        if tensor.dim() != own:
            raise ValueError(f"{name} should have {own} dimension(s); got shape {tuple(tensor.shape)}.")
    options = {"eps": eps, "debias": debias, "tol": tol, "max_iter": max_iter, "threads": threads}
    found: Tensor = _Barycenter.apply(histograms, weights, cost, options)
    return found


class _Barycenter(Function):
    @staticmethod
    def forward(ctx: Any, histograms: Tensor, weights: Tensor | None, cost: Any, options: dict[str, Any]) -> Tensor:
        mixture = None if weights is None else _numpy(weights)
        result = solve(_numpy(histograms), cost, mixture, **options)
        if any(ctx.needs_input_grad):
            ctx.result = result  # which has no tensors, and goes with the graph
            ctx.like = None if weights is None else (weights.dtype, weights.device)
        return torch.from_numpy(np.array(result.weights)).to(histograms.device, histograms.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Any:
        of_weights, of_histograms = ctx.result.vjp(_numpy(slope).astype(np.float64))
        first = torch.from_numpy(of_histograms).to(slope.device, slope.dtype) if ctx.needs_input_grad[0] else None
        second = None
        if ctx.needs_input_grad[1]:
            dtype, device = ctx.like
            second = torch.from_numpy(of_weights).to(device, dtype)
        return first, second, None, None


def _numpy(tensor: Tensor) -> Any:
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()
