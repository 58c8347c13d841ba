"""How good samples are: figures on plain arrays, which know nothing of the model that made them.

No one of them is enough. A small distance to true samples can be had by shrinking, and by learning samples by heart; so
the distance stands beside the standard deviation and the distance to the nearest sample that was learned from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from monge.distances.sliced import sliced_wasserstein
from monge.distances.wasserstein import wasserstein
from monge.problem.arrays import positive, real_array

__all__ = ["Modes", "modes", "novelty", "ratio", "sd_ratio"]

# A mode with fewer of the samples is lost: a sixth of what each of eight should have.
_FOUND = 0.02

# How many standard deviations from its centre a point still belongs to a mode; in the plane 98.9 % do.
_WITHIN = 3.0

# Directions of the sliced distance.
_DIRECTIONS = 200

# Sets of true samples that are compared at most: the distance of one is by chance, up to twice that of another where
# modes have other numbers of samples.
_PARTS = 10


class Modes(NamedTuple):
    """What `modes` finds.

    Attributes
    ----------
    found : int
        Number of modes with more than 2 % of the samples.
    share : float
        Of the samples that belong to any mode.
    shares : ndarray (k,)
        Of the samples that belong to each.
    """

    found: int
    share: float
    shares: NDArray[np.float64]


def modes(samples: Any, centers: Any, sd: float) -> Modes:
    """How many modes of a mixture samples have found, and how many of them lie in one.

    A sample belongs to the nearest centre if it is within three standard deviations of it. A mode is found if more than
    2 % of the samples belong to it.

    Parameters
    ----------
    samples : array_like (n, d)
        Points.
    centers : array_like (k, d)
        Centres of the modes.
    sd : float
        Their standard deviation in each coordinate, > 0.

    Returns
    -------
    Modes
        ``found``, a number of modes; ``share``, of all samples in [0, 1]; ``shares`` (k,), for each mode. Of true
        samples in the plane the share is 0.989.

    Raises
    ------
    ValueError
        Arrays that are no points, or of other dimension than the centres; sd <= 0.

    Examples
    --------
    >>> from monge.neural.metrics import modes
    >>> from monge.neural.toys import EIGHT_CENTERS, EIGHT_SD, eight_gaussians
    >>> true = eight_gaussians(4000, rng=0)
    >>> found = modes(true, EIGHT_CENTERS, EIGHT_SD)
    >>> found.found, round(found.share, 2)
    (8, 0.99)
    >>> modes(true[true[:, 0] > 0], EIGHT_CENTERS, EIGHT_SD).found  # three to the right, and halves of two
    5
    """
    points, centers = _rows(samples, "samples"), _rows(centers, "centers")
    _same_width(points, centers, "centers")
    distances, nearest = KDTree(centers).query(points)
    belongs = nearest[distances <= _WITHIN * positive(sd, "sd")]
    shares = np.bincount(belongs, minlength=len(centers)) / len(points)
    return Modes(int((shares > _FOUND).sum()), len(belongs) / len(points), shares)


def ratio(samples: Any, held_out: Any, reference: Any, *, sliced: bool = False, threads: int | None = None) -> float:
    """How far samples are from true ones, in units of what two sets of true samples differ by.

    W2(samples, held_out) / mean over parts of W2(part, held_out), all exact, where parts of n true samples are cut from
    `reference`. Two sets of true samples are apart as well, in high dimension far apart, so that a distance says little
    alone; near 1 samples cannot be told from true ones by it.

    Parameters
    ----------
    samples : array_like (n, ...)
        What a model made.
    held_out : array_like (m, ...)
        True samples that it did not learn from.
    reference : array_like (k, ...)
        True samples in random order, such as those that it did learn from: n at least. At most ten parts are cut from
        them, in order.
    sliced : bool
        The sliced distance over 200 fixed directions in place of W2: coarser, and faster where there are many samples.
    threads : int, optional
        None for all processors.

    Returns
    -------
    float
        Below 1 for samples that are too narrow: see Notes.

    Raises
    ------
    ValueError
        Arrays that are not finite or do not have samples of one shape; more samples than `reference` has: distances
        fall as the number of samples grows, so that the ratio would be of sizes.

    Notes
    -----
    Each sample counts as a vector of all its numbers. Among all sets of n samples, those nearest to m others in W2 are
    not true ones: they lie in the middle of what they are matched to. A ratio below 1 is a sign of shrinking, or of
    samples learned by heart where `held_out` was learned from; `sd_ratio` and `novelty` tell.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.neural.metrics import ratio, sd_ratio
    >>> true = np.random.default_rng(0).normal(size=(3, 300, 20))
    >>> round(ratio(true[0], true[1], true[2]), 1)
    1.0
    >>> shrunk = 0.6 * true[0]
    >>> round(ratio(shrunk, true[1], true[2]), 1), round(sd_ratio(shrunk, true[1]), 1)
    (0.9, 0.6)
    """
    made, held, true = _rows(samples, "samples"), _rows(held_out, "held_out"), _rows(reference, "reference")
    _same_width(made, held, "held_out")
    _same_width(made, true, "reference")
    parts = [true[start : start + len(made)] for start in range(0, len(true) - len(made) + 1, len(made))][:_PARTS]
    if not parts:
        raise ValueError(
            f"reference should hold at least as many samples as samples, {len(made)}, since distances fall with their "
            f"number; got {len(true)}. Pass samples[:{len(true)}], or more true ones."
        )

    def distance(points: NDArray[Any]) -> float:
        if sliced:
            return float(sliced_wasserstein(points, held, n_projections=_DIRECTIONS, rng=0, threads=threads))
        return wasserstein(points, held, p=2, threads=threads)

    apart = float(np.mean([distance(part) for part in parts]))
    if apart == 0.0:
        raise ValueError("reference and held_out are the same samples; pass two different sets of true ones.")
    return distance(made) / apart


def sd_ratio(samples: Any, reference: Any) -> float:
    """The total standard deviation of samples over that of true ones.

    sqrt(E |x - E x|^2 / E |y - E y|^2), of x among the samples and y among the true ones.

    Parameters
    ----------
    samples : array_like (n, ...)
        What a model made.
    reference : array_like (m, ...)
        True samples, two different ones at least.

    Returns
    -------
    float
        0 if all samples are equal; 1 is right; below it samples vary too little.

    Raises
    ------
    ValueError
        Arrays that are not finite or have samples of different shapes; true samples that are all equal.

    Examples
    --------
    >>> from monge.neural.metrics import sd_ratio
    >>> sd_ratio([[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [2.0, 2.0]])
    0.5
    """
    made, true = _rows(samples, "samples"), _rows(reference, "reference")
    _same_width(made, true, "reference")
    varies = true.var(axis=0).sum()
    if not varies > 0.0:
        raise ValueError("reference should hold two different samples at least; all of them are equal.")
    return float(np.sqrt(made.var(axis=0).sum() / varies))


def novelty(samples: Any, train: Any, held_out: Any) -> float:
    """How far samples are from those that were learned from, in units of what new true samples are.

    The mean distance of a sample to the nearest one of `train`, over that of `held_out`.

    Parameters
    ----------
    samples : array_like (n, ...)
        What a model made.
    train : array_like (m, ...)
        What it learned from.
    held_out : array_like (k, ...)
        True samples that it did not learn from.

    Returns
    -------
    float
        Near 0 for a model that repeats what it learned from; near 1 for samples as new as true ones. Below 1 as well
        for samples that are smoother than true ones, and far above it for such as are not like them at all.

    Raises
    ------
    ValueError
        Arrays that are not finite or have samples of different shapes; held-out samples that are all in `train`.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.neural.metrics import novelty
    >>> train, held_out, new = np.random.default_rng(0).normal(size=(3, 300, 20))
    >>> novelty(train[:100], train, held_out)
    0.0
    >>> round(novelty(new, train, held_out), 1)
    1.0
    """
    made, learned, true = _rows(samples, "samples"), _rows(train, "train"), _rows(held_out, "held_out")
    _same_width(made, learned, "train")
    _same_width(made, true, "held_out")
    tree = KDTree(learned)
    usual = float(tree.query(true)[0].mean())
    if usual == 0.0:
        raise ValueError("held_out should hold samples that are not in train; all of them are.")
    return float(tree.query(made)[0].mean()) / usual


def _rows(values: Any, name: str) -> NDArray[np.float64]:
    """Samples as vectors, (n, d)."""
    array = real_array(values, name, None, "an array of samples along its first axis")
    if array.ndim == 0 or 0 in array.shape:
        raise ValueError(f"{name} should hold a sample at least, along its first axis; got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} should be finite, but holds NaN or infinity; a model that made it did not learn.")
    return array.reshape(len(array), -1).astype(np.float64)


def _same_width(samples: NDArray[Any], others: NDArray[Any], name: str) -> None:
    if samples.shape[1] != others.shape[1]:
        raise ValueError(
            f"samples and {name} should be of one shape; got vectors of {samples.shape[1]} and of {others.shape[1]} "
            "numbers."
        )
