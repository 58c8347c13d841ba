"""The steps of the training loop against arithmetic by hand; and what ends it."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="monge.neural needs the extra torch")

import torch
from tiny import Dual, Means, Primal, fingerprint, noisy, sampler
from torch import nn

import monge
from monge.neural import MLP, ConvCritic, ConvGenerator, Every, TrainingStatus, Watch
from monge.neural.anchors import Composed, Rebased, Squared
from monge.neural.draws import Draws
from monge.neural.penalties import R1, Clip, GradientPenalty
from monge.neural.training import Slots

X = np.random.default_rng(0).normal(size=(40, 2))


class TestAverage:
    def test_of_weights_and_of_statistics(self):
        """mean <- s mean + (1 - s) weights, with s = min(ema, (1 + t) / (10 + t)); statistics are the last ones."""
        seen, means = [], []

        def look(model):
            state = model._fitted("")
            seen.append([each.detach().clone() for each in state.map.parameters()])
            means.append([each.detach().clone() for each in model.map_.parameters()])
            for now, kept in zip(state.map.buffers(), model.map_.buffers(), strict=True):
                assert torch.equal(now, kept)

        model = Primal(map=noisy(), n_steps=12, ema=0.3, rng=0)
        model.fit(X, callbacks=look)
        expected = [each.detach().double() for each in noisy().parameters()]
        for t, (weights, found) in enumerate(zip(seen, means, strict=True)):
            share = min(0.3, (1 + t) / (10 + t))
            expected = [share * old + (1 - share) * new for old, new in zip(expected, weights, strict=True)]
            for one, other in zip(expected, found, strict=True):
                torch.testing.assert_close(one, other.double(), rtol=1e-5, atol=1e-6)
        assert int(model.map_.layers[1].num_batches_tracked) == 12
        assert not model.map_.training

    def test_none_is_the_last_weights(self):
        model = Primal(ema=0.0, rng=0).fit(X)
        for now, mean in zip(model._fitted("").map.parameters(), model.map_.parameters(), strict=True):
            assert torch.equal(now, mean)

    def test_it_can_be_trained_further(self):
        model = Primal(rng=0).fit(X)
        before = fingerprint(model)
        Primal(map=model.map_, rng=0).fit(X)
        assert fingerprint(model) == before


def test_learning_rates_fall_by_a_cosine_in_each_outer_step():
    rates = []

    def look(model):
        state = model._fitted("")
        rates.append([each.param_groups[0]["lr"] for each in (state.map_optimizer, state.potential_optimizer)])

    Dual(n_steps=4, n_outer=2, lr=0.1, potential_lr=0.2, final_lr=0.1, rng=0).fit(X, callbacks=look)
    shares = [1.0, 0.1 + 0.45 * (1 + math.sqrt(0.5)), 0.55, 0.1 + 0.45 * (1 - math.sqrt(0.5))]
    np.testing.assert_allclose(rates, [[0.1 * share, 0.2 * share] for share in shares * 2])


def test_steps_of_both_networks_by_hand():
    """Gradient descent in place of Adam, on one sample, so that nothing is random but the noise, which is recorded."""

    class Plain(Dual):
        def _rule(self, parameters, rate):
            return torch.optim.SGD(parameters, lr=rate)

    noise = []

    def source(rng, n):
        noise.append(rng.normal(size=(n, 1)))
        return noise[-1]

    networks = [nn.Linear(1, 1, bias=False) for _ in range(2)]
    for each, weight in zip(networks, (0.5, 0.25), strict=True):
        nn.init.constant_(each.weight, weight)
    options = {"potential_steps": 3, "lr": 0.1, "potential_lr": 0.2, "final_lr": 1.0, "ema": 0.0, "batch_size": 4}
    model = Plain(map=networks[0], potential=networks[1], n_steps=2, rng=0, **options)
    model.fit([[2.0]], source)
    w, d = 0.5, 0.25
    means = [each.mean() for each in noise[1:]]  # the first call told the shape
    for t in range(2):
        for k in range(3):  # loss: -(d w z - 2 d) + .05 d^2
            value = d * w * means[4 * t + k] - 2.0 * d
            loss = -value + 0.05 * d**2
            d -= 0.2 * (-(w * means[4 * t + k] - 2.0) + 0.1 * d)
        assert model.history.value[t] == pytest.approx(value, rel=1e-5)
        assert model.history.potential_loss[t] == pytest.approx(loss, rel=1e-5)
        assert model.history.map_loss[t] == pytest.approx(d * w * means[4 * t + 3], rel=1e-5)
        w -= 0.1 * d * means[4 * t + 3]
    assert model.potential_.weight.item() == pytest.approx(d, rel=1e-5)
    assert model.map_.weight.item() == pytest.approx(w, rel=1e-5)
    assert (networks[0].weight.item(), networks[1].weight.item()) == (0.5, 0.25)  # copies are trained


def test_penalties_by_hand():
    """Of D(x) = |x|^2 / 2, whose gradient is x."""
    x, y = torch.tensor([[3.0, 4.0], [0.0, 0.5]]), torch.tensor([[3.0, 4.0], [0.0, 0.5]])

    def potential(points):
        return 0.5 * points.square().sum(dim=1)

    draws = Draws(0, torch.device("cpu"))
    assert R1(0.1)(potential, x, y, draws).item() == pytest.approx(0.05 * (25.0 + 0.25) / 2)
    assert GradientPenalty(2.0)(potential, x, y, draws).item() == pytest.approx(16.0 + 0.25)
    assert GradientPenalty(2.0, one_sided=True)(potential, x, y, draws).item() == pytest.approx(16.0)
    network = nn.Linear(2, 1)
    nn.init.constant_(network.weight, -3.0)
    Clip(0.5).constrain(network)
    assert network.weight.tolist() == [[-0.5, -0.5]]


class TestAnchors:
    x, moved = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[4.0, 6.0]])

    def test_costs(self):
        assert Squared(0.1).cost(self.x, self.moved).tolist() == pytest.approx([2.5])  # noise comes last
        rebased = Rebased(0.5)
        assert rebased.cost(self.x, self.moved).tolist() == [25.0]
        rebased.advance(nn.Linear(3, 2))
        assert rebased.cost(self.x, self.moved).tolist() == pytest.approx(
            (rebased.maps[-1](self.x) - self.moved).square().sum(dim=1).tolist()
        )
        composed = Composed(0.5)
        double = nn.Linear(2, 2, bias=False)
        double.weight.data = 2.0 * torch.eye(2)
        for _ in range(2):
            composed.advance(double)
        start = composed.source(torch.tensor([[1.0, 1.5]]))
        assert start.tolist() == [[4.0, 6.0]]
        assert composed.cost(start, self.moved).tolist() == [0.0]

    def test_old_maps_learn_nothing(self):
        rebased, network = Rebased(0.5), MLP(2, 2, batch_norm=True)
        rebased.advance(network)
        before = copy.deepcopy(rebased.state_dict())
        torch.optim.SGD(network.parameters(), lr=1.0)
        network(torch.randn(8, 2)).sum().backward()
        assert all(torch.equal(before[name], each) for name, each in rebased.state_dict().items())
        assert not any(each.requires_grad for each in rebased.parameters())

    @pytest.mark.parametrize(("anchor", "evaluations"), [("free", [3, 3, 3]), ("rebased", [3, 4, 4])])
    def test_evaluations_of_maps(self, anchor, evaluations):
        """Two steps of the potential, which Kantorovich's needs no cost for, and one of the map, which has one."""
        model = Dual(n_steps=2, n_outer=3, anchor=anchor, rng=0).fit(X)
        assert model.history.evaluations.reshape(3, 2).tolist() == [[each] * 2 for each in evaluations]

    def test_evaluations_of_a_chain(self):
        model = Dual(n_steps=2, n_outer=3, anchor="composed", rng=0).fit(X)
        assert model.history.evaluations.tolist() == [3, 3, 6, 6, 9, 9]

    def test_too_few_coordinates(self):
        with pytest.raises(ValueError, match=r"source: its samples should have as many coordinates.*got 1 and 2"):
            Dual(anchor="rebased", latent=1, rng=0).fit(X)


