// The gradients of a plan between few points, from the arrays as callers have them: for larger problems rows are cut
// into chunks, and points are packed once for all that is asked of a plan.
#pragma once

#include <cstddef>

#include "common/ground.hpp"

namespace monge {

/// P_ij = a_i b_j exp((f_i + g_j - factor c(x_i, y_j)) / eps) with c = base^exponent, for points that are not lifted.
struct CloudGradient {
    std::size_t n, m, d;
    const double* x;  // (n, d)
    const double* y;  // (m, d)
    Ground ground;
    double exponent, factor;
    const double* a;  // (n,)
    const double* b;  // (m,)
    const double* f;
    const double* g;
    double eps;
    double* grad_x;  // (n, d): sum_j P_ij dc / dx_i times the factor
    double* grad_y;  // (m, d)
};

void cloud_gradient(const CloudGradient& in);

}  // namespace monge
