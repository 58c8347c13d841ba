"""Losses beside their peers: Sinkhorn divergences with gradients, sliced distances, and what a call costs in torch.

Divergences are compared at an equal error of the gradient with respect to x, relative in L2, against one of float64 and
a tolerance of 1e-10, whose marginal errors are measured. A peer's setting is made finer until it gets there; the first
that does is timed, with its gradient. Peers take turns with monge. Compilation is not part of the time.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import monge

Array = np.typing.NDArray[np.float64]

# blur of GeomLoss, and the eps of |x - y|^2 that is the same.
BLUR = 0.05
EPS = 2.0 * BLUR**2
# The relative error of the gradient.
GOAL = 2e-2
# Seconds that the repeats of one peer may take together.
BUDGET = 6.0

Gradients = Callable[[], Array]


class Peer(NamedTuple):
    """Settings from coarse to fine; `ready` compiles, and returns what is timed: the gradients (B, n, d)."""

    title: str
    settings: tuple[float, ...]
    ready: Callable[[Array, Array, float], Gradients]


def _monge(x: Array, y: Array, tol: float) -> Gradients:
    def run() -> Array:
        if len(x) == 1:
            return np.asarray(monge.sinkhorn_divergence(x[0], y[0], eps=EPS, tol=tol).grad_x)[np.newaxis]
        return np.stack([loss.grad_x for loss in monge.sinkhorn_divergence(x, y, eps=EPS, tol=tol)])

    return run


def _geomloss(x: Array, y: Array, scaling: float) -> Gradients:
    import torch
    from geomloss import SamplesLoss

    loss = SamplesLoss("sinkhorn", p=2, blur=BLUR, scaling=scaling, backend="tensorized")
    there = torch.tensor(y, dtype=torch.float32)

    def run() -> Array:
        here = torch.tensor(x, dtype=torch.float32, requires_grad=True)
        (slope,) = torch.autograd.grad(loss(here, there).sum(), [here])
        return 2.0 * slope.numpy().astype(np.float64)  # its cost is a half of |x - y|^2

    return run


def _ott(x: Array, y: Array, threshold: float) -> Gradients:
    import jax
    import jax.numpy as jnp
    from ott.geometry import costs
    from ott.tools.sinkhorn_divergence import sinkdiv

    def value(one: Any, other: Any) -> Any:
        options = {"threshold": threshold, "max_iterations": 20_000}
        return sinkdiv(one, other, cost_fn=costs.SqEuclidean(), epsilon=EPS, solve_kwargs=options)[0]

    slopes = jax.jit(jax.vmap(jax.grad(value)))
    here, there = jnp.asarray(x, dtype=jnp.float32), jnp.asarray(y, dtype=jnp.float32)
    slopes(here, there).block_until_ready()
    return lambda: np.asarray(slopes(here, there), dtype=np.float64)


PEERS = {
    "monge": Peer("monge", (3e-2, 1e-2, 3e-3, 1e-3, 1e-4), _monge),
    "geomloss": Peer("GeomLoss", (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99), _geomloss),
    "ott": Peer("OTT", (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4), _ott),
}


def clouds(count: int, n: int, d: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.random((count, n, d)), rng.random((count, n, d))


def seconds_of(run: Callable[[], Any]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        run()
        return time.perf_counter() - start


def race(racing: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Everyone's least seconds, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in racing}
    for _ in range(max(repeat, 1) + 1):
        for name, run in racing.items():
            if sum(times[name]) + (times[name][-1] if times[name] else 0.0) < BUDGET or len(times[name]) < 2:
                time.sleep(0.05)
                times[name].append(seconds_of(run))
    return {name: min(each) for name, each in times.items()}


def divergence(name: str, count: int, n: int, asked: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """One row: a divergence with its gradient, at equal errors of that."""
    x, y = clouds(count, n, 3, options.seed)
    fine = [monge.sinkhorn_divergence(*pair, eps=EPS, tol=1e-10) for pair in zip(x, y, strict=True)]
    truth = np.stack([loss.grad_x for loss in fine])
    worst = max(t.marginal_error for loss in fine[:4] for t in loss.terms)
    racing: dict[str, Callable[[], Any]] = {}
    row: dict[str, Any] = {"name": name, "reference_error": worst, "errors": {}, "settings": {}, "not_reached": {}}
    for who in asked:
        peer, began = PEERS[who], time.perf_counter()
        for setting in peer.settings:
            try:
                run = peer.ready(x, y, setting)
                error = float(np.linalg.norm(run() - truth) / np.linalg.norm(truth))
            except ImportError as missing:
                row["not_reached"][who] = f"not installed: {missing.name}"
                break
            row["errors"][who], row["settings"][who] = error, setting
            if error <= GOAL:
                racing[who] = run
                break
            if time.perf_counter() - began > options.patience:
                row["not_reached"][who] = f"{error:.1e} after {options.patience:.0f} s"
                break
        else:
            row["not_reached"][who] = f"{row['errors'][who]:.1e}"
    if count == 1:
        points = x[0], y[0]
        racing["plain"] = lambda: monge.sinkhorn(monge.PointCloud(*points), eps=EPS)
        racing["same"] = lambda: monge.sinkhorn(monge.PointCloud(*points), eps=EPS, tol=row["settings"]["monge"])
        racing["fine"] = _monge(x, y, 1e-3)
    row["seconds"] = race(racing, options.repeat)
    return row


def sliced(asked: list[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The sliced distance and its gradient; the largest slice."""
    n, d, directions = (2000 if options.smoke else 100_000), 10, 100
    rng = np.random.default_rng(options.seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.1

    def slope() -> Any:
        return monge.sliced_wasserstein(x, y, n_projections=directions, rng=0).grad_x

    racing: dict[str, Callable[[], Any]] = {
        "monge": lambda: monge.sliced_wasserstein(x, y, n_projections=directions, rng=0),
        "with gradient": slope,
    }
    if "pot" in asked:
        import ot

        racing["pot"] = lambda: ot.sliced_wasserstein_distance(x, y, n_projections=directions, seed=0)
    yield {"name": f"sliced {n} x {d}, {directions} directions", "seconds": race(racing, options.repeat)}
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(200, 100))
        shift = np.zeros(100)
        shift[0] = 2.0
        found.append(float(monge.max_sliced_wasserstein(x, x + shift, rng=seed)))
    yield {"name": "largest slice of a shift by 2 in d = 100, 20 seeds", "least": min(found)}


