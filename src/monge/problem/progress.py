"""Progress bars, on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["pivot_bar", "progress_bar"]


def progress_bar(**options: Any) -> Any:
    """A tqdm bar. ImportError, with the remedy, where tqdm is not installed."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install tqdm") from error
    return tqdm(**options)


@contextmanager
def pivot_bar(wanted: bool) -> Iterator[Callable[[int, int, float], None] | None]:
    """A function that shows pivots, sweeps and the worst violated arc of the exact solver; None if not wanted."""
    if not wanted:
        yield None
        return
    with progress_bar(desc="emd", unit=" pivots", unit_scale=True) as bar:

        def report(pivots: int, sweeps: int, violation: float) -> None:
            bar.set_postfix(sweeps=sweeps, violation=f"{violation:.1e}", refresh=False)
            bar.update(pivots - bar.n)

        yield report
