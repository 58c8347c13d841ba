"""How the documentation is built: ``python -m sphinx -W -n -b html docs BUILD``, which needs no network.

Outside links of names of Python, NumPy and SciPy are made only with MONGE_DOCS_LINKS=1, since Sphinx fetches the lists
of these names; everything else, MathJax and the fonts included, comes from installed packages.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

import public_names  # noqa: E402

os.environ.setdefault("MPLBACKEND", "Agg")

project = "monge"
author = "the authors of monge"
copyright = "the authors of monge, BSD-3-Clause"
release = version = version_of("monge")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",  # for its role `autolink`, and for the tables of names
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
    "bars",
    "local_mathjax",
    "public_names",
]
if os.environ.get("MONGE_DOCS_LINKS"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
    }

# A single backtick is a link where it names something public, and emphasis where it names a parameter.
default_role = "autolink"
rst_prolog = ".. currentmodule:: monge\n"  # `emd` is monge.emd, in chapters as in docstrings
nitpicky = True
# Names of other libraries, which nothing resolves without a network.
nitpick_ignore_regex = [(r"py:.*", r"(numpy|scipy|matplotlib|math|torch|jax|collections|typing)(\..*)?")]

# Sources of the gallery, whose pages are made from them, and its header.
exclude_patterns = ["examples", "build", "_build"]

# --- Pages of public names --------------------------------------------------------------------------------------------

autodoc_typehints = "none"  # docstrings say more than `Any`
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
autosummary_generate = False
numpydoc_show_class_members = False  # what a class lists in its docstring is public, and no more
numpydoc_class_members_toctree = False
# Everything that numpydoc can check but "See Also", extended summaries and examples in every docstring. A warning, and
# so an error, on a public name that lacks something.
numpydoc_validation_checks = {"all", "SA01", "ES01", "EX01"}
# What only solvers make, such as results, has attributes; nobody passes its parameters.
# And a generative model explains the settings of its own, and leaves those of all models to their base.
of_all_models = r"of all models: see `Model`|in all models: see `Model`"
numpydoc_validation_overrides = {
    "PR01": [r"(?sm)\A(?!.*^Parameters$).*^Attributes$", of_all_models],
    "PR03": [of_all_models],
    "PR04": [of_all_models],
}

# --- The gallery ------------------------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": public_names.executed(HERE / "examples"),
    "within_subsection_order": "public_names.order_of_examples",
    "doc_module": ("monge",),
    "backreferences_dir": "gallery/backreferences",
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 10,  # seconds: longer ones are worth a look
    "abort_on_example_error": True,
    "run_stale_examples": True,  # the library may have changed, though the example has not
    "remove_config_comments": True,
}

# --- Looks ------------------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "monge"
html_logo = html_favicon = "_static/monge.svg"
html_static_path = ["_static"]
html_css_files = ["monge.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "monge"},
    "check_switcher": False,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": [], "install": [], "from_pot": []}

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
