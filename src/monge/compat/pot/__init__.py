"""POT's names over the solvers of monge: ``import monge.compat.pot as ot`` in place of ``import ot``.

Functions have the order of arguments, the defaults, the types and the dictionaries of POT 0.9.7: weights come first and
costs third. What is here is exact, entropic, unbalanced and partial transport, transport on the line, costs between
points, and the data and the pictures of POT's first examples. Other names raise an AttributeError that says what to
use. Bad input raises an error where POT returns something: see each function for how it differs.

>>> import monge.compat.pot as ot
>>> ot.emd2([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]])
0.0
"""

import importlib

from monge.compat.pot import bregman, datasets, lp, partial, unbalanced, utils
from monge.compat.pot.bregman import sinkhorn, sinkhorn2
from monge.compat.pot.lp import emd, emd2, emd2_1d, emd2_lazy, emd_1d, wasserstein_1d
from monge.compat.pot.missing import missing_from
from monge.compat.pot.unbalanced import sinkhorn_unbalanced, sinkhorn_unbalanced2
from monge.compat.pot.utils import dist, tic, toc, toq, unif

_missing = missing_from(__name__)


def __getattr__(name: str) -> object:
    if name == "plot":  # which is drawn by matplotlib, and imported when it is wanted
        return importlib.import_module("monge.compat.pot.plot")
    return _missing(name)


# The version of POT whose names, arguments and results these are.
__version__ = "0.9.7.post1"

__all__ = [
    "bregman",
    "datasets",
    "dist",
    "emd",
    "emd2",
    "emd2_1d",
    "emd2_lazy",
    "emd_1d",
    "lp",
    "partial",
    "sinkhorn",
    "sinkhorn2",
    "sinkhorn_unbalanced",
    "sinkhorn_unbalanced2",
    "tic",
    "toc",
    "toq",
    "unbalanced",
    "unif",
    "utils",
    "wasserstein_1d",
]
