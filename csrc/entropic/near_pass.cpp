// See near_pass.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing here
// may be an inline function of the standard library.
#include "entropic/near_pass.hpp"

#include <math.h>
#include <string.h>

#include "common/vectors.hpp"
#include "entropic/near_metric.hpp"

namespace monge {
namespace {

/// Rows that are computed together.
constexpr size_t tall = 8;
/// The length of arrays with a number for each of these: `tall`, filled up to whole vectors.
constexpr size_t lanes = width<double> > tall ? width<double> : tall;
/// Vectors of columns whose powers are added up as T, before the sum is added to doubles.
constexpr size_t tile = 128;
/// A row needs no better shift than its potential of the pass before if the sum of its powers lies between these.
constexpr double safe_low = 1e-8, safe_high = 1e30;
/// A block's column sums are stored over 2^lift. They are scaled anew once a row has a mass of more than 2^(lift +
/// this).
constexpr double largest_rise = 10.0;
/// Powers are used again while no column potential has moved by more than this. Powers that were too small for a number
/// are then still nothing beside the sum of a row that is safe.
constexpr double farthest_move = 50.0;
/// Potentials beyond this are as good as infinite; so large is what a column weighs that is none.
constexpr double largest_potential = 1e30;
/// By how much the shift of a row may exceed the middle one of its block: doubles then leave 1e-7 of the exponents.
constexpr double widest_shift = 1e9;
constexpr size_t most_rows = 64;  // of a block that are looked at for that
/// Column sums beyond this are not known, as those of a block whose lift is above the largest one.
constexpr double largest_sum = 1e290, unknown_sum = 1e300, largest_lift = 900.0;

typedef unsigned char Bytes __attribute__((vector_size(width<double>)));

/// An odd number of vectors, and some more that the last run may write to: arrays next to each other then do not share
/// the last bits of their addresses, which stores and loads are told apart by.
template <class T>
inline size_t room(size_t columns) {
    return ((columns / width<T> + 2) | 1) * width<T>;
}

template <class T>
size_t scratch_size(size_t m) {
    return (tall + 5) * room<T>(m);
}

/// What the rows of a block make of the sums of their powers.
template <class T>
struct Rows {
    const NearPass& pass;
    const NearBlock& in;
    size_t columns = 0, size;  // the latter in whole vectors
    T* partial;                // sums over the rows that are done
    T scale[tall];             // of powers in those
    double base[tall];         // what was added to the exponents of a row
    double total[lanes];

    Rows(const NearPass& pass, const NearBlock& block, T* scratch) : pass(pass), in(block), partial(scratch) {
        for (size_t k = 0; k < in.count; ++k) columns += static_cast<size_t>(in.runs[k].last - in.runs[k].first);
        size = (columns + width<T> - 1) / width<T> * width<T>;
        for (size_t j = 0; j < size; j += width<T>) store(partial + j, Vector<T>{});
    }

    bool safe() const {
        bool all = true;
        for (size_t k = 0; k < tall; ++k) all &= total[k] > safe_low && total[k] < safe_high;
        return all;
    }

    inline void add_columns(const T* powers, size_t j) const {
        Vector<T> sums = load<T>(partial + j);
#pragma GCC unroll 8
        for (size_t k = 0; k < tall; ++k) sums += scale[k] * load<T>(powers + j * tall + k * width<T>);
        store(partial + j, sums);
    }

    /// The potentials of eight rows and the factors of their powers in the column sums; returns the new lift.
    double settle(size_t begin, double lift) {
        const size_t rows = in.last - begin < tall ? in.last - begin : tall;
        double less[lanes], factors[lanes], most = -HUGE_VAL;
        for (size_t k = tall; k < lanes; ++k) total[k] = factors[k] = 1.0;
        for (size_t k = 0; k < lanes; k += width<double>) store(less + k, logarithm(load<double>(total + k)));
        for (size_t k = 0; k < tall; ++k) {
            const size_t i = begin + (k < rows ? k : rows - 1);
            const double r = base[k] - less[k], damped = pass.damp * r;
            const double f = damped < -pass.cap ? -pass.cap : damped > pass.cap ? pass.cap : damped;
            const double mass = pass.log_a[i] + (f - r);
            pass.shift[i] = r;
            pass.f[i] = f;
            factors[k] = mass - less[k];
            most = mass > most ? mass : most;
        }
        if (most > lift + largest_rise) {
            const T lower = static_cast<T>(exp2(lift - most > -120.0 ? lift - most : -120.0));
            for (size_t j = 0; j < size; j += width<T>) store(partial + j, lower * load<T>(partial + j));
            lift = most;
        }
        for (size_t k = 0; k < lanes; k += width<double>)
            store(factors + k, power<double>(load<double>(factors + k) - lift));
        for (size_t k = 0; k < tall; ++k) scale[k] = k < rows ? static_cast<T>(factors[k]) : T(0);
        return lift;
    }
};

/// A block's pass over a packed copy of its columns, moved to the middle of the rows, with potentials relative to the
/// highest one of theirs: what is left of the exponents is small, and single precision loses next to nothing.
template <class T, class M>
struct Block : Rows<T> {
    using Rows<T>::pass, Rows<T>::in, Rows<T>::size, Rows<T>::base, Rows<T>::total;
    const M metric;
    T* y[3];
    T* beta;
    T* powers;        // vector after vector of columns, eight rows of each
    const T* before;  // those of the eight rows before
    double middle[3], reference;
    T x[3][tall], guess[tall];

