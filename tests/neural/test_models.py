"""What holds for every model: one class, run for each that there is. A new model is tested by being there."""

from dataclasses import fields

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="monge.neural needs the extra torch")
from monge import ConvergenceWarning  # noqa: E402
from monge.neural import MLP, ConvCritic, ConvGenerator, Model, TrainingStatus, load  # noqa: E402
from monge.neural.toys import eight_gaussians  # noqa: E402

# Not those that tests make.
KINDS = [kind for _, kind in sorted(Model._kinds.items()) if kind.__module__.startswith("monge.")]

POINTS = eight_gaussians(64, rng=0)
IMAGES = np.random.default_rng(0).random((20, 6, 7)).astype(np.float32)
STEPS = 4  # of each outer step, where there are several


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def make(request):
    """The model, of small batches and few iterations."""

    small = {"n_steps": STEPS, "batch_size": 8, "rng": 0}
    if any(each.name == "n_outer" for each in fields(request.param)):
        small["n_outer"] = 2

    def model(**settings):
        return request.param(**{**small, **settings})

    model.kind = request.param
    return model


def equal(one, other):
    """Whether two models hold the same numbers, bit by bit."""
    same = [
        torch.equal(a, b) for a, b in zip(one.map_.state_dict().values(), other.map_.state_dict().values(), strict=True)
    ]
    if one.potential_ is not None:
        both = zip(one.potential_.state_dict().values(), other.potential_.state_dict().values(), strict=True)
        same += [torch.equal(a, b) for a, b in both]
    for name in ("value", "phase", "potential_loss", "map_loss", "evaluations"):  # NaN where there is no potential
        same.append(np.array_equal(getattr(one.history, name), getattr(other.history, name), equal_nan=True))
    return all(same)


