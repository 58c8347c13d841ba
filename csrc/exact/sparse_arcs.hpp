// The arcs of a sparse problem, as lists that hold all arcs there are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "exact/arcs.hpp"
#include "exact/list_pricing.hpp"
#include "exact/sparse.hpp"

namespace monge {

constexpr std::size_t segment_length = 64;  // arcs of a row that are priced together

/// The arcs between places with mass.
class SparseArcs {
public:
    SparseArcs(const SparseProblem& problem, const std::vector<Node>& row_map, const std::vector<Node>& col_map)
        : rows_(row_map.empty() ? problem.n : row_map.size()), begin_(problem.begin), col_(problem.col),
          cost_(problem.cost), zeros_(segment_length, 0.0) {
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
        return {part.row, static_cast<std::size_t>(part.end - part.begin), col_ + part.begin,
                free_ ? zeros_.data() : cost_ + part.begin};
    }

private:
    struct Part {
        std::int64_t begin, end;
        Node row;
    };

    void select(const SparseProblem& problem, const std::vector<Node>& row_map, const std::vector<Node>& col_map) {
        std::vector<Node> place(problem.m, -1);
        const std::size_t n = row_map.empty() ? problem.n : row_map.size(),
                          m = col_map.empty() ? problem.m : col_map.size();
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

}  // namespace monge
