// The costs of a problem whose kernel matrix is stored, in the forms that its passes ask for. See stored.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "common/ground_costs.hpp"
#include "common/limits.hpp"
#include "common/pages.hpp"
#include "common/workers.hpp"
#include "entropic/packed_points.hpp"
#include "entropic/pairs.hpp"
#include "entropic/stored.hpp"

namespace monge {

// Pairs of a problem so small that single precision saves less than it takes, and costs of points are kept.
constexpr std::size_t few_pairs = std::size_t{1} << 12;
// Rows that are looked at for the size of the costs.
constexpr std::size_t sampled_rows = 32;
// The ratio of the largest possible cost of points to that of a sample from which there must be outliers, beside which
// the coordinates of the others have few digits: boxes around hundreds of dimensions have up to thirty.
constexpr double outlying_cost = 1e3;

/// Some of the costs.
struct CostSample {
    double mean = 0.0;     // above the least
    double largest = 0.0;  // absolute value
};

/// A matrix is read in place; `turned` if its columns are the rows here, which takes a copy.
class StoredCosts {
public:
    void read(const StoredProblem& problem, bool turned) {
        problem_ = &problem;
        n_ = turned ? problem.m : problem.n;
        m_ = turned ? problem.n : problem.m;
        x_ = turned ? problem.y : problem.x;
        y_ = turned ? problem.x : problem.y;
        floats_ = problem.floats, doubles_ = problem.doubles;
        if (turned && floats_ != nullptr) floats_ = transpose(floats_, single_.matrix);
        if (turned && doubles_ != nullptr) doubles_ = transpose(doubles_, full_.matrix);
        single_.ready = full_.ready = single_.filled = full_.filled = false;
        across_.clear();
    }

    bool stored() const { return floats_ != nullptr || doubles_ != nullptr; }

    /// Whether it takes long to compute them.
    bool costly() const { return !stored() && problem_->d >= costly_coordinates; }

    /// Whether those of this type may be kept, (n, m) numbers.
    template <class E>
    bool can_be_kept() const {
        return !stored() && (costly() || n_ * m_ <= few_pairs) && n_ * m_ * sizeof(E) <= most_kept;
    }

    /// Where those in single precision are kept from now on. Those that were there are lost.
    void keep_at(float* room) {
        if (room != single_.at) single_.filled = false;
        single_.at = room;
    }

    /// The costs over factor<E>(), for exponents of this type: of points as a matrix, if they are kept from now on or
    /// were before. busy(work) is called on the calling thread; true leaves the rest undone.
    template <class E, class Busy>
    Costs<E> as(bool keep, Workers& workers, Busy&& busy) {
        Form<E>& form = this->form(E());
        const Costs<E> computed = packed<E>();
        if (!keep && !form.filled) return computed;
        if (!form.filled) fill(computed, workers, room_of(&form), busy);
        form.filled = true;
        return matrix_of(form.at);
    }

    /// Rows of costs of points, into `out` (last - first, m): by columns, which takes half the time that it takes on
    /// the way to exponentials.
    template <class E>
    Costs<E> compute(const Costs<E>& points, std::size_t first, std::size_t last, E* out) const {
        costs_of(CostRows<E>{points, m_, first, last, out});
        return matrix_of(out);
    }

    template <class E>
    double factor() {
        return stored() ? 1.0 : form(E()).points.factor;
    }

    /// All costs over factor<double>(), in rows of m; `room` is filled where there is no such matrix.
    template <class Busy>
    const double* whole(Workers& workers, Pages<double>& room, Busy&& busy) {
        const Costs<double> costs = as<double>(false, workers, busy);
        if (costs.doubles != nullptr) return costs.doubles;
        room.resize(n_ * m_);
        fill(costs, workers, room.data(), busy);
        return room.data();
    }

    const float* floats() const { return floats_; }

    /// To be called before `columns`, which several threads may call then.
    void prepare_columns() {
        if (stored() || !across_.empty()) return;
        across_.resize(problem_->d * n_);
        lay_across(x_, n_, problem_->d, n_, across_.data());
    }

    /// The costs of some columns, each into `stride` numbers.
    void columns(const std::size_t* some, std::size_t count, double* out, std::size_t stride) const {
        for (std::size_t k = 0; k < count && !stored(); ++k)
            ground_row(problem_->ground, y_ + some[k] * problem_->d, across_.data(), problem_->d, n_, n_,
                       out + k * stride);
        for (std::size_t i = 0; i < n_ && stored(); ++i)
            for (std::size_t k = 0; k < count; ++k)
                out[k * stride + i] = doubles_ != nullptr ? doubles_[i * m_ + some[k]] : floats_[i * m_ + some[k]];
    }