    Block(const NearPass& pass, const NearBlock& block, M metric, T* scratch)
        : Rows<T>(pass, block, scratch), metric(metric) {
        const size_t stride = room<T>(this->columns);
        for (size_t c = 0; c < 3; ++c) y[c] = scratch + (c + 1) * stride;
        beta = scratch + 4 * stride;
        before = powers = scratch + 5 * stride;
        for (size_t c = 0; c < 3; ++c) {
            double sum = 0.0;
            for (size_t i = in.first; i < in.last; ++i) sum += pass.X[c * pass.n + i];
            middle[c] = sum / static_cast<double>(in.last - in.first);
        }
        reference = common_shift();
        pack();
    }

    /// The highest shift of the rows, but for those of outliers, beside which the others would have no digits left.
    double common_shift() const {
        double sorted[most_rows];
        const size_t step = (static_cast<size_t>(in.last - in.first) - 1) / most_rows + 1;
        size_t count = 0;
        for (size_t i = in.first; i < in.last; i += step) {
            size_t k = count++;
            for (; k > 0 && sorted[k - 1] > pass.shift[i]; --k) sorted[k] = sorted[k - 1];
            sorted[k] = pass.shift[i];
        }
        const double most = sorted[count / 2] + widest_shift;
        while (count > 1 && sorted[count - 1] > most) --count;
        return sorted[count - 1];
    }

    void pack() {
        size_t at = 0;
        for (size_t k = 0; k < in.count; ++k) {
            const size_t last = static_cast<size_t>(in.runs[k].last);
            for (size_t j = static_cast<size_t>(in.runs[k].first); j < last; j += width<double>) {
                const size_t count = last - j < width<double> ? last - j : width<double>;
                // Beyond the run there is what comes next, which is written over.
                if (j + width<double> <= pass.m)
                    copy(j, width<double>, at);
                else
                    copy(j, count, at);
                at += count;
            }
        }
        for (size_t c = 0; c < 3; ++c) store(y[c] + at, Vector<T>{});
        store(beta + at, broadcast<T>(T(-largest_potential)));
    }

    inline void copy(size_t j, size_t count, size_t at) const {
        for (size_t c = 0; c < 3; ++c)
            put(y[c] + at, (load_some(pass.Y + c * pass.m + j, count, middle[c]) - middle[c]) * pass.scale);
        const Vector<double> weight = load_some(pass.beta + j, count, 0.0) + reference,
                             most = broadcast(largest_potential);
        put(beta + at, smaller(larger(weight, -most), most));
    }

    static inline void put(T* to, Vector<double> x) {
        typedef T Half __attribute__((vector_size(sizeof(T) * width<double>)));
        const Half half = __builtin_convertvector(x, Half);
        memcpy(to, &half, sizeof half);
    }

    /// Eight rows from `begin` on; the last row stands for those after it.
    void take(size_t begin) {
        for (size_t k = 0; k < tall; ++k) {
            const size_t i = begin + k < in.last ? begin + k : in.last - 1;
            for (size_t c = 0; c < 3; ++c) x[c][k] = static_cast<T>((pass.X[c * pass.n + i] - middle[c]) * pass.scale);
            guess[k] = static_cast<T>(pass.shift[i] - reference);
        }
    }

    /// Powers of eight rows, and their sums. With `add`, those of the rows before are added to the columns first, as
    /// they may be replaced.
    template <bool add>
    void exponentiate() {
        // Copies, for all that compilers know, stores may change what is in memory.
        const Block here = *this;
        for (double& each : total) each = 0.0;
        for (size_t start = 0; start < here.size; start += tile * width<T>) {
            const size_t end = start + tile * width<T> < here.size ? start + tile * width<T> : here.size;
            Vector<T> sums[tall] = {};
            for (size_t j = start; j < end; j += width<T>) {
                if (add) here.add_columns(here.before, j);
                const Vector<T> u = load<T>(here.y[0] + j), v = load<T>(here.y[1] + j), w = load<T>(here.y[2] + j),
                                weight = load<T>(here.beta + j);
#pragma GCC unroll 8
                for (size_t k = 0; k < tall; ++k) {
                    const Vector<T> one = rough_power<T>(here.exponent(k, weight + here.guess[k], u, v, w));
                    store(here.powers + j * tall + k * width<T>, one);
                    sums[k] += one;
                }
            }
            for (size_t k = 0; k < tall; ++k) total[k] += sum<T>(sums[k]);
        }
    }

