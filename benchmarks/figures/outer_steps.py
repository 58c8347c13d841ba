"""What a step of the JKO scheme takes, when its maps start from the source and when they are composed.

    python -m benchmarks.figures.outer_steps
    python -m benchmarks.figures.outer_steps --steps 4 --iterations 5 -o steps.png

Left, evaluations of maps in an iteration of the k-th outer step; right, seconds of the step, on one thread. The line
that does not rise is why Choi, Choi, Kang 2024 call their scheme scalable.
"""

from __future__ import annotations

import argparse
from pathlib import Path

# Okabe and Ito's colours, as in monge.plot.
COLORS = ("#0072B2", "#E69F00")


def draw(options: argparse.Namespace) -> None:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

    from benchmarks.neural.sjko import per_step
    from monge.neural import JKO, SJKO

    torch.set_num_threads(1)
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = np.arange(1, options.steps + 1)
    for kind, color, label in ((SJKO, COLORS[0], "maps of the source: SJKO"), (JKO, COLORS[1], "composed: JKO")):
        seconds, counts = per_step(kind, options.steps, options.iterations)
        print(f"{kind.__name__}: seconds " + " ".join(f"{s:.2f}" for s in seconds))
        left.plot(steps, counts, "o-", color=color, label=label)
        right.plot(steps, seconds, "o-", color=color, label=label)
    left.set_ylabel("evaluations of maps in an iteration")
    right.set_ylabel(f"seconds of {options.iterations} iterations")
    left.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.set_xlabel("outer step")
        axes.set_ylim(bottom=0.0)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(options.output, dpi=100)
    print(options.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12, help="outer steps (default: 12)")
    parser.add_argument("--iterations", type=int, default=60, help="of each (default: 60)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).parents[2] / "docs/images/outer_steps.png",
    )  # fmt: skip
    draw(parser.parse_args())


if __name__ == "__main__":
    main()
