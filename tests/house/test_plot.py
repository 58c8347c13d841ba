"""Pictures of plans: what is drawn, where, and that nothing global is touched."""

import numpy as np
import pytest

import monge

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from monge import plot
from monge.maps.color import transfer_colors
from monge.plot.plane import pixels_of


def solved(n: int, m: int, d: int, seed: int = 0) -> tuple[monge.Transport, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 2.0
    return monge.emd(monge.PointCloud(x, y)), x, y


class TestPlan:
    @pytest.mark.parametrize("d", [1, 2, 3])
    def test_draws_lines_and_both_clouds(self, d, tmp_path):
        transport, x, y = solved(20, 30, d)
        ax = plot.plan(transport, x, y)
        lines, sources, targets = ax.collections
        ax.figure.savefig(tmp_path / "plan.png")
        assert (tmp_path / "plan.png").stat().st_size > 1000
        assert len(sources.get_offsets()) == 20
        assert len(targets.get_offsets()) == 30
        assert len(lines.get_segments()) == transport.plan.nnz

    def test_lines_join_the_points_they_should(self):
        transport, x, y = solved(8, 5, 2)
        segments = np.array(plot.plan(transport, x, y).collections[0].get_segments())
        drawn = {(*start, *end) for start, end in segments.tolist()}
        plan = transport.plan
        assert drawn == {(*x[i].tolist(), *y[j].tolist()) for i, j in zip(plan.row, plan.col, strict=True)}

    def test_heaviest_lines_come_first(self):
        transport = monge.emd([[0.0, 1.0], [1.0, 0.0]], a=[0.9, 0.1], b=[0.9, 0.1])
        (segment,) = plot.plan(transport, [0.0, 1.0], [5.0, 6.0], lines=1).collections[0].get_segments()
        np.testing.assert_array_equal(segment, [[0.0, 1.0], [5.0, 0.0]])

    def test_a_vector_is_points_on_the_line_and_zero_weights_are_drawn(self):
        transport = monge.emd([[0.0, 1.0], [1.0, 0.0]], a=[1.0, 0.0], b=[0.5, 0.5])
        ax = plot.plan(transport, [0.0, 1.0], [2.0, 3.0])
        assert ax.collections[1].get_sizes()[1] == 0.0

    def test_draws_where_it_is_told(self):
        transport, x, y = solved(4, 4, 2)
        ax = Figure().add_subplot()
        assert plot.plan(transport, x, y, ax) is ax

    def test_what_does_not_fit(self):
        transport, x, y = solved(4, 6, 2)
        with pytest.raises(ValueError, match="x should hold 4 points"):
            plot.plan(transport, y, x)
        with pytest.raises(ValueError, match="1, 2 or 3 coordinates; got 2 and 1"):
            plot.plan(transport, x, y[:, :1])
        with pytest.raises(ValueError, match="got 4 and 4"):
            plot.plan(*solved(4, 4, 4))


class TestHistogramsPlan:
    @pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 12), (900, 30)])
    def test_the_matrix_holds_all_mass(self, n, m, tmp_path):
        transport = solved(n, m, 1)[0]
        figure = plot.histograms_plan(transport, cells=50)
        figure.savefig(tmp_path / "plan.png")
        image = figure.axes[0].images[0].get_array()
        assert image.shape == (min(n, 50), min(m, 50))
        np.testing.assert_allclose((image**2).sum(), 1.0, rtol=1e-12)


class TestFlow:
    @staticmethod
    def solved(n: int, d: int) -> monge.flows.flow.Flow:
        x = np.random.default_rng(0).normal(size=(n, d))
        return monge.gradient_flow(x, lambda x: monge.energy_distance(x, x[:1] * 0.0), step=0.1, n_steps=5, record=2)

    def test_paths_go_through_what_was_recorded(self, tmp_path):
        flow = self.solved(20, 2)
        ax = plot.flow(flow, [[0.0, 0.0]])
        ax.figure.savefig(tmp_path / "flow.png")
        paths, target, starts, ends = ax.collections
        np.testing.assert_array_equal(np.array(paths.get_segments()), flow.trajectory.swapaxes(0, 1))
        np.testing.assert_array_equal(target.get_offsets(), [[0.0, 0.0]])
        np.testing.assert_array_equal(starts.get_offsets(), flow.trajectory[0])
        np.testing.assert_array_equal(ends.get_offsets(), flow.points)

    def test_on_the_line_over_time(self):
        flow = self.solved(4, 1)
        paths, target, *_ = plot.flow(flow, [0.0, 1.0]).collections
        times = [0.0, 0.2, 0.4, 0.5]
        for path, way in zip(paths.get_segments(), flow.trajectory[:, :, 0].T, strict=True):
            np.testing.assert_allclose(path, np.column_stack([times, way]))
        np.testing.assert_allclose(target.get_offsets(), [[0.5, 0.0], [0.5, 1.0]])

    def test_some_lines_where_it_is_told_and_no_target(self):
        ax = Figure().add_subplot()
        assert plot.flow(self.solved(20, 2), ax=ax, lines=5) is ax
        assert len(ax.collections) == 3
        assert len(ax.collections[0].get_segments()) == 5

    def test_what_does_not_fit(self):
        with pytest.raises(ValueError, match=r"1 or 2 coordinates, and the target as many; got 3\. Draw two"):
            plot.flow(self.solved(4, 3))
        with pytest.raises(ValueError, match="got 2 and 1"):
            plot.flow(self.solved(4, 2), [1.0])


