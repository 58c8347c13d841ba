"""The names of other libraries over the solvers of this one, for programs that were written for them."""
