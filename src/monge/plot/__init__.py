"""Pictures of results. The only room that imports matplotlib: ``pip install 'monge[demo]'`` brings it.

Functions draw into the axes or the figure that they are given, else into a new `matplotlib.figure.Figure`, without
pyplot: nothing is opened on a screen and nothing global changes. ``axes.figure.savefig(name)`` writes the picture.
"""

from monge.plot.colors import color_transfer
from monge.plot.flows import flow
from monge.plot.plane import critic, laguerre
from monge.plot.plans import histograms_plan, plan
from monge.plot.shapes import shapes
from monge.plot.training import pictures, samples, training

__all__ = [
    "color_transfer",
    "critic",
    "flow",
    "histograms_plan",
    "laguerre",
    "pictures",
    "plan",
    "samples",
    "shapes",
    "training",
]
