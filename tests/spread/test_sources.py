"""Rows from wherever they are, against the plain array; and that what travels is small."""

from __future__ import annotations

import functools
import gc
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from spread import tasks

from monge.spread.blocks import seed_of
from monge.spread.call import Call
from monge.spread.sources import source_of

ROWS, COLUMNS = 3000, 4
# Bytes of a task with a source, whatever its rows.
SMALL = 1000


@pytest.fixture(scope="module")
def array():
    return np.random.default_rng(0).normal(size=(ROWS, COLUMNS))


@pytest.fixture
def saved(tmp_path, array):
    np.save(tmp_path / "rows.npy", array)
    return tmp_path / "rows.npy"


def as_file(array, folder, order="C", before=0):
    """A map of a raw file in which the array is preceded by some bytes."""
    path = folder / "raw"
    with open(path, "wb") as file:
        file.write(b"\7" * before)
        file.write(array.tobytes(order))
    return np.memmap(path, array.dtype, "r", before, array.shape, order)


def mapped(saved):
    return np.load(saved, mmap_mode="r")


KINDS = {
    "array": lambda array, saved: array,
    "list": lambda array, saved: array.tolist(),
    "view": lambda array, saved: array[::-2, 1:],
    "read-only": lambda array, saved: np.lib.stride_tricks.as_strided(array, writeable=False),
    "path": lambda array, saved: saved,
    "name": lambda array, saved: str(saved),
    "map": lambda array, saved: mapped(saved),
    "rows of a map": lambda array, saved: mapped(saved)[100:2000],
    "rows of rows": lambda array, saved: mapped(saved)[100:2000][7:],
    "strided map": lambda array, saved: mapped(saved)[1::3],
    "columns of a map": lambda array, saved: mapped(saved)[:, 1:],
    "transposed map": lambda array, saved: as_file(array.T.copy(), saved.parent).T,
    "offset": lambda array, saved: as_file(array, saved.parent, before=24),
    "offset, not aligned": lambda array, saved: as_file(array, saved.parent, before=3)[5:],
    "Fortran": lambda array, saved: as_file(array, saved.parent, "F"),
    "vector": lambda array, saved: as_file(array[:, 0].copy(), saved.parent),
    "single": lambda array, saved: as_file(array.astype(np.float32), saved.parent),
    "half": lambda array, saved: as_file(array.astype(np.float16), saved.parent),
    "big-endian": lambda array, saved: as_file(array.astype(">f8"), saved.parent),
    "bytes": lambda array, saved: as_file((100 * array).astype(np.uint8), saved.parent),
    "flags": lambda array, saved: (array > 0.0)[:, :1],
    "changed in memory": lambda array, saved: changed(np.load(saved, mmap_mode="c")),
    "changed on disk": lambda array, saved: changed(np.load(saved, mmap_mode="r+")),
}


def changed(values):
    values[3] = 17.0
    return values


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_the_array(kind, array, saved):
    data = KINDS[kind](array, saved)
    plain = np.array(np.load(data) if kind in ("path", "name") else data)
    plain = plain.reshape(len(plain), -1)
    source = source_of(data, "x")
    for each in (source, source.sent(), pickle.loads(pickle.dumps(source.sent()))):
        assert (each.rows, each.columns) == plain.shape
        places = np.array([5, 3, 3, len(plain) - 1, 0])
        taken = each.take(places)
        assert taken.dtype == each.dtype == source.dtype
        assert taken.dtype == (np.float32 if plain.dtype in (np.float16, np.float32) else np.float64)
        assert taken.flags.c_contiguous
        np.testing.assert_array_equal(taken, plain[places])
        np.testing.assert_array_equal(each.take(range(10, 40)), plain[10:40])
        drawn = each.draw(np.random.default_rng(1), 100)
        np.testing.assert_array_equal(drawn, plain[np.random.default_rng(1).integers(len(plain), size=100)])


@pytest.mark.parametrize("kind", KINDS)
def test_what_travels_is_small(kind, array, saved):
    call = Call(functools.partial(tasks.rows), seed_of(None), (source_of(KINDS[kind](array, saved), "x"),), "test")
    if kind not in ("flags",):  # few bytes
        assert len(pickle.dumps(call.sent())) < SMALL


