"""The command line, in this process and, where the process matters, in its own; and the snippets of README.md."""

import builtins
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import monge
from monge.__main__ import main
from monge.maps.color import palette

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("skimage")

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "monge", *arguments], capture_output=True, text=True)


def picture(path: Path, seed: int, mode: str = "RGB", size: tuple[int, int] = (24, 16)) -> Path:
    rng = np.random.default_rng(seed)
    low, high = np.sort(rng.integers(0, 256, (2, 4)), axis=0)
    Image.fromarray(rng.integers(low, high + 1, (size[1], size[0], 4), dtype=np.uint8)).convert(mode).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file)


@pytest.fixture
def without(monkeypatch):
    """Makes the import of a package, and of what is in it, fail."""

    def hide(package: str) -> None:
        real = builtins.__import__

        def fake(name, *args, **kwargs):
            if name.split(".")[0] == package:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
            return real(name, *args, **kwargs)

        for name in [m for m in sys.modules if m.split(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(builtins, "__import__", fake)

    return hide


class TestDemo:
    def test_writes_the_picture_and_the_table(self, tmp_path, capsys):
        out = tmp_path / "demo.png"
        assert main(["demo", "-o", str(out), "--colors", "150", "--threads", "1"]) == 0
        shown = capsys.readouterr().out
        for row in ("150 x 150", "W2 = ", "certified gap", "pivots", " s,", str(out)):
            assert row in shown
        height, width, _ = pixels(out).shape
        assert width >= 1200
        assert height >= 800

    def test_result_has_the_colours_of_the_target(self):
        from skimage import data

        source, target = data.rocket(), data.coffee()
        (x, a), (y, b), (z, c) = (
            palette(p, 300) for p in (source, target, monge.color_transfer(source, target, colors=300))
        )
        assert monge.wasserstein(z, y, c, b) < 0.15 * monge.wasserstein(x, y, a, b)

    def test_default_output_is_here(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert main(["demo", "--colors", "20"]) == 0
        assert (tmp_path / "monge-demo.png").is_file()
        assert str(tmp_path / "monge-demo.png") in capsys.readouterr().out

    @pytest.mark.parametrize("package", ["matplotlib", "skimage", "tqdm"])
    def test_missing_extras_name_the_remedy(self, package, without, tmp_path, capsys):
        without(package)
        for name in [m for m in sys.modules if f"{m}.".startswith("monge.plot.")]:
            del sys.modules[name]
        if hasattr(monge, "plot"):
            del monge.plot
        assert main(["demo", "-o", str(tmp_path / "a.png"), "--colors", "20"]) == 1
        error = capsys.readouterr().err
        assert f"needs {package}" in error
        assert "pip install 'monge[demo]'" in error
        assert len(error.strip().splitlines()) == 1


class TestColorTransfer:
    def transfer(self, source, target, out, *more):
        return main(["color-transfer", str(source), str(target), "-o", str(out), "--colors", "64", *more])

    def test_colours_approach_the_targets(self, tmp_path, capsys):
        source, target = picture(tmp_path / "a.png", 0), picture(tmp_path / "b.jpg", 1)
        assert self.transfer(source, target, tmp_path / "out.png") == 0
        assert capsys.readouterr().out.strip() == str(tmp_path / "out.png")
        before, wanted, after = (pixels(p) for p in (source, target, tmp_path / "out.png"))
        assert after.shape == before.shape
        x, y, z = (p.reshape(-1, 3).astype(float) for p in (before, wanted, after))
        assert monge.wasserstein(z, y) < 0.5 * monge.wasserstein(x, y)

    def test_alpha_is_kept(self, tmp_path):
        source, target = picture(tmp_path / "a.png", 2, "RGBA"), picture(tmp_path / "b.png", 3)
        assert self.transfer(source, target, tmp_path / "out.png") == 0
        np.testing.assert_array_equal(pixels(tmp_path / "out.png")[..., 3], pixels(source)[..., 3])

    @pytest.mark.parametrize("ending", ["jpg", "pcx"])
    def test_alpha_that_the_format_cannot_hold_is_said(self, ending, tmp_path, capsys):
        source, target = picture(tmp_path / "a.png", 2, "RGBA"), picture(tmp_path / "b.png", 3)
        assert self.transfer(source, target, tmp_path / f"out.{ending}") == 0
        assert "transparency" in capsys.readouterr().err
        assert pixels(tmp_path / f"out.{ending}").shape == (16, 24, 3)

    @pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "I;16"])
    def test_other_modes_are_converted(self, mode, tmp_path):
        source, target = tmp_path / "a.tif", picture(tmp_path / "b.png", 5)
        if mode == "I;16":
            Image.fromarray(np.arange(24 * 16, dtype=np.uint16).reshape(16, 24) * 170).save(source)
        else:
            picture(source, 4, mode)
        assert self.transfer(source, target, tmp_path / "out.png") == 0
        assert pixels(tmp_path / "out.png").shape == (16, 24, 3)

    def test_exif_orientation_is_respected(self, tmp_path):
        source, target = tmp_path / "a.jpg", picture(tmp_path / "b.png", 6)
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by a quarter
        Image.new("RGB", (24, 16), "teal").save(source, exif=exif)
        assert self.transfer(source, target, tmp_path / "out.png") == 0
        assert pixels(tmp_path / "out.png").shape == (24, 16, 3)

    def test_errors_are_one_line_and_come_before_the_work(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("monge.maps.color.color_transfer", lambda *a, **k: pytest.fail("work was started"))
        good, text = picture(tmp_path / "a.png", 7), tmp_path / "text.png"
        text.write_text("no picture")
        broken = tmp_path / "broken.png"
        broken.write_bytes(good.read_bytes()[:100])
        for source, out, words in (
            (tmp_path / "none.png", "out.png", "No such file"),
            (tmp_path, "out.png", "directory"),
            (text, "out.png", "not an image"),
            (broken, "out.png", "cannot read"),
            (good, "missing/out.png", "cannot write"),
            (good, "out", "no ending"),
            (good, "out.xyz", "'.xyz'"),
            (good, "out.fits", "'.fits'"),  # which Pillow reads, but cannot write
        ):
            assert self.transfer(source, good, tmp_path / out) == 1
            error = capsys.readouterr().err
            assert words in error
            assert len(error.strip().splitlines()) == 1
            assert not (tmp_path / "out.png").exists()

    def test_an_existing_output_survives_a_failure(self, tmp_path):
        out = picture(tmp_path / "out.png", 8)
        kept = out.read_bytes()
        assert self.transfer(tmp_path / "none.png", out, out) == 1
        assert out.read_bytes() == kept

    def test_both_pictures_of_a_method(self, tmp_path, capsys):
        source, target = picture(tmp_path / "a.png", 2, "RGBA"), picture(tmp_path / "b.png", 3, size=(20, 12))
        options = ("--method", "minibatch", "--batch-size", "60", "--epochs", "2", "--seed", "5")
        arguments = ["color-transfer", str(source), str(target), *options, "-o", str(tmp_path / "there.png")]
        assert main([*arguments, "--both", str(tmp_path / "back.png")]) == 0
        assert capsys.readouterr().out.split() == [str(tmp_path / "there.png"), str(tmp_path / "back.png")]
        there, back = monge.color_transfer(
            pixels(source), pixels(target), method="minibatch", batch_size=60, epochs=2, rng=5, both=True
        )
        np.testing.assert_array_equal(pixels(tmp_path / "there.png"), there)
        np.testing.assert_array_equal(pixels(tmp_path / "back.png"), back)

    def test_one_file_for_two_pictures(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("monge.maps.color.color_transfer", lambda *a, **k: pytest.fail("work was started"))
        monkeypatch.chdir(tmp_path)
        good = picture(tmp_path / "a.png", 7)
        assert self.transfer(good, good, tmp_path / "out.png", "--both", "out.png") == 1
        assert "--both should not be the file of -o" in capsys.readouterr().err

    def test_a_warning_is_one_line(self, tmp_path):
        source, target = picture(tmp_path / "a.png", 7), picture(tmp_path / "b.png", 8)
        more = (
            "--method",
            "minibatch",
            "--batch-size",
            "1",
            "--time-limit",
            "0",
            "--threads",
            "1",
            "-o",
            str(tmp_path / "out.png"),
        )
        done = run("color-transfer", str(source), str(target), *more)
        assert done.returncode == 0
        remarks = [line for line in done.stderr.splitlines() if "limit" in line]
        assert len(remarks) == 1
        assert remarks[0].split("\r")[-1].startswith("monge: color_transfer: the time limit was over after")
        assert "Warning" not in done.stderr

    def test_a_mask(self, tmp_path, capsys):
        source, target = picture(tmp_path / "a.png", 2), picture(tmp_path / "b.png", 3)
        mask = np.zeros((16, 24), np.uint8)
        mask[4:9, 3:20] = 255
        Image.fromarray(mask).save(tmp_path / "mask.png")
        assert self.transfer(source, target, tmp_path / "out.png", "--mask", str(tmp_path / "mask.png")) == 0
        moved = (pixels(tmp_path / "out.png") != pixels(source)).any(axis=2)
        assert moved[mask > 0].mean() > 0.9
        assert not moved[mask == 0].any()
        Image.fromarray(mask[1:]).save(tmp_path / "mask.png")
        assert self.transfer(source, target, tmp_path / "out.png", "--mask", str(tmp_path / "mask.png")) == 1
        assert "the mask of source should have the shape (16, 24)" in capsys.readouterr().err

    def test_an_option_of_another_method(self, tmp_path, capsys):
        source, target = picture(tmp_path / "a.png", 2), picture(tmp_path / "b.png", 3)
        assert self.transfer(source, target, tmp_path / "out.png", "--epochs", "2") == 1
        assert "epochs is no option of method='palette', but of 'minibatch'" in capsys.readouterr().err

    def test_missing_pillow_names_the_remedy(self, without, tmp_path, capsys):
        without("PIL")
        assert self.transfer("a.png", "b.png", tmp_path / "out.png") == 1
        assert "needs PIL, which is not installed: pip install 'monge[demo]'" in capsys.readouterr().err


class TestDistance:
    @pytest.fixture
    def saved(self, tmp_path):
        def save(**arrays):
            for name, values in arrays.items():
                np.save(tmp_path / f"{name}.npy", values)
            return [str(tmp_path / f"{name}.npy") for name in arrays]

        return save

    def test_prints_one_number(self, saved, capsys):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(30, 2)), rng.normal(size=(20, 2))
        assert main(["distance", *saved(x=x, y=y)]) == 0
        assert float(capsys.readouterr().out) == monge.wasserstein(x, y)

    def test_exponent_and_weights(self, saved, capsys):
        x, y, a, b = np.array([0.0, 1.0]), np.array([3.0]), np.array([0.25, 0.75]), np.array([1.0])
        files = saved(x=x, y=y, a=a, b=b)
        assert main(["distance", *files[:2], "--p", "1", "--a", files[2], "--b", files[3]]) == 0
        assert float(capsys.readouterr().out) == pytest.approx(2.25)

    @pytest.mark.parametrize(
        ("y", "words"),
        [
            (np.zeros((3, 5)), "same dimension"),
            (np.full((3, 2), np.nan), "finite"),
            (np.array([{}]), "npy"),
            (np.array(["a"]), "real numbers"),
        ],
    )
    def test_bad_points(self, y, words, saved, capsys):
        assert main(["distance", *saved(x=np.zeros((3, 2)), y=y)]) == 1
        shown = capsys.readouterr()
        assert words in shown.err
        assert shown.out == ""

    def test_bad_files(self, tmp_path, capsys):
        (tmp_path / "empty.npy").touch()
        (tmp_path / "text.npy").write_text("1 2 3 and more than a header")
        for name, words in (("none.npy", "No such file"), ("empty.npy", "npy"), ("text.npy", "npy")):
            assert main(["distance", str(tmp_path / name), str(tmp_path / name)]) == 1
            assert words in capsys.readouterr().err

    def test_bad_exponent(self, saved, capsys):
        assert main(["distance", *saved(x=np.zeros(2), y=np.ones(2)), "--p", "0.5"]) == 1
        assert "p should be" in capsys.readouterr().err


class TestWarmUp:
    def test_reports_what_it_did(self, capsys):
        assert main(["warm-up"]) == 0
        shown = capsys.readouterr().out
        for row in ("solving on grids", "rounding on grids", "all", "kept in"):
            assert row in shown


class TestInfo:
    ROWS = ("monge", "Python", "NumPy", "SciPy", "Numba", "instructions", "threads", "CUDA", "torch")

    def test_says_all_there_is(self, capsys):
        assert main(["info"]) == 0
        shown = capsys.readouterr().out
        for row in self.ROWS:
            assert re.search(rf"^{row} +\S", shown, re.MULTILINE)
        assert monge.__version__ in shown

    def test_survives_without_anything(self, without, monkeypatch, capsys):
        from importlib import metadata

        def nothing(name):
            raise metadata.PackageNotFoundError(name)

        without("numba")
        monkeypatch.setattr(metadata, "version", nothing)
        assert main(["info"]) == 0
        shown = capsys.readouterr().out
        assert shown.count("not installed") >= 6
        assert "monge[cuda]" in shown

    def test_survives_a_broken_driver(self, without, monkeypatch, capsys):
        from importlib import metadata

        monkeypatch.setattr(metadata, "version", lambda name: "1.0")
        without("numba")
        assert main(["info"]) == 0
        assert re.search(r"^CUDA +no \(No module named 'numba'\)", capsys.readouterr().out, re.MULTILINE)


class TestProcess:
    def test_module(self):
        done = run("info")
        assert done.returncode == 0, done.stderr
        assert "instructions" in done.stdout
        assert done.stderr == ""

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["dance"],
            ["demo", "--colors", "0"],
            ["demo", "--threads", "x"],
            ["color-transfer", "a.png"],
            ["distance", "a.npy"],
        ],
    )
    def test_wrong_usage_is_2(self, arguments, capsys):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "usage: monge" in capsys.readouterr().err

    def test_errors_have_no_traceback(self):
        done = run("distance", "none.npy", "none.npy")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "monge: cannot read none.npy: No such file or directory\n"

    def test_interrupt_is_quiet(self, monkeypatch, capsys):
        def interrupted(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr("monge.__main__._read_array", interrupted)
        assert main(["distance", "x.npy", "y.npy"]) == 130
        assert capsys.readouterr() == ("", "")

    def test_a_closed_pipe_is_quiet(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([sys.executable, "-m", "monge", "info"], stdout=writer, stderr=subprocess.PIPE, text=True)
        os.close(writer)
        assert done.stderr == ""

    def test_the_entry_point_is_installed(self):
        from importlib.metadata import entry_points

        (script,) = entry_points(group="console_scripts", name="monge")
        assert script.load() is main


def test_the_pictures_of_the_readme_exist_and_are_small():
    names = re.findall(r"docs/images/[\w.-]+", (ROOT / "README.md").read_text())
    assert names
    assert sum((ROOT / name).stat().st_size for name in set(names)) < 600_000


def piped(data: bytes, *arguments: str, **options) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "monge", *arguments]
    return subprocess.run(command, input=data, capture_output=True, **options)


class TestPipes:
    @pytest.fixture
    def files(self, tmp_path):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(30, 2)), rng.normal(size=(20, 2))
        for name, values in (("x", x), ("y", y), ("b", np.full(20, 0.05))):
            np.save(tmp_path / f"{name}.npy", values)
        return tmp_path, f"{monge.wasserstein(x, y)!r}\n".encode()

    @pytest.mark.parametrize("name", ["-", "/dev/stdin"])
    def test_points_from_a_pipe(self, files, name):
        path, expected = files
        done = piped((path / "x.npy").read_bytes(), "distance", name, str(path / "y.npy"))
        assert (done.stdout, done.stderr) == (expected, b"")
        weighted = ["distance", str(path / "x.npy"), str(path / "y.npy"), "--b", name]
        assert piped((path / "b.npy").read_bytes(), *weighted).stdout == expected

    def test_points_from_a_file_as_standard_input(self, files):
        path, expected = files
        with open(path / "x.npy", "rb") as file:
            command = [sys.executable, "-m", "monge", "distance", "-", str(path / "y.npy")]
            assert subprocess.run(command, stdin=file, capture_output=True).stdout == expected

    @pytest.mark.parametrize("data", [b"", b"1 2 3"])
    def test_no_points_in_it(self, files, data):
        path, _ = files
        done = piped(data, "distance", "-", str(path / "y.npy"))
        assert done.returncode == 1
        assert done.stderr.startswith(b"monge: standard input should hold an array of numbers in NumPy's .npy format")
        assert len(done.stderr.splitlines()) == 1

    def test_one_input_only(self, capsys):
        for arguments in (["distance", "-", "-"], ["color-transfer", "-", "-", "-o", "out.png"]):
            assert main(arguments) == 1
            assert "only one input can be -" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["-", "/dev/stdin"])
    def test_pictures_from_a_pipe(self, tmp_path, name):
        source, target, out = picture(tmp_path / "a.png", 1), picture(tmp_path / "b.png", 2), tmp_path / "out.png"
        assert main(["color-transfer", str(source), str(target), "-o", str(out)]) == 0
        expected = pixels(out)
        done = piped(source.read_bytes(), "color-transfer", name, str(target), "-o", str(out))
        assert done.returncode == 0, done.stderr
        np.testing.assert_array_equal(pixels(out), expected)
        done = piped(b"no picture", "color-transfer", name, str(target), "-o", str(out))
        assert done.returncode == 1
        assert b"is not an image that Pillow can read" in done.stderr


