"""Colour transfer by palettes, a few thousand colours that stand for each picture.

    minimise  sum_ij P_ij |x_i - y_j|^2   over plans P between the palettes,      T(x_i) = sum_j P_ij y_j / sum_j P_ij

The exact plan moves each colour of the source's palette to the barycenter of where its mass goes (Ferradans,
Papadakis, Peyre and Aujol 2014, "Regularized discrete optimal transport", section 2.3), and each pixel moves as the
palette colours around it do (`fits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd
from monge.maps.color.fits import AffineFits
from monge.maps.color.method import Map, Method, Work, images
from monge.maps.color.palettes import boxes, means
from monge.maps.color.pictures import Picture
from monge.maps.color.sides import Side
from monge.maps.color.spaces import RGB
from monge.problem.arrays import available_threads, positive_integer, seconds
from monge.problem.costs import PointCloud
from monge.problem.transport import Transport

__all__ = ["COLORS", "ByPalette", "ColorTransfer", "transfer_colors"]

Array = NDArray[np.float64]

# Size of the palettes: beyond it the eye sees no difference, and the time is no longer short.
COLORS = 2048


@dataclass(frozen=True)
class ColorTransfer:
    """What `transfer_colors` found: the picture, and the problem that was solved for it.

    Attributes
    ----------
    image : ndarray (h, w, 3) or (h, w, 4)
        The source in the target's colours, of the type and with the alpha channel of the source.
    source_palette, target_palette : ndarray (n, 3), (m, 3)
        Colours, in [0, 1].
    source_weights, target_weights : ndarray (n,), (m,)
        The parts of the pixels that the colours stand for; they add up to 1.
    transport : Transport
        The exact plan between the palettes, for squared Euclidean costs.
    """

    image: NDArray[Any]
    source_palette: Array
    target_palette: Array
    source_weights: Array
    target_weights: Array
    transport: Transport


@dataclass(frozen=True)
class ByPalette(Method):
    """The exact plan between palettes of at most `colors` colours."""

    colors: int = COLORS
    time_limit: float | None = None

    def __post_init__(self) -> None:
        positive_integer(self.colors, "colors")
        seconds(self.time_limit)

    def maps(self, x: Side, y: Side, work: Work) -> tuple[Map, Map]:
        """Affine fits of where the palettes' colours go."""
        (p, _), (q, _), t = self.solved(x, y, work)
        there, back = images(t, p, q)
        return AffineFits(p, there), AffineFits(q, back)

    def solved(self, x: Side, y: Side, work: Work) -> tuple[tuple[Array, Array], tuple[Array, Array], Transport]:
        """Both palettes with their weights, and the plan between them."""
        (p, a), (q, b) = palette_of(x, self.colors), palette_of(y, self.colors)
        t = emd(PointCloud(p, q), a, b, threads=work.threads, time_limit=self.time_limit, progress=work.progress)
        return (p, a), (q, b), t


def palette_of(side: Side, size: int) -> tuple[Array, Array]:
    """The palette (k, d) of one side, and its weights (k,), of sum 1."""
    box, mass = boxes(side.points, side.count, size)
    return means(side.points, side.count, box), mass / mass.sum()


def transfer_colors(
    source: Any, target: Any, *, colors: int = COLORS, threads: int | None = None, progress: bool = False
) -> ColorTransfer:
    """The picture of `color_transfer` by palettes, with the palettes and the transport between them.

    Parameters
    ----------
    source, target : array_like (h, w, 3) or (h, w, 4)
        As for `color_transfer`, which also says what is raised.
    colors : int
        Most colours of a palette.
    threads : int, optional
        As in `emd`.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    ColorTransfer
        The picture and the problem that was solved for it.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.maps.color import transfer_colors
    >>> dark, light = np.full((4, 4, 3), 0, np.uint8), np.full((2, 2, 3), 255, np.uint8)
    >>> found = transfer_colors(dark, light)
    >>> found.source_palette, found.target_weights, found.transport.value
    (array([[0., 0., 0.]]), array([1.]), 3.0)
    """
    x, y = Side(Picture.read(source, "source"), RGB), Side(Picture.read(target, "target"), RGB)
    method, work = ByPalette(colors), Work(None, None, available_threads(threads), progress)
    (p, a), (q, b), transport = method.solved(x, y, work)
    moved = AffineFits(p, transport.map(q))(x.points, work.threads)[x.where]
    return ColorTransfer(x.painted(moved), p, q, a, b, transport)
