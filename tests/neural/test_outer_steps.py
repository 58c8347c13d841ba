"""Flows in outer steps: Gaussians in closed form, one step as unbalanced transport, evaluations, maps, files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from benchmarks.neural.gaussian_steps import Gaussian, gaussian_steps

torch = pytest.importorskip("torch", reason="monge.neural needs PyTorch: pip install 'monge[torch]'")

from monge.neural import JKO, MLP, SJKO, UOTM, load  # noqa: E402
from monge.neural.anchors import Composed, Rebased  # noqa: E402

START, TARGET, H = Gaussian(0.0, 1.0), Gaussian(2.0, 0.7), 0.5
BOTH = pytest.mark.parametrize("kind", [SJKO, JKO])


def nets(width: int = 8, d: int = 1) -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {
        "map": MLP(d, d, hidden=(width,), activation="silu", residual=True),
        "potential": MLP(d, 1, hidden=(2 * width,), activation="silu"),
    }


def gaussian(rng: np.random.Generator, n: int) -> np.ndarray:
    return TARGET.mean + TARGET.sd * rng.standard_normal(n)


def small(kind=SJKO, **settings):
    """A model whose training takes an instant."""
    return kind(**{"n_outer": 3, "first_steps": 4, "n_steps": 4, "batch_size": 16, "rng": 0, **nets(), **settings})


def same(first, second) -> bool:
    """Whether two networks have the same bits."""
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(bool((a == b).all()) for a, b in pairs)


def test_the_closed_form_is_the_minimum():
    (found,) = gaussian_steps(START, TARGET, H, 1)

    def objective(p):
        mean, sd = p
        kl = np.log(TARGET.sd / sd) + (sd**2 + (mean - TARGET.mean) ** 2) / (2.0 * TARGET.sd**2) - 0.5
        return kl + ((mean - START.mean) ** 2 + (sd - START.sd) ** 2) / (2.0 * H)

    best = minimize(objective, [0.5, 0.9], options={"gtol": 1e-8}).x
    assert [float(found.mean), found.sd] == pytest.approx(list(best), rel=1e-5)


@BOTH
def test_each_step_of_gaussians_is_the_closed_forms(kind):
    # A cost of twice as much, or half, would put the first mean a third off; the target itself is twice as far.
    settings = {"first_steps": 200, "n_steps": 120, "batch_size": 128, "lr": 1e-2, "later_lr": 1.0, "r1": 0.0}
    model = kind(functional="kl", h=H, n_outer=3, rng=0, **settings, **nets(16)).fit(gaussian)
    for k, true in enumerate(gaussian_steps(START, TARGET, H, 3), start=1):
        y = model.sample(10_000, step=k, rng=1)
        assert float(y.mean()) == pytest.approx(float(true.mean), rel=0.06)
        assert float(y.std()) == pytest.approx(true.sd, rel=0.08)


@pytest.mark.parametrize("functional", ["softplus", "chi2", "js"])
def test_each_functional_pulls_to_the_target(functional):
    settings = {"first_steps": 60, "n_steps": 60, "batch_size": 64, "lr": 1e-2, "later_lr": 1.0, "r1": 0.0}
    model = SJKO(functional=functional, h=1.0, n_outer=3, rng=0, **settings, **nets(16)).fit(gaussian)
    means = [float(model.sample(1000, step=k, rng=1).mean()) for k in range(4)]
    assert 0.4 < means[1] < means[2] < means[3] < 2.2
    assert means[3] > 1.5


@pytest.mark.parametrize("functional", ["softplus", "kl", "chi2"])
@BOTH
def test_one_step_is_unbalanced_transport_that_keeps_the_source(kind, functional):
    settings = {"n_steps": 10, "batch_size": 16, "r1": 0.1, "rng": 3, **nets()}
    flow = kind(functional=functional, h=0.5, n_outer=1, first_steps=10, **settings).fit(gaussian)
    step = UOTM(entropy=("linear", functional), tau=1.0, **settings).fit(gaussian)
    assert same(flow.map_, step.map_)
    assert same(flow.potential_, step.potential_)
    assert (flow.sample(5, rng=0) == step.sample(5, rng=0)).all()


@pytest.mark.parametrize(("d", "residual"), [(2, True), (20, False)])
def test_maps_that_are_not_given_are_those_of_unbalanced_transport(d, residual):
    y = np.random.default_rng(0).normal(size=(30, d))
    steps = SJKO(n_outer=1, n_steps=3, first_steps=3, h=0.5, functional="kl", batch_size=8, rng=0).fit(y)
    whole = UOTM(entropy=("linear", "kl"), n_steps=3, tau=1.0, batch_size=8, rng=0).fit(y)
    assert steps.map_.recipe["residual"] is residual
    np.testing.assert_array_equal(steps.sample(5, rng=1), whole.sample(5, rng=1))


@pytest.mark.parametrize(("kind", "counts"), [(SJKO, [2, 3, 3, 3]), (JKO, [2, 4, 6, 8])])
def test_evaluations_of_maps_are_as_many_in_each_step_or_grow(kind, counts):
    # The potential's step moves samples once and the map's once. T_old, or a chain of maps for each of the two.
    model = small(kind, n_outer=4, first_steps=3, n_steps=2).fit(gaussian)
    assert model.history.phase.tolist() == [1] * 3 + [2] * 2 + [3] * 2 + [4] * 2
    assert model.history.evaluations.tolist() == np.repeat(counts, [3, 2, 2, 2]).tolist()


@BOTH
def test_maps_of_earlier_steps_are_those_of_shorter_flows(kind):
    flow = small(kind).fit(gaussian)
    x = np.linspace(-1.0, 1.0, 7)
    assert (flow.transport(x, step=0)[:, 0] == x.astype(np.float32)).all()
    for k in (1, 2, 3):
        shorter = small(kind, n_outer=k).fit(gaussian)
        assert (flow.transport(x, step=k) == shorter.transport(x)).all()
        assert (flow.sample(5, step=k, rng=1) == shorter.sample(5, rng=1)).all()
    assert (flow.transport(x) == flow.transport(x, step=3)).all()


def test_the_first_step_of_both_schemes_is_the_same_and_the_second_is_not():
    first, second = (small(kind, n_outer=2).fit(gaussian) for kind in (SJKO, JKO))
    x = np.linspace(-1.0, 1.0, 7)
    assert (first.transport(x, step=1) == second.transport(x, step=1)).all()
    assert not (first.transport(x) == second.transport(x)).all()


def test_an_outer_step_starts_from_the_average_that_the_last_one_ended_with():
    ends = {}

    def watch(model):
        networks = (model.map_, model._state.map)
        ends[model.step] = [[each.clone() for each in network.state_dict().values()] for network in networks]

    model = small(n_outer=2, first_steps=3, n_steps=3, lr=1e-2).fit(gaussian, callbacks=watch)
    average, _ = ends[3]
    kept = list(model._state.anchor.maps[0].state_dict().values())
    assert all(bool((a == b).all()) for a, b in zip(kept, average, strict=True))
    # Adam's first steps are no longer than the rate; and the average has begun anew, with a tenth of the past.
    then_average, then = ends[4]
    for a, b, mean in zip(then, average, then_average, strict=True):
        assert 0.0 < float((a - b).abs().max()) < 2e-2
        assert torch.allclose(mean, 0.1 * b + 0.9 * a, atol=1e-6)


def test_rates_fall_in_each_outer_step_anew():
    rates = []
    model = small(n_outer=2, first_steps=4, n_steps=2, lr=1e-2, final_lr=0.0, later_lr=0.5)
    model.fit(gaussian, callbacks=lambda model: rates.append(model._state.map_optimizer.param_groups[0]["lr"]))
    cosine = 0.5 + 0.5 * np.cos(np.pi * np.array([0.0, 0.25, 0.5, 0.75, 0.0, 0.5]))
    assert rates == pytest.approx(list(1e-2 * cosine * [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]), rel=1e-6)


def test_costs_of_anchors():
    double, shift = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    with torch.no_grad():
        for network, (slope, intercept) in ((double, (2.0, 0.0)), (shift, (1.0, 1.0))):
            network.weight.fill_(slope)
            network.bias.fill_(intercept)
    x, moved = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.0]])
    for anchor, source, cost in (
        (Rebased(0.25), x, [8.0, 32.0]),  # |(x + 1) - 0|^2 / (2 h)
        (Composed(0.25), torch.tensor([[3.0], [7.0]]), [18.0, 98.0]),  # |(2 x + 1) - 0|^2 / (2 h)
    ):
        assert anchor.cost(anchor.source(x), moved).tolist() == [2.0, 18.0]
        anchor.advance(double)
        anchor.advance(shift)
        assert (anchor.source(x) == source).all()
        assert anchor.cost(anchor.source(x), moved).tolist() == cost
        shift.bias.data.fill_(5.0)  # what was kept is a copy
        assert anchor.cost(anchor.source(x), moved).tolist() == cost
        shift.bias.data.fill_(1.0)


@BOTH
@pytest.mark.parametrize("stop", [8, 9])
def test_interrupted_in_the_third_step_it_goes_on_with_the_same_bits(kind, stop, tmp_path):
    # After iteration 8 the third step is about to begin, after 9 it has.
    whole = small(kind).fit(gaussian)
    path = tmp_path / "flow.pt"
    small(kind).fit(gaussian, callbacks=lambda model: model.step == stop, checkpoint=path)
    resumed = load(path)
    assert resumed.step == stop
    assert len(resumed._state.anchor.maps) == (1 if stop == 8 else 2)
    resumed.resume(gaussian)
    for name in ("map", "average", "potential", "anchor"):
        assert same(getattr(resumed._state, name), getattr(whole._state, name))
    assert (resumed.history.value == whole.history.value).all()
    assert (resumed.history.evaluations == whole.history.evaluations).all()
    assert (resumed.sample(5, step=2, rng=0) == whole.sample(5, step=2, rng=0)).all()


def test_more_outer_steps_by_resuming():
    longer = small(n_outer=2).fit(gaussian)
    longer.n_outer = 3
    longer.resume(gaussian)
    assert same(longer.map_, small().fit(gaussian).map_)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"functional": "kld"}, "functional"),
        ({"functional": ["kl"]}, "functional"),
        ({"h": 0.0}, "h should"),
        ({"h": True}, "h should"),
        ({"r1": True}, "r1 should"),
        ({"n_outer": 0}, "n_outer"),
        ({"first_steps": 0}, "first_steps"),
        ({"later_lr": 0.0}, "later_lr"),
        ({"r1": -1.0}, "r1"),
        ({"latent": 3}, "latent"),
    ],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises((ValueError, TypeError), match=words):
        SJKO(**settings)


def test_bad_sources_and_steps():
    with pytest.raises(ValueError, match="source: samples should have the target's shape"):
        small().fit(gaussian, source=np.zeros((5, 2)))
    model = small(n_outer=2)
    with pytest.raises(ValueError, match="fitted"):
        model.transport([0.0], step=1)
    model.fit(gaussian, callbacks=lambda model: model.step == 1)
    assert model.transport([0.0], step=1).shape == model.transport([0.0], step=np.int64(1)).shape == (1, 1)
    for step in (-1, 2, 1.0, True):
        with pytest.raises(ValueError, match="step should be an outer step, from 0, the source, to 1"):
            model.sample(3, step=step)
