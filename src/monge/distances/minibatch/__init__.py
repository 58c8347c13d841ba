"""Optimal transport between minibatches (Fatras et al. 2020, 2021).

`draws` says which points make up pairs of batches (`complete`: all pairs there are), `solvers` what is computed of a
pair (`solving`: exact transport of many), `running` puts both together for a block of pairs, wherever that is solved,
and `sampled` adds blocks up. On the line `line` has the mean over all pairs in closed form. `estimate` is the public
function, and `result` what it returns.
"""

from monge.distances.minibatch.estimate import minibatch
from monge.distances.minibatch.result import Debiased, Minibatch

__all__ = ["Debiased", "Minibatch", "minibatch"]
