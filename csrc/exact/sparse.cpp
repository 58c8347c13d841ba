// See sparse.hpp. Turns a problem as the caller has it into one between places with mass, and its answer back; solves
// once more without the mass that rounding leaves no way, or where rounding hides differences between costs.
#include "exact/sparse.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "common/control.hpp"
#include "exact/masses.hpp"
#include "exact/refinement.hpp"
#include "exact/sparse_arcs.hpp"
#include "exact/sparse_simplex.hpp"
#include "exact/with_mass.hpp"

namespace monge {
namespace {

constexpr double widest_estimate = 16.0;  // spread of the potentials to start from, over the largest |cost|

/// Spreads potentials of the places with mass over all places; the others take the largest that is feasible, first the
/// columns, then the rows, or zero where there is no arc.
void extend(const SparseProblem& problem, const std::vector<Node>& row_map, const std::vector<Node>& col_map,
            std::vector<double>& u, std::vector<double>& v) {
    auto scatter = [](const std::vector<Node>& map, std::vector<double>& potential, std::size_t size) {
        if (map.empty()) return;
        std::vector<double> all(size, infinity);
        for (std::size_t k = 0; k < map.size(); ++k) all[map[k]] = potential[k];
        potential = std::move(all);
    };
    scatter(row_map, u, problem.n);
    scatter(col_map, v, problem.m);
    std::vector<double> least(problem.m, infinity);
    for (std::size_t i = 0; i < problem.n; ++i)
        for (std::int64_t k = problem.begin[i]; k < problem.begin[i + 1] && u[i] < infinity; ++k)
            least[problem.col[k]] = std::min(least[problem.col[k]], problem.cost[k] - u[i]);
    for (std::size_t j = 0; j < problem.m; ++j)
        if (v[j] == infinity) v[j] = least[j] < infinity ? least[j] : 0.0;
    for (std::size_t i = 0; i < problem.n; ++i) {
        if (u[i] < infinity) continue;
        for (std::int64_t k = problem.begin[i]; k < problem.begin[i + 1]; ++k)
            u[i] = std::min(u[i], problem.cost[k] - v[problem.col[k]]);
        if (u[i] == infinity) u[i] = 0.0;
    }
}

/// Solves once more for what the potentials found leave of the costs.
Distance refine(const SparseArcs& arcs, const Masses& masses, const Distance& before, Monitor& monitor,
                Solution& solution, std::vector<BasicArc>& plan) {
    SparseArcs reduced(arcs, solution.f, solution.g);
    // The price of slack starts where the plan's costs are now, and grows.
    double magnitude = 0.0;
    for (const BasicArc& arc : plan) {
        const double left = ReducedArcs::reduced(arc.cost, solution.f[arc.row], solution.g[arc.col]);
        magnitude = std::max(magnitude, std::fabs(left));
    }
    SparseSimplex simplex(reduced, masses, magnitude, std::vector<double>(masses.demand.size(), 0.0), monitor,
                          solution.counters);
    std::vector<BasicArc> finer, stranded;
    ++solution.counters.refinements;
    const Status status = simplex.run(reduced, 0, stranded);
    if (!has_plan(status)) {  // stopped before it had a plan of its own
        solution.status = status == Status::no_plan_yet ? Status::time_limit : status;
        return before;
    }
    solution.status = status;
    std::vector<double> u, v;
    const double gap = simplex.certificate(u, v, finer);
    const Distance left = distance(finer, u, v, gap);
    for (std::size_t i = 0; i < u.size(); ++i) solution.f[i] += u[i];
    for (std::size_t j = 0; j < v.size(); ++j) solution.g[j] += v[j];
    for (std::size_t i = 0; i < u.size(); ++i)  // sums of potentials are rounded: feasible once more
        for (std::size_t k = 0; k < arcs.length(i); ++k)
            solution.f[i] = std::min(solution.f[i], arcs.costs(i)[k] - solution.g[arcs.cols(i)[k]]);
    for (BasicArc& arc : finer) arc.cost = arcs.cost(arc.row, arc.col);
    plan = std::move(finer);
    return left;
}

void solve_sparse(const SparseProblem& problem, const Options& options, Solution& solution) {
    Monitor monitor(options);
    Masses masses = integer_masses(problem.a, problem.n, problem.b, problem.m);
    double magnitude = 0.0;
    for (std::int64_t k = 0; k < problem.begin[problem.n]; ++k)
        magnitude = std::max(magnitude, std::fabs(problem.cost[k]));
    solution.counters.listed_arcs = problem.begin[problem.n];
    std::vector<Node> row_map, col_map;
    std::vector<BasicArc> plan;
    for (std::vector<BasicArc> stranded;; stranded.clear()) {
        Masses inner = masses;
        row_map = with_mass(inner.supply), col_map = with_mass(inner.demand);
        SparseArcs arcs(problem, row_map, col_map);
        std::vector<double> start;
        for (std::size_t k = 0; k < inner.demand.size() && problem.g != nullptr; ++k)
            start.push_back(problem.g[col_map.empty() ? k : col_map[k]]);
        // Estimates that spread much further than the costs would drown these.
        const double top = start.empty() ? 0.0 : *std::max_element(start.begin(), start.end());
        for (double& x : start) x = std::max(x - top, -widest_estimate * magnitude);
        SparseSimplex simplex(arcs, inner, magnitude, start, monitor, solution.counters);
        const Flow unimportant = droppable(inner, problem.relative_rounding);
        solution.status = simplex.run(arcs, unimportant, stranded);
        if (stranded.empty()) {
            if (!has_plan(solution.status)) return;
            const double gap = simplex.certificate(solution.f, solution.g, plan);
            const Distance left = refined(
                plan, distance(plan, solution.f, solution.g, gap), solution.status,
                [&](std::size_t i) { return arcs.least(i); },
                [&](const Distance& before) { return refine(arcs, inner, before, monitor, solution, plan); });
            solution.gap = left.gap;
            break;
        }
        // Once more, without the mass that rounding leaves no way.
        for (const BasicArc& arc : stranded) {
            const bool row = static_cast<std::size_t>(arc.row) < inner.supply.size();
            if (row)
                masses.supply[row_map.empty() ? arc.row : row_map[arc.row]] -= arc.flow;
            else
                masses.demand[col_map.empty() ? arc.col : col_map[arc.col]] -= arc.flow;
            if (row) solution.counters.dropped += static_cast<double>(arc.flow) / masses.per_mass;
        }
    }
    if (!has_plan(solution.status)) return;
    solution.gap /= masses.per_mass;
    write_plan(plan, row_map, col_map, false, masses.per_mass, solution);
    extend(problem, row_map, col_map, solution.f, solution.g);
    solution.counters.seconds_total = monitor.seconds();
}

}  // namespace

Solution solve(const SparseProblem& problem, const Options& options) {
    Solution solution;
    try {
        solve_sparse(problem, options, solution);
    } catch (const std::bad_alloc&) {
        solution = Solution{};
        solution.status = Status::out_of_memory;
    }
    return solution;
}

}  // namespace monge
