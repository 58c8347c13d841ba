"""The command line: ``monge demo``, ``color-transfer``, ``distance``, ``warm-up`` and ``info``.

Exit codes: 0 done, 1 failed for a reason that is said in one line, 2 wrong usage, 130 interrupted. Results go to
standard output, progress and remarks to standard error. Inputs may be pipes, and - is standard input. What only one
command needs is imported in it.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

import monge
from monge.problem.arrays import available_threads

__all__ = ["main"]

_EXTRAS = "pip install 'monge[demo]'"
_DEMO_COLORS = 4096
_DPI = 120
_STANDARD_INPUT = Path("-")
# Formats, by Pillow's names, that hold no transparency.
_OPAQUE = ("BMP", "EPS", "JPEG", "MPO", "PCX", "PPM")


class Failure(Exception):
    """An expected error, whose text is all that the user needs to see."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; None for those of the process.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        For wrong usage (2), and for ``--help`` and ``--version`` (0).

    Examples
    --------
    >>> from monge.__main__ import main
    >>> main(["distance", "missing.npy", "missing.npy"])
    1
    """
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _remark
            options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough
        _write_nothing_more()
        return 1
    except OSError as error:  # what is printed goes to a disk that is full
        _write_nothing_more()
        print(f"monge: input or output failed: {error.strerror or error}", file=sys.stderr)
        return 1
    except (Failure, ValueError, TypeError, MemoryError) as error:
        print(f"monge: {error}", file=sys.stderr)
        return 1
    return 0


def _remark(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning, without the line of code that gave it."""
    print(f"monge: {message}", file=sys.stderr)


