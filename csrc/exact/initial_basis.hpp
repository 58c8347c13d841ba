// The start of the network simplex: estimates of the potentials, candidate lists, and a basis near the optimum.
//
//   estimates   from an aggregated problem (aggregation.hpp), or plain row and column minima
//   lists       the cheapest arcs of each row under these potentials
//   polish      a few entropic steps on the lists
//   greedy      arcs by increasing reduced cost; what is left goes to the cheapest sink that is open
//
// How near the potentials come decides nearly everything: from plain minima, a squared Euclidean cost in the plane
// takes fifty times the pivots that it takes from aggregated costs.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "common/sorting.hpp"
#include "exact/aggregation.hpp"
#include "exact/arcs.hpp"
#include "exact/candidate_lists.hpp"
#include "exact/list_kernels.hpp"
#include "exact/masses.hpp"
#include "exact/partial.hpp"
#include "exact/row_passes.hpp"
#include "exact/spanning_tree.hpp"
#include "exact/sweep.hpp"

namespace monge {

constexpr std::size_t short_list = 16;        // arcs per row to start from
constexpr std::size_t long_list = 32;         // arcs per row to polish on
constexpr std::size_t smallest_polish = 256;  // rows; below it pivots are cheaper
constexpr int polish_stages = 4, polish_steps = 5;
constexpr double polished = 0.15;    // keep the polish if its column error came below this
constexpr double settled_by = 10.0;  // eps from a row's cheapest column to the next: it will not change

/// u_i = min_j c_ij - v_j, then v_j = min_i c_ij - u_i, over places. Feasible whatever v was.
template <class Arcs>
void c_transform(const Arcs& arcs, std::vector<double>& u, std::vector<double>& v,
                 std::vector<Scratch<typename Arcs::Scalar>>& scratch, Workers& workers, Monitor& monitor) {
    const auto& kernels = row_kernels<typename Arcs::Scalar>();
    const std::size_t n = arcs.rows() - arcs.slack_row(), m = arcs.cols() - arcs.slack_col();
    ColumnMinima minima(m, workers.count());
    for_rows(n, m, workers, monitor, [&](std::size_t i, int worker) {
        const auto* c = arcs.row(i, scratch[worker].row.data());
        u[i] = kernels.minimum(c, v.data(), m);
        double* values = minima.values(worker);
        kernels.column_minima(c, u[i], static_cast<double>(i), m, values, minima.rows(worker));
    });
    if (monitor.stopped()) return;
    minima.merge();
    for (std::size_t j = 0; j < m; ++j) v[j] = minima.value(j);
}

/// Fills the lists with the k best arcs of each row at v and the best row of each column; u and v become feasible.
template <class Arcs>
void fill_lists(const Arcs& arcs, std::size_t k, std::vector<double>& u, std::vector<double>& v, CandidateLists& lists,
                StretchBounds& bounds, std::vector<Scratch<typename Arcs::Scalar>>& scratch, Workers& workers,
                Monitor& monitor) {
    const auto& kernels = row_kernels<typename Arcs::Scalar>();
    ColumnMinima minima(arcs.cols(), workers.count());
    bounds.move_to(v.data());
    for_rows(arcs.rows(), arcs.cols(), workers, monitor, [&](std::size_t i, int worker) {
        const bool slack = arcs.slack_row() && i + 1 == arcs.rows();
        u[i] = list_row(arcs, i, v.data(), slack ? arcs.cols() : k, lists, bounds.minima(i, 0), scratch[worker]);
        bounds.found(i, 0, arcs.cols());
        const auto* c = arcs.row(i, scratch[worker].row.data());
        double* values = minima.values(worker);
        kernels.column_minima(c, u[i], static_cast<double>(i), arcs.cols(), values, minima.rows(worker));
    });
    if (monitor.stopped()) return;
    minima.merge();
    for (std::size_t j = 0; j < v.size(); ++j) {
        v[j] = minima.value(j);
        const Node i = minima.row(j);
        if (i >= 0 && !lists.contains(i, static_cast<Node>(j))) lists.add(i, static_cast<Node>(j), arcs.cost(i, j));
    }
}

/// Sharpens v by Sinkhorn's iteration on the lists alone (Cuturi 2013, section 4), in float32, while eps falls. Leaves
/// v as it was and returns false if the columns did not come near their masses. `Lists` offers length(i), cols(i),
/// costs(i).
template <class Lists>
bool polish(const Lists& lists, const std::vector<Flow>& supply, const std::vector<Flow>& demand, double magnitude,
            std::vector<double>& v) {
    const std::size_t n = supply.size(), m = demand.size();
    // The lists once more, in float32 and filled up to a multiple of sixteen: costs above the least reduced cost of the
    // row, so that they are small numbers.
    std::vector<std::size_t> begin(n + 1, 0);
    std::size_t longest = 16;
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t filled = (lists.length(i) + 15) / 16 * 16;
        begin[i + 1] = begin[i] + filled;
        longest = std::max(longest, filled);
    }
    std::vector<Node> column(begin[n], 0);
    std::vector<float> cost(begin[n], std::numeric_limits<float>::infinity());
    std::vector<double> gaps;
    for (std::size_t i = 0; i < n; ++i) {
        double low = infinity, high = -infinity;
        for (std::size_t k = 0; k < lists.length(i); ++k) {
            const double r = lists.costs(i)[k] - v[lists.cols(i)[k]];
            low = std::min(low, r);
            high = std::max(high, r);
        }
        for (std::size_t k = 0; k < lists.length(i); ++k) {
            column[begin[i] + k] = lists.cols(i)[k];
            cost[begin[i] + k] = static_cast<float>((lists.costs(i)[k] - v[lists.cols(i)[k]] - low) / magnitude);
        }
        if (lists.length(i) > 1) gaps.push_back((high - low) / magnitude);
    }
    if (gaps.empty()) return false;
    std::nth_element(gaps.begin(), gaps.begin() + gaps.size() / 2, gaps.end());
    // eps begins at a fraction of the median spread of a list.
    double eps = 0.3 * gaps[gaps.size() / 2];
    if (!(eps > 1e-30)) return false;

