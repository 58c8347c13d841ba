"""Losses of a batch: one for each index, in lists nested as its axes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monge.distances.loss import Loss

__all__ = ["nested"]


def nested(one: Callable[[tuple[int, ...]], Loss], shape: tuple[int, ...], at: tuple[int, ...] = ()) -> Any:
    """one(index) for each index of an array of that shape, in nested lists; without axes, the only one."""
    if len(at) == len(shape):
        return one(at)
    return [nested(one, shape, (*at, k)) for k in range(shape[len(at)])]
