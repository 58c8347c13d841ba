"""Tasks that workers import: they get at no function of a test."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

# Of a task with rows: of the largest source here a tenth.
DRAWN = 50


def number(block, rng):
    return block, float(rng.random())


def rows(block, rng, *sources):
    """Of each source, what it gives for the same call."""
    return [(source.draw(rng, DRAWN).sum(axis=0).tolist(), source.columns, source.rows) for source in sources]


def slow_rows(block, rng, *sources):
    """The same, after 50 ms, with the process that was at it."""
    time.sleep(0.05)
    return rows(block, rng, *sources), os.getpid()


def process(block, rng):
    time.sleep(0.02)
    return os.getpid()


def fails(block, rng):
    if block == 3:
        raise ValueError("four is enough")
    return block


class Torn(Exception):
    """An error that cannot be put together again from its arguments."""

    def __init__(self, text, *, where):
        super().__init__(text)
        self.where = where


def tears(block, rng):
    if block == 3:
        raise Torn("four is enough", where=block)
    return block


def dies(block, rng):
    if block == 3:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    return block


def normal(rng, n):
    """A sampler."""
    return rng.normal(size=(n, 3))


def growing(rng, n):
    """A sampler that is at fault later on."""
    return np.ones((n, 2 if n < 10 else 3))


def undefined(rng, n):
    """A sampler that is at fault later on."""
    return np.full((n, 2), 1.0 if n < 10 else np.nan)
