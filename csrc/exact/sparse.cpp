// See sparse.hpp. The network simplex of network_simplex.hpp where the lists hold all arcs there are: no sweeps, and a pass
// over the lists that finds no violator is the certificate.
//
// The start need not find a plan: what it cannot place goes from its source to a column of slack and from a row of slack to
// its sink, each at a price. Whether the slack can be emptied is a question of its own, decided in integers by a simplex on
// costs 0 and 1 once a first price did not do it (phase one, Dantzig 1951); if it can, the price is raised until it does. So
// the price, and with it the rounding of the potentials, stays near what the problem itself asks for.
#include "exact/sparse.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "exact/augmenting.hpp"
#include "exact/initial_basis.hpp"
#include "exact/list_pricing.hpp"
#include "exact/masses.hpp"
#include "exact/network_simplex.hpp"
#include "exact/with_mass.hpp"
#include "exact/refinement.hpp"
#include "common/sorting.hpp"
#include "exact/spanning_tree.hpp"

namespace monge {
namespace {

constexpr std::size_t segment_length = 64;  // arcs of a row that are priced together
constexpr double first_price = 4.0;         // of an arc of slack, over the largest |cost|
constexpr double price_growth = 8.0;
constexpr double widest_estimate = 16.0;    // spread of the potentials to start from, over the largest |cost|

/// The arcs between places with mass.
class SparseArcs {
public:
    SparseArcs(const SparseProblem& problem, const std::vector<Node>& row_map, const std::vector<Node>& col_map)
        : rows_(row_map.empty() ? problem.n : row_map.size()), begin_(problem.begin), col_(problem.col), cost_(problem.cost),
          zeros_(segment_length, 0.0) {
        if (!row_map.empty() || !col_map.empty()) select(problem, row_map, col_map);
        for (std::size_t i = 0; i < rows_; ++i)
            for (std::int64_t k = begin_[i]; k < begin_[i + 1]; k += segment_length)
                parts_.push_back({k, std::min<std::int64_t>(begin_[i + 1], k + segment_length), static_cast<Node>(i)});
    }
    /// The same arcs at their costs less potentials, as ReducedArcs has them.
    SparseArcs(const SparseArcs& base, const std::vector<double>& p, const std::vector<double>& q)
        : rows_(base.rows_), begin_(base.begin_), col_(base.col_), parts_(base.parts_), zeros_(base.zeros_) {
        own_cost_.resize(static_cast<std::size_t>(entries()));
        for (std::size_t i = 0; i < rows_; ++i)
            for (std::int64_t k = begin_[i]; k < begin_[i + 1]; ++k)
                own_cost_[k] = ReducedArcs::reduced(base.cost_[k], p[i], q[col_[k]]);
        cost_ = own_cost_.data();
    }
    SparseArcs(const SparseArcs&) = delete;
    SparseArcs& operator=(const SparseArcs&) = delete;

    std::size_t length(std::size_t i) const { return static_cast<std::size_t>(begin_[i + 1] - begin_[i]); }
    const Node* cols(std::size_t i) const { return col_ + begin_[i]; }
    const double* costs(std::size_t i) const { return cost_ + begin_[i]; }

    std::int64_t entries() const { return begin_[rows_]; }
    double least(std::size_t i) const {
        double low = infinity;
        for (std::size_t k = 0; k < length(i); ++k)
            if (costs(i)[k] != 0.0) low = std::min(low, std::fabs(costs(i)[k]));
        return low;
    }
    /// Of an arc that exists.
    double cost(Node i, Node j) const { return costs(i)[std::lower_bound(cols(i), cols(i) + length(i), j) - cols(i)]; }

    /// For phase one: while true, segments say that all arcs cost nothing.
    void free_of_charge(bool free) { free_ = free; }
    std::size_t segments() const { return parts_.size(); }
    Segment segment(std::size_t s) const {
        const Part& part = parts_[s];
        return {part.row, static_cast<std::size_t>(part.end - part.begin), col_ + part.begin, free_ ? zeros_.data() : cost_ + part.begin};
    }

private:
    struct Part {
        std::int64_t begin, end;
        Node row;
    };

