// See sinkhorn_rows.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing here
// may be an inline function of the standard library.
#include "sinkhorn_rows.hpp"

#include <math.h>

#define MONGE_NAME_2(name, isa) name##_##isa
#define MONGE_NAME_1(name, isa) MONGE_NAME_2(name, isa)
#define MONGE_NAME(name) MONGE_NAME_1(name, MONGE_ISA)

namespace monge {
namespace {

using std::size_t;

#if defined(__AVX512F__)
constexpr size_t bytes = 64;
#elif defined(__AVX__)
constexpr size_t bytes = 32;
#else
constexpr size_t bytes = 16;
#endif

/// Columns whose powers are added up in the precision of T.
constexpr size_t tile = 480;
/// Rows whose column sums are.
constexpr size_t flush = 256;
/// Sums of a row, with the shift of the pass before, that need no better shift.
constexpr double safe_low = 1e-8, safe_high = 1e30;
/// The logarithm of a row's factor beyond which the lift has not done its work.
constexpr double largest_scale = 20.0;
/// Distances below this times the points' own size, both squared, lost too many digits in products for a root of them.
constexpr double close = 1.0 / 256;

template <class T>
struct Lanes;

template <>
struct Lanes<float> {
    typedef float Vector __attribute__((vector_size(bytes)));
    typedef int Whole __attribute__((vector_size(bytes)));
    static constexpr int mantissa = 23;
    static constexpr float low = -126.0f, high = 120.0f, round = 12582912.0f;  // 1.5 2^23
    // 2^r for |r| <= 1/2 by interpolation in Chebyshev's nodes; relative error 1e-7.
    static constexpr int degree = 5;
    static constexpr float p[degree + 1] = {1.0000000754548972f, 0.6931471880262288f, 0.2402210748530834f,
                                            0.05550357114219078f, 0.00967603191832205f, 0.00133908633646712f};
};

template <>
struct Lanes<double> {
    typedef double Vector __attribute__((vector_size(bytes)));
    typedef long long Whole __attribute__((vector_size(bytes)));
    static constexpr int mantissa = 52;
    static constexpr double low = -1022.0, high = 1000.0, round = 6755399441055744.0;  // 1.5 2^52
    // Relative error 5e-18, before rounding.
    static constexpr int degree = 11;
    static constexpr double p[degree + 1] = {
        1.0, 0.6931471805599453, 0.24022650695910158, 0.055504108664821604, 0.00961812910758734, 0.001333355814641074,
        0.00015403530463664982, 1.5252733838008908e-05, 1.321543255347277e-06, 1.0178058437521037e-07,
        7.074192559576437e-09, 4.45562673806549e-10};
};

template <class T>
using Vector = typename Lanes<T>::Vector;
template <class T>
constexpr size_t width = bytes / sizeof(T);

/// A block: four rows by three registers of columns, whose costs stay in registers until they are exponentiated.
constexpr size_t tall = 4, wide = 3;
template <class T>
constexpr size_t block = wide * width<T>;
static_assert(panel_size<float> % block<float> == 0 && tile % panel_size<float> == 0, "");

template <class T>
struct Block {
    Vector<T> at[tall][wide];
};

template <class T, class S>
inline Vector<T> load(const S* p) {
    typedef S Packed __attribute__((vector_size(sizeof(S) * width<T>), aligned(alignof(S)), may_alias));
    return __builtin_convertvector(*reinterpret_cast<const Packed*>(p), Vector<T>);
}
template <class T>
inline void store(T* p, Vector<T> x) {
    typedef T Packed __attribute__((vector_size(bytes), aligned(alignof(T)), may_alias));
    *reinterpret_cast<Packed*>(p) = x;
}
template <class T>
inline Vector<T> spread(T x) {
    return x - Vector<T>{};
}
template <class V>
inline V smaller(V a, V b) {
    return a < b ? a : b;
}
template <class V>
inline V larger(V a, V b) {
    return a > b ? a : b;
}
template <class T>
inline double sum(Vector<T> x) {
    double total = 0.0;
    for (size_t l = 0; l < width<T>; ++l) total += static_cast<double>(x[l]);
    return total;
}

inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

/// 2^t within the limits of the type: t = k + r with k whole; adding `round` leaves no bits for fractions, and k in the
/// last ones.
template <class T>
inline Vector<T> power(Vector<T> t) {
    typedef Lanes<T> L;
    t = larger(t, spread<T>(L::low));
    t = smaller(t, spread<T>(L::high));
    const Vector<T> shifted = t + L::round, r = t - (shifted - L::round);
    Vector<T> p = spread<T>(L::p[L::degree]);
#pragma GCC unroll 16
    for (int k = L::degree - 1; k >= 0; --k) p = L::p[k] + r * p;
    typedef typename L::Whole Whole;
    return (Vector<T>)((Whole)p + ((Whole)shifted << L::mantissa));
}

/// The costs of a matrix.
template <class T, class S>
struct Matrix {
    static constexpr size_t rows_at_once = tall;
    const S* at;
    size_t stride, m;

