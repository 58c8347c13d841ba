"""Colour transfer: what every method should do, and what each alone does."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monge
from monge.maps.color import batches, by_minibatch, transfer_colors
from monge.maps.color.batches import Batches
from monge.maps.color.by_minibatch import ByMinibatch
from monge.maps.color.method import Work
from monge.maps.color.palettes import boxes
from monge.maps.color.pictures import Picture
from monge.maps.color.sides import Side
from monge.maps.color.spaces import RGB
from monge.spread.blocks import seed_of
from monge.spread.sources import source_of

METHODS = ["palette", "minibatch", "exact", "entropic"]
LUMA = np.array([0.299, 0.587, 0.114])


def noise(seed: int, low: int, high: int, shape: tuple[int, int] = (12, 16), dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (*shape, 3), dtype=dtype)


def transfer(source, target, method, **options):
    if method == "minibatch":
        options = {"rng": 0, "n_jobs": 1, **options}
    return monge.color_transfer(source, target, method=method, threads=1, **options)


def pixels_of(picture):
    return picture.reshape(-1, picture.shape[2])[:, :3].astype(float)


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_translated_colours(self, method):
        source = noise(0, 20, 100, (20, 24))
        shift = np.array([90, 40, 120], np.uint8)
        rng = np.random.default_rng(1)
        target = (rng.permutation(source.reshape(-1, 3)) + shift).reshape(24, 20, 3)
        there, back = transfer(source, target, method, both=True)
        # Exactly where all colours take part, but for what the entropy and the mean over epochs blur.
        tolerance = {"exact": 0, "palette": 1, "minibatch": 8, "entropic": 4}[method]
        assert np.abs(there.astype(int) - source - shift).max() <= tolerance
        assert np.abs(back.astype(int) - target + shift).max() <= tolerance

    def test_both_and_one_agree(self, method):
        source, target = noise(2, 0, 120), noise(3, 90, 256, (15, 10))
        there, back = transfer(source, target, method, both=True)
        np.testing.assert_array_equal(transfer(source, target, method), there)
        assert back.shape == target.shape
        for out, wanted in ((there, target), (back, source)):
            np.testing.assert_allclose(pixels_of(out).mean(axis=0), pixels_of(wanted).mean(axis=0), atol=2.5)

    def test_pixels_outside_masks_neither_count_nor_move(self, method):
        source, target = noise(4, 0, 120), noise(5, 90, 256)
        masks = np.random.default_rng(6).random((2, 12, 16)) < 0.5
        there, back = transfer(source, target, method, both=True, source_mask=masks[0], target_mask=masks[1])
        np.testing.assert_array_equal(there[~masks[0]], source[~masks[0]])
        np.testing.assert_array_equal(back[~masks[1]], target[~masks[1]])
        alone = transfer(source[masks[0]][np.newaxis], target[masks[1]][np.newaxis], method)
        np.testing.assert_array_equal(there[masks[0]], alone[0])

    @pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float16, np.float64])
    def test_types_come_back_with_their_precision(self, method, dtype):
        levels = 65535 if dtype == np.uint16 else 1.0
        rng = np.random.default_rng(7)
        source, target = rng.random((2, 20, 30, 4))
        target = 0.5 * target + 0.5
        source, target = ((levels * picture).astype(dtype) for picture in (source, target))
        there, back = transfer(source, target, method, both=True)
        assert there.dtype == back.dtype == dtype
        np.testing.assert_array_equal(there[..., 3], source[..., 3])  # alpha
        np.testing.assert_array_equal(back[..., 3], target[..., 3])
        assert len(np.unique(there[..., 0])) > 400  # more than 8 bits have
        scaled = there[..., :3] / float(levels)
        assert 0.4 < scaled.min() < scaled.max() <= 1.0

    def test_chroma_keeps_luma(self, method):
        source, target = noise(8, 0, 256) / 255.0, noise(9, 0, 256) / 255.0
        target[..., 2] *= 0.3
        there = transfer(source, target, method, chroma=True)
        np.testing.assert_allclose(there @ LUMA, source @ LUMA, atol=1e-12)
        assert there[..., 2].mean() < source[..., 2].mean() - 0.1
        grey = np.repeat(np.linspace(0.0, 1.0, 50).reshape(5, 10, 1), 3, axis=2)
        np.testing.assert_allclose(transfer(source, grey, method, chroma=True) @ LUMA, source @ LUMA, atol=1e-12)
        assert np.ptp(transfer(source, grey, method, chroma=True), axis=2).max() < 1e-3  # all colour is gone

    def test_frames(self, method):
        source, target = noise(10, 0, 256, (30, 40)), noise(11, 60, 200, (40, 30))
        options = {"batch_size": 300, "epochs": 8} if method == "minibatch" else {}
        fitted = monge.ColorMap(method, **options).fit(source, target, rng=0, n_jobs=1, threads=1)
        loaded = pickle.loads(pickle.dumps(fitted))
        frame = np.roll(source, 7, axis=1)[:20]
        out = fitted.apply(frame, threads=1)
        np.testing.assert_array_equal(loaded.apply(frame, threads=2), out)
        # A colour goes to one place, wherever it is, and to where it went in the picture.
        np.testing.assert_array_equal(
            fitted.apply(source), np.roll(fitted.apply(np.roll(source, 3, axis=0)), -3, axis=0)
        )
        if method != "minibatch":
            np.testing.assert_array_equal(fitted.apply(source), transfer(source, target, method))
        # Colours that were not there: between the images of those around.
        new = noise(12, 0, 256, (20, 20))
        moved = fitted.apply(new).astype(float)
        line = 60.0 + new / 255.0 * 139.0
        assert np.abs(moved - line).mean() < 12.0
        back = fitted.inverse.apply(fitted.apply(new).astype(np.uint8)).astype(float)
        assert np.abs(back - new).mean() < 25.0
        np.testing.assert_array_equal(fitted.inverse.inverse.apply(frame), out)
        assert repr(loaded) == f"ColorMap({method!r}, fitted)"


class TestExact:
    def test_is_the_map_of_emd(self):
        source, target = noise(0, 0, 4, (9, 11)) * 60, noise(1, 0, 5, (8, 7)) * 51  # few colours, many times
        there, back = transfer(source, target, "exact", both=True)
        (x, a), (y, b) = (np.unique(pixels_of(p) / 255.0, axis=0, return_counts=True) for p in (source, target))
        t = monge.emd(monge.PointCloud(x.astype(np.float32), y.astype(np.float32)), a / a.sum(), b / b.sum())
        for out, picture, points, images in (
            (there, source, x, t.map(y)),
            (back, target, y, (t.plan.T @ x) / t.plan.sum(axis=0)[:, np.newaxis]),
        ):
            wanted = {tuple((255 * p).round()): (255 * q).round() for p, q in zip(points, images, strict=True)}
            for before, after in zip(pixels_of(picture), pixels_of(out), strict=True):
                np.testing.assert_array_equal(after, wanted[tuple(before)])

    def test_permuted_pixels_stay(self):
        source = noise(2, 0, 256)
        target = np.random.default_rng(3).permutation(source.reshape(-1, 3)).reshape(16, 12, 3)
        np.testing.assert_array_equal(transfer(source, target, "exact"), source)

    def test_too_many_colours(self):
        codes = np.arange(141 * 142)
        many = np.stack([codes % 256, codes // 256, 0 * codes], axis=1).astype(np.uint8).reshape(141, 142, 3)
        with pytest.raises(ValueError, match=r"20,000 .* source has 20,022 and the target 1.*'palette' or 'minibatch'"):
            transfer(many, many[:1, :1], "exact")


class TestMinibatch:
    def test_one_batch_of_all_pixels_is_exact(self):
        source, target = noise(0, 0, 256), noise(1, 0, 256, (16, 12))
        x, y = pixels_of(source) / 255.0, pixels_of(target) / 255.0
        out = transfer(source, target, "minibatch", batch_size=192, epochs=1)
        t = monge.emd(monge.PointCloud(x.astype(np.float32), y.astype(np.float32)))
        assert len(np.unique(x, axis=0)) == 192  # no ties: one plan
        np.testing.assert_array_equal(pixels_of(out), (255.0 * t.map(y)).round())

    def test_one_epoch_permutes_the_target(self):
        source, target = noise(2, 0, 256), noise(3, 0, 256, (16, 12))
        there, back = transfer(source, target, "minibatch", batch_size=16, epochs=1, both=True)
        for out, wanted in ((there, target), (back, source)):
            assert sorted(map(tuple, pixels_of(out))) == sorted(map(tuple, pixels_of(wanted)))

    @pytest.mark.parametrize("strata", [True, False])
    def test_means_over_pairs_by_the_mass_that_arrived(self, strata):
        # Against sums over dense plans; the smaller side is met more than once in an epoch, unequally often.
        source, target = noise(4, 0, 256, (10, 10)), noise(5, 0, 256, (5, 7))
        x, y = Side(Picture.read(source, ""), RGB), Side(Picture.read(target, ""), RGB)
        way, work = ByMinibatch(8, 3, strata), Work(7, 1, 1, False)
        cut = way._batches(100, 35, seed_of(7))
        p, q = x.pixels[x.order], y.pixels[y.order]
        P = np.zeros((100, 35))
        for block in range(cut.blocks):
            for group in cut.of(block):
                for rows, columns in zip(*group, strict=True):
                    plan = monge.emd(monge.PointCloud(p[rows], q[columns])).plan.toarray()
                    np.add.at(P, np.ix_(rows, columns), plan * len(rows))  # columns may be there twice
        np.testing.assert_allclose(P.sum(axis=1), 3.0)
        assert len(np.unique(P.sum(axis=0).round(6))) > 1
        there, back = way.moved(x, y, work, both=True)
        np.testing.assert_allclose(there[x.order], P @ q / P.sum(axis=1, keepdims=True), atol=1e-6)
        np.testing.assert_allclose(back[y.order], (P.T @ p) / P.sum(axis=0)[:, np.newaxis], atol=1e-6)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 60), st.booleans(), st.integers(0, 10**6))
    def test_batches_of_an_epoch(self, n, m, size, strata, seed):
        size = min(n, m, size)
        cut = Batches((n, m), size, 2, strata, (seed,))
        epoch = [group for block in range(cut.blocks_of_epoch) for group in cut.of(block)]
        assert sum(len(rows) for rows, _ in epoch) == -(-max(n, m) // size)
        lengths = {side.shape[1] for group in epoch for side in group}
        assert max(lengths) <= size
        assert max(lengths) - min(lengths) <= 1
        for side, count in enumerate((n, m)):
            drawn = [pixel for group in epoch for pixel in group[side].ravel()]
            often = np.bincount(drawn, minlength=count)
            assert often.max() - often.min() <= 1
            for group in epoch if count == max(n, m) else ():
                assert all(len(set(batch)) == len(batch) for batch in group[side].tolist())

    def test_strata(self):
        # Any batch has a pixel from each hundredth, to within one.
        cut = Batches((5000, 4321), 100, 1, True, (0,))
        for rows, columns in cut.of(0):
            for side, n in ((rows, 5000), (columns, 4321)):
                parts = np.sort(side, axis=1) * (100.0 / n)
                assert np.abs(parts - np.arange(side.shape[1]) - 0.5).max() < 2.0
        plain = Batches((5000, 4321), 100, 1, False, (0,)).of(0)[0][0]
        assert np.abs(np.sort(plain, axis=1) / 50.0 - np.arange(plain.shape[1]) - 0.5).max() > 5.0

    def test_strata_make_small_batches_colourful(self):
        source, target = noise(6, 0, 128, (30, 30)), noise(7, 0, 256, (30, 30))
        with_, without = (
            pixels_of(transfer(source, target, "minibatch", batch_size=30, strata=strata)).std()
            for strata in (True, False)
        )
        assert without < 0.88 * pixels_of(target).std() < 0.91 * pixels_of(target).std() < with_

    def test_pixels_seldom_drawn_are_not_dark(self):
        source, target = np.full((40, 40, 3), 30, np.uint8), np.full((3, 7, 3), 222, np.uint8)
        there, back = transfer(source, target, "minibatch", batch_size=20, epochs=1, both=True)
        assert np.unique(there).tolist() == [222]
        assert np.unique(back).tolist() == [30]

    def test_larger_batches_and_fewer_epochs_are_more_colourful(self):
        source, target = noise(6, 0, 128, (30, 30)), noise(7, 0, 256, (30, 30))

        def spread(m, epochs):
            return pixels_of(transfer(source, target, "minibatch", batch_size=m, epochs=epochs, strata=False)).std()

        assert spread(4, 8) < spread(4, 2) < spread(4, 1)
        assert spread(4, 8) < spread(32, 8) < spread(300, 8)
        assert spread(300, 8) > 0.97 * pixels_of(target).std()

    def test_workers_do_not_change_the_bits(self, monkeypatch):
        monkeypatch.setattr(batches, "_MOST", 0.0)  # many blocks
        source, target = noise(8, 0, 256, (20, 30)), noise(9, 0, 256, (25, 20))
        one, two = (
            transfer(source / 255.0, target / 255.0, "minibatch", batch_size=20, n_jobs=n, both=True) for n in (1, 2)
        )
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
        again = transfer(source / 255.0, target / 255.0, "minibatch", batch_size=20, rng=np.random.default_rng(0))
        assert (again != one[0]).any()

    def test_a_block_can_travel(self):
        x, y = (Side(Picture.read(noise(seed, 0, 256, (20, 30)), ""), RGB) for seed in (0, 1))
        sources = source_of(x.pixels, "x"), source_of(y.pixels, "y")
        task = by_minibatch._Block(ByMinibatch(100, 2)._batches(600, 600, seed_of(3)))
        here, there = (each(1, np.random.default_rng(), *sources) for each in (task, pickle.loads(pickle.dumps(task))))
        for left, right in zip(here, there, strict=True):
            np.testing.assert_array_equal(left.pixels, right.pixels)
            np.testing.assert_array_equal(left.sums, right.sums)

    def test_a_time_limit_leaves_no_pixel_out(self, monkeypatch):
        monkeypatch.setattr(batches, "_MOST", 0.0)
        source, target = noise(10, 0, 256, (20, 30)), noise(11, 100, 150, (25, 20))
        with pytest.warns(monge.ConvergenceWarning, match=r"after 1 of \d+ blocks.*Raise time_limit"):
            out = transfer(source, target, "minibatch", batch_size=200, time_limit=0.0)
        assert 80 <= out.min() < out.max() <= 170  # fits may go on a little beyond what arrived
        assert np.corrcoef(out.ravel(), source.ravel())[0, 1] > 0.8

    @settings(max_examples=20, deadline=None)
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(0, 10**6))
    def test_colours_stay_within_those_of_the_target(self, n, m, size, seed):
        rng = np.random.default_rng(seed)
        source, target = rng.random((1, n, 3)), 0.25 + 0.5 * rng.random((m, 1, 3))
        there, back = transfer(source, target, "minibatch", batch_size=min(n, m, size), epochs=2, both=True)
        assert target.min() - 1e-4 <= there.min() <= there.max() <= target.max() + 1e-4
        assert source.min() - 1e-4 <= back.min() <= back.max() <= source.max() + 1e-4

    def test_a_batch_larger_than_a_picture(self):
        with pytest.raises(ValueError, match=r"batch_size .* 4 of the source and 192 of the target; got 5"):
            transfer(noise(0, 0, 9, (2, 2)), noise(1, 0, 9), "minibatch", batch_size=5)


class TestEntropic:
    def test_at_the_palette_it_is_the_map_of_the_plan(self):
        source, target = noise(0, 0, 256), noise(1, 0, 256, (16, 12))
        x, y = pixels_of(source) / 255.0, pixels_of(target) / 255.0
        there, back = transfer(source / 255.0, target / 255.0, "entropic", eps=0.01, both=True)
        t = monge.sinkhorn(monge.PointCloud(x, y), eps=0.01, tol=1e-6)
        np.testing.assert_allclose(pixels_of(there), t.map(y), atol=2e-3)
        np.testing.assert_allclose(pixels_of(back), (t.plan.T @ x) / t.plan.sum(axis=0)[:, np.newaxis], atol=2e-3)

    def test_more_entropy_is_less_colour(self):
        source, target = noise(2, 0, 256), noise(3, 0, 256)
        outs = [pixels_of(transfer(source, target, "entropic", eps=eps)) for eps in (1e-3, 1e-2, 1e-1, 10.0)]
        spreads = [out.std(axis=0).mean() for out in outs]
        assert spreads == sorted(spreads, reverse=True)
        assert spreads[-1] < 2.0


class TestArguments:
    picture = noise(0, 0, 256)

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"method": "sliced"}, "one of 'palette', 'minibatch', 'exact', 'entropic'; got 'sliced'"),
            ({"batch_size": 10}, "batch_size is no option of method='palette', but of 'minibatch'"),
            ({"method": "exact", "colors": 9}, "colors is no option of method='exact', but of 'palette', 'entropic'"),
            ({"method": "entropic", "time_limit": 9.0}, "time_limit is no option"),
            ({"method": "minibatch", "batch_size": 0}, "batch_size should be a positive integer"),
            ({"method": "minibatch", "epochs": 1.5}, "epochs should be a positive integer"),
            ({"method": "minibatch", "rng": -1}, "rng should be"),
            ({"method": "entropic", "eps": 0.0}, "eps should be positive"),
            ({"time_limit": -1.0}, "time_limit should be"),
            ({"source_mask": np.ones((12, 15), bool)}, r"mask of source .* \(12, 16\) .* got shape \(12, 15\)"),
            ({"target_mask": np.ones((12, 16, 1), bool)}, r"mask of target .* \(12, 16, 1\)"),
            ({"target_mask": np.zeros((12, 16), bool)}, "mask of target leaves no pixel"),
        ],
    )
    def test_values(self, options, text):
        with pytest.raises(ValueError, match=text):
            monge.color_transfer(self.picture, self.picture, **options)

    def test_types(self):
        with pytest.raises(TypeError, match=r"mask of source should hold booleans.*mask > 0"):
            monge.color_transfer(self.picture, self.picture, source_mask=np.ones((12, 16)))
        with pytest.raises(TypeError, match="rng should be"):
            monge.color_transfer(self.picture, self.picture, method="minibatch", rng="seed")

    def test_what_does_not_count_may_be_anything_that_comes_back(self):
        picture = self.picture / 255.0
        picture[0, 0], mask = np.nan, np.ones((12, 16), bool)
        mask[0, 0] = False
        out = monge.color_transfer(picture, self.picture, source_mask=mask)
        np.testing.assert_array_equal(np.isnan(out).any(axis=2), ~mask)
        wide = self.picture.astype(int)
        wide[0, 0] = 256
        with pytest.raises(ValueError, match="got 0 to 256"):  # uint8 cannot hold it
            monge.color_transfer(wide, self.picture, source_mask=mask)

    def test_a_map_that_is_not_fitted(self):
        with pytest.raises(RuntimeError, match=r"\.fit\(source, target\)"):
            monge.ColorMap().apply(self.picture)
        with pytest.raises(ValueError, match="epochs is no option"):
            monge.ColorMap("exact", epochs=3)

    def test_palettes_of_16_bits(self):
        # Many pixels of two colours a level apart: rounding may not take them for more, or for one.
        levels = np.array([[60001, 60001, 60001], [60001, 60002, 60001]], np.uint16)
        box, mass = boxes(levels / 65535.0, np.array([3.0, 1e7]), 50)
        assert len(mass) == len(np.unique(box)) == 2
        assert len(boxes(levels[:1] / 65535.0, np.array([1e7]), 50)[1]) == 1
        picture = levels[np.array([[0, 0, 1], [1, 1, 0]])]
        np.testing.assert_array_equal(transfer_colors(picture, picture, colors=50).image, picture)
