// See sliced.hpp. A block of directions at a time: all points are projected to them, each is solved on one thread, and
// what it says of the points is added up, one direction after the other, on all threads again.
#include "exact/sliced.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>
#include <numeric>
#include <utility>
#include <vector>

#include "common/aligned.hpp"
#include "common/control.hpp"
#include "common/sorting.hpp"
#include "common/unfilled.hpp"
#include "common/workers.hpp"
#include "exact/masses.hpp"
#include "exact/slice_kernels.hpp"
#include "exact/univariate_walk.hpp"

namespace monge {

using namespace univariate;

namespace {

constexpr std::size_t parallel_numbers = 1 << 13;  // projections below which a thread takes longer to start
constexpr std::size_t block_numbers = 1 << 22;     // projections that are held at a time, 32 MiB, if threads are few
constexpr std::size_t most_directions = 64;        // and for how many directions at most
constexpr std::size_t groups_per_chunk = 64;       // of points that are projected together: they stay in the cache
constexpr std::size_t terms_per_sum = 1 << 12;     // distances that are added up before the sum is told what was lost

/// One side: its coordinates in panels, its masses in units of flow, and a row of numbers for each direction of a
/// block, first the projections, then what is to be added up.
class Cloud {
public:
    Cloud(const double* points, std::size_t n, std::size_t d, std::vector<Flow> masses, std::size_t block)
        : n(n), d(d), groups((n + slice_group - 1) / slice_group), masses(std::move(masses)), points(points),
          panels_(aligned<double>(groups * slice_group * d)), rows_(aligned<double>(groups * slice_group * block)) {}

    std::size_t stride() const { return groups * slice_group; }
    double* row(std::size_t k) { return rows_.get() + k * stride(); }
    Table<const double> coordinates() const { return {panels_.get(), slice_group * d, slice_group}; }
    Table<double> projections() { return {rows_.get(), slice_group, stride()}; }
    Table<const double> numbers() const { return {rows_.get(), slice_group, stride()}; }

    /// Fills the panels of some groups; places without a point are zero.
    void pack(double factor, const double* shift, std::size_t first, std::size_t last) {
        for (std::size_t i = first * slice_group; i < last * slice_group; ++i)
            for (std::size_t c = 0; c < d; ++c)
                panels_[(i / slice_group * d + c) * slice_group + i % slice_group] =
                    i < n ? (points[i * d + c] - shift[c]) * factor : 0.0;
    }

    const std::size_t n, d, groups;
    const std::vector<Flow> masses;  // one for all if they are equal
    const double* const points;

private:
    Aligned<double> panels_, rows_;
};

struct OrderedMasses {
    const Flow* values;
    std::size_t step;  // zero if one stands for all
    Flow operator[](std::size_t k) const { return values[k * step]; }
};

/// The points of one side on the line, in increasing order: the room that one thread needs.
class Line {
public:
    explicit Line(const Cloud& cloud)
        : at(cloud.n), mass{cloud.masses.data(), 0}, sorting_(cloud.n), given_(cloud.masses.data()),
          ordered_(cloud.masses.size() == 1 ? 0 : cloud.n) {}

    template <class Stop>
    void sort(const double* projections, Stop&& stop) {
        sorting_.sort(projections, at.data(), stop);
        if (ordered_.empty() || stop()) return;
        for (std::size_t k = 0; k < at.size(); ++k) ordered_[k] = given_[place(k)];
        mass = {ordered_.data(), 1};
    }

    std::size_t size() const { return at.size(); }
    std::size_t place(std::size_t k) const { return sorting_.order()[k]; }
    bool equal() const { return ordered_.empty(); }

    Unfilled<double> at;
    OrderedMasses mass;

private:
    Sorting sorting_;
    const Flow* given_;
    Unfilled<Flow> ordered_;
};

/// What the walk along one direction is for. Of a Distance: the length of x_i - y_j over `unit`, to the power p.
template <class H, class Distance>
class Visit {
public:
    Visit(const Line& x, const Line& y, const H& h, const Distance& distance, const SlicedSums& sums, double* of_x,
          double* of_y)
        : x_(x), y_(y), h_(h), distance_(distance), slopes_(sums.points_x != nullptr || sums.turns != nullptr),
          potentials_(sums.weights_a != nullptr), lifted_(sums.lifted != nullptr), of_x_(of_x), of_y_(of_y) {
        if (potentials_) {
            of_x_[x_.place(0)] = 0.0;
            v_.add(h_(x_.at[0] - y_.at[0]));
            of_y_[y_.place(0)] = v_.value();
        }
    }

