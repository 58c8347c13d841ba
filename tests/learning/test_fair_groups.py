"""A representation of two groups of patients that a Sinkhorn divergence keeps from telling them apart."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monge.torch needs the extra torch: pip install 'monge[torch]'")
pytest.importorskip("sklearn", reason="the patients are scikit-learn's: pip install scikit-learn")

PROGRAM = "fair_groups"


def test_the_parity_gap_falls_and_accuracy_stays(program: dict[str, Any]) -> None:
    gap, accuracy = program["gap"], program["accuracy"]  # (seeds, strengths), strengths 0, 0.3, 1, 3
    assert gap[:, 0].min() > 0.15
    assert (gap[:, 3] < 0.5 * gap[:, 0]).all()
    mean = gap.mean(axis=0)
    assert mean[2] < 0.6 * mean[0]
    assert mean[3] < 0.4 * mean[0]
    assert accuracy[:, 0].min() > 0.7
    assert accuracy[:, 3].mean() > accuracy[:, 0].mean() - 0.04


def test_the_representation_forgets_the_group(program: dict[str, Any]) -> None:
    leak, share = program["leak"].mean(axis=0), 235 / 442
    assert leak[0] > share + 0.04
    assert leak[3] < 0.5 * (leak[0] + share)


def test_a_batch_without_one_of_the_groups(program: dict[str, Any]) -> None:
    points = torch.randn(5, 2, requires_grad=True)
    for group in (torch.zeros(5, dtype=torch.bool), torch.ones(5, dtype=torch.bool)):
        loss = program["divergence"](points, group)
        (slope,) = torch.autograd.grad(loss, points)
        assert loss.item() == 0.0
        assert not slope.any()
    one = torch.tensor([True, False, False, False, False])
    assert program["divergence"](points, one).item() > 0.0
