"""Results whose arrays are where the points came from: in the memory of a GPU, as arrays of the caller's library."""

from __future__ import annotations

from typing import Any

import numpy as np

from monge.entropic.lazy import Lazy
from monge.problem.home import Home, on_host
from monge.problem.transport import Transport

__all__ = ["PlanAtHome", "TransportAtHome"]


def _brought(value: Any, home: Home) -> Any:
    if isinstance(value, np.ndarray):
        return home(value)
    if isinstance(value, Transport):
        return TransportAtHome(value, home)
    return PlanAtHome(value, home) if isinstance(value, Lazy) else value


def _as_it_is(value: Any) -> Any:
    return value


class _AtHome:
    """What NumPy has, `on_host`, with arrays that are on a GPU."""

    def __init__(self, on_host: Any, home: Home) -> None:
        self.on_host, self._home = on_host, home

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("on_host", "_home"):
            raise AttributeError(name)
        value = getattr(self.on_host, name)
        if not callable(value) or isinstance(value, Lazy):
            return _brought(value, self._home)
        return lambda *args, **options: _brought(value(*map(on_host, args), **options), self._home)

    def __dir__(self) -> list[str]:
        return dir(self.on_host)

    def __reduce__(self) -> Any:
        """Where it is loaded there may be no GPU: then it is what NumPy has."""
        return _as_it_is, (self.on_host,)

    def __repr__(self) -> str:
        return repr(self.on_host)


class PlanAtHome(_AtHome):
    """A lazy plan that takes arrays on a GPU and gives them; see `LazyPlan` for what it offers.

    ``on_host`` is the same plan for NumPy.
    """

    __array_ufunc__ = None  # v @ P is for __rmatmul__
    __array_priority__ = 1000

    def at_home(self, value: Any) -> Any:
        """What was made of `on_host`, with its arrays where those of this plan are."""
        return _brought(value, self._home)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self.on_host) if dtype is None else np.asarray(self.on_host).astype(dtype)

    def __matmul__(self, values: Any) -> Any:
        return _brought(self.on_host @ on_host(values), self._home)

    def __rmatmul__(self, values: Any) -> Any:
        return _brought(on_host(values) @ self.on_host, self._home)

    def __getitem__(self, rows: Any) -> Any:
        return _brought(self.on_host[rows], self._home)


class TransportAtHome(_AtHome):
    """A `Transport` whose arrays are on a GPU: potentials, gradients, images and what the plan gives.

    ``on_host`` is the same result for NumPy.
    """
