// The inner loops of the entropic solver for small problems: passes over a stored kernel matrix, and what Newton's
// method needs.
//
// They are written once, in small_kernels.cpp, and built once per instruction set, like row_kernels.hpp; other than
// there, sums are rounded differently in each. All arrays are in double precision. A `stride` is that of the rows of a
// matrix; it and a `size` are multiples of eight where nothing else is said, and rows filled up by what adds nothing.
#pragma once

#include <cstddef>

#include "common/dispatch.hpp"

namespace monge {

struct ScalingKernels {
    /// out_j = 2^(beta_j - inverse c_j) / S, where S is the sum of these numbers. Returns log2 S, whatever their size;
    /// -inf, and zeros, if all exponents are -inf. No beta_j may be +inf, and no c_j -inf.
    double (*softmax)(const double* c, double inverse, const double* beta, std::size_t size, double* out);

    /// The least number among c_j, the sum of the finite ones and their number.
    void (*summary)(const double* c, std::size_t size, double* least, double* total, double* count);

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

    /// The upper triangle of H_jk = sum_i q_i K_ij K_ik, in rows of `stride` numbers.
    void (*gram)(const double* K, std::size_t rows, std::size_t stride, const double* q, double* H);

    /// Cholesky's factor U of a matrix U' U of `size` rows, whose upper triangle is in H, in its place, but with the
    /// inverses of its diagonal. A pivot that is not above `least` gets the inverse zero: no step that way.
    void (*factor)(double* H, std::size_t size, std::size_t stride, double least);

    /// x <- the solution of U' U x = x.
    void (*solve)(const double* U, std::size_t size, std::size_t stride, double* x);

    static const ScalingKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

inline const ScalingKernels& scaling_kernels() { return chosen<ScalingKernels>(); }

}  // namespace monge