    /// Of rows at even steps.
    template <class E>
    CostSample sample() {
        Costs<E> costs = packed<E>();
        const std::size_t step = std::max<std::size_t>(1, n_ / sampled_rows), rows = (n_ + step - 1) / step;
        std::vector<E> some, points;
        if (costs.x != nullptr) {
            for (std::size_t i = 0; i < n_; i += step)
                points.insert(points.end(), costs.x + i * costs.d, costs.x + (i + 1) * costs.d);
            costs.x = points.data();
        }
        costs.stride *= step;
        some.resize(rows * m_);
        costs_of(CostRows<E>{costs, m_, 0, rows, some.data()});
        // Several sums each, for the processor to work on side by side.
        constexpr std::size_t lanes = 8;
        double least[lanes], most[lanes] = {}, total[lanes] = {}, count[lanes] = {};
        std::fill_n(least, lanes, infinity);
        some.resize((some.size() + lanes - 1) / lanes * lanes, std::numeric_limits<E>::infinity());
        for (std::size_t k = 0; k < some.size(); k += lanes)
            for (std::size_t l = 0; l < lanes; ++l) {
                const double c = static_cast<double>(some[k + l]);
                const bool finite = c < infinity;
                least[l] = c < least[l] ? c : least[l];
                most[l] = finite && std::fabs(c) > most[l] ? std::fabs(c) : most[l];
                total[l] += finite ? c : 0.0;
                count[l] += finite ? 1.0 : 0.0;
            }
        for (std::size_t l = 1; l < lanes; ++l) {
            least[0] = std::min(least[0], least[l]), most[0] = std::max(most[0], most[l]);
            total[0] += total[l], count[0] += count[l];
        }
        if (!(count[0] > 0.0)) return {};
        return {factor<E>() * (total[0] / count[0] - least[0]), factor<E>() * most[0]};
    }

private:
    template <class E>
    struct Form {
        bool ready = false, filled = false;  // the points, and the costs that are kept
        PackedPoints<E> points;
        Pages<E> matrix;  // that was turned, or has costs between the points
        E* at = nullptr;  // the latter
    };

    Form<float>& form(float) { return single_; }
    Form<double>& form(double) { return full_; }
    /// A matrix, or the points.
    template <class E>
    Costs<E> packed() {
        if (stored()) {
            Costs<E> costs{};
            costs.stride = m_;
            costs.floats = floats_, costs.doubles = doubles_;
            return costs;
        }
        Form<E>& form = this->form(E());
        if (!form.ready) form.points.pack(problem_->ground, x_, n_, y_, m_, problem_->d);
        form.ready = true;
        return form.points.costs();
    }

    static float* room_of(Form<float>* form) { return form->at; }
    double* room_of(Form<double>* form) const {
        form->matrix.resize(n_ * m_);
        return form->at = form->matrix.data();
    }

    Costs<float> matrix_of(const float* matrix) const {
        Costs<float> costs{};
        costs.stride = m_, costs.floats = matrix;
        return costs;
    }
    Costs<double> matrix_of(const double* matrix) const {
        Costs<double> costs{};
        costs.stride = m_, costs.doubles = matrix;
        return costs;
    }

    static void costs_of(const CostRows<float>& rows) { cost_kernels().float_costs(rows); }
    static void costs_of(const CostRows<double>& rows) { cost_kernels().double_costs(rows); }

    template <class E, class Busy>
    void fill(const Costs<E>& costs, Workers& workers, E* out, Busy&& busy) const {
        constexpr std::size_t block = 64;
        std::atomic<bool> stopped{false};
        workers.run((n_ + block - 1) / block, [&](std::size_t chunk, int worker) {
            if (stopped) return;
            const std::size_t first = chunk * block, last = std::min(n_, first + block);
            costs_of(CostRows<E>{costs, m_, first, last, out + first * m_});
            if (worker == 0 && busy((last - first) * m_ * (1 + problem_->d / 4))) stopped = true;
        });
    }

    template <class S>
    const S* transpose(const S* C, Pages<S>& out) const {
        out.resize(n_ * m_);
        constexpr std::size_t block = 16;
        for (std::size_t first = 0; first < n_; first += block)
            for (std::size_t j = 0; j < m_; ++j)
                for (std::size_t i = first; i < std::min(n_, first + block); ++i) out[i * m_ + j] = C[j * n_ + i];
        return out.data();
    }

    const StoredProblem* problem_ = nullptr;
    std::size_t n_ = 0, m_ = 0;
    const float* floats_ = nullptr;
    const double* doubles_ = nullptr;
    const double* x_ = nullptr;
    const double* y_ = nullptr;
    Form<float> single_;
    Form<double> full_;
    std::vector<double> across_;
};

}  // namespace monge
