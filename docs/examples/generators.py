"""
One generator, five losses
==========================

A generator needs no critic where two batches can be compared as they are. The same network on the same data, five
times, and what is wrong with most of these losses.
"""

# %%
# The data are eight small Gaussians on a circle. Each model takes 250 steps with batches of 128: it moves noise,
# compares what came out with as many samples of the data, and follows the gradient of the loss.

import time

import matplotlib.pyplot as plt
import numpy as np
import torch

import monge
from monge.neural import MLP, MinibatchGenerator
from monge.neural.toys import eight_gaussians

threads = torch.get_num_threads()
torch.set_num_threads(1)  # nets this small are no faster on two

data = eight_gaussians(4000, rng=0)
losses = {
    "emd": "W2, exact",
    "sinkhorn": "Sinkhorn divergence",
    "unrolled": "Sinkhorn, unrolled",
    "sliced": "sliced W2",
    "energy": "energy distance",
}
made = {}
print("loss        W2 to fresh samples   ms a step")
for loss in losses:
    start = time.process_time()
    model = MinibatchGenerator(loss=loss, n_steps=250, batch_size=128, ema=0.98, rng=0).fit(data)
    taken = time.process_time() - start
    made[loss] = model.sample(2000, rng=1)
    print(f"{loss:10s} {monge.wasserstein(made[loss], eight_gaussians(2000, rng=2)):13.2f} {1e3 * taken / 250:18.1f}")

fig, axes = plt.subplots(1, 5, figsize=(12.0, 2.8), layout="constrained", sharex=True, sharey=True)
for ax, (loss, title) in zip(axes, losses.items(), strict=True):
    ax.scatter(*data[:1500].T, s=3, color="#0072B2", alpha=0.3, linewidths=0.0)
    ax.scatter(*made[loss][:1000].T, s=3, color="#E69F00", linewidths=0.0)
    ax.set_title(title)
    ax.set_aspect("equal")
    ax.set_axis_off()
plt.show()

# %%
# All find all modes, early in training, and take longer to empty the space between them. In many dimensions they
# differ. Now the data are standard normal in ten of them, the generator is linear, and could be right: the standard
# deviation of its samples should be one. But two batches of sixteen points in ten dimensions are far apart even where
# both are of the same law, and their transport is cheaper where one is drawn together. Larger batches help, slowly. The
# energy distance leaves out the pairs of a point and itself: its mean over batches is that of the laws, whatever their
# size, and nothing shrinks.

normal = np.random.default_rng(0).normal(size=(5000, 10))
sizes = (8, 16, 32, 64)
deviations = {}
for loss in losses:
    options = {"map": MLP(10, 10, hidden=()), "n_steps": 80, "lr": 0.04, "ema": 0.9, "rng": 0}
    models = [MinibatchGenerator(loss=loss, batch_size=size, **options).fit(normal) for size in sizes]
    deviations[loss] = [model.sample(4000, rng=1).std(axis=0).mean() for model in models]

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "0.2")
fig, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
for (loss, title), color in zip(losses.items(), COLORS, strict=True):
    ax.semilogx(sizes, deviations[loss], "o-", color=color, label=title)
ax.axhline(1.0, color="0.7", linewidth=0.8, zorder=0)
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.minorticks_off()
ax.set_xlabel("batch size")
ax.set_ylabel("standard deviation of samples")
ax.set_ylim(0.0, 1.2)
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()

torch.set_num_threads(threads)
