"""A picture of the times of exact and of entropic transport.

    python -m benchmarks.figures.cuturi
    python -m benchmarks.figures.cuturi --sizes 64,128,256 --repeat 2 -o cuturi.png

The experiment of Cuturi 2013, "Sinkhorn distances", section 5.3: pairs of histograms drawn uniformly from
the simplex, over as many places in a space of a tenth as many dimensions, normally distributed; costs are distances.
The time of exact and of entropic transport, monge's and POT's, by the size of the histograms. Entropic plans have a
measured marginal error of at most 1e-2.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = "64,128,256,512,1024,2048,4096"
# eps relative to the median cost, and the marginal error.
EPS, GOAL = (0.02, 0.10), 1e-2
# Seconds that one point of a curve may take before the curve ends.
PATIENCE = 60.0

# Okabe and Ito's colours, as in monge.plot; the exact solver's line is solid.
COLORS = {"monge": "#0072B2", "POT": "#E69F00"}
STYLES = {"exact": "-", 0.02: "--", 0.10: ":"}


def histograms(n: int, seed: int) -> tuple[Any, Any, Any]:
    """C (n, n), a (n,) and b (n,)."""
    import numpy as np
    from scipy.spatial.distance import cdist

    from benchmarks.problems import weights

    rng = np.random.default_rng([seed, n])
    places = rng.normal(size=(n, max(1, n // 10)))
    return cdist(places, places), weights(rng, n), weights(rng, n)


def curves(n: int, options: argparse.Namespace) -> dict[tuple[str, Any], float]:
    """The median seconds of each solver, by (library, what it solves), over pairs of histograms."""
    import numpy as np
    import ot

    import monge
    from benchmarks.peers.entropic.contestants import Problem, contestants
    from benchmarks.peers.entropic.timing import reach

    everyone = contestants(options.threads)
    times: dict[tuple[str, Any], list[float]] = {}
    for seed in range(options.repeat):
        C, a, b = histograms(n, seed)
        exact: dict[str, Callable[[], Any]] = {
            "monge": lambda C=C, a=a, b=b: monge.emd(C, a, b, threads=options.threads),
            "POT": lambda C=C, a=a, b=b: ot.emd(a, b, C, numItermax=10**9),
        }
        for name, run in exact.items():
            times.setdefault((name, "exact"), []).append(best_of(run))
        for eps in EPS:
            problem = [Problem(a, b, eps * float(np.median(C)), GOAL, C=C)]
            for name, who in (("monge", everyone["monge"]), ("POT", everyone["pot"])):
                assert who is not None, "this figure needs POT: pip install pot"
                reached = reach(who, problem, PATIENCE)
                if reached is not None and reached.error <= GOAL:
                    times.setdefault((name, eps), []).append(best_of(reached.run))
    return {key: statistics.median(values) for key, values in times.items() if len(values) == options.repeat}


def best_of(run: Callable[[], Any]) -> float:
    """The least seconds of up to three runs, after one that is not counted where that is short."""
    from benchmarks.peers.entropic.timing import seconds_of

    seconds = seconds_of(run)[0]
    return min([seconds_of(run)[0] for _ in range(3)]) if seconds < 2.0 else seconds


def draw(points: dict[int, dict[tuple[str, Any], float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 5.0), layout="constrained")
    axes = figure.add_subplot()
    for (library, what), _ in sorted(points[min(points)].items(), key=str):
        sizes = [n for n in points if (library, what) in points[n]]
        label = f"{library}, " + ("exact" if what == "exact" else f"entropic, eps = {what:.0%}")
        seconds = [points[n][library, what] for n in sizes]
        axes.loglog(sizes, seconds, STYLES[what], color=COLORS[library], marker=".", label=label)
    axes.set_xlabel("histogram size (eps relative to the median cost)")
    axes.set_ylabel("seconds")
    axes.set_xticks(list(points), map(str, points))
    axes.minorticks_off()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    figure.savefig(path, dpi=150)


def cuturi(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    points: dict[int, dict[tuple[str, Any], float]] = {}
    for n in tqdm(options.sizes, desc="sizes", unit=""):
        points[n] = curves(n, options)
        found = (f"{library} {what} {seconds:.3g}" for (library, what), seconds in points[n].items())
        tqdm.write(f"n = {n}, seconds: " + ", ".join(found))
    draw(points, options.output)
    print(options.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=SIZES, help=f"of histograms, separated by commas (default: {SIZES})")
    parser.add_argument("--repeat", type=int, default=3, help="pairs of histograms of each size (default: 3)")
    parser.add_argument("--threads", type=int, default=1, help="for all (default: 1)")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parents[2] / "docs/images/cuturi.png")
    options = parser.parse_args()
    options.sizes = [int(n) for n in options.sizes.split(",")]
    # Before anything that reads them is imported.
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = str(options.threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    cuturi(options)


if __name__ == "__main__":
    main()
