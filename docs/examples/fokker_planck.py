"""
Downhill in the space of densities
==================================

Heat, drift and porous media are one thing: a density that lowers an energy, and pays for every step by the distance
that its mass travels. `monge.jko` takes those steps.
"""

# %%
# Two wells, and all mass in the left one. The energy is the potential of the wells plus the entropy, so that the flow
# is that of the Fokker-Planck equation: mass runs down into the well, heat drives it over the barrier, and in the end
# it lies as :math:`e^{-V}`.

import matplotlib.pyplot as plt
import numpy as np

import monge

x = np.linspace(-2.5, 2.5, 100)


def wells(x):
    return 2.0 * (x**2 - 1.0) ** 2 + 0.4 * x


law = np.exp(-wells(x))
law /= law.sum() * (x[1] - x[0])
start = np.exp(-0.5 * ((x + 1.6) / 0.12) ** 2)
start /= start.sum() * (x[1] - x[0])

flow = monge.jko(start, monge.Entropy() + monge.Potential(wells), step=0.1, n_steps=60, grid=x)
print(flow)
print(f"L1 distance to exp(-V) after time {flow.times[-1]:g}: {np.abs(flow.density - law).sum() * (x[1] - x[0]):.4f}")

fig, (ax, lower) = plt.subplots(1, 2, figsize=(11.0, 3.8), layout="constrained")
shades = plt.colormaps["viridis"]
for shade, k in zip(np.linspace(0.0, 0.95, 7), (0, 1, 2, 4, 10, 25, 60), strict=True):
    ax.plot(x, flow.trajectory[k], color=shades(shade), label=f"t = {flow.times[k]:g}")
ax.plot(x, law, "k--", linewidth=1.0, label="exp(-V)")
ax.set_ylim(0.0, 1.7)
ax.legend(frameon=False)
ax.set_xlabel("x")

least = float((law * np.log(law) + law * wells(x)).sum() * (x[1] - x[0]))
lower.semilogy(flow.times, flow.values - least, color="#0072B2")
lower.set_xlabel("time")
lower.set_title("energy above its minimum")
plt.show()

# %%
# The energy falls in every step, by at least the squared distance over twice the step: that is what a step is. On the
# right, how far it is above its minimum. It falls fast at first, within a well, and then slowly, as mass has to pass
# the barrier.
#
# Other energies, other equations. From the same three blocks: heat, which is everywhere at once; a porous medium, whose
# front moves at a finite speed; and mass that attracts mass from afar and repels it nearby, which gathers in heaps.

side = np.linspace(-1.0, 1.0, 48)
X, Y = np.meshgrid(side, side, indexing="ij")
blocks = np.zeros((48, 48))
for left, low in ((-0.4, -0.3), (0.4, -0.1), (-0.1, 0.5)):
    blocks[(np.abs(X - left) < 0.18) & (np.abs(Y - low) < 0.18)] = 1.0
blocks /= blocks.sum() * (side[1] - side[0]) ** 2


def near(z):
    return -np.exp(-(z**2).sum(axis=1) / (2.0 * 0.3**2))


energies = {
    "heat": (monge.Entropy(), 0.006),
    "porous medium, m = 3": (0.05 * monge.PorousMedium(3), 0.03),
    "attraction and a porous medium": (0.1 * monge.PorousMedium(2) + 3.0 * monge.Interaction(near), 0.015),
}
fig, axes = plt.subplots(3, 4, figsize=(9.0, 7.0), layout="constrained")
for row, (name, (energy, step)) in zip(axes, energies.items(), strict=True):
    flow = monge.jko(blocks, energy, step=step, n_steps=8, grid=(side, side), tol=1e-5)
    print(f"{name}: {flow}")
    for ax, k in zip(row, (0, 1, 3, 8), strict=True):
        ax.imshow(flow.trajectory[k].T, origin="lower", cmap="magma", extent=(-1.0, 1.0, -1.0, 1.0))
        ax.set_axis_off()
    row[0].set_title(name, loc="left")
plt.show()

# %%
# On the line, quantiles are the better picture of a density: the distance is exact there. A cloud that spreads by heat
# has the variance of the closed form to five digits, of each step.

from scipy.stats import norm  # noqa: E402

x0 = norm.ppf((np.arange(500) + 0.5) / 500)
flow = monge.jko(x0, monge.Entropy(), step=0.1, n_steps=10)
std = x0.std()
for found in flow.trajectory[1:4]:
    std = (std + np.sqrt(std**2 + 0.4)) / 2.0
    print(f"standard deviation {found.std():.6f}, closed form of the step {std:.6f}")
