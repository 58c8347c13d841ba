"""monge beside GeomLoss, OTT and FlashSinkhorn on the GPU, all at the same marginal error, which is measured here.

A peer's setting (iterations, a threshold of its own, or how slowly eps falls) goes from coarse to fine until the error
that its potentials have is at most the tolerance; only the run that reaches it counts, and neither compilation, nor
tuning, nor the search for the setting does. Peers get tensors that are on the device already, in single precision.
"""

from __future__ import annotations

import importlib.util
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gpu.clouds import Cloud, best_of, draw, measured, wait
from benchmarks.gpu.run import Run
from benchmarks.gpu.timing import SLACK, TOLERANCE, solve

__all__ = ["PEERS", "Peer", "peers", "warm_up"]

# Returns potentials, on the device or not, for a setting.
Solve = Callable[[float], tuple[Any, Any]]

# Seconds for one peer on one case: to find its setting, and for its repeats.
PATIENCE = 8.0
REPEATS = 5
# Where a setting is a number of iterations: these, and then in between.
ITERATIONS = [2.0**k for k in range(2, 15)]
BISECTIONS = 3
SCALINGS = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998]
THRESHOLDS = [TOLERANCE * 2.0**-k for k in range(-5, 8)]
# Pairs up to which a matrix of costs is stored, of which a few are there at once.
STORED = 2 * 10**8
# Rows at a time in OTT beyond that.
STRIPE = 1024
OTT_MOST = 20_000


class Peer(NamedTuple):
    title: str
    settings: Sequence[float]  # from coarse to fine
    ready: Callable[[Cloud], Solve]
    can: Callable[[Cloud], bool] = lambda cloud: True
    bisect: bool = False
    slow: bool = False  # to start with: after all others


def _tensors(cloud: Cloud) -> tuple[Any, Any, Any, Any]:
    import torch

    x, y = (torch.as_tensor(points, dtype=torch.float32, device="cuda") for points in (cloud.x, cloud.y))
    a, b = (torch.full((len(points),), 1.0 / len(points), device="cuda") for points in (x, y))
    return a, x, b, y


def _flash(backend: str, **options: Any) -> Callable[[Cloud], Solve]:
    def ready(cloud: Cloud) -> Solve:
        from flash_sinkhorn import SamplesLoss

        a, x, b, y = _tensors(cloud)
        eps = cloud.eps
        common = {"potentials": True, "backend": backend, "normalize": False, **options}
        blur = eps**0.5  # its cost is |x - y|^2

        def run(setting: float) -> tuple[Any, Any]:
            if backend == "alternating":
                loss = SamplesLoss(**common, use_epsilon_scaling=False, eps=eps, n_iters=round(setting))
            elif backend == "multiscale":
                loss = SamplesLoss(**common, blur=blur, tol=setting)
            else:
                loss = SamplesLoss(**common, blur=blur, scaling=setting)
            return loss(a, x, b, y)

        return run

    return ready


def _geomloss(backend: str) -> Callable[[Cloud], Solve]:
    def ready(cloud: Cloud) -> Solve:
        from geomloss import SamplesLoss

        a, x, b, y = _tensors(cloud)
        blur = (cloud.eps / 2.0) ** 0.5  # its cost is |x - y|^2 / 2

        def run(setting: float) -> tuple[Any, Any]:
            import torch

            loss = SamplesLoss(
                "sinkhorn", p=2, blur=blur, scaling=setting, debias=False, potentials=True, backend=backend
            )
            with torch.no_grad():
                f, g = loss(a, x, b, y)
            return 2.0 * f.ravel(), 2.0 * g.ravel()

        return run

    return ready


