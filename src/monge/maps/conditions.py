"""What the conditions of a coupling say: which rows may meet which, or what it costs more that they differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.maps.matching import Pairs
from monge.problem.home import on_host
from monge.problem.products import clouds_together, product_costs
from monge.problem.transport import InfeasibleError

__all__ = ["add_conditions", "groups"]

# Of labels that leave no coupling, so many are named.
_NAMED = 5

_PAIR = "conditions should be a pair, of one label or one vector for each row of x0 and of x1"


def groups(conditions: Any, n: int, m: int) -> list[Pairs]:
    """The rows and the columns of each label; one group of all where conditions are none, or no labels.

    InfeasibleError where some label has too many or too few rows on a side.
    """
    labels = None if conditions is None else _labels(conditions, n, m)
    if labels is None:
        return [(np.arange(n), np.arange(m))]
    names, codes = np.unique(np.concatenate(labels), return_inverse=True)
    counts = [np.bincount(side, minlength=len(names)) for side in (codes[:n], codes[n:])]
    _check_counts(names, counts[0], counts[1])
    rows, columns = (np.argsort(side, kind="stable") for side in (codes[:n], codes[n:]))
    ends = [np.cumsum(count)[:-1] for count in counts]
    return list(zip(np.split(rows, ends[0]), np.split(columns, ends[1]), strict=True))


def add_conditions(C: NDArray[Any], conditions: Any, *, rows: bool, columns: bool) -> None:
    """Adds the squared distances of conditions that are floating numbers, up to the same terms as the costs."""
    if conditions is None or _kinds(conditions) != "ff":
        return
    names = ("conditions[0]", "conditions[1]")
    c0, c1, _ = clouds_together(conditions[0], conditions[1], names)
    _check_length(c0.shape[0], c1.shape[0], *C.shape)
    C += product_costs(c0, c1, rows=rows, columns=columns, names=names)


def _kinds(conditions: Any) -> str:
    """The kinds of numbers on both sides, as NumPy writes them."""
    if not isinstance(conditions, list | tuple) or len(conditions) != 2:
        raise TypeError(f"{_PAIR}; got {type(conditions).__name__}.")
    kinds = "".join(np.asarray(on_host(side)).dtype.kind for side in conditions).translate(str.maketrans("bu", "ii"))
    if kinds not in ("ii", "ff", "UU", "SS"):
        raise TypeError(
            "conditions should be labels on both sides, of integers, booleans or text, or floating numbers on both; "
            f"got {' and '.join(str(np.asarray(on_host(side)).dtype) for side in conditions)}."
        )
    return kinds


def _labels(conditions: Any, n: int, m: int) -> tuple[NDArray[Any], NDArray[Any]] | None:
    if _kinds(conditions) == "ff":
        return None
    c0, c1 = (np.asarray(on_host(side)) for side in conditions)
    if c0.ndim != 1 or c1.ndim != 1:
        raise ValueError(
            f"labels should be vectors, one label for each row; got shapes {c0.shape} and {c1.shape}. Number the "
            "combinations of several, or pass floating numbers, which add to the cost."
        )
    _check_length(len(c0), len(c1), n, m)
    return c0, c1


def _check_length(k: int, h: int, n: int, m: int) -> None:
    if (k, h) != (n, m):
        raise ValueError(f"{_PAIR}, which have {n} and {m}; got {k} and {h}.")


def _check_counts(names: NDArray[Any], in_x0: NDArray[Any], in_x1: NDArray[Any]) -> None:
    """InfeasibleError unless rows of each label can go evenly: among all, and so within each label."""
    longer, shorter = (in_x0, in_x1) if in_x0.sum() >= in_x1.sum() else (in_x1, in_x0)
    each, more = divmod(int(longer.sum()), int(shorter.sum()))
    bad = (longer < each * shorter) | (longer > (each + (more > 0)) * shorter)
    if not bad.any():
        return
    some = np.flatnonzero(bad)
    said = [f"label {names[k].item()!r} has {in_x0[k]} in x0 and {in_x1[k]} in x1" for k in some[:_NAMED]]
    if len(some) > _NAMED:
        said.append(f"and {len(some) - _NAMED} labels more do not fit")
    times = "once" if each == 1 and more == 0 else f"{each} times" if more == 0 else f"{each} or {each + 1} times"
    raise InfeasibleError(
        f"these labels leave no coupling of {in_x0.sum()} and {in_x1.sum()} rows, where each row of the smaller side "
        f"is used {times} and meets its own label only: {'; '.join(said)}. Draw both sides with the same counts "
        "of labels, or pass floating numbers, such as a weight times one-hot vectors, which add to the cost instead."
    )
