// The inner loops of the entropic solver over all pairs: rows of costs, from a matrix or from points, through the
// exponential, to sums.
//
// They are written once, in pairs.cpp, and built once per instruction set, like row_kernels.hpp; other than
// there, sums are rounded differently in each. Columns come in panels of a fixed size: what belongs to columns is
// filled up to whole panels, and points y are stored panel by panel, coordinate by coordinate within each.
#pragma once

#include <cstddef>

#include "common/dispatch.hpp"
#include "common/ground.hpp"

namespace monge {

/// Columns in a panel.
template <class T>
constexpr std::size_t panel_size = 192 / sizeof(T);

/// Rows that a pass takes at a time.
constexpr std::size_t most_rows_at_once = 16;

/// Costs C_ij, but for a factor: a matrix, or points.
template <class T>
struct Costs {
    const float* floats = nullptr;  // the matrix, in one of these; both null for points
    const double* doubles = nullptr;
    std::size_t stride;  // from one row of it to the next
    // Rows of x (n, d), and panels of y. Lifted points are x -> (-2 x, |x|^2, 1), y -> (y, 1, |y|^2): their products
    // are the squared distances.
    const T* x = nullptr;
    const T* y = nullptr;
    std::size_t d;
    Ground ground;
    bool lifted;      // for squares
    double exponent;  // of the base
};

/// A part of a pass, in log2 units, for rows from `first` to `last`:
///
/// f_i = min(max(damp r_i, -cap), cap)   r_i = reference - log2 sum_j 2^(beta_j - inverse C_ij)
/// sums_j = sum_i 2^(log_a_i + f_i + beta_j - reference - inverse C_ij - lift)
template <class T>
struct SinkhornRows {
    Costs<T> costs;
    std::size_t m, first, last;
    double inverse;
    const T* beta;  // -inf where panels are filled up
    double reference;
    const double* log_a;
    double damp, cap, lift;
    double* shift;  // a guess of r, which becomes r
    double* f;
    double* sums;
    T* scratch;  // most_rows_at_once + 1 rows of whole panels
};

/// Costs, in rows of m numbers from `first` to `last`.
template <class T>
struct CostRows {
    Costs<T> costs;
    std::size_t m, first, last;
    T* out;
};

struct SinkhornKernels {
    void (*float_pass)(const SinkhornRows<float>&);
    void (*double_pass)(const SinkhornRows<double>&);

    static const SinkhornKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

inline const SinkhornKernels& sinkhorn_kernels() { return chosen<SinkhornKernels>(); }

/// In a file of their own, cost_rows.cpp, since they are wanted without the passes too.
struct CostKernels {
    void (*float_costs)(const CostRows<float>&);
    void (*double_costs)(const CostRows<double>&);

    static const CostKernels baseline, avx2, avx512;
};

inline const CostKernels& cost_kernels() { return chosen<CostKernels>(); }

}  // namespace monge
