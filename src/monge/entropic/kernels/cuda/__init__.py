"""Sinkhorn on a GPU, through Numba's CUDA target, for any ground cost.

- `device`, `driver`, `kept`: the compiler, what the driver is asked itself, and kernels on disk
- `layout`, `points`, `load`: how a problem lies on the device, and how it gets there
- `grounds`, `exponents`: ground costs and the exponents of pairs, as functions that kernels take into themselves
- `half_step`, `tiled`, `matrix`, `screen`, `finish`, and `sums`, which chooses among them: sums over all pairs
- `decision`, `block`, `step`: what happens between passes; `loop`: rounds of passes
- `batch`: many small problems at once; `plan`: the uses of a plan

All of it runs on Numba's simulator, too.
"""
