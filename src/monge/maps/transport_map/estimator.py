"""The transformer: what scikit-learn wants of one, and the checks; the work is that of the methods."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted, column_or_1d, validate_data

from monge.maps.transport_map.entropic import entropic
from monge.maps.transport_map.exact import exact
from monge.maps.transport_map.gaussian import gaussian
from monge.maps.transport_map.group import group
from monge.maps.transport_map.problem import Fit, Options, Problem
from monge.maps.transport_map.regression import affine, kernel
from monge.maps.transport_map.sides import UNKNOWN, normal_sample, side_of
from monge.problem.arrays import available_threads, positive, positive_integer, real_number, seconds, shown
from monge.problem.home import home_of, on_host
from monge.problem.transport import InfeasibleError

__all__ = ["TransportMap"]

METHODS: dict[str, Fit] = {
    "exact": exact, "entropic": entropic, "gaussian": gaussian, "group": group, "kernel": kernel, "affine": affine,
}  # fmt: skip
_FLOATS = (np.float64, np.float32)


class TransportMap(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A map that moves one sample onto another, as a transformer of scikit-learn.

    It is fitted to a source X (n, d) and a target (m, d), by the plan that moves the former to the latter at the least
    cost, and then moves any points. The usual use is domain adaptation: a classifier is trained on labelled data that
    have been moved to where the unlabelled data are.

    Parameters
    ----------
    method : {"exact", "entropic", "gaussian", "group", "affine", "kernel"}
        How the map is made; see the notes.
    cost : str, (str, float), callable or GroundCost
        The ground cost, as `PointCloud` takes it. Others than "sqeuclidean" are for the method "exact".
    eps : float, optional
        Strength of the entropy, in units of the cost, for "entropic" and "group". None takes a hundredth of the scale
        of the costs, the mean of |x - y|^2 of all pairs once their means agree; ``eps_`` says what it was.
    penalty : float, optional
        Strength of the group lasso, in units of the cost, for "group". None takes twice eps.
    plan_weight : float
        Weight of the plan's cost beside the squared error of the regression, for "affine" and "kernel". Positive.
    ridge : float
        Weight of the regression's own penalty, for "affine" and "kernel"; not negative. It is relative: twice as large
        coordinates need no other one.
    bandwidth : float, optional
        Width of the Gaussian kernel, in units of the coordinates, for "kernel". None takes the median distance of two
        sources; ``bandwidth_`` says what it was.
    unlike : float
        What it costs more to send a source to a target of another class, if `target_labels` says which class that is;
        inf forbids it.
    rng : None, int or Generator
        Draws the target that stands in where none is given.
    tol : float, optional
        For "entropic" the largest marginal error (None: 1e-3). For "group", "affine" and "kernel" how far the objective
        may be from its least, over the scale of the costs (None: 1e-3 for "group", else 1e-2).
    max_iter : int, optional
        Passes of "entropic" (None: 10,000), or steps of "group" (300), "affine" and "kernel" (50).
    time_limit : float, optional
        Seconds for "exact", "group", "affine" and "kernel". What is over then is not optimal, and a ConvergenceWarning
        says so.
    threads : int, optional
        As in `emd`.
    progress : bool
        Show a progress bar while the map is fitted (needs tqdm).

    Attributes
    ----------
    plan_ : scipy.sparse.coo_array, LazyPlan or ndarray (k, l)
        The plan of "exact", "entropic" and "group" between `source_` and `target_`.
    transport_ : Transport
        The result of `emd` or `sinkhorn`, with potentials and certificate, of "exact" and "entropic".
    source_ : ndarray (k, d)
        The different sources that have weight; equal ones count as one.
    target_ : ndarray (l, d)
        Likewise the targets.
    objective_ : ndarray
        What is minimised, step by step: of "group", "affine" and "kernel".
    gap_ : float
        How far the last of these may be from the least.
    coef_ : ndarray (d, d)
        The matrix of the map of "gaussian" and "affine": points are rows, and it multiplies them from the right.
    eps_, penalty_, bandwidth_ : float
        What was used.
    n_iter_ : int
        Pivots of "exact", passes of "entropic", plans of "group", "affine" and "kernel"; at least one.
    n_features_in_ : int
        The dimension d.

    Methods
    -------
    fit(X)
        Find the map.
    transform(X)
        Move points of the source.
    inverse_transform(X)
        Move points of the target back.

    Raises
    ------
    ValueError, TypeError
        When it is fitted: for numbers out of range, arrays whose shapes do not fit, NaN and infinite values, labels
        that the method wants and lacks, or does not know.
    ImportError
        By ``monge.TransportMap``, if scikit-learn is missing.

    Notes
    -----
    In all but "gaussian" a plan P says which targets (y_j) the mass of a source x_i goes to, and its image is the mean
    of these, in the sense of the cost: argmin_z sum_j P_ij c(z, y_j). For |x - y| it is a median.

    "exact"
        The plan of `emd`. Points that are not among the sources move as the nearest source does (Ferradans et al.
        2014).
    "entropic"
        The plan of `sinkhorn`, whose potential gives a smooth map of all points (Pooladian and Niles-Weed 2021). Images
        are nearer to each other than the targets are, by a blur of about sqrt(eps).
    "gaussian"
        The affine map between normal distributions with the means and covariances of the samples; see `bures`. With
        singular covariances, what they lack is mapped to the mean.
    "group"
        An entropic plan with a group lasso, penalty sum_j sum_c (sum_{i in c} P_ij^2 / a_i)^{1/2}, by which sources of
        one class c, which y says, reach a target together (Courty et al. 2017). Points that are not among the sources
        move as the nearest one does.
    "affine", "kernel"
        A plan and a regression x + D(x) on it, found together (Perrot et al. 2016): the plan is then one whose images a
        smooth map can reach. D is affine, or a constant and a sum of Gaussians.

    Equal rows are one point, whose weight is the sum of theirs: weights mean the same as repetition.

    Without a target the sample is moved to a normal one, drawn by `rng`, of 200 points: each coordinate is made normal,
    and all together.

    In a pipeline the map is applied to whatever comes later, too. So for a classifier that was trained on labelled
    sources and now meets targets, fit the map from the latter to the former.

    Examples
    --------
    >>> import numpy as np, monge
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> map = monge.TransportMap().fit(X, target=X[::-1] + [3.0, 0.0])
    >>> map.transform([[1.0, 1.0]]).round(9)
    array([[4., 1.]])
    >>> map.inverse_transform([[4.0, 1.0]]).round(9)
    array([[1., 1.]])
    """

    def __init__(
        self,
        method: str = "exact",
        *,
        cost: Any = "sqeuclidean",
        eps: float | None = None,
        penalty: float | None = None,
        plan_weight: float = 1.0,
        ridge: float = 1e-3,
        bandwidth: float | None = None,
        unlike: float = math.inf,
        rng: Any = 0,
        tol: float | None = None,
        max_iter: int | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        progress: bool = False,
    ) -> None:
        self.method = method
        self.cost = cost
        self.eps = eps
        self.penalty = penalty
        self.plan_weight = plan_weight
        self.ridge = ridge
        self.bandwidth = bandwidth
        self.unlike = unlike
        self.rng = rng
        self.tol = tol
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.threads = threads
        self.progress = progress

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        target: Any = None,
        target_labels: Any = None,
        sample_weight: Any = None,
        target_weight: Any = None,
    ) -> TransportMap:
        """Find the map from X to the target.

        Parameters
        ----------
        X : array_like (n, d)
            The source.
        y : array_like (n,), optional
            Classes of the sources, all of them known: for the method "group", and with `target_labels`, where none may
            be called -1.
        target : array_like (m, d), optional
            The target. None for a normal sample.
        target_labels : array_like (m,), optional
            Classes of some targets, -1 where unknown. A source is then not sent to a target of another class, or at the
            price `unlike`. Not for "gaussian", which sees no points.
        sample_weight : array_like (n,), optional
            Weights of the sources, None for uniform ones. They are normalised.
        target_weight : array_like (m,), optional
            Weights of the targets, likewise.

        Returns
        -------
        TransportMap
            The same object.
        """
        method, options = self._checked()
        X = validate_data(self, on_host(X), dtype=_FLOATS)
        d = X.shape[1]
        if target is None:
            if target_labels is not None or target_weight is not None:
                raise ValueError("target_labels and target_weight belong to a target; got none. Pass target=.")
            target = normal_sample(d, self.rng)
        Y = check_array(on_host(target), dtype=_FLOATS, input_name="target")
        if Y.shape[1] != d:
            raise ValueError(f"target should have {d} features, as X has; got shape {Y.shape}.")
        classes, target_classes = self._classes(y, len(X), target_labels, len(Y))
        x = side_of(X, _weights(sample_weight, X, "sample_weight"), classes)
        y_ = side_of(Y, _weights(target_weight, Y, "target_weight"), target_classes)
        problem = Problem(x, y_, self.cost, _unlike(self.unlike), options)
        if method is not exact and not problem.cloud.squared:
            raise ValueError(
                f"method={self.method!r} averages points, which is right for the cost 'sqeuclidean' alone; got "
                f"cost={shown(self.cost)}. Use method='exact', which takes the mean that belongs to the cost."
            )
        for name in set(vars(self)) - {*self.get_params(), "n_features_in_", "feature_names_in_"}:
            if name.endswith("_"):
                delattr(self, name)  # of another method
        try:
            fitted = method(problem)
        except InfeasibleError as error:
            raise InfeasibleError(
                "no plan keeps known classes together: some class has more mass on one side than the other can take. "
                "Give a finite unlike=, the price of changing the class."
            ) from error
        self._there, self._back = fitted.there, fitted.back
        self.source_, self.target_ = x.points, y_.points
        for name, value in fitted.found.items():
            setattr(self, name, value)
        self.n_iter_ = max(1, fitted.found.get("n_iter_", 1))
        return self

    def transform(self, X: Any) -> Any:
        """Move points of the source.

        Parameters
        ----------
        X : array_like (k, d)
            Points, not necessarily those that the map was fitted to.

        Returns
        -------
        ndarray (k, d)
            Their images, float32 for float32 points; of arrays of another library, such an array.
        """
        return self._moved(X, "_there")

    def inverse_transform(self, X: Any) -> Any:
        """Move points of the target back.

        The map back is fitted to the same plan, seen from its other side. It undoes `transform` where that is one to
        one; a mean is not undone.

        Parameters
        ----------
        X : array_like (k, d)
            Points of the target, or images.

        Returns
        -------
        ndarray (k, d)
            Where they come from, likewise.
        """
        return self._moved(X, "_back")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = self.method == "group"
        tags.target_tags.one_d_labels = True
        return tags

    def _moved(self, X: Any, way: str) -> Any:
        check_is_fitted(self, "source_")
        home = home_of(X)
        X = validate_data(self, on_host(X), dtype=_FLOATS, reset=False)
        images = getattr(self, way)(X.astype(np.float64), available_threads(self.threads)).astype(X.dtype)
        return images if home is None else home(images)

    def _checked(self) -> tuple[Fit, Options]:
        if not isinstance(self.method, str) or self.method not in METHODS:
            raise ValueError(f"method should be one of {', '.join(map(repr, METHODS))}; got {shown(self.method)}.")
        given = {name: getattr(self, name) for name in ("eps", "bandwidth", "tol")}
        found = {name: None if value is None else positive(value, name) for name, value in given.items()}
        return METHODS[self.method], Options(
            eps=found["eps"],
            penalty=None if self.penalty is None else _not_negative(self.penalty, "penalty"),
            plan_weight=positive(self.plan_weight, "plan_weight"),
            ridge=_not_negative(self.ridge, "ridge"),
            bandwidth=found["bandwidth"],
            tol=found["tol"],
            max_iter=None if self.max_iter is None else positive_integer(self.max_iter, "max_iter"),
            threads=available_threads(self.threads),
            progress=bool(self.progress),
            deadline=time.monotonic() + seconds(self.time_limit),
        )

    def _classes(self, y: Any, n: int, target_labels: Any, m: int) -> tuple[Any, Any]:
        """Numbers of the classes of sources and targets, each None where they do not count."""
        if self.method == "gaussian" and target_labels is not None:
            raise ValueError(
                "method='gaussian' sees means and covariances, no points that could have labels. "
                "Leave target_labels out, or use another method."
            )
        if self.method != "group" and target_labels is None:
            return None, None
        if y is None:
            why = "method='group'" if self.method == "group" else "target_labels"
            raise ValueError(
                f"{why} requires y to be passed, but the target y is None: the classes of the rows of X. "
                "Pass fit(X, y, ...), or use a method that does without."
            )
        y = column_or_1d(y)
        if len(y) != n:
            raise ValueError(f"y should have {n} classes, one per row of X; got {len(y)}.")
        assert_all_finite(y, input_name="y")
        known, classes = np.unique(y, return_inverse=True)
        if target_labels is None:
            return classes, None
        if {UNKNOWN, str(UNKNOWN)} & set(known.tolist()):
            raise ValueError(
                f"y should have other classes than {UNKNOWN} where target_labels are given: there it means unknown. "
                "Rename the class, say by y > 0; sources of unknown classes have no place in y."
            )
        return classes, _known_classes(target_labels, m, known.tolist())


