// See row_kernels.hpp. Compiled once per instruction set, with MONGE_ISA naming it. Nothing here may be an inline
// function of the standard library: the linker keeps one copy of each, and it could keep the one for the newest
// processor. Hence raw pointers and hand-written minima.
#include "exact/row_kernels.hpp"

#include <math.h>

#include "exact/registers.hpp"

namespace monge {
namespace {

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
    Vector low[4] = {broadcast(infinity), broadcast(infinity), broadcast(infinity), broadcast(infinity)};
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
    const Vector us = broadcast(u), rows = broadcast(row);
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
    const Vector bounds = broadcast(bound);
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
        for (size_t q = 0; q < chains; ++q) chain[q] = broadcast(infinity);
        size_t j = 0;
        for (; j + wide <= m; j += wide) {
            Vector least[2] = {broadcast(infinity), broadcast(infinity)};
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

template <class T>
constexpr RowKernels<T> table{scan<T>, minimum<T>, stretch_minima<T>, column_minima<T>, below<T>, kth_bound<T>, add<T>};

}  // namespace

template <class T>
const RowKernels<T> RowKernels<T>::MONGE_ISA = table<T>;
template struct RowKernels<float>;
template struct RowKernels<double>;

}  // namespace monge
