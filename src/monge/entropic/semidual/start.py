"""A start: transport of a sample of the source onto the atoms, solved exactly.

Its potentials of the atoms are potentials for the source, too, off by what the sample is. They also say what a step is:
by how much a potential must change until its atom gains or loses about all of its mass.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from monge.entropic.semidual.atoms import Atoms
from monge.entropic.sinkhorn import sinkhorn
from monge.exact.emd import emd
from monge.exact.univariate import emd_1d
from monge.problem.costs import PointCloud
from monge.problem.transport import ConvergenceWarning, Transport

__all__ = ["centred", "sample_size", "solved", "width_of"]

Array = NDArray[np.float64]

# Sampled points for each atom; for few atoms more, up to so many points and pairs; on the line, where transport is
# sorting; and the most pairs of many atoms.
_EACH, _FEW, _FEW_PAIRS, _SORTED, _MOST_PAIRS = 8, 20_000, 2**21, 100_000, 2**25
# Points that tell how wide a step is.
_LOOKED_AT = 1000
# The marginal error of the entropic problem of a sample, and of one of the source itself; and the passes at most.
_TOL, _TOL_EXACT, _PASSES = 1e-3, 1e-6, 10_000


def sample_size(cloud: PointCloud, eps: float) -> int:
    """How many points of the source to solve for; `cloud` has the atoms for its columns."""
    m = cloud.shape[1]
    if _sorts(cloud, eps):
        return max(_SORTED, _EACH * m)
    return max(1, min(max(_EACH * m, min(_FEW, _FEW_PAIRS // m)), _MOST_PAIRS // m))


def solved(x: Array, a: Array | None, atoms: Atoms, exactly: bool = False) -> Transport:
    """Transport of points x (n, d) of weights a (n,) that add up to one; `exactly` where they are all of the source."""
    cloud = PointCloud(x, atoms.y, atoms.cost)
    weights = np.full(len(x), 1.0 / len(x)) if a is None else a
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what is reached is measured, and warned of, later
        if _sorts(cloud, atoms.eps):
            return emd_1d(x, atoms.y, weights, atoms.b, p=cloud.power, threads=1)
        if atoms.eps == 0.0:
            return emd(cloud, weights, atoms.b)
        tol = _TOL_EXACT if exactly else _TOL
        found: Transport = sinkhorn(cloud, weights, atoms.b, eps=atoms.eps, tol=tol, max_iter=_PASSES)
        return found


def centred(g: Array, b: Array) -> Array:
    """The same potentials with mean zero: a constant changes nothing."""
    return np.asarray(g - b @ g, dtype=np.float64)


def _sorts(cloud: PointCloud, eps: float) -> bool:
    """Whether transport is sorting: a convex function of differences on the line, without entropy."""
    line = eps == 0.0 and cloud.x.shape[1] == 1 and cloud.formed is not None
    return line and cloud.distance != "cosine" and cloud.power >= 1.0


def width_of(x: Array, atoms: Atoms, g: Array) -> float:
    """By how much potentials change masses by all there is, in units of the cost, judged by points x (k, d).

    Without entropy few points change their atom when potentials change by t, a part P(margin < t) of them; the slope
    of that is taken where it is a half. With entropy it is eps over what a point, on average, does not send to one
    atom, but no less than the first.
    """
    if atoms.size == 1:
        return 1.0
    x, transform = x[:_LOOKED_AT], atoms.transform(g)
    least = transform.two_least(x)
    margin = 2.0 * float(np.median(least[:, 1] - least[:, 0]))
    if atoms.eps == 0.0:
        return margin if margin > 0.0 else float(np.abs(least).mean()) + np.finfo(float).tiny
    shares = transform(x).to
    shared = 1.0 - float(np.einsum("ij,ij->i", shares, shares).mean())
    return float(min(atoms.eps / max(shared, 1e-9), max(margin, atoms.eps)))
