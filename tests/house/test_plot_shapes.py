"""Pictures of densities on grids: images and solids."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib, from the extra 'demo'")
from matplotlib.figure import Figure

from monge import plot


def sheet(ax):
    return np.asarray(ax.images[0].get_array())


def ball(side, axes, radius=0.6):
    x = np.linspace(-1.0, 1.0, side)
    return (np.linalg.norm(np.meshgrid(*[x] * axes, indexing="ij"), axis=0) < radius).astype(float)


class TestShapes:
    def test_images_have_ink_where_mass_is(self, tmp_path):
        images = np.array([[[0.0, 2.0], [2.0, 1.0]], [[5.0, 0.0], [0.0, 0.0]]])
        ax = plot.shapes(images, columns=2, colors=[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        ax.figure.savefig(tmp_path / "shapes.png")
        picture = sheet(ax)
        # All ink from 9 / 5, the mean of the density over the mass, on.
        np.testing.assert_allclose(picture[1:3, 1:3, 1], [[1.0, 0.0], [0.0, 1.0 - 5.0 / 9.0]])
        np.testing.assert_array_equal(picture[1:3, 1:3, 0], 1.0)
        np.testing.assert_array_equal(picture[1:3, 4:6, 0], [[0.0, 1.0], [1.0, 1.0]])
        np.testing.assert_array_equal(picture[1:3, 4:6, 2], 1.0)

    def test_the_unit_of_mass_is_of_no_importance(self):
        image = np.random.default_rng(0).random((1, 5, 4))
        np.testing.assert_allclose(sheet(plot.shapes(image)), sheet(plot.shapes(1e-9 * image)))

    def test_a_ball_is_round_and_lit_from_the_upper_left(self):
        ax = Figure().add_subplot()
        assert plot.shapes([ball(25, 3)], ax) is ax
        picture = sheet(ax)
        drawn = (picture < 1.0).any(axis=2)
        rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
        assert abs(len(rows) - len(columns)) <= 2
        assert drawn.sum() == pytest.approx(np.pi / 4.0 * len(rows) * len(columns), rel=0.03)
        # By the radius in cells, 0.6 of twelve, at three pixels each.
        assert len(rows) == pytest.approx(3.0 * 2.0 * 0.6 * 12.0, abs=3.0)
        quarter, half = len(rows) // 4, len(rows) // 2
        upper_left = picture[rows[0] + quarter, columns[0] + quarter].sum()
        lower_right = picture[rows[0] + half + quarter, columns[0] + half + quarter].sum()
        assert upper_left > 1.3 * lower_right

    def test_the_first_axis_points_up(self):
        pole = np.zeros((21, 21, 21))
        pole[:, 9:12, 9:12] = 1.0
        pole[2:7, 6:15, 6:15] = 1.0  # thick near its first end, from which it is seen
        drawn = (sheet(plot.shapes([pole])) < 1.0).any(axis=2)
        rows = np.flatnonzero(drawn.any(axis=1))
        assert len(rows) > 1.4 * drawn.any(axis=0).sum()
        widths = drawn[rows].sum(axis=1)
        assert widths.argmax() < len(rows) / 2

    def test_what_does_not_fit(self):
        for densities in (np.full((1, 2, 2), -1.0), np.full((1, 2, 2), np.nan), np.zeros((0, 2, 2))):
            with pytest.raises(ValueError, match="densities should be finite and not negative"):
                plot.shapes(densities)
        with pytest.raises(ValueError, match=r"an array of shape \(n, h, w\) or \(n, h, w, d\)"):
            plot.shapes(np.ones((2, 2)))
        with pytest.raises(ValueError, match=r"each shape should have some mass; densities\[1\] is zero"):
            plot.shapes([np.ones((2, 2)), np.zeros((2, 2))])
        for colors in ([0.0, 2.0, 0.0], np.zeros((3, 3))):
            with pytest.raises(ValueError, match=r"colors should be numbers from 0 to 1 of shape \(3,\) or \(2, 3\)"):
                plot.shapes(np.ones((2, 2, 2)), colors=colors)
