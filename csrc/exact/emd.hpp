// Exact optimal transport: the one boundary of the C++ core. No Python, no printing, no globals, no exit.
//
//   minimise   sum_ij P_ij c_ij   subject to   P >= 0,  P 1 = a,  P' 1 = b
//
// and its dual, maximise a.f + b.g subject to f_i + g_j <= c_ij.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace monge {

enum class Status : int {
    optimal,
    time_limit,      // a feasible plan is returned, with the gap it still has
    interrupted,     // by the poll: nothing is returned
    infeasible,      // no plan avoids the forbidden arcs
    no_plan_yet,     // stopped before a plan was found that avoids the forbidden arcs
    invalid_weights, // negative, NaN, all zero, a total outside [1e-280, 1e280], or totals that differ
    invalid_cost,    // NaN, -inf or a magnitude beyond 1e290 among the costs
    out_of_memory,
    inexact,         // costs of such different sizes are in use that rounding hides what the plan may lack: see the gap
};

/// Whether a solve that ends so comes with a plan.
inline bool has_plan(Status status) { return status == Status::optimal || status == Status::time_limit || status == Status::inexact; }

/// A matrix of costs that the caller owns and weights on its rows and columns.
struct Problem {
    const void* cost = nullptr;
    bool single = false;  // float32, else float64
    std::size_t n = 0, m = 0;
    std::ptrdiff_t row_step = 0, col_step = 0;  // in elements
    const double* a = nullptr;  // (n,), null for uniform
    const double* b = nullptr;  // (m,), likewise; of the same total
    double rounding = 0x1p-52;  // of the numbers that a and b were made from, relative: by how much masses that should agree may not
    bool check_totals = true;   // false if the caller has compared the totals of a and b
    const double* f = nullptr;  // (n,), an estimate of the potentials to start from, or null
    const double* g = nullptr;  // (m,), likewise; both or neither
    const std::int64_t* plan_rows = nullptr;  // (entries,) with f and g: the arcs of a plan to start from, each once
    const std::int64_t* plan_cols = nullptr;
    std::size_t entries = 0;
    const std::int32_t* list_rows = nullptr;  // (listed,) with f and g: what a similar problem's solution had in these
    const std::int32_t* list_cols = nullptr;
    std::size_t listed = 0;
    // A partial problem, P 1 <= a, P' 1 <= b, sum P = mass, if not both are true: whether `mass` is the total of a, of b.
    bool sends_all = true, fills_all = true;
    double mass = 0.0;  // read only if neither is
};

/// How far a solve has come, its aggregated problems included.
struct Progress {
    std::int64_t pivots, sweeps;
    double violation;  // the largest -(c_ij - f_i - g_j) that the last sweep saw
};

/// Called from the thread that called `solve`; true asks it to stop.
using Poll = bool (*)(void* context, const Progress& progress);

struct Options {
    int threads = 1;
    double time_limit = 1e300;  // seconds
    Poll poll = nullptr;
    void* context = nullptr;
    const std::atomic<bool>* cancelled = nullptr;  // by another thread; like a poll that says true
};

/// What the solve did. All but the seconds depend on the problem alone, never on the machine or the threads.
struct Counters {
    std::int64_t pivots = 0;             // basis changes
    std::int64_t degenerate_pivots = 0;  // those that moved no mass
    std::int64_t arcs_priced = 0;        // reduced costs computed, in lists and in sweeps
    std::int64_t sweeps = 0;             // passes over all arcs that look for violators
    std::int64_t listed_arcs = 0;        // candidate arcs at the end
    std::int64_t coarse_pivots = 0;      // on the aggregated problems of the start
    std::int64_t coarse_sweeps = 0;      // likewise
    std::int64_t refinements = 0;        // solves anew for what potentials left of the costs, where costs differ much in size
    double dropped = 0.0;                // mass left out: forbidden arcs leave it no way, because weights are rounded
    double seconds_start = 0.0, seconds_pivots = 0.0, seconds_sweeps = 0.0, seconds_total = 0.0;
};

struct Solution {
    Status status = Status::optimal;
    std::vector<double> f, g;             // (n,), (m,): f_i + g_j <= c_ij to rounding
    std::vector<std::int64_t> rows, cols;  // the plan's entries, by row, then column
    std::vector<double> mass;
    std::vector<std::int32_t> list_rows, list_cols;  // arcs to price first in a similar problem; none for a small one
    double cost = 0.0;  // sum of mass * cost
    double gap = 0.0;   // sum of mass * (c - f - g) >= 0: how far `cost` may lie above the optimum; see also partial.hpp
    Counters counters;
};

Solution solve(const Problem& problem, const Options& options);

/// Many problems, of any sizes, spread over the threads. The time limit holds for all together. The poll sees the number
/// of problems that are done as `pivots`; if it stops the solve, the solutions are worth nothing. Throws bad_alloc if there
/// is no room for the solutions themselves; a problem that runs out of memory says so in its status. If the weights
/// or costs of some are invalid, their status says so and none is solved.
std::vector<Solution> solve_all(const std::vector<Problem>& problems, const Options& options);

/// The instruction set in use: "avx512", "avx2" or "baseline".
const char* instruction_set();

}  // namespace monge
