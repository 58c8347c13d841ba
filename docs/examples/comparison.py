"""
All models on one sheet
=======================

Eight Gaussians, handwritten digits, faces: what each model of ``monge.neural`` makes of them, and its figures. On this
page training is cut short; ``python comparison.py --full`` takes half an hour.
"""

# %%
# All models learn from the same samples with the same seed. In full each has its defaults. Here it has a share of its
# iterations, smaller batches and a higher rate, which shows how far each has come after two seconds, and not which is
# best: models that need no second network are ahead early.

import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage.data import lfw_subset
from sklearn.datasets import load_digits

from monge import neural
from monge.neural.metrics import modes, novelty, ratio, sd_ratio
from monge.neural.toys import EIGHT_CENTERS, EIGHT_SD, eight_gaussians

threads = torch.get_num_threads()
torch.set_num_threads(1)  # in networks as small as these, threads wait for each other

FULL = "--full" in sys.argv
MODELS = {
    "GAN": (neural.GAN, {}),
    "WGAN": (neural.WGAN, {}),
    "WGAN-GP": (neural.WGANGP, {}),
    "minibatch W2": (neural.MinibatchGenerator, {"loss": "emd"}),
    "Sinkhorn divergence": (neural.MinibatchGenerator, {"loss": "sinkhorn"}),
    "sliced": (neural.MinibatchGenerator, {"loss": "sliced"}),
    "energy": (neural.MinibatchGenerator, {"loss": "energy"}),
    "MMD": (neural.MinibatchGenerator, {"loss": "mmd"}),
    "OTM": (neural.OTM, {}),
    "UOTM": (neural.UOTM, {"entropy": "softplus"}),
    "S-JKO": (neural.SJKO, {"functional": "softplus"}),
}


def trained(name, train, share, **settings):
    """The model, and seconds of the processor that it took to learn. The share is of its iterations, but in full."""
    kind, own = MODELS[name]
    settings = {"n_steps": kind.n_steps, **own, **settings}
    if not FULL:
        settings |= {"n_steps": round(share * settings["n_steps"]), "batch_size": 64, "lr": 2.0 * kind.lr}
    start = time.process_time()
    model = kind(rng=0, **settings).fit(train)
    return model, time.process_time() - start


def figures(samples, held_out, train):
    """As text: the ratio of W2, the sliced one, that of standard deviations, and how new samples are."""
    samples = samples[: len(held_out)]
    distances = (ratio(samples, held_out, train, sliced=sliced, threads=1) for sliced in (False, True))
    return "".join(f"{x:9.2f}" for x in (*distances, sd_ratio(samples, train), novelty(samples, train, held_out)))


def show(name):
    if FULL:
        plt.savefig(f"comparison-{name}.png", dpi=150)
    plt.show()


HEADER = "W2 ratio   sliced  std r.  novelty"

# %%
# Eight Gaussians
# ---------------
#
# A mode is found that has more than 2 % of the samples within three standard deviations. Ratios are to what true
# samples differ by: :doc:`/chapters/judging` says how to read them.

train, held_out = eight_gaussians(8000, rng=0), eight_gaussians(4000 if FULL else 1000, rng=1)
fig, axes = plt.subplots(2, 6, figsize=(12.0, 4.3), layout="constrained")
print(f"{'':20s}modes share {HEADER}  CPU s")
for ax, name in zip(axes.flat, ["true", *MODELS], strict=True):
    if name == "true":
        samples, seconds = eight_gaussians(len(held_out), rng=2), 0.0
    else:
        model, seconds = trained(name, train, share=0.08)
        samples = model.sample(len(held_out), rng=0)
    found = modes(samples, EIGHT_CENTERS, EIGHT_SD)
    print(f"{name:20s}{found.found:5d}{found.share:6.2f}{figures(samples, held_out, train)}{seconds:7.1f}")
    ax.scatter(*samples[:1000].T, s=2.0, linewidths=0.0, color="0.3" if name == "true" else "#0072B2")
    ax.set_xlim(-3.0, 3.0)
    ax.set_ylim(-3.0, 3.0)
    ax.set_title(name)
    ax.set_aspect("equal")
    ax.set_axis_off()
show("eight")

# %%
# Digits
# ------
#
# 1,347 digits of 8 x 8 pixels, and 450 others to be judged by.

images = load_digits().images / 8.0 - 1.0
images = images[np.random.default_rng(0).permutation(len(images))]
train, held_out = images[:1347], images[1347:]
fig, axes = plt.subplots(6, 2, figsize=(11.0, 5.2), layout="constrained")
print(f"{'':20s}{HEADER}  CPU s")
for ax, name in zip(axes.T.flat, ["true", *MODELS], strict=True):
    if name == "true":
        samples, seconds = train[:450], 0.0
    else:
        model, seconds = trained(name, train, share=0.03)
        samples = model.sample(450, rng=0)
        print(f"{name:20s}{figures(samples, held_out, train)}{seconds:7.1f}")
    ax.imshow(np.concatenate(list(samples[:12]), axis=1), cmap="Greys", vmin=-1.0, vmax=1.0)
    ax.set_title(name, fontsize=9)
    ax.set_axis_off()
show("digits")

# %%
# Faces
# -----
#
# A hundred faces of 25 x 25 pixels, twenty of which are held out, are few to learn from. With the convolutional pair
# what is learned at one place holds at others. Below each face that was made stands the one of the eighty learned from
# that is nearest to it: a model that has them by heart shows itself there, and by a novelty near 0. Among so few, and
# in so many dimensions, the ratio of W2 says next to nothing: smooth noise has 1, and means of faces have less, with
# little more than half of the deviation.

images = 2.0 * lfw_subset()[:100] - 1.0
images = images[np.random.default_rng(0).permutation(len(images))]
train, held_out = images[:80], images[80:]
FACES = {
    "minibatch W2": {"n_steps": 2000, "batch_size": 64},
    "WGAN-GP": {"n_steps": 1000, "batch_size": 32, "potential_steps": 2},
}
fig, axes = plt.subplots(2, len(FACES), figsize=(12.0, 2.5), layout="constrained")
print(f"{'':20s}{HEADER}  CPU s")
for column, (name, settings) in zip(axes.T, FACES.items(), strict=True):
    torch.manual_seed(0)
    networks = {"map": neural.ConvGenerator(64, (25, 25), channels=16)}
    if name == "WGAN-GP":
        networks["potential"] = neural.ConvCritic((25, 25), channels=16)
    model, seconds = trained(name, train, share=0.025, latent=64, ema=0.99, **settings, **networks)
    samples = model.sample(20, rng=0)
    print(f"{name:20s}{figures(samples, held_out, train)}{seconds:7.1f}")
    apart = ((samples[:, None] - train) ** 2).sum(axis=(2, 3))
    for ax, row in zip(column, (samples, train[apart.argmin(axis=1)]), strict=True):
        ax.imshow(np.concatenate(list(row[:10]), axis=1), cmap="gray", vmin=-1.0, vmax=1.0)
        ax.set_axis_off()
    column[0].set_title(name)
show("faces")

torch.set_num_threads(threads)
