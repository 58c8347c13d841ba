import numpy as np
from numpy.typing import NDArray

BLOCK: int

class Bounds:
    def __init__(
        self,
        Y: NDArray[np.float64],
        potentials: NDArray[np.float64],
        log_weights: NDArray[np.float64],
        scale: float,
        linear: bool,
    ) -> None: ...

class Lists: ...

class Pass:
    def __init__(
        self,
        X: NDArray[np.float64],
        Y: NDArray[np.float64],
        scale: float,
        metric: tuple[int, float, bool],
        beta: NDArray[np.float64],
        log_a: NDArray[np.float64],
        b: NDArray[np.float64],
        damp: float,
        cap: float,
        shift: NDArray[np.float64],
        f: NDArray[np.float64],
        single: bool,
    ) -> None: ...
    def screened(
        self,
        first: int,
        last: int,
        bounds: Bounds,
        log_tau: float,
        sums: NDArray[np.float64],
        old: Lists | None = None,
    ) -> tuple[int, int, Lists]: ...
    def listed(self, first: int, last: int, lists: Lists | None, sums: NDArray[np.float64]) -> int: ...
    def columns(
        self,
        chunk_sums: NDArray[np.float64],
        log_b: NDArray[np.float64],
        g: NDArray[np.float64],
        unit: float,
        lost_share: float,
        repairs: int,
        s: NDArray[np.float64],
    ) -> int: ...
