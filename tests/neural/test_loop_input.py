"""What models are given: settings, networks, samples, devices; all that does not fit is known before the first step."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="monge.neural needs the extra torch")

import torch
from tiny import Dual, Primal, fingerprint, noisy
from torch import nn

from monge.neural import Every, Watch

X = np.random.default_rng(0).normal(size=(40, 2))


class TestSettings:
    @pytest.mark.parametrize("name", ["n_steps", "batch_size", "potential_steps", "latent"])
    @pytest.mark.parametrize("value", [0, -1, True, 2.0, math.nan, "3"])
    def test_counts(self, name, value):
        with pytest.raises(ValueError, match=f"{name} should be a positive integer; got {value!r}"):
            Dual(**{name: value})

    @pytest.mark.parametrize("name", ["lr", "potential_lr"])
    @pytest.mark.parametrize("value", [0, -1e-3, math.nan, math.inf, True, "fast", np.bool_(True), [1e-3]])
    def test_rates(self, name, value):
        with pytest.raises((ValueError, TypeError), match=f"{name} should be"):
            Dual(**{name: value})

    @pytest.mark.parametrize("name", ["ema", "final_lr"])
    @pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, True, None, "all"])
    def test_shares(self, name, value):
        with pytest.raises((ValueError, TypeError), match=f"{name} should be"):
            Dual(**{name: value})

    @pytest.mark.parametrize("value", [0.5, (0.5,), (0.5, 1.0), (-0.1, 0.9), (math.nan, 0.9), (True, 0.9), "ab", None])
    def test_betas(self, value):
        with pytest.raises((ValueError, TypeError), match="betas should be"):
            Dual(betas=value)

    @pytest.mark.parametrize("value", [-1, True, 0.5, "seed"])
    def test_seeds(self, value):
        with pytest.raises((ValueError, TypeError), match="rng should be None, a seed"):
            Dual(rng=value)

    @pytest.mark.parametrize("value", ["meta", "tpu!", "cuda:99", 3.5])
    def test_devices(self, value):
        with pytest.raises(ValueError, match="device should be one that torch computes on here"):
            Dual(device=value)

    def test_what_works(self, tmp_path):
        import monge.neural

        model = Dual(lr=np.float64(1e-3), betas=[0, np.float32(0.5)], n_steps=np.int64(2), ema=1, rng=np.int64(3))
        model = Dual(device=torch.device("cpu"), final_lr=0, rng=0, lr=np.float32(0.1), betas=[0, 0.5]).fit(X)
        model.save(tmp_path / "model.pt")
        assert monge.neural.load(tmp_path / "model.pt").betas == (0.0, 0.5)

    def test_options_are_checked_before_anything_is_forgotten(self):
        model = Primal(rng=0).fit(X)
        before = fingerprint(model)
        for options in ({"checkpoint_every": 0}, {"time_limit": -1.0}, {"time_limit": math.nan}, {"callbacks": ["x"]}):
            with pytest.raises((ValueError, TypeError)):
                model.fit(X, **options)
        twice = [Watch(lambda model: 0.0), Watch(lambda model: 1.0)]
        with pytest.raises(ValueError, match="each Watch should have a name of its own; got 'metric', 'metric'"):
            model.fit(X, callbacks=twice)
        for make in (lambda: Every(3, None), lambda: Watch("loss")):
            with pytest.raises(TypeError, match="should be a function of the model"):
                make()
        with pytest.raises(TypeError, match="unexpected keyword"):
            model.fit(X, patience=3)
        with pytest.raises(ValueError, match="target holds NaN"):
            model.fit(X * math.nan)
        assert fingerprint(model) == before

    def test_nothing_learned_yet(self):
        for call in (lambda m: m.sample(3), lambda m: m.transport(X), lambda m: m.history, lambda m: m.resume(X)):
            with pytest.raises(ValueError, match="needs a model that was fitted: call fit"):
                call(Dual())


class TestNetworks:
    def test_shapes_that_do_not_fit(self):
        for options, match in (
            ({"map": nn.Linear(2, 3)}, r"map should make samples of the target's shape \(2,\)"),
            ({"map": nn.Linear(3, 2)}, r"map: the network does not take float32 samples of shape \(2,\)"),
            ({"map": nn.Linear(2, 2).double()}, r"map: the network does not take float32 samples"),
            ({"map": nn.Conv2d(1, 1, 3)}, r"map: the network does not take float32 samples"),
            ({"map": nn.LSTM(2, 2)}, "map: "),
            ({"potential": nn.Linear(2, 2)}, "potential should give one number for each sample"),
            ({"potential": nn.Linear(3, 1)}, r"potential: the network does not take float32 samples of shape \(2,\)"),
            ({"map": nn.Linear(2, 2).requires_grad_(False)}, "map: the network has no parameters that can be learned"),
            ({"map": nn.Identity()}, "map: the network has no parameters that can be learned"),
            ({"potential": nn.Sequential(nn.Flatten(0))}, "potential should give one number"),
        ):
            model = Dual(rng=0, **options)
            with pytest.raises(ValueError, match=match):
                model.fit(X)
            with pytest.raises(ValueError, match="needs a model that was fitted"):
                model.history  # noqa: B018
        for name in ("map", "potential"):
            with pytest.raises(TypeError, match=rf"{name} should be a torch\.nn\.Module, or None"):
                Dual(**{name: lambda x: x})

    def test_a_loss_that_says_nothing(self):
        class Constant(nn.Linear):
            def forward(self, x):
                return super().forward(x).detach()

        with pytest.raises(ValueError, match="the map's loss does not depend on its weights"):
            Primal(map=Constant(2, 2), rng=0).fit(X)

    def test_trying_them_leaves_statistics_and_counts(self):
        seen = []
        given = noisy()

        def look(model):
            state = model._fitted("")
            seen.append((int(state.map.layers[1].num_batches_tracked), dict(state.evaluations)))

        Primal(map=given, rng=0).fit(X, callbacks=look)
        assert seen[0] == (1, {"map": 1, "potential": 0})
        assert seen[-1] == (4, {"map": 4, "potential": 0})
        assert int(given.layers[1].num_batches_tracked) == 0

    def test_lazy_ones(self):
        model = Dual(map=nn.LazyLinear(2), potential=nn.LazyLinear(1), rng=0).fit(X)
        again = Dual(map=nn.LazyLinear(2), potential=nn.LazyLinear(1), rng=0).fit(X)
        assert fingerprint(model) == fingerprint(again)

    def test_shared_and_unused_layers(self):
        """What a map and a potential share is trained in two copies; what nothing depends on stays."""
        shared = nn.Linear(2, 2)
        model = Dual(map=shared, potential=nn.Sequential(shared, nn.Linear(2, 1)), rng=0, ema=0.0).fit(X)
        assert not torch.equal(model.map_.weight, model.potential_[0].weight)
        model = Dual(map=noisy(), rng=0).fit(X)
        assert torch.equal(model.map_.unused.weight, noisy().unused.weight)
        assert torch.equal(model.map_.fixed.weight, noisy().fixed.weight)
        assert not torch.equal(model.map_.layers[0].weight, noisy().layers[0].weight)


class TestSamples:
    def test_the_same_samples_of_any_type(self):
        values = np.random.default_rng(0).integers(-5, 6, size=(30, 2))
        prints = {
            fingerprint(Primal(rng=0).fit(given))
            for given in (
                values,
                values.astype(np.float64),
                values.astype(np.float16),
                values.astype(">f4"),
                np.asfortranarray(values),
                values.tolist(),
                torch.tensor(values),
                torch.tensor(values, dtype=torch.bfloat16),
                torch.tensor(values, dtype=torch.float32, requires_grad=True),
            )
        }
        assert len(prints) == 1

    def test_they_may_change_afterwards(self):
        values = X.astype(np.float32)
        model = Primal(rng=0, latent=None)
        model.fit(values, values, callbacks=lambda _: values.fill(math.nan))
        assert np.isfinite(model.sample(50)).all()

    @pytest.mark.parametrize("shape", [(30,), (30, 1), (1, 3), (20, 4, 5), (20, 3, 4, 5)])
    @pytest.mark.parametrize("kind", ["array", "sampler"])
    def test_shapes(self, shape, kind):
        values = np.random.default_rng(0).random(shape)

        def draw(rng, n):
            return values[rng.integers(len(values), size=n)]

        model = Dual(rng=0, latent=None).fit(values if kind == "array" else draw)
        one = shape[1:] or (1,)
        assert model.sample(7).shape == (7, *one)
        assert model.sample(7).dtype == np.float32
        assert model.transport(values).shape == (len(values), *one)
        latent = Dual(rng=0, latent=3).fit(values)
        assert latent.sample(2).shape == (2, *one)

    def test_results_are_where_samples_are(self):
        model = Primal(rng=0, latent=None).fit(X, X)
        found = model.transport(torch.tensor(X, dtype=torch.float32))
        assert isinstance(found, torch.Tensor)
        np.testing.assert_array_equal(found.numpy(), model.transport(X))

    def test_what_holds_no_samples(self):
        for values in (np.zeros((0, 2)), np.zeros((3, 0)), 3.0, []):
            with pytest.raises(ValueError, match="target should hold at least one sample"):
                Primal().fit(values)
        for values in ([[1.0, math.nan]], [[1e300, 0.0]], [[math.inf, 0.0]]):
            with pytest.raises(ValueError, match="target holds NaN, or numbers beyond single precision"):
                Primal().fit(values)
        for values in (None, "words", [[1j]], {"a": 1}, [[1.0], [1.0, 2.0]]):
            with pytest.raises((TypeError, ValueError), match="target should"):
                Primal().fit(values)
        model = Primal(rng=0).fit(X)
        with pytest.raises(ValueError, match=r"x should hold samples of the source's shape \(2,\)"):
            model.transport(X[:, :1])
        with pytest.raises(ValueError, match="n should be a positive integer"):
            model.sample(0)

    @pytest.mark.parametrize(
        ("wrong", "match"),
        [
            (lambda n: np.zeros((n - 1, 2)), "target: the sampler ran dry: 8 samples were asked for, 7 came"),
            (lambda n: np.zeros((n + 1, 2)), r"target: the sampler should return \(8, 2\); got \(9, 2\)"),
            (lambda n: np.zeros((n, 3)), r"target: the sampler should return \(8, 2\); got \(8, 3\)"),
            (lambda n: np.zeros((n, 2, 1)), r"target: the sampler should return \(8, 2\)"),
            (lambda n: np.full((n, 2), math.nan), "target: the sampler returned NaN or infinite numbers"),
            (lambda n: np.full((n, 2), 1e200), "target: the sampler returned NaN or infinite numbers"),
            (lambda n: None, r"target\(rng, 8\) should be an array of 8 samples"),
            (lambda n: next(iter(())), "target: the sampler ran dry: 8 samples were asked for, 0 came"),
            (lambda n: 1 / 0, "division by zero"),
        ],
    )
    def test_samplers_that_go_wrong_later(self, wrong, match):
        calls = 0

        def draw(rng, n):
            nonlocal calls
            calls += 1
            return rng.normal(size=(n, 2)) if calls < 4 else wrong(n)

        model = Primal(rng=0)
        with pytest.raises((ValueError, TypeError, ZeroDivisionError), match=match):
            model.fit(draw)
        whole = Primal(rng=0).fit(lambda rng, n: rng.normal(size=(n, 2)))
        assert model.step == 2
        calls = -99
        assert fingerprint(model.resume(draw)) == fingerprint(whole)
