"""What `critic` returns: an estimate of W1, a bound of it, and two functions of points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monge.neural.certificate import nearest
from monge.neural.functionals import scores
from monge.neural.history import History
from monge.neural.training import TrainingStatus
from monge.problem.at_home import at_home
from monge.problem.costs import as_points
from monge.problem.home import Home, home_of_any

__all__ = ["Critic", "Standardised"]

Array = NDArray[np.float64]

# Points that go through a network at once when it is used.
_AT_ONCE = 8192


class Standardised(nn.Module):
    """unit * D((z - middle) / unit), a network of points in the caller's unit. Its slopes are those of D."""

    middle: Tensor
    unit: Tensor

    def __init__(self, inner: Any, middle: Array, unit: float) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("middle", torch.from_numpy(middle.copy()))
        self.register_buffer("unit", torch.tensor(unit, dtype=torch.float64))

    @classmethod
    def about(cls, inner: Any, points: Array) -> Standardised:
        """From points (n, d): their middle, and the standard deviation of a coordinate."""
        middle = points.mean(axis=0)
        apart = points - middle
        largest = float(np.abs(apart).max())  # whose square may not be a number
        unit = largest * math.sqrt(float(np.square(apart / largest).mean())) if largest > 0.0 else 1.0
        return cls(inner, middle, unit)

    def standard(self, points: NDArray[Any]) -> Array:
        """As the inner network takes them."""
        return np.asarray((points - self.middle.cpu().numpy()) / float(self.unit))

    def forward(self, points: Tensor) -> Tensor:
        """(n, d) to (n,). What is far from zero is moved in double precision."""
        inner = next(self.inner.parameters(), self.unit)
        standard = (points.to(inner.device, torch.float64) - self.middle) / self.unit
        return self.unit.to(inner.dtype) * scores(self.inner, standard.to(inner.dtype))

    def values(self, points: Array) -> Array:
        """(n, d) to (n,) of NumPy's, a block at a time."""
        with torch.no_grad():
            parts = [self(part).double().cpu().numpy() for part in torch.from_numpy(points).split(_AT_ONCE)]
        return np.concatenate(parts)


@dataclass(frozen=True)
class Critic:
    """A network that tells x from y, and what it says about W1.

    Two functions of points belong to it. The network D is smooth, and an estimate. The potential u is made of it by
    transforms: it is 1-Lipschitz wherever one looks, and ``E u(x) - E u(y)`` is `lower_bound`. Both are high at x and
    low at y.

    Attributes
    ----------
    value : float
        E D(x) - E D(y), the network's own estimate of W1; on either side of it.
    lower_bound : float
        What is proved: at most W1 of the two clouds, ``emd(PointCloud(x, y, cost="euclidean"), a, b).value``.
    scale : float
        What D was divided by for that; about its steepest slope that matters. Infinite where D says nothing of use.
    status : TrainingStatus
        Why training ended.
    history : History
        Of each step: the estimate of its batch, in units of the standard deviation of the points, and the loss.
    network : torch.nn.Module
        D, from points (k, d) to (k,), which torch can differentiate.
    x, y : array (n, d), (m, d)
        The points that `value` and `lower_bound` are about: those given, or what was drawn of a sampler.
    grad_x : array (n, d)
        The derivative of `lower_bound` with respect to x, a_i grad u(x_i): a critic is a loss for `gradient_flow`.

    Methods
    -------
    potential(z)
        The certified potential u.
    gradient(z)
        Its gradient.
    """

    value: float
    lower_bound: float
    scale: float
    status: TrainingStatus
    history: History = field(repr=False)
    network: Standardised = field(repr=False)
    on_host: Mapping[str, Array] = field(repr=False)  # x, y, a, b; and g at its anchors, those of y that have mass
    home: Home | None = field(repr=False, default=None)

    @property
    def x(self) -> Any:
        """The points of the first measure, (n, d)."""
        return at_home(self.on_host["x"], self.home)

    @property
    def y(self) -> Any:
        """Those of the second, (m, d)."""
        return at_home(self.on_host["y"], self.home)

    @property
    def grad_x(self) -> Any:
        """The derivative of the bound with respect to x, (n, d)."""
        return at_home(self._grad_x, self.home)

    @cached_property
    def _grad_x(self) -> Array:
        return self.on_host["a"][:, np.newaxis] * self._gradient(self.on_host["x"])

    def potential(self, z: Any) -> Any:
        """The critic u(z) = min_j |z - y_j| - g_j, with the g that the network led to; high at x, low at y.

        Parameters
        ----------
        z : array_like (k, d)
            Points, new or old; a vector stands for points on the line.

        Returns
        -------
        array (k,)
            |u(z) - u(z')| <= |z - z'| for any two points, and the mean of u(x) less that of u(y) is `lower_bound`.

        Examples
        --------
        >>> import monge.neural
        >>> found = monge.neural.critic([[0.0], [1.0]], [[3.0], [4.0]], n_steps=20, rng=0)
        >>> u = found.potential([[0.0], [2.0], [4.0]])
        >>> u - u[1]  # it falls at slope one, whatever the network
        array([ 2.,  0., -2.])
        """
        return at_home(nearest(self._points(z), *self._anchors)[0], home_of_any(self.home, z))

    def gradient(self, z: Any) -> Any:
        """The gradient of the potential: from the y_j that has the minimum to z, of length one; zero at y_j itself.

        The particles of x that go against it go to y. That of the network, which is smooth and not of length one, is a
        matter of ``torch.autograd.grad(found.network(z).sum(), z)``.

        Parameters
        ----------
        z : array_like (k, d)
            Points, new or old.

        Returns
        -------
        array (k, d)
            One for each.
        """
        return at_home(self._gradient(self._points(z)), home_of_any(self.home, z))

    @property
    def _anchors(self) -> tuple[Array, Array]:
        return self.on_host["anchors"], self.on_host["g"]

    def _gradient(self, points: Array) -> Array:
        y, g = self._anchors
        apart = points - y[nearest(points, y, g)[1]]
        largest = np.abs(apart).max(axis=1, keepdims=True)
        apart /= np.where(largest > 0.0, largest, 1.0)  # squares of tiny numbers are zero
        length = np.linalg.norm(apart, axis=1, keepdims=True)
        return apart / np.where(length > 0.0, length, 1.0)

    def _points(self, z: Any) -> Array:
        points, d = as_points(z, "z").astype(np.float64), self.on_host["y"].shape[1]
        if points.shape[1] != d:
            raise ValueError(f"z should have points of {d} coordinates, as x and y do; got shape {points.shape}.")
        return points
