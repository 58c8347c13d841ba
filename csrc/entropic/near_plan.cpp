#include "entropic/near_plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace monge {
namespace {

/// Logarithms of masses below this count as this: of what is lost then, next to nothing is a number.
constexpr double least_mass = -1000.0;
/// Potentials beyond this are as good as infinite.
constexpr double largest_potential = 1e30;
/// Coordinates are scaled by at most this, so that their squares are in range; bounds are then below what they might
/// be.
constexpr double largest_scale = 1e120;
/// The rounding of a bound, relative to the numbers that it is the sum of.
constexpr double rounding = 0x1p-48;
/// Columns that are copied together: they are in one panel.
constexpr std::size_t together = 8;
static_assert(panel_size<double> % together == 0 && bound_sizes[0] % together == 0, "");

constexpr std::size_t most_dimensions = 3;

/// The cost as pairs.hpp has it, but for the points.
Costs<double> of_pairs(const NearCosts& costs) {
    return {nullptr, nullptr, 0, nullptr, nullptr, costs.d, costs.ground, false, costs.exponent};
}

/// The power of a distance that the cost is.
double power_of(const NearCosts& costs) {
    return costs.exponent * with_ground(costs.ground, [](auto base) { return decltype(base)::degree; });
}

/// The factor of coordinates that makes `inverse` one of costs.
double scale_of(const NearCosts& costs, double inverse) {
    return std::min(std::exp2(std::log2(inverse) / power_of(costs)), largest_scale);
}

/// What the choice of columns needs of a pass.
NearPass for_choice(const NearCosts& costs) {
    NearPass pass = {};
    pass.n = costs.n, pass.m = costs.m, pass.ground = costs.ground, pass.exponent = costs.exponent,
    pass.exact = costs.exact;
    return pass;
}

double clipped(double potential) { return std::min(std::max(potential, -largest_potential), largest_potential); }

/// Where a column has no potential, that of one before it, which is near: so bounds of its neighbours stay close.
void fill_gaps(std::vector<double>* heights) {
    const auto known = [](double height) { return height > -INFINITY; };
    const auto first = std::find_if(heights->begin(), heights->end(), known);
    double last = first != heights->end() ? *first : 0.0;
    for (double& height : *heights) last = height = known(height) ? height : last;
}

double largest(const std::vector<double>& numbers) {
    double most = 0.0;
    for (const double x : numbers)
        if (std::isfinite(x)) most = std::max(most, std::fabs(x));
    return most;
}

/// Memory that grows as it is needed.
class Room {
public:
    double* of(std::size_t size) {
        if (size > held_) {
            held_ = 0;
            numbers_.reset();
            numbers_ = aligned<double>(size + size / 2);
            held_ = size + size / 2;
        }
        return numbers_.get();
    }

private:
    Aligned<double> numbers_;
    std::size_t held_ = 0;
};

/// A block of rows, and the columns that it goes over, packed into panels.
class Packed {
public:
    Packed(const NearCosts& costs, double scale, const NearBounds& bounds)
        : costs_(costs), pairs_(of_pairs(costs)), scale_(scale), bounds_(bounds), choice_(for_choice(costs)),
          chosen_(aligned<Run>(costs.m / bound_sizes[0] + 1)) {}

    /// Takes rows from `first` to `last`, and the columns that some of them reaches: with `shift` potentials of these
    /// rows, and of their weights the largest logarithm, the largest exponent is above `least`. Returns whether the
    /// columns are others than before.
    bool take(std::size_t first, std::size_t last, const double* shift, double log_weight, double least) {
        NearRows rows;
        const std::size_t d = costs_.d;
        for (std::size_t k = 0; k < near_rows; ++k) {
            const std::size_t i = std::min(first + k, last - 1);
            for (std::size_t c = 0; c < most_dimensions; ++c) rows.x[c][k] = costs_.X[c * costs_.n + i] * scale_;
            for (std::size_t c = 0; c < d; ++c) x_[k * d + c] = costs_.X[c * costs_.n + i];
            rows.shift[k] = first + k < last ? shift[k] : -INFINITY;
        }
        Run* const chosen = chosen_.get();
        Run* const end = chosen + bound_kernels().choose(choice_, bounds_.levels(), rows, log_weight, least, chosen);
        const auto same = [](const Run& one, const Run& other) {
            return one.first == other.first && one.last == other.last;
        };
        if (std::equal(chosen, end, runs_.begin(), runs_.end(), same)) return false;
        runs_.assign(chosen, end);
        pack();
        return true;
    }

    std::size_t size() const { return size_; }
    /// The columns, in whole panels.
    std::size_t whole() const { return whole_; }
    Costs<double> costs() const { return pairs_; }

    /// Numbers that belong to columns, `stride` to each, and `rest` where panels are filled up.
    void gather(const double* from, std::size_t stride, double rest, double* to) const {
        for (const Run& run : runs_) {
            const auto first = static_cast<std::size_t>(run.first), count = static_cast<std::size_t>(run.last) - first;
            std::memcpy(to, from + first * stride, count * stride * sizeof(double));
            to += count * stride;
        }
        std::fill(to, to + (whole_ - size_) * stride, rest);
    }

