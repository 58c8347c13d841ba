"""Sinkhorn divergences with their gradients on the device, beside a plain solve there, and beside GeomLoss.

Gradients are held against those of a tolerance of 1e-6, relative in L2; GeomLoss's scaling is made finer until it is
as near as 2e-2.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import monge
from benchmarks.gpu.run import Run

__all__ = ["losses"]

# The eps of |x - y|^2 that is GeomLoss's blur of 0.05, in the unit cube.
BLUR = 0.05
EPS = 2.0 * BLUR**2
GOAL = 2e-2
SIZES, SMOKE_SIZES = (1000, 10_000, 100_000), (40,)
SCALINGS = (0.5, 0.8, 0.9, 0.95)
# Seconds that GeomLoss may take for a size.
PATIENCE = 15.0


def losses(run: Run, out: dict[str, Any]) -> None:
    """Rows of seconds: a plain solve, a divergence, that with its gradient, of arrays and of tensors."""
    rows = out["rows"] = []
    for n in SMOKE_SIZES if run.smoke else SIZES:
        if not run.room(out, f"n={n}", 20.0 if n > 10_000 else 5.0):
            continue
        row: dict[str, Any] = {"n": n, "d": 3}
        rows.append(row)
        rng = np.random.default_rng([run.seed, n])
        x, y = rng.random((n, 3)), rng.random((n, 3))

        def plain(x: Any = x, y: Any = y) -> Any:
            return monge.sinkhorn(monge.PointCloud(x, y), eps=EPS, device=run.device)

        def divergence(x: Any = x, y: Any = y, tol: float = 1e-3) -> Any:
            return monge.sinkhorn_divergence(x, y, eps=EPS, tol=tol, device=run.device)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            truth = divergence(tol=1e-6).grad_x
            loss = divergence()
            row["error"] = _off(loss.grad_x, truth)
            row["iterations"] = [t.iterations for t in loss.terms]
            if n <= 10_000:
                row["beside_the_cpu"] = abs(float(loss) - monge.sinkhorn_divergence(x, y, eps=EPS, device="cpu").value)
            calls: dict[str, Callable[[], Any]] = {
                "plain": plain, "divergence": divergence, "with gradient": lambda: divergence().grad_x,
            }  # fmt: skip
            if run.gpu:
                calls["in torch, backward"] = _in_torch(x, y)
            row["seconds"] = {name: _best(call, 5 if n <= 10_000 else 2) for name, call in calls.items()}
            if run.gpu:
                _geomloss(x, y, truth, row, run)
        run.save()


def _off(found: Any, truth: Any) -> float:
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def _best(call: Callable[[], Any], count: int) -> float:
    call()
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _in_torch(x: Any, y: Any) -> Callable[[], Any]:
    import torch

    import monge.torch

    here = torch.as_tensor(x, dtype=torch.float32, device="cuda").requires_grad_()
    there = torch.as_tensor(y, dtype=torch.float32, device="cuda")

    def call() -> Any:
        (slope,) = torch.autograd.grad(monge.torch.sinkhorn_divergence(here, there, eps=EPS), [here])
        torch.cuda.synchronize()
        return slope

    return call


def _geomloss(x: Any, y: Any, truth: Any, row: dict[str, Any], run: Run) -> None:
    try:
        import torch
        from geomloss import SamplesLoss
    except ImportError as missing:
        row["geomloss"] = f"not installed: {missing.name}"
        return
    here = torch.as_tensor(x, dtype=torch.float32, device="cuda").requires_grad_()
    there = torch.as_tensor(y, dtype=torch.float32, device="cuda")
    began = time.perf_counter()
    for scaling in SCALINGS:
        if time.perf_counter() - began > min(PATIENCE, run.left()):
            row["geomloss"] = "the time was up"
            return
        backend = "online" if len(x) > 1000 else "tensorized"
        loss = SamplesLoss("sinkhorn", p=2, blur=BLUR, scaling=scaling, backend=backend)

        def call(loss: Any = loss) -> Any:
            (slope,) = torch.autograd.grad(loss(here, there), [here])
            torch.cuda.synchronize()
            return slope

        error = _off(2.0 * call().cpu().numpy(), truth)  # its cost is a half of |x - y|^2
        row["geomloss"] = {"scaling": scaling, "error": error}
        if error <= GOAL:
            row["geomloss"]["seconds"] = _best(call, 2)
            return
