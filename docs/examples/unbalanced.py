"""
When not everything has a match
===============================

Real data come with outliers, and with totals that differ. Three ways to leave mass where it is.
"""

# %%
# A cloud, another one to the right of it, and four stray points far below that one. Balanced transport must use
# everything: strays too have to be served, from far away.

import matplotlib.pyplot as plt
import numpy as np

import monge

rng = np.random.default_rng(1)
x = rng.normal(size=(40, 2)) * 0.5
strays = np.column_stack([rng.uniform(1.0, 3.0, 4), np.full(4, -9.0) + 0.3 * rng.normal(size=4)])
y = np.concatenate([rng.normal(size=(36, 2)) * 0.5 + [4.0, 0.0], strays])
cost = monge.PointCloud(x, y)


def draw(ax, plan, title):
    plan = np.asarray(plan)
    for i, j in np.argwhere(plan > 0.05 * plan.max()):
        ax.plot([x[i, 0], y[j, 0]], [x[i, 1], y[j, 1]], color="0.3", linewidth=0.5, alpha=min(1.0, 20.0 * plan[i, j]))
    # The area of a dot is the mass that the plan uses of it; a ring is what there is.
    for points, used, color in ((x, plan.sum(axis=1), "#0072B2"), (y, plan.sum(axis=0), "#E69F00")):
        ax.scatter(*points.T, s=24, facecolors="none", edgecolors=color, linewidths=0.6)
        ax.scatter(*points.T, s=24 * 40 * used, color=color, linewidths=0.0)
    ax.set_title(title)
    ax.set_aspect("equal")
    ax.set_axis_off()


fig, axes = plt.subplots(1, 4, figsize=(12.0, 5.6), layout="constrained")
draw(axes[0], monge.emd(cost).plan.toarray(), "balanced")
draw(axes[1], monge.partial(cost, mass=0.9).plan.toarray(), "partial, nine tenths")
options = {"eps": 0.5, "tol": 1e-6}
draw(axes[2], monge.sinkhorn(cost, marginals=monge.KL(20.0), **options).plan.toarray(), "KL, rho = 20")
draw(axes[3], monge.sinkhorn(cost, marginals=monge.TV(20.0), **options).plan.toarray(), "TV, rho = 20")
plt.show()

# %%
# `monge.partial` moves a given amount of mass, whichever is cheapest. The penalties price what is left out instead:
# under ``KL(rho)`` every point gives up a little, the more the farther it has to go; under ``TV(rho)`` a point is in or
# out, and no pair is used that costs more than twice rho.
#
# Which rho? It is a cost: the price of dropping a unit of mass on one side. Here are the masses that each penalty
# moves.

print("   rho   KL moves   TV moves")
for rho in (2.0, 5.0, 10.0, 20.0, 50.0, 100.0):
    moved = (float(monge.sinkhorn(cost, marginals=kind(rho), **options).plan.sum()) for kind in (monge.KL, monge.TV))
    print(f"{rho:6g}", *(f"{mass:10.3f}" for mass in moved))
