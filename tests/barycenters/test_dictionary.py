"""Dictionaries: data made of few atoms are made of few atoms."""

import pickle

import numpy as np
import pytest

import monge

N = 24
X = np.arange(float(N))
GRID = monge.Grid(N)


def bumps(means, std=2.0):
    values = np.exp(-((X - np.asarray(means)[:, np.newaxis]) ** 2) / (2.0 * std**2))
    return values / values.sum(axis=1, keepdims=True)


DATA = bumps(np.linspace(6.0, 17.0, 6))


@pytest.fixture(scope="module")
def found():
    return monge.dictionary(DATA, GRID, 2, eps=1.5, rng=0, max_iter=40, tol=0.02)


def test_two_atoms_explain_all_translations(found):
    linear = (np.linalg.svd(DATA, compute_uv=False)[2:] ** 2).sum()  # what the best two components leave
    assert found.value < linear / 100.0
    np.testing.assert_allclose(found.reconstructions @ X, DATA @ X, atol=0.1)
    assert ((found.reconstructions - DATA) ** 2).sum() == pytest.approx(found.value, rel=1e-6)
    place = found.weights[:, np.argmax(found.atoms @ X)]
    assert (np.diff(place) > 0.05).all()  # the coordinate is where the bump is


def test_shapes_totals_and_progress(found):
    assert found.atoms.shape == (2, N)
    assert found.weights.shape == (6, 2)
    np.testing.assert_allclose(found.atoms.sum(axis=1), 1.0)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1.0)
    assert (np.diff(found.losses) <= 0.0).all()
    assert found.converged
    assert len(found.losses) == found.iterations


def test_transform(found):
    np.testing.assert_allclose(found.transform(DATA), found.weights, atol=2e-3)
    between = found.transform(bumps([9.3]))[0]
    nearby = found.transform(bumps([9.0, 9.6]))
    assert nearby.min(axis=0)[0] < between[0] < nearby.max(axis=0)[0]


def test_data_made_of_atoms_leave_nothing_out():
    atoms = np.stack([bumps([5.0])[0], 0.5 * (bumps([8.0]) + bumps([17.0]))[0]])
    w = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    data = np.array([monge.barycenter(atoms, GRID, each, eps=3.0, tol=1e-8).weights for each in w])
    with pytest.warns(monge.ConvergenceWarning):
        found = monge.dictionary(data, GRID, 2, eps=3.0, rng=1, max_iter=25, tol=1e-9)
    spread = ((data - data.mean(axis=0)) ** 2).sum()
    assert found.value < 5e-3 * spread


@pytest.mark.parametrize("loss", ["kl", "wasserstein"])
def test_other_losses(loss):
    found = monge.dictionary(DATA[::2], GRID, 2, eps=1.5, rng=0, loss=loss, max_iter=8, tol=0.2)
    assert found.losses[-1] < found.losses[0]
    np.testing.assert_allclose(found.reconstructions @ X, DATA[::2] @ X, atol=0.5)


def test_seeds_and_threads():
    options = {"eps": 1.5, "max_iter": 2, "tol": 1.0}
    one, two = (monge.dictionary(DATA[::2], GRID, 2, rng=3, threads=t, **options) for t in (1, 2))
    assert (one.atoms == two.atoms).all()
    assert (one.weights == two.weights).all()


def test_stopping_early_says_so():
    with pytest.warns(monge.ConvergenceWarning, match="after 1 steps"):
        found = monge.dictionary(DATA[::2], GRID, 2, eps=1.5, rng=0, time_limit=1e-9)
    assert found.status is monge.Status.OUT_OF_TIME


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"n_atoms": 7}, "at most the number of data"),
        ({"n_atoms": 0}, "n_atoms"),
        ({"histograms": np.vstack([DATA[:1], 2.0 * DATA[1:2]])}, "same total"),
        ({"cost": np.ones((N, 3))}, "square"),
        ({"loss": "l3"}, "loss should be"),
    ],
)
def test_bad_input(change, match):
    with pytest.raises(ValueError, match=match):
        monge.dictionary(**{"histograms": DATA, "cost": GRID, "n_atoms": 2, "eps": 1.5, **change})


def test_pickles_and_a_single_atom():
    found = monge.dictionary(DATA[:2], GRID, 1, eps=1.5, rng=0, tol=0.5)
    again = pickle.loads(pickle.dumps(found))
    assert (again.transform(DATA[:2]) == 1.0).all()
    assert (again.atoms == found.atoms).all()
