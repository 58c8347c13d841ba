// See emd.hpp: many problems, spread over the threads.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <vector>

#include "common/control.hpp"
#include "common/workers.hpp"
#include "exact/arcs.hpp"
#include "exact/emd.hpp"
#include "exact/one_of_many.hpp"
#include "exact/row_passes.hpp"
#include "exact/small_simplex.hpp"

namespace monge {

std::vector<Solution> solve_all(const std::vector<Problem>& problems, const Options& options) {
    std::vector<Solution> solutions(problems.size());
    if (problems.empty()) return solutions;
    Options watching = options;  // the limit is for the problems to keep, each with what is left of it
    watching.time_limit = infinity;
    Monitor monitor(watching);
    Batch batch(monitor);
    // Problems are handed out in runs long enough to hide the hand-out, short enough to look in between.
    std::size_t entries = 0;
    for (const Problem& problem : problems) entries += problem.n * problem.m;
    const std::size_t mean = std::max<std::size_t>(1, entries / problems.size());
    const std::size_t run = std::max<std::size_t>(1, chunk_entries / 16 / mean);
    Workers workers(options.threads);
    const std::size_t runs = (problems.size() + run - 1) / run;
    auto each = [&](std::size_t chunk, auto&& visit) {
        for (std::size_t k = chunk * run; k < std::min(problems.size(), (chunk + 1) * run); ++k) visit(k);
    };
    // Bad input of the last problem should not wait for the others.
    std::atomic<bool> bad{false};
    auto check_run = [&](std::size_t chunk, int worker) {
        each(chunk, [&](std::size_t k) {
            if (batch.stopped(worker == 0)) return;
            solutions[k].status = checked(problems[k]);
            if (solutions[k].status != Status::optimal) bad = true;
        });
    };
    workers.run(runs, check_run, [&] { batch.check(); });
    if (bad || batch.stopped(true)) return solutions;
    std::vector<SmallSimplex> small(workers.count());
    auto solve_run = [&](std::size_t chunk, int worker) {
        const bool calling = worker == 0;
        Options own = batch.options(calling);
        // Of few problems, the large ones get the threads that would be left without any.
        own.threads =
            std::max(1, options.threads / static_cast<int>(std::min<std::size_t>(problems.size(), options.threads)));
        each(chunk, [&](std::size_t k) {
            if (batch.stopped(calling)) return;
            own.time_limit = std::max(0.0, options.time_limit - monitor.seconds());
            solutions[k] = solve(problems[k], own, small[worker]);
            batch.count();
        });
    };
    workers.run(runs, solve_run, [&] { batch.check(); });
    return solutions;
}

}  // namespace monge
