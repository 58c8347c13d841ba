// A small problem at one eps: its matrix of exponentials, the potentials, and passes over it. See small.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "common/ground_costs.hpp"
#include "common/limits.hpp"
#include "entropic/small.hpp"
#include "entropic/small_kernels.hpp"
#include "entropic/steps.hpp"

namespace monge {

constexpr double ln2 = 0.69314718055994530942;
/// What any eps is in its own log2 units, eps log 2.
constexpr double log2_e = 1.0 / ln2;
// How far, in log2 units, potentials may move from those that are absorbed: what was cut off then still counts for
// nothing, and no row or column sum overflows.
constexpr double farthest = 200.0;
// Column sums below which too much may have been cut off; and a bound that keeps sums finite.
constexpr double lost = 1e-150, largest_sum = 1e250;
// Marginal errors that are kept, of the first passes.
constexpr std::size_t most_errors = 10000;

inline std::size_t filled(std::size_t size) { return (size + 7) / 8 * 8; }

/// Rows are the longer side of the problem, since Newton's method works on the shorter one: `turned` if they are the
/// caller's columns.
class SmallScaling {
public:
    explicit SmallScaling(std::atomic<bool>& stop) : kernels(scaling_kernels()), stop(stop) {}

    /// Takes a problem and the place of its outcome, which it keeps up to date. `watch` is what it polls, or null.
    void read(const SmallProblem& given, SmallOutcome* out, const SmallOptions* watch) {
        problem = &given, outcome = out, poll = watch;
        *outcome = SmallOutcome{};
        const SmallProblem& p = given;
        turned = p.m > p.n;
        n = turned ? p.m : p.n;
        m = turned ? p.n : p.m;
        stride = filled(m);
        const std::size_t rows = filled(n);
        C.resize(n * stride);
        K.resize(n * stride);
        for (auto* row : {&a, &log_a, &alpha, &alpha0, &w, &r, &log_r}) row->assign(rows, 0.0);
        for (auto* row : {&b, &log_b, &beta, &beta0, &v, &column, &softmin, &shift_, &wanted, &scratch_})
            row->assign(stride, 0.0);
        std::copy_n(turned ? p.b : p.a, n, a.begin());
        std::copy_n(turned ? p.a : p.b, m, b.begin());
        logarithms(a, log_a);
        logarithms(b, log_b);
        const int side = turned ? 1 : 0;
        balanced_rows = p.kl[side] == infinity && p.cap[side] == infinity;
        balanced = balanced_rows && p.kl[1 - side] == infinity && p.cap[1 - side] == infinity;
        load_costs();
    }

    /// The mean cost above the least one.
    double mean_cost() const {
        double least, total, count;
        kernels.summary(C.data(), n * stride, &least, &total, &count);
        return count > 0.0 ? total / count - least : 0.0;
    }

    /// From here on potentials and marginals are in log2 units of this eps, where it is log2 e.
    void enter(double eps) {
        const SmallProblem& p = *problem;
        const int side = turned ? 1 : 0;
        unit = eps * ln2;
        sides = {n,
                 m,
                 a.data(),
                 b.data(),
                 p.kl[side] / unit,
                 p.cap[side] / unit,
                 p.kl[1 - side] / unit,
                 p.cap[1 - side] / unit};
        translate = sides.translate();
        absorbed_ = false;
    }

    /// How far potentials have moved from those that are absorbed.
    double moved() const {
        double most = 0.0;
        for (std::size_t j = 0; j < m; ++j) most = std::max(most, std::fabs(beta[j] - beta0[j]));
        return most;
    }

    /// alpha <- the best one for beta; the column sums of the plan, and the softmin that would be the next beta.
    void pass(double range = farthest) {
        if (!absorbed_ || moved() > range) absorb();
        for (std::size_t j = 0; j < stride; ++j) v[j] = beta[j] - beta0[j];
        kernels.exp2(v.data(), stride, v.data());
        std::fill(column.begin(), column.end(), 0.0);
        // As many rows at a time as stay in the first cache between the two products.
        const std::size_t block = std::max<std::size_t>(8, 2048 / stride / 8 * 8);
        const double damp = 1.0 / (1.0 + log2_e / sides.kl_a), cap = sides.cap_a;
        for (std::size_t first = 0; first < n; first += block) {
            const std::size_t rows = std::min(block, n - first), all = filled(rows);
            const double* block_of_K = &K[first * stride];
            kernels.products(block_of_K, rows, stride, stride, v.data(), &r[first]);
            for (std::size_t i = first; i < first + all; ++i) r[i] = r[i] > 0.0 ? r[i] : 1.0;
            kernels.log2(&r[first], all, &log_r[first]);
            if (balanced_rows) {
                for (std::size_t i = first; i < first + all; ++i) {
                    alpha[i] = alpha0[i] - log_r[i];
                    w[i] = a[i] / r[i];
                }
            } else {
                for (std::size_t i = first; i < first + all; ++i) {
                    const double plain = alpha0[i] - log_r[i];
                    alpha[i] = std::min(std::max(damp * plain, -cap), cap);
                    w[i] = alpha[i] - plain;
                }
                kernels.exp2(&w[first], all, &w[first]);
                for (std::size_t i = first; i < first + all; ++i) w[i] *= a[i] / r[i];
            }
            kernels.accumulate(block_of_K, rows, stride, stride, &w[first], column.data());
        }
        for (std::size_t j = 0; j < stride; ++j) {
            column[j] *= v[j];
            scratch_[j] = column[j] > lost && column[j] < largest_sum ? column[j] : 1.0;
        }
        kernels.log2(scratch_.data(), stride, softmin.data());
        for (std::size_t j = 0; j < m; ++j) {
            if (!(b[j] > 0.0)) {
                softmin[j] = beta[j];
            } else if (scratch_[j] == column[j]) {
                softmin[j] = beta[j] + log_b[j] - softmin[j];
            } else {
                softmin[j] = column_softmin(j);
                column[j] = std::min(b[j] * std::exp2(std::min(beta[j] - softmin[j], 1000.0)), largest_sum);
            }
        }
        ++outcome->passes;
        worked(n * stride);
    }

