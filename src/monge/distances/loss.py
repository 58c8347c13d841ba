"""What every distance that can be differentiated returns: a number that knows its derivatives."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from monge.problem.home import Home

__all__ = ["Loss"]


class Loss(float):
    """A float, with its derivatives with respect to what it was computed from.

    Derivatives are computed when they are first asked for, and kept. Those that a loss does not have raise a TypeError
    that says why. A loss of arrays of another library than NumPy gives derivatives as arrays of that one.

    Attributes
    ----------
    value : float
        The number itself.
    grad_x, grad_y : ndarray (n, d), (m, d)
        Derivatives with respect to the points.
    grad_a, grad_b : ndarray (n,), (m,)
        Derivatives with respect to the weights. Where both totals must stay equal they are defined up to a constant.

    Examples
    --------
    >>> import monge
    >>> loss = monge.energy_distance([[0.0, 0.0]], [[3.0, 4.0]])
    >>> loss, loss + 1.0
    (10.0, 11.0)
    >>> loss.grad_x
    array([[-1.2, -1.6]])
    """

    home: Home | None = None  # where the caller's arrays are, if not in NumPy; forgotten by a pickle

    def __new__(cls, value: float, *_: Any, **__: Any) -> Loss:
        return super().__new__(cls, value)

    @property
    def value(self) -> float:
        """The number itself."""
        return float(self)

    @property
    def grad_x(self) -> Any:
        """Derivative with respect to x, (n, d)."""
        return self._at_home(self._point_gradients[0])

    @property
    def grad_y(self) -> Any:
        """Derivative with respect to y, (m, d)."""
        return self._at_home(self._point_gradients[1])

    @property
    def grad_a(self) -> Any:
        """Derivative with respect to the weights a, (n,)."""
        return self._at_home(self._weight_gradients[0])

    @property
    def grad_b(self) -> Any:
        """Derivative with respect to the weights b, (m,)."""
        return self._at_home(self._weight_gradients[1])

    def _at_home(self, values: NDArray[Any]) -> Any:
        return values if self.home is None else self.home(values)

    @property
    def _point_gradients(self) -> tuple[NDArray[Any], NDArray[Any]]:
        raise TypeError(f"{type(self).__name__} has no derivative with respect to points.")

    @property
    def _weight_gradients(self) -> tuple[NDArray[Any], NDArray[Any]]:
        raise TypeError(f"{type(self).__name__} has no derivative with respect to weights.")
