// See vector_kernels.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing
// here may be an inline function of the standard library.
#include "entropic/vector_kernels.hpp"

#include <math.h>

#include "common/vectors.hpp"

namespace monge {
namespace {

void products(const double* K, size_t rows, size_t stride, size_t size, const double* v, double* out) {
    const size_t whole = size / width<double> * width<double>;
    size_t i = 0;
    for (; i + 4 <= rows; i += 4) {  // four sums hide the latency of an addition
        const double* row = K + i * stride;
        Vector<double> s0 = {}, s1 = {}, s2 = {}, s3 = {};
        for (size_t j = 0; j < whole; j += width<double>) {
            const Vector<double> factor = load<double>(v + j);
            s0 += load<double>(row + j) * factor;
            s1 += load<double>(row + stride + j) * factor;
            s2 += load<double>(row + 2 * stride + j) * factor;
            s3 += load<double>(row + 3 * stride + j) * factor;
        }
        out[i] = sum<double>(s0);
        out[i + 1] = sum<double>(s1);
        out[i + 2] = sum<double>(s2);
        out[i + 3] = sum<double>(s3);
    }
    for (; i < rows; ++i) {
        Vector<double> s = {};
        for (size_t j = 0; j < whole; j += width<double>) s += load<double>(K + i * stride + j) * load<double>(v + j);
        out[i] = sum<double>(s);
    }
    if (whole < size)
        for (i = 0; i < rows; ++i)
            for (size_t j = whole; j < size; ++j) out[i] += K[i * stride + j] * v[j];
}

void accumulate(const double* K, size_t rows, size_t stride, size_t size, const double* w, double* out) {
    const size_t whole = size / width<double> * width<double>;
    size_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        const double* row = K + i * stride;
        const Vector<double> w0 = broadcast(w[i]), w1 = broadcast(w[i + 1]), w2 = broadcast(w[i + 2]),
                             w3 = broadcast(w[i + 3]);
        for (size_t j = 0; j < whole; j += width<double>)
            store(out + j, load<double>(out + j) +
                               ((w0 * load<double>(row + j) + w1 * load<double>(row + stride + j)) +
                                (w2 * load<double>(row + 2 * stride + j) + w3 * load<double>(row + 3 * stride + j))));
    }
    for (; i < rows; ++i)
        for (size_t j = 0; j < whole; j += width<double>)
            store(out + j, load<double>(out + j) + broadcast(w[i]) * load<double>(K + i * stride + j));
    if (whole < size)
        for (i = 0; i < rows; ++i)
            for (size_t j = whole; j < size; ++j) out[j] += w[i] * K[i * stride + j];
}

void exp2_all(const double* x, size_t size, double* out) {
    for (size_t k = 0; k < size; k += width<double>) store(out + k, power_or_zero(load<double>(x + k)));
}

void log2_all(const double* x, size_t size, double* out) {
    for (size_t k = 0; k < size; k += width<double>) store(out + k, logarithm(load<double>(x + k)));
}

/// Adds the part of some rows to H[j : j + 4, k : k + 8 blocks] of `gram`, which stays in registers over all of them.
template <size_t blocks>
inline void gram_tile(const double* K, size_t rows, size_t stride, size_t size, const double* q, size_t j, size_t k,
                      double* H) {
    Vector<double> s[4][blocks];
    for (size_t r = 0; r < 4; ++r)
        for (size_t c = 0; c < blocks; ++c) s[r][c] = load<double>(H + (j + r) * size + k + c * width<double>);
    for (size_t i = 0; i < rows; ++i) {
        const double* row = K + i * stride;
        Vector<double> right[blocks];
#pragma GCC unroll 4
        for (size_t c = 0; c < blocks; ++c) right[c] = load<double>(row + k + c * width<double>);
#pragma GCC unroll 4
        for (size_t r = 0; r < 4; ++r) {
            const Vector<double> left = broadcast(q[i] * row[j + r]);
#pragma GCC unroll 4
            for (size_t c = 0; c < blocks; ++c) s[r][c] += left * right[c];
        }
    }
    for (size_t r = 0; r < 4; ++r)
        for (size_t c = 0; c < blocks; ++c) store(H + (j + r) * size + k + c * width<double>, s[r][c]);
}

void gram(const double* K, size_t rows, size_t stride, size_t size, const double* q, size_t first, size_t last,
          double* H) {
    for (size_t k = first * size; k < last * size; k += width<double>) store(H + k, Vector<double>{});
    // So many rows of the matrix stay in the second cache for all of these rows of H.
    const size_t some = size < 512 ? 256 : 131072 / size;
    for (size_t begin = 0; begin < rows; begin += some) {
        const size_t count = rows - begin < some ? rows - begin : some;
        const double* part = K + begin * stride;
        for (size_t j = first; j < last; j += 4) {
            size_t k = j / width<double> * width<double>;
            for (; k + 4 * width<double> <= size; k += 4 * width<double>)
                gram_tile<4>(part, count, stride, size, q + begin, j, k, H);
            for (; k < size; k += width<double>) gram_tile<1>(part, count, stride, size, q + begin, j, k, H);
        }
    }
}

void factor(double* H, size_t size, size_t stride, double least) {
    // Four pivots at a time: the rows below are read and written once for all four. What is left of the diagonal is
    // changed too, and never read.
    for (size_t p = 0; p < size; p += 4) {
        const size_t count = size - p < 4 ? size - p : 4, start = p / width<double> * width<double>;
        for (size_t k = p; k < p + count; ++k) {
            double* row = H + k * stride;
            const double inverse = row[k] > least ? 1.0 / sqrt(row[k]) : 0.0;
            for (size_t j = start; j < stride; j += width<double>)
                store(row + j, load<double>(row + j) * broadcast(inverse));
            for (size_t below = k + 1; below < p + count; ++below) {
                double* other = H + below * stride;
                const Vector<double> times = broadcast(row[below]);
                for (size_t j = start; j < stride; j += width<double>)
                    store(other + j, load<double>(other + j) - times * load<double>(row + j));
            }
            row[k] = inverse;
        }
        const double* row = H + p * stride;
        for (size_t i = p + 4; i < size; ++i) {
            double* other = H + i * stride;
            const Vector<double> t0 = broadcast(row[i]), t1 = broadcast(row[stride + i]),
                                 t2 = broadcast(row[2 * stride + i]), t3 = broadcast(row[3 * stride + i]);
            for (size_t j = i / width<double> * width<double>; j < stride; j += width<double>)
                store(other + j,
                      load<double>(other + j) -
                          ((t0 * load<double>(row + j) + t1 * load<double>(row + stride + j)) +
                           (t2 * load<double>(row + 2 * stride + j) + t3 * load<double>(row + 3 * stride + j))));
        }
    }
}

void solve(const double* U, size_t size, size_t stride, double* x) {
    for (size_t i = 0; i < size; ++i) {
        const double* row = U + i * stride;
        x[i] *= row[i];
        for (size_t j = i + 1; j < size; ++j) x[j] -= x[i] * row[j];
    }
    for (size_t i = size; i-- > 0;) {
        const double* row = U + i * stride;
        Vector<double> s = {};
        size_t j = i + 1;
        double rest = 0.0;
        for (; j % width<double> != 0 && j < size; ++j) rest += row[j] * x[j];
        for (; j + width<double> <= size; j += width<double>) s += load<double>(row + j) * load<double>(x + j);
        for (; j < size; ++j) rest += row[j] * x[j];
        x[i] = (x[i] - rest - sum<double>(s)) * row[i];
    }
}

constexpr VectorKernels table = {products, accumulate, exp2_all, log2_all, gram, factor, solve};

}  // namespace

const VectorKernels VectorKernels::MONGE_ISA = table;

}  // namespace monge
