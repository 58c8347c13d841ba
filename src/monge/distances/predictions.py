"""Checks of losses between distributions over classes, the same for every library of arrays."""

from __future__ import annotations

from typing import Any

from monge.entropic.marginals import as_marginals

__all__ = ["allowed", "check_options", "check_values"]

_REDUCTIONS = ("mean", "sum", "none")
# Totals of a softmax over K classes are off by less than this many roundings, times the root of K.
_ROUNDINGS = 4.0


def check_options(cost: Any, eps: float | None, marginals: Any, reduction: str) -> None:
    """Options that do not go together."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction should be one of {', '.join(map(repr, _REDUCTIONS))}; got {reduction!r}.")
    if isinstance(cost, str):
        if cost != "ordinal":
            raise ValueError(f'cost should be a matrix (K, L) of costs between classes, or "ordinal"; got {cost!r}.')
        if eps is not None or marginals is not None:
            raise ValueError(
                'cost="ordinal" is exact and balanced; got eps or marginals. Leave them out, or pass the matrix of '
                "costs, abs(k[:, None] - k) with k = arange(K)."
            )
    if marginals is not None:
        as_marginals(marginals)
        if eps is None:
            raise ValueError("marginals need the entropic loss; got eps=None. Pass eps, in the units of the cost.")


def allowed(rounding: float, classes: int) -> float:
    """How far totals over so many classes may be apart, relative to them, in a type of that rounding."""
    return float(_ROUNDINGS * rounding * classes**0.5)


def check_values(h: Any, t: Any, single: bool, classes: int, rounding: float, *, balanced: bool) -> None:
    """Predictions h (..., K), and targets t: classes (...) if single, else (..., L). Arrays of NumPy, or tensors.

    `rounding` is that of the type they came in.
    """
    if not bool((h >= 0.0).all()):
        raise ValueError(
            f"probabilities should not be negative or NaN; the smallest is {float(h.min())!r}. Pass logits.softmax(-1) "
            "where these are logits."
        )
    if single:
        low, high = int(t.min()), int(t.max())
        if low < 0 or high >= classes:
            raise ValueError(
                f"target should hold classes from 0 to {classes - 1}; got {low if low < 0 else high}. "
                "Leave predictions without a label out."
            )
    elif not bool((t >= 0.0).all()):
        raise ValueError(f"target should not hold negative numbers or NaN; the smallest is {float(t.min())!r}.")
    if not balanced:
        return
    total = h.reshape(-1, h.shape[-1]).sum(-1)
    wanted = 1.0 + 0.0 * total if single else t.reshape(-1, classes).sum(-1)
    most = allowed(rounding, max(h.shape[-1], classes))
    apart = abs(total - wanted)
    off = ~((apart <= most * total) | (apart <= most * wanted))
    if bool(off.any()):
        raise ValueError(
            f"a prediction and its target should have the same total; got {float(total[off][0])!r} and "
            f"{float(wanted[off][0])!r}. Normalise them, as in target / target.sum(-1, keepdim=True), or pass "
            "marginals=monge.KL(rho) for masses that may differ."
        )
    if bool((total == 0.0).any()):
        raise ValueError("predictions and targets should have some mass; got a row of zeros.")
