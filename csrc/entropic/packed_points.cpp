// See packed_points.hpp.
#include "entropic/packed_points.hpp"

#include <algorithm>
#include <cmath>

#include "common/limits.hpp"
#include "common/sorting.hpp"

namespace monge {
namespace {

using std::size_t;

// Coordinates from which products are faster than differences.
constexpr size_t wide = 8;
// The ratio of the largest squared distance from the middle to the median one from which differences are safer.
constexpr double outlying = 1e4;

/// Points about `middle` over 2^scale.
std::vector<double> centred(const double* points, size_t count, const std::vector<double>& middle, int scale) {
    const size_t d = middle.size();
    const double over = std::ldexp(1.0, -scale);
    std::vector<double> out(count * d);
    const double* const origin = middle.data();
    double* to = out.data();
    for (size_t i = 0; i < count; ++i, points += d, to += d)
        for (size_t k = 0; k < d; ++k) to[k] = (points[k] - origin[k]) * over;
    return out;
}

/// The corners of the box around points, and their sum.
struct Box {
    std::vector<double> low, high, sum;

    explicit Box(size_t d) : low(d, infinity), high(d, -infinity), sum(d, 0.0) {}

    /// The distance between opposite corners: no two points are further apart.
    double reach(Ground ground) const {
        double longest = 0.0;
        for (size_t k = 0; k < low.size(); ++k) longest = std::max(longest, high[k] - low[k]);
        if (!(longest > 0.0)) return 0.0;
        return longest * with_ground(ground, [&](auto base) {
                   typedef decltype(base) Base;
                   double all = 0.0;
                   for (size_t k = 0; k < low.size(); ++k)
                       all = Base::join(all, Base::term((high[k] - low[k]) / longest));
                   return std::exp2(std::log2(all) / Base::degree);
               });
    }

    void take(const double* points, size_t count) {
        const size_t d = low.size();
        double* const least = low.data();
        double* const most = high.data();
        double* const total = sum.data();
        for (size_t i = 0; i < count; ++i, points += d)
            for (size_t k = 0; k < d; ++k) {
                const double at = points[k];
                least[k] = at < least[k] ? at : least[k];
                most[k] = at > most[k] ? at : most[k];
                total[k] += at;
            }
    }
};

/// Whether some points are so far from the middle that their squared distance from it hides costs of the others.
bool has_outliers(const std::vector<double>& x, const std::vector<double>& y, size_t d) {
    std::vector<double> squares;
    squares.reserve((x.size() + y.size()) / d);
    for (const auto* points : {&x, &y})
        for (size_t i = 0; i < points->size(); i += d) {
            double square = 0.0;
            for (size_t k = 0; k < d; ++k) square += (*points)[i + k] * (*points)[i + k];
            squares.push_back(square);
        }
    const double largest = *std::max_element(squares.begin(), squares.end());
    return largest > outlying * median(std::move(squares));
}

/// A row of a point: its coordinates, those of a lifted one times `sign`, and the two that come after them.
template <class T>
void lay(const double* point, size_t d, bool lifted, bool source, T* out, size_t step) {
    double square = 0.0;
    for (size_t k = 0; k < d; ++k) {
        const T rounded = static_cast<T>(point[k]);
        out[k * step] = lifted && source ? T(-2) * rounded : rounded;
        // Of what is left after rounding, so that distances are those of points that are near.
        square += static_cast<double>(rounded) * static_cast<double>(rounded);
    }
    if (!lifted) return;
    out[d * step] = source ? static_cast<T>(square) : T(1);
    out[(d + 1) * step] = source ? T(1) : static_cast<T>(square);
}

}  // namespace

template <class T>
void PackedPoints<T>::pack(const GroundCost& ground, const double* from, size_t n, const double* to, size_t m,
                           size_t coordinates) {
    Box box(coordinates);
    box.take(from, n);
    std::vector<double> middle = box.sum;
    for (double& each : middle) each /= static_cast<double>(n);
    box.take(to, m);
    int scale = 0;
    std::frexp(box.reach(ground.base), &scale);
    const std::vector<double> sources = centred(from, n, middle, scale), targets = centred(to, m, middle, scale);

    ground_ = ground.base, exponent_ = ground.exponent;
    const double degree = with_ground(ground.base, [](auto base) { return double(decltype(base)::degree); });
    factor = ground.factor * std::exp2(scale * degree * ground.exponent);
    lifted = ground.base == Ground::squares && coordinates >= wide && !has_outliers(sources, targets, coordinates);
    d = lifted ? coordinates + 2 : coordinates;
    x.resize(n * d);
    for (size_t i = 0; i < n; ++i) lay(&sources[i * coordinates], coordinates, lifted, true, &x[i * d], 1);
    constexpr size_t panel = panel_size<T>;
    y.assign((m + panel - 1) / panel * panel * d, T(0));
    for (size_t j = 0; j < m; ++j)
        lay(&targets[j * coordinates], coordinates, lifted, false, &y[j / panel * panel * d + j % panel], panel);
}

template <class T>
Costs<T> PackedPoints<T>::costs() const {
    Costs<T> costs{};
    costs.x = x.data(), costs.y = y.data(), costs.d = d;
    costs.ground = ground_, costs.lifted = lifted, costs.exponent = exponent_;
    return costs;
}

template class PackedPoints<float>;
template class PackedPoints<double>;

}  // namespace monge
