// See near_bounds.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing here
// may be an inline function of the standard library.
#include "entropic/near_bounds.hpp"

#include <math.h>

#include "common/vectors.hpp"
#include "entropic/near_metric.hpp"

namespace monge {
namespace {

/// What fills up vectors of potentials: it is below all of them.
constexpr double far_below = -1e290;

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
    for (size_t j = 0; j < padded; ++j) rest[j] = j < size ? potentials[first + j] - height : far_below;
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
            for (size_t j = 0; j < padded; j += width<double>)
                product += load<double>(away + j) * load<double>(rest + j);
            const double slope = sum<double>(product) / squares[c];
            out.slope[c] += slope;
            for (size_t j = 0; j < padded; j += width<double>)
                store(rest + j, load<double>(rest + j) - slope * load<double>(away + j));
        }
    Vector<double> top = broadcast(-HUGE_VAL);
    for (size_t j = 0; j < padded; j += width<double>) top = larger(load<double>(rest + j), top);
    out.top = height + highest<double>(top);
    return out;
}

void bounds(const double* Y, size_t m, const double* potentials, const double* log_weights, double scale, bool linear,
            size_t size, double* scratch, Bound* out) {
    for (size_t first = 0; first < m; first += size)
        *out++ = bound(Y, m, potentials, log_weights, scale, linear, first, first + size < m ? first + size : m,
                       size + 8, scratch);
}

/// max_i r_i + g_j - C_ij over rows whose numbers are in the same place of a vector, and the columns of a bound;
/// without the bound's top.
template <class M>
inline Vector<double> reach(const M& metric, const Bound& bound, const NearRows& rows) {
    Vector<double> best = broadcast(-HUGE_VAL);
#pragma GCC unroll 8
    for (size_t i = 0; i < near_rows; i += width<double>) {
        Vector<double> value = load<double>(rows.shift + i), away[3];
        for (size_t c = 0; c < 3; ++c) {
            // The highest point of slope y - (x - y)^2 over the box; with no slope, the nearest point.
            const Vector<double> x = load<double>(rows.x[c] + i);
            const Vector<double> y =
                smaller(larger(x + 0.5 * bound.slope[c], broadcast(bound.low[c])), broadcast(bound.high[c]));
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
            if (!any_above(reach(metric, bound, rows), broadcast(least - top(bound)))) continue;
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

constexpr BoundKernels kernels = {bounds, choose};

}  // namespace

const BoundKernels BoundKernels::MONGE_ISA = kernels;

}  // namespace monge
