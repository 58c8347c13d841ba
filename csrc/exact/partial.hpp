// Partial transport: what it adds to the transport problem.
//
//   minimise   sum_ij P_ij c_ij   subject to   P >= 0,  P 1 <= a,  P' 1 <= b,  sum P = mass
//
// With a column of slack for what the sources keep, sum a - mass, and a row of slack for what the sinks lack,
// sum b - mass, both at no cost, this is a transport problem (Chapel, Alaya & Gasso 2020, "Partial optimal transport
// with applications on positive-unlabeled learning", section 3; Caffarelli & McCann 2010). Mass from slack to slack
// would make as much too much go between places; the cost of that arc, the corner, keeps it empty. Its dual,
//
//   maximise   a.f + b.g - (sum a - mass) max f - (sum b - mass) max g   subject to   f_i + g_j <= c_ij,
//
// needs no potentials of the slack: -max f for its column and -max g for its row are the best ones.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "exact/arcs.hpp"
#include "exact/masses.hpp"
#include "exact/spanning_tree.hpp"

namespace monge {

/// The cost of the corner. Taking a unit from it and a unit from an arc (i, j) that carries mass changes the cost by
/// -corner - c_ij, so anything above -c_ij empties it. No large constant is needed.
inline double slack_corner(double magnitude) { return magnitude > 0.0 ? 2.0 * magnitude : 1.0; }

/// The value q such that places of mass `above` or a little less have potentials of more than q.
inline double quantile(const std::vector<double>& potential, const std::vector<Flow>& mass, std::size_t places,
                       Flow above) {
    std::vector<Node> order(places);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](Node x, Node y) { return potential[x] > potential[y] || (potential[x] == potential[y] && x < y); });
    for (const Node x : order) {
        above -= mass[x];
        if (above < 0) return potential[x];
    }
    return potential[order.back()];
}

/// Potentials of the slack from those of the places alone: the dearest places, up to the mass that stays, are those
/// that the slack serves, and no potential may exceed the one at which it takes over.
template <class Arcs>
void price_slack(const Arcs& arcs, const std::vector<Flow>& supply, const std::vector<Flow>& demand,
                 std::vector<double>& u, std::vector<double>& v) {
    const std::size_t n = arcs.rows() - arcs.slack_row(), m = arcs.cols() - arcs.slack_col();
    if (arcs.slack_row()) {
        const double most = quantile(v, demand, m, supply[n]);
        for (std::size_t j = 0; j < m; ++j) v[j] = std::min(v[j], most);
        u[n] = -most;
    }
    if (arcs.slack_col()) v[m] = -quantile(u, supply, n, demand[m]);
}

/// The basis stopped before the corner was empty: takes the mass it holds off the dearest arcs of the plan, `excess` in
/// all.
inline void take_off(std::vector<BasicArc>& plan, Flow excess) {
    if (excess == 0) return;
    std::sort(plan.begin(), plan.end(), [](const BasicArc& x, const BasicArc& y) {
        return x.cost < y.cost || (x.cost == y.cost && (x.row < y.row || (x.row == y.row && x.col < y.col)));
    });
    while (excess > 0) {
        const Flow taken = std::min(excess, plan.back().flow);
        plan.back().flow -= taken;
        excess -= taken;
        if (plan.back().flow == 0) plan.pop_back();
    }
}

/// From the solution of a problem with slack to that of the partial problem: drops the arcs of slack and gives it the
/// best potentials. Without slack, leaves all as it is. Returns the gap between plan and dual, in units of flow,
///
///   sum_ij P_ij (c_ij - u_i - v_j) + sum_i kept_i (max u - u_i) + sum_j lacking_j (max v - v_j),
///
/// of terms that are not negative: nothing cancels in it.
template <class Arcs>
double settle(const Arcs& arcs, const std::vector<Flow>& supply, const std::vector<Flow>& demand,
              std::vector<BasicArc>& plan, std::vector<double>& u, std::vector<double>& v) {
    const std::size_t n = arcs.rows() - arcs.slack_row(), m = arcs.cols() - arcs.slack_col();
    Flow excess = 0;
    auto of_slack = [&](const BasicArc& arc) {
        const bool row = static_cast<std::size_t>(arc.row) == n, col = static_cast<std::size_t>(arc.col) == m;
        if (row && col) excess += arc.flow;
        return row || col;
    };
    plan.erase(std::remove_if(plan.begin(), plan.end(), of_slack), plan.end());
    take_off(plan, excess);
    const double most_u = *std::max_element(u.begin(), u.begin() + n),
                 most_v = *std::max_element(v.begin(), v.begin() + m);
    if (arcs.slack_row()) u[n] = -most_v;
    if (arcs.slack_col()) v[m] = -most_u;
    std::vector<Flow> kept(supply.begin(), supply.begin() + n), lacking(demand.begin(), demand.begin() + m);
    double gap = 0.0;
    for (const BasicArc& arc : plan) {
        kept[arc.row] -= arc.flow;
        lacking[arc.col] -= arc.flow;
        gap += static_cast<double>(arc.flow) * std::max(0.0, (arc.cost - v[arc.col]) - u[arc.row]);
    }
    for (std::size_t i = 0; i < n; ++i) gap += static_cast<double>(kept[i]) * (most_u - u[i]);
    for (std::size_t j = 0; j < m; ++j) gap += static_cast<double>(lacking[j]) * (most_v - v[j]);
    return gap;
}

}  // namespace monge
