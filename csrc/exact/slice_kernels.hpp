// The loops over coordinates of points that are projected to lines. They are written once, in slice_kernels.cpp, and
// built once per instruction set, like row_kernels.hpp; unlike there, each may round sums differently.
//
// Numbers of points are kept in groups of sixteen neighbours, the last of which is filled up. A table has one row per
// coordinate, or per direction: the number of row r and of place l of group g stands at
//
//     g * group + r * row + l
//
// so that a table may be in panels, (groups, rows, 16), or in rows, (rows, groups * 16).
#pragma once

#include <cstddef>

#include "common/dispatch.hpp"

namespace monge {

constexpr std::size_t slice_group = 16;

template <class T>
struct Table {
    T* at;
    std::size_t group, row;
};

struct SliceKernels {
    /// out_r = sum_s weights[r * terms + s] in_s for r < rows, in groups from `first` to `last`; added to what is there
    /// if `add`. A sum takes its terms one after the other: it has the same bits in one go or in several, and whatever
    /// the place of a point.
    void (*combine)(const double* weights, std::size_t rows, std::size_t terms, Table<const double> in,
                    Table<double> out, std::size_t first, std::size_t last, bool add);

    /// out_r = <in_r, weights> for r < rows over all groups, with `weights` in one row. `scratch` holds rows * 16
    /// numbers.
    void (*products)(Table<const double> in, std::size_t rows, const double* weights, std::size_t groups,
                     double* scratch, double* out);

    static const SliceKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

inline const SliceKernels& slice_kernels() { return chosen<SliceKernels>(); }

}  // namespace monge