    void select(const SparseProblem& problem, const std::vector<Node>& row_map, const std::vector<Node>& col_map) {
        std::vector<Node> place(problem.m, -1);
        const std::size_t n = row_map.empty() ? problem.n : row_map.size(), m = col_map.empty() ? problem.m : col_map.size();
        for (std::size_t k = 0; k < m; ++k) place[col_map.empty() ? k : col_map[k]] = static_cast<Node>(k);
        own_begin_.push_back(0);
        for (std::size_t k = 0; k < n; ++k) {
            const std::size_t i = row_map.empty() ? k : row_map[k];
            for (std::int64_t e = problem.begin[i]; e < problem.begin[i + 1]; ++e)
                if (place[problem.col[e]] >= 0) {
                    own_col_.push_back(place[problem.col[e]]);
                    own_cost_.push_back(problem.cost[e]);
                }
            own_begin_.push_back(static_cast<std::int64_t>(own_col_.size()));
        }
        begin_ = own_begin_.data(), col_ = own_col_.data(), cost_ = own_cost_.data();
    }

    const std::size_t rows_;
    const std::int64_t* begin_;
    const Node* col_;
    const double* cost_;
    std::vector<std::int64_t> own_begin_;
    std::vector<Node> own_col_;
    std::vector<double> own_cost_;
    std::vector<Part> parts_;
    std::vector<double> zeros_;
    bool free_ = false;
};

class SparseSimplex {
public:
    /// `near`: column potentials to start from, or empty.
    SparseSimplex(const SparseArcs& arcs, const Masses& masses, double magnitude, const std::vector<double>& near,
                  Monitor& monitor, Counters& counters)
        : arcs_(arcs), n_(masses.supply.size()), m_(masses.demand.size()), supply_(masses.supply), demand_(masses.demand),
          price_(magnitude > 0.0 ? first_price * magnitude : 1.0), monitor_(monitor), counters_(counters),
          tree_(n_ + 1, m_ + 1), u_(n_ + 1, 0.0), v_(m_ + 1, 0.0) {
        Stopwatch watch(counters_.seconds_start);
        estimate(magnitude, near);
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
            if (monitor_.stopped()) return monitor_.reason() == Status::time_limit ? Status::no_plan_yet : monitor_.reason();
            price_ *= price_growth;
            tree_.revise([this](Node i, Node j, double cost) { return is_slack(i, j) ? slack_cost(i, j, price_) : cost; });
        }
    }

    /// The plan, the column potentials v of the tree and u_i = min_j c_ij - v_j. Returns the gap, in units of flow: a sum of
    /// terms that are not negative, so that nothing cancels in it.
    double certificate(std::vector<double>& u, std::vector<double>& v, std::vector<BasicArc>& plan) {
        tree_.read_potentials(u_, v_);
        v.assign(v_.begin(), v_.begin() + m_);
        u.assign(n_, infinity);
        for (std::size_t i = 0; i < n_; ++i)
            for (std::size_t k = 0; k < arcs_.length(i); ++k) u[i] = std::min(u[i], arcs_.costs(i)[k] - v[arcs_.cols(i)[k]]);
        tree_.for_each_arc([&](Node i, Node j, Flow flow, double cost) {
            if (flow > 0 && !is_slack(i, j)) plan.push_back({i, j, flow, cost});
        });
        double gap = 0.0;
        for (const BasicArc& arc : plan) gap += static_cast<double>(arc.flow) * std::max(0.0, (arc.cost - v[arc.col]) - u[arc.row]);
        return gap;
    }

private:
    bool is_slack(Node i, Node j) const { return static_cast<std::size_t>(i) == n_ || static_cast<std::size_t>(j) == m_; }
    double slack_cost(Node i, Node j, double price) const {
        return static_cast<std::size_t>(i) == n_ && static_cast<std::size_t>(j) == m_ ? 0.0 : price;
    }

