"""The sheet of two photographs in each other's colours, by batches of several sizes, and how diverse these are.

    python -m benchmarks.figures.colours
    python -m benchmarks.figures.colours --side 1000 --epochs 16 -o colours.png
    python -m benchmarks.figures.colours --smoke

The experiment of Fatras et al. 2020, "Learning with minibatch Wasserstein", section 4.3. All pixels take part, in
batches that are drawn at random, as there; those of `monge.color_transfer` stand for their pictures better (--strata).
Under each picture stand the standard deviation of its colours over that of those it should have, the smallest of the
three channels'; W2 between the two on a sample of pixels; and its number of different colours. Means over many small
batches are dull: their colours are nearer to grey. In brackets, how far two samples are apart of the picture whose
colours these should be: the exact plan between samples leaves as much.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

SIZES = "10,100,1000"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=SIZES, help=f"pixels of a batch, separated by commas (default {SIZES})")
    parser.add_argument("--side", type=int, default=400, help="pictures are this wide and high (default 400)")
    parser.add_argument("--epochs", type=int, default=8, metavar="K", help="default 8; the more, the less noise")
    parser.add_argument("--sample", type=int, default=5000, help="pixels of which W2 is computed (default 5000)")
    parser.add_argument("--strata", action="store_true", help="batches with colours from all parts of a picture")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="everything small, in some seconds")
    parser.add_argument("-o", "--output", type=Path, default=Path("colours.png"), metavar="OUT.png")
    options = parser.parse_args()
    if options.smoke:
        options.side, options.epochs, options.sample = 60, 2, 300
    sheet(options).savefig(options.output, dpi=110)
    print(options.output.resolve())


def sheet(options: argparse.Namespace) -> Any:
    """The figure: in each row a picture, and it in the colours of the other for every size of batches."""
    from matplotlib.figure import Figure

    import monge
    from benchmarks.samples.colours import photographs, quality

    source, target = photographs(options.side)
    sizes = [int(size) for size in options.sizes.split(",")]
    pairs = {
        m: monge.color_transfer(
            source,
            target,
            method="minibatch",
            batch_size=m,
            epochs=options.epochs,
            strata=options.strata,
            both=True,
            rng=0,
            n_jobs=options.threads,
            progress=True,
        )
        for m in sizes
    }
    columns = 1 + len(sizes)
    figure = Figure(figsize=(3.2 * columns, 7.6), layout="constrained", facecolor="white")
    axes = figure.subplots(2, columns)
    for row, (picture, wanted, name) in enumerate(((source, target, "source"), (target, source, "target"))):
        show(axes[row, 0], picture, name, f"{different(picture):,} colours")
        for ax, m in zip(axes[row, 1:], sizes, strict=True):
            out = pairs[m][row]
            std, w2, floor = quality(out, wanted, options.sample, options.threads)
            numbers = f"std ratio {std:.3f}, W₂ = {w2:.3f} (exact {floor:.3f})"
            print(f"{name}, m = {m}: {numbers}, {different(out):,} colours")
            show(ax, out, f"m = {m}", f"{numbers}\n{different(out):,} colours")
    figure.suptitle(
        f"{options.side} x {options.side} pixels, {options.epochs} epochs; W₂ on {options.sample:,} pixels", fontsize=11
    )
    return figure


def different(picture: Any) -> int:
    """The number of colours in a picture of 8 bits."""
    import numpy as np

    red, green, blue = picture.reshape(-1, 3).astype(np.int64).T
    return len(np.unique(red << 16 | green << 8 | blue))


def show(ax: Any, picture: Any, title: str, below: str) -> None:
    """One picture, with what there is to say about it."""
    ax.imshow(picture)
    ax.set_title(title, loc="left", fontsize=11)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(below, fontsize=9)
    for spine in ax.spines.values():
        spine.set_visible(False)


if __name__ == "__main__":
    main()
