"""Small networks learn fastest on one thread, and those of several tests at a time do not wait for each other."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(1)
    yield
    if torch is not None:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_seed() -> None:
    """First weights of networks that tests make are the same in whatever order tests run, and whichever do."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)
