// See pairs.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing here
// may be an inline function of the standard library.
#include "entropic/pairs.hpp"

#include <math.h>

#include <type_traits>

#include "common/vectors.hpp"

namespace monge {
namespace {

using std::size_t;

/// Columns whose powers are added up in the precision of T.
constexpr size_t tile = 1920;
/// Rows whose column sums are.
constexpr size_t flush = 256;
/// Sums of a row, with the shift of the pass before, that need no better shift.
constexpr double safe_low = 1e-5, safe_high = 1e30;
/// The logarithm of a row's factor beyond which the lift has not done its work.
constexpr double largest_scale = 20.0;
/// Distances below this times the points' own size, both squared, lost too many digits in products for a root of them.
constexpr double close = 1.0 / 256;

/// A block: four rows by three registers of columns, whose costs stay in registers until they are exponentiated.
constexpr size_t tall = 4, wide = 3;
template <class T>
constexpr size_t block = wide * width<T>;
static_assert(panel_size<float> % block<float> == 0 && tile % panel_size<float> == 0, "");

template <class T>
struct Block {
    Vector<T> at[tall][wide];
};

/// Bytes by which a matrix is read before it is needed.
constexpr size_t ahead = 2048;

/// The costs of a matrix.
template <class T, class S>
struct Matrix {
    static constexpr size_t rows_at_once = tall;
    const S* at;
    size_t stride, m;

    typedef const S* Row;
    inline Row row(size_t i) const { return at + i * stride; }

    inline Block<T> read(const Row* rows, size_t j) const {
        Block<T> c;
        if (j + block<T> <= m) {
#pragma GCC unroll 4
            for (size_t r = 0; r < tall; ++r) {
                // Four rows at once are more than processors foresee across pages.
                for (size_t line = 0; line < block<T> * sizeof(S); line += 64)
                    __builtin_prefetch(reinterpret_cast<const char*>(rows[r] + j) + line + ahead);
#pragma GCC unroll 3
                for (size_t v = 0; v < wide; ++v) c.at[r][v] = load<T>(rows[r] + j + v * width<T>);
            }
            return c;
        }
        for (size_t r = 0; r < tall; ++r) {
            S rest[block<T>] = {};
            for (size_t l = 0; j + l < m; ++l) rest[l] = rows[r][j + l];
            for (size_t v = 0; v < wide; ++v) c.at[r][v] = load<T>(rest + v * width<T>);
        }
        return c;
    }
};

/// The costs of points.
//
// A block has to stay in registers from its first coordinate to its exponential. So what every block goes through is always
// inlined, and what takes its constants or its address gets and returns it by value, in functions of their own. Left to
// compilers, passes take up to a third longer.
template <class T, class Base, bool lifted>
struct Points {
    static constexpr size_t rows_at_once = lifted ? most_rows_at_once : tall;
    const T* x;
    const T* y;
    size_t d;
    Exponent<T> exponent;

    typedef const T* Row;
    inline Row row(size_t i) const { return x + i * d; }

    inline Block<T> read(const Row* rows, size_t j) const {
        Block<T> c = {};
        add_up(&c, rows, j);
        if (exponent.all == T(1)) return c;
        if (lifted && lost_digits(c, rows, column(j))) c = from_differences(rows, column(j));
        if (exponent.all != T(0.5)) return power_of(c, exponent);
        root_of(&c);
        return c;
    }

    /// The bases, before they are raised to the exponent.
    inline Block<T> bases(const Row* rows, size_t j) const {
        Block<T> c = {};
        add_up(&c, rows, j);
        return c;
    }

    /// The first coordinate of column j.
    inline const T* column(size_t j) const { return y + j / panel_size<T> * (d * panel_size<T>) + j % panel_size<T>; }

    __attribute__((always_inline)) inline void add_up(Block<T>* c, const Row* rows, size_t j) const {
        const T* const columns = column(j);
        for (size_t k = 0; k < d; ++k) {
            Vector<T> at[wide];
#pragma GCC unroll 3
            for (size_t v = 0; v < wide; ++v) at[v] = load<T>(columns + k * panel_size<T> + v * width<T>);
#pragma GCC unroll 4
            for (size_t r = 0; r < tall; ++r) {
                const T here = rows[r][k];
#pragma GCC unroll 3
                for (size_t v = 0; v < wide; ++v) add(&c->at[r][v], at[v], here);
            }
        }
    }

