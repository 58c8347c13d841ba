// See pairs.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing here
// may be an inline function of the standard library.
#include "entropic/pairs.hpp"

#include <math.h>

#include "entropic/pair_blocks.hpp"

namespace monge {
namespace {

/// Sums of a row, with the shift of the pass before, that need no better shift.
constexpr double safe_low = 1e-5, safe_high = 1e30;
/// The logarithm of a row's factor beyond which the lift has not done its work.
constexpr double largest_scale = 20.0;
static_assert(tile<float> % panel_size<float> == 0 && tile<double> % panel_size<double> == 0, "");

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
        for (size_t start = 0; start < padded; start += tile<T>) {
            Vector<T> sums[height] = {};
            const size_t end = start + tile<T> < padded ? start + tile<T> : padded;
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
        store(partial() + j,
              load<T>(partial() + j) + (scale[k] * load<T>(powers) + scale[k + 1] * load<T>(powers + padded)) +
                  (scale[k + 2] * load<T>(powers + 2 * padded) + scale[k + 3] * load<T>(powers + 3 * padded)));
    }

    template <class Source>
    void run(const Source& costs) {
        constexpr size_t height = Source::rows_at_once;
        for (size_t j = 0; j < height * padded; ++j) in.scratch[j] = T(0);
        for (size_t j = 0; j < padded; ++j) partial()[j] = T(0);
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
                typename Source::Row peaks[height];
                find_rows(costs, begin, in.last, height, peaks);
                find_peaks(costs, peaks, height, padded, in.beta, static_cast<T>(in.inverse), guess);
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

template <class T>
void sinkhorn_rows(const SinkhornRows<T>& in) {
    with_source(in.costs, in.m, [&](const auto& source) {
        Pass<T> pass = {in, whole_panels<T>(in.m), {}, {}, {}};
        pass.run(source);
    });
}

constexpr SinkhornKernels kernels = {sinkhorn_rows<float>, sinkhorn_rows<double>};

}  // namespace

const SinkhornKernels SinkhornKernels::MONGE_ISA = kernels;

}  // namespace monge
