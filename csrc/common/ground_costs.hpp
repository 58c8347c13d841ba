// Ground costs as numbers: the matrix between two clouds on all threads, and single pairs. Points are row-major.
#pragma once

#include <cstddef>

#include "common/ground.hpp"

namespace monge {

struct GroundName {
    const char* name;
    int degree;
};
GroundName ground_name(Ground ground);

/// Between x (n, d) and y (m, d), into out (n, m). May throw std::bad_alloc.
template <class T>
void ground_costs(const GroundCost& cost, const T* x, const T* y, std::size_t n, std::size_t m, std::size_t d,
                  int threads, T* out);

/// Between x (d,) and m points stored one coordinate per row, across (d, m) with row stride `stride`, into out (m,).
template <class T>
void ground_row(const GroundCost& cost, const T* x, const T* across, std::size_t d, std::size_t stride, std::size_t m,
                T* out);

/// One coordinate of all points (m, d) after the other, into rows of `stride` numbers.
template <class T>
void lay_across(const T* points, std::size_t m, std::size_t d, std::size_t stride, T* out);

/// Between x_k and y_k, k < count, into out (count,): whatever their sizes, if the cost is in range.
void pair_costs(const GroundCost& cost, const double* x, const double* y, std::size_t count, std::size_t d,
                double* out);

/// The derivatives dc/dx of the same, into out (count, d). Where the distance is zero, they count as zero.
void pair_slopes(const GroundCost& cost, const double* x, const double* y, std::size_t count, std::size_t d,
                 double* out);

}  // namespace monge
