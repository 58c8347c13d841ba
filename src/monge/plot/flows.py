"""Where the particles of a flow go."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from monge.flows.flow import Flow
from monge.plot.style import FAINT, INK, MOST_LINES, SOURCE, TARGET, points_of
from monge.problem.arrays import sampled
from monge.problem.home import on_host

__all__ = ["flow"]


def flow(
    flow: Flow,
    target: Any = None,
    ax: Any = None,
    *,
    lines: int = MOST_LINES,
    colors: tuple[str, str] = (SOURCE, TARGET),
) -> Any:
    """Draw the paths of the particles of a gradient flow, where they start, and where they end.

    In one dimension time goes to the right, and the target stands where it ends.

    Parameters
    ----------
    flow : Flow
        What `monge.gradient_flow` returned, for particles with one or two coordinates. Paths go through what was
        recorded.
    target : array_like (m, d) or (m,), optional
        Points to draw beside them.
    ax : matplotlib axes, optional
        Where to draw; None for a new figure.
    lines : int
        Most paths that are drawn, evenly spread over the numbers of the particles.
    colors : (str, str)
        Of the particles and the target.

    Returns
    -------
    matplotlib axes
        Those that were drawn into; ``axes.figure`` is their figure.

    Raises
    ------
    ValueError
        If the particles, or the target, do not have one or two coordinates.

    Examples
    --------
    >>> import numpy as np, monge
    >>> from monge import plot
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2)) + 3.0
    >>> flow = monge.gradient_flow(x, lambda x: monge.energy_distance(x, y), step=0.2, n_steps=20)
    >>> ax = plot.flow(flow, y)
    >>> len(ax.collections)  # the paths, the target, the starts, the ends
    4
    """
    ways = np.asarray(on_host(flow.trajectory), dtype=np.float64)  # (k, n, d)
    d = ways.shape[2]
    goals = None if target is None else points_of(target, "target", None)
    if d > 2 or (goals is not None and goals.shape[1] != d):
        raise ValueError(
            f"the particles should have 1 or 2 coordinates, and the target as many; got {d}"
            f"{'' if goals is None else f' and {goals.shape[1]}'}. Draw two of them, or project the trajectory."
        )
    if d == 1:
        times = flow.times[flow.recorded]
        ways = np.stack([np.broadcast_to(times[:, np.newaxis], ways.shape[:2]), ways[:, :, 0]], axis=2)
        if goals is not None:
            goals = np.column_stack([np.full(len(goals), times[-1]), goals])
    if ax is None:
        ax = Figure(figsize=(6.0, 6.0 if d == 2 else 3.5), layout="constrained").add_subplot()
    drawn = ways[:, sampled(ways.shape[1], max(1, int(lines)))].swapaxes(0, 1)
    ax.add_collection(LineCollection(list(drawn), colors=INK, alpha=0.25, linewidths=0.6, zorder=1))
    size = {"s": 14.0, "linewidths": 0.5, "zorder": 2}
    if goals is not None:
        ax.scatter(*goals.T, color=colors[1], edgecolors="white", label="target", **size)
    ax.scatter(*ways[0].T, facecolors="none", edgecolors=FAINT, label="start", **size)
    ax.scatter(*ways[-1].T, color=colors[0], edgecolors="white", label="end", **size)
    if d == 1:
        ax.set_xlabel("time")
    else:
        ax.set_aspect("equal")
    ax.legend(frameon=False)
    return ax
