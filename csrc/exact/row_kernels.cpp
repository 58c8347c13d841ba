// See row_kernels.hpp. Compiled once per instruction set, with MONGE_ISA naming it. Nothing here may be an inline
// function of the standard library: the linker keeps one copy of each, and it could keep the one for the newest
// processor. Hence raw pointers and hand-written minima.
#include "exact/row_kernels.hpp"

#include <math.h>
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
inline Vector spread(double x) { return x - Vector{}; }
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

template <class T>
void scan(const T* c, size_t m, CostRange* range) {
    T low[lanes], high[lanes];
    std::uint32_t invalid[lanes] = {}, infinite[lanes] = {};
    for (size_t l = 0; l < lanes; ++l) {
        low[l] = static_cast<T>(infinity);
        high[l] = static_cast<T>(-infinity);
    }
    const T inf = static_cast<T>(infinity);
    size_t j = 0;
    auto take = [&](size_t l, T x) {
        invalid[l] |= !(x > -inf);
        infinite[l] |= x == inf;
        low[l] = x < low[l] ? x : low[l];
        const T finite = x < inf ? x : -inf;
        high[l] = finite > high[l] ? finite : high[l];
    };
    for (; j + lanes <= m; j += lanes)
        for (size_t l = 0; l < lanes; ++l) take(l, c[j + l]);
    for (; j < m; ++j) take(j % lanes, c[j]);
    for (size_t l = 0; l < lanes; ++l) {
        range->lowest = smaller(range->lowest, low[l]);
        range->highest = -smaller(-range->highest, -static_cast<double>(high[l]));
        range->has_invalid |= invalid[l] != 0;
        range->has_infinity |= infinite[l] != 0;
    }
}

template <class T>
double minimum(const T* c, const double* v, size_t m) {
    // Four independent chains hide the latency of a minimum.
    Vector low[4] = {spread(infinity), spread(infinity), spread(infinity), spread(infinity)};
    size_t j = 0;
    for (; j + 4 * width <= m; j += 4 * width) {
        low[0] = smaller(load(c + j) - load(v + j), low[0]);
        low[1] = smaller(load(c + j + width) - load(v + j + width), low[1]);
        low[2] = smaller(load(c + j + 2 * width) - load(v + j + 2 * width), low[2]);
        low[3] = smaller(load(c + j + 3 * width) - load(v + j + 3 * width), low[3]);
    }
    for (; j + width <= m; j += width) low[0] = smaller(load(c + j) - load(v + j), low[0]);
    double least = smallest(smaller(smaller(low[0], low[1]), smaller(low[2], low[3])));
    for (; j < m; ++j) least = smaller(static_cast<double>(c[j]) - v[j], least);
    return least;
}

template <class T>
double stretch_minima(const T* c, const double* v, size_t m, double* out) {
    double least = infinity;
    for (size_t start = 0; start < m; start += stretch) {
        const double low = minimum(c + start, v + start, m - start < stretch ? m - start : stretch);
        *out++ = low;
        least = smaller(low, least);
    }
    return least;
}

template <class T>
void column_minima(const T* c, double u, double row, size_t m, double* best, double* arg) {
    const Vector us = spread(u), rows = spread(row);
    size_t j = 0;
    for (; j + width <= m; j += width) {
        const Vector r = load(c + j) - us, old = load(best + j);
        const Mask better = r < old;
        store(best + j, better ? r : old);
        store(arg + j, better ? rows : load(arg + j));
    }
    for (; j < m; ++j) {
        const double r = static_cast<double>(c[j]) - u;
        if (r < best[j]) {
            best[j] = r;
            arg[j] = row;
        }
    }
}

template <class T>
size_t below(const T* c, const double* v, size_t m, double bound, int32_t* out) {
    const Vector bounds = spread(bound);
    size_t found = 0, j = 0;
    for (; j + 4 * width <= m; j += 4 * width) {
        std::uint32_t hits = 0;
        for (size_t q = 0; q < 4; ++q)
            hits |= bits(load(c + j + q * width) - load(v + j + q * width) < bounds) << (q * width);
        for (; hits != 0; hits &= hits - 1) out[found++] = static_cast<int32_t>(j) + __builtin_ctz(hits);
    }
    for (; j < m; ++j)
        if (static_cast<double>(c[j]) - v[j] < bound) out[found++] = static_cast<int32_t>(j);
    return found;
}

// The lanes of `kth_bound`: every second stretch.
constexpr size_t wide = 2 * stretch;
constexpr size_t chains = wide / width;