def in_torch(options: argparse.Namespace) -> dict[str, Any]:
    """What a call on 16 points takes in torch, forward and backward, beyond the same of the core."""
    try:
        import torch

        import monge.torch
    except ImportError as missing:
        return {"name": "a call in torch", "not_reached": {"torch": f"not installed: {missing.name}"}}
    x, y = clouds(1, 16, 3, options.seed)
    here = torch.tensor(x[0], requires_grad=True)
    there = torch.tensor(y[0])

    def bridged(function: Callable[..., Any], **more: Any) -> Callable[[], Any]:
        return lambda: [torch.autograd.grad(function(here, there, **more), [here]) for _ in range(200)]

    def core(function: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: [function().grad_x for _ in range(200)]

    racing = {
        "sinkhorn": bridged(monge.torch.sinkhorn, eps=0.05),
        "sinkhorn core": core(lambda: monge.sinkhorn(monge.PointCloud(x[0], y[0]), eps=0.05)),
        "emd": bridged(monge.torch.emd),
        "emd core": core(lambda: monge.emd(monge.PointCloud(x[0], y[0]))),
        "divergence": bridged(monge.torch.sinkhorn_divergence, eps=0.05),
        "divergence core": core(lambda: monge.sinkhorn_divergence(x[0], y[0], eps=0.05)),
    }
    seconds = {name: each / 200 for name, each in race(racing, options.repeat).items()}
    return {"name": "a call on 16 points", "seconds": seconds}


def shown(row: dict[str, Any]) -> str:
    parts = [f"{name} {1e3 * seconds:.4g} ms" for name, seconds in row.get("seconds", {}).items()]
    ours = row.get("seconds", {}).get("monge")
    parts += [
        f"{name}/monge {row['seconds'][name] / ours:.3g}" for name in row.get("seconds", {}) if ours and name != "monge"
    ]
    parts += [f"{name} {value:.4g}" for name, value in row.items() if name in ("least", "reference_error")]
    parts += [f"{name} error {error:.1e} at {row['settings'][name]:g}" for name, error in row.get("errors", {}).items()]
    parts += [f"{name}: {why}" for name, why in row.get("not_reached", {}).items()]
    return f"{row['name']}: " + "; ".join(parts)


def losses(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows, printed as they come."""
    asked = ["monge", *(name for name in options.peers.split(",") if name in PEERS)]
    few = options.smoke
    rows: list[dict[str, Any]] = []

    def add(row: dict[str, Any]) -> None:
        rows.append(row)
        print(shown(row), flush=True)

    for n in (100,) if few else (1000, 5000):
        add(divergence(f"divergence and gradient, n = {n}", 1, n, asked, options))
    add(divergence("batch of 256 divergences and gradients, n = 64", 4 if few else 256, 64, asked, options))
    for row in sliced(options.peers.split(","), options):
        add(row)
    add(in_torch(options))
    once = [row["seconds"] for row in rows if "plain" in row.get("seconds", {})]
    print(f"with gradients, over a plain solve: {statistics.median(s['monge'] / s['plain'] for s in once):.3g}")
    return rows
