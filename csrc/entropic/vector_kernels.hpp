// The inner loops of the entropic solver over vectors, and what Newton's method needs of matrices.
//
// They are written once, in vector_kernels.cpp, and built once per instruction set, like row_kernels.hpp; other than
// there, sums are rounded differently in each. All arrays are in double precision. A `stride` is that of the rows of a
// matrix; it and a `size` are multiples of eight where nothing else is said, and rows filled up by what adds nothing.
#pragma once

#include <cstddef>

#include "common/dispatch.hpp"

namespace monge {

struct VectorKernels {
    /// out_i = sum_j K_ij v_j over j < size, any number.
    void (*products)(const double* K, std::size_t rows, std::size_t stride, std::size_t size, const double* v,
                     double* out);

    /// out_j += sum_i w_i K_ij for j < size, any number.
    void (*accumulate)(const double* K, std::size_t rows, std::size_t stride, std::size_t size, const double* w,
                       double* out);

    /// out_k = 2^x_k, for -1022 <= x_k <= 1000; zero for smaller ones.
    void (*exp2)(const double* x, std::size_t size, double* out);

    /// out_k = log2 x_k for positive normal numbers.
    void (*log2)(const double* x, std::size_t size, double* out);

    /// The upper triangle of H_jk = sum_i q_i K_ij K_ik, j, k < size, in rows of `size` numbers; those from `first` on
    /// to `last`, multiples of four.
    void (*gram)(const double* K, std::size_t rows, std::size_t stride, std::size_t size, const double* q,
                 std::size_t first, std::size_t last, double* H);

    /// Cholesky's factor U of a matrix U' U of `size` rows, whose upper triangle is in H, in its place, but with the
    /// inverses of its diagonal. A pivot that is not above `least` gets the inverse zero: no step that way.
    void (*factor)(double* H, std::size_t size, std::size_t stride, double least);

    /// x <- the solution of U' U x = x.
    void (*solve)(const double* U, std::size_t size, std::size_t stride, double* x);

    static const VectorKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

inline const VectorKernels& vector_kernels() { return chosen<VectorKernels>(); }

}  // namespace monge
