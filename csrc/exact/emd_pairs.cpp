// See emd_pairs.hpp.
#include "exact/emd_pairs.hpp"

#include <new>

#include "common/ground_costs.hpp"
#include "exact/one_of_many.hpp"

namespace monge {

namespace {

template <class T>
void solve_each(const CloudPairs<T>& pairs, const Options& options, PairPlans& plans) {
    const std::size_t n = pairs.n, m = pairs.m, d = pairs.d;
    std::vector<T> costs(n * m);
    Problem problem;
    problem.cost = costs.data();
    problem.single = sizeof(T) == sizeof(float);
    problem.n = n, problem.m = m;
    problem.row_step = static_cast<std::ptrdiff_t>(m), problem.col_step = 1;
    Options own = options;
    own.threads = 1;
    Monitor monitor(own);
    SmallSimplex small;
    plans.cost.reserve(pairs.count);
    plans.begin.reserve(pairs.count + 1);
    plans.begin.push_back(0);
    for (auto* places : {&plans.rows, &plans.cols}) places->reserve(pairs.count * (n > m ? n : m));
    plans.mass.reserve(pairs.count * (n > m ? n : m));
    for (std::size_t q = 0; q < pairs.count; ++q) {
        ground_costs(pairs.cost, pairs.x + q * n * d, pairs.y + q * m * d, n, m, d, 1, costs.data());
        const Solution solution = solve(problem, own, small);
        if (!has_plan(solution.status)) {
            plans.status = solution.status;
            return;
        }
        if (solution.status == Status::inexact) ++plans.inexact;
        plans.cost.push_back(solution.cost);
        plans.rows.insert(plans.rows.end(), solution.rows.begin(), solution.rows.end());
        plans.cols.insert(plans.cols.end(), solution.cols.begin(), solution.cols.end());
        plans.mass.insert(plans.mass.end(), solution.mass.begin(), solution.mass.end());
        plans.begin.push_back(static_cast<std::int64_t>(plans.rows.size()));
        ++monitor.progress.pivots;
        if (monitor.check()) {
            plans.status = monitor.reason();
            return;
        }
    }
}

}  // namespace

template <class T>
PairPlans solve(const CloudPairs<T>& pairs, const Options& options) {
    PairPlans plans;
    try {
        solve_each(pairs, options, plans);
    } catch (const std::bad_alloc&) {
        plans = PairPlans{};
        plans.status = Status::out_of_memory;
    }
    return plans;
}

template PairPlans solve(const CloudPairs<float>& pairs, const Options& options);
template PairPlans solve(const CloudPairs<double>& pairs, const Options& options);

}  // namespace monge
