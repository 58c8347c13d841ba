"""Gromov-Wasserstein beside POT: seconds, values and what is wanted.

    python -m benchmarks.structures.gromov [--smoke] [--threads 2] [--only clouds]

Both begin at the product of the weights, as POT does, and values are recomputed from the plans by the same formula; the
row "own start" is what a call without init= does, search included. Clouds and weights are drawn from a fixed seed.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import monge


class Row(NamedTuple):
    """What was measured: seconds and objective of ours and of the peer's, and how much faster is wanted."""

    name: str
    ours: float
    theirs: float | None
    value: float
    their_value: float | None
    wanted: str


def clouds(n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)) * [1.0, 0.7, 0.4]
    y = rng.normal(size=(n, 3)) * [1.1, 0.6, 0.5] + 0.2 * rng.normal(size=(n, 3)) ** 2
    return x, y


def squared(x: Any) -> Any:
    u = (x**2).sum(axis=1)
    return np.maximum(u[:, np.newaxis] + u - 2.0 * x @ x.T, 0.0)


def seconds(call: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    best, found = np.inf, None
    for _ in range(repeats):
        began = time.perf_counter()
        found = call()
        best = min(best, time.perf_counter() - began)
    return best, found


def energy(C: Any, D: Any, P: Any) -> float:
    """sum (C_ik - D_jl)^2 P_ij P_kl, from arrays."""
    p, q = P.sum(axis=1), P.sum(axis=0)
    return float(p @ C**2 @ p + q @ D**2 @ q - 2.0 * np.vdot(P, C @ P @ D))


def entropy(P: Any) -> float:
    """KL(P | a x b) for uniform weights."""
    n, m = P.shape
    positive = P[P > 0.0]
    return float(positive @ np.log(positive * n * m)) - float(P.sum()) + 1.0


def clouds_exact(n: int, threads: int) -> list[Row]:
    import ot

    x, y = clouds(n)
    C, D = squared(x), squared(y)
    ours, t = seconds(lambda: monge.gromov_wasserstein(x, y, init="product", threads=threads), 3)
    searched, s = seconds(lambda: monge.gromov_wasserstein(x, y, threads=threads), 3)
    theirs, P = seconds(lambda: ot.gromov.gromov_wasserstein(C, D))
    value, their_value = energy(C, D, t.plan.toarray()), energy(C, D, P)
    return [
        Row(f"clouds {n}, same start", ours, theirs, value, their_value, "10x"),
        Row(f"clouds {n}, own start", searched, theirs, energy(C, D, s.plan.toarray()), their_value, "10x"),
    ]


def clouds_large(n: int, threads: int) -> list[Row]:
    x, y = clouds(n)
    ours, t = seconds(lambda: monge.gromov_wasserstein(x, y, threads=threads))
    return [Row(f"clouds {n}, {t.iterations} problems", ours, None, t.value, None, "40 s")]


def copies(n: int, threads: int) -> list[Row]:
    rng = np.random.default_rng(1)
    x = clouds(n)[0]
    y = (x @ np.linalg.qr(rng.normal(size=(3, 3)))[0])[rng.permutation(n)] + 5.0
    ours, t = seconds(lambda: monge.gromov_wasserstein(x, y, threads=threads), 3)
    return [Row(f"isometric copy, {n}", ours, None, t.value, None, "value 0")]


def entropic(n: int, share: float, threads: int, matrices: bool) -> list[Row]:
    """POT ends where its plan changes by less than 1e-5 in the Frobenius norm, or after 200 problems; ours by tol=1e-3.
    How far each is from the plan of tol=1e-8, in the sum of absolute differences, is in the last column."""
    import ot

    x, y = clouds(n)
    C, D = squared(x), squared(y)
    eps = share * float(C.mean() * D.mean())
    pair = (monge.CostMatrix(C), monge.CostMatrix(D)) if matrices else (x, y)
    options = {"eps": eps, "threads": threads}
    ours, t = seconds(lambda: monge.gromov_wasserstein(*pair, init="product", tol=1e-3, **options), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, P = seconds(
            lambda: ot.gromov.entropic_gromov_wasserstein(C, D, epsilon=eps, solver="PGD", max_iter=200, tol=1e-5)
        )
    mine = t.plan.toarray()
    value = energy(C, D, mine) + eps * entropy(mine)
    their_value = energy(C, D, P) + eps * entropy(P)
    kind = "matrices" if matrices else "clouds"
    best = monge.gromov_wasserstein(*pair, init=t, tol=1e-8, **options).plan.toarray()
    errors = f"our error {np.abs(mine - best).sum():.1e}, POT's {np.abs(P - best).sum():.1e}"
    mass = f"6x; {errors}; our mass {mine.sum():.6f}, POT's {P.sum():.3g}"
    return [Row(f"entropic {kind} {n}, eps {share:g}", ours, theirs, value, their_value, mass)]


def rows(smoke: bool, threads: int) -> dict[str, Callable[[], list[Row]]]:
    n, large, soft = (80, 300, 60) if smoke else (1000, 5000, 500)
    return {
        "clouds": lambda: clouds_exact(n, threads),
        "large": lambda: clouds_large(large, threads),
        "copies": lambda: copies(n, threads),
        "entropic clouds": lambda: entropic(soft, 0.05, threads, matrices=False),
        "entropic matrices": lambda: entropic(soft, 0.05, threads, matrices=True),
        "entropic matrices, much blur": lambda: entropic(soft, 0.5, threads, matrices=True),
        "entropic, POT has no plan": lambda: entropic(soft, 0.005, threads, matrices=False),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes, in a few seconds")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", help="rows whose name contains this")
    options = parser.parse_args()
    print(f"{'case':34} {'ours':>9} {'POT':>9} {'ratio':>7}  {'value':>12} {'POT':>12}  wanted")
    for name, measure in rows(options.smoke, options.threads).items():
        if options.only and options.only not in name:
            continue
        for row in measure():
            theirs = "" if row.theirs is None else f"{row.theirs:.3f} s"
            ratio = "" if row.theirs is None else f"{row.theirs / row.ours:.1f}x"
            value = "" if row.their_value is None else f"{row.their_value:.6g}"
            print(
                f"{row.name:34} {row.ours:7.3f} s {theirs:>9} {ratio:>7}  {row.value:12.6g} {value:>12}  {row.wanted}",
                flush=True,
            )


if __name__ == "__main__":
    main()
