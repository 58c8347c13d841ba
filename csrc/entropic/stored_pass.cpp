// See stored_pass.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing here
// may be an inline function of the standard library.
#include "entropic/stored_pass.hpp"

#include <math.h>

#include "entropic/pair_blocks.hpp"

namespace monge {
namespace {

/// Row sums, up to this and down to its inverse, for which a guess was good: entries then keep clear of the ends of the
/// type's range.
template <class T>
constexpr double safe_sum = 0x1p100;
template <>
constexpr double safe_sum<float> = 0x1p12;
/// Row sums of which nothing is in reach.
template <class T>
constexpr double least_sum = 1e-290;
template <>
constexpr double least_sum<float> = 1e-30;
/// Exponents from which entries are taken for zero: these count for nothing, but would make products with them too
/// small for normal numbers, which processors take long for. And the largest exponent that either type holds.
template <class T>
constexpr double low_exponent = -900.0;
template <>
constexpr double low_exponent<float> = -96.0;
constexpr double high_exponent = 120.0;

/// What belongs to one group of rows.
template <class T>
struct Group {
    const StoredRows<T>& in;
    const size_t begin, count;
    T* at[stored_rows];  // rows of K; the last one stands for those after it
    double total[stored_rows];
    T scale[stored_rows];

    Group(const StoredRows<T>& in, size_t begin)
        : in(in), begin(begin), count(in.last - begin < stored_rows ? in.last - begin : stored_rows) {
        for (size_t k = 0; k < stored_rows; ++k) at[k] = in.K + (begin + (k < count ? k : count - 1)) * in.stride;
    }

    /// total_k = sum_j K_kj v_j
    void multiply() {
        for (double& each : total) each = 0.0;
        const size_t size = (in.m + width<T> - 1) / width<T> * width<T>;
        for (size_t start = 0; start < size; start += tile<T>) {
            Vector<T> sums[stored_rows] = {};
            const size_t end = start + tile<T> < size ? start + tile<T> : size;
            for (size_t j = start; j < end; j += width<T>) {
                const Vector<T> factor = load<T>(in.v + j);
#pragma GCC unroll 8
                for (size_t k = 0; k < stored_rows; ++k) {
                    __builtin_prefetch(reinterpret_cast<const char*>(at[k] + j) + ahead);
                    sums[k] += load<T>(at[k] + j) * factor;
                }
            }
            for (size_t k = 0; k < stored_rows; ++k) total[k] += sum<T>(sums[k]);
        }
    }

    /// Potentials of the rows and the factors of their entries in the columns, from their sums.
    void settle() {
        const Vector<double> none = {}, one = none + 1.0, least = broadcast(least_sum<T>);
        const Vector<double> damp = broadcast(in.damp), cap = broadcast(in.cap);
        const bool plainly = in.damp == 1.0 && in.cap == HUGE_VAL;
        double factors[stored_rows];
        for (size_t k = 0; k < stored_rows; k += width<double>) {
            Vector<double> r = load<double>(total + k);
            const auto reach = r > least;
            r = reach ? r : one;
            const Vector<double> softmin = load<double>(in.shift + begin + k) - logarithm(r);
            Vector<double> alpha = softmin, w = load<double>(in.a + begin + k) / r;
            if (!plainly) {
                alpha = smaller(larger(damp * softmin, -cap), cap);
                w *= power<double>(alpha - softmin);
            }
            w = reach ? w : none;
            store(in.softmin + begin + k, reach ? softmin : none);
            store(in.alpha + begin + k, reach ? alpha : none);
            store(in.r + begin + k, r);
            store(in.w + begin + k, w);
            store(factors + k, w);
        }
        for (size_t k = 0; k < stored_rows; ++k) scale[k] = k < count ? static_cast<T>(factors[k]) : T(0);
    }

    /// The entries of the rows, times their factors, to the columns.
    void accumulate() const {
        const size_t size = (in.m + width<T> - 1) / width<T> * width<T>;
        for (size_t j = 0; j < size; j += width<T>) {
            Vector<T> low = load<T>(in.scratch + j), high = {};
#pragma GCC unroll 4
            for (size_t k = 0; k < stored_rows; k += 2) {
                low += scale[k] * load<T>(at[k] + j);
                high += scale[k + 1] * load<T>(at[k + 1] + j);
            }
            store(in.scratch + j, low + high);
        }
    }
};

/// Calls use(group) for all groups of rows, after which it is added to the columns.
template <class T, class Use>
void for_groups(const StoredRows<T>& in, Use use) {
    for (size_t j = 0; j < in.stride; ++j) in.scratch[j] = T(0);
    for (size_t j = 0; j < in.stride && !in.goes_on; ++j) in.columns[j] = 0.0;
    for (size_t begin = in.first; begin < in.last; begin += stored_rows) {
        Group<T> group(in, begin);
        use(group);
        group.settle();
        group.accumulate();
        if (begin + stored_rows < in.last && (begin - in.first + stored_rows) % flush != 0) continue;
        for (size_t j = 0; j < in.stride; j += width<double>) {
            store(in.columns + j, load<double>(in.columns + j) + load<double>(in.scratch + j));
            for (size_t l = 0; l < width<double>; ++l) in.scratch[j + l] = T(0);
        }
    }
}

template <class T>
void again(const StoredRows<T>& in) {
    for_groups(in, [](Group<T>& group) { group.multiply(); });
}

/// Powers of E as numbers of T, in the same order.
inline void store_as(float* out, Vector<float> x) { store(out, x); }
inline void store_as(double* out, Vector<double> x) { store(out, x); }
inline void store_as(float* out, Vector<double> x) {
    typedef float Half __attribute__((vector_size(vector_bytes / 2)));
    typedef float Packed __attribute__((vector_size(vector_bytes / 2), aligned(alignof(float)), may_alias));
    *reinterpret_cast<Packed*>(out) = __builtin_convertvector(x, Half);
}

template <class E, class T, class Source>
struct Fresh {
    const FreshRows<E, T>& in;
    const Source& costs;

