"""The pages of all public names, made from `monge.__all__` before each build.

A name belongs under the heading of the room, the package within monge, that defines it; one from a room without a
heading stops the build. A page of a class shows those members that its docstring lists under Attributes and Methods and
that have a docstring of their own.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from bars import escaped
from numpydoc.docscrape import ClassDoc
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

import monge

# Room -> its heading, in the order of the page.
ROOMS = {
    "exact": "Exact transport",
    "entropic": "Entropic transport",
    "distances": "Distances and losses",
    "barycenters": "Averages",
    "structures": "Structures",
    "flows": "Flows",
    "maps": "Maps",
    "problem": "Costs and results",
}
# What the package itself does not hold: results, which are not made by name, and what is between color_transfer and
# them.
MORE = [
    "monge.entropic.result.EntropicTransport",
    "monge.entropic.plan.LazyPlan",
    "monge.entropic.quadratic.result.QuadraticTransport",
    "monge.distances.loss.Loss",
    "monge.distances.divergence.Divergence",
    "monge.distances.slices.SlicedLoss",
    "monge.distances.max_sliced.MaxSlicedLoss",
    "monge.distances.sliced_plan.SlicedTransport",
    "monge.distances.spherical.SphericalLoss",
    "monge.entropic.semidual.result.SemiDual",
    "monge.entropic.semidual.result.Stop",
    "monge.entropic.semidual.continuous.ContinuousDual",
    "monge.distances.conjugate.Conjugate",
    "monge.distances.minibatch.result.Minibatch",
    "monge.distances.minibatch.result.Debiased",
    "monge.barycenters.fixed.result.Barycenter",
    "monge.barycenters.free.result.FreeBarycenter",
    "monge.barycenters.free.result.FreeStatus",
    "monge.barycenters.gaussian.GaussianBarycenter",
    "monge.barycenters.coordinates.coordinates.Coordinates",
    "monge.barycenters.coordinates.dictionary.Dictionary",
    "monge.structures.result.GromovTransport",
    "monge.structures.result.GromovStatus",
    "monge.structures.barycenter_result.GromovBarycenter",
    "monge.flows.flow.Flow",
    "monge.flows.flow.FlowStatus",
    "monge.flows.jko.energies.Energy",
    "monge.flows.jko.result.JKOFlow",
    "monge.flows.jko.result.JKOStatus",
    "monge.maps.color.transfer_colors",
    "monge.maps.color.ColorTransfer",
    "monge.maps.couple.Coupling",
]
# Modules that are imported by themselves, with an __all__ of their own: the heading, and what to say below it.
MODULES = {
    "monge.torch": ("Losses for PyTorch", "After ``import monge.torch``, which needs the extra ``torch``."),
    "monge.jax": ("Losses for JAX", "After ``import monge.jax``, which needs the extra ``jax``."),
    "monge.neural": ("Generative models", "After ``import monge.neural``, which needs the extra ``torch``."),
    "monge.plot": ("Pictures", "After ``import monge.plot``, which needs the extra ``demo``."),
    "monge.compat.pot": (
        "POT's names",
        "After ``import monge.compat.pot as ot``; :doc:`/from_pot` says how they differ from POT's own.",
    ),
}
# And modules within these, whose names belong under the same heading.
PARTS = {
    "monge.compat.pot": ["lp", "bregman", "unbalanced", "partial", "utils", "datasets", "plot"],
    "monge.neural": ["metrics", "toys"],
}
# What comes first under its heading; the rest follows as in __all__.
FIRST = {
    "monge.neural": [
        "Model", "load", "GAN", "WGAN", "WGANGP", "EBGAN", "MinibatchGenerator", "GMMN", "OTM", "UOTM", "JKO", "SJKO",
        "Every", "Watch", "History", "TrainingStatus", "MLP", "ConvGenerator", "ConvCritic",
        "critic", "Critic", "discrepancy", "Discrepancy",
    ],
}  # fmt: skip
# As programs that use them write it.
SHORT = ("monge.compat.pot", "ot")
# Without these libraries the pages are made, too, but for those of the modules that need them, and with programs in the
# gallery that are shown but not run.
MISSING = [library for library in ("torch", "jax", "sklearn") if find_spec(library) is None]
NEEDED = {"monge.torch": "torch", "monge.neural": "torch", "monge.jax": "jax"}

# In the gallery: from the first idea to the last.
EXAMPLES = [
    "clouds", "temperatures", "two_lines", "four_animals", "quantiles", "entropy", "plans", "unbalanced", "outliers",
    "colours", "flow", "fokker_planck", "flow_matching", "slices", "minibatches", "laguerre", "shapes", "mean_shapes",
    "projection", "alignment", "graphs", "adaptation", "horse", "noisy_labels", "fair_groups", "boltzmann", "vanishing",
    "critic", "wgan", "ipm", "generators", "sjko", "comparison",
]  # fmt: skip


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
        # mmd and MMD, minibatch and Minibatch cannot have files side by side where capitals make no difference.
        results = dict.fromkeys((path.rpartition(".")[0] for path in MORE), "results/")
        apart = {"torch": "modules/", "neural": "classes/"}.get(self.folder) or results.get(self.module, "")
        inside = apart if inspect.isclass(self.thing) else ""
        return f"{self.folder}/{inside}{self.name}"


def setup(app: Any) -> dict[str, Any]:
    app.connect("config-inited", lambda app, config: write_pages(Path(app.srcdir) / "api"))
    app.add_config_value("missing_libraries", MISSING, "env")  # every page is made again where another one is there
    if MISSING:
        logging.getLogger(__name__).info("Without %s: some pages are left out, some programs not run.", MISSING)
    app.connect("missing-reference", find_by_last_part)
    app.connect("autodoc-process-signature", hide_what_is_not_called, priority=900)  # after numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def order_of_examples(filename: str) -> int:
    """A ValueError for an example that the list above lacks."""
    return EXAMPLES.index(Path(filename).stem)


def executed(examples: Path) -> str:
    """A pattern of the names of those programs that import nothing which is missing."""
    programs = {path: path.read_text(encoding="utf-8") for path in examples.glob("*.py")}
    absent = [*MISSING, *(re.escape(module) for module in set(MODULES) - set(present_modules()))]
    wanted = re.compile(rf"^(?:import|from) (?:{'|'.join(absent) or '-'})\b", re.MULTILINE)
    return rf"/(?:{'|'.join(path.stem for path, text in programs.items() if not wanted.search(text))})\.py$"


def find_by_last_part(app: Any, env: Any, node: Any, text: Any) -> Any:
    """Where `emd` is written in a module that has no page of its own for it, that of the next module around it; and
    where a member is written outside of its class, or another name outside of its module, the only thing whose full
    name ends so. A member may be that of a base. What has no page since a library is missing remains a word, and so
    does a setting in the text of its class, which looks like a member to Python."""
    if node.get("refdomain") != "py":
        return None
    objects, target = env.domains["py"].objects, node["reftarget"]
    if any(target.startswith(f"{module}.") for module in set(MODULES) - set(present_modules())):
        return text
    if target.removeprefix("monge.").partition(".")[0] in set(monge._LAZY) - set(monge.__all__):
        return text
    parts = (module := node.get("py:module") or "monge").split(".")
    inside = getattr(imported(module), node.get("py:class") or "", None)
    if target in getattr(inside, "__dataclass_fields__", ()):
        return text
    bases = (f"{module}.{base.__name__}.{target}" for base in getattr(inside, "__mro__", ()))
    around = (".".join([*parts[:k], target]) for k in range(len(parts), 0, -1))
    found = [name for name in (*bases, *around) if name in objects][:1]
    found = found or [name for name in objects if name.endswith(f".{target}")]
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
    for module in present_modules():
        seen: list[Any] = []
        for part in (module, *(f"{module}.{part}" for part in PARTS.get(module, []))):
            for name in dict.fromkeys([*FIRST.get(part, []), *imported(part).__all__]):
                thing = getattr(imported(part), name)
                if callable(thing) and not any(thing is one for one in seen):  # no modules, no constants
                    seen.append(thing)
                    yield Name(part, name, folder_of(module))


def folder_of(module: str) -> str:
    return module.removeprefix("monge.").replace(".", "/")


def imported(module: str) -> Any:
    return importlib.import_module(module)


def present_modules() -> list[str]:
    return [module for module in MODULES if NEEDED.get(module) not in MISSING]


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
        "Every public name, by what it is for. Arguments and results are explained with their shapes and units, "
        "mostly with an example.\n",
    ]
    rooms = {room: ("monge", heading, "") for room, heading in ROOMS.items()}
    modules = {folder_of(module): (module, *MODULES[module]) for module in present_modules()}
    for folder, (module, heading, before) in (rooms | modules).items():
        inside = [name for name in names if name.folder == folder]
        rows = "".join(f"   * - :doc:`{shown(name)} <{name.page}>`\n     - {summary(name)}\n" for name in inside)
        parts.append(title(heading, "-"))
        parts.append(f".. currentmodule:: {module}\n\n{before}\n")
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
        # Fields of a named tuple say nothing of their own.
        if raw is not None and not (inspect.getdoc(raw) or "Alias for field").startswith("Alias for field"):
            found.append(member.split("(")[0])
    return f"   :members: {', '.join(found)}\n" if found else ""


def summary(name: Name) -> str:
    return escaped((inspect.getdoc(name.thing) or "").split("\n\n")[0].replace("\n", " "))


def shown(name: Name) -> str:
    """As users write it: monge.emd, monge.plot.plan, ot.emd; results without the module that they never import."""
    ours = name.module == "monge" or any(name.folder == folder_of(module) for module in MODULES)
    return f"{name.module}.{name.name}".replace(*SHORT) if ours else name.name


def title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"
