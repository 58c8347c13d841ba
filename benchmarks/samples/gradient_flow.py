"""A flow of minibatches in many dimensions, against the loop that one writes with POT.

    python -m benchmarks.samples.gradient_flow
    python -m benchmarks.samples.gradient_flow --smoke

5,000 points to 5,000 others, both of mixtures in 784-D, in single precision; each step draws 10 pairs of batches of
500 points and moves along the mean of their exact gradients, 750 times, as Fatras et al. 2021, "Minibatch optimal
transport distances; analysis and applications", do with faces. POT's loop, of its `dist` and `emd` and the same
arithmetic in NumPy, runs for some steps before and after ours, and the better time per step counts; its time for all
steps is that times their number. Beside the times, the loss on both sides after the same number of steps, and how far
the points are from the target in the end, by exact transport between a part of them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import monge

STEP = 0.05
WANTED_SECONDS, WANTED_RATIO = 40.0, 5.0


def mixture(n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Like pictures: ten kinds, which vary along few directions."""
    kinds, directions = rng.random((10, d)), rng.normal(size=(10, 20, d)) / np.sqrt(20.0)
    kind = rng.integers(10, size=n)
    along = np.einsum("nk,nkd->nd", 0.3 * rng.normal(size=(n, 20)), directions[kind])
    return (kinds[kind] + along + 0.05 * rng.normal(size=(n, d))).astype(np.float32)


def pot_loop(x: np.ndarray, y: np.ndarray, size: int, batches: int, steps: int) -> tuple[np.ndarray, float, float]:
    """The points after so many steps, the mean loss of the last one's batches, and seconds per step."""
    import ot

    rng = np.random.default_rng(1)
    n, x, uniform = len(x), x.copy(), np.full(size, 1.0 / size)
    start = time.perf_counter()
    for _ in range(steps):
        gradient, values = np.zeros_like(x), []
        for _ in range(batches):
            i, j = rng.choice(n, size, replace=False), rng.choice(len(y), size, replace=False)
            cost = ot.dist(x[i], y[j])
            plan, log = ot.emd(uniform, uniform, cost, log=True)
            values.append(log["cost"])
            gradient[i] += 2.0 / batches * (x[i] / size - plan @ y[j])
        x -= np.float32(STEP * n) * gradient
    return x, float(np.mean(values)), (time.perf_counter() - start) / steps


def run(n: int, d: int, size: int, batches: int, steps: int, pot_steps: int) -> None:
    rng = np.random.default_rng(0)
    x, y = mixture(n, d, rng), mixture(n, d, rng)
    part, rest = np.split(rng.permutation(n)[: 2 * (m := min(n // 2, 1000))], [m])
    draws = np.random.default_rng(1)

    def loss(x: np.ndarray) -> monge.distances.loss.Loss:
        return monge.minibatch(x, y, batch_size=size, n_batches=batches, rng=draws)

    before = pot_loop(x, y, size, batches, pot_steps)
    start = time.perf_counter()
    flow = monge.gradient_flow(x, loss, step=STEP, n_steps=steps, record=max(1, steps // 15))
    ours = time.perf_counter() - start
    after = pot_loop(x, y, size, batches, pot_steps)
    theirs = min(before[2], after[2]) * steps
    per_step = 1e3 / steps
    print(f"{n} x {n} in {d}-D, batches of {size}, {batches} a step, {steps} steps")
    print(f"monge.gradient_flow {ours:8.1f} s {per_step * ours:8.1f} ms a step   wanted: {WANTED_SECONDS:g} s")
    print(f"loop of POT         {theirs:8.1f} s {per_step * theirs:8.1f} ms a step   from {pot_steps} steps, scaled")
    print(f"ratio               {theirs / ours:8.1f}                        wanted: {WANTED_RATIO:g}")
    print(f"loss at step {pot_steps - 1}: monge {flow.values[pot_steps - 1]:.4g}, POT {before[1]:.4g}")
    for points, name in ((x, "at the start"), (flow.points, "at the end")):
        print(f"W2 to the target, {len(part)} points of each, {name}: {monge.wasserstein(points[part], y[part]):.4g}")
    print(f"W2 between two parts of the target: {monge.wasserstein(y[rest], y[part]):.4g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a small problem, in a few seconds")
    parser.add_argument("--steps", type=int, default=750, help="of the flow (default: 750)")
    parser.add_argument("--pot-steps", type=int, default=5, help="of POT's loop, each time (default: 5)")
    options = parser.parse_args()
    if options.smoke:
        run(n=400, d=50, size=50, batches=4, steps=30, pot_steps=3)
    else:
        run(n=5000, d=784, size=500, batches=10, steps=options.steps, pot_steps=options.pot_steps)


if __name__ == "__main__":
    main()
