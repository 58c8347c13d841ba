"""Workers that are killed in the middle: seconds, and whether the bits are those of the serial run.

    python -m benchmarks.samples.cluster [--smoke]

60 tasks of 50 ms on two workers, for each kind of rows. Wanted: the same bits, within 20 seconds, if all workers of
dask are killed. Needs the extra `cluster`. Processes are killed with SIGKILL.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from monge.spread.blocks import run_blocks, seed_of
from monge.spread.sources import source_of

SECONDS, WANTED, ROWS = 0.05, 20.0, 200_000


def normal(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(size=(n, 3))


def task(block: int, rng: np.random.Generator, source: Any) -> Any:
    time.sleep(SECONDS)
    return source.draw(rng, 1000).sum(axis=0).tolist(), os.getpid()


def measured(
    count: int, data: Any, kill: Callable[[list[int]], list[int]] | None, **options: Any
) -> tuple[float, list[Any], int]:
    """Seconds, results, and in how many processes; `kill` names those to end after a quarter of the results."""
    begin, found = time.perf_counter(), []
    for result in run_blocks(task, count, seed=seed_of(0), sources=[source_of(data, "x")], **options):
        found.append(result)
        if kill is not None and len(found) == count // 4:
            for pid in kill([pid for _, pid in found]):
                os.kill(pid, signal.SIGKILL)
    return time.perf_counter() - begin, [values for values, _ in found], len({pid for _, pid in found})


@contextmanager
def dask_cluster() -> Iterator[Any]:
    from dask import config
    from distributed import Client, LocalCluster

    with (
        # Else the cluster gives a worker up that is not there just 15 seconds after it was lost before.
        config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def kinds(folder: Path) -> dict[str, Any]:
    array = np.random.default_rng(0).normal(size=(ROWS, 3))
    np.save(folder / "rows.npy", array)
    found = {
        "array": array,
        ".npy path": folder / "rows.npy",
        "numpy.memmap": np.load(folder / "rows.npy", mmap_mode="r"),
        "sampler": normal,
    }
    try:
        import dask.array as da
    except ImportError:
        return found
    return {**found, "dask array": da.random.default_rng(0).normal(size=(ROWS, 3), chunks=(ROWS // 8, 3))}


def show(engine: str, rows: str, killed: str, result: tuple[float, list[Any], int], serial: list[Any]) -> None:
    seconds, values, processes = result
    verdict = "same bits" if values == serial else "OTHER BITS"
    late = "" if seconds <= WANTED else f"  more than {WANTED:.0f} s"
    print(
        f"{engine:10} {rows:14} killed: {killed:5} {seconds:7.2f} s  {processes:2} processes  {verdict}{late}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a few tasks, in threads and under loky")
    smoke = parser.parse_args().smoke
    count = 8 if smoke else 60
    with tempfile.TemporaryDirectory() as folder:
        every = kinds(Path(folder))
        if smoke:
            every = {"array": every["array"]}
        serial = {}
        for rows, data in every.items():
            result = measured(count, data, None, n_jobs=1)
            serial[rows] = result[1]
            show("serial", rows, "none", result, serial[rows])
            show("threads", rows, "none", measured(count, data, None, n_jobs=2), serial[rows])
        for rows, data in every.items():
            for killed in ("one", "all")[: 1 if smoke else 2]:
                with joblib.parallel_config("loky", n_jobs=2):

                    def workers(pids: list[int], killed: str = killed) -> list[int]:
                        return [pids[-1]] if killed == "one" else sorted(set(pids))

                    show("loky", rows, killed, measured(count, data, workers), serial[rows])
        if smoke:
            return
        with dask_cluster() as client, joblib.parallel_config("dask"):
            for rows, data in every.items():
                for killed in ("none", "one", "all"):
                    client.wait_for_workers(2)
                    pids = list(client.run(os.getpid).values())
                    doomed = {"none": [], "one": pids[:1], "all": pids}[killed]
                    show("dask", rows, killed, measured(count, data, lambda _, doomed=doomed: doomed), serial[rows])


if __name__ == "__main__":
    main()
