// Sweeps over all arcs, which certify that no reduced cost is negative or add violators to the lists.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/control.hpp"
#include "common/workers.hpp"
#include "exact/arcs.hpp"
#include "exact/candidate_lists.hpp"
#include "exact/row_kernels.hpp"
#include "exact/row_passes.hpp"

namespace monge {

/// Lower bounds on c_ij - v_j over stretches of columns: what an earlier pass found there, less the most that v has
/// risen on the stretch since. Few pivots lie between two sweeps, so that most of the matrix need not be read again.
class StretchBounds {
public:
    StretchBounds(std::size_t rows, std::size_t cols)
        : count_((cols + stretch - 1) / stretch), found_(rows * count_, -infinity), risen_(count_, 0.0), v_(cols, 0.0) {
    }

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

    /// Room for the minima of row i at the present potentials, from column `start` on; `found` says that they are
    /// there, for `length` columns.
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
        // No stretch that is left out holds the minimum, which no arc of the tree at this row exceeds by more than
        // rounding.
        std::int32_t* const read = own.stretches.data();
        const std::size_t count = bounds.within(i, u[i] + tolerance, read);
        // Short runs are over before the processor has seen where they go.
        if (2 * count * stretch < m)
            for (std::size_t q = 0; q < count; ++q)
                for (std::size_t j = 0; j < stretch; j += 64 / sizeof(*c))
                    __builtin_prefetch(c + read[q] * stretch + j);
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
            if (i >= 0 && !lists.contains(i, static_cast<Node>(j))) lists.add(i, static_cast<Node>(j), arcs.cost(i, j));
        }
    }
    return total;
}

}  // namespace monge
