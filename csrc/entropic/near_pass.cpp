// See near_pass.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing here
// may be an inline function of the standard library.
#include "entropic/near_pass.hpp"

#include <math.h>
#include <string.h>

#include "common/vectors.hpp"

namespace monge {
namespace {

/// Rows that are computed together.
constexpr size_t tall = 8;
/// Rows for whose numbers there is room.
constexpr size_t lanes = width<double> > tall ? width<double> : tall;
/// Vectors of columns whose powers are added up in the precision of T.
constexpr size_t tile = 128;
/// Sums of a row, with the potential of the pass before, that need no better shift.
constexpr double safe_low = 1e-8, safe_high = 1e30;
/// The logarithm of the mass of rows, over that of those before in their block, from which sums are scaled anew.
constexpr double largest_rise = 10.0;
/// Changes of column potentials by which kept powers lose nothing: those that were too small for a number still are next
/// to the sum of a row that is safe.
constexpr double farthest_move = 50.0;
/// Potentials beyond this are as good as infinite; so large is what a column weighs that is none.
constexpr double largest_potential = 1e30;
/// By how much the shift of a row may exceed the middle one of its block: doubles then leave 1e-7 of the exponents.
constexpr double widest_shift = 1e9;
constexpr size_t most_rows = 64;  // of a block that are looked at for that
/// Column sums beyond this are not known, as those of a block whose lift is above the largest one.
constexpr double largest_sum = 1e290, unknown_sum = 1e300, largest_lift = 900.0;

typedef unsigned char Bytes __attribute__((vector_size(width<double>)));

/// Some numbers from p, and `rest` where there are fewer than a vector's.
inline Vector<double> load_some(const double* p, size_t count, double rest) {
    if (count >= width<double>) return load<double>(p);
    double each[width<double>];
    for (size_t l = 0; l < width<double>; ++l) each[l] = l < count ? p[l] : rest;
    return load<double>(each);
}

/// What is done to a base: nothing, a root, or a power.
enum class Shape { plain, root, power };

/// Ground costs of differences.
template <class T, class Base, Shape shape>
struct Metric {
    Exponent<T> exponent;

    /// t - cost.
    inline Vector<T> below(Vector<T> t, Vector<T> u, Vector<T> v, Vector<T> w) const {
        if (Base::fused && shape == Shape::plain) {
            t -= Base::term(u);
            t -= Base::term(v);
            t -= Base::term(w);
            return t;
        }
        Vector<T> base = Base::term(u);
        base = Base::join(base, Base::term(v));
        base = Base::join(base, Base::term(w));
        if (shape == Shape::plain) return t - base;
        return t - (shape == Shape::root ? (Vector<T>)roots(base) : raised<T>(base, exponent));
    }
};

/// Calls `use` with the metric of a pass. What is plain or a root is compiled for the bases and the distances themselves.
template <class T, class Use>
inline auto with_metric(const NearPass& pass, Use use) {
    const Exponent<T> exponent(pass.exponent);
    return with_ground(pass.ground, [&](auto base) {
        typedef decltype(base) Base;
        constexpr Shape distance = Base::degree == 1 ? Shape::plain : Shape::root;
        if (!pass.exact && pass.exponent == 1.0) return use(Metric<T, Base, Shape::plain>{exponent});
        if (pass.exponent * Base::degree == 1.0) return use(Metric<T, Base, distance>{exponent});
        return use(Metric<T, Base, Shape::power>{exponent});
    });
}

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
        for (size_t k = 0; k < lanes; k += width<double>) store(factors + k, power<double>(load<double>(factors + k) - lift));
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
    T* powers;  // vector after vector of columns, eight rows of each
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
        store(beta + at, spread<T>(T(-largest_potential)));
    }

