// The basis of the network simplex: a spanning tree over sources, sinks and a root, with its flows and potentials.
//
// Nodes are numbered rows first, 0..n-1, then columns, n..n+m-1, then the root n+m. Every tree arc joins a row and a
// column and is stored on its lower end; the flow runs from the row to the column. The root stands for no place at all:
// it holds the tree together where the arcs in use fall into several components. Only rows hang from it, over arcs
// that carry nothing, and such an arc never comes back once it has left.
//
// The tree is strongly feasible (Cunningham 1976, "A network simplex method", Mathematical Programming 11, section 2):
// an arc without flow points towards the root, so its lower end is a row. With the leaving arc of `find_cycle` this
// excludes cycling.
//
// Potentials satisfy u_i + v_j = c_ij on every tree arc. The two vectors are contiguous, for the pricing sweeps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "arcs.hpp"
#include "masses.hpp"

namespace monge {

/// A tree arc of the initial basis.
struct BasicArc {
    Node row, col;  // col as a column index, 0..m-1
    Flow flow;
    double cost;
};

class SpanningTree {
public:
    SpanningTree(std::size_t rows, std::size_t cols)
        : rows_(static_cast<Node>(rows)), root_(static_cast<Node>(rows + cols)), parent_(rows + cols + 1, none),
          first_child_(rows + cols + 1, none), next_(rows + cols + 1, none), previous_(rows + cols + 1, none),
          size_(rows + cols + 1, 1), flow_(rows + cols + 1, 0), cost_(rows + cols + 1, 0.0),
          potential_(rows + cols + 1, 0.0) {}

    /// Builds the tree from a forest of arcs that all carry flow. Every component hangs from the root at a row of its
    /// own, over an arc whose cost makes the potential of that row `row_potential`.
    void build(const std::vector<BasicArc>& forest, const std::vector<double>& row_potential) {
        const std::size_t nodes = parent_.size();
        std::vector<std::size_t> first(nodes + 1, 0);
        for (const BasicArc& arc : forest) {
            ++first[arc.row + 1];
            ++first[rows_ + arc.col + 1];
        }
        for (std::size_t x = 0; x < nodes; ++x) first[x + 1] += first[x];
        std::vector<std::size_t> incident(2 * forest.size()), fill(first.begin(), first.end() - 1);
        for (std::size_t k = 0; k < forest.size(); ++k) {
            incident[fill[forest[k].row]++] = k;
            incident[fill[rows_ + forest[k].col]++] = k;
        }
        std::vector<Node> order;
        order.reserve(nodes);
        for (Node top = 0; top < rows_; ++top) {
            if (parent_[top] != none) continue;
            attach(top, root_, 0, row_potential[top]);
            order.push_back(top);
            for (std::size_t at = order.size() - 1; at < order.size(); ++at) {
                const Node x = order[at];
                for (std::size_t e = first[x]; e < first[x + 1]; ++e) {
                    const BasicArc& arc = forest[incident[e]];
                    const Node y = x < rows_ ? rows_ + arc.col : arc.row;
                    if (y == parent_[x]) continue;
                    attach(y, x, arc.flow, arc.cost);
                    order.push_back(y);
                }
            }
        }
        for (std::size_t at = order.size(); at-- > 0;) size_[parent_[order[at]]] += size_[order[at]];
        recompute_potentials();
    }

    const double* row_potentials() const { return potential_.data(); }
    const double* col_potentials() const { return potential_.data() + rows_; }
    double reduced_cost(Node row, Node col, double cost) const {
        return (cost - potential_[rows_ + col]) - potential_[row];
    }

    /// Brings the arc (row, col) of negative reduced cost into the tree. Returns the flow it takes up.
    Flow pivot(Node row, Node col, double cost) {
        const double reduced = reduced_cost(row, col, cost);
        const Node i = row, j = rows_ + col;
        const Cycle cycle = find_cycle(i, j);
        if (cycle.flow > 0) push(i, j, cycle);
        rehang(i, j, cost, reduced, cycle);
        return cycle.flow;
    }

    /// Potentials from the costs of the tree arcs alone, which clears the rounding that pivots added up. Returns the
    /// largest |cost| on an arc that joins two places.
    double recompute_potentials() {
        double largest = 0.0;
        potential_[root_] = 0.0;
        for_each_below(root_, [&](Node x) {
            if (x == root_) return;
            potential_[x] = cost_[x] - potential_[parent_[x]];
            if (parent_[x] != root_) largest = std::max(largest, std::fabs(cost_[x]));
        });
        return largest;
    }

    /// Gives every tree arc the cost that `cost(row, col)` now has, those to the root none, and sets the potentials anew.
    template <class Cost>
    double reprice(Cost&& cost) {
        for (Node x = 0; x < root_; ++x) {
            const Node row = x < rows_ ? x : parent_[x], col = x < rows_ ? parent_[x] : x;
            cost_[x] = parent_[x] == root_ ? 0.0 : cost(row, static_cast<Node>(col - rows_));
        }
        return recompute_potentials();
    }

