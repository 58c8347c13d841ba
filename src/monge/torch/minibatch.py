"""Transport between minibatches, as a function of tensors; see `monge.minibatch`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from monge.distances.loss import Loss
from monge.distances.minibatch import estimate as plain
from monge.entropic.marginals import Marginal, as_marginals
from monge.problem.arrays import positive, positive_integer
from monge.torch.first_order import FirstOrder, loss_of, packed, seed_of, unpacked
from monge.torch.kind import Settings

__all__ = ["minibatch"]

# Stands for "all" in place of a number of pairs.
_ALL = -1.0


def minibatch(
    x: Tensor,
    y: Tensor,
    *,
    batch_size: int,
    n_batches: int | str | None = None,
    epochs: int | None = None,
    cost: Any = "sqeuclidean",
    eps: float | None = None,
    marginals: Any = None,
    replace: bool = False,
    debiased: bool = False,
    rng: Any = None,
    n_jobs: int | None = None,
) -> Tensor:
    """The mean of transport over pairs of batches of points, differentiable once.

    The derivative is that of the pairs that were drawn, an unbiased estimate of the derivative of the mean over all
    pairs (Fatras et al. 2020, section 3): a step of stochastic descent. See `monge.minibatch`.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Points of the first measure; leading dimensions are those of a batch of problems, and broadcast. All of them
        draw the same pairs.
    y : Tensor (..., m, d)
        Points of the second.
    batch_size : int
        Points of a batch, on either side.
    n_batches : int or "all"
        Number of independent pairs, or all there are.
    epochs : int
        In its place: so many times both sides are shuffled, cut and paired.
    cost : str, (str, float), callable or GroundCost
        The ground cost, as `PointCloud` takes it.
    eps : float, optional
        Strength of the entropy; None for exact transport.
    marginals : monge.KL, monge.TV, or a pair, optional
        Penalties in place of the constraints; they need eps.
    replace : bool
        Whether a batch may hold a point twice.
    debiased : bool
        Whether U(x, y) - (U(x, x) + U(y, y)) / 2 is wanted, which is zero on average where x and y are of one law.
    rng : int or numpy.random.Generator, optional
        Draws the pairs; None for new ones in each call.
    n_jobs : int, optional
        As in `monge.minibatch`.

    Returns
    -------
    Tensor (...)
        Of the type and on the device of the inputs; it is computed on the host.

    Raises
    ------
    ValueError, TypeError
        As `monge.minibatch` does; for tensors of several types or devices, leading dimensions that do not broadcast,
        and empty batches.
    RuntimeError
        In a second derivative.

    Examples
    --------
    >>> import torch, monge.torch
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], requires_grad=True)
    >>> y = x.detach() + torch.tensor([3.0, 4.0])
    >>> loss = monge.torch.minibatch(x, y, batch_size=2, epochs=1, debiased=True, rng=0)
    >>> round(loss.item(), 5)
    25.0
    >>> torch.autograd.grad(loss, x)[0].sum(dim=0).round(decimals=5)
    tensor([-6., -8.])
    """
    sides = as_marginals(marginals)
    plain.check_marginals(eps, marginals)
    eps = None if eps is None else positive(eps, "eps")
    count = (
        _ALL if n_batches == "all" else packed(None if n_batches is None else positive_integer(n_batches, "n_batches"))
    )
    return loss_of(
        "minibatch", (x, y), (None, None), cost,
        positive_integer(batch_size, "batch_size"), count, packed(epochs), packed(eps),
        *(number for side in sides for number in (side.kl, side.cap)),
        float(replace), float(debiased), packed(seed_of(rng)), packed(n_jobs),
    )  # fmt: skip


class _Minibatch(FirstOrder):
    name = "minibatch"

    def call(self, x: Any, y: Any, a: Any, b: Any, settings: Settings) -> Any:
        size, count, epochs, eps, kl_a, cap_a, kl_b, cap_b, replace, debiased, seed, n_jobs = settings.numbers[2:]
        entropic = unpacked(eps) is not None

        def one(x: Any, y: Any) -> Loss:
            found = plain.minibatch(
                x, y, batch_size=int(size), n_batches="all" if count == _ALL else unpacked(float(count)),
                epochs=unpacked(epochs), cost=settings.ground, eps=eps if entropic else None,
                marginals=(Marginal(kl_a, cap_a), Marginal(kl_b, cap_b)) if entropic else None,
                replace=bool(replace), rng=unpacked(seed), n_jobs=unpacked(n_jobs),
            )  # fmt: skip
            return found.debiased if debiased else found

        return [one(*pair) for pair in zip(x, y, strict=True)] if isinstance(x, list) else one(x, y)
