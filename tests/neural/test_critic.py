"""The critic: what it estimates, what it proves, and what its gradient is good for."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import monge

pytest.importorskip("torch", reason="needs the extra torch: pip install 'monge[torch]'")

import torch

import monge.neural
import monge.torch
from monge.neural import MLP, Clip, GradientPenalty
from monge.neural.toys import min_funnels


def w1(x, y, a=None, b=None):
    return monge.emd(monge.PointCloud(x, y, cost="euclidean"), a, b).value


FUNNELS = min_funnels(600, rng=0)


@pytest.fixture(scope="module")
def trained():
    return monge.neural.critic(FUNNELS.x, FUNNELS.y, n_steps=250, batch_size=128, rng=0)


class TestEstimate:
    def test_it_comes_near_from_below(self, trained):
        assert 0.94 * FUNNELS.distance < trained.lower_bound <= FUNNELS.distance
        assert trained.value == pytest.approx(FUNNELS.distance, rel=0.2)
        assert trained.scale == pytest.approx(1.0, abs=0.35)
        assert trained.status is monge.neural.TrainingStatus.DONE
        assert len(trained.history) == 250

    def test_the_value_is_the_networks(self, trained):
        at_x, at_y = (trained.network(torch.from_numpy(points)).double().mean() for points in (FUNNELS.x, FUNNELS.y))
        assert float(at_x - at_y) == pytest.approx(trained.value, rel=1e-5)
        assert not any(each.requires_grad for each in trained.network.parameters())

    def test_the_potential_proves_the_bound(self, trained):
        u = trained.potential
        assert u(FUNNELS.x).mean() - u(FUNNELS.y).mean() == pytest.approx(trained.lower_bound, rel=1e-12)
        z = np.random.default_rng(0).normal(0.0, 5.0, (300, 2))
        apart = np.linalg.norm(z[:, np.newaxis] - z, axis=2)
        assert (np.abs(u(z)[:, np.newaxis] - u(z)) <= apart + 1e-12).all()

    def test_the_gradient_is_that_of_the_potential(self, trained):
        z, h = np.random.default_rng(0).normal(0.0, 3.0, (50, 2)), 1e-6
        slopes = np.stack([(trained.potential(z + e) - trained.potential(z - e)) / (2 * h) for e in h * np.eye(2)], 1)
        np.testing.assert_allclose(trained.gradient(z), slopes, atol=1e-4)
        np.testing.assert_allclose(np.linalg.norm(trained.gradient(z), axis=1), 1.0, rtol=1e-12)
        np.testing.assert_allclose(trained.grad_x, trained.gradient(FUNNELS.x) / 600, rtol=1e-15)

    @pytest.mark.parametrize("penalty", ["gradient", "clip", Clip(0.02), GradientPenalty(1.0, one_sided=True)])
    def test_whatever_the_penalty_the_bound_holds(self, penalty):
        pair = min_funnels(200, rng=1)
        found = monge.neural.critic(pair.x, pair.y, penalty=penalty, n_steps=60, batch_size=64, rng=0)
        apart = np.linalg.norm(pair.x[:, np.newaxis] - pair.y, axis=2)
        nothing = max(apart.min(axis=1).mean(), apart.min(axis=0).mean())  # what a network that says nothing proves
        assert nothing < found.lower_bound <= pair.distance

    def test_clipped_weights_are_clipped(self):
        pair = min_funnels(50, rng=1)
        found = monge.neural.critic(pair.x, pair.y, penalty=Clip(0.02), n_steps=3, batch_size=16, rng=0)
        assert max(float(each.abs().max()) for each in found.network.parameters()) == pytest.approx(0.02)

    def test_the_unit_does_not_matter(self, trained):
        far = [4096.0 * points + 2.0**20 for points in (FUNNELS.x, FUNNELS.y)]
        found = monge.neural.critic(*far, n_steps=120, batch_size=128, rng=0)
        # Not bit by bit: what is far from zero has fewer digits, and training amplifies roundings.
        assert 0.9 * FUNNELS.distance < found.lower_bound / 4096.0 <= FUNNELS.distance * (1.0 + 1e-12)

    def test_truths(self):
        heights = (np.arange(64) + 0.5) / 64
        x, y = (np.stack([np.full(64, place), heights], axis=1) for place in (0.0, 0.4))
        shift, z = np.array([1.0, -2.0, 2.0]), np.random.default_rng(0).normal(size=(200, 3))
        for one, other, distance in ((x, y, 0.4), (z, z + shift, 3.0), (np.zeros((1, 2)), np.array([[3.0, 4.0]]), 5.0)):
            found = monge.neural.critic(one, other, n_steps=50, batch_size=32, rng=0)
            assert 0.95 * distance < found.lower_bound <= distance * (1.0 + 1e-15)

    def test_equal_clouds(self):
        found = monge.neural.critic(FUNNELS.x, FUNNELS.x, n_steps=5, batch_size=16, rng=0)
        assert found.lower_bound == 0.0
        one = monge.neural.critic([[1.0]], [[1.0]], n_steps=2, rng=0)
        assert one.value == one.lower_bound == 0.0


class TestInputs:
    small = min_funnels(60, rng=2)

    def run(self, x=None, y=None, **options):
        x, y = self.small.x if x is None else x, self.small.y if y is None else y
        return monge.neural.critic(x, y, **{"n_steps": 20, "batch_size": 32, "rng": 0, **options})

    def test_the_same_seed_gives_the_same_bits_and_torchs_own_are_left_alone(self):
        torch.manual_seed(3)
        before = torch.get_rng_state()
        one, two, other = self.run(), self.run(threads=2), self.run(rng=1)
        assert torch.equal(before, torch.get_rng_state())
        assert (one.value, one.lower_bound) == (two.value, two.lower_bound)
        assert one.value != other.value

    def test_weights(self):
        rng = np.random.default_rng(0)
        a, b = rng.random(60) * (rng.random(60) < 0.5), rng.random(60)
        a *= b.sum() / a.sum()
        found = self.run(a=a, b=b, n_steps=100)
        exact = w1(self.small.x, self.small.y, a / a.sum(), b / b.sum())
        assert 0.85 * exact < found.lower_bound <= exact * (1.0 + 1e-14)
        u = found.potential
        assert np.average(u(self.small.x), weights=a) - np.average(u(self.small.y), weights=b) == pytest.approx(
            found.lower_bound, rel=1e-12
        )
        assert (found.grad_x[a == 0.0] == 0.0).all()

    def test_samplers(self):
        shift = np.array([3.0, 0.0])
        found = monge.neural.critic(
            lambda rng, n: rng.normal(size=(n, 2)), lambda rng, n: rng.normal(size=(n, 2)) + shift,
            n_steps=100, batch_size=64, samples=300, rng=0,
        )  # fmt: skip
        assert found.x.shape == found.y.shape == (300, 2)
        exact = w1(found.x, found.y)
        assert 0.95 * exact < found.lower_bound <= exact

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_tensors(self, dtype):
        x, y = (torch.from_numpy(points.astype(dtype)).requires_grad_() for points in (self.small.x, self.small.y))
        found = self.run(x, y)
        assert found.potential(x).dtype == found.grad_x.dtype == found.x.dtype == x.dtype
        assert found.gradient(self.small.x).shape == (60, 2)
        plain = self.run(*(each.detach().numpy() for each in (x, y)))
        assert found.lower_bound == plain.lower_bound
        assert isinstance(plain.potential(self.small.x), np.ndarray)
        exact = w1(*(each.detach().numpy() for each in (x, y)))
        assert found.lower_bound <= exact * (1.0 + 8.0 * np.finfo(dtype).eps)

    def test_a_network_of_ones_own_and_going_on(self):
        network = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)).double()
        weights = copy.deepcopy(network.state_dict())
        first = self.run(network=network)
        assert all(torch.equal(weights[name], now) for name, now in network.state_dict().items())
        again = self.run(init=first, lr=1e-12, n_steps=1)
        assert again.value == pytest.approx(first.value, rel=1e-6)
        longer = self.run(init=first, n_steps=300)
        assert longer.lower_bound > first.lower_bound
        assert self.run(init=first).value != first.value  # which is as it was
        assert first.value == self.run(network=network).value

    def test_hooks_of_a_users_network_stay(self):
        network, seen = torch.nn.Linear(2, 1), []
        network.register_forward_hook(lambda *_: seen.append(None))
        found = self.run(network=network, n_steps=1)
        seen.clear()
        found.network(torch.zeros(1, 2))
        assert len(seen) == 1

    def test_it_can_be_pickled(self):
        found = self.run()
        again = pickle.loads(pickle.dumps(found))
        assert again.lower_bound == found.lower_bound
        np.testing.assert_array_equal(again.potential(self.small.x), found.potential(self.small.x))

    def test_what_stops_early_says_so_and_the_bound_holds(self):
        with pytest.warns(
            monge.ConvergenceWarning, match=r"in iteration 1 of 20: time_limit ran out\. Go on with init="
        ):
            found = self.run(time_limit=0.0)
        assert found.status is monge.neural.TrainingStatus.TIME_LIMIT
        assert 0.0 < found.lower_bound <= self.small.distance
        with pytest.warns(monge.ConvergenceWarning, match="not finite"):
            found = self.run(lr=1e30)
        assert found.status is monge.neural.TrainingStatus.DIVERGED
        assert 0.0 < found.lower_bound <= self.small.distance

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"penalty": "none"}, "penalty should be one of 'lipschitz', 'gradient', 'clip'"),
            ({"x": np.ones((3, 3))}, "same dimension; got 3 and 2"),
            ({"x": np.full((3, 2), np.nan)}, "finite"),
            ({"a": np.ones(3)}, r"shape \(60,\)"),
            ({"a": -np.ones(60)}, "negative"),
            ({"x": lambda rng, n: rng.normal(size=(n, 2)), "a": np.ones(60)}, "x is a sampler"),
            ({"n_steps": 0}, "n_steps should be"),
            ({"lr": -1.0}, "lr should be"),
            ({"network": torch.nn.Linear(2, 3)}, "one number for each"),
            ({"network": torch.nn.Linear(3, 1)}, r"network: the network does not take float32 samples of shape \(2,\)"),
            ({"network": torch.nn.Linear(2, 1).requires_grad_(False)}, "no parameters that can be learned"),
            ({"network": MLP(2, 1, hidden=(8, 8), batch_norm=True)}, "no batch normalisation"),
            ({"device": "abacus"}, "device should be"),
        ],
    )
    def test_what_is_wrong(self, options, message):
        with pytest.raises(ValueError, match=message):
            self.run(**options)

    def test_what_does_not_go_together(self):
        found = self.run()
        with pytest.raises(ValueError, match="both given"):
            self.run(init=found, network=torch.nn.Linear(2, 1))
        with pytest.raises(ValueError, match="2 coordinates; x has 1"):
            self.run(self.small.x[:, 0], self.small.y[:, 0], init=found)
        with pytest.raises(TypeError, match="init should be"):
            self.run(init=0.0)
        with pytest.raises(TypeError, match="network should be"):
            self.run(network="MLP")
        with pytest.raises(ValueError, match="points of 2 coordinates"):
            found.potential([1.0])


class TestTheorem3:
    """Of Arjovsky, Chintala and Bottou 2017: grad_theta W = E grad_theta u(g_theta(z)), with u high at what is made.

    (The paper's f is high at the data, which is where its minus comes from.)
    """

    rng = np.random.default_rng(0)
    change, shift = rng.normal(size=(2, 2)), rng.normal(size=2)

    def moved(self, t):
        """An affine generator along one direction of its weights, whose law is that of the funnels' x at t = 0."""
        return FUNNELS.x + t * (FUNNELS.x @ self.change + self.shift)

    def slope(self, gradient):
        """The derivative along t, of a gradient (n, d) at x."""
        return float((gradient * (FUNNELS.x @ self.change + self.shift)).sum())

    def difference(self, h=1e-5):
        return (w1(self.moved(h), FUNNELS.y) - w1(self.moved(-h), FUNNELS.y)) / (2.0 * h)

    def test_by_the_plan(self):
        transport = monge.emd(monge.PointCloud(FUNNELS.x, FUNNELS.y, cost="euclidean"))
        assert self.slope(transport.grad_x) == pytest.approx(self.difference(), rel=1e-7)

    def test_by_the_optimal_potential(self):
        apart = FUNNELS.x[:, np.newaxis] - FUNNELS.centers
        lengths = np.linalg.norm(apart, axis=2)
        rows, tip = np.arange(600), (lengths + FUNNELS.heights).argmin(axis=1)
        gradient = apart[rows, tip] / lengths[rows, tip][:, np.newaxis] / 600
        assert self.slope(gradient) == pytest.approx(self.difference(), rel=1e-7)

    def test_by_a_critic(self, trained):
        x = torch.from_numpy(FUNNELS.x).requires_grad_()
        (gradient,) = torch.autograd.grad(trained.network(x).mean(), x)
        exact = monge.emd(monge.PointCloud(FUNNELS.x, FUNNELS.y, cost="euclidean")).grad_x
        sizes = [
            np.linalg.norm(FUNNELS.x.T @ each) for each in (gradient.numpy() - exact, trained.grad_x - exact, exact)
        ]
        assert sizes[0] < 0.15 * sizes[2]
        assert sizes[1] < 0.15 * sizes[2]


class TestTheorem1:
    """W is continuous in the weights of a network, and differentiable almost everywhere."""

    @pytest.mark.parametrize("seed", range(3))
    def test_a_network_as_generator(self, seed):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        generator = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)).double()
        z, y = torch.from_numpy(rng.normal(size=(60, 2))), torch.from_numpy(rng.normal(size=(60, 2)) + 1.0)
        start = torch.nn.utils.parameters_to_vector(generator.parameters()).detach()
        way = torch.from_numpy(rng.normal(size=len(start)))

        def made(t):
            torch.nn.utils.vector_to_parameters(start + t * way, generator.parameters())
            return generator(z)

        values = {}
        for t in (-1e-5, -1e-7, 0.0, 1e-7, 1e-5, 0.1, 0.3):
            values[t] = made(t).detach(), w1(made(t).detach().numpy(), y.numpy())
        for (one, at_one), (other, at_other) in itertools.combinations(values.values(), 2):
            assert abs(at_one - at_other) <= float((one - other).norm(dim=1).mean()) + 1e-12
        loss = monge.torch.emd(made(0.0), y, cost="euclidean")
        gradient = torch.cat([each.flatten() for each in torch.autograd.grad(loss, generator.parameters())])
        slope = (values[1e-5][1] - values[-1e-5][1]) / 2e-5
        assert float(gradient @ way) == pytest.approx(slope, rel=1e-5)


def test_particles_go_down_the_critic():
    """A critic is a loss for gradient_flow: it has a value and grad_x, and goes on from the one before."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 2)), rng.normal((3.0, 0.0), size=(100, 2))

    def loss(x, init=None):
        return monge.neural.critic(x, y, init=init, n_steps=10, batch_size=64, rng=0)

    flow = monge.gradient_flow(x, loss, step=0.25, n_steps=10)
    before, after = w1(x, y), w1(flow.points, y)
    assert after < 0.4 * before
    assert flow.last.lower_bound <= after
