"""Losses of two minibatches: the time of a step beside that of other libraries, and what equal steps lead to.

    python -m benchmarks.neural.generators
    python -m benchmarks.neural.generators --steps 1000 --seeds 1
    python -m benchmarks.neural.generators --smoke

First the time of a loss and its gradient, of 256 points against 256 others, in 2 and in 64 dimensions: ours as
`MinibatchGenerator` calls it; POT's own functions with tensors, if it is installed, which solve the same problem; and
GeomLoss's, likewise. Beside the times stands by how much the numbers differ: sliced distances by their directions, and
GeomLoss's by the pairs of a point and itself, which its energy distance counts, and by an eps that falls in few steps.
Then the eight Gaussians: W2 of 4,000 samples to fresh ones after equal steps of each loss, in units of what two true
sets differ by, medians over seeds; and the deviation of samples over that of the data in ten dimensions, where
minibatches shrink most.

One thread computes; milliseconds are those of the processor, the least of several.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

EPS = 0.01  # of the mean cost, where both sides are given one
DIRECTIONS = 50

Function = Callable[[Any, Any], Any]


def least(function: Callable[[], Any], repeats: int) -> float:
    """Milliseconds."""
    function()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        found.append(time.process_time() - start)
    return 1e3 * min(found)


def mean_cost(x: Any, y: Any) -> float:
    return float((x.detach()[:, None] - y[None]).square().sum(dim=2).mean())


def ours(eps: float) -> dict[str, Function]:
    """As the model calls them, of one pair of minibatches."""
    import torch

    from monge.neural.draws import Draws
    from monge.neural.losses import loss_of

    draws = Draws(0, torch.device("cpu"))
    settings: dict[str, tuple[str, dict[str, Any]]] = {
        "emd": ("emd", {}),
        "sinkhorn": ("sinkhorn", {"eps": eps}),
        "unrolled 10": ("unrolled", {"eps": eps, "n_iter": 10}),
        "unrolled 100": ("unrolled", {"eps": eps, "n_iter": 100}),
        "sliced": ("sliced", {"n_projections": DIRECTIONS}),
        "energy": ("energy", {}),
        "mmd": ("mmd", {}),
    }

    def of(loss: Any) -> Function:
        return lambda x, y: loss(x[None], y[None], draws)[0]

    return {name: of(loss_of(loss, **given)) for name, (loss, given) in settings.items()}


def pot(eps: float) -> dict[str, Function]:
    """Of POT's, the same numbers: as a user would write the loop."""
    try:
        import ot
        import torch
    except ImportError:
        return {}

    def uniform(x: Any) -> Any:
        return torch.full((len(x),), 1.0 / len(x), dtype=x.dtype)

    def exact(x: Any, y: Any) -> Any:
        return ot.emd2(uniform(x), uniform(y), ot.dist(x, y))

    def divergence(x: Any, y: Any) -> Any:
        # Three problems of which each is unrolled, as autograd goes through the iterations.
        def cost(x: Any, y: Any) -> Any:
            found, _ = ot.sinkhorn(
                uniform(x), uniform(y), ot.dist(x, y), eps, method="sinkhorn_log", numItermax=100, stopThr=0.0,
                log=True, warn=False,
            )  # fmt: skip
            return (found * ot.dist(x, y)).sum()

        return 2.0 * cost(x, y) - cost(x, x) - cost(y, y)

    def sliced(x: Any, y: Any) -> Any:
        return ot.sliced_wasserstein_distance(x, y, n_projections=DIRECTIONS, seed=0) ** 2

    return {"emd": exact, "unrolled 100": divergence, "sliced": sliced}


def geomloss(eps: float) -> dict[str, Function]:
    """Of GeomLoss's: its cost has a factor of one half, blur is a length, and its energy distance is half of ours."""
    try:
        from geomloss import SamplesLoss
    except ImportError:
        return {}
    divergence = SamplesLoss("sinkhorn", p=2, blur=(eps / 2.0) ** 0.5, backend="tensorized")
    energy = SamplesLoss("energy", backend="tensorized")
    return {
        "sinkhorn": lambda x, y: 2.0 * divergence(x, y),
        "energy": lambda x, y: 2.0 * energy(x, y),
    }


