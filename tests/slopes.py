"""Derivatives by central differences."""

from __future__ import annotations

import numpy as np


def numeric(function, *arguments, step=1e-6, normalised=()):
    """Of function(*arguments), with respect to each argument. Those whose numbers are in `normalised` keep their sum,
    as weights do: an entry is raised, and all are scaled back."""
    found = []
    for k, argument in enumerate(arguments):
        slopes = np.zeros_like(argument)
        for at in np.ndindex(argument.shape):

            def moved(by, k=k, at=at):
                moved = [np.array(one) for one in arguments]
                moved[k][at] += by
                if k in normalised:
                    moved[k] *= arguments[k].sum() / moved[k].sum()
                return float(function(*moved))

            slopes[at] = (moved(step) - moved(-step)) / (2.0 * step)
        found.append(slopes)
    return found
