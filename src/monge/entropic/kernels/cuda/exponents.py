"""The exponent of a pair of points, in units of log 2: what the kernels over all pairs share."""

from __future__ import annotations

from typing import Any

from numba import uint32

from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import cuda, device_function, exp2, log2
from monge.entropic.kernels.cuda.grounds import REGISTERS, rule_of

__all__ = ["exponents"]


def exponents(ground: Any, d: int, real: Any, stride: int) -> tuple[bool, Any, Any]:
    """Whether costs are lifted; exponent(X, at, Y, q, shift, k) of a pair, (beta_j + shift_i) - k C_ij, with the
    coordinates of the row's point at `at + c * stride`; and again(ctl, X, i, Y, m, k), the log-sum-exp of a row about
    its own largest term. Lifted exponents leave out the square of the row's point."""
    rule, D1, in_registers = rule_of(ground, d, real, stride), layout.width(d), d <= REGISTERS
    lifted, cost, loose = rule.lifted, rule.cost, rule_of(ground, d, real, 1).cost
    zero, two, lowest = real(0.0), real(2.0), real(-3e38)
    SLOT, UNSAFE = uint32(d), layout.UNSAFE

    @device_function
    def exponent(X: Any, at: Any, Y: Any, q: Any, shift: Any, k: Any) -> Any:
        e = Y[q + SLOT] + shift
        if lifted and in_registers:  # where 2 k is part of the coordinates
            for c in range(d):
                e += X[at + c * stride] * Y[q + uint32(c)]
            return e
        if lifted:
            product = zero
            for c in range(d):
                product += X[at + c] * Y[q + uint32(c)]
            return e + two * k * product
        return e - k * cost(X, at, Y, q)

    # From the packed points, so that the array that holds a thread's points is never indexed by a variable.
    @device_function
    def single(X: Any, at: Any, Y: Any, q: Any, k: Any) -> Any:
        if lifted:
            product = zero
            for c in range(d):
                product += real(two * k * X[at + c]) * Y[q + c]
            return Y[q + d] + product
        return Y[q + d] - k * loose(X, at, Y, uint32(q))

    @device_function
    def again(ctl: Any, X: Any, i: Any, Y: Any, m: Any, k: Any) -> Any:
        cuda.atomic.add(ctl, UNSAFE, 1.0)
        top = lowest
        for j in range(m):
            top = max(top, single(X, i * D1, Y, j * D1, k))
        whole = 0.0
        for j in range(m):
            whole += exp2(single(X, i * D1, Y, j * D1, k) - top)
        return log2(whole) + top

    return lifted, exponent, again
