"""Tasks in other processes, also in some that end before they are done. Needs the extra `cluster`."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from spread import tasks

import monge
from monge.spread.blocks import run_blocks, seed_of, workers
from monge.spread.sources import source_of

joblib = pytest.importorskip("joblib", reason="joblib comes with the extra cluster")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are ended by POSIX's signal")

COUNT = 60
# Seconds; what is not over by then hangs.
HANGS = 60.0


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The same rows as an array that is spilled, as a path and as a map; and a sampler."""
    array = np.random.default_rng(0).normal(size=(2000, 3))
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    np.save(path, array)
    return array, path, np.load(path, mmap_mode="r")[500:], tasks.normal


@pytest.fixture(scope="module")
def serial(data):
    return results(data, n_jobs=1)


@pytest.fixture(scope="module")
def client():
    """Of two worker processes with a thread each."""
    pytest.importorskip("distributed", reason="distributed comes with the extra cluster")
    from dask import config
    from distributed import Client, LocalCluster

    with (
        # Else the cluster gives a worker up that is not there just 15 seconds after it was lost before.
        config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def results(data, kill=None, **options):
    """Of slow tasks; `kill` is told how many are there, and from which processes."""
    sources = [source_of(each, "x") for each in data]
    values, pids, begin = [], [], time.monotonic()
    for value, pid in run_blocks(tasks.slow_rows, COUNT, seed=seed_of(5), sources=sources, **options):
        values.append(value)
        pids.append(pid)
        if kill is not None:
            kill(len(values), pids)
        assert time.monotonic() - begin < HANGS
    return values, pids


def end(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("which", ["one", "all"])
def test_dask_loses_workers(client, data, serial, which):
    client.wait_for_workers(2)
    before = sorted(client.run(os.getpid).values())

    def kill(done, _):
        if done == 15:
            end(before[:1] if which == "one" else before)

    with joblib.parallel_config("dask"):
        values, pids = results(data, kill)
    assert values == serial[0]
    assert set(before) <= set(pids)
    if which == "all":
        assert set(before) < set(pids)  # what took their place worked
    else:
        assert before[0] not in pids[-20:]
    assert os.getpid() not in pids


def test_loky_loses_a_worker(data, serial):
    killed = []

    def kill(done, pids):
        if done == 15:
            killed.append(pids[-1])
            end(killed)

    with joblib.parallel_config("loky", n_jobs=2):
        values, pids = results(data, kill)
    assert values == serial[0]
    assert len(set(pids)) >= 3
    assert os.getpid() not in pids
    assert killed[0] not in pids[-30:]


def test_a_block_that_ends_its_worker_is_named(monkeypatch):
    monkeypatch.setattr("monge.spread.cluster._AGAIN", 1)
    found = []
    with (
        joblib.parallel_config("loky", n_jobs=2),
        pytest.raises(RuntimeError, match=r"test: block \d of 10, or .*lost its worker 2 times.*memory"),
    ):
        found.extend(run_blocks(tasks.dies, 10, seed=seed_of(0), what="test"))
    assert found == list(range(len(found)))
    assert len(found) <= 3


def test_a_block_that_ends_workers_of_dask_is_named(client, monkeypatch):
    monkeypatch.setattr("monge.spread.cluster._AGAIN", 0)
    client.wait_for_workers(2)
    client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    with joblib.parallel_config("dask"), pytest.raises(RuntimeError, match="lost its worker 1 times"):
        list(run_blocks(tasks.dies, 10, seed=seed_of(0), what="test"))
    client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 3))


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_an_error_of_a_task_is_raised_at_once(backend, client):
    client.wait_for_workers(2)
    with (
        joblib.parallel_config(backend, **({"n_jobs": 2} if backend == "loky" else {})),
        pytest.raises(ValueError, match=r"^test, block 3: four is enough"),
    ):
        list(run_blocks(tasks.fails, 10, seed=seed_of(0), what="test"))


def test_pairwise(client):
    client.wait_for_workers(2)
    rng = np.random.default_rng(0)
    clouds = [rng.normal(size=(int(rng.integers(60, 120)), 2)) for _ in range(30)]
    histograms = rng.random((8, 40))
    histograms /= histograms.sum(axis=1, keepdims=True)
    cost = np.abs(np.subtract.outer(np.arange(40.0), np.arange(40.0)))
    calls = [lambda: monge.pairwise(clouds), lambda: monge.pairwise(histograms, cost=cost)]
    for call in calls:
        here = call()
        with joblib.parallel_config("dask"):
            np.testing.assert_array_equal(call(), here)
        with joblib.parallel_config("loky", n_jobs=2):
            np.testing.assert_array_equal(call(), here)


def test_arrays_of_dask(client):
    client.wait_for_workers(2)
    import dask.array as da

    x = da.random.default_rng(0).normal(size=(2000, 3), chunks=500)
    kept = x.persist()
    here = list(run_blocks(tasks.rows, 6, seed=seed_of(1), sources=[source_of(np.asarray(x), "x")], n_jobs=1))
    for data in (x, kept):
        sources = [source_of(data, "x")]
        assert list(run_blocks(tasks.rows, 6, seed=seed_of(1), sources=sources, n_jobs=2)) == here
        with joblib.parallel_config("dask"):
            assert list(run_blocks(tasks.rows, 6, seed=seed_of(1), sources=sources)) == here


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_time_limit(backend, client):
    client.wait_for_workers(2)
    with joblib.parallel_config(backend, **({"n_jobs": 2} if backend == "loky" else {})):
        found = list(run_blocks(tasks.number, 1000, seed=seed_of(0), time_limit=0.0))
    assert 1 <= len(found) <= 10
    assert found == list(run_blocks(tasks.number, len(found), seed=seed_of(0)))


class TestConfiguration:
    def test_what_counts(self):
        every = workers(None)[1]
        assert workers(2) == (False, 2)
        assert workers(None) == (False, every)
        with joblib.parallel_config(n_jobs=3):
            assert workers(None) == (False, 3)
        with joblib.parallel_config("threading"):
            assert workers(None) == (False, every)
        with joblib.parallel_config("threading", n_jobs=3):
            assert workers(None) == (False, 3)
            assert workers(1) == (False, 1)
        with joblib.parallel_config("sequential"):
            assert workers(None) == (False, 1)
        with joblib.parallel_config("loky"):
            assert workers(None) == (True, -1)
            assert workers(3) == (True, 3)
        with joblib.parallel_config("loky", n_jobs=3):
            assert workers(None) == (True, 3)

    def test_within_a_task_of_the_caller_there_is_one_thread(self):
        nested = joblib.Parallel(n_jobs=2)(joblib.delayed(workers)(None) for _ in range(2))
        assert nested == [(False, 1), (False, 1)]

    def test_a_backend_without_a_stream_of_results(self, monkeypatch):
        """As that of ray is."""
        from joblib._parallel_backends import ThreadingBackend

        class Waves(ThreadingBackend):
            supports_sharedmem = supports_return_generator = False

        joblib.register_parallel_backend("waves", Waves)
        with joblib.parallel_config("waves", n_jobs=2):
            assert workers(None) == (True, 2)
            found = list(run_blocks(tasks.number, 30, seed=seed_of(0)))
            assert list(run_blocks(tasks.number, 30, seed=seed_of(0), time_limit=0.0)) == found[:1]
        assert found == list(run_blocks(tasks.number, 30, seed=seed_of(0)))