def _known_classes(labels: Any, m: int, known: list[Any]) -> NDArray[np.intp]:
    labels = column_or_1d(labels)
    if len(labels) != m:
        raise ValueError(f"target_labels should have {m} labels, one per row of the target; got {len(labels)}.")
    numbers = {UNKNOWN: UNKNOWN, str(UNKNOWN): UNKNOWN, **{label: k for k, label in enumerate(known)}}
    new = sorted({str(label) for label in labels.tolist() if label not in numbers})
    if new:
        raise ValueError(
            f"target_labels should be classes that y has, or -1 where unknown; got {', '.join(new)}. No source could "
            "go to such targets."
        )
    return np.array([numbers[label] for label in labels.tolist()], dtype=np.intp)


def _weights(weights: Any, X: NDArray[Any], name: str) -> NDArray[np.float64] | None:
    if weights is None:
        return None
    try:
        found: NDArray[np.float64] = _check_sample_weight(on_host(weights), X, dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"{name} should hold weights, one per row: {error}") from error
    if (found < 0.0).any() or not found.any():
        raise ValueError(f"{name} should hold weights that are not negative, and some that are positive.")
    return found


def _not_negative(value: Any, name: str) -> float:
    number = real_number(value, name, "finite and not negative")
    if not 0.0 <= number < math.inf:
        raise ValueError(f"{name} should be finite and not negative; got {number!r}.")
    return number


def _unlike(value: Any) -> float:
    number = real_number(value, "unlike", "a price, not negative, or inf")
    if not number >= 0.0:
        raise ValueError(f"unlike should not be negative; got {number!r}.")
    return number
