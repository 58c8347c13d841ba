"""Sinkhorn on a GPU, through Numba's CUDA target, for any ground cost.

`device` holds the target itself, `grounds` ground costs as device functions, `half_step` and its kin the sums over all
pairs, `step` what happens between them, `loop` the rounds of passes, `plan` the uses of a plan. All of them run on
Numba's simulator, too.
"""
