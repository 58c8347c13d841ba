// Blocks of costs between rows and columns, from a matrix or from points, that stay in registers. For pairs.cpp and
// plan_pairs.cpp, which are compiled once per instruction set.
#pragma once

#include <math.h>

#include <type_traits>

#include "common/vectors.hpp"
#include "entropic/pairs.hpp"

namespace monge {
namespace {

using std::size_t;

/// Distances below this times the points' own size, both squared, lost too many digits in products for a root of them.
constexpr double close = 1.0 / 256;

/// A block: four rows by three registers of columns, whose costs stay in registers until they are exponentiated.
constexpr size_t tall = 4, wide = 3;
template <class T>
constexpr size_t block = wide * width<T>;
static_assert(panel_size<float> % block<float> == 0, "");

template <class T>
struct Block {
    Vector<T> at[tall][wide];
};

/// Columns whose powers or products are added up in the precision of T, and rows whose columns are: in single precision
/// so few for each of the sums that work side by side that what all of them round in one direction, where costs are
/// alike, stays below what single precision is said to add to the error.
template <class T>
constexpr size_t tile = 1920;
template <>
constexpr size_t tile<float> = (32 * width<float> + panel_size<float> - 1) / panel_size<float> * panel_size<float>;
constexpr size_t flush = 64;

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
// A block stays in registers from its first coordinate to its exponential. So what every block goes through is always
// inlined; what would take the registers for its constants, or the block's address, gets and returns it by value, in
// functions of their own. Left to compilers, passes take up to a third longer.
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
        const T* const columns = y + j % panel_size<T> + j / panel_size<T> * (d * panel_size<T>);
        Block<T> c = {};
        for (size_t k = 0; k < d; ++k) {
            Vector<T> at[wide];
#pragma GCC unroll 3
            for (size_t v = 0; v < wide; ++v) at[v] = load<T>(columns + k * panel_size<T> + v * width<T>);
#pragma GCC unroll 4
            for (size_t r = 0; r < tall; ++r) {
                const T here = rows[r][k];
#pragma GCC unroll 3
                for (size_t v = 0; v < wide; ++v) add(&c.at[r][v], at[v], here);
            }
        }
        if (exponent.all == T(1)) return c;
        if (lifted && lost_digits(c, rows, columns)) c = from_differences(rows, columns);
        if (exponent.all != T(0.5)) return power_of(c, exponent);
        take_roots(&c);
        return c;
    }

    static inline void add(Vector<T>* c, Vector<T> at, T here) {
        if (lifted)
            *c += here * at;
        else
            *c = Base::join(*c, Base::term(at - here));
    }

    /// Bases to the exponent, which is not one.
    inline Block<T> raise(Block<T> c) const {
        if (exponent.all != T(0.5)) return power_of(c, exponent);
        take_roots(&c);
        return c;
    }

    __attribute__((always_inline)) static inline void take_roots(Block<T>* c) {
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
        Vector<T> least = broadcast<T>(T(1));
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

/// guess_k = -max_j beta_j - inverse C_kj for `height` rows; zero where no column is in reach.
template <class T, class Source>
inline void find_peaks(const Source& costs, const typename Source::Row* rows, size_t height, size_t padded,
                       const T* beta, T inverse, T* guess) {
    const T none = static_cast<T>(-HUGE_VAL);
    for (size_t k = 0; k < height; k += tall) {
        Vector<T> high[tall];
        for (auto& each : high) each = broadcast<T>(none);
        for (size_t j = 0; j < padded; j += block<T>) {
            const Block<T> c = costs.read(rows + k, j);
            for (size_t r = 0; r < tall; ++r)
                for (size_t v = 0; v < wide; ++v)
                    high[r] = larger(load<T>(beta + j + v * width<T>) - inverse * c.at[r][v], high[r]);
        }
        for (size_t r = 0; r < tall; ++r) {
            const T top = static_cast<T>(highest<T>(high[r]));
            guess[k + r] = top > none ? -top : T(0);
        }
    }
}

/// Calls `use` with the source of the costs.
template <class T, class Use>
inline void with_source(const Costs<T>& costs, size_t m, Use use) {
    if (costs.floats != nullptr) return use(Matrix<T, float>{costs.floats, costs.stride, m});
    if (costs.doubles != nullptr) return use(Matrix<T, double>{costs.doubles, costs.stride, m});
    const Exponent<T> exponent(costs.exponent);
    if (costs.lifted) return use(Points<T, Squares, true>{costs.x, costs.y, costs.d, exponent});
    with_ground(costs.ground,
                [&](auto base) { use(Points<T, decltype(base), false>{costs.x, costs.y, costs.d, exponent}); });
}

template <class T>
inline size_t whole_panels(size_t m) {
    return (m + panel_size<T> - 1) / panel_size<T> * panel_size<T>;
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

}  // namespace
}  // namespace monge
