"""What the threads of a block do together: sums, and the small problem of acceleration."""

from __future__ import annotations

import math
from typing import Any

from monge.entropic.kernels.cuda.device import SIMULATED, cuda, exact
from monge.entropic.kernels.reference import RIDGE

__all__ = [
    "DEPTH",
    "FOUND",
    "GRAM",
    "SMALL",
    "STEP",
    "SUMS",
    "folder",
    "memory_rows",
    "room_for_sums",
    "solve",
]

# Steps that acceleration looks back on.
DEPTH = 8
# Sums that are made at once.
SUMS = 2 * DEPTH
# Rows of the memory, in units of eps: changes of the residual, changes of the plain step, the last residual.
memory_rows = 2 * DEPTH + 1
# What the threads share, in this order: weights of the changes, which are products with the residual first; products
# with the newest change, and later scales; the Gram matrix; its factor; and what a thread tells the others.
SCALE, GRAM, FACTOR = DEPTH, 2 * DEPTH, 2 * DEPTH + DEPTH * DEPTH
FOUND = 2 * DEPTH + 2 * DEPTH * DEPTH
STEP = FOUND + 1
SMALL = FOUND + 2
_WARP = 32


@exact
def solve(gram: Any, small: Any, known: Any, newest: Any) -> Any:
    """Makes the weights of the changes, by Cholesky's factorisation of the normal equations scaled to a unit diagonal;
    False if there is nothing to go by."""
    for q in range(known):
        product = small[SCALE + q]
        small[GRAM + newest * DEPTH + q], small[GRAM + q * DEPTH + newest] = product, product
        gram[newest * DEPTH + q], gram[q * DEPTH + newest] = product, product
    for q in range(known):
        if not small[GRAM + q * DEPTH + q] > 0.0:
            return False
    for q in range(known):
        small[SCALE + q] = 1.0 / math.sqrt(small[GRAM + q * DEPTH + q])
    for q in range(known):
        weight = small[q] * small[SCALE + q]
        for r in range(q + 1):
            entry = 1.0 + RIDGE
            if r < q:
                entry = small[GRAM + q * DEPTH + r] * small[SCALE + q] * small[SCALE + r]
            for k in range(r):
                entry -= small[FACTOR + q * DEPTH + k] * small[FACTOR + r * DEPTH + k]
            if r < q:
                entry *= small[FACTOR + r * DEPTH + r]
                weight -= entry * small[r]
            else:
                entry = 1.0 / math.sqrt(max(entry, RIDGE))
                weight *= entry
            small[FACTOR + q * DEPTH + r] = entry
        small[q] = weight
    for back in range(known):
        q = known - 1 - back
        weight = small[q]
        for r in range(q + 1, known):
            weight -= small[FACTOR + r * DEPTH + q] * small[r]
        small[q] = weight * small[FACTOR + q * DEPTH + q]
    for q in range(known):
        small[q] *= -small[SCALE + q]
    return True


def room_for_sums(T: int) -> int:
    """Numbers that the sums of T threads take."""
    return SUMS + SUMS * (T if SIMULATED else max(1, T // _WARP))


def folder(T: int, count: int, least: bool) -> Any:
    """fold(red, mine, t): red[q], q < count, becomes the sum, or the least, of what the T threads have in mine[q]."""
    both = exact((lambda u, v: min(u, v)) if least else (lambda u, v: u + v))
    if SIMULATED:  # where warps are not known
        W = T

        @exact
        def gathered(red: Any, mine: Any, t: Any) -> None:
            for q in range(count):
                red[SUMS + q * T + t] = mine[q]

    else:
        W = T // _WARP

        @exact
        def gathered(red: Any, mine: Any, t: Any) -> None:
            for q in range(count):
                v = mine[q]
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 16))
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 8))
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 4))
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 2))
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 1))
                if t % _WARP == 0:
                    red[SUMS + q * W + t // _WARP] = v

    @exact
    def fold(red: Any, mine: Any, t: Any) -> None:
        cuda.syncthreads()  # others may still read what was found before
        gathered(red, mine, t)
        cuda.syncthreads()
        for q in range(t, count, T):
            v = red[SUMS + q * W]
            for w in range(1, W):
                v = both(v, red[SUMS + q * W + w])
            red[q] = v
        cuda.syncthreads()

    return fold