def _write_nothing_more() -> None:
    """What could not be written to standard output is not tried again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="monge", description="Optimal transport: exact, fast, certified.")
    parser.add_argument("--version", action="version", version=f"monge {monge.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(run=run)
        return sub

    demo = command("demo", _demo, "two photographs, the exact plan between their colours, and a picture of it all")
    demo.add_argument("-o", "--output", type=Path, default=Path("monge-demo.png"), metavar="OUT.png")
    _add_color_options(demo, _DEMO_COLORS)

    transfer = command("color-transfer", _color_transfer, "a picture in the colours of another")
    transfer.add_argument(
        "source", type=Path, metavar="SOURCE", help="picture whose shapes are kept, - for standard input"
    )
    transfer.add_argument("target", type=Path, metavar="TARGET", help="picture whose colours are taken, or -")
    transfer.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png")
    transfer.add_argument("--both", type=Path, metavar="BACK.png", help="and the target in the source's colours, here")
    transfer.add_argument(
        "--method", choices=("palette", "minibatch", "exact", "entropic"), default="palette", help="default palette"
    )
    transfer.add_argument("--mask", type=Path, help="picture that is black where the source stays as it is")
    transfer.add_argument("--chroma", action="store_true", help="keep the luma of every pixel")
    transfer.add_argument("--batch-size", type=_positive, metavar="M", help="pixels of a batch (default 1000)")
    transfer.add_argument("--epochs", type=_positive, metavar="K", help="how often each pixel is met (default 4)")
    transfer.add_argument("--eps", type=float, help="strength of the entropy (default 0.001)")
    transfer.add_argument("--seed", type=int, help="what shuffles the pixels; the same picture for the same number")
    transfer.add_argument("--time-limit", type=float, metavar="S", help="seconds for the transport")
    _add_color_options(transfer, None)

    distance = command("distance", _distance, "the exact Wasserstein distance between two point clouds")
    distance.add_argument("x", type=Path, metavar="X.npy", help="points, (n, d) or (n,), - for standard input")
    distance.add_argument("y", type=Path, metavar="Y.npy", help="points, (m, d) or (m,), or -")
    distance.add_argument("--p", type=float, default=2.0, help="exponent, >= 1 (default 2)")
    distance.add_argument("--a", type=Path, metavar="A.npy", help="weights of x (default uniform)")
    distance.add_argument("--b", type=Path, metavar="B.npy", help="weights of y (default uniform)")
    _add_threads(distance)

    command("warm-up", _warm_up, "compile what monge.sinkhorn needs for grids now, not at its first call")
    command("info", _info, "versions, and what this machine offers")
    return parser


def _add_color_options(parser: argparse.ArgumentParser, colors: int | None) -> None:
    parser.add_argument(
        "--colors",
        type=_positive,
        default=colors,
        metavar="N",
        help=f"most colours of a palette (default {colors or '2048, or 4096 with entropic'})",
    )
    _add_threads(parser)


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=_positive, metavar="N", help="threads (default: all processors)")


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() and len(text) <= 4000 else 0  # more digits are no number for Python
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text!r}")
    return number


# demo


def _demo(options: argparse.Namespace) -> None:
    _require_writable(options.output)
    with _extras():
        from skimage import data

        from monge import plot
        from monge.maps.color import transfer_colors

        # Both in the public domain and inside scikit-image's package: nothing is downloaded.
        photographs: Any = data
        source, target = photographs.rocket(), photographs.coffee()
        begin = time.perf_counter()
        found = transfer_colors(source, target, colors=options.colors, threads=options.threads, progress=True)
        seconds = time.perf_counter() - begin
    transport = found.transport
    _save(options.output, lambda path: plot.color_transfer(source, target, found).savefig(path, dpi=_DPI))
    n, m = transport.shape
    _table(
        {
            "source": f"a launch at night, {source.shape[1]} x {source.shape[0]} pixels, {n} colours (SpaceX)",
            "target": f"a cup of coffee, {target.shape[1]} x {target.shape[0]} pixels, {m} colours (R. Michetti)",
            "points": f"{n} x {m}, a cost matrix of {n * m / 1e6:.1f} million",
            "distance": f"W2 = {transport.cost**0.5:.6f} in the RGB cube",
            "certified gap": f"{transport.gap:.1e} (no plan is cheaper by more)",
            "exact transport": f"{transport.stats['seconds_total']:.2f} s, {transport.iterations} pivots",
            "everything": f"{seconds:.2f} s, with palettes and all {source.shape[0] * source.shape[1]} pixels",
            "picture": str(options.output.resolve()),
        }
    )


# color-transfer


def _color_transfer(options: argparse.Namespace) -> None:
    with _extras():
        import tqdm  # noqa: F401  (the progress bar's, missed here rather than after the pictures are read)
        from PIL import Image

        from monge.maps.color import color_transfer
    Image.init()
    outputs = [path for path in (options.output, options.both) if path is not None]
    for path in outputs:
        if Image.EXTENSION.get(path.suffix.lower()) not in Image.SAVE:
            raise Failure(
                f"{path} should end in the name of an image format, such as .png or .jpg; "
                f"got {path.suffix or 'no ending'!r}."
            )
        _require_writable(path)
    if options.both is not None and options.both.resolve() == options.output.resolve():
        raise Failure(f"--both should not be the file of -o, {options.output}: one picture would replace the other.")
    _require_one_pipe(options.source, options.target, options.mask)
    pictures = [_read_picture(path) for path in (options.source, options.target)]
    moved = color_transfer(
        *pictures,
        method=options.method,
        both=options.both is not None,
        source_mask=None if options.mask is None else _read_picture(options.mask)[..., :3].any(axis=2),
        chroma=options.chroma,
        **{name: getattr(options, name) for name in ("colors", "batch_size", "epochs", "eps", "time_limit", "threads")},
        rng=options.seed,
        n_jobs=options.threads,
        progress=True,
    )
    for path, array in zip(outputs, moved if options.both else [moved], strict=True):
        if array.shape[2] == 4 and Image.EXTENSION[path.suffix.lower()] in _OPAQUE:
            print(f"monge: {path.suffix} cannot hold the transparency of the picture; use .png", file=sys.stderr)
            array = array[..., :3]
        _save(path, Image.fromarray(array).save)
        print(path.resolve())


def _read_picture(path: Path) -> Any:
    """The colours (h, w, 3), upright, or (h, w, 4) with an alpha channel."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with _opened(path) as contents, Image.open(contents) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith(("I", "F")):
                # Deep greyscale, which Pillow would clip at 255.
                values = np.asarray(picture, dtype=np.float64)
                picture = Image.fromarray((values * (255.0 / max(values.max(), 255.0))).clip(0.0).astype(np.uint8))
            return np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))
    except UnidentifiedImageError:
        raise Failure(f"{_named(path)} is not an image that Pillow can read. Convert it to PNG or JPEG.") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise Failure(_reason(path, "read", error)) from None


