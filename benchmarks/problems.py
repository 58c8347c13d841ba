"""Named instances of optimal transport: seeded, and the same on every call.

>>> from problems import make
>>> name, C, a, b = make("weighted2d", 1000)           # a square of 1000 x 1000
>>> name, C, a, b = make("weighted2d", (500, 20000))   # any shape

Weights are None where they are uniform. A family is a function of the shape and of a generator of random numbers; those
of `SQUARE_ONLY` put both measures on the same places, so they have n = m.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]


class Instance(NamedTuple):
    name: str
    C: Array  # (n, m)
    a: Array | None  # (n,)
    b: Array | None  # (m,)

    @property
    def is_assignment(self) -> bool:
        """Whether solvers of the assignment problem apply: uniform weights on a square."""
        return self.a is None and self.b is None and self.C.shape[0] == self.C.shape[1]


Shape = tuple[int, int]
Parts = tuple[Array, Array | None, Array | None]
Family = Callable[[int, int, np.random.Generator], Parts]


def weights(rng: np.random.Generator, size: int) -> Array:
    """Exponential weights, uniform on the simplex."""
    w = rng.exponential(size=size)
    return w / w.sum()


def uniform2d(n: int, m: int, rng: np.random.Generator) -> Parts:
    return cdist(rng.random((n, 2)), rng.random((m, 2)), "sqeuclidean"), None, None


def gaussians2d(n: int, m: int, rng: np.random.Generator) -> Parts:
    """Two Gaussians far apart: where solvers that augment path by path do worst."""
    return cdist(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 3.0, "sqeuclidean"), None, None


def weighted2d(n: int, m: int, rng: np.random.Generator) -> Parts:
    return cdist(rng.random((n, 2)), rng.random((m, 2)), "sqeuclidean"), weights(rng, n), weights(rng, m)


def euclidean2d(n: int, m: int, rng: np.random.Generator) -> Parts:
    return cdist(rng.random((n, 2)), rng.random((m, 2))), weights(rng, n), weights(rng, m)


def cityblock5d(n: int, m: int, rng: np.random.Generator) -> Parts:
    return cdist(rng.random((n, 5)), rng.random((m, 5)), "cityblock"), weights(rng, n), weights(rng, m)


def weighted64d(n: int, m: int, rng: np.random.Generator) -> Parts:
    x, y = rng.normal(size=(n, 64)), rng.normal(size=(m, 64)) + 0.5
    return cdist(x, y, "sqeuclidean"), weights(rng, n), weights(rng, m)


def iid(n: int, m: int, rng: np.random.Generator) -> Parts:
    return rng.random((n, m)), None, None


def clusters(n: int, m: int, rng: np.random.Generator) -> Parts:
    """Tight clusters in space, other centres on either side."""

    def cloud(size: int) -> Array:
        return rng.random((10, 3))[rng.integers(10, size=size)] + 0.03 * rng.normal(size=(size, 3))

    return cdist(cloud(n), cloud(m), "sqeuclidean"), weights(rng, n), weights(rng, m)


def rings(n: int, m: int, rng: np.random.Generator) -> Parts:
    def ring(size: int, radius: float) -> Array:
        angle = rng.uniform(0.0, 2.0 * np.pi, size)
        return radius * np.c_[np.cos(angle), np.sin(angle)] + 0.05 * rng.normal(size=(size, 2))

    return cdist(ring(n, 1.0), ring(m, 2.0), "sqeuclidean"), None, None


def image(n: int, m: int, rng: np.random.Generator) -> Parts:
    """Two smooth random histograms on one grid of integers: few distinct costs, so ties everywhere."""
    return _images(n, rng, "sqeuclidean")


def image_l1(n: int, m: int, rng: np.random.Generator) -> Parts:
    return _images(n, rng, "cityblock")


def _images(n: int, rng: np.random.Generator, metric: str) -> Parts:
    side = round(n**0.5)
    pixels = np.indices((side, side)).reshape(2, -1).T.astype(float)

    def histogram() -> Array:
        smooth = gaussian_filter(rng.random((side, side)), side / 16, mode="wrap")
        h = (smooth - smooth.min() + 0.05 * np.ptp(smooth)).ravel()
        return h / h.sum()

    return cdist(pixels, pixels, metric), histogram(), histogram()


def integers(n: int, m: int, rng: np.random.Generator) -> Parts:
    return rng.integers(10, size=(n, m)).astype(float), None, None


def cubed(n: int, m: int, rng: np.random.Generator) -> Parts:
    C = cdist(rng.random((n, 2)), rng.random((m, 2)))
    return np.power(C, 3, out=C), weights(rng, n), weights(rng, m)


def truncated(n: int, m: int, rng: np.random.Generator) -> Parts:
    """Distances capped at 0.2, as in robust variants: most of the matrix is one constant."""
    C = cdist(rng.random((n, 2)), rng.random((m, 2)))
    return np.minimum(C, 0.2, out=C), weights(rng, n), weights(rng, m)


def cosine(n: int, m: int, rng: np.random.Generator) -> Parts:
    """Word-embedding-like vectors: a common mean and a spectrum that decays."""
    spectrum = np.arange(1, 301) ** -0.5
    x, y = (spectrum * rng.normal(size=(size, 300)) + 0.2 * spectrum for size in (n, m))
    return cdist(x, y, "cosine"), weights(rng, n), weights(rng, m)


def lowrank(n: int, m: int, rng: np.random.Generator) -> Parts:
    return rng.random((n, 5)) @ rng.random((5, m)), weights(rng, n), weights(rng, m)


def negative_gaussian(n: int, m: int, rng: np.random.Generator) -> Parts:
    """C = -<x, y>: transport by correlation, with costs of both signs."""
    return -(rng.normal(size=(n, 8)) @ rng.normal(size=(8, m))), None, None


def pareto(n: int, m: int, rng: np.random.Generator) -> Parts:
    """Heavy-tailed weights: a few points hold most of the mass."""
    a, b = rng.pareto(1.1, n) + 1e-3, rng.pareto(1.1, m) + 1e-3
    return cdist(rng.random((n, 2)), rng.random((m, 2)), "sqeuclidean"), a / a.sum(), b / b.sum()


def manifold(n: int, m: int, rng: np.random.Generator) -> Parts:
    """A rolled-up sheet in 20 dimensions: two of them matter, nearby."""

    def roll(size: int) -> Array:
        angle, height = rng.uniform(1.5, 4.5, size) * np.pi, rng.uniform(0.0, 20.0, size)
        return np.c_[angle * np.cos(angle), height, angle * np.sin(angle), 0.1 * rng.normal(size=(size, 17))]

    return cdist(roll(n), roll(m), "sqeuclidean"), weights(rng, n), weights(rng, m)


def blocks(n: int, m: int, rng: np.random.Generator) -> Parts:
    """Costs between 20 groups plus noise."""
    C = rng.random((20, 20))[rng.integers(20, size=n)][:, rng.integers(20, size=m)]
    C += 0.01 * rng.random((n, m))
    return C, weights(rng, n), weights(rng, m)


def logarithmic(n: int, m: int, rng: np.random.Generator) -> Parts:
    C = cdist(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)))
    return np.log(C, out=C), weights(rng, n), weights(rng, m)


FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        uniform2d,
        gaussians2d,
        weighted2d,
        euclidean2d,
        cityblock5d,
        weighted64d,
        iid,
        clusters,
        rings,
        image,
        image_l1,
        integers,
        cubed,
        truncated,
        cosine,
        lowrank,
        negative_gaussian,
        pareto,
        manifold,
        blocks,
        logarithmic,
    )
}
SQUARE_ONLY = {"image", "image_l1"}

# What --families takes besides the names of families.
GROUPS: dict[str, list[str]] = {
    "all": list(FAMILIES),
    "main": ["uniform2d", "weighted2d", "euclidean2d", "weighted64d", "iid", "clusters", "image", "image_l1"],
    "assignment": ["uniform2d", "gaussians2d", "iid", "rings", "integers", "negative_gaussian"],
    "images": ["image", "image_l1"],
}


class Case(NamedTuple):
    family: str
    shape: Shape
    single: bool = False  # monge is given the costs in float32


_RECTANGLES = [(500, 20000), (20000, 500), (100, 100000), (100000, 100)]

# What --set takes. Sizes grow, so that a peer's time on one tells whether the next is worth waiting for.
SETS: dict[str, list[Case]] = {
    "rectangles": [
        Case(family, shape)
        for shape in _RECTANGLES
        for family in ("uniform2d", "weighted2d", "euclidean2d", "weighted64d", "iid", "clusters")
    ],
    "large": [
        *(Case(family, (64**2, 64**2)) for family in GROUPS["images"]),
        *(
            Case(family, (n, n))
            for n in (8000, 10000)
            for family in ("uniform2d", "weighted2d", "euclidean2d", "weighted64d", "iid", "clusters")
        ),
        *(Case(family, (128**2, 128**2)) for family in GROUPS["images"]),
        *(Case(family, (20000, 20000), single=True) for family in ("uniform2d", "weighted2d", "euclidean2d", "iid")),
    ],
}


def make(family: str, size: int | Shape, seed: int = 0) -> Instance:
    """The instance of a family with n = m = size, or with the shape (n, m)."""
    n, m = (size, size) if isinstance(size, int) else size
    if n != m and family in SQUARE_ONLY:
        raise ValueError(f"the family {family} has n = m; got {n} x {m}.")
    # The name is part of the seed, so that families do not share their points.
    rng = np.random.default_rng([seed, *family.encode()])
    C, a, b = FAMILIES[family](n, m, rng)
    return Instance(f"{family} {C.shape[0]} x {C.shape[1]}", C, a, b)


def rect(n: int, m: int, seed: int = 0) -> Instance:
    """A rectangle, by default of weighted points in the plane: rect(500, 20000), rect(100000, 100)."""
    return make("weighted2d", (n, m), seed)


def resolve(names: list[str]) -> Iterator[str]:
    """Families, from names of families and of groups; each once."""
    seen: set[str] = set()
    for name in names:
        if name not in GROUPS and name not in FAMILIES:
            raise ValueError(
                f"no family {name!r}; there are {', '.join(FAMILIES)}, and the groups {', '.join(GROUPS)}."
            )
        for family in GROUPS.get(name, [name]):
            if family not in seen:
                seen.add(family)
                yield family
