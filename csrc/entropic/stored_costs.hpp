// The costs of a problem whose kernel matrix is stored, in the forms that its passes ask for. See stored.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "common/ground_costs.hpp"
#include "common/unfilled.hpp"
#include "common/workers.hpp"
#include "entropic/packed_points.hpp"
#include "entropic/pairs.hpp"
#include "entropic/stored.hpp"

namespace monge {

// Coordinates from which the costs of points are kept, not computed for each matrix anew.
constexpr std::size_t worth_keeping = 8;
// Rows that are looked at for the size of the costs.
constexpr std::size_t sampled_rows = 64;
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
        problem_ = &problem, turned_ = turned;
        n_ = turned ? problem.m : problem.n;
        m_ = turned ? problem.n : problem.m;
        x_ = turned ? problem.y : problem.x;
        y_ = turned ? problem.x : problem.y;
        floats_ = problem.floats, doubles_ = problem.doubles;
        if (turned && floats_ != nullptr) floats_ = transpose(floats_, single_.matrix);
        if (turned && doubles_ != nullptr) doubles_ = transpose(doubles_, full_.matrix);
        single_.ready = full_.ready = false;
        across_.clear();
    }

    bool stored() const { return floats_ != nullptr || doubles_ != nullptr; }

    /// The costs over factor<E>(), for exponents of this type; those of points that were kept in another one are not
    /// any longer.
    template <class E>
    Costs<E> as(Workers& workers) {
        Form<E>& form = this->form(E());
        if (!stored() && !form.ready) {
            release(E());
            form.points.pack(problem_->ground, x_, n_, y_, m_, problem_->d);
            form.ready = true;
            if (problem_->d >= worth_keeping) fill(form.points.costs(), workers, form.matrix);
        }
        Costs<E> costs{};
        costs.stride = m_;
        if (stored()) {
            costs.floats = floats_, costs.doubles = doubles_;
            return costs;
        }
        if (problem_->d < worth_keeping) return form.points.costs();
        point_to(form.matrix.data(), &costs);
        return costs;
    }

    template <class E>
    double factor() {
        return stored() ? 1.0 : form(E()).points.factor;
    }

    /// All costs over factor<double>(), in rows of m; `room` is filled where there is no such matrix.
    const double* whole(Workers& workers, Unfilled<double>& room) {
        const Costs<double> costs = as<double>(workers);
        if (costs.doubles != nullptr) return costs.doubles;
        fill(costs, workers, room);
        return room.data();
    }

    const float* floats() const { return floats_; }

    /// The costs (n,) of a column.
    void column(std::size_t j, double* out) {
        if (floats_ != nullptr || doubles_ != nullptr) {
            for (std::size_t i = 0; i < n_; ++i) out[i] = doubles_ != nullptr ? doubles_[i * m_ + j] : floats_[i * m_ + j];
            return;
        }
        const std::size_t d = problem_->d;
        if (across_.empty()) {
            across_.resize(d * n_);
            lay_across(x_, n_, d, n_, across_.data());
        }
        ground_row(problem_->ground, y_ + j * d, across_.data(), d, n_, n_, out);
    }

    /// Of rows at even steps.
    template <class E>
    CostSample sample(Workers& workers) {
        const Costs<E> costs = as<E>(workers);
        const std::size_t step = std::max<std::size_t>(1, n_ / sampled_rows);
        std::vector<E> row(m_);
        double least = infinity, total = 0.0, most = 0.0;
        std::size_t count = 0;
        for (std::size_t i = 0; i < n_; i += step) {
            costs_of(CostRows<E>{costs, m_, i, i + 1, row.data()});
            for (E each : row) {
                if (!(each < std::numeric_limits<E>::infinity())) continue;
                const double c = static_cast<double>(each);
                least = std::min(least, c), most = std::max(most, std::fabs(c));
                total += c;
                ++count;
            }
        }
        if (count == 0) return {};
        return {factor<E>() * (total / static_cast<double>(count) - least), factor<E>() * most};
    }

private:
    template <class E>
    struct Form {
        bool ready = false;
        PackedPoints<E> points;
        Unfilled<E> matrix;  // costs between the points, or a matrix that was turned
    };

    Form<float>& form(float) { return single_; }
    Form<double>& form(double) { return full_; }
    void release(float) { release(&full_); }
    void release(double) { release(&single_); }

    template <class E>
    static void release(Form<E>* form) {
        form->ready = false;
        Unfilled<E>().swap(form->matrix);
    }

    static void point_to(const float* matrix, Costs<float>* costs) { costs->floats = matrix; }
    static void point_to(const double* matrix, Costs<double>* costs) { costs->doubles = matrix; }
    static void costs_of(const CostRows<float>& rows) { sinkhorn_kernels().float_costs(rows); }
    static void costs_of(const CostRows<double>& rows) { sinkhorn_kernels().double_costs(rows); }

    template <class E>
    void fill(const Costs<E>& costs, Workers& workers, Unfilled<E>& out) const {
        out.resize(n_ * m_);
        constexpr std::size_t block = 64;
        workers.run((n_ + block - 1) / block, [&](std::size_t chunk, int) {
            const std::size_t first = chunk * block, last = std::min(n_, first + block);
            costs_of(CostRows<E>{costs, m_, first, last, out.data() + first * m_});
        });
    }

    template <class S>
    const S* transpose(const S* C, Unfilled<S>& out) const {
        out.resize(n_ * m_);
        constexpr std::size_t block = 16;
        for (std::size_t first = 0; first < n_; first += block)
            for (std::size_t j = 0; j < m_; ++j)
                for (std::size_t i = first; i < std::min(n_, first + block); ++i) out[i * m_ + j] = C[j * n_ + i];
        return out.data();
    }

    const StoredProblem* problem_ = nullptr;
    bool turned_ = false;
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
