"""What a cost is, few files ask: others ask the cost, or the pairs that were made for it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "monge"
COSTS = {"CostMatrix", "PointCloud", "Grid"}
# Where costs are defined, where kernels are made for each kind, and where the matrix of a cost is made.
ALLOWED = ("problem/", "entropic/kernels/", "barycenters/kernels/", "exact/dense.py")


def questions(source: str) -> list[int]:
    """The lines that ask for the kind of a cost."""
    return [node.lineno for node in ast.walk(ast.parse(source)) if is_question(node) and COSTS & names(node)]


def is_question(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return any(map(is_type_of, ast.walk(node)))
    asks = isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("isinstance", "issubclass")
    return asks or isinstance(node, ast.MatchClass)


def is_type_of(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", None) == "type"


def names(node: ast.AST) -> set[str]:
    parts = list(ast.walk(node))
    return {part.id for part in parts if isinstance(part, ast.Name)} | {
        part.attr for part in parts if isinstance(part, ast.Attribute)
    }


FILES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", [path for path in FILES if not path.startswith(ALLOWED)])
def test_the_kind_of_a_cost_is_not_asked_for(path: str) -> None:
    assert questions((SOURCE / path).read_text(encoding="utf-8")) == []


def test_the_kinds_are_what_they_are_called() -> None:
    defined = {
        node.name
        for path in (SOURCE / "problem").glob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    assert defined >= COSTS
    assert any(path.startswith(ALLOWED) and questions((SOURCE / path).read_text(encoding="utf-8")) for path in FILES)


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(cost, Grid)",
        "isinstance(self.cost, (int, costs.CostMatrix))",
        "def f():\n    return not isinstance(cost, CostMatrix | PointCloud)",
        "type(cost) is PointCloud",
        "type(cost) in (Grid, int)",
        "match cost:\n    case Grid():\n        pass",
    ],
)
def test_the_check_can_fail(source: str) -> None:
    assert questions(source)


@pytest.mark.parametrize("source", ["Grid((2, 3))", "isinstance(cost, list)", "x: Grid = cost", "type(cost)(2)"])
def test_the_check_can_pass(source: str) -> None:
    assert not questions(source)
