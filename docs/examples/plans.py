"""
Three ways to blur a plan
=========================

Minibatches, entropy, squares: each of the three makes a transport plan smoother, and each leaves a trace of its own.
"""

# %%
# Between points on the line the exact plan matches in order. Twenty quantiles of a Gaussian go to twenty of a mixture
# of two:

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import ndtr, ndtri

import monge

n = 20
levels = (np.arange(n) + 0.5) / n
fine = np.linspace(-1.0, 3.0, 4001)
x = 0.25 * ndtri(levels)
y = np.interp(levels, 0.5 * ndtr((fine - 0.3) / 0.15) + 0.5 * ndtr((fine - 1.2) / 0.3), fine)
cost = monge.PointCloud(x, y)
exact = monge.emd(cost)

# %%
# *Minibatches* (`monge.minibatch`; Fatras et al. 2020): draw m points of each side, match them, and take the mean over
# all pairs of draws, which on the line has a closed form. *Entropy* (`monge.sinkhorn`) and *squares*
# (`monge.quadratic`) are penalties on the plan. Here are all three, from a little to a lot. Shown are the roots of the
# entries, so that small ones are seen.

plans = {}
for m in (20, 10, 5, 2):
    plans[f"minibatches, m = {m}"] = monge.minibatch(x, y, batch_size=m, n_batches="all").plan.toarray()
for eps in (0.001, 0.01, 0.05, 0.5):
    plans[f"entropy, eps = {eps:g}"] = monge.sinkhorn(cost, eps=eps).plan.toarray()
for eps in (0.001, 1.0, 10.0, 100.0):
    plans[f"squares, eps = {eps:g}"] = monge.quadratic(cost, eps=eps).plan.toarray()
fig, axes = plt.subplots(3, 4, figsize=(8.8, 7.4), layout="constrained")
for ax, (title, plan) in zip(axes.flat, plans.items(), strict=True):
    ax.imshow(np.sqrt(n * plan), cmap="Blues", vmin=0.0, vmax=1.0)
    ax.set_title(title, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])
plt.show()

# %%
# Entropy leaves mass everywhere, if little, and minibatches nearly everywhere; squares keep the plan sparse. And
# minibatches do not look at how far the points are, only at their order: the gap between the two groups of the mixture
# narrows the other plans, not theirs. The price, as more of what the exact plan costs, and the number of entries above
# a millionth:

print(f"{'':24s} entries   dearer by")
for title, plan in plans.items():
    dearer = float((plan * (x[:, None] - y) ** 2).sum()) / exact.value - 1.0
    print(f"{title:24s} {(plan > 1e-6).sum():7d} {abs(100.0 * dearer):9.2f} %")