def times(repeats: int, size: int) -> None:
    import torch

    for dimension in (2, 64):
        generator = torch.Generator().manual_seed(0)
        x, y = torch.randn(2, size, dimension, generator=generator)
        x, y = x.requires_grad_(), y + 1.0
        eps = EPS * mean_cost(x, y)
        sides = {"monge": ours(eps), "POT": pot(eps), "GeomLoss": geomloss(eps)}
        print(f"\n{size} points against {size}, {dimension} dimensions: milliseconds of the loss and its gradient")
        print("loss            monge      POT  ratio   apart  GeomLoss  ratio   apart")
        for name, loss in sides["monge"].items():

            def step(function: Function, x: Any = x, y: Any = y) -> Any:
                value = function(x, y)
                torch.autograd.grad(value, x)
                return float(value.detach())

            own, value = least(lambda: step(loss), repeats), step(loss)  # noqa: B023
            line = f"{name:13s} {own:7.2f}"
            for other in ("POT", "GeomLoss"):
                theirs = sides[other].get(name)
                if theirs is None:
                    line += " " * 24
                    continue
                taken, found = least(lambda: step(theirs), max(2, repeats // 4)), step(theirs)  # noqa: B023
                line += f" {taken:8.1f} {taken / own:5.1f}x {abs(found / value - 1.0):7.0e}"
            print(line)


def learned(steps: int, seeds: int, size: int, samples: int) -> None:
    import torch

    import monge
    from benchmarks.neural.models import EIGHT_APART
    from monge.neural import MLP, MinibatchGenerator
    from monge.neural.metrics import modes
    from monge.neural.toys import EIGHT_CENTERS, EIGHT_SD, eight_gaussians

    torch.set_num_threads(1)
    kinds: dict[str, dict[str, Any]] = {
        "emd": {"loss": "emd"},
        "emd, p = 1": {"loss": "emd", "p": 1},
        "sinkhorn": {"loss": "sinkhorn"},
        "unrolled": {"loss": "unrolled"},
        "sliced": {"loss": "sliced"},
        "energy": {"loss": "energy"},
        "mmd": {"loss": "mmd"},
        "energy, learned": {"loss": "energy", "learned_cost": True},
        "unrolled, learned": {"loss": "unrolled", "learned_cost": True, "p": 1},
    }
    normal = np.random.default_rng(0).normal(size=(5000, 10))
    print(
        f"\n{steps} steps of {size}: eight Gaussians; and the deviation in ten dimensions (wanted: 1) by batches of 32"
    )
    print("wanted of the model's own number of steps: 8 modes, a W2 ratio of at most 2.2, in 60 s")
    print("loss               modes  W2 ratio  seconds  deviation")
    for name, settings in kinds.items():
        found = []
        for seed in range(seeds):
            start = time.process_time()
            model = MinibatchGenerator(**settings, n_steps=steps, batch_size=size, rng=seed).fit(
                eight_gaussians(8000, seed)
            )
            seconds = time.process_time() - start
            made = model.sample(samples, rng=1)
            ratio = monge.wasserstein(made, eight_gaussians(samples, 1000 + seed)) / EIGHT_APART[0]
            found.append((modes(made, EIGHT_CENTERS, EIGHT_SD).found, ratio, seconds))
        count, ratio, seconds = (statistics.median(column) for column in zip(*found, strict=True))
        linear = {"map": MLP(10, 10, hidden=()), "lr": 0.02, "ema": 0.97, "rng": 0}
        model = MinibatchGenerator(**settings, **linear, n_steps=max(steps // 5, 5), batch_size=32).fit(normal)
        deviation = model.sample(4000, rng=1).std(axis=0).mean()
        print(f"{name:18s} {count:5.0f} {ratio:9.2f} {seconds:8.1f} {deviation:10.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    arguments = parser.parse_args()

    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times(1 if arguments.smoke else arguments.repeats, 32 if arguments.smoke else 256)
    if arguments.smoke:
        learned(5, 1, 32, 500)
    else:
        learned(arguments.steps, arguments.seeds, 256, 4000)
    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
