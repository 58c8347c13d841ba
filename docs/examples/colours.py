"""
A picture in the colours of another
===================================

Pixels are points in the space of colours. Moving one cloud of colours onto the other, at the least change, gives a
picture the palette of another one.
"""

# %%
# Two photographs that come with scikit-image, made small here.

import matplotlib.pyplot as plt
from skimage import data

import monge
from monge.maps.color import transfer_colors

source, target = data.rocket()[::4, ::4], data.coffee()[::4, ::4]
found = transfer_colors(source, target, colors=300)

fig, axes = plt.subplots(1, 3, figsize=(12.0, 3.2), layout="constrained")
for ax, (name, picture) in zip(
    axes, {"source": source, "target": target, "source in the target's colours": found.image}.items(), strict=True
):
    ax.imshow(picture)
    ax.set_title(name)
    ax.set_axis_off()
plt.show()

# %%
# What happened in between: each picture is summed up by a palette of 300 colours with the share of its pixels, and
# `monge.emd` finds the exact plan between the palettes. Here are both, seen along the blue axis.

fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.0), sharex=True, sharey=True, layout="constrained")
for ax, colors, weights, name in (
    (axes[0], found.source_palette, found.source_weights, "source"),
    (axes[1], found.target_palette, found.target_weights, "target"),
):
    ax.scatter(colors[:, 0], colors[:, 1], s=12000.0 * weights, c=colors, edgecolors="0.5", linewidths=0.3)
    ax.set_title(f"palette of the {name}")
    ax.set_xlabel("red")
axes[0].set_ylabel("green")
plt.show()

t = found.transport
print(f"{t.shape[0]} x {t.shape[1]} colours, W2 = {t.value**0.5:.3f}, certified to within {t.gap:.1e}")

# %%
# `monge.color_transfer` is the same in one call, and the command line does it to files:
# ``monge color-transfer photo.jpg painting.jpg -o out.png``. One plan serves both directions. Here all pixels take part
# rather than a palette: in each of four epochs they are shuffled and transported in batches, and a pixel takes the mean
# of the colours that arrived. Small batches see little of a picture, and means over them are dull. Here they are drawn
# at random; without ``strata=False`` each has colours from all parts of the picture, and is as good as one three times
# as large.

fig, axes = plt.subplots(2, 3, figsize=(10.0, 5.4), layout="constrained")
for column, m in zip(axes.T, (10, 100, 1000), strict=True):
    there, back = monge.color_transfer(source, target, method="minibatch", batch_size=m, strata=False, both=True, rng=0)
    for ax, picture, wanted in zip(column, (there, back), (target, source), strict=True):
        ax.imshow(picture)
        ax.set_title(f"m = {m}: {picture.std(axis=(0, 1)).mean() / wanted.std(axis=(0, 1)).mean():.0%} as colourful")
        ax.set_axis_off()
plt.show()

# %%
# For the frames of a video the map is fitted once, so that a colour goes to the same place in all of them. With
# ``chroma=True`` only hue and saturation move; light and shadow stay. Both work with all methods, and the map knows its
# inverse.

colors = monge.ColorMap(chroma=True, colors=300).fit(source, target)
frames = [data.rocket()[40 * k : 40 * k + 240 : 2, 40 * k : 40 * k + 400 : 2] for k in range(4)]

fig, axes = plt.subplots(2, 4, figsize=(12.0, 3.8), layout="constrained")
for column, frame in zip(axes.T, frames, strict=True):
    for ax, picture in zip(column, (frame, colors.apply(frame)), strict=True):
        ax.imshow(picture)
        ax.set_axis_off()
plt.show()
