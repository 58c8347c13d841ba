"""Maps between laws, with mass left behind and without: Gaussians in closed form, bounds, outliers, noise, files."""

from __future__ import annotations

import numpy as np
import pytest

import monge
from benchmarks.neural.gaussian_pairs import unbalanced_gaussians

torch = pytest.importorskip("torch", reason="monge.neural needs PyTorch: pip install 'monge[torch]'")

from monge.neural import MLP, OTM, SJKO, UOTM, load  # noqa: E402
from monge.neural.entropies import entropy_of  # noqa: E402

TRUTH = unbalanced_gaussians((0.0, 1.0), (2.0, 0.5), tau=1.0)


def nets(width: int = 32, d: int = 1, noise: int = 0) -> dict[str, torch.nn.Module]:
    return {
        "map": MLP(d + noise, d, hidden=(width, width), residual=True),
        "potential": MLP(d, 1, hidden=(width, width), activation="silu"),
    }


def second(rng: np.random.Generator, n: int) -> np.ndarray:
    return 2.0 + 0.5 * rng.standard_normal(n)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    settings = {"n_steps": 400, "batch_size": 128, "lr": 3e-3, "ema": 0.99, "r1": 0.01}
    return UOTM(entropy="kl", tau=1.0, rng=0, **settings, **nets()).fit(second)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(1)
    return rng.normal(size=(2000, 1)).astype(np.float32), second(rng, 2000)


def test_the_closed_form_is_what_scaling_finds_on_a_grid():
    x, y = np.linspace(-4.0, 4.0, 161), np.linspace(-0.5, 4.5, 161)
    a, b = np.exp(-0.5 * x**2), np.exp(-0.5 * ((y - 2.0) / 0.5) ** 2)
    found = []
    for eps in (0.01, 0.005):
        cost = monge.CostMatrix((x[:, None] - y) ** 2)
        plan = np.asarray(monge.sinkhorn(cost, a / a.sum(), b / b.sum(), eps=eps, marginals=monge.KL(1.0)).plan)
        left = plan.sum(axis=1)
        slope, intercept = np.polyfit(x, plan @ y / left, 1, w=np.sqrt(left))
        found.append((slope, intercept, left.sum()))
    # Entropy's bias is linear in eps: the line through both ends at the truth.
    assert 2.0 * np.array(found[1]) - found[0] == pytest.approx(TRUTH[:3], rel=4e-3)


def test_a_trained_map_is_the_gaussians(trained, samples):
    x, _ = samples
    weights = trained.source_density(x)
    slope, intercept = np.polyfit(x[:, 0], trained.transport(x)[:, 0], 1, w=np.sqrt(weights))
    assert slope == pytest.approx(TRUTH.slope, rel=0.15)
    assert intercept == pytest.approx(TRUTH.intercept, rel=0.1)


def test_both_densities_have_the_transported_mass(trained, samples):
    x, y = samples
    assert trained.source_density(x).mean() == pytest.approx(TRUTH.mass, rel=0.1)
    assert trained.target_density(y).mean() == pytest.approx(TRUTH.mass, rel=0.1)


def test_the_value_is_that_of_unbalanced_transport(trained):
    assert trained.history.smoothed(0.98)[-1] == pytest.approx(TRUTH.value, rel=0.1)


def test_divergences_are_below_what_all_would_cost_to_move(trained, samples):
    # Theorem 3.3; the closed form has .730 against 4.25.
    x, y = samples
    one, two = trained.divergences(x, y)
    assert min(one, two) > 0.05
    assert one + two == pytest.approx(0.730, rel=0.2)
    assert one + two <= trained.tau * monge.wasserstein(x, y) ** 2


def test_the_map_moves_no_farther_than_transport_to_what_it_makes(trained, samples):
    x, _ = samples
    moved = trained.transport(x)
    assert np.mean((x - moved) ** 2) <= 1.05 * monge.wasserstein(x, moved) ** 2


@pytest.fixture(scope="module")
def with_outliers():
    rng = np.random.default_rng(2)
    y = np.append(rng.normal(1.0, 0.5, 970), rng.normal(-6.0, 0.1, 30))
    torch.manual_seed(0)
    settings = {"n_steps": 300, "batch_size": 128, "lr": 3e-3, "ema": 0.99, "tau": 0.2, "r1": 0.01, "rng": 0}
    return tuple(kind(**settings, **nets()).fit(y) for kind in (UOTM, OTM))


def test_outliers_are_left_out_of_unbalanced_transport_alone(with_outliers):
    unbalanced, balanced = with_outliers
    inlier, outlier = unbalanced.target_density([1.0, -6.0])
    assert outlier < 0.5 < 0.8 < inlier
    np.testing.assert_array_equal(balanced.target_density([1.0, -6.0]), 1.0)
    shares = [np.mean(model.sample(5000, rng=0) < -2.0) for model in (unbalanced, balanced)]
    assert shares[0] < 0.5 * shares[1]


def test_a_source_is_kept_by_a_linear_entropy():
    y = np.random.default_rng(0).normal(size=(64, 2))
    model = UOTM(entropy=("linear", "chi2"), n_steps=3, batch_size=16, rng=0, **nets(8, 2)).fit(y, y + 1.0)
    np.testing.assert_array_equal(model.source_density(y), 1.0)
    assert np.ptp(model.target_density(y)) > 0.0
    assert model.divergences(y, y)[0] == 0.0


