// A problem at one eps: its stored matrix of exponentials, the potentials, and passes over it. See stored.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/limits.hpp"
#include "common/pages.hpp"
#include "common/workers.hpp"
#include "entropic/steps.hpp"
#include "entropic/stored.hpp"
#include "entropic/stored_costs.hpp"
#include "entropic/stored_pass.hpp"
#include "entropic/vector_kernels.hpp"

namespace monge {

constexpr double ln2 = 0.69314718055994530942;
/// What any eps is in its own log2 units, eps log 2.
constexpr double log2_e = 1.0 / ln2;
// Marginal errors that are kept, of the first passes.
constexpr std::size_t most_errors = 10000;
// Pairs from which a pass is cut into chunks, and the most of them: each has column sums of its own.
constexpr std::size_t pairs_of_chunk = std::size_t{1} << 16, most_chunks = 32;
// Costs of points that are computed at a time, to stay in cache until they are exponentiated.
constexpr std::size_t block_room = std::size_t{1} << 15;
// Columns whose softmins are found anew at a time: some of their costs may be next to each other.
constexpr std::size_t columns_at_once = 8, column_room = std::size_t{1} << 18;
// Work, in products and sums, after which the caller is asked whether to go on.
constexpr std::size_t work_between_polls = std::size_t{1} << 26;

/// The precision of the exponents and of the matrix.
enum class Digits : int { single, mixed, full };

/// What a precision can hold.
struct Range {
    // How far, in log2 units, potentials may move from those that are absorbed: what was cut off then still counts for
    // nothing, and no row or column sum overflows.
    double farthest;
    // Sums of a column before its own factor beyond which too much may have been cut off, or overflown.
    double lost, largest;
    // What it adds to the marginal error: by sums and powers; and per exponent, by what it knows of them.
    double floor, per_exponent;
};
constexpr Range ranges[] = {{30.0, 0x1p-60, 0x1p100, 3e-7, 0x1p-24},
                            {30.0, 0x1p-60, 0x1p100, 3e-7, 0x1p-53},
                            {200.0, 1e-150, 1e250, 0.0, 0x1p-53}};
// Weights that single precision can hold beside what they are multiplied by: their totals, and a share of these.
constexpr double largest_held_total = 0x1p30, least_held_share = 0x1p-60;
// Costs, and their factors, that keep clear of the ends of single precision's range.
constexpr double held = 1e-25;
// Ratios of eps to the largest cost from which what single precision adds to the mass, times eps, counts in the value.
constexpr double flat = 16.0;
// Error in the marginals that costs in single precision make, per largest cost over eps.
constexpr double cost_noise = 5e-8;

inline std::size_t filled(std::size_t size) { return (size + 7) / 8 * 8; }

/// Rows are the longer side of the problem, since Newton's method works on the shorter one: `turned` if they are the
/// caller's columns. But a large matrix is turned only if it is much wider than it is high: that takes a copy.
class StoredScaling {
public:
    StoredScaling(std::atomic<bool>& stop, Workers& workers)
        : kernels(vector_kernels()), stop(stop), workers(workers) {}

    /// Takes a problem and the place of its outcome, which it keeps up to date. `watch` is what it polls, or null.
    void read(const StoredProblem& given, StoredOutcome* out, const StoredOptions* watch) {
        problem = &given, outcome = out, poll = watch;
        *outcome = StoredOutcome{};
        const StoredProblem& p = given;
        const bool given_matrix = p.floats != nullptr || p.doubles != nullptr;
        turned = p.m > p.n && (!given_matrix || worth_turning(p.n, p.m));
        n = turned ? p.m : p.n;
        m = turned ? p.n : p.m;
        stride = stored_stride(m);
        const std::size_t rows = filled(n) + stored_rows;
        for (auto* row : {&a, &alpha, &softmin_a, &shift, &w, &r}) row->assign(rows, 0.0);
        for (auto* row : {&b, &beta, &beta0, &v, &column, &softmin, &wanted, &scratch_}) row->assign(stride, 0.0);
        std::copy_n(turned ? p.b : p.a, n, a.begin());
        std::copy_n(turned ? p.a : p.b, m, b.begin());
        const int side = turned ? 1 : 0;
        const bool balanced_rows = p.kl[side] == infinity && p.cap[side] == infinity;
        balanced = balanced_rows && p.kl[1 - side] == infinity && p.cap[1 - side] == infinity;
        costs.read(p, turned);
        made_ = false;
        const std::size_t groups = filled(n) / stored_rows;
        const std::size_t chunks = std::min(std::max<std::size_t>(1, n * m / pairs_of_chunk), most_chunks);
        rows_of_chunk_ = (groups + chunks - 1) / chunks * stored_rows;
        chunks_ = (n + rows_of_chunk_ - 1) / rows_of_chunk_;
        unit = 0.0;
        find_digits();
    }