    void cell(std::size_t i, std::size_t j, Flow flow) {
        const double d = x_.at[i] - y_.at[j], mass = static_cast<double>(flow);
        reach = std::max(reach, std::fabs(d));
        cost.add(mass * h_(d));
        if (slopes_) {
            const double slope = mass * h_.slope(d);
            of_x_[x_.place(i)] += slope;
            of_y_[y_.place(j)] -= slope;
        }
        if (lifted_) lifted.add(mass * distance_(x_.place(i), y_.place(j)));
    }
    template <class Rise>
    void next_row(std::size_t i, Rise&& rise) {
        if (!potentials_) return;
        u_.add(rise());
        of_x_[x_.place(i)] = u_.value();
    }
    template <class Rise>
    void next_col(std::size_t j, Rise&& rise) {
        if (!potentials_) return;
        v_.add(rise());
        of_y_[y_.place(j)] = v_.value();
    }

    Sum cost, lifted;
    double reach = 0.0;

private:
    const Line &x_, &y_;
    const H& h_;
    const Distance& distance_;
    const bool slopes_, potentials_, lifted_;
    double *const of_x_, *const of_y_;
    Sum u_, v_;
};

/// Asks one of several threads.
struct Look {
    Batch& batch;
    bool calling;
    bool check() { return batch.stopped(calling); }
};

class Slices {
public:
    Slices(const SlicedProblem& problem, const SlicedSums& sums, const Options& options, Monitor& monitor)
        : Slices(problem, sums, options, monitor, masses_of(problem, monitor)) {}

    void run() {
        each_chunk([&](Cloud& cloud, std::size_t first, std::size_t last) {
            cloud.pack(problem_.factor, problem_.shift, first, last);
        });
        for (std::size_t begin = 0; begin < problem_.count && !batch_.check(); begin += block_) {
            const std::size_t count = std::min(block_, problem_.count - begin), d = problem_.d;
            const double* const directions = problem_.directions + begin * d;
            each_chunk([&](Cloud& cloud, std::size_t first, std::size_t last) {
                kernels_.combine(directions, count, d, cloud.coordinates(), cloud.projections(), first, last, false);
            });
            workers_.run(
                count, [&](std::size_t k, int worker) { direction(begin, k, worker); }, [&] { batch_.check(); });
            if (batch_.check()) return;
            if (sums_.points_x != nullptr || sums_.weights_a != nullptr) add(directions, count, begin > 0);
        }
        if (sums_.points_x != nullptr || sums_.weights_a != nullptr) write();
    }

private:
    Slices(const SlicedProblem& problem, const SlicedSums& sums, const Options& options, Monitor& monitor,
           std::pair<std::vector<Flow>, std::vector<Flow>> masses)
        : problem_(problem), sums_(sums), kernels_(slice_kernels()), batch_(monitor),
          workers_((problem.n + problem.m) * problem.count < parallel_numbers ? 1 : options.threads),
          block_(block(problem, workers_.count())),
          x_(problem.x, problem.n, problem.d, std::move(masses.first), block_),
          y_(problem.y, problem.m, problem.d, std::move(masses.second), block_) {
        const double each = static_cast<double>(x_.masses[0]);
        if (x_.masses.size() == 1)
            mass_ = each * static_cast<double>(x_.n);
        else
            for (const Flow flow : x_.masses) mass_ += static_cast<double>(flow);
        const std::size_t lines = std::min<std::size_t>(workers_.count(), block_);
        lines_.reserve(lines);
        for (std::size_t k = 0; k < lines; ++k) lines_.push_back({Line(x_), Line(y_)});
        const std::size_t width = sums.points_x != nullptr ? problem.d : sums.weights_a != nullptr ? 1 : 0;
        added_x_ = aligned<double>(x_.stride() * width), added_y_ = aligned<double>(y_.stride() * width);
        if (sums.turns != nullptr) scratch_ = aligned<double>(workers_.count() * (slice_group + 1) * problem.d);
    }

