// Exact optimal transport over a sparse set of arcs; the second entry to the core beside emd.hpp.
//
//   minimise   sum P_ij c_ij   over the given arcs   subject to   P >= 0,  P 1 = a,  P' 1 = b
//
// and its dual, maximise a.f + b.g subject to f_i + g_j <= c_ij on the given arcs. Memory is O(arcs + n + m).
#pragma once

#include "exact/emd.hpp"

namespace monge {

/// The arcs by rows (CSR), columns within a row increasing, each arc once. Costs are finite and at most 1e290 in size:
/// the caller has checked.
struct SparseProblem {
    std::size_t n = 0, m = 0;
    const std::int64_t* begin = nullptr;  // (n + 1,): the arcs of row i are begin[i], ..., begin[i + 1] - 1
    const std::int32_t* col = nullptr;    // (arcs,)
    const double* cost = nullptr;         // (arcs,)
    const double* a = nullptr;            // (n,), null for uniform; finite, not negative, not all zero
    const double* b = nullptr;            // (m,), likewise; equal totals up to rounding
    double relative_rounding = 0x1p-52;   // of the numbers that a and b were made from, as in Problem
    const double* g = nullptr;            // (m,), an estimate of the column potentials to start from, or null
};

/// Runs on one thread.
Solution solve(const SparseProblem& problem, const Options& options);

}  // namespace monge
