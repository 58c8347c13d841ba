"""The pictures of POT's examples: a plan as lines between points, or as an image between two histograms."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from monge.compat.pot.arrays import on_host
from monge.compat.pot.missing import missing_from
from monge.problem.arrays import shown
from monge.problem.costs import is_sparse

__all__ = ["plot1D_mat", "plot2D_samples_mat"]

__getattr__ = missing_from(__name__)


def plot2D_samples_mat(xs: Any, xt: Any, G: Any, thr: float = 1e-8, **kwargs: Any) -> None:
    """A line in the current axes for each entry of a plan, the darker the more mass.

    Parameters
    ----------
    xs, xt : ndarray (n, 2), (m, 2)
        Points.
    G : ndarray (n, m), or a scipy.sparse matrix or array
        The plan.
    thr : float
        Entries below this part of the largest are left out.
    **kwargs
        For `matplotlib.pyplot.plot`; ``alpha`` multiplies that of all lines.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt, numpy as np
    >>> from monge.compat.pot.plot import plot2D_samples_mat
    >>> plot2D_samples_mat(np.zeros((2, 2)), np.ones((2, 2)), np.eye(2))
    >>> len(plt.gca().lines)
    2
    >>> plt.close()
    """
    if "color" not in kwargs and "c" not in kwargs:
        kwargs["color"] = "k"
    strength = kwargs.pop("alpha", 1.0)
    if is_sparse(G):
        entries = G.tocoo()
        rows, cols, mass = entries.row, entries.col, entries.data
    else:
        plan = np.asarray(on_host(G, "G"))
        rows, cols = np.nonzero(plan)
        mass = plan[rows, cols]
    share = mass / max(mass.max(initial=0.0), np.finfo(np.float64).tiny)
    for i, j, part in zip(rows, cols, share, strict=True):
        if part > thr:
            plt.plot([xs[i, 0], xt[j, 0]], [xs[i, 1], xt[j, 1]], alpha=float(part * strength), **kwargs)


def plot1D_mat(
    a: Any,
    b: Any,
    M: Any,
    title: str = "",
    plot_style: str = "yx",
    a_label: str = "",
    b_label: str = "",
    color_source: str = "b",
    color_target: str = "r",
    coupling_cmap: str = "gray_r",
) -> tuple[Any, Any, Any]:
    """A matrix as an image, with the two histograms along its sides.

    Parameters
    ----------
    a, b : array_like (n,), (m,)
        Histograms.
    M : array_like (n, m)
        A plan, or costs.
    title : str
        What is written below the image.
    plot_style : str
        "yx": a at the left, b on top; "xy": a below, b at the left.
    a_label, b_label : str
        What is written beside the histograms.
    color_source, color_target : str
        Of a and b.
    coupling_cmap : str
        The colour map of the image.

    Returns
    -------
    tuple of three matplotlib axes
        Those of a, of b and of the image.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt, numpy as np
    >>> from monge.compat.pot.plot import plot1D_mat
    >>> len(plot1D_mat([0.5, 0.5], [0.2, 0.8], np.eye(2)))
    3
    >>> plt.close()
    """
    if plot_style not in ("yx", "xy"):
        raise ValueError(f'plot_style should be "yx" or "xy"; got {shown(plot_style)}.')
    image, a, b = (np.asarray(on_host(each, "M")) for each in (M, a, b))
    grid = plt.gcf().add_gridspec(3, 3, hspace=0, wspace=0)
    upright = plot_style == "yx"
    beside = plt.subplot(grid[1:, 0] if upright else grid[:2, 0])
    along = plt.subplot(grid[0, 1:] if upright else grid[2, 1:])
    middle = plt.subplot(grid[1:, 1:] if upright else grid[:2, 1:], sharex=along, sharey=beside)
    left, flat = (a, b) if upright else (b, a)
    colors = (color_source, color_target) if upright else (color_target, color_source)
    labels = (a_label, b_label) if upright else (b_label, a_label)
    beside.fill_betweenx(np.arange(len(left)), left, color=colors[0], alpha=0.5)
    beside.plot(left, np.arange(len(left)), color=colors[0], linewidth=2)
    beside.invert_xaxis()
    along.fill_between(np.arange(len(flat)), flat, color=colors[1], alpha=0.5)
    along.plot(np.arange(len(flat)), flat, color=colors[1], linewidth=2)
    if not upright:
        along.invert_yaxis()
    middle.imshow(image if upright else image.T, cmap=coupling_cmap, interpolation="nearest", aspect="auto")
    middle.set_xlabel(title)
    for axes, label in zip((beside, along), labels, strict=True):
        axes.set_title(label)
        axes.set_axis_off()
    middle.tick_params(labelleft=False, labelbottom=False, left=False, bottom=False)
    return (beside, along, middle) if upright else (along, beside, middle)
