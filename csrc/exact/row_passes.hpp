// Passes over all rows of costs, on all workers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/control.hpp"
#include "common/workers.hpp"
#include "exact/arcs.hpp"
#include "exact/row_kernels.hpp"

namespace monge {

// Rows per chunk of work: enough to hide the hand-out, few enough that a core that falls behind holds nobody up.
constexpr std::size_t chunk_entries = std::size_t(1) << 17;

inline std::size_t rows_per_chunk(std::size_t cols) {
    return std::max<std::size_t>(1, chunk_entries / std::max<std::size_t>(1, cols));
}

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

}  // namespace monge