template <class T>
double kth_bound(const T* c, const double* v, size_t m, size_t k, double* out) {
    if (k > wide || m < wide) {
        stretch_minima(c, v, m, out);
        return infinity;
    }
    double low[wide];
    {
        Vector chain[chains];
#pragma GCC unroll 56
        for (size_t q = 0; q < chains; ++q) chain[q] = spread(infinity);
        size_t j = 0;
        for (; j + wide <= m; j += wide) {
            Vector least[2] = {spread(infinity), spread(infinity)};
#pragma GCC unroll 56
            for (size_t q = 0; q < chains; ++q) {
                const Vector r = load(c + j + q * width) - load(v + j + q * width);
                chain[q] = smaller(r, chain[q]);
                least[q / (chains / 2)] = smaller(r, least[q / (chains / 2)]);
            }
            *out++ = smallest(least[0]);
            *out++ = smallest(least[1]);
        }
        stretch_minima(c + j, v + j, m - j, out);
#pragma GCC unroll 56
        for (size_t q = 0; q < chains; ++q) store(low + q * width, chain[q]);
        for (size_t l = 0; j < m; ++j, ++l) low[l] = smaller(static_cast<double>(c[j]) - v[j], low[l]);
    }
    // Hoare's selection of the k-th smallest lane minimum.
    size_t left = 0, right = wide - 1;
    const size_t target = k - 1;
    while (left < right) {
        const double pivot = low[left + (right - left) / 2];
        size_t i = left, h = right;
        for (;;) {
            while (low[i] < pivot) ++i;
            while (low[h] > pivot) --h;
            if (i >= h) break;
            const double t = low[i];
            low[i++] = low[h];
            low[h--] = t;
        }
        if (target <= h)
            right = h;
        else
            left = h + 1;
    }
    return low[target];
}

template <class T>
void add(const T* c, size_t m, double* sums) {
    for (size_t j = 0; j < m; ++j) sums[j] += static_cast<double>(c[j]);
}

size_t cheapest(const int32_t* column, const double* cost, size_t len, const double* part, const int32_t* block,
                const double* add, double* value) {
    // Values first, then their minimum, then its place: a running minimum with its place would wait for each comparison.
    constexpr size_t most = 128;
    double r[most];
    double best = infinity;
    size_t at = 0;
    for (size_t start = 0; start < len; start += most) {
        const size_t count = len - start < most ? len - start : most;
        double low[4] = {infinity, infinity, infinity, infinity};
        size_t k = 0;
        for (; k + 4 <= count; k += 4)
            for (size_t l = 0; l < 4; ++l) {
                const int32_t j = column[start + k + l];
                r[k + l] = cost[start + k + l] + (part[j] + add[block[j]]);
                low[l] = smaller(r[k + l], low[l]);
            }
        for (; k < count; ++k) {
            const int32_t j = column[start + k];
            r[k] = cost[start + k] + (part[j] + add[block[j]]);
            low[0] = smaller(r[k], low[0]);
        }
        const double least = smaller(smaller(low[0], low[1]), smaller(low[2], low[3]));
        if (least < best) {
            best = least;
            for (k = 0; r[k] != least; ++k) {
            }
            at = start + k;
        }
    }
    *value = best;
    return at;
}

size_t cheapest_padded(const double* c, const double* y, size_t m, double* value) {
    Vector low = load(c) + load(y);
    Mask at = {};  // where each lane's register began
    for (size_t j = width; j < m; j += width) {
        const Vector r = load(c + j) + load(y + j);
        const Mask less = r < low;
        low = less ? r : low;
        at = less ? Mask{} + static_cast<long long>(j) : at;
    }
    const double least = smallest(low);
    size_t best = m;
    for (std::uint32_t hits = bits(low == spread(least)); hits != 0; hits &= hits - 1) {
        const size_t l = static_cast<size_t>(__builtin_ctz(hits)), j = static_cast<size_t>(at[l]) + l;
        best = j < best ? j : best;
    }
    *value = least;
    return best;
}

void shift(const std::uint64_t* set, size_t size, double* values, double delta) {
    Mask lane;
    for (size_t l = 0; l < width; ++l) lane[l] = 1LL << l;
    const Vector deltas = spread(delta);
    for (size_t k = 0; k < size; k += width) {
        const Mask in = ((Mask{} + static_cast<long long>(set[k / 64] >> (k % 64))) & lane) != 0;
        const Vector x = load(values + k);
        store(values + k, in ? x + deltas : x);
    }
}

