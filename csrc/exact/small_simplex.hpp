// The primal network simplex for problems whose costs all stay in the cache.
//
// The algorithm and the basis are those of network_simplex.hpp and spanning_tree.hpp. What differs is the data: lists
// and tours only pay once a pass over a row is dear. Here a pivot prices whole rows, a few at a time, and every node
// knows its descendants as a set of bits, so that a subtree is moved by a masked addition and the join of two paths is
// found by looking up one bit on the way.
//
// Measured against network_simplex.hpp, microseconds per solve: 50 to 15 at n = m = 32, 1000 to 300 at 128.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/control.hpp"
#include "exact/arcs.hpp"
#include "exact/masses.hpp"
#include "exact/padded_kernels.hpp"
#include "exact/spanning_tree.hpp"

namespace monge {

/// Solves one problem after another in the same memory.
class SmallSimplex {
public:
    /// Whether it is faster on a problem of this size than NetworkSimplex is.
    static bool takes(std::size_t rows, std::size_t cols) {
        return rows + cols <= most_places && rows * cols <= most_costs;
    }

    /// Copies finite costs.
    template <class Arcs>
    void read(const Arcs& arcs) {
        resize(arcs.rows(), arcs.cols());
        scratch_.resize(arcs.cols() * sizeof(typename Arcs::Scalar));
        for (std::size_t i = 0; i < rows_; ++i) {
            const auto* c = arcs.row(i, reinterpret_cast<typename Arcs::Scalar*>(scratch_.data()));
            double* to = row(i);
            for (std::size_t j = 0; j < cols_; ++j) to[j] = static_cast<double>(c[j]);
            for (std::size_t j = cols_; j < stride_; ++j) to[j] = infinity;
        }
    }

    /// Solves for the costs that were read and masses that are all positive. `v`: an estimate of the column potentials,
    /// or empty; `plan`: the arcs of a feasible plan to start from, leaves first, or empty. When the monitor says stop,
    /// the plan is feasible but may not be optimal.
    void solve(const Masses& masses, const std::vector<double>& v, const std::vector<std::pair<Node, Node>>& plan,
               Monitor& monitor, Counters& counters);

    /// The plan, and potentials (u, v) that are dual feasible whatever the pivots did.
    void read_off(std::vector<double>& u, std::vector<double>& v, std::vector<BasicArc>& plan);

private:
    using Word = std::uint64_t;
    // At 320 x 320, 200 x 600 and 50 x 2000 it was 1.1 to 2 times as fast, at 384 x 384 on average as fast.
    static constexpr std::size_t most_costs = 140000, most_places = 2060;
    static constexpr std::size_t most_words = (most_places + 2 * 8) / 64 + 1;

    /// The way up from an end of the entering arc to the join of the two.
    struct Path {
        std::vector<Node> nodes;
        std::size_t length;
        std::size_t blocking;  // above which of them lies the arc that blocks
        Flow limit;            // what that lets through
    };

    void resize(std::size_t rows, std::size_t cols);
    double* row(std::size_t i) { return cost_.data() + i * stride_; }
    Word* below(Node x) { return below_.data() + static_cast<std::size_t>(x) * words_; }
    bool is_below(Node x, Node y) const {
        return x == root() || (below_[static_cast<std::size_t>(x) * words_ + y / 64] >> (y % 64) & 1) != 0;
    }
    Node root() const { return static_cast<Node>(places_); }
    bool is_row(Node x) const { return x < first_col_; }
    double arc_cost(Node x) {
        const Node p = parent_[x];
        return is_row(x) ? row(x)[p - first_col_] : row(p)[x - first_col_];
    }

    void transform_rows();
    void transform_columns();
    void start_potentials(const Masses& masses, const std::vector<double>& v);
    void greedy(const Masses& masses, const std::vector<std::pair<Node, Node>>& plan);
    void hang(const std::vector<BasicArc>& forest);
    double recompute_potentials();
    Flow pivot(Node row, Node col, double reduced);
    void climb(Node from, Node other, bool row_side, Path& path);

    const PaddedKernels& kernels_ = padded_kernels();
    std::size_t rows_ = 0, cols_ = 0;
    std::size_t stride_ = 0;  // columns, rounded up to whole registers; what is beyond costs +inf
    std::size_t places_ = 0;  // rows and columns, both rounded up
    std::size_t words_ = 0;   // of a set of places
    Node first_col_ = 0;      // places are numbered: the rows, then, from here, the columns
    std::vector<char> scratch_;
    std::vector<double> cost_;       // (rows, stride)
    std::vector<double> potential_;  // (places): u of rows, -v of columns, which move alike
    std::vector<double> minimum_, arg_, open_;
    std::vector<Flow> flow_;  // on the arc above a place
    std::vector<Node> parent_, first_arc_, next_arc_, order_;
    Path row_path_, col_path_;
    std::vector<Word> below_;  // (places, words): the place itself and all below it
    Shipping shipping_;        // of the start; its costs are not filled in
};

}  // namespace monge
