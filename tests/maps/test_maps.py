"""Colour transfer: palettes, the map on pixels, inputs of all kinds."""

import numpy as np
import pytest

import monge
from monge.maps.color import palette, transfer_colors


def photograph(seed: int, shape: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Smooth in the plane, noisy in the small, of thousands of colours."""
    rng = np.random.default_rng(seed)
    i, j = np.mgrid[: shape[0], : shape[1]] / 16.0
    phases, rates = rng.uniform(0, 6, (2, 3))
    waves = np.stack([np.sin(i * rates[c] / 3 + phases[c]) * np.cos(j + phases[c]) for c in range(3)], axis=-1)
    levels = rng.uniform(60, 190, 3) + rng.uniform(20, 60, 3) * waves + rng.normal(scale=3.0, size=waves.shape)
    return levels.clip(0, 255).astype(np.uint8)


def distance_of_colors(x: np.ndarray, y: np.ndarray) -> float:
    (x, a), (y, b) = palette(x, 400), palette(y, 400)
    return monge.wasserstein(x, y, a, b)


class TestPalette:
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 257, 1000])
    def test_size_is_kept_where_there_are_colours(self, size):
        colors, weights = palette(photograph(0), size)
        assert len(colors) == len(weights) == size
        assert len(np.unique(colors, axis=0)) == size
        assert weights.min() > 0.0

    @pytest.mark.parametrize("size", [1, 5, 300])
    def test_mean_and_mass_are_those_of_the_picture(self, size):
        picture = photograph(1)
        colors, weights = palette(picture, size)
        np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-12)
        np.testing.assert_allclose(weights @ colors, picture.reshape(-1, 3).mean(axis=0) / 255.0, rtol=1e-12)

    def test_few_colours_are_found_exactly(self):
        picture = np.array([[[0, 0, 0], [255, 0, 0]], [[255, 0, 0], [0, 0, 1]]], dtype=np.uint8)
        colors, weights = palette(picture, 10)
        order = np.lexsort(colors.T)
        np.testing.assert_allclose(colors[order] * 255.0, [[0, 0, 0], [255, 0, 0], [0, 0, 1]], atol=1e-12)
        np.testing.assert_allclose(weights[order], [0.25, 0.5, 0.25])

    def test_one_colour_is_never_split(self):
        colors, weights = palette(np.full((30, 30, 3), 77, np.uint8), 64)
        np.testing.assert_allclose(colors, [[77 / 255] * 3])
        np.testing.assert_array_equal(weights, [1.0])

    def test_a_colour_at_the_mean_stays_below(self):
        for middle in range(1, 255):  # thirds and 255ths are no binary fractions
            picture = np.zeros((3, 1, 3), np.uint8)
            picture[:, 0, 1] = middle - 1, middle, middle + 1
            colors, _ = palette(picture, 2)
            np.testing.assert_allclose(np.sort(colors[:, 1]) * 255.0, [middle - 0.5, middle + 1.0], rtol=1e-12)

    def test_more_colours_are_nearer_to_the_picture(self):
        picture = photograph(2, (16, 16))
        pixels = picture.reshape(-1, 3) / 255.0
        errors = [monge.wasserstein(pixels, x, None, a) for x, a in (palette(picture, k) for k in (1, 8, 64, 256))]
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] < 0.1 * errors[0]


class TestColorTransfer:
    def test_a_picture_onto_itself_stays(self):
        picture = photograph(3)
        out = monge.color_transfer(picture, picture, colors=300)
        assert np.abs(out.astype(int) - picture).max() <= 1

    def test_colours_become_the_targets(self):
        source, target = photograph(4), photograph(5, (40, 80))
        out = monge.color_transfer(source, target, colors=500)
        assert out.shape == source.shape
        assert out.dtype == np.uint8
        assert distance_of_colors(out, target) < 0.15 * distance_of_colors(source, target)
        np.testing.assert_allclose(out.mean(axis=(0, 1)), target.mean(axis=(0, 1)), atol=3.0)

    def test_constant_pictures(self):
        blue, red = np.zeros((5, 4, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
        blue[..., 2], red[..., 0] = 200, 131
        np.testing.assert_array_equal(monge.color_transfer(blue, red), np.full((5, 4, 3), [131, 0, 0]))

    def test_drawings_of_few_colours_are_recoloured_exactly(self):
        black_white = np.zeros((4, 4, 3), np.uint8)
        black_white[2:] = 255
        dark_light = np.full((2, 2, 3), [10, 20, 30], np.uint8)
        dark_light[1] = [250, 240, 200]
        out = monge.color_transfer(black_white, dark_light)
        np.testing.assert_array_equal(out[:2], np.full((2, 4, 3), [10, 20, 30]))
        np.testing.assert_array_equal(out[2:], np.full((2, 4, 3), [250, 240, 200]))

    def test_a_pixel(self):
        pixel, picture = np.full((1, 1, 3), 9, np.uint8), photograph(6)
        out = monge.color_transfer(pixel, picture, colors=50)
        np.testing.assert_allclose(out[0, 0], picture.mean(axis=(0, 1)), atol=0.51)
        np.testing.assert_array_equal(monge.color_transfer(picture, pixel), np.full_like(picture, 9))

    @pytest.mark.parametrize(
        ("convert", "levels"),
        [
            (lambda p: p.astype(np.int64), 255),
            (lambda p: p.astype(np.uint16) * 257, 65535),
            (lambda p: (p.astype(np.uint16) * 257).astype(">u2"), 65535),
            (lambda p: p / 255.0, 1.0),
            (lambda p: (p / 255.0).astype(np.float32), 1.0),
            (lambda p: p[::-1][::-1], 255),
            (lambda p: np.asfortranarray(p), 255),
            (lambda p: p.tolist(), 255),
        ],
        ids=["int64", "uint16", "big-endian", "float64", "float32", "view", "fortran", "list"],
    )
    def test_every_kind_of_picture_gives_the_same(self, convert, levels):
        source, target = photograph(7, (12, 16)), photograph(8, (12, 16))
        out = monge.color_transfer(convert(source), convert(target), colors=40)
        assert out.dtype == (np.uint8 if levels == 255 else np.asarray(convert(source)).dtype.newbyteorder("="))
        np.testing.assert_allclose(
            out * (255.0 / levels), monge.color_transfer(source, target, colors=40), rtol=0, atol=0.501
        )

    def test_alpha_has_no_part_and_stays(self):
        source, target = photograph(7, (12, 16)), photograph(8, (12, 16))
        alpha = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16, 1)
        out = monge.color_transfer(np.concatenate([source, alpha], axis=2), target, colors=40)
        np.testing.assert_array_equal(out[..., 3:], alpha)
        np.testing.assert_array_equal(out[..., :3], monge.color_transfer(source, target, colors=40))

    def test_arguments_are_left_alone(self):
        source, target = photograph(9, (12, 16)), photograph(10, (12, 16))
        copies = source.copy(), target.copy()
        source.flags.writeable = target.flags.writeable = False
        monge.color_transfer(source, target, colors=40)
        np.testing.assert_array_equal((source, target), copies)

    def test_threads_do_not_change_the_picture(self):
        source, target = photograph(11), photograph(12)
        one = monge.color_transfer(source, target, colors=200, threads=1)
        np.testing.assert_array_equal(monge.color_transfer(source, target, colors=200, threads=3), one)

    def test_the_problem_comes_with_the_picture(self):
        found = transfer_colors(photograph(13), photograph(14), colors=100)
        assert found.transport.converged
        assert found.transport.shape == (len(found.source_palette), len(found.target_palette)) == (100, 100)
        np.testing.assert_allclose(found.transport.plan.sum(axis=1), found.source_weights, atol=1e-12)
        np.testing.assert_allclose(found.transport.plan.sum(axis=0), found.target_weights, atol=1e-12)

    @pytest.mark.parametrize(
        ("picture", "error", "text"),
        [
            (np.zeros((4, 4), np.uint8), ValueError, r"source should be a colour picture .* got shape \(4, 4\)"),
            (np.zeros((4, 4, 2), np.uint8), ValueError, "h, w, 3"),
            (np.zeros((0, 4, 3), np.uint8), ValueError, "h, w, 3"),
            (np.full((4, 4, 3), 256), ValueError, "0..255 .* got 256 to 256"),
            (np.full((4, 4, 3), -1), ValueError, "got -1"),
            (np.full((4, 4, 3), 1.5), ValueError, r"\[0, 1\]"),
            (np.full((4, 4, 3), 200.0), ValueError, "Divide reals by their largest level, such as 255"),
            (np.full((4, 4, 3), np.nan), ValueError, "got nan"),
            (np.full((4, 4, 3), "red"), TypeError, "dtype"),
            (np.full((4, 4, 3), 1j), TypeError, "complex"),
        ],
    )
    def test_what_is_not_a_picture(self, picture, error, text):
        with pytest.raises(error, match=text):
            monge.color_transfer(picture, photograph(0, (4, 4)))
        with pytest.raises(error, match=text.replace("source", "target")):
            monge.color_transfer(photograph(0, (4, 4)), picture)

    @pytest.mark.parametrize("colors", [0, -3, 2.5, True, "many"])
    def test_the_number_of_colours(self, colors):
        with pytest.raises(ValueError, match="colors should be a positive integer"):
            monge.color_transfer(photograph(0, (4, 4)), photograph(1, (4, 4)), colors=colors)


class TestPicturesFromArithmetic:
    dark, light = np.full((4, 4, 3), 20, np.uint8), np.random.default_rng(0).integers(100, 256, (5, 6, 3), np.uint8)

    @pytest.mark.parametrize("beyond", [1e-7, 1e-3, -1e-9, -1e-3])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_reals_beyond_by_rounding(self, beyond, dtype):
        picture = (self.light / 255.0).astype(dtype)
        edge = 1.0 if beyond > 0.0 else 0.0
        picture[0, 0], exact = edge + beyond, picture.copy()
        exact[0, 0] = edge
        assert (picture != exact).any()
        np.testing.assert_array_equal(monge.color_transfer(picture, self.dark), monge.color_transfer(exact, self.dark))
        np.testing.assert_array_equal(monge.color_transfer(self.dark, picture), monge.color_transfer(self.dark, exact))

    @pytest.mark.parametrize("value", [1.003, -0.003, np.nan, np.inf, 255.0])
    def test_reals_that_are_no_colours(self, value):
        picture = self.light / 255.0
        picture[1, 2, 0] = value
        with pytest.raises(ValueError, match=r"source should hold integers in 0\.\.255 or reals in \[0, 1\]; got"):
            monge.color_transfer(picture, self.dark)

    @pytest.mark.parametrize("value", [-1, 256])
    def test_integers_that_are_no_colours(self, value):
        picture = self.dark.astype(int)
        picture[0, 0, 0] = value
        with pytest.raises(ValueError, match=rf"target should hold .* got (20 to {value}|{value} to 20)"):
            monge.color_transfer(self.light, picture)

    def test_masks_are_not_dropped(self):
        masked = np.ma.masked_array(self.light, mask=self.light > 200)
        with pytest.raises(TypeError, match=r"source is masked.*\.filled\(value\)"):
            monge.color_transfer(masked, self.dark)
        with pytest.raises(TypeError, match="target is masked"):
            monge.color_transfer(self.dark, masked)
        whole = np.ma.masked_array(self.light)
        np.testing.assert_array_equal(
            monge.color_transfer(whole, self.dark), monge.color_transfer(self.light, self.dark)
        )
