"""`color_transfer`: a picture in the colours of another, or both in each other's."""

from __future__ import annotations

from typing import Any

from monge.maps.color.method import Work
from monge.maps.color.methods import method_of
from monge.maps.color.pictures import Picture
from monge.maps.color.sides import Side
from monge.maps.color.spaces import space_of
from monge.problem.arrays import available_threads

__all__ = ["color_transfer"]


def color_transfer(
    source: Any,
    target: Any,
    *,
    method: str = "palette",
    both: bool = False,
    source_mask: Any = None,
    target_mask: Any = None,
    chroma: bool = False,
    colors: int | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    strata: bool | None = None,
    eps: float | None = None,
    rng: Any = None,
    n_jobs: int | None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Any:
    """The picture `source` in the colours of the picture `target`.

    Minimises ``sum_ij P_ij |x_i - y_j|^2`` over plans P that take colours x_i of the source to colours y_j of the
    target, with as much mass as there are pixels, and moves every pixel by the barycentric map
    ``T(x_i) = sum_j P_ij y_j / sum_j P_ij``. The methods differ in which colours these are.

    Parameters
    ----------
    source, target : array_like (h, w, 3) or (h, w, 4)
        Pictures, of any two sizes: integers in 0..255, uint16 in 0..65535, or reals in [0, 1]. Reals count in the 65536
        levels of 16 bits; those beyond by less than a rounding to 8 bits, 1/510, count as 0 or 1. An alpha channel has
        no part in it and stays.
    method : {"palette", "minibatch", "exact", "entropic"}
        - "palette": exact transport between `colors` colours that stand for each picture; other colours move as those
          around them do. Fast and smooth, for most purposes.
        - "minibatch": `epochs` times, all pixels are shuffled and transported exactly in batches of `batch_size`; a
          pixel takes the mean of what arrived. Every pixel has a part, and keeps some noise of the batches.
        - "exact": exact transport between all colours, of which there may be 20,000 in each picture.
        - "entropic": an entropic plan between palettes, whose potentials map every colour. Smoothest, less colourful.
    both : bool
        Return the pair of pictures, the source in the target's colours and the target in the source's, from one plan.
    source_mask, target_mask : array_like (h, w) of bool, optional
        The pixels that count and that move, True for those. All others stay as they are.
    chroma : bool
        Move colours in the plane of their chroma (Cb, Cr) alone; every pixel keeps its luma.
    colors : int, optional
        Most colours of a palette; None for 2048, or 4096 with "entropic".
    batch_size : int, optional
        Pixels of a batch with "minibatch", at most those of the smaller picture; None for 1000, or as many as there
        are. Small ones dull the colours.
    epochs : int, optional
        Of "minibatch", None for 4. More take noise, and some colour, away.
    strata : bool, optional
        Whether a batch of "minibatch" has pixels from all parts of the cloud of colours, one of each, as far as it
        reaches; of photographs it is then as good as one drawn at random of three times the size. None for True.
    eps : float, optional
        Strength of the entropy with "entropic", in squares of the distance from 0 to 1; None for 0.001. Its root is
        about as far as colours are blurred.
    rng : None, int or numpy.random.Generator
        What shuffles the pixels (SPEC 7). The same seed gives the same picture.
    n_jobs : int, optional
        Workers for the batches of "minibatch". None follows an active ``joblib.parallel_config``, and takes all
        processors without one. The picture has the same bits for any number, on any machines.
    threads : int, optional
        As in `emd`, for all else; the same bits for any number.
    time_limit : float, optional
        Seconds for the transport, not with "entropic". A plan that is not the best by then is taken, with a warning;
        and of "minibatch" what has arrived.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    ndarray (h, w, 3) or (h, w, 4), or a pair of them
        With the height, the width, the alpha channel and the type of the source (the second: of the target). Integers
        that are not of 16 bits come back as uint8. Always of NumPy, whatever the pictures were given as.

    Raises
    ------
    ValueError
        If an argument has another shape or values outside its range; for a mask that is False everywhere, an option of
        another method, a batch larger than a picture, and more than 20,000 colours with "exact".
    TypeError
        If a picture does not hold numbers, or is masked by NumPy, or a mask does not hold booleans.

    See Also
    --------
    ColorMap : The map of colours itself, for the frames of a video.

    Notes
    -----
    Ferradans, Papadakis, Peyre and Aujol 2014, "Regularized discrete optimal transport", section 2.3, for the
    barycentric map; Fatras et al. 2020, "Learning with minibatch Wasserstein", section 4.3, for batches.

    Examples
    --------
    >>> import numpy as np, monge
    >>> dark, light = np.full((4, 4, 3), 20, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    >>> monge.color_transfer(dark, light)[0, 0]
    array([200, 200, 200], dtype=uint8)
    >>> there, back = monge.color_transfer(dark, light, method="minibatch", both=True, rng=0)
    >>> there.shape, back.shape, back[0, 0]
    ((4, 4, 3), (2, 2, 3), array([20, 20, 20], dtype=uint8))
    """
    options = {
        "colors": colors,
        "batch_size": batch_size,
        "epochs": epochs,
        "strata": strata,
        "eps": eps,
        "time_limit": time_limit,
    }
    way = method_of(method, options)
    work, space = Work(rng, n_jobs, available_threads(threads), progress), space_of(chroma)
    x = Side(Picture.read(source, "source", source_mask), space)
    y = Side(Picture.read(target, "target", target_mask), space)
    moved = way.moved(x, y, work, both)
    pictures = tuple(side.painted(points) for side, points in zip((x, y), moved, strict=False))
    return pictures if both else pictures[0]
