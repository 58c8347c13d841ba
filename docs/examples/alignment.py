"""
Shapes that share no space
==========================

A spiral staircase and a spiral on paper, a figure and what a bent mirror shows of it: what belongs to what, if all that
is known are distances within each?
"""

# %%
# Colours go from one end of the staircase to the other, and the plan carries them over to the spiral in the plane. What
# went in are two lists of points without order, of three and of two coordinates.

import matplotlib.pyplot as plt
import numpy as np

import monge

rng = np.random.default_rng(0)


def spiral(s, height):
    radius = 1.0 - 0.75 * s
    return np.column_stack([radius * np.cos(10.0 * s), radius * np.sin(10.0 * s), height * s])


s, t = np.sort(rng.uniform(size=300)), rng.uniform(size=250)
stairs = spiral(s, 1.0)
turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
paper = spiral(t, 0.0)[:, :2]

match = monge.gromov_wasserstein(stairs @ turn, paper)
carried = match.plan.T @ s * len(paper)

fig = plt.figure(figsize=(9.0, 4.2), layout="constrained")
axes = fig.add_subplot(1, 2, 1, projection="3d")
axes.scatter(*stairs.T, c=s, s=14)
axes.set_box_aspect(np.ptp(stairs, axis=0), zoom=1.3)
axes.view_init(elev=25, azim=-60)
axes.set_title("in space")
axes.set_axis_off()
axes = fig.add_subplot(1, 2, 2)
axes.scatter(*paper.T, c=carried, s=14)
axes.set_title("in the plane, by the plan")
axes.set_aspect("equal")
axes.set_axis_off()
plt.show()
print(f"value {match.value:.3f}, and no plan is below {match.lower_bound:.3f}")
print(f"correlation of places along both: {abs(np.corrcoef(carried, t)[0, 1]):.3f}")

# %%
# The match is no isometry, and cannot be: the staircase is higher. Where it goes wrong, one turn is taken for the next.
#
# A figure and its image in a bent mirror, turned. There are many plans that no other improves to first order; the best
# of a few descents is kept, and ``starts`` has the values of all.

angle = np.linspace(0.0, 2.0 * np.pi, 160, endpoint=False)
radius = 1.0 + 0.35 * np.cos(3.0 * angle) + 0.25 * np.cos(angle - 0.7) + 0.15 * np.sin(5.0 * angle)
figure = np.column_stack([radius * np.cos(angle), 0.8 * radius * np.sin(angle)])
c, d = np.cos(2.2), np.sin(2.2)
bent = figure * [-1.1, 1.0] + 0.1 * figure[:, ::-1] ** 2
image = bent @ np.array([[c, -d], [d, c]]) + [4.5, 0.0]

found = monge.gromov_wasserstein(figure, image, n_starts=5, rng=0)
goal = found.map(image)

# sphinx_gallery_thumbnail_number = 2
fig, axes = plt.subplots(figsize=(8.0, 3.6), layout="constrained")
for k in range(0, len(figure), 8):
    axes.plot(*np.transpose([figure[k], goal[k]]), color="0.6", linewidth=0.6)
axes.scatter(*figure.T, c=angle, cmap="hsv", s=12)
axes.scatter(*goal.T, c=angle, cmap="hsv", s=12)
axes.set_aspect("equal")
axes.set_axis_off()
plt.show()
print("descents ended at", found.starts.round(4))
off = np.linalg.norm(goal - image, axis=1)
print(f"points of the figure that go within a tenth of their image: {np.mean(off < 0.1):.0%}")
