from numpy import float64
from numpy.typing import NDArray

Array = NDArray[float64]

def measure(
    a: Array,
    b: Array,
    kl_a: float,
    cap_a: float,
    kl_b: float,
    cap_b: float,
    eps: float,
    f: Array,
    g: Array,
    s: Array,
) -> tuple[float, float, float, float]: ...
def plain_step(
    a: Array,
    b: Array,
    kl_a: float,
    kl_b: float,
    cap_b: float,
    eps: float,
    translate: bool,
    f: Array,
    g: Array,
    s: Array,
    out: Array,
) -> None: ...
def extrapolate(
    b: Array, cap_b: float, eps: float, taken: int, plain: Array, g: Array, memory: Array, gram: Array
) -> bool: ...
