"""Transport maps as generators, UOTM and OTM: what was found beside what was wanted.

    python -m benchmarks.neural.uotm
    python -m benchmarks.neural.uotm --only gaussians,outliers
    python -m benchmarks.neural.uotm --smoke

The map between two Gaussians and the mass it moves against the closed form; Theorem 3.3, that what is left out costs
less than moving all; how much more the map costs than exact transport to what it makes, E |x - Tx|^2 / W2^2(x, Tx) - 1;
outliers; eight Gaussians and digits, three seeds of the first. Trained on one thread; seconds are of CPU time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

import monge
from benchmarks.neural.gaussian_pairs import unbalanced_gaussians
from benchmarks.neural.models import SETS, data, judged
from monge.neural import OTM, UOTM, metrics

Rng = np.random.Generator


class Size(NamedTuple):
    steps: int = 4000
    points: int = 4000  # that are compared by exact transport
    seeds: int = 3
    sets: int = SETS  # of samples, whose distances are averaged


class Row(NamedTuple):
    what: str
    found: str
    wanted: str
    ok: bool | None = None  # None where nothing is promised


def fitted(model: Any, *samples: Any) -> tuple[Any, float]:
    """The trained model, and seconds."""
    began = time.process_time()
    model.fit(*samples)
    return model, time.process_time() - began


def bound(model: Any, x: Any, y: Any) -> Row:
    """Theorem 3.3 at samples."""
    one, two = model.divergences(x, y)
    all_of_it = model.tau * monge.wasserstein(x, y) ** 2
    found = f"{one:.4f} + {two:.4f}"
    return Row("  D1 + D2", found, f"<= tau W2^2 = {all_of_it:.4f}", one + two <= all_of_it)


def excess(x: Any, moved: Any) -> Row:
    """Of the map's cost over that of exact transport to the same points."""
    x, moved = (np.asarray(points).reshape(len(points), -1) for points in (x, moved))
    found = float(((x - moved) ** 2).sum(axis=1).mean()) / monge.wasserstein(x, moved) ** 2 - 1.0
    return Row("  cost of the map over W2^2", f"{found:+.2%}", "<= +10 %", found <= 0.1)


def gaussians(size: Size) -> Iterator[Row]:
    """N(0, 1) to N(2, 1/4), KL on both sides."""

    def target(rng: Rng, n: int) -> Any:
        return rng.normal(2.0, 0.5, n)

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(size.points, 1)).astype(np.float32), target(rng, size.points)[:, None]
    for tau in (1.0, 0.1):
        model, seconds = fitted(UOTM(entropy="kl", tau=tau, r1=0.01, n_steps=size.steps, rng=0), target)
        truth = unbalanced_gaussians((0.0, 1.0), (2.0, 0.5), tau)
        moved, density = model.transport(x), model.source_density(x)
        # The closed form is of the mass that is moved: the line through it weights each sample so.
        slope, intercept = np.polyfit(x[:, 0], moved[:, 0], 1, w=np.sqrt(density))
        yield Row(f"Gaussians, tau {tau:g}", f"{seconds:.0f} s", "")
        for name, found, wanted in zip(
            truth._fields, (slope, intercept, density.mean(), model.history.smoothed(0.99)[-1]), truth, strict=True
        ):
            yield Row(f"  {name}", f"{found:.4f}", f"{wanted:.4f} within 15 %", abs(found - wanted) <= 0.15 * wanted)
        yield bound(model, x, y)
        yield excess(x, moved)


def outliers(size: Size) -> Iterator[Row]:
    """One per cent at -1 beside N(1, 1/4), from N(2, 1/4): samples below -0.7."""

    def target(rng: Rng, n: int) -> Any:
        return np.where(rng.random(n) < 0.01, rng.normal(-1.0, 0.05, n), rng.normal(1.0, 0.5, n))

    def source(rng: Rng, n: int) -> Any:
        return rng.normal(2.0, 0.5, n)

    yield Row("outliers, 1 %", f"{np.mean(target(np.random.default_rng(0), 10**6) < -0.7):.3%} of the data", "")
    for tau in (0.1, 0.5):
        shares = []
        for kind in (OTM, UOTM):
            model, seconds = fitted(kind(tau=tau, r1=0.01, n_steps=size.steps, rng=0), target, source)
            shares.append(float(np.mean(model.sample(100_000, rng=1) < -0.7)))
            wanted = "" if kind is OTM else "<= 1/3 of OTM's" if tau == 0.5 else "1/2 in closed form of KL"
            ok = 3.0 * shares[1] <= shares[0] if kind is UOTM and tau == 0.5 else None
            yield Row(f"  {kind.__name__}, tau {tau:g}, {seconds:.0f} s", f"{shares[-1]:.3%} of samples", wanted, ok)


