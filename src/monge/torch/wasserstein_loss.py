"""The multi-class Wasserstein loss: what it costs to move a predicted distribution over classes to the target.

W(h, t) = min_P <P, C>   subject to  P 1 = h,  P' 1 = t          (Frogner, Zhang, Mobahi, Araya-Polo and Poggio 2015)

with an entropy, or with penalties in place of the constraints where h and t are not normalised. To a single class k all
of h has to go, so there is one plan and nothing to solve: W = <h, C[:, k]>. Between classes in an order, with the cost
|i - j|, W is the sum of the differences of the two distribution functions (Liu et al. 2020).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from monge.distances.predictions import check_options, check_values
from monge.torch.emd import emd
from monge.torch.predictions import (
    as_costs,
    as_target,
    as_tensor,
    check_prediction,
    readable,
    with_total_of,
)  # fmt: skip
from monge.torch.sinkhorn import sinkhorn

__all__ = ["WassersteinLoss", "wasserstein_loss"]


_HALVES = (torch.float16, torch.bfloat16)


def wasserstein_loss(
    probabilities: Tensor,
    target: Tensor,
    cost: Any,
    *,
    eps: float | None = None,
    marginals: Any = None,
    reduction: str = "mean",
    tol: float = 1e-3,
    max_iter: int = 10_000,
    threads: int | None = None,
) -> Tensor:
    """The Wasserstein loss between predicted distributions over classes and their targets.

    ``min_P <P, C> + eps KL(P | h x t)`` over plans P from the prediction h to the target t, where ``C[i, j]`` is what
    it costs to say class i where class j is right. Unlike the cross entropy it knows which mistakes are bad. All
    predictions of a batch are solved in one call.

    Parameters
    ----------
    probabilities : Tensor (..., K)
        Predictions h: probabilities, classes last, such as ``logits.softmax(-1)``, not logits. With `marginals` any
        masses that are not negative, such as ``logits.sigmoid()``.
    target : Tensor (...) of integers, or (..., L)
        The right classes; or distributions over classes, of the same totals as the predictions. With `marginals` any
        masses, for example ones for all labels that apply.
    cost : array_like (K, L), or "ordinal"
        The ground cost, the same for all; "ordinal" is |i - j|, for classes in an order.
    eps : float, optional
        Strength of the entropy, in the units of the cost. None is exact transport. Between the two limits a larger
        one comes closer to the mean cost of independent guesses, ``h @ C @ t``.
    marginals : monge.KL, monge.TV, or a pair, optional
        Penalties in place of the constraints, as in `monge.sinkhorn`; needs eps.
    reduction : str
        "mean" or "sum" over all predictions, or "none" for one loss each.
    tol, max_iter, threads : see `monge.sinkhorn`
        As there.

    Returns
    -------
    Tensor
        A scalar, or with reduction "none" of shape (...), of the type and on the device of the predictions.

    Raises
    ------
    ValueError
        For predictions that are negative or whose totals differ from those of their targets, shapes that do not fit, an
        empty batch, classes that are none of the L, `marginals` without eps, and eps or `marginals` with "ordinal".
        Values are not looked at within `torch.compile` and `torch.func`; where a problem is solved the solver does.
    TypeError
        For what is no tensor of real numbers.

    Notes
    -----
    For a target in a single class, given as an integer or as a row with one entry, the value is ``<h, C[:, k]>``, for
    every eps: there is one plan, and no problem to solve. It is linear in h, and so the minimum over h for noisy labels
    is at the class of least expected cost, whereas the cross entropy has it at the distribution of the labels. Where a
    network starts with a softmax that is nearly one at wrong classes, gradients of a linear loss vanish: add a little
    cross entropy.

    With totals fixed, derivatives with respect to h are defined up to a constant; they are given with sum zero, tangent
    to the simplex. A softmax forgets the constant.

    The entropy is that relative to h x t, where the source has that of P alone; gradients with respect to h then
    differ by ``eps log h``. With eps the minimum over h is not at h = t, but at a sharper one; for the loss without
    this bias see `sinkhorn_divergence`, which takes histograms a, b over a cost. The sum of *squared* differences of
    distribution functions, which others use for ordinal classes, is half an energy distance, not a transport.

    Sources: Frogner et al. 2015, "Learning with a Wasserstein loss"; Liu et al. 2020, "Importance-aware semantic
    segmentation in self-driving with discrete Wasserstein training", for the closed forms.

    Examples
    --------
    A cat that is taken for a lion is not as bad as one that is taken for a bird:

    >>> import torch, monge.torch
    >>> C = torch.tensor([[0.0, 1.0, 4.0], [1.0, 0.0, 4.0], [4.0, 4.0, 0.0]])  # cat, lion, bird
    >>> h = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]])
    >>> monge.torch.wasserstein_loss(h, torch.tensor([0, 0]), C, reduction="none")
    tensor([0.5000, 2.0000])

    To a target in several classes, exactly:

    >>> monge.torch.wasserstein_loss(h, torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]), C, reduction="none")
    tensor([0.0000, 0.5000])

    Several labels apply, and masses are free:

    >>> import monge
    >>> masses, labels = torch.tensor([[0.9, 0.2, 0.1]]), torch.tensor([[1, 1, 0]])
    >>> loss = monge.torch.wasserstein_loss(masses, labels, C, eps=0.1, marginals=monge.KL(1.0))
    >>> round(loss.item(), 3)
    0.536
    """
    check_options(cost, eps, marginals, reduction)
    check_prediction(probabilities)
    dtype = probabilities.dtype
    h = probabilities.float() if dtype in _HALVES else probabilities
    C = None if isinstance(cost, str) else as_costs(cost, h)
    classes = h.shape[-1] if C is None else C.shape[1]
    t, single = as_target(target, h, classes)
    seen = readable(h) and readable(t)
    if seen:
        check_values(h, t, single, classes, torch.finfo(dtype).eps, balanced=marginals is None)
    if marginals is not None:
        t = torch.nn.functional.one_hot(t, classes).to(h.dtype) if single else t
    else:
        h = _along_simplex(h)
        if dtype in _HALVES and not single:
            t = with_total_of(h, t, dtype)
    if C is None:
        each = _ordinal(h, torch.nn.functional.one_hot(t, classes) if single else t)
    elif single and marginals is None:
        each = _to_single(h, t, C)
    else:
        options = {"eps": eps, "marginals": marginals, "tol": tol, "max_iter": max_iter, "threads": threads}
        some = seen and marginals is None and not t.requires_grad
        each = _to_some(h, t, C, options) if some else _solved(h, t, C, options)
    return _reduced(each, reduction).to(dtype)


class WassersteinLoss(torch.nn.Module):
    """The Wasserstein loss over a ground cost of classes, as a module; see `wasserstein_loss`.

    Parameters
    ----------
    cost : array_like (K, L), or "ordinal"
        The ground cost; a buffer of the module, and so moved and saved with it.
    eps, marginals, reduction, tol, max_iter, threads : see `wasserstein_loss`
        As there.

    Examples
    --------
    >>> import torch, monge.torch
    >>> loss = monge.torch.WassersteinLoss([[0.0, 1.0, 4.0], [1.0, 0.0, 4.0], [4.0, 4.0, 0.0]])
    >>> logits = torch.zeros(2, 3, requires_grad=True)
    >>> value = loss(logits.softmax(-1), torch.tensor([0, 2]))
    >>> value.backward()
    >>> value
    tensor(2.1667, grad_fn=<MeanBackward0>)

    To lower it go to the lion, which is near the cat, rather than to the bird; and where a bird is right, there alone:

    >>> logits.grad
    tensor([[-0.2778, -0.1111,  0.3889],
            [ 0.2222,  0.2222, -0.4444]])
    """

    cost: Any  # a tensor, or "ordinal"

    def __init__(
        self,
        cost: Any,
        *,
        eps: float | None = None,
        marginals: Any = None,
        reduction: str = "mean",
        tol: float = 1e-3,
        max_iter: int = 10_000,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        check_options(cost, eps, marginals, reduction)
        if isinstance(cost, str):
            self.cost = cost
        else:
            C = as_tensor(cost)
            self.register_buffer("cost", C if C.is_floating_point() else C.to(torch.get_default_dtype()))
        self.eps, self.marginals, self.reduction = eps, marginals, reduction
        self.tol, self.max_iter, self.threads = tol, max_iter, threads

    def forward(self, probabilities: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions (..., K) against targets (...) or (..., L)."""
        return wasserstein_loss(
            probabilities,
            target,
            self.cost,
            eps=self.eps,
            marginals=self.marginals,
            reduction=self.reduction,
            tol=self.tol,
            max_iter=self.max_iter,
            threads=self.threads,
        )

    def extra_repr(self) -> str:
        """What stands between the parentheses of its text."""
        cost = repr(self.cost) if isinstance(self.cost, str) else tuple(self.cost.shape)
        penalty = "" if self.marginals is None else f", marginals={self.marginals!r}"
        return f"cost={cost}, eps={self.eps}{penalty}, reduction={self.reduction!r}"