@pytest.mark.parametrize("kind", ["path", "map", "rows of rows", "transposed map", "Fortran", "changed on disk"])
def test_files_are_not_copied(kind, array, saved):
    source = source_of(KINDS[kind](array, saved), "x")
    assert source.sent() is source
    assert Path(source.path).parent == saved.parent


def test_few_rows_travel_themselves(array):
    sent = source_of(array[:5], "x").sent()
    assert sent.array.base is None  # and not those around them
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sent)).take([4]), array[4:5])


def test_an_array_is_written_once_and_its_file_goes_with_it(array, tmp_path, monkeypatch):
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    source = source_of(array, "x")
    assert os.listdir(tmp_path) == []
    sent = source.sent()
    assert source.sent() is sent
    assert [str(tmp_path / name) for name in os.listdir(tmp_path)] == [sent.path]
    del source
    gc.collect()
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError, match=r"the rows of x are in the file .* JOBLIB_TEMP_FOLDER"):
        pickle.loads(pickle.dumps(sent)).take([0])


def test_a_file_that_workers_do_not_see(saved):
    source = pickle.loads(pickle.dumps(source_of(saved, "x")))
    saved.unlink()
    with pytest.raises(FileNotFoundError, match=r"rows of x .* Put it where all workers find it under this path"):
        source.take([0])


def test_a_source_stays_what_it_is(array):
    source = source_of(array, "x")
    assert source_of(source, "y") is source


class TestSampler:
    def test_draws(self):
        source = pickle.loads(pickle.dumps(source_of(tasks.normal, "x").sent()))
        assert (source.rows, source.columns, source.dtype) == (None, 3, np.float64)
        expected = np.random.default_rng(2).normal(size=(70, 3))
        np.testing.assert_array_equal(source.draw(np.random.default_rng(2), 70), expected)

    def test_vectors_stand_for_points_on_the_line(self):
        source = source_of(lambda rng, n: rng.integers(9, size=n), "x")
        assert source.draw(np.random.default_rng(0), 5).shape == (5, 1)
        assert source.dtype == np.float64

    @pytest.mark.parametrize(
        ("returned", "error", "text"),
        [
            (
                lambda n: np.ones((n + 1, 2)),
                ValueError,
                r"points of shape \(2, d\), finite numbers; got shape \(3, 2\)",
            ),
            (lambda n: np.ones((n, 0)), ValueError, r"got shape \(2, 0\)"),
            (lambda n: np.ones((n, 2, 2)), ValueError, r"got shape \(2, 2, 2\)"),
            (lambda n: np.full((n, 2), np.nan), ValueError, r"\[0, 0\] = nan"),
            (lambda n: None, TypeError, "NoneType"),
            (lambda n: [["a", "b"]] * n, TypeError, "real numbers"),
        ],
    )
    def test_at_fault(self, returned, error, text):
        def noise(rng, n):
            return returned(n)

        with pytest.raises(error, match=rf"the sampler x=noise\(rng, 2\).*{text}"):
            source_of(noise, "x")

    @pytest.mark.parametrize(
        ("sampler", "text"), [(tasks.growing, "3 coordinates, and 2 the first time"), (tasks.undefined, "= nan")]
    )
    def test_at_fault_later(self, sampler, text):
        with pytest.raises(ValueError, match=rf"the sampler x={sampler.__name__}\(rng, 50\).*{text}"):
            source_of(sampler, "x").draw(np.random.default_rng(0), 50)

    def test_has_no_rows(self):
        with pytest.raises(TypeError, match="x is a sampler, which has no rows to choose from"):
            source_of(tasks.normal, "x").take([0])


