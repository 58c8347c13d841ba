"""Losses as functions of tensors that PyTorch can differentiate twice, batch, trace and compile.

Three operators do the work in NumPy: `solve`, `gradient`, and `product` of the second derivative with a direction. They
know nothing of derivatives; three functions of autograd tie them to each other. (Autograd formulas registered with the
operators would not do: torch.func fails on those.) All take any number of leading batch dimensions, in one call, and
so `vmap` adds one.

Derivatives are taken in reverse: second ones by two such passes, as `jacrev(grad(f))` does. (Forward derivatives of a
function of autograd are wrong, without a word, where one is taken of the other, and compilers take no function that has
them.)

Where nothing but numbers is wanted, in eager mode, the operators' implementations are called directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.utils._python_dispatch import _get_current_dispatch_mode

from monge.problem.hessian import Direction
from monge.torch.kind import KINDS, Measures, Settings

__all__ = ["untransformed", "value_of"]

# The tensors of one call: x (..., n, d), y (..., m, d), C (..., n, m), a (..., n), b (..., m), with the same leading
# dimensions; and how many dimensions of each are its own.
Tensors = Sequence[Tensor | None]
_OWN = (2, 2, 2, 1, 1)

_PLAIN = (Tensor, torch.nn.Parameter)


def value_of(kind: str, tensors: Tensors, ground: Any, numbers: tuple[float, ...]) -> Tensor:
    """The loss of this kind, of the shape of the leading dimensions. `tensors` are those of `tensors.checked`.

    TypeError for an option with respect to which a derivative is asked for.
    """
    for option in (*numbers, *(ground if isinstance(ground, tuple) else ())):
        if isinstance(option, Tensor) and _tracked(option):
            raise TypeError(
                "options should be numbers; got a tensor that requires a gradient or that torch.func transforms, and "
                "there is no derivative with respect to it. Pass a number, as from its .item()."
            )
    call = _Value if torch.compiler.is_compiling() or not untransformed(_first(tensors)[0]) else _EagerValue
    value: Tensor = call.apply(*tensors, kind, ground, numbers)[0]
    return value


def _tracked(option: Tensor) -> bool:
    """Whether derivatives of it may be asked for; a transform would take it for a constant without a word."""
    return bool(option.requires_grad or torch._C._functorch.is_functorch_wrapped_tensor(option))


# --- In NumPy ---------------------------------------------------------------------------------------------------------


def _solve(tensors: Tensors, kind: str, ground: Any, numbers: Sequence[float]) -> tuple[Tensor, Tensor]:
    return _solved(tensors, kind, ground, numbers)[:2]


def _solved(tensors: Tensors, kind: str, ground: Any, numbers: Sequence[float]) -> tuple[Tensor, Tensor, Any]:
    """Values, states, and what was solved."""
    first, lead = _first(tensors)
    values, states, answers = KINDS[kind].solve(_problems(tensors, lead), Settings(ground, numbers, _device(first)))
    value, state = (
        _tensor(each, lead, dtype, first.device) for each, dtype in ((values, first.dtype), (states, torch.float64))
    )
    return value, state, answers


def _slopes(tensors: Tensors, kind: str, answers: list[Any], wanted: int) -> list[Tensor]:
    """Derivatives of what was solved and is still at hand."""
    first, lead = _first(tensors)
    which = Measures(*_chosen(wanted))
    return _gathered([KINDS[kind].slopes(answer, which) for answer in answers], wanted, lead, first)


def _gradient(
    tensors: Tensors, state: Tensor, kind: str, ground: Any, numbers: Sequence[float], wanted: int
) -> list[Tensor]:
    first, lead = _first(tensors)
    settings, problems, states = Settings(ground, numbers, _device(first)), _problems(tensors, lead), _states(state)
    which = Measures(*_chosen(wanted))
    found = [KINDS[kind].gradient(p, s, settings, which) for p, s in zip(problems, states, strict=True)]
    return _gathered(found, wanted, lead, first)


def _product(
    tensors: Tensors, state: Tensor, along: Tensors, kind: str, ground: Any, numbers: Sequence[float], wanted: int
) -> list[Tensor]:
    first, lead = _first(tensors)
    settings, problems, states = Settings(ground, numbers, _device(first)), _problems(tensors, lead), _states(state)
    which = Direction(*_chosen(wanted))
    found = []
    for problem, one, step in zip(problems, states, _problems(along, lead), strict=True):
        moved = [None if part is None or not part.any() else part.astype(np.float64) for part in step]
        if any(part is not None for part in moved):
            found.append(KINDS[kind].product(problem, one, settings, Direction(*moved), which))
        else:  # autograd fills in zeros
            found.append(Direction(*(None if part is None else np.zeros(part.shape) for part in problem)))
    return _gathered(found, wanted, lead, first)


def _first(tensors: Tensors) -> tuple[Tensor, tuple[int, ...]]:
    """A tensor that is there, and the leading dimensions of all."""
    first, own = next((t, own) for t, own in zip(tensors, _OWN, strict=True) if t is not None)
    return first, tuple(first.shape[:-own])


def _device(tensor: Tensor) -> str | None:
    return "cuda" if tensor.is_cuda else None


def _numpy(tensor: Tensor) -> np.ndarray[Any, Any]:
    if torch._C._functorch.is_legacy_batchedtensor(tensor):
        raise RuntimeError(
            "vectorize=True and is_grads_batched=True of torch.autograd work for first derivatives alone here. Use "
            "torch.func, as in torch.func.jacrev(torch.func.grad(loss)), or leave them out."
        )
    tensor = tensor.detach()
    array: np.ndarray[Any, Any] = (tensor.cpu() if tensor.is_cuda else tensor).numpy()
    return array


def _problems(tensors: Tensors, lead: tuple[int, ...]) -> list[Measures]:
    arrays = [None if t is None else _numpy(t) for t in tensors]
    if not lead:
        return [Measures(*arrays)]
    count = int(np.prod(lead))
    each: list[Any] = []
    for array, own in zip(arrays, _OWN, strict=True):
        each.append([None] * count if array is None else array.reshape(count, *array.shape[-own:]))
    return [Measures(*one) for one in zip(*each, strict=True)]


def _states(state: Tensor) -> np.ndarray[Any, Any]:
    array = _numpy(state)
    return array.reshape(-1, array.shape[-1])


def _tensor(arrays: Sequence[Any], lead: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """One array for each problem as a tensor of its own."""
    array = np.asarray(np.stack(arrays) if lead else arrays[0], order="C")
    return torch.from_numpy(array.reshape(lead + array.shape[1:]) if lead else array).to(device, dtype)


def _gathered(found: list[Direction], wanted: int, lead: tuple[int, ...], first: Tensor) -> list[Tensor]:
    return [_tensor([one[k] for one in found], lead, first.dtype, first.device) for k in _indices(wanted)]


def _indices(mask: int) -> list[int]:
    """Which of the five tensors a mask stands for."""
    return [k for k in range(5) if mask >> k & 1]


def _mask(chosen: Sequence[bool]) -> int:
    return sum(1 << k for k, one in enumerate(chosen) if one)


def _chosen(mask: int) -> list[Any]:
    return [True if mask >> k & 1 else None for k in range(5)]


# --- The operators ----------------------------------------------------------------------------------------------------

_GROUNDS: dict[str, Any] = {}
_PROBLEM = "Tensor? x, Tensor? y, Tensor? C, Tensor? a, Tensor? b"
_ALONG = "Tensor? along_x, Tensor? along_y, Tensor? along_C, Tensor? along_a, Tensor? along_b"
_SETTINGS = "str kind, str ground, float[] numbers"


@torch.library.custom_op("monge::solve", mutates_args=(), schema=f"({_PROBLEM}, {_SETTINGS}) -> (Tensor, Tensor)")
def _solve_op(x: Any, y: Any, C: Any, a: Any, b: Any, kind: str, ground: str, numbers: Any) -> Any:
    return _solve((x, y, C, a, b), kind, _ground_of(ground), numbers)


@torch.library.custom_op(
    "monge::gradient",
    mutates_args=(),
    schema=f"({_PROBLEM}, Tensor state, {_SETTINGS}, int wanted) -> Tensor[]",
)
def _gradient_op(
    x: Any, y: Any, C: Any, a: Any, b: Any, state: Tensor, kind: str, ground: str, numbers: Any, wanted: int
) -> Any:
    return _gradient((x, y, C, a, b), state, kind, _ground_of(ground), numbers, wanted)


@torch.library.custom_op(
    "monge::product",
    mutates_args=(),
    schema=f"({_PROBLEM}, Tensor state, {_ALONG}, {_SETTINGS}, int wanted) -> Tensor[]",
)
def _product_op(
    x: Any, y: Any, C: Any, a: Any, b: Any, state: Tensor, along_x: Any, along_y: Any, along_C: Any, along_a: Any,
    along_b: Any, kind: str, ground: str, numbers: Any, wanted: int,
) -> Any:  # fmt: skip
    along = along_x, along_y, along_C, along_a, along_b
    return _product((x, y, C, a, b), state, along, kind, _ground_of(ground), numbers, wanted)


@_solve_op.register_fake
def _(x: Any, y: Any, C: Any, a: Any, b: Any, kind: str, ground: str, numbers: Any) -> Any:
    first, lead = next((t, t.shape[:-own]) for t, own in zip((x, y, C, a, b), _OWN, strict=True) if t is not None)
    n, m = (
        C.shape[-2:] if C is not None else (x.shape[-2], y.shape[-2]) if x is not None else (a.shape[-1], b.shape[-1])
    )
    size = KINDS[kind].state_size(n, m, 0 if x is None else x.shape[-1])
    return first.new_empty(lead), first.new_empty((*lead, size), dtype=torch.float64)


@_gradient_op.register_fake
def _(x: Any, y: Any, C: Any, a: Any, b: Any, state: Tensor, kind: str, ground: str, numbers: Any, wanted: int) -> Any:
    return _like((x, y, C, a, b), wanted)


@_product_op.register_fake
def _(
    x: Any, y: Any, C: Any, a: Any, b: Any, state: Tensor, along_x: Any, along_y: Any, along_C: Any, along_a: Any,
    along_b: Any, kind: str, ground: str, numbers: Any, wanted: int,
) -> Any:  # fmt: skip
    return _like((x, y, C, a, b), wanted)


def _like(tensors: Any, wanted: int) -> list[Tensor]:
    return [tensors[k].new_empty(tensors[k].shape) for k in _indices(wanted)]


def _key_of(ground: Any) -> str:
    """A name under which `_ground_of` finds a ground cost, since operators take no other objects."""
    if isinstance(ground, str):
        return ground
    if isinstance(ground, tuple):
        return f"{ground[0]} {ground[1]!r}"
    key: str = _kept(ground)
    return key


@torch.compiler.assume_constant_result
def _kept(ground: Any) -> str:
    key = f"#{id(ground)}"
    _GROUNDS[key] = ground  # for good: what is traced may be called at any time
    return key


def _ground_of(key: str) -> Any:
    if key.startswith("#"):
        return _GROUNDS[key]
    name, _, power = key.partition(" ")
    return (name, float(power)) if power else name


def untransformed(tensor: Tensor) -> bool:
    """Whether no transform of torch.func is at work either."""
    return _eager(tensor) and not torch._C._are_functorch_transforms_active()


def _eager(tensor: Tensor) -> bool:
    """Whether numbers alone are wanted, so that an operator need not leave a trace."""
    return (
        not torch.compiler.is_compiling()
        and type(tensor) in _PLAIN
        and _get_current_dispatch_mode() is None
        and not torch.jit.is_tracing()
    )


# --- What autograd knows ----------------------------------------------------------------------------------------------


class _Value(Function):
    """(x, y, C, a, b, kind, ground, numbers) -> value (...), state (..., k)."""

    @staticmethod
    def forward(x: Any, y: Any, C: Any, a: Any, b: Any, kind: str, ground: Any, numbers: Any) -> Any:
        tensors = x, y, C, a, b
        if _eager(_first(tensors)[0]):
            return _solve(tensors, kind, ground, numbers)
        return _solve_op(*tensors, kind, _key_of(ground), numbers)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs[:5], output[1])
        ctx.settings = inputs[5:]

    @staticmethod
    def backward(ctx: Any, slope: Tensor, _: Any) -> Any:
        *tensors, state = ctx.saved_tensors
        needed = ctx.needs_input_grad[:5]
        if not torch.is_grad_enabled() and _eager(state) and _eager(slope):
            kind, ground, numbers = ctx.settings
            answers = getattr(ctx, "answers", None)
            if answers is not None:
                found = _slopes(tensors, kind, answers, _mask(needed))
            else:
                found = _gradient(tensors, state, kind, ground, numbers, _mask(needed))
        else:
            found = _Gradient.apply(*tensors, state, *ctx.settings, _mask(needed))
        each = iter(found)
        scaled = [_scaled(slope, next(each), own) if need else None for need, own in zip(needed, _OWN, strict=True)]
        return *scaled, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        tensors = _batched(info.batch_size, in_dims[:5], args[:5])
        return _Value.apply(*tensors, *args[5:]), (0, 0)


def _scaled(slope: Tensor, derivative: Tensor, own: int) -> Tensor:
    return derivative * (slope[(..., *[None] * own)] if slope.dim() else slope)


class _EagerValue(_Value):
    """The same where no transform of torch.func and no compiler looks on, as `apply` takes it without delay."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        value, state, answers = _solved(inputs[:5], *inputs[5:])
        if any(ctx.needs_input_grad):  # else nothing is kept, which tensors of inference mode would not allow
            _Value.setup_context(ctx, inputs, (value, state))
            ctx.answers = answers  # which have no tensors, and go with the graph
        return value, state

    setup_context = Function.setup_context