    inline Block<T> read(const size_t* i, size_t j) const {
        Block<T> c;
        if (j + block<T> <= m) {
#pragma GCC unroll 4
            for (size_t k = 0; k < tall; ++k)
#pragma GCC unroll 3
                for (size_t v = 0; v < wide; ++v) c.at[k][v] = load<T>(at + i[k] * stride + j + v * width<T>);
            return c;
        }
        for (size_t k = 0; k < tall; ++k) {
            S rest[block<T>] = {};
            for (size_t l = 0; j + l < m; ++l) rest[l] = at[i[k] * stride + j + l];
            for (size_t v = 0; v < wide; ++v) c.at[k][v] = load<T>(rest + v * width<T>);
        }
        return c;
    }
};

/// The costs of points.
template <class T, Distance distance>
struct Points {
    static constexpr size_t rows_at_once = distance == Distance::product ? most_rows_at_once : tall;
    const T* x;
    const T* y;
    size_t d;
    T exponent;

    inline Block<T> read(const size_t* i, size_t j) const {
        const T* const columns = y + j / panel_size<T> * (d * panel_size<T>) + j % panel_size<T>;
        Block<T> c = {};
        for (size_t k = 0; k < d; ++k) {
            Vector<T> at[wide];
#pragma GCC unroll 3
            for (size_t v = 0; v < wide; ++v) at[v] = load<T>(columns + k * panel_size<T> + v * width<T>);
#pragma GCC unroll 4
            for (size_t r = 0; r < tall; ++r) {
                const T here = x[i[r] * d + k];
#pragma GCC unroll 3
                for (size_t v = 0; v < wide; ++v) add(&c.at[r][v], at[v], here);
            }
        }
        if (exponent == T(1)) return c;
        if (distance == Distance::product) restore(&c, i, columns);
        for (size_t r = 0; r < tall; ++r)
            for (size_t v = 0; v < wide; ++v) raise(&c.at[r][v]);
        return c;
    }

    static inline void add(Vector<T>* c, Vector<T> at, T here) {
        if (distance == Distance::product) {
            *c += here * at;
            return;
        }
        const Vector<T> difference = at - here;
        *c += distance == Distance::euclidean ? difference * difference : larger(difference, -difference);
    }

    inline void raise(Vector<T>* c) const {
        T each[width<T>];
        store(each, larger(*c, Vector<T>{}));
        if (exponent == T(0.5))
            for (T& one : each) one = root(one);
        else
            for (T& one : each) one = static_cast<T>(pow(static_cast<double>(one), static_cast<double>(exponent)));
        *c = load<T>(each);
    }

    /// Distances anew, from differences, where products lost digits of one of them.
    void restore(Block<T>* c, const size_t* i, const T* columns) const {
        const size_t true_d = d - 2;
        Vector<T> least = spread<T>(T(1));
        for (size_t r = 0; r < tall; ++r)
            for (size_t v = 0; v < wide; ++v) {
                const Vector<T> sizes = x[i[r] * d + true_d] + load<T>(columns + (d - 1) * panel_size<T> + v * width<T>);
                least = smaller(least, c->at[r][v] - T(close) * sizes);
            }
        bool any = false;
        for (size_t l = 0; l < width<T>; ++l) any |= least[l] < T(0);
        if (!any) return;
        for (size_t r = 0; r < tall; ++r)
            for (size_t v = 0; v < wide; ++v) {
                Vector<T> total = {};
                for (size_t k = 0; k < true_d; ++k) {
                    const Vector<T> difference =
                        load<T>(columns + k * panel_size<T> + v * width<T>) + T(0.5) * x[i[r] * d + k];
                    total += difference * difference;
                }
                c->at[r][v] = total;
            }
    }
};

/// Rows of a group of four that begins with `first`; the last one stands for those after it.
inline void four_rows(size_t first, size_t last, size_t* i) {
    for (size_t k = 0; k < tall; ++k) i[k] = first + k < last ? first + k : last - 1;
}

template <class T>
struct Pass {
    const SinkhornRows<T>& in;
    size_t padded;  // columns in whole panels
    T guess[most_rows_at_once];
    double total[most_rows_at_once];

    /// powers_kj = 2^(beta_j + guess_k - inverse C_kj), and their sums over each row.
    template <class Source>
    void exponentiate(const Source& costs, size_t begin) {
        const T inverse = static_cast<T>(in.inverse);
        for (double& each : total) each = 0.0;
        for (size_t start = 0; start < padded; start += tile) {
            Vector<T> sums[Source::rows_at_once] = {};
            const size_t end = start + tile < padded ? start + tile : padded;
            for (size_t j = start; j < end; j += block<T>)
                for (size_t k = 0; k < Source::rows_at_once; k += tall) {
                    size_t i[tall];
                    four_rows(begin + k < in.last ? begin + k : in.last - 1, in.last, i);
                    const Block<T> c = costs.read(i, j);
#pragma GCC unroll 4
                    for (size_t r = 0; r < tall; ++r)
#pragma GCC unroll 3
                        for (size_t v = 0; v < wide; ++v) {
                            const size_t at = j + v * width<T>;
                            const Vector<T> p =
                                power<T>((load<T>(in.beta + at) + guess[k + r]) - inverse * c.at[r][v]);
                            store(in.scratch + (k + r) * padded + at, p);
                            sums[k + r] += p;
                        }
                }
            for (size_t k = 0; k < Source::rows_at_once; ++k) total[k] += sum<T>(sums[k]);
        }
    }