def eight(size: Size) -> Iterator[Row]:
    """Eight Gaussians, 8,000 points, from noise. Figures are those of `benchmarks.neural.models`."""
    y = data("eight").train
    for kind, entropy in ((UOTM, "softplus"), (UOTM, "kl"), (OTM, "linear")):
        ratios = []
        for seed in range(size.seeds if entropy == "softplus" else 1):
            model, seconds = fitted(kind(entropy=entropy, n_steps=size.steps, rng=seed), y)
            sets = [model.sample(size.points, rng=number) for number in range(size.sets)]
            found = judged("eight", sets, seed)
            ratios.append(found["ratio"])
            yield Row(
                f"eight Gaussians, {kind.__name__} {entropy}, seed {seed}", f"{seconds:.0f} s", "< 60 s", seconds < 60
            )
            yield Row("  modes", str(found["modes"]), "8", found["modes"] == 8)
            yield Row("  within 3 sd", f"{found['share']:.3f}", ">= .85", found["share"] >= 0.85)
            yield Row("  W2, of two true samples", f"{ratios[-1]:.2f}", "")
            x = np.random.default_rng(3).normal(size=(size.points, 2)).astype(np.float32)
            if kind is UOTM:
                yield bound(model, x, y[:: len(y) // size.points])
            yield excess(x, model.transport(x))
        median = float(np.median(ratios))
        wanted = "<= 1.5" if kind is UOTM else "reported"
        ok = median <= 1.5 if kind is UOTM else None
        yield Row(f"  W2 ratio of {kind.__name__} {entropy}, median", f"{median:.2f}", wanted, ok)


def digits(size: Size) -> Iterator[Row]:
    """Digits of scikit-learn, to [-1, 1], from noise."""
    from sklearn.datasets import load_digits

    images = load_digits().data / 8.0 - 1.0
    images = images[np.random.default_rng(0).permutation(len(images))]
    train, held = images[:1347], images[1347:]
    model, seconds = fitted(UOTM(n_steps=size.steps, rng=0, **DIGITS), train)
    made = model.sample(len(held), rng=1)
    found = metrics.ratio(made, held, train)
    yield Row("digits, UOTM softplus", f"{seconds:.0f} s", "< 90 s", seconds < 90)
    yield Row("  W2, of two true samples", f"{found:.3f}", "<= 1.25", found <= 1.25)
    yield Row("  standard deviation ratio", f"{metrics.sd_ratio(made, held):.3f}", "reported")
    yield Row("  distance to the nearest learned", f"{metrics.novelty(made, train, held):.3f}", "reported")
    x = np.random.default_rng(3).normal(size=(1000, train.shape[1])).astype(np.float32)
    yield bound(model, x, train)
    yield excess(x, model.transport(x))


DIGITS: dict[str, Any] = {}
PARTS: dict[str, Callable[[Size], Iterator[Row]]] = {
    each.__name__: each for each in (gaussians, outliers, eight, digits)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts of it (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="of UOTM on eight Gaussians (default: 3)")
    parser.add_argument("--smoke", action="store_true", help="whether it runs: a few steps, one seed, no verdict")
    options = parser.parse_args()
    size = Size(steps=5, points=200, seeds=1, sets=1) if options.smoke else Size(seeds=options.seeds)
    torch.set_num_threads(1)
    for name in options.only.split(","):
        for row in PARTS[name](size):
            verdict = "" if row.ok is None or options.smoke else "yes" if row.ok else "NO"
            print(f"{row.what:48s} {row.found:>20s}   {row.wanted:30s} {verdict}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