    static inline void add(Vector<T>* c, Vector<T> at, T here) {
        if (lifted)
            *c += here * at;
        else
            *c = Base::join(*c, Base::term(at - here));
    }

    /// Bases to the exponent.
    inline Block<T> raise(Block<T> c) const {
        if (exponent.all != T(0.5)) return power_of(c, exponent);
        root_of(&c);
        return c;
    }

    __attribute__((always_inline)) static inline void root_of(Block<T>* c) {
#pragma GCC unroll 4
        for (size_t r = 0; r < tall; ++r)
#pragma GCC unroll 3
            for (size_t v = 0; v < wide; ++v) c->at[r][v] = roots(c->at[r][v]);
    }

    __attribute__((noinline)) static Block<T> power_of(Block<T> c, const Exponent<T>& exponent) {
        for (auto& row : c.at)
            for (Vector<T>& base : row) base = raised<T>(base, exponent);
        return c;
    }

    /// Whether products lost digits of some distance. If not, none is negative.
    __attribute__((always_inline)) inline bool lost_digits(const Block<T>& c, const Row* rows, const T* columns) const {
        Vector<T> least = spread<T>(T(1));
#pragma GCC unroll 4
        for (size_t r = 0; r < tall; ++r)
#pragma GCC unroll 3
            for (size_t v = 0; v < wide; ++v) {
                const Vector<T> sizes = rows[r][d - 2] + load<T>(columns + (d - 1) * panel_size<T> + v * width<T>);
                least = smaller(least, c.at[r][v] - T(close) * sizes);
            }
        bool any = false;
        for (size_t l = 0; l < width<T>; ++l) any |= least[l] < T(0);
        return any;
    }

    /// The squared distances of lifted points.
    __attribute__((noinline)) Block<T> from_differences(const Row* rows, const T* columns) const {
        Block<T> c = {};
        for (size_t r = 0; r < tall; ++r)
            for (size_t v = 0; v < wide; ++v)
                for (size_t k = 0; k < d - 2; ++k) {
                    const Vector<T> difference =
                        load<T>(columns + k * panel_size<T> + v * width<T>) + T(0.5) * rows[r][k];
                    c.at[r][v] += difference * difference;
                }
        return c;
    }
};

/// Some rows from `first` on; the last one stands for those after it.
template <class Source>
inline void find_rows(const Source& costs, size_t first, size_t last, size_t count, typename Source::Row* rows) {
    for (size_t k = 0; k < count; ++k) rows[k] = costs.row(first + k < last ? first + k : last - 1);
}

template <class T>
struct Pass {
    const SinkhornRows<T>& in;
    const size_t padded;  // columns in whole panels
    T guess[most_rows_at_once];
    double total[most_rows_at_once];
    T scale[most_rows_at_once];  // the factors of the powers in `scratch` that are yet to be added to the columns

    T* partial() const { return in.scratch + most_rows_at_once * padded; }

    /// powers_kj = 2^(beta_j + guess_k - inverse C_kj), and their sums over each row. With `add`, those that were there
    /// are added to the columns first: so they are read as they are replaced, which saves a third of the traffic.
    template <bool add, class Source>
    void exponentiate(const Source& costs, size_t begin) {
        constexpr size_t height = Source::rows_at_once;
        const T inverse = static_cast<T>(in.inverse);
        typename Source::Row rows[height];
        find_rows(costs, begin, in.last, height, rows);
        for (double& each : total) each = 0.0;
        for (size_t start = 0; start < padded; start += tile) {
            Vector<T> sums[height] = {};
            const size_t end = start + tile < padded ? start + tile : padded;
            for (size_t j = start; j < end; j += block<T>)
                for (size_t k = 0; k < height; k += tall) {
                    const Block<T> c = costs.read(rows + k, j);
                    T* const powers = in.scratch + k * padded + j;
#pragma GCC unroll 3
                    for (size_t v = 0; v < wide; ++v) {
                        const size_t at = v * width<T>;
                        if (add) add_columns(powers + at, j + at, k);
#pragma GCC unroll 4
                        for (size_t r = 0; r < tall; ++r) {
                            const Vector<T> p =
                                power<T>((load<T>(in.beta + j + at) + guess[k + r]) - inverse * c.at[r][v]);
                            store(powers + r * padded + at, p);
                            sums[k + r] += p;
                        }
                    }
                }
            for (size_t k = 0; k < height; ++k) total[k] += sum<T>(sums[k]);
        }
    }

