// See univariate.hpp. Sorts both sides, cuts the circle if there is one, and walks the staircase.
//
// The cells (i, j) of the plan that keeps the order form a staircase from (0, 0) to (n - 1, m - 1). Where a row and a
// column are used up together it breaks off; a cell of mass zero joins it, and f_i + g_j = h(x_i - y_j) along the whole of it
// determines the potentials. They are feasible everywhere, because h(x_i - y_j) has the Monge property on sorted points
// (Hoffman 1963, "On simple linear programming problems"). Points of mass zero are steps like any other.
#include "exact/univariate.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <numeric>
#include <utility>
#include <vector>

#include "exact/masses.hpp"
#include "common/control.hpp"
#include "common/sorting.hpp"
#include "common/unfilled.hpp"
#include "common/workers.hpp"

namespace monge {
namespace {

constexpr std::size_t parallel_points = 1 << 14;  // below, a thread takes longer to start than a side to sort
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

// The powers h: h(d), and rise(d, e, step) = h(e) - h(d) for e = d + step. The step is known better than e - d, and the potentials
// are sums of many rises.

struct Distance {
    double scale;
    double operator()(double d) const { return std::fabs(d) * scale; }
    double rise(double d, double e, double step) const {
        if (d >= 0.0 && e >= 0.0) return step * scale;
        if (d <= 0.0 && e <= 0.0) return -step * scale;
        return (*this)(e) - (*this)(d);
    }
};

struct Square {
    double scale;
    double operator()(double d) const { return (d * scale) * (d * scale); }
    double rise(double d, double e, double step) const { return (step * scale) * ((d + e) * scale); }
};

/// Beyond the knee, where it would overflow, h goes on as its tangent. It stays convex, and mass that matters does not go
/// there: the smallest mass, 10^-18 of all, would cost more than all that moves by the unit.
struct Power {
    static constexpr double largest = 1e250;
    double unit, p, knee = std::pow(largest, 1.0 / p);
    double operator()(double d) const {
        const double t = std::fabs(d) / unit;  // one for the unit itself, which a high power of a rounded product is not
        return t <= knee ? std::pow(t, p) : largest * (1.0 + p * (t / knee - 1.0));
    }
    double rise(double d, double e, double) const { return (*this)(e) - (*this)(d); }
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

/// One side: its points in increasing order, their masses, and their places in the caller's arrays. On the circle, once it is
/// cut, `at` has one more entry: the first point, a turn later.
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

struct Sides {
    MassList supply, demand;
    double per_mass;
};

/// As `integer_masses`, without a vector where all weights are equal by name.
Sides masses_of(const UnivariateProblem& problem, Monitor& monitor) {
    const std::size_t n = problem.n, m = problem.m;
    if (problem.a == nullptr && problem.b == nullptr) {
        const std::size_t g = std::gcd(n, m);
        return {MassList({static_cast<Flow>(m / g)}, 0), MassList({static_cast<Flow>(n / g)}, 0),
                static_cast<double>(n) * static_cast<double>(m / g)};
    }
    Masses masses = integer_masses(problem.a, n, problem.b, m, [&] { return monitor.check(); });
    return {MassList(std::move(masses.supply)), MassList(std::move(masses.demand)), masses.per_mass};
}

/// Where a row and a column are used up together the staircase may go either way round: rows first or columns first.
/// Both give feasible potentials, and so does any mean of the two; `columns_first` is the weight of the second.
template <class H, class Visitor>
void walk(const Side& x, const Side& y, const H& h, double columns_first, Visitor& visitor, Monitor& monitor) {
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
    template <class Rise> void next_row(std::size_t, Rise&&) {}
    template <class Rise> void next_col(std::size_t, Rise&&) {}

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
    template <class Rise> void next_row(std::size_t i, Rise&& rise) { put_row(i, rise()); }
    template <class Rise> void next_col(std::size_t j, Rise&& rise) { put_col(j, rise()); }

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

/// The best place to cut the circle.
///
/// Let X(s) and Y(s) be where the s-th unit of mass stands, continued over all turns: X(s + M) = X(s) + period. A shift t pairs
/// X(s) with Y(s + t), at the cost C(t) = sum_s h(X(s) - Y(s + t)), which is convex. Only the steps of Y tell
/// C(t + 1) from C(t), so a slope takes one pass over the points (Delon, Salomon, Sobolevski, section 4).
template <class H>
class Circle {
public:
    Circle(const Side& x, const Side& y, const H& h, double period, Monitor& monitor)
        : x_(x), y_(y), h_(h), period_(period), used_(x.size()) {
        for (std::size_t k = 0; k < x.size(); ++k) {
            if (k % steps_between_polls == 0 && monitor.check()) return;
            used_[k] = total_ += x.mass[k];
        }
    }

    /// The slopes of C on both sides of a shift, the shifts next to it where slopes change, and, where the shift
    /// itself is such a one, a place at which a row and a column end together.
    struct Slopes {
        double before, after;
        Flow previous, next;
        bool ends_meet = false;
        std::size_t row = 0, col = 0;  // the first with mass behind that place
        std::int64_t row_turn = 0, col_turn = 0;
    };

    /// The slopes at a shift that minimises C and at which ends meet.
    Slopes minimise(Monitor& monitor, std::int64_t& cuts) const {
        // No mass goes further than half a turn, so no more than all mass is shifted, either way.
        Flow low = -total_, high = total_, shift = 0;
        double slope_low = 0.0, slope_high = 0.0;
        bool interpolate = false;
        for (;;) {
            Slopes s = slopes(shift, monitor);
            ++cuts;
            if (monitor.check() || low >= high) return s;
            const Flow width = high - low;
            if (s.after < 0.0) {
                low = s.next, slope_low = s.after;
            } else if (s.before > 0.0) {
                high = s.previous, slope_high = s.before;
            } else if (s.ends_meet) {
                return s;
            } else {
                low = high = s.next;  // C is flat up to there
            }
            // Where the secant of the slopes vanishes, or the middle if the last step did not halve the bracket.
            interpolate = slope_low < 0.0 && slope_high > 0.0 && (!interpolate || high - low <= width / 2);
            const double share = interpolate ? slope_low / (slope_low - slope_high) : 0.5;
            shift = low >= high ? low : low + std::clamp<Flow>(static_cast<Flow>(static_cast<double>(high - low) * share), 0, high - low);
        }
    }

private:
    Slopes slopes(Flow shift, Monitor& monitor) const {
        const std::size_t n = x_.size(), m = y_.size();
        Sum before, after;
        Slopes s{0.0, 0.0, shift - 2 * total_, shift + 2 * total_};
        Flow unit = y_.mass[0] - shift;  // the last unit of X that is paired with y_j
        std::int64_t turn = (unit - 1) / total_ - ((unit - 1) % total_ < 0);
        std::size_t i = std::lower_bound(used_.begin(), used_.end(), unit - turn * total_) - used_.begin();
        Flow base = turn * total_;
        for (std::size_t j = 0; j < m; unit += y_.mass[++j == m ? 0 : j]) {
            if (j % steps_between_polls == 0 && monitor.check()) break;
            while (used_[i] + base < unit)
                if (++i == n) i = 0, base += total_, ++turn;
            std::size_t behind = i;
            std::int64_t behind_turn = turn;
            Flow behind_base = base;
            while (used_[behind] + behind_base <= unit)
                if (++behind == n) behind = 0, behind_base += total_, ++behind_turn;
            const bool ends = behind != i || behind_turn != turn;  // x_i is used up at this unit
            const bool wraps = j + 1 == m;
            const double from = y_.at[j], to = wraps ? y_.at[0] + period_ : y_.at[j + 1];
            auto rise = [&](double at) { return h_.rise(at - from, at - to, from - to); };
            const double rise_after = rise(x_.at[i] + static_cast<double>(turn) * period_);
            after.add(rise_after);
            before.add(ends ? rise(x_.at[behind] + static_cast<double>(behind_turn) * period_) : rise_after);
            s.next = std::min(s.next, shift + (unit - (used_[i] + base - x_.mass[i])));
            s.previous = std::max(s.previous, shift - (used_[behind] + behind_base - unit));
            if (ends && y_.mass[wraps ? 0 : j + 1] > 0) {
                s.ends_meet = true;
                s.row = behind, s.row_turn = behind_turn;
                s.col = wraps ? 0 : j + 1, s.col_turn = wraps ? 1 : 0;
            }
        }
        s.before = before.value();
        s.after = after.value();
        return s;
    }

    const Side &x_, &y_;
    const H& h_;
    const double period_;
    Unfilled<Flow> used_;  // mass up to and with the i-th point
    Flow total_ = 0;
};

template <class H>
void transport(Side& x, Side& y, const H& h, double period, double per_mass, Monitor& monitor, UnivariateSolution& solution,
               UnivariatePlan* plan) {
    double columns_first = 0.0;
    if (period > 0.0) {
        const Circle<H> circle(x, y, h, period, monitor);
        if (monitor.stopped()) return;
        const auto cut = circle.minimise(monitor, solution.cuts);
        if (monitor.stopped()) return;
        // The mean of the two ways round whose potentials come back to themselves after a turn: slope zero.
        if (cut.before < 0.0 && cut.after > cut.before) columns_first = std::min(1.0, cut.before / (cut.before - cut.after));
        x.rotate(cut.row, static_cast<double>(cut.row_turn), period, monitor);
        y.rotate(cut.col, static_cast<double>(cut.col_turn), period, monitor);
        if (monitor.stopped()) return;
    }
    auto read = [&](const Price<H>& price) {
        solution.cost = price.cost.value() / per_mass;
        solution.reach = price.reach;
    };
    if (plan == nullptr) {
        Price<H> price(x, y, h);
        walk(x, y, h, columns_first, price, monitor);
        read(price);
    } else {
        Record<H> record(x, y, h, per_mass, *plan);
        walk(x, y, h, columns_first, record, monitor);
        read(record);
        solution.gap = record.gap();
    }
}

void solve(const UnivariateProblem& problem, const Options& options, UnivariatePlan* plan, UnivariateSolution& solution) {
    Monitor monitor(options);
    Sides masses = masses_of(problem, monitor);
    double total = 0.0;
    for (std::size_t k = 0; k < problem.n && !monitor.stopped(); ++k) total += static_cast<double>(masses.supply[k]);
    solution.mass = total / masses.per_mass;
    Side x(problem.x, problem.x_order, problem.n, std::move(masses.supply));
    Side y(problem.y, problem.y_order, problem.m, std::move(masses.demand));
    {
        // The longer side first: the calling thread, the only one that polls, then works to the end.
        const bool x_first = problem.n >= problem.m;
        Workers workers(problem.n + problem.m < parallel_points ? 1 : std::min(options.threads, 2));
        workers.run(2, [&](std::size_t chunk, int worker) {
            auto stop = [&] { return worker == 0 ? monitor.check() : monitor.stopped(); };
            ((chunk == 0) == x_first ? x : y).sort(stop);
        });
    }
    solution.seconds_sort = monitor.seconds();
    if (!monitor.stopped()) {
        auto with = [&](auto h) { transport(x, y, h, problem.period, masses.per_mass, monitor, solution, plan); };
        const double scale = 1.0 / problem.unit;
        if (problem.p == 1.0)
            with(Distance{scale});
        else if (problem.p == 2.0 && 3.0 * problem.period * scale < 1e120)  // no pair that a shift makes is further apart
            with(Square{scale});
        else
            with(Power{problem.unit, problem.p});
    }
    solution.status = monitor.reason();
    solution.checks = monitor.checks();
    solution.seconds_total = monitor.seconds();
}

}  // namespace

UnivariateSolution solve(const UnivariateProblem& problem, const Options& options, UnivariatePlan* plan) {
    UnivariateSolution solution;
    try {
        solve(problem, options, plan, solution);
    } catch (const std::bad_alloc&) {
        solution = UnivariateSolution{};
        solution.status = Status::out_of_memory;
    }
    return solution;
}

Status sort(const double* values, std::size_t n, const Options& options, std::uint64_t* order) {
    Monitor monitor(options);
    try {
        Unfilled<double> sorted(n);
        Sorting sorting(n);
        sorting.sort(values, sorted.data(), [&] { return monitor.check(); });
        const Unfilled<std::uint64_t> places = sorting.take_order();
        std::copy(places.begin(), places.end(), order);
    } catch (const std::bad_alloc&) {
        return Status::out_of_memory;
    }
    return monitor.reason();
}

Status solve_all(const UnivariateProblem* problems, std::size_t count, const Options& options, UnivariateSolution* solutions) {
    constexpr std::size_t points_per_run = 1 << 13;  // of problems that are handed out together: some 50 microseconds
    Monitor monitor(options);
    Batch batch(monitor);
    std::size_t points = 0;
    for (std::size_t k = 0; k < count; ++k) points += problems[k].n + problems[k].m;
    const std::size_t run = std::max<std::size_t>(1, points_per_run / (1 + points / std::max<std::size_t>(1, count)));
    Workers workers(options.threads);
    workers.run(
        (count + run - 1) / run,
        [&](std::size_t chunk, int worker) {
            const bool calling = worker == 0;
            const Options own = batch.options(calling);
            for (std::size_t k = chunk * run; k < std::min(count, (chunk + 1) * run); ++k) {
                if (batch.stopped(calling)) return;
                solutions[k] = solve(problems[k], own, nullptr);
                batch.count();
            }
        },
        [&] { batch.check(); });
    for (std::size_t k = 0; k < count && !batch.stopped(true); ++k)
        if (solutions[k].status != Status::optimal) return solutions[k].status;
    return monitor.reason();
}

}  // namespace monge
