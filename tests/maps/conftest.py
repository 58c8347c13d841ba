"""Fixtures of the tests of maps."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="module")
def one_thread_of_linear_algebra():
    """Several wait for each other, busily, over small matrices."""
    with threadpool_limits(1, "blas"):
        yield
