// The network simplex of network_simplex.hpp where the lists hold all arcs there are: no sweeps, and a pass
// over the lists that finds no violator is the certificate.
//
// The start need not find a plan: what it cannot place goes from its source to a column of slack and from a row of
// slack to its sink, each at a price. Whether the slack can be emptied is a question of its own, decided in integers by
// a simplex on costs 0 and 1 once a first price did not do it (phase one, Dantzig 1951); if it can, the price is raised
// until it does. So the price, and with it the rounding of the potentials, stays near what the problem itself asks for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "common/control.hpp"
#include "common/sorting.hpp"
#include "exact/augmenting.hpp"
#include "exact/initial_basis.hpp"
#include "exact/list_pricing.hpp"
#include "exact/masses.hpp"
#include "exact/spanning_tree.hpp"
#include "exact/sparse_arcs.hpp"

namespace monge {

constexpr double first_price = 4.0;  // of an arc of slack, over the largest |cost|
constexpr double price_growth = 8.0;

class SparseSimplex {
public:
    /// `start`: column potentials to start from, or empty.
    SparseSimplex(const SparseArcs& arcs, const Masses& masses, double magnitude, const std::vector<double>& start,
                  Monitor& monitor, Counters& counters)
        : arcs_(arcs), n_(masses.supply.size()), m_(masses.demand.size()), supply_(masses.supply),
          demand_(masses.demand), price_(magnitude > 0.0 ? first_price * magnitude : 1.0), monitor_(monitor),
          counters_(counters), tree_(n_ + 1, m_ + 1), u_(n_ + 1, 0.0), v_(m_ + 1, 0.0) {
        Stopwatch watch(counters_.seconds_start);
        estimate(magnitude, start);
        if (cut_off()) return;
        // Not carried to the end, its potentials are no better than those it began with (15 % more pivots).
        std::vector<double> u(u_), v(v_);
        Augmenting<SparseArcs> augmenting(arcs, arcs.entries(), supply_, demand_, u, v, monitor);
        const bool all = augmenting.run();
        if (all) u_ = std::move(u), v_ = std::move(v);
        build(all ? leaves_first(augmenting.support(), n_, m_) : std::vector<std::pair<Node, Node>>());
    }

    /// Solves; on optimal the slack is empty. Flow of up to `droppable` units that phase one leaves on slack goes to
    /// `stranded`, in place of a solution.
    Status run(SparseArcs& arcs, Flow droppable, std::vector<BasicArc>& stranded) {
        if (cut_off()) {
            const Flow left = strand(stranded);
            return left > droppable ? stranded.clear(), Status::infeasible : Status::optimal;
        }
        for (bool known = false;;) {
            optimise(tree_);
            if (slack(tree_) == 0) return monitor_.reason();
            if (!known && !monitor_.stopped()) {
                const Flow left = phase_one(arcs, stranded);
                known = left == 0;
                if (!known && left <= droppable && !monitor_.stopped()) return Status::optimal;
                stranded.clear();
                if (!known && !monitor_.stopped()) return Status::infeasible;
            }
            if (monitor_.stopped())
                return monitor_.reason() == Status::time_limit ? Status::no_plan_yet : monitor_.reason();
            price_ *= price_growth;
            tree_.revise(
                [this](Node i, Node j, double cost) { return is_slack(i, j) ? slack_cost(i, j, price_) : cost; });
        }
    }

    /// The plan, the column potentials v of the tree and u_i = min_j c_ij - v_j. Returns the gap, in units of flow: a
    /// sum of terms that are not negative, so that nothing cancels in it.
    double certificate(std::vector<double>& u, std::vector<double>& v, std::vector<BasicArc>& plan) {
        tree_.read_potentials(u_, v_);
        v.assign(v_.begin(), v_.begin() + m_);
        u.assign(n_, infinity);
        for (std::size_t i = 0; i < n_; ++i)
            for (std::size_t k = 0; k < arcs_.length(i); ++k)
                u[i] = std::min(u[i], arcs_.costs(i)[k] - v[arcs_.cols(i)[k]]);
        tree_.for_each_arc([&](Node i, Node j, Flow flow, double cost) {
            if (flow > 0 && !is_slack(i, j)) plan.push_back({i, j, flow, cost});
        });
        double gap = 0.0;
        for (const BasicArc& arc : plan)
            gap += static_cast<double>(arc.flow) * std::max(0.0, (arc.cost - v[arc.col]) - u[arc.row]);
        return gap;
    }

private:
    bool is_slack(Node i, Node j) const {
        return static_cast<std::size_t>(i) == n_ || static_cast<std::size_t>(j) == m_;
    }
    double slack_cost(Node i, Node j, double price) const {
        return static_cast<std::size_t>(i) == n_ && static_cast<std::size_t>(j) == m_ ? 0.0 : price;
    }

    /// u_i = min_j c_ij - v_j, then v_j = min_i c_ij - u_i.
    void c_transform() {
        std::fill(u_.begin(), u_.end(), infinity);
        for (std::size_t i = 0; i < n_; ++i)
            for (std::size_t k = 0; k < arcs_.length(i); ++k)
                u_[i] = std::min(u_[i], arcs_.costs(i)[k] - v_[arcs_.cols(i)[k]]);
        std::fill(v_.begin(), v_.end(), infinity);
        for (std::size_t i = 0; i < n_; ++i)
            for (std::size_t k = 0; k < arcs_.length(i); ++k) {
                double& v = v_[arcs_.cols(i)[k]];
                v = std::min(v, arcs_.costs(i)[k] - u_[i]);
            }
        u_[n_] = v_[m_] = 0.0;
    }

