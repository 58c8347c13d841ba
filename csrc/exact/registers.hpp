// One register of doubles: what the loops of the exact solver are written with. They compute the same bits whatever its
// length. Only for files that are compiled once per instruction set: all is local to them. common/vectors.hpp is what
// sums of exponentials are written with.
#pragma once

#include <math.h>

#include <cstddef>
#include <cstdint>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "common/isa.hpp"

namespace monge {
namespace {

using std::int32_t;
using std::size_t;

constexpr double infinity = HUGE_VAL;

// One register of doubles of the instruction set that is compiled for. The vector extension of GCC and Clang is used
// because loops over small arrays of lanes are compiled to stores and loads between the iterations.
constexpr size_t width = vector_bytes / sizeof(double);
typedef double Vector __attribute__((vector_size(8 * width)));
typedef long long Mask __attribute__((vector_size(8 * width)));  // all ones where a comparison holds

template <class T>
struct Packed {
    typedef T type __attribute__((vector_size(sizeof(T) * width), aligned(alignof(T)), may_alias));
};

template <class T>
inline Vector load(const T* p) {
    return __builtin_convertvector(*reinterpret_cast<const typename Packed<T>::type*>(p), Vector);
}
inline void store(double* p, Vector x) { *reinterpret_cast<Packed<double>::type*>(p) = x; }
inline Vector broadcast(double x) { return x - Vector{}; }
inline Vector smaller(Vector a, Vector b) { return a < b ? a : b; }
inline double smaller(double a, double b) { return a < b ? a : b; }
/// The least of all lanes, by halves.
inline double smallest(Vector a) {
#if defined(__AVX512F__)
    a = smaller(a, __builtin_shuffle(a, Mask{4, 5, 6, 7, 4, 5, 6, 7}));
    a = smaller(a, __builtin_shuffle(a, Mask{2, 3, 2, 3, 2, 3, 2, 3}));
#elif defined(__AVX__)
    a = smaller(a, __builtin_shuffle(a, Mask{2, 3, 2, 3}));
#endif
    return smaller(a[0], a[1]);
}
/// One bit per lane.
inline std::uint32_t bits(Mask a) {
#if defined(__AVX512DQ__)
    return _mm512_movepi64_mask((__m512i)a);
#elif defined(__AVX__)
    return static_cast<std::uint32_t>(_mm256_movemask_pd((__m256d)a));
#elif defined(__SSE2__)
    return static_cast<std::uint32_t>(_mm_movemask_pd((__m128d)a));
#else
    std::uint32_t all = 0;
    for (size_t l = 0; l < width; ++l) all |= static_cast<std::uint32_t>(a[l] & 1) << l;
    return all;
#endif
}

// For float passes and selections: small arrays of lanes, which compilers do vectorise where nothing is carried over.
constexpr size_t lanes = 16;

}  // namespace
}  // namespace monge
