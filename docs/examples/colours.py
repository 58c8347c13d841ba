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
# ``monge color-transfer photo.jpg painting.jpg -o out.png``.

back = monge.color_transfer(target, source, colors=300)
fig, ax = plt.subplots(figsize=(4.0, 3.0), layout="constrained")
ax.imshow(back)
ax.set_title("and the other way round")
ax.set_axis_off()
plt.show()
