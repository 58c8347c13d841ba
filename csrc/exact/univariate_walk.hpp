// The staircase of a problem on the line, and the walk along it.
//
// The cells (i, j) of the plan that keeps the order form a staircase from (0, 0) to (n - 1, m - 1). Where a row and a
// column are used up together it breaks off; a cell of mass zero joins it, and f_i + g_j = h(x_i - y_j) along the whole
// of it determines the potentials. They are feasible everywhere, because h(x_i - y_j) has the Monge property on sorted
// points (Hoffman 1963, "On simple linear programming problems"). Points of mass zero are steps like any other.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/control.hpp"
#include "common/sorting.hpp"
#include "common/unfilled.hpp"
#include "exact/masses.hpp"
#include "exact/univariate.hpp"

namespace monge::univariate {

constexpr std::size_t steps_between_polls = 1 << 16;

/// A sum that keeps what rounding loses (Neumaier 1974): 10^7 terms then cost no digits.
struct Sum {
    double sum = 0.0, lost = 0.0;
    void add(double term) {
        const double next = sum + term;
        const double part = next - sum;
        lost += (sum - (next - part)) + (term - part);  // Knuth's two-sum: exact without a branch
        sum = next;
    }
    double value() const { return sum + lost; }
};

// The powers h: h(d), rise(d, e, step) = h(e) - h(d) for e = d + step, and slope(d) = h'(d) unit / p, zero where there
// is none. The step is known better than e - d, and the potentials are sums of many rises.

struct Distance {
    double scale;
    double operator()(double d) const { return std::fabs(d) * scale; }
    double rise(double d, double e, double step) const {
        if (d >= 0.0 && e >= 0.0) return step * scale;
        if (d <= 0.0 && e <= 0.0) return -step * scale;
        return (*this)(e) - (*this)(d);
    }
    double slope(double d) const { return d > 0.0 ? 1.0 : d < 0.0 ? -1.0 : 0.0; }
};

struct Square {
    double scale;
    double operator()(double d) const { return (d * scale) * (d * scale); }
    double rise(double d, double e, double step) const { return (step * scale) * ((d + e) * scale); }
    double slope(double d) const { return d * scale; }
};

/// Beyond the knee, where it would overflow, h goes on as its tangent. It stays convex, and mass that matters does not
/// go there: the smallest mass, 10^-18 of all, would cost more than all that moves by the unit.
struct Power {
    static constexpr double largest = 1e250;
    double unit, p, knee = std::pow(largest, 1.0 / p);
    double operator()(double d) const {
        const double t =
            std::fabs(d) / unit;  // one for the unit itself, which a high power of a rounded product is not
        return t <= knee ? std::pow(t, p) : largest * (1.0 + p * (t / knee - 1.0));
    }
    double rise(double d, double e, double) const { return (*this)(e) - (*this)(d); }
    double slope(double d) const { return std::copysign(std::pow(std::fabs(d) / unit, p - 1.0), d); }
};

/// Masses in some order. Where all are equal one stands for all: a million points spend as long on fresh memory as on
/// a pass of the sort.
class MassList {
public:
    explicit MassList(std::vector<Flow> given, std::size_t step = 1)
        : given_(std::move(given)), ordered_(step == 0 ? 0 : given_.size()), values_(given_.data()), step_(step) {}
    MassList(MassList&&) = default;  // the numbers stay where they are
    Flow operator[](std::size_t k) const { return values_[k * step_]; }
    bool equal() const { return step_ == 0; }
    void rotate(std::size_t k) {
        if (!equal()) std::rotate(values_, values_ + k, values_ + given_.size());
    }

