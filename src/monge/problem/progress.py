"""Progress bars, on request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

__all__ = ["count_bar", "pass_bar", "pivot_bar", "progress_bar", "step_bar"]

# Seconds before a bar shows: what is over by then needs none, and a flash of one explains nothing.
_DELAY = 0.1

# Made once: it takes a microsecond, and small problems are solved in a few.
_NO_BAR: AbstractContextManager[None] = nullcontext()


def progress_bar(**options: Any) -> Any:
    """A tqdm bar. ImportError, with the remedy, where tqdm is not installed."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install tqdm") from error
    return tqdm(**{"delay": _DELAY, "dynamic_ncols": True, **options})


def pivot_bar(wanted: bool) -> AbstractContextManager[Callable[[int, int, float], None] | None]:
    """A function that shows pivots, sweeps and the worst violated arc of the exact solver; None if not wanted.

    How many pivots a solve takes is not known before, so the bar has no end; but the worst violation, the largest
    amount by which f_i + g_j exceeds the cost, falls to zero, and the sweeps that look for it are about ten.
    """
    return _pivot_bar() if wanted else _NO_BAR


@contextmanager
def _pivot_bar() -> Iterator[Callable[[int, int, float], None]]:
    with progress_bar(desc="emd", unit=" pivots", unit_scale=True) as bar:

        def report(pivots: int, sweeps: int, violation: float) -> None:
            seen = {"worst violation": f"{violation:.1e}"} if 0.0 < violation < math.inf else {}
            bar.set_postfix({"sweeps": sweeps, **seen}, refresh=False)
            bar.update(pivots - bar.n)

        yield report


@contextmanager
def count_bar(wanted: bool, total: int, desc: str, unit: str) -> Iterator[Callable[..., None] | None]:
    """A function that is told how many of `total` are done, and figures by name, and shows it; None if not wanted."""
    if not wanted:
        yield None
        return
    with progress_bar(total=total, desc=desc, unit=f" {unit}") as bar:

        def report(done: int, **figures: str) -> None:
            if figures:
                bar.set_postfix(figures, refresh=False)
            bar.update(done - bar.n)

        yield report


def pass_bar(
    wanted: bool, desc: str = "sinkhorn"
) -> AbstractContextManager[Callable[[int, float, float], None] | None]:
    """A function that shows passes, eps and the marginal error of an entropic solver; None if not wanted."""
    return _pass_bar(desc) if wanted else _NO_BAR


@contextmanager
def _pass_bar(desc: str) -> Iterator[Callable[[int, float, float], None]]:
    with progress_bar(desc=desc, unit=" passes") as bar:

        def report(passes: int, eps: float, error: float) -> None:
            bar.set_postfix({"eps": f"{eps:.1e}", "marginal error": f"{error:.1e}"}, refresh=False)
            bar.update(passes - bar.n)

        yield report


@contextmanager
def step_bar(wanted: bool, desc: str) -> Iterator[Callable[[int], None] | None]:
    """A function that is told how many steps are done, of a number that is not known before; None if not wanted."""
    if not wanted:
        yield None
        return
    with progress_bar(desc=desc, unit=" steps") as bar:
        yield lambda done: bar.update(done - bar.n)