    /// Four rows of powers, a register of each, to the columns from j on.
    inline void add_columns(const T* powers, size_t j, size_t k) const {
        store(partial() + j, load<T>(partial() + j) +
                                 (scale[k] * load<T>(powers) + scale[k + 1] * load<T>(powers + padded)) +
                                 (scale[k + 2] * load<T>(powers + 2 * padded) + scale[k + 3] * load<T>(powers + 3 * padded)));
    }

    /// guess_k = -max_j beta_j - inverse C_kj; zero where no column is in reach.
    template <class Source>
    void find_peaks(const Source& costs, size_t begin) {
        constexpr size_t height = Source::rows_at_once;
        const T inverse = static_cast<T>(in.inverse), none = static_cast<T>(-HUGE_VAL);
        typename Source::Row rows[height];
        find_rows(costs, begin, in.last, height, rows);
        for (size_t k = 0; k < height; k += tall) {
            Vector<T> high[tall];
            for (auto& each : high) each = spread<T>(none);
            for (size_t j = 0; j < padded; j += block<T>) {
                const Block<T> c = costs.read(rows + k, j);
                for (size_t r = 0; r < tall; ++r)
                    for (size_t v = 0; v < wide; ++v)
                        high[r] = larger(load<T>(in.beta + j + v * width<T>) - inverse * c.at[r][v], high[r]);
            }
            for (size_t r = 0; r < tall; ++r) {
                T top = none;
                for (size_t l = 0; l < width<T>; ++l) top = high[r][l] > top ? high[r][l] : top;
                guess[k + r] = top > none ? -top : T(0);
            }
        }
    }

    template <class Source>
    void run(const Source& costs) {
        constexpr size_t height = Source::rows_at_once;
        for (size_t j = 0; j < (most_rows_at_once + 1) * padded; ++j) in.scratch[j] = T(0);
        for (size_t j = 0; j < in.m; ++j) in.sums[j] = 0.0;
        for (size_t begin = in.first; begin < in.last; begin += height) {
            const size_t rows = in.last - begin < height ? in.last - begin : height;
            for (size_t k = 0; k < height; ++k)
                guess[k] = static_cast<T>(in.shift[begin + (k < rows ? k : rows - 1)] - in.reference);
            exponentiate<true>(costs, begin);
            if ((begin - in.first) % flush == 0) flush_columns();
            bool safe = true;
            for (size_t k = 0; k < height; ++k) safe &= total[k] > safe_low && total[k] < safe_high;
            if (!safe) {
                find_peaks(costs, begin);
                exponentiate<false>(costs, begin);
            }
            for (size_t k = 0; k < height; ++k) scale[k] = k < rows ? settle(begin + k, k) : T(0);
        }
        for (size_t k = 0; k < height; k += tall)
            for (size_t j = 0; j < padded; j += width<T>) add_columns(in.scratch + k * padded + j, j, k);
        flush_columns();
    }

    /// The column sums so far, in double precision.
    void flush_columns() const {
        T* const columns = partial();
        for (size_t j = 0; j < in.m; ++j) {
            in.sums[j] += static_cast<double>(columns[j]);
            columns[j] = T(0);
        }
    }

