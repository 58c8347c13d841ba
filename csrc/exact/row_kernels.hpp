// The inner loops of the exact solver: passes over one row of costs. Those over candidate lists are in
// list_kernels.hpp, those of problems that stay in the cache in padded_kernels.hpp.
//
// They are written once, in row_kernels.cpp for one, with the vector extension of GCC and Clang, which any processor
// can be compiled for, and built once per instruction set. `row_kernels<T>()` picks the best set this processor has.
//
// Every set computes the same bits: minima do not depend on the order of comparison, `c - v` is one rounding, and
// contraction to fused multiply-add is switched off by the build.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/dispatch.hpp"

namespace monge {

/// Which values occur in a stretch of costs. `lowest` and `highest` are over the finite entries.
struct CostRange {
    double lowest;
    double highest;
    bool has_infinity;  // +inf: forbidden arcs
    bool has_invalid;   // NaN or -inf
};

// Neighbouring columns of which sweeps remember the least: a multiple of every vector length. `kth_bound` takes minima
// over columns twice as far apart, 112 = 7 * 16, which is not a multiple of the common image widths: they should not be
// near neighbours.
constexpr std::size_t stretch = 56;

/// The loops for costs of type T. `c` is a row of costs (m,), `v` the potentials of its columns (m,).
template <class T>
struct RowKernels {
    /// Widens `range` by the entries of the row.
    void (*scan)(const T* c, std::size_t m, CostRange* range);

    /// min_j c_j - v_j; +inf for an empty row.
    double (*minimum)(const T* c, const double* v, std::size_t m);

    /// The same over each stretch of columns, into `out`. Returns the least.
    double (*stretch_minima)(const T* c, const double* v, std::size_t m, double* out);

    /// best_j = min(best_j, c_j - u), and where it falls, arg_j = row. `arg` holds integers; doubles keep lanes
    /// aligned.
    void (*column_minima)(const T* c, double u, double row, std::size_t m, double* best, double* arg);

    /// The columns with c_j - v_j < bound, in increasing order, into `out` (room for m). Returns how many.
    std::size_t (*below)(const T* c, const double* v, std::size_t m, double bound, std::int32_t* out);

    /// An upper bound on the k-th smallest c_j - v_j that at least k columns reach (+inf if m is small). It comes from
    /// minima over columns two stretches apart, so that little more than k columns reach it unless costs are tied or
    /// periodic. Writes what `stretch_minima` does.
    double (*kth_bound)(const T* c, const double* v, std::size_t m, std::size_t k, double* out);

    /// sums_j += c_j.
    void (*add)(const T* c, std::size_t m, double* sums);

    static const RowKernels<T> baseline, avx2, avx512;  // see common/dispatch.hpp
};

template <class T>
const RowKernels<T>& row_kernels() {
    return chosen<RowKernels<T>>();
}
extern template struct RowKernels<float>;
extern template struct RowKernels<double>;

}  // namespace monge
