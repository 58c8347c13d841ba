"""Runs benchmarks that interleaved.py asks for, one after the other, in one process with one build of monge.

Asked for on standard input, a line of JSON each: {"select": arguments of pytest} is answered with the names of the
benchmarks, {"run": name} with what pytest-benchmark wrote for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

# Short runs: the least of many, spread over the whole time that is taken, counts. Seconds are those of the processor,
# in all threads, so that what else runs on the machine takes none.
OPTIONS = [
    "--benchmark-timer=time.process_time",
    "--benchmark-min-rounds=1",
    "--benchmark-max-time=0.08",
    "--benchmark-min-time=0.00002",
    "--benchmark-calibration-precision=5",
    "--benchmark-warmup=off",
    "--benchmark-disable-gc",
]


class Plugin:
    """Remembers what was selected, and leaves out what takes pytest-benchmark a second: to look at the processor."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.names = [item.nodeid for item in session.items]

    def pytest_benchmark_generate_machine_info(self) -> dict[str, Any]:
        return {"node": os.uname().nodename}

    def pytest_benchmark_generate_commit_info(self) -> dict[str, Any]:
        return {}


def answer(request: dict[str, Any]) -> Any:
    plugin = Plugin()
    quiet = ["-q", "-p", "no:cacheprovider"]
    if "select" in request:
        code = pytest.main([*quiet, "--collect-only", *request["select"]], plugins=[plugin])
        return plugin.names if code == pytest.ExitCode.OK else {"failed": f"nothing selected: {code!r}"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.json"
        code = pytest.main([*quiet, *OPTIONS, f"--benchmark-json={path}", request["run"]], plugins=[plugin])
        if code != pytest.ExitCode.OK:
            return {"failed": f"{request['run']}: {code!r}"}
        return json.loads(path.read_text())["benchmarks"][0]


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what pytest prints goes beside the replies
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            reply = answer(json.loads(line))
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
