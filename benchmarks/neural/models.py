"""All generative models on the same samples: how good what they make is, and the seconds that it took to learn.

    python -m benchmarks.neural.models
    python -m benchmarks.neural.models --data eight --models WGAN,UOTM --seeds 1 --output models.json
    python -m benchmarks.neural.models --readme benchmarks/RESULTS.md
    python -m benchmarks.neural.models --smoke

Samples are eight Gaussians in the plane (8,000 points, against 4,000 others), scikit-learn's digits (1,347 to learn
from, 450 others, scaled to [-1, 1]) and the hundred faces of 25 x 25 pixels that scikit-image ships (80 and 20). Each
model has its defaults, but for what OVERRIDES says. One thread trains a model; seconds are those of the processor.

Figures: modes that have more than 2 % of the samples within three standard deviations, and the share of all samples
there; W2 and the sliced distance of as many samples as there are held-out ones to these, in units of what two true sets
of samples of that size differ by on average; the ratio of the total standard deviations; and how far samples are from
the nearest one that was learned from, in units of how far held-out ones are. Medians over seeds but for the modes, of
which the worst is shown. An exclamation mark stands at what falls short of what is wanted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.__main__ import put_between

# Name in the table -> class and settings.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "GAN": ("GAN", {}),
    "WGAN": ("WGAN", {}),
    "WGAN-GP": ("WGANGP", {}),
    "WGAN-LP": ("WGANGP", {"one_sided": True}),
    "minibatch W2": ("MinibatchGenerator", {"loss": "emd"}),
    "Sinkhorn divergence": ("MinibatchGenerator", {"loss": "sinkhorn"}),
    "unrolled Sinkhorn": ("MinibatchGenerator", {"loss": "unrolled"}),
    "sliced": ("MinibatchGenerator", {"loss": "sliced"}),
    "energy": ("MinibatchGenerator", {"loss": "energy"}),
    "MMD": ("MinibatchGenerator", {"loss": "mmd"}),
    "UOTM KL": ("UOTM", {"entropy": "kl"}),
    "UOTM chi2": ("UOTM", {"entropy": "chi2"}),
    "UOTM softplus": ("UOTM", {"entropy": "softplus"}),
    "OTM": ("OTM", {}),
    "S-JKO softplus": ("SJKO", {"functional": "softplus"}),
    "S-JKO KL": ("SJKO", {"functional": "kl"}),
    "S-JKO JS": ("SJKO", {"functional": "js"}),
}
ADVERSARIAL = [name for name in MODELS if name.startswith(("WGAN-", "UOTM", "S-JKO"))]
PRIMAL = [name for name, (kind, _) in MODELS.items() if kind == "MinibatchGenerator"]

# Of eighty samples, for networks whose iterations take ten times as long.
SMALL = {"batch_size": 32, "ema": 0.99}

# Data -> class -> settings other than its defaults.
OVERRIDES: dict[str, dict[str, dict[str, Any]]] = {
    "eight": {},
    # Squared distances are twenty times those in the plane, so that steps are longer, and so are slopes of potentials.
    "digits": {
        "WGANGP": {"penalty": 10.0, "n_steps": 1000},
        "UOTM": {"r1": 0.01, "n_steps": 3400},
        "OTM": {"r1": 0.01},
        "SJKO": {"r1": 0.01, "h": 5.0},
    },
    "faces": {
        **{kind: {**SMALL, "n_steps": 1000} for kind, _ in MODELS.values()},
        "WGANGP": {**SMALL, "n_steps": 1000, "potential_steps": 2},
        "SJKO": {**SMALL, "n_steps": 200},
    },
}


@dataclass(frozen=True)
class Wanted:
    """The largest W2 ratio, the seconds, and the smallest modes and share, if any."""

    ratio: float | None
    seconds: float
    modes: int = 0
    share: float = 0.0


WANTED: dict[str, dict[str, Wanted]] = {
    "eight": {
        "GAN": Wanted(None, 60.0),
        "WGAN": Wanted(2.0, 60.0, 8),
        "OTM": Wanted(None, 60.0),
        **dict.fromkeys(PRIMAL, Wanted(2.2, 60.0, 8)),
        **dict.fromkeys(ADVERSARIAL, Wanted(1.5, 60.0, 8, 0.85)),
    },
    "digits": {
        **dict.fromkeys(MODELS, Wanted(1.25, 90.0)),
        "GAN": Wanted(None, 90.0),
        "minibatch W2": Wanted(1.0, 90.0),
        "sliced": Wanted(1.35, 90.0),
        "energy": Wanted(1.35, 90.0),
    },
    "faces": dict.fromkeys(MODELS, Wanted(None, 180.0)),
}

# W2 and the sliced distance of two true sets of 4,000 points of the eight Gaussians. Forty pairs have means of 0.204,
# with a standard deviation of 0.039, and of 0.085. In place of the first stands a smaller one, of fewer pairs, so that
# ratios are on the safe side.
EIGHT_APART = (0.176, 0.085)

# Sets of samples that distances are averages of: single ones of the eight Gaussians vary by a fifth.
SETS = 5


@dataclass(frozen=True)
class Data:
    """True samples, to learn from and held out; None for fresh ones in each run."""

    train: Any
    held_out: Any


@cache
def data(name: str) -> Data:
    """Always the same."""
    from monge.neural.toys import EIGHT_CENTERS, EIGHT_SD

    if name == "eight":  # a thousand of each, as of Fatras et al. 2021
        return Data(
            EIGHT_CENTERS.repeat(1000, axis=0) + EIGHT_SD * np.random.default_rng(0).normal(size=(8000, 2)), None
        )
    if name == "digits":
        from sklearn.datasets import load_digits

        images, count = load_digits().images / 8.0 - 1.0, 1347
    else:
        from skimage.data import lfw_subset

        images, count = 2.0 * lfw_subset()[:100] - 1.0, 80
    images = images[np.random.default_rng(0).permutation(len(images))]
    return Data(images[:count], images[count:])


def distances(samples: Any, others: Any) -> tuple[float, float]:
    """W2 and the sliced distance, each of one thread."""
    import monge

    x, y = (np.asarray(points, dtype=np.float64).reshape(len(points), -1) for points in (samples, others))
    return monge.wasserstein(x, y, p=2, threads=1), float(
        monge.sliced_wasserstein(x, y, n_projections=200, rng=0, threads=1)
    )


@cache
def apart(name: str) -> tuple[float, float]:
    """What two true sets of samples differ by, on average: as many that are learned from as there are held-out ones."""
    true, rng = data(name), np.random.default_rng(1)
    if true.held_out is None:
        return EIGHT_APART
    choices = (rng.permutation(len(true.train))[: len(true.held_out)] for _ in range(12))
    exact, sliced = np.mean([distances(true.train[rows], true.held_out) for rows in choices], axis=0)
    return float(exact), float(sliced)


def judged(name: str, sets: list[Any], seed: int) -> dict[str, float]:
    """All figures of sets of samples, of which each has as many as there are held-out ones."""
    from monge.neural.metrics import modes, novelty, sd_ratio
    from monge.neural.toys import EIGHT_CENTERS, EIGHT_SD, eight_gaussians

    true, samples = data(name), sets[0]
    if true.held_out is None:
        fresh = [eight_gaussians(len(each), 1000 + 10 * seed + number) for number, each in enumerate(sets)]
    else:
        fresh = [true.held_out] * len(sets)
    held_out = fresh[0]
    exact, sliced = np.mean([distances(*pair) for pair in zip(sets, fresh, strict=True)], axis=0)
    figures = {
        "ratio": exact / apart(name)[0],
        "sliced": sliced / apart(name)[1],
        "deviation": sd_ratio(samples, true.train),
        "novelty": novelty(samples, true.train, held_out),
    }
    if name == "eight":
        found = modes(samples, EIGHT_CENTERS, EIGHT_SD)
        figures |= {"modes": found.found, "share": found.share}
    return figures


def settings_of(name: str, model: str) -> tuple[str, dict[str, Any]]:
    """The class of a model, and its settings on these samples."""
    kind, settings = MODELS[model]
    return kind, {**OVERRIDES[name].get(kind, {}), **settings}


def trained(name: str, model: str, seed: int, smoke: bool = False) -> Any:
    """A model after training; on faces with the convolutional pair."""
    from monge import neural

    kind, settings = settings_of(name, model)
    train = data(name).train
    if smoke:
        settings = {**settings, "n_steps": 2, "batch_size": 32}
    model_class = getattr(neural, kind)
    if name == "faces":
        settings = {**settings, **convolutional(model_class, train.shape[1:], smoke)}
    return model_class(**settings, rng=seed).fit(train)


def convolutional(model_class: Any, image: tuple[int, ...], smoke: bool = False) -> dict[str, Any]:
    """The pair, narrow where nothing is to be learned. Without a latent the source is noise of the image's shape."""
    import torch

    from monge.neural import ConvCritic, ConvGenerator

    channels = 4 if smoke else 16
    latent = model_class().latent
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = {"map": ConvGenerator(image if latent is None else latent, image, channels=channels)}
        if model_class()._functional().adversarial:
            networks["potential"] = ConvCritic(image, channels=channels)
    return networks