class _Gradient(Function):
    """(x, y, C, a, b, state, kind, ground, numbers, wanted) -> derivatives of the value with respect to some."""

    @staticmethod
    def forward(
        x: Any, y: Any, C: Any, a: Any, b: Any, state: Tensor, kind: str, ground: Any, numbers: Any, wanted: int
    ) -> Any:
        tensors = x, y, C, a, b
        if _eager(state):
            return tuple(_gradient(tensors, state, kind, ground, numbers, wanted))
        return tuple(_gradient_op(*tensors, state, kind, _key_of(ground), numbers, wanted))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs[:6])
        ctx.settings = inputs[6:]

    @staticmethod
    def backward(ctx: Any, *along: Any) -> Any:
        needed, given = ctx.needs_input_grad[:5], iter(along)
        steps = [next(given) if ctx.settings[-1] >> k & 1 else None for k in range(5)]
        each = iter(_Product.apply(*ctx.saved_tensors, *steps, *ctx.settings[:-1], _mask(needed)))
        return *(next(each) if need else None for need in needed), *[None] * 5

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        tensors = _batched(info.batch_size, in_dims[:6], args[:6])
        found = _Gradient.apply(*tensors, *args[6:])
        return found, (0,) * len(found)


class _Product(Function):
    """(x, y, C, a, b, state, along five, kind, ground, numbers, wanted) -> how some derivatives change along that."""

    @staticmethod
    def forward(
        x: Any, y: Any, C: Any, a: Any, b: Any, state: Tensor, along_x: Any, along_y: Any, along_C: Any, along_a: Any,
        along_b: Any, kind: str, ground: Any, numbers: Any, wanted: int,
    ) -> Any:  # fmt: skip
        tensors, along = (x, y, C, a, b), (along_x, along_y, along_C, along_a, along_b)
        if _eager(state):
            return tuple(_product(tensors, state, along, kind, ground, numbers, wanted))
        return tuple(_product_op(*tensors, state, *along, kind, _key_of(ground), numbers, wanted))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs[:6])
        ctx.settings = inputs[11:]

    @staticmethod
    def backward(ctx: Any, *moved: Any) -> Any:
        kind, ground, numbers, wanted = ctx.settings
        there = [k for k, tensor in enumerate(ctx.saved_tensors[:5]) if tensor is not None]
        if any(ctx.needs_input_grad[k] and _executed(ctx, place) for place, k in enumerate(there)):
            raise RuntimeError(
                f"monge.torch.{kind} has first and second derivatives, but no third ones. Detach its second derivative "
                "from the graph, or leave create_graph out of the second call."
            )
        # The second derivative is symmetric: autograd.functional.hvp has it by two passes.
        needed, given = ctx.needs_input_grad[6:11], iter(moved)
        steps = [next(given) if wanted >> k & 1 else None for k in range(5)]
        each = iter(_Product.apply(*ctx.saved_tensors, *steps, kind, ground, numbers, _mask(needed)))
        return *[None] * 6, *(next(each) if need else None for need in needed), *[None] * 4

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        tensors = _batched(info.batch_size, in_dims[:11], args[:11])
        found = _Product.apply(*tensors, *args[11:])
        return found, (0,) * len(found)


def _executed(ctx: Any, place: int) -> bool:
    """Whether autograd goes on from here to what an input came from, by its place among tensors; or may do."""
    try:
        return bool(torch._C._will_engine_execute_node(ctx.next_functions[place][0]))
    except (AttributeError, IndexError, RuntimeError, TypeError):
        return True


def _batched(count: int, dims: Sequence[int | None], tensors: Sequence[Any]) -> list[Any]:
    """Tensors with a batch dimension in front, those that have none repeated."""
    out: list[Any] = []
    for tensor, dim in zip(tensors, dims, strict=True):
        if tensor is None:
            out.append(None)
        else:
            out.append(tensor.expand(count, *tensor.shape) if dim is None else tensor.movedim(dim, 0))
    return out
