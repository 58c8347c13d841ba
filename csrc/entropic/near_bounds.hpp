// The inner loops that find the columns which a block of rows can reach, by bounds of potentials and costs: see
// near.hpp.
//
// They are written once, in near_bounds.cpp, and built once per instruction set, as those of near_pass.hpp.
#pragma once

#include <cstddef>

#include "common/dispatch.hpp"
#include "entropic/near_pass.hpp"

namespace monge {

/// For columns that are near each other: the box around them, a linear function above their potentials, and their
/// largest weight. potential_j <= top + sum_c slope_c (y_cj - middle_c)
struct Bound {
    double low[3], high[3], slope[3], middle[3], top, log_weight;
};

/// Bounds over 16 columns each, over 256, and over 4096.
constexpr std::size_t bound_levels = 3;
constexpr std::size_t bound_sizes[bound_levels] = {16, 256, 4096};

/// Some rows, in scaled coordinates; shift is -inf where there are fewer.
struct NearRows {
    double x[3][near_rows];
    double shift[near_rows];
};

struct BoundKernels {
    /// Bounds of `size` columns each, of potentials (m,) and logarithms of weights. If not linear, slopes are zero.
    void (*bounds)(const double* Y, std::size_t m, const double* potentials, const double* log_weights, double scale,
                   bool linear, std::size_t size, double* scratch, Bound* out);
    /// The columns, as runs, that some row reaches: with a weight of the rows of at most 2^log_weight, the largest
    /// exponent is above `least`. At least one leaf of columns. Returns how many runs; `out` has room for all leaves.
    std::size_t (*choose)(const NearPass&, const Bound* const* bounds, const NearRows&, double log_weight, double least,
                          Run* out);

    static const BoundKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

/// Numbers of scratch that `bounds` takes.
constexpr std::size_t bound_scratch(std::size_t size) { return 4 * (size + 8); }

inline const BoundKernels& bound_kernels() { return chosen<BoundKernels>(); }

}  // namespace monge