class TestColorTransfer:
    def test_shows_three_pictures_and_the_plan(self, tmp_path):
        source, target = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
        found = transfer_colors(source, target, colors=40)
        figure = plot.color_transfer(source, target, found, lines=25)
        figure.savefig(tmp_path / "plan.png")
        first, second, third, space = figure.axes
        for axes, picture in ((first, source), (second, target), (third, found.image)):
            np.testing.assert_array_equal(axes.images[0].get_array(), picture)
        assert len(space.collections[0].get_segments()) % 25 == 0

    def test_greys_have_no_hue(self, tmp_path):
        grey = np.full((3, 3, 3), 100, np.uint8)
        plot.color_transfer(grey, grey, transfer_colors(grey, grey)).savefig(tmp_path / "plan.png")


def test_laguerre_cells_are_where_they_are() -> None:
    y = np.array([[0.25, 0.5], [0.75, 0.5]])
    found = monge.semidual(lambda rng, n: rng.random((n, 2)), y, [0.25, 0.75], rng=0, samples=20_000, tol=1e-3)
    ax = plot.laguerre(found, limits=(0.0, 1.0, 0.0, 0.5), cells=40)
    cells = np.asarray(ax.images[0].get_array())
    assert cells.shape == (20, 40)
    assert (cells == cells[0]).all()  # an upright border
    assert 9 <= (cells[0] == 0).sum() <= 11  # at a quarter
    with pytest.raises(ValueError, match="limits should"):
        plot.laguerre(found, limits=(1.0, 0.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="in the plane"):
        plot.laguerre(monge.semidual([[0.0], [1.0]], [[0.0], [1.0]]))


class TestCritic:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2)), rng.normal((4.0, 0.0), size=(30, 2))

    def test_values_are_the_background_and_clouds_are_over_it(self, tmp_path):
        ax = plot.critic(lambda points: -points[:, 0], self.x, self.y, limits=(-2.0, 6.0, -2.0, 2.0), cells=40)
        ax.figure.savefig(tmp_path / "critic.png")
        values = np.asarray(ax.images[0].get_array())
        np.testing.assert_allclose(values, np.broadcast_to(1.9 - 0.2 * np.arange(40), (20, 40)), atol=1e-12)
        contours, *clouds = ax.collections
        assert len(contours.get_paths()) > 5
        for drawn, points in zip(clouds, (self.x, self.y), strict=True):
            np.testing.assert_array_equal(drawn.get_offsets(), points)
        # where the function is high, at x, the background has the colour of x
        high, low = (ax.images[0].to_rgba(np.array([value]))[0][:3] for value in (values.max(), values.min()))
        assert high[0] > high[2]
        assert low[2] > low[0]

    def test_what_has_a_potential(self):
        found = monge.semidual(self.x, self.y)
        ax = plot.critic(found, self.x, self.y, Figure().add_subplot(), cells=10)
        at = pixels_of(np.concatenate([self.x, self.y]), None, 10)[1]
        np.testing.assert_array_equal(
            ax.images[0].get_array(), found.potential(at.reshape(-1, 2)).reshape(at.shape[:2])
        )

    def test_a_constant_has_no_contours(self):
        ax = plot.critic(lambda points: np.ones((len(points), 1)), self.x, self.y, cells=5)
        assert len(ax.collections) == 2

    def test_what_does_not_fit(self):
        with pytest.raises(TypeError, match="function of points"):
            plot.critic(1.0, self.x, self.y)
        with pytest.raises(ValueError, match="in the plane; got points of 2 and 1"):
            plot.critic(lambda points: points[:, 0], self.x, self.y[:, 0])
        with pytest.raises(ValueError, match="NaN"):
            plot.critic(lambda points: points[:, 0] * np.nan, self.x, self.y)
        with pytest.raises(ValueError, match="got shape"):
            plot.critic(lambda points: points, self.x, self.y)
        with pytest.raises(ValueError, match="limits should"):
            plot.critic(lambda points: points[:, 0], self.x, self.y, limits=(1.0, 0.0, 0.0, 1.0))