# distance


def _distance(options: argparse.Namespace) -> None:
    paths = options.x, options.y, options.a, options.b
    _require_one_pipe(*paths)
    x, y, a, b = (None if path is None else _read_array(path) for path in paths)
    print(repr(monge.wasserstein(x, y, a, b, p=options.p, threads=options.threads)))


def _read_array(path: Path) -> Any:
    try:
        with _opened(path) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise Failure(_reason(path, "read", error)) from None
    except (ValueError, EOFError) as error:
        raise Failure(
            f"{_named(path)} should hold an array of numbers in NumPy's .npy format (numpy.save): {error}"
        ) from None


# warm-up


def _warm_up(options: argparse.Namespace) -> None:
    begin = time.perf_counter()
    from monge.entropic.warm_up import kept_in, warm_up

    for name, seconds in warm_up():
        print(f"{name:<24}{seconds:7.2f} s", flush=True)
    _table(
        {
            "all": f"{time.perf_counter() - begin:.2f} s",
            "kept in": kept_in() or "nowhere: no directory can be written to; set NUMBA_CACHE_DIR to one that can",
        }
    )


# info


def _info(options: argparse.Namespace) -> None:
    from monge.exact import _core

    _table(
        {
            "monge": monge.__version__,
            "Python": sys.version.split()[0],
            "NumPy": np.__version__,
            "SciPy": _version("scipy"),
            "Numba": f"{_version('numba')} (for grids, costs of your own and GPUs)",
            "instructions": _core.instruction_set(),
            "threads": str(available_threads(None)),
            "CUDA": _cuda(),
            **{name: _version(name) for name in ("tqdm", "matplotlib", "pillow", "scikit-image", "torch")},
        }
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cuda() -> str:
    # A driver, or a package, can fail in any way it likes: that is the answer then, not an error of this command.
    try:
        metadata.version("numba-cuda")
    except metadata.PackageNotFoundError:
        return "no (numba-cuda is not installed: pip install 'monge[cuda]')"
    try:
        from numba import cuda

        devices: Any = cuda
        if not devices.is_available():
            return "no (no driver, or no device)"
        name = devices.gpus[0].name
        return f"yes ({name.decode() if isinstance(name, bytes) else name})"
    except Exception as error:
        return f"no ({' '.join(str(error).split()) or type(error).__name__})"


# shared by the commands


@contextmanager
def _extras() -> Iterator[None]:
    """A missing optional package becomes a line that names the remedy."""
    try:
        yield
    except ImportError as error:
        raise Failure(f"this command needs {error.name or 'tqdm'}, which is not installed: {_EXTRAS}") from error


def _opened(path: Path) -> BinaryIO:
    """The contents of a file; of a pipe, such as standard input for -, in memory, since readers go back and forth."""
    if path == _STANDARD_INPUT:
        return io.BytesIO(sys.stdin.buffer.read())
    file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    if file.seekable():
        return file
    with file:
        return io.BytesIO(file.read())


def _require_one_pipe(*paths: Path | None) -> None:
    if paths.count(_STANDARD_INPUT) > 1:
        raise Failure("only one input can be -, standard input. Save the others to files.")


def _require_writable(path: Path) -> None:
    """Fails before the work rather than after it. Leaves no file behind, and an existing one as it is."""
    existed = path.exists()
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise Failure(_reason(path, "write", error)) from None
    if not existed:
        path.unlink()


def _save(path: Path, write: Callable[[Path], Any]) -> None:
    try:
        write(path)
    except OSError as error:
        raise Failure(_reason(path, "write", error)) from None


def _reason(path: Path, what: str, error: BaseException) -> str:
    return f"cannot {what} {_named(path)}: {getattr(error, 'strerror', None) or error}"


def _named(path: Path) -> str:
    return "standard input" if path == _STANDARD_INPUT else str(path)


def _table(rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


if __name__ == "__main__":
    sys.exit(main())
