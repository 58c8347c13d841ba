"""What is particular to passes and sums over all pairs on a CPU; what they compute is in `test_contract`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import monge
from monge.entropic.kernels.native import NativePairs
from monge.entropic.kernels.reference import ReferencePairs
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Balanced

BALANCED = Balanced(), Balanced()


class Potentials(NamedTuple):
    f: NDArray[np.float64]
    g: NDArray[np.float64]
    s: NDArray[np.float64]


def native(cost, a, b):
    return NativePairs(cost, a, b, BALANCED, Threads(1))


def start(n, m):
    return Potentials(np.zeros(n), np.zeros(m), np.zeros(m))


def specified(cost, a, b, eps):
    """What a pass makes of zeros."""
    steps = start(len(a), len(b))
    ReferencePairs(cost, a, b, BALANCED).run(steps, eps, False, True)
    return steps


@pytest.mark.parametrize("kind", ["euclidean", ("euclidean", 1.5), "sqeuclidean"], ids=str)
def test_products_keep_the_digits_of_close_points(kind):
    # The root of what is left where digits cancel would be off by 3e-4 of the points' size.
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(100, 12)), 1e-3 * rng.normal(size=(100, 12)) + 3.0])
    cost = monge.PointCloud(x, x[::-1] + 1e-6, kind)
    a = b = np.full(200, 1 / 200)
    reference = ReferencePairs(cost, a, b, BALANCED)
    eps = 1e-2 * reference.size
    steps, right = start(200, 200), specified(cost, a, b, eps)
    native(cost, a, b).run(steps, eps, True, True)
    error = 1e-6 * reference.C.max()
    np.testing.assert_allclose(steps.f, right.f, atol=error, rtol=0)
    np.testing.assert_allclose(steps.s, right.s, atol=error, rtol=0)


# Single precision is not used for powers below 1: a distance that it takes for zero has a cost that counts.
@pytest.mark.parametrize(
    ("power", "single"), [(0.5, False), *((p, single) for p in (1.5, 3.0, 2.7, 40.0) for single in (True, False))]
)
@pytest.mark.parametrize("d", [3, 5, 16])
@pytest.mark.parametrize("distance", ["euclidean", "cityblock"])
def test_powers_of_any_size(distance, d, power, single):
    rng = np.random.default_rng(0)
    x = rng.random((210, d))
    y = np.concatenate([x[:50], rng.random((80, d))])  # distances of zero among them
    cost = monge.PointCloud(x, y, (distance, power))
    a, b = rng.dirichlet(np.ones(210)), rng.dirichlet(np.ones(130))
    reference = ReferencePairs(cost, a, b, BALANCED)
    g = 0.1 * reference.size * rng.normal(size=130)
    size = np.abs(reference.C).max() + np.abs(g).max()
    for rel in (10.0, 0.1, 1e-3):
        eps = rel * reference.size
        found, right = (start(210, 130)._replace(g=g) for _ in range(2))
        reference.run(right, eps, False, True)
        native(cost, a, b).run(found, eps, single, True)
        # An error of the distance counts as often as the power says.
        error = (2e-7 if single else 1e-15) * (4 * (size + eps) + power * size)
        np.testing.assert_allclose(found.f, right.f, atol=error, rtol=0)
        np.testing.assert_allclose(found.s, right.s, atol=2 * error, rtol=0)


def test_lost_columns_are_repaired():
    # A column that single precision cannot see: its mass is 1e-40 of what the others get.
    C = np.random.default_rng(0).random((200, 200))
    C[:, 7] += 100.0
    a = b = np.full(200, 1 / 200)
    steps = start(200, 200)
    native(monge.CostMatrix(C), a, b).run(steps, 0.5, True, True)
    np.testing.assert_allclose(steps.s, specified(monge.CostMatrix(C), a, b, 0.5).s, atol=1e-4)


@pytest.mark.parametrize("guess", [1e6, -1e6, 30.0])
def test_a_wrong_shift_is_repaired(guess):
    C = np.random.default_rng(0).random((200, 200))
    a = b = np.full(200, 1 / 200)
    steps, right = start(200, 200), specified(monge.CostMatrix(C), a, b, 0.5)
    pairs = native(monge.CostMatrix(C), a, b)
    pairs._shift += guess
    pairs.run(steps, 0.5, True, True)
    np.testing.assert_allclose(steps.f, right.f, atol=1e-5)
    np.testing.assert_allclose(steps.s, right.s, atol=1e-5)


# Points on a lattice, about the origin: sums of their differences, and of the squares of these, are exact.
LATTICE = """
import numpy as np, monge
from monge.entropic._pairs import cost_rows
from monge.entropic.kernels.layout import packed_cost

rng = np.random.default_rng(0)
for d in (1, 5, 16):
    x, y = rng.integers(-64, 65, (18, d)) / 64.0, rng.integers(-64, 65, (83, d)) / 64.0
    x = np.concatenate([x, -x, 0.0 * x[:1]])
    y[:9] = x[:9]
    for distance, order in (("euclidean", 2), ("cityblock", 1)):
        apart = (np.abs(x[:, None] - y) ** order).sum(-1)
        for p in (0.1, 0.5, 1.5, 2.7, 3.0, 40.0):
            cost, right = monge.PointCloud(x, y, (distance, p)), apart ** (p / order)
            for dtype in (np.float32, np.float64):
                out = np.empty(cost.shape, dtype)
                costs, per_unit = packed_cost(cost, dtype)
                cost_rows(costs, 0, 37, out)
                error = np.abs(out * np.float64(per_unit) - right).max() / right.max() / np.finfo(dtype).eps
                print(error, np.abs(out[apart == 0.0]).max(), distance, d, p, dtype.__name__)
"""


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
def test_costs_are_as_exact_as_their_precision(isa):
    command, environment = [sys.executable, "-c", LATTICE], {**os.environ, "MONGE_SIMD": isa}
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 72
    for line in lines:
        error, same_point, *case = line.split()
        assert float(same_point) == 0.0, case
        # Units in the last place of the largest cost; the factor to cost units makes three of them.
        assert float(error) < 4.0, case
