"""What the Wasserstein loss does about labels that mix up similar classes, on real digits."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="monge.torch needs the extra torch: pip install 'monge[torch]'")
pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install scikit-learn")

PROGRAM = "noisy_labels"


def test_answers_are_nearer_to_the_truth_than_those_of_the_cross_entropy(program: dict[str, Any]) -> None:
    cross_entropy, same_for_all, wasserstein = program["cost"].T  # (seeds,)
    assert (wasserstein < 0.8 * cross_entropy).all()
    assert wasserstein.mean() < 0.7 * cross_entropy.mean()
    # Not only since the loss is linear: the same loss with the same cost for all mistakes gains less.
    assert wasserstein.mean() < 0.95 * same_for_all.mean()


def test_more_answers_are_right(program: dict[str, Any]) -> None:
    cross_entropy, _, wasserstein = program["accuracy"].T
    assert (wasserstein > cross_entropy + 0.03).all()


def test_votes_of_several_teachers(program: dict[str, Any]) -> None:
    cross_entropy, _, entropic = program["of_votes"].mean(axis=0)
    assert entropic < 0.95 * cross_entropy


def test_the_linear_loss_alone_does_not_start(program: dict[str, Any]) -> None:
    # Why the program adds some cross entropy.
    train, test, labels, C = program["noisy"](0)
    inputs, targets = program["tensor"](program["pictures"][train]), program["torch"].tensor(labels[:, 0])
    alone = program["network"](program["with_transport"](C, more=0.0), inputs, targets, 0, 20)
    with_some = program["network"](program["with_transport"](C), inputs, targets, 0, 20)
    assert program["mistakes"](alone, test, C)[0] < 0.6 < 0.85 < program["mistakes"](with_some, test, C)[0]
