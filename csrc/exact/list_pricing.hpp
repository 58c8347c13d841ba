// Pivots on the arcs of lists: the worst arc of a list, from a queue of the worst lists.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/control.hpp"
#include "exact/list_kernels.hpp"
#include "exact/spanning_tree.hpp"

namespace monge {

// Lists that are priced before the worst of them pivots. Each is priced again just before its turn.
constexpr std::size_t queue_length = 128;

/// A list, or a part of one: arcs of one row.
struct Segment {
    Node row;
    std::size_t length;
    const Node* cols;
    const double* costs;
};

/// `Lists` offers segments() and segment(s), for s below segments().
class ListPricing {
public:
    ListPricing(SpanningTree& tree, Monitor& monitor, Counters& counters)
        : tree_(tree), monitor_(monitor), counters_(counters) {}

    /// Prices lists in turn until the queue is full or all were seen; then pivots on the queue, worst first. False if
    /// no list had an arc of reduced cost below -tolerance. An arc that enters raises the tolerance to what its cost
    /// asks for: its digits are in all potentials from then on, and without that large costs cycled.
    template <class Lists>
    bool pivot(const Lists& lists, double& tolerance) {
        struct Candidate {
            double reduced;
            Node segment;
        };
        const std::size_t n = lists.segments();
        Candidate queue[queue_length];
        std::size_t queued = 0;
        // No potential changes while the queue fills: read once, they cost half as much per arc as out of the tour.
        tree_.read_col_values(col_values_);
        for (std::size_t seen = 0; seen < n && queued < queue_length; ++seen) {
            const Node s = static_cast<Node>(cursor_);
            cursor_ = cursor_ + 1 == n ? 0 : cursor_ + 1;
            const Segment list = lists.segment(s);
            counters_.arcs_priced += static_cast<std::int64_t>(list.length);
            const double reduced = list_kernels().least(list.cols, list.costs, list.length, col_values_.data()) -
                                   tree_.row_potential(list.row);
            if (reduced < -tolerance) queue[queued++] = {reduced, s};
            if ((seen & 8191) == 8191 && monitor_.check()) return false;
        }
        if (queued == 0) return false;
        std::sort(queue, queue + queued, [](const Candidate& x, const Candidate& y) {
            return x.reduced < y.reduced || (x.reduced == y.reduced && x.segment < y.segment);
        });
        for (std::size_t q = 0; q < queued; ++q) {
            const Segment list = lists.segment(queue[q].segment);
            std::size_t position;
            if (!price(list, tolerance, position)) continue;
            const Flow moved = tree_.pivot(list.row, list.cols[position], list.costs[position]);
            tolerance = std::max(tolerance, entering_tolerance * std::fabs(list.costs[position]));
            ++counters_.pivots;
            counters_.degenerate_pivots += moved == 0;
            ++monitor_.progress.pivots;
            if ((counters_.pivots & 15) == 0 && monitor_.check()) break;
        }
        return true;
    }

private:
    bool price(const Segment& list, double tolerance, std::size_t& position) const {
        counters_.arcs_priced += static_cast<std::int64_t>(list.length);
        double value;
        position = list_kernels().cheapest(list.cols, list.costs, list.length, tree_.col_values(), tree_.col_blocks(),
                                           tree_.block_adds(), &value);
        return value - tree_.row_potential(list.row) < -tolerance;
    }

    SpanningTree& tree_;
    Monitor& monitor_;
    Counters& counters_;
    std::vector<double> col_values_;  // -v of the tree, while the queue fills
    std::size_t cursor_ = 0;
};

}  // namespace monge