    /// Adds such numbers to those of all columns.
    void scatter(const double* from, double* to) const {
        for (const Run& run : runs_)
            for (std::int32_t j = run.first; j < run.last; ++j) to[j] += *from++;
    }

    /// Adds what belongs to points, in panels as they are, to that of all columns (m, d).
    void scatter_points(const double* from, double* to) const {
        const std::size_t d = costs_.d;
        std::size_t at = 0;
        for (const Run& run : runs_)
            for (auto j = static_cast<std::size_t>(run.first); j < static_cast<std::size_t>(run.last); ++j, ++at)
                for (std::size_t c = 0; c < d; ++c) to[j * d + c] += from[place(at) + c * panel_size<double>];
    }

private:
    void pack() {
        const std::size_t d = costs_.d, m = costs_.m;
        size_ = 0;
        for (const Run& run : runs_) size_ += static_cast<std::size_t>(run.last - run.first);
        whole_ = (size_ + panel_size<double> - 1) / panel_size<double> * panel_size<double>;
        double* const y = y_.of(whole_ * d);
        std::size_t at = 0;
        for (const Run& run : runs_)
            for (auto j = static_cast<std::size_t>(run.first); j < static_cast<std::size_t>(run.last); j += together) {
                const std::size_t count = std::min(together, static_cast<std::size_t>(run.last) - j);
                double* const to = y + place(at);
                for (std::size_t c = 0; c < d; ++c)
                    if (count == together)
                        std::memcpy(to + c * panel_size<double>, costs_.Y + c * m + j, together * sizeof(double));
                    else
                        std::memcpy(to + c * panel_size<double>, costs_.Y + c * m + j, count * sizeof(double));
                at += count;
            }
        for (; at < whole_; ++at)
            for (std::size_t c = 0; c < d; ++c) y[place(at) + c * panel_size<double>] = 0.0;
        pairs_.x = x_;
        pairs_.y = y;
    }

    /// Where the first coordinate of a column is.
    std::size_t place(std::size_t column) const {
        return column % panel_size<double> + column / panel_size<double> * (costs_.d * panel_size<double>);
    }

    const NearCosts& costs_;
    Costs<double> pairs_;
    double scale_;
    const NearBounds& bounds_;
    NearPass choice_;
    double x_[near_rows * most_dimensions];
    Aligned<Run> chosen_;
    std::vector<Run> runs_;
    std::size_t size_ = 0, whole_ = 0;
    Room y_;
};

/// Logarithms of what rows or columns hold over the mean, for a total of one.
std::vector<double> over_mean(const double* masses, std::size_t size) {
    std::vector<double> out(size);
    const double log_size = std::log2(static_cast<double>(size));
    for (std::size_t i = 0; i < size; ++i) out[i] = std::max(masses[i], least_mass) + log_size;
    return out;
}

/// Logarithms of the entries of a row or a column over what it holds.
std::vector<double> over_mass(const double* logs, const double* masses, std::size_t size) {
    std::vector<double> out(size);
    for (std::size_t i = 0; i < size; ++i)
        out[i] = logs[i] > -INFINITY ? clipped(logs[i] - std::max(masses[i], least_mass)) : -INFINITY;
    return out;
}

/// Whether a linear function under a potential has a highest point over a box in closed form: for squares.
bool linear(const NearCosts& costs) { return costs.ground == Ground::squares && costs.exponent == 1.0; }

/// Bounds of heights, -inf for columns that no row reaches, and weights.
NearBounds bounds_of(const NearCosts& costs, double scale, std::vector<double> heights,
                     std::vector<double> log_weights) {
    for (std::size_t j = 0; j < heights.size(); ++j)
        if (!(heights[j] > -INFINITY)) log_weights[j] = -INFINITY;
    fill_gaps(&heights);
    return {costs.Y, costs.m, heights.data(), log_weights.data(), scale, linear(costs)};
}

void add(const PlanSums& sums, PlanSums* total) { total->price += sums.price; }
void add(const PlanMixture& sums, PlanMixture* total) {
    total->price += sums.price;
    total->entropy += sums.entropy;
}

std::vector<double> clipped(const double* numbers, std::size_t size) {
    std::vector<double> out(numbers, numbers + size);
    for (double& x : out) x = x > -INFINITY ? clipped(x) : x;
    return out;
}

}  // namespace

NearPlan::NearPlan(const NearCosts& costs, const NearPotentials& potentials)
    : costs_(costs), at_(potentials), scale_(scale_of(costs, potentials.inverse)),
      shift_(over_mass(at_.rows, at_.sent, costs.n)), weight_(over_mean(at_.sent, costs.n)),
      bounds_(
          bounds_of(costs, scale_, over_mass(at_.columns, at_.received, costs.m), over_mean(at_.received, costs.m))) {
    least_ = at_.tau - rounding * (largest(shift_) + largest(over_mass(at_.columns, at_.received, costs.m)));
}

