"""
Flow matching, straightened
===========================

A flow matching model learns a field of velocities that carries noise to data. Which noise goes to which data it is
shown in pairs, and paths of pairs made at random cross each other, which paths of a flow cannot: so they bend. Pairs
from optimal transport, batch by batch, hardly cross, and the flow gets by with a few steps.
"""

# %%
# Shown a point :math:`x_0` of noise and :math:`x_1` of data, the field :math:`v(x, t)` learns :math:`x_1 - x_0` at
# :math:`x = (1 - t)\, x_0 + t\, x_1`, by least squares, for random t. All that the coupling changes is one line of the
# loop: `monge.couple` says which rows of the two batches belong together.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

import monge

torch.set_num_threads(1)
plain, coupled = "#E69F00", "#0072B2"


def field(dimension, width):
    """A network with two hidden layers, of points and times."""
    return torch.nn.Sequential(
        torch.nn.Linear(dimension + 1, width),
        torch.nn.SiLU(),
        torch.nn.Linear(width, width),
        torch.nn.SiLU(),
        torch.nn.Linear(width, dimension),
    )


def train(draw, dimension, width, steps, pair, batch=128, seed=0):
    """A field trained on batches ``draw(n, rng)`` of data, with pairs by transport or as they come."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = field(dimension, width)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x0, x1 = torch.randn(batch, dimension), draw(batch, rng)
        if pair:
            i, j = monge.couple(x0, x1)
            x0, x1 = x0[i], x1[j]
        t = torch.rand(batch, 1)
        velocity = net(torch.cat([(1.0 - t) * x0 + t * x1, t], dim=1))
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(velocity, x1 - x0).backward()
        optimizer.step()
        schedule.step()
    return net


@torch.no_grad()
def paths(net, x, steps):
    """Where Euler's method takes the points x, (steps + 1, n, d)."""
    places = [x]
    for k in range(steps):
        x = x + net(torch.cat([x, torch.full((len(x), 1), k / steps)], dim=1)) / steps
        places.append(x)
    return torch.stack(places)


def excess(places):
    """By how much all paths together are longer than the straight lines between their ends."""
    return float((places[1:] - places[:-1]).norm(dim=2).sum() / (places[-1] - places[0]).norm(dim=1).sum()) - 1.0


# %%
# Eight Gaussians
# ---------------
#
# The noise is a Gaussian in the plane, the data eight small ones on a circle around it.


def eight(n, rng):
    """Points of eight Gaussians on a circle."""
    angle = rng.integers(8, size=n) * np.pi / 4.0
    points = 2.0 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(scale=0.02**0.5, size=(n, 2))
    return torch.tensor(points, dtype=torch.float32)


nets = [train(eight, 2, 64, 700, pair) for pair in (False, True)]
noise = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
fresh, other = eight(1000, np.random.default_rng(2)), eight(1000, np.random.default_rng(3))
fine = [paths(net, noise, 50) for net in nets]
bends = [excess(places) for places in fine]
counts = [1, 2, 4, 8, 16]
errors = np.array([[monge.wasserstein(paths(net, noise, k)[-1], fresh) for k in counts] for net in nets])
floor = monge.wasserstein(other, fresh)

for name, bend, error in zip(("at random", "coupled"), bends, errors, strict=True):
    print(f"pairs {name:10s} paths longer than straight by {100 * bend:5.2f} %   W2 after 2 steps {error[1]:.3f}")

# %%
# The straighter the paths, the fewer steps it takes to follow them. On the right the distance of what comes out to
# fresh data, over the number of Euler's steps; the dotted line is that between two sets of true data.

fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.2), layout="constrained")
for ax, places, color, title in zip(axes, fine, (plain, coupled), ("pairs at random", "coupled pairs"), strict=False):
    some = places[:, :120].numpy()
    ax.plot(some[..., 0], some[..., 1], color=color, linewidth=0.6, alpha=0.6)
    ax.plot(*some[-1].T, ".", color="black", markersize=2.5)
    ax.set(title=title, xlim=(-3.0, 3.0), ylim=(-3.0, 3.0), xticks=[], yticks=[], aspect="equal")
for error, color, label in zip(errors, (plain, coupled), ("at random", "coupled"), strict=True):
    axes[2].loglog(counts, error, "o-", color=color, label=label)
axes[2].axhline(floor, color="black", linestyle=":", linewidth=1.0)
axes[2].set(title="$W_2$ to fresh data", xlabel="steps", xticks=counts, xticklabels=counts)
axes[2].minorticks_off()
axes[2].legend(frameon=False)
plt.show()

# %%
# Digits
# ------
#
# In the 64 dimensions of small pictures of digits, batches of 128 have no two points that are near each other: pairs
# from transport are a fifth nearer than others, and no more. It still shows. The distance to data says little here, as
# it likes the dull pictures that few steps make; so what is measured is how far the pictures that two steps make are
# from those that many make of the same noise.

pictures = torch.tensor(load_digits().data / 8.0 - 1.0, dtype=torch.float32)


def digits(n, rng):
    """Pictures of digits."""
    return pictures[rng.integers(len(pictures), size=n)]


some = monge.couple(
    torch.randn(128, 64, generator=torch.Generator().manual_seed(0)), digits(128, np.random.default_rng(0))
)
print(f"mean squared distance of a pair: at random {some.cost_before:.1f}, coupled {some.cost:.1f}")

nets = [train(digits, 64, 192, 500, pair) for pair in (False, True)]
noise = torch.randn(500, 64, generator=torch.Generator().manual_seed(1))
fine = [paths(net, noise, 50) for net in nets]
bends_of_digits = [excess(places) for places in fine]
few = [paths(net, noise, 2)[-1] for net in nets]
off = [float((x - places[-1]).norm(dim=1).mean()) for x, places in zip(few, fine, strict=True)]

for name, bend, distance in zip(("at random", "coupled"), bends_of_digits, off, strict=True):
    print(f"pairs {name:10s} paths longer than straight by {100 * bend:5.2f} %   two steps are off by {distance:.2f}")

# %%
# Digits in two steps and in fifty, from the same noise: the two rows above with pairs at random, those below with
# coupled ones.

fig, axes = plt.subplots(4, 12, figsize=(9.6, 3.4), layout="constrained")
for row, shown in zip(axes, (few[0], fine[0][-1], few[1], fine[1][-1]), strict=True):
    for ax, picture in zip(row, shown, strict=False):
        ax.imshow(picture.numpy().reshape(8, 8), cmap="Greys", vmin=-1.0, vmax=1.0)
        ax.set(xticks=[], yticks=[])
for row, label in zip(axes, ("2", "50", "2", "50"), strict=True):
    row[0].set_ylabel(label)
plt.show()
