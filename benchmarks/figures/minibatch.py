"""Transport between minibatches in three pictures, after Fatras et al. 2020.

    python -m benchmarks.figures.minibatch
    python -m benchmarks.figures.minibatch --seconds 0.2 --largest 20000 --pairs 200 -o minibatch.png

Above, left, the time of ten thousand pairs of batches of m points, from that of some, by the number of points that
they are drawn from, on which it does not depend. Right, how far the row and column sums of the plan are from the
weights after k pairs, added up, and what is expected of them for many, 2 sqrt(2 n (1 - m / n) / (pi m k)). Below, the
mean plans between twenty points of a line and twenty others: of all pairs of batches of m points, in closed form; and
the entropic plan.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

# Okabe and Ito's colours, as in monge.plot.
COLORS = ("#0072B2", "#E69F00", "#009E73")
SIZES = (10, 250, 1000)
MARGINALS = (10, 50, 100)
PLANS = (1, 2, 5, 10, 20)


def times(axes: Any, seconds: float, largest: int) -> None:
    import numpy as np

    import monge

    rng = np.random.default_rng(0)
    places = np.unique(np.geomspace(5000, max(largest, 5000), 5).astype(int))
    for m, color in zip(SIZES, COLORS, strict=True):
        found = []
        for n in places:
            x, y = rng.random((2, n, 3))
            start = time.perf_counter()
            monge.minibatch(x, y, batch_size=m, n_batches=2, rng=0, n_jobs=1)
            count = max(2, round(seconds / (time.perf_counter() - start) * 2))
            start = time.perf_counter()
            monge.minibatch(x, y, batch_size=m, n_batches=count, rng=1, n_jobs=1)
            found.append((time.perf_counter() - start) / count)
        print(f"m = {m}: " + ", ".join(f"n = {n} {1e3 * t:.3g} ms" for n, t in zip(places, found, strict=True)))
        axes.loglog(places, 1e4 * np.array(found), "o-", color=color, label=f"m = {m}")
    axes.set_xlabel("points n on either side")
    axes.set_ylabel("seconds of 10,000 pairs, one thread")


def marginals(axes: Any, pairs: int, n: int = 1000) -> None:
    import numpy as np

    import monge

    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    ks = np.unique(np.geomspace(1, pairs, 13).astype(int))
    for m, color in zip(MARGINALS, COLORS, strict=True):
        plans = [monge.minibatch(x, x + 1.0, batch_size=m, n_batches=int(k), rng=int(k)).plan for k in ks]
        errors = np.array([sum(np.abs(plan.sum(axis=axis) - 1.0 / n).sum() for axis in (0, 1)) for plan in plans])
        law = 2.0 * np.sqrt(2.0 * n * (1.0 - m / n) / (np.pi * m * ks))
        axes.loglog(ks, errors, "o", color=color, label=f"m = {m}", markersize=4.0)
        axes.loglog(ks, law, "-", color=color, linewidth=1.0)
        print(f"m = {m}, k = {ks[-1]}: error {errors[-1]:.4f}, law {law[-1]:.4f}")
    axes.set_xlabel("pairs k; lines: what is expected")
    axes.set_ylabel(f"error of the marginals, n = {n}")


def plans(all_axes: list[Any], n: int = 20) -> None:
    import numpy as np

    import monge

    rng = np.random.default_rng(0)
    x, y = np.sort(rng.normal(size=n)), np.sort(rng.normal(size=n) * 0.6 + 2.0)
    shown = []
    for m in PLANS:
        found = monge.minibatch(x, y, batch_size=m, n_batches="all")
        shown.append((f"batches of {m}: {found:.2f}", found.plan.toarray()))
    t = monge.sinkhorn(monge.PointCloud(x, y), eps=0.2, tol=1e-6)
    shown.append((f"entropic, eps 0.2: {t.cost:.2f}", t.plan.toarray()))
    for axes, (title, plan) in zip(all_axes, shown, strict=True):
        axes.imshow(plan, cmap="Greys", vmin=0.0, vmax=0.5 / n)
        axes.set_title(title, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])


def draw(options: argparse.Namespace) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[2.0, 1.0])
    left, right = above.subplots(1, 2)
    times(left, options.seconds, options.largest)
    marginals(right, options.pairs)
    plans(list(below.subplots(1, len(PLANS) + 1)))
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(options.output, dpi=100)
    print(options.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each time that is taken (default: 1)")
    parser.add_argument("--largest", type=int, default=100_000, help="number of points (default: 100,000)")
    parser.add_argument("--pairs", type=int, default=10_000, help="of batches, at most (default: 10,000)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).parents[2] / "docs/images/minibatch.png",
    )  # fmt: skip
    draw(parser.parse_args())


if __name__ == "__main__":
    main()
