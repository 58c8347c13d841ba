// The inner loops of the entropic solver where its kernel matrix is stored.
//
//     K_ij = 2^(shift_i + beta_j - inverse C_ij)
//
// relative to potentials that are absorbed into it. A pass takes it row by row, some rows at a time, which stay in
// cache between the two products with them:
//
//     r_i = sum_j K_ij v_j          alpha_i = clip(damp (shift_i - log2 r_i), -cap, cap)
//     w_i = a_i 2^(alpha_i - shift_i)          columns_j += sum_i w_i K_ij
//
// A fresh pass makes the matrix on the way; `again` reads it. The matrix may be in single precision, and so may be the
// exponents that it is made of; sums of many numbers are in double precision.
//
// They are written once, in stored_pass.cpp, and built once per instruction set; see pairs.hpp, whose panels these are.
#pragma once

#include <cstddef>

#include "common/dispatch.hpp"
#include "entropic/pairs.hpp"

namespace monge {

/// Rows that a pass takes at a time; those from `first` on are a multiple of these, but for the last ones.
constexpr std::size_t stored_rows = 8;

/// Columns to which rows of a stored matrix are filled up: whole panels of any type.
inline std::size_t stored_stride(std::size_t m) {
    return (m + panel_size<float> - 1) / panel_size<float> * panel_size<float>;
}

/// A part of a pass. What belongs to rows has room for whole groups of `stored_rows`, with weights of zero.
template <class T>
struct StoredRows {
    T* K;  // (n, stride)
    std::size_t stride, m, first, last;
    const T* v;  // (stride): zero where columns are filled up
    const double* a;
    double damp, cap;
    double* shift;  // before a fresh pass a guess of the softmins, which is made better where it is far off
    double* softmin;
    double* alpha;
    double* r;
    double* w;
    double* columns;  // (stride)
    bool goes_on;     // whether they are added to what is there
    T* scratch;       // (stride)
};

/// E is the type of the exponents.
template <class E, class T>
struct FreshRows {
    StoredRows<T> rows;
    const float* floats;  // the costs, rows of `stride` numbers in one of these
    const double* doubles;
    std::size_t stride;
    double inverse;
    const E* beta;  // (stride): -inf where there is no weight, and where columns are filled up
};

struct StoredKernels {
    void (*float_again)(const StoredRows<float>&);
    void (*double_again)(const StoredRows<double>&);
    void (*float_fresh)(const FreshRows<float, float>&);
    void (*mixed_fresh)(const FreshRows<double, float>&);
    void (*double_fresh)(const FreshRows<double, double>&);

    static const StoredKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

inline const StoredKernels& stored_kernels() { return chosen<StoredKernels>(); }

}  // namespace monge
