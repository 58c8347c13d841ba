"""The pages of all public names, made from `monge.__all__` before each build.

A name belongs under the heading of the room, the package within monge, that defines it; one from a room without a
heading stops the build. A page of a class shows those members that its docstring lists under Attributes and Methods and
that have a docstring of their own.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from numpydoc.docscrape import ClassDoc
from sphinx.ext.autodoc.mock import mock
from sphinx.util.nodes import make_refnode

import monge

# Room -> its heading, in the order of the page.
ROOMS = {
    "exact": "Exact transport",
    "entropic": "Entropic transport",
    "distances": "Distances and losses",
    "maps": "Maps",
    "problem": "Costs and results",
}
# What the package itself does not hold: results, which are not made by name, and what is between color_transfer and
# them.
MORE = [
    "monge.entropic.result.EntropicTransport",
    "monge.entropic.plan.LazyPlan",
    "monge.distances.loss.Loss",
    "monge.distances.divergence.Divergence",
    "monge.distances.slices.SlicedLoss",
    "monge.distances.max_sliced.MaxSlicedLoss",
    "monge.distances.sliced_plan.SlicedTransport",
    "monge.distances.spherical.SphericalLoss",
    "monge.maps.color.transfer_colors",
    "monge.maps.color.ColorTransfer",
]
# Modules that are imported by themselves, with an __all__ of their own.
MODULES = {"monge.plot": "Pictures"}
# Libraries that pages can be made without: where they are missing, autodoc puts something in their place.
MISSING = [library for library in ("torch", "jax") if find_spec(library) is None]

# In the gallery: from the first idea to the last.
EXAMPLES = [
    "clouds", "temperatures", "two_lines", "four_animals", "quantiles", "entropy", "unbalanced", "colours", "flow",
    "horse", "noisy_labels", "fair_groups",
]  # fmt: skip
# Those that are left out where a library is missing.
LEARNING = {"noisy_labels": ("torch", "sklearn"), "fair_groups": ("torch", "sklearn")}


class Name(NamedTuple):
    """Something public: where it is imported from, what it is called there, and the folder of its page."""

    module: str
    name: str
    folder: str

    @property
    def thing(self) -> Any:
        return getattr(imported(self.module), self.name)

    @property
    def page(self) -> str:
        return f"{self.folder}/{self.name}"


def setup(app: Any) -> dict[str, Any]:
    app.connect("config-inited", lambda app, config: write_pages(Path(app.srcdir) / "api"))
    app.connect("config-inited", lambda app, config: config.autodoc_mock_imports.extend(MISSING))
    app.connect("missing-reference", find_by_last_part)
    app.connect("autodoc-process-signature", hide_what_is_not_called, priority=900)  # after numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def examples_to_leave_out() -> str:
    """A pattern of the paths of those for which a library is missing."""
    missing = [name for name, libraries in LEARNING.items() if not all(map(find_spec, libraries))]
    return rf"({'|'.join(['__init__', *missing])})\.py"


def order_of_examples(filename: str) -> int:
    """A ValueError for an example that the list above lacks."""
    return EXAMPLES.index(Path(filename).stem)


def find_by_last_part(app: Any, env: Any, node: Any, text: Any) -> Any:
    """Where `emd` is written in another module than monge, that of monge; and where a member is written outside of its
    class, or another name outside of its module, the only thing whose full name ends so."""
    if node.get("refdomain") != "py":
        return None
    objects, target = env.domains["py"].objects, node["reftarget"]
    found = [f"monge.{target}"] if f"monge.{target}" in objects else [n for n in objects if n.endswith(f".{target}")]
    if len(found) != 1:
        return None
    entry = objects[found[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text, found[0])


def hide_what_is_not_called(app: Any, what: str, name: str, thing: Any, *_: Any) -> tuple[str, str] | None:
    """The parameters of a class that does not explain them are for the solvers alone."""
    explained = what != "class" or ClassDoc(thing, config={"show_class_members": False})["Parameters"]
    return None if explained else ("", "")


def public_names() -> Iterator[Name]:
    for name in monge.__all__:
        room = getattr(monge, name).__module__.split(".")[1]
        if room not in ROOMS:
            raise ValueError(f"monge.{name} comes from the room {room!r}, for which ROOMS has no heading.")
        yield Name("monge", name, room)
    for path in MORE:
        module, _, name = path.rpartition(".")
        yield Name(module, name, module.split(".")[1])
    for module in MODULES:
        for name in imported(module).__all__:
            if not inspect.ismodule(getattr(imported(module), name)):
                yield Name(module, name, module.removeprefix("monge."))


def imported(module: str) -> Any:
    with mock(MISSING):
        return importlib.import_module(module)


def write_pages(folder: Path) -> None:
    names = list(public_names())
    pages = {name.page.lower() for name in names}
    if len(pages) < len(names):
        raise ValueError("two public names of one room differ in nothing but case; on some disks they share a page.")
    written = {write(folder / f"{name.page}.rst", page_of(name)) for name in names}
    written.add(write(folder / "index.rst", index_of(names)))
    for path in set(folder.rglob("*.rst")) - written:  # of names that are gone
        path.unlink()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:  # Sphinx reads again what is newer
        path.write_text(text, encoding="utf-8")
    return path


def index_of(names: list[Name]) -> str:
    parts = [
        title("Reference"),
        ".. currentmodule:: monge\n",
        "Every public name, by what it is for. Arguments and results are explained with their shapes and units, and "
        "each page has an example.\n",
    ]
    for folder, heading in {**ROOMS, **{m.removeprefix("monge."): h for m, h in MODULES.items()}}.items():
        inside = [name for name in names if name.folder == folder]
        rows = "".join(f"   * - :doc:`{shown(name)} <{name.page}>`\n     - {summary(name)}\n" for name in inside)
        parts.append(title(heading, "-"))
        parts.append(f".. list-table::\n   :widths: 30 70\n   :class: names\n\n{rows}")
        parts.append(
            f".. toctree::\n   :hidden:\n   :caption: {heading}\n\n" + "".join(f"   {name.page}\n" for name in inside)
        )
    return "\n".join(parts)


def page_of(name: Name) -> str:
    directive, options = "autofunction", ""
    if inspect.isclass(name.thing):
        directive, options = "autoclass", members_of(name.thing)
        if issubclass(name.thing, BaseException):
            directive = "autoexception"
    parts = [
        title(shown(name)),
        f".. currentmodule:: {name.module}\n",
        f".. {directive}:: {name.name}\n{options}",
        f".. minigallery:: {name.module}.{name.name}\n   :add-heading: In the gallery\n   :heading-level: ~\n",
    ]
    return "\n".join(parts)


def members_of(thing: type) -> str:
    """Options for autodoc: the listed members that have something to say, or all names of an enumeration."""
    if hasattr(thing, "__members__"):
        return "   :members:\n   :undoc-members:\n"
    doc = ClassDoc(thing, config={"show_class_members": False})
    listed = [word.strip() for part in (*doc["Attributes"], *doc["Methods"]) for word in part.name.split(",")]
    found = []
    for member in listed:
        raw = inspect.getattr_static(thing, member.split("(")[0], None)
        if raw is not None and inspect.getdoc(raw):
            found.append(member.split("(")[0])
    return f"   :members: {', '.join(found)}\n" if found else ""


def summary(name: Name) -> str:
    return str((inspect.getdoc(name.thing) or "").split("\n\n")[0].replace("\n", " ").replace("|", r"\|"))


def shown(name: Name) -> str:
    """As users write it: monge.emd, monge.plot.plan; results without the module that they never import."""
    return name.name if name.module not in ("monge", *MODULES) else f"{name.module}.{name.name}"


def title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"
