"""Many problems in one call: what counts as a batch, the weights of each, and to which of them an error belongs."""

from __future__ import annotations

from typing import Any

import numpy as np

from monge.problem.arrays import items, shown
from monge.problem.costs import Cost
from monge.problem.measures import Weights

__all__ = ["is_batch", "naming", "one_each"]


def is_batch(cost: Any) -> bool:
    """Whether `cost` stands for many problems: a 3-D array, or a list of matrices or of cost objects.

    The first item of a list decides; an empty one holds no problems. Nested lists of numbers are one matrix, as
    everywhere in NumPy.
    """
    if isinstance(cost, list | tuple):
        return len(cost) == 0 or isinstance(cost[0], Cost) or _dimensions(cost[0]) == 2
    return _dimensions(cost) == 3


def _dimensions(values: Any) -> int:
    """Of an array, or of what turns into one; zero for lists, and for all that is no array."""
    if not hasattr(values, "ndim") and hasattr(values, "__array__"):
        return np.ndim(values)
    return getattr(values, "ndim", 0)


def one_each(weights: Any, name: str, count: int) -> list[Weights | None]:
    """The weights of each problem, as the caller gave them: one vector for all, or one for each."""
    if weights is None:
        return [None] * count
    expected = "an array, a list of one array per problem, or None"
    each = items(weights, name, expected)
    if isinstance(each, np.ndarray) and each.ndim == 0:
        raise TypeError(f"{name} should be {expected}; got {shown(weights)}.")
    if len(each) > 0 and each[0] is not None and np.ndim(each[0]) == 0:
        return [weights] * count
    if len(each) != count:
        raise ValueError(
            f"{name} should hold one vector of weights for each of the {count} problems, or be one vector for all; "
            f"got {len(each)} items."
        )
    return list(each)


class naming:
    """Says in the text of an error to which of many it belongs: "problem 17: ...". A loop within may move the index on.

    A class, since the generator of a contextmanager takes longer than the checks of a small problem.
    """

    def __init__(self, what: str, index: Any = "") -> None:
        self.what, self.index = what, index

    def __enter__(self) -> naming:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, _traceback: Any) -> None:
        if isinstance(error, Exception):
            error.args = (f"{self.what} {self.index}".rstrip() + f": {error}",)
