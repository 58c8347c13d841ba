// The inner loops of the solver: passes over one row of costs, and over one candidate list.
//
// They are written once, in row_kernels.cpp, with the vector extension of GCC and Clang, which any processor can be
// compiled for, and built once per instruction set. `row_kernels<T>()` picks the best set this processor has.
//
// Every set computes the same bits: minima do not depend on the order of comparison, `c - v` is one rounding, and
// contraction to fused multiply-add is switched off by the build.
#pragma once

#include <cstddef>
#include <cstdint>

namespace monge {

/// Which values occur in a stretch of costs. `lowest` and `highest` are over the finite entries.
struct CostRange {
    double lowest;
    double highest;
    bool has_infinity;  // +inf: forbidden arcs
    bool has_invalid;   // NaN or -inf
};

// Neighbouring columns of which sweeps remember the least: a multiple of every vector length. `kth_bound` takes minima over
// columns twice as far apart, 112 = 7 * 16, which is not a multiple of the common image widths: they should not be near
// neighbours.
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

    /// best_j = min(best_j, c_j - u), and where it falls, arg_j = row. `arg` holds integers; doubles keep lanes aligned.
    void (*column_minima)(const T* c, double u, double row, std::size_t m, double* best, double* arg);

    /// The columns with c_j - v_j < bound, in increasing order, into `out` (room for m). Returns how many.
    std::size_t (*below)(const T* c, const double* v, std::size_t m, double bound, std::int32_t* out);

    /// An upper bound on the k-th smallest c_j - v_j that at least k columns reach (+inf if m is small). It comes from
    /// minima over columns two stretches apart, so that little more than k columns reach it unless costs are tied or periodic.
    /// Writes what `stretch_minima` does.
    double (*kth_bound)(const T* c, const double* v, std::size_t m, std::size_t k, double* out);

    /// sums_j += c_j.
    void (*add)(const T* c, std::size_t m, double* sums);
};

/// The loops over candidate lists and coordinates, which do not depend on the type of the stored cost.
struct ListKernels {
    /// The position k of the smallest cost[k] + (part[column[k]] + add[block[column[k]]]), the first one in a tie; its
    /// value in *value. len > 0.
    std::size_t (*cheapest)(const std::int32_t* column, const double* cost, std::size_t len, const double* part,
                            const std::int32_t* block, const double* add, double* value);

    /// min_k cost[k] + value[column[k]]; the bits that `cheapest` gives where value[j] = part[j] + add[block[j]].
    double (*least)(const std::int32_t* column, const double* cost, std::size_t len, const double* value);

    /// The first of the points nearest to x (d,), among m that are stored one coordinate per row: y (d, m), row stride
    /// `stride`, filled up to a multiple of sixteen with coordinates of +inf.
    std::size_t (*nearest)(const float* x, const float* y, std::size_t d, std::size_t stride, std::size_t m);

    /// One row of a Sinkhorn step over a list of `len` arcs: adds to received[column[k]] the share
    /// mass * softmax_k(scale * (w[column[k]] - cost[k])), in base two. The lists, and `room`, are filled up to a multiple
    /// of sixteen, with costs of +inf and any columns.
    void (*sinkhorn_row)(const std::int32_t* column, const float* cost, std::size_t len, const float* w, float scale,
                         float mass, float* room, float* received);
};

/// The loops over rows that are filled up with +inf to a multiple of eight doubles, and over sets of places.
struct PaddedKernels {
    /// The lowest position of the smallest c_j + y_j, and that value in *value.
    std::size_t (*cheapest)(const double* c, const double* y, std::size_t m, double* value);

    /// values[k] += delta for the k < size in the set: bit k % 64 of word k / 64. `size` is a multiple of eight.
    void (*shift)(const std::uint64_t* set, std::size_t size, double* values, double delta);
};

template <class T>
const RowKernels<T>& row_kernels();
const ListKernels& list_kernels();
const PaddedKernels& padded_kernels();

}  // namespace monge
