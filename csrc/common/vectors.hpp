// Vectors of the widest kind of the instruction set that is compiled for, and their powers and logarithms. All is local
// to the file that includes it, as that may be compiled once per instruction set.
#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>
#if defined(__AVX__)
#include <immintrin.h>
#endif
#if defined(__GNUC__) && !defined(__clang__)
// GCC warns of operands that its own intrinsics leave undefined on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include "common/isa.hpp"

namespace monge {
namespace {

using std::size_t;

constexpr double log2_of_e = 1.4426950408889634;

template <class T>
struct Lanes;

template <>
struct Lanes<float> {
    typedef float Vector __attribute__((vector_size(vector_bytes)));
    typedef int Whole __attribute__((vector_size(vector_bytes)));
    static constexpr int mantissa = 23;
    static constexpr float low = -126.0f, high = 120.0f, round = 12582912.0f;  // 1.5 2^23
    // 2^r for |r| <= 1/2 by interpolation in Chebyshev's nodes; relative error 1e-7.
    static constexpr int degree = 5;
    static constexpr float p[degree + 1] = {1.0000000754548972f,  0.6931471880262288f,  0.2402210748530834f,
                                            0.05550357114219078f, 0.00967603191832205f, 0.00133908633646712f};
    // The same for 0 <= r <= 1.
    static constexpr float q[degree + 1] = {0.9999998983500242f, 0.693154489663234f,   0.2401418182014274f,
                                            0.0558603370772849f, 0.00894959042329524f, 0.00189375405822031f};
    // For `raised`. So many of the coefficients for double precision, and terms of the logarithm, leave 5e-9.
    static constexpr int exact_degree = 7, last_term = 9;
    typedef std::uint32_t Bits;
    static constexpr int exponent_bits = 8;
    static constexpr float root_of_half = 0.70710678f;
    static constexpr float least = 0x1p-126f;  // normal number
};

template <>
struct Lanes<double> {
    typedef double Vector __attribute__((vector_size(vector_bytes)));
    typedef long long Whole __attribute__((vector_size(vector_bytes)));
    static constexpr int mantissa = 52;
    static constexpr double low = -1022.0, high = 1000.0, round = 6755399441055744.0;  // 1.5 2^52
    // Relative error 5e-18, before rounding.
    static constexpr int degree = 11;
    // clang-format off
    static constexpr double p[degree + 1] = {
        1.0, 0.6931471805599453, 0.24022650695910158, 0.055504108664821604, 0.00961812910758734, 0.001333355814641074,
        0.00015403530463664982, 1.5252733838008908e-05, 1.321543255347277e-06, 1.0178058437521037e-07,
        7.074192559576437e-09, 4.45562673806549e-10};
    static constexpr double q[degree + 1] = {
        1.0, 0.6931471805599465, 0.24022650695904277, 0.0555041086659012, 0.00961812909724503, 0.00133335587349195,
        0.0001540350928370369, 1.5253231141364262e-05, 1.320769749209033e-06, 1.0258188854184174e-07,
        6.538608553499254e-09, 6.301478117433779e-10};
    // clang-format on
    static constexpr int exact_degree = degree, last_term = 23;
    typedef std::uint64_t Bits;
    static constexpr int exponent_bits = 11;
    static constexpr double root_of_half = 0.7071067811865476;
    static constexpr double least = 0x1p-1022;
};

template <class T>
using Vector = typename Lanes<T>::Vector;
template <class T>
constexpr size_t width = vector_bytes / sizeof(T);

template <class T, class S>
inline Vector<T> load(const S* p) {
    typedef S Packed __attribute__((vector_size(sizeof(S) * width<T>), aligned(alignof(S)), may_alias));
    return __builtin_convertvector(*reinterpret_cast<const Packed*>(p), Vector<T>);
}
template <class T>
inline void store(T* p, Vector<T> x) {
    typedef T Packed __attribute__((vector_size(vector_bytes), aligned(alignof(T)), may_alias));
    *reinterpret_cast<Packed*>(p) = x;
}
template <class T>
inline Vector<T> broadcast(T x) {
    return x - Vector<T>{};
}
// The second one where the first is not a number. Compilers do not find the instructions for these by themselves.
#if defined(__AVX512F__)
inline __m512 smaller(__m512 a, __m512 b) { return _mm512_min_ps(a, b); }
inline __m512d smaller(__m512d a, __m512d b) { return _mm512_min_pd(a, b); }
inline __m512 larger(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }
inline __m512d larger(__m512d a, __m512d b) { return _mm512_max_pd(a, b); }
#elif defined(__AVX__)
inline __m256 smaller(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
inline __m256d smaller(__m256d a, __m256d b) { return _mm256_min_pd(a, b); }
inline __m256 larger(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
inline __m256d larger(__m256d a, __m256d b) { return _mm256_max_pd(a, b); }
#else
template <class V>
inline V smaller(V a, V b) {
    return a < b ? a : b;
}
template <class V>
inline V larger(V a, V b) {
    return a > b ? a : b;
}
#endif
inline double lanes_sum(Vector<double> x) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_pd(x);
#elif defined(__AVX__)
    const __m128d half = _mm256_castpd256_pd128(x) + _mm256_extractf128_pd(x, 1);
    return half[0] + half[1];
#else
    return x[0] + x[1];
#endif
}
template <class T>
inline double sum(Vector<T> x) {
    T each[width<T>];
    store(each, x);
    Vector<double> sums = load<double>(each);
    for (size_t l = width<double>; l < width<T>; l += width<double>) sums += load<double>(each + l);
    return lanes_sum(sums);
}
template <>
inline double sum<double>(Vector<double> x) {
    return lanes_sum(x);
}

template <class T>
inline double highest(Vector<T> x) {
    T top = x[0];
    for (size_t l = 1; l < width<T>; ++l) top = x[l] > top ? x[l] : top;
    return static_cast<double>(top);
}

inline float larger(float a, float b) { return a > b ? a : b; }
inline double larger(double a, double b) { return a > b ? a : b; }

inline float magnitude(float x) { return __builtin_fabsf(x); }
inline double magnitude(double x) { return __builtin_fabs(x); }
template <class V>
inline V magnitude(V x) {
    typedef decltype(x < x) Whole;
    return (V)((Whole)x & ~(Whole)(-V{}));
}
/// 1, -1, or 0 for zero.
template <class V>
inline V sign(V x) {
    const V none = {}, one = none + 1.0f;
    return x > none ? one : x < none ? -one : none;
}

inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }
#if defined(__AVX512F__)
inline __m512 roots(__m512 x) { return _mm512_sqrt_ps(x); }
inline __m512d roots(__m512d x) { return _mm512_sqrt_pd(x); }
#elif defined(__AVX__)
inline __m256 roots(__m256 x) { return _mm256_sqrt_ps(x); }
inline __m256d roots(__m256d x) { return _mm256_sqrt_pd(x); }
#else
template <class V>
inline V roots(V x) {
    for (size_t l = 0; l < sizeof(V) / sizeof(x[0]); ++l) x[l] = root(x[l]);
    return x;
}
#endif

/// Whether any number of x is above that of y.
#if defined(__AVX512F__)
inline bool any_above(__m512d x, __m512d y) { return _mm512_cmp_pd_mask(x, y, _CMP_GT_OQ) != 0; }
#elif defined(__AVX__)
inline bool any_above(__m256d x, __m256d y) { return _mm256_movemask_pd(_mm256_cmp_pd(x, y, _CMP_GT_OQ)) != 0; }
#else
inline bool any_above(Vector<double> x, Vector<double> y) {
    bool any = false;
    for (size_t l = 0; l < width<double>; ++l) any |= x[l] > y[l];
    return any;
}
#endif

/// 2^t within the limits of the type: t = k + r with k whole; adding `round` leaves no bits for fractions, and k in the
/// last ones.
template <class T>
inline Vector<T> power(Vector<T> t) {
    typedef Lanes<T> L;
    t = larger(t, broadcast<T>(L::low));
    t = smaller(t, broadcast<T>(L::high));
    const Vector<T> shifted = t + L::round, r = t - (shifted - L::round);
    Vector<T> p = broadcast<T>(L::p[L::degree]);
#pragma GCC unroll 16
    for (int k = L::degree - 1; k >= 0; --k) p = L::p[k] + r * p;
    typedef typename L::Whole Whole;
    return (Vector<T>)((Whole)p + ((Whole)shifted << L::mantissa));
}

/// 2^t, and zero where that is too small for a number.
inline Vector<double> power_or_zero(Vector<double> t) {
    return t < Lanes<double>::low ? Vector<double>{} : power<double>(t);
}

#if defined(__AVX512F__)
inline __m512 fraction(__m512 t) { return _mm512_reduce_ps(t, 1 | _MM_FROUND_NO_EXC); }
inline __m512d fraction(__m512d t) { return _mm512_reduce_pd(t, 1 | _MM_FROUND_NO_EXC); }
inline __m512 times_power(__m512 p, __m512 t) { return _mm512_scalef_ps(p, t); }
inline __m512d times_power(__m512d p, __m512d t) { return _mm512_scalef_pd(p, t); }
#endif

/// 2^t, for callers who do not care what it is beyond the limits of `power`, if it is finite below and large above.
/// Takes half as long where the instruction set splits off whole powers.
template <class T>
inline Vector<T> rough_power(Vector<T> t) {
#if defined(__AVX512F__)
    typedef Lanes<T> L;
    const Vector<T> r = fraction(t);
    Vector<T> p = broadcast<T>(L::q[L::degree]);
#pragma GCC unroll 16
    for (int k = L::degree - 1; k >= 0; --k) p = L::q[k] + r * p;
    return times_power(p, t);  // of the whole part of t
#else
    return power<T>(t);
#endif
}

/// log2 x = whole + log2(e) part, |part| <= log(2) / 2, for normal numbers; finite for zero.
template <class T>
struct SplitLogarithm {
    Vector<T> whole, part;
};

/// x = 2^k z with z from sqrt(1/2) to sqrt(2), and log z = 2 artanh(s / 2), s = 2 (z - 1) / (z + 1).
template <class T>
inline SplitLogarithm<T> split_logarithm(Vector<T> x) {
    typedef Lanes<T> L;
    typedef typename L::Whole Whole;
    const Whole k = ((Whole)x - (Whole)broadcast<T>(L::root_of_half)) >> L::mantissa;
    const Vector<T> z = (Vector<T>)((Whole)x - (k << L::mantissa));
    const Vector<T> s = (T(2) * z - T(2)) / (z + T(1)), square = s * s;
    Vector<T> p = broadcast<T>(T(1) / (L::last_term << (L::last_term - 1)));
#pragma GCC unroll 16
    for (int term = L::last_term - 2; term >= 3; term -= 2) p = T(1) / (term << (term - 1)) + square * p;
    return {__builtin_convertvector(k, Vector<T>), s + s * (square * p)};
}

/// log2 x for normal numbers. Finite for zero.
inline Vector<double> logarithm(Vector<double> x) {
    const SplitLogarithm<double> log = split_logarithm<double>(x);
    return log.whole + log2_of_e * log.part;
}

/// The exponent of `raised`: `high` has so few digits that its products with whole logarithms are exact.
template <class T>
struct Exponent {
    T all, high, low, of_part;

