"""Settings and fixtures shared by all tests."""

from __future__ import annotations

import faulthandler
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import settings

from monge.entropic.kernels.select import Route, route
from monge.problem.costs import PointCloud

# The same examples in every run: a suite that fails one time in a hundred tells nobody anything.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")

# A hang is reported with its stack instead of silence.
faulthandler.enable()


@pytest.fixture(scope="session", autouse=True)
def one_thread_of_torch():
    """Small networks learn fastest on one thread, and those of several tests at a time do not wait for each other."""
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)


class Bars(list):
    """The bars that were shown; `on_part` is called when one is told of a part of its total."""

    on_part = staticmethod(lambda: None)


@pytest.fixture
def bars(monkeypatch):
    """In place of tqdm: bars that remember how far they came and refuse to run backwards."""
    shown = Bars()

    class Bar:
        def __init__(self, **options):
            self.n, self.total = 0, options.get("total")
            shown.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, more):
            assert more >= 0
            if self.n + more < self.total:
                shown.on_part()
            self.n += more

    monkeypatch.setattr("monge.problem.progress.progress_bar", Bar)
    return shown


@pytest.fixture
def in_loop(monkeypatch):
    """Called, sends entropic problems of any size the way of large ones, which are solved pass by pass."""

    def as_if_large(cost, eps, device=None):
        if not isinstance(cost, PointCloud):
            return Route.PASSES
        many = np.ones((6000, cost.x.shape[1]))
        return route(PointCloud(many, many, cost.cost), 0.0, device)

    return lambda: monkeypatch.setattr("monge.entropic.problem.route", as_if_large)
