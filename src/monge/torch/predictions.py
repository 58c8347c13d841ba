"""Checks of predicted distributions over classes, of their targets, and of the costs between classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from monge.distances.predictions import allowed

__all__ = [
    "as_costs",
    "as_target",
    "as_tensor",
    "check_prediction",
    "readable",
    "with_total_of",
]

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def check_prediction(h: Any) -> None:
    """Its type and shape."""
    if not isinstance(h, Tensor) or h.dtype not in _FLOATS:
        got = f"a tensor of {h.dtype}" if isinstance(h, Tensor) else type(h).__name__
        raise TypeError(f"probabilities should be a tensor of real numbers, such as logits.softmax(-1); got {got}.")
    if h.dim() == 0 or 0 in h.shape:
        raise ValueError(
            f"probabilities should have shape (..., K), with at least one prediction; got {tuple(h.shape)}. "
            "Leave empty batches out."
        )


def as_costs(cost: Any, h: Tensor) -> Tensor:
    """The costs (K, L) as a tensor of the type and on the device of the predictions h."""
    C = as_tensor(cost)
    if C.is_complex() or C.dtype is torch.bool:
        raise TypeError(f"cost should hold real numbers; got {C.dtype}.")
    if C.dim() != 2 or C.shape[0] != h.shape[-1] or C.shape[1] == 0:
        raise ValueError(
            f"cost should have shape (K, L), from each of the K = {h.shape[-1]} predicted classes to each of the "
            f"target's; got {tuple(C.shape)}. Classes are the last dimension of probabilities."
        )
    return C.to(h.device, h.dtype)


def as_tensor(cost: Any) -> Tensor:
    """Numbers in lists in double precision, as elsewhere in this library."""
    return cost if isinstance(cost, Tensor) else torch.as_tensor(np.asarray(cost))


def as_target(target: Any, h: Tensor, classes: int) -> tuple[Tensor, bool]:
    """One class for each prediction (...), and True; or masses (..., L), of the type of h, and False."""
    if not isinstance(target, Tensor) or target.is_complex():
        got = f"a tensor of {target.dtype}" if isinstance(target, Tensor) else type(target).__name__
        raise TypeError(f"target should be a tensor, of classes or of distributions over them; got {got}.")
    if target.device != h.device:
        raise ValueError(
            f"probabilities are on {h.device} and target on {target.device}. Move one, as in "
            "target.to(probabilities.device)."
        )
    lead, whole = h.shape[:-1], not target.is_floating_point() and target.dtype is not torch.bool
    if target.shape == lead and whole:
        return target.long(), True
    if target.shape == (*lead, classes):
        return target.to(h.dtype), False
    raise ValueError(
        f"target should have shape {tuple(lead)}, of integers, or {(*lead, classes)}, for probabilities of shape "
        f"{tuple(h.shape)}; got {target.dtype} of shape {tuple(target.shape)}."
    )


def with_total_of(h: Tensor, t: Tensor, dtype: torch.dtype) -> Tensor:
    """Targets t of the totals of the predictions h, where the rounding of their type is why these differ."""
    ratio = h.detach().sum(-1, keepdim=True) / t.detach().sum(-1, keepdim=True)
    by_rounding = (ratio - 1.0).abs() <= allowed(torch.finfo(dtype).eps, max(h.shape[-1], t.shape[-1]))
    return t * torch.where(by_rounding, ratio, 1.0)


def readable(tensor: Tensor) -> bool:
    """Whether its numbers can be looked at: not while something is compiled, traced or mapped over."""
    return (
        type(tensor) in (Tensor, torch.nn.Parameter)
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )
