// See emd.hpp. Turns a problem as the caller has it into one the network simplex takes, and its answer back:
// without places of zero mass, with the longer side as rows, with masses as integers.
#include "exact/emd.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include "common/control.hpp"
#include "common/limits.hpp"
#include "common/workers.hpp"
#include "exact/arcs.hpp"
#include "exact/masses.hpp"
#include "exact/one_of_many.hpp"
#include "exact/partial.hpp"
#include "exact/row_kernels.hpp"
#include "exact/row_passes.hpp"
#include "exact/small_simplex.hpp"
#include "exact/solve_dense.hpp"
#include "exact/with_mass.hpp"

namespace monge {
namespace {

template <class T>
CostRange scan(const MatrixArcs<T>& arcs, Workers& workers, std::vector<Scratch<T>>& scratch) {
    std::vector<CostRange> ranges(workers.count(), CostRange{infinity, -infinity, false, false});
    const std::size_t block = rows_per_chunk(arcs.cols());
    workers.run((arcs.rows() + block - 1) / block, [&](std::size_t chunk, int worker) {
        const std::size_t first = chunk * block, last = std::min(arcs.rows(), first + block);
        if (const T* c = arcs.together(first)) {
            row_kernels<T>().scan(c, (last - first) * arcs.cols(), &ranges[worker]);
            return;
        }
        for (std::size_t i = first; i < last; ++i)
            row_kernels<T>().scan(arcs.row(i, scratch[worker].row.data()), arcs.cols(), &ranges[worker]);
    });
    CostRange all{infinity, -infinity, false, false};
    for (const auto& range : ranges) {
        all.lowest = std::min(all.lowest, range.lowest);
        all.highest = std::max(all.highest, range.highest);
        all.has_infinity |= range.has_infinity;
        all.has_invalid |= range.has_invalid || range.highest > largest_cost || range.lowest < -largest_cost;
    }
    return all;
}

/// Potentials of all rows and columns from those of the places with mass: places without any take the largest value
/// that is feasible, first the columns, then the rows.
template <class T>
void extend(const MatrixArcs<T>& all, const std::vector<Node>& row_map, const std::vector<Node>& col_map,
            std::vector<double>& u, std::vector<double>& v, std::vector<T>& scratch) {
    if (row_map.empty() && col_map.empty()) return;
    const std::size_t n = all.rows(), m = all.cols();
    auto scattered = [](const std::vector<Node>& map, const std::vector<double>& from, std::size_t size,
                        std::vector<char>& known) {
        if (map.empty()) return from;
        std::vector<double> to(size, 0.0);
        known.assign(size, 0);
        for (std::size_t k = 0; k < map.size(); ++k) {
            to[map[k]] = from[k];
            known[map[k]] = 1;
        }
        return to;
    };
    std::vector<char> row_known(n, 1), col_known(m, 1);
    u = scattered(row_map, u, n, row_known);
    v = scattered(col_map, v, m, col_known);
    if (!col_map.empty()) {
        std::vector<double> least(m, infinity), unused(m);
        for (std::size_t i = 0; i < n; ++i)
            if (row_known[i])
                row_kernels<T>().column_minima(all.row(i, scratch.data()), u[i], 0.0, m, least.data(), unused.data());
        for (std::size_t j = 0; j < m; ++j)
            if (!col_known[j] && least[j] < infinity) v[j] = least[j];
    }
    for (std::size_t i = 0; i < n; ++i)
        if (!row_known[i]) {
            const double least = row_kernels<T>().minimum(all.row(i, scratch.data()), v.data(), m);
            u[i] = least < infinity ? least : 0.0;
        }
}

/// The rows or the columns of the matrix as the solver reads it, which may be transposed.
struct Side {
    std::size_t size;
    std::ptrdiff_t step;         // from one to the next in memory, in elements
    const double* estimate;      // (size,), of the potentials to start from, or null
    std::vector<Node> map = {};  // those with mass, which alone the solver sees, and slack behind them; empty for all

