"""
Labels that move with the data
==============================

A classifier was trained in one place and is used in another, where things look different and nobody has labelled
anything. Transport says what became of what.
"""

# %%
# Two moons with labels. Elsewhere the same moons were turned and moved, and come without labels. What was learned here
# is wrong there.

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.datasets import load_digits, make_moons
from sklearn.neighbors import KNeighborsClassifier

import monge

X, y = make_moons(200, noise=0.05, random_state=0)
T, hidden = make_moons(220, noise=0.05, random_state=1)
angle = np.radians(40.0)
T = T @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]] + [0.3, -0.2]


def score(moved):
    """The part of the targets whose nearest source, after the move, has the right label."""
    return KNeighborsClassifier(1).fit(moved, y).score(T, hidden)


def draw(ax, moved, title):
    ax.scatter(*T.T, s=12, color="0.8")
    for label, color in enumerate(("#0072B2", "#E69F00")):
        ax.scatter(*moved[y == label].T, s=9, color=color)
    ax.set_title(f"{title}: {score(moved):.0%}")
    ax.set(xlim=(-1.5, 2.4), ylim=(-1.35, 1.65), aspect="equal")
    ax.set_axis_off()


fig, axes = plt.subplots(2, 3, figsize=(10.0, 6.0), layout="constrained")
draw(axes[0, 0], X, "before")
for ax, method in zip(axes.flat[1:], ("exact", "entropic", "gaussian", "group", "affine"), strict=True):
    draw(ax, monge.TransportMap(method).fit(X, y, target=T).transform(X), method)
plt.show()

# %%
# The source, in colours, was moved onto the target, in grey. The exact plan puts it on the target to the point, and
# takes the ends of the moons for each other: a rotation is not the cheapest way. What asks for more is better off: that
# a class stays together, or that the map is affine.

# %%
# Real data: digits, and other digits as a worse camera sees them, at half the resolution, at half the contrast, too
# bright, and with noise.

rng = np.random.default_rng(0)
digits = load_digits()
order = rng.permutation(len(digits.target))[:800]
here, there = order[:400], order[400:]
images = digits.images / 16.0
coarse = images[there].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).repeat(2, axis=1).repeat(2, axis=2)
X, y = images[here].reshape(400, 64), digits.target[here]
T, hidden = (0.3 + 0.5 * coarse + 0.05 * rng.standard_normal(coarse.shape)).reshape(400, 64), digits.target[there]

print(f"no adaptation  {score(X):.3f}")
maps = {method: monge.TransportMap(method).fit(X, y, target=T) for method in ("exact", "gaussian", "group", "affine")}
for method, map in maps.items():
    print(f"{method:14} {score(map.transform(X)):.3f}")

# %%
# A few digits, as they are and as the maps send them, above some digits of the target.

rows = {"source": X, **{method: map.transform(X) for method, map in maps.items()}, "target": T}
fig, axes = plt.subplots(len(rows), 10, figsize=(8.0, 5.0), layout="constrained")
for line, (name, pictures) in zip(axes, rows.items(), strict=True):
    for ax, picture in zip(line, pictures, strict=False):
        ax.imshow(picture.reshape(8, 8), cmap="gray", vmin=0.0, vmax=1.0)
        ax.set_xticks([])
        ax.set_yticks([])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Colours are points, too. A map that was fitted to some hundred pixels of two photographs moves all pixels of the first
# one to the colours of the second; `monge.color_transfer` is made for that, and does it better. A few colours may leave
# what a screen can show, and are cut off.


def smaller(picture):
    """Means of three by three pixels."""
    rows, columns = (side // 3 for side in picture.shape[:2])
    return picture[: 3 * rows, : 3 * columns].reshape(rows, 3, columns, 3, 3).mean(axis=(1, 3)) / 255.0


rocket, coffee = smaller(data.rocket()), smaller(data.coffee())
some, others = (picture.reshape(-1, 3)[::107] for picture in (rocket, coffee))
fig, axes = plt.subplots(2, 3, figsize=(10.0, 4.8), layout="constrained")
shown = {"source": rocket, "target": coffee}
for method in ("exact", "entropic", "gaussian", "kernel"):
    map = monge.TransportMap(method).fit(some, target=others)
    shown[method] = np.clip(map.transform(rocket.reshape(-1, 3)).reshape(rocket.shape), 0.0, 1.0)
for ax, (name, picture) in zip(axes.flat, shown.items(), strict=True):
    ax.imshow(picture)
    ax.set_title(name)
    ax.set_axis_off()
plt.show()
