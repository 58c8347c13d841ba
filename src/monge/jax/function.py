"""Losses as functions of arrays that JAX can differentiate, batch and compile.

The work is done on the host, in NumPy: at once where arrays hold numbers, and where they are traced in a call that JAX
makes when it runs the function (`jax.pure_callback`), of a batch in one. Where derivatives are wanted the same call
gives them, too, of those arrays alone that they are wanted of. What JAX does with them is linear, so that it can go
both ways, `grad` and `jvp`. It does not know how they change in their turn, and says so.

A call that JAX makes must not raise. What it would have raised is written to the log, and numbers are NaN.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from monge.jax.arrays import OWN, Measures

__all__ = ["Kind", "value_of"]

_log = logging.getLogger("monge.jax")

_Shape: Any = jax.ShapeDtypeStruct

_SLOPES = ("grad_x", "grad_y", "", "grad_a", "grad_b")


class Kind(NamedTuple):
    """A kind of loss with its options. Equal ones are the same to JAX, which keeps what it compiled for them."""

    name: str
    # From problems of NumPy's arrays, and what to draw numbers from, to objects with ``value``, ``grad_x`` and so on.
    solve: Callable[[Kind, list[Measures], Any], list[Any]]
    plan: Callable[[Any], Any] | None  # of such an object: the derivative with respect to a matrix of costs
    plain: Callable[..., Any]
    ground: Any
    options: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, name: str, solve: Any, plan: Any, plain: Any, ground: Any, options: dict[str, Any]) -> Kind:
        """With options that can be compared."""
        return cls(name, solve, plan, plain, _fixed(ground), tuple((key, _fixed(one)) for key, one in options.items()))


def _fixed(option: Any) -> Any:
    return tuple(option) if isinstance(option, list | np.ndarray) else option


def value_of(kind: Kind, measures: Measures, seeds: Any = None) -> jax.Array:
    """The loss, of the shape of the leading dimensions, and of the widest type of the arrays, which `checked` made.

    `seeds` (..., k), integers that a kind's solver may draw numbers from, have the same leading dimensions, or ones.
    """
    places = tuple(k for k, array in enumerate(measures) if array is not None)
    arrays, own = [measures[k] for k in places], tuple(OWN[k] for k in places)
    lead = np.broadcast_shapes(*(a.shape[: a.ndim - o] for a, o in zip(arrays, own, strict=True)))
    dtype = jnp.result_type(*arrays)
    if seeds is not None:
        arrays, own = [*arrays, seeds], (*own, 1)

    def call(wanted: tuple[int, ...], given: Sequence[Any]) -> Any:
        """The value, and its derivatives (*lead, ...) with respect to some of the arrays."""
        shapes = [_Shape(lead, dtype)]
        shapes += [_Shape(lead + given[k].shape[-own[k] :], given[k].dtype) for k in wanted]
        work: Any = _Work(kind, places, own, wanted, len(lead), tuple(shape.dtype for shape in shapes))
        if not any(isinstance(array, jax.core.Tracer) for array in given):
            return [jnp.asarray(found) for found in work.done(given, kind.solve)]
        return jax.pure_callback(work, shapes, *given, vmap_method="expand_dims")

    @jax.custom_jvp
    def value(*given: Any) -> Any:
        return call((), given)[0]

    def derivative(given: Any, steps: Any) -> Any:
        wanted = tuple(k for k in range(len(places)) if not isinstance(steps[k], SymbolicZero))

        @jax.custom_jvp
        def with_slopes(*given: Any) -> Any:
            return call(wanted, given)

        @with_slopes.defjvp
        def _(*_: Any) -> Any:
            raise RuntimeError(
                f"monge.jax.{kind.name} has first derivatives, but no second ones: its derivatives are constants to "
                "JAX. Take them out with jax.lax.stop_gradient, or use monge.torch, which has second derivatives."
            )

        number, *slopes = with_slopes(*given)
        change = jnp.zeros(lead, dtype)
        for k, slope in zip(wanted, slopes, strict=True):
            change += (slope * steps[k]).sum(axis=tuple(range(-own[k], 0))).astype(dtype)
        return number, change

    value.defjvp(derivative, symbolic_zeros=True)
    found: jax.Array = value(*arrays)
    return found


class _Work(NamedTuple):
    """What JAX calls, with the arrays of `places` and of as many dimensions of their `own`, and perhaps seeds."""

    kind: Kind
    places: tuple[int, ...]
    own: tuple[int, ...]
    wanted: tuple[int, ...]  # the arrays, by number, with respect to which derivatives are
    depth: int  # the number of leading dimensions; jax.vmap adds to them
    dtypes: tuple[Any, ...]  # of the value and of the derivatives

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        return self.done(given, _solved)

    def done(self, given: Sequence[Any], solve: Callable[[Kind, list[Measures], Any], list[Any]]) -> tuple[Any, ...]:
        """The value (...), and the derivatives (..., *) one for each problem, NaN where there is no answer."""
        arrays = [np.asarray(array) for array in given]
        lead = np.broadcast_shapes(*(a.shape[: a.ndim - o] for a, o in zip(arrays, self.own, strict=True)))
        problems, seeds = _problems(self.places, self.own, lead, arrays)
        answers = _with_seeds(self.kind, problems, seeds, solve)
        own_shapes = [(), *(arrays[k].shape[arrays[k].ndim - self.own[k] :] for k in self.wanted)]
        out = [np.full(lead + own, np.nan, dtype) for own, dtype in zip(own_shapes, self.dtypes, strict=True)]
        with np.errstate(over="ignore", under="ignore"):  # inf is what half precision has for a large number
            for at, answer in zip(np.ndindex(lead), answers, strict=True):
                if answer is None:
                    continue
                out[0][at] = answer.value
                for slopes, k in zip(out[1:], self.wanted, strict=True):
                    slopes[at] = _slope(self.kind, answer, self.places[k])
        return tuple(out)


def _slope(kind: Kind, answer: Any, place: int) -> Any:
    if _SLOPES[place]:
        return getattr(answer, _SLOPES[place])
    assert kind.plan is not None
    return kind.plan(answer)


def _problems(
    places: Sequence[int], own: Sequence[int], lead: tuple[int, ...], arrays: Sequence[Any]
) -> tuple[list[Measures], list[Any]]:
    """One for each index of the batch, and its seeds. Points and costs are in double precision; weights in their own
    type, which tells how far they are rounded."""
    each: list[list[Any]] = [[None] * int(np.prod(lead)) for _ in range(len(OWN) + 1)]
    for k, o, array in zip([*places, len(OWN)], own, arrays, strict=False):
        many = array.astype(np.float64) if o == 2 else array
        if all(size == 1 for size in many.shape[: many.ndim - o]):  # one for all
            each[k] = [many.reshape(many.shape[many.ndim - o :])] * len(each[k])
        else:
            spread = np.broadcast_to(many, lead + many.shape[many.ndim - o :])
            each[k] = [spread[at] for at in np.ndindex(lead)]
    *measures, seeds = each
    return [Measures(*one) for one in zip(*measures, strict=True)], seeds


def _with_seeds(kind: Kind, problems: list[Measures], seeds: list[Any], solve: Any) -> list[Any]:
    if all(np.array_equal(seed, seeds[0]) for seed in seeds[1:]):
        return list(solve(kind, problems, seeds[0]))
    return [solve(kind, [one], seed)[0] for one, seed in zip(problems, seeds, strict=True)]


def _solved(kind: Kind, problems: list[Measures], seed: Any) -> list[Any]:
    """Answers, None for problems that have none."""
    try:
        return kind.solve(kind, problems, seed)
    except Exception as error:
        if len(problems) == 1:
            _log.error("%s: %s: %s The loss is NaN.", kind.name, type(error).__name__, error)
            return [None]
    return [_solved(kind, [one], seed)[0] for one in problems]  # one is to blame
