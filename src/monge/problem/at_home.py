"""Results whose arrays are where the caller's are: of the same library, on the same device, of the same type."""

from __future__ import annotations

import copy
from typing import Any, TypeVar, cast

import numpy as np

from monge.problem.home import Home, on_host
from monge.problem.transport import Transport

__all__ = ["PlanAtHome", "TransportAtHome", "at_home"]


T = TypeVar("T")


def at_home(value: T, home: Home | None) -> T:
    """What a solver found, with its arrays there; a list of results one by one, and what holds no array as it is."""
    return value if home is None else cast(T, _brought(value, home))


def _brought(value: Any, home: Home) -> Any:
    if isinstance(value, np.ndarray):
        return home(value)
    if isinstance(value, Transport):
        return TransportAtHome(value, home)
    if type(value) in (list, tuple):
        return type(value)(_brought(each, home) for each in value)
    return PlanAtHome(value, home) if hasattr(value, "toarray") else value  # lazy, or of scipy.sparse


def _as_it_is(value: Any) -> Any:
    return value


class _AtHome:
    """What NumPy has, `on_host`, with arrays of another library."""

    def __init__(self, on_host: Any, home: Home) -> None:
        self.on_host, self._home = on_host, home

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("on_host", "_home"):
            raise AttributeError(name)
        value = getattr(self.on_host, name)
        if not callable(value):
            return at_home(value, self._home)

        def method(*args: Any, **options: Any) -> Any:
            found = value(*map(on_host, args), **{key: on_host(option) for key, option in options.items()})
            return at_home(found, self._home)

        return method

    def __dir__(self) -> list[str]:
        return dir(self.on_host)

    def __reduce__(self) -> Any:
        """Where it is loaded there may be no such library, or no GPU: then it is what NumPy has."""
        return _as_it_is, (self.on_host,)

    def __copy__(self) -> Any:
        return type(self)(copy.copy(self.on_host), self._home)

    def __deepcopy__(self, memo: Any) -> Any:
        return type(self)(copy.deepcopy(self.on_host, memo), self._home)

    def __repr__(self) -> str:
        return repr(self.on_host)


class PlanAtHome(_AtHome):
    """A lazy or sparse plan that takes arrays of the caller's library and gives them: products, sums, rows, entries.

    See `LazyPlan` and scipy.sparse.coo_array for what it offers. ``on_host`` is the same plan for NumPy and SciPy.
    """

    __array_ufunc__ = None  # v @ P is for __rmatmul__
    __array_priority__ = 1000

    @property
    def dtype(self) -> Any:
        """Of what it gives, as the caller's library writes it."""
        return self._home.dtype or self.on_host.dtype

    def at_home(self, value: Any) -> Any:
        """What was made of `on_host`, with its arrays where those of this plan are."""
        return at_home(value, self._home)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        entries = self.on_host.toarray()
        return np.asarray(entries if dtype is None else entries.astype(dtype))

    def __matmul__(self, values: Any) -> Any:
        return self.at_home(self.on_host @ on_host(values))

    def __rmatmul__(self, values: Any) -> Any:
        return self.at_home(on_host(values) @ self.on_host)

    def __getitem__(self, rows: Any) -> Any:
        return self.at_home(self.on_host[on_host(rows)])


class TransportAtHome(_AtHome):
    """A `Transport` whose arrays are the caller's: potentials, gradients, images and what the plan gives.

    They have the caller's floating type. ``on_host`` is the same result for NumPy, in double precision. Nothing of it
    is recorded for automatic differentiation: that is what `monge.torch` and `monge.jax` are for.
    """

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # what isinstance looks at: this is a Transport wherever it counts
        return type(self.on_host)
