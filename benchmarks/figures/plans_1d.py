"""A picture of three ways to blur a transport plan: minibatches, entropy, squares.

    python -m benchmarks.figures.plans_1d
    python -m benchmarks.figures.plans_1d --points 50 --output plans.png

The figure of plans on the line of Fatras, Zine, Flamary, Gribonval and Courty 2020, "Learning with minibatch
Wasserstein: asymptotic and gradient properties", with 20 points on each side. First row, the mean plan of all pairs of
minibatches of m points; second, the entropic plan for several eps; third, the L2-regularised plan, which stays sparse.
Printed beside each: how many entries the plan has, its effective number of targets per source (the exponential of the
entropy of a row, on average), and what it costs beside the exact one.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

# Of each row, from the exact plan to one that is nearly the product: m is for 20 points, and goes with their number.
SIZES, ENTROPY, SQUARES = (20, 10, 5, 2), (1e-3, 1e-2, 5e-2, 0.5), (1e-3, 1.0, 10.0, 100.0)
# Entries below this part of a uniform one are shown, and counted, as zero: sinkhorn's are never exactly that.
SEEN = 1e-3


def points(n: int) -> tuple[Any, Any]:
    """Sorted quantiles of a Gaussian, and of a mixture of two."""
    import numpy as np
    from scipy.special import ndtr, ndtri

    levels = (np.arange(n) + 0.5) / n
    fine = np.linspace(-1.0, 3.0, 4001)
    mixture = 0.5 * ndtr((fine - 0.3) / 0.15) + 0.5 * ndtr((fine - 1.2) / 0.3)
    return 0.25 * ndtri(levels), np.interp(levels, mixture, fine)


def plans(n: int) -> tuple[Any, list[list[tuple[str, Any]]]]:
    """The costs (n, n), and the rows of the figure: titles and plans (n, n)."""
    import monge

    x, y = points(n)
    cost = monge.PointCloud(x, y)

    def minibatches(m: int) -> Any:
        return monge.minibatch(x, y, batch_size=m, n_batches="all")  # of all pairs, in closed form

    sizes = sorted({max(size * n // 20, 1) for size in SIZES}, reverse=True)
    return (x[:, None] - y) ** 2, [
        [(f"minibatches, m = {m}", minibatches(m).plan.toarray()) for m in sizes],
        [(f"entropy, eps = {e:g}", monge.sinkhorn(cost, eps=e, tol=1e-6).plan.toarray()) for e in ENTROPY],
        [(f"squares, eps = {e:g}", monge.quadratic(cost, eps=e).plan.toarray()) for e in SQUARES],
    ]


def spread(plan: Any) -> float:
    """The exponential of the entropy of a row, on average: one where each source has one target."""
    import numpy as np
    from scipy.special import entr

    rows = plan / plan.sum(axis=1, keepdims=True)
    return float(np.exp(entr(rows).sum(axis=1)).mean())


def draw(options: argparse.Namespace) -> None:
    import numpy as np
    from matplotlib.figure import Figure

    n = options.points
    C, rows = plans(n)
    exact = float((rows[0][0][1] * C).sum())
    figure = Figure(figsize=(2.2 * len(rows[0]), 7.4), layout="constrained")
    for axes, row in zip(figure.subplots(len(rows), len(rows[0]), squeeze=False), rows, strict=True):
        for ax, (title, plan) in zip(axes, row, strict=False):
            shown = np.where(plan > SEEN / n**2, plan, 0.0)
            entries, targets, dearer = int((shown > 0.0).sum()), spread(plan), float((plan * C).sum()) / exact - 1.0
            print(f"{title:26s} {entries:5d} entries, {targets:5.2f} targets a source, cost {100.0 * dearer:+.2f} %")
            ax.imshow(np.sqrt(n * shown), cmap="Blues", vmin=0.0, vmax=1.0)  # of the root, so that small ones are seen
            ax.set_title(f"{title}\n{entries} entries", fontsize=9)
            ax.set_xticks([])
            ax.set_yticks([])
    figure.savefig(options.output, dpi=100)
    print(options.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20, help="on each side (default: 20)")
    parser.add_argument("-o", "--output", type=Path, default=Path("plans_1d.png"))
    draw(parser.parse_args())


if __name__ == "__main__":
    main()
