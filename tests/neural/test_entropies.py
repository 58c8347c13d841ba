"""Entropies and their conjugates, and the functionals made of them."""

import math

import pytest

torch = pytest.importorskip("torch", reason="monge.neural needs PyTorch: pip install 'monge[torch]'")

from monge.neural.draws import Draws  # noqa: E402
from monge.neural.entropies import entropy_of  # noqa: E402
from monge.neural.penalties import R1  # noqa: E402
from monge.neural.unbalanced import Divergence, UnbalancedDual  # noqa: E402

NAMES = ["kl", "chi2", "softplus", "linear"]


@pytest.mark.parametrize("name", NAMES)
def test_a_conjugate_is_zero_at_zero_with_slope_one(name):
    s = torch.zeros((), requires_grad=True)
    value = entropy_of(name).conjugate(s)
    (slope,) = torch.autograd.grad(value, s)
    assert float(value.detach()) == 0.0
    assert float(slope) == 1.0


@pytest.mark.parametrize("name", ["kl", "chi2", "softplus"])
def test_a_conjugate_is_the_largest_over_all_densities(name):
    entropy = entropy_of(name)
    t = torch.linspace(0.0, 12.0, 240_001, dtype=torch.float64)
    for s in (-5.0, -2.0, -0.7, 0.0, 0.4, 1.3, 2.4):
        brute = (s * t - entropy(t)).max()
        point = torch.tensor(s, dtype=torch.float64)
        assert float(entropy.conjugate(point)) == pytest.approx(float(brute), abs=2e-8)  # steps of 5e-5
        density = entropy.density(point)
        assert float(s * density - entropy(density)) == pytest.approx(float(brute), abs=2e-8)  # steps of 5e-5


@pytest.mark.parametrize("name", NAMES)
def test_the_density_is_the_slope_and_stays_finite_in_single_precision(name):
    entropy = entropy_of(name)
    s = torch.tensor([-1e4, -100.0, -2.5, -1.0, 0.5, 5.0, 19.5, 20.0, 88.0, 89.0, 1e4], requires_grad=True)
    values = entropy.conjugate(s)
    (slopes,) = torch.autograd.grad(values.sum(), s)
    assert bool(torch.isfinite(values).all())
    torch.testing.assert_close(slopes, entropy.density(s).detach(), rtol=1e-6, atol=1e-40)
    assert bool((values.diff() >= 0.0).all())


def test_kl_is_the_exponential_where_batches_can_tell_densities_apart():
    s = torch.linspace(-20.0, 20.0, 101, dtype=torch.float64)
    torch.testing.assert_close(entropy_of("kl").conjugate(s), torch.expm1(s))


def test_an_unknown_entropy_is_refused_and_another_one_is_taken():
    with pytest.raises(ValueError, match="'kl', 'chi2', 'softplus', 'linear'; got 'tv'"):
        entropy_of("tv")
    assert entropy_of(entropy_of("kl")) is entropy_of("kl")


@pytest.mark.parametrize("name", ["kl", "chi2"])
def test_the_best_potential_gives_the_divergence(name):
    # On three points all functions are within reach: the best is v = -Psi'(density of the moved samples).
    entropy = entropy_of(name)
    real, moved = torch.tensor([0] * 4 + [1] * 10 + [2] * 10), torch.tensor([0] * 9 + [1] * 9 + [2] * 6)
    density = torch.tensor([2.25, 0.9, 0.6], dtype=torch.float64)
    best = -(density.log() if name == "kl" else 2.0 * (density - 1.0))
    expected = float((torch.tensor([4, 10, 10]) / 24 * entropy(density)).sum())
    functional = Divergence(entropy)
    assert float(functional.ascent(lambda i: best[i], real, moved, None, None).value) == pytest.approx(expected)
    worse = best + torch.tensor([0.1, 0.0, -0.1])
    assert float(functional.ascent(lambda i: worse[i], real, moved, None, None).value) < expected - 1e-4


def test_both_sides_of_unbalanced_transport_count():
    v, cost = torch.tensor([0.3, -0.2]), torch.tensor([0.5, 0.1])
    functional = UnbalancedDual(entropy_of("kl"), entropy_of("softplus"))
    found = functional.ascent(lambda i: v[i], torch.tensor([0, 0]), torch.tensor([0, 1]), lambda: cost, None)
    source = (math.expm1(0.3 - 0.5) + math.expm1(-0.2 - 0.1)) / 2.0
    target = 2.0 * math.log1p(math.exp(-0.3)) - 2.0 * math.log(2.0)
    assert float(found.value) == pytest.approx(-source - target, rel=1e-6)
    assert float(found.loss) == -float(found.value)
    assert float(functional.descent(lambda i: v[i], None, torch.tensor([0, 1]), None)) == pytest.approx(-0.05)


def test_with_the_source_kept_the_potential_steps_as_for_the_divergence():
    network = torch.nn.Linear(2, 1)
    real, moved = Draws(0, "cpu").normal(16, 2), Draws(1, "cpu").normal(16, 2)
    gradients, values = [], []
    for functional in (
        Divergence(entropy_of("kl"), R1(0.1)),
        UnbalancedDual(entropy_of("linear"), entropy_of("kl"), R1(0.1)),
    ):
        found = functional.ascent(network, real, moved, lambda: torch.ones(16), Draws(2, "cpu"))
        gradients.append(torch.autograd.grad(found.loss, list(network.parameters())))
        values.append(float(found.value.detach()))
    assert all(bool((one == other).all()) for one, other in zip(*gradients, strict=True))
    assert values[1] == pytest.approx(values[0] + 1.0, rel=1e-6)


def test_with_both_sides_kept_the_value_at_a_transport_is_its_cost():
    v, real = torch.tensor([0.3, -0.2, 0.7]), torch.tensor([0, 1, 2])
    functional = UnbalancedDual(entropy_of("linear"), entropy_of("linear"))
    cost = torch.tensor([0.5, 0.1, 0.9])
    found = functional.ascent(lambda i: v[i], real, real.flip(0), lambda: cost, None)
    assert float(found.value) == pytest.approx(0.5)
