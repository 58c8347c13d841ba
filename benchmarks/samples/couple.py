"""Couplings of batches beside those of torchcfm, and the transport alone.

The whole call is timed, from two tensors to the pairs, exact transport on both sides, in turns, the least of some
repeats. Beside the times stand the mean squared distance of the pairs over the least there is, and the share of rows
that are used: torchcfm draws pairs with replacement. Without that package its steps are written out here.

    python -m benchmarks.samples.couple [--threads 2] [--smoke]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import monge
from monge.problem.products import product_costs

# (n, d): the ratio that is wanted, and the milliseconds.
CALLS = {(256, 2): (5, 5), (1024, 2): (20, 30), (256, 3072): (5, 5), (1024, 3072): (20, 30)}
# n: the milliseconds that are wanted of the transport alone, on one thread, from 3072 coordinates.
TRANSPORTS = {256: 1.5, 512: 5.0, 1024: 15.0, 4096: 140.0}
# Seconds for the repeats of one case, at most so many.
BUDGET, REPEATS = 5.0, 30

Pairs = tuple[Any, Any]


def torchcfm() -> tuple[str, Callable[[Any, Any], Pairs]]:
    """Its sampler of exact plans; or what that does, in its steps."""
    try:
        from torchcfm.optimal_transport import OTPlanSampler
    except ImportError:
        import ot

        def steps(x0: Any, x1: Any) -> Pairs:
            C = torch.cdist(x0.flatten(1), x1.flatten(1)) ** 2
            n, m = C.shape
            plan = ot.emd(ot.unif(n), ot.unif(m), C.cpu().numpy())
            chosen = np.random.choice(n * m, p=plan.ravel() / plan.sum(), size=n, replace=True)  # noqa: NPY002
            i, j = np.divmod(chosen, m)
            return x0[i], x1[j]

        return "its steps, as torchcfm is not here", steps
    return "torchcfm", OTPlanSampler("exact").sample_plan


def ours(x0: Any, x1: Any) -> Pairs:
    i, j = monge.couple(x0, x1)
    return x0[i], x1[j]


def taken(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turns(*runs: Callable[[], Any]) -> list[float]:
    """The least time of each, in milliseconds, after a call that is not timed."""
    for run in runs:
        run()
    best, start = [float("inf")] * len(runs), time.perf_counter()
    for _ in range(REPEATS):
        best = [min(least, taken(run)) for least, run in zip(best, runs, strict=True)]
        if time.perf_counter() - start > BUDGET:
            break
    return [1e3 * least for least in best]


def batches(n: int, d: int) -> Pairs:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=generator), torch.randn(n, d, generator=generator)


def used(pairs: Pairs) -> float:
    """The share of the rows that pairs use, of both sides."""
    return sum(len(torch.unique(side, dim=0)) for side in pairs) / (2 * len(pairs[0]))


def calls(sizes: list[tuple[int, int]]) -> None:
    name, theirs = torchcfm()
    print(f"whole call against {name}, milliseconds")
    print(f"{'n':>6}{'d':>6}{'monge':>9}{'peer':>9}{'ratio':>8}  wanted          cost, rows used: monge | peer")
    for n, d in sizes:
        x0, x1 = batches(n, d)
        mine, peer = in_turns(lambda: ours(x0, x1), lambda: theirs(x0, x1))  # noqa: B023
        least = monge.couple(x0, x1).cost
        found = []
        for pairs in (ours(x0, x1), theirs(x0, x1)):
            cost = float((pairs[0].double() - pairs[1].double()).square().sum(dim=1).mean()) / least
            found.append(f"{cost:.4f}, {100 * used(pairs):.0f} %")
        ratio, limit = CALLS.get((n, d), (1, 1e3))
        print(
            f"{n:6}{d:6}{mine:9.2f}{peer:9.2f}{peer / mine:8.1f}  {ratio}x, {limit} ms".ljust(56) + " | ".join(found),
            flush=True,
        )


def transports(sizes: list[int]) -> None:
    print("transport alone, one thread, milliseconds")
    print(f"{'n':>6}{'monge':>9}  wanted       gap over value")
    for n in sizes:
        C = product_costs(*(z.numpy() for z in batches(n, 3072 if n > 64 else 8)))
        (mine,) = in_turns(lambda: monge.emd(C, threads=1))  # noqa: B023
        t = monge.emd(C, threads=1)
        print(f"{n:6}{mine:9.2f}  {TRANSPORTS.get(n, 1e3):g}".ljust(30) + f"{t.gap / abs(t.value):.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="threads of torch, for the products of both")
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peer's limit of iterations: what its pairs cost is printed
        calls([(32, 2), (64, 16)] if arguments.smoke else list(CALLS))
        transports([64] if arguments.smoke else list(TRANSPORTS))


if __name__ == "__main__":
    main()
