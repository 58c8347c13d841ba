"""Flows in outer steps, held to closed forms, to the exact solver and to their promise of a constant time per step.

    python -m benchmarks.neural.sjko
    python -m benchmarks.neural.sjko --smoke

Gaussians: the means and deviations of all steps of Kullback and Leibler's divergence, from N(0, I) to another Gaussian
of the plane. Steps: seconds and evaluations of maps of the twelfth step over those of the first, for SJKO and for JKO,
which composes. Eight Gaussians, by the defaults: modes, share of samples within three standard deviations of them, and
W2 to 4,000 true samples over what 4,000 others are at, as in `benchmarks.neural.models`. Digits: W2 to held-out ones
likewise.

The excess is E |x - Tx|^2 / W2^2(x, Tx) - 1 of 4,000 samples: how much longer the way is than it need be. Networks are
no gradients of convex functions, and the paper leaves open what is lost by that. It is taken of the whole way from the
source, which no theorem makes optimal, and of the last step from the one before, which is to be.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

import monge
from benchmarks.neural.gaussian_steps import Gaussian, gaussian_steps
from benchmarks.neural.models import SETS, data, judged
from monge.neural import JKO, MLP, SJKO
from monge.neural.metrics import ratio, sd_ratio
from monge.neural.toys import eight_gaussians

WANTED_STEPS, WANTED_SHARE, WANTED_RATIO, WANTED_DIGITS = 0.06, 0.85, 1.5, 1.25
WANTED_REBASED, WANTED_COMPOSED = 1.5, 2.0


def verdict(good: bool) -> str:
    return "" if good else "   NOT REACHED"


def excess(x: Any, moved: Any) -> float:
    """How much longer the way is than the shortest to the same places."""
    x, moved = x.reshape(len(x), -1), moved.reshape(len(moved), -1)
    return float(((x - moved) ** 2).sum(axis=1).mean() / monge.emd(monge.PointCloud(x, moved)).value - 1.0)


def gaussians(kind: type[SJKO], first_steps: int, n_steps: int) -> None:
    target, h, n_outer = Gaussian(np.array([1.5, -1.0]), 0.7), 0.5, 4

    def draw(rng: np.random.Generator, n: int) -> Any:
        return target.mean + target.sd * rng.standard_normal((n, 2))

    torch.manual_seed(0)
    nets = {
        "map": MLP(2, 2, hidden=(32, 32), activation="silu", residual=True),
        "potential": MLP(2, 1, hidden=(32, 32), activation="silu"),
    }
    model = kind(
        functional="kl",
        h=h,
        n_outer=n_outer,
        first_steps=first_steps,
        n_steps=n_steps,
        later_lr=1.0,
        r1=0.0,
        rng=0,
        **nets,
    )
    began = time.process_time()
    model.fit(draw)
    seconds = time.process_time() - began
    print(f"Gaussians, {kind.__name__}, {model.step} iterations: {seconds:.1f} s of CPU")
    for k, true in enumerate(gaussian_steps(Gaussian(np.zeros(2), 1.0), target, h, n_outer), start=1):
        y = model.sample(20_000, step=k, rng=1)
        off = float(np.linalg.norm(y.mean(axis=0) - true.mean) / np.linalg.norm(true.mean))
        sd_off = float(np.abs(y.std(axis=0) / true.sd - 1.0).max())
        print(
            f"  step {k}: mean off by {100 * off:.1f} %, deviation by {100 * sd_off:.1f} % "
            f"(wanted {100 * WANTED_STEPS:g}){verdict(max(off, sd_off) <= WANTED_STEPS)}"
        )


def per_step(kind: type[SJKO], n_outer: int, n_steps: int) -> tuple[Any, Any]:
    """Seconds, and evaluations of maps in an iteration, of each outer step; as the paper's toys, without a penalty."""
    settings = {"batch_size": 400, "r1": 0.0, "rng": 0}
    y = eight_gaussians(2000, rng=0)
    kind(n_outer=1, first_steps=3, **settings).fit(y)  # the first iterations of a process take longer
    model = kind(n_outer=n_outer, first_steps=n_steps, n_steps=n_steps, **settings).fit(y)
    ends = model.history.seconds.reshape(n_outer, n_steps)[:, -1]
    return np.diff(ends, prepend=0.0), model.history.evaluations.reshape(n_outer, n_steps)[:, -1]


def times(n_outer: int, n_steps: int, repeats: int) -> None:
    for kind, good, wanted in (
        (SJKO, lambda found: found <= WANTED_REBASED, f"at most {WANTED_REBASED:g}"),
        (JKO, lambda found: found >= WANTED_COMPOSED, f"at least {WANTED_COMPOSED:g}"),
    ):
        runs = [per_step(kind, n_outer, n_steps) for _ in range(repeats)]
        seconds, counts = np.min([run[0] for run in runs], axis=0), runs[0][1]
        found = seconds[-1] / seconds[0]
        print(
            f"{kind.__name__}, {n_steps} iterations in each of {n_outer} steps: "
            + " ".join(f"{s:.2f}" for s in seconds)
        )
        print(
            f"  the last over the first {found:.2f} (wanted {wanted}){verdict(good(found))}; evaluations of maps "
            + " ".join(str(count) for count in counts)
        )


def eight(seeds: int, n: int, sets: int, **settings: Any) -> None:
    source = np.random.default_rng(102).standard_normal((n, 2)).astype(np.float32)
    ratios = []
    for seed in range(seeds):
        began = time.process_time()
        model = SJKO(rng=seed, **settings).fit(data("eight").train)
        seconds = time.process_time() - began
        y = model.transport(source)
        found = judged("eight", [model.sample(n, rng=number) for number in range(sets)], seed)
        ratios.append(found["ratio"])
        before = model.transport(source, step=model.n_outer - 1)
        print(
            f"eight Gaussians, seed {seed}: {found['modes']} modes, {found['share']:.2f} in them (wanted "
            f"{WANTED_SHARE}), W2 ratio {ratios[-1]:.2f}, {seconds:.0f} s of CPU, excess "
            f"{100 * excess(source, y):.1f} %, of the last step {100 * excess(before, y):.1f} %"
            + verdict(found["modes"] == 8 and found["share"] >= WANTED_SHARE)
        )
    median = float(np.median(ratios))
    print(f"  W2 ratio, median {median:.2f} (wanted {WANTED_RATIO}){verdict(median <= WANTED_RATIO)}")


def digits(**settings: Any) -> None:
    from sklearn.datasets import load_digits

    images = (load_digits().images / 8.0 - 1.0)[np.random.default_rng(0).permutation(1797)].astype(np.float32)
    train, held_out = images[:1347], images[1347:]
    began = time.process_time()
    model = SJKO(rng=0, **settings).fit(train)
    seconds = time.process_time() - began
    y = model.sample(450, rng=1)
    found = ratio(y, held_out, train)
    print(
        f"digits: W2 ratio {found:.2f} (wanted {WANTED_DIGITS}), deviation {sd_ratio(y, held_out):.2f} of the digits', "
        f"{seconds:.0f} s of CPU{verdict(found <= WANTED_DIGITS)}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    smoke = parser.parse_args().smoke
    torch.set_num_threads(1)
    for kind in (SJKO, JKO):
        gaussians(kind, *((40, 20) if smoke else (600, 300)))
    times(*((3, 5, 1) if smoke else (12, 60, 3)))
    few = {"first_steps": 10, "n_steps": 10} if smoke else {}
    eight(*((1, 500, 1) if smoke else (3, 4000, SETS)), **few)
    digits(**few)
