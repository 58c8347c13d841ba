"""The chapters of the documentation: their examples run and print what they say. Pages are built by .ci/run alone."""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
MADE = {"api", "gallery", "build"}  # before a build, and by it
PAGES = [page for page in sorted(DOCS.rglob("*.rst")) if page.relative_to(DOCS).parts[0] not in MADE]
CHAPTERS = [page for page in PAGES if page.parent.name == "chapters" and page.name != "index.rst"]
OPTIONAL = re.compile(r"^>>> (?:import|from) (?:monge\.)?(torch|jax|neural|sklearn)\b", re.MULTILINE)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.relative_to(DOCS).as_posix()) for page in PAGES])
def test_examples(page: Path) -> None:
    for library in OPTIONAL.findall(page.read_text(encoding="utf-8")):
        library = "torch" if library == "neural" else library
        pytest.importorskip(library, reason=f"the page's examples need the extra {library}")
    assert doctest.testfile(str(page), module_relative=False, encoding="utf-8").failed == 0


def test_chapters_have_examples() -> None:
    assert len(CHAPTERS) >= 5
    for page in CHAPTERS:
        assert doctest.DocTestParser().get_examples(page.read_text(encoding="utf-8")), page.name


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in (DOCS / "examples").glob("*.py")])
def test_gallery_programs_have_a_title_and_a_place(page: Path) -> None:
    text = ast.get_docstring(ast.parse(page.read_text(encoding="utf-8"))) or ""
    title, line = text.splitlines()[:2]
    assert line == "=" * len(title)
    assert f'"{page.stem}"' in (DOCS / "extensions" / "public_names.py").read_text(encoding="utf-8")
