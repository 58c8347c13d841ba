"""
A Boltzmann machine that knows which pictures are alike
=======================================================

A restricted Boltzmann machine is a law of pictures of black and white dots. Likelihood does not ask how far from any
digit a picture is that the machine draws. Montavon, Müller and Cuturi (2016) train it by transport, which does.
"""

# %%
# The pictures are scikit-learn's digits, 64 dots of two colours. What it costs to turn one picture into another is the
# number of dots that change, the Hamming distance, which two products of matrices give. Our unit is its mean over
# pairs of pictures.

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.datasets import load_digits

import monge

pictures = np.random.default_rng(0).permutation((load_digits().data > 7.5).astype(np.float32))
train, test = pictures[:1347], pictures[1347:]


def changes(x, y):
    """How many dots differ, of each picture x (n, d) from each y (m, d)."""
    return x @ (1.0 - y).T + (1.0 - x) @ y.T


unit = changes(train, train).mean()
print(f"two pictures differ in {unit:.1f} of 64 dots")

# %%
# The machine
# -----------
#
# Beside the dots :math:`x` there are hidden bits :math:`h`, and what is probable has a low energy
# :math:`-a \cdot x - b \cdot h - x \cdot W h`. All numbers :math:`a, b, W` stand in one matrix theta, with a one before
# :math:`x` and before :math:`h`, so that the energy is a bilinear form. Summed over :math:`h` the probability of
# a picture is proportional to :math:`e^{-F(x)}`, with the *free energy*
#
# .. math::
#
#    F_\theta(x) = - a \cdot x - \sum_j \log(1 + e^{b_j + (W' x)_j}) .
#
# Given :math:`x` the hidden bits are independent, and given :math:`h` so are the dots. Drawing one after the
# other, over and over, is a Markov chain whose pictures follow the machine.


def one_and(x):
    return np.insert(x, 0, 1.0, axis=1)


def free_energy(theta, x):
    fields = one_and(x) @ theta
    return -fields[:, 0] - np.logaddexp(0.0, fields[:, 1:]).sum(axis=1)


def mean_slope(theta, x, weights):
    """The sum of weights_n dF(x_n) / dtheta; weights (n,), or a number, of any sign."""
    return -(weights * one_and(x).T) @ one_and(expit((one_and(x) @ theta)[:, 1:]))


def gibbs(theta, x, steps, rng):
    """Pictures after so many steps of the chains that are now at x."""
    for _ in range(steps):
        for A in (theta, theta.T):  # the hidden bits, then the dots
            chances = expit((one_and(x) @ A)[:, 1:])
            x = (rng.random(chances.shape, dtype=x.dtype) < chances).astype(x.dtype)
    return x


# %%
# Two slopes
# ----------
#
# The Kullback-Leibler divergence of the data from the machine is the likelihood with a minus sign, up to a constant. It
# falls where the energy of data falls and that of the machine's own pictures rises. The latter come from chains that go
# on from one step of learning to the next.
#
# For transport let :math:`f` be the potential of the machine's pictures, the derivative of the cost with respect to
# their masses. A constant in it is free: let its mean be zero. A change of theta changes the probability of
# :math:`x` by :math:`-p(x) (\partial F(x) - E\, \partial F)`, and so
#
# .. math::
#
#    \frac{\partial W}{\partial \theta} = - \frac1N \sum_n f(x_n) \, \frac{\partial F_\theta(x_n)}{\partial \theta} :
#
# pictures that are far from all data become less probable, those near to some that are missing more. The divergence is
# kept with a small weight, as a stabiliser: a picture that no chain ever visits is seen by it alone.


def likelihood_slope(theta, x, data):
    return mean_slope(theta, data, 1.0 / len(data)) - mean_slope(theta, x, 1.0 / len(x))


def transport_slope(theta, x, data, eps, tol=1e-2):
    """Of the entropic transport from pictures x of the machine to data; cost and eps in units."""
    f = monge.sinkhorn(changes(x, data) / unit, eps=eps, tol=tol).f
    return -mean_slope(theta, x, (f - f.mean()) / len(x))


# %%
# Learning
# --------
#
# As in the paper, a machine that likelihood has trained is where transport begins: pictures of a bad machine, all far
# from the data, say little about where to go. From there two ways on with as many steps: more likelihood; or
# transport, with a fifth of the likelihood and some decay of weights.


def learn(theta, chains, slope, steps, rate, gibbs_steps, rng):
    """Descent along slope(theta, chains, data), in steps that become shorter and end at zero."""
    theta = theta.copy()
    for k in range(steps):
        chains = gibbs(theta, chains, gibbs_steps, rng)
        data = train[rng.choice(len(train), len(chains), replace=False)]
        theta -= rate * (1.0 - k / steps) * slope(theta, chains, data)
    return theta, chains


def with_transport(theta, chains, data):
    stabiliser = likelihood_slope(theta, chains, data) + 2e-3 * theta
    return transport_slope(theta, chains, data, eps=0.03) + 0.2 * stabiliser


rng = np.random.default_rng(0)
shares = train.mean(axis=0).clip(0.01, 0.99)
theta = np.zeros((65, 65), np.float32)  # 64 dots and as many hidden bits, each with a one before
theta[1:, 0] = np.log(shares / (1.0 - shares))
theta[1:, 1:] = 0.01 * rng.normal(size=(64, 64))
chains = (rng.random((300, 64)) < shares).astype(np.float32)
start, chains = learn(theta, chains, likelihood_slope, 2500, 0.1, 1, rng)
more, _ = learn(start, chains, likelihood_slope, 700, 0.1, 5, rng)
moved, _ = learn(start, chains, with_transport, 700, 3.0, 5, rng)

# %%
# New chains from pure noise draw pictures from each, to be compared with digits that no machine has seen. The last line
# is what can be hoped for: as many other true digits.


def drawn(theta):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 2, test.shape).astype(np.float32)
    return gibbs(theta, noise, 1000, rng)


samples = {"likelihood": drawn(start), "more likelihood": drawn(more), "transport": drawn(moved), "true": train[:450]}
distances = {name: monge.emd(changes(x, test)).value for name, x in samples.items()}
spreads = {name: changes(x, x).mean() for name, x in samples.items()}
print("                  W to unseen digits   dots between two")
for name in samples:
    print(f"{name:18s}{distances[name]:18.2f}{spreads[name]:19.1f}")

# %%
# Transport closes more than a third of the gap to true digits, and strokes are cleaner. The price: the pictures are a
# little more alike than digits are, since the entropic cost is least for a cloud that is narrower than the data.

fig, axes = plt.subplots(1, 3, figsize=(12.0, 4.6), layout="constrained")
for ax, name in zip(axes, ("likelihood", "transport", "true"), strict=True):
    sheet = np.pad(samples[name][:100].reshape(10, 10, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
    ax.imshow(sheet.transpose(0, 2, 1, 3).reshape(100, 100), cmap="Greys")
    ax.set_title(f"{name}: W = {distances[name]:.2f}")
    ax.set_axis_off()
plt.show()
