// The primal network simplex for the transport problem, on a spanning tree, candidate lists and sweeps.
//
//   minimise sum_ij P_ij c_ij subject to P 1 = supply, P' 1 = demand, P >= 0
//
// Dantzig 1951, "Application of the simplex method to a transportation problem"; strongly feasible bases after
// Cunningham 1976. Pivots take the worst arc of a row's candidate list, from a queue of the worst rows; when no list
// holds a violator, a sweep over all arcs adds some or certifies the optimum.
#pragma once

#include <vector>

#include "exact/candidate_lists.hpp"
#include "exact/initial_basis.hpp"
#include "exact/list_pricing.hpp"
#include "exact/sweep.hpp"

namespace monge {

// Room in a row's list. Sweeps add at most 24 arcs to a row, and a full list keeps its better half.
constexpr std::size_t list_capacity = 96;

// A plan to start from is close enough if its mass lies on arcs whose reduced cost, at the potentials that come with
// it, is on average at most this share of what it is on listed arcs, and if all but this share of the mass still fits.
// Points that moved by 1 % of the width of their cloud have shares up to 0.3, by 10 % above 0.8; from there a start
// afresh is faster, from an unrelated plan five times.
constexpr double close_cost = 0.5, close_mass = 0.25;

/// What is known before a solve.
struct WarmStart {
    std::vector<double> u, v;
    std::vector<std::pair<Node, Node>> arcs;    // of a plan; may be none
    std::vector<std::pair<Node, Node>> listed;  // to price first; may be none
    bool keep_arcs = false;                     // the plan is feasible, and to start from even if it is not close
};

template <class Arcs>
class NetworkSimplex {
public:
    using Scalar = typename Arcs::Scalar;

    NetworkSimplex(const Arcs& arcs, const std::vector<Flow>& supply, const std::vector<Flow>& demand, Workers& workers,
                   Monitor& monitor, Counters& counters)
        : arcs_(arcs), supply_(supply), demand_(demand), workers_(workers), monitor_(monitor), counters_(counters),
          scratch_(workers.count(), Scratch<Scalar>(arcs.cols())),
          lists_(arcs.rows(), capacity(arcs.cols()), arcs.slack_row() ? arcs.cols() : 0),
          bounds_(arcs.rows(), arcs.cols()), tree_(arcs.rows(), arcs.cols()), pricing_(tree_, monitor, counters),
          u_(arcs.rows(), 0.0), v_(arcs.cols(), 0.0), row_minimum_(arcs.rows()) {}

    /// Estimates of the potentials, from which the start is made, and arcs of a plan that is thought to be close to the
    /// optimum. Without them, or if that plan turns out not to be close, it finds its own. Where arcs are listed, no
    /// lists are made: that takes longer than a sweep.
    void warm_start(const WarmStart& warm) {
        u_ = warm.u;
        v_ = warm.v;
        start_arcs_ = leaves_first(warm.arcs, arcs_.rows(), arcs_.cols());
        for (const auto& [i, j] : warm.listed)
            if (const double c = arcs_.cost(i, j); c < infinity) lists_.add(i, j, c);
        for (std::size_t i = 0; i < arcs_.rows(); ++i)
            if (lists_.length(i) > 0) u_[i] = lists_.least(i, v_.data());
        warm_ = true;
        keep_arcs_ = warm.keep_arcs;
    }

    /// Makes the initial basis. `magnitude`: the largest finite |cost|. `averages`: whether costs may be averaged,
    /// which forbidden arcs rule out.
    void start(double magnitude, bool averages);

    /// Pivots until no arc violates, or the monitor says stop.
    void optimise();

    /// After the costs of the policy have changed: the same basis under the new costs.
    void reprice();

    const SpanningTree& tree() const { return tree_; }

    /// (f, g): the column potentials g of the tree and f_i = min_j c_ij - g_j, dual feasible whatever the pivots did.
    std::pair<std::vector<double>, std::vector<double>> certificate();

    std::int64_t listed() const { return lists_.total(); }

    /// Of the listed arcs, those worth pricing in a similar problem: of long lists, the arcs whose reduced cost is at
    /// most the list's mean. To be called after `certificate`.
    std::vector<std::pair<Node, Node>> promising() const;

private:
    static std::size_t capacity(std::size_t cols) { return std::min(list_capacity, std::max<std::size_t>(cols, 1)); }