    inline void copy(size_t j, size_t count, size_t at) const {
        for (size_t c = 0; c < 3; ++c)
            put(y[c] + at, (load_some(pass.Y + c * pass.m + j, count, middle[c]) - middle[c]) * pass.scale);
        const Vector<double> weight = load_some(pass.beta + j, count, 0.0) + reference, most = spread(largest_potential);
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

    /// Powers of eight rows, and their sums. With `add`, those of the rows before are added to the columns first, as they
    /// may be replaced.
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
            Vector<T> high = spread<T>(T(-HUGE_VAL));
            for (size_t j = 0; j < size; j += width<T>) high = larger(exponent(k, load<T>(beta + j), load<T>(y[0] + j), load<T>(y[1] + j), load<T>(y[2] + j)), high);
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
        const Vector<double> change = load_some(now + j, count, 0.0) - load_some(then + j, count, 0.0), p = power<double>(change);
        far |= any_above(change, spread(farthest_move)) || any_above(-change, spread(farthest_move));
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
        const size_t first = static_cast<size_t>(block.runs[k].first), count = static_cast<size_t>(block.runs[k].last) - first;
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
                const Vector<double> share = smaller(shares->column * load_some(pass.b + j, pass.m - j, 0.0), spread(shares->row));
                const Whole worth = (part > share) & (lane < static_cast<long long>(count));
                const Bytes bytes = __builtin_convertvector(-worth, Bytes);
                memcpy(marks + at, &bytes, sizeof bytes);
            }
            at += count;
        }
    }
}

/// The bound of columns from `first` to `last`.
Bound bound(const double* Y, size_t m, const double* potentials, const double* log_weights, double scale, bool linear,
            size_t first, size_t last, size_t room, double* scratch) {
    const size_t size = last - first, padded = (size + width<double> - 1) / width<double> * width<double>;
    const double inverse = 1.0 / static_cast<double>(size);
    double* const rest = scratch + 3 * room;  // what potentials are above the linear function
    Bound out;
    double height = 0.0;
    out.log_weight = -HUGE_VAL;
    for (size_t j = first; j < last; ++j) {
        height += potentials[j];
        out.log_weight = log_weights[j] > out.log_weight ? log_weights[j] : out.log_weight;
    }
    height *= inverse;
    for (size_t j = 0; j < padded; ++j) rest[j] = j < size ? potentials[first + j] - height : -largest_sum;
    double squares[3];
    for (size_t c = 0; c < 3; ++c) {
        const double* const at = Y + c * m + first;
        double* const away = scratch + c * room;  // from the middle
        double low = HUGE_VAL, high = -HUGE_VAL, middle = 0.0;
        for (size_t j = 0; j < size; ++j) {
            const double y = at[j] * scale;
            low = y < low ? y : low;
            high = y > high ? y : high;
            middle += y;
        }
        middle *= inverse;
        Vector<double> square = {};
        for (size_t j = 0; j < padded; ++j) away[j] = j < size ? at[j] * scale - middle : 0.0;
        for (size_t j = 0; j < padded; j += width<double>) square += load<double>(away + j) * load<double>(away + j);
        squares[c] = sum<double>(square);
        out.low[c] = low, out.high[c] = high, out.middle[c] = middle, out.slope[c] = 0.0;
    }
    // Any slopes give a bound; those of least squares, found one after the other, give a good one.
    for (size_t turn = 0; linear && turn < 3; ++turn)
        for (size_t c = 0; c < 3; ++c) {
            if (!(squares[c] > 0.0)) continue;
            const double* const away = scratch + c * room;
            Vector<double> product = {};
            for (size_t j = 0; j < padded; j += width<double>) product += load<double>(away + j) * load<double>(rest + j);
            const double slope = sum<double>(product) / squares[c];
            out.slope[c] += slope;
            for (size_t j = 0; j < padded; j += width<double>)
                store(rest + j, load<double>(rest + j) - slope * load<double>(away + j));
        }
    Vector<double> top = spread(-HUGE_VAL);
    for (size_t j = 0; j < padded; j += width<double>) top = larger(load<double>(rest + j), top);
    out.top = height + highest<double>(top);
    return out;
}