    double total = 0.0;
    for (const auto units : supply) total += static_cast<double>(units);
    std::vector<float> wanted(m), received(m), scratch(longest), w(m, 0.0f);  // w: the change of v, over the magnitude
    for (std::size_t j = 0; j < m; ++j) wanted[j] = static_cast<float>(static_cast<double>(demand[j]) / total);
    double error = infinity;
    // Among many rows per column a small error of v sends many to the wrong one: without the further stages a rectangle
    // of 40 to 1 took twice the pivots, one of 1000 to 1 four times.
    const int more = n < long_side ? 0 : std::ilogb(static_cast<double>(n) / static_cast<double>(m));
    const int stages = polish_stages + std::max(0, more);
    // Rows that still waver between columns; what all others send is known. Of many rows per column soon nearly all are
    // settled: without this the further stages took nine tenths of the whole solve of a rectangle of 10000 to 1.
    std::vector<Node> open(n);
    std::iota(open.begin(), open.end(), 0);
    std::vector<double> known(m, 0.0);
    const auto settles = [&](Node i) {
        double best = infinity, next = infinity;
        std::size_t at = begin[i];
        for (std::size_t k = begin[i], end = k + lists.length(i); k < end; ++k) {
            const double value = static_cast<double>(cost[k]) - w[column[k]];
            if (value < best) {
                next = best;
                best = value;
                at = k;
            } else if (value < next) {
                next = value;
            }
        }
        if (!(next - best > settled_by * eps)) return false;
        known[column[at]] += static_cast<double>(supply[i]) / total;
        return true;
    };
    for (int stage = 0; stage < stages; ++stage, eps *= 0.5) {
        const float scale = static_cast<float>(1.4426950408889634 / eps);  // to powers of two
        for (int step = 0; step < polish_steps; ++step) {
            std::copy(known.begin(), known.end(), received.begin());
            for (const Node i : open)
                if (lists.length(i) > 0)
                    list_kernels().sinkhorn_row(&column[begin[i]], &cost[begin[i]], lists.length(i), w.data(), scale,
                                                static_cast<float>(static_cast<double>(supply[i]) / total),
                                                scratch.data(), received.data());
            error = 0.0;
            for (std::size_t j = 0; j < m; ++j) {
                error += std::fabs(static_cast<double>(received[j]) - wanted[j]);
                // A column that received nothing moves by a bounded step.
                const double ratio = static_cast<double>(wanted[j]) / std::max(1e-30, static_cast<double>(received[j]));
                w[j] += static_cast<float>(eps * std::log(std::clamp(ratio, 1e-6, 1e6)));
            }
        }
        if (more > 0) open.erase(std::remove_if(open.begin(), open.end(), settles), open.end());
    }
    if (!(error <= polished)) return false;
    for (std::size_t j = 0; j < m; ++j) v[j] += magnitude * static_cast<double>(w[j]);
    return true;
}

/// The c-transform over list arcs alone; keeps the `k` best arcs per row and the best one of each column.
inline void tighten(CandidateLists& lists, std::size_t k, std::vector<double>& u, std::vector<double>& v) {
    const std::size_t n = u.size(), m = v.size();
    std::vector<double> best(m, infinity), best_cost(m, 0.0);
    std::vector<Node> best_row(m, -1);
    for (std::size_t i = 0; i < n; ++i) {
        if (lists.length(i) == 0) continue;
        u[i] = infinity;
        for (std::size_t q = 0; q < lists.length(i); ++q)
            u[i] = std::min(u[i], lists.costs(i)[q] - v[lists.cols(i)[q]]);
        for (std::size_t q = 0; q < lists.length(i); ++q) {
            const Node j = lists.cols(i)[q];
            const double r = lists.costs(i)[q] - u[i];
            if (r < best[j]) {
                best[j] = r;
                best_row[j] = static_cast<Node>(i);
                best_cost[j] = lists.costs(i)[q];
            }
        }
    }
    for (std::size_t j = 0; j < m; ++j)
        if (best_row[j] >= 0) v[j] = best[j];
    for (std::size_t i = 0; i < n; ++i) lists.shrink(i, v.data(), k);
    for (std::size_t j = 0; j < m; ++j)
        if (best_row[j] >= 0 && !lists.contains(best_row[j], static_cast<Node>(j)))
            lists.add(best_row[j], static_cast<Node>(j), best_cost[j]);
}

