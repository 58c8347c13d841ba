"""POT's `ot.lp`: exact transport by `monge.emd` and `monge.emd_1d`, in POT's order and with its results."""

from monge.compat.pot.lp.exact import emd, emd2, emd2_lazy
from monge.compat.pot.lp.solver_1d import emd2_1d, emd_1d, wasserstein_1d
from monge.compat.pot.missing import missing_from

__getattr__ = missing_from(__name__)

__all__ = ["emd", "emd2", "emd2_1d", "emd2_lazy", "emd_1d", "wasserstein_1d"]
