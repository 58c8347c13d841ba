from numpy import float64
from numpy.typing import NDArray

from monge.entropic.marginals import Marginal

Array = NDArray[float64]

class Steps:
    f: Array
    g: Array
    s: Array
    def __init__(
        self,
        a: Array,
        b: Array,
        marginals: tuple[Marginal, Marginal],
        f: Array,
        g: Array,
        depth: int,
        symmetric: bool = False,
    ) -> None: ...
    def measure(self, eps: float) -> tuple[float, float, float, float]: ...
    def keep_digits(self, eps: float) -> None: ...
    def advance(self, eps: float) -> None: ...
    def accelerate(self, eps: float, anew: bool) -> bool: ...
    def shorten(self, share: float) -> None: ...
    def take_back(self) -> None: ...
    def forget(self) -> None: ...
