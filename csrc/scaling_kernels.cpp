// See scaling_kernels.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing
// here may be an inline function of the standard library.
#include "scaling_kernels.hpp"

#include <math.h>

#define MONGE_NAME_2(name, isa) name##_##isa
#define MONGE_NAME_1(name, isa) MONGE_NAME_2(name, isa)
#define MONGE_NAME(name) MONGE_NAME_1(name, MONGE_ISA)

namespace monge {
namespace {

using std::size_t;

constexpr size_t width = 8;
typedef double Vector __attribute__((vector_size(64), aligned(8), may_alias));
typedef long long Whole __attribute__((vector_size(64), aligned(8), may_alias));

inline Vector load(const double* p) { return *reinterpret_cast<const Vector*>(p); }
inline void store(double* p, Vector x) { *reinterpret_cast<Vector*>(p) = x; }
inline Vector spread(double x) { return x - Vector{}; }
inline double sum(Vector x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }
inline double largest(Vector x) {
    double high = x[0];
    for (size_t l = 1; l < width; ++l) high = x[l] > high ? x[l] : high;
    return high;
}

constexpr double smallest_exponent = -1022.0, largest_exponent = 1000.0;

/// 2^t: t = k + r with k whole and |r| <= 1/2. The sum of t and `round` has no fractional bits: then k stands in its
/// last ones. The Taylor series of 2^r, whose next term is below 2^-55.
inline Vector power(Vector t) {
    const Vector low = spread(smallest_exponent), high = spread(largest_exponent);
    const Whole lost = t < low;
    t = t < low ? low : t;
    t = t > high ? high : t;
    const Vector round = spread(6755399441055744.0);
    const Vector shifted = t + round;
    const Vector r = t - (shifted - round);
    Vector p = spread(1.3691488853904129e-12);
    p = spread(2.5678435993488204e-11) + r * p;
    p = spread(4.4455382718708114e-10) + r * p;
    p = spread(7.0549116208011232e-9) + r * p;
    p = spread(1.0178086009239699e-7) + r * p;
    p = spread(1.3215486790144307e-6) + r * p;
    p = spread(1.5252733804059841e-5) + r * p;
    p = spread(1.5403530393381606e-4) + r * p;
    p = spread(1.3333558146428443e-3) + r * p;
    p = spread(9.6181291076284772e-3) + r * p;
    p = spread(5.5504108664821580e-2) + r * p;
    p = spread(2.4022650695910071e-1) + r * p;
    p = spread(6.9314718055994531e-1) + r * p;
    p = spread(1.0) + r * p;
    const Whole raised = (Whole)p + ((Whole)shifted << 52);
    return lost ? Vector{} : (Vector)raised;
}

/// log2 x: x = 2^k z with z from sqrt(1/2) to sqrt(2), and log z = 2 artanh s with s = (z - 1) / (z + 1).
inline Vector logarithm(Vector x) {
    const Whole half = Whole{} + 0x3fe6a09e667f3bcdLL;  // the bits of sqrt(1/2)
    const Whole k = ((Whole)x - half) >> 52;
    const Vector z = (Vector)((Whole)x - (k << 52));
    const Vector s = (z - spread(1.0)) / (z + spread(1.0)), square = s * s;
    Vector p = spread(1.0 / 23.0);
    p = spread(1.0 / 21.0) + square * p;
    p = spread(1.0 / 19.0) + square * p;
    p = spread(1.0 / 17.0) + square * p;
    p = spread(1.0 / 15.0) + square * p;
    p = spread(1.0 / 13.0) + square * p;
    p = spread(1.0 / 11.0) + square * p;
    p = spread(1.0 / 9.0) + square * p;
    p = spread(1.0 / 7.0) + square * p;
    p = spread(1.0 / 5.0) + square * p;
    p = spread(1.0 / 3.0) + square * p;
    const Vector twice = spread(2.8853900817779268);  // 2 / log 2
    return __builtin_convertvector(k, Vector) + twice * (s + s * square * p);
}

double softmax(const double* c, double inverse, const double* beta, size_t size, double* out) {
    const Vector factor = spread(inverse);
    Vector high = spread(-HUGE_VAL);
    for (size_t j = 0; j < size; j += width) {
        const Vector t = load(beta + j) - factor * load(c + j);
        store(out + j, t);
        high = t > high ? t : high;
    }
    const double top = largest(high);
    if (!(top > -HUGE_VAL)) {
        for (size_t j = 0; j < size; ++j) out[j] = 0.0;
        return -HUGE_VAL;
    }
    Vector total = {};
    for (size_t j = 0; j < size; j += width) {
        const Vector p = power(load(out + j) - spread(top));
        store(out + j, p);
        total += p;
    }
    const double all = sum(total);
    const Vector each = spread(1.0 / all);
    for (size_t j = 0; j < size; j += width) store(out + j, load(out + j) * each);
    return top + logarithm(spread(all))[0];
}

void summary(const double* c, size_t size, double* least, double* total, double* count) {
    const Vector none = {}, one = spread(1.0), infinite = spread(HUGE_VAL);
    Vector low = infinite, all = {}, number = {};
    for (size_t j = 0; j < size; j += width) {
        const Vector x = load(c + j);
        low = x < low ? x : low;
        all += x < infinite ? x : none;
        number += x < infinite ? one : none;
    }
    *least = -largest(-low);
    *total = sum(all);
    *count = sum(number);
}

void products(const double* K, size_t rows, size_t stride, size_t size, const double* v, double* out) {
    const size_t whole = size / width * width;
    size_t i = 0;
    for (; i + 4 <= rows; i += 4) {  // four sums hide the latency of an addition
        const double* row = K + i * stride;
        Vector s0 = {}, s1 = {}, s2 = {}, s3 = {};
        for (size_t j = 0; j < whole; j += width) {
            const Vector factor = load(v + j);
            s0 += load(row + j) * factor;
            s1 += load(row + stride + j) * factor;
            s2 += load(row + 2 * stride + j) * factor;
            s3 += load(row + 3 * stride + j) * factor;
        }
        out[i] = sum(s0);
        out[i + 1] = sum(s1);
        out[i + 2] = sum(s2);
        out[i + 3] = sum(s3);
    }
    for (; i < rows; ++i) {
        Vector s = {};
        for (size_t j = 0; j < whole; j += width) s += load(K + i * stride + j) * load(v + j);
        out[i] = sum(s);
    }
    if (whole < size)
        for (i = 0; i < rows; ++i)
            for (size_t j = whole; j < size; ++j) out[i] += K[i * stride + j] * v[j];
}

void accumulate(const double* K, size_t rows, size_t stride, size_t size, const double* w, double* out) {
    const size_t whole = size / width * width;
    size_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        const double* row = K + i * stride;
        const Vector w0 = spread(w[i]), w1 = spread(w[i + 1]), w2 = spread(w[i + 2]), w3 = spread(w[i + 3]);
        for (size_t j = 0; j < whole; j += width)
            store(out + j, load(out + j) + ((w0 * load(row + j) + w1 * load(row + stride + j)) +
                                            (w2 * load(row + 2 * stride + j) + w3 * load(row + 3 * stride + j))));
    }
    for (; i < rows; ++i)
        for (size_t j = 0; j < whole; j += width)
            store(out + j, load(out + j) + spread(w[i]) * load(K + i * stride + j));
    if (whole < size)
        for (i = 0; i < rows; ++i)
            for (size_t j = whole; j < size; ++j) out[j] += w[i] * K[i * stride + j];
}

void exp2_all(const double* x, size_t size, double* out) {
    for (size_t k = 0; k < size; k += width) store(out + k, power(load(x + k)));
}

void log2_all(const double* x, size_t size, double* out) {
    for (size_t k = 0; k < size; k += width) store(out + k, logarithm(load(x + k)));
}

/// H[j : j + 4, k : k + 8 blocks] of `gram`, in registers over all rows.
template <size_t blocks>
inline void gram_tile(const double* K, size_t rows, size_t stride, const double* q, size_t j, size_t k, double* H) {
    Vector s[4][blocks] = {};
    for (size_t i = 0; i < rows; ++i) {
        const double* row = K + i * stride;
        Vector right[blocks];
#pragma GCC unroll 4
        for (size_t c = 0; c < blocks; ++c) right[c] = load(row + k + c * width);
#pragma GCC unroll 4
        for (size_t r = 0; r < 4; ++r) {
            const Vector left = spread(q[i] * row[j + r]);
#pragma GCC unroll 4
            for (size_t c = 0; c < blocks; ++c) s[r][c] += left * right[c];
        }
    }
    for (size_t r = 0; r < 4; ++r)
        for (size_t c = 0; c < blocks; ++c) store(H + (j + r) * stride + k + c * width, s[r][c]);
}

void gram(const double* K, size_t rows, size_t stride, const double* q, double* H) {
    for (size_t j = 0; j < stride; j += 4) {
        size_t k = j / width * width;
        for (; k + 4 * width <= stride; k += 4 * width) gram_tile<4>(K, rows, stride, q, j, k, H);
        for (; k < stride; k += width) gram_tile<1>(K, rows, stride, q, j, k, H);
    }
}

void factor(double* H, size_t size, size_t stride, double least) {
    // Four pivots at a time: the rows below are read and written once for all four. What is left of the diagonal is
    // changed too, and never read.
    for (size_t p = 0; p < size; p += 4) {
        const size_t count = size - p < 4 ? size - p : 4, start = p / width * width;
        for (size_t k = p; k < p + count; ++k) {
            double* row = H + k * stride;
            const double inverse = row[k] > least ? 1.0 / sqrt(row[k]) : 0.0;
            for (size_t j = start; j < stride; j += width) store(row + j, load(row + j) * spread(inverse));
            for (size_t below = k + 1; below < p + count; ++below) {
                double* other = H + below * stride;
                const Vector times = spread(row[below]);
                for (size_t j = start; j < stride; j += width) store(other + j, load(other + j) - times * load(row + j));
            }
            row[k] = inverse;
        }
        const double* row = H + p * stride;
        for (size_t i = p + 4; i < size; ++i) {
            double* other = H + i * stride;
            const Vector t0 = spread(row[i]), t1 = spread(row[stride + i]), t2 = spread(row[2 * stride + i]),
                         t3 = spread(row[3 * stride + i]);
            for (size_t j = i / width * width; j < stride; j += width)
                store(other + j, load(other + j) - ((t0 * load(row + j) + t1 * load(row + stride + j)) +
                                                    (t2 * load(row + 2 * stride + j) + t3 * load(row + 3 * stride + j))));
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
        Vector s = {};
        size_t j = i + 1;
        double rest = 0.0;
        for (; j % width != 0 && j < size; ++j) rest += row[j] * x[j];
        for (; j + width <= size; j += width) s += load(row + j) * load(x + j);
        for (; j < size; ++j) rest += row[j] * x[j];
        x[i] = (x[i] - rest - sum(s)) * row[i];
    }
}

const ScalingKernels table = {softmax, summary, products, accumulate, exp2_all, log2_all, gram, factor, solve};

}  // namespace

extern const ScalingKernels* const MONGE_NAME(scaling);
const ScalingKernels* const MONGE_NAME(scaling) = &table;

}  // namespace monge
