"""The data of POT's first examples, drawn as POT draws them: the same seed gives the same points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.compat.pot.missing import missing_from
from monge.problem.arrays import real_array

__all__ = ["get_1D_gauss", "get_2D_samples_gauss", "make_1D_gauss", "make_2D_samples_gauss"]

__getattr__ = missing_from(__name__)


def make_1D_gauss(n: int, m: float, s: float) -> NDArray[np.float64]:
    """A normal histogram on the places 0, 1, ..., n - 1.

    Parameters
    ----------
    n : int
        How many places.
    m, s : float
        Its mean and standard deviation.

    Returns
    -------
    ndarray (n,)
        Of sum one.

    Examples
    --------
    >>> from monge.compat.pot.datasets import make_1D_gauss
    >>> make_1D_gauss(3, 1, 1).round(3)
    array([0.274, 0.452, 0.274])
    """
    density = np.exp(-0.5 * ((np.arange(n) - m) / s) ** 2)
    return np.asarray(density / math.fsum(density))


def make_2D_samples_gauss(n: int, m: Any, sigma: Any, random_state: Any = None) -> NDArray[np.float64]:
    """Random points of a normal distribution in the plane.

    Parameters
    ----------
    n : int
        How many points.
    m : array_like (2,)
        Their mean.
    sigma : float or array_like (2, 2)
        The variance of both coordinates, or the covariance.
    random_state : None, int, or numpy.random.RandomState
        The source of randomness: None for NumPy's global one, as in POT.

    Returns
    -------
    ndarray (n, 2)
        The points, those that POT draws for the same `random_state`.

    Examples
    --------
    >>> from monge.compat.pot.datasets import make_2D_samples_gauss
    >>> make_2D_samples_gauss(3, [0, 4], [[1, 0.8], [0.8, 1]], 0).shape
    (3, 2)
    """
    covariance = real_array(sigma, "sigma", None, "a variance, or a covariance (2, 2)").astype(np.float64)
    normal = _source(random_state).randn(n, 2)
    if covariance.size == 1:
        return np.asarray(normal * math.sqrt(covariance.item()) + m)
    values, axes = np.linalg.eigh(covariance)
    root = (axes * np.sqrt(values)) @ axes.T
    return np.asarray(normal @ root + m)


def _source(random_state: Any) -> Any:
    """What POT draws from, where its numbers are to be met."""
    if random_state is None or random_state is np.random:
        return np.random.mtrand._rand
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)


def get_1D_gauss(n: int, m: float, sigma: float) -> NDArray[np.float64]:
    """`make_1D_gauss` by its old name.

    Parameters
    ----------
    n, m, sigma : see `make_1D_gauss`
        As there; sigma is its s.

    Returns
    -------
    ndarray (n,)
        Of sum one.
    """
    return make_1D_gauss(n, m, sigma)


def get_2D_samples_gauss(n: int, m: Any, sigma: Any, random_state: Any = None) -> NDArray[np.float64]:
    """`make_2D_samples_gauss` by its old name.

    Parameters
    ----------
    n, m, sigma, random_state : see `make_2D_samples_gauss`
        As there.

    Returns
    -------
    ndarray (n, 2)
        The points.
    """
    return make_2D_samples_gauss(n, m, sigma, random_state)