def test_outer_steps():
    slots = Slots(Means(), 1, (2, 1, 3), lambda _: 1, lambda _: 1.0, 0.0)
    assert [slots.phase(step) for step in range(7)] == [1, 1, 2, 3, 3, 3, 3]
    assert Dual(n_steps=2, n_outer=3, rng=0).fit(X).history.phase.tolist() == [1, 1, 2, 2, 3, 3]


class TestNotFinite:
    """A loss, or a gradient, that is NaN or infinite at one iteration."""

    class Breaks(nn.Module):
        def __init__(self, at: int, how: str) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(2, 2), nn.BatchNorm1d(2)
            self.at, self.how, self.calls = at, how, 0

        def forward(self, x):
            made = self.norm(self.layer(x))
            self.calls += self.training
            if self.training and self.calls > self.at:
                if self.how == "gradient":
                    made = made + 0.0 * (made.abs() - made.abs().detach() + 0.0).sqrt()  # 0 * inf
                else:
                    made = made * math.nan
            return made

    # 3 evaluations an iteration: two steps of the potential and one of the map.
    @pytest.mark.parametrize(
        ("at", "how", "match"),
        [
            (7, "loss", "the potential's loss is nan"),
            (8, "loss", "the map's loss is nan"),
            (8, "gradient", r"the map's loss is -?\d.*, its gradient's size (nan|inf)"),
        ],
    )
    def test_ends_training_with_the_last_good_state(self, at, how, match, tmp_path):
        good = Dual(map=self.Breaks(99, how), n_steps=6, rng=0)
        files = {}
        good.fit(X, callbacks=lambda model: files.update({model.step: fingerprint(model)}))
        broken = self.Breaks(at, how)
        broken.load_state_dict(good.map.state_dict())
        model = Dual(map=broken, n_steps=6, rng=0)
        with pytest.warns(monge.ConvergenceWarning, match=f"Dual: in iteration 3 of 6 \\({match}.*Lower lr, raise"):
            model.fit(X, checkpoint=tmp_path / "model.pt")
        assert model.status is TrainingStatus.DIVERGED
        assert (model.step, len(model.history)) == (2, 2)
        assert fingerprint(model) == files[2]
        assert np.isfinite(model.sample(5)).all()
        found = monge.neural.load(tmp_path / "model.pt", map=self.Breaks(99, how))
        assert found.status is TrainingStatus.DIVERGED
        assert fingerprint(found) == files[2]

    def test_in_the_first_iteration(self):
        model = Dual(map=self.Breaks(2, "loss"), rng=0)
        with pytest.warns(monge.ConvergenceWarning, match="in iteration 1 of 4"):
            model.fit(X)
        state = model._fitted("")
        assert not state.map_optimizer.state
        assert not state.potential_optimizer.state


