"""Blocks in threads: their order, their random numbers, errors that name them, and how they end early."""

from __future__ import annotations

import functools
import signal
import threading
import time

import numpy as np
import pytest
from spread import tasks

from monge.spread.blocks import run_blocks, seed_of, workers
from monge.spread.sources import source_of


def run(task, count=20, seed=0, **options):
    return list(run_blocks(task, count, seed=seed_of(seed), **options))


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 5, -1, -100])
def test_same_results_in_order(n_jobs):
    found = run(tasks.number, n_jobs=n_jobs)
    generators = [np.random.SeedSequence(0, spawn_key=(block,)) for block in range(20)]
    assert found == [(k, np.random.Generator(np.random.PCG64(each)).random()) for k, each in enumerate(generators)]


def test_slow_blocks_do_not_change_the_order():
    def task(block, rng):
        time.sleep(0.02 if block % 3 == 0 else 0.0)
        return block

    assert run(task, n_jobs=4) == list(range(20))


def test_sources():
    sources = [source_of(np.arange(300.0).reshape(100, 3), "x"), source_of(tasks.normal, "y")]
    assert run(tasks.rows, sources=sources, n_jobs=3) == run(tasks.rows, sources=sources, n_jobs=1)


def test_seeds():
    entropy = seed_of(7).spawn(3)[2]  # of one who has split it before
    first = list(run_blocks(tasks.number, 3, seed=entropy))
    assert first == list(run_blocks(tasks.number, 3, seed=entropy)) != run(tasks.number, 3, 7)
    assert seed_of(7).entropy == seed_of(np.int64(7)).entropy == 7
    assert seed_of(None).entropy != seed_of(None).entropy
    rng = np.random.default_rng(1)
    assert seed_of(rng).entropy != seed_of(rng).entropy
    assert seed_of(np.random.default_rng(1)).entropy == seed_of(np.random.default_rng(1)).entropy


@pytest.mark.parametrize("rng", [-1, 1.5, "7", True, np.random.RandomState(0)])
def test_bad_seeds(rng):
    with pytest.raises((ValueError, TypeError), match="rng should be None, a seed"):
        seed_of(rng)


@pytest.mark.parametrize("n_jobs", [0, 1.0, "2", True])
def test_bad_numbers_of_workers(n_jobs):
    with pytest.raises(ValueError, match="n_jobs should be an integer that is not zero, or None"):
        run_blocks(tasks.number, 3, seed=seed_of(0), n_jobs=n_jobs)  # before any is asked for


def test_numbers_of_workers():
    every = workers(None)[1]
    assert workers(None) == workers(-1) == (False, every)
    assert workers(3) == (False, 3)
    assert workers(-every) == workers(-every - 5) == (False, 1)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_an_error_names_its_block(n_jobs):
    with pytest.raises(ValueError, match=r"^colours, block 3: four is enough"):
        run(tasks.fails, n_jobs=n_jobs, what="colours")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_time_limit(n_jobs):
    few = run(tasks.number, 1000, n_jobs=n_jobs, time_limit=0.0)
    assert 1 <= len(few) <= (1 if n_jobs == 1 else 20)
    assert few == run(tasks.number)[: len(few)]
    assert run(tasks.number, n_jobs=n_jobs, time_limit=1e9) == run(tasks.number)
    with pytest.raises(ValueError, match="time_limit"):
        run(tasks.number, time_limit=-1.0)


def test_nothing_to_do():
    assert run(tasks.number, 0) == []


def test_results_wait_for_whoever_wants_them():
    begun = []

    def task(block, rng):
        begun.append(block)

    results = run_blocks(task, 1000, seed=seed_of(0), n_jobs=2)
    next(results)
    results.close()
    assert len(begun) < 50


def test_progress(bars):
    run(tasks.number, progress=True, n_jobs=2)
    assert [(bar.n, bar.total) for bar in bars] == [(20, 20)]


def test_an_interrupt_waits_for_nobody():
    release, at_work = threading.Event(), threading.Event()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=lambda: at_work.wait() and signal.raise_signal(signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            run(functools.partial(_held, at_work, release), n_jobs=2)
    finally:
        signal.signal(signal.SIGINT, before)
        release.set()


def _held(at_work, release, block, rng):
    at_work.set()
    assert release.wait(60.0)