    Node number(Node k) const { return map.empty() ? k : map[k]; }
    /// Where each stands among those that the solver sees, -1 if it has no mass; slack comes last.
    std::vector<Node> places() const {
        std::vector<Node> place(size + 1, -1);
        for (std::size_t k = 0; k < (map.empty() ? size + 1 : map.size()); ++k)
            place[number(static_cast<Node>(k))] = static_cast<Node>(k);
        return place;
    }
};

/// The caller's estimates for the rows and columns that the solver sees.
WarmStart warm_start(const Start& start, bool transposed, const CostRange& range, const Side& rows, const Side& cols) {
    WarmStart warm;
    if (rows.estimate == nullptr || cols.estimate == nullptr) return warm;
    auto select = [](const Side& side, std::vector<double>& out) {
        const std::size_t seen = side.map.empty() ? side.size : side.map.size();
        for (std::size_t k = 0; k < seen; ++k) out.push_back(side.estimate[side.number(static_cast<Node>(k))]);
    };
    select(rows, warm.u);
    select(cols, warm.v);
    // Optimal potentials need not spread further than the costs do. Estimates that do would drown these.
    const double top = *std::max_element(warm.v.begin(), warm.v.end()), spread = range.highest - range.lowest;
    for (double& x : warm.v) x = std::max(x - top, -spread);
    const std::vector<Node> row_place = rows.places(), col_place = cols.places();
    auto read = [&](const auto* i, const auto* j, std::size_t count, std::vector<std::pair<Node, Node>>& arcs) {
        if (transposed) std::swap(i, j);
        arcs.reserve(count);
        for (std::size_t k = 0; k < count; ++k)
            if (row_place[i[k]] >= 0 && col_place[j[k]] >= 0) arcs.emplace_back(row_place[i[k]], col_place[j[k]]);
    };
    read(start.plan_rows, start.plan_cols, start.entries, warm.arcs);
    read(start.list_rows, start.list_cols, start.listed, warm.listed);
    return warm;
}

/// Gives a partial problem its row and column of slack, with the mass that stays.
template <class T>
void add_slack(MatrixArcs<T>& arcs, double magnitude, Masses& masses, Side& rows, Side& cols) {
    auto add = [](Flow stays, std::vector<Flow>& masses_of_side, Side& side) {
        if (stays == 0) return;
        masses_of_side.push_back(stays);
        if (!side.map.empty()) side.map.push_back(static_cast<Node>(side.size));
    };
    add(masses.lacking, masses.supply, rows);
    add(masses.kept, masses.demand, cols);
    arcs.add_slack(masses.lacking > 0, masses.kept > 0, slack_corner(magnitude));
}

/// To go on from the arcs of a feasible plan, in the numbering of all places and slack.
template <class T>
WarmStart resume(const std::vector<std::pair<Node, Node>>& plan, const Side& rows, const Side& cols,
                 const MatrixArcs<T>& arcs) {
    const std::vector<Node> row_place = rows.places(), col_place = cols.places();
    WarmStart warm;
    warm.u.assign(arcs.rows(), 0.0);
    warm.v.assign(arcs.cols(), 0.0);
    warm.keep_arcs = true;
    for (const auto& [i, j] : plan) warm.arcs.emplace_back(row_place[i], col_place[j]);
    return warm;
}

/// Whether to let the columns of the caller's matrix be the solver's rows. Lists and sweeps belong to rows, so the
/// longer side should be rows; between sides of like length the order in memory decides.
bool transpose(const Problem& problem) {
    if (problem.m > 2 * problem.n) return true;
    return problem.row_step == 1 && problem.col_step != 1 && problem.n <= 2 * problem.m;
}

template <class T>
void solve_typed(const Problem& problem, const Options& options, SmallSimplex& small, Solution& solution) {
    Monitor monitor(options);
    const T* base = static_cast<const T*>(problem.cost);
    const std::size_t n = problem.n, m = problem.m;
    const bool partial = !(problem.sends_all && problem.fills_all);
    if (!partial && !valid_weights(problem.a, n, problem.b, m, problem.relative_rounding, problem.check_totals)) {
        solution.status = Status::invalid_weights;
        return;
    }
    Masses masses = partial
                        ? partial_masses(problem.a, n, problem.b, m, problem.mass, problem.sends_all, problem.fills_all)
                        : integer_masses(problem.a, n, problem.b, m);
    Side rows{n, problem.row_step, problem.start.f}, cols{m, problem.col_step, problem.start.g};
    const bool transposed = transpose(problem);
    if (transposed) {
        std::swap(rows, cols);
        masses.transpose();
    }
    MatrixArcs<T> all(base, rows.step, cols.step, rows.size, cols.size);
    // Threads cost more than they bring on small problems.
    Workers workers(n * m < (std::size_t(1) << 20) ? 1 : options.threads);
    std::vector<Scratch<T>> scratch(workers.count(), Scratch<T>(cols.size + partial));
    const CostRange range = scan(all, workers, scratch);
    if (range.has_invalid) {
        solution.status = Status::invalid_cost;
        return;
    }
    const double magnitude = std::max(std::fabs(range.lowest), std::fabs(range.highest));
    Means means{range.has_infinity, magnitude, problem.relative_rounding, small, workers, monitor};
    if (partial) all.add_slack(masses.lacking > 0, masses.kept > 0, slack_corner(magnitude));
    Found found;
    for (std::vector<std::pair<Node, Node>> feasible;;) {
        Masses inner = means.forbidden ? masses : std::move(masses);  // others are solved but once
        rows.map = with_mass(inner.supply), cols.map = with_mass(inner.demand);
        MatrixArcs<T> arcs(base, rows.step, cols.step, rows.size, cols.size, rows.map, cols.map);
        WarmStart warm;
        if (feasible.empty()) warm = warm_start(problem.start, transposed, range, rows, cols);
        if (partial) add_slack(arcs, magnitude, inner, rows, cols);
        if (!feasible.empty()) warm = resume(feasible, rows, cols, arcs);
        found = Found{};
        solution.status = solve_exactly(arcs, inner, warm, means, solution, found);
        if (solution.status == Status::infeasible || found.stranded.empty()) break;
        // Without the mass that rounding leaves no way, the plan of the rest is a start.
        for (const BasicArc& arc : found.stranded) {
            masses.supply[rows.number(arc.row)] -= arc.flow;
            masses.demand[cols.number(arc.col)] -= arc.flow;
            solution.counters.dropped += static_cast<double>(arc.flow) / masses.per_mass;
        }
        feasible.clear();
        for (const BasicArc& arc : found.plan) feasible.emplace_back(rows.number(arc.row), cols.number(arc.col));
    }
    if (!has_plan(solution.status)) return;
    solution.gap /= masses.per_mass;
    extend(all, rows.map, cols.map, found.u, found.v, scratch[0].row);
    found.u.resize(rows.size), found.v.resize(cols.size);  // without slack
    write_plan(found.plan, rows.map, cols.map, transposed, masses.per_mass, solution);
    write_listed(found.promising, rows.map, cols.map, transposed, solution);
    solution.f = std::move(transposed ? found.v : found.u);
    solution.g = std::move(transposed ? found.u : found.v);
    solution.counters.seconds_total = monitor.seconds();
}

template <class T>
bool has_invalid_cost(const Problem& problem) {
    const MatrixArcs<T> arcs(static_cast<const T*>(problem.cost), problem.row_step, problem.col_step, problem.n,
                             problem.m);
    Workers alone(1);
    std::vector<Scratch<T>> scratch(1, Scratch<T>(problem.m));
    return scan(arcs, alone, scratch).has_invalid;
}

}  // namespace

Status checked(const Problem& problem) {
    if (!valid_weights(problem.a, problem.n, problem.b, problem.m, problem.relative_rounding, problem.check_totals))
        return Status::invalid_weights;
    const bool invalid = problem.single ? has_invalid_cost<float>(problem) : has_invalid_cost<double>(problem);
    return invalid ? Status::invalid_cost : Status::optimal;
}

Solution solve(const Problem& problem, const Options& options, SmallSimplex& small) {
    Solution solution;
    try {
        if (problem.single)
            solve_typed<float>(problem, options, small, solution);
        else
            solve_typed<double>(problem, options, small, solution);
    } catch (const std::bad_alloc&) {
        solution = Solution{};
        solution.status = Status::out_of_memory;
    }
    return solution;
}

Solution solve(const Problem& problem, const Options& options) {
    SmallSimplex small;
    return solve(problem, options, small);
}

}  // namespace monge