class TestEveryModel:
    def test_points(self, make):
        model = make()
        assert model.fit(POINTS) is model
        samples = model.sample(11, rng=1)
        assert (samples.shape, samples.dtype) == ((11, 2), np.float32)
        assert np.isfinite(samples).all()
        assert np.ptp(samples, axis=0).min() > 0.0  # not all the same
        assert model.status is TrainingStatus.DONE

    def test_images_with_the_convolutional_pair(self, make):
        noise = np.random.default_rng(1).normal(size=(30, 6, 7))
        networks = {"map": ConvGenerator((6, 7), (6, 7), channels=2)}
        default = make(n_steps=1).fit(IMAGES).potential_
        if default is not None:  # some say more than one number of an image
            outputs = default(torch.from_numpy(IMAGES)).shape[1:]
            networks["potential"] = ConvCritic((6, 7), outputs, channels=2)
        model = make(**networks).fit(IMAGES, noise)
        assert model.sample(5, rng=0).shape == (5, 6, 7)
        assert model.transport(noise[:9]).shape == (9, 6, 7)

    def test_images_with_the_default_networks(self, make):
        assert make().fit(IMAGES).sample(5, rng=0).shape == (5, 6, 7)

    def test_numbers(self, make):
        assert make().fit(POINTS[:, 0]).sample(5, rng=0).shape == (5, 1)

    def test_learns_something(self, make):
        # After four steps no more can be asked than that the map moved, and the potential.
        before, after = make(lr=1e-30).fit(POINTS), make().fit(POINTS)
        assert not np.array_equal(before.sample(5, rng=0), after.sample(5, rng=0))
        if after.potential_ is not None:
            pairs = zip(before.potential_.parameters(), after.potential_.parameters(), strict=True)
            assert not all(torch.equal(a, b) for a, b in pairs)

    def test_samples_are_the_source_moved(self, make):
        source = np.random.default_rng(2).normal(size=(1, 2)).astype(np.float32)
        model = make().fit(POINTS, source)
        assert np.allclose(model.sample(3, rng=0), model.transport(source), rtol=0, atol=1e-6)

    def test_what_is_transported_stays_in_its_library(self, make):
        x = torch.from_numpy(POINTS)
        moved = make().fit(POINTS, POINTS).transport(x)
        assert isinstance(moved, torch.Tensor)
        assert moved.shape == (64, 2)

    def test_samplers(self, make):
        model = make().fit(lambda rng, n: eight_gaussians(n, rng), lambda rng, n: rng.normal(size=(n, 2)))
        assert model.sample(4).shape == (4, 2)

    def test_seeds_decide(self, make):
        one, same, other = make().fit(POINTS), make().fit(POINTS), make(rng=1).fit(POINTS)
        assert equal(one, same)
        assert not equal(one, other)
        assert np.array_equal(one.sample(4, rng=0), same.sample(4, rng=0))

    def test_the_callers_generator_is_left_alone(self, make):
        torch.manual_seed(5)
        before = torch.get_rng_state()
        make().fit(POINTS).sample(3, rng=0)
        assert torch.equal(before, torch.get_rng_state())

    def test_networks_given_are_left_alone(self, make):
        network = MLP(2, 2, hidden=(8,))
        first = [each.clone() for each in network.parameters()]
        make(map=network).fit(POINTS, POINTS)
        assert all(torch.equal(a, b) for a, b in zip(first, network.parameters(), strict=True))

    def test_history(self, make):
        model = make().fit(POINTS)
        history, total = model.history, model.step
        assert total % STEPS == 0
        for name in ("step", "phase", "value", "potential_loss", "map_loss", "evaluations", "seconds"):
            assert getattr(history, name).shape == (total,), name
        assert np.isfinite(history.value).all()
        assert np.isfinite(history.map_loss).all()
        assert np.isnan(history.potential_loss).all() == (model.potential_ is None)
        assert (np.diff(history.phase) >= 0).all()
        assert history.phase[0] == 1
        assert (history.evaluations >= 1).all()
        assert (np.diff(history.seconds) >= 0).all()

    def test_files(self, make, tmp_path):
        model = make().fit(POINTS)
        model.save(tmp_path / "model.pt")
        again = load(tmp_path / "model.pt")
        assert type(again) is make.kind
        assert again.status is TrainingStatus.DONE
        assert np.array_equal(again.sample(9, rng=3), model.sample(9, rng=3))
        settings = [each.name for each in fields(model) if each.name not in ("rng", "map", "potential", "device")]
        assert [getattr(again, name) for name in settings] == [getattr(model, name) for name in settings]

    def test_resumes_with_the_same_bits(self, make, tmp_path):
        whole, path = make().fit(POINTS), tmp_path / "model.pt"
        part = make().fit(POINTS, callbacks=lambda model: model.step == 2)
        assert part.status is TrainingStatus.STOPPED
        part.save(path)
        # Twice: where there are outer steps, once in the first and once in the last of them.
        part = load(path).resume(POINTS, callbacks=lambda model: model.step == whole.step - 1, checkpoint=path)
        assert not equal(part, whole)
        assert equal(load(path).resume(POINTS), whole)

    def test_a_loss_that_is_not_finite_ends_training(self, make):
        model = make(lr=1e30, final_lr=1.0)
        with pytest.warns(ConvergenceWarning, match=r"iteration \d+ of \d+ .*not finite.*Lower lr"):
            model.fit(POINTS)
        assert model.status is TrainingStatus.DIVERGED
        assert len(model.history) == model.step
        assert all(torch.isfinite(each).all() for each in model.map_.parameters())

    def test_repr(self, make):
        name = make.kind.__name__
        assert repr(make()) == f"{name}(not fitted)"
        model = make().fit(POINTS)
        assert repr(model) == f"{name}({model.step} iterations, DONE)"

    def test_networks_of_the_wrong_shape(self, make):
        with pytest.raises(ValueError, match="samples of the target's shape"):
            make(map=MLP(2, 3)).fit(POINTS, POINTS)
        potential = make().fit(POINTS).potential_
        if potential is not None and potential(torch.zeros(3, 2)).shape == (3, 1):
            with pytest.raises(ValueError, match="one number for each sample"):
                make(potential=MLP(2, 2)).fit(POINTS)

    def test_samples_of_the_wrong_shape(self, make):
        model = make().fit(POINTS, POINTS)
        with pytest.raises(ValueError, match="x should hold samples of"):
            model.transport(np.zeros((4, 3)))
        with pytest.raises(ValueError, match="trained on samples of shape"):
            model.resume(np.zeros((4, 3)))

    def test_before_it_is_fitted(self, make, tmp_path):
        for call in (lambda m: m.sample(3), lambda m: m.transport(POINTS), lambda m: m.save(tmp_path / "model.pt")):
            with pytest.raises(ValueError, match="call fit"):
                call(make())

    @pytest.mark.parametrize("name", ["n_steps", "batch_size", "lr", "potential_steps"])
    def test_settings_that_make_no_sense(self, make, name):
        for value in (-1, 0, "many"):
            with pytest.raises((ValueError, TypeError), match=f"{name} should"):
                make(**{name: value})


def test_models_are_found():
    # A list without models would test none.
    assert "WGAN" in [kind.__name__ for kind in KINDS]
