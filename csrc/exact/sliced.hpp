// Transport between the projections of two clouds to lines: a boundary beside univariate.hpp. No Python, no printing,
// no globals.
//
//   W(theta) = min_P  sum_ij P_ij h(<x_i - y_j, theta>)   subject to   P >= 0,  P 1 = a,  P' 1 = b,
//   h(d) = (|d| / unit)^p,  p >= 1,
//
// for many directions theta, with weights of total one, and what derivatives are made of. (Rabin, Peyre, Delon, Bernot
// 2011, "Wasserstein barycenter and its application to texture mixing"; Bonneel, Rabin, Peyre, Pfister 2015, "Sliced
// and Radon Wasserstein barycenters of measures".)
#pragma once

#include <cstddef>

#include "common/control.hpp"

namespace monge {

/// What the caller owns. Points are those of `x` and `y` minus `shift`, times `factor`.
struct SlicedProblem {
    const double* x = nullptr;  // (n, d), finite
    const double* y = nullptr;  // (m, d)
    std::size_t n = 0, m = 0, d = 0;
    double factor = 1.0;
    const double* shift = nullptr;       // (d,)
    const double* a = nullptr;           // (n,), null for uniform; finite, not negative, not all zero
    const double* b = nullptr;           // (m,), likewise; equal totals up to rounding
    const double* directions = nullptr;  // (count, d)
    std::size_t count = 0;
    double p = 1.0;
    double unit = 1.0;
};

/// Room for what is wanted, owned by the caller: null is not wanted. `points_x` and `points_y` go together, and so do
/// `weights_a` and `weights_b`; these two pairs do not, and `turns` not with the second. With s(d) = h'(d) unit / p:
struct SlicedSums {
    double* means = nullptr;    // (count,): W(theta); always wanted
    double* reaches = nullptr;  // (count,): the largest distance over which mass moves; always wanted
    double* lifted = nullptr;   // (count,): sum_ij P_ij (|x_i - y_j| / unit)^p for the plan that is optimal on the line

    double* points_x = nullptr;   // (n, d): sum over directions and j of P_ij s(<x_i - y_j, theta>) theta
    double* points_y = nullptr;   // (m, d): likewise, with the other sign
    double* turns = nullptr;      // (count, d): sum_ij P_ij s(<x_i - y_j, theta>) (x_i - y_j)
    double* weights_a = nullptr;  // (n,): the sum over directions of potentials f(theta), optimal for x and y,
    double* weights_b = nullptr;  // (m,): and g(theta): halfway between two, where the walk along the line has a choice
};

/// `sums` have the same bits for any number of threads, and W those of `solve` in univariate.hpp up to rounding. A
/// status other than `optimal` is `interrupted`, `time_limit` or `out_of_memory`: nothing is of use then.
Status solve(const SlicedProblem& problem, const Options& options, const SlicedSums& sums);

}  // namespace monge
