"""
Labels that mix up similar classes
==================================

A classifier of handwritten digits whose teachers often take a 3 for an 8, a 4 for a 9 or a 1 for a 7. The cross entropy
learns their mistakes by heart. The Wasserstein loss of Frogner et al. (2015) knows which classes are alike.
"""

# %%
# The pictures and the classes are those of scikit-learn's digits. The ground cost between two classes is the distance
# between their mean pictures, as far as noisy labels let one see these, and so the same for everybody.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

import monge.torch

torch.set_num_threads(1)  # in networks as small as this, threads wait for each other

pictures, digits = load_digits(return_X_y=True)
pictures = pictures / 16.0
n_train = 900
alike = np.array([0, 7, 2, 8, 9, 5, 6, 1, 3, 4])  # what a digit is taken for


def noisy(seed, noise=0.3, teachers=1):
    """Places of the training pictures and of the others; what each teacher says of the former; the ground cost."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits))
    train, test = order[:n_train], order[n_train:]
    wrong = rng.random((n_train, teachers)) < noise
    labels = np.where(wrong, alike[digits[train]][:, None], digits[train][:, None])
    means = np.stack([pictures[train][labels[:, 0] == k].mean(axis=0) for k in range(10)])
    C = np.linalg.norm(means[:, None] - means, axis=2)
    return train, test, labels, C / C.max()


train, test, labels, C = noisy(seed=0)
fig, axes = plt.subplots(1, 2, figsize=(11.0, 4.8), width_ratios=[1.0, 1.5], layout="constrained")
axes[0].imshow(C, cmap="Greys")
axes[0].set_xticks(range(10))
axes[0].set_yticks(range(10))
axes[0].set_title("ground cost")
sheet = np.pad(pictures[train[:32]].reshape(4, 8, 8, 8), ((0, 0), (0, 0), (1, 1), (4, 1)))  # (rows, columns, 10, 13)
axes[1].imshow(sheet.transpose(0, 2, 1, 3).reshape(40, 104), cmap="Greys")
for k, label in enumerate(labels[:32, 0]):
    color = "#D55E00" if label != digits[train[k]] else "#0072B2"
    axes[1].text(k % 8 * 13 + 1, k // 8 * 10 + 5, str(label), color=color, fontsize=12, va="center")
axes[1].set_axis_off()
axes[1].set_title("training pictures and labels, wrong ones in red")
plt.show()

# %%
# A label is a single class, and transport to a single class has no choice: all probability goes there, and the loss is
# what that costs, an inner product of the prediction with a column of the ground cost. There is no problem to solve.
#
# That loss grows linearly with a wrong prediction, the cross entropy without bounds: it insists on every label,
# ``monge.torch.WassersteinLoss`` gives in where most others say something else. The price is that a linear loss teaches
# nothing to a network that is sure of something wrong, which is how networks begin, so a fiftieth of the cross entropy
# is added. To tell what the ground cost does from what the straight line does, here is the same loss, too, for a
# cost that is the same for all mistakes.

everywhere = C.sum() / 90.0 * (1.0 - np.eye(10))
cross_entropy = torch.nn.functional.cross_entropy


def network(loss, inputs, targets, seed, epochs):
    """A network with one hidden layer, trained with ``loss(logits, targets)``."""
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    steps = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(100):
            steps.zero_grad()
            loss(net(inputs[rows]), targets[rows]).backward()
            steps.step()
    return net


def with_transport(cost, eps=None, more=0.02):
    """A Wasserstein loss of logits, with a little cross entropy."""
    wasserstein = monge.torch.WassersteinLoss(cost, eps=eps)
    return lambda logits, targets: wasserstein(logits.softmax(-1), targets) + more * cross_entropy(logits, targets)


def tensor(values):
    return torch.tensor(values, dtype=torch.float32)


def mistakes(net, test, C):
    """The share of right answers; the mean ground cost of the answers, right ones included; and the answers."""
    with torch.no_grad():
        answers = net(tensor(pictures[test])).argmax(-1).numpy()
    return np.mean(answers == digits[test]), C[answers, digits[test]].mean(), answers


names = ["cross entropy", "same cost for all", "ground cost"]
accuracy, cost = np.zeros((3, 3)), np.zeros((3, 3))  # (seeds, losses)
for seed in range(3):
    train, test, labels, C = noisy(seed)
    inputs, targets = tensor(pictures[train]), torch.tensor(labels[:, 0])
    for k, loss in enumerate((cross_entropy, with_transport(everywhere), with_transport(C))):
        net = network(loss, inputs, targets, seed, epochs=50)
        accuracy[seed, k], cost[seed, k], answers = mistakes(net, test, C)

print("on pictures with right labels, means of three runs:")
for name, right, mean in zip(names, accuracy.mean(axis=0), cost.mean(axis=0), strict=True):
    print(f"{name:18s} accuracy {right:.3f}   mean ground cost of an answer {mean:.4f}")

# %%
# Most of the gain is the straight line's, and the ground cost adds to it: mistakes get fewer, and those between digits
# that have nothing in common first. (What a *remaining* mistake costs does not fall. Those of the cross entropy are
# mostly the teachers', between digits that look alike, and cheap.)

fig, axes = plt.subplots(1, 2, figsize=(9.0, 2.8), layout="constrained")
for ax, values, title in zip(axes, (accuracy, cost), ("accuracy", "mean ground cost"), strict=True):
    ax.barh(names, values.mean(axis=0), color=["#999999", "#56B4E9", "#0072B2"])
    for run in values:
        ax.plot(run, names, ".", color="black", markersize=4)
    ax.set_title(title)
    ax.invert_yaxis()
axes[0].set_xlim(0.6, 1.0)
axes[1].set_yticks([])
plt.show()

# %%
# Several teachers
# ----------------
#
# With three teachers a target is a distribution over classes: two thirds 3, one third 8. Now there is something to
# solve, for all pictures of a batch in one call, and eps to choose. Exact transport asks the network to repeat the
# spread of the votes, as the cross entropy does, and gains little or nothing. Under a large eps, solved by
# `monge.sinkhorn`, the loss is again nearly linear, and the network makes up its mind.

strengths = [None, 1.0]
of_votes = np.zeros((2, 1 + len(strengths)))  # mean ground costs (seeds, losses)
for seed in range(2):
    train, test, labels, C = noisy(seed, teachers=3)
    inputs, votes = tensor(pictures[train]), tensor(np.eye(10)[labels].mean(axis=1))
    for k, loss in enumerate((cross_entropy, *(with_transport(C, eps) for eps in strengths))):
        of_votes[seed, k] = mistakes(network(loss, inputs, votes, seed, epochs=20), test, C)[1]

for name, mean in zip(["cross entropy", "exact", "eps = 1"], of_votes.mean(axis=0), strict=True):
    print(f"{name:18s} mean ground cost of an answer {mean:.4f}")
