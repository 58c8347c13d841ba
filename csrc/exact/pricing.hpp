// Pricing: the search for arcs of negative reduced cost.
//
// Most pivots need only look at a short list of candidate arcs per row. Sweeps over all arcs certify, or add violators.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "exact/arcs.hpp"
#include "exact/list_pricing.hpp"
#include "common/control.hpp"
#include "exact/row_kernels.hpp"
#include "common/workers.hpp"

namespace monge {

// Rows per chunk of work: enough to hide the hand-out, few enough that a core that falls behind holds nobody up.
constexpr std::size_t chunk_entries = std::size_t(1) << 17;

inline std::size_t rows_per_chunk(std::size_t cols) { return std::max<std::size_t>(1, chunk_entries / std::max<std::size_t>(1, cols)); }

/// Calls task(row, worker) for all rows on all workers, each worker's rows in increasing order, and lets the monitor
/// look in. Stops early, some rows unvisited, if it says so.
template <class Task>
void for_rows(std::size_t rows, std::size_t cols, Workers& workers, Monitor& monitor, Task&& task) {
    const std::size_t block = rows_per_chunk(cols);
    workers.run((rows + block - 1) / block, [&](std::size_t chunk, int worker) {
        if (worker == 0) monitor.check();
        if (monitor.stopped()) return;
        const std::size_t end = std::min(rows, (chunk + 1) * block);
        for (std::size_t i = chunk * block; i < end; ++i) task(i, worker);
    });
}

/// For each column the least value over rows and the lowest row that attains it, merged over workers.
class ColumnMinima {
public:
    ColumnMinima(std::size_t cols, int workers)
        : value_(workers, std::vector<double>()), row_(workers, std::vector<double>()), cols_(cols) {}

    double* values(int worker) {
        if (value_[worker].empty()) {
            value_[worker].assign(cols_, infinity);
            row_[worker].assign(cols_, -1.0);
        }
        return value_[worker].data();
    }
    double* rows(int worker) { return row_[worker].data(); }

    /// After all workers are done. Ties go to the lowest row, whoever saw it.
    void merge() {
        values(0);
        for (std::size_t w = 1; w < value_.size(); ++w) {
            if (value_[w].empty()) continue;
            for (std::size_t j = 0; j < cols_; ++j)
                if (value_[w][j] < value_[0][j] || (value_[w][j] == value_[0][j] && row_[w][j] < row_[0][j])) {
                    value_[0][j] = value_[w][j];
                    row_[0][j] = row_[w][j];
                }
        }
    }
    double value(std::size_t j) const { return value_[0][j]; }
    Node row(std::size_t j) const { return static_cast<Node>(row_[0][j]); }  // -1: none

private:
    std::vector<std::vector<double>> value_, row_;
    std::size_t cols_;
};

/// Per-worker room for one row and what is found in it.
template <class T>
struct Scratch {
    std::vector<T> row;
    std::vector<std::int32_t> found, stretches;
    std::vector<double> values;
    std::vector<std::pair<double, Node>> ranked;
    explicit Scratch(std::size_t cols) : row(cols), found(cols + 1), stretches(cols / stretch + 1) {}
};

/// A list of candidate arcs per row, with their costs.
///
/// A row of slack, the last, may be joined to half of the columns or more: its list holds all of its arcs. For pricing it
/// comes in segments, or a pass over all rows would find but one of its violators.
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
        const std::size_t length = i < slack_ ? length_[i] : std::min(capacity_, length_[i] - std::min<std::size_t>(begin, length_[i]));
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

    bool contains(std::size_t i, Node j) const { return i == slack_ || std::find(cols(i), cols(i) + length_[i], j) != cols(i) + length_[i]; }

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

/// Lower bounds on c_ij - v_j over stretches of columns: what an earlier pass found there, less the most that v has risen
/// on the stretch since. Few pivots lie between two sweeps, so that most of the matrix need not be read again.
class StretchBounds {
public:
    StretchBounds(std::size_t rows, std::size_t cols)
        : count_((cols + stretch - 1) / stretch), found_(rows * count_, -infinity), risen_(count_, 0.0), v_(cols, 0.0) {}

    /// Takes v as the potentials from here on.
    void move_to(const double* v) {
        for (std::size_t j = 0, s = 0; j < v_.size(); ++s) {
            double most = -infinity;
            for (const std::size_t end = std::min(v_.size(), j + stretch); j < end; ++j) {
                most = std::max(most, v[j] - v_[j]);
                largest_ = std::max(largest_, std::fabs(v[j]));
                v_[j] = v[j];
            }
            risen_[s] += most;
            largest_ = std::max(largest_, std::fabs(risen_[s]));
        }
        // Each of the sums so far is off by this much at most. It counts where an outlier among the costs once set v.
        rounding_ += 4.0 * std::numeric_limits<double>::epsilon() * largest_;
    }

    /// The stretches of row i whose bound does not exceed `limit` by more than rounding, into `out`. Returns how many.
    std::size_t within(std::size_t i, double limit, std::int32_t* out) const {
        const double above = std::nextafter(limit + rounding_, infinity);  // `below` is strict
        return row_kernels<double>().below(found_.data() + i * count_, risen_.data(), count_, above, out);
    }

    /// Room for the minima of row i at the present potentials, from column `start` on; `found` says that they are there,
    /// for `length` columns.
    double* minima(std::size_t i, std::size_t start) { return found_.data() + i * count_ + start / stretch; }
    void found(std::size_t i, std::size_t start, std::size_t length) {
        double* const minimum = minima(i, start);
        for (std::size_t s = 0; s * stretch < length; ++s) minimum[s] += risen_[start / stretch + s];
    }

