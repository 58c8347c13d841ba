// See slice_kernels.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing
// here may be an inline function of the standard library.
#include "exact/slice_kernels.hpp"

#include "exact/registers.hpp"

namespace monge {
namespace {

constexpr size_t vectors = 2;  // side by side: with four rows, eight sums hide the latency of an addition

/// Some rows of the sums of neighbouring points, which stay in registers over all terms.
template <size_t rows>
inline void tile(const double* weights, size_t terms, const double* in, size_t in_row, double* out, size_t out_row,
                 bool add) {
    Vector sums[rows][vectors];
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; ++v) sums[r][v] = add ? load(out + r * out_row + v * width) : Vector{};
    for (size_t s = 0; s < terms; ++s) {
        Vector points[vectors];
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; ++v) points[v] = load(in + s * in_row + v * width);
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; ++r) {
            const Vector weight = broadcast(weights[r * terms + s]);
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; ++v) sums[r][v] += weight * points[v];
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; ++v) store(out + r * out_row + v * width, sums[r][v]);
}

void combine(const double* weights, size_t rows, size_t terms, Table<const double> in, Table<double> out, size_t first,
             size_t last, bool add) {
    for (size_t g = first; g < last; ++g)
        for (size_t l = 0; l < slice_group; l += vectors * width) {
            const double* points = in.at + g * in.group + l;
            double* sums = out.at + g * out.group + l;
            size_t r = 0;
            for (; r + 4 <= rows; r += 4)
                tile<4>(weights + r * terms, terms, points, in.row, sums + r * out.row, out.row, add);
            for (; r < rows; ++r) tile<1>(weights + r * terms, terms, points, in.row, sums + r * out.row, out.row, add);
        }
}

void products(Table<const double> in, size_t rows, const double* weights, size_t groups, double* scratch, double* out) {
    for (size_t k = 0; k < rows * slice_group; k += width) store(scratch + k, Vector{});
    for (size_t g = 0; g < groups; ++g)
        for (size_t l = 0; l < slice_group; l += width) {
            const Vector weight = load(weights + g * slice_group + l);
            const double* points = in.at + g * in.group + l;
            for (size_t r = 0; r < rows; ++r) {
                double* const sum = scratch + r * slice_group + l;
                store(sum, load(sum) + weight * load(points + r * in.row));
            }
        }
    for (size_t r = 0; r < rows; ++r) {
        out[r] = 0.0;
        for (size_t l = 0; l < slice_group; ++l) out[r] += scratch[r * slice_group + l];
    }
}

constexpr SliceKernels table = {combine, products};

}  // namespace

const SliceKernels SliceKernels::MONGE_ISA = table;

}  // namespace monge
