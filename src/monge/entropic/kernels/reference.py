"""The specification of a kernel, in plain NumPy and double precision: every other kernel is compared with this one.

A kernel holds a cost and the weights of one problem, and offers

    iterate                        `iteration.iterate`, or that of `loop`, which is the same in compiled code
    sweep(g, eps, single, sure, f, s)
                                   one pass; `single` allows it single precision; unless it has to be `sure` it may
                                   leave out pairs that an earlier pass found not to matter; returns whether it did not
    skipped                        the marginal error that a pass may leave out even so
    scale                          the size of the costs, which tells where eps starts
    exact_below                    the eps below which potentials of the problem without entropy are the better start
    patience                       passes that may not make the error smaller before such potentials are tried
    noise                          what single precision adds to the marginal error, times eps; inf if it has none

A sweep fills in, for potentials g (m,),

    f_i = clip(r_i / (1 + eps / kl), -cap, cap)   r_i = -eps log sum_j b_j exp((g_j - C_ij) / eps)
    s_j = -eps log sum_i a_i exp((f_i - C_ij) / eps)

where kl and cap are the demands on the rows. s_j may be anything where b_j = 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from monge.entropic.blocks import cost_block
from monge.entropic.iteration import iterate
from monge.entropic.kernels.scale import EXACT_BELOW
from monge.entropic.marginals import Marginal

__all__ = ["ReferenceKernel"]

Array = NDArray[np.float64]


class ReferenceKernel:
    """Softmins of a whole matrix, by SciPy's logsumexp."""

    noise, skipped, patience = np.inf, 0.0, 30
    iterate = staticmethod(iterate)

    def __init__(self, cost: Any, a: Array, b: Array, rows: Marginal) -> None:
        self.C = cost_block(cost, slice(None))
        self.a, self.b, self.rows = a, b, rows
        finite = self.C[np.isfinite(self.C)]
        self.scale = float(np.mean(finite - finite.min())) if finite.size else 0.0
        self.exact_below = EXACT_BELOW * self.scale

    def __enter__(self) -> ReferenceKernel:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sweep(self, g: Array, eps: float, single: bool, sure: bool, f: Array, s: Array) -> bool:
        """One pass, as specified above."""
        with np.errstate(divide="ignore"):
            f[:] = self.rows.potential(-eps * logsumexp((g - self.C) / eps, b=self.b, axis=1), eps)
            s[:] = -eps * logsumexp((f[:, np.newaxis] - self.C) / eps, b=self.a[:, np.newaxis], axis=0)
        return True