    /// From here on potentials and marginals are in log2 units of this eps, where it is log2 e.
    void enter(double eps) {
        const StoredProblem& p = *problem;
        const int side = turned ? 1 : 0;
        const double before = unit;
        unit = eps * ln2;
        for (auto* row : {&alpha, &softmin_a})
            for (double& each : *row) each *= before > 0.0 ? before / unit : 0.0;
        sides = {n,
                 m,
                 a.data(),
                 b.data(),
                 p.kl[side] / unit,
                 p.cap[side] / unit,
                 p.kl[1 - side] / unit,
                 p.cap[1 - side] / unit,
                 p.symmetric};
        translate = sides.translate();
        absorbed_ = false;
    }

    /// From here on in this precision.
    void use(Digits wanted) {
        digits = std::max(wanted, least_digits);
        absorbed_ = false;
    }

    /// What the precision in use adds to the marginal error.
    double floor_of(Digits some) const {
        const Range& range = ranges[static_cast<int>(some)];
        double exponents = 0.0, total_a = 0.0, total_b = 0.0, more = 0.0;
        for (std::size_t i = 0; i < n; ++i) exponents += a[i] * std::fabs(alpha[i]), total_a += a[i];
        for (std::size_t j = 0; j < m; ++j) more += b[j] * std::fabs(beta[j]), total_b += b[j];
        const double potentials = ln2 * (exponents / total_a + more / total_b) * range.per_exponent;
        const double coordinates = some == Digits::single ? cost_noise * size_of_costs.largest / (unit / ln2) : 0.0;
        return some == Digits::full ? 0.0 : range.floor + std::max(potentials, coordinates);
    }

    /// How far potentials have moved from those that are absorbed.
    double moved() const {
        double most = 0.0;
        for (std::size_t j = 0; j < m; ++j) most = std::max(most, std::fabs(beta[j] - beta0[j]));
        return most;
    }

    /// alpha <- the best one for beta; the column sums of the plan, and the softmin that would be the next beta. The
    /// matrix is made anew if potentials have moved further than this, or than its precision allows.
    void pass(double range = infinity) {
        const bool fresh = !absorbed_ || moved() > std::min(range, ranges[static_cast<int>(digits)].farthest);
        if (fresh) {
            // As the exponents will have them.
            for (std::size_t j = 0; j < stride; ++j)
                beta0[j] = digits == Digits::single ? static_cast<double>(static_cast<float>(beta[j])) : beta[j];
            shift = softmin_a;
            ++outcome->kernels;
        }
        for (std::size_t j = 0; j < stride; ++j) v[j] = beta[j] - beta0[j];
        kernels.exp2(v.data(), stride, v.data());
        for (std::size_t j = 0; j < stride; ++j) v[j] *= b[j];
        switch (digits) {
            case Digits::single: run<float, float>(fresh, v32_); break;
            case Digits::mixed: run<double, float>(fresh, v32_); break;
            case Digits::full: run<double, double>(fresh, v);
        }
        absorbed_ = true;
        finish_columns();
        ++outcome->passes;
    }

    /// Polls from time to time, by the number of products and sums; only on the thread that called. What is under way
    /// when that stops the solve may be left half done.
    void worked(std::size_t more) {
        work_ += more;
        if (work_ < work_between_polls) return;
        work_ = 0;
        if (poll != nullptr && poll->poll(poll->context, outcome->passes, unit / ln2, error)) stop = true;
    }

