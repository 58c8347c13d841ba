"""
What entropy does to a plan
===========================

From the exact plan to a blur, by the size of eps alone.
"""

# %%
# Two histograms on a line, with the squared distance for a cost. The exact plan is a curve: almost every place has one
# target. With entropy the curve becomes a band, about :math:`\sqrt{\varepsilon}` wide.

import matplotlib.pyplot as plt
import numpy as np

import monge

place = np.linspace(0.0, 1.0, 120)
a = np.exp(-(((place - 0.25) / 0.09) ** 2)) + 0.02
b = 0.6 * np.exp(-(((place - 0.55) / 0.06) ** 2)) + np.exp(-(((place - 0.85) / 0.05) ** 2)) + 0.02
a, b = a / a.sum(), b / b.sum()
cost = monge.PointCloud(place, place)

exact = monge.emd(cost, a, b)
fig, axes = plt.subplots(1, 4, figsize=(12.0, 3.4), sharey=True, layout="constrained")
plans = {"exact": exact.plan.toarray()}
for eps in (1e-4, 1e-3, 1e-2):
    plans[f"eps = {eps:g}"] = monge.sinkhorn(cost, a, b, eps=eps).plan.toarray()
for ax, (name, plan) in zip(axes, plans.items(), strict=True):
    ax.imshow(np.sqrt(plan), cmap="Greys", extent=(0.0, 1.0, 1.0, 0.0))
    ax.set_title(name)
    ax.set_xlabel("to")
axes[0].set_ylabel("from")
plt.show()

# %%
# What it costs
# -------------
#
# The blurred plan costs more than the best one, ``cost`` here, and that price vanishes with eps. The entropic objective
# ``value`` adds the entropy itself. Both come from a plan that is only nearly feasible; ``rounded()`` makes one that
# is, with a certificate: the optimum lies between ``cost - gap`` and ``cost`` of that.

sizes = np.logspace(-5, -1, 9)
solved = [monge.sinkhorn(cost, a, b, eps=eps) for eps in sizes]
rounded = [t.rounded() for t in solved]
fig, ax = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
ax.axhline(exact.value, color="0.4", linewidth=1.0, label="exact optimum")
ax.plot(sizes, [t.cost for t in solved], "o-", color="#0072B2", markersize=4, label="cost of the blurred plan")
ax.fill_between(
    sizes, [r.cost - r.gap for r in rounded], [r.cost for r in rounded], color="#E69F00", alpha=0.4, label="certified"
)
ax.set_xscale("log")
ax.set_xlabel("eps")
ax.set_ylabel("cost")
ax.set_ylim(0.85 * exact.value, 1.15 * exact.value)
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# And what it takes
# -----------------
#
# The smaller eps, the more passes over all pairs until the sums of the plan are right. That is the bargain: blur
# against time. A few percent of the mean cost is where most people stop.

mean_cost = float(np.mean((place[:, None] - place) ** 2))
for eps, t in zip(sizes, solved, strict=True):
    print(f"eps = {eps:7.0e}, {eps / mean_cost:8.3%} of the mean cost: {t.iterations:4d} passes, {t.status.name}")
# sphinx_gallery_thumbnail_number = 2