class TestErrors:
    @pytest.mark.parametrize("kind", ["path", "map", "strided map"])
    def test_numbers_of_files_are_looked_at_as_they_are_taken(self, kind, array, saved):
        bad = array.copy()
        bad[30, 2] = np.inf
        np.save(saved, bad)
        source = source_of(KINDS[kind](array, saved), "x")
        place = 30 if kind != "strided map" else None
        source.take([0, 1, 2])
        if place is None:  # 30 is none of 1, 4, 7, ...
            source.take(range(source.rows))
        else:
            with pytest.raises(ValueError, match=r"x\[30, 2\] = inf"):
                source.take([4, 30])
            with pytest.raises(ValueError, match=r"x\[30, 2\] = inf"):
                pickle.loads(pickle.dumps(source.sent())).take([30])

    def test_a_part_that_is_written_out_keeps_its_faults(self, array, saved):
        bad = array.copy()
        bad[31, 2] = np.inf
        np.save(saved, bad)
        source = source_of(KINDS["strided map"](array, saved), "x")
        with pytest.raises(ValueError, match=r"x\[10, 2\] = inf"):
            source.sent().take([10])

    def test_arrays_are_looked_at_before(self, array):
        bad = array.copy()
        bad[30, 2] = np.nan
        with pytest.raises(ValueError, match=r"x should hold finite coordinates; x\[30, 2\] = nan"):
            source_of(bad, "x")

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="x: there is no file"):
            source_of(tmp_path / "none.npy", "x")

    def test_no_npy(self, tmp_path):
        (tmp_path / "x.csv").write_text("1,2\n")
        with pytest.raises(ValueError, match=r"x should be the path of a \.npy file, as numpy\.save writes it"):
            source_of(tmp_path / "x.csv", "x")

    @pytest.mark.parametrize("shape", [(0, 3), (2, 2, 2), ()])
    def test_shapes(self, tmp_path, shape):
        np.save(tmp_path / "x.npy", np.ones(shape))
        with pytest.raises(ValueError, match=r"x should hold at least one row"):
            source_of(tmp_path / "x.npy", "x")

    @pytest.mark.parametrize("dtype", [complex, "U3", "datetime64[s]"])
    def test_types(self, tmp_path, dtype):
        np.save(tmp_path / "x.npy", np.zeros((2, 2), dtype))
        with pytest.raises(TypeError, match="x should be rows of shape"):
            source_of(tmp_path / "x.npy", "x")


class TestDask:
    @pytest.fixture(autouse=True)
    def dask(self):
        return pytest.importorskip("dask.array", reason="dask comes with the extra cluster")

    @pytest.mark.parametrize("chunks", [(700, 4), (700, 2), (3000, 4)])
    @pytest.mark.parametrize("held", [False, True])
    def test_rows(self, dask, array, chunks, held):
        if held:  # its recipe holds the numbers
            data = dask.from_array(array, chunks) * 2.0
        else:
            whole = dask.random.default_rng(0).normal(size=array.shape, chunks=chunks)
            data, array = whole, np.asarray(whole)
        source = source_of(data, "x")
        plain = np.asarray(data)
        for each in (source, pickle.loads(pickle.dumps(source.sent()))):
            assert (each.rows, each.columns, each.dtype) == (ROWS, COLUMNS, np.float64)
            np.testing.assert_array_equal(each.take([5, 2999, 5, 0]), plain[[5, 2999, 5, 0]])
            drawn = each.draw(np.random.default_rng(1), 100)
            np.testing.assert_array_equal(drawn, plain[np.random.default_rng(1).integers(ROWS, size=100)])

    def test_recipes_travel_and_numbers_do_not(self, dask):
        big = np.zeros((20_000, 4))
        assert source_of(dask.from_array(big, 5000), "x").sent().temporary
        computed = source_of(dask.random.default_rng(0).normal(size=(10**9, 4), chunks=10**8), "x")
        assert computed.sent() is computed

    def test_a_vector(self, dask):
        source = source_of(dask.arange(10, chunks=3), "x")
        np.testing.assert_array_equal(source.take([9, 0]), [[9.0], [0.0]])

    def test_faults(self, dask):
        x = dask.ones((10, 2), chunks=5)
        with pytest.raises(ValueError, match="compute_chunk_sizes"):
            source_of(x[x[:, 0] > 0], "x")
        with pytest.raises(ValueError, match=r"x should be points of shape"):
            source_of(dask.ones((2, 2, 2)), "x")
        with pytest.raises(ValueError, match=r"x\[3, 0\] = nan"):
            source_of(x * np.nan, "x").take([3])