    inline Vector<T> exponent(size_t k, Vector<T> from, Vector<T> u, Vector<T> v, Vector<T> w) const {
        return metric.below(from, x[0][k] - u, x[1][k] - v, x[2][k] - w);
    }

    /// Guesses with which the largest power is one.
    void find_peaks() {
        for (size_t k = 0; k < tall; ++k) {
            Vector<T> high = broadcast<T>(T(-HUGE_VAL));
            for (size_t j = 0; j < size; j += width<T>)
                high = larger(exponent(k, load<T>(beta + j), load<T>(y[0] + j), load<T>(y[1] + j), load<T>(y[2] + j)),
                              high);
            guess[k] = static_cast<T>(-highest<T>(high));
        }
    }

    double run(const KeptRows<T>* kept) {
        double lift = -HUGE_VAL;
        for (size_t begin = in.first; begin < in.last; begin += tall) {
            take(begin);
            if (kept != nullptr) powers = kept->powers + (begin - in.first) * size;
            if (begin == in.first)
                exponentiate<false>();
            else
                exponentiate<true>();
            if (!this->safe()) {
                find_peaks();
                exponentiate<false>();
            }
            for (size_t k = 0; k < tall; ++k) base[k] = static_cast<double>(guess[k]) + reference;
            if (kept != nullptr) memcpy(kept->base + (begin - in.first), base, sizeof base);
            lift = this->settle(begin, lift);
            before = powers;
        }
        const Rows<T> here = *this;
        for (size_t j = 0; j < size; j += width<T>) here.add_columns(before, j);
        return lift;
    }
};

template <class T>
double block_rows(const NearPass& pass, const NearBlock& block, T* scratch, const KeptRows<T>* kept) {
    return with_metric<T>(
        pass, [&](auto metric) { return Block<T, decltype(metric)>(pass, block, metric, scratch).run(kept); });
}

template <class T>
bool moved(const double* now, const double* then, size_t m, T* out) {
    bool far = false;
    for (size_t j = 0; j < m; j += width<double>) {
        const size_t count = m - j;
        const Vector<double> change = load_some(now + j, count, 0.0) - load_some(then + j, count, 0.0),
                             p = power<double>(change);
        far |= any_above(change, broadcast(farthest_move)) || any_above(-change, broadcast(farthest_move));
        for (size_t l = 0; l < width<double> && l < count; ++l) out[j + l] = static_cast<T>(p[l]);
    }
    return !far;
}

template <class T>
double again(const NearPass& pass, const NearBlock& block, T* scratch, const KeptRows<T>& kept, const T* moved) {
    Rows<T> rows(pass, block, scratch);
    T* const factors = scratch + room<T>(rows.columns);
    size_t at = 0;
    for (size_t k = 0; k < block.count; ++k) {
        const size_t first = static_cast<size_t>(block.runs[k].first),
                     count = static_cast<size_t>(block.runs[k].last) - first;
        memcpy(factors + at, moved + first, count * sizeof(T));
        at += count;
    }
    for (; at < rows.size; ++at) factors[at] = T(0);
    double lift = -HUGE_VAL;
    for (size_t begin = block.first; begin < block.last; begin += tall) {
        const T* const powers = kept.powers + (begin - block.first) * rows.size;
        memcpy(rows.base, kept.base + (begin - block.first), sizeof rows.base);
        for (double& each : rows.total) each = 0.0;
        for (size_t start = 0; start < rows.size; start += tile * width<T>) {
            const size_t end = start + tile * width<T> < rows.size ? start + tile * width<T> : rows.size;
            Vector<T> sums[tall] = {};
            for (size_t j = start; j < end; j += width<T>) {
                const Vector<T> factor = load<T>(factors + j);
#pragma GCC unroll 8
                for (size_t k = 0; k < tall; ++k) sums[k] += factor * load<T>(powers + j * tall + k * width<T>);
            }
            for (size_t k = 0; k < tall; ++k) rows.total[k] += sum<T>(sums[k]);
        }
        if (!rows.safe()) return NAN;
        lift = rows.settle(begin, lift);
        const Rows<T> here = rows;
        for (size_t j = 0; j < here.size; j += width<T>) here.add_columns(powers, j);
    }
    for (size_t j = 0; j < rows.size; j += width<T>)
        store(rows.partial + j, load<T>(rows.partial + j) * load<T>(factors + j));
    return lift;
}

template <class T>
void scatter(const NearPass& pass, const NearBlock& block, const T* partial, double lift, double* sums,
             const Shares* shares, unsigned char* marks) {
    typedef Lanes<double>::Whole Whole;
    // What is too large for a number is not known, and nor is what all columns got.
    const double factor = lift > largest_lift ? 0.0 : exp2(lift), more = lift > largest_lift ? unknown_sum : 0.0;
    Whole lane;
    for (size_t l = 0; l < width<double>; ++l) lane[l] = static_cast<long long>(l);
    size_t at = 0;
    for (size_t k = 0; k < block.count; ++k) {
        const size_t last = static_cast<size_t>(block.runs[k].last);
        for (size_t j = static_cast<size_t>(block.runs[k].first); j < last; j += width<double>) {
            const size_t count = last - j < width<double> ? last - j : width<double>;
            const Vector<double> part = load<double>(partial + at);  // there is room beyond the last one
            if (j + width<double> <= pass.m) {
                const Vector<double> all = load<double>(sums + j), sum = all + (factor * part + more);
                store(sums + j, lane < static_cast<long long>(count) ? sum : all);
            } else {
                for (size_t l = 0; l < count; ++l) sums[j + l] += factor * part[l] + more;
            }
            if (shares != nullptr) {
                const Vector<double> share =
                    smaller(shares->column * load_some(pass.b + j, pass.m - j, 0.0), broadcast(shares->row));
                const Whole worth = (part > share) & (lane < static_cast<long long>(count));
                const Bytes bytes = __builtin_convertvector(-worth, Bytes);
                memcpy(marks + at, &bytes, sizeof bytes);
            }
            at += count;
        }
    }
}

/// log2 sum_i 2^(log_a_i + f_i - C_ij), over all rows.
double column_sum(const NearPass& pass, size_t j) {
    return with_metric<double>(pass, [&](auto metric) {
        const auto exponents = [&](size_t i) {
            const size_t count = pass.n - i;
            Vector<double> away[3];
            for (size_t c = 0; c < 3; ++c)
                away[c] = (load_some(pass.X + c * pass.n + i, count, 0.0) - pass.Y[c * pass.m + j]) * pass.scale;
            const Vector<double> f = load_some(pass.f + i, count, 0.0);
            return metric.below(load_some(pass.log_a + i, count, -HUGE_VAL) + f, away[0], away[1], away[2]);
        };
        Vector<double> high = broadcast(-HUGE_VAL), total = {};
        for (size_t i = 0; i < pass.n; i += width<double>) high = larger(exponents(i), high);
        const double top = highest<double>(high);
        for (size_t i = 0; i < pass.n; i += width<double>) total += power<double>(exponents(i) - top);
        return top + log2(sum<double>(total));
    });
}

size_t columns(const NearPass& pass, const NearColumns& in) {
    size_t lost = 0;
    for (size_t j = 0; j < pass.m; j += width<double>) {
        const size_t count = pass.m - j;
        Vector<double> total = {};
        for (size_t k = 0; k < in.chunks; ++k) total += load_some(in.chunk_sums + k * pass.m + j, count, 1.0);
        const Vector<double> least = in.lost_share * load_some(pass.b + j, count, 0.0);
        const Vector<double> log_b = load_some(in.log_b + j, count, 0.0), g = load_some(in.g + j, count, 0.0);
        Vector<double> s = in.unit * (log_b - logarithm(total)) + g;
        for (size_t l = 0; l < width<double> && l < count; ++l) {
            if (total[l] > least[l] && total[l] < largest_sum) continue;
            if (++lost <= in.repairs) {
                s[l] = -in.unit * column_sum(pass, j + l);
                continue;
            }
            const double known = total[l] > least[l] ? (total[l] < 1e30 ? total[l] : 1e30) : least[l];
            s[l] = in.unit * (log_b[l] - log2(known)) + g[l];
        }
        if (count >= width<double>)
            store(in.s + j, s);
        else
            for (size_t l = 0; l < count; ++l) in.s[j + l] = s[l];
    }
    return lost;
}

constexpr NearKernels kernels = {
    {scratch_size<float>, block_rows<float>, again<float>, moved<float>, scatter<float>},
    {scratch_size<double>, block_rows<double>, again<double>, moved<double>, scatter<double>},
    columns};

}  // namespace

const NearKernels NearKernels::MONGE_ISA = kernels;

}  // namespace monge