    /// Polls from time to time, by the number of products and sums.
    void worked(std::size_t more) {
        work_ += more;
        if (work_ < std::size_t{1} << 26) return;
        work_ = 0;
        if (poll != nullptr && poll->poll(poll->context, outcome->passes, unit / ln2, error)) stop = true;
    }

    /// -log2 sum_i 2^(log_a_i + alpha_i - C_ij / unit), whatever the numbers.
    double column_softmin(std::size_t j) const {
        double top = -infinity, total = 0.0;
        for (std::size_t i = 0; i < n; ++i) top = std::max(top, log_a[i] + alpha[i] - C[i * stride + j] / unit);
        if (!(top > -infinity)) return infinity;
        for (std::size_t i = 0; i < n; ++i) total += std::exp2(log_a[i] + alpha[i] - C[i * stride + j] / unit - top);
        return -top - std::log2(total);
    }

    /// The column sums that beta calls for, the marginal error, and the dual value.
    void measure() {
        const Measured plan = monge::measure(sides, alpha.data(), beta.data(), column.data(), wanted.data());
        mass = plan.mass;
        error = plan.error;
        dual = unit * (plan.value_a + plan.value_b + log2_e * (1.0 - plan.mass));
        size = unit * (std::fabs(plan.value_a) + std::fabs(plan.value_b) + log2_e * plan.mass);
        if (outcome->errors.size() < most_errors) outcome->errors.push_back(error);
        outcome->error = error;
        outcome->dual = dual;
    }

    /// next <- the plain step from beta.
    void plain_step(std::vector<double>& next) {
        monge::plain_step(sides, log2_e, translate, alpha.data(), beta.data(), softmin.data(), next.data());
    }

    /// Whether the solve has to end, converged or not.
    bool over() const { return outcome->passes >= problem->max_iter || stop; }

    const ScalingKernels& kernels;
    std::atomic<bool>& stop;
    const SmallProblem* problem = nullptr;
    SmallOutcome* outcome = nullptr;
    const SmallOptions* poll = nullptr;  // null on a thread that must not poll
    std::size_t n = 0, m = 0, stride = 0;
    bool turned = false, translate = false;
    bool balanced = true, balanced_rows = true;  // both sides, and the rows, are to get their weights
    Sides sides{};
    double unit = 0.0;                           // cost units per log2 unit
    double mass = 0.0, error = 0.0, dual = 0.0;  // of the plan at the last pass
    double size = 0.0;                           // of the terms of the dual
    std::vector<double> C, K;                    // (n, stride): costs, and exponentials relative to what is absorbed
    // By row: weights, their logarithms, potentials, those absorbed, scalings, sums before scaling, their logarithms.
    std::vector<double> a, log_a, alpha, alpha0, w, r, log_r;
    // By column: the same up to scalings; then the column sums of the plan, the softmins of the columns, the sums
    // wanted.
    std::vector<double> b, log_b, beta, beta0, v, column, softmin, wanted;

private:
    void logarithms(const std::vector<double>& weights, std::vector<double>& out) const {
        kernels.log2(weights.data(), weights.size(), out.data());
        for (std::size_t k = 0; k < weights.size(); ++k)
            if (!(weights[k] >= std::numeric_limits<double>::min())) out[k] = std::log2(weights[k]);
    }

    void load_costs() {
        const SmallProblem& p = *problem;
        for (std::size_t i = 0; i < n; ++i) std::fill(&C[i * stride] + m, &C[i * stride] + stride, infinity);
        if (p.costs != nullptr) {
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t j = 0; j < m; ++j) C[i * stride + j] = p.costs[turned ? j * p.m + i : i * p.m + j];
            return;
        }
        across_.resize(p.d * m);
        lay_across(turned ? p.x : p.y, m, p.d, m, across_.data());
        const double* const rows = turned ? p.y : p.x;
        for (std::size_t i = 0; i < n; ++i)
            ground_row(p.ground, rows + i * p.d, across_.data(), p.d, m, m, &C[i * stride]);
    }

    void absorb() {
        const double inverse = 1.0 / unit;
        for (std::size_t j = 0; j < stride; ++j) {
            beta0[j] = beta[j];
            shift_[j] = log_b[j] + beta[j];
        }
        for (std::size_t i = 0; i < n; ++i) {
            const double sum = kernels.softmax(&C[i * stride], inverse, shift_.data(), stride, &K[i * stride]);
            alpha0[i] = sum > -infinity ? -sum : 0.0;  // zero with no column in reach
        }
        absorbed_ = true;
    }

    std::size_t work_ = 0;  // products and sums since the last poll
    bool absorbed_ = false;
    std::vector<double> across_, shift_, scratch_;
};

}  // namespace monge
