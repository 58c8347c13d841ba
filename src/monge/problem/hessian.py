"""Second derivatives of ground costs, for points that move along a direction.

    c(x, y) = factor * base(z) ** exponent,  z = x - y,    and z moves by w = u - v while x moves by u, and y by v.

With n the gradient of the base, c' = first * n and c'' w = second * n <n, w> + first * base'' w, where

    first = factor * exponent * base ** (exponent - 1)
    second = factor * exponent * (exponent - 1) * base ** (exponent - 2)

The second derivative of the sum of squares is twice the identity; those of the other bases are zero where they exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import PointCloud
from monge.problem.ground import Ground, on_sphere, scale_of, scaled

__all__ = ["Direction", "MovedCloud", "MovedPairs", "off_totals", "with_equal_totals"]

Array = NDArray[np.float64]


class Direction(NamedTuple):
    """Along which points x (n, d), y (m, d), costs C (n, m) and weights a (n,), b (m,) move; None for what stays.

    Derivatives with respect to the same things have the same form.
    """

    x: Array | None = None
    y: Array | None = None
    C: Array | None = None
    a: Array | None = None
    b: Array | None = None


def with_equal_totals(moved_a: Array, moved_b: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """The part of a direction of weights along which totals stay equal."""
    half = 0.5 * float(moved_a.sum() - moved_b.sum()) / float(a.sum())
    return moved_a - half * a, moved_b + half * b


def off_totals(
    changes: tuple[Array, Array],
    along: tuple[Array, Array],
    gradients: tuple[Array, Array],
    weights: tuple[Array, Array],
) -> tuple[Array, Array]:
    """How derivatives with respect to weights change along a direction, from how they change along the part of it
    `with_equal_totals`.

    The value goes on to weights of other totals as V(a s, b / s), with s^2 = sum b / sum a, whose gradient is the one
    with <grad_a, a> = <grad_b, b>.
    """
    (change_a, change_b), (moved_a, moved_b), (grad_a, grad_b), (a, b) = changes, along, gradients, weights
    double = 2.0 * float(a.sum())
    surplus = float(moved_a.sum() - moved_b.sum()) / double
    level = float(grad_a @ a) * 2.0 / double
    constant = float(change_a @ a - change_b @ b + grad_a @ moved_a - grad_b @ moved_b) / double
    return (
        change_a - surplus * (grad_a - level) - constant,
        change_b + surplus * (grad_b - level) + constant,
    )


def _of_squares(z: list[Array]) -> tuple[Array, list[Array]]:
    return _sum(c * c for c in z), [2.0 * c for c in z]


def _of_absolutes(z: list[Array]) -> tuple[Array, list[Array]]:
    return _sum(np.abs(c) for c in z), [np.sign(c) for c in z]


def _of_largest(z: list[Array]) -> tuple[Array, list[Array]]:
    sizes = np.abs(np.stack(z))
    at = sizes.argmax(axis=0)
    return sizes.max(axis=0), [np.where(at == k, np.sign(c), 0.0) for k, c in enumerate(z)]


# A base of `ground` -> its value and its gradient at differences z, one array per coordinate; and by what its second
# derivative multiplies w.
_BASES: dict[str, tuple[Callable[[list[Array]], tuple[Array, list[Array]]], float]] = {
    "squares": (_of_squares, 2.0),
    "absolutes": (_of_absolutes, 0.0),
    "largest": (_of_largest, 0.0),
}


class MovedPairs:
    """Costs between points x and y that move by u and v; all four are of shapes (..., d) that broadcast.

    Attributes
    ----------
    slope : ndarray (...)
        <dc/dx, u> + <dc/dy, v>, of each pair.
    """

    def __init__(self, ground: Ground, factor: float, x: Array, y: Array, u: Array, v: Array) -> None:
        self._curved = ground.directions
        derivatives, self._round = _BASES[ground.base]
        e, axes = ground.exponent, range(x.shape[-1])
        base, self._normals = derivatives([x[..., k] - y[..., k] for k in axes])
        self._along = [u[..., k] - v[..., k] for k in axes]
        across = _sum(n * w for n, w in zip(self._normals, self._along, strict=True))
        nowhere = base == 0.0
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            first = factor * e * base ** (e - 1.0)
            second = factor * e * (e - 1.0) * base ** (e - 2.0)
        if nowhere.any():
            if ground.power < 2.0 and ground.power != 1.0 and any((w[nowhere] != 0.0).any() for w in self._along):
                raise RuntimeError(
                    f"the cost |x - y|^{ground.power:g} has no second derivative between equal points, and there are "
                    "some. Move them apart, or choose a power of one, or of two or more."
                )
            # A pair whose cost has no derivative contributes nothing.
            first, second = (np.where(nowhere & ~np.isfinite(part), 0.0, part) for part in (first, second))
        self._first, self._second = first, second * across
        self.slope = first * across

    def forces(self, mass: Array) -> Iterator[Array]:
        """mass * dc/dx (...), one coordinate after the other; none where `MovedCloud.turned` needs none."""
        pull = mass * self._first
        for normal in self._normals if self._curved else ():
            yield pull * normal

    def changes(self, mass: Array, more: Array) -> Iterator[Array]:
        """How the same changes along the direction while the mass changes by `more`."""
        pull, bend = more * self._first + mass * self._second, self._round * mass * self._first
        for normal, w in zip(self._normals, self._along, strict=True):
            yield pull * normal + bend * w if self._round else pull * normal


class MovedCloud:
    """The costs of a `PointCloud` whose points x (n, d) and y (m, d) move by u and v; None for points that stay.

    RuntimeError for a cost that is a function, of which no second derivative is known.
    """

    def __init__(self, cloud: PointCloud, u: Array | None, v: Array | None) -> None:
        ground = cloud.ground
        if not isinstance(ground, Ground) or ground.base not in _BASES:
            raise RuntimeError(
                f"second derivatives need those of the ground cost, and of {cloud.cost!r} none are known. Take a "
                "built-in cost, a matrix of costs that torch has computed from the points, or first derivatives alone."
            )
        self._ground, self.d = ground, cloud.x.shape[1]
        self._given = [points.astype(np.float64) for points in (cloud.x, cloud.y)]
        self._steps = [np.zeros_like(p) if w is None else w for p, w in zip(self._given, (u, v), strict=True)]
        if ground.directions:
            self._scale, self._factor = 0, ground.factor
            x, y = map(on_sphere, self._given)
            u, v = (_across(p, w) / _length(s) for p, s, w in zip((x, y), self._given, self._steps, strict=True))
        else:  # squares of large and of small numbers are out of range
            self._scale = scale_of(cloud.reach)
            x, y = (scaled(points, self._scale) for points in self._given)
            u, v = (scaled(step, self._scale) for step in self._steps)
            self._factor = ground.factor * 2.0 ** (self._scale * ground.power)
        self._placed = x, y, u, v

    def pairs(self, rows: Any, columns: Any) -> MovedPairs:
        """Those of points x[rows] with y[columns], as the two broadcast."""
        x, y, u, v = self._placed
        return MovedPairs(self._ground, self._factor, x[rows], y[columns], u[rows], v[columns])

    def turned(self, forces: tuple[Array, Array], changes: tuple[Array, Array]) -> tuple[Array, Array]:
        """How derivatives with respect to x and y change, from sums over pairs, (n, d) and (m, d), of `forces` and
        `changes`, both as those with respect to the first point of a pair."""
        signs = 1.0, -1.0
        if not self._ground.directions:
            x, y = (sign * scaled(change, self._scale) for sign, change in zip(signs, changes, strict=True))
            return x, y
        found = []
        each = zip(signs, self._given, self._placed[:2], self._placed[2:], self._steps, forces, changes, strict=True)
        for sign, points, p, turn, step, force, change in each:
            # For p = x / r, a force F on p is (F - p <p, F>) / r on x. p moves by `turn`, and r by <p, step>.
            r = _length(points)
            along = np.einsum("kd,kd->k", p, force)[:, np.newaxis]
            part = change - p * np.einsum("kd,kd->k", p, change)[:, np.newaxis]
            part -= turn * along + p * np.einsum("kd,kd->k", turn, force)[:, np.newaxis]
            part -= (force - p * along) * (np.einsum("kd,kd->k", p, step)[:, np.newaxis] / r)
            found.append(sign * part / r)
        return found[0], found[1]


def _across(p: Array, step: Array) -> Array:
    """The part of a step across the direction p."""
    return np.asarray(step - p * np.einsum("kd,kd->k", p, step)[:, np.newaxis])


def _length(points: Array) -> Array:
    """(k, 1), whatever their size."""
    longest = np.abs(points).max(axis=1, keepdims=True)
    return np.asarray(longest * np.linalg.norm(points / longest, axis=1, keepdims=True))


def _sum(parts: Iterator[Array]) -> Array:
    total = next(parts)
    for part in parts:
        total = total + part
    return total
