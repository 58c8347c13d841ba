"""What the losses of GAN, WGAN and WGAN-GP say about their samples, of the eight Gaussians.

    python -m benchmarks.neural.gan
    python -m benchmarks.neural.gan --smoke

First, generators of three strengths, with batch normalisation and without, against one critic, for a short time each:
modes that were found (of eight: those with more than 2 % of the samples within three standard deviations), W2 of
samples to others of the truth, and the smoothed loss at the end, over seeds; and the rank correlation of loss and W2
across generators. Then a WGAN-GP by its defaults: the rank correlation of the smoothed loss and W2 over 25 log-spaced
checkpoints, and the same of a GAN, whose loss is an estimate of the Jensen-Shannon divergence, at most log 2.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402

import monge  # noqa: E402
from benchmarks.neural.models import EIGHT_APART  # noqa: E402
from monge.neural import GAN, MLP, WGAN, WGANGP, Model, metrics  # noqa: E402
from monge.neural.toys import EIGHT_CENTERS, EIGHT_SD, eight_gaussians  # noqa: E402

STRENGTHS = {"3 x 128": (128, 128, 128), "2 x 32": (32, 32), "2 x 4": (4, 4)}
CRITIC = (128, 128)
# About as many seconds each. The critics of the two WGANs take five steps for each of the generator's.
SHORT: dict[str, tuple[type[Model], dict[str, Any]]] = {
    "GAN": (GAN, {"n_steps": 1000, "lr": 1e-3}),
    "WGAN": (WGAN, {"n_steps": 600, "lr": 1e-3, "potential_lr": 2e-3}),
    "WGAN-GP": (WGANGP, {"n_steps": 250, "lr": 2e-3}),
}


def measured(points: np.ndarray, others: np.ndarray) -> tuple[int, float, float]:
    """Modes, the share within three standard deviations of one, and W2."""
    modes = metrics.modes(points, EIGHT_CENTERS, EIGHT_SD)
    return modes.found, modes.share, monge.wasserstein(points, others, threads=1)


class Checkpoints:
    """W2 of samples of a model, at log-spaced steps."""

    def __init__(self, n_steps: int, others: np.ndarray, count: int = 25) -> None:
        self.steps = np.unique(np.geomspace(min(20, n_steps), n_steps, count).round().astype(int))
        self._others, self.distances = others, []

    def __call__(self, model: Any) -> None:
        if model.step in self.steps:
            self.distances.append(monge.wasserstein(model.sample(len(self._others), rng=0), self._others, threads=1))

    def correlation(self, model: Any) -> float:
        loss = model.history.smoothed(0.9)[self.steps[: len(self.distances)] - 1]
        return float(spearmanr(loss, self.distances).statistic)


def generators(data: np.ndarray, others: np.ndarray, seeds: int, share: float) -> None:
    print("generator               " + "".join(f"{name:>34}" for name in SHORT))
    print("                        " + "      modes       W2   loss      CPU s" * len(SHORT))
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in SHORT}
    for strength, hidden in STRENGTHS.items():
        for normalised in (False, True):
            line = f"{strength + (', batch norm' if normalised else ''):24}"
            for name, (kind, settings) in SHORT.items():
                found, began = [], time.process_time()
                n_steps = max(2, int(share * settings["n_steps"]))
                for seed in range(seeds):
                    model = kind(
                        map=seeded(seed, 2, hidden=hidden, batch_norm=normalised),
                        potential=seeded(seed, 1, hidden=CRITIC),
                        **{**settings, "n_steps": n_steps, "batch_size": 128, "ema": 0.99, "rng": seed},
                    ).fit(data)
                    modes, _, distance = measured(model.sample(len(others), rng=1), others)
                    found.append((modes, distance, float(model.history.smoothed(0.98)[-1])))
                seconds = (time.process_time() - began) / seeds
                modes = "/".join(str(each[0]) for each in found)
                distance, loss = (float(np.median([each[k] for each in found])) for k in (1, 2))
                pairs[name] += [(each[2], each[1]) for each in found]
                line += f"{modes:>11}{distance:9.2f}{loss:7.2f}{seconds:7.1f}"
            print(line, flush=True)
    for name, each in pairs.items():
        loss, distance = np.transpose(each)
        print(f"{name}: rank correlation of loss and W2 across generators and seeds {spearmanr(loss, distance)[0]:.2f}")


def seeded(seed: int, outputs: int, **settings: Any) -> MLP:
    """A network of points in the plane; a given one keeps its first weights, so each seed has its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MLP(2, outputs, **settings)


def curves(data: np.ndarray, others: np.ndarray, seeds: int, steps: int | None) -> None:
    for kind in (WGANGP, GAN):
        for seed in range(seeds if kind is WGANGP else 1):
            model = kind(rng=seed) if steps is None else kind(rng=seed, n_steps=steps)
            watch, began = Checkpoints(model.n_steps, others), time.process_time()
            model.fit(data, callbacks=watch)
            seconds = time.process_time() - began
            modes, near, distance = measured(model.sample(len(others), rng=1), others)
            print(
                f"{kind.__name__}, seed {seed}: {modes} modes, {near:.2f} within 3 sd, W2 {distance:.3f} (ratio "
                f"{distance / EIGHT_APART[0]:.2f}"
                + (", wanted 8, 0.85, 1.5" if kind is WGANGP else "")
                + f"), {seconds:.0f} "
                f"s of CPU; rank correlation of smoothed loss and W2 over {len(watch.steps)} checkpoints "
                f"{watch.correlation(model):.2f}" + (", wanted 0.7" if kind is WGANGP else "")
            )
        rows = range(0, len(watch.steps), 4)
        loss = model.history.smoothed(0.9)[watch.steps - 1]
        print("  step", *(f"{watch.steps[k]:7}" for k in rows))
        print(
            "  loss",
            *(f"{loss[k]:7.3f}" for k in rows),
            "" if kind is WGANGP else f"  at most log 2 = {math.log(2):.3f}",
        )
        print("  W2  ", *(f"{watch.distances[k]:7.3f}" for k in rows), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a few steps of each, in a few seconds")
    parser.add_argument("--seeds", type=int, default=3, help="of the generators' table (default: 3)")
    parser.add_argument("--long-seeds", type=int, default=1, help="of the WGAN-GP (default: 1)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, size = eight_gaussians(8000, rng=0), 300 if options.smoke else 4000
    others = eight_gaussians(size, rng=1)
    if options.smoke:
        generators(data, others, 1, 0.01)
        curves(data, others, 1, 30)
        return
    if options.seeds:
        generators(data, others[:2000], options.seeds, 1.0)
    curves(data, others, options.long_seeds, None)


if __name__ == "__main__":
    main()
