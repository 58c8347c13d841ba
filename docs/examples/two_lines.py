"""
Two parallel lines
==================

The example with which Arjovsky, Chintala and Bottou (2017) open the case for the Wasserstein distance: two measures on
parallel segments, :math:`\\theta` apart. Only one of four distances goes to zero as the segments meet.
"""

# %%
# Let :math:`Z` be uniform on :math:`[0, 1]`. The first measure is the law of :math:`(0, Z)`, the second that of
# :math:`(\theta, Z)`. Here are both, with the plan between them, for :math:`\theta = 0.3`.

import matplotlib.pyplot as plt
import numpy as np

import monge
from monge import plot

heights = (np.arange(25) + 0.5) / 25


def line(theta):
    return np.column_stack([np.full_like(heights, theta), heights])


t = monge.emd(monge.PointCloud(line(0.0), line(0.3), "euclidean"))
fig, ax = plt.subplots(figsize=(4.0, 4.4), layout="constrained")
plot.plan(t, line(0.0), line(0.3), ax)
ax.set_xlim(-0.3, 0.6)
plt.show()

# %%
# All mass moves sideways, by :math:`|\theta|`, and so :math:`W_1 = |\theta|`. For every :math:`\theta \ne 0` the two
# measures live on different sets, and what the other distances say does not depend on :math:`\theta` at all: the total
# variation is 1, the Jensen-Shannon divergence :math:`\log 2`, the Kullback-Leibler divergence infinite.

thetas = np.linspace(-1.0, 1.0, 41)
w = [monge.wasserstein(line(0.0), line(theta), p=1) for theta in thetas]
print("largest |W1 - |theta||:", np.abs(w - np.abs(thetas)).max())

fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.2), layout="constrained")
axes[0].plot(thetas, w, color="#0072B2")
axes[0].set_title(r"$W_1$")
for ax in axes:
    ax.set_xlabel(r"$\theta$")
for height, name, color in ((1.0, "TV", "#E69F00"), (np.log(2.0), "JS", "#0072B2")):
    axes[1].plot([-1.0, 1.0], [height, height], color=color, label=name)
    axes[1].plot(0.0, height, "o", mfc="white", color=color)
    axes[1].plot(0.0, 0.0, "o", color=color)
axes[1].set_title("TV and JS")
axes[1].legend(frameon=False, loc="lower right")
axes[1].set_ylim(-0.05, 1.1)
plt.show()

# %%
# A generator that starts at :math:`\theta = 0.8` and goes downhill learns nothing from the right picture, and
# everything from the left one: the derivative of :math:`W_1` with respect to the points says *left*, to each of them.

start = line(0.8)
t = monge.emd(monge.PointCloud(start, line(0.0), "euclidean"))
print("dW/dtheta =", t.grad_x[:, 0].sum())
# sphinx_gallery_thumbnail_number = 2
