// Exact optimal transport between many pairs of small clouds of points, with uniform weights.
//
//   for each q < count:   minimise  sum_ij P_ij c(x_qi, y_qj)   subject to   P >= 0,  P 1 = 1 / n,  P' 1 = 1 / m
//
// On one thread, from the points on: the costs of a pair stay in the cache until it is solved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/control.hpp"
#include "common/ground.hpp"

namespace monge {

template <class T>
struct CloudPairs {
    const T* x;  // (count, n, d)
    const T* y;  // (count, m, d)
    std::size_t count, n, m, d;
    GroundCost cost;
};

/// The plans of all pairs, one after the other.
struct PairPlans {
    Status status = Status::optimal;  // if another, that of the last pair that was looked at
    std::vector<double> cost;         // (count,)
    std::vector<std::int64_t> begin;  // (count + 1,): where the entries of each pair begin
    std::vector<std::int32_t> rows, cols;
    std::vector<double> mass;
    std::int64_t inexact = 0;  // of the pairs, those with that status
};

/// The poll sees the number of pairs that are done as `pivots`; if it stops the solve, the plans are worth nothing. A
/// pair that cannot be solved to the end, for its costs or for lack of memory, ends it.
template <class T>
PairPlans solve(const CloudPairs<T>& pairs, const Options& options);

}  // namespace monge