def _ott(name: str) -> Callable[[Cloud], Solve]:
    def ready(cloud: Cloud) -> Solve:
        import jax
        import jax.numpy as jnp
        from jax.interpreters import batching
        from ott.geometry import pointcloud
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import sinkhorn
        from ott.solvers.linear.acceleration import AndersonAcceleration, Momentum

        if not hasattr(batching, "is_vmappable"):
            # OTT 0.6.0 asks JAX for it when it works in stripes; JAX 0.11 has none. Plain arrays are none of these.
            batching.is_vmappable = lambda leaf: False
        acceleration: dict[str, Any] = {
            "ott": {},
            "ott_momentum": {"momentum": Momentum(start=100)},
            "ott_anderson": {"anderson": AndersonAcceleration(memory=3, refresh_every=5)},
        }[name]
        n = len(cloud.x)
        log_weight = -cloud.eps * math.log(n)

        def one(x: Any, y: Any, threshold: Any) -> Any:
            geom = pointcloud.PointCloud(x, y, epsilon=cloud.eps, batch_size=STRIPE if n * n > STORED else None)
            solver = sinkhorn.Sinkhorn(threshold=threshold, max_iterations=OTT_MOST, implicit_diff=None, **acceleration)
            out = solver(linear_problem.LinearProblem(geom))
            return out.f, out.g

        x, y = jnp.asarray(cloud.x, jnp.float32), jnp.asarray(cloud.y, jnp.float32)
        # By default the products of coordinates are rounded to eleven bits, with which no one gets to the tolerance.
        with jax.default_matmul_precision("highest"):
            compiled = jax.jit(one).lower(x, y, jnp.float32(TOLERANCE)).compile()

        def run(setting: float) -> tuple[Any, Any]:
            f, g = compiled(x, y, jnp.float32(setting))
            # OTT's potentials include the weights.
            return np.asarray(f) - log_weight, np.asarray(g) - log_weight

        return run

    return ready


def _small(cloud: Cloud) -> bool:
    return len(cloud.x) ** 2 <= STORED


# Fastest first.
PEERS = {
    "flash": Peer("FlashSinkhorn", ITERATIONS, _flash("alternating", allow_tf32=False, autotune=False), bisect=True),
    "flash_tf32": Peer("FlashSinkhorn TF32", ITERATIONS, _flash("alternating", autotune=False), bisect=True),
    "geomloss_online": Peer("GeomLoss KeOps", SCALINGS, _geomloss("online")),
    "geomloss": Peer("GeomLoss tensorized", SCALINGS, _geomloss("tensorized"), _small),
    "ott": Peer("OTT", THRESHOLDS, _ott("ott")),
    "ott_momentum": Peer("OTT momentum", THRESHOLDS, _ott("ott_momentum")),
    "ott_anderson": Peer("OTT Anderson", THRESHOLDS, _ott("ott_anderson"), _small),
    "flash_tuned": Peer(
        "FlashSinkhorn tuned", ITERATIONS, _flash("alternating", allow_tf32=False), bisect=True, slow=True
    ),
    "flash_scaling": Peer(
        "FlashSinkhorn scaling", SCALINGS, _flash("symmetric", allow_tf32=False, autotune=False), slow=True
    ),
    "flash_multiscale": Peer(
        "FlashSinkhorn multiscale", [TOLERANCE / 2.0, TOLERANCE / 8.0], _flash("multiscale"),
        lambda cloud: cloud.x.shape[1] == 3 and len(cloud.x) >= 10_000, slow=True,
    ),
}  # fmt: skip
MODULES = {"flash": "flash_sinkhorn", "geomloss": "geomloss", "ott": "ott"}
# d, n, and eps of the mean cost: those that matter most first.
CASES = [(3, 10_000, 0.01), (3, 1000, 0.01), (64, 10_000, 0.01), (3, 100_000, 0.01), (3, 10_000, 0.001)]


