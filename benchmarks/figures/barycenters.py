"""Pictures of barycenters: four shapes on a sheet, an average of digits, and solids.

    python -m benchmarks.figures.barycenters
    python -m benchmarks.figures.barycenters shapes --side 64 -o /tmp

`shapes`: all averages of four shapes with bilinear weights, five by five (Solomon et al. 2015, "Convolutional
Wasserstein distances", Figure 1). `digits`: ten handwritten threes of scikit-learn's of any size, anywhere,
and their averages: of the pixels, with the blur of entropy, and debiased. `solids`: a torus, a cube, a ball and a jack,
on a sheet as well. All of them debiased but for the blurred one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import monge

Array = NDArray[np.float64]

INKS = np.array([[0.0, 0.45, 0.7], [0.84, 0.37, 0.0], [0.0, 0.62, 0.45], [0.8, 0.47, 0.65]])
# Corners of a sheet: the weights of the four in its five by five places.
STEPS = np.linspace(0.0, 1.0, 5)
BILINEAR = np.array([[(1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t] for s in STEPS for t in STEPS])


def soft(distance: Array, width: float) -> Array:
    """1 inside, where the distance to the edge is negative, and 0 outside."""
    return np.clip(0.5 - distance / width, 0.0, 1.0)


def cells(side: int) -> Array:
    return (2.0 * np.arange(side) + 1.0) / side - 1.0


def four_shapes(side: int) -> Array:
    down, right = np.meshgrid(cells(side), cells(side), indexing="ij")
    radius, angle = np.hypot(down, right), np.arctan2(down, right)
    bars = [np.maximum(np.abs(u) - 0.65, np.abs(v) - 0.17) for u, v in ((down, right), (right, down))]
    distances = [radius - 0.55, radius - 0.42 - 0.2 * np.cos(5.0 * angle), np.abs(radius - 0.5) - 0.13]
    return np.array([soft(distance, 3.0 / side) for distance in (*distances, np.minimum(*bars))])


def four_solids(side: int) -> Array:
    up, y, z = np.meshgrid(cells(side), cells(side), cells(side), indexing="ij")
    sizes = np.abs([up, y, z])
    rods = [np.maximum(np.delete(sizes, axis, axis=0).max(axis=0) - 0.14, sizes[axis] - 0.75) for axis in range(3)]
    distances = [
        np.hypot(np.hypot(y, z) - 0.55, up) - 0.2,
        sizes.max(axis=0) - 0.45,
        np.sqrt(up**2 + y**2 + z**2) - 0.55,
        np.min(rods, axis=0),
    ]
    return np.array([soft(distance, 3.0 / side) for distance in distances])


def average(densities: Array, weights: Array | None, pixels: float, debias: bool = True, tol: float = 5e-3) -> Array:
    """That of densities on a grid, with a kernel of so many pixels."""
    flat = densities.reshape(len(densities), -1)
    found = monge.barycenter(
        flat / flat.sum(axis=1, keepdims=True), monge.Grid(densities.shape[1:]), weights, eps=2.0 * pixels**2,
        debias=debias, tol=tol,
    )  # fmt: skip
    return np.asarray(found.weights.reshape(densities.shape[1:]))


def sheet(corners: Array, path: Path) -> None:
    from matplotlib.figure import Figure

    from monge import plot

    averages = [average(corners, weights, 0.75) for weights in BILINEAR]
    ax = Figure(figsize=(8.0, 8.0), layout="constrained").add_subplot()
    plot.shapes(averages, ax, columns=len(STEPS), colors=BILINEAR @ INKS)
    ax.figure.savefig(path, dpi=100)


def digits(side: int, path: Path, digit: int = 3, count: int = 10) -> None:
    from matplotlib.figure import Figure
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    from monge import plot

    data = load_digits()
    rng = np.random.default_rng(0)
    images = np.zeros((count, side, side))
    for image, small in zip(images, data.images[data.target == digit], strict=False):
        large = zoom(np.pad(small, 1), rng.uniform(0.4, 0.7) * side / 10.0, order=3)
        top, left = (int(rng.integers(0, side - length + 1)) for length in large.shape)
        image[top : top + len(large), left : left + large.shape[1]] = soft(0.5 * large.max() - large, 4.0)
    figure = Figure(figsize=(10.0, 5.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1.0))
    plot.shapes(images, above.add_subplot(), columns=5)
    flat = images / images.sum(axis=(1, 2), keepdims=True)
    averages = {
        "mean of the pixels": flat.mean(axis=0),
        "with entropy": average(flat, None, 2.0, debias=False),
        # To undo a blur is ill-posed: smaller errors come with ripples.
        "debiased": average(flat, None, 1.5, tol=2e-2),
    }
    for ax, (title, image) in zip(below.subplots(1, 3), averages.items(), strict=True):
        plot.shapes(image[np.newaxis], ax)
        ax.set_title(title)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", choices=[[], "shapes", "digits", "solids"], help="default: all")
    parser.add_argument("--side", type=int, help="cells along an axis (default: 128, of solids 48)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).parents[2] / "docs/images", help="a folder for them"
    )
    options = parser.parse_args()
    draw: dict[str, Callable[[Path], None]] = {
        "shapes": lambda path: sheet(four_shapes(options.side or 128), path),
        "digits": lambda path: digits(options.side or 128, path),
        "solids": lambda path: sheet(four_solids(options.side or 48), path),
    }
    for name in options.pictures or draw:
        path, start = options.output / f"barycenters_{name}.png", time.perf_counter()
        draw[name](path)
        print(f"{path}: {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
