// The basis of the network simplex: a spanning tree over sources, sinks and a root, with its flows and potentials.
//
// Nodes are numbered rows first, 0..n-1, then columns, n..n+m-1, then the root n+m. Every tree arc joins a row and a
// column; the flow on it runs from the row to the column. The root stands for no place at all: it holds the tree
// together where the arcs in use fall into several components. Only rows hang from it, over arcs that carry nothing,
// and such an arc never comes back once it has left.
//
// The tree is strongly feasible (Cunningham 1976, "A network simplex method", Mathematical Programming 11, section 2):
// an arc without flow points towards the root, so its lower end is a row. With the leaving arc of `find_cycle` this
// excludes cycling.
//
// Potentials satisfy u_i + v_j = c_ij on every tree arc. A pivot moves u up and v down by the same amount on one side
// of the leaving arc, so the tour carries u_i for rows and -v_j for columns.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "exact/arcs.hpp"
#include "exact/euler_tour.hpp"
#include "exact/masses.hpp"

namespace monge {

// An arc enters if its reduced cost is below -entering_tolerance times the largest cost on a tree arc, or a hundredth
// of the largest potential. Potentials are sums of such costs along a path, each addition off by 1e-16.
constexpr double entering_tolerance = 1e-12;

/// A tree arc of the initial basis.
struct BasicArc {
    Node row, col;  // col as a column index, 0..m-1
    Flow flow;
    double cost;
};

/// A plan in the making: what sources can still send and sinks receive, and the forest of arcs that was sent over.
struct Shipping {
    std::vector<Flow> supply, demand;
    std::vector<BasicArc> forest;

    /// As much as both ends allow.
    void send(Node row, Node col, double cost) {
        const Flow flow = std::min(supply[row], demand[col]);
        if (flow == 0) return;
        forest.push_back({row, col, flow, cost});
        supply[row] -= flow;
        demand[col] -= flow;
    }
};

class SpanningTree {
public:
    SpanningTree(std::size_t rows, std::size_t cols)
        : rows_(static_cast<Node>(rows)), root_(static_cast<Node>(rows + cols)), up_(rows + cols + 1),
          cost_(rows + cols), tour_(rows + cols + 1) {}

    /// Builds the tree from a forest of arcs that all carry flow. Every component hangs from the root at a row of its
    /// own, over an arc whose cost makes the potential of that row `row_potential`.
    void build(const std::vector<BasicArc>& forest, const std::vector<double>& row_potential) {
        const std::size_t nodes = up_.size();
        std::vector<std::size_t> first(nodes + 1, 0);
        for (const BasicArc& arc : forest) {
            ++first[arc.row + 1];
            ++first[rows_ + arc.col + 1];
        }
        for (std::size_t x = 0; x < nodes; ++x) first[x + 1] += first[x];
        std::vector<std::size_t> incident(2 * forest.size()), at(first.begin(), first.end() - 1);
        for (std::size_t k = 0; k < forest.size(); ++k) {
            incident[at[forest[k].row]++] = k;
            incident[at[rows_ + forest[k].col]++] = k;
        }
        // Depth first, the next arc to look at of each node in `at`. Each node's edge to its parent takes the node's
        // number.
        at.assign(first.begin(), first.end() - 1);
        std::vector<EulerTour::Entry> order;
        order.reserve(3 * nodes);
        order.push_back(root_);
        auto descend = [&](Node x, Node parent, Flow flow, double cost) {
            up_[x] = {flow, parent, x, 0};
            cost_[x] = cost;
            order.push_back(down_entry(x));
            order.push_back(x);
        };
        for (Node top = 0; top < rows_; ++top) {
            if (up_[top].parent != none) continue;
            descend(top, root_, 0, row_potential[top]);
            for (Node x = top; x != root_;) {
                if (at[x] == first[x + 1]) {
                    order.push_back(up_entry(x));
                    x = up_[x].parent;
                    continue;
                }
                const BasicArc& arc = forest[incident[at[x]++]];
                const Node y = x < rows_ ? rows_ + arc.col : arc.row;
                if (y == up_[x].parent) continue;
                descend(y, x, arc.flow, arc.cost);
                x = y;
            }
        }
        tour_.build(order);
        recompute_potentials();
    }

    double reduced_cost(Node row, Node col, double cost) const {
        return (cost + tour_.value(rows_ + col)) - tour_.value(row);
    }

