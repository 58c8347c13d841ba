"""Every pixel of two photographs in the colours of the other: time, memory and what comes out.

    python -m benchmarks.samples.colours
    python -m benchmarks.samples.colours --side 500 --sample 5000
    python -m benchmarks.samples.colours --smoke

Photographs of scikit-image, resized to a million pixels each, are transported in batches of 1000, for four epochs, and
both pictures are painted. Time and peak memory are those of a process of its own, which imports, reads and transfers.
POT solves some of the same batches in a loop, its costs included, and its time for all of them is extrapolated from
these, which is said; monge solves the same ones beside it, alternating, on one thread each. The colours that come out
are compared with the target's by their standard deviation and by W2 on samples of 20,000 pixels; beside it stands the
W2 of two samples of the target, which is what the exact plan between 20,000 pixels would leave.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WANTED = {"seconds": 45.0, "memory": 1.0, "ratio": 9.0, "std": 0.99, "W2": 1.5}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1000, help="pictures are this wide and high (default 1000)")
    parser.add_argument("--batch-size", type=int, default=1000, metavar="M")
    parser.add_argument("--epochs", type=int, default=4, metavar="K")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=int, default=20_000, help="pixels of which W2 is computed (default 20,000)")
    parser.add_argument("--loop", type=int, default=20, help="batches that POT solves (default 20)")
    parser.add_argument("--smoke", action="store_true", help="everything small, in some seconds")
    parser.add_argument("--transfer-to", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.smoke:
        options.side, options.batch_size, options.sample, options.loop = 60, 100, 400, 3
    if options.transfer_to is not None:
        print(json.dumps(transfer(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        measured = in_a_process(options, Path(folder) / "moved.npz")
        table(options, measured, Path(folder) / "moved.npz")


def photographs(side: int) -> tuple[Any, Any]:
    """A launch at night and a cup of coffee, (side, side, 3)."""
    import numpy as np
    from PIL import Image
    from skimage import data

    images: Any = data
    source, target = (
        np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
        for image in (images.rocket(), images.coffee())
    )
    return source, target


def transfer(options: argparse.Namespace) -> dict[str, float]:
    """In the process whose memory is measured: both pictures go to a file, and the numbers are returned."""
    import resource

    import numpy as np

    import monge

    source, target = photographs(options.side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    there, back = monge.color_transfer(
        source,
        target,
        method="minibatch",
        batch_size=options.batch_size,
        epochs=options.epochs,
        both=True,
        rng=0,
        n_jobs=options.threads,
        threads=options.threads,
    )
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    np.savez(options.transfer_to, there=there, back=back)
    return {"seconds": seconds, "GiB": peak / 2**20, "GiB before": before / 2**20}


def in_a_process(options: argparse.Namespace, path: Path) -> dict[str, float]:
    """What `transfer` measures."""
    numbers = {"--side": options.side, "--batch-size": options.batch_size, "--epochs": options.epochs}
    arguments = [str(word) for pair in (numbers | {"--threads": options.threads}).items() for word in pair]
    command = [sys.executable, "-m", "benchmarks.samples.colours", *arguments, "--transfer-to", str(path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(answer.splitlines()[-1])
    return found


def loops(options: argparse.Namespace) -> tuple[float, float]:
    """The seconds that a batch takes POT and monge, one thread each, alternating; the mean over some batches of the
    minimum of three."""
    import numpy as np
    import ot

    from monge.distances.minibatch.solving import matched

    x, y = (image.reshape(-1, 3).astype(np.float32) / 255.0 for image in photographs(options.side))
    rng, m = np.random.default_rng(0), options.batch_size
    uniform = np.full(m, 1.0 / m)
    seconds = np.empty((2, options.loop))
    for k in range(options.loop):
        a, b = (points[rng.choice(len(points), m, replace=False)] for points in (x, y))
        a_wide, b_wide = a.astype(np.float64), b.astype(np.float64)
        solve = (
            lambda a=a_wide, b=b_wide: ot.emd(uniform, uniform, ot.dist(a, b), numItermax=10**8),
            lambda a=a, b=b: matched(a[np.newaxis], b[np.newaxis]),
        )
        tries = [[elapsed(run) for run in solve] for _ in range(3)]
        seconds[:, k] = np.min(tries, axis=0)
    pot, ours = seconds.mean(axis=1)
    return float(pot), float(ours)


def elapsed(run: Any) -> float:
    """Seconds of one run."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def quality(out: Any, target: Any, sample: int, threads: int) -> tuple[float, float, float]:
    """The ratio of standard deviations, the smallest of the channels', W2 of samples of both, and of the target's
    alone."""
    import numpy as np

    import monge

    rng = np.random.default_rng(0)
    x, y = (image.reshape(-1, 3).astype(np.float32) / 255.0 for image in (out, target))
    moved, one, other = (p[rng.choice(len(p), min(sample, len(p)), replace=False)] for p in (x, y, y))
    w2, floor = (
        float(monge.emd(monge.PointCloud(cloud, other), threads=threads).value ** 0.5) for cloud in (moved, one)
    )
    return float((x.std(axis=0) / y.std(axis=0)).min()), w2, floor


def table(options: argparse.Namespace, measured: dict[str, float], path: Path) -> None:
    """Prints everything, beside what was wanted."""
    import numpy as np

    batches = options.epochs * -(-(options.side**2) // options.batch_size)
    print(f"{options.side} x {options.side} pixels each, {batches} pairs of {options.batch_size}, both pictures")
    print(f"time         {measured['seconds']:8.1f} s   on {options.threads} threads; wanted {WANTED['seconds']:g} s")
    print(
        f"peak memory  {measured['GiB']:8.2f} GiB of the process, {measured['GiB before']:.2f} of it before the "
        f"transfer; wanted {WANTED['memory']:g}"
    )
    pot, ours = loops(options)
    print(f"a pair       {1e3 * ours:8.2f} ms  one thread; POT {1e3 * pot:.1f} ms: {pot / ours:.1f} times as long")
    print(
        f"all pairs    {pot * batches:8.0f} s   POT's loop, extrapolated from {options.loop} pairs: "
        f"{pot * batches / measured['seconds']:.1f} times as long; wanted {WANTED['ratio']:g}"
    )
    source, target = photographs(options.side)
    moved = np.load(path)
    for name, out, wanted in (("there", moved["there"], target), ("back", moved["back"], source)):
        std, w2, floor = quality(out, wanted, options.sample, options.threads)
        print(
            f"{name:<12} std ratio {std:.4f} (wanted {WANTED['std']:g}); W2 on {options.sample} pixels {w2:.4f}, exact "
            f"{floor:.4f}: ratio {w2 / floor:.2f} (wanted {WANTED['W2']:g})"
        )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
