"""The tiles of a distance matrix: the same bits as from all pairs at once. Here in threads of this process."""

from __future__ import annotations

import numpy as np
import pytest

import monge
from monge.distances import pairwise as module
from monge.distances.spread_pairs import Tiles
from monge.exact import _core


def clouds(count, d, seed=0, dtypes=(np.float64,)):
    """Clouds of different sizes, each second one with weights."""
    rng, out = np.random.default_rng(seed), []
    for k in range(count):
        n = int(rng.integers(1, 15))
        x, w = (rng.normal(size=(n, d)) + rng.normal(size=d)).astype(dtypes[k % len(dtypes)]), rng.random(n)
        out.append((x, w / w.sum()) if k % 2 else x)
    return out


def histograms(count, n, seed=0):
    h = np.random.default_rng(seed).random((count, n)) + 0.1
    return h / h.sum(axis=1, keepdims=True)


PLACES = np.random.default_rng(1).random((12, 2))
C = np.linalg.norm(PLACES[:, None] - PLACES, axis=2)
FORBIDDEN = np.where(np.eye(12, k=5) > 0, np.inf, C)


def smooth(x, y):
    return float(np.sqrt((x[0] - y[0]) ** 2 + 2.0 * (x[1] - y[1]) ** 2))


CASES = {
    "clouds": lambda **run: monge.pairwise(clouds(11, 3), **run),
    "two sets": lambda **run: monge.pairwise(clouds(7, 2), clouds(9, 2, 1), p=1, **run),
    "a power": lambda **run: monge.pairwise(clouds(9, 2), p=1.5, **run),
    "a high power": lambda **run: monge.pairwise(clouds(7, 2), p=30, **run),
    "another distance": lambda **run: monge.pairwise(clouds(9, 2), ground="cityblock", **run),
    "one's own distance": lambda **run: monge.pairwise(clouds(4, 2), ground=smooth, **run),
    "far": lambda **run: monge.pairwise([1e180 * each for each in clouds(5, 2)[::2]], p=4, **run),
    "single": lambda **run: monge.pairwise(clouds(9, 2, dtypes=[np.float32]), **run),
    "both": lambda **run: monge.pairwise(clouds(9, 2, dtypes=[np.float32, np.float32, np.float64]), p=30, **run),
    "lines": lambda **run: monge.pairwise(clouds(11, 1), p=2, **run),
    "two sets of lines": lambda **run: monge.pairwise(clouds(5, 1), clouds(11, 1, 2), **run),
    "histograms": lambda **run: monge.pairwise(histograms(11, 12), cost=C, **run),
    "two sets of histograms": lambda **run: monge.pairwise(histograms(5, 12), histograms(11, 12, 1), cost=C, **run),
    "not symmetric": lambda **run: monge.pairwise(histograms(7, 12), cost=FORBIDDEN, **run),
    "single costs": lambda **run: monge.pairwise(histograms(7, 12), cost=C.astype(np.float32), **run),
    "none": lambda **run: monge.pairwise(np.ones((0, 12)), cost=C, **run),
}


@pytest.fixture
def tiled(monkeypatch):
    """As if a configuration of joblib's were active, in threads; blocks of about nine pairs."""
    monkeypatch.setattr(module, "workers", lambda n_jobs: (True, -1))
    monkeypatch.setattr("monge.distances.spread_pairs._BLOCK", 2e-4)


@pytest.mark.parametrize("case", CASES)
def test_same_bits(case, request):
    if case == "one's own distance":
        request.applymarker(pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaWarning"))
    whole = CASES[case]()
    request.getfixturevalue("tiled")
    np.testing.assert_array_equal(CASES[case](), whole)


@pytest.mark.parametrize("after", [None, 0, 1])
@pytest.mark.parametrize("edge", [1, 2, 3, 8])
def test_tiles_cover_what_is_wanted(after, edge):
    tiles = Tiles((7, 7 if after is not None else 5), after, edge)
    seen = np.zeros(tiles.shape, int)
    for block in range(len(tiles)):
        rows, columns = tiles[block]
        seen[rows.start : rows.stop, columns.start : columns.stop] += 1
    assert seen.max() == 1
    assert (seen[np.triu_indices(7)] == 1).all() if after is not None else (seen == 1).all()


def test_time_limit_in_tiles(tiled):
    with pytest.warns(monge.ConvergenceWarning, match=r"pairwise: \d+ of 121 distances are NaN: time_limit ran out"):
        D = monge.pairwise(clouds(11, 2), time_limit=0.0, n_jobs=1)
    np.testing.assert_array_equal(np.isnan(D), np.isnan(D.T))
    assert 0 < np.isfinite(D[np.triu_indices(11, 1)]).sum() < 55


def test_inexact_pairs_are_counted(tiled, monkeypatch):
    solve = _core.emd_values
    monkeypatch.setattr(_core, "emd_values", lambda *args: [(_core.INEXACT, value) for _, value in solve(*args)])
    with pytest.warns(monge.ConvergenceWarning, match=r"pairwise: 55 of 55 pairs: costs that differ in size") as caught:
        monge.pairwise(clouds(11, 2))
    assert caught[0].filename == __file__


def test_an_error_names_the_pair(tiled):
    with pytest.raises(monge.InfeasibleError, match=r"pairwise, block \d+: pair \(3, 0\)"):
        monge.pairwise(np.eye(5), np.eye(5), cost=np.where(np.eye(5, k=-3) > 0, np.inf, 1.0))


class TestFiles:
    @pytest.fixture
    def saved(self, tmp_path):
        found = []
        for k, each in enumerate(clouds(6, 2)):
            x, w = each if isinstance(each, tuple) else (each, None)
            np.save(tmp_path / f"{k}.npy", x)
            if w is not None:
                np.save(tmp_path / f"w{k}.npy", w)
            found.append(tmp_path / f"{k}.npy" if w is None else (str(tmp_path / f"{k}.npy"), tmp_path / f"w{k}.npy"))
        return found

    def test_paths(self, saved):
        np.testing.assert_array_equal(monge.pairwise(saved), monge.pairwise(clouds(6, 2)))

    def test_paths_in_tiles(self, saved, tiled):
        np.testing.assert_array_equal(monge.pairwise(saved, saved[:2]), monge.pairwise(clouds(6, 2), clouds(2, 2)))

    def test_maps(self, saved):
        maps = [np.load(each if not isinstance(each, tuple) else each[0], mmap_mode="r") for each in saved]
        np.testing.assert_array_equal(monge.pairwise(maps), monge.pairwise([np.array(each) for each in maps]))

    def test_what_is_no_file_of_an_array(self, tmp_path):
        (tmp_path / "x.csv").write_text("1,2\n")
        with pytest.raises(ValueError, match=r"measures\[1\]: expected a \.npy file"):
            monge.pairwise([np.ones((2, 2)), tmp_path / "x.csv"])
        with pytest.raises(FileNotFoundError, match=r"none\.npy"):
            monge.pairwise([np.ones((2, 2)), tmp_path / "none.npy"])
