// See cloud_gradient.hpp.
#include "entropic/cloud_gradient.hpp"

#include <cmath>
#include <vector>

#include "entropic/plan_pairs.hpp"

namespace monge {
namespace {

using std::size_t;

/// What belongs to a place in the exponent of two; -inf where there is no weight.
double exponent_of(double weight, double potential, double unit) {
    return weight > 0.0 ? std::log2(weight) + potential / unit : -INFINITY;
}

}  // namespace

void cloud_gradient(const CloudGradient& in) {
    constexpr size_t panel = panel_size<double>;
    const size_t d = in.d, whole = (in.m + panel - 1) / panel * panel;
    const double unit = in.eps * 0.69314718055994530942;
    std::vector<double> room(in.n * 2 + whole * (2 + 2 * d) + gradient_scratch(d));
    double* const rows = room.data();
    double* const sent = rows + in.n;
    double* const columns = sent + in.n;
    double* const received = columns + whole;
    double* const points = received + whole;
    double* const pulls = points + whole * d;
    for (size_t i = 0; i < in.n; ++i) rows[i] = exponent_of(in.a[i], in.f[i], unit);
    const auto place = [&](size_t j) { return j % panel + j / panel * (d * panel); };
    for (size_t j = 0; j < whole; ++j) {
        columns[j] = j < in.m ? exponent_of(in.b[j], in.g[j], unit) : -INFINITY;
        for (size_t c = 0; c < d; ++c) points[place(j) + c * panel] = j < in.m ? in.y[j * d + c] : 0.0;
    }
    PlanGradient sums = {};
    sums.plan.costs = {nullptr, nullptr, 0, in.x, points, d, in.ground, false, in.exponent};
    sums.plan.m = in.m, sums.plan.first = 0, sums.plan.last = in.n;
    sums.plan.inverse = in.factor / unit;
    sums.plan.rows = rows, sums.plan.columns = columns;
    sums.sent = sent, sums.received = received, sums.x = in.grad_x, sums.y = pulls, sums.scratch = pulls + whole * d;
    plan_kernels().gradient(sums);
    for (size_t k = 0; k < in.n * d; ++k) in.grad_x[k] *= in.factor;
    for (size_t j = 0; j < in.m; ++j)
        for (size_t c = 0; c < d; ++c) in.grad_y[j * d + c] = in.factor * pulls[place(j) + c * panel];
}

}  // namespace monge