    /// Whole flows, one for all where they are equal.
    static std::pair<std::vector<Flow>, std::vector<Flow>> masses_of(const SlicedProblem& problem, Monitor& monitor) {
        const std::size_t n = problem.n, m = problem.m;
        if (problem.a == nullptr && problem.b == nullptr) {
            const std::size_t g = std::gcd(n, m);
            return {{static_cast<Flow>(m / g)}, {static_cast<Flow>(n / g)}};
        }
        Masses masses = integer_masses(problem.a, n, problem.b, m, [&] { return monitor.check(); });
        for (std::vector<Flow>* side : {&masses.supply, &masses.demand})
            if (std::all_of(side->begin(), side->end(), [&](Flow flow) { return flow == side->front(); }))
                side->resize(1);
        return {std::move(masses.supply), std::move(masses.demand)};
    }

    /// Directions at a time. What it is does not change the result.
    static std::size_t block(const SlicedProblem& problem, int threads) {
        const std::size_t fit = std::min(block_numbers / (problem.n + problem.m), most_directions);
        const std::size_t busy = threads == 1 ? 4 : 2 * static_cast<std::size_t>(threads);
        return std::min(problem.count, (std::max(fit, busy) + 3) / 4 * 4);
    }

    /// Some groups of points at a time, of both sides, on all threads.
    template <class Action>
    void each_chunk(Action&& action) {
        const auto chunks = [](const Cloud& cloud) { return (cloud.groups + groups_per_chunk - 1) / groups_per_chunk; };
        const std::size_t of_x = chunks(x_);
        const auto one = [&](std::size_t chunk, int worker) {
            if (batch_.stopped(worker == 0)) return;
            Cloud& cloud = chunk < of_x ? x_ : y_;
            const std::size_t first = (chunk < of_x ? chunk : chunk - of_x) * groups_per_chunk;
            action(cloud, first, std::min(first + groups_per_chunk, cloud.groups));
        };
        workers_.run(of_x + chunks(y_), one, [&] { batch_.check(); });
    }

    /// Solves the k-th of a block, and leaves in its rows what is to be added up.
    void direction(std::size_t begin, std::size_t k, int worker) {
        Look look{batch_, worker == 0};
        if (look.check()) return;
        auto& [x, y] = lines_[worker];
        x.sort(x_.row(k), [&] { return look.check(); });
        y.sort(y_.row(k), [&] { return look.check(); });
        if (look.check()) return;
        const double scale = 1.0 / problem_.unit, p = problem_.p;
        if (p == 1.0)
            along(Distance{scale}, begin, k, worker, look);
        else if (p == 2.0)
            along(Square{scale}, begin, k, worker, look);
        else
            along(Power{problem_.unit, p}, begin, k, worker, look);
    }

    template <class H>
    void along(const H& h, std::size_t begin, std::size_t k, int worker, Look& look) {
        const auto& [x, y] = lines_[worker];
        double *of_x = x_.row(k), *of_y = y_.row(k);
        const bool slopes = sums_.points_x != nullptr || sums_.turns != nullptr;
        const bool matched = x.size() == y.size() && x.equal() && y.equal() && sums_.weights_a == nullptr;
        if (slopes) {
            // Each of them is written below if points are matched; those that fill up the last group are not.
            std::fill(of_x + (matched ? x.size() : 0), of_x + x_.stride(), 0.0);
            std::fill(of_y + (matched ? y.size() : 0), of_y + y_.stride(), 0.0);
        }
        if (matched && sums_.lifted == nullptr) {
            match(h, x, y, of_x, of_y, slopes, begin + k);
        } else {
            const auto length = [&](std::size_t i, std::size_t j) {
                const double *u = x_.points + i * x_.d, *v = y_.points + j * y_.d;
                double square = 0.0;
                for (std::size_t c = 0; c < x_.d; ++c) {
                    const double apart = (u[c] - v[c]) * problem_.factor;
                    square += apart * apart;
                }
                return h(std::sqrt(square));
            };
            if (matched && slopes) std::fill(of_x, of_x + x.size(), 0.0), std::fill(of_y, of_y + y.size(), 0.0);
            Visit<H, decltype(length)> visit(x, y, h, length, sums_, of_x, of_y);
            walk(x, y, h, 0.5, visit, look);
            sums_.means[begin + k] = visit.cost.value() / mass_;
            sums_.reaches[begin + k] = visit.reach;
            if (sums_.lifted != nullptr) sums_.lifted[begin + k] = visit.lifted.value() / mass_;
        }
        if (sums_.turns != nullptr) turn(begin + k, k, worker);
    }

