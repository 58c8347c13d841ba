// Places with mass, which the solvers see, among those of the caller.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "exact/arcs.hpp"
#include "exact/emd.hpp"
#include "exact/masses.hpp"
#include "exact/spanning_tree.hpp"

namespace monge {

/// The indices with mass, whose masses stay; empty if that is all of them.
inline std::vector<Node> with_mass(std::vector<Flow>& masses) {
    std::vector<Node> indices;
    for (std::size_t i = 0; i < masses.size(); ++i)
        if (masses[i] > 0) indices.push_back(static_cast<Node>(i));
    if (indices.size() == masses.size()) return {};
    for (std::size_t k = 0; k < indices.size(); ++k) masses[k] = masses[indices[k]];
    masses.resize(indices.size());
    return indices;
}

/// The plan and its cost in the caller's numbering and masses.
inline void write_plan(std::vector<BasicArc>& plan, const std::vector<Node>& row_map, const std::vector<Node>& col_map,
                       bool transposed, double per_mass, Solution& solution) {
    double cost = 0.0, lost = 0.0;  // Neumaier's compensated sum: beside large costs the digits of small ones count
    for (BasicArc& arc : plan) {
        const double term = static_cast<double>(arc.flow) * arc.cost, next = cost + term;
        lost += std::fabs(cost) >= std::fabs(term) ? (cost - next) + term : (term - next) + cost;
        cost = next;
        if (!row_map.empty()) arc.row = row_map[arc.row];
        if (!col_map.empty()) arc.col = col_map[arc.col];
        if (transposed) std::swap(arc.row, arc.col);
    }
    solution.cost = (cost + lost) / per_mass;
    std::sort(plan.begin(), plan.end(),
              [](const BasicArc& x, const BasicArc& y) { return x.row < y.row || (x.row == y.row && x.col < y.col); });
    solution.rows.reserve(plan.size());
    solution.cols.reserve(plan.size());
    solution.mass.reserve(plan.size());
    for (const BasicArc& arc : plan) {
        solution.rows.push_back(arc.row);
        solution.cols.push_back(arc.col);
        solution.mass.push_back(static_cast<double>(arc.flow) / per_mass);
    }
}

/// Arcs that a similar problem may start from, in the caller's numbering.
inline void write_listed(const std::vector<std::pair<Node, Node>>& arcs, const std::vector<Node>& row_map,
                         const std::vector<Node>& col_map, bool transposed, Solution& solution) {
    auto &rows = transposed ? solution.list_cols : solution.list_rows,
         &cols = transposed ? solution.list_rows : solution.list_cols;
    rows.reserve(arcs.size());
    cols.reserve(arcs.size());
    for (const auto& [i, j] : arcs) {
        rows.push_back(row_map.empty() ? i : row_map[i]);
        cols.push_back(col_map.empty() ? j : col_map[j]);
    }
}

}  // namespace monge