    /// K_kj = 2^(beta_j + guess_k - inverse C_kj), and the sums of the rows.
    void exponentiate(Group<T>& group, const typename Source::Row* rows, const E* guess) const {
        const E inverse = static_cast<E>(in.inverse);
        const Vector<E> low = broadcast<E>(E(low_exponent<T>)), high = broadcast<E>(E(high_exponent)), none = {};
        for (double& each : group.total) each = 0.0;
        const size_t padded = whole_panels<E>(in.rows.m);
        for (size_t start = 0; start < padded; start += tile<E>) {
            Vector<E> sums[stored_rows] = {};
            const size_t end = start + tile<E> < padded ? start + tile<E> : padded;
            for (size_t j = start; j < end; j += block<E>)
                for (size_t k = 0; k < stored_rows; k += tall) {
                    const Block<E> c = costs.read(rows + k, j);
#pragma GCC unroll 3
                    for (size_t v = 0; v < wide; ++v) {
                        const size_t at = j + v * width<E>;
                        const Vector<E> factor = load<E>(in.rows.v + at);
#pragma GCC unroll 4
                        for (size_t r = 0; r < tall; ++r) {
                            Vector<E> t = (load<E>(in.beta + at) + guess[k + r]) - inverse * c.at[r][v];
                            if (sizeof(T) < sizeof(E)) t = smaller(t, high);
                            const Vector<E> p = t > low ? power<E>(t) : none;
                            store_as(group.at[k + r] + at, p);
                            sums[k + r] += p * factor;
                        }
                    }
                }
            for (size_t k = 0; k < stored_rows; ++k) group.total[k] += sum<E>(sums[k]);
        }
        for (T* row : group.at)
            for (size_t j = padded; j < in.rows.stride; ++j) row[j] = T(0);
    }

    void operator()(Group<T>& group) const {
        E guess[stored_rows];
        double* const shift = in.rows.shift + group.begin;
        for (size_t k = 0; k < stored_rows; ++k)
            guess[k] = static_cast<E>(shift[k < group.count ? k : group.count - 1]);
        typename Source::Row rows[stored_rows];
        find_rows(costs, group.begin, in.rows.last, stored_rows, rows);
        exponentiate(group, rows, guess);
        bool safe = true;
        for (double each : group.total) safe &= each > 1.0 / safe_sum<T> && each < safe_sum<T>;
        if (!safe) {
            find_peaks(costs, rows, stored_rows, whole_panels<E>(in.rows.m), in.beta, static_cast<E>(in.inverse),
                       guess);
            exponentiate(group, rows, guess);
            bool low = false;  // where weights in reach are small
            for (size_t k = 0; k < stored_rows; ++k)
                if (group.total[k] > least_sum<T> && group.total[k] < 1.0 / safe_sum<T>) {
                    low = true;
                    guess[k] -= static_cast<E>(log2(group.total[k]));
                }
            if (low) exponentiate(group, rows, guess);
            for (size_t k = 0; k < group.count; ++k) {
                if (group.total[k] > least_sum<T>) continue;
                for (size_t j = 0; j < in.rows.stride; ++j) group.at[k][j] = T(0);
                group.total[k] = 0.0;
            }
        }
        // What the entries are relative to, as it was rounded.
        for (size_t k = 0; k < stored_rows; ++k) shift[k] = static_cast<double>(guess[k]);
    }
};

template <class E, class T, class S>
void fresh_from(const FreshRows<E, T>& in, const S* costs) {
    const Matrix<E, S> source = {costs, in.stride, in.rows.m};
    for_groups(in.rows, Fresh<E, T, Matrix<E, S>>{in, source});
}

template <class E, class T>
void fresh(const FreshRows<E, T>& in) {
    in.floats != nullptr ? fresh_from(in, in.floats) : fresh_from(in, in.doubles);
}

constexpr StoredKernels kernels = {again<float>, again<double>, fresh<float, float>, fresh<double, float>,
                                   fresh<double, double>};

}  // namespace

const StoredKernels StoredKernels::MONGE_ISA = kernels;

}  // namespace monge
