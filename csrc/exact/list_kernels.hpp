// The inner loops of the exact solver over candidate lists, and over points of single precision: see row_kernels.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/dispatch.hpp"

namespace monge {

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
    /// mass * softmax_k(scale * (w[column[k]] - cost[k])), in base two. The lists, and `scratch`, are filled up to a
    /// multiple of sixteen, with costs of +inf and any columns.
    void (*sinkhorn_row)(const std::int32_t* column, const float* cost, std::size_t len, const float* w, float scale,
                         float mass, float* scratch, float* received);

    static const ListKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

inline const ListKernels& list_kernels() { return chosen<ListKernels>(); }

}  // namespace monge
