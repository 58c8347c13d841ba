"""
A generator that does not learn the outliers
============================================

One sample in a hundred is wrong. A model that transports all mass must make it as well; one that may leave mass behind
does not, if it is far from where everything else comes from.
"""

# %%
# Samples of a normal law about 1, and one per cent of them at -1. The source is a normal law about 2: for it the
# outliers lie beyond the data, three units away instead of one. `OTM` moves all mass, at the cost tau (x - y)^2. To
# `UOTM` a unit of mass that is left out, or made up for by other mass, costs about one: with tau = 0.5 the outliers'
# way costs 4.5. Both have a light penalty r1 on the slope of the potential: a heavy one makes all ways shorter, and
# would keep OTM from the outliers as well.

import matplotlib.pyplot as plt
import numpy as np
import torch

import monge
from monge.neural import MLP, OTM, UOTM

threads = torch.get_num_threads()
torch.set_num_threads(1)  # nets this small are no faster on two
torch.manual_seed(0)

rng = np.random.default_rng(0)
y = np.append(rng.normal(1.0, 0.5, 3960), rng.normal(-1.0, 0.05, 40))


def source(rng, n):
    return rng.normal(2.0, 0.5, n)


def networks():
    wide = {"hidden": (64, 64), "activation": "silu"}
    return {"map": MLP(1, 1, residual=True, **wide), "potential": MLP(1, 1, **wide)}


options = {"tau": 0.5, "n_steps": 800, "batch_size": 128, "ema": 0.99, "r1": 0.01, "rng": 0}
models = {kind.__name__: kind(**options, **networks()).fit(y, source) for kind in (UOTM, OTM)}
made = {name: model.sample(20_000, rng=1)[:, 0] for name, model in models.items()}
print(f"below -0.7: {np.mean(y < -0.7):.2%} of the data")
for name, values in made.items():
    print(f"            {np.mean(values < -0.7):.2%} of samples of {name}")

# %%
# Left, the samples, on a logarithmic scale. Middle, the two maps: OTM's bends down for the outliers. Right, how much
# UOTM transports to each sample of the target, the density of the mass that arrives: it is smallest at the outliers. It
# is not one among the data either: all mass has its price, so what is near the source is made more often than it should
# be. The smaller tau is, the less of both.

COLORS = {"UOTM": "#0072B2", "OTM": "#E69F00"}
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(11.0, 3.4), layout="constrained")
edges = np.linspace(-1.6, 3.2, 49)
left.hist(y, edges, density=True, color="0.85", label="data")
for name, values in made.items():
    left.hist(values, edges, density=True, histtype="step", color=COLORS[name], linewidth=1.5, label=name)
left.set_yscale("log")
left.set_title("density of the samples")
left.legend(frameon=False)

x = np.linspace(0.3, 3.7, 300)
for name, model in models.items():
    middle.plot(x, model.transport(x), color=COLORS[name], label=name)
middle.set_title("map of the source")
middle.set_xlabel("x")

at = np.linspace(-1.3, 2.5, 300)
right.plot(at, models["UOTM"].target_density(at), color=COLORS["UOTM"])
right.axvspan(-1.1, -0.9, color="0.85", linewidth=0.0)
right.set_title("density of what arrives")
right.set_xlabel("y")
right.set_ylim(0.0)
for ax in (left, middle, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Where a sample comes from decides, not how rare it is. Here is the exact answer, without networks: entropic transport
# on a grid with KL marginals, of the same outliers, from sources about 2 and about 0. From the second one -1 is nearer
# than 1, and the more moving costs the more samples are made *there*. Look at the source before you trust what was
# left out.

grid = np.linspace(-4.0, 4.0, 321)


def normal(mean, sd):
    density = np.exp(-0.5 * ((grid - mean) / sd) ** 2)
    return density / density.sum()


print("\n  tau   from 2   from 0   share of samples at the outliers; 1 % of the data are")
for tau in (0.1, 0.5, 2.0):
    shares = []
    for mean in (2.0, 0.0):
        a, b = normal(mean, 0.5), 0.99 * normal(1.0, 0.5) + 0.01 * normal(-1.0, 0.05)
        cost = monge.CostMatrix(tau * (grid[:, None] - grid) ** 2)
        plan = np.asarray(monge.sinkhorn(cost, a, b, eps=0.01, marginals=monge.KL(1.0), tol=1e-5).plan)
        there = plan[:, abs(grid + 1.0) < 0.2].sum(axis=1) / plan.sum(axis=1)
        shares.append(float(a @ there))
    print(f"{tau:5.1f}", *(f"{share:8.2%}" for share in shares))

torch.set_num_threads(threads)
