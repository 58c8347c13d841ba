"""Every public name is explained, and the examples in the explanations run and are right."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import inspect
import io
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import monge

# They need what is not always installed, or a command line. Numba has a `numba.cuda` of its own, which lacks what the
# kernels import of numba-cuda's.
OPTIONAL = {"torch", "jax", "sklearn", "matplotlib", "skimage", "PIL", "tqdm"}
OPTIONAL |= {"numba_cuda", "numba.cuda", "numba.cuda.core"}

PUBLIC = [(name, getattr(monge, name)) for name in monge.__all__]


MODULES = ["monge", *(m.name for m in pkgutil.walk_packages(monge.__path__, "monge.") if m.name != "monge.__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"needs {error.name}")
    result = doctest.testmod(module)
    assert result.failed == 0


def test_examples_are_found():
    # A doctest finder that finds nothing fails nothing.
    for function in (monge.emd, monge.wasserstein, monge.CostMatrix, monge.PointCloud, monge.Transport.map):
        assert any(test.examples for test in doctest.DocTestFinder().find(function, globs={}))
    assert doctest.testmod(monge).attempted > 0


@pytest.mark.parametrize("name", MODULES)
def test_modules_say_what_they_are(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"needs {error.name}")
    empty = module.__file__.endswith("__init__.py") and not Path(module.__file__).read_text(encoding="utf-8")
    assert module.__doc__ or empty or not module.__file__.endswith(".py")


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*entry, id=entry[0]) for entry in PUBLIC])
def test_public_names_are_explained(name, thing):
    assert inspect.getdoc(thing)
    # Not the text of a base class, which explains something else.
    if inspect.isclass(thing):
        assert "__doc__" in vars(thing)
        assert vars(thing)["__doc__"]
        for attribute, member in vars(thing).items():
            if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(member), f"{name}.{attribute}"


@pytest.mark.parametrize(
    ("name", "thing"), [pytest.param(*entry, id=entry[0]) for entry in PUBLIC if inspect.isfunction(entry[1])]
)
def test_parameters_are_explained(name, thing):
    text = inspect.getdoc(thing)
    for heading in ("Parameters", "Returns", "Raises", "Examples"):
        assert f"{heading}\n{'-' * len(heading)}" in text, f"{name} lacks {heading}"
    listed = text.split("Parameters\n")[1].split("Returns\n")[0]
    names = {
        word.strip()
        for line in listed.splitlines()
        if " : " in line and not line.startswith(" ")
        for word in line.split(" : ")[0].split(",")
    }
    assert names == set(inspect.signature(thing).parameters)


def test_all_is_sorted_and_true():
    assert sorted(monge.__all__) == list(monge.__all__)
    assert len(set(monge.__all__)) == len(monge.__all__)


def test_version():
    from importlib.metadata import version

    assert monge.__version__ == version("monge")


def test_typed():
    from importlib.resources import files

    assert (files("monge") / "py.typed").is_file()
    assert (files("monge.exact") / "_core.pyi").is_file()


def test_the_readme_prints_what_it_says(tmp_path, monkeypatch):
    """Where a comment begins with a number, that is printed; where it holds a shape, that is what was assigned."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    names, numbers, shapes = {}, [], []
    for snippet in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = snippet.splitlines()
        for statement in ast.parse(snippet).body:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(ast.Module([statement], []), "README.md", "exec"), names)
            comment = lines[statement.end_lineno - 1].partition("  # ")[2]
            if isinstance(statement, ast.Expr) and (number := re.match(r"-?\d+(\.\d+)?", comment)):
                assert float(printed.getvalue()) == pytest.approx(float(number[0]), rel=1e-12), comment
                numbers.append(number[0])
            if isinstance(statement, ast.Assign) and (shape := re.search(r"\((\d+(?:, \d+)+)\)", comment)):
                assert np.shape(names[statement.targets[0].id]) == ast.literal_eval(shape[0]), comment
                shapes.append(shape[0])
    assert numbers == ["2.0", "1.0", "0.4"]
    assert shapes == ["(500, 2)", "(3, 3)", "(64, 64, 3)"]
    animals = monge.emd(names["C"], names["a"], names["b"]).plan.toarray()
    assert animals[1, 2] == pytest.approx(0.2)  # cat to lion, and bird to dog
    assert animals[3, 0] == pytest.approx(0.1)
