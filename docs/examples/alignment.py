"""
Shapes that share no space
==========================

A curve in space and its shadow in the plane, a swarm and its mirror image: what belongs to what, if all that is known
are distances within each?
"""

# %%
# A spiral staircase, seen from nowhere in particular, and a plane spiral with as many turns. Colours go from one end of
# the staircase to the other; those of the plane spiral are carried over by the plan. Neither the order of the points
# nor a common space went in.

import matplotlib.pyplot as plt
import numpy as np

import monge

rng = np.random.default_rng(0)
s = np.sort(rng.uniform(0.0, 1.0, 300))
stairs = np.column_stack([np.cos(9.0 * s), np.sin(9.0 * s), 6.0 * s]) * (1.0 - 0.6 * s)[:, np.newaxis]
stairs = stairs @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
t = np.sort(rng.uniform(0.0, 1.0, 250))
order = rng.permutation(250)
path = np.column_stack([6.0 * t * (1.0 - 0.6 * t), 0.7 * np.cos(9.0 * t)])[order]

match = monge.gromov_wasserstein(stairs, path)
back = np.asarray(match.plan.T @ s) * len(path)

fig = plt.figure(figsize=(9.0, 3.8), layout="constrained")
axes = fig.add_subplot(1, 2, 1, projection="3d")
axes.scatter(*stairs.T, c=s, cmap="viridis", s=12)
axes.set_title("in space")
axes.set_axis_off()
axes = fig.add_subplot(1, 2, 2)
axes.scatter(*path.T, c=back, cmap="viridis", s=12)
axes.set_title("in the plane, by the plan")
axes.set_aspect("equal")
axes.set_axis_off()
plt.show()
print(f"value {match.value:.3f}, no plan below {match.lower_bound:.3f}")
print(f"correlation of places along both curves: {abs(np.corrcoef(back, t[order])[0, 1]):.3f}")

# %%
# Where one starts decides what is found. A figure and its mirror image, turned: the product of the weights, which is
# where a descent begins that knows nothing, may lead to a plan that is stationary and wrong. Principal axes, with all
# their signs, do not.

angle = np.linspace(0.0, 2.0 * np.pi, 160, endpoint=False)
radius = 1.0 + 0.35 * np.cos(3.0 * angle) + 0.25 * np.cos(angle - 0.7) + 0.15 * np.sin(5.0 * angle)
figure = np.column_stack([radius * np.cos(angle), 0.8 * radius * np.sin(angle)])
c, d = np.cos(2.2), np.sin(2.2)
mirrored = (figure * [-1.0, 1.0]) @ np.array([[c, -d], [d, c]])

fig, panels = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
for axes, init in zip(panels, ("product", None), strict=True):
    found = monge.gromov_wasserstein(figure, mirrored, init=init)
    goal = found.map(mirrored + [4.0, 0.0])
    for k in range(0, len(figure), 4):
        axes.plot(*np.transpose([figure[k], goal[k]]), color="0.6", linewidth=0.6)
    axes.scatter(*figure.T, c=angle, cmap="twilight", s=10)
    axes.scatter(*goal.T, c=angle, cmap="twilight", s=10)
    axes.set_title(f"from {'the product' if init else 'principal axes'}: value {found.value:.2g}")
    axes.set_aspect("equal")
    axes.set_axis_off()
plt.show()
