"""What `semidual` returns: potentials of the atoms, as a function of points that need not have been there."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.semidual.atoms import Atoms, Transform, parts
from monge.problem.at_home import at_home
from monge.problem.costs import PointCloud, as_points
from monge.problem.home import Home, home_of_any

__all__ = ["SemiDual", "Stop"]

Array = NDArray[np.float64]


class Stop(enum.Enum):
    """Why an ascent stopped. The value is the advice.

    Attributes
    ----------
    value : str
        What it means, and what to do about it if the ascent should not have stopped.
    """

    OPTIMAL = "all of the source was solved for at once; the gap certifies it"
    CONVERGED = "the chi-squared of the masses is within tol"
    MAX_ITER = (
        "max_iter steps were over before chi2 came below tol. Raise max_iter or tol. semidual goes on with init=; "
        "without entropy, where many points are as near to two atoms, as with cost='cityblock', no assignment "
        "has the right masses: take eps > 0 then"
    )
    TIME_LIMIT = "time_limit was over before chi2 came below tol. Raise time_limit or tol"


@dataclass(frozen=True)
class SemiDual:
    """Transport of a source onto atoms, by the potentials g (m,) of the atoms.

    It has a value at any point x: ``potential(x)``, ``assign(x)`` and ``map(x)``, whether x was seen before or not.
    `value` and `masses` were measured on fresh points, or on all where the source has so few.

    Attributes
    ----------
    value : float
        The mean dual value E g^(c,eps)(x) + <b, g>, in cost units: on average at most the optimum.
    standard_error : float
        Of `value`, from the spread of the points; zero where all points of the source were looked at.
    gap : float
        By how much a feasible plan for the very points that `value` was measured on costs more than it, >= 0: the plan
        of the potentials, and then the cheapest way among the atoms from its masses to b. So ``value`` and
        ``value + gap`` have the optimum between them, on average over the points. Infinite for more than 8,192 atoms.
    chi2 : float
        sum_j m_j^2 / b_j - 1 of the masses, without bias: it may come out slightly negative.
    status : Stop
        Why the ascent stopped; ``status.value`` is advice.
    converged : bool
        Whether it reached what was asked for.
    iterations : int
        Steps of the ascent after the start.
    eps : float
        Strength of the entropy; zero for none.
    samples : int
        The points that `value` and `masses` were measured on.
    stats : dict
        Points of the exact start, steps of the results that `init` came from, and seconds.
    g : ndarray (m,)
        Potentials of the atoms in cost units, with <b, g> = 0; minus infinity where b is zero.
    masses : ndarray (m,)
        What the atoms receive of a total of one: where eps is zero, the masses of their Laguerre cells.
    y, b : ndarray (m, d), (m,)
        The atoms and their weights, which add up to one.

    Methods
    -------
    potential(x)
        The transform of g at points x.
    assign(x)
        Which atom each point belongs to.
    map(x)
        Where points go on average.
    """

    value: float
    standard_error: float
    gap: float
    chi2: float
    status: Stop
    iterations: int
    eps: float
    samples: int
    stats: Mapping[str, Any] = field(repr=False)
    on_host: Mapping[str, Array] = field(repr=False)  # g, masses, y, b of all atoms
    atoms: Atoms = field(repr=False)  # those with mass, at different places
    rows: NDArray[np.intp] = field(repr=False)  # of y, the first at each of these
    home: Home | None = field(repr=False, default=None)

    @property
    def converged(self) -> bool:
        """Whether the ascent reached what was asked for."""
        return self.status in (Stop.OPTIMAL, Stop.CONVERGED)

    @property
    def g(self) -> Any:
        """Potentials of the atoms, (m,)."""
        return at_home(self.on_host["g"], self.home)

    @property
    def masses(self) -> Any:
        """What the atoms receive, (m,)."""
        return at_home(self.on_host["masses"], self.home)

    @property
    def y(self) -> Any:
        """The atoms, (m, d)."""
        return at_home(self.on_host["y"], self.home)

    @property
    def b(self) -> Any:
        """Their weights, (m,)."""
        return at_home(self.on_host["b"], self.home)

    def potential(self, x: Any) -> Any:
        """The transform f(x) = -eps log sum_j b_j exp((g_j - c(x, y_j)) / eps), or min_j c(x, y_j) - g_j for eps = 0.

        Parameters
        ----------
        x : array_like (n, d)
            Points, new or old; a vector stands for points on the line.

        Returns
        -------
        ndarray (n,)
            In cost units. Where eps is zero, f(x) + g_j <= c(x, y_j) for all j.

        Examples
        --------
        >>> import monge
        >>> found = monge.semidual([[0.0], [1.0]], [[0.0], [3.0]])
        >>> bool(found.potential([[0.0], [1.0]]).mean() + found.g.mean() == found.value)
        True
        """
        points = self._points(x)
        return self._there(np.concatenate([sent.f for _, sent in self._each(points)]), x)

    def assign(self, x: Any) -> Any:
        """The atom with the least c(x, y_j) - g_j, whose Laguerre cell x is in.

        Where eps is not zero that is the one with the largest share of x beside its weight.

        Parameters
        ----------
        x : array_like (n, d)
            Points, new or old.

        Returns
        -------
        ndarray (n,) of int
            Rows of y. Of atoms that are as near, and of those at one place, the first.

        Examples
        --------
        >>> import monge
        >>> found = monge.semidual(lambda rng, n: rng.random((n, 1)), [[0.0], [3.0]], rng=0)
        >>> found.assign([[0.1], [0.4], [0.6], [0.9]])  # half of the mass to each
        array([0, 0, 1, 1])
        """
        points, cells = self._points(x), self._cells
        found = [cells(points[some]).to for some in parts(len(points), self.atoms.size)]
        return self._there(self.rows[np.concatenate(found)], x)

    def map(self, x: Any) -> Any:
        """The barycentric map T(x) = sum_j s_j(x) y_j, with the shares s_j(x) of the atoms; the atom for eps = 0.

        Parameters
        ----------
        x : array_like (n, d)
            Points, new or old.

        Returns
        -------
        ndarray (n, d)
            Their images.

        Examples
        --------
        >>> import monge
        >>> found = monge.semidual(lambda rng, n: rng.random((n, 1)), [[0.0], [3.0]], rng=0)
        >>> found.map([[0.1], [0.9]])
        array([[0.],
               [3.]])
        """
        points, y = self._points(x), self.atoms.y
        found = [y[sent.to] if sent.single else sent.to @ y for _, sent in self._each(points)]
        return self._there(np.concatenate(found), x)

    @cached_property
    def _transform(self) -> Transform:
        return self.atoms.transform(self.on_host["g"][self.rows])

    @cached_property
    def _cells(self) -> Transform:
        return replace(self.atoms, eps=0.0).transform(self._transform.g)

    def _each(self, points: Array) -> Any:
        return ((some, self._transform(points[some])) for some in parts(len(points), self.atoms.size))

    def _points(self, x: Any) -> Array:
        points = as_points(x, "x").astype(np.float64, copy=False)
        d = self.atoms.y.shape[1]
        if points.shape[1] != d:
            raise ValueError(f"x should have points of {d} coordinates, as y does; got shape {points.shape}.")
        PointCloud(points[:1], self.atoms.y, self.atoms.cost)  # which says what the cost does not take
        return points

    def _there(self, values: NDArray[Any], x: Any) -> Any:
        return at_home(values, home_of_any(self.home, x))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_transform", "_cells")}
