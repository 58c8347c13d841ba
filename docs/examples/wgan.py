"""
A generator and its critic
==========================

A network learns to make points of eight Gaussians out of noise, from a critic that says how far it has to go. The
critic's loss means something: it falls as the samples get better.
"""

# %%
# `monge.neural.WGANGP` trains two networks in turn. The critic estimates the Wasserstein distance :math:`W_1` between
# what is made and the data, with its slopes held near one by a penalty (Gulrajani et al. 2017), and the generator moves
# its samples down the critic's slopes. The networks here are small and their training short; the defaults are for a
# minute, and better.

import matplotlib.pyplot as plt
import numpy as np
import torch

import monge
from monge import plot
from monge.neural import MLP, WGANGP, metrics
from monge.neural.toys import EIGHT_CENTERS, EIGHT_SD, eight_gaussians

torch.set_num_threads(1)
data, others = eight_gaussians(8000, rng=0), eight_gaussians(1000, rng=1)

# %%
# A callback is called after each iteration. This one draws the critic and the samples four times, and measures the
# exact distance of samples to points that the model has never seen. Blue points are data, orange ones are made; the
# background is the critic, and samples move from orange to blue.

fig, axes = plt.subplots(1, 4, figsize=(12.0, 3.3), layout="constrained")
panels, steps, exact = dict(zip((10, 50, 150, 600), axes, strict=True)), [], []


def look(model):
    if model.step in panels:
        ax = panels[model.step]

        def critic(points):
            with torch.no_grad():
                return model.potential_(torch.from_numpy(points.astype("float32"))).numpy().ravel()

        plot.critic(critic, model.sample(500, rng=1), data[::20], ax, limits=(-3.0, 3.0, -3.0, 3.0))
        ax.set_title(f"{model.step} iterations")
        ax.get_legend().remove()
        ax.set_axis_off()
    if model.step % 20 == 0:
        steps.append(model.step)
        exact.append(monge.wasserstein(model.sample(1000, rng=1), others, p=1))


networks = {"map": MLP(2, 2, hidden=(64, 64)), "potential": MLP(2, 1, hidden=(64, 64))}
model = WGANGP(**networks, n_steps=600, batch_size=128, lr=2e-3, potential_steps=4, ema=0.98, rng=0)
model.fit(data, callbacks=look)
plt.show()

# %%
# And the loss, which is noisy batch by batch, as a running mean, beside the exact :math:`W_1` between a thousand
# samples and a thousand points of the truth. The loss does not go to zero, nor does the distance of two samples of one
# law. As long as the two are far apart the penalty lets slopes grow, and the estimate is too large: of a shift by
# :math:`t`, by the factor :math:`1 + t / 2 \lambda`.

loss = model.history.smoothed(0.9)
fig, ax = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
ax.loglog(model.history.step, np.maximum(model.history.value, 1e-3), color="0.85", linewidth=0.8)
ax.loglog(model.history.step, loss, color="#0072B2", label="the critic's estimate, smoothed")
ax.loglog(steps, exact, "o-", color="#D55E00", markersize=3.0, label="exact, of 1000 samples")
ax.set(xlabel="iterations", ylim=(0.03, None))
ax.legend(frameon=False)
plt.show()

# %%
# Which is what one watches while a model trains, and compares two of them by, as long as their critic is the same.

found = metrics.modes(model.sample(4000, rng=2), EIGHT_CENTERS, EIGHT_SD)
print("Gaussians found:", found.found, f"  samples within three standard deviations of one: {found.share:.2f}")
print("at the end, estimate and exact:", loss[-1].round(2), round(exact[-1], 2))
# sphinx_gallery_thumbnail_number = 1
