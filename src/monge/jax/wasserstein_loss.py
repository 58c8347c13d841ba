"""The multi-class Wasserstein loss: what it costs to move a predicted distribution over classes to the target.

W(h, t) = min_P <P, C>   subject to  P 1 = h,  P' 1 = t          (Frogner, Zhang, Mobahi, Araya-Polo and Poggio 2015)

with its closed forms: to a single class k all of h has to go, W = <h, C[:, k]>; between classes in an order, with the
cost |i - j|, W is the sum of the differences of the two distribution functions (Liu et al. 2020).

Numbers that cannot be looked at, since the function is traced, cannot be refused: what is wrong with a prediction or
with its target makes its loss NaN.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from monge.distances.predictions import allowed, check_options, check_values
from monge.jax.transport import emd, sinkhorn

__all__ = ["wasserstein_loss"]


def wasserstein_loss(
    probabilities: Any,
    target: Any,
    cost: Any,
    *,
    eps: float | None = None,
    marginals: Any = None,
    reduction: str = "mean",
    tol: float = 1e-3,
    max_iter: int = 10_000,
    threads: int | None = None,
) -> jax.Array:
    """The Wasserstein loss between predicted distributions over classes and their targets, differentiable once.

    ``min_P <P, C> + eps KL(P | h x t)`` over plans P from the prediction h to the target t, where ``C[i, j]`` is what
    it costs to say class i where class j is right. All predictions of a batch are solved in one call, on the host;
    what has a closed form is not solved.

    Parameters
    ----------
    probabilities : array (..., K)
        Predictions h: probabilities, classes last, such as ``jax.nn.softmax(logits)``, not logits. With `marginals` any
        masses that are not negative, such as ``jax.nn.sigmoid(logits)``.
    target : array (...) of integers, or (..., L)
        The right classes; or distributions over classes, of the same totals as the predictions. With `marginals` any
        masses, for example ones for all labels that apply.
    cost : array (K, L), or "ordinal"
        The ground cost, the same for all; "ordinal" is |i - j|, for classes in an order.
    eps : float, optional
        Strength of the entropy, in the units of the cost. None is exact transport.
    marginals : monge.KL, monge.TV, or a pair, optional
        Penalties in place of the constraints, as in `monge.sinkhorn`; needs eps.
    reduction : str
        "mean" or "sum" over all predictions, or "none" for one loss each.
    tol, max_iter, threads : see `monge.sinkhorn`
        As there.

    Returns
    -------
    jax.Array
        A scalar, or with reduction "none" of shape (...), of the type of the predictions.

    Raises
    ------
    ValueError
        For predictions that are negative or whose totals differ from those of their targets, shapes that do not fit, an
        empty batch, classes that are none of the L, `marginals` without eps, and eps or `marginals` with "ordinal".
        Within jax.jit and jax.vmap, where numbers cannot be looked at, the loss of such a prediction and its
        derivatives are NaN.
    TypeError
        For what is no array of real numbers.
    RuntimeError
        In a second derivative, where a problem is solved.

    Notes
    -----
    For a target in a single class the value is ``<h, C[:, k]>``, for every eps: there is one plan. It is looked up for
    integers, and for rows with one entry where the target is not traced.

    With totals fixed, derivatives with respect to h are defined up to a constant; they are given with sum zero, tangent
    to the simplex. A softmax forgets the constant. With `marginals` they are whole.

    Sources: Frogner et al. 2015, "Learning with a Wasserstein loss"; Liu et al. 2020, "Importance-aware semantic
    segmentation in self-driving with discrete Wasserstein training", for the closed forms. More is said in
    `monge.torch.wasserstein_loss`, the same function for tensors.

    Examples
    --------
    A cat that is taken for a lion is not as bad as one that is taken for a bird:

    >>> import jax, jax.numpy as jnp, monge.jax
    >>> C = jnp.array([[0.0, 1.0, 4.0], [1.0, 0.0, 4.0], [4.0, 4.0, 0.0]])  # cat, lion, bird
    >>> h = jnp.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]])
    >>> monge.jax.wasserstein_loss(h, jnp.array([0, 0]), C, reduction="none")
    Array([0.5, 2. ], dtype=float32)

    To a target in several classes, exactly:

    >>> monge.jax.wasserstein_loss(h, jnp.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]), C, reduction="none")
    Array([0. , 0.5], dtype=float32)

    Where a cat is right, to lower the loss go to the lion rather than to the bird:

    >>> loss = lambda logits: monge.jax.wasserstein_loss(jax.nn.softmax(logits), jnp.array(0), C)
    >>> [round(float(slope), 4) for slope in jax.jit(jax.grad(loss))(jnp.zeros(3))]
    [-0.5556, -0.2222, 0.7778]
    """
    check_options(cost, eps, marginals, reduction)
    h, dtype = _prediction(probabilities)
    rounding = float(np.spacing(np.ones((), dtype)))
    C = None if isinstance(cost, str) else _costs(cost, h)
    classes = h.shape[-1] if C is None else C.shape[1]
    t, single = _target(target, h, classes)
    known = None if isinstance(t, jax.core.Tracer) or single or marginals is not None else np.asarray(t)
    sound = _sound(h, t, single, classes, rounding, marginals is None)
    if marginals is not None:
        t = jax.nn.one_hot(t, classes, dtype=h.dtype) if single else t
    else:
        h = _along_simplex(h)
        if h.dtype != dtype and not single:
            t = _with_total_of(h, t, rounding)
    if C is None:
        each = _ordinal(h, jax.nn.one_hot(t, classes, dtype=h.dtype) if single else t)
    elif single and marginals is None:
        each = _to_single(h, t, C)
    else:
        options = {"eps": eps, "marginals": marginals, "tol": tol, "max_iter": max_iter, "threads": threads}
        each = _solved(h, t, C, options) if known is None else _to_some(h, t, known, C, options)
    each = each * sound
    return (each.mean() if reduction == "mean" else each.sum() if reduction == "sum" else each).astype(dtype)


# --- Checks -----------------------------------------------------------------------------------------------------------


def _prediction(probabilities: Any) -> tuple[jax.Array, Any]:
    """The predictions, in single precision where they came in half, and the type they came in."""
    h = _array(probabilities, "probabilities", "an array of real numbers, such as jax.nn.softmax(logits)")
    if not jnp.isdtype(h.dtype, "real floating"):
        raise TypeError(
            f"probabilities should be an array of real numbers, such as jax.nn.softmax(logits); got one of {h.dtype}."
        )
    if h.ndim == 0 or 0 in h.shape:
        raise ValueError(
            f"probabilities should have shape (..., K), with at least one prediction; got {h.shape}. Leave empty "
            "batches out."
        )
    return (h.astype(jnp.float32) if h.dtype.itemsize < 4 else h), h.dtype


def _costs(cost: Any, h: jax.Array) -> jax.Array:
    """The costs (K, L), of the type of the predictions h."""
    C = _array(cost, "cost", 'an array (K, L) of costs between classes, or "ordinal"')
    if not jnp.isdtype(C.dtype, ("real floating", "integral")):
        raise TypeError(f"cost should hold real numbers; got {C.dtype}.")
    if C.ndim != 2 or C.shape[0] != h.shape[-1] or C.shape[1] == 0:
        raise ValueError(
            f"cost should have shape (K, L), from each of the K = {h.shape[-1]} predicted classes to each of the "
            f"target's; got {C.shape}. Classes are the last dimension of probabilities."
        )
    return C.astype(h.dtype)


def _target(target: Any, h: jax.Array, classes: int) -> tuple[Any, bool]:
    """One class for each prediction (...), and True; or masses (..., L), of the type of h, and False.

    Where numbers are known they stay so, in NumPy: in a function that is traced JAX would trace them, too.
    """
    if isinstance(target, jax.core.Tracer):
        t: Any = target
    else:
        try:
            t = np.asarray(target)
            jnp.asarray(t)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"target should be an array, of classes or of distributions over them; got {type(target).__name__}: "
                f"{error}"
            ) from error
    whole = jnp.isdtype(t.dtype, "integral")
    if not whole and not jnp.isdtype(t.dtype, ("real floating", "bool")):
        raise TypeError(f"target should hold classes, or distributions over them; got {t.dtype}.")
    if whole and t.shape == h.shape[:-1]:
        return t, True
    if t.shape == (*h.shape[:-1], classes):
        return t.astype(h.dtype), False
    raise ValueError(
        f"target should have shape {h.shape[:-1]}, of integers, or {(*h.shape[:-1], classes)}, for probabilities of "
        f"shape {h.shape}; got {t.dtype} of shape {t.shape}."
    )


def _array(values: Any, name: str, expected: str) -> jax.Array:
    try:
        return jnp.asarray(values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} should be {expected}; got {type(values).__name__}: {error}") from error


def _sound(h: jax.Array, t: Any, single: bool, classes: int, rounding: float, balanced: bool) -> jax.Array:
    """One for each prediction, NaN for those that are wrong; or an error where numbers are known."""

    @jax.custom_jvp
    def sound(h: Any, t: Any) -> Any:
        if not isinstance(h, jax.core.Tracer) and not isinstance(t, jax.core.Tracer):
            check_values(np.asarray(h), np.asarray(t), single, classes, rounding, balanced=balanced)
            return jnp.ones(h.shape[:-1], h.dtype)
        fine = (h >= 0.0).all(-1) & ((t >= 0) & (t < classes) if single else (t >= 0.0).all(-1))
        if balanced:
            total, wanted = h.sum(-1), 1.0 if single else t.sum(-1)
            largest = jnp.maximum(total, wanted)
            fine &= (abs(total - wanted) <= allowed(rounding, max(h.shape[-1], classes)) * largest) & (largest > 0.0)
        return jnp.where(fine, 1.0, jnp.nan).astype(h.dtype)

    @sound.defjvp
    def _(given: Any, _: Any) -> Any:  # within jax.grad the numbers of what is differentiated are known here
        found = sound(*given)
        return found, jnp.zeros_like(found)

    found: jax.Array = sound(h, t)
    return found


# --- The forms of the loss --------------------------------------------------------------------------------------------


def _to_single(h: jax.Array, labels: Any, C: jax.Array) -> jax.Array:
    """<h, C[:, k]>."""
    return (h * C.T[jnp.asarray(labels)]).sum(-1)


def _ordinal(h: jax.Array, t: Any) -> jax.Array:
    """The L1 distance of the distribution functions, of which the last value is the total."""
    found: jax.Array = abs((h - t).cumsum(-1)[..., :-1]).sum(-1)
    return found


def _to_some(h: jax.Array, t: Any, known: Any, C: jax.Array, options: dict[str, Any]) -> jax.Array:
    """Targets in a single class without solving, the others in one call; `known` are the targets' numbers."""
    lead, h, t = h.shape[:-1], h.reshape(-1, h.shape[-1]), t.reshape(-1, t.shape[-1])
    known = known.reshape(t.shape)
    each = _to_single(h, known.argmax(-1), C)
    rows = np.flatnonzero((known > 0.0).sum(-1) > 1)
    if len(rows) > 0:
        each = each.at[rows].set(_solved(h[rows], t[rows], C, options))
    return each.reshape(lead)


def _solved(h: jax.Array, t: Any, C: jax.Array, options: dict[str, Any]) -> jax.Array:
    if options["eps"] is None:
        return emd(cost=C, a=h, b=t, threads=options["threads"])
    return sinkhorn(cost=C, a=h, b=t, **options)


def _along_simplex(h: jax.Array) -> jax.Array:
    """The same numbers, with the mean taken off whatever derivative comes back."""
    total = h.sum(-1, keepdims=True)
    return h - (total - jax.lax.stop_gradient(total)) / h.shape[-1]


def _with_total_of(h: jax.Array, t: Any, rounding: float) -> jax.Array:
    """Targets t of the totals of the predictions h, where the rounding of their type is why these differ."""
    ratio = jax.lax.stop_gradient(h.sum(-1, keepdims=True) / t.sum(-1, keepdims=True))
    by_rounding = abs(ratio - 1.0) <= allowed(rounding, max(h.shape[-1], t.shape[-1]))
    scaled: jax.Array = t * jnp.where(by_rounding, ratio, 1.0)
    return scaled