    void fill(std::size_t k) {
        fill_lists(arcs_, std::min(k, lists_.capacity()), u_, v_, lists_, bounds_, scratch_, workers_, monitor_);
    }
    bool start_is_close() const;
    void forget();

    const Arcs& arcs_;
    const std::vector<Flow>&supply_, &demand_;
    Workers& workers_;
    Monitor& monitor_;
    Counters& counters_;
    std::vector<Scratch<Scalar>> scratch_;  // one per worker
    CandidateLists lists_;
    StretchBounds bounds_;
    SpanningTree tree_;
    ListPricing pricing_;
    std::vector<double> u_, v_;  // potentials: the estimates of the start, then those of the tree at the last sweep
    std::vector<double> row_minimum_;
    std::vector<std::pair<Node, Node>> start_arcs_;  // of the plan to start from
    bool warm_ = false, keep_arcs_ = false, certified_ = false;
    double tolerance_ = 0.0;
};

template <class Arcs>
void NetworkSimplex<Arcs>::start(double magnitude, bool averages) {
    Stopwatch watch(counters_.seconds_start);
    if (!start_arcs_.empty()) {
        // No polish here: a plan that is close is a better start than what a polish leads to.
        if (lists_.total() == 0) fill(short_list);
        if (!monitor_.stopped() && !keep_arcs_ && !start_is_close()) forget();
    }
    if (!warm_) {
        CoarseProblem coarse;
        if (averages && aggregate(arcs_, magnitude, supply_, demand_, scratch_, workers_, monitor_, coarse)) {
            const std::size_t R = coarse.rows.representative.size(), S = coarse.cols.representative.size();
            MatrixArcs<double> coarse_arcs(coarse.cost.data(), static_cast<std::ptrdiff_t>(S), 1, R, S);
            if (arcs_.slack_row() || arcs_.slack_col())
                coarse_arcs.add_slack(arcs_.slack_row(), arcs_.slack_col(), slack_corner(magnitude));
            Counters counters;
            NetworkSimplex<MatrixArcs<double>> solver(coarse_arcs, coarse.supply, coarse.demand, workers_, monitor_,
                                                      counters);
            solver.start(magnitude, true);
            solver.optimise();
            counters_.coarse_pivots += counters.pivots + counters.coarse_pivots;
            counters_.coarse_sweeps += counters.sweeps + counters.coarse_sweeps;
            prolong(coarse, solver.tree(), v_);
        } else if (!monitor_.stopped()) {
            c_transform(arcs_, u_, v_, scratch_, workers_, monitor_);
            if (arcs_.slack_row() || arcs_.slack_col()) price_slack(arcs_, supply_, demand_, u_, v_);
        }
    }
    if (start_arcs_.empty() && !monitor_.stopped()) {
        const bool polishing = arcs_.rows() >= smallest_polish && magnitude > 0.0;
        fill(polishing ? long_list : short_list);
        if (polishing) {
            polish(lists_, supply_, demand_, magnitude, v_);
            tighten(lists_, short_list, u_, v_);
        }
    }
    tree_.build(greedy(arcs_, supply_, demand_, u_, v_, start_arcs_, lists_, monitor_), u_);
}

template <class Arcs>
std::vector<std::pair<Node, Node>> NetworkSimplex<Arcs>::promising() const {
    std::vector<std::pair<Node, Node>> arcs;
    if (arcs_.slack_row() || arcs_.slack_col()) return arcs;  // partial problems take no start
    arcs.reserve(lists_.total());
    std::vector<double> slack(lists_.capacity());
    for (std::size_t i = 0; i < arcs_.rows(); ++i) {
        double sum = 0.0, finite = 0.0;
        for (std::size_t k = 0; k < lists_.length(i); ++k) {
            slack[k] = (lists_.costs(i)[k] - v_[lists_.cols(i)[k]]) - row_minimum_[i];
            if (slack[k] == infinity) continue;
            sum += slack[k];
            finite += 1.0;
        }
        for (std::size_t k = 0; k < lists_.length(i); ++k)
            if (slack[k] < infinity && (lists_.length(i) <= short_list || slack[k] * finite <= sum))
                arcs.emplace_back(static_cast<Node>(i), lists_.cols(i)[k]);
    }
    return arcs;
}

template <class Arcs>
bool NetworkSimplex<Arcs>::start_is_close() const {
    std::vector<Flow> supply = supply_, demand = demand_;
    double total = 0.0, carried = 0.0, excess = 0.0, slack = 0.0;
    for (const Flow units : supply) total += static_cast<double>(units);
    for (const auto& [i, j] : start_arcs_) {
        const double reduced = (arcs_.cost(i, j) - v_[j]) - u_[i];
        const Flow flow = std::min(supply[i], demand[j]);
        if (flow == 0 || reduced == infinity) continue;
        supply[i] -= flow;
        demand[j] -= flow;
        const double share = static_cast<double>(flow) / total;
        carried += share;
        excess += share * reduced;
    }
    for (std::size_t i = 0; i < arcs_.rows(); ++i)
        for (std::size_t k = 0; k < lists_.length(i); ++k)
            slack += (lists_.costs(i)[k] - v_[lists_.cols(i)[k]]) - u_[i];
    return carried >= 1.0 - close_mass && excess * static_cast<double>(lists_.total()) <= close_cost * carried * slack;
}

/// Back to where there is no start.
template <class Arcs>
void NetworkSimplex<Arcs>::forget() {
    warm_ = false;
    start_arcs_.clear();
    std::fill(u_.begin(), u_.end(), 0.0);
    std::fill(v_.begin(), v_.end(), 0.0);
    for (std::size_t i = 0; i < arcs_.rows(); ++i) lists_.clear(i);
}

template <class Arcs>
void NetworkSimplex<Arcs>::optimise() {
    tolerance_ = entering_tolerance * tree_.recompute_potentials();
    while (!monitor_.check()) {
        {
            Stopwatch watch(counters_.seconds_pivots);
            while (!monitor_.stopped() && pricing_.pivot(lists_, tolerance_)) {
            }
            tolerance_ = entering_tolerance * tree_.recompute_potentials();
        }
        if (monitor_.stopped()) return;
        Stopwatch watch(counters_.seconds_sweeps);
        tree_.read_potentials(u_, v_);
        const SweepResult result = sweep(arcs_, u_.data(), v_.data(), tolerance_, lists_, bounds_, row_minimum_.data(),
                                         scratch_, workers_, monitor_);
        if (monitor_.stopped()) return;
        ++counters_.sweeps;
        counters_.arcs_priced += result.read;
        ++monitor_.progress.sweeps;
        monitor_.progress.violation = result.worst;
        if (result.violators == 0) {
            certified_ = true;
            return;
        }
    }
}

template <class Arcs>
void NetworkSimplex<Arcs>::reprice() {
    certified_ = false;
    bounds_.clear();
    auto cost = [this](Node i, Node j) { return arcs_.cost(i, j); };
    for (std::size_t i = 0; i < arcs_.rows(); ++i) {
        for (std::size_t k = 0; k < lists_.length(i); ++k)
            lists_.costs(i)[k] = cost(static_cast<Node>(i), lists_.cols(i)[k]);
    }
    // A forbidden arc may stay in the tree, without flow: any finite cost serves.
    tree_.reprice([&](Node i, Node j) {
        const double c = cost(i, j);
        return std::isinf(c) ? 0.0 : c;
    });
}

template <class Arcs>
std::pair<std::vector<double>, std::vector<double>> NetworkSimplex<Arcs>::certificate() {
    if (!certified_) {
        const auto& kernels = row_kernels<Scalar>();
        tree_.read_potentials(u_, v_);
        const std::size_t m = arcs_.cols(), block = rows_per_chunk(m);
        workers_.run((arcs_.rows() + block - 1) / block, [&](std::size_t chunk, int worker) {
            for (std::size_t i = chunk * block; i < std::min(arcs_.rows(), (chunk + 1) * block); ++i)
                row_minimum_[i] = kernels.minimum(arcs_.row(i, scratch_[worker].row.data()), v_.data(), m);
        });
        certified_ = true;
    }
    return {row_minimum_, v_};
}

}  // namespace monge
