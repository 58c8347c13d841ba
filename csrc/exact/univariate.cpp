// See univariate.hpp. Sorts both sides, cuts the circle if there is one, and walks the staircase.
#include "exact/univariate.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <numeric>
#include <utility>
#include <vector>

#include "common/control.hpp"
#include "common/sorting.hpp"
#include "common/unfilled.hpp"
#include "common/workers.hpp"
#include "exact/masses.hpp"
#include "exact/univariate_circle.hpp"
#include "exact/univariate_walk.hpp"

namespace monge {

using namespace univariate;

namespace {

constexpr std::size_t parallel_points = 1 << 14;  // below, a thread takes longer to start than a side to sort

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

template <class H>
void transport(Side& x, Side& y, const H& h, double period, double per_mass, Monitor& monitor,
               UnivariateSolution& solution, UnivariatePlan* plan) {
    double columns_first = 0.0;
    if (period > 0.0) {
        const Circle<H> circle(x, y, h, period, monitor);
        if (monitor.stopped()) return;
        const auto cut = circle.minimise(monitor, solution.cuts);
        if (monitor.stopped()) return;
        // The mean of the two ways round whose potentials come back to themselves after a turn: slope zero.
        if (cut.before < 0.0 && cut.after > cut.before)
            columns_first = std::min(1.0, cut.before / (cut.before - cut.after));
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

void solve(const UnivariateProblem& problem, const Options& options, UnivariatePlan* plan,
           UnivariateSolution& solution) {
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
        else if (problem.p == 2.0 &&
                 3.0 * problem.period * scale < 1e120)  // no pair that a shift makes is further apart
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

Status solve_all(const UnivariateProblem* problems, std::size_t count, const Options& options,
                 UnivariateSolution* solutions) {
    constexpr std::size_t points_per_run = 1 << 13;  // of problems that are handed out together: some 50 microseconds
    Monitor monitor(options);
    Batch batch(monitor);
    std::size_t points = 0;
    for (std::size_t k = 0; k < count; ++k) points += problems[k].n + problems[k].m;
    const std::size_t run = std::max<std::size_t>(1, points_per_run / (1 + points / std::max<std::size_t>(1, count)));
    Workers workers(options.threads);
    workers.run((count + run - 1) / run,
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
