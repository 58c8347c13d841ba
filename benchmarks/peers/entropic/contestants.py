"""The entropic solvers that are compared, each behind two functions: settings to try, and a solve that is ready to run.

Import this module only after the number of threads is set in the environment: its imports read it. A peer that is not
installed is None in `contestants`.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import monge

Array = np.typing.NDArray[np.float64]

# How many finer settings are tried before a goal counts as out of reach.
TRIES = 12


@dataclass(frozen=True, eq=False)
class Problem:
    """Squared Euclidean costs between points x (n, d) and y (m, d), or a stored matrix C (n, m)."""

    a: Array  # (n,), total 1
    b: Array  # (m,)
    eps: float
    goal: float  # the L1 marginal error to be reached
    x: Array | None = None
    y: Array | None = None
    C: Array | None = None
    rho: float = float("inf")  # of the KL penalty on both marginals


class Potentials(NamedTuple):
    """The plan a_i b_j exp((f_i + g_j - C_ij) / eps)."""

    f: Array
    g: Array
    iterations: int = 0


Run = Callable[[], list[Potentials]]


class Contestant(NamedTuple):
    """`settings` from coarse to fine; `ready(problems, setting, most)` compiles, and returns what is timed.

    `most` bounds the number of iterations, where `bounded` says so: seconds of a few of them tell how many there is
    patience for. Problems of one call have the same shape and eps.
    """

    title: str
    settings: Callable[[list[Problem]], Sequence[float]]
    ready: Callable[[list[Problem], float, int], Run]
    can: Callable[[list[Problem]], bool] = lambda problems: True
    bytes_per_pair: int = 0
    bounded: bool = True


# monge


def _monge_ready(problems: list[Problem], goal: float, most: int) -> Run:
    demand = None if problems[0].rho == float("inf") else monge.KL(problems[0].rho)
    options = {"eps": problems[0].eps, "marginals": demand, "tol": goal, "max_iter": most}

    def run() -> list[monge.Transport]:
        costs = [monge.PointCloud(p.x, p.y) if p.C is None else p.C for p in problems]
        if len(problems) == 1:
            return [monge.sinkhorn(costs[0], problems[0].a, problems[0].b, **options)]
        return monge.sinkhorn(costs, [p.a for p in problems], [p.b for p in problems], **options)

    return run


# POT


def _pot_ready(log_domain: bool) -> Callable[[list[Problem], float, int], Run]:
    import ot

    def ready(problems: list[Problem], threshold: float, most: int) -> Run:
        def solve(p: Problem) -> Potentials:
            C = ot.dist(p.x, p.y) if p.C is None else p.C
            options = {"numItermax": most, "stopThr": threshold, "log": True}
            if p.rho < float("inf"):
                method = "sinkhorn_stabilized" if log_domain else "sinkhorn"
                _, log = ot.sinkhorn_unbalanced(p.a, p.b, C, p.eps, p.rho, method=method, **options)
                logs = log["logu"], log["logv"]
            elif log_domain:
                _, log = ot.bregman.sinkhorn_log(p.a, p.b, C, p.eps, warn=False, **options)
                logs = log["log_u"] - np.log(p.a), log["log_v"] - np.log(p.b)
            else:
                _, log = ot.bregman.sinkhorn_knopp(p.a, p.b, C, p.eps, warn=False, **options)
                logs = np.log(log["u"] / p.a), np.log(log["v"] / p.b)
            return Potentials(p.eps * logs[0], p.eps * logs[1], int(log.get("niter", 0)))

        def run() -> list[Potentials]:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # of overflow, which the measured error shows
                return [solve(p) for p in problems]

        return run

    return ready


def _pot_settings(problems: list[Problem]) -> list[float]:
    # POT's test is on the Euclidean norm of the marginal's error, which is up to sqrt(m) times smaller.
    return [4.0 * problems[0].goal / len(problems[0].b) ** 0.5 / 2.0**k for k in range(TRIES)]


# OTT


def _ott_ready(**acceleration: Any) -> Callable[[list[Problem], float, int], Run]:
    import jax
    import jax.numpy as jnp
    from ott.geometry import geometry, pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    # Beyond this the kernel is computed in stripes.
    stored, stripe = 10_000, 1024

    def ready(problems: list[Problem], threshold: float, most: int) -> Run:
        first = problems[0]
        tau = first.rho / (first.rho + first.eps) if first.rho < float("inf") else 1.0
        # Single precision is OTT's default, and twice as fast; it does not reach 1e-6.
        double = first.goal < 1e-5
        dtype = np.float64 if double else np.float32

        def solve(place: tuple[Any, ...], a: Any, b: Any, threshold: Any) -> Any:
            if len(place) == 1:
                geom = geometry.Geometry(cost_matrix=place[0], epsilon=first.eps)
            else:
                stripes = stripe if max(len(a), len(b)) > stored else None
                geom = pointcloud.PointCloud(*place, epsilon=first.eps, batch_size=stripes)
            solver = sinkhorn.Sinkhorn(threshold=threshold, max_iterations=most, implicit_diff=None, **acceleration)
            out = solver(linear_problem.LinearProblem(geom, a, b, tau_a=tau, tau_b=tau))
            return out.f, out.g, out.n_iters

        def stacked(name: str) -> Any:
            values = np.stack([getattr(p, name) for p in problems]).astype(dtype)
            return jnp.asarray(values if len(problems) > 1 else values[0])

        with jax.enable_x64(double):
            place = (stacked("x"), stacked("y")) if first.C is None else (stacked("C"),)
            arguments = (place, stacked("a"), stacked("b"), jnp.asarray(threshold, dtype=dtype))
            mapped = jax.vmap(solve, in_axes=(0, 0, 0, None)) if len(problems) > 1 else solve
            compiled = jax.jit(mapped).lower(*arguments).compile()

        def run() -> list[Potentials]:
            f, g, iterations = (np.atleast_1d(np.asarray(out, dtype=np.float64)) for out in compiled(*arguments))
            # OTT's potentials include the weights.
            return [
                Potentials(f_k - p.eps * np.log(p.a), g_k - p.eps * np.log(p.b), int(count))
                for p, f_k, g_k, count in zip(problems, np.atleast_2d(f), np.atleast_2d(g), iterations, strict=True)
            ]

        return run

    return ready


def _ott_settings(problems: list[Problem]) -> list[float]:
    return [problems[0].goal / 2.0**k for k in range(TRIES)]


def _ott_can(problems: list[Problem]) -> bool:
    # With penalties, OTT's entropy is that of the plan alone: another problem.
    return problems[0].rho == float("inf")


# GeomLoss


def _geomloss_ready(problems: list[Problem], scaling: float, most: int) -> Run:
    import torch
    from geomloss import SamplesLoss

    eps = problems[0].eps
    # GeomLoss's cost is |x - y|^2 / 2, so its eps is half of ours, and it is given by its root.
    loss = SamplesLoss(
        "sinkhorn", p=2, blur=(eps / 2.0) ** 0.5, scaling=scaling, debias=False, potentials=True, backend="tensorized"
    )
    a, x, b, y = (
        torch.tensor(np.stack([getattr(p, name) for p in problems]), dtype=torch.float32)
        for name in ("a", "x", "b", "y")
    )

    def run() -> list[Potentials]:
        with torch.no_grad():
            f, g = loss(a, x, b, y)
        count = len(problems)
        f, g = (2.0 * values.numpy().astype(np.float64).reshape(count, -1) for values in (f, g))
        return [Potentials(f_k, g_k) for f_k, g_k in zip(f, g, strict=True)]

    return run


def _geomloss_can(problems: list[Problem]) -> bool:
    return problems[0].C is None and problems[0].rho == float("inf")


def contestants(threads: int) -> dict[str, Contestant | None]:
    """All of them, monge first."""
    found: dict[str, Contestant | None] = {
        "monge": Contestant("monge", lambda problems: [problems[0].goal], _monge_ready, bounded=False),
        **dict.fromkeys(["pot", "pot_log", "ott", "ott_momentum", "ott_anderson", "geomloss"]),
    }
    if importlib.util.find_spec("ot"):
        found["pot"] = Contestant("POT", _pot_settings, _pot_ready(False), bytes_per_pair=32)
        found["pot_log"] = Contestant("POT log", _pot_settings, _pot_ready(True), bytes_per_pair=40)
    if importlib.util.find_spec("ott"):
        from ott.solvers.linear.acceleration import AndersonAcceleration, Momentum

        for name, title, acceleration in (
            ("ott", "OTT", {}),
            ("ott_momentum", "OTT momentum", {"momentum": Momentum(start=100)}),
            ("ott_anderson", "OTT Anderson", {"anderson": AndersonAcceleration(memory=3, refresh_every=5)}),
        ):
            found[name] = Contestant(title, _ott_settings, _ott_ready(**acceleration), _ott_can, bytes_per_pair=16)
    if importlib.util.find_spec("geomloss") and importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(threads)
        found["geomloss"] = Contestant(
            "GeomLoss",
            lambda problems: [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995],
            _geomloss_ready,
            _geomloss_can,
            bytes_per_pair=16,
            bounded=False,
        )
    return found