double least(const int32_t* column, const double* cost, size_t len, const double* value) {
    double low[4] = {infinity, infinity, infinity, infinity};
    size_t k = 0;
    for (; k + 4 <= len; k += 4)
        for (size_t l = 0; l < 4; ++l) low[l] = smaller(cost[k + l] + value[column[k + l]], low[l]);
    for (; k < len; ++k) low[0] = smaller(cost[k] + value[column[k]], low[0]);
    return smaller(smaller(low[0], low[1]), smaller(low[2], low[3]));
}

typedef float Floats __attribute__((vector_size(8 * width), aligned(4), may_alias));  // one register of floats
typedef int32_t Integers __attribute__((vector_size(8 * width)));

size_t nearest(const float* x, const float* y, size_t d, size_t stride, size_t m) {
    constexpr size_t step = 2 * width;
    Floats best = Floats{} + HUGE_VALF;
    Integers at = {};
    for (size_t j = 0; j < m; j += step) {
        Floats sum = {};
        for (size_t t = 0; t < d; ++t) {
            const Floats difference = x[t] - *reinterpret_cast<const Floats*>(y + t * stride + j);
            sum += difference * difference;
        }
        const Integers closer = sum < best;
        best = closer ? sum : best;
        at = closer ? Integers{} + static_cast<int32_t>(j) : at;
    }
    size_t found = static_cast<size_t>(at[0]);
    float least = best[0];
    for (size_t l = 1; l < step; ++l) {
        const size_t j = static_cast<size_t>(at[l]) + l;
        if (best[l] < least || (best[l] == least && j < found)) {
            least = best[l];
            found = j;
        }
    }
    return found;
}

// 2^x for x <= 0, relative error 2e-7: x is split into the nearest integer, by adding a magic number, and a rest in
// [-1/2, 1/2] on which a polynomial of degree 5 is fitted (minimax in the relative error). The integer, in the last bits of
// the sum, is added to the exponent of the result.
inline Floats exp2_nonpositive(Floats x) {
    const Floats least = Floats{} - 126.0f;
    const float magic = 12582912.0f;  // 1.5 * 2^23
    x = x < least ? least : x;
    const Floats shifted = x + magic;
    const Floats r = x - (shifted - magic);
    Floats p = r * 1.32647273e-3f + 9.67151299e-3f;
    p = p * r + 5.55073358e-2f;
    p = p * r + 2.40222424e-1f;
    p = p * r + 6.93147004e-1f;
    p = p * r + 1.0f;
    return (Floats)((Integers)p + ((Integers)shifted << 23));
}

void sinkhorn_row(const int32_t* column, const float* cost, size_t len, const float* w, float scale, float mass,
                  float* room, float* received) {
    constexpr size_t step = 2 * width;
    const size_t filled = (len + lanes - 1) / lanes * lanes;
    for (size_t k = 0; k < filled; ++k) room[k] = scale * (w[column[k]] - cost[k]);
    Floats* const x = reinterpret_cast<Floats*>(room);
    Floats top = x[0];
    for (size_t q = 1; q < filled / step; ++q) top = x[q] > top ? x[q] : top;
    float shift = top[0];
    for (size_t l = 1; l < step; ++l) shift = top[l] > shift ? top[l] : shift;
    // Sixteen partial sums whatever the register, so that every instruction set adds in the same order.
    constexpr size_t registers = lanes / step;
    Floats sums[registers] = {};
    for (size_t q = 0; q < filled / step; q += registers)
        for (size_t r = 0; r < registers; ++r) {
            x[q + r] = exp2_nonpositive(x[q + r] - shift);
            sums[r] += x[q + r];
        }
    float sum = 0.0f;
    for (size_t l = 0; l < lanes; ++l) sum += sums[l / step][l % step];
    const float share = mass / sum;
    for (size_t k = 0; k < len; ++k) received[column[k]] += share * room[k];
}

template <class T>
constexpr RowKernels<T> table{scan<T>, minimum<T>, stretch_minima<T>, column_minima<T>, below<T>, kth_bound<T>, add<T>};
constexpr ListKernels lists{cheapest, least, nearest, sinkhorn_row};
constexpr PaddedKernels padded{cheapest_padded, shift};

}  // namespace

extern const RowKernels<float>* const MONGE_NAME(rows_float);
extern const RowKernels<double>* const MONGE_NAME(rows_double);
extern const ListKernels* const MONGE_NAME(lists);
extern const PaddedKernels* const MONGE_NAME(padded);
const RowKernels<float>* const MONGE_NAME(rows_float) = &table<float>;
const RowKernels<double>* const MONGE_NAME(rows_double) = &table<double>;
const ListKernels* const MONGE_NAME(lists) = &lists;
const PaddedKernels* const MONGE_NAME(padded) = &padded;

}  // namespace monge
