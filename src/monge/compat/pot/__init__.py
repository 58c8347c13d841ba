"""POT's names over the solvers of monge: ``import monge.compat.pot as ot`` in place of ``import ot``.

Functions have the order of arguments, the defaults, the types and the dictionaries of POT 0.9.7: weights come first and
costs third. What is here is exact and entropic transport between weights, on the line, and costs between points; other
names raise an AttributeError that says what to use. Bad input raises an error where POT returns something: see each
function for how it differs.

>>> import monge.compat.pot as ot
>>> ot.emd2([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]])
0.0
"""

from monge.compat.pot import bregman, lp, utils
from monge.compat.pot.bregman import sinkhorn, sinkhorn2
from monge.compat.pot.lp import emd, emd2, emd2_1d, emd_1d, wasserstein_1d
from monge.compat.pot.missing import missing_from
from monge.compat.pot.utils import dist, tic, toc, toq, unif

__getattr__ = missing_from(__name__)

# The version of POT whose names, arguments and results these are.
__version__ = "0.9.7.post1"

__all__ = [
    "bregman",
    "dist",
    "emd",
    "emd2",
    "emd2_1d",
    "emd_1d",
    "lp",
    "sinkhorn",
    "sinkhorn2",
    "tic",
    "toc",
    "toq",
    "unif",
    "utils",
    "wasserstein_1d",
]