def run(name: str, model: str, seed: int, smoke: bool) -> dict[str, Any]:
    """One training, and its figures."""
    import torch

    torch.set_num_threads(1)
    data(name)
    start = time.process_time()
    learned = trained(name, model, seed, smoke)
    seconds = time.process_time() - start
    held_out = data(name).held_out
    count = len(held_out) if held_out is not None else 200 if smoke else 4000
    sets = [learned.sample(count, rng=10_000 + 10 * seed + number) for number in range(1 if smoke else SETS)]
    return {"seconds": seconds, "status": learned.status.name, **judged(name, sets, seed)}


def runs(jobs: int, wanted: list[tuple[str, str, int]], smoke: bool) -> Iterator[dict[str, Any]]:
    """In the order of `wanted`, in so many processes."""
    if jobs == 1:
        yield from (run(*each, smoke) for each in wanted)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(_run, smoke=smoke), wanted)


def _run(each: tuple[str, str, int], smoke: bool) -> dict[str, Any]:
    return run(*each, smoke)


def line(name: str, model: str, found: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """A row of the table, and what is in it."""

    def middle(key: str) -> float:
        return statistics.median(each[key] for each in found)

    want = WANTED[name][model]
    figures = {key: middle(key) for key in ("ratio", "sliced", "deviation", "novelty")}
    figures["seconds"] = max(each["seconds"] for each in found)
    cells = []
    if name == "eight":
        figures |= {"modes": min(each["modes"] for each in found), "share": middle("share")}
        cells += [
            f"{figures['modes']:5.0f}" + _mark(figures["modes"] < want.modes),
            f"{figures['share']:5.2f}" + _mark(figures["share"] < want.share),
        ]
    cells += [
        f"{figures['ratio']:6.2f}" + _mark(want.ratio is not None and figures["ratio"] > want.ratio),
        "     -" if want.ratio is None else f"{want.ratio:6.2f}",
        f"{figures['sliced']:7.2f}",
        f"{figures['deviation']:6.2f}",
        f"{figures['novelty']:7.2f}",
        f"{figures['seconds']:6.1f}" + _mark(figures["seconds"] > want.seconds),
    ]
    ended = {each["status"] for each in found} - {"DONE"}
    return f"{model:20s} " + "  ".join([*cells, *sorted(ended)]), figures


def _mark(short: bool) -> str:
    return "!" if short else " "


def markdown(kept: list[dict[str, Any]], seeds: int) -> str:
    """The table, a row for each model and a group of columns for each kind of samples."""
    names = list(dict.fromkeys(each["data"] for each in kept))
    columns = {
        name: [*(["modes", "share"] if name == "eight" else []), "ratio", "sliced", "deviation", "novelty", "seconds"]
        for name in names
    }
    heads = [f"{name}: {key}" if key == columns[name][0] else key for name in names for key in columns[name]]
    lines = ["| model | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for model in dict.fromkeys(each["model"] for each in kept):
        found = {each["data"]: each["median"] for each in kept if each["model"] == model}
        cells = [
            ("{:.0f}" if key in ("modes", "seconds") else "{:.2f}").format(found[name][key]) if name in found else ""
            for name in names
            for key in columns[name]
        ]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    text = (
        f"Medians of {seeds} seeds, of modes the fewest and of seconds the most. Eight Gaussians, digits of 8 x 8 "
        "pixels, faces of 25 x 25. `ratio`: W2 to held-out samples over what two true sets differ by; `sliced`: "
        "likewise; `deviation`: ratio of total standard deviations; `novelty`: distance to the nearest sample that was "
        "learned from, over that of held-out ones; `seconds` of one thread. "
        "`docs/chapters/judging.rst` says how to read them."
    )
    command = "```sh\npython -m benchmarks.neural.models --readme benchmarks/RESULTS.md\n```"
    return "\n".join([*lines, "", text, "", command])


def chosen(parser: argparse.ArgumentParser, given: str | None, known: list[str], what: str) -> list[str]:
    """Of a list with commas, or all."""
    names = known if given is None else [name.strip() for name in given.split(",")]
    found = [each for each in known if any(each == name or each.startswith(f"{name} ") for name in names)]
    if not found or not all(any(each == name or each.startswith(f"{name} ") for each in known) for name in names):
        parser.error(f"--{what} should be some of {', '.join(known)}; got {given}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="some of eight, digits, faces; by default the first two")
    parser.add_argument("--models", help="some of those of the table, with commas, or beginnings such as UOTM")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="processes, each of which trains on one thread")
    parser.add_argument("--smoke", action="store_true", help="a few iterations of everything, in this process")
    parser.add_argument("--output", help="a JSON file of all runs")
    parser.add_argument("--readme", type=Path, help="put the table between the marks in this file")
    arguments = parser.parse_args()
    names = chosen(parser, arguments.data or "eight,digits", list(WANTED), "data")
    models = chosen(parser, arguments.models, list(MODELS), "models")
    seeds, jobs = (1, 1) if arguments.smoke else (arguments.seeds, arguments.jobs)
    from monge import neural

    missing = [model for model in models if not hasattr(neural, MODELS[model][0])]
    if missing:
        print(f"left out, since monge.neural has no class for them: {', '.join(missing)}\n")
    models = [model for model in models if model not in missing]
    wanted = [(name, model, seed) for name in names for model in models for seed in range(seeds)]
    results = runs(jobs, wanted, arguments.smoke)
    kept, short = [], 0
    for name in names:
        exact, sliced = apart(name)
        print(f"{name}: two true sets of samples differ by {exact:.3f} in W2, {sliced:.3f} sliced")
        start = "modes   share   " if name == "eight" else ""
        print(f"{'':20s} {start}W2 ratio  want   sliced  std r.  novelty  CPU s")
        for model in models:
            found = [next(results) for _ in range(seeds)]
            text, figures = line(name, model, found)
            print(text, flush=True)
            short += "!" in text
            kept.append({"data": name, "model": model, "median": figures, "runs": found})
        print()
    print("learns nothing in so few iterations" if arguments.smoke else f"{short} of {len(kept)} rows fall short")
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)
    if arguments.readme:
        put_between(arguments.readme, "neural", markdown(kept, seeds))


if __name__ == "__main__":
    main()
