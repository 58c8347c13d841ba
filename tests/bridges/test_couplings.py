"""Couplings of tensors and of arrays of JAX: indices where the batches are, no history, and from workers that load."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import monge


def batches(n: int = 40, m: int = 40, *shape: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=(k, *(shape or (3,)))).astype(np.float32) for k in (n, m))  # type: ignore[return-value]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="tensors need the extra torch: pip install 'monge[torch]'")


@pytest.fixture
def jnp() -> Any:
    return pytest.importorskip("jax.numpy", reason="arrays of JAX need the extra jax: pip install 'monge[jax]'")


@pytest.mark.parametrize("options", [{}, {"eps": 0.5, "rng": 0}], ids=["exact", "entropic"])
@pytest.mark.parametrize("m", [40, 13])
def test_tensors(torch: Any, options: dict[str, Any], m: int) -> None:
    x, y = batches(40, m, 2, 4)
    x0, x1 = torch.tensor(x, requires_grad=True), torch.tensor(y)
    coupling = monge.couple(x0, x1, **options)
    i, j = coupling
    assert isinstance(i, torch.Tensor)
    assert i.dtype == j.dtype == torch.int64
    assert i.device == j.device == x0.device
    assert not j.requires_grad
    right = monge.couple(x, y, **options)
    assert i.tolist() == right.i.tolist()
    assert j.tolist() == right.j.tolist()
    assert isinstance(pickle.loads(pickle.dumps(coupling)).j, np.ndarray)
    assert coupling.cost == right.cost
    assert coupling.cost_before == right.cost_before
    (x0[i] - x1[j]).square().sum().backward()  # of what is made of the pairs there is a history
    assert x0.grad.abs().sum() > 0.0


def test_labels_and_numbers_on_tensors(torch: Any) -> None:
    x, y = batches()
    c0, c1 = np.arange(40) % 4, np.arange(40) // 10
    _, j = monge.couple(torch.tensor(x), torch.tensor(y), conditions=(torch.tensor(c0), torch.tensor(c1)))
    assert j.tolist() == monge.couple(x, y, conditions=(c0, c1)).j.tolist()
    one_hot = torch.eye(4)[c0], torch.eye(4)[c1]
    _, j = monge.couple(torch.tensor(x), torch.tensor(y), conditions=tuple(1e3 * side for side in one_hot))
    assert (c0 == c1[j]).all()
    with pytest.raises(monge.InfeasibleError, match="label 0 has 10 in x0 and 40 in x1"):
        monge.couple(torch.tensor(x), torch.tensor(y), conditions=(torch.tensor(c0), torch.tensor(0 * c1)))


def test_half_precision(torch: Any) -> None:
    x, y = batches()
    x0, x1 = (torch.tensor(z).to(torch.bfloat16) for z in (x, y))
    assert monge.couple(x0, x1).j.tolist() == monge.couple(x0.float(), x1.float()).j.tolist()


def test_nan_in_a_tensor(torch: Any) -> None:
    x, y = batches()
    y[7] = np.nan
    with pytest.raises(ValueError, match="x1 should hold finite numbers; point 7"):
        monge.couple(torch.tensor(x), torch.tensor(y))


# In a process of its own, since forks are no good where JAX has threads.
LOADING = """
import torch, monge
from torch.utils.data import DataLoader

data = torch.randn(256, 3, generator=torch.Generator().manual_seed(0))
monge.couple(data, data.flip(0))  # with the threads of this process, before it is forked

def collate(rows):
    x1 = torch.stack(rows)
    x0 = torch.sin(7.0 * x1.flip(0))
    i, j = coupling = monge.couple(x0, x1)
    return x0[i], x1[j], coupling.cost

loaded = [
    list(DataLoader(data, batch_size=64, collate_fn=collate, num_workers=workers, **how))
    for workers, how in ((0, {}), (2, {"multiprocessing_context": "fork", "timeout": 60}))
]
assert len(loaded[0]) == 4
for (x0, x1, cost), (y0, y1, same) in zip(*loaded, strict=True):
    assert torch.equal(x0, y0) and torch.equal(x1, y1) and abs(cost - same) < 1e-12
"""


def test_workers_that_load(torch: Any) -> None:
    done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [{}, {"eps": 0.5, "rng": 0}], ids=["exact", "entropic"])
def test_jax(jnp: Any, options: dict[str, Any]) -> None:
    x, y = batches(40, 13)
    coupling = monge.couple(jnp.asarray(x), jnp.asarray(y), **options)
    i, j = coupling
    assert isinstance(i, type(jnp.zeros(1)))
    assert jnp.issubdtype(j.dtype, jnp.integer)
    right = monge.couple(x, y, **options)
    assert i.tolist() == right.i.tolist()
    assert j.tolist() == right.j.tolist()
    assert coupling.cost == pytest.approx(right.cost, rel=1e-12)
