"""Pictures of training and of what models make."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="monge.neural needs the extra torch")
pytest.importorskip("matplotlib", reason="pictures need the extra demo")

from matplotlib.figure import Figure
from tiny import Dual, Primal

from monge import plot
from monge.neural import Watch

X = np.random.default_rng(0).normal(size=(40, 2))


class TestTraining:
    def test_value_metrics_and_outer_steps(self, tmp_path):
        watches = [Watch(lambda model: 2.0 * model.step, name=name, every=2) for name in ("one", "other")]
        model = Dual(n_steps=3, n_outer=2, rng=0).fit(X, callbacks=watches)
        figure = plot.training(model, share=0.5)
        figure.savefig(tmp_path / "training.png")
        top, *rows = figure.axes
        assert [axes.get_label() for axes in rows] == ["one", "other"]
        values, smooth, outer = (line.get_xydata() for line in top.lines)
        np.testing.assert_array_equal(values, np.column_stack([np.arange(1, 7), model.history.value]))
        np.testing.assert_array_equal(smooth[:, 1], model.history.smoothed(0.5))
        assert outer[:, 0].tolist() == [3.5, 3.5]
        assert rows[0].lines[0].get_xydata().tolist() == [[2, 4], [4, 8], [6, 12]]
        assert rows[-1].get_xlabel() == "iteration"

    def test_a_history_where_it_is_told(self):
        figure = Figure()
        assert plot.training(Primal(rng=0).fit(X).history, figure) is figure
        assert [axes.get_label() for axes in figure.axes] == ["value"]
        assert len(figure.axes[0].lines) == 2

    def test_what_has_none(self):
        with pytest.raises(TypeError, match="that was fitted, or its history; got list"):
            plot.training([1.0, 2.0])
        with pytest.raises(ValueError, match="fitted"):
            plot.training(Primal())


class TestSamples:
    def test_both_and_no_more_than_asked_for(self, tmp_path):
        far = np.concatenate([X, [[1e6, 0.0]]])
        ax = plot.samples(far, X + 1.0, points=20)
        ax.figure.savefig(tmp_path / "samples.png")
        target, generated = ax.collections
        np.testing.assert_array_equal(target.get_offsets(), (X + 1.0)[::2])
        np.testing.assert_array_equal(generated.get_offsets(), far[::3])
        assert ax.get_xlim()[1] < 10.0
        other = Figure().add_subplot()
        assert plot.samples(X, X, other) is other

    def test_what_does_not_fit(self):
        with pytest.raises(ValueError, match="in the plane; got points of 3 and 2 coordinates"):
            plot.samples(np.zeros((4, 3)), X)


class TestPictures:
    @pytest.mark.parametrize("shape", [(5, 4, 6), (5, 1, 4, 6), (5, 3, 4, 6), (5, 4, 6, 3)])
    def test_each_is_where_it_should_be(self, shape, tmp_path):
        images = np.random.default_rng(0).random(shape)
        ax = plot.pictures(images, columns=3, limits=(0.0, 2.0))
        ax.figure.savefig(tmp_path / "pictures.png")
        sheet = np.asarray(ax.images[0].get_array())
        assert sheet.shape == (11, 22, 3)
        last = sheet[6:10, 8:14]  # second row, second column
        colors = images[4]
        if len(shape) == 4 and shape[1] in (1, 3):
            colors = np.moveaxis(colors, 0, -1)
        np.testing.assert_allclose(last, np.broadcast_to(colors.reshape(4, 6, -1) / 2.0, (4, 6, 3)))
        assert (sheet[6:10, 15:] == 1.0).all()

    def test_black_and_white(self):
        grey = np.array([[[0, 255], [51, 102]]])
        for images, low in ((grey.astype(np.uint8), 0.0), (grey - 10.0, 0.0), (np.full((1, 2, 2), 7.0), 0.0)):
            sheet = np.asarray(plot.pictures(images).images[0].get_array())
            assert sheet[1, 1, 0] == low
        assert np.asarray(plot.pictures(grey[:, :1, :1].astype(np.uint8) + 51).images[0].get_array())[1, 1, 0] == 0.2
        other = Figure().add_subplot()
        assert plot.pictures(grey, other) is other

    def test_what_does_not_fit(self):
        for images in (np.zeros((3, 3)), np.zeros((2, 4, 4, 4)), np.zeros((0, 4, 4))):
            with pytest.raises(ValueError, match=r"images should be an array of shape \(n, h, w\)"):
                plot.pictures(images)
        for options in ({"limits": (1.0, 1.0)}, {}):
            with pytest.raises(ValueError, match="limits should be low < high, and images finite"):
                plot.pictures(np.full((2, 4, 4), np.nan), **options)
