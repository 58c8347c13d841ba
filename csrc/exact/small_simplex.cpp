// See small_simplex.hpp.
#include "exact/small_simplex.hpp"

#include <algorithm>
#include <limits>

#include "exact/row_kernels.hpp"

namespace monge {
namespace {

constexpr Node none = -1;

// Rows that are priced for one pivot, which takes the worst arc of all.
constexpr std::size_t rows_per_pivot = 2;

std::size_t round_up(std::size_t count, std::size_t unit) { return (count + unit - 1) / unit * unit; }

}  // namespace

void SmallSimplex::resize(std::size_t rows, std::size_t cols) {
    rows_ = rows;
    cols_ = cols;
    stride_ = round_up(cols, 8);
    first_col_ = static_cast<Node>(round_up(rows, 8));
    places_ = first_col_ + stride_;
    words_ = round_up(places_, 64) / 64;
    cost_.resize(rows * stride_);
    potential_.assign(places_, 0.0);
    minimum_.resize(stride_);
    arg_.resize(stride_);
    open_.resize(stride_);
    flow_.resize(places_);
    first_arc_.resize(places_);
    row_path_.nodes.resize(places_);
    col_path_.nodes.resize(places_);
}

/// u_i = min_j c_ij - v_j.
void SmallSimplex::transform_rows() {
    for (std::size_t i = 0; i < rows_; ++i)
        kernels_.cheapest(row(i), potential_.data() + first_col_, stride_, &potential_[i]);
}

/// v_j = min_i c_ij - u_i, and in `arg_` the lowest row where it is.
void SmallSimplex::transform_columns() {
    std::fill(minimum_.begin(), minimum_.end(), infinity);
    for (std::size_t i = 0; i < rows_; ++i)
        row_kernels<double>().column_minima(row(i), potential_[i], static_cast<double>(i), stride_, minimum_.data(),
                                            arg_.data());
    for (std::size_t j = 0; j < cols_; ++j) potential_[first_col_ + j] = -minimum_[j];
}

/// Column minima, or the estimate `v` where it proves to be the better one: that whose dual value is larger.
void SmallSimplex::start_potentials(const Masses& masses, const std::vector<double>& v) {
    auto dual_value = [&] {
        transform_rows();
        double value = 0.0;
        for (std::size_t i = 0; i < rows_; ++i) value += static_cast<double>(masses.supply[i]) * potential_[i];
        for (std::size_t j = 0; j < cols_; ++j)
            value -= static_cast<double>(masses.demand[j]) * potential_[first_col_ + j];
        return value;
    };
    transform_columns();
    if (v.empty()) return;
    const double without = dual_value();
    for (std::size_t j = 0; j < cols_; ++j) potential_[first_col_ + j] = -v[j];
    transform_rows();
    transform_columns();
    if (dual_value() > without) return;
    std::fill(potential_.begin(), potential_.end(), 0.0);
    transform_columns();
}

/// A forest of arcs that carry flow, together a feasible plan: as much as fits on the arcs of `plan` or, if it is
/// empty, every column draws on the row that is its cheapest; then every row sends what is left to its cheapest columns
/// that are still open. Sets u_i = min_j c_ij - v_j.
void SmallSimplex::greedy(const Masses& masses, const std::vector<std::pair<Node, Node>>& plan) {
    const double* const y = potential_.data() + first_col_;
    shipping_.supply = masses.supply;
    shipping_.demand = masses.demand;
    shipping_.forest.clear();
    for (const auto& [i, j] : plan) shipping_.send(i, j, 0.0);
    for (std::size_t j = 0; j < cols_ && plan.empty(); ++j)
        shipping_.send(static_cast<Node>(arg_[j]), static_cast<Node>(j), 0.0);
    for (std::size_t j = 0; j < stride_; ++j) open_[j] = j < cols_ && shipping_.demand[j] > 0 ? y[j] : infinity;
    transform_rows();
    for (std::size_t i = 0; i < rows_; ++i)
        while (shipping_.supply[i] > 0) {
            double least;
            const std::size_t j = kernels_.cheapest(row(i), open_.data(), stride_, &least);
            shipping_.send(static_cast<Node>(i), static_cast<Node>(j), 0.0);
            if (shipping_.demand[j] == 0) open_[j] = infinity;
        }
}

/// Makes the forest the basis. Every component hangs from the root at a row, whose potential stays as it is.
void SmallSimplex::hang(const std::vector<BasicArc>& forest) {
    std::fill(first_arc_.begin(), first_arc_.end(), none);
    next_arc_.resize(2 * forest.size());
    auto attach = [this](Node x, std::size_t end) {
        next_arc_[end] = first_arc_[x];
        first_arc_[x] = static_cast<Node>(end);
    };
    for (std::size_t k = 0; k < forest.size(); ++k) {
        attach(forest[k].row, 2 * k);
        attach(first_col_ + forest[k].col, 2 * k + 1);
    }
    parent_.assign(places_, none);
    order_.clear();
    for (Node top = 0; top < static_cast<Node>(rows_); ++top) {
        if (parent_[top] != none) continue;
        parent_[top] = root();
        flow_[top] = 0;
        std::size_t at = order_.size();
        for (order_.push_back(top); at < order_.size(); ++at) {
            const Node x = order_[at];
            for (Node end = first_arc_[x]; end != none; end = next_arc_[end]) {
                const BasicArc& arc = forest[end / 2];
                const Node y = end % 2 == 0 ? first_col_ + arc.col : arc.row;
                if (parent_[x] == y) continue;
                parent_[y] = x;
                flow_[y] = arc.flow;
                order_.push_back(y);
            }
        }
    }
    below_.assign(places_ * words_, 0);
    for (auto x = order_.rbegin(); x != order_.rend(); ++x) {
        below(*x)[*x / 64] |= Word(1) << (*x % 64);
        if (parent_[*x] == root()) continue;
        for (std::size_t w = 0; w < words_; ++w) below(parent_[*x])[w] |= below(*x)[w];
    }
}

/// Potentials from the costs of the tree arcs alone; those of rows below the root stay. Returns the size of the numbers
/// they came from, as SpanningTree does.
double SmallSimplex::recompute_potentials() {
    double largest = 0.0;
    std::vector<Node>& stack = order_;
    std::array<Word, most_words> known{};
    auto is_known = [&](Node x) { return x == root() || (known[x / 64] >> (x % 64) & 1) != 0; };
    auto settle = [&](Node place) {
        stack.clear();
        for (Node x = place; !is_known(x); x = parent_[x]) stack.push_back(x);
        for (; !stack.empty(); stack.pop_back()) {
            const Node x = stack.back(), p = parent_[x];
            known[x / 64] |= Word(1) << (x % 64);
            if (p != root()) {
                const double cost = arc_cost(x);
                // u = c - v for a row, -v = u - c for a column.
                potential_[x] = is_row(x) ? cost + potential_[p] : potential_[p] - cost;
                largest = std::max(largest, std::fabs(cost));
            }
            largest = std::max(largest, 0.01 * std::fabs(potential_[x]));
        }
    };
    for (Node i = 0; i < static_cast<Node>(rows_); ++i) settle(i);
    for (Node j = 0; j < static_cast<Node>(cols_); ++j) settle(first_col_ + j);
    return largest;
}

/// Climbs from one end of the entering arc to the join. Pushing flow over the arc takes it from the arcs above rows on
/// the row's side and above columns on the other. Of the arcs that block equally, the path keeps the one that comes
/// last when the cycle is followed from the join through row and column.
void SmallSimplex::climb(Node from, Node other, bool row_side, Path& path) {
    path.length = 0;
    path.limit = std::numeric_limits<Flow>::max();
    Node x = from;
    for (; !is_below(x, other); x = parent_[x]) {
        if (is_row(x) == row_side && (flow_[x] < path.limit || (!row_side && flow_[x] == path.limit))) {
            path.limit = flow_[x];
            path.blocking = path.length;
        }
        path.nodes[path.length++] = x;
    }
}

/// Brings the arc of negative reduced cost into the tree. Returns the flow it takes up.
Flow SmallSimplex::pivot(Node row, Node col, double reduced) {
    climb(row, col, true, row_path_);
    climb(col, row, false, col_path_);
    const bool row_leaves = row_path_.limit < col_path_.limit;
    const Path &inner = row_leaves ? row_path_ : col_path_, &outer = row_leaves ? col_path_ : row_path_;
    const Flow flow = inner.limit;
    if (flow > 0) {
        for (std::size_t k = 0; k < row_path_.length; ++k)
            flow_[row_path_.nodes[k]] += is_row(row_path_.nodes[k]) ? -flow : flow;
        for (std::size_t k = 0; k < col_path_.length; ++k)
            flow_[col_path_.nodes[k]] += is_row(col_path_.nodes[k]) ? flow : -flow;
    }
    // What moves: all that is below the leaving arc. It goes from the sets above, and joins those on the other side.
    std::array<Word, most_words> moved;
    std::copy_n(below(inner.nodes[inner.blocking]), words_, moved.begin());
    for (std::size_t k = inner.blocking + 1; k < inner.length; ++k)
        for (std::size_t w = 0; w < words_; ++w) below(inner.nodes[k])[w] &= ~moved[w];
    for (std::size_t k = 0; k < outer.length; ++k)
        for (std::size_t w = 0; w < words_; ++w) below(outer.nodes[k])[w] |= moved[w];
    // The path from the entering arc to the leaving one is turned over.
    for (std::size_t k = inner.blocking; k > 0; --k) {
        const Node x = inner.nodes[k], next = inner.nodes[k - 1];
        for (std::size_t w = 0; w < words_; ++w) below(x)[w] = moved[w] & ~below(next)[w];
        parent_[x] = next;
        flow_[x] = flow_[next];
    }
    const Node lowest = inner.nodes[0];
    std::copy_n(moved.begin(), words_, below(lowest));
    parent_[lowest] = row_leaves ? col : row;
    flow_[lowest] = flow;
    // On the side of a row that enters u falls by -reduced; on that of a column v does, which raises -v.
    kernels_.shift(moved.data(), places_, potential_.data(), row_leaves ? reduced : -reduced);
    return flow;
}

void SmallSimplex::solve(const Masses& masses, const std::vector<double>& v,
                         const std::vector<std::pair<Node, Node>>& plan, Monitor& monitor, Counters& counters) {
    {
        Stopwatch watch(counters.seconds_start);
        if (plan.empty())
            start_potentials(masses, v);
        else
            for (std::size_t j = 0; j < cols_; ++j) potential_[first_col_ + j] = -v[j];
        greedy(masses, plan);
        hang(shipping_.forest);
    }
    Stopwatch watch(counters.seconds_pivots);
    std::size_t cursor = 0, clean = 0, priced = 0;  // rows
    while (clean < rows_ && !monitor.stopped()) {
        const double tolerance = entering_tolerance * recompute_potentials();
        // Until as many rows in turn as there are had no violator. Right after the potentials were made anew, that
        // certifies.
        ++counters.sweeps;
        ++monitor.progress.sweeps;
        bool pivoted = false;
        // Pivots let costs into the tree that the tolerance knows nothing of, and add up rounding: not for too long.
        const std::int64_t last = counters.pivots + static_cast<std::int64_t>(rows_ + cols_);
        for (clean = 0; clean < rows_ && counters.pivots < last;) {
            double worst = -tolerance;
            Node i = none, j = none;
            for (std::size_t k = 0; k < rows_per_pivot && clean < rows_; ++k) {
                double least;
                const std::size_t at = kernels_.cheapest(row(cursor), potential_.data() + first_col_, stride_, &least);
                const double reduced = least - potential_[cursor];
                clean = reduced < -tolerance ? 0 : clean + 1;
                if (reduced < worst) {
                    worst = reduced;
                    i = static_cast<Node>(cursor);
                    j = first_col_ + static_cast<Node>(at);
                }
                cursor = cursor + 1 == rows_ ? 0 : cursor + 1;
                ++priced;
            }
            if (i == none) continue;
            counters.degenerate_pivots += pivot(i, j, worst) == 0;
            ++monitor.progress.pivots;
            pivoted = true;
            if ((++counters.pivots & 63) == 0 && monitor.check()) break;
        }
        if (pivoted) clean = 0;
    }
    counters.arcs_priced += static_cast<std::int64_t>(priced * cols_);
    counters.listed_arcs = static_cast<std::int64_t>(rows_ * cols_);
}

void SmallSimplex::read_off(std::vector<double>& u, std::vector<double>& v, std::vector<BasicArc>& plan) {
    transform_rows();
    u.assign(potential_.begin(), potential_.begin() + rows_);
    v.resize(cols_);
    for (std::size_t j = 0; j < cols_; ++j) v[j] = -potential_[first_col_ + j];
    plan.reserve(rows_ + cols_);
    auto visit = [&](Node x) {
        if (flow_[x] == 0) return;
        const Node p = parent_[x];
        plan.push_back({is_row(x) ? x : p, (is_row(x) ? p : x) - first_col_, flow_[x], arc_cost(x)});
    };
    for (Node i = 0; i < static_cast<Node>(rows_); ++i) visit(i);
    for (Node j = 0; j < static_cast<Node>(cols_); ++j) visit(first_col_ + j);
}

}  // namespace monge
