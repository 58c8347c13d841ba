"""What to say of names that POT has and this package has not."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["missing_from"]

_GROMOV = "monge.gromov_wasserstein(monge.CostMatrix(C1), monge.CostMatrix(C2)"
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
    "gaussian": "monge.bures and monge.gaussian_barycenter",
    "bures_wasserstein_barycenter": "monge.gaussian_barycenter",
    "barycenter": "monge.barycenter(A.T, M, weights, eps=reg).weights, or eps=None for the linear programme",
    "barycenter_debiased": "monge.barycenter(A.T, M, weights, eps=reg, debias=True).weights",
    "barycenter_unbalanced": "monge.barycenter(A.T, M, weights, eps=reg, marginals=monge.KL(reg_m)).weights",
    "convolutional_barycenter2d": (
        "monge.barycenter(A.reshape(len(A), -1), monge.Grid((n, n), spacing=1 / (n - 1)), weights, eps=reg).weights"
    ),
    "convolutional_barycenter2d_debiased": "monge.barycenter of a monge.Grid, with debias=True",
    "free_support_barycenter": "monge.free_barycenter(points, masses, weights, init=(X_init, b)).points",
    "free_support_sinkhorn_barycenter": "monge.free_barycenter(points, masses, weights, init=X_init, eps=eps).points",
    "generalized_free_support_barycenter": "monge.free_barycenter",
    "solve_bary_sample": "monge.free_barycenter",
    "unmix": "monge.barycentric_coordinates, whose mixtures are barycenters",
    "gromov": "monge.gromov_wasserstein and monge.gromov_barycenter",
    "gromov_wasserstein": f"{_GROMOV}, p, q).plan",
    "gromov_wasserstein2": f"{_GROMOV}, p, q).value",
    "solve_gromov": f"{_GROMOV}, p, q)",
    "fused_gromov_wasserstein": f"{_GROMOV}, p, q, features=M, alpha=alpha).plan",
    "fused_gromov_wasserstein2": f"{_GROMOV}, p, q, features=M, alpha=alpha).value",
    "entropic_gromov_wasserstein": f"{_GROMOV}, p, q, eps=eps).plan",
    "entropic_gromov_wasserstein2": f"{_GROMOV}, p, q, eps=eps).value",
    "partial_gromov_wasserstein": f"{_GROMOV}, p, q, mass=m).plan",
    "partial_gromov_wasserstein2": f"{_GROMOV}, p, q, mass=m).value",
    "gromov_barycenters": "monge.gromov_barycenter([monge.CostMatrix(C) for C in Cs], n_points=N)",
    "fgw_barycenters": "monge.gromov_barycenter, with features",
    "da": "monge.TransportMap, and monge.color_transfer for pictures",
    "EMDTransport": "monge.TransportMap()",
    "SinkhornTransport": 'monge.TransportMap("entropic")',
    "LinearTransport": 'monge.TransportMap("gaussian")',
    "SinkhornL1l2Transport": 'monge.TransportMap("group")',
    "SinkhornLpl1Transport": 'monge.TransportMap("group")',
    "MappingTransport": 'monge.TransportMap("affine"), or "kernel"',
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