def peers(run: Run, out: dict[str, Any]) -> None:
    """Cases, each with monge's seconds and everyone's ratio to them."""
    if not run.gpu:
        out["skipped"] = "needs a GPU"
        return
    _share_the_card()
    cases = out["cases"] = [{"name": draw(*case, run.seed).name, "peers": {}} for case in CASES]
    for index, slow in _turns():
        case = cases[index]
        cloud = draw(*CASES[index], run.seed)
        if "monge" not in case:
            case["monge"] = {}
            _record(lambda c=cloud, m=case["monge"]: _ours(c, run, m), case["monge"])  # type: ignore[misc]
        for name, peer in PEERS.items():
            if peer.slow is not slow or not peer.can(cloud):
                continue
            if importlib.util.find_spec(MODULES[name.split("_")[0]]) is None:
                case["peers"][name] = {"failed": "not installed"}
                continue
            if not run.room(out, f"{peer.title} at {cloud.name}"):
                continue
            found = case["peers"][name] = {"title": peer.title}
            _record(lambda p=peer, c=cloud, f=found: _measure(p, c, run, f), found)  # type: ignore[misc]
            if found.get("right") and "seconds" in case["monge"]:
                found["ratio"] = found["seconds"] / case["monge"]["seconds"]
            run.save()


def _turns() -> Iterator[tuple[int, bool]]:
    """The first case in full; then the others, and at last those peers on them that take long to start."""
    yield from ((0, False), (0, True))
    for slow in (False, True):
        yield from ((index, slow) for index in range(1, len(CASES)))


def _share_the_card() -> None:
    """JAX would take most of the card's memory; it also keeps what it compiles."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def _record(part: Callable[[], None], found: dict[str, Any]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whether they converged is measured
            part()
    except Exception as error:  # recorded: the others go on
        found["failed"] = f"{type(error).__name__}: {error}"[:500]
    _tidy()


def _tidy() -> None:
    """Give back what a peer's allocator holds, of which another may be in need."""
    import torch

    torch.cuda.empty_cache()


def _ours(cloud: Cloud, run: Run, found: dict[str, Any]) -> None:
    t = best_of(solve(cloud, run), REPEATS, run, found, PATIENCE)
    found["error"] = measured(cloud, t.f, t.g, run).error


def _measure(peer: Peer, cloud: Cloud, run: Run, found: dict[str, Any]) -> None:
    begin = time.perf_counter()
    solve_ = peer.ready(cloud)

    def attempt(setting: float) -> tuple[float, float]:
        wait(run)
        start = time.perf_counter()
        f, g = solve_(setting)
        wait(run)
        seconds = time.perf_counter() - start
        return seconds, measured(cloud, f, g, run).error

    attempt(peer.settings[0])  # compiles
    found["ready_seconds"] = time.perf_counter() - begin
    begin = time.perf_counter()
    good, last = None, 0.0
    coarser = peer.settings[0]
    for setting in peer.settings:
        seconds, error = attempt(setting)
        found |= {"setting": setting, "seconds": seconds, "error": error}
        if error <= SLACK * TOLERANCE:
            good = setting
            break
        coarser = setting
        # The next takes about as much more as this one did.
        expected = seconds * max(2.0, seconds / last if last else 2.0)
        last = seconds
        spent = time.perf_counter() - begin
        if spent + expected > PATIENCE or expected > run.left():
            found["gave_up"] = "patience" if spent + expected > PATIENCE else "time"
            return
    if good is None:
        found["gave_up"] = "settings"
        return
    for _ in range(BISECTIONS if peer.bisect and good > peer.settings[0] else 0):
        middle = float(round(0.5 * (coarser + good)))
        if attempt(middle)[1] <= SLACK * TOLERANCE:
            good = middle
        else:
            coarser = middle
    f, g = best_of(lambda: solve_(good), REPEATS, run, found, PATIENCE)
    found |= {"setting": good, "error": measured(cloud, f, g, run).error}
    found["right"] = found["error"] <= SLACK * TOLERANCE


def warm_up(name: str, d: int, n: int) -> None:
    """Let a peer compile what it keeps on disk: `python -c` in a process of its own, before a run."""
    _share_the_card()
    peer = PEERS[name]
    peer.ready(draw(d, n, 0.01, 0))(peer.settings[0])
