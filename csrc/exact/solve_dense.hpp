// The solve proper of a dense problem, whose rows and columns all have mass: by the solver that suits its size, over
// forbidden arcs in two phases, and once more where rounding hides differences between costs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

#include "common/control.hpp"
#include "common/sorting.hpp"
#include "common/workers.hpp"
#include "exact/arcs.hpp"
#include "exact/emd.hpp"
#include "exact/masses.hpp"
#include "exact/network_simplex.hpp"
#include "exact/partial.hpp"
#include "exact/refinement.hpp"
#include "exact/row_kernels.hpp"
#include "exact/row_passes.hpp"
#include "exact/small_simplex.hpp"

namespace monge {

// Rows or columns, whichever are more: below it, making candidate lists anew takes less than keeping them.
constexpr std::size_t smallest_kept = 128;

/// What a solve for rows and columns that all have mass finds.
struct Found {
    std::vector<double> u, v;
    std::vector<BasicArc> plan;
    std::vector<std::pair<Node, Node>> promising;
    std::vector<BasicArc> slack;  // what `settle` takes out of the plan
    std::vector<BasicArc>
        stranded;  // flow that rounding leaves on forbidden arcs: without it, `plan` is feasible, and no more
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
        if (kernels.minimum(c, zeros.data(), arcs.cols()) == infinity)
            cut.push_back({static_cast<Node>(i), col, masses.supply[i], infinity});
        kernels.column_minima(c, 0.0, 0.0, arcs.cols(), least.data(), unused.data());
    }
    for (std::size_t j = 0; j < arcs.cols(); ++j)
        if (least[j] == infinity) cut.push_back({row, static_cast<Node>(j), masses.demand[j], infinity});
    return cut;
}

/// By the network simplex, for costs that are finite, or a start from a plan that avoids all others.
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

/// In two phases, as ForbiddenArcs says. Infeasible only if more mass than rounding has no way.
template <class Base>
Status solve_forbidden(const Base& base, double magnitude, const Masses& masses, double relative_rounding,
                       const WarmStart& warm, Workers& workers, Monitor& monitor, Solution& solution, Found& out) {
    using Arcs = ForbiddenArcs<Base>;
    const Flow unimportant = droppable(masses, relative_rounding);
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
        simplex.tree().for_each_arc(
            [&](Node, Node, Flow flow, double cost) { found += cost == forbidden_cost ? flow : 0; });
        return found;
    };
    if (forbidden_flow(infinity) > 0) {
        arcs.phase_one();
        simplex.reprice();
        simplex.optimise();
        if (const Flow left = forbidden_flow(1.0)) {
            if (monitor.stopped())
                return monitor.reason() == Status::interrupted ? Status::interrupted : Status::no_plan_yet;
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
    bool forbidden;            // whether some are +inf
    double magnitude;          // the largest finite |cost|
    double relative_rounding;  // of the weights
    SmallSimplex& small;
    Workers& workers;
    Monitor& monitor;
};

/// By the solver that suits the size, for costs that are finite, or a start from a plan that avoids all others.
template <class Arcs>
Status solve_avoiding(const Arcs& arcs, const Masses& masses, const WarmStart& warm, Means& means, Solution& solution,
                      Found& out) {
    if (means.forbidden || !SmallSimplex::takes(arcs.rows(), arcs.cols()) || means.monitor.check())
        return solve_plain(arcs, means.magnitude, masses, warm, means.workers, means.monitor, solution, out);
    means.small.read(arcs);
    const auto plan =
        warm.keep_arcs ? leaves_first(warm.arcs, arcs.rows(), arcs.cols()) : std::vector<std::pair<Node, Node>>();
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
Distance refine(const MatrixArcs<T>& arcs, const Masses& masses, const Distance& before, Means& means,
                Solution& solution, Status& status, Found& found) {
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
Status solve_exactly(const MatrixArcs<T>& arcs, const Masses& masses, const WarmStart& warm, Means& means,
                     Solution& solution, Found& found) {
    Status status = means.forbidden ? solve_forbidden(arcs, means.magnitude, masses, means.relative_rounding, warm,
                                                      means.workers, means.monitor, solution, found)
                                    : solve_avoiding(arcs, masses, warm, means, solution, found);
    if ((status != Status::optimal && status != Status::time_limit) || !found.stranded.empty()) return status;
    std::vector<T> scratch;
    auto least = [&](std::size_t i) {
        scratch.resize(arcs.cols());
        double low = infinity;
        const T* c = arcs.row(i, scratch.data());
        for (std::size_t j = 0; j < arcs.cols() - arcs.slack_col(); ++j)
            if (c[j] != T(0)) low = std::min(low, std::fabs(static_cast<double>(c[j])));
        return low;
    };
    bool again = false;
    const Distance left =
        refined(found.plan, settled(arcs, arcs, masses, found), status, least, [&](const Distance& before) {
            again = true;
            return refine(arcs, masses, before, means, solution, status, found);
        });
    solution.gap = left.gap;
    // Sums of potentials are rounded. They are made feasible once more.
    if ((again || means.forbidden) && has_plan(status)) {
        const std::size_t n = arcs.rows() - arcs.slack_row(), m = arcs.cols() - arcs.slack_col(),
                          block = rows_per_chunk(m);
        std::vector<Scratch<T>> scratches(means.workers.count(), Scratch<T>(arcs.cols()));
        means.workers.run((n + block - 1) / block, [&](std::size_t chunk, int worker) {
            for (std::size_t i = chunk * block; i < std::min(n, (chunk + 1) * block); ++i)
                found.u[i] = std::min(
                    found.u[i], row_kernels<T>().minimum(arcs.row(i, scratches[worker].row.data()), found.v.data(), m));
        });
    }
    return status;
}

}  // namespace monge
