"""
Three critics
=============

How far two laws are apart can be said by a critic: a function that is as high as possible on the one and as low as
possible on the other. What it sees depends on the functions that it may be.
"""

# %%
# An *integral probability metric* is the largest :math:`\mathbb E f(x) - \mathbb E f(y)` over a class of functions
# (Arjovsky, Chintala and Bottou 2017, section 5). Functions with slopes of at most one give the Wasserstein distance
# :math:`W_1`, functions between -1/2 and 1/2 the total variation, and the unit ball of a reproducing kernel's space the
# maximum mean discrepancy. `discrepancy` takes any of them: the first two are trained, of the third the best function
# is known.

import matplotlib.pyplot as plt
import numpy as np
import torch

import monge
from monge import plot
from monge.neural import MLP, GradientPenalty, Kantorovich, KernelBall, TotalVariation, discrepancy
from monge.neural.toys import eight_gaussians

torch.set_num_threads(1)
CLASSES = {
    "slopes of at most one": Kantorovich(GradientPenalty(10.0, one_sided=True)),
    "values between -1/2 and 1/2": TotalVariation(),
    "a Gaussian kernel's ball": KernelBall((0.3,)),
}
TRAINING = {"network": MLP(2, 1, hidden=(64, 64)), "lr": 2e-3, "rng": 0}

# %%
# First the two parallel lines of :doc:`/gallery/two_lines`, :math:`\theta` apart. Dots are what the critics found,
# lines what there is to be found.

heights = (np.arange(60) + 0.5) / 60
thetas = np.linspace(-1.2, 1.2, 8)


def line(theta):
    return np.column_stack([np.full_like(heights, theta), heights])


many = np.linspace(-1.2, 1.2, 121)
exact = [
    np.abs(many),
    np.where(many == 0.0, 0.0, 1.0),
    [monge.mmd(line(0.0), line(theta), bandwidth=0.3) ** 0.5 for theta in many],
]
fig, axes = plt.subplots(1, 3, figsize=(10.0, 3.0), layout="constrained", sharex=True, sharey=True)
for ax, (name, functions), truth, metric in zip(axes, CLASSES.items(), exact, ("$W_1$", "TV", "MMD"), strict=True):
    found = [discrepancy(line(0.0), line(t), functions, n_steps=100, batch_size=64, **TRAINING).value for t in thetas]
    ax.plot(many, truth, color="0.6")
    ax.plot(thetas, found, "o", color="#0072B2", markersize=4.0)
    ax.set_title(f"{metric}: {name}", fontsize=10)
    ax.set_xlabel(r"$\theta$")
plt.show()

# %%
# All three can tell the lines apart. Only the first says how far there is to go. The second has the same value
# everywhere, and so no gradient for a generator to follow; the third has one as far as its kernel reaches.
#
# Now eight Gaussians, in blue, and a generator that has found three of them only, in orange. The background is the
# critic: a generator moves its samples downhill, from orange to blue.

many = eight_gaussians(5000, rng=0)
angle = np.arctan2(many[:, 1], many[:, 0])
made, real = many[(angle > -0.3) & (angle < 1.9)][:1500], eight_gaussians(1500, rng=1)
fig, axes = plt.subplots(1, 3, figsize=(10.0, 3.6), layout="constrained")
for ax, (name, functions) in zip(axes, CLASSES.items(), strict=True):
    found = discrepancy(made, real, functions, n_steps=300, batch_size=128, **TRAINING)
    plot.critic(found.witness, made[::5], real[::5], ax, limits=(-2.9, 2.9, -2.9, 2.9))
    ax.set_title(f"{name}: {found.value:.2f}", fontsize=10)
    ax.get_legend().remove()
    ax.set_axis_off()
plt.show()

# %%
# The Lipschitz critic is a slope all the way from where there is too much to where there is too little. The bounded one
# is two plateaus and a cliff: on a plateau nothing says where to go. The kernel's is local, too: hills and hollows of
# the size of its bandwidth, and flat between them.
#
# The values in the titles are about those of the exact distances; the first is a little above, since a penalty lets
# slopes grow.

w, m = monge.wasserstein(made, real, p=1), monge.mmd(made, real, bandwidth=0.3) ** 0.5
print(f"W1 {w:.2f}, TV {5 / 8:.2f}, MMD {m:.2f}")

# %%
# Each of the three is a model as well. `monge.neural.WGANGP` and `monge.neural.WGAN` train the first beside a
# generator, `monge.neural.EBGAN` the second, and `monge.neural.GMMN` needs no critic but the third.

# sphinx_gallery_thumbnail_number = 2
