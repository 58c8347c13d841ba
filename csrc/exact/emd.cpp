// See emd.hpp. Turns a problem as the caller has it into one the network simplex takes, and its answer back:
// without places of zero mass, with the longer side as rows, with masses as integers, forbidden arcs in two phases.
#include "exact/emd.hpp"

#include <algorithm>
#include <new>
#include <tuple>

#include "exact/masses.hpp"
#include "exact/network_simplex.hpp"
#include "exact/partial.hpp"
#include "exact/with_mass.hpp"
#include "exact/refinement.hpp"
#include "exact/small_simplex.hpp"
#include "common/limits.hpp"
#include "common/sorting.hpp"

namespace monge {
namespace {

// Rows or columns, whichever are more: below it, making candidate lists anew takes less than keeping them.
constexpr std::size_t smallest_kept = 128;

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

/// Potentials of all rows and columns from those of the places with mass: places without any take the largest value that
/// is feasible, first the columns, then the rows.
template <class T>
void extend(const MatrixArcs<T>& all, const std::vector<Node>& row_map, const std::vector<Node>& col_map,
            std::vector<double>& u, std::vector<double>& v, std::vector<T>& scratch) {
    if (row_map.empty() && col_map.empty()) return;
    const std::size_t n = all.rows(), m = all.cols();
    auto spread = [](const std::vector<Node>& map, const std::vector<double>& from, std::size_t size, std::vector<char>& known) {
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
    u = spread(row_map, u, n, row_known);
    v = spread(col_map, v, m, col_known);
    if (!col_map.empty()) {
        std::vector<double> least(m, infinity), unused(m);
        for (std::size_t i = 0; i < n; ++i)
            if (row_known[i]) row_kernels<T>().column_minima(all.row(i, scratch.data()), u[i], 0.0, m, least.data(), unused.data());
        for (std::size_t j = 0; j < m; ++j)
            if (!col_known[j] && least[j] < infinity) v[j] = least[j];
    }
    for (std::size_t i = 0; i < n; ++i)
        if (!row_known[i]) {
            const double least = row_kernels<T>().minimum(all.row(i, scratch.data()), v.data(), m);
            u[i] = least < infinity ? least : 0.0;
        }
}

/// What a solve for rows and columns that all have mass finds.
struct Found {
    std::vector<double> u, v;
    std::vector<BasicArc> plan;
    std::vector<std::pair<Node, Node>> promising;
    std::vector<BasicArc> slack;     // what `settle` takes out of the plan
    std::vector<BasicArc> stranded;  // flow that rounding leaves on forbidden arcs: without it, `plan` is feasible, and no more
};

template <class Arcs>
void read_off(NetworkSimplex<Arcs>& simplex, Status status, Solution& solution, Found& out) {
    std::tie(out.u, out.v) = simplex.certificate();
    simplex.tree().for_each_arc([&](Node i, Node j, Flow flow, double cost) {
        if (flow > 0) out.plan.push_back({i, j, flow, cost});
    });
    if (status == Status::optimal && out.u.size() >= smallest_kept) out.promising = simplex.promising();
    solution.counters.listed_arcs = simplex.listed();
}

/// The mass of rows and columns that have no allowed arc at all, each with the largest place of the other side. Their
/// potentials would be infinite.
template <class Arcs>
std::vector<BasicArc> cut_off(const Arcs& arcs, const Masses& masses) {
    const auto& kernels = row_kernels<typename Arcs::Scalar>();
    const std::vector<double> zeros(arcs.cols(), 0.0);
    std::vector<double> least(arcs.cols(), infinity), unused(arcs.cols());
    std::vector<typename Arcs::Scalar> scratch(arcs.cols());
    auto largest = [](const std::vector<Flow>& side, bool slack) {
        return static_cast<Node>(std::max_element(side.begin(), side.end() - slack) - side.begin());
    };
    const Node row = largest(masses.supply, arcs.slack_row()), col = largest(masses.demand, arcs.slack_col());
    std::vector<BasicArc> cut;
    for (std::size_t i = 0; i < arcs.rows(); ++i) {
        const auto* c = arcs.row(i, scratch.data());
        if (kernels.minimum(c, zeros.data(), arcs.cols()) == infinity) cut.push_back({static_cast<Node>(i), col, masses.supply[i], infinity});
        kernels.column_minima(c, 0.0, 0.0, arcs.cols(), least.data(), unused.data());
    }
    for (std::size_t j = 0; j < arcs.cols(); ++j)
        if (least[j] == infinity) cut.push_back({row, static_cast<Node>(j), masses.demand[j], infinity});
    return cut;
}

template <class Arcs>
Status solve_plain(const Arcs& arcs, double magnitude, const Masses& masses, const WarmStart& warm, Workers& workers,
                   Monitor& monitor, Solution& solution, Found& out) {
    NetworkSimplex<Arcs> simplex(arcs, masses.supply, masses.demand, workers, monitor, solution.counters);
    if (!warm.v.empty()) simplex.warm_start(warm);
    simplex.start(magnitude, true);
    simplex.optimise();
    const Status status = monitor.reason();
    if (status == Status::interrupted) return status;
    read_off(simplex, status, solution, out);
    return status;
}

template <class Base>
Status solve_forbidden(const Base& base, double magnitude, const Masses& masses, double rounding, const WarmStart& warm,
                       Workers& workers, Monitor& monitor, Solution& solution, Found& out) {
    using Arcs = ForbiddenArcs<Base>;
    const Flow unimportant = droppable(masses, rounding);
    out.stranded = cut_off(base, masses);
    if (!out.stranded.empty()) {
        Flow left = 0;
        for (const BasicArc& arc : out.stranded)
            if ((left += arc.flow) > unimportant) return Status::infeasible;
        return Status::optimal;
    }
    Arcs arcs(base);
    NetworkSimplex<Arcs> simplex(arcs, masses.supply, masses.demand, workers, monitor, solution.counters);
    if (!warm.v.empty()) simplex.warm_start(warm);
    simplex.start(magnitude, false);
    auto forbidden_flow = [&](double forbidden_cost) {
        Flow found = 0;
        simplex.tree().for_each_arc([&](Node, Node, Flow flow, double cost) { found += cost == forbidden_cost ? flow : 0; });
        return found;
    };
    if (forbidden_flow(infinity) > 0) {
        arcs.phase_one();
        simplex.reprice();
        simplex.optimise();
        if (const Flow left = forbidden_flow(1.0)) {
            if (monitor.stopped()) return monitor.reason() == Status::interrupted ? Status::interrupted : Status::no_plan_yet;
            if (left > unimportant) return Status::infeasible;
            simplex.tree().for_each_arc([&](Node i, Node j, Flow flow, double cost) {
                if (flow > 0) (cost == 1.0 ? out.stranded : out.plan).push_back({i, j, flow, cost});
            });
            return Status::optimal;
        }
        // Stopped in phase one, (p, q) are not optimal and say nothing; the plan is feasible all the same.
        std::vector<double> p, q;
        if (!monitor.stopped()) {
            p.resize(arcs.rows());
            q.resize(arcs.cols());
            simplex.tree().read_potentials(p, q);
        }
        arcs.phase_two(std::move(p), std::move(q));
        simplex.reprice();
    }
    simplex.optimise();
    const Status status = monitor.reason();
    if (status == Status::interrupted) return status;
    read_off(simplex, status, solution, out);
    std::vector<typename Base::Scalar> scratch(arcs.cols());
    const double factor = arcs.lift(out.u.data(), out.v.data(), scratch);
    for (std::size_t i = 0; i < out.u.size(); ++i) out.u[i] += factor * arcs.p(i);
    for (std::size_t j = 0; j < out.v.size(); ++j) out.v[j] += factor * arcs.q(j);
    return status;
}

/// Of the costs that a solve is for, what has been found out beforehand; and its help.
struct Means {
    bool forbidden;    // whether some are +inf
    double magnitude;  // the largest finite |cost|
    double rounding;   // of the weights
    SmallSimplex& small;
    Workers& workers;
    Monitor& monitor;
};

/// By the solver that suits the size, for costs that are finite, or a start from a plan that avoids all others.
template <class Arcs>
Status solve_avoiding(const Arcs& arcs, const Masses& masses, const WarmStart& warm, Means& means, Solution& solution, Found& out) {
    if (means.forbidden || !SmallSimplex::takes(arcs.rows(), arcs.cols()) || means.monitor.check())
        return solve_plain(arcs, means.magnitude, masses, warm, means.workers, means.monitor, solution, out);
    means.small.read(arcs);
    const auto plan = warm.keep_arcs ? leaves_first(warm.arcs, arcs.rows(), arcs.cols()) : std::vector<std::pair<Node, Node>>();
    means.small.solve(masses, warm.v, plan, means.monitor, solution.counters);
    means.small.read_off(out.u, out.v, out.plan);
    return means.monitor.reason();
}

/// `settle` for what was found, whose arcs of slack are kept: a plan to start from is whole.
template <class T, class Arcs>
Distance settled(const MatrixArcs<T>& arcs, const Arcs& at, const Masses& masses, Found& found) {
    for (const BasicArc& arc : found.plan)
        if (arcs.is_slack(arc.row, arc.col)) found.slack.push_back(arc);
    const double gap = settle(at, masses.supply, masses.demand, found.plan, found.u, found.v);
    return distance(found.plan, found.u, found.v, gap);
}

/// Solves once more for what the potentials found leave of the costs, from the plan found.
template <class T>
Distance refine(const MatrixArcs<T>& arcs, const Masses& masses, const Distance& before, Means& means, Solution& solution,
                Status& status, Found& found) {
    // A constant that both share says nothing, and takes their digits.
    const double shared = median(found.v);
    for (double& v : found.v) v -= shared;
    for (double& u : found.u) u += shared;
    const ReducedArcs reduced(arcs, found.u, found.v);
    WarmStart warm;
    warm.u.assign(arcs.rows(), 0.0);
    warm.v.assign(arcs.cols(), 0.0);
    warm.keep_arcs = true;
    for (const auto* arcs_of : {&found.plan, &found.slack})
        for (const BasicArc& arc : *arcs_of) warm.arcs.emplace_back(arc.row, arc.col);
    Found finer;
    status = solve_avoiding(reduced, masses, warm, means, solution, finer);
    ++solution.counters.refinements;
    if (status == Status::interrupted) return {};
    if (!has_plan(status)) {
        status = Status::time_limit;
        return before;
    }
    const bool slack = arcs.slack_row() || arcs.slack_col();
    Distance left{};
    if (!slack) left = settled(arcs, reduced, masses, finer);
    for (std::size_t i = 0; i < arcs.rows(); ++i) finer.u[i] += found.u[i];
    for (std::size_t j = 0; j < arcs.cols(); ++j) finer.v[j] += found.v[j];
    for (BasicArc& arc : finer.plan) arc.cost = arcs.cost(arc.row, arc.col);
    if (slack) left = settled(arcs, arcs, masses, finer);  // slack is known by its cost
    if (status == Status::time_limit && left.gap > before.gap) return before;
    found = std::move(finer);
    return left;
}

/// Solves, with refinements where the sizes of the costs ask for them. Sets the gap, in units of flow.
template <class T>
Status solve_exactly(const MatrixArcs<T>& arcs, const Masses& masses, const WarmStart& warm, Means& means, Solution& solution,
                     Found& found) {
    Status status = means.forbidden ? solve_forbidden(arcs, means.magnitude, masses, means.rounding, warm, means.workers,
                                                      means.monitor, solution, found)
                                    : solve_avoiding(arcs, masses, warm, means, solution, found);
    if ((status != Status::optimal && status != Status::time_limit) || !found.stranded.empty()) return status;
    Distance left = settled(arcs, arcs, masses, found);
    std::vector<T> scratch;
    bool refined = false;
    auto least = [&](std::size_t i) {
        scratch.resize(arcs.cols());
        double low = infinity;
        const T* c = arcs.row(i, scratch.data());
        for (std::size_t j = 0; j < arcs.cols() - arcs.slack_col(); ++j)
            if (c[j] != T(0)) low = std::min(low, std::fabs(static_cast<double>(c[j])));
        return low;
    };
    for (int k = 0; status == Status::optimal && hides_differences(found.plan, left, least); ++k) {
        if (k == most_refinements) {
            if (!is_rounding(found.plan, left.gap)) status = Status::inexact;
            break;
        }
        refined = true;
        left = refine(arcs, masses, left, means, solution, status, found);
    }
    solution.gap = left.gap;
    // Sums of potentials are rounded. They are made feasible once more.
    if ((refined || means.forbidden) && has_plan(status)) {
        const std::size_t n = arcs.rows() - arcs.slack_row(), m = arcs.cols() - arcs.slack_col(), block = rows_per_chunk(m);
        std::vector<Scratch<T>> room(means.workers.count(), Scratch<T>(arcs.cols()));
        means.workers.run((n + block - 1) / block, [&](std::size_t chunk, int worker) {
            for (std::size_t i = chunk * block; i < std::min(n, (chunk + 1) * block); ++i)
                found.u[i] = std::min(found.u[i], row_kernels<T>().minimum(arcs.row(i, room[worker].row.data()), found.v.data(), m));
        });
    }
    return status;
}

/// The caller's estimates for the rows and columns that the solver sees.
WarmStart warm_start(const Problem& problem, bool transposed, const CostRange& range, const double* row_estimate,
                     const double* col_estimate, std::size_t n, std::size_t m, const std::vector<Node>& row_map,
                     const std::vector<Node>& col_map) {
    WarmStart warm;
    if (row_estimate == nullptr || col_estimate == nullptr) return warm;
    // Returns where each row or column of the caller's stands among those with mass, -1 if it has none.
    auto select = [](const double* estimate, std::size_t size, const std::vector<Node>& map, std::vector<double>& out) {
        std::vector<Node> place(size, -1);
        const std::size_t kept = map.empty() ? size : map.size();
        for (std::size_t k = 0; k < kept; ++k) {
            const std::size_t at = map.empty() ? k : map[k];
            place[at] = static_cast<Node>(k);
            out.push_back(estimate[at]);
        }
        return place;
    };
    const auto row_place = select(row_estimate, n, row_map, warm.u), col_place = select(col_estimate, m, col_map, warm.v);
    // Optimal potentials need not spread further than the costs do. Estimates that do would drown these.
    const double top = *std::max_element(warm.v.begin(), warm.v.end()), spread = range.highest - range.lowest;
    for (double& x : warm.v) x = std::max(x - top, -spread);
    auto read = [&](const auto* rows, const auto* cols, std::size_t count, std::vector<std::pair<Node, Node>>& arcs) {
        if (transposed) std::swap(rows, cols);
        arcs.reserve(count);
        for (std::size_t k = 0; k < count; ++k)
            if (row_place[rows[k]] >= 0 && col_place[cols[k]] >= 0) arcs.emplace_back(row_place[rows[k]], col_place[cols[k]]);
    };
    read(problem.plan_rows, problem.plan_cols, problem.entries, warm.arcs);
    read(problem.list_rows, problem.list_cols, problem.listed, warm.listed);
    return warm;
}

/// Gives a partial problem of n x m places its row and column of slack, with the mass that stays.
template <class T>
void add_slack(MatrixArcs<T>& arcs, double magnitude, Masses& masses, std::vector<Node>& row_map, std::vector<Node>& col_map,
               std::size_t n, std::size_t m) {
    auto add = [](Flow stays, std::vector<Flow>& side, std::size_t places, std::vector<Node>& map) {
        if (stays == 0) return;
        side.push_back(stays);
        if (!map.empty()) map.push_back(static_cast<Node>(places));
    };
    add(masses.lacking, masses.supply, n, row_map);
    add(masses.kept, masses.demand, m, col_map);
    arcs.add_slack(masses.lacking > 0, masses.kept > 0, slack_corner(magnitude));
}

/// To go on from the arcs of a feasible plan, in the numbering of all places and slack.
WarmStart resume(const std::vector<std::pair<Node, Node>>& plan, const std::vector<Node>& row_map, const std::vector<Node>& col_map,
                 std::size_t rows, std::size_t cols, std::size_t n, std::size_t m) {
    auto places = [](const std::vector<Node>& map, std::size_t size) {
        std::vector<Node> place(size, -1);
        for (std::size_t k = 0; k < (map.empty() ? size : map.size()); ++k) place[map.empty() ? k : map[k]] = static_cast<Node>(k);
        return place;
    };
    const std::vector<Node> row_place = places(row_map, n + 1), col_place = places(col_map, m + 1);
    WarmStart warm;
    warm.u.assign(rows, 0.0);
    warm.v.assign(cols, 0.0);
    warm.keep_arcs = true;
    for (const auto& [i, j] : plan) warm.arcs.emplace_back(row_place[i], col_place[j]);
    return warm;
}

/// Whether to let the columns of the caller's matrix be the solver's rows. Lists and sweeps belong to rows, so the longer
/// side should be rows; between sides of like length the order in memory decides.
bool transpose(const Problem& problem) {
    if (problem.m > 2 * problem.n) return true;
    return problem.row_step == 1 && problem.col_step != 1 && problem.n <= 2 * problem.m;
}

template <class T>
void solve_typed(const Problem& problem, const Options& options, SmallSimplex& small, Solution& solution) {
    Monitor monitor(options);
    const T* base = static_cast<const T*>(problem.cost);
    std::size_t n = problem.n, m = problem.m;
    std::ptrdiff_t row_step = problem.row_step, col_step = problem.col_step;
    const bool partial = !(problem.sends_all && problem.fills_all);
    if (!partial && !valid_weights(problem.a, n, problem.b, m, problem.rounding, problem.check_totals)) {
        solution.status = Status::invalid_weights;
        return;
    }
    Masses masses = partial ? partial_masses(problem.a, n, problem.b, m, problem.mass, problem.sends_all, problem.fills_all)
                            : integer_masses(problem.a, n, problem.b, m);
    const double *row_estimate = problem.f, *col_estimate = problem.g;
    const bool transposed = transpose(problem);
    if (transposed) {
        std::swap(n, m);
        std::swap(row_step, col_step);
        std::swap(masses.supply, masses.demand);
        std::swap(row_estimate, col_estimate);
        std::swap(masses.kept, masses.lacking);
    }
    MatrixArcs<T> all(base, row_step, col_step, n, m);
    // Threads cost more than they bring on small problems.
    Workers workers(n * m < (std::size_t(1) << 20) ? 1 : options.threads);
    std::vector<Scratch<T>> scratch(workers.count(), Scratch<T>(m + partial));
    const CostRange range = scan(all, workers, scratch);
    if (range.has_invalid) {
        solution.status = Status::invalid_cost;
        return;
    }
    const double magnitude = std::max(std::fabs(range.lowest), std::fabs(range.highest));
    Means means{range.has_infinity, magnitude, problem.rounding, small, workers, monitor};
    if (partial) all.add_slack(masses.lacking > 0, masses.kept > 0, slack_corner(magnitude));
    std::vector<Node> row_map, col_map;
    Found found;
    for (std::vector<std::pair<Node, Node>> feasible;;) {
        Masses inner = means.forbidden ? masses : std::move(masses);  // others are solved but once
        row_map = with_mass(inner.supply), col_map = with_mass(inner.demand);
        MatrixArcs<T> arcs(base, row_step, col_step, n, m, row_map, col_map);
        WarmStart warm;
        if (feasible.empty())
            warm = warm_start(problem, transposed, range, row_estimate, col_estimate, n, m, row_map, col_map);
        if (partial) add_slack(arcs, magnitude, inner, row_map, col_map, n, m);
        if (!feasible.empty()) warm = resume(feasible, row_map, col_map, arcs.rows(), arcs.cols(), n, m);
        found = Found{};
        solution.status = solve_exactly(arcs, inner, warm, means, solution, found);
        if (solution.status == Status::infeasible || found.stranded.empty()) break;
        // Without the mass that rounding leaves no way, the plan of the rest is a start.
        auto number = [](const std::vector<Node>& map, Node k) { return map.empty() ? k : map[k]; };
        for (const BasicArc& arc : found.stranded) {
            masses.supply[number(row_map, arc.row)] -= arc.flow;
            masses.demand[number(col_map, arc.col)] -= arc.flow;
            solution.counters.dropped += static_cast<double>(arc.flow) / masses.per_mass;
        }
        feasible.clear();
        for (const BasicArc& arc : found.plan) feasible.emplace_back(number(row_map, arc.row), number(col_map, arc.col));
    }
    if (!has_plan(solution.status)) return;
    solution.gap /= masses.per_mass;
    extend(all, row_map, col_map, found.u, found.v, scratch[0].row);
    found.u.resize(n), found.v.resize(m);  // without slack
    write_plan(found.plan, row_map, col_map, transposed, masses.per_mass, solution);
    write_listed(found.promising, row_map, col_map, transposed, solution);
    solution.f = std::move(transposed ? found.v : found.u);
    solution.g = std::move(transposed ? found.u : found.v);
    solution.counters.seconds_total = monitor.seconds();
}

}  // namespace

namespace {

template <class T>
bool has_invalid_cost(const Problem& problem) {
    const MatrixArcs<T> arcs(static_cast<const T*>(problem.cost), problem.row_step, problem.col_step, problem.n, problem.m);
    Workers alone(1);
    std::vector<Scratch<T>> scratch(1, Scratch<T>(problem.m));
    return scan(arcs, alone, scratch).has_invalid;
}

/// Whether its input is right; else the status that says why not.
Status checked(const Problem& problem) {
    if (!valid_weights(problem.a, problem.n, problem.b, problem.m, problem.rounding, problem.check_totals)) return Status::invalid_weights;
    const bool invalid = problem.single ? has_invalid_cost<float>(problem) : has_invalid_cost<double>(problem);
    return invalid ? Status::invalid_cost : Status::optimal;
}

/// With room for small problems that many solves may share.
Solution solve_with(const Problem& problem, const Options& options, SmallSimplex& small) {
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

}  // namespace

Solution solve(const Problem& problem, const Options& options) {
    SmallSimplex small;
    return solve_with(problem, options, small);
}

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
        own.threads = std::max(1, options.threads / static_cast<int>(std::min<std::size_t>(problems.size(), options.threads)));
        each(chunk, [&](std::size_t k) {
            if (batch.stopped(calling)) return;
            own.time_limit = std::max(0.0, options.time_limit - monitor.seconds());
            solutions[k] = solve_with(problems[k], own, small[worker]);
            batch.count();
        });
    };
    workers.run(runs, solve_run, [&] { batch.check(); });
    return solutions;
}

}  // namespace monge