    /// Those of a side in increasing order of its points.
    template <class Stop>
    void permute(const Unfilled<std::uint64_t>& place, Stop&& stop) {
        if (equal()) return;
        for (std::size_t k = 0; k < place.size(); ++k) {
            if (k % steps_between_polls == 0 && stop()) return;
            ordered_[k] = given_[place[k]];
        }
        values_ = ordered_.data();
    }

private:
    std::vector<Flow> given_;
    Unfilled<Flow> ordered_;
    Flow* values_;
    std::size_t step_;
};

/// One side: its points in increasing order, their masses, and their places in the caller's arrays. On the circle, once
/// it is cut, `at` has one more entry: the first point, a turn later.
class Side {
public:
    /// What `sort` needs is allocated here: it runs in a worker, which must not throw.
    Side(const double* points, const std::uint64_t* order, std::size_t n, MassList masses)
        : mass(std::move(masses)), place(order == nullptr ? 0 : n), points_(points), order_(order),
          sorting_(order == nullptr ? n : 0) {
        at.reserve(n + 1);  // on the circle one more is put behind
        at.resize(n);
    }

    template <class Stop>
    void sort(Stop&& stop) {
        if (order_ == nullptr) {
            sorting_.sort(points_, at.data(), stop);
            place = sorting_.take_order();
        } else {
            for (std::size_t k = 0; k < at.size(); ++k) {
                if (k % steps_between_polls == 0 && stop()) return;
                place[k] = order_[k];
                at[k] = points_[place[k]];
            }
        }
        mass.permute(place, stop);
    }

    std::size_t size() const { return place.size(); }

    /// Begins at the k-th point instead, those before it a turn later; all `turns` turns further.
    void rotate(std::size_t k, double turns, double period, Monitor& monitor) {
        for (std::size_t l = 0; l < at.size(); ++l) at[l] += (turns + (l < k ? 1.0 : 0.0)) * period;
        if (monitor.check()) return;
        std::rotate(at.begin(), at.begin() + k, at.end());
        if (monitor.check()) return;
        mass.rotate(k);
        if (monitor.check()) return;
        std::rotate(place.begin(), place.begin() + k, place.end());
        at.push_back(at.front() + period);
    }

    Unfilled<double> at;
    MassList mass;
    Unfilled<std::uint64_t> place;

private:
    const double* points_;
    const std::uint64_t* order_;
    Sorting sorting_;
};

/// Where a row and a column are used up together the staircase may go either way round: rows first or columns first.
/// Both give feasible potentials, and so does any mean of the two; `columns_first` is the weight of the second. Of a
/// Line it needs size(), at[k] and mass[k] in increasing order of points, and at.size(); a Look has check(), true if it
/// should stop.
template <class Line, class H, class Visitor, class Look>
void walk(const Line& x, const Line& y, const H& h, double columns_first, Visitor& visitor, Look& monitor) {
    const std::size_t n = x.size(), m = y.size();
    const std::size_t last_row = x.at.size() - 1, last_col = y.at.size() - 1;  // n and m on the circle: a turn later
    auto row_step = [&](std::size_t i, std::size_t j) {
        return h.rise(x.at[i] - y.at[j], x.at[i + 1] - y.at[j], x.at[i + 1] - x.at[i]);
    };
    auto col_step = [&](std::size_t i, std::size_t j) {
        return h.rise(x.at[i] - y.at[j], x.at[i] - y.at[j + 1], y.at[j] - y.at[j + 1]);
    };
    std::size_t i = 0, j = 0;
    Flow supply = x.mass[0], demand = y.mass[0], left = 0;
    for (std::size_t k = 0; k < n; ++k) left += x.mass[k];
    for (std::size_t steps = 1;; ++steps) {
        if (steps % steps_between_polls == 0 && monitor.check()) return;
        const Flow flow = std::min(supply, demand);
        if (flow > 0) visitor.cell(i, j, flow);
        supply -= flow;
        demand -= flow;
        left -= flow;
        if (supply > 0) {
            visitor.next_col(j + 1, [&] { return col_step(i, j); });
            demand = y.mass[++j];
        } else if (demand > 0) {
            visitor.next_row(i + 1, [&] { return row_step(i, j); });
            supply = x.mass[++i];
        } else {
            std::size_t to_row = std::min(i + 1, last_row), to_col = std::min(j + 1, last_col);
            while (to_row < last_row && x.mass[to_row] == 0) ++to_row;
            while (to_col < last_col && y.mass[to_col] == 0) ++to_col;
            auto mean = [&](double rows_first_rise, auto&& columns_first_rise) {
                if (columns_first == 0.0) return rows_first_rise;
                return (1.0 - columns_first) * rows_first_rise + columns_first * columns_first_rise();
            };
            for (std::size_t k = i; k < to_row && k + 1 < n; ++k) {
                if (++steps % steps_between_polls == 0 && monitor.check()) return;
                visitor.next_row(k + 1, [&] { return mean(row_step(k, j), [&] { return row_step(k, to_col); }); });
            }
            for (std::size_t k = j; k < to_col && k + 1 < m; ++k) {
                if (++steps % steps_between_polls == 0 && monitor.check()) return;
                visitor.next_col(k + 1, [&] { return mean(col_step(to_row, k), [&] { return col_step(i, k); }); });
            }
            i = to_row;
            j = to_col;
            if (left == 0) return;
            supply = x.mass[i];
            demand = y.mass[j];
        }
    }
}

/// What a walk is for, if only the cost is wanted.
template <class H>
class Price {
public:
    Price(const Side& x, const Side& y, const H& h) : x_(x), y_(y), h_(h) {}

