"""The adversarial models: sign and size of their losses, what holds their critics, and where they learn nothing."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="monge.neural needs the extra torch")

import monge  # noqa: E402
from monge.neural import EBGAN, GAN, GMMN, MLP, WGAN, WGANGP  # noqa: E402
from monge.neural.draws import Draws  # noqa: E402
from monge.neural.functionals import JensenShannon  # noqa: E402
from monge.neural.penalties import R1, Clip, GradientPenalty  # noqa: E402

SHIFT = np.array([3.0, 0.0])


def linear(weights):
    network = torch.nn.Linear(len(weights[0]), len(weights))
    with torch.no_grad():
        network.weight.copy_(torch.tensor(weights))
        network.bias.zero_()
    return network


def identity():
    return linear([[1.0, 0.0], [0.0, 1.0]])


def held(kind, shift, **settings):
    """A model whose map stays the identity, so that its critic sees normal noise beside the same, shifted."""
    sampler = lambda rng, n: rng.normal(size=(n, 2)) + shift  # noqa: E731
    critic = MLP(2, 1, hidden=(64, 64))
    settings = {"n_steps": 60, "batch_size": 64, "potential_steps": 3, "potential_lr": 2e-3, "thorough": 3, **settings}
    if kind is not WGAN:
        del settings["thorough"]
    return kind(map=identity(), potential=critic, lr=1e-12, rng=0, **settings).fit(sampler)


def penalised(distance, weight):
    """The largest of s W1 - weight (s - 1)^2 over slopes s, what a penalty lets a shift look like."""
    return distance * (1.0 + distance / (2.0 * weight))


@pytest.mark.parametrize(("one_sided", "weight"), [(False, 10.0), (True, 1.0)])
def test_the_value_is_an_estimate_of_w1_and_positive(one_sided, weight):
    model = held(WGANGP, SHIFT, penalty=weight, one_sided=one_sided, batch_size=128, potential_lr=5e-3)
    assert model.history.smoothed()[-1] == pytest.approx(penalised(3.0, weight), rel=0.08)
    # What the critic's step lowered has the other sign, and the penalty.
    assert model.history.potential_loss[-1] > -model.history.value[-1]
    # High at what is generated, low at what is real.
    x = torch.zeros(1, 2)
    assert model.potential_(x).item() > model.potential_(x + torch.tensor(SHIFT, dtype=torch.float32)).item()


def test_the_clipped_value_is_positive_and_the_larger_the_farther():
    near, far = (held(WGAN, SHIFT * size, clip=0.1, n_steps=30).history.smoothed()[-1] for size in (1.0, 4.0))
    assert 0.0 < 2.0 * near < far


def test_clipping_clips():
    model = held(WGAN, SHIFT, clip=0.03, n_steps=30)
    largest = [float(weights.detach().abs().max()) for weights in model.potential_.parameters()]
    assert max(largest) == pytest.approx(0.03, rel=1e-6)  # and the box is felt
    loose = held(WGAN, SHIFT, clip=10.0, n_steps=30)
    assert max(float(weights.detach().abs().max()) for weights in loose.potential_.parameters()) > 0.03


@pytest.mark.parametrize(
    ("slope", "one_sided", "expected"),
    [(0.5, False, 0.25), (0.5, True, 0.0), (1.0, False, 0.0), (3.0, False, 4.0), (3.0, True, 4.0)],
)
def test_the_penalty_of_a_linear_critic(slope, one_sided, expected):
    real, moved = torch.randn(2, 7, 2, generator=torch.Generator().manual_seed(0))
    penalty = GradientPenalty(10.0, one_sided)
    found = penalty(linear([[0.6 * slope, -0.8 * slope]]), real, moved, Draws(0, torch.device("cpu")))
    assert found.item() == pytest.approx(10.0 * expected, abs=1e-5)


def test_the_penalty_is_between_the_batches():
    # A critic with slope one left of zero and three right of it; segments right of it, left, and half and half.
    critic = lambda x: torch.where(x > 0.0, 3.0 * x, x)  # noqa: E731
    draws = Draws(0, torch.device("cpu"))
    right, left = torch.full((500, 1), 1.0), torch.full((500, 1), -1.0)
    pairs = (right, right + 1.0), (left, left - 1.0), (left, right)
    found = [GradientPenalty(1.0)(critic, *pair, draws).item() for pair in pairs]
    assert found == pytest.approx([4.0, 0.0, 2.0], rel=0.15)


def test_r1_of_a_linear_critic():
    real = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    found = R1(0.5)(linear([[3.0, 4.0]]), real, real, Draws(0, torch.device("cpu")))
    assert found.item() == pytest.approx(6.25)


def test_r1_keeps_the_classifier_flat():
    free, kept = (held(GAN, SHIFT, r1=weight, n_steps=40).history.smoothed()[-1] for weight in (0.0, 1.0))
    assert kept < free < np.log(2.0)


def test_gan_saturates_and_its_gradient_vanishes_where_the_critics_stays():
    shift = 8.0 * SHIFT
    disjoint = monge.js([1.0, 0.0], [0.0, 1.0])
    gan = held(GAN, shift, saturating=True, potential_lr=1e-2)
    wgan = held(WGANGP, shift, penalty=100.0, one_sided=True, potential_lr=5e-3)
    assert gan.history.value[-1] == pytest.approx(disjoint, abs=1e-3)
    assert gan.history.value.max() <= disjoint + 1e-6

    rng = np.random.default_rng(1)
    lengths = []
    for model in (gan, wgan):
        moved = torch.tensor(rng.normal(size=(200, 2)), dtype=torch.float32, requires_grad=True)
        loss = model._functional().descent(model.potential_, moved.detach(), moved, Draws(0, moved.device))
        (gradient,) = torch.autograd.grad(loss, moved)
        lengths.append(len(moved) * gradient.norm(dim=1))
    assert lengths[0].max().item() < 1e-2
    assert lengths[1].mean().item() == pytest.approx(penalised(24.0, 100.0) / 24.0, rel=0.15)
    assert lengths[1].min().item() > 0.3


def test_steps_of_the_critic_by_algorithm_1():
    model = WGAN(thorough=100)
    counts = [model._steps_of_potential(step) for step in range(1001)]
    assert counts[:25] == [100] * 25
    assert [step for step in range(25, 1001) if counts[step] == 100] == [500, 1000]
    assert set(counts) == {5, 100}
    # And as many are done: two evaluations of the critic in each, and one in each step of the map.
    model = WGAN(
        n_steps=27, batch_size=4, potential_steps=2, thorough=7, potential=MLP(1, 1, hidden=(4,)), latent=1, rng=0
    ).fit([0.0, 1.0])
    assert model._fitted("").evaluations["potential"] == 2 * (25 * 7 + 2 * 2) + 27


def test_no_momentum_in_a_clipped_critic():
    model = WGAN(n_steps=1, rng=0).fit([0.0, 1.0])
    optimizer = model._fitted("").potential_optimizer
    assert isinstance(optimizer, torch.optim.RMSprop)
    assert optimizer.defaults["momentum"] == 0.0


def test_batch_statistics_do_not_leak():
    target = np.random.default_rng(0).normal(size=(100, 2))
    generator = MLP(2, 2, hidden=(8, 8), batch_norm=True)
    model = WGANGP(map=generator, n_steps=5, batch_size=16, rng=0).fit(target)
    z = np.random.default_rng(1).normal(size=(6, 2))
    alone = np.concatenate([model.transport(row[None]) for row in z])
    np.testing.assert_allclose(model.transport(z), alone, atol=1e-6)


def test_slopes_of_a_critic_with_batch_normalisation_are_not_penalised():
    normalised = MLP(2, 1, hidden=(8, 8), batch_norm=True)
    with pytest.raises(ValueError, match="batch normalisation"):
        WGANGP(potential=normalised)
    with pytest.raises(ValueError, match="batch normalisation"):
        GAN(potential=normalised, r1=0.1, rng=0).fit(np.zeros((8, 2)))
    GAN(potential=normalised, n_steps=1, batch_size=8, rng=0).fit(np.zeros((8, 2)))


def test_a_saturating_map_goes_down_the_value():
    real, moved = torch.randn(2, 7, 2, generator=torch.Generator().manual_seed(0))
    moved.requires_grad_()
    critic, draws = linear([[0.6, -0.8]]), Draws(0, moved.device)
    functional = JensenShannon(saturating=True)
    value = functional.ascent(critic, real, moved, lambda: moved.sum(), draws).value
    found, wanted = (
        torch.autograd.grad(each, moved)[0] for each in (functional.descent(critic, real, moved, draws), value)
    )
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (WGANGP, {"n_steps": 120, "one_sided": True, "penalty": 0.3, "lr": 5e-3, "potential_steps": 4}),
        (WGAN, {"n_steps": 150, "potential_steps": 3, "lr": 5e-3}),
        (GMMN, {"n_steps": 200, "bandwidths": (0.5, 1.0, 2.0, 4.0)}),
        (EBGAN, {"n_steps": 250, "r1": 0.3}),
        (GAN, {"n_steps": 250, "r1": 0.3}),
    ],
)
def test_learns_a_normal_law_on_the_line(kind, settings):
    sampler = lambda rng, n: rng.normal(size=n) * 0.5 + 2.0  # noqa: E731
    networks = {"map": MLP(1, 1, hidden=(32,)), "potential": MLP(1, 1, hidden=(32, 32))}
    if kind is not WGAN:
        settings = {"betas": (0.0, 0.9), "potential_lr": 1e-2, **settings}
    model = kind(**networks, batch_size=64, **{"lr": 3e-3, **settings}, ema=0.95, rng=0).fit(sampler)
    truth = sampler(np.random.default_rng(1), 2000)
    assert monge.wasserstein_1d(model.sample(2000, rng=2).ravel(), truth) < 0.45  # 2.0 to begin with


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (WGAN, {"clip": 0.0}, "clip should be positive"),
        (WGAN, {"thorough": 0}, "thorough should be a positive integer"),
        (WGANGP, {"penalty": -1.0}, "penalty should be positive"),
        (GAN, {"r1": -1.0}, "r1 should be finite and not negative"),
        (EBGAN, {"margin": 0.0}, "margin should be positive"),
        (GMMN, {"bandwidths": (1.0, -1.0)}, "each of bandwidths should be positive"),
        (GMMN, {"bandwidths": ()}, "at least one"),
        (GMMN, {"batch_size": 1}, "at least 2"),
    ],
)
def test_settings_out_of_range(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Clip(0.0), "limit should be positive"),
        (lambda: Clip(np.nan), "limit should be positive"),
        (lambda: GradientPenalty(-1.0), "weight should be positive"),
        (lambda: GradientPenalty(np.inf), "weight should be positive"),
        (lambda: GradientPenalty(1.0, "no"), "one_sided should be True or False"),
        (lambda: WGANGP(one_sided="no"), "one_sided should be True or False"),
        (lambda: GAN(saturating=1.0), "saturating should be True or False"),
        (lambda: GAN(r1=None), "r1 should be finite"),
        (lambda: EBGAN(r1=False), "r1 should be a number"),
        (lambda: WGAN(clip=True), "clip should be a number"),
        (lambda: GMMN(bandwidths=0.5), "bandwidths should be a sequence"),
        (lambda: GMMN(bandwidths="0.5"), "bandwidths should be a sequence"),
    ],
)
def test_what_is_no_number_or_no_flag(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


@pytest.mark.parametrize("kind", [GAN, WGAN, WGANGP, EBGAN, GMMN])
def test_files_hold_the_settings(kind, tmp_path):
    model = kind(n_steps=2, batch_size=4, rng=0).fit([[0.0, 0.0], [1.0, 1.0]])
    model.save(tmp_path / "model.pt")
    again = monge.neural.load(tmp_path / "model.pt")
    assert type(again) is kind
    assert again._functional() == model._functional()
    np.testing.assert_array_equal(again.sample(3, rng=1), model.sample(3, rng=1))