    double row_potential(Node row) const { return tour_.value(row); }
    double col_potential(Node col) const { return -tour_.value(rows_ + col); }

    /// -v_j = value[j] + add[block[j]], for the pricing of lists.
    const double* col_values() const { return tour_.values() + rows_; }
    const std::int32_t* col_blocks() const { return tour_.blocks() + rows_; }
    const double* block_adds() const { return tour_.adds(); }

    /// -v_j for all columns.
    void read_col_values(std::vector<double>& values) const {
        values.resize(static_cast<std::size_t>(root_ - rows_));
        for (std::size_t j = 0; j < values.size(); ++j) values[j] = tour_.value(rows_ + static_cast<Node>(j));
    }

    /// The potentials as two vectors, for the pricing of rows.
    void read_potentials(std::vector<double>& u, std::vector<double>& v) const {
        for (Node i = 0; i < rows_; ++i) u[i] = row_potential(i);
        for (Node j = 0; j < root_ - rows_; ++j) v[j] = col_potential(j);
    }

    /// Brings the arc (row, col) of negative reduced cost into the tree. Returns the flow it takes up.
    Flow pivot(Node row, Node col, double cost) {
        const double reduced = reduced_cost(row, col, cost);
        const Node i = row, j = rows_ + col;
        const Cycle cycle = find_cycle(i, j);
        if (cycle.flow > 0) push(cycle.flow);
        exchange(cycle.leaves_row_side ? i : j, cycle.leaves_row_side ? j : i, cost, reduced, cycle);
        return cycle.flow;
    }

    /// Potentials from the costs of the tree arcs alone, which clears the rounding that pivots added up. Returns the
    /// size of the numbers they came from: the largest |cost| on an arc that joins two places, or a hundredth of the
    /// largest |potential| if components hang so far apart that this is more.
    double recompute_potentials() {
        double largest = 0.0;
        tour_.clear_adds();
        tour_.set_value(root_, 0.0);
        // The tour comes down to a node before it goes anywhere below.
        std::vector<Node> lower(cost_.size());
        for (Node x = 0; x < root_; ++x) lower[up_[x].edge] = x;
        tour_.for_each([&](EulerTour::Entry e) {
            if (e <= root_) return;
            const Node x = lower[(e - root_ - 1) / 2];
            if (e != down_entry(x)) return;
            const Node p = up_[x].parent;
            const double cost = cost_[up_[x].edge];
            // u = c - v for a row, -v = u - c for a column.
            tour_.set_value(x, x < rows_ ? cost + tour_.value(p) : tour_.value(p) - cost);
            if (p != root_) largest = std::max(largest, std::fabs(cost));
            largest = std::max(largest, 0.01 * std::fabs(tour_.value(x)));
        });
        return largest;
    }

    /// Gives every tree arc the cost that `cost(row, col)` now has, those to the root none, and sets the potentials
    /// anew.
    template <class Cost>
    double reprice(Cost&& cost) {
        for (Node x = 0; x < root_; ++x) {
            const Node p = up_[x].parent, row = x < rows_ ? x : p, col = x < rows_ ? p : x;
            cost_[up_[x].edge] = p == root_ ? 0.0 : cost(row, static_cast<Node>(col - rows_));
        }
        return recompute_potentials();
    }

    /// Gives every tree arc between places the cost `cost(row, col, old)`, and sets the potentials anew.
    template <class Cost>
    double revise(Cost&& cost) {
        for (Node x = 0; x < root_; ++x) {
            const Node p = up_[x].parent, row = x < rows_ ? x : p, col = x < rows_ ? p : x;
            double& own = cost_[up_[x].edge];
            if (p != root_) own = cost(row, static_cast<Node>(col - rows_), own);
        }
        return recompute_potentials();
    }

    /// Calls visit(row, col, flow, cost) for each arc between places.
    template <class Visit>
    void for_each_arc(Visit&& visit) const {
        for (Node x = 0; x < root_; ++x) {
            const Up& up = up_[x];
            if (up.parent == root_) continue;
            const Node row = x < rows_ ? x : up.parent, col = x < rows_ ? up.parent : x;
            visit(row, static_cast<Node>(col - rows_), up.flow, cost_[up.edge]);
        }
    }

private:
    static constexpr Node none = -1;

