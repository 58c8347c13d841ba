"""Barycenters of ten images: seconds to an equal residual, beside POT's convolutional barycenter in the same run.

    python -m benchmarks.structures.barycenter
    python -m benchmarks.structures.barycenter --smoke

The residual is sum_k w_k |q_k - alpha|_1 for the second marginals q_k of the plans and their mean alpha, and 1e-4 is
asked for. It is recomputed, from the potentials of our result and from the scalings that POT returns. POT looks at
another residual, and only each ten iterations: so it is given as many as the plain projections need to come to 1e-4,
counted with our sums in its order. Both are compared with a barycenter of residual 1e-7, too, of which they are off in
L1. eps is in units of the squared side.

At 2.5e-4 POT's kernel loses sums, and its method in the log domain is needed. Three of its iterations are timed, and
multiplied by the number that the plain projections need. A run of one iteration is taken off, for what it does before
and after.

The images are ellipses in ellipses, without a background (zeros where nothing is), and over one of a thousandth of the
mass. Debiased, their mass has to be one to 1e-6, and so has that of POT's kernel version be looked at.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import ot
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import monge
from benchmarks.structures.images import rings
from monge.barycenters.kernels.grid import GridKernel
from monge.entropic.kernels.threads import Threads

Array = NDArray[np.float64]

WANTED = {4e-3: 5.0, 1e-3: 4.0, 2.5e-4: 50.0}
RESIDUAL, MASS, THREADS = 1e-4, 1e-6, 2
# The residual of what is taken for the barycenter itself.
LIMIT = 1e-7
# Below this eps POT's products lose sums of images of this kind.
IN_LOGS = 5e-4


def timed(call: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """The least time in seconds, and what the last call returned."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return min(times), result


def residual(q: Array) -> float:
    """Of equal weights, over the mass."""
    mean = q.mean(axis=0)
    return float(np.abs(q - mean).sum(axis=1).mean() / mean.sum())


def grid(side: int) -> monge.Grid:
    """On [0, 1]^2, as POT has it."""
    return monge.Grid((side, side), spacing=1.0 / (side - 1))


def of_result(found: Any, kernel: GridKernel, eps: float) -> float:
    """The residual of a result, recomputed."""
    with np.errstate(under="ignore"):
        return residual(np.exp(found.g / eps + kernel.T.log_sum(found.f / eps)))


def pot(images: Array, eps: float, iterations: int, method: str = "sinkhorn") -> tuple[Array, dict[str, Any]]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        barycenter, log = ot.bregman.convolutional_barycenter2d(
            images, eps, method=method, numItermax=iterations, stopThr=0.0, log=True
        )
    return barycenter, log


def of_pot(log: dict[str, Any], kernel: GridKernel) -> float:
    """The residual of POT's scalings; infinite if they are no numbers."""
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        u, v = (np.log(log[name].reshape(len(log[name]), -1)) for name in "UV")
        q = np.exp(v + kernel.T.log_sum(u))
    return residual(q) if np.isfinite(q).all() else np.inf


def plain_iterations(images: Array, kernel: GridKernel, most: int) -> int | None:
    """Of the plain projections, in POT's order, from zero."""
    flat = images.reshape(len(images), -1)
    with np.errstate(divide="ignore"):
        logs = np.log(flat)
    g = np.zeros_like(flat)
    for k in range(1, most):
        back = kernel.T.log_sum(logs - kernel.log_sum(g))
        with np.errstate(under="ignore"):
            if residual(np.exp(g + back)) <= RESIDUAL:
                return k
        g = back.mean(axis=0) - back
    return None


def row(images: Array, eps: float, label: str, repeats: int, most: int, wanted: float) -> None:
    side = images.shape[1]
    flat, kernel = images.reshape(len(images), -1), GridKernel(grid(side), eps, Threads(THREADS))
    seconds, found = timed(
        lambda: monge.barycenter(flat, grid(side), eps=eps, tol=RESIDUAL, max_iter=most, threads=THREADS), repeats
    )
    error = of_result(found, kernel, eps)
    name = f"{len(images)} images of {side} x {side}, {label}, eps {eps:g}"
    ours = f"{seconds:.2f} s, {found.iterations} passes, residual {error:.1e}"
    count = plain_iterations(images, kernel, most)
    if count is None:
        print(f"{name}: {ours}; the plain projections: not reached in {most} iterations", flush=True)
        return
    if eps > IN_LOGS:
        theirs, (weights, log) = timed(lambda: pot(images, eps, count))
        limit = monge.barycenter(flat, grid(side), eps=eps, tol=LIMIT, init=found, max_iter=most, threads=THREADS)
        ours += f", off by {np.abs(found.weights - limit.weights).sum():.1e}"
        off = np.abs(weights.ravel() - limit.weights).sum()
        note = f"{count} iterations of its kernel, residual {of_pot(log, kernel):.1e}, off by {off:.1e}"
    else:
        one, _ = timed(lambda: pot(images, eps, 1, "sinkhorn_log"))
        three, _ = timed(lambda: pot(images, eps, 3, "sinkhorn_log"))
        theirs = one + (three - one) / 2.0 * (count - 1)
        note = f"{count} iterations of its logs, of which three were timed, {(three - one) / 2.0:.2f} s each"
    ratio = theirs / seconds
    reached = ratio >= wanted and error <= 1.01 * RESIDUAL and found.converged
    verdict = "" if reached else "   NOT REACHED"
    print(f"{name}: {ours}; POT {theirs:.1f} s, {note}: {ratio:.1f}x (wanted {wanted:g}x){verdict}", flush=True)


def debiased(images: Array, eps: float, label: str, most: int) -> None:
    side = images.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", monge.ConvergenceWarning)
        seconds, found = timed(
            lambda: monge.barycenter(
                images.reshape(len(images), -1), grid(side), eps=eps, debias=True, tol=RESIDUAL, max_iter=most,
                threads=THREADS,
            )
        )  # fmt: skip
    off = abs(float(found.weights.sum()) - 1.0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        theirs = ot.bregman.convolutional_barycenter2d_debiased(images, eps, numItermax=100, stopThr=0.0)
    print(
        f"debiased, {label}, eps {eps:g}: {seconds:.2f} s, {found.iterations} passes, marginal error "
        f"{found.marginal_error:.1e} ({'converged' if found.converged else 'not converged'}), mass off by {off:.0e} "
        f"(wanted {MASS:g}; POT's kernel after 100 iterations: {abs(float(theirs.sum()) - 1.0):.0e})"
        f"{'' if off < MASS else '   NOT REACHED'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small images, to see that it runs")
    parser.add_argument("--eps", type=float, nargs="*", default=list(WANTED))
    parser.add_argument("--side", type=int, default=256, help="pixels along an axis (default: 256)")
    options = parser.parse_args()
    count, side, repeats, most = (3, 16, 1, 300) if options.smoke else (10, options.side, 3, 5000)
    kinds = [(0.0, "no background"), (1e-3, "a background")][: 1 if options.smoke else 2]
    # The first call loads compiled code, and a small eps needs some more of it.
    monge.barycenter(rings(2, 16).reshape(2, -1), monge.Grid((16, 16)), eps=0.02)
    with threadpool_limits(THREADS, user_api="blas"):
        for eps, (floor, label) in itertools.product(options.eps, kinds):
            images = rings(count, side, floor=floor)
            row(images, eps, label, repeats, most, WANTED.get(eps, 1.0))
            debiased(images, eps, label, min(most, 500))


if __name__ == "__main__":
    main()
