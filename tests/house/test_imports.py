"""The floors of the house: imports only point down, and heavy packages stay in the rooms that need them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "monge"

# From the top down. A module may import from its own floor and from those below.
FLOORS = [
    {"__main__"},
    {"compat"},
    {"neural"},
    {"torch", "jax"},
    {"maps", "flows"},
    {"distances", "barycenters"},
    {"structures"},
    {"entropic"},
    {"exact"},
    {"spread"},
    {"problem"},
]
# On no floor: the package itself only gathers the public names, and plots are drawn for the command line alone.
FREE = {"", "plot"}
PLOT_USERS = {"__main__"}

# Package -> the modules that may import it. A trailing dot stands for everything below.
CONFINED = {
    "torch": ("torch", "torch.", "neural", "neural."),
    "jax": ("jax", "jax."),
    "matplotlib": ("plot", "plot.", "compat.pot.plot"),
    "mpl_toolkits": ("plot.",),
    "sklearn": ("maps.transport_map", "maps.transport_map."),
    "joblib": ("spread.cluster",),
    "dask": (),
    "distributed": (),
    "cloudpickle": ("spread.chunks",),
    "numba.cuda": ("entropic.kernels.cuda.", "__main__"),  # `monge info` asks whether there is a device
}
# `import monge` must not pay for these.
HEAVY = ("scipy.fft", "scipy.linalg", "scipy.optimize", "scipy.sparse", "scipy.spatial", "threadpoolctl")  # some calls'
LAZY = ("torch", "jax", "matplotlib", "numba", "tqdm", "PIL", "skimage", "sklearn", "joblib", "dask", "distributed")


def floor_of(module: str) -> int:
    top = module.split(".")[0]
    for level, rooms in enumerate(FLOORS):
        if top in rooms:
            return level
    raise AssertionError(f"monge.{module} stands on no floor: add it to FLOORS")


def imports(source: str, module: str, is_package: bool = False) -> Iterator[str]:
    """Absolute names of all that a module imports, anywhere in it; for `from a import b`, a and a.b."""
    parts = ["monge", *module.split(".")] if module else ["monge"]
    package = parts if is_package else parts[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """What a module of monge, named without the leading `monge.`, imports though it must not."""
    found = []
    for name in imports(source, module, is_package):
        for package, users in CONFINED.items():
            allowed = any(module == user or (user.endswith(".") and module.startswith(user)) for user in users)
            if (name == package or name.startswith(package + ".")) and not allowed:
                found.append(f"monge.{module} imports {name}")
        if name == "monge" and module not in ("", "__main__"):
            # The package gathers all floors: whoever imports it whole imports from above.
            if module.split(".")[0] != "plot":
                found.append(f"monge.{module} imports monge")
        elif name.startswith("monge.") and module.split(".")[0] not in FREE:
            target = name.removeprefix("monge.")
            top = target.split(".")[0]
            if top == "plot":
                if module not in PLOT_USERS:
                    found.append(f"monge.{module} imports {name}")
            elif (SOURCE / top).is_dir() or (SOURCE / f"{top}.py").exists():
                if floor_of(target) < floor_of(module):
                    found.append(f"monge.{module} imports {name}, which is above")
            elif module != "__main__":
                # A public name, which only the package holds.
                found.append(f"monge.{module} imports {name} from the package")
    return found


def modules() -> list[tuple[str, Path, bool]]:
    out = []
    for path in sorted(SOURCE.rglob("*.py*")):
        if path.suffix not in (".py", ".pyx"):
            continue
        parts = list(path.relative_to(SOURCE).with_suffix("").parts)
        package = parts[-1] == "__init__"
        out.append((".".join(parts[:-1] if package else parts), path, package))
    return out


@pytest.mark.parametrize(
    ("module", "path", "package"),
    [pytest.param(*entry, id=entry[0] or "monge") for entry in modules() if entry[1].suffix == ".py"],
)
def test_imports_point_down(module, path, package):
    assert violations(path.read_text(encoding="utf-8"), module, package) == []


def test_every_module_stands_on_a_floor():
    names = [module for module, _, _ in modules() if module.split(".")[0] not in FREE]
    assert len(names) >= 10
    for module in names:
        floor_of(module)


def test_binding_imports_no_room():
    # Cython is not Python to `ast`; the binding may import NumPy and what comes with Cython.
    for _, path, _ in modules():
        if path.suffix == ".pyx":
            lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
            named = {words[1] for words in lines if words[:1] in (["import"], ["from"], ["cimport"])}
            assert {name.split(".")[0] for name in named} <= {"cpython", "libc", "libcpp", "numpy", "cython"}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("problem.costs", "from monge.exact.emd import emd"),
        ("problem.costs", "import monge.exact.emd"),
        ("problem.costs", "from ..exact import emd"),
        ("problem.costs", "def f():\n    from monge.entropic import sinkhorn"),
        ("exact.emd", "import monge"),
        ("exact.emd", "from monge import emd"),
        ("exact.emd", "from monge.distances.wasserstein import wasserstein"),
        ("distances.sliced", "import torch"),
        ("distances.sliced", "from torch.nn import Module"),
        ("torch.emd", "from monge.neural.nets import MLP"),
        ("neural.critic", "import matplotlib.pyplot as plt"),
        ("maps.color", "import matplotlib.pyplot as plt"),
        ("maps.color", "from monge.plot import draw"),
        ("maps.color", "from monge import plot"),
        ("entropic.kernels.cpu", "from numba import cuda"),
        ("entropic.kernels.cpu", "import numba.cuda"),
        ("entropic.gpu", "from numba import cuda"),
        ("entropic.kernels.cuda_of_another", "from numba import cuda"),
        ("", "import matplotlib"),
    ],
)
def test_the_check_can_fail(module, source):
    assert violations(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("exact.emd", "from monge.problem.costs import as_cost"),
        ("exact.emd", "from . import _core\nfrom .dense import dense"),
        ("maps.color", "from monge.exact.emd import emd\nimport numpy"),
        ("torch.losses", "import torch"),
        ("neural", "import torch"),
        ("neural.wgan", "from torch import nn\nfrom monge.torch.emd import emd"),
        ("entropic.kernels.cuda.device", "from numba import cuda"),
        ("entropic.kernels.cpu", "import numba"),
        ("plot", "import matplotlib\nfrom monge.problem.transport import Transport"),
        ("__main__", "import monge\nfrom monge import plot"),
    ],
)
def test_the_check_can_pass(module, source):
    assert violations(source, module) == []


def test_unknown_room_is_noticed():
    with pytest.raises(AssertionError, match="no floor"):
        floor_of("utilities.misc")


# One after the other in one process, and what must not have been imported by then.
STAGES = {
    "import": ("import monge", LAZY + HEAVY),
    "exact": ("monge.emd(np.eye(3)).plan; monge.wasserstein([1.0], [2.0])", LAZY),
    "entropic": (
        """
x, u = np.random.default_rng(0).random((600, 3)), np.random.default_rng(1).random((600, 20))
for cost in ([[0.0, 1.0]] * 9, x @ x.T, monge.PointCloud(x, x), monge.PointCloud(u, u)):
    for marginals in (None, monge.KL(1.0), monge.TV(1.0)):
        t = monge.sinkhorn(cost, eps=1.0, marginals=marginals)
        t.gap, t.cost
""",
        LAZY,  # only grids and users' costs need the compiler
    ),
    "command line": ("import monge.__main__", LAZY),
    "plot": ("try: import monge.plot\nexcept ImportError: pass", ("matplotlib.pyplot",)),
}


@pytest.fixture(scope="module")
def imported():
    """What of a stage's list is there at its end."""
    code = "import sys, numpy as np\n" + "".join(f"{stage}\nprint(*sys.modules)\n" for stage, _ in STAGES.values())
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    pairs = zip(STAGES.items(), result.stdout.splitlines(), strict=True)
    return {name: set(heavy) & set(modules.split()) for (name, (_, heavy)), modules in pairs}


@pytest.mark.parametrize("stage", STAGES)
def test_is_light(stage, imported):
    assert imported[stage] == set()
