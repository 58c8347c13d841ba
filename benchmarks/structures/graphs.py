"""Structures given as matrices against POT, from one start: plain, fused and partial, and averages.

    python -m benchmarks.structures.graphs
    python -m benchmarks.structures.graphs --smoke

Distances within clouds in 3-D and in the plane, which lie in no common space; the start is the product of the weights,
for both. Beside each time stands the objective, computed here from the plan that was returned. Where both go down to
other optima, what is printed says so, and the row counts only if ours is not above POT's. Where POT raises, the row
says what it raised.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

# Case -> times faster than POT that is wanted; None where nothing is.
WANTED = {"matrices": 3.0, "copies": None, "fused": None, "partial": None, "average": None}


def distances(n: int, d: int, seed: int) -> Any:
    import numpy as np

    x = np.random.default_rng([seed, n]).normal(size=(n, d)) * np.arange(1.0, d + 1.0)
    return np.sqrt(np.maximum(((x[:, None] - x) ** 2).sum(axis=-1), 0.0))


def objective(Cx: Any, Cy: Any, plan: Any, M: Any = None, alpha: float = 1.0) -> float:
    """(1 - alpha) <P, M> + alpha sum (Cx_ik - Cy_jl)^2 P_ij P_kl, of a plan as an array."""
    p, q = plan.sum(axis=1), plan.sum(axis=0)
    E = p @ Cx**2 @ p + q @ Cy**2 @ q - 2.0 * float((plan * (Cx @ plan @ Cy)).sum())
    return float(alpha * E + (0.0 if M is None else (1.0 - alpha) * (plan * M).sum()))


def cases(n: int, threads: int) -> dict[str, tuple[Callable[[], Any], Callable[[], Any], Callable[[Any], float]]]:
    """Name -> ours, POT's, and the objective of what either returns."""
    import numpy as np
    import ot

    import monge

    Cx, Cy = distances(n, 3, 0), distances(n, 2, 1)
    order = np.random.default_rng(0).permutation(n)
    Cz = np.ascontiguousarray(Cx[np.ix_(order, order)])
    few = n // 4
    Dx, Dy = distances(few, 3, 0), distances(few, 2, 1)
    M = np.random.default_rng(1).random((n, n)) * Cx.mean() ** 2
    a = np.full(few, 1.0 / few)
    options = {"init": "product", "threads": threads}
    X, Y, Z, SX, SY = (monge.CostMatrix(C) for C in (Cx, Cy, Cz, Dx, Dy))
    small = [distances(few, 2, seed) for seed in range(3)]
    p = [a] * 3

    def array(plan: Any) -> Any:
        return plan.toarray() if hasattr(plan, "toarray") else plan

    return {
        "matrices": (
            lambda: monge.gromov_wasserstein(X, Y, **options).plan,
            lambda: ot.gromov.gromov_wasserstein(Cx, Cy, symmetric=True),
            lambda P: objective(Cx, Cy, array(P)),
        ),
        "copies": (
            lambda: monge.gromov_wasserstein(X, Z, **options).plan,
            lambda: ot.gromov.gromov_wasserstein(Cx, Cz, symmetric=True),
            lambda P: objective(Cx, Cz, array(P)),
        ),
        "fused": (
            lambda: monge.gromov_wasserstein(X, Y, features=M, alpha=0.5, **options).plan,
            lambda: ot.gromov.fused_gromov_wasserstein(M, Cx, Cy, symmetric=True, alpha=0.5),
            lambda P: objective(Cx, Cy, array(P), M, 0.5),
        ),
        "partial": (
            lambda: monge.gromov_wasserstein(SX, SY, mass=0.7, **options).plan,
            lambda: ot.gromov.partial_gromov_wasserstein(Dx, Dy, m=0.7, symmetric=True),
            lambda P: objective(Dx, Dy, array(P)),
        ),
        "average": (
            lambda: monge.gromov_barycenter([monge.CostMatrix(C) for C in small], rng=0, threads=threads).value,
            lambda: pot_average(small, p, a),
            lambda value: float(value),
        ),
    }


def pot_average(structures: list[Any], masses: list[Any], a: Any) -> float:
    """The objective at POT's average, with plans of POT's."""
    import numpy as np
    import ot

    C, log = ot.gromov.gromov_barycenters(
        len(a), structures, masses, a, [1.0 / 3.0] * 3, "square_loss", init_C=structures[0], warmstartT=True, log=True
    )
    return float(np.mean([objective(C, Cs, T) for Cs, T in zip(structures, log["T"], strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    from threadpoolctl import threadpool_limits

    n, repeat = (60, 1) if arguments.smoke else (1000, arguments.repeat)
    print(f"n = {n}, {arguments.threads} threads")
    print(f"{'case':10} {'monge':>9} {'POT':>9} {'times':>7} {'wanted':>7}  objectives")
    with threadpool_limits(arguments.threads):
        for name, (ours, theirs, value) in cases(n, arguments.threads).items():
            seconds, found, failed = [float("inf")] * 2, [float("nan")] * 2, ""
            for _ in range(repeat):
                for k, run in enumerate((ours, theirs)):
                    began = time.perf_counter()
                    try:
                        result = run()
                    except ValueError as error:
                        if run is ours:
                            raise
                        failed = f"  (POT failed: {str(error).splitlines()[0]})"
                        continue
                    seconds[k] = min(seconds[k], time.perf_counter() - began)
                    found[k] = value(result)
            wanted = "" if WANTED[name] is None else f"{WANTED[name]:.1f}"
            other = "" if failed or abs(found[0] - found[1]) <= 1e-6 * (1.0 + abs(found[1])) else "  (other optima)"
            times = f"{seconds[1] / seconds[0]:7.1f}"
            each = f"{found[0]:.9g} {found[1]:.9g}{other}{failed}"
            print(f"{name:10} {seconds[0]:8.3f}s {seconds[1]:8.3f}s {times} {wanted:>7}  {each}")


if __name__ == "__main__":
    main()
