"""
Temperatures: near misses and wild guesses
==========================================

A forecast that misses by one degree is better than one that misses by six. Which distances know that?
"""

# %%
# Tomorrow's temperature is one of 21, 22, ..., 29 degrees. What will happen is on the left; two forecasts say the same
# thing with the same confidence, one of them a degree too high and the other six.

import matplotlib.pyplot as plt
import numpy as np

import monge

degrees = np.arange(21, 30)
shape = np.array([0.0, 0.2, 0.6, 0.2])
truth, near, far = np.zeros((3, len(degrees)))
truth[0:4], near[1:5], far[5:9] = shape, shape, shape

fig, axes = plt.subplots(1, 3, figsize=(10.0, 2.6), sharey=True, layout="constrained")
for ax, (name, histogram) in zip(axes, {"truth": truth, "near": near, "far": far}.items(), strict=True):
    ax.bar(degrees, histogram, color="#0072B2" if name == "truth" else "#E69F00")
    ax.set_title(name)
    ax.set_xlabel("degrees")
plt.show()

# %%
# The distances of Kullback and Leibler, of Jensen and Shannon, and in total variation compare what both say about the
# same degree. None of them ever compares 23 with 24. The Wasserstein distance asks how far the mass has to go.


def wasserstein(p, q):
    return monge.wasserstein_1d(degrees, degrees, p, q)


print("            KL     JS     TV     W1")
for name, forecast in (("near", near), ("far", far)):
    numbers = (distance(truth, forecast) for distance in (monge.kl, monge.js, monge.tv, wasserstein))
    print(f"{name:>6}", *(f"{number:6.3f}" for number in numbers))

# %%
# Slide the forecast from where it is right to where it is as wrong as it can be. As soon as the two have nothing in
# common, three of the four curves are flat, or not even finite. They cannot tell a forecaster which way to go.

fine = np.linspace(21.0, 29.0, 161)
bump = np.exp(-(((fine - 23.0) / 0.35) ** 2)) * (np.abs(fine - 23.0) < 1.0)
bump /= bump.sum()
shifts = np.arange(0, 101, 2)
curves = {"KL": [], "JS": [], "TV": [], "W1": []}
for k in shifts:
    moved = np.roll(bump, k)
    values = [distance(bump, moved) for distance in (monge.kl, monge.js, monge.tv)]
    values.append(monge.wasserstein_1d(fine, fine, bump, moved))
    for curve, value in zip(curves.values(), values, strict=True):
        curve.append(value)

fig, axes = plt.subplots(1, 4, figsize=(11.0, 2.6), layout="constrained")
for ax, (name, curve) in zip(axes, curves.items(), strict=True):
    ax.plot(0.05 * shifts, curve, color="#0072B2")
    ax.set(title=name, xlabel="miss, in degrees", xlim=(-0.1, 5.0))
    ax.set_ylim(bottom=0.0)
axes[0].plot(0.0, 0.0, "o", color="#0072B2", clip_on=False)
axes[0].text(2.5, 0.5, "infinite,\nbut for no miss at all", ha="center", va="center")
axes[0].set(ylim=(0.0, 1.0), yticks=[0.0])
plt.show()
# sphinx_gallery_thumbnail_number = 2
