"""MathJax 3 from the package django-static-mathjax, not from a server: the one script and the fonts that pages load."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SCRIPT = "tex-mml-chtml.js"
FONTS = "output/chtml/fonts"


def setup(app: Any) -> dict[str, Any]:
    app.connect("config-inited", point_at_copy, priority=100)  # before the extension for MathJax looks
    app.connect("builder-inited", copy_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def point_at_copy(app: Any, config: Any) -> None:
    config.mathjax_path = f"mathjax/{SCRIPT}"


def copy_files(app: Any) -> None:
    if app.builder.format != "html":
        return
    spec = find_spec("mathjax")
    if spec is None or spec.origin is None:
        raise ImportError("the documentation needs the package django-static-mathjax: pip install 'monge[docs]'.")
    source = Path(spec.origin).parent / "static" / "mathjax" / "es5"
    target = Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / SCRIPT, target / SCRIPT)
    shutil.copytree(source / FONTS, target / FONTS, dirs_exist_ok=True)
