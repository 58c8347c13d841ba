// See steps.hpp.
#include "entropic/steps.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/limits.hpp"
#include "common/sorting.hpp"
#include "entropic/vector_kernels.hpp"

namespace monge {
namespace {

using std::size_t;

// In units of eps: changes beyond which one pass tells little, and how far acceleration may go beyond the plain step.
constexpr double trusted_residual = 10.0, longest_step = 40.0;
// Added to the unit diagonal of the least squares problem: in its directions below this there is only noise.
constexpr double ridge = 1e-13;
// Masses that agree so far are equal but for rounding, which a large rho would turn into a shift that means nothing.
constexpr double same_mass = 1e-14;

double clip(double x, double bound) { return std::min(std::max(x, -bound), bound); }

/// What a potential adds to the dual value, per unit of weight.
double worth(double f, double kl, double cap) { return kl < infinity ? -kl * std::expm1(-f / kl) : std::min(f, cap); }

/// The t for which f + t, g - t have the largest dual value: sum a exp(-f / kl_a) = sum b exp(-g / kl_b) there.
double translation(const Sides& s, const double* f, const double* g) {
    double low_f = infinity, low_g = infinity, sum_a = 0.0, sum_b = 0.0;
    for (size_t i = 0; i < s.n; ++i)
        if (s.a[i] > 0.0) low_f = std::min(low_f, f[i]);
    for (size_t j = 0; j < s.m; ++j)
        if (s.b[j] > 0.0) low_g = std::min(low_g, g[j]);
    for (size_t i = 0; i < s.n; ++i) sum_a += s.a[i] * std::exp(std::min(low_f - f[i], 0.0) / s.kl_a);
    for (size_t j = 0; j < s.m; ++j) sum_b += s.b[j] * std::exp(std::min(low_g - g[j], 0.0) / s.kl_b);
    const double difference = std::log(sum_a / sum_b) - low_f / s.kl_a + low_g / s.kl_b;
    return std::fabs(difference) > same_mass ? difference / (1.0 / s.kl_a + 1.0 / s.kl_b) : 0.0;
}

}  // namespace

bool Sides::translate() const {
    return !symmetric && (kl_a < infinity || kl_b < infinity) && cap_a == infinity && cap_b == infinity;
}

void column_sums(const double* b, size_t m, double eps, const double* g, const double* s, double* out) {
    const VectorKernels& kernels = vector_kernels();
    constexpr size_t some = 64;
    const double inverse = 1.4426950408889634 / eps;  // 1 / log 2
    double powers[some];
    for (size_t first = 0; first < m; first += some) {
        const size_t count = std::min(some, m - first);
        std::fill_n(powers, some, 0.0);
        for (size_t k = 0; k < count; ++k)
            if (b[first + k] > 0.0) powers[k] = (g[first + k] - s[first + k]) * inverse;
        kernels.exp2(powers, some, powers);
        for (size_t k = 0; k < count; ++k) out[first + k] = b[first + k] * powers[k];
    }
}

Measured measure(const Sides& s, const double* f, const double* g, const double* columns, double* wanted) {
    Measured out = {};
    if (s.kl_a == infinity && s.cap_a == infinity)
        vector_kernels().products(s.a, 1, 0, s.n, f, &out.value_a);
    else
        for (size_t i = 0; i < s.n; ++i)
            if (s.a[i] > 0.0) out.value_a += s.a[i] * worth(f[i], s.kl_a, s.cap_a);
    // Several sums each, for the processor to work on side by side.
    constexpr size_t lanes = 8;
    double error[lanes] = {}, mass[lanes] = {};
    if (s.kl_b == infinity && s.cap_b == infinity) {
        vector_kernels().products(s.b, 1, 0, s.m, g, &out.value_b);
        const auto add = [&](size_t j, size_t l) {
            wanted[j] = s.b[j];
            mass[l] += columns[j];
            error[l] += std::fabs(columns[j] - s.b[j]);
        };
        size_t j = 0;
        for (; j + lanes <= s.m; j += lanes)
            for (size_t l = 0; l < lanes; ++l) add(j + l, l);
        for (; j < s.m; ++j) add(j, 0);
    } else {
        for (size_t j = 0; j < s.m; ++j) {
            wanted[j] = s.kl_b < infinity ? s.b[j] * std::exp(-g[j] / s.kl_b) : s.b[j];
            if (!(s.b[j] > 0.0)) continue;
            mass[0] += columns[j];
            if (!at_bound(g[j], s.cap_b, columns[j], wanted[j])) error[0] += std::fabs(columns[j] - wanted[j]);
            out.value_b += s.b[j] * worth(g[j], s.kl_b, s.cap_b);
        }
    }
    double missed = 0.0;
    for (size_t l = 0; l < lanes; ++l) {
        out.mass += mass[l];
        missed += error[l];
    }
    out.error = out.mass > 0.0 ? missed / out.mass : missed > 0.0 ? 1.0 : 0.0;
    return out;
}

void plain_step(const Sides& s, double eps, bool translate, double* f, const double* g, const double* softmin,
                double* out) {
    const double damp = 1.0 / (1.0 + eps / s.kl_b);
    const double shift = translate ? translation(s, f, g) : 0.0;
    for (size_t j = 0; j < s.m; ++j) {  // `out` may be g
        const double best = clip(damp * (softmin[j] - shift), s.cap_b);
        out[j] = !(s.b[j] > 0.0) ? 0.0 : s.symmetric ? (g[j] + 8.0 * (f[j] + best)) / 17.0 : best;
    }
    if (!translate) return;
    for (size_t i = 0; i < s.n; ++i) f[i] += shift;
    const double rest = translation(s, f, out);
    for (size_t j = 0; j < s.m; ++j) out[j] -= rest;
}

// Walker and Ni 2011, "Anderson acceleration for fixed-point iterations", section 2. Least squares in the norm of the
// weights, by Cholesky's factorisation of the normal equations scaled to a unit diagonal. The rows of `memory` hold the
// changes of the residual, those of the plain steps, then the last residual, the last plain step, and the residual.
bool extrapolate(const double* b, size_t m, double cap, double eps, size_t taken, const double* plain, double* g,
                 double* memory, size_t stride, double* gram, size_t depth) {
    double* last_residual = memory + 2 * depth * stride;
    double* last_plain = last_residual + stride;
    double* residual = last_plain + stride;
    const size_t newest = (taken + depth - 1) % depth, known = std::min(taken, depth);
    const double longest = longest_step * eps;
    for (size_t j = 0; j < m; ++j) residual[j] = b[j] > 0.0 ? clip((plain[j] - g[j]) / eps, trusted_residual) : 0.0;
    double* change = memory + newest * stride;
    double* change_plain = memory + (depth + newest) * stride;
    if (known > 0)
        for (size_t j = 0; j < m; ++j) {
            change[j] = residual[j] - last_residual[j];
            change_plain[j] = plain[j] - last_plain[j];
        }
    for (size_t j = 0; j < m; ++j) {
        last_residual[j] = residual[j];
        last_plain[j] = g[j] = plain[j];
    }
    if (known == 0) return false;

    const VectorKernels& kernels = vector_kernels();
    double weight[deepest], product[deepest], scaling[deepest], factor[deepest][deepest];
    for (size_t j = 0; j < m; ++j) residual[j] *= b[j];
    kernels.products(memory, known, stride, m, residual, weight);
    for (size_t j = 0; j < m; ++j) residual[j] = b[j] * change[j];
    kernels.products(memory, known, stride, m, residual, product);
    for (size_t q = 0; q < known; ++q) gram[newest * depth + q] = gram[q * depth + newest] = product[q];
    for (size_t q = 0; q < known; ++q) {
        if (!(gram[q * depth + q] > 0.0)) return false;
        scaling[q] = 1.0 / std::sqrt(gram[q * depth + q]);
        for (size_t r = 0; r <= q; ++r) {
            double entry = r == q ? 1.0 + ridge : gram[q * depth + r] * scaling[q] * scaling[r];
            for (size_t k = 0; k < r; ++k) entry -= factor[q][k] * factor[r][k];
            factor[q][r] = r == q ? 1.0 / std::sqrt(std::max(entry, ridge)) : entry * factor[r][r];
        }
        weight[q] *= scaling[q];
        for (size_t r = 0; r < q; ++r) weight[q] -= factor[q][r] * weight[r];
        weight[q] *= factor[q][q];
    }
    for (size_t q = known; q-- > 0;) {
        for (size_t r = q + 1; r < known; ++r) weight[q] -= factor[r][q] * weight[r];
        weight[q] *= factor[q][q];
    }
    for (size_t q = 0; q < known; ++q) weight[q] *= -scaling[q];
    kernels.accumulate(memory + depth * stride, known, stride, m, weight, g);
    for (size_t j = 0; j < m; ++j) g[j] = clip(plain[j] + clip(g[j] - plain[j], longest), cap);
    return true;
}

void keep_digits(const double* b, size_t m, double eps, double* g) {
    double low = infinity, high = -infinity;
    for (size_t j = 0; j < m; ++j)
        if (b[j] > 0.0) low = std::min(low, g[j]), high = std::max(high, g[j]);
    const double most = most_digits * eps;
    if (!(high - low > most)) return;
    std::vector<double> known;
    for (size_t j = 0; j < m; ++j)
        if (b[j] > 0.0) known.push_back(g[j]);
    const double middle = median(std::move(known));
    for (size_t j = 0; j < m; ++j) g[j] = std::min(std::max(g[j], middle - most), middle + most);
}

Steps::Steps(const Sides& sides, size_t depth, double* f, double* g, const double* s)
    : sides_(sides), depth_(depth), f_(f), g_(g), s_(s), translate_(sides.translate()), columns_(sides.m),
      wanted_(sides.m), safe_(sides.m), memory_((2 * depth + 3) * sides.m), gram_(depth * depth) {}

Measured Steps::measure(double eps) {
    column_sums(sides_.b, sides_.m, eps, g_, s_, columns_.data());
    return monge::measure(sides_, f_, g_, columns_.data(), wanted_.data());
}

void Steps::keep_digits(double eps) {
    if (sides_.kl_a < infinity || sides_.kl_b < infinity || sides_.cap_a < infinity || sides_.cap_b < infinity) return;
    monge::keep_digits(sides_.b, sides_.m, eps, g_);
}

void Steps::advance(double eps) { plain_step(sides_, eps, translate_, f_, g_, s_, g_); }

bool Steps::accelerate(double eps, bool anew) {
    plain_step(sides_, eps, translate_, f_, g_, s_, safe_.data());
    if (anew) taken_ = 0;
    return extrapolate(sides_.b, sides_.m, sides_.cap_b, eps, taken_++, safe_.data(), g_, memory_.data(), sides_.m,
                       gram_.data(), depth_);
}

void Steps::shorten(double share) {
    for (size_t j = 0; j < sides_.m; ++j) g_[j] = safe_[j] + share * (g_[j] - safe_[j]);
}

void Steps::take_back() {
    std::copy(safe_.begin(), safe_.end(), g_);
    taken_ = 1;
}

}  // namespace monge
