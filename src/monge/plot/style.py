"""Colours of the pictures, and what several of them draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array
from monge.problem.transport import Transport

__all__ = [
    "FAINT", "HIGH", "INK", "LOW", "MOST_LINES", "PAPER", "PIECES", "SOURCE", "TARGET",
    "heaviest", "points_of", "shown_colors",
]  # fmt: skip

Array = NDArray[np.float64]

# Okabe and Ito's blue and orange, which the colour-blind tell apart too.
SOURCE, TARGET = "#0072B2", "#E69F00"

# Theirs as well: what a critic takes for high and for low.
HIGH, LOW = "#D55E00", "#0072B2"

INK, PAPER, FAINT = "#22252b", "#f1efea", "#7d8087"

# More lines than this make a grey cloud and a slow file.
MOST_LINES = 5000

# A line that changes colour on its way is drawn as so many short ones.
PIECES = 16


def heaviest(transport: Transport, lines: int) -> tuple[Any, Any, Any]:
    """Rows, columns and masses of the heaviest entries of the plan, the heaviest last, so that it lies on top."""
    entries = transport.plan
    order = np.argsort(entries.data, kind="stable")[-max(1, int(lines)) :]
    return entries.row[order], entries.col[order], entries.data[order]


def points_of(values: Any, name: str, size: int | None) -> Array:
    points = real_array(values, name, (1, 2), f"points of shape ({'m' if size is None else size}, d)")
    points = points.reshape(len(points), -1).astype(np.float64)
    if size is not None and len(points) != size:
        raise ValueError(f"{name} should hold {size} points, as the plan does; got shape {np.shape(values)}.")
    return points


def shown_colors(picture: Any) -> Any:
    """Colours as matplotlib draws them, which has no 16 bits."""
    colors = np.asarray(picture)[..., :3]
    return colors / 65535.0 if colors.dtype == np.uint16 else colors
