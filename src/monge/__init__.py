"""Optimal transport: exact, fast, certified.

>>> import numpy as np, monge
>>> x, y = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 2.0], [0.0, 1.0]])
>>> t = monge.emd(monge.PointCloud(x, y))
>>> t.value
1.0
"""

from importlib.metadata import version as _version

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
from monge.structures.averages import gromov_barycenter
from monge.structures.gromov import gromov_wasserstein

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
    "bures",
    "color_transfer",
    "continuous_dual",
    "couple",
    "dual_conjugate",
    "emd",
    "emd_1d",
    "energy_distance",
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