    /// The potential of row i, and the factor of its powers in the column sums.
    T settle(size_t i, size_t k) {
        if (!(total[k] > safe_low)) {  // no column in reach
            in.f[i] = in.cap < 0.0 ? in.cap : 0.0;
            in.shift[i] = 0.0;
            return T(0);
        }
        const double log_total = log2(total[k]), r = static_cast<double>(guess[k]) - log_total + in.reference;
        const double damped = in.damp * r;
        in.shift[i] = r;
        in.f[i] = damped < -in.cap ? -in.cap : damped > in.cap ? in.cap : damped;
        // With a lift that is far too low, what was cut off would count: then all columns are to be computed again.
        const double scale = in.log_a[i] + (in.f[i] - r) - log_total - in.lift;
        return static_cast<T>(scale < largest_scale ? exp2(scale) : HUGE_VAL);
    }
};

/// Calls `use` with the source of the costs.
template <class T, class Use>
inline void with_source(const Costs<T>& costs, size_t m, Use use) {
    if (costs.floats != nullptr) return use(Matrix<T, float>{costs.floats, costs.stride, m});
    if (costs.doubles != nullptr) return use(Matrix<T, double>{costs.doubles, costs.stride, m});
    const Exponent<T> exponent(costs.exponent);
    if (costs.lifted) return use(Points<T, Squares, true>{costs.x, costs.y, costs.d, exponent});
    with_ground(costs.ground, [&](auto base) {
        use(Points<T, decltype(base), false>{costs.x, costs.y, costs.d, exponent});
    });
}

template <class T>
inline size_t whole_panels(size_t m) {
    return (m + panel_size<T> - 1) / panel_size<T> * panel_size<T>;
}

template <class T>
void sinkhorn_rows(const SinkhornRows<T>& in) {
    with_source(in.costs, in.m, [&](const auto& source) {
        Pass<T> pass = {in, whole_panels<T>(in.m), {}, {}, {}};
        pass.run(source);
    });
}

/// The first `count` numbers of some registers in a row.
template <class T>
inline void store_some(T* out, const Vector<T>* registers, size_t count) {
    if (count >= block<T>) {
        for (size_t v = 0; v < wide; ++v) store(out + v * width<T>, registers[v]);
        return;
    }
    T each[block<T>];
    for (size_t v = 0; v < wide; ++v) store(each + v * width<T>, registers[v]);
    for (size_t l = 0; l < count; ++l) out[l] = each[l];
}

/// Calls use(i, j, costs) for four rows from i on and a block of columns from j on, block by block.
template <class T, class Use>
inline void for_all_blocks(const Costs<T>& costs, size_t m, size_t first, size_t last, Use use) {
    with_source(costs, m, [&](const auto& source) {
        typedef typename std::remove_const_t<std::remove_reference_t<decltype(source)>>::Row Row;
        for (size_t i = first; i < last; i += tall) {
            Row rows[tall];
            find_rows(source, i, last, tall, rows);
            for (size_t j = 0; j < m; j += block<T>) use(i, j, source.read(rows, j));
        }
    });
}

template <class T>
void cost_rows(const CostRows<T>& in) {
    for_all_blocks(in.costs, in.m, in.first, in.last, [&](size_t i, size_t j, const Block<T>& c) {
        for (size_t r = 0; r < tall && i + r < in.last; ++r)
            store_some(in.out + (i - in.first + r) * in.m + j, c.at[r], in.m - j);
    });
}

inline Vector<double> entry(const PlanRows& plan, size_t i, size_t j, Vector<double> c) {
    return power_or_zero((load<double>(plan.columns + j) - plan.inverse * c) + plan.rows[i]);
}

void plan_entries(const PlanRows& in, double* out) {
    for_all_blocks(in.costs, in.m, in.first, in.last, [&](size_t i, size_t j, const Block<double>& c) {
        for (size_t r = 0; r < tall && i + r < in.last; ++r) {
            Vector<double> entries[wide];
            for (size_t v = 0; v < wide; ++v) entries[v] = entry(in, i + r, j + v * width<double>, c.at[r][v]);
            store_some(out + (i - in.first + r) * in.m + j, entries, in.m - j);
        }
    });
}

/// Adds up lanes, and empties them.
inline double take(Vector<double>& lanes) {
    const double total = sum<double>(lanes);
    lanes = Vector<double>{};
    return total;
}

void plan_sums(PlanSums& in) {
    const PlanRows& plan = in.plan;
    for (size_t j = 0; j < whole_panels<double>(plan.m); ++j) in.received[j] = 0.0;
    in.price = 0.0;
    Vector<double> sent[tall] = {}, price = {};
    for_all_blocks(plan.costs, plan.m, plan.first, plan.last, [&](size_t i, size_t j, const Block<double>& c) {
        const size_t rows = plan.last - i < tall ? plan.last - i : tall;
        for (size_t v = 0; v < wide; ++v) {
            const size_t at = j + v * width<double>;
            const Vector<double> weight = load<double>(in.v + at);
            Vector<double> received = load<double>(in.received + at);
            for (size_t r = 0; r < rows; ++r) {
                const Vector<double> p = entry(plan, i + r, at, c.at[r][v]), paid = p * weight;
                sent[r] += paid;
                received += in.u[i + r] * p;
                // An arc without mass costs nothing, even if it is forbidden.
                price += p > 0.0 ? (in.u[i + r] * paid) * c.at[r][v] : Vector<double>{};
            }
            store(in.received + at, received);
        }
        if (j + block<double> < plan.m) return;
        for (size_t r = 0; r < rows; ++r) in.sent[i + r] = take(sent[r]);
        in.price += take(price);
    });
}

void plan_product(const PlanProduct& in) {
    const PlanRows& plan = in.plan;
    constexpr size_t columns = 10 * panel_size<double>;  // whose entries stay in the first cache
    double entries[tall][columns];
    with_source(plan.costs, plan.m, [&](const auto& source) {
        typedef typename std::remove_const_t<std::remove_reference_t<decltype(source)>>::Row Row;
        for (size_t i = plan.first; i < plan.last; i += tall) {
            Row rows[tall];
            find_rows(source, i, plan.last, tall, rows);
            double* out[tall];
            for (size_t r = 0; r < tall; ++r) {
                out[r] = in.out + (i + r < plan.last ? i + r : plan.last - 1) * in.stride;
                for (size_t c = 0; c < in.stride; ++c) out[r][c] = 0.0;
            }
            for (size_t start = 0; start < plan.m; start += columns) {
                const size_t size = plan.m - start < columns ? plan.m - start : columns;
                for (size_t j = 0; j < size; j += block<double>) {
                    const Block<double> c = source.read(rows, start + j);
                    for (size_t r = 0; r < tall; ++r)
                        for (size_t v = 0; v < wide; ++v) {
                            const size_t at = j + v * width<double>, row = i + r < plan.last ? i + r : plan.last - 1;
                            store(entries[r] + at, entry(plan, row, start + at, c.at[r][v]));
                        }
                }
                for (size_t c = 0; c < in.stride; c += block<double>) {
                    Block<double> total = {};
                    for (size_t j = 0; j < size; ++j) {
                        const double* const V = in.V + (start + j) * in.stride + c;
#pragma GCC unroll 4
                        for (size_t r = 0; r < tall; ++r)
#pragma GCC unroll 3
                            for (size_t v = 0; v < wide; ++v)
                                total.at[r][v] += entries[r][j] * load<double>(V + v * width<double>);
                    }
                    for (size_t r = 0; r < tall && i + r < plan.last; ++r)
                        for (size_t v = 0; v < wide; ++v) {
                            double* const at = out[r] + c + v * width<double>;
                            store(at, load<double>(at) + total.at[r][v]);
                        }
                }
            }
        }
    });
}

void plan_entropy(PlanEntropy& in) {
    const PlanRows& plan = in.plan;
    for (size_t j = 0; j < whole_panels<double>(plan.m); ++j) in.received[j] = 0.0;
    in.price = in.entropy = 0.0;
    Vector<double> sent[tall] = {}, price = {}, entropy = {};
    for_all_blocks(plan.costs, plan.m, plan.first, plan.last, [&](size_t i, size_t j, const Block<double>& c) {
        const size_t rows = plan.last - i < tall ? plan.last - i : tall;
        for (size_t v = 0; v < wide; ++v) {
            const size_t at = j + v * width<double>;
            const Vector<double> more = load<double>(in.v + at);
            Vector<double> received = load<double>(in.received + at);
            for (size_t r = 0; r < rows; ++r) {
                const Vector<double> mass = entry(plan, i + r, at, c.at[r][v]) + in.u[i + r] * more;
                sent[r] += mass;
                received += mass;
                price += mass > 0.0 ? mass * c.at[r][v] : Vector<double>{};
                entropy += mass * logarithm(mass);
            }
            store(in.received + at, received);
        }
        if (j + block<double> < plan.m) return;
        for (size_t r = 0; r < rows; ++r) in.sent[i + r] = take(sent[r]);
        in.price += take(price);
        in.entropy += take(entropy);
    });
}

void plan_mixture(PlanMixture& in) {
    const PlanRows& plan = in.plan;
    for (size_t j = 0; j < whole_panels<double>(plan.m); ++j) in.received[j] = 0.0;
    in.price = in.entropy = 0.0;
    Vector<double> sent[tall] = {}, price = {}, entropy = {};
    double log_u[tall];
    for_all_blocks(plan.costs, plan.m, plan.first, plan.last, [&](size_t i, size_t j, const Block<double>& c) {
        const size_t rows = plan.last - i < tall ? plan.last - i : tall;
        if (j == 0)
            for (size_t r = 0; r < rows; ++r) log_u[r] = in.u[i + r] > 0.0 ? log2(in.u[i + r]) : 0.0;
        for (size_t v = 0; v < wide; ++v) {
            const size_t at = j + v * width<double>;
            const Vector<double> more = load<double>(in.v + at), log_v = logarithm(more);
            Vector<double> received = load<double>(in.received + at);
            for (size_t r = 0; r < rows; ++r) {
                const Vector<double> p = entry(plan, i + r, at, c.at[r][v]), w = in.u[i + r] * more, mass = p + w;
                sent[r] += p;
                received += p;
                price += p > 0.0 ? p * c.at[r][v] : Vector<double>{};
                entropy += mass * logarithm(mass) - w * (log_u[r] + log_v);
            }
            store(in.received + at, received);
        }
        if (j + block<double> < plan.m) return;
        for (size_t r = 0; r < rows; ++r) in.sent[i + r] = take(sent[r]);
        in.price += take(price);
        in.entropy += take(entropy);
    });
}

/// The least lane.
inline double lowest(Vector<double> x) { return -highest<double>(-x); }

/// `keep` says whether costs go to the scratch.
template <bool keep, class Source>
void transform_rows_of(const TransformRows& in, const Source& source) {
    const TransformRows here = in;  // for all that compilers know, stores may change what is in memory
    const size_t padded = whole_panels<double>(here.m);
    const double none = HUGE_VAL;
    typename Source::Row rows[tall];
    for (size_t i = here.first; i < here.last; i += tall) {
        find_rows(source, i, here.last, tall, rows);
        Vector<double> least[tall];
        for (auto& each : least) each = spread(none);
        for (size_t j = 0; j < here.m; j += block<double>) {
            const Block<double> c = source.read(rows, j);
#pragma GCC unroll 3
            for (size_t v = 0; v < wide; ++v) {
                const size_t at = j + v * width<double>;
                const Vector<double> g = load<double>(here.g + at);
#pragma GCC unroll 4
                for (size_t r = 0; r < tall; ++r) {
                    least[r] = smaller(c.at[r][v] - g, least[r]);
                    if (keep) store(here.scratch + r * padded + at, c.at[r][v]);
                }
            }
        }
        double f[tall];
        for (size_t r = 0; r < tall; ++r) {
            f[r] = lowest(least[r]);
            if (i + r < here.last) here.f[i + r] = f[r];
            f[r] = f[r] < none ? f[r] : 0.0;
        }
        if (!keep) continue;
        const double *const one = here.scratch, *const two = one + padded, *const three = two + padded,
                                                           *const four = three + padded;
        const double f1 = f[0], f2 = f[1], f3 = f[2], f4 = f[3];
        for (size_t j = 0; j < here.m; j += width<double>) {
            const Vector<double> first = smaller(load<double>(one + j) - f1, load<double>(two + j) - f2),
                                 second = smaller(load<double>(three + j) - f3, load<double>(four + j) - f4);
            store(here.low + j, smaller(smaller(first, second), load<double>(here.low + j)));
        }
    }
}

void transform(const TransformRows& in) {
    if (in.low != nullptr)
        for (size_t j = 0; j < whole_panels<double>(in.m); ++j) in.low[j] = HUGE_VAL;
    with_source(in.costs, in.m, [&](const auto& source) {
        in.low != nullptr ? transform_rows_of<true>(in, source) : transform_rows_of<false>(in, source);
    });
}

double spread_price(const SpreadRows& in) {
    double price = 0.0;
    Vector<double> paid[tall] = {};
    for_all_blocks(in.costs, in.m, in.first, in.last, [&](size_t i, size_t j, const Block<double>& c) {
        for (size_t v = 0; v < wide; ++v) {
            const Vector<double> weight = load<double>(in.v + j + v * width<double>);
            for (size_t r = 0; r < tall; ++r) paid[r] += weight > 0.0 ? weight * c.at[r][v] : Vector<double>{};
        }
        if (j + block<double> < in.m) return;
        for (size_t r = 0; r < tall; ++r) {
            const double row = take(paid[r]);
            if (i + r < in.last && in.u[i + r] > 0.0) price += in.u[i + r] * row;
        }
    });
    return price;
}

template <class Base>
void gradient_of(PlanGradient& in, const Points<double, Base, false>& points) {
    typedef typename Base::template Slopes<Vector<double>> Slopes;
    const PlanRows& plan = in.plan;
    const size_t d = points.d;
    const double exponent = plan.costs.exponent;
    const Vector<double> none = {};
    Vector<double> price = none;
    for (size_t i = plan.first; i < plan.last; i += tall) {
        const size_t count = plan.last - i < tall ? plan.last - i : tall;
        const double* rows[tall];
        find_rows(points, i, plan.last, tall, rows);
        Vector<double> sent[tall] = {};
        for (size_t k = 0; k < d * tall * width<double>; ++k) in.scratch[k] = 0.0;
        for (size_t j = 0; j < plan.m; j += block<double>) {
            const Block<double> bases = points.bases(rows, j), costs = exponent == 1.0 ? bases : points.raise(bases);
            for (size_t v = 0; v < wide; ++v) {
                const size_t at = j + v * width<double>;
                Vector<double> received = load<double>(in.received + at), weight[tall];
                for (size_t r = 0; r < tall; ++r) {
                    const Vector<double> base = bases.at[r][v], c = costs.at[r][v];
                    const Vector<double> p = r < count ? entry(plan, i + r, at, c) : none;
                    sent[r] += p;
                    received += p;
                    price += p > 0.0 ? p * c : none;
                    // Where points are the same, or so near that the base is no number, there is no slope.
                    const Vector<double> steep = exponent == 1.0 ? p : p * (exponent * c / base);
                    weight[r] = p > 0.0 ? (base > 0.0 ? steep : none) : none;
                }
                store(in.received + at, received);
                Slopes slopes[tall] = {Slopes(bases.at[0][v]), Slopes(bases.at[1][v]), Slopes(bases.at[2][v]),
                                       Slopes(bases.at[3][v])};
                const double* const y = points.column(j) + v * width<double>;
                double* const out = in.y + (y - points.y);
                for (size_t k = 0; k < d; ++k) {
                    const Vector<double> there = load<double>(y + k * panel_size<double>);
                    Vector<double> pull = load<double>(out + k * panel_size<double>);
                    for (size_t r = 0; r < tall; ++r) {
                        double* const lanes = in.scratch + (k * tall + r) * width<double>;
                        const Vector<double> push = weight[r] * slopes[r](rows[r][k] - there);
                        store(lanes, load<double>(lanes) + push);
                        pull -= push;
                    }
                    store(out + k * panel_size<double>, pull);
                }
            }
        }
        for (size_t r = 0; r < count; ++r) {
            in.sent[i + r] = sum<double>(sent[r]);
            for (size_t k = 0; k < d; ++k)
                in.x[(i + r) * d + k] = sum<double>(load<double>(in.scratch + (k * tall + r) * width<double>));
        }
    }
    in.price = sum<double>(price);
}

void plan_gradient(PlanGradient& in) {
    const Costs<double>& costs = in.plan.costs;
    const size_t whole = whole_panels<double>(in.plan.m);
    for (size_t j = 0; j < whole; ++j) in.received[j] = 0.0;
    for (size_t j = 0; j < whole * costs.d; ++j) in.y[j] = 0.0;
    with_ground(costs.ground, [&](auto base) {
        typedef Points<double, decltype(base), false> Source;
        gradient_of(in, Source{costs.x, costs.y, costs.d, Exponent<double>(costs.exponent)});
    });
}

constexpr SinkhornKernels kernels = {sinkhorn_rows<float>, sinkhorn_rows<double>, cost_rows<float>, cost_rows<double>,
                                 plan_entries,         plan_sums,             plan_product,     plan_entropy,
                                 plan_mixture,         plan_gradient,         transform,         spread_price};

}  // namespace

const SinkhornKernels SinkhornKernels::MONGE_ISA = kernels;

}  // namespace monge