void bounds(const double* Y, size_t m, const double* potentials, const double* log_weights, double scale, bool linear,
            size_t size, double* scratch, Bound* out) {
    for (size_t first = 0; first < m; first += size)
        *out++ = bound(Y, m, potentials, log_weights, scale, linear, first, first + size < m ? first + size : m, size + 8,
                       scratch);
}

/// max_i r_i + g_j - C_ij over rows whose numbers are in the same place of a vector, and the columns of a bound; without
/// the bound's top.
template <class M>
inline Vector<double> reach(const M& metric, const Bound& bound, const NearRows& rows) {
    Vector<double> best = spread(-HUGE_VAL);
#pragma GCC unroll 8
    for (size_t i = 0; i < near_rows; i += width<double>) {
        Vector<double> value = load<double>(rows.shift + i), away[3];
        for (size_t c = 0; c < 3; ++c) {
            // The highest point of slope y - (x - y)^2 over the box; with no slope, the nearest point.
            const Vector<double> x = load<double>(rows.x[c] + i);
            const Vector<double> y =
                smaller(larger(x + 0.5 * bound.slope[c], spread(bound.low[c])), spread(bound.high[c]));
            value += bound.slope[c] * (y - bound.middle[c]);
            away[c] = x - y;
        }
        best = larger(metric.below(value, away[0], away[1], away[2]), best);
    }
    return best;
}

template <class M>
struct Choice {
    const M metric;
    const size_t m;
    const Bound* const* bounds;
    const NearRows& rows;
    const double log_weight, least;
    Run* const out;
    size_t found = 0;

    inline double top(const Bound& bound) const {
        return bound.top + (bound.log_weight > log_weight ? bound.log_weight : log_weight);
    }

    void visit(size_t level, size_t first, size_t last) {
        const size_t size = bound_sizes[level];
        for (size_t j = first; j < last; j += size) {
            const Bound& bound = bounds[level][j / size];
            if (!any_above(reach(metric, bound, rows), spread(least - top(bound)))) continue;
            const size_t end = j + size < m ? j + size : m;
            if (level > 0)
                visit(level - 1, j, end);
            else if (found > 0 && out[found - 1].last == static_cast<int32_t>(j))
                out[found - 1].last = static_cast<int32_t>(end);
            else
                out[found++] = {static_cast<int32_t>(j), static_cast<int32_t>(end)};
        }
    }

    /// A leaf that seems to be among the nearest.
    void take_best() {
        size_t first = 0, last = m;
        for (size_t level = bound_levels; level-- > 0;) {
            const size_t size = bound_sizes[level];
            double best = -HUGE_VAL;
            size_t at = first;
            for (size_t j = first; j < last; j += size) {
                const Bound& bound = bounds[level][j / size];
                const double height = highest<double>(reach(metric, bound, rows)) + top(bound);
                if (height > best) best = height, at = j;
            }
            first = at, last = at + size < m ? at + size : m;
        }
        out[found++] = {static_cast<int32_t>(first), static_cast<int32_t>(last)};
    }
};

size_t choose(const NearPass& pass, const Bound* const* bounds, const NearRows& rows, double log_weight, double least,
              Run* out) {
    return with_metric<double>(pass, [&](auto metric) {
        Choice<decltype(metric)> choice = {metric, pass.m, bounds, rows, log_weight, least, out};
        choice.visit(bound_levels - 1, 0, pass.m);
        // All potentials are too low: the row sums of one leaf will say where they are.
        if (choice.found == 0) choice.take_best();
        return choice.found;
    });
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
        Vector<double> high = spread(-HUGE_VAL), total = {};
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

constexpr NearKernels kernels = {{scratch_size<float>, block_rows<float>, again<float>, moved<float>, scatter<float>},
                             {scratch_size<double>, block_rows<double>, again<double>, moved<double>, scatter<double>},
                             bounds,
                             choose,
                             columns};

}  // namespace

const NearKernels NearKernels::MONGE_ISA = kernels;

}  // namespace monge