class TestCallbacks:
    def test_each_is_called_and_only_true_ends(self):
        calls = []

        def ends(model):
            calls.append("ends")
            return np.bool_(model.step == 3)

        model = Primal(n_steps=9, rng=0).fit(
            X, callbacks=[ends, lambda model: calls.append("after"), lambda _: "words"]
        )
        assert model.status is TrainingStatus.STOPPED
        assert model.step == 3
        assert calls == ["ends", "after"] * 3
        assert Primal(rng=0).fit(X, callbacks=[]).step == 4

    def test_every(self):
        steps = []
        Primal(n_steps=7, rng=0).fit(X, callbacks=Every(3, lambda model: steps.append(model.step)))
        assert steps == [3, 6]
        assert Primal(n_steps=7, rng=0).fit(X, callbacks=Every(3, lambda model: True)).step == 3

    @pytest.mark.parametrize("cut", [None, 4, 6, 8, 10])
    def test_watch_ends_with_the_best_weights_resumed_or_not(self, cut, tmp_path):
        figures = {2: 3.0, 4: 1.0, 6: math.nan, 8: 2.0, 10: 1.0, 12: 0.5}
        best = []

        def metric(model):
            if model.step == 4:
                best.append(copy.deepcopy(model.map_.state_dict()))
            return figures[model.step]

        def kill(model):
            if model.step == cut:
                raise KeyboardInterrupt

        path = tmp_path / "model.pt"
        model, watch = Primal(n_steps=12, rng=0), Watch(metric, name="quality", every=2, patience=3)
        if cut is None or cut == 10:  # it has ended by then
            model.fit(X, callbacks=[watch], checkpoint=path)
        else:
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, callbacks=[watch, lambda model: model.save(path), kill])
            model = monge.neural.load(path)
            model.resume(X, callbacks=Watch(metric, name="quality", every=2, patience=3), checkpoint=path)
        for found in (model, monge.neural.load(path)):
            assert found.status is TrainingStatus.STOPPED
            assert found.step == 10
            steps, values = found.history.metrics["quality"]
            assert steps.tolist() == [2, 4, 6, 8, 10]
            np.testing.assert_array_equal(values, [3.0, 1.0, math.nan, 2.0, 1.0])
            assert all(torch.equal(best[0][name], each) for name, each in found.map_.state_dict().items())

    def test_watch_again_on_another_model(self):
        watch = Watch(lambda model: -model.step, every=1, patience=1)
        assert Primal(rng=0).fit(X, callbacks=watch).step == 4
        assert Primal(rng=0).fit(X, callbacks=watch).status is TrainingStatus.DONE

    def test_what_is_no_callback(self):
        for given in (3, [3], [None]):
            with pytest.raises(TypeError):
                Primal().fit(X, callbacks=given)
        for name, value in (("every", 0), ("patience", 0.5)):
            with pytest.raises(ValueError, match=f"{name} should be a positive integer"):
                Watch(len, **{name: value})

    def test_progress(self, monkeypatch):
        seen = []

        class Bar:
            n = 0

            def __init__(self, **options):
                seen.append((options["total"], options["desc"], options["unit"]))

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def set_postfix(self, figures, refresh):
                seen.append(figures["value"])

            def update(self, more):
                self.n += more
                seen.append(self.n)

        monkeypatch.setattr("monge.problem.progress.progress_bar", Bar)
        model = Primal(n_steps=2, rng=0).fit(X, progress=True)
        values = [f"{each:.3g}" for each in model.history.value]
        assert seen == [(2, "Primal", " iterations"), values[0], 1, values[1], 2]


