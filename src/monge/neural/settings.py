"""Settings of models, checked: numbers that are numbers, where booleans and words are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from monge.problem.arrays import positive, real_number, shown

__all__ = ["flag", "rate", "share", "weight"]


def rate(value: Any, name: str) -> float:
    """`value` as a float that is positive and finite."""
    return positive(_no_bool(value, name, "positive and finite"), name)


def weight(value: Any, name: str) -> float:
    """`value` as a float that is finite and not negative."""
    expected = "finite and not negative"
    number = real_number(_no_bool(value, name, expected), name, expected)
    if not 0.0 <= number < math.inf:
        raise ValueError(f"{name} should be {expected}; got {number!r}.")
    return number


def flag(value: Any, name: str) -> bool:
    """`value`, which is True or False; words such as "no" would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} should be True or False; got {shown(value)}.")
    return bool(value)


def share(value: Any, name: str, *, below_one: bool = False) -> float:
    """`value` as a float of [0, 1], or of [0, 1)."""
    expected = "in [0, 1)" if below_one else "in [0, 1]"
    number = real_number(_no_bool(value, name, expected), name, expected)
    if not (0.0 <= number < 1.0 or (number == 1.0 and not below_one)):
        raise ValueError(f"{name} should be {expected}; got {number!r}.")
    return number


def _no_bool(value: Any, name: str, expected: str) -> Any:
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} should be a number, {expected}; got {shown(value)}.")
    return value
