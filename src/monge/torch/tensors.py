"""Checks of the tensors that a loss is given, and the form in which `function` takes them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Checked", "checked"]

_HALVES = (torch.float16, torch.bfloat16)
_FULL = (torch.float32, torch.float64)
_PLACES = ("cpu", "cuda")


class Checked(NamedTuple):
    """Tensors x, y, C, a and b with the same leading dimensions, in float32 or float64."""

    tensors: list[Tensor | None]
    dtype: torch.dtype  # that of the caller's tensors, in which the loss is returned
    rounding: float  # of that type, if totals of weights may differ by it; zero for what the solvers themselves know


def checked(x: Any, y: Any, C: Any, a: Any, b: Any) -> Checked:
    """The tensors of a call. TypeError for what is no tensor of real numbers; ValueError for shapes, types or devices
    that do not fit."""
    if (x is None) != (y is None):
        raise TypeError(f"x and y should both be tensors of points; got {'y' if x is None else 'x'} alone.")
    if x is not None and C is not None:
        raise TypeError("pass points x and y, or a tensor of costs as cost=C with x = y = None; got both.")
    tensors: list[Any] = [x, y, C, a, b]
    first, same = None, True
    for name, tensor, own in zip(("x", "y", "cost", "a", "b"), tensors, (2, 2, 2, 1, 1), strict=True):
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} should be a tensor; got {type(tensor).__name__}. Convert it with torch.as_tensor.")
        if first is None:
            first, place, lead = tensor, name, tensor.shape[:-own]
            _check_type(name, tensor)
        elif tensor.dtype != first.dtype:
            raise TypeError(
                f"all tensors should have the same dtype; {place} has {first.dtype} and {name} has {tensor.dtype}. "
                f"Convert one, as in {name}.to({place}.dtype)."
            )
        elif tensor.device != first.device:
            raise ValueError(
                f"all tensors should be on the same device; {place} is on {first.device} and {name} on "
                f"{tensor.device}. Move one, as in {name}.to({place}.device)."
            )
        if tensor.dim() < own:
            raise ValueError(_too_flat(name, tensor))
        if 0 in tensor.shape:
            raise ValueError(
                f"{name} should hold at least one problem, of at least one place; got shape {tuple(tensor.shape)}. "
                "Leave empty batches out."
            )
        same = same and tensor.shape[:-own] == lead
    if first is None:
        raise TypeError(
            "a loss needs tensors: points x and y, a tensor of costs, or weights a and b with a cost object."
        )
    dtype, rounding = first.dtype, 0.0
    if dtype in _HALVES:
        tensors = [None if t is None else t.float() for t in tensors]
        rounding = torch.finfo(dtype).eps
    if not same:
        tensors = _broadcast(tensors)
    # Uniform weights have the total of the other side, also in derivatives.
    if tensors[3] is not None and tensors[4] is None:
        tensors[4] = _uniform(tensors[3], tensors[1], tensors[2], -1)
    elif tensors[4] is not None and tensors[3] is None:
        tensors[3] = _uniform(tensors[4], tensors[0], tensors[2], -2)
    return Checked(tensors, dtype, rounding)


def _check_type(name: str, tensor: Tensor) -> None:
    if tensor.dtype not in _FULL and tensor.dtype not in _HALVES:
        raise TypeError(f"{name} should hold real numbers; got {tensor.dtype}. Convert it with {name}.float().")
    if tensor.device.type not in _PLACES:
        raise TypeError(f"{name} should be on a CPU or a CUDA device; got {tensor.device}. Move it with {name}.cpu().")


def _too_flat(name: str, tensor: Tensor) -> str:
    expected = {"x": "points (..., n, d)", "y": "points (..., m, d)", "cost": "costs (..., n, m)"}.get(
        name, f"weights (..., {'n' if name == 'a' else 'm'})"
    )
    more = f" Points on the line are {name}[:, None]." if name in ("x", "y") else ""
    return f"{name} should be {expected}; got shape {tuple(tensor.shape)}.{more}"


def _broadcast(tensors: list[Any]) -> list[Any]:
    sizes = (2, 2, 2, 1, 1)
    leads = [tuple(t.shape[:-own]) for t, own in zip(tensors, sizes, strict=True) if t is not None]
    try:
        lead = torch.broadcast_shapes(*leads)
    except RuntimeError:
        raise ValueError(
            "leading dimensions should be the same for all tensors, or broadcast; got "
            f"{', '.join(map(str, leads))} beside those of points, costs and weights."
        ) from None
    return [None if t is None else t.expand(*lead, *t.shape[-own:]) for t, own in zip(tensors, sizes, strict=True)]


def _uniform(weights: Tensor, points: Tensor | None, C: Tensor | None, axis: int) -> Tensor:
    """Those of the other side; of a cost object as many, since its cells are the same on both sides."""
    size = weights.shape[-1]
    if points is not None:
        size = points.shape[-2]
    elif C is not None:
        size = C.shape[axis]
    return (weights.sum(-1, keepdim=True) / size).expand(*weights.shape[:-1], size)
