"""A convolutional pair, trained on scikit-learn's digits by WGAN-GP: does it learn, and how fast is an iteration?

    python -m benchmarks.neural.images
    python -m benchmarks.neural.images --smoke --output digits.png

1,347 digits of 8 x 8 pixels to learn from, 450 others to compare with. Each line has the exact W2 of 450 samples to
these in units of what true samples have, their deviation in the same units, and the seconds until then.
"""

from __future__ import annotations

import argparse
import sys
import time


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="a picture of samples, for example digits.png")
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    options = parser.parse_args()
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    from monge.neural import WGANGP, ConvCritic, ConvGenerator, Every
    from monge.neural.metrics import ratio, sd_ratio

    torch.set_num_threads(1 if options.smoke else options.threads)
    steps, channels = (6, 4) if options.smoke else (options.steps, options.channels)
    images = load_digits().images / 8.0 - 1.0
    images = np.random.default_rng(0).permutation(images)
    train, others = images[:1347], images[1347:]
    began = time.process_time()
    found = []

    def look(model: WGANGP) -> None:
        samples = model.sample(450, rng=1)
        found.append(ratio(samples, others, train))
        seconds = time.process_time() - began
        print(f"{model.step:9d} {found[-1]:8.3f} {sd_ratio(samples, others):10.3f} {seconds:8.1f}", flush=True)

    model = WGANGP(
        map=ConvGenerator(16, (8, 8), channels=channels),
        potential=ConvCritic((8, 8), channels=channels),
        latent=16,
        n_steps=steps,
        batch_size=64,
        potential_steps=2,
        penalty=10.0,
        lr=1e-3,
        rng=options.seed,
    )
    print("iteration W2 ratio  deviation    CPU s")
    model.fit(train, callbacks=Every(max(1, steps // 6), look))
    learned = found[-1] < 1.25 and found[-1] < found[0]
    print(f"W2 ratio {found[-1]:.3f}, wanted <= 1.25 {'ok' if learned else '' if options.smoke else 'MISSED'}")
    if options.output:
        from monge import plot

        plot.pictures(model.sample(64, rng=2)).figure.savefig(options.output)
    return int(not learned and not options.smoke)


if __name__ == "__main__":
    sys.exit(main())