    explicit Exponent(double exponent) {
        if (!(exponent < 1e30)) exponent = 1e30;  // the same to all digits, and in range
        all = static_cast<T>(exponent);
        typename Lanes<T>::Bits bits;
        memcpy(&bits, &all, sizeof bits);
        bits &= ~((typename Lanes<T>::Bits(1) << Lanes<T>::exponent_bits) - 1);
        memcpy(&high, &bits, sizeof bits);
        low = static_cast<T>(exponent - static_cast<double>(high));
        of_part = static_cast<T>(log2_of_e * exponent);
    }
};

/// x^exponent = 2^(exponent log2 x), for finite x >= 0 and a positive exponent. Numbers below the normal ones count as
/// zero; powers beyond the largest number are infinite. Of the logarithm only the part after the point is rounded: the
/// relative error is at most 1.5 + 1.2 exponent (with 2 for 1.5 without fused operations) halves of a unit in the last
/// place, and for x <= 1 the error is at most two such halves of the number one.
template <class T>
inline Vector<T> raised(Vector<T> x, const Exponent<T>& exponent) {
    typedef Lanes<T> L;
    const SplitLogarithm<T> log = split_logarithm<T>(x);
    const Vector<T> whole = exponent.high * log.whole, part = exponent.low * log.whole + exponent.of_part * log.part;
    const Vector<T> t = whole + part, shifted = t + L::round, r = (whole - (shifted - L::round)) + part;
    Vector<T> p = broadcast<T>(T(Lanes<double>::p[L::exact_degree]));
#pragma GCC unroll 16
    for (int k = L::exact_degree - 1; k >= 0; --k) p = T(Lanes<double>::p[k]) + r * p;
    // Without signs, as out of range these wrap around.
    typedef typename L::Bits Bits __attribute__((vector_size(vector_bytes)));
    p = (Vector<T>)((Bits)p + ((Bits)shifted << L::mantissa));
    p = t < 2 - L::low ? p : broadcast<T>(T(__builtin_huge_val()));
    const Vector<T> none = {};
    p = t < L::low ? none : p;
    return x < L::least ? none : p;
}

}  // namespace
}  // namespace monge
