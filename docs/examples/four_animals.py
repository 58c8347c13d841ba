"""
Four animals: a plan, and its prices
====================================

The smallest example with all parts of the theory in it: a linear programme of sixteen variables, its dual, and what
entropy does to both.
"""

# %%
# Two opinions about a picture: is it a dog, a cat, a lion or a bird? Mass that has to move between kinds costs 2, only
# between cat and lion, which are both cats, it costs 1.

import matplotlib.pyplot as plt
import numpy as np

import monge

animals = ["dog", "cat", "lion", "bird"]
C = np.array([[0.0, 2.0, 2.0, 2.0], [2.0, 0.0, 1.0, 2.0], [2.0, 1.0, 0.0, 2.0], [2.0, 2.0, 2.0, 0.0]])
a = np.array([0.2, 0.5, 0.2, 0.1])
b = np.array([0.3, 0.3, 0.4, 0.0])

t = monge.emd(C, a, b)
print("value", t.value, " gap", t.gap)


def draw(ax, matrix, title, shades="Blues", limits=(0.0, 0.5)):
    ax.imshow(matrix, cmap=shades, vmin=limits[0], vmax=limits[1])
    for i, j in np.ndindex(matrix.shape):
        ink = "white" if matrix[i, j] > 0.7 * limits[1] else "black"
        ax.text(j, i, f"{matrix[i, j]:.2f}".rstrip("0").rstrip("."), ha="center", va="center", color=ink)
    ax.set_xticks(range(4), animals)
    ax.set_yticks(range(4), animals)
    ax.set_title(title)


fig, axes = plt.subplots(1, 3, figsize=(11.0, 3.8), layout="constrained")
draw(axes[0], C, "cost C", "Greys", (0.0, 4.0))
draw(axes[1], t.plan.toarray(), "cheapest plan P")
draw(axes[2], C - t.f[:, None] - t.g, "slack C - f - g", "Oranges", (0.0, 4.0))
plt.show()

# %%
# Read the plan by rows: of the half that the first opinion gives to the cat, 0.3 stay a cat and 0.2 become a lion; the
# bird becomes a dog. Where the plan is not zero the slack on the right is zero: that is complementary slackness, and
# the proof that no plan is cheaper.
#
# A little entropy
# ----------------
#
# `monge.sinkhorn` spreads the plan out. The larger eps is, the closer it comes to the product of the two opinions,
# which knows nothing of the costs.

fig, axes = plt.subplots(1, 4, figsize=(13.0, 3.4), layout="constrained")
for ax, eps in zip(axes, (0.05, 0.2, 1.0, 10.0), strict=True):
    s = monge.sinkhorn(C, a, b, eps=eps, tol=1e-9)
    draw(ax, s.plan.toarray(), f"eps = {eps:g}, cost {s.cost:.3f}")
plt.show()
