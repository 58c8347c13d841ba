// Whether a solution is as good as its last digits say.
//
// The simplex tells a reduced cost from zero by the size of the numbers it is a difference of. Where costs of 10^13,
// which people write for "never", are in use beside costs of 1, that hides differences between the small ones, which a
// plan may well be about. So the gap is held against what it costs to move the cheap part of the mass too; if it is
// more than rounding beside that, the problem is solved again for the costs less the potentials that were found
// (`ReducedArcs`), from the same plan.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "common/control.hpp"
#include "exact/masses.hpp"
#include "exact/spanning_tree.hpp"

namespace monge {

// How large the gap may be beside what the plan costs; ordinary problems were never seen to have more than 2e-15. How
// large it and the rounding of the potentials may be beside what it costs to move the cheaper part of the mass, so many
// units of all.
constexpr double finest_gap = 4e-15, finest_gap_of_cheap = 1e-13, finest_potentials_of_cheap = 1e-9, cheap_part = 0.1;
// Arcs of the plan whose rows are asked for what it would cost to move mass that stays for nothing.
constexpr std::size_t sampled_rows = 64;
// After this many refinements, each of which takes what the last one found as its potentials, nothing is gained any
// more.
constexpr int most_refinements = 3;

/// How far a plan may be from the optimum, as the potentials tell it, in units of flow.
struct Distance {
    double gap;       // sum of flow * reduced cost
    double rounding;  // of the potentials in it
};

inline Distance distance(const std::vector<BasicArc>& plan, const std::vector<double>& u, const std::vector<double>& v,
                         double gap) {
    double reach = 0.0;
    for (const BasicArc& arc : plan)
        reach += static_cast<double>(arc.flow) * (std::fabs(u[arc.row]) + std::fabs(v[arc.col]));
    return {gap, std::numeric_limits<double>::epsilon() * reach};
}

/// What the mass of a plan is moved at: pairs of a cost and the flow at it.
using Prices = std::vector<std::pair<double, double>>;

inline double total(const Prices& prices) {
    double sum = 0.0;
    for (const auto& [cost, flow] : prices) sum += cost * flow;
    return sum;
}

/// Whether a gap, in units of flow, is no more than rounding of what the whole plan costs.
inline bool is_rounding(const std::vector<BasicArc>& plan, double gap) {
    double cost = 0.0;
    for (const BasicArc& arc : plan) cost += static_cast<double>(arc.flow) * std::fabs(arc.cost);
    return gap <= finest_gap * cost;
}

/// Whether the gap, or rounding, is more than the last digits of what a cheap part of the mass is moved at.
inline bool exceeds(const Distance& from, double mass, double cost) {
    return from.gap > finest_gap_of_cheap * mass * cost || from.rounding > finest_potentials_of_cheap * mass * cost;
}

/// The same for what all, and what the cheap part, of the mass is moved at.
inline bool exceeds(const Distance& from, Prices prices) {
    double mass = 0.0, below = 0.0;
    for (const auto& [cost, flow] : prices) mass += flow;
    if (from.gap > finest_gap * total(prices)) return true;
    std::sort(prices.begin(), prices.end());
    for (const auto& [cost, flow] : prices)
        if ((below += flow) >= cheap_part * mass) return exceeds(from, mass, cost);
    return false;
}

/// Whether the solution may be worse than it looks. `least(i)` is the least |cost| of row i that is not zero: what
/// counts for mass that stays in place for nothing, but for no more than the dearest that is in use.
template <class Least>
bool hides_differences(const std::vector<BasicArc>& plan, const Distance& from, Least&& least) {
    double mass = 0.0, paid = 0.0, cheapest = infinity, dearest = 0.0;
    for (const BasicArc& arc : plan) {
        const double cost = std::fabs(arc.cost), flow = static_cast<double>(arc.flow);
        mass += flow;
        paid += flow * cost;
        cheapest = std::min(cheapest, cost);
        dearest = std::max(dearest, cost);
    }
    const bool all = from.gap > finest_gap * paid;
    if (plan.empty() || (!all && !exceeds(from, mass, cheapest))) return false;  // what follows takes longer
    if (all && paid > 0.0) return true;
    Prices prices;
    prices.reserve(plan.size());
    for (const BasicArc& arc : plan) prices.emplace_back(std::fabs(arc.cost), static_cast<double>(arc.flow));
    if (!exceeds(from, prices)) return false;
    // Of some of the mass, since each asks for a row of costs.
    prices.clear();
    double sampled = 0.0;
    for (std::size_t k = 0; k < plan.size(); k += (plan.size() - 1) / sampled_rows + 1) {
        const double away = least(plan[k].row), most = dearest > 0.0 ? std::min(away, dearest) : away;
        prices.emplace_back(std::max(std::fabs(plan[k].cost), most < infinity ? most : 0.0),
                            static_cast<double>(plan[k].flow));
        sampled += static_cast<double>(plan[k].flow);
    }
    for (auto& [cost, flow] : prices) flow *= mass / sampled;
    return total(prices) > 0.0 && exceeds(from, prices);
}

/// Solves again while the solution hides differences, for what the last solve found as its potentials. `again(left)`
/// does so once: it replaces the plan and the status, and returns how far the new plan may be from the optimum. Where
/// this does not help, the status becomes inexact.
template <class Least, class Again>
Distance refined(const std::vector<BasicArc>& plan, Distance left, Status& status, Least&& least, Again&& again) {
    for (int k = 0; status == Status::optimal && hides_differences(plan, left, least); ++k) {
        if (k == most_refinements) {
            if (!is_rounding(plan, left.gap)) status = Status::inexact;
            break;
        }
        left = again(left);
    }
    return left;
}

}  // namespace monge
