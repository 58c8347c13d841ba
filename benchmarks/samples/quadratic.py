"""L2-regularised transport against POT, at the marginal error that POT reaches.

    python -m benchmarks.samples.quadratic
    python -m benchmarks.samples.quadratic --smoke

Clouds of n points in the plane, squared distances as a matrix, weights drawn uniformly from the simplex; eps is n times
a part of the mean cost, since it is felt beside n times the costs. POT solves the smooth dual by L-BFGS, in two
functions: both run until their default tolerance, with as many iterations as they want. The marginal error that is
measured on POT's plan is the tolerance of ours, and the default one, 1e-9, is timed too. Beside each time: the measured
marginal error, and how far the objective of the plan, made feasible, is above the best lower bound known.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

SIZES, PARTS = (200, 1000), (1e-3, 1e-2, 1e-1)
MOST_ITERATIONS = 100_000


def problem(n: int, seed: int) -> tuple[Any, Any, Any]:
    """C (n, n), a (n,) and b (n,)."""
    import numpy as np

    rng = np.random.default_rng([seed, n])
    x, y = rng.random((n, 2)), rng.random((n, 2)) + 0.3
    return ((x[:, None] - y) ** 2).sum(-1), rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n))


def error_of(P: Any, a: Any, b: Any) -> float:
    """|P 1 - a|_1 + |P' 1 - b|_1, of a plan of any library."""
    import numpy as np

    return float(np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum())


def objective(P: Any, C: Any, a: Any, b: Any, eps: float) -> float:
    """Of the plan, rounded to its marginals."""
    import monge

    G = monge.round_plan(P.toarray() if hasattr(P, "toarray") else P, a, b)
    return float((G * C).sum()) + 0.5 * eps * float((G * G).sum())


def race(racing: dict[str, Callable[[], Any]], repeat: int) -> dict[str, tuple[float, Any]]:
    """The least seconds of each, in turns, and what it found."""
    best: dict[str, tuple[float, Any]] = {}
    for _ in range(repeat):
        for name, run in racing.items():
            began = time.perf_counter()
            found = run()
            seconds = time.perf_counter() - began
            if name not in best or seconds < best[name][0]:
                best[name] = seconds, found
    return best


def rows(n: int, part: float, options: argparse.Namespace) -> Iterator[str]:
    import monge

    C, a, b = problem(n, options.seed)
    eps = part * n * float(C.mean())
    racing: dict[str, Callable[[], Any]] = {}
    tol = 1e-4
    try:
        import ot
    except ImportError:
        yield "POT is not installed: no peers"
    else:
        racing["POT smooth_ot_dual"] = lambda: ot.smooth.smooth_ot_dual(a, b, C, eps, "l2", numItermax=MOST_ITERATIONS)
        racing["POT solve"] = lambda: ot.solve(C, a, b, reg=eps, reg_type="L2", max_iter=MOST_ITERATIONS).plan
        tol = max(error_of(racing["POT smooth_ot_dual"](), a, b), 1e-12)
    racing["monge"] = lambda: monge.quadratic(C, a, b, eps=eps, tol=tol, threads=options.threads).plan
    racing["monge, tol 1e-9"] = lambda: monge.quadratic(C, a, b, eps=eps, threads=options.threads).plan
    racing["monge"]()  # compiled, or loaded
    bound = monge.quadratic(C, a, b, eps=eps, tol=1e-12).value
    found = race(racing, 1 if options.smoke else options.repeat)
    ours = found["monge"][0]
    yield f"n = {n}, eps = {part:g} n mean C, {found['monge, tol 1e-9'][1].nnz / n:.2f} entries a row"
    for name, (seconds, plan) in found.items():
        above = objective(plan, C, a, b, eps) - bound
        ratio = "" if name.startswith("monge") else f", {seconds / ours:.1f} x monge"
        yield f"  {name:20s} {1e3 * seconds:10.1f} ms, error {error_of(plan, a, b):.1e}, above {above:.1e}{ratio}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one small problem, once")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of monge (default: 1)")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*`disp` and `iprint`")  # which POT hands to SciPy
    sizes, parts = ((50,), (1e-2,)) if options.smoke else (SIZES, PARTS)
    for n in sizes:
        for part in parts:
            for row in rows(n, part, options):
                print(row, flush=True)


if __name__ == "__main__":
    main()
