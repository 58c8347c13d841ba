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
void PackedPoints<T>::pack(const GroundCost& ground, const double* x, size_t n, const double* y, size_t m, size_t d) {
    Box box(d);
    box.take(x, n);
    std::vector<double> middle = box.sum;
    for (double& each : middle) each /= static_cast<double>(n);
    box.take(y, m);
    double longest = 0.0;
    for (size_t k = 0; k < d; ++k) longest = std::max(longest, box.high[k] - box.low[k]);
    int scale = 0;
    std::frexp(longest * static_cast<double>(d), &scale);  // above any distance
    const std::vector<double> sources = centred(x, n, middle, scale), targets = centred(y, m, middle, scale);

    ground_ = ground.base, exponent_ = ground.exponent;
    const double degree = with_ground(ground.base, [](auto base) { return double(decltype(base)::degree); });
    factor = ground.factor * std::exp2(scale * degree * ground.exponent);
    lifted_ = ground.base == Ground::squares && d >= wide && !has_outliers(sources, targets, d);
    d_ = lifted_ ? d + 2 : d;
    x_.resize(n * d_);
    for (size_t i = 0; i < n; ++i) lay(&sources[i * d], d, lifted_, true, &x_[i * d_], 1);
    constexpr size_t panel = panel_size<T>;
    y_.assign((m + panel - 1) / panel * panel * d_, T(0));
    for (size_t j = 0; j < m; ++j)
        lay(&targets[j * d], d, lifted_, false, &y_[j / panel * panel * d_ + j % panel], panel);
}

template <class T>
Costs<T> PackedPoints<T>::costs() const {
    Costs<T> costs{};
    costs.x = x_.data(), costs.y = y_.data(), costs.d = d_;
    costs.ground = ground_, costs.lifted = lifted_, costs.exponent = exponent_;
    return costs;
}

template class PackedPoints<float>;
template class PackedPoints<double>;

}  // namespace monge