    /// guess_k = -max_j beta_j - inverse C_kj; zero where no column is in reach.
    template <class Source>
    void find_peaks(const Source& costs, size_t begin) {
        const T inverse = static_cast<T>(in.inverse), none = static_cast<T>(-HUGE_VAL);
        for (size_t k = 0; k < Source::rows_at_once; k += tall) {
            size_t i[tall];
            four_rows(begin + k < in.last ? begin + k : in.last - 1, in.last, i);
            Vector<T> high[tall];
            for (auto& each : high) each = spread<T>(none);
            for (size_t j = 0; j < padded; j += block<T>) {
                const Block<T> c = costs.read(i, j);
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
        T* const partial = in.scratch + most_rows_at_once * padded;
        for (size_t j = 0; j < padded; ++j) partial[j] = T(0);
        for (size_t j = 0; j < in.m; ++j) in.sums[j] = 0.0;
        for (size_t begin = in.first; begin < in.last; begin += height) {
            const size_t rows = in.last - begin < height ? in.last - begin : height;
            for (size_t k = 0; k < height; ++k)
                guess[k] = static_cast<T>(in.shift[begin + (k < rows ? k : rows - 1)] - in.reference);
            exponentiate(costs, begin);
            bool safe = true;
            for (size_t k = 0; k < height; ++k) safe &= total[k] > safe_low && total[k] < safe_high;
            if (!safe) {
                find_peaks(costs, begin);
                exponentiate(costs, begin);
            }
            T scale[height];
            for (size_t k = 0; k < height; ++k) scale[k] = k < rows ? settle(begin + k, k) : T(0);
            for (size_t k = 0; k < rows; k += tall) {
                const T* const p = in.scratch + k * padded;
                for (size_t j = 0; j < padded; j += width<T>)
                    store(partial + j,
                          load<T>(partial + j) + (scale[k] * load<T>(p + j) + scale[k + 1] * load<T>(p + padded + j)) +
                              (scale[k + 2] * load<T>(p + 2 * padded + j) + scale[k + 3] * load<T>(p + 3 * padded + j)));
            }
            if ((begin - in.first) % flush == flush - height || begin + height >= in.last)
                for (size_t j = 0; j < in.m; ++j) {
                    in.sums[j] += static_cast<double>(partial[j]);
                    partial[j] = T(0);
                }
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
    const T exponent = static_cast<T>(costs.exponent);
    switch (costs.distance) {
        case Distance::euclidean: return use(Points<T, Distance::euclidean>{costs.x, costs.y, costs.d, exponent});
        case Distance::cityblock: return use(Points<T, Distance::cityblock>{costs.x, costs.y, costs.d, exponent});
        case Distance::product: return use(Points<T, Distance::product>{costs.x, costs.y, costs.d, exponent});
    }
}

template <class T>
inline size_t whole_panels(size_t m) {
    return (m + panel_size<T> - 1) / panel_size<T> * panel_size<T>;
}

template <class T>
void sinkhorn_rows(const SinkhornRows<T>& in) {
    Pass<T> pass = {in, whole_panels<T>(in.m), {}, {}};
    with_source(in.costs, in.m, [&](const auto& source) { pass.run(source); });
}

void plan_rows(const PlanRows& in) {
    typedef double T;
    with_source(in.costs, in.m, [&](const auto& source) {
        for (size_t begin = in.first; begin < in.last; begin += tall) {
            size_t i[tall];
            four_rows(begin, in.last, i);
            for (size_t j = 0; j < in.m; j += block<T>) {
                const Block<T> c = source.read(i, j);
                const size_t columns = in.m - j < block<T> ? in.m - j : block<T>;
                for (size_t r = 0; r < tall && begin + r < in.last; ++r) {
                    T entries[block<T>], prices[block<T>];
                    for (size_t v = 0; v < wide; ++v) {
                        const size_t at = v * width<T>;
                        store(entries + at,
                              power<T>((load<T>(in.columns + j + at) - in.inverse * c.at[r][v]) + in.rows[i[r]]));
                        store(prices + at, c.at[r][v]);
                    }
                    double* const out = in.entries + (begin - in.first + r) * in.m + j;
                    for (size_t l = 0; l < columns; ++l) out[l] = entries[l];
                    if (in.prices == nullptr) continue;
                    double* const paid = in.prices + (begin - in.first + r) * in.m + j;
                    for (size_t l = 0; l < columns; ++l) paid[l] = prices[l];
                }
            }
        }
    });
}

const SinkhornKernels kernels = {sinkhorn_rows<float>, sinkhorn_rows<double>, plan_rows};

}  // namespace

extern const SinkhornKernels* const MONGE_NAME(sinkhorn);
const SinkhornKernels* const MONGE_NAME(sinkhorn) = &kernels;

}  // namespace monge