/// Calls use(block, plan, start, fresh) for one block of rows after another: its columns, its part of the plan, its
/// first row, and whether the columns are others than those of the block before. Returns the pairs.
template <class Use>
std::size_t NearPlan::over_blocks(std::size_t first, std::size_t last, Use use) const {
    Packed block(costs_, scale_, bounds_);
    Room columns;
    std::size_t pairs = 0;
    for (std::size_t start = first; start < last; start += near_rows) {
        const std::size_t size = std::min(near_rows, last - start);
        const double log_weight = *std::max_element(&weight_[start], &weight_[start] + size);
        const bool fresh = block.take(start, start + size, &shift_[start], log_weight, least_);
        double* const packed = columns.of(block.whole());
        if (fresh) block.gather(at_.columns, 1, -INFINITY, packed);
        const PlanRows plan = {block.costs(), block.size(), 0, size, at_.inverse, at_.rows + start, packed};
        use(block, plan, start, fresh);
        pairs += size * block.size();
    }
    return pairs;
}

/// With `Sums` one of those of plan_pairs.hpp that have u and v.
template <class Sums>
std::size_t NearPlan::over_vectors(std::size_t first, std::size_t last, const double* u, const double* v, double* sent,
                                   double* received, void (*kernel)(Sums&), Sums* total) const {
    Room weights, parts;
    std::fill(received, received + costs_.m, 0.0);
    return over_blocks(first, last, [&](const Packed& block, const PlanRows& plan, std::size_t start, bool fresh) {
        Sums sums;
        sums.plan = plan;
        double* const packed = weights.of(block.whole());
        if (fresh) block.gather(v, 1, 0.0, packed);
        sums.u = u + start, sums.v = packed;
        sums.sent = sent + start, sums.received = parts.of(block.whole());
        kernel(sums);
        block.scatter(sums.received, received);
        add(sums, total);
    });
}

NearTotals NearPlan::sums(std::size_t first, std::size_t last, const double* u, const double* v, double* sent,
                          double* received) const {
    PlanSums total = {};
    const std::size_t pairs = over_vectors(first, last, u, v, sent, received, plan_kernels().sums, &total);
    return {total.price, 0.0, pairs};
}

NearTotals NearPlan::mixture(std::size_t first, std::size_t last, const double* u, const double* v, double* sent,
                             double* received) const {
    PlanMixture total = {};
    const std::size_t pairs = over_vectors(first, last, u, v, sent, received, plan_kernels().mixture, &total);
    return {total.price, total.entropy, pairs};
}

std::size_t NearPlan::product(std::size_t first, std::size_t last, const double* V, std::size_t stride,
                              double* out) const {
    Room values;
    return over_blocks(first, last, [&](const Packed& block, const PlanRows& plan, std::size_t start, bool fresh) {
        double* const packed = values.of(block.whole() * stride);
        if (fresh) block.gather(V, stride, 0.0, packed);
        plan_kernels().product({plan, packed, out + start * stride, stride});
    });
}

NearTotals NearPlan::gradient(std::size_t first, std::size_t last, double* sent, double* received, double* x,
                              double* y) const {
    const std::size_t d = costs_.d;
    Room parts, pulls;
    double scratch[gradient_scratch(most_dimensions)];
    double price = 0.0;
    std::fill(received, received + costs_.m, 0.0);
    std::fill(y, y + costs_.m * d, 0.0);
    const std::size_t pairs =
        over_blocks(first, last, [&](const Packed& block, const PlanRows& plan, std::size_t start, bool) {
            PlanGradient sums = {
                plan, sent + start, parts.of(block.whole()), x + start * d, pulls.of(block.whole() * d), scratch, 0.0};
            plan_kernels().gradient(sums);
            block.scatter(sums.received, received);
            block.scatter_points(sums.y, y);
            price += sums.price;
        });
    return {price, 0.0, pairs};
}

NearTransform::NearTransform(const NearCosts& costs, const double* g)
    : costs_(costs), g_(g), largest_(largest(clipped(g, costs.m))),
      bounds_(bounds_of(costs, 1.0, clipped(g, costs.m), std::vector<double>(costs.m, 0.0))) {}

std::size_t NearTransform::rows(std::size_t first, std::size_t last, double* f) const {
    Packed block(costs_, 1.0, bounds_);
    Room columns;
    std::size_t pairs = 0;
    const double zero[near_rows] = {};
    for (std::size_t start = first; start < last; start += near_rows) {
        const std::size_t size = std::min(near_rows, last - start);
        const auto over = [&](const double* shift, double least) {
            const bool fresh = block.take(start, start + size, shift, -INFINITY, least);
            double* const packed = columns.of(block.whole());
            if (fresh) block.gather(g_, 1, -INFINITY, packed);
            pairs += size * block.size();
            plan_kernels().transform({block.costs(), block.size(), 0, size, packed, f + start, nullptr, nullptr});
        };
        over(zero, INFINITY);  // the leaf that seems best gives an upper bound
        double high = 0.0;
        for (std::size_t i = start; i < start + size; ++i)
            if (std::isfinite(f[i])) high = std::max(high, std::fabs(f[i]));
        over(f + start, -rounding * (high + largest_));
    }
    return pairs;
}

}  // namespace monge