    /// Calls visit(row, col, flow, cost) for each arc between places.
    template <class Visit>
    void for_each_arc(Visit&& visit) const {
        for (Node x = 0; x < root_; ++x) {
            const Node p = parent_[x];
            if (p == root_) continue;
            if (x < rows_)
                visit(x, static_cast<Node>(p - rows_), flow_[x], cost_[x]);
            else
                visit(p, static_cast<Node>(x - rows_), flow_[x], cost_[x]);
        }
    }

private:
    static constexpr Node none = -1;

    struct Cycle {
        Node join, leaving;  // the leaving arc is the one above `leaving`
        bool leaves_row_side;
        Flow flow;
    };

    /// Pushing flow over (i, j) takes it from the arcs above rows on i's way up, and above columns on j's. The leaving
    /// arc is the last one that blocks when the cycle is followed from the join through i and j.
    Cycle find_cycle(Node i, Node j) const {
        Flow row_side = std::numeric_limits<Flow>::max(), col_side = row_side;
        Node row_leaving = none, col_leaving = none;
        while (i != j) {
            if (size_[i] < size_[j]) {
                if (i < rows_ && flow_[i] < row_side) {
                    row_side = flow_[i];
                    row_leaving = i;
                }
                i = parent_[i];
            } else {
                if (j >= rows_ && flow_[j] <= col_side) {
                    col_side = flow_[j];
                    col_leaving = j;
                }
                j = parent_[j];
            }
        }
        if (col_side <= row_side) return {i, col_leaving, false, col_side};
        return {i, row_leaving, true, row_side};
    }

    void push(Node i, Node j, const Cycle& cycle) {
        for (Node x = i; x != cycle.join; x = parent_[x]) flow_[x] += x < rows_ ? -cycle.flow : cycle.flow;
        for (Node x = j; x != cycle.join; x = parent_[x]) flow_[x] += x < rows_ ? cycle.flow : -cycle.flow;
    }

    void rehang(Node i, Node j, double cost, double reduced, const Cycle& cycle) {
        const Node inner = cycle.leaves_row_side ? i : j, outer = cycle.leaves_row_side ? j : i;
        const Node top = cycle.leaving, above = parent_[top];
        const std::int32_t moved = size_[top];
        unlink(top);
        for (Node x = above; x != cycle.join; x = parent_[x]) size_[x] -= moved;
        for (Node x = outer; x != cycle.join; x = parent_[x]) size_[x] += moved;

        // The potentials of one side move by the reduced cost, up for the nodes of inner's kind and down for the others.
        // It makes no difference which side: the smaller one moves.
        const bool shift_moved = 2 * static_cast<std::size_t>(moved) <= parent_.size();
        const Node start = shift_moved ? top : root_;
        const bool rows_up = (shift_moved ? inner : outer) < rows_;
        const double row_shift = rows_up ? reduced : -reduced;
        for_each_below(start, [&](Node x) { potential_[x] += x < rows_ ? row_shift : -row_shift; });

        // Reverse the path from inner to the top of what moved.
        Node x = inner, new_parent = outer;
        Flow new_flow = cycle.flow;
        double new_cost = cost;
        std::int32_t below = 0;  // what hung below x on the old path and now lies above it
        for (;;) {
            const Node old_parent = parent_[x];
            const Flow old_flow = flow_[x];
            const double old_cost = cost_[x];
            const std::int32_t old_size = size_[x];
            if (x != top) unlink(x);
            link(x, new_parent);
            flow_[x] = new_flow;
            cost_[x] = new_cost;
            size_[x] = moved - below;
            if (x == top) break;
            below = old_size;
            new_parent = x;
            new_flow = old_flow;
            new_cost = old_cost;
            x = old_parent;
        }
    }

    void attach(Node x, Node parent, Flow flow, double cost) {
        link(x, parent);
        flow_[x] = flow;
        cost_[x] = cost;
    }

    void link(Node x, Node parent) {
        const Node first = first_child_[parent];
        parent_[x] = parent;
        previous_[x] = none;
        next_[x] = first;
        if (first != none) previous_[first] = x;
        first_child_[parent] = x;
    }

    void unlink(Node x) {
        const Node before = previous_[x], after = next_[x];
        if (before == none)
            first_child_[parent_[x]] = after;
        else
            next_[before] = after;
        if (after != none) previous_[after] = before;
    }

    /// Visits the subtree of `top`, parents first.
    template <class Visit>
    void for_each_below(Node top, Visit&& visit) const {
        Node x = top;
        for (;;) {
            visit(x);
            if (first_child_[x] != none) {
                x = first_child_[x];
                continue;
            }
            while (x != top && next_[x] == none) x = parent_[x];
            if (x == top) return;
            x = next_[x];
        }
    }

    const Node rows_, root_;
    std::vector<Node> parent_, first_child_, next_, previous_;
    std::vector<std::int32_t> size_;
    std::vector<Flow> flow_;     // on the arc to the parent
    std::vector<double> cost_;   // of the arc to the parent
    std::vector<double> potential_;
};

}  // namespace monge
