"""The best place between weighted points, beside a general minimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from monge.barycenters.free.centres import Groups, centre_of


def drawn(seed, d, groups=12):
    """Groups of one to eight points, some of them at the same place."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, size=groups)
    points = rng.normal(size=(sizes.sum(), d))
    points[rng.random(len(points)) < 0.15] = 0.0
    return Groups(np.append(0, np.cumsum(sizes)[:-1]), points, rng.random(len(points)))


def values_at(places, groups, p):
    distances = np.linalg.norm(places[groups.of] - groups.points, axis=1)
    return groups.sum(groups.masses * distances**p)


@pytest.mark.parametrize("p", [1.0, 1.1, 1.5, 2.0, 2.5, 6.0])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_powers_of_the_distance(p, d):
    groups = drawn(d, d)
    _, centre = centre_of(("euclidean", p), d)
    start = np.random.default_rng(0).normal(size=(len(groups.begin), d))
    found = centre(start, groups)
    values = values_at(found, groups, p)
    ends = np.append(groups.begin[1:], len(groups.masses))
    for r, (begin, end) in enumerate(zip(groups.begin, ends, strict=True)):
        y, q = groups.points[begin:end], groups.masses[begin:end]
        others = [float(q @ np.linalg.norm(z - y, axis=1) ** p) for z in y]
        others.append(minimize(lambda z, y=y, q=q: float(q @ np.linalg.norm(z - y, axis=1) ** p), found[r] + 0.01).fun)
        assert values[r] <= min(others) + 1e-12 * max(values[r], 1e-3)


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("p", [1.0, 3.0])
def test_units_and_places_do_not_matter(unit, p):
    groups = drawn(7, 3)
    _, centre = centre_of(("euclidean", p), 3)
    start = np.zeros((len(groups.begin), 3))
    plain = centre(start, groups)
    other = centre(start, Groups(groups.begin, unit * groups.points, groups.masses))
    np.testing.assert_allclose(other / unit, plain, atol=1e-6)


def test_coordinatewise_medians():
    groups = Groups(
        np.array([0, 3, 4]),
        np.array([[0.0, 5.0], [1.0, -1.0], [9.0, 0.0], [2.0, 2.0], [0.0, 0.0], [1.0, 4.0]]),
        np.array([1.0, 1.0, 1.0, 3.0, 0.5, 0.5]),
    )
    _, centre = centre_of("cityblock", 2)
    # The middle between both where two points of equal mass are medians.
    np.testing.assert_array_equal(centre(np.zeros((3, 2)), groups), [[1.0, 0.0], [2.0, 2.0], [0.5, 2.0]])
