// What a batch asks of each of its problems: emd.cpp has it, emd_batch.cpp calls it.
#pragma once

#include "exact/emd.hpp"
#include "exact/small_simplex.hpp"

namespace monge {

/// `optimal` if weights and costs are right, else the status that says why not.
Status checked(const Problem& problem);

/// `small` is memory for small problems, which many solves may share, one after the other.
Solution solve(const Problem& problem, const Options& options, SmallSimplex& small);

}  // namespace monge