class TestHistory:
    def test_figures(self):
        model = Primal(n_steps=5, rng=0).fit(X)
        history = model.history
        np.testing.assert_array_equal(history.step, [1, 2, 3, 4, 5])
        np.testing.assert_array_equal(history.value, history.map_loss)
        assert np.isnan(history.potential_loss).all()
        assert (np.diff(history.seconds) > 0.0).all()
        assert history.last() == history.value[-1]
        smooth = history.smoothed(0.5)
        weights = 0.5 ** np.arange(5)[::-1]
        assert smooth[0] == history.value[0]
        assert smooth[-1] == pytest.approx((weights * history.value).sum() / weights.sum())
        assert repr(history) == "History(5 iterations)"
        with pytest.raises(AttributeError, match="History has no 'loss'; it has step, phase, value"):
            history.loss  # noqa: B018
        with pytest.raises(ValueError, match=r"share should be in \[0, 1\); got 1"):
            history.smoothed(1)


class TestNetworks:
    @pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (3, 7, 9), (25, 25), (5, 1)])
    @pytest.mark.parametrize("batch_norm", [False, True])
    def test_images_of_any_size(self, shape, batch_norm):
        images = ConvGenerator(6, shape, channels=2, batch_norm=batch_norm)(torch.randn(3, 6))
        assert images.shape == (3, *shape)
        assert ConvCritic(shape, channels=2)(images).shape == (3, 1)
        assert ConvCritic(shape, 4, channels=2)(images).shape == (3, 4)

    def test_a_convolutional_pair_is_trained_and_kept(self, tmp_path):
        images = np.random.default_rng(0).random((20, 5, 6))
        pair = {"map": ConvGenerator(4, (5, 6), channels=2), "potential": ConvCritic((5, 6), channels=2)}
        model = Dual(latent=4, n_steps=2, rng=0, **pair).fit(images)
        model.save(tmp_path / "model.pt")
        assert monge.neural.load(tmp_path / "model.pt").sample(3).shape == (3, 5, 6)

    @pytest.mark.parametrize(
        "options", [{}, {"residual": True}, {"batch_norm": True}, {"hidden": (4,)}, {"hidden": ()}]
    )
    def test_fully_connected(self, options):
        x = torch.randn(5, 3, 2)
        found = MLP((3, 2), 4, **options)
        assert found(x).shape == (5, 4)
        if "residual" in options:
            nn.init.zeros_(found.layers[-1].weight)
            nn.init.zeros_(found.layers[-1].bias)
            assert torch.equal(found(x), x.flatten(1)[:, :4])

    def test_what_does_not_fit(self):
        with pytest.raises(ValueError, match="activation should be one of relu"):
            MLP(2, 2, activation="gelu")
        with pytest.raises(ValueError, match="a residual network needs as many inputs as outputs"):
            MLP(1, 2, residual=True)
        for network in (ConvCritic, lambda shape: ConvGenerator(3, shape)):
            with pytest.raises(ValueError, match=r"images should be \(height, width\)"):
                network((3,))


def test_samplers_and_arrays_teach_the_same():
    model = Primal(n_steps=300, batch_size=64, lr=0.01, rng=0).fit(sampler)
    np.testing.assert_allclose(model.sample(4000, rng=0).mean(axis=0), [1.0, 1.0], atol=0.15)
