"""Training that is killed by SIGKILL and resumed: the same bits as training that was not.

    python -m benchmarks.neural.resume
    python -m benchmarks.neural.resume --models WGAN,UOTM,SJKO --kills 3
    python -m benchmarks.neural.resume --smoke

A process trains and saves a file every ten iterations; it is killed at a random moment, as often as `--kills` says, and
each time another process goes on with the file. The hash is of all that decides on the next steps, and of the history
but for its seconds: weights, their average, old maps, optimisers, generators.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

EVERY = 10


def model(name: str, n_steps: int) -> Any:
    """Not fitted."""
    import torch

    from monge import neural

    torch.set_num_threads(1)  # bits depend on it
    return getattr(neural, name)(n_steps=n_steps, batch_size=32, rng=0)


def fit_or_resume(name: str, n_steps: int, path: str | None, tell: bool = False) -> Any:
    """On with the file, if there is one."""
    from monge import neural
    from monge.neural.toys import eight_gaussians

    def count(model: Any) -> None:
        if tell:
            print(model.step, flush=True)

    points, fresh = eight_gaussians(1000, rng=0), model(name, n_steps)
    options = {"callbacks": count, "checkpoint": path, "checkpoint_every": EVERY}
    if path is not None and Path(path).exists():
        return neural.load(path).resume(points, **options)
    return fresh.fit(points, **options)


def digest(value: Any) -> Any:
    """A hash of tensors, numbers and words in any nesting."""
    import torch

    found = hashlib.sha256()
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            if key != "seconds":
                found.update(repr(key).encode() + digest(value[key]).digest())
    elif isinstance(value, list | tuple):
        for each in value:
            found.update(digest(each).digest())
    elif isinstance(value, torch.Tensor):
        found.update(value.detach().contiguous().numpy().tobytes())
    else:
        found.update(np.float64(value).tobytes() if isinstance(value, float) else repr(value).encode())
    return found


def of_file(path: str) -> str:
    """The hash of what a file holds."""
    import torch

    return str(digest(torch.load(path, weights_only=True)["state"]).hexdigest())[:16]


def killed(name: str, n_steps: int, path: str, moment: int) -> int:
    """A process that trains is killed soon after iteration `moment`; the last that it told of."""
    command = [sys.executable, "-m", "benchmarks.neural.resume", "--train", name, path, str(n_steps)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        step = 0
        for text in process.stdout:
            step = int(text)
            if step >= moment:
                time.sleep(random.random() * 0.01)  # anywhere within an iteration, or while a file is written
                os.kill(process.pid, signal.SIGKILL)
                break
        rest = process.stdout.read().split()
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError(f"{name}: the process was through before it was killed (exit status {process.returncode})")
    return int(rest[-1]) if rest else step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="SJKO", help="classes of monge.neural, with commas")
    parser.add_argument("--steps", type=int, default=40, help="iterations, of each outer step where there are several")
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="once, few iterations")
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        name, path, n_steps = arguments.train
        fit_or_resume(name, int(n_steps), path, tell=True)
        return
    kills, n_steps = (1, 5) if arguments.smoke else (arguments.kills, arguments.steps)
    wrong = 0
    for name in arguments.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            whole, part = os.path.join(folder, "whole.pt"), os.path.join(folder, "part.pt")
            total = fit_or_resume(name, n_steps, whole).step
            # At random moments, each in its own share of the way, and after the first file.
            moments = [EVERY + int((total - EVERY) * (k + 0.9 * random.random()) / kills) for k in range(kills)]
            steps = [killed(name, n_steps, part, moment) for moment in moments]
            resumed = fit_or_resume(name, n_steps, part)
            hashes = of_file(whole), of_file(part)
        wrong += hashes[0] != hashes[1]
        places = ", ".join(map(str, steps))
        equal = "equal" if hashes[0] == hashes[1] else "NOT equal"
        print(
            f"{name}: killed in iteration {places} of {total}; {resumed.status.name}; {hashes[0]} {hashes[1]}: {equal}"
        )
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