    double cell(std::size_t i, std::size_t j, Flow flow) {
        const double d = x_.at[i] - y_.at[j], c = h_(d);
        reach = std::max(reach, std::fabs(d));
        cost.add(static_cast<double>(flow) * c);
        return c;
    }
    template <class Rise>
    void next_row(std::size_t, Rise&&) {}
    template <class Rise>
    void next_col(std::size_t, Rise&&) {}

    Sum cost;
    double reach = 0.0;

protected:
    const Side &x_, &y_;
    const H& h_;
};

/// And if the plan and the potentials are.
template <class H>
class Record : public Price<H> {
public:
    Record(const Side& x, const Side& y, const H& h, double per_mass, UnivariatePlan& plan)
        : Price<H>(x, y, h), per_mass_(per_mass), plan_(plan) {
        plan_.entries = 0;
        put_row(0, 0.0);
        put_col(0, h(x.at[0] - y.at[0]));
    }

    void cell(std::size_t i, std::size_t j, Flow flow) {
        const double c = Price<H>::cell(i, j, flow);
        plan_.rows[plan_.entries] = static_cast<std::int64_t>(this->x_.place[i]);
        plan_.cols[plan_.entries] = static_cast<std::int64_t>(this->y_.place[j]);
        plan_.mass[plan_.entries++] = static_cast<double>(flow) / per_mass_;
        // The gap is a sum of terms that are not negative: nothing cancels in it.
        gap_ += static_cast<double>(flow) * std::max(0.0, (c - g_) - f_);
    }
    template <class Rise>
    void next_row(std::size_t i, Rise&& rise) {
        put_row(i, rise());
    }
    template <class Rise>
    void next_col(std::size_t j, Rise&& rise) {
        put_col(j, rise());
    }

    double gap() const { return gap_ / per_mass_; }

private:
    void put_row(std::size_t i, double rise) {
        u_.add(rise);
        plan_.f[this->x_.place[i]] = f_ = u_.value();
    }
    void put_col(std::size_t j, double rise) {
        v_.add(rise);
        plan_.g[this->y_.place[j]] = g_ = v_.value();
    }

    const double per_mass_;
    UnivariatePlan& plan_;
    Sum u_, v_;
    double f_ = 0.0, g_ = 0.0, gap_ = 0.0;  // the potentials of the cell the walk is at
};

}  // namespace monge::univariate