class TestLimits:
    @pytest.mark.parametrize("threads", [str(10**30), "9" * 3999])
    def test_more_threads_than_there_can_be(self, threads, tmp_path, capsys):
        np.save(tmp_path / "x.npy", np.eye(3))
        assert main(["distance", *[str(tmp_path / "x.npy")] * 2, "--threads", threads]) == 0
        assert capsys.readouterr().out == "0.0\n"

    def test_a_number_too_long_to_be_one(self, capsys):
        with pytest.raises(SystemExit):
            main(["distance", "x.npy", "y.npy", "--threads", "9" * 5000])
        assert "expected a positive integer" in capsys.readouterr().err

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
    @pytest.mark.parametrize("arguments", [["info"], ["distance", "x.npy", "x.npy"]])
    def test_a_full_disk(self, arguments, tmp_path):
        np.save(tmp_path / "x.npy", np.eye(3))
        command = [sys.executable, "-m", "monge", *arguments]
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr == b"monge: input or output failed: No space left on device\n"

    def test_a_disk_that_is_full_when_the_picture_is_saved(self, tmp_path, capsys, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        source, out = picture(tmp_path / "a.png", 3), tmp_path / "out.png"
        monkeypatch.setattr(Image.Image, "save", full)
        assert main(["color-transfer", str(source), str(source), "-o", str(out)]) == 1
        assert f"monge: cannot write {out}: No space left on device" in capsys.readouterr().err
