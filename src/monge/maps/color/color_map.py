"""`ColorMap`: the map of colours between two pictures, found once and applied to any number of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.maps.color.method import Map, Work
from monge.maps.color.methods import method_of
from monge.maps.color.pictures import Picture
from monge.maps.color.sides import Side
from monge.maps.color.spaces import space_of
from monge.problem.arrays import available_threads

__all__ = ["ColorMap"]


class ColorMap:
    """A map of colours, fitted to two pictures once and applied to any number of frames.

    It takes a colour to a colour, wherever in a picture it is, so that the frames of a video do not flicker. Colours
    that were in neither picture go where those around them suggest: with "palette", "minibatch" and "exact" by the mean
    of affine fits to the map of the known colours nearby, with "entropic" by the potentials,
    ``T(x) = sum_j b_j exp((g_j - |x - y_j|^2) / eps) y_j / sum_j b_j exp((g_j - |x - y_j|^2) / eps)``.

    Parameters
    ----------
    method : {"palette", "minibatch", "exact", "entropic"}
        As for `color_transfer`. For the colours of the pictures themselves the map of "minibatch" is the mean over
        the pixels around, without the noise of the batches.
    chroma : bool
        Move colours in the plane of their chroma alone.
    colors, batch_size, epochs, strata, eps, time_limit : optional
        Options of the methods, as for `color_transfer`.

    Attributes
    ----------
    inverse : ColorMap
        The map the other way, from the colours of the target to those of the source, of the same plan.

    Methods
    -------
    fit(source, target)
        Find the map between two pictures.
    apply(frame)
        The frame with its colours moved.

    Raises
    ------
    ValueError
        For a method that is not known, or an option of another method.

    Notes
    -----
    Fitted maps can be pickled. Sources as for `color_transfer`; Pooladian and Niles-Weed 2021, "Entropic estimation of
    optimal transport maps", for the map by potentials.

    Examples
    --------
    >>> import numpy as np, monge
    >>> rng = np.random.default_rng(0)
    >>> day, night = rng.integers(100, 256, (20, 20, 3), np.uint8), rng.integers(0, 60, (30, 30, 3), np.uint8)
    >>> darker = monge.ColorMap(colors=200).fit(day, night)
    >>> frame = np.full((2, 2, 3), 178, np.uint8)
    >>> dark = darker.apply(frame)
    >>> bool(abs(dark.mean() - 30.0) < 5.0), bool(abs(darker.inverse.apply(dark).mean() - 178.0) < 20.0)
    (True, True)
    """

    def __init__(
        self,
        method: str = "palette",
        *,
        chroma: bool = False,
        colors: int | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        strata: bool | None = None,
        eps: float | None = None,
        time_limit: float | None = None,
    ) -> None:
        options = {
            "colors": colors,
            "batch_size": batch_size,
            "epochs": epochs,
            "strata": strata,
            "eps": eps,
            "time_limit": time_limit,
        }
        self._name, self._method = method, method_of(method, options)
        self._space = space_of(chroma)
        self._maps: tuple[Map, Map] | None = None

    def fit(
        self,
        source: Any,
        target: Any,
        *,
        source_mask: Any = None,
        target_mask: Any = None,
        rng: Any = None,
        n_jobs: int | None = None,
        threads: int | None = None,
        progress: bool = False,
    ) -> ColorMap:
        """Find the map from the colours of one picture to those of another.

        Parameters
        ----------
        source, target : array_like (h, w, 3) or (h, w, 4)
            Pictures, as for `color_transfer`.
        source_mask, target_mask : array_like (h, w) of bool, optional
            The pixels that count, True for those.
        rng : None, int or numpy.random.Generator
            As for `color_transfer`.
        n_jobs, threads : int, optional
            As for `color_transfer`.
        progress : bool
            Show a progress bar (needs tqdm).

        Returns
        -------
        ColorMap
            Itself.

        Raises
        ------
        ValueError, TypeError
            As `color_transfer` does.
        """
        work = Work(rng, n_jobs, available_threads(threads), progress)
        x = Side(Picture.read(source, "source", source_mask), self._space)
        y = Side(Picture.read(target, "target", target_mask), self._space)
        self._maps = self._method.maps(x, y, work)
        return self

    def apply(self, frame: Any, *, mask: Any = None, threads: int | None = None) -> NDArray[Any]:
        """The frame with its colours moved.

        Parameters
        ----------
        frame : array_like (h, w, 3) or (h, w, 4)
            A picture, as for `color_transfer`; of any type, whatever the map was fitted to.
        mask : array_like (h, w) of bool, optional
            The pixels that move, True for those.
        threads : int, optional
            None for all processors. The same bits for any number.

        Returns
        -------
        ndarray (h, w, 3) or (h, w, 4)
            Of the type and with the alpha channel of the frame.

        Raises
        ------
        RuntimeError
            If the map has not been fitted.
        ValueError, TypeError
            As `color_transfer` does.
        """
        image, workers = self._fitted[0], available_threads(threads)
        side = Side(Picture.read(frame, "frame", mask), self._space)
        return side.painted(np.asarray(image(side.points, workers))[side.where])

    @property
    def inverse(self) -> ColorMap:
        """The map from the colours of the target to those of the source, of the same plan."""
        there, back = self._fitted
        other = object.__new__(ColorMap)
        other._name, other._method, other._space, other._maps = self._name, self._method, self._space, (back, there)
        return other

    @property
    def _fitted(self) -> tuple[Map, Map]:
        if self._maps is None:
            raise RuntimeError("this ColorMap has not been fitted. Call .fit(source, target) first.")
        return self._maps

    def __repr__(self) -> str:
        state = "not fitted" if self._maps is None else "fitted"
        return f"ColorMap({self._name!r}, {state})"
