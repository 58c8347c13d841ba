"""Tasks in other processes, also in some that end before they are done. Needs the extra `cluster`."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from spread import tasks

from monge.spread.blocks import run_blocks, seed_of
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
        config.set({"distributed.scheduler.allowed-failures": 3, "distributed.comm.timeouts.connect": "30s"}),
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
