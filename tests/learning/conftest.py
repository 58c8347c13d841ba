"""The programs of the documentation's gallery that learn are tests, too: what they compute is looked at here."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """All names of the program that the module calls PROGRAM, after it ran; torch is left as it was."""
    plt = pytest.importorskip("matplotlib.pyplot", reason="the gallery's pictures need the extra demo")
    path = PROGRAMS / f"{request.module.PROGRAM}.py"
    if not path.exists():
        pytest.skip("the documentation is not here")
    torch = sys.modules.get("torch")
    kept = None if torch is None else (torch.get_rng_state(), torch.get_num_threads())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "show", lambda: plt.close("all"))
        plt.switch_backend("Agg")
        try:
            yield runpy.run_path(str(path))
        finally:
            plt.close("all")
            if torch is not None and kept is not None:
                torch.set_rng_state(kept[0])
                torch.set_num_threads(kept[1])