    /// Forgets what was found: the costs have changed.
    void clear() { std::fill(found_.begin(), found_.end(), -infinity); }

private:
    std::size_t count_;
    std::vector<double> found_;  // (rows, stretches), plus what `risen_` was then
    std::vector<double> risen_, v_;
    double largest_ = 0.0, rounding_ = 0.0;
};

/// Calls visit(start, length) for each run of columns that neighbouring stretches make up, of m columns in all.
template <class Visit>
void for_runs(const std::int32_t* stretches, std::size_t count, std::size_t m, Visit&& visit) {
    for (std::size_t q = 0; q < count;) {
        const std::size_t start = stretches[q] * stretch;
        while (++q < count && stretches[q] == stretches[q - 1] + 1) {
        }
        visit(start, std::min(m, (stretches[q - 1] + 1) * stretch) - start);
    }
}

/// What a sweep over all arcs finds at the potentials (u, v).
struct SweepResult {
    std::int64_t violators = 0;
    std::int64_t read = 0;  // arcs
    double worst = 0.0;     // largest -(c - u - v)
};

// What a sweep adds to the list of each row: its worst violators, and some more spread evenly over the others, without
// which truncated costs, where very many arcs violate alike, took 46-95 sweeps.
constexpr std::size_t worst_per_row = 16;
constexpr std::size_t spread_per_row = 8;

/// Adds violators of u_i + v_j <= c_ij + tolerance to the lists: per row the worst and a spread of the rest, per column
/// the worst. row_minimum[i] = min_j c_ij - v_j, so that a sweep that finds none is the certificate.
template <class Arcs>
SweepResult sweep(const Arcs& arcs, const double* u, const double* v, double tolerance, CandidateLists& lists,
                  StretchBounds& bounds, double* row_minimum, std::vector<Scratch<typename Arcs::Scalar>>& scratch,
                  Workers& workers, Monitor& monitor) {
    const auto& kernels = row_kernels<typename Arcs::Scalar>();
    const std::size_t n = arcs.rows(), m = arcs.cols();
    ColumnMinima worst_rows(m, workers.count());
    std::vector<SweepResult> results(workers.count());
    bounds.move_to(v);
    for_rows(n, m, workers, monitor, [&](std::size_t i, int worker) {
        auto& own = scratch[worker];
        const auto* c = arcs.row(i, own.row.data());
        // No stretch that is left out holds the minimum, which no arc of the tree at this row exceeds by more than rounding.
        std::int32_t* const read = own.stretches.data();
        const std::size_t count = bounds.within(i, u[i] + tolerance, read);
        // Short runs are over before the processor has seen where they go.
        if (2 * count * stretch < m)
            for (std::size_t q = 0; q < count; ++q)
                for (std::size_t j = 0; j < stretch; j += 64 / sizeof(*c)) __builtin_prefetch(c + read[q] * stretch + j);
        double least = infinity;
        for_runs(read, count, m, [&](std::size_t start, std::size_t length) {
            least = std::min(least, kernels.stretch_minima(c + start, v + start, length, bounds.minima(i, start)));
            bounds.found(i, start, length);
            results[worker].read += static_cast<std::int64_t>(length);
        });
        row_minimum[i] = least;
        if (!(least - u[i] < -tolerance)) return;
        results[worker].worst = std::max(results[worker].worst, u[i] - least);
        std::size_t found = 0;
        for_runs(read, count, m, [&](std::size_t start, std::size_t length) {
            std::int32_t* const out = own.found.data() + found;
            const std::size_t more = kernels.below(c + start, v + start, length, u[i], out);
            for (std::size_t q = 0; q < more; ++q) out[q] += static_cast<std::int32_t>(start);
            found += more;
        });
        double* column_value = worst_rows.values(worker);
        double* column_row = worst_rows.rows(worker);
        auto& ranked = own.ranked;
        ranked.clear();
        for (std::size_t q = 0; q < found; ++q) {
            const Node j = own.found[q];
            const double r = (static_cast<double>(c[j]) - v[j]) - u[i];
            if (!(r < -tolerance)) continue;
            ranked.emplace_back(r, j);
            if (r < column_value[j]) {
                column_value[j] = r;
                column_row[j] = static_cast<double>(i);
            }
        }
        results[worker].violators += static_cast<std::int64_t>(ranked.size());
        const std::size_t take = std::min(ranked.size(), worst_per_row);
        std::nth_element(ranked.begin(), ranked.begin() + take, ranked.end());
        const std::size_t rest = ranked.size() - take, extra = std::min(rest, spread_per_row);
        std::sort(ranked.begin() + take, ranked.end(), [](auto& x, auto& y) { return x.second < y.second; });
        if (lists.length(i) + take + extra > lists.capacity()) lists.shrink(i, v, lists.capacity() / 2);
        auto add = [&](Node j) {
            if (!lists.contains(i, j)) lists.add(i, j, static_cast<double>(c[j]));
        };
        for (std::size_t q = 0; q < take; ++q) add(ranked[q].second);
        for (std::size_t q = 0; q < extra; ++q) add(ranked[take + q * rest / extra].second);
    });
    SweepResult total;
    for (const auto& result : results) {
        total.violators += result.violators;
        total.read += result.read;
        total.worst = std::max(total.worst, result.worst);
    }
    if (total.violators > 0) {
        worst_rows.merge();
        for (std::size_t j = 0; j < m; ++j) {
            const Node i = worst_rows.row(j);
            if (i >= 0 && !lists.contains(i, static_cast<Node>(j)))
                lists.add(i, static_cast<Node>(j), arcs.cost(i, j));
        }
    }
    return total;
}

}  // namespace monge
