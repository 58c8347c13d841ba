"""An installed monge works: imports, solves, certifies. Prints what the import costs beyond NumPy and SciPy."""

import subprocess
import sys

import numpy as np

import monge

assert "site-packages" in monge.__file__, f"this is not an installed package: {monge.__file__}"
rng = np.random.default_rng(0)
x, y = rng.random((200, 2)), rng.random((300, 2))
t = monge.emd(monge.PointCloud(x, y))
assert t.converged
assert t.gap <= 1e-12 * t.value
assert t.marginal_error < 1e-12
print(t)

heavy = {"torch", "matplotlib", "numba.cuda"}
probe = """
import time, numpy, scipy.sparse
start = time.perf_counter(); import monge; seconds = time.perf_counter() - start
import sys; print(seconds, *sorted({heavy} & set(sys.modules)))
""".replace("{heavy}", repr(heavy))
runs = [
    subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    for _ in range(3)
]
print(f"import monge: {min(float(run[0]) for run in runs):.3f} s beyond NumPy and SciPy")
assert not runs[0][1:], f"import monge should not import {', '.join(runs[0][1:])}"
