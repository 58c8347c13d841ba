"""A picture of what only transport sees: that near is near.

    python -m benchmarks.figures.arjovsky
    python -m benchmarks.figures.arjovsky --points 200 -o lines.png

Left, Example 1 of Arjovsky, Chintala and Bottou 2017, "Wasserstein Generative Adversarial Networks": two parallel lines
at a distance theta. W is |theta|; JS, TV and KL are the same for every theta but zero. Right, temperatures as classes:
the distance of a forecast to what came, 25 degrees, by the forecast.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

# Okabe and Ito's colours, as in monge.plot; transport's line is solid and above the others.
COLORS = {"W": "#0072B2", "KL": "#D55E00", "TV": "#E69F00", "JS": "#009E73"}
STYLES = {"W": "-", "KL": ":", "TV": "--", "JS": "-."}
# Where an infinite KL is drawn.
TOP = 1.35


def lines(theta: float, n: int) -> dict[str, float]:
    """The distances between n points of the line through (0, 0) and as many of the one through (theta, 0)."""
    import numpy as np

    import monge

    heights = (np.arange(n) + 0.5) / n
    x, y = (np.stack([np.full(n, place), heights], axis=1) for place in (0.0, theta))
    places, at = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    p, q = (np.bincount(part, minlength=len(places)) for part in np.split(at.ravel(), 2))
    return {"W": monge.wasserstein(x, y, p=1), "KL": monge.kl(p, q), "TV": monge.tv(p, q), "JS": monge.js(p, q)}


def forecasts() -> tuple[Any, dict[str, list[float]]]:
    """The classes, and the distances of a certain forecast of each to the truth, 25 degrees."""
    import numpy as np

    import monge

    classes = np.arange(21, 30)
    cost, certain = np.abs(classes[:, None] - classes), np.eye(len(classes))
    truth = certain[4]
    return classes, {
        "W": [monge.emd(cost, truth, p).value for p in certain],
        "TV": monge.tv(certain, truth),
        "JS": monge.js(certain, truth),
        "KL": monge.kl(certain, truth),
    }


def draw(options: argparse.Namespace) -> None:
    import numpy as np
    from matplotlib.figure import Figure

    thetas = np.linspace(-1.0, 1.0, 2 * options.steps + 1)
    found = [lines(theta, options.points) for theta in thetas]
    for theta, values in zip(thetas[:: options.steps // 2], found[:: options.steps // 2], strict=True):
        print(f"theta = {theta:.2f}: " + ", ".join(f"{name} {value:.3g}" for name, value in values.items()))

    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    zero = len(thetas) // 2
    for name in ("KL", "TV", "JS", "W"):
        values = np.minimum([one[name] for one in found], TOP)
        label = {"W": "W", "KL": "KL (infinite)", "TV": "TV", "JS": "JS, at most log 2"}[name]
        if name == "W":
            left.plot(thetas, values, STYLES[name], color=COLORS[name], label=label, linewidth=2.0)
            continue
        for part in (slice(0, zero), slice(zero + 1, None)):  # it jumps
            left.plot(
                thetas[part], values[part], STYLES[name], color=COLORS[name], label=label if part.start == 0 else None
            )
    left.plot([0.0], [found[zero]["JS"]], "o", color="black", markersize=4.0, clip_on=False, label="all, at theta = 0")
    left.set_xlabel("distance theta of two parallel lines")
    left.set_ylabel("distance of the distributions")
    left.set_ylim(0.0, 1.45)

    classes, distances = forecasts()
    for name in ("KL", "TV", "JS", "W"):
        values = np.minimum(distances[name], 4.3)
        right.plot(classes, values, "s" if name != "W" else "o-", color=COLORS[name], label=name, markersize=4.0)
    right.set_xticks(classes)
    right.set_xlabel("forecast in degrees, when 25 came")
    right.set_ylim(0.0, 4.6)
    for axes in (left, right):
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=5)
    figure.savefig(options.output, dpi=100)
    print(options.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100, help="on each line (default: 100)")
    parser.add_argument("--steps", type=int, default=20, help="of theta to either side (default: 20)")
    parser.add_argument("-o", "--output", type=Path, default=Path("two_lines.png"))
    draw(parser.parse_args())


if __name__ == "__main__":
    main()