    /// u_i = min_j c_ij - v_j, then v_j = min_i c_ij - u_i.
    void c_transform() {
        std::fill(u_.begin(), u_.end(), infinity);
        for (std::size_t i = 0; i < n_; ++i)
            for (std::size_t k = 0; k < arcs_.length(i); ++k) u_[i] = std::min(u_[i], arcs_.costs(i)[k] - v_[arcs_.cols(i)[k]]);
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

    void estimate(double magnitude, const std::vector<double>& near) {
        std::copy(near.begin(), near.end(), v_.begin());
        c_transform();
        if (!near.empty() || cut_off() || magnitude == 0.0 || n_ < smallest_polish) return;
        if (polish(arcs_, supply_, demand_, magnitude, v_)) c_transform();
    }

    /// The arcs of `first` first, then all others by increasing reduced cost; each takes what its ends can still send and
    /// receive. What is left goes to slack.
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

/// Spreads potentials of the places with mass over all places; the others take the largest that is feasible, first the
/// columns, then the rows, or zero where there is no arc.
void extend(const SparseProblem& problem, const std::vector<Node>& row_map, const std::vector<Node>& col_map,
            std::vector<double>& u, std::vector<double>& v) {
    auto spread = [](const std::vector<Node>& map, std::vector<double>& potential, std::size_t size) {
        if (map.empty()) return;
        std::vector<double> all(size, infinity);
        for (std::size_t k = 0; k < map.size(); ++k) all[map[k]] = potential[k];
        potential = std::move(all);
    };
    spread(row_map, u, problem.n);
    spread(col_map, v, problem.m);
    std::vector<double> least(problem.m, infinity);
    for (std::size_t i = 0; i < problem.n; ++i)
        for (std::int64_t k = problem.begin[i]; k < problem.begin[i + 1] && u[i] < infinity; ++k)
            least[problem.col[k]] = std::min(least[problem.col[k]], problem.cost[k] - u[i]);
    for (std::size_t j = 0; j < problem.m; ++j)
        if (v[j] == infinity) v[j] = least[j] < infinity ? least[j] : 0.0;
    for (std::size_t i = 0; i < problem.n; ++i) {
        if (u[i] < infinity) continue;
        for (std::int64_t k = problem.begin[i]; k < problem.begin[i + 1]; ++k)
            u[i] = std::min(u[i], problem.cost[k] - v[problem.col[k]]);
        if (u[i] == infinity) u[i] = 0.0;
    }
}

/// Solves once more for what the potentials found leave of the costs.
Distance refine(const SparseArcs& arcs, const Masses& masses, const Distance& before, Monitor& monitor, Solution& solution,
                std::vector<BasicArc>& plan) {
    SparseArcs reduced(arcs, solution.f, solution.g);
    // The price of slack starts where the plan's costs are now, and grows.
    double magnitude = 0.0;
    for (const BasicArc& arc : plan) {
        const double left = ReducedArcs::reduced(arc.cost, solution.f[arc.row], solution.g[arc.col]);
        magnitude = std::max(magnitude, std::fabs(left));
    }
    SparseSimplex simplex(reduced, masses, magnitude, std::vector<double>(masses.demand.size(), 0.0), monitor, solution.counters);
    std::vector<BasicArc> finer, stranded;
    ++solution.counters.refinements;
    const Status status = simplex.run(reduced, 0, stranded);
    if (!has_plan(status)) {  // stopped before it had a plan of its own
        solution.status = status == Status::no_plan_yet ? Status::time_limit : status;
        return before;
    }
    solution.status = status;
    std::vector<double> u, v;
    const double gap = simplex.certificate(u, v, finer);
    const Distance left = distance(finer, u, v, gap);
    for (std::size_t i = 0; i < u.size(); ++i) solution.f[i] += u[i];
    for (std::size_t j = 0; j < v.size(); ++j) solution.g[j] += v[j];
    for (std::size_t i = 0; i < u.size(); ++i)  // sums of potentials are rounded: feasible once more
        for (std::size_t k = 0; k < arcs.length(i); ++k)
            solution.f[i] = std::min(solution.f[i], arcs.costs(i)[k] - solution.g[arcs.cols(i)[k]]);
    for (BasicArc& arc : finer) arc.cost = arcs.cost(arc.row, arc.col);
    plan = std::move(finer);
    return left;
}

void solve_sparse(const SparseProblem& problem, const Options& options, Solution& solution) {
    Monitor monitor(options);
    Masses masses = integer_masses(problem.a, problem.n, problem.b, problem.m);
    double magnitude = 0.0;
    for (std::int64_t k = 0; k < problem.begin[problem.n]; ++k) magnitude = std::max(magnitude, std::fabs(problem.cost[k]));
    solution.counters.listed_arcs = problem.begin[problem.n];
    std::vector<Node> row_map, col_map;
    std::vector<BasicArc> plan;
    for (std::vector<BasicArc> stranded;; stranded.clear()) {
        Masses inner = masses;
        row_map = with_mass(inner.supply), col_map = with_mass(inner.demand);
        SparseArcs arcs(problem, row_map, col_map);
        std::vector<double> near;
        for (std::size_t k = 0; k < inner.demand.size() && problem.g != nullptr; ++k)
            near.push_back(problem.g[col_map.empty() ? k : col_map[k]]);
        // Estimates that spread much further than the costs would drown these.
        const double top = near.empty() ? 0.0 : *std::max_element(near.begin(), near.end());
        for (double& x : near) x = std::max(x - top, -widest_estimate * magnitude);
        SparseSimplex simplex(arcs, inner, magnitude, near, monitor, solution.counters);
        const Flow unimportant = droppable(inner, problem.rounding);
        solution.status = simplex.run(arcs, unimportant, stranded);
        if (stranded.empty()) {
            if (!has_plan(solution.status)) return;
            const double gap = simplex.certificate(solution.f, solution.g, plan);
            Distance left = distance(plan, solution.f, solution.g, gap);
            auto least = [&](std::size_t i) { return arcs.least(i); };
            for (int k = 0; solution.status == Status::optimal && hides_differences(plan, left, least); ++k) {
                if (k == most_refinements) {
                    if (!is_rounding(plan, left.gap)) solution.status = Status::inexact;
                    break;
                }
                left = refine(arcs, inner, left, monitor, solution, plan);
            }
            solution.gap = left.gap;
            break;
        }
        // Once more, without the mass that rounding leaves no way.
        for (const BasicArc& arc : stranded) {
            const bool row = static_cast<std::size_t>(arc.row) < inner.supply.size();
            if (row)
                masses.supply[row_map.empty() ? arc.row : row_map[arc.row]] -= arc.flow;
            else
                masses.demand[col_map.empty() ? arc.col : col_map[arc.col]] -= arc.flow;
            if (row) solution.counters.dropped += static_cast<double>(arc.flow) / masses.per_mass;
        }
    }
    if (!has_plan(solution.status)) return;
    solution.gap /= masses.per_mass;
    write_plan(plan, row_map, col_map, false, masses.per_mass, solution);
    extend(problem, row_map, col_map, solution.f, solution.g);
    solution.counters.seconds_total = monitor.seconds();
}

}  // namespace

Solution solve(const SparseProblem& problem, const Options& options) {
    Solution solution;
    try {
        solve_sparse(problem, options, solution);
    } catch (const std::bad_alloc&) {
        solution = Solution{};
        solution.status = Status::out_of_memory;
    }
    return solution;
}

}  // namespace monge
