"""
Gradients that vanish, and one that stays
=========================================

What a generator learns from a perfect classifier, and what from a perfect critic. The case against the first is that of
Arjovsky, Chintala and Bottou (2017, Figure 2). Here both are known exactly, and no network is in the way.
"""

# %%
# Data have the standard normal density :math:`p`, a generator makes the same law :math:`\theta` further on, with
# density :math:`q_\theta`. How well the best classifier tells made samples from real ones is the Jensen-Shannon
# divergence. That classifier is :math:`D = p / (p + q_\theta)`, and the derivative of the divergence with respect to
# the masses of :math:`q_\theta` is :math:`\tfrac12 \log(2 - 2 D)`, which a generator lowers: it is the loss of the
# first GAN.
#
# For :math:`W_1` the derivative with respect to masses is a potential of transport, the best critic among the functions
# with slopes of at most one. A potential from `monge.emd` may be loose where there is no mass; its transform,
# :math:`\min_i |x_i - y| - f_i`, is a critic everywhere.

import matplotlib.pyplot as plt
import numpy as np

import monge

places = np.linspace(-6.0, 16.0, 441)
cost = np.abs(places[:, None] - places)


def density(theta):
    heights = np.exp(-0.5 * (places - theta) ** 2)
    return heights / heights.sum()


p = density(0.0)


def derivatives(theta):
    """Functions of the places: of JS, and of W1, with respect to the masses of q."""
    q = density(theta)
    f = monge.emd(cost, p, q).f
    return {"JS": monge.js(p, q).grad_b, "W": (cost - f[:, None]).min(axis=0)}


theta = 6.0
found = derivatives(theta)
classifier = p / (p + density(theta))

fig, axes = plt.subplots(1, 2, figsize=(10.0, 3.2), layout="constrained")
for ax in axes:
    ax.fill_between(places, 2.5 * p / p.max(), color="0.85", linewidth=0.0)
    ax.fill_between(places, 2.5 * density(theta) / p.max(), color="#E69F00", alpha=0.3, linewidth=0.0)
    ax.set_xlim(-4.0, 10.0)
axes[0].plot(places, 5.0 * classifier, color="#D55E00", label="classifier D, from 1 to 0")
axes[1].plot(places, found["W"] - found["W"].min(), color="#0072B2", label="critic")
for ax in axes:
    ax.set_yticks([])
    ax.legend(frameon=False, loc="center right")
plt.show()

# %%
# Left, the classifier is right about everything, and so the same for all samples that are made: none of them learns
# where the data are. Right, the critic is steep everywhere. A move of the generator moves each sample by as much, so
# its gradient is the mean slope over these samples. Here it is by :math:`\theta`.


def gradient(values, theta):
    """The mean slope of a function of places, over the generator's samples."""
    return float(density(theta) @ np.gradient(values, places))


thetas = np.arange(0.5, 10.1, 0.5)
gradients = {"JS": [], "W": [], "-log D": []}
for theta in thetas:
    for name, values in derivatives(theta).items():
        gradients[name].append(gradient(values, theta))
    with_data = 0.5 * (places - theta) ** 2 - 0.5 * places**2  # log p / q
    gradients["-log D"].append(gradient(np.logaddexp(0.0, -with_data), theta))

print("theta   of JS     of W1")
for k in range(1, len(thetas), 4):
    print(f"{thetas[k]:5.1f}   {gradients['JS'][k]:.1e}   {gradients['W'][k]:.6f}")

# %%
# The gradient of the divergence falls like :math:`e^{-\theta^2 / 8}`: of a generator that is far off, nearly nothing is
# left to learn from. That of :math:`W_1` is one. Downhill from :math:`\theta = 8`, in steps of a quarter:

paths = {"JS": [8.0], "W": [8.0]}
for name, path in paths.items():
    for _ in range(40):
        path.append(path[-1] - 0.25 * gradient(derivatives(path[-1])[name], path[-1]))

fig, axes = plt.subplots(1, 2, figsize=(10.0, 3.2), layout="constrained")
styles = {"JS": ("#D55E00", "-"), "W": ("#0072B2", "-"), "-log D": ("#D55E00", ":")}
for name, (color, style) in styles.items():
    axes[0].semilogy(thetas, gradients[name], style, color=color, label=name)
axes[0].set_ylim(1e-5, 30.0)
axes[0].set_xlabel(r"$\theta$")
axes[0].set_title("size of the gradient")
for name, path in paths.items():
    axes[1].plot(path, color=styles[name][0], label=name)
axes[1].set_xlabel("steps")
axes[1].set_title(r"$\theta$ on its way down")
for ax in axes:
    ax.legend(frameon=False)
plt.show()

# %%
# Most GANs lower :math:`-\log D` in place of :math:`\log(1 - D)`, the dotted curve, which does not vanish here. It is
# the derivative of :math:`\mathrm{KL}(q_\theta | p) - 2 \, \mathrm{JS}`, of which JS has the wrong sign (Arjovsky and
# Bottou 2017, "Towards principled methods for training generative adversarial networks", Theorem 2.5). And the rest
# comes from how :math:`D` goes to zero where no data are, which no sample of the data tells a classifier. Of laws that
# share no place, as :doc:`two lines <two_lines>`, there is nothing to know.
