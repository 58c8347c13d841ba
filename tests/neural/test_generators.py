"""Generators that learn from the loss of two minibatches: losses against closed forms and solvers, training, files."""

from __future__ import annotations

import numpy as np
import pytest

import monge

torch = pytest.importorskip("torch", reason="monge.neural needs the extra torch")

import monge.torch  # noqa: E402
from monge.neural import MLP, MinibatchGenerator, TrainingStatus, UnrolledSinkhorn, load  # noqa: E402
from monge.neural.draws import Draws  # noqa: E402
from monge.neural.generators import Minibatches  # noqa: E402
from monge.neural.losses import LOSSES, loss_of  # noqa: E402

CENTRES = 2.0 * np.array([[np.cos(angle), np.sin(angle)] for angle in np.arange(8) * np.pi / 4])


def clouds(n=12, m=12, d=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), 0.5 * rng.normal(size=(m, d)) + 1.0


def tensors(*arrays):
    return tuple(torch.from_numpy(array) for array in arrays)


def draws():
    return Draws(0, torch.device("cpu"))


class Shift(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.by = torch.nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return x + self.by


# Sinkhorn, unrolled.


def plan_cost(x, y, p, eps):
    return monge.sinkhorn(monge.PointCloud(x, y, cost=("euclidean", p)), eps=eps, tol=1e-10, max_iter=100_000).cost


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_many_iterations_give_the_costs_of_entropic_plans(p):
    x, y = clouds(12, 9)
    found = UnrolledSinkhorn(eps=0.5, n_iter=300, p=p)(*tensors(x, y)).item()
    wanted = 2.0 * plan_cost(x, y, p, 0.5) - plan_cost(x, x, p, 0.5) - plan_cost(y, y, p, 0.5)
    assert found == pytest.approx(wanted, rel=1e-7)


def test_large_eps_gives_the_energy_distance_or_that_of_means():
    x, y = clouds(12, 9)
    # One iteration is enough where nothing is left to iterate.
    energy = UnrolledSinkhorn(eps=1e8, n_iter=1, p=1)(*tensors(x, y)).item()
    assert energy == pytest.approx(monge.energy_distance(x, y), rel=1e-6)
    assert energy == pytest.approx(monge.mmd(x, y, kernel="energy"), rel=1e-6)
    means = UnrolledSinkhorn(eps=1e8, n_iter=1)(*tensors(x, y)).item()
    assert means == pytest.approx(2.0 * ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize("p", [1, 2])
def test_small_eps_gives_twice_the_exact_cost(p):
    x, y = clouds(5, 5)
    found = UnrolledSinkhorn(eps=0.02, n_iter=800, p=p)(*tensors(x, y)).item()
    exact = monge.emd(monge.PointCloud(x, y, cost=("euclidean", p))).value
    assert found == pytest.approx(2.0 * exact, rel=1e-2)


def test_few_iterations_are_not_many():
    x, y = tensors(*clouds())
    few, many = (UnrolledSinkhorn(eps=0.05, n_iter=n)(x, y).item() for n in (2, 500))
    assert abs(few - many) > 1e-2


@pytest.mark.parametrize("p", [1, 2])
def test_unrolled_gradient_is_that_of_the_number_that_comes_out(p):
    x, y = tensors(*clouds(8, 5))
    x.requires_grad_()
    loss = UnrolledSinkhorn(eps=0.3, n_iter=3, p=p)  # far from converged
    assert torch.autograd.gradcheck(lambda x: loss(x, y), x)


@pytest.mark.parametrize("p", [1.5, 2])
@pytest.mark.parametrize("n", [6, 30])
def test_unrolled_can_be_differentiated_again(n, p):
    # of y against itself too, where distances are zero
    x, y = tensors(*clouds(n, n))
    way = torch.ones_like(y)
    y.requires_grad_()
    loss = UnrolledSinkhorn(eps=0.5, n_iter=3, p=p)

    def slope(at):
        return torch.autograd.grad(loss(x, at), at, create_graph=True)[0]

    (second,) = torch.autograd.grad((slope(y) * way).sum(), y)
    step = 1e-5
    ends = [slope((y + sign * step * way).detach().requires_grad_()) for sign in (1.0, -1.0)]
    # One direction: the derivative of the slope along it is the Hessian times it, by symmetry.
    torch.testing.assert_close(second, ((ends[0] - ends[1]) / (2.0 * step)).detach(), rtol=1e-4, atol=1e-6)


def test_far_from_the_origin_distances_keep_their_digits():
    x, y = (torch.from_numpy(cloud).float() for cloud in clouds(40, 40))
    near, far = (UnrolledSinkhorn(eps=0.5)(x + by, y + by).item() for by in (0.0, 1024.0))
    assert far == pytest.approx(near, rel=1e-3)


def test_unrolled_takes_batches():
    x, y = tensors(*clouds(12, 8))
    loss = UnrolledSinkhorn(eps=0.3)
    together = loss(x.reshape(2, 3, 2, 2), y.reshape(2, 1, 4, 2))
    assert together.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            one = loss(x.reshape(2, 3, 2, 2)[i, j], y.reshape(2, 4, 2)[i])
            assert together[i, j].item() == pytest.approx(one.item(), rel=1e-9, abs=1e-9)


def test_unrolled_needs_clouds_of_one_dimension():
    with pytest.raises(ValueError, match="of one d and at least one each"):
        UnrolledSinkhorn(eps=1.0)(torch.zeros(3, 2), torch.zeros(3, 3))
    with pytest.raises(TypeError, match="tensor of points"):
        UnrolledSinkhorn(eps=1.0)(np.zeros((3, 2)), torch.zeros(3, 2))
    for wrong in ({"eps": 0.0}, {"eps": 1.0, "n_iter": 0}, {"eps": 1.0, "p": 0.5}):
        with pytest.raises(ValueError, match="should be"):
            UnrolledSinkhorn(**wrong)


# Losses that have a name.


def exact(x, y):
    return monge.emd(monge.PointCloud(x, y)).value


def unrolled(x, y):
    return UnrolledSinkhorn(eps=0.3, n_iter=7)(*tensors(x, y)).item()


@pytest.mark.parametrize(
    ("loss", "settings", "truth"),
    [
        ("emd", {}, exact),
        ("emd", {"p": 1.0}, lambda x, y: monge.emd(monge.PointCloud(x, y, cost="euclidean")).value),
        ("sinkhorn", {"eps": 0.3}, lambda x, y: monge.sinkhorn_divergence(x, y, eps=0.3)),
        ("unrolled", {"eps": 0.3, "n_iter": 7}, unrolled),
        ("energy", {}, lambda x, y: monge.energy_distance(x, y, biased=False)),
        ("mmd", {"bandwidth": (0.5, 2.0)}, lambda x, y: monge.mmd(x, y, bandwidth=(0.5, 2.0), biased=False)),
        ("mmd", {"bandwidth": 0.5}, lambda x, y: monge.mmd(x, y, bandwidth=0.5, biased=False)),
    ],
)
def test_named_losses_are_those_of_the_library(loss, settings, truth):
    pairs = [clouds(seed=seed) for seed in (0, 1)]
    x, y = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
    found = loss_of(loss, **settings)(x, y, draws())
    assert found.shape == (2,)
    np.testing.assert_allclose(found, [truth(*pair) for pair in pairs], rtol=1e-6)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_sliced_loss_is_exact_on_the_line(p):
    x, y = clouds(d=1)
    found = loss_of("sliced", p=p, n_projections=1)(*tensors(x[None], y[None]), draws())
    assert found.item() == pytest.approx(monge.emd_1d(x.ravel(), y.ravel(), p=p).value, rel=1e-9)


@pytest.mark.parametrize("loss", ["sinkhorn", "unrolled", "mmd"])
def test_what_losses_choose_themselves_goes_with_the_units(loss):
    x, y = tensors(*(cloud[None] for cloud in clouds()))
    one, ten = (loss_of(loss)(scale * x, scale * y, draws()).item() for scale in (1.0, 10.0))
    assert ten == pytest.approx(one if loss == "mmd" else 100.0 * one, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_through_a_generator(loss):
    # of an affine map, by differences of the functional, which draws the same directions each time
    z, y = tensors(*clouds())
    weight = torch.tensor([[0.7, 0.2], [-0.3, 0.5]], dtype=torch.float64, requires_grad=True)
    functional = Minibatches(loss_of(loss, **({"eps": 0.3} if loss == "sinkhorn" else {})))

    def value(weight):
        return functional.descent(None, y, z @ weight, draws())

    (slope,) = torch.autograd.grad(value(weight), weight)
    way = torch.tensor([[1.0, -0.5], [0.3, 0.8]], dtype=torch.float64)
    step = 1e-4
    difference = (value(weight + step * way) - value(weight - step * way)).item() / (2.0 * step)
    assert (slope * way).sum().item() == pytest.approx(difference, rel=5e-3 if loss == "sinkhorn" else 1e-5)


@pytest.mark.parametrize("loss", ["energy", "mmd"])
def test_kernel_losses_are_zero_on_average_between_minibatches_of_one_law(loss):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 400, 8, 2, generator=generator)
    found = loss_of(loss, **({"bandwidth": 1.0} if loss == "mmd" else {}))(x, y, draws())
    assert abs(found.mean().item()) < 4.0 * found.std().item() / 20.0
    # With the pairs of a point and itself it would be far off, and smaller for tight clouds.
    biased = torch.tensor([monge.energy_distance(a, b) for a, b in zip(x[:50], y[:50], strict=True)])
    assert biased.mean() > 8.0 * biased.std() / 7.0


# Training.


@pytest.mark.parametrize("loss", LOSSES)
def test_a_shift_learns_the_difference_of_means(loss):
    rng = np.random.default_rng(0)
    source = rng.normal(size=(1000, 2))
    by = np.array([1.5, -0.5])
    settings = {"eps": 0.5} if loss == "unrolled" else {"bandwidth": (1.0, 2.0)} if loss == "mmd" else {}
    model = MinibatchGenerator(
        loss=loss, map=Shift(), n_steps=60, batch_size=32, lr=0.2, ema=0.9, rng=0, **settings
    ).fit(source + by, source)
    np.testing.assert_allclose(model.map_.by.detach().numpy(), by, atol=0.2)
    np.testing.assert_allclose(model.transport(source[:5]), source[:5] + model.map_.by.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("loss", ["emd", "energy"])
def test_eight_gaussians_soon(loss):
    rng = np.random.default_rng(0)
    data = CENTRES[rng.integers(8, size=4000)] + np.sqrt(0.02) * rng.normal(size=(4000, 2))
    model = MinibatchGenerator(loss=loss, n_steps=150, batch_size=80, ema=0.97, rng=0).fit(data)
    samples = model.sample(1000, rng=1).astype(float)
    nearest = np.linalg.norm(samples[:, None] - CENTRES, axis=2).argmin(axis=1)
    assert np.bincount(nearest, minlength=8).min() > 50
    far = exact(np.zeros((1, 2)), data[:1000]) ** 0.5
    assert exact(samples, data[:1000]) ** 0.5 < 0.4 * far
    assert model.history.value[-20:].mean() < 0.4 * model.history.value[:3].mean()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_seed_is_all_the_randomness(loss):
    target = clouds(64)[0]
    one, two, other = (
        MinibatchGenerator(loss=loss, n_steps=4, batch_size=16, rng=rng).fit(target).sample(5, rng=0)
        for rng in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_target_of_one_point(loss):
    target = np.full((10, 2), 0.1)
    model = MinibatchGenerator(loss=loss, n_steps=3, batch_size=8, rng=0).fit(target)
    assert np.isfinite(model.history.value).all()
    same = loss_of(loss)(*torch.full((2, 1, 8, 2), 0.1), draws())
    assert same.item() == pytest.approx(0.0, abs=1e-6)


def test_pairs_of_minibatches():
    x, y = tensors(*clouds(12, 12))
    found = Minibatches(loss_of("emd"), count=3).descent(None, y, x, draws()).item()
    wanted = np.mean([exact(x[k : k + 4].numpy(), y[k : k + 4].numpy()) for k in (0, 4, 8)])
    assert found == pytest.approx(wanted, rel=1e-9)
    seen = []

    def own(moved, real):
        seen.append((tuple(moved.shape), tuple(real.shape)))
        return (moved.mean(dim=0) - real.mean(dim=0)).square().sum()

    MinibatchGenerator(loss=own, n_steps=2, batch_size=5, n_minibatches=3, rng=0).fit(clouds(20)[0])
    assert seen == [((5, 2), (5, 2))] * 6


def test_images_are_points_of_many_coordinates():
    images = np.random.default_rng(0).random((20, 3, 4))
    model = MinibatchGenerator(loss="energy", n_steps=2, batch_size=8, latent=2, rng=0).fit(images)
    assert model.sample(3).shape == (3, 3, 4)


def test_losses_of_the_library_are_functions_as_others_are():
    target = clouds(64)[0]
    own = monge.torch.Minibatch(batch_size=8, epochs=1, debiased=True, rng=0)
    model = MinibatchGenerator(loss=own, n_steps=3, batch_size=32, rng=0).fit(target)
    assert np.isfinite(model.history.value).all()


def test_a_map_that_is_not_finite_is_a_loss_that_is_not():
    class Broken(Shift):
        def forward(self, x):
            return super().forward(x) * float("nan")

    with pytest.warns(monge.ConvergenceWarning, match="not finite"):
        model = MinibatchGenerator(map=Broken(), n_steps=3, batch_size=8, rng=0).fit(clouds(20)[0])
    assert model.status is TrainingStatus.DIVERGED


# A cost that is learned.


def test_features_raise_what_the_map_lowers():
    x, y = tensors(*clouds())
    features = MLP(2, 3, hidden=(8,)).double()
    functional = Minibatches(loss_of("unrolled", eps=0.5, n_iter=4), adversarial=True)
    ascent = functional.ascent(features, y, x, lambda: None, draws())
    beside = (torch.cat([points, features(points)], dim=1) for points in (x, y))
    wanted = UnrolledSinkhorn(eps=0.5, n_iter=4)(*beside).item()
    assert ascent.value.item() == pytest.approx(wanted)
    assert ascent.loss.item() == pytest.approx(-wanted)
    assert functional.descent(features, y, x, draws()).item() == pytest.approx(wanted)


def test_features_cannot_make_far_points_equal():
    x, y = tensors(*clouds())
    nothing = MLP(2, 3, hidden=()).double()
    with torch.no_grad():
        for weights in nothing.parameters():
            weights.zero_()
    functional = Minibatches(loss_of("emd"), adversarial=True)
    assert functional.descent(nothing, y, x, draws()).item() == pytest.approx(exact(x.numpy(), y.numpy()), rel=1e-9)


def test_features_that_are_not_finite_are_a_loss_that_is_not():
    x, y = tensors(*clouds())
    y[0] = 1e300  # of which only the features overflow
    functional = Minibatches(loss_of("emd"), adversarial=True)
    assert not np.isfinite(functional.descent(lambda points: points * 1e200, y, x, draws()).item())


def test_features_may_have_layers_that_do_not_learn():
    features = torch.nn.Sequential(torch.nn.Linear(2, 4).requires_grad_(False), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    model = MinibatchGenerator(loss="energy", learned_cost=True, potential=features, n_steps=2, batch_size=8, rng=0)
    assert model.fit(clouds()[0]).status is TrainingStatus.DONE


def test_a_learned_cost_sees_what_a_blurred_one_does_not():
    # Two laws of one mean, which squared distances with a large eps cannot tell apart.
    rng = np.random.default_rng(0)
    x, y = (scale * rng.choice([-1.0, 1.0], size=(200, 1)) for scale in (1.0, 2.0))
    moved = torch.nn.Linear(1, 1)
    with torch.no_grad():
        moved.weight.fill_(1.0)
        moved.bias.zero_()
    settings = {"loss": "unrolled", "eps": 1e3, "n_iter": 1, "map": moved, "batch_size": 32, "lr": 1e-8, "rng": 0}
    blurred = MinibatchGenerator(n_steps=20, **settings).fit(y, x)
    assert blurred.history.value.mean() < 0.5
    learned = MinibatchGenerator(
        n_steps=20, learned_cost=True, potential=MLP(1, 4, hidden=(16,)), clip=2.0, potential_lr=1e-2, **settings
    ).fit(y, x)
    assert learned.history.value[-1] > 10.0 * blurred.history.value.mean()


def test_a_learned_cost_is_clipped_and_takes_its_steps():
    model = MinibatchGenerator(
        loss="energy", learned_cost=True, clip=0.05, potential_steps=4, n_steps=3, batch_size=16, rng=0
    ).fit(clouds(64)[0])
    assert max(weights.abs().max().item() for weights in model.potential_.parameters()) == pytest.approx(0.05)
    state = model._state
    assert isinstance(state.potential_optimizer, torch.optim.RMSprop)
    assert isinstance(state.map_optimizer, torch.optim.Adam)
    # Moved and real samples: four times in an iteration for its own steps, and once for the map's.
    assert state.evaluations["potential"] == 3 * (4 + 1) * 2
    assert np.isfinite(model.history.potential_loss).all()


# Files, and what is wrong.


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "sliced", "n_projections": 7, "p": 1.0},
        {"loss": "mmd", "bandwidth": (0.5, 1.0)},
        {"loss": "unrolled", "learned_cost": True, "n_iter": 3, "n_minibatches": 2},
    ],
)
def test_files_hold_named_losses(tmp_path, settings):
    target = clouds(64)[0]
    whole = MinibatchGenerator(n_steps=6, batch_size=16, rng=0, **settings).fit(target)
    part = MinibatchGenerator(n_steps=6, batch_size=16, rng=0, **settings)
    part.fit(target, callbacks=lambda model: model.step == 3)
    part.save(tmp_path / "model.pt")
    again = load(tmp_path / "model.pt")
    assert again.step == 3
    assert all(getattr(again, name) == value for name, value in settings.items())
    np.testing.assert_array_equal(again.resume(target).sample(9, rng=1), whole.sample(9, rng=1))


def test_functions_are_given_again(tmp_path):
    def own(x, y):
        return (x.mean(dim=0) - y.mean(dim=0)).square().sum()

    target = clouds(64)[0]
    model = MinibatchGenerator(loss=own, n_steps=2, batch_size=16, rng=0).fit(target)
    model.save(tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"loss=\.\.\."):
        load(tmp_path / "model.pt")
    again = load(tmp_path / "model.pt", loss=own)
    np.testing.assert_array_equal(again.sample(3, rng=0), model.sample(3, rng=0))


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"loss": "wasserstein"}, ValueError, "loss should be one of 'emd', 'sinkhorn'"),
        ({"loss": 3}, ValueError, "loss should be one of"),
        ({"loss": "energy", "eps": 0.1}, ValueError, "eps is not used: loss='energy' has no settings"),
        ({"loss": "emd", "n_iter": 3}, ValueError, "n_iter is not used: loss='emd' has the settings p"),
        ({"loss": lambda x, y: x.sum(), "p": 1}, ValueError, "p is not used: a loss of your own"),
        ({"p": 0.5}, ValueError, "p should be a number >= 1"),
        ({"loss": "sinkhorn", "eps": -1.0}, ValueError, "eps should be positive"),
        ({"loss": "sinkhorn", "eps": "small"}, TypeError, "eps should be positive"),
        ({"loss": "unrolled", "n_iter": 0}, ValueError, "n_iter should be a positive integer"),
        ({"loss": "sliced", "n_projections": 1.5}, ValueError, "n_projections should be a positive integer"),
        ({"loss": "mmd", "bandwidth": (1.0, 0.0)}, ValueError, "bandwidth should be positive"),
        ({"n_minibatches": 0}, ValueError, "n_minibatches should be a positive integer"),
        ({"batch_size": 1}, ValueError, "batch_size should be 2 or more"),
        ({"loss": "sinkhorn", "eps": True}, TypeError, "eps should be a number"),
        ({"learned_cost": True, "clip": 0.0}, ValueError, "clip should be positive"),
        ({"potential": MLP(2, 3)}, ValueError, "learned_cost=True"),
    ],
)
def test_settings_that_are_wrong(settings, error, text):
    with pytest.raises(error, match=text):
        MinibatchGenerator(**settings)


def test_losses_that_are_no_numbers():
    with pytest.raises(ValueError, match="one number, as a tensor"):
        MinibatchGenerator(loss=lambda x, y: x - y, n_steps=1, batch_size=4, rng=0).fit(clouds()[0])
    with pytest.raises(ValueError, match="one number, as a tensor"):
        MinibatchGenerator(loss=lambda x, y: 0.0, n_steps=1, batch_size=4, rng=0).fit(clouds()[0])
