"""A picture of projections: one image on two others, for several pairs, in the squares and by transport.

    python -m benchmarks.figures.projection
    python -m benchmarks.figures.projection --side 48 --output /tmp

Each row has two shapes, a third, its Euclidean projection on the mixtures of the two, and its Wasserstein projection
on their barycenters (Bonneel, Peyré and Cuturi 2016, as in their figures of projections). The weights are printed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import monge

Array = NDArray[np.float64]


def shapes(side: int) -> dict[str, Array]:
    """Shapes by name, (side^2,), of mass one, with edges that are soft over about a pixel."""
    y, x = (2.0 * np.mgrid[:side, :side] + 1.0) / side - 1.0
    distances = {
        "disk": np.hypot(x + 0.35, y) - 0.35,
        "square": np.maximum(abs(x - 0.35), abs(y)) - 0.35,
        "ellipse": np.hypot(x / 1.6, y) - 0.33,
        "bar": np.maximum(abs(x) - 0.72, abs(y + 0.4) - 0.12),
        "post": np.maximum(abs(x) - 0.13, abs(y - 0.1) - 0.65),
        "diamond": (abs(x) + abs(y + 0.1)) - 0.5,
        "ring": abs(np.hypot(x, y) - 0.6) - 0.12,
        "point": np.hypot(x, y) - 0.2,
        "thin ring": abs(np.hypot(x, y) - 0.38) - 0.12,
    }
    images = {name: np.clip(0.5 - d * side / 4.0, 0.0, 1.0).ravel() for name, d in distances.items()}
    return {name: image / image.sum() for name, image in images.items()}


ROWS = [("disk", "square", "ellipse"), ("bar", "post", "diamond"), ("ring", "point", "thin ring")]


def in_squares(target: Array, first: Array, second: Array) -> float:
    """The share of the second in the mixture that is nearest in the squares."""
    along = second - first
    return float(np.clip(along @ (target - first) / (along @ along), 0.0, 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--eps", type=float, default=4e-4, help="over the squared side")
    parser.add_argument("-o", "--output", type=Path, default=Path("."), help="folder")
    options = parser.parse_args()

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    side = options.side
    drawn, grid = shapes(side), monge.Grid((side, side))
    fig, axes = plt.subplots(len(ROWS), 5, figsize=(9.0, 1.9 * len(ROWS)), layout="constrained")
    for line, names in zip(axes, ROWS, strict=True):
        first, second, target = (drawn[name] for name in names)
        share = in_squares(target, first, second)
        began = time.perf_counter()
        found = monge.barycentric_coordinates(
            target, [first, second], grid, eps=options.eps * side**2, loss="wasserstein", tol=1e-3
        )
        print(
            f"{names[2]} on {names[0]} and {names[1]}: in the squares {1.0 - share:.3f}, {share:.3f}; by transport "
            f"{found.weights[0]:.3f}, {found.weights[1]:.3f}, {time.perf_counter() - began:.1f} s"
        )
        images = [first, second, target, (1.0 - share) * first + share * second, found.projection]
        titles = [names[0], names[1], names[2], "in the squares", "by transport"]
        for axis, image, title in zip(line, images, titles, strict=True):
            axis.imshow(image.reshape(side, side), cmap="Blues", vmin=0.0)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_color("0.8")
            axis.set_title(title, fontsize=9)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "projection.png"
    fig.savefig(path, dpi=110)
    print(path)


if __name__ == "__main__":
    main()
