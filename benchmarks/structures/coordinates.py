"""Coordinates in five images of 64 x 64 pixels, by derivatives of the barycenter: seconds, memory, and what comes back.

    python -m benchmarks.structures.coordinates
    python -m benchmarks.structures.coordinates --smoke

The target is the barycenter, solved to 1e-9, with weights that are known. Seconds are of the whole call, after one that
compiles; memory is the peak of what Python and NumPy allocate in it, over the size of one array (k, n). Both are also
given of one derivative alone, beside the barycenter that it is of, found in fewer and in more iterations, of which
memory is to be independent.
No other library has this: it is beside what was wanted.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import monge

Array = NDArray[np.float64]

WANTED_SECONDS, WEIGHTS = 5.0, (0.1, 0.3, 0.2, 0.25, 0.15)


def shapes(side: int) -> Array:
    """A disk, a square, a diamond, two disks and a cross, (5, side^2)."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    drawn = [
        x**2 + y**2 < 0.09,
        (abs(x) < 0.25) & (abs(y) < 0.25),
        abs(x) + abs(y) < 0.35,
        ((x + 0.2) ** 2 + (y + 0.2) ** 2 < 0.02) | ((x - 0.2) ** 2 + (y - 0.15) ** 2 < 0.03),
        (abs(x) < 0.08) | (abs(y) < 0.08),
    ]
    images = np.array([image.ravel() for image in drawn], dtype=np.float64)
    images += 1e-4 * images.mean(axis=1, keepdims=True)
    return np.asarray(images / images.sum(axis=1, keepdims=True))


def measured(call: Any, size: int) -> tuple[float, float, Any]:
    """Seconds, the peak of memory over `size` bytes in a second run, and what came."""
    began = time.perf_counter()
    found = call()
    seconds = time.perf_counter() - began
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1] / size
    tracemalloc.stop()
    return seconds, peak, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small images, to see that it runs")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    side = 16 if options.smoke else 64
    images, grid, threads = shapes(side), monge.Grid((side, side)), options.threads
    monge.barycentric_coordinates(images[0], images, grid, eps=0.1 * side**2, threads=threads, tol=0.1)  # compiles
    print(f"five images of {side} x {side}; wanted: {WANTED_SECONDS:g} s with gradient, memory of a few arrays (k, n)")
    print("   eps/side^2  loss         seconds  arrays  steps  passes  error of weights")
    for share in (1e-2,) if options.smoke else (4e-3, 1e-3):
        eps = share * side**2
        target = monge.barycenter(images, grid, WEIGHTS, eps=eps, tol=1e-9, max_iter=10_000, threads=threads)
        for loss in ("l2", "kl") if options.smoke else ("l2", "kl", "wasserstein"):

            def fit(loss: str = loss, eps: float = eps, target: Any = target) -> Any:
                return monge.barycentric_coordinates(target.weights, images, grid, eps=eps, loss=loss, threads=threads)

            seconds, arrays, found = measured(fit, images.nbytes)
            error = np.abs(found.weights - WEIGHTS).max()
            passes = found.stats["passes"]
            print(
                f"   {share:10.1e}  {loss:11s}{seconds:9.2f}{arrays:8.1f}{found.iterations:7d}{passes:8d}{error:18.1e}"
            )
        direction = np.random.default_rng(0).normal(size=side**2)
        for tol in (1e-4, 1e-8):
            start = time.perf_counter()
            one = monge.barycenter(images, grid, WEIGHTS, eps=eps, tol=tol, max_iter=10_000, threads=threads)
            solved = time.perf_counter() - start
            seconds, arrays, _ = measured(partial(one.vjp, direction), images.nbytes)
            print(
                f"   a barycenter in {one.iterations} iterations takes {solved:.2f} s, its gradient {seconds:.2f} s "
                f"and {arrays:.1f} arrays"
            )


if __name__ == "__main__":
    main()
