"""Optimal transport: exact, fast, certified.

>>> import numpy as np, monge
>>> x, y = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 2.0], [0.0, 1.0]])
>>> t = monge.emd(monge.PointCloud(x, y))
>>> t.value
1.0
"""

from importlib.metadata import version as _version
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

from monge.barycenters.coordinates.coordinates import barycentric_coordinates
from monge.barycenters.coordinates.dictionary import dictionary
from monge.barycenters.fixed.barycenter import barycenter
from monge.barycenters.free.barycenter import free_barycenter
from monge.barycenters.gaussian import gaussian_barycenter
from monge.distances.bures import bures
from monge.distances.conjugate import dual_conjugate
from monge.distances.divergence import sinkhorn_divergence
from monge.distances.energy import energy_distance
from monge.distances.histograms import js, kl, tv
from monge.distances.max_sliced import max_sliced_wasserstein
from monge.distances.minibatch.estimate import minibatch
from monge.distances.mmd import mmd
from monge.distances.pairwise import pairwise
from monge.distances.sliced import sliced_wasserstein
from monge.distances.sliced_plan import sliced_plan
from monge.distances.spherical import spherical_sliced_wasserstein
from monge.distances.wasserstein import wasserstein, wasserstein_1d
from monge.entropic.marginals import KL, TV
from monge.entropic.quadratic.solver import quadratic
from monge.entropic.rounding import round_plan
from monge.entropic.semidual.continuous import continuous_dual
from monge.entropic.semidual.semidual import semidual
from monge.entropic.sinkhorn import sinkhorn
from monge.exact.emd import emd
from monge.exact.partial import partial
from monge.exact.univariate import emd_1d
from monge.flows.gradient_flow import gradient_flow
from monge.flows.jko.energies import Entropy, Interaction, PorousMedium, Potential
from monge.flows.jko.scheme import jko
from monge.maps.color import ColorMap, color_transfer
from monge.maps.couple import couple
from monge.problem.costs import CostMatrix, Grid, PointCloud
from monge.problem.transport import ConvergenceWarning, InfeasibleError, Status, Transport
from monge.problem.user_cost import GroundCost
from monge.structures.barycenter import gromov_barycenter
from monge.structures.gromov import gromov_wasserstein

if TYPE_CHECKING:
    from monge.maps.transport_map import TransportMap

__version__ = _version("monge")

__all__ = [  # noqa: RUF022 - in the order of sorted()
    "ColorMap",
    "ConvergenceWarning",
    "CostMatrix",
    "Entropy",
    "Grid",
    "GroundCost",
    "InfeasibleError",
    "Interaction",
    "KL",
    "PointCloud",
    "PorousMedium",
    "Potential",
    "Status",
    "TV",
    "Transport",
    "barycenter",
    "barycentric_coordinates",
    "bures",
    "color_transfer",
    "continuous_dual",
    "couple",
    "dictionary",
    "dual_conjugate",
    "emd",
    "emd_1d",
    "energy_distance",
    "free_barycenter",
    "gaussian_barycenter",
    "gradient_flow",
    "gromov_barycenter",
    "gromov_wasserstein",
    "jko",
    "js",
    "kl",
    "max_sliced_wasserstein",
    "minibatch",
    "mmd",
    "pairwise",
    "partial",
    "quadratic",
    "round_plan",
    "semidual",
    "sinkhorn",
    "sinkhorn_divergence",
    "sliced_plan",
    "sliced_wasserstein",
    "spherical_sliced_wasserstein",
    "tv",
    "wasserstein",
    "wasserstein_1d",
]

# scikit-learn is imported with the first use of what needs it. Without it, the name is not one of those that
# `from monge import *` asks for, and says what is missing to those who ask for it alone.
_LAZY = {"TransportMap": "monge.maps.transport_map"}
if _find_spec("sklearn") is not None:
    __all__ += ["TransportMap"]
    __all__.sort()

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        globals()[name] = found = getattr(import_module(_LAZY[name]), name)
        return found

    def __dir__():
        return sorted({*globals(), *__all__})