    /// Whether a place has no arc. Its potential is infinite.
    bool cut_off() const {
        auto has = [](const std::vector<double>& potential) {
            return std::find(potential.begin(), potential.end(), infinity) != potential.end();
        };
        return has(u_) || has(v_);
    }

    /// The mass of places without arcs, and as much of the largest place of the other side.
    Flow strand(std::vector<BasicArc>& stranded) const {
        const Node d = static_cast<Node>(n_), D = static_cast<Node>(m_);
        auto largest = [](const std::vector<Flow>& side) {
            return static_cast<Node>(std::max_element(side.begin(), side.end()) - side.begin());
        };
        const Node row = largest(supply_), col = largest(demand_);
        Flow left = 0;
        auto add = [&](Node i, Node j, Flow flow) {
            stranded.push_back({i, D, flow, infinity});
            stranded.push_back({d, j, flow, infinity});
            left += flow;
        };
        for (Node i = 0; i < d; ++i)
            if (u_[i] == infinity) add(i, col, supply_[i]);
        for (Node j = 0; j < D; ++j)
            if (v_[j] == infinity) add(row, j, demand_[j]);
        return left;
    }

    void estimate(double magnitude, const std::vector<double>& start) {
        std::copy(start.begin(), start.end(), v_.begin());
        c_transform();
        if (!start.empty() || cut_off() || magnitude == 0.0 || n_ < smallest_polish) return;
        if (polish(arcs_, supply_, demand_, magnitude, v_)) c_transform();
    }

    /// The arcs of `first` first, then all others by increasing reduced cost; each takes what its ends can still send
    /// and receive. What is left goes to slack.
    void build(const std::vector<std::pair<Node, Node>>& first) {
        std::vector<double> reduced;
        std::vector<Node> row;
        for (std::size_t i = 0; i < n_; ++i)
            for (std::size_t k = 0; k < arcs_.length(i); ++k) {
                reduced.push_back((arcs_.costs(i)[k] - v_[arcs_.cols(i)[k]]) - u_[i]);
                row.push_back(static_cast<Node>(i));
            }
        std::vector<double> sorted(reduced.size());
        Sorting sorting(reduced.size());
        sorting.sort(reduced.data(), sorted.data(), [] { return false; });
        Shipping shipping{supply_, demand_, {}};
        for (const auto& [i, j] : first) shipping.send(i, j, arcs_.cost(i, j));
        const Node* col = arcs_.cols(0);
        const double* cost = arcs_.costs(0);
        for (const auto k : sorting.take_order()) shipping.send(row[k], col[k], cost[k]);
        const Node d = static_cast<Node>(n_), D = static_cast<Node>(m_);
        for (Node i = 0; i < d; ++i)
            if (shipping.supply[i] > 0) shipping.forest.push_back({i, D, shipping.supply[i], price_});
        for (Node j = 0; j < D; ++j)
            if (shipping.demand[j] > 0) shipping.forest.push_back({d, j, shipping.demand[j], price_});
        // One unit more than is left over keeps the arc from slack to slack in the tree, where its flow grows.
        shipping.forest.push_back({d, D, 1, 0.0});
        tree_.build(shipping.forest, u_);
    }

    void optimise(SpanningTree& tree) {
        Stopwatch watch(counters_.seconds_pivots);
        ListPricing pricing(tree, monitor_, counters_);
        double tolerance = entering_tolerance * tree.recompute_potentials();
        while (!monitor_.check() && pricing.pivot(arcs_, tolerance)) {
            while (pricing.pivot(arcs_, tolerance) && !monitor_.stopped()) {
            }
            // Potentials anew; then another pass has to find nothing.
            tolerance = entering_tolerance * tree.recompute_potentials();
            ++counters_.sweeps;
        }
    }

    /// The flow from places to slack, which is that from slack to places.
    Flow slack(const SpanningTree& tree) const {
        Flow found = 0;
        tree.for_each_arc([&](Node i, Node j, Flow flow, double) {
            if (static_cast<std::size_t>(j) == m_ && static_cast<std::size_t>(i) != n_) found += flow;
        });
        return found;
    }

    /// On a copy of the basis: the least flow that goes over slack, and over which arcs.
    Flow phase_one(SparseArcs& arcs, std::vector<BasicArc>& stranded) {
        SpanningTree tree(tree_);
        tree.reprice([this](Node i, Node j) { return is_slack(i, j) ? slack_cost(i, j, 1.0) : 0.0; });
        arcs.free_of_charge(true);
        optimise(tree);
        arcs.free_of_charge(false);
        tree.for_each_arc([&](Node i, Node j, Flow flow, double cost) {
            if (flow > 0 && is_slack(i, j) && slack_cost(i, j, 1.0) > 0.0) stranded.push_back({i, j, flow, cost});
        });
        return slack(tree);
    }

    const SparseArcs& arcs_;
    const std::size_t n_, m_;
    const std::vector<Flow>&supply_, &demand_;
    double price_;
    Monitor& monitor_;
    Counters& counters_;
    SpanningTree tree_;
    std::vector<double> u_, v_;  // slack last
};

}  // namespace monge
