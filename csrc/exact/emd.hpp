// Exact optimal transport between weights, for a matrix of costs; sparse.hpp and univariate.hpp are the other entries
// to the exact solves. No Python, no printing, no globals, no exit.
//
//   minimise   sum_ij P_ij c_ij   subject to   P >= 0,  P 1 = a,  P' 1 = b
//
// and its dual, maximise a.f + b.g subject to f_i + g_j <= c_ij.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/control.hpp"

namespace monge {

/// What is known of a problem before it is solved; all null if that is nothing. Read in place.
struct Start {
    const double* f = nullptr;                // (n,), an estimate of the potentials
    const double* g = nullptr;                // (m,), likewise; both or neither
    const std::int64_t* plan_rows = nullptr;  // (entries,) with f and g: the arcs of a plan, each once
    const std::int64_t* plan_cols = nullptr;
    std::size_t entries = 0;
    const std::int32_t* list_rows = nullptr;  // (listed,) with f and g: what a similar problem's solution had in these
    const std::int32_t* list_cols = nullptr;
    std::size_t listed = 0;
};

/// A matrix of costs that the caller owns and weights on its rows and columns.
struct Problem {
    const void* cost = nullptr;
    bool single = false;  // float32, else float64
    std::size_t n = 0, m = 0;
    std::ptrdiff_t row_step = 0, col_step = 0;  // in elements
    const double* a = nullptr;                  // (n,), null for uniform
    const double* b = nullptr;                  // (m,), likewise; of the same total
    double relative_rounding =
        0x1p-52;  // of the numbers that a and b were made from: by how much masses that should agree may not
    bool check_totals = true;  // false if the caller has compared the totals of a and b
    Start start;
    // A partial problem, P 1 <= a, P' 1 <= b, sum P = mass, if not both are true: whether `mass` is the total of a, of
    // b.
    bool sends_all = true, fills_all = true;
    double mass = 0.0;  // read only if neither is
};

struct Solution {
    Status status = Status::optimal;
    std::vector<double> f, g;              // (n,), (m,): f_i + g_j <= c_ij to rounding
    std::vector<std::int64_t> rows, cols;  // the plan's entries, by row, then column
    std::vector<double> mass;
    std::vector<std::int32_t> list_rows, list_cols;  // arcs to price first in a similar problem; none for a small one
    double cost = 0.0;                               // sum of mass * cost
    double gap = 0.0;  // sum of mass * (c - f - g) >= 0: how far `cost` may lie above the optimum; see also partial.hpp
    Counters counters;
};

Solution solve(const Problem& problem, const Options& options);

/// Many problems, of any sizes, spread over the threads. The time limit holds for all together. The poll sees the
/// number of problems that are done as `pivots`; if it stops the solve, the solutions are worth nothing. Throws
/// bad_alloc if there is no room for the solutions themselves; a problem that runs out of memory says so in its status.
/// If the weights or costs of some are invalid, their status says so and none is solved.
std::vector<Solution> solve_all(const std::vector<Problem>& problems, const Options& options);

}  // namespace monge
