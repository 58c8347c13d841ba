"""The contract of all kernels, `entropic.test_contract`, for the pairs of a device: at sizes that the simulator can do.

Several blocks of threads and tiles of columns there, the last ones not full.
"""

from __future__ import annotations

from typing import Any

import pytest
from cases import USER_COSTS
from entropic import test_contract as contract

import monge
from monge.entropic.kernels.cuda.device import SIMULATED
from monge.entropic.kernels.cuda.plan import CudaPairs

N, M = 9, 5
if SIMULATED:  # in place of three strengths of the entropy, one that tells near pairs from far ones
    contract.SHARES[:] = [0.01]

# Each ground cost in one, few or many dimensions, the points of which are held in different places. Of users: with a
# gradient, with two of them, and of so many coordinates that points are arrays.
GROUNDS: list[tuple[Any, int]] = [
    ("sqeuclidean", 1), ("sqeuclidean", 9), ("euclidean", 2), ("cityblock", 3), ("chebyshev", 3), ("cosine", 3),
    (("cityblock", 0.5), 9),
]  # fmt: skip
USERS = ["Huber", "uphill", "squared in 9"]

COSTS = {
    "matrix, forbidden": (contract.matrix, "forbidden", N, M),
    **{f"{cost} in {d}": (contract.cloud, cost, d, N, M) for cost, d in GROUNDS},
    **{
        f"user's {name}": (contract.cloud, monge.GroundCost(*USER_COSTS[name][:2]), USER_COSTS[name][3], N, M)
        for name in USERS
    },
}
contract.KERNELS["cuda"] = CudaPairs, {f"{cost}, {N} x {M}": made for cost, made in COSTS.items()}


@pytest.mark.parametrize(
    ("kernel", "cost"), [pytest.param("cuda", cost, id=cost) for cost in contract.KERNELS["cuda"][1]]
)
class TestDevicePairs(contract.Contract):
    """Of a few points."""


# So many points that a GPU has work in all of its parts.
contract.KERNELS["cuda"][1].update(
    {
        f"{cost} in {d}, many": (contract.cloud, cost, d, 2100, 1300)
        for cost, d in (("sqeuclidean", 3), ("euclidean", 2), ("cityblock", 64), (contract.USERS["user's Huber"][1], 2))
    }
)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("kernel", "cost"), [pytest.param("cuda", cost, id=cost) for cost in contract.KERNELS["cuda"][1] if "many" in cost]
)
class TestManyDevicePairs(contract.Contract):
    """Of many."""
