"""
A flow in four steps
====================

One Gaussian becomes eight. Each step of `monge.neural.SJKO` lowers a divergence from the target for the price of the
way, and is a map of the source, so that all of them can be drawn.
"""

# %%
# The target is known by samples, the source is noise. A map and a potential are trained in turn, in four outer steps,
# of which each goes on from the map of the one before.

import matplotlib.pyplot as plt
import numpy as np
import torch

from monge.neural import MLP, SJKO
from monge.neural.toys import eight_gaussians

torch.set_num_threads(1)  # in networks as small as these, threads wait for each other
torch.manual_seed(0)
y = eight_gaussians(4000, rng=0)
networks = {"map": MLP(2, 2, hidden=(64, 64, 64), residual=True), "potential": MLP(2, 1, hidden=(64, 64, 64))}
steps = {"n_outer": 4, "first_steps": 350, "n_steps": 350, "lr": 2e-3, "later_lr": 1.0}
model = SJKO(functional="kl", h=0.5, rng=0, **steps, **networks).fit(y)
print(model)

# %%
# `transport` takes the number of a step: 0 is the source itself. Points have the colour of the angle that they start
# at.

x = np.random.default_rng(1).standard_normal((1000, 2))
angle = np.arctan2(x[:, 1], x[:, 0])
fig, axes = plt.subplots(1, 5, figsize=(12.5, 2.9), sharex=True, sharey=True, layout="constrained")
for k, ax in enumerate(axes):
    ax.scatter(*y[:1000].T, s=3, color="0.85")
    ax.scatter(*model.transport(x, step=k).T, s=4, c=angle, cmap="hsv")
    ax.set_title("source" if k == 0 else f"step {k}")
    ax.set_aspect("equal")
plt.show()

# %%
# The price of the way is :math:`|T_{k-1} x - T_k x|^2 / (2 h)`. With a shorter step less is done at once. What is left
# of the divergence, as the potential estimates it, falls from step to step; where a step begins, the rates of the
# optimisers begin anew.

fig, ax = plt.subplots(figsize=(6.5, 3.0), layout="constrained")
history = model.history
ax.plot(history.step, history.smoothed(0.95), color="#0072B2")
for start in history.step[1:][np.diff(history.phase) > 0]:
    ax.axvline(start, color="0.8", linewidth=0.8)
ax.set_xlabel("iteration")
ax.set_ylabel("divergence left")
plt.show()
