"""How pairs of batches are drawn."""

from __future__ import annotations

import itertools
from math import comb

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from monge.distances.minibatch.complete import every_batch, number_of_batches
from monge.distances.minibatch.draws import Epochs, Independent, chances, pairs_in_block, subsets


@pytest.mark.parametrize(("n", "m"), [(6, 3), (6, 6), (9, 2), (12, 3)])  # few points of many, and many of few
def test_subsets_are_equally_likely(n, m):
    drawn = np.sort(subsets(np.random.default_rng(0), n, m, 20_000), axis=1)
    assert (drawn[:, 1:] > drawn[:, :-1]).all()
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == comb(n, m)
    assert len(counts) == 1 or chisquare(counts).pvalue > 1e-3


def test_chances():
    weights = np.array([0.0, 1.0, 3.0, 0.0, 4.0, 0.0])
    drawn = chances(weights).draw(np.random.default_rng(0), (1000, 20))
    counts = np.bincount(drawn.ravel(), minlength=6)
    assert not counts[weights == 0.0].any()
    assert chisquare(counts[weights > 0.0], 20_000 * weights[weights > 0.0] / 8.0).pvalue > 1e-3


class Ones:
    """Random numbers that are all as large as they can be."""

    def random(self, shape):
        return np.full(shape, np.nextafter(1.0, 0.0))


def test_chances_at_the_end():
    weights = np.append(np.full(7, 0.1), 0.0)
    assert (chances(weights).draw(Ones(), (1, 3)) == 6).all()


def test_blocks_of_independent_pairs():
    draws = Independent((10, None), 3, 25, 10)
    groups = [draws.groups(block, np.random.default_rng(block)) for block in range(draws.blocks)]
    assert [len(group[0].weights) for group in groups] == [10, 10, 5]
    assert sum(float(group[0].weights.sum()) for group in groups) == pytest.approx(1.0)
    assert groups[0][0].columns is None


@pytest.mark.parametrize("per_block", [1, 2, 100])  # a part of an epoch, and all of both
def test_epochs_are_the_same_however_they_are_cut(per_block):
    found = []
    for cut in (per_block, 3):  # an epoch
        draws = Epochs((10, 7), 4, 2, cut, np.random.SeedSequence([1, 2, 3]), 10)
        batches: dict = {0: [], 1: []}
        total = 0.0
        for block in range(draws.blocks):
            for group in draws.groups(block, np.random.default_rng()):
                total += group.weights.sum()
                for epoch, *pair in zip(group.epochs, group.rows.tolist(), group.columns.tolist(), strict=True):
                    assert all(len(set(batch)) == group.size for batch in pair)
                    batches[epoch].append(pair)
        assert total == pytest.approx(1.0)
        found.append(batches)
    assert found[0] == found[1]
    first, second = ([row for rows, _ in found[0][epoch] for row in rows] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_epochs_within_a_side():
    draws = Epochs((10, 7), 4, 2, 3, np.random.SeedSequence(0), 10)
    assert draws.within(0).sizes == (10, 10)
    assert draws.within(1).sizes == (7, 7)
    ours, theirs = (one.groups(0, np.random.default_rng())[0].rows for one in (draws, draws.within(0)))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("per_block", [1, 2, 100])
def test_epochs_within_the_smaller_side(per_block):
    # As many pairs as between both, of the same sizes, and none of them twice.
    draws = Epochs((47, 9), 4, 2, per_block, np.random.SeedSequence(0), 47)
    found = []
    for one in (draws, draws.within(1)):
        groups = [group for block in range(one.blocks) for group in one.groups(block, np.random.default_rng())]
        found.append([(epoch, group.size) for group in groups for epoch in group.epochs])
    assert sorted(found[0]) == sorted(found[1])
    pairs = [(*rows, *columns) for group in groups for rows, columns in zip(group.rows, group.columns, strict=True)]
    assert len(set(pairs)) == len(pairs) == 24
    assert all(len(set(group.rows[k])) == group.size for group in groups for k in range(len(group.rows)))


@pytest.mark.parametrize("weighted", [False, True])
def test_every_batch_with_replacement(weighted):
    weights = np.array([1.0, 2.0, 0.0, 5.0]) if weighted else None
    chance = np.full(4, 0.25) if weights is None else weights / 8.0
    batches, probabilities = every_batch(4, 3, True, weights)
    wanted: dict = {}
    for batch in itertools.product(range(4), repeat=3):
        key = tuple(sorted(batch))
        wanted[key] = wanted.get(key, 0.0) + chance[list(batch)].prod()
    assert len(batches) == len(wanted) == number_of_batches(4, 3, True)
    for batch, probability in zip(batches, probabilities, strict=True):
        assert probability == pytest.approx(wanted[tuple(batch)], rel=1e-14)


def test_large_batches_of_few_points():
    # Factorials of such numbers overflow, and the chances of most batches underflow.
    batches, probabilities = every_batch(2, 3000, True, np.array([1.0, 3.0]))
    np.testing.assert_allclose(probabilities, binom.pmf((batches == 0).sum(axis=1), 3000, 0.25), rtol=1e-9, atol=1e-300)
    assert every_batch(1, 3000, True)[1] == 1.0


def test_the_cut_into_blocks():
    assert pairs_in_block(10, 0.01) == 1  # a few long ones, side by side
    assert pairs_in_block(10, 1e-5) == 500  # a few short ones, together
    assert pairs_in_block(10**6, 1e-5) == 50_000  # many: half a second each
    assert pairs_in_block(10**6, 1e-5, numbers=2**20) == 4  # large ones: what memory has room for