/// A forest of arcs that carry flow, together a feasible plan. The arcs of `first` come first, in their order, then
/// those of the lists by increasing reduced cost; each takes what its ends can still send and receive. What is left
/// over goes to the cheapest column still open, over an arc that then joins the list; once the monitor says stop, to
/// any that is open.
template <class Arcs>
std::vector<BasicArc> greedy(const Arcs& arcs, std::vector<Flow> supply, std::vector<Flow> demand,
                             const std::vector<double>& u, const std::vector<double>& v,
                             const std::vector<std::pair<Node, Node>>& first, CandidateLists& lists, Monitor& monitor) {
    const std::size_t n = arcs.rows(), m = arcs.cols();
    Shipping shipping{std::move(supply), std::move(demand), {}};
    shipping.forest.reserve(n + m);
    for (const auto& [i, j] : first) shipping.send(i, j, arcs.cost(i, j));
    // Only the arcs that can still take something are worth sorting: after a plan of the same masses, none.
    std::vector<double> reduced;
    std::vector<std::pair<Node, Node>> place;  // row and position in its list
    if (first.empty()) reduced.reserve(lists.total()), place.reserve(lists.total());
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; shipping.supply[i] > 0 && k < lists.length(i); ++k) {
            const Node j = lists.cols(i)[k];
            if (shipping.demand[j] == 0) continue;
            reduced.push_back((lists.costs(i)[k] - v[j]) - u[i]);
            place.emplace_back(static_cast<Node>(i), static_cast<Node>(k));
        }
    Sorting sorting(reduced.size());
    std::vector<double> sorted(reduced.size());
    sorting.sort(reduced.data(), sorted.data(), [] { return false; });
    for (const std::uint64_t at : sorting.take_order()) {
        const auto [i, k] = place[at];
        shipping.send(i, lists.cols(i)[k], lists.costs(i)[k]);
    }

    std::vector<Node> open;
    for (std::size_t j = 0; j < m; ++j)
        if (shipping.demand[j] > 0) open.push_back(static_cast<Node>(j));
    for (std::size_t i = 0; i < n; ++i) {
        while (shipping.supply[i] > 0) {
            std::size_t best = open.size() - 1;
            double least = infinity, best_cost = infinity;
            if (!monitor.check())
                for (std::size_t q = 0; q < open.size(); ++q) {
                    const double cost = arcs.cost(i, open[q]);
                    if (cost - v[open[q]] < least) {
                        least = cost - v[open[q]];
                        best = q;
                        best_cost = cost;
                    }
                }
            const Node j = open[best];
            if (least == infinity) best_cost = arcs.cost(i, j);
            shipping.send(static_cast<Node>(i), j, best_cost);
            if (least < infinity && !lists.contains(i, j)) lists.add(i, j, best_cost);
            if (shipping.demand[j] == 0) {
                open[best] = open.back();
                open.pop_back();
            }
        }
    }
    return std::move(shipping.forest);
}

/// Arcs in an order in which each is, when its turn comes, the last one left at one of its ends. Sending along a forest
/// in this order gives back the only flow it can carry. Arcs that close a cycle are left out.
inline std::vector<std::pair<Node, Node>> leaves_first(const std::vector<std::pair<Node, Node>>& arcs, std::size_t rows,
                                                       std::size_t cols) {
    // The number of arcs left at a node and the exclusive or of their indices, which is the index of a last one.
    std::vector<std::size_t> left(rows + cols, 0), last(rows + cols, 0), leaves;
    auto ends = [&](std::size_t k) {
        return std::array<std::size_t, 2>{static_cast<std::size_t>(arcs[k].first), rows + arcs[k].second};
    };
    for (std::size_t k = 0; k < arcs.size(); ++k)
        for (const std::size_t x : ends(k)) {
            ++left[x];
            last[x] ^= k;
        }
    for (std::size_t x = 0; x < left.size(); ++x)
        if (left[x] == 1) leaves.push_back(x);
    std::vector<std::pair<Node, Node>> order;
    order.reserve(arcs.size());
    for (std::size_t at = 0; at < leaves.size(); ++at) {
        if (left[leaves[at]] == 0) continue;
        const std::size_t k = last[leaves[at]];
        order.push_back(arcs[k]);
        for (const std::size_t x : ends(k)) {
            last[x] ^= k;
            if (--left[x] == 1) leaves.push_back(x);
        }
    }
    return order;
}

}  // namespace monge