@pytest.mark.parametrize("kind", [UOTM, OTM])
def test_a_model_comes_back_from_a_file(kind, tmp_path):
    y = np.random.default_rng(0).normal(size=(64, 2))
    model = kind(n_steps=2, batch_size=16, tau=0.3, noise=2, rng=0).fit(y)
    model.save(tmp_path / "model.pt")
    again = load(tmp_path / "model.pt")
    assert (again.tau, again.noise, again.entropy) == (0.3, 2, model.entropy)
    np.testing.assert_array_equal(again.sample(5, rng=1), model.sample(5, rng=1))
    np.testing.assert_array_equal(again.target_density(y), model.target_density(y))


def test_a_map_with_noise_spreads_a_point():
    y = np.random.default_rng(0).normal(size=(64, 2))
    model = UOTM(n_steps=2, batch_size=16, noise=3, rng=0).fit(y, np.zeros((5, 2)))
    moved = model.transport(np.zeros((4, 2)), rng=0)
    assert moved.shape == (4, 2)
    assert len(np.unique(moved, axis=0)) == 4
    np.testing.assert_array_equal(moved, model.transport(np.zeros((4, 2)), rng=0))
    assert model.source_density(np.zeros((4, 2)), rng=0).shape == (4,)
    assert model.sample(7, rng=0).shape == (7, 2)
    with pytest.raises(ValueError, match="x should hold samples of shape \\(2,\\)"):
        model.transport(np.zeros((4, 5)))


def test_a_pair_is_source_then_target():
    source, target = UOTM(entropy=("kl", "softplus"))._entropies()
    assert (source, target) == (entropy_of("kl"), entropy_of("softplus"))


def test_points_begin_where_they_are_and_images_do_not():
    points, images = (UOTM(n_steps=1, batch_size=4, rng=0).fit(np.zeros((4, d))).map_.recipe for d in (2, 64))
    assert (points["residual"], images["residual"]) == (True, False)


def test_images_move_to_images_and_keep_their_library():
    y = np.random.default_rng(0).normal(size=(32, 4, 4))
    model = UOTM(n_steps=2, batch_size=16, rng=0).fit(y)
    moved = model.transport(torch.zeros(3, 4, 4))
    assert isinstance(moved, torch.Tensor)
    assert moved.shape == (3, 4, 4)


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (2, 3, 4)])
def test_images_with_columns_of_noise(shape, tmp_path):
    y = np.random.default_rng(0).normal(size=(32, *shape))
    model = UOTM(n_steps=2, batch_size=16, noise=3, entropy=("kl", "chi2"), rng=0).fit(y, y + 1.0)
    assert model.transport(y[:5], rng=0).shape == (5, *shape)
    assert model.source_density(y[:5], rng=0).shape == model.target_density(y[:5]).shape == (5,)
    model.save(tmp_path / "model.pt")
    again = load(tmp_path / "model.pt")
    assert (tuple(again.entropy), again.noise) == (("kl", "chi2"), 3)
    np.testing.assert_array_equal(again.transport(y[:5], rng=1), model.transport(y[:5], rng=1))


def test_densities_are_of_each_sample_alone_and_change_nothing():
    def network(last):
        return torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(), last)

    torch.manual_seed(0)
    y = np.random.default_rng(0).normal(size=(64, 2))
    potential = network(torch.nn.Linear(8, 1))
    model = UOTM(potential=potential, map=MLP(2, 2, hidden=(8,)), n_steps=3, batch_size=16, r1=0.0, rng=0).fit(y)
    before = [each.clone() for each in model.potential_.state_dict().values()]
    counted = dict(model._state.evaluations)
    for density in (model.target_density, model.source_density):
        np.testing.assert_allclose([density(y[k : k + 1])[0] for k in range(3)], density(y)[:3], rtol=1e-5)
    assert all(bool((a == b).all()) for a, b in zip(before, model.potential_.state_dict().values(), strict=True))
    assert model._state.evaluations == counted
    assert model.potential_.training


def test_a_penalty_on_slopes_and_batch_normalisation():
    potential = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
    for kind in (UOTM, SJKO):
        with pytest.raises(ValueError, match="no batch normalisation"):
            kind(potential=potential)
        kind(potential=potential, r1=0.0)


def test_numbers_of_numpy_are_numbers():
    model = UOTM(noise=np.int64(2), r1=np.float32(0.5), tau=np.float64(0.1))
    assert (type(model.noise), type(model.r1)) == (int, float)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau": 0.0}, "tau should be positive"),
        ({"r1": -1.0}, "r1 should be finite and not negative"),
        ({"r1": float("inf")}, "r1 should be finite and not negative"),
        ({"noise": -1}, "noise should be a number of columns"),
        ({"entropy": "tv"}, "entropy should be one of"),
        ({"entropy": ("kl", "kl", "kl")}, "or a pair \\(source, target\\)"),
        ({"latent": 3}, "latent should be None"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        UOTM(**settings)


def test_all_mass_has_no_other_entropy():
    with pytest.raises(ValueError, match="Take UOTM"):
        OTM(entropy="kl")


def test_shapes_that_do_not_fit_are_refused():
    y = np.zeros((8, 2))
    for target, source in ((y, np.zeros((8, 3))), (np.zeros((8, 2, 2)), np.zeros((8, 4)))):
        with pytest.raises(ValueError, match="source: samples should have the target's shape"):
            UOTM(n_steps=1).fit(target, source)
    model = UOTM(n_steps=1, batch_size=4, rng=0).fit(y)
    for method, name in ((model.transport, "x"), (model.source_density, "x"), (model.target_density, "y")):
        with pytest.raises(ValueError, match=f"{name} should hold samples of shape \\(2,\\)"):
            method(np.zeros((8, 3)))
