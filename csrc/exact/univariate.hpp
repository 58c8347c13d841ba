// Transport on the line and on the circle: a second boundary beside emd.hpp. No Python, no printing, no globals.
//
//   minimise   sum_ij P_ij h(x_i - y_j)   subject to   P >= 0,  P 1 = a,  P' 1 = b,       h(d) = (|d| / unit)^p,  p >=
//   1
//
// On the line the plan that keeps the order is optimal, for h is convex (Villani 2003, "Topics in Optimal
// Transportation", Theorem 2.18 and Remark 2.19). On a circle of circumference `period` it is optimal once the circle
// is cut in the right place (Delon, Salomon, Sobolevski 2010, "Fast transport optimization for Monge costs on the
// circle", section 3; for p = 1 that place is a weighted median, Cabrelli and Molter 1995).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/control.hpp"

namespace monge {

/// Points and weights that the caller owns. Points are finite, and so is h of the largest distance between them.
struct UnivariateProblem {
    const double* x = nullptr;  // (n,), in any order
    const double* y = nullptr;  // (m,)
    const std::uint64_t* x_order =
        nullptr;  // (n,): the places of x in increasing order, as `sort` has them; null if unknown
    const std::uint64_t* y_order = nullptr;  // (m,), likewise
    std::size_t n = 0, m = 0;                // at least 1
    const double* a = nullptr;               // (n,), null for uniform; finite, not negative, not all zero
    const double* b = nullptr;               // (m,), likewise; equal totals up to rounding
    double p = 1.0;
    double unit = 1.0;    // what distances are measured in
    double period = 0.0;  // circumference of the circle, with all points in [0, period); 0 for the line
};

/// Room for what was found, owned by the caller.
struct UnivariatePlan {
    double* f = nullptr;           // (n,): f_i + g_j <= h(x_i - y_j) to rounding, on the circle for all turns
    double* g = nullptr;           // (m,)
    std::int64_t* rows = nullptr;  // (n + m - 1,), of which `entries` are filled, in the order of the line
    std::int64_t* cols = nullptr;  // likewise
    double* mass = nullptr;        // likewise
    std::size_t entries = 0;
};

struct UnivariateSolution {
    Status status = Status::optimal;  // or interrupted, time_limit, out_of_memory: nothing else is of use then
    double cost = 0.0;                // sum of mass * h
    double mass = 0.0;                // of all that moves, in the unit of the weights
    double reach = 0.0;               // the largest distance over which mass moves
    double gap = 0.0;                 // sum of mass * (h - f - g) >= 0; zero if no plan was asked for
    std::int64_t cuts = 0;            // places where the circle was cut before the best one was found
    std::int64_t checks = 0;          // looks of the calling thread at whether to go on
    double seconds_sort = 0.0, seconds_total = 0.0;
};

/// Fills `plan` unless it is null. The answer has the same bits with and without it, and for any number of threads.
UnivariateSolution solve(const UnivariateProblem& problem, const Options& options, UnivariatePlan* plan);

/// Fills order (n,) with the places of finite numbers in increasing order; ties keep theirs.
Status sort(const double* values, std::size_t n, const Options& options, std::uint64_t* order);

/// Each problem without its plan, on one of the threads; `options.poll` is told in `pivots` how many are done. The
/// answers have the same bits as one by one; after a status that is not `optimal` they are of no use.
Status solve_all(const UnivariateProblem* problems, std::size_t count, const Options& options,
                 UnivariateSolution* solutions);

}  // namespace monge
