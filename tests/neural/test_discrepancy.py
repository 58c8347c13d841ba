"""One interface for three classes of functions, against what is known of each."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="monge.neural needs the extra torch")

import monge  # noqa: E402
from monge.neural import (  # noqa: E402
    MLP,
    WGAN,
    Clip,
    EnergyHinge,
    GradientPenalty,
    Kantorovich,
    KernelBall,
    TotalVariation,
    TrainingStatus,
    discrepancy,
)
from monge.neural.draws import Draws  # noqa: E402
from monge.neural.functionals import JensenShannon  # noqa: E402

HEIGHTS = (np.arange(60) + 0.5) / 60
LIPSCHITZ = Kantorovich(GradientPenalty(10.0, one_sided=True))
QUICK = {"n_steps": 120, "batch_size": 64, "lr": 2e-3, "rng": 0}


def line(theta):
    return np.column_stack([np.full_like(HEIGHTS, theta), HEIGHTS])


def small():
    return MLP(2, 1, hidden=(64, 64))


@pytest.mark.parametrize("theta", [-1.0, 0.3, 2.0])
def test_two_lines(theta):
    x, y = line(0.0), line(theta)
    # A penalty of weight w lets slopes be 1 + W1 / (2 w), the best of s W1 - w (s - 1)^2.
    found = discrepancy(x, y, Kantorovich(GradientPenalty(20.0, one_sided=True)), network=small(), **QUICK)
    assert found.value == pytest.approx(abs(theta) * (1.0 + abs(theta) / 40.0), rel=0.06)
    assert 0.97 < discrepancy(x, y, TotalVariation(), network=small(), **QUICK).value <= 1.0
    exact = math.sqrt(monge.mmd(x, y, bandwidth=(0.2, 1.0)))
    assert discrepancy(x, y, KernelBall((0.2, 1.0))).value == pytest.approx(exact, rel=1e-4)


def test_the_hinge_sees_the_total_variation():
    found = discrepancy(line(0.0), line(1.0), EnergyHinge(2.0), network=small(), **QUICK)
    assert found.history.value[-1] > 0.95
    assert found.value > 0.95


def test_total_variation_of_laws_that_overlap():
    # N(0, 1) and N(1, 1): 2 Phi(1 / 2) - 1. Samplers, so that the value is of points that no step has seen.
    samplers = [lambda rng, n, mean=mean: rng.normal(size=n) + mean for mean in (0.0, 1.0)]
    exact = math.erf(0.5 / math.sqrt(2.0))
    options = {"network": MLP(1, 1, hidden=(32,)), **QUICK, "n_steps": 200}
    for functions in (TotalVariation(), EnergyHinge(1.0)):
        found = discrepancy(*samplers, functions, **options)
        assert found.value == pytest.approx(exact, abs=0.05)


def test_witnesses_tell_x_from_y():
    x, y = line(0.0), line(2.0)
    z = np.random.default_rng(0).normal(size=(50, 2))
    for functions in (LIPSCHITZ, TotalVariation(), KernelBall((1.0,))):
        found = discrepancy(x, y, functions, network=small(), **QUICK)
        assert found.value == pytest.approx(found.witness(x).mean() - found.witness(y).mean(), abs=1e-4)
        assert found.witness(x).min() > found.witness(y).max()
        assert found.witness(z).shape == (50,)
        if isinstance(functions, TotalVariation):
            assert np.abs(found.witness(z)).max() <= 0.5
        assert found.witness(torch.zeros(3, 2)).shape == (3,)
        assert isinstance(found.witness(torch.zeros(3, 2)), torch.Tensor)
        again = pickle.loads(pickle.dumps(found))
        np.testing.assert_array_equal(again.witness(z), found.witness(z))


def test_the_kernels_witness_has_norm_one():
    # |f|^2 = E E k of f's own signed measure over MMD^2; and f is what reproduces: <f, k(z, .)> = f(z).
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(30, 3)) + 1.0
    found = discrepancy(x, y, KernelBall((0.7,)))
    z = rng.normal(size=(5, 3))
    kernel = lambda a, b: np.exp(-((a[:, None] - b) ** 2).sum(axis=2) / (2.0 * 0.7**2))  # noqa: E731
    norm = math.sqrt(monge.mmd(x, y, bandwidth=0.7))
    np.testing.assert_allclose(
        found.witness(z), (kernel(z, x).mean(axis=1) - kernel(z, y).mean(axis=1)) / norm, atol=2e-5
    )


def test_what_the_moment_matching_map_lowers_is_mmd():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(30, 3)) + 1.0
    moved = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    ball, draws = KernelBall((0.7, 2.0)), Draws(0, torch.device("cpu"))
    real = torch.tensor(y, dtype=torch.float32)
    loss = ball.descent(None, real, moved, draws)
    exact = monge.mmd(x, y, bandwidth=(0.7, 2.0), biased=False)
    assert loss.item() == pytest.approx(exact, abs=1e-5)
    np.testing.assert_allclose(torch.autograd.grad(loss, moved)[0], exact.grad_x, atol=1e-5)


def test_the_gradient_with_the_best_function_held_is_the_metrics():
    # Theorem 3 of Arjovsky et al., for the class of which the best function is known: MMD = E f(moved) - E f(real).
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(30, 3)) + 1.0
    moved = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    f = KernelBall((0.7,)).witness(None, torch.tensor(y, dtype=torch.float32), moved)
    square = monge.mmd(x, y, bandwidth=0.7)
    (found,) = torch.autograd.grad(f(moved).mean(), moved)
    np.testing.assert_allclose(found, square.grad_x / (2.0 * math.sqrt(square)), atol=1e-5)


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=12),
    st.lists(st.integers(0, 4), min_size=2, max_size=12),
    st.lists(st.floats(-30.0, 30.0), min_size=5, max_size=5),
)
def test_no_function_of_the_class_says_more_than_the_metric(first, second, heights):
    # Samples of five places, and any function of them.
    at, height = (torch.tensor(each) for each in (first, second)), torch.tensor(heights)
    moved, real = (places[:, None].float() for places in at)
    p, q = (np.bincount(places, minlength=5) / len(places) for places in (first, second))

    def potential(points):
        return height[points[:, 0].long()]

    def value(functional):
        return functional.ascent(potential, real, moved, lambda: moved.sum(), Draws(0, moved.device)).value.item()

    tv, js = monge.tv(p, q), monge.js(p, q)
    assert value(TotalVariation()) <= tv + 1e-5
    assert value(EnergyHinge(1.5)) <= tv + 1e-4  # of numbers up to 30
    assert value(JensenShannon()) <= js + 1e-4
    assert value(KernelBall((0.5,))) == pytest.approx(
        math.sqrt(monge.mmd(np.array(first, float), np.array(second, float), bandwidth=0.5)), abs=2e-3
    )


def test_the_best_function_of_the_class_reaches_it():
    first, second = [0, 0, 0, 1, 2], [1, 2, 2, 3, 0]
    moved, real = (torch.tensor(places)[:, None].float() for places in (first, second))
    p, q = (np.bincount(places, minlength=5) / 5.0 for places in (first, second))
    signs = torch.tensor(np.sign(p - q), dtype=torch.float32)
    ratio = torch.tensor(np.log((q + 1e-12) / (p + 1e-12)), dtype=torch.float32)

    def value(functional, heights):
        potential = lambda points: heights[points[:, 0].long()]  # noqa: E731
        return functional.ascent(potential, real, moved, lambda: moved.sum(), Draws(0, moved.device)).value.item()

    assert value(TotalVariation(), 20.0 * signs) == pytest.approx(monge.tv(p, q), abs=1e-5)
    assert value(EnergyHinge(15.0), 15.0 * signs) == pytest.approx(monge.tv(p, q), abs=1e-5)
    assert value(JensenShannon(), ratio) == pytest.approx(monge.js(p, q), abs=1e-5)


def test_clipping_is_a_class_too():
    found = discrepancy(line(0.0), line(2.0), Kantorovich(Clip(0.05)), network=small(), **QUICK)
    assert 0.0 < found.value < 2.0


def test_the_same_seed_gives_the_same_and_the_caller_keeps_the_numbers():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    values = [discrepancy(line(0.0), line(1.0), LIPSCHITZ, n_steps=3, rng=1).value for _ in range(2)]
    assert values[0] == values[1]
    assert torch.equal(torch.get_rng_state(), before)


class Nowhere(torch.nn.Linear):
    """Values that are no numbers."""

    def forward(self, points):
        return super().forward(points) * math.nan


def test_early_stops_say_so():
    with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
        found = discrepancy(line(0.0), line(1.0), LIPSCHITZ, time_limit=0.0)
    assert found.status is TrainingStatus.TIME_LIMIT
    with pytest.warns(monge.ConvergenceWarning, match="look for outliers"):
        found = discrepancy(line(0.0), line(1.0), LIPSCHITZ, network=Nowhere(2, 1), n_steps=3, rng=0)
    assert found.status is TrainingStatus.DIVERGED


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((line(0.0), line(1.0), "lipschitz"), TypeError, "class of functions"),
        ((line(0.0), HEIGHTS, LIPSCHITZ), ValueError, "of one shape"),
        ((line(np.nan), line(1.0), LIPSCHITZ), ValueError, "NaN"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        discrepancy(*arguments)


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (torch.tanh, TypeError, r"network should be a torch\.nn\.Module"),
        (torch.nn.Linear(3, 1), ValueError, r"network does not take float32 samples of shape \(2,\)"),
        (torch.nn.Linear(2, 2), ValueError, "one number for each"),
        (torch.nn.Linear(2, 1).requires_grad_(False), ValueError, "no parameters that can be learned"),
        (MLP(2, 1, hidden=(8, 8), batch_norm=True), ValueError, "no batch normalisation"),
    ],
)
def test_networks_that_do_not_fit(network, error, message):
    with pytest.raises(error, match=message):
        discrepancy(line(0.0), line(1.0), LIPSCHITZ, network=network)


def test_a_network_with_frozen_layers_that_another_model_counts():
    model = WGAN(potential=small(), n_steps=2, batch_size=8, rng=0).fit(line(0.0))
    before = dict(model._fitted("").evaluations)
    network = model.potential_
    network.layers[0].requires_grad_(False)
    found = discrepancy(line(0.0), line(1.0), LIPSCHITZ, network=network, **{**QUICK, "n_steps": 2})
    assert model._fitted("").evaluations == before
    assert torch.equal(found.network.layers[0].weight, network.layers[0].weight)
    assert not torch.equal(found.network.layers[2].weight, network.layers[2].weight)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KernelBall(()), "at least one"),
        (lambda: KernelBall((0.0,)), "each of bandwidths should be positive"),
        (lambda: KernelBall((math.nan,)), "each of bandwidths should be positive"),
        (lambda: KernelBall(1.0), "sequence of numbers"),
        (lambda: EnergyHinge(-1.0), "margin should be positive"),
        (Kantorovich, "penalty"),
    ],
)
def test_classes_that_are_none(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_kernels_do_not_mind_where_zero_is():
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 8, size=(30, 2)) / 8.0 for _ in range(2))
    near, far = (discrepancy(x + shift, y + shift, KernelBall((0.1, 0.5))).value for shift in (0.0, 4096.0))
    assert far == pytest.approx(near, rel=1e-4)


def test_kernels_take_points_a_few_at_a_time(monkeypatch):
    x, y = line(0.0), line(0.3)
    whole = discrepancy(x, y, KernelBall((0.2,)))
    monkeypatch.setattr("monge.neural.classes._PAIRS", 7 * len(x))
    parts = discrepancy(x, y, KernelBall((0.2,)))
    assert parts.value == pytest.approx(whole.value, rel=1e-5)
    np.testing.assert_allclose(parts.witness(x), whole.witness(x), rtol=1e-4)


def test_points_of_another_shape():
    found = discrepancy(line(0.0), line(1.0), KernelBall((1.0,)))
    with pytest.raises(ValueError, match="of shape"):
        found.witness(np.zeros((3, 3)))