# --- The forms of the loss --------------------------------------------------------------------------------------------


def _to_single(h: Tensor, labels: Tensor, C: Tensor) -> Tensor:
    """<h, C[:, k]>; by a look-up that takes no class for another one, as a negative index would."""
    return (h * torch.nn.functional.embedding(labels, C.T)).sum(-1)


def _ordinal(h: Tensor, t: Tensor) -> Tensor:
    """The L1 distance of the distribution functions, of which the last value is the total."""
    return (h - t).cumsum(-1)[..., :-1].abs().sum(-1)


def _to_some(h: Tensor, t: Tensor, C: Tensor, options: dict[str, Any]) -> Tensor:
    """Targets in a single class without solving, the others in one call."""
    lead, h, t = h.shape[:-1], h.reshape(-1, h.shape[-1]), t.reshape(-1, t.shape[-1])
    each = _to_single(h, t.argmax(-1), C)
    rows = ((t > 0.0).sum(-1) > 1).nonzero()[:, 0]
    if len(rows) > 0:
        each = each.index_put((rows,), _solved(h[rows], t[rows], C, options))
    return each.reshape(lead)


def _solved(h: Tensor, t: Tensor, C: Tensor, options: dict[str, Any]) -> Tensor:
    if options["eps"] is None:
        return emd(cost=C, a=h, b=t, threads=options["threads"])
    return sinkhorn(cost=C, a=h, b=t, **options)


def _along_simplex(h: Tensor) -> Tensor:
    """The same numbers, with the mean taken off whatever derivative comes back."""
    total = h.sum(-1, keepdim=True)
    return h - (total - total.detach()) / h.shape[-1]


def _reduced(each: Tensor, reduction: str) -> Tensor:
    return each.mean() if reduction == "mean" else each.sum() if reduction == "sum" else each
