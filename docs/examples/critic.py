"""
A critic, and where it sends its points
=======================================

A network that tells orange points from blue ones is an estimate of their Wasserstein distance, if its slopes are at
most one. And its gradient says where the orange points should go.
"""

# %%
# The orange points are a blob, the blue ones a ring and a spot. ``monge.neural.critic`` trains a small network to be
# high at orange and low at blue.

import matplotlib.pyplot as plt
import numpy as np
import torch

import monge.neural
from monge import plot

torch.set_num_threads(1)  # in networks as small as this, threads wait for each other

rng = np.random.default_rng(0)
angle = 2.0 * np.pi * rng.random(240)
ring = np.column_stack([2.0 * np.cos(angle) + 3.0, 2.0 * np.sin(angle)]) + rng.normal(0.0, 0.1, (240, 2))
blue = np.concatenate([ring, rng.normal([3.0, 0.0], 0.2, (60, 2))])
orange = rng.normal([-1.5, 0.0], 0.6, (300, 2))

found = monge.neural.critic(orange, blue, n_steps=400, rng=0)
exact = monge.emd(monge.PointCloud(orange, blue, cost="euclidean"))
print(f"estimate {found.value:.4f}, proved {found.lower_bound:.4f}, exact {exact.value:.4f}")

# %%
# The network's own estimate may be too large or too small: nothing but a penalty keeps its slopes down. The second
# number is a proof. Two transforms of what the network says at the points, divided by the best number, give a function
# with slopes of at most one everywhere, whatever the network was; on the right.


def network(points):
    return found.network(torch.from_numpy(points))


fig, axes = plt.subplots(1, 2, figsize=(11.0, 3.9), layout="constrained")
for ax, function, title in zip(
    axes, (network, found.potential), ("the network", "the certified potential"), strict=True
):
    plot.critic(function, orange, blue, ax)
    ax.set_title(title)
plt.show()

# %%
# Against its gradient the orange points go to the blue ones. A critic has a value and a ``grad_x``, so it is a loss
# for ``monge.gradient_flow``; with a parameter ``init`` it gets the critic of the step before, whose network goes on.


def loss(points, init=None):
    return monge.neural.critic(points, blue, init=init, n_steps=15, rng=0)


with_exact = monge.gradient_flow(
    orange, lambda points: monge.emd(monge.PointCloud(points, blue, cost="euclidean")), step=0.2, n_steps=32
)
with_critic = monge.gradient_flow(orange, loss, step=0.2, n_steps=32)
fig, axes = plt.subplots(1, 2, figsize=(11.0, 3.5), layout="constrained")
for ax, flow, title in zip(axes, (with_critic, with_exact), ("by critics", "by the exact plan"), strict=True):
    plot.flow(flow, blue, ax)
    ax.set_title(f"{title}, left over: {monge.wasserstein(flow.points, blue, p=1):.3f}")
plt.show()