    /// softmin_j = -log2 sum_i 2^(log_a_i + alpha_i - C_ij / unit) of some columns, whatever the numbers; infinite for
    /// an empty sum.
    void find_softmins(const std::vector<std::size_t>& columns) {
        if (columns.empty()) return;
        weights_.resize(filled(n), -infinity);
        for (std::size_t i = 0; i < n; ++i) weights_[i] = std::log2(a[i]) + alpha[i];
        const std::size_t rows = filled(n), room = std::max<std::size_t>(1, column_room / rows);
        const std::size_t some = std::min({columns_at_once, columns.size(), room});
        exponents_.resize(static_cast<std::size_t>(workers.count()) * some * rows);
        costs.prepare_columns();
        workers.run((columns.size() + some - 1) / some, [&](std::size_t block, int worker) {
            if (stop) return;
            const std::size_t first = block * some, count = std::min(some, columns.size() - first);
            double* const at = &exponents_[static_cast<std::size_t>(worker) * some * rows];
            costs.columns(&columns[first], count, at, rows);
            for (std::size_t k = 0; k < count; ++k) softmin[columns[first + k]] = softmin_of(at + k * rows);
            if (worker == 0) worked(8 * n * count);
        });
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

    const VectorKernels& kernels;
    std::atomic<bool>& stop;
    Workers& workers;
    const StoredProblem* problem = nullptr;
    StoredOutcome* outcome = nullptr;
    const StoredOptions* poll = nullptr;  // null on a thread that must not poll
    StoredCosts costs;
    CostSample size_of_costs;
    std::size_t n = 0, m = 0, stride = 0;
    bool turned = false, translate = false;
    bool balanced = true;  // both sides are to get their weights
    bool more = false;     // whether there are values of eps to come
    Digits digits = Digits::full, least_digits = Digits::full;
    Sides sides{};
    double unit = 0.0;                           // cost units per log2 unit
    double mass = 0.0, error = 0.0, dual = 0.0;  // of the plan at the last pass
    double size = 0.0;                           // of the terms of the dual
    Pages<double> K;  // (n, stride): exponentials relative to what is absorbed, where they have all digits
    // By row: weights, potentials, softmins, those absorbed, scalings times weights, sums before scaling.
    std::vector<double> a, alpha, softmin_a, shift, w, r;
    // By column: weights, potentials, those absorbed, scalings times weights; then the column sums of the plan, the
    // softmins of the columns, the sums wanted.
    std::vector<double> b, beta, beta0, v, column, softmin, wanted;

private:
    /// The size of the costs, and the least precision that holds all numbers.
    void find_digits() {
        const StoredProblem& p = *problem;
        const bool few = n * m <= few_pairs;
        size_of_costs = few ? costs.sample<double>() : costs.sample<float>();
        least_digits = few || !weights_held() ? Digits::full : Digits::single;
        if (least_digits == Digits::full) return;
        double largest = size_of_costs.largest;
        if (!costs.stored()) {
            const double power = with_ground(p.ground.base, [](auto base) { return double(decltype(base)::degree); }) *
                                 p.ground.exponent;
            if (power < 1.0) least_digits = Digits::mixed;  // distances that are zero in single precision count
            const double widest = costs.factor<float>();
            if (widest > outlying_cost * largest) size_of_costs.largest = largest = widest;
        }
        const double inverse = 1.0 / p.eps;
        if (!(largest > held && largest < 1.0 / held && inverse > held && inverse < 1.0 / held))
            least_digits = Digits::mixed;
        if (p.eps > flat * largest) least_digits = Digits::full;
    }

    /// Whether single precision can hold the weights.
    bool weights_held() const {
        for (const auto* weights : {&a, &b}) {
            double total = 0.0, least = infinity;
            for (double each : *weights) {
                total += each;
                if (each > 0.0) least = std::min(least, each);
            }
            if (!(total < largest_held_total && total * largest_held_total > 1.0 && least > least_held_share * total))
                return false;
        }
        return true;
    }

    static const double* converted(const std::vector<double>& from, std::vector<double>&) { return from.data(); }
    static const float* converted(const std::vector<double>& from, std::vector<float>& room) {
        room.resize(from.size());
        for (std::size_t j = 0; j < from.size(); ++j) room[j] = static_cast<float>(from[j]);
        return room.data();
    }

    template <class E, class T>
    void run(bool fresh, std::vector<T>& room) {
        const T* factors = converted(v, room);
        FreshRows<E, T> all{};
        StoredRows<T>& rows = all.rows;
        // Costs that take long are kept for the next matrix, if there is to be one.
        const bool keep = fresh && costs.template can_be_kept<E>() && (more || (made_ && made_in_ == digits));
        if (fresh) make_room(T(), keep && sizeof(E) == sizeof(float));
        rows.K = matrix(T()), rows.stride = stride, rows.m = m;
        rows.v = factors;
        rows.a = a.data();
        rows.damp = 1.0 / (1.0 + log2_e / sides.kl_a), rows.cap = sides.cap_a;
        rows.shift = shift.data(), rows.softmin = softmin_a.data(), rows.alpha = alpha.data();
        rows.r = r.data(), rows.w = w.data();
        std::vector<E>& shifted = room_of(E());
        Costs<E> given{};
        if (fresh) {
            made_ = true, made_in_ = digits;
            given = costs.template as<E>(keep, workers, [&](std::size_t more_work) {
                worked(more_work);
                return stop.load();
            });
            all.floats = given.floats, all.doubles = given.doubles, all.stride = given.stride;
            all.inverse = costs.template factor<E>() / unit;
            shifted.assign(stride, -std::numeric_limits<E>::infinity());
            for (std::size_t j = 0; j < m; ++j)
                if (b[j] > 0.0) shifted[j] = static_cast<E>(beta0[j]);
            all.beta = shifted.data();
        }
        sums_.resize(chunks_ * stride);
        std::vector<T>& partial = partial_of(T());
        partial.resize(static_cast<std::size_t>(workers.count()) * stride);
        // Costs of points are computed for some rows, which stay in cache until they are exponentiated.
        const std::size_t some_rows =
            given.x != nullptr ? std::max(stored_rows, block_room / m / stored_rows * stored_rows) : 0;
        std::vector<E>& block = block_of(E());
        block.resize(static_cast<std::size_t>(workers.count()) * some_rows * m);
        workers.run(chunks_, [&](std::size_t chunk, int worker) {
            if (stop) return;
            FreshRows<E, T> some = all;
            some.rows.first = chunk * rows_of_chunk_;
            some.rows.last = std::min(n, some.rows.first + rows_of_chunk_);
            some.rows.columns = &sums_[chunk * stride];
            some.rows.scratch = &partial[static_cast<std::size_t>(worker) * stride];
            if (some_rows > 0)
                make_by_blocks(given, some, some_rows, &block[static_cast<std::size_t>(worker) * some_rows * m]);
            else
                fresh ? make(some) : read_again(some.rows);
            const std::size_t per_pair = fresh && !costs.stored() ? 1 + problem->d / 4 : 1;
            if (worker == 0) worked((some.rows.last - some.rows.first) * stride * per_pair);
        });
    }

    template <class E, class T>
    void make_by_blocks(const Costs<E>& points, const FreshRows<E, T>& all, std::size_t some, E* room) const {
        const StoredRows<T>& rows = all.rows;
        for (std::size_t first = rows.first; first < rows.last; first += some) {
            const std::size_t last = std::min(rows.last, first + some);
            FreshRows<E, T> block = all;
            const Costs<E> computed = costs.compute(points, first, last, room);
            block.floats = computed.floats, block.doubles = computed.doubles, block.stride = computed.stride;
            block.rows.first = 0, block.rows.last = last - first;
            block.rows.K += first * stride;
            block.rows.a += first;
            for (double** row :
                 {&block.rows.shift, &block.rows.softmin, &block.rows.alpha, &block.rows.r, &block.rows.w})
                *row += first;
            block.rows.goes_on = first > rows.first;
            make(block);
        }
    }

    static void make(const FreshRows<float, float>& rows) { stored_kernels().float_fresh(rows); }
    static void make(const FreshRows<double, float>& rows) { stored_kernels().mixed_fresh(rows); }
    static void make(const FreshRows<double, double>& rows) { stored_kernels().double_fresh(rows); }
    static void read_again(const StoredRows<float>& rows) { stored_kernels().float_again(rows); }
    static void read_again(const StoredRows<double>& rows) { stored_kernels().double_again(rows); }

    /// For a matrix in this precision; there is but one at a time. In single precision it shares its room with costs
    /// that are kept: an allocator is more likely to have one large piece of memory from the solve before than two.
    void make_room(float, bool with_costs) {
        const std::size_t wanted = n * stride + (with_costs ? n * m : 0);
        if (single_.size() < wanted) {
            K.release();
            single_.resize(wanted);
        }
        if (with_costs) costs.keep_at(single_.data() + n * stride);
    }
    void make_room(double, bool) {
        if (K.size() == n * stride) return;
        single_.release();
        costs.keep_at(nullptr);
        K.resize(n * stride);
    }
    float* matrix(float) { return single_.data(); }
    double* matrix(double) { return K.data(); }

    void finish_columns() {
        const Range& range = ranges[static_cast<int>(digits)];
        std::copy_n(sums_.begin(), stride, column.begin());
        for (std::size_t chunk = 1; chunk < chunks_; ++chunk) {
            const double* const more = &sums_[chunk * stride];
            for (std::size_t j = 0; j < stride; ++j) column[j] += more[j];
        }
        for (std::size_t j = 0; j < stride; ++j)
            scratch_[j] = column[j] > range.lost && column[j] < range.largest ? column[j] : 1.0;
        kernels.log2(scratch_.data(), stride, softmin.data());
        lost_.clear();
        for (std::size_t j = 0; j < m; ++j) {
            if (!(b[j] > 0.0)) {
                softmin[j] = beta[j];
                column[j] = 0.0;
            } else if (scratch_[j] == column[j]) {
                softmin[j] = beta0[j] - softmin[j];
                column[j] *= v[j];
            } else {
                lost_.push_back(j);
            }
        }
        find_softmins(lost_);
        for (std::size_t j : lost_)
            column[j] = std::min(b[j] * std::exp2(std::min(beta[j] - softmin[j], 1000.0)), 1e250);
    }

    /// From the costs (n,) of a column, in whose place the powers come.
    double softmin_of(double* exponents) const {
        const std::size_t rows = filled(n);
        double top = -infinity, total = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            exponents[i] = weights_[i] - exponents[i] / unit;
            top = std::max(top, exponents[i]);
        }
        if (!(top > -infinity)) return infinity;
        for (std::size_t i = 0; i < n; ++i) exponents[i] -= top;
        std::fill(exponents + n, exponents + rows, -infinity);
        kernels.exp2(exponents, rows, exponents);
        for (std::size_t i = 0; i < rows; ++i) total += exponents[i];
        return -top - std::log2(total);
    }

    std::vector<float>& room_of(float) { return shifted32_; }
    std::vector<double>& room_of(double) { return shifted_; }
    std::vector<float>& block_of(float) { return block32_; }
    std::vector<double>& block_of(double) { return block_; }
    std::vector<float>& partial_of(float) { return partial32_; }
    std::vector<double>& partial_of(double) { return partial_; }

    std::size_t work_ = 0;  // products and sums since the last poll
    bool absorbed_ = false;
    bool made_ = false;  // whether there was a matrix before, and in which precision
    Digits made_in_ = Digits::full;
    std::size_t rows_of_chunk_ = 0, chunks_ = 0;
    Pages<float> single_;
    std::vector<float> v32_, shifted32_, partial32_, block32_;
    std::vector<double> shifted_, partial_, block_, sums_, scratch_, weights_, exponents_;
    std::vector<std::size_t> lost_;
};

}  // namespace monge
