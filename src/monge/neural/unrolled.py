"""Sinkhorn's iterations as a part of the network: unrolled, and differentiated step by step.

W(x, y) = <P, C>,  P_ij = exp((f_i + g_j - C_ij) / eps) / (n m)  after L iterations from f = 0

    g_j = -eps log mean_i exp((f_i - C_ij) / eps),    f_i = -eps log mean_j exp((g_j - C_ij) / eps)

and the loss is 2 W(x, y) - W(x, x) - W(y, y) (Genevay, Peyré, Cuturi 2018, "Learning generative models with Sinkhorn
divergences", section 3.2 and Algorithm 1). The entropy is no part of W: it is the cost of the plan alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import Module

from monge.problem.arrays import positive, positive_integer, real_number, shown

__all__ = ["UnrolledSinkhorn", "power", "powers"]


class UnrolledSinkhorn(Module):
    """2 W(x, y) - W(x, x) - W(y, y) with W the cost of the plan after some iterations of Sinkhorn's.

    A module that is called with two clouds of points, all of equal weight. The gradient is that of the number that
    comes out, through all iterations, converged or not, where `monge.torch.sinkhorn_divergence` iterates until it is
    right and takes the gradient at the solution. It runs on the device of the points, and as often differentiable as
    exp and log are. Its memory grows with the number of iterations.

    For eps -> 0 and enough iterations it is twice the cost of transport, less nothing; for eps -> infinity the plan is
    the product, and the loss sums distances: with p = 1 the energy distance, with p = 2 the squared distance of the
    means, twice.

    Parameters
    ----------
    eps : float
        Strength of the entropy, in units of the cost.
    n_iter : int
        L, updates of either potential.
    p : float
        The cost is |x - y|^p, p >= 1.

    Raises
    ------
    ValueError, TypeError
        For an eps, n_iter or p out of range; when called, for points that are no tensors (..., n, d) and (..., m, d).

    See Also
    --------
    monge.torch.SinkhornDivergence : The divergence of converged plans, whose gradient is that of the solution.

    Examples
    --------
    >>> import torch
    >>> from monge.neural import UnrolledSinkhorn
    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
    >>> round(UnrolledSinkhorn(eps=0.1, n_iter=100)(x, y).item(), 1)  # twice W2^2, which is 4
    8.0
    >>> round(UnrolledSinkhorn(eps=1e6, n_iter=1, p=1)(x, y).item(), 4)  # the energy distance, 2 * 2 - 1 / 2 - 1 / 2
    3.0
    """

    def __init__(self, *, eps: float, n_iter: int = 10, p: float = 2) -> None:
        super().__init__()
        self.eps, self.n_iter, self.p = positive(eps, "eps"), positive_integer(n_iter, "n_iter"), power(p)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss between the points x (..., n, d) and y (..., m, d), a tensor (...)."""
        for name, points in (("x", x), ("y", y)):
            if not isinstance(points, Tensor):
                raise TypeError(f"{name} should be a tensor of points; got {shown(points)}.")
            if points.ndim < 2 or points.shape[-1] != x.shape[-1] or 0 in points.shape:
                raise ValueError(
                    f"x and y should be points (..., n, d) and (..., m, d), of one d and at least one each; got "
                    f"{tuple(x.shape)} and {tuple(y.shape)}."
                )
        return 2.0 * self._cost(x, y) - self._cost(x, x) - self._cost(y, y)

    def extra_repr(self) -> str:
        """The settings."""
        return f"eps={self.eps}, n_iter={self.n_iter}, p={self.p}"

    def _cost(self, x: Tensor, y: Tensor) -> Tensor:
        costs = powers(x, y, self.p)  # (..., n, m)
        scaled = costs / self.eps
        n, m = costs.shape[-2:]
        # Both over eps, and without the factors 1 / n and 1 / m of the mean, which the plan takes back in.
        f = costs.new_full((*costs.shape[:-1], 1), -math.log(n))  # (..., n, 1)
        for _ in range(self.n_iter):
            g = -math.log(m) - torch.logsumexp(f - scaled, dim=-2, keepdim=True)  # (..., 1, m)
            f = -math.log(n) - torch.logsumexp(g - scaled, dim=-1, keepdim=True)
        return ((f + g - scaled).exp() * costs).sum(dim=(-2, -1))


def power(p: float) -> float:
    """A checked exponent of a cost."""
    p = real_number(p, "p", "a number >= 1")
    if not 1.0 <= p < math.inf:
        raise ValueError(f"p should be a number >= 1, the exponent of the cost |x - y|^p; got {shown(p)}.")
    return p


def powers(x: Tensor, y: Tensor, p: float) -> Tensor:
    """|x_i - y_j|^p of points (..., n, d) and (..., m, d); its slope where points coincide is zero, for p = 1 too."""
    # By products, which lose the digits of points that are all far from the origin. (torch.cdist computes the same, and
    # can be differentiated once.)
    center = y.detach().mean(dim=-2, keepdim=True)
    a, b = x - center, y - center
    lengths = (a.square().sum(dim=-1)[..., :, None], b.square().sum(dim=-1)[..., None, :])
    squares = (lengths[0] + lengths[1] - 2.0 * a @ b.mT).clamp(min=0.0)
    if x is y:
        # A point would be as far from itself as the root of rounding.
        squares = squares * (1.0 - torch.eye(x.shape[-2], dtype=x.dtype, device=x.device))
    if p == 2:
        return squares
    apart = squares > 0.0
    return torch.where(apart, torch.where(apart, squares, 1.0).pow(0.5 * p), 0.0)
