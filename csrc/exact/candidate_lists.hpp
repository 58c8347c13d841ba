// Candidate arcs: a short list per row, which most pivots need not look beyond.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "exact/arcs.hpp"
#include "exact/list_pricing.hpp"
#include "exact/row_kernels.hpp"
#include "exact/row_passes.hpp"

namespace monge {

/// A list of candidate arcs per row, with their costs.
///
/// A row of slack, the last, may be joined to half of the columns or more: its list holds all of its arcs. For pricing
/// it comes in segments, or a pass over all rows would find but one of its violators.
class CandidateLists {
public:
    CandidateLists() = default;
    /// `slack_arcs`: how many arcs the row of slack has, zero if there is none.
    CandidateLists(std::size_t rows, std::size_t capacity, std::size_t slack_arcs = 0)
        : capacity_(capacity), slack_(slack_arcs > 0 ? rows - 1 : rows), slack_arcs_(slack_arcs), length_(rows, 0),
          col_(slack_ * capacity + slack_arcs), cost_(col_.size()) {}

    std::size_t segments() const { return slack_ + (slack_arcs_ + capacity_ - 1) / capacity_; }
    Segment segment(std::size_t s) const {
        const std::size_t i = std::min(s, slack_), begin = (s - i) * capacity_;
        const std::size_t length =
            i < slack_ ? length_[i] : std::min(capacity_, length_[i] - std::min<std::size_t>(begin, length_[i]));
        return {static_cast<Node>(i), length, cols(i) + begin, costs(i) + begin};
    }

    std::size_t capacity() const { return capacity_; }
    std::size_t length(std::size_t i) const { return length_[i]; }
    const Node* cols(std::size_t i) const { return col_.data() + i * capacity_; }
    const double* costs(std::size_t i) const { return cost_.data() + i * capacity_; }
    double* costs(std::size_t i) { return cost_.data() + i * capacity_; }

    std::int64_t total() const {
        std::int64_t sum = 0;
        for (auto length : length_) sum += length;
        return sum;
    }

    bool contains(std::size_t i, Node j) const {
        return i == slack_ || std::find(cols(i), cols(i) + length_[i], j) != cols(i) + length_[i];
    }

    void clear(std::size_t i) { length_[i] = 0; }

    /// The least cost - v.
    double least(std::size_t i, const double* v) const {
        double low = infinity;
        for (std::size_t k = 0; k < length_[i]; ++k) low = std::min(low, costs(i)[k] - v[cols(i)[k]]);
        return low;
    }

    /// Appends; a full list takes no more.
    bool add(std::size_t i, Node j, double cost) {
        if (length_[i] == (i == slack_ ? slack_arcs_ : capacity_)) return false;
        col_[i * capacity_ + length_[i]] = j;
        cost_[i * capacity_ + length_[i]++] = cost;
        return true;
    }

    /// Keeps the `keep` arcs of least cost - v, in the order they stand in; the first ones in a tie.
    void shrink(std::size_t i, const double* v, std::size_t keep) {
        if (length_[i] <= keep || i == slack_) return;
        Node* col = col_.data() + i * capacity_;
        double* cost = cost_.data() + i * capacity_;
        std::vector<double> value(length_[i]);
        for (std::size_t k = 0; k < length_[i]; ++k) value[k] = cost[k] - v[col[k]];
        std::vector<double> order(value);
        std::nth_element(order.begin(), order.begin() + (keep - 1), order.end());
        const double bound = order[keep - 1];
        std::size_t ties = keep, kept = 0;
        for (double x : value) ties -= x < bound;
        for (std::size_t k = 0; k < value.size(); ++k) {
            if (value[k] > bound || (value[k] == bound && ties == 0)) continue;
            ties -= value[k] == bound;
            col[kept] = col[k];
            cost[kept++] = cost[k];
        }
        length_[i] = static_cast<std::uint32_t>(kept);
    }

private:
    std::size_t capacity_ = 0, slack_ = 0, slack_arcs_ = 0;
    std::vector<std::uint32_t> length_;
    std::vector<Node> col_;
    std::vector<double> cost_;
};

/// Fills the list of row i with its k arcs of least c - v; the lowest columns in a tie. Forbidden arcs are left out.
/// Returns the least c - v; `minima` takes it by stretches.
template <class Arcs>
double list_row(const Arcs& arcs, std::size_t i, const double* v, std::size_t k, CandidateLists& lists, double* minima,
                Scratch<typename Arcs::Scalar>& scratch) {
    const auto& kernels = row_kernels<typename Arcs::Scalar>();
    const std::size_t m = arcs.cols();
    const auto* c = arcs.row(i, scratch.row.data());
    const double above = std::nextafter(kernels.kth_bound(c, v, m, k, minima), infinity);  // `below` is strict
    const std::size_t found = kernels.below(c, v, m, above, scratch.found.data());
    auto& values = scratch.values;
    values.resize(2 * found);
    double* const order = values.data() + found;
    for (std::size_t q = 0; q < found; ++q) {
        const Node j = scratch.found[q];
        values[q] = order[q] = static_cast<double>(c[j]) - v[j];
    }
    double bound = infinity;
    std::size_t ties = found;  // how many of the arcs at the bound to keep
    if (found > k) {
        std::nth_element(order, order + (k - 1), order + found);
        bound = order[k - 1];
        ties = k;
        for (std::size_t q = 0; q < found; ++q) ties -= values[q] < bound;
    }
    lists.clear(i);
    double least = infinity;
    for (std::size_t q = 0; q < found; ++q) {
        if (values[q] > bound || (values[q] == bound && ties == 0)) continue;
        ties -= values[q] == bound;
        const Node j = scratch.found[q];
        lists.add(i, j, static_cast<double>(c[j]));
        least = std::min(least, values[q]);
    }
    return least;
}

}  // namespace monge