    /// The tree arc above a node.
    struct Up {
        Flow flow = 0;
        Node parent = none;
        std::int32_t edge = 0;
        std::uint32_t seen = 0;  // the search that came by last
    };

    struct Cycle {
        Node leaving;  // the leaving arc is the one above this node
        bool leaves_row_side;
        Flow flow;
    };

    // An edge's entry 0 runs from its row to its column, entry 1 back; the root counts as a column.
    EulerTour::Entry down_entry(Node x) const { return tour_.entry(up_[x].edge, x < rows_ ? 1 : 0); }
    EulerTour::Entry up_entry(Node x) const { return tour_.entry(up_[x].edge, x < rows_ ? 0 : 1); }

    /// Climbs from i and j in step until one comes to where the other has been: that is the join. Pushing flow over (i,
    /// j) takes it from the arcs above rows on i's way up, and above columns on j's. The leaving arc is the last one
    /// that blocks when the cycle is followed from the join through i and j.
    Cycle find_cycle(Node i, Node j) {
        search_ += 2;
        if (search_ == 0) {  // the counter has wrapped: old marks would look like new ones
            for (Up& up : up_) up.seen = 0;
            search_ = 2;
        }
        const std::uint32_t from_i = search_, from_j = search_ + 1;
        row_path_.clear();
        col_path_.clear();
        Node x = i, y = j;
        for (;;) {
            if (x != root_) {
                if (up_[x].seen == from_j) {
                    col_path_.erase(std::find(col_path_.begin(), col_path_.end(), x), col_path_.end());
                    break;
                }
                up_[x].seen = from_i;
                row_path_.push_back(x);
                x = up_[x].parent;
            }
            if (y != root_) {
                if (up_[y].seen == from_i) {
                    row_path_.erase(std::find(row_path_.begin(), row_path_.end(), y), row_path_.end());
                    break;
                }
                up_[y].seen = from_j;
                col_path_.push_back(y);
                y = up_[y].parent;
            }
            if (x == root_ && y == root_) break;
        }
        Flow row_side = std::numeric_limits<Flow>::max(), col_side = row_side;
        Node row_leaving = none, col_leaving = none;
        for (const Node z : row_path_)
            if (z < rows_ && up_[z].flow < row_side) {
                row_side = up_[z].flow;
                row_leaving = z;
            }
        for (const Node z : col_path_)
            if (z >= rows_ && up_[z].flow <= col_side) {
                col_side = up_[z].flow;
                col_leaving = z;
            }
        if (col_side <= row_side) return {col_leaving, false, col_side};
        return {row_leaving, true, row_side};
    }

    void push(Flow flow) {
        for (const Node x : row_path_) up_[x].flow += x < rows_ ? -flow : flow;
        for (const Node x : col_path_) up_[x].flow += x < rows_ ? flow : -flow;
    }

    /// Cuts the arc above cycle.leaving, which has `inner` below it, and hangs that part from `outer` at `inner`.
    void exchange(Node inner, Node outer, double cost, double reduced, const Cycle& cycle) {
        const Node top = cycle.leaving;
        const std::int32_t edge = up_[top].edge;  // the entering arc takes its number
        const auto down = down_entry(top), up = up_entry(top);
        // On the side of a row that enters u falls by -reduced; on that of a column v does, which raises -v.
        const double shift = inner < rows_ ? reduced : -reduced;
        const int way_down = inner < rows_ ? 1 : 0;
        tour_.exchange(down, up, inner, outer, tour_.entry(edge, way_down), tour_.entry(edge, 1 - way_down), shift);
        // Reverse the path from inner to the top of what moved.
        Node x = inner, parent = outer;
        Flow flow = cycle.flow;
        std::int32_t above = edge;
        for (;;) {
            Up& node = up_[x];
            std::swap(node.flow, flow);
            std::swap(node.edge, above);
            const Node old_parent = node.parent;
            node.parent = parent;
            if (x == top) break;
            parent = x;
            x = old_parent;
        }
        cost_[edge] = cost;
    }

    const Node rows_, root_;
    std::vector<Up> up_;        // by node
    std::vector<double> cost_;  // by edge
    EulerTour tour_;
    std::vector<Node> row_path_, col_path_;  // the ways up from the ends of the entering arc to their join
    std::uint32_t search_ = 0;
};

}  // namespace monge
