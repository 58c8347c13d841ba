"""A picture of what a critic says about W1, by what keeps its slopes down: by itself, and certified.

    python -m benchmarks.figures.critics
    python -m benchmarks.figures.critics --points 300 --steps 100 -o critics.png

MinFunnel clouds in the plane (Korotin, Kolesov and Burnaev 2022), whose W1 is known. Left, weights clipped to [-c, c]
(Arjovsky, Chintala and Bottou 2017): the estimate has the scale of the network, which grows as c to the power of its
depth. Right, gradient penalties by their weight, two-sided (Gulrajani et al. 2017) and one-sided (Petzka, Fischer and
Lukovnicov 2018). What is certified is below W1 throughout.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

# Okabe and Ito's colours, as in monge.plot.
RAW, CERTIFIED, INK = "#D55E00", "#0072B2", "#22252b"
CLIPS = (0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2)
WEIGHTS = (0.1, 1.0, 10.0, 100.0, 1000.0)


def measured(pair: Any, penalty: Any, steps: int) -> tuple[float, float]:
    """What the network estimates, and what is proved, over W1."""
    import monge.neural

    found = monge.neural.critic(pair.x, pair.y, penalty=penalty, n_steps=steps, rng=0, threads=1)
    print(
        f"{penalty}: {found.value / pair.distance:.3f}, certified {found.lower_bound / pair.distance:.4f}", flush=True
    )
    return found.value / pair.distance, found.lower_bound / pair.distance


def draw(options: argparse.Namespace) -> None:
    import torch
    from matplotlib.figure import Figure

    from monge.neural import Clip, GradientPenalty
    from monge.neural.toys import min_funnels

    torch.set_num_threads(1)
    pair = min_funnels(options.points, rng=0)
    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    raw, certified = zip(*(measured(pair, Clip(c), options.steps) for c in CLIPS), strict=True)
    left.plot(CLIPS, raw, "o-", color=RAW, label="the network's estimate")
    left.plot(CLIPS, certified, "o-", color=CERTIFIED, label="certified by c-transforms")
    left.set(xscale="log", yscale="log", xlabel="clip value c", ylabel="estimate over W1", title="clipped weights")
    for one_sided, style, name in ((False, "--", "two-sided"), (True, "-", "one-sided")):
        raw, certified = zip(
            *(measured(pair, GradientPenalty(weight, one_sided), options.steps) for weight in WEIGHTS), strict=True
        )
        right.plot(WEIGHTS, raw, "o" + style, color=RAW, label=f"{name}, the network's estimate")
        right.plot(WEIGHTS, certified, "o" + style, color=CERTIFIED, label=f"{name}, certified")
    right.set(xscale="log", yscale="log", xlabel="weight of the penalty", title="gradient penalties")
    for axes in (left, right):
        axes.axhline(1.0, color=INK, linewidth=0.8)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(options.output, dpi=150)
    print(f"wrote {options.output}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("-o", "--output", type=Path, default=Path("critics.png"))
    draw(parser.parse_args())


if __name__ == "__main__":
    main()
