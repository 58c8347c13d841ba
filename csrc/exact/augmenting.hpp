// A start for the sparse simplex: shortest augmenting paths, as long as they are short.
//
// From feasible potentials, each source sends along the path of least reduced cost to a sink that is open, and the
// potentials follow, so that all flow stays on tight arcs (Tomizawa 1971; Jonker & Volgenant 1987, "A shortest
// augmenting path algorithm for dense and sparse linear assignment problems", Computing 38, section 2). On random
// graphs nearly all paths are short and this ends at the optimum: 10^5 places with 30 arcs each take a tenth of the
// time of the simplex, or less. Where neighbours compete over long distances, searches grow without bound, and it is
// the simplex that is fast. So searches are limited, first to few rows, then to more; once half of them come back
// without an end this gives up.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/control.hpp"
#include "exact/arcs.hpp"
#include "exact/masses.hpp"

namespace monge {

constexpr std::size_t first_search = 32, search_growth = 8;  // rows that a search may visit, and growth per round
constexpr std::size_t patience = 200;                        // searches before their failures count
constexpr std::int64_t search_budget = 128;                  // arcs that all may look at, per arc of the problem

/// `Arcs` offers length(i), cols(i), costs(i).
template <class Arcs>
class Augmenting {
public:
    /// u (n,) and v (m,) are feasible, and stay so.
    Augmenting(const Arcs& arcs, std::int64_t entries, const std::vector<Flow>& supply, const std::vector<Flow>& demand,
               std::vector<double>& u, std::vector<double>& v, Monitor& monitor)
        : arcs_(arcs), supply_(supply), demand_(demand), u_(u), v_(v), monitor_(monitor), held_(demand.size()),
          budget_(search_budget * entries), reached_(demand.size(), infinity), from_(demand.size()),
          settled_(demand.size(), 0), start_(supply.size(), infinity), entry_(supply.size()) {}

    /// True once all is sent; false if that would take too long, or the monitor says stop.
    bool run() {
        std::vector<Node> left(supply_.size());
        for (std::size_t i = 0; i < left.size(); ++i) left[i] = static_cast<Node>(i);
        for (std::size_t limit = first_search; !left.empty(); limit *= search_growth) {
            std::vector<Node> stuck;
            for (std::size_t k = 0; k < left.size(); ++k) {
                const Node i = left[k];
                while (supply_[i] > 0 && search(i, limit))
                    if (budget_ < 0 || monitor_.check()) return false;
                if (supply_[i] > 0) stuck.push_back(i);
                if (budget_ < 0 || monitor_.check() || 2 * stuck.size() > k + patience) return false;
            }
            left = std::move(stuck);
        }
        return true;
    }

    /// The arcs that carry flow.
    std::vector<std::pair<Node, Node>> support() const {
        std::vector<std::pair<Node, Node>> arcs;
        for (std::size_t j = 0; j < held_.size(); ++j)
            for (const auto& [row, flow] : held_[j]) arcs.emplace_back(row, static_cast<Node>(j));
        return arcs;
    }

private:
    struct Reach {
        double distance;
        Node col;
        bool operator<(const Reach& other) const {  // of the heap, whose first is the nearest
            return distance > other.distance || (distance == other.distance && col > other.col);
        }
    };

    /// Dijkstra's search from `source`. Sends what the path can take; false if it visited `limit` rows without an end.
    bool search(Node source, std::size_t limit) {
        heap_.clear(), touched_.clear(), visited_.clear();
        visit(source, 0.0, -1);
        double reach = 0.0;
        Node end = -1;
        while (end < 0 && !heap_.empty()) {
            const auto [distance, j] = heap_.front();
            std::pop_heap(heap_.begin(), heap_.end());
            heap_.pop_back();
            if (settled_[j] || distance > reached_[j]) continue;
            reach = distance;
            if (demand_[j] > 0) {
                end = j;
            } else {
                if (visited_.size() >= limit) break;
                settled_[j] = 1;
                for (const auto& [row, flow] : held_[j])
                    if (start_[row] == infinity) visit(row, distance, j);
            }
        }
        if (end < 0 && heap_.empty()) budget_ = -1;  // no path at all: phase one will say whether there is a plan
        // Also without an end: the dual grows by what the source has left, times the reach.
        for (const Node i : visited_) u_[i] += reach - start_[i];
        for (const Node j : touched_)
            if (settled_[j]) v_[j] -= reach - reached_[j];
        if (end >= 0) send(source, end);
        for (const Node i : visited_) start_[i] = infinity;
        for (const Node j : touched_) reached_[j] = infinity, settled_[j] = 0;
        return end >= 0;
    }

    void visit(Node i, double distance, Node by) {
        start_[i] = distance;
        entry_[i] = by;
        visited_.push_back(i);
        budget_ -= static_cast<std::int64_t>(arcs_.length(i));
        for (std::size_t k = 0; k < arcs_.length(i); ++k) {
            const Node j = arcs_.cols(i)[k];
            if (settled_[j]) continue;
            const double through = distance + std::max(0.0, (arcs_.costs(i)[k] - v_[j]) - u_[i]);
            if (through >= reached_[j]) continue;
            if (reached_[j] == infinity) touched_.push_back(j);
            reached_[j] = through;
            from_[j] = i;
            heap_.push_back({through, j});
            std::push_heap(heap_.begin(), heap_.end());
        }
    }

    Flow& held(Node j, Node row) {
        auto& list = held_[j];
        const auto at = std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.first == row; });
        return at != list.end() ? at->second : list.emplace_back(row, 0).second;
    }

    void send(Node source, Node end) {
        Flow flow = std::min(supply_[source], demand_[end]);
        for (Node i = from_[end]; i != source; i = from_[entry_[i]]) flow = std::min(flow, held(entry_[i], i));
        supply_[source] -= flow;
        demand_[end] -= flow;
        for (Node j = end;;) {
            const Node i = from_[j];
            held(j, i) += flow;
            if (i == source) break;
            j = entry_[i];
            auto& list = held_[j];
            const auto at = std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.first == i; });
            at->second -= flow;
            if (at->second == 0) list.erase(at);
        }
    }

    const Arcs& arcs_;
    std::vector<Flow> supply_, demand_;  // what is left of them
    std::vector<double>&u_, &v_;
    Monitor& monitor_;
    std::vector<std::vector<std::pair<Node, Flow>>> held_;  // by column: who sends how much there
    std::int64_t budget_;
    // Of one search: distances of columns, and the row before each; of visited rows, and the column before each.
    std::vector<double> reached_;
    std::vector<Node> from_;
    std::vector<char> settled_;
    std::vector<double> start_;
    std::vector<Node> entry_;
    std::vector<Reach> heap_;
    std::vector<Node> touched_, visited_;
};

}  // namespace monge
