"""What to say of names that POT has and this package has not."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["missing_from"]

# A name of POT's -> what does the same here, or nearly.
_INSTEAD = {
    "emd_1d_dual_backprop": "monge.emd_1d, whose result has the potentials f and g",
    "empirical_sinkhorn": "monge.sinkhorn(monge.PointCloud(x, y), eps=...), which stores no costs",
    "empirical_sinkhorn2": "monge.sinkhorn(monge.PointCloud(x, y), eps=...).cost",
    "empirical_sinkhorn_divergence": "monge.sinkhorn_divergence",
    "max_sliced_wasserstein_distance": "monge.max_sliced_wasserstein",
    "sliced": "monge.sliced_wasserstein",
    "sliced_wasserstein_distance": "monge.sliced_wasserstein",
    "sliced_wasserstein_sphere": "monge.spherical_sliced_wasserstein",
    "min_sliced_transport_plan": "monge.sliced_plan",
    "wasserstein_circle": "monge.wasserstein_1d(x, y, p=p, period=1)",
    "binary_search_circle": "monge.wasserstein_1d(x, y, p=p, period=1)",
    "da": "monge.color_transfer for pictures",
    "gaussian": "monge.bures",
    "bures_wasserstein_distance": "monge.bures, which is its square",
    "batch": "a list of costs as the first argument of monge.emd or monge.sinkhorn",
    "solve_batch": "a list of costs as the first argument of monge.emd or monge.sinkhorn",
    "smooth": "monge.quadratic",
    "semidiscrete": "monge.semidual",
    "stochastic": "monge.semidual",
    "solve": "monge.emd, or monge.sinkhorn, whose results have .plan, .value, .f and .g",
    "solve_sample": "monge.emd(monge.PointCloud(x, y)), or monge.sinkhorn of the same",
    "screenkhorn": "sinkhorn",
}


def missing_from(module: str) -> Callable[[str], object]:
    """The ``__getattr__`` of a module of this package: an AttributeError that says what to use."""

    def __getattr__(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        instead = _INSTEAD.get(name)
        remedy = f"Use {instead}; or, " if instead else "If it is in POT, "
        raise AttributeError(
            f"{module} has no {name}: it holds a part of POT's names. {remedy}`import ot` beside this for POT's own; "
            "the two can be mixed, since both work on arrays."
        )

    return __getattr__