    /// As many points on both sides, of equal masses: the k-th goes to the k-th.
    template <class H>
    void match(const H& h, const Line& x, const Line& y, double* of_x, double* of_y, bool slopes, std::size_t to) {
        constexpr std::size_t lanes = 4;
        const std::size_t n = x.size(), whole = n / lanes * lanes;
        const double each = static_cast<double>(x.mass[0]);
        Sum cost;
        double reach[lanes] = {};
        for (std::size_t first = 0; first < n; first += terms_per_sum) {
            double sum[lanes] = {};
            const auto take = [&](std::size_t i, std::size_t l) {
                const double d = x.at[i] - y.at[i];
                sum[l] += h(d);
                reach[l] = std::max(reach[l], std::fabs(d));
            };
            std::size_t i = first;
            for (; i < std::min(whole, first + terms_per_sum); i += lanes)
                for (std::size_t l = 0; l < lanes; ++l) take(i + l, l);
            for (; i < std::min(n, first + terms_per_sum); ++i) take(i, i - whole);
            for (const double part : sum) cost.add(part);
        }
        sums_.means[to] = cost.value() / static_cast<double>(n);
        sums_.reaches[to] = *std::max_element(reach, reach + lanes);
        if (!slopes) return;
        for (std::size_t i = 0; i < n; ++i) {
            const double slope = each * h.slope(x.at[i] - y.at[i]);
            of_x[x.place(i)] = slope;
            of_y[y.place(i)] = -slope;
        }
    }

    void turn(std::size_t to, std::size_t k, int worker) {
        const std::size_t d = problem_.d;
        double* const scratch = scratch_.get() + static_cast<std::size_t>(worker) * (slice_group + 1) * d;
        double *const out = sums_.turns + to * d, *const of_y = scratch + slice_group * d;
        kernels_.products(x_.coordinates(), d, x_.row(k), x_.groups, scratch, out);
        kernels_.products(y_.coordinates(), d, y_.row(k), y_.groups, scratch, of_y);
        for (std::size_t c = 0; c < d; ++c) out[c] = (out[c] + of_y[c]) / mass_;
    }

    /// Adds what a block of directions has found.
    void add(const double* directions, std::size_t count, bool more) {
        const bool points = sums_.points_x != nullptr;
        const std::size_t rows = points ? problem_.d : 1;
        std::vector<double> weights(rows * count, 1.0);
        for (std::size_t k = 0; points && k < count; ++k)
            for (std::size_t c = 0; c < rows; ++c) weights[c * count + k] = directions[k * rows + c];
        each_chunk([&](Cloud& cloud, std::size_t first, std::size_t last) {
            double* const added = (&cloud == &x_ ? added_x_ : added_y_).get();
            kernels_.combine(weights.data(), rows, count, cloud.numbers(), {added, rows * slice_group, slice_group},
                             first, last, more);
        });
    }

    void write() {
        const bool points = sums_.points_x != nullptr;
        const std::size_t rows = points ? problem_.d : 1;
        const double over = points ? mass_ : 1.0;
        each_chunk([&](Cloud& cloud, std::size_t first, std::size_t last) {
            const bool is_x = &cloud == &x_;
            const double* const added = (is_x ? added_x_ : added_y_).get();
            double* const out =
                points ? (is_x ? sums_.points_x : sums_.points_y) : (is_x ? sums_.weights_a : sums_.weights_b);
            for (std::size_t i = first * slice_group; i < std::min(cloud.n, last * slice_group); ++i)
                for (std::size_t c = 0; c < rows; ++c)
                    out[i * rows + c] = added[(i / slice_group * rows + c) * slice_group + i % slice_group] / over;
        });
    }

    const SlicedProblem& problem_;
    const SlicedSums& sums_;
    const SliceKernels& kernels_;
    Batch batch_;
    Workers workers_;
    const std::size_t block_;
    Cloud x_, y_;
    double mass_ = 0.0;                         // of all that moves, in units of flow
    std::vector<std::pair<Line, Line>> lines_;  // of each thread
    Aligned<double> added_x_, added_y_;         // panels of d rows, or one row
    Aligned<double> scratch_;                   // of each thread
};

}  // namespace

Status solve(const SlicedProblem& problem, const Options& options, const SlicedSums& sums) {
    Monitor monitor(options);
    try {
        Slices(problem, sums, options, monitor).run();
    } catch (const std::bad_alloc&) {
        return Status::out_of_memory;
    }
    return monitor.reason();
}

}  // namespace monge
