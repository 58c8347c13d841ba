"""Critics on pairs of clouds whose W1 is known: what they estimate, and what they prove.

    python -m benchmarks.neural.critic
    python -m benchmarks.neural.critic --smoke

MinFunnel pairs (Korotin, Kolesov and Burnaev 2022), 2,000 points of either side, three seeds. The bound that a network
proves is compared with the exact value, which `emd` confirms, and with what a network that says nothing would prove,
the mean distance to the nearest point of the other side: in eight dimensions that is most of the distance already.
"""

from __future__ import annotations

import argparse
import sys
import time

# Funnels, dimension, and how far below the truth a bound by the one-sided penalty may be.
CASES = ((4, 2, 0.05), (16, 8, 0.10))
SECONDS = 20.0
PENALTIES = ("lipschitz", "gradient", "clip")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    options = parser.parse_args()
    import numpy as np
    import torch

    import monge
    import monge.neural
    from monge.neural.toys import min_funnels

    torch.set_num_threads(1 if options.smoke else options.threads)
    points, seeds, more = (300, 1, {"n_steps": 40}) if options.smoke else (options.points, options.seeds, {})
    failed = 0
    print("penalty    funnels  d  seed     W1   nothing      raw   proved  of the rest      s")
    for penalty in PENALTIES:
        for funnels, dimension, room in CASES:
            for seed in range(seeds):
                pair = min_funnels(points, funnels, dimension, rng=seed)
                exact = monge.emd(monge.PointCloud(pair.x, pair.y, cost="euclidean")).value
                began = time.perf_counter()
                found = monge.neural.critic(pair.x, pair.y, penalty=penalty, rng=seed, threads=options.threads, **more)
                seconds = time.perf_counter() - began
                nothing = nearest(pair.x, pair.y)
                share = (found.lower_bound - nothing) / (exact - nothing)
                wrong = found.lower_bound > exact * (1.0 + 4.0 * np.finfo(float).eps)
                if penalty == "lipschitz" and not options.smoke:
                    wrong = wrong or found.lower_bound < (1.0 - room) * exact or seconds > SECONDS
                failed += wrong
                print(
                    f"{penalty:<10} {funnels:7} {dimension:2} {seed:5} {exact:6.3f} {nothing / exact - 1.0:+8.1%} "
                    f"{found.value / exact - 1.0:+9.1%} {found.lower_bound / exact - 1.0:+8.2%} {share:12.1%} "
                    f"{seconds:6.1f}" + ("  not as wanted" if wrong else ""),
                    flush=True,
                )
    print(
        "wanted: never above W1; lipschitz within "
        + ", ".join(f"{room:.0%} in {d}-D" for _, d, room in CASES)
        + f" below it, in {SECONDS:.0f} s" + (" (not asked of a smoke test)" if options.smoke else "")
    )  # fmt: skip
    return 1 if failed else 0


def nearest(x, y):  # type: ignore[no-untyped-def]
    """What is proved without a network."""
    import numpy as np

    from monge.neural.certificate import certified

    n, m = len(x), len(y)
    return certified(x, y, np.full(n, 1.0 / n), np.full(m, 1.0 / m), np.zeros(n), np.zeros(m), 1).bound


if __name__ == "__main__":
    sys.exit(main())
