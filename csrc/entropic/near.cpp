#include "entropic/near.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

namespace monge {
namespace {

/// Rows of a block that goes over all columns.
constexpr std::size_t all_rows = 256;
/// Runs of columns that are so close are joined.
constexpr std::int32_t join = 4;
/// By how much a row's potential may be above that by which its columns were chosen, before they are chosen again.
constexpr double slack = 0.5;
/// How often that may happen: more than three times only if potentials are too large to be told apart.
constexpr int tries = 8;
/// Bytes of powers that are kept, over all rows: about what a last cache holds. Beyond that, exponentials are faster.
constexpr double most_kept = 1 << 24;

template <class T>
const BlockKernels<T>& block_kernels();
template <>
const BlockKernels<float>& block_kernels<float>() {
    return near_kernels().floats;
}
template <>
const BlockKernels<double>& block_kernels<double>() {
    return near_kernels().doubles;
}

std::size_t columns_of(const NearBlock& block) {
    std::size_t size = 0;
    for (std::size_t k = 0; k < block.count; ++k)
        size += static_cast<std::size_t>(block.runs[k].last - block.runs[k].first);
    return size;
}

/// Appends the columns of a block that are marked, as runs.
void list_marked(const NearBlock& block, const unsigned char* marks, std::vector<Run>* runs) {
    const std::size_t before = runs->size();
    const auto add = [&](std::int32_t j) {
        if (runs->size() > before && j - runs->back().last < join)
            runs->back().last = j + 1;
        else
            runs->push_back({j, j + 1});
    };
    for (std::size_t k = 0; k < block.count; ++k) {
        const std::int32_t first = block.runs[k].first, size = block.runs[k].last - first;
        for (std::int32_t start = 0; start < size; start += 8) {
            std::uint64_t eight;  // most are not
            std::memcpy(&eight, marks + start, sizeof eight);
            if (eight == 0) continue;
            for (std::int32_t j = start; j < std::min(start + 8, size); ++j)
                if (marks[j]) add(first + j);
        }
        marks += size;
    }
    // A tau so large that no column matters still leaves some to sum over.
    if (runs->size() == before) runs->insert(runs->end(), block.runs, block.runs + block.count);
}

template <class T>
NearCount screen(const NearPass& pass, std::size_t first, std::size_t last, const NearBounds& bounds, double log_tau,
                 double* sums, NearLists* lists) {
    const BoundKernels& kernels = bound_kernels();
    const BlockKernels<T>& with = block_kernels<T>();
    const auto scratch = aligned<T>(with.scratch(pass.m));
    const auto chosen = aligned<Run>(pass.m / bound_sizes[0] + 1);
    const auto marks = aligned<unsigned char>(pass.m + 16);
    std::fill(sums, sums + pass.m, 0.0);
    lists->starts.assign(1, 0);
    lists->runs.clear();
    lists->kept.clear();
    lists->beta.clear();
    NearCount count = {0, 0};
    for (std::size_t start = first; start < last; start += near_rows) {
        const std::size_t stop = std::min(start + near_rows, last), size = stop - start;
        NearRows rows;
        double log_weight = -INFINITY;
        for (std::size_t k = 0; k < near_rows; ++k) {
            const std::size_t i = std::min(start + k, stop - 1);
            for (std::size_t c = 0; c < 3; ++c) rows.x[c][k] = pass.X[c * pass.n + i] * pass.scale;
            rows.shift[k] = -INFINITY;
            log_weight = std::max(log_weight, pass.log_a[i]);
        }
        log_weight += std::log2(static_cast<double>(pass.n));

        NearBlock block = {start, stop, chosen.get(), 0};
        double lift = 0.0;
        std::size_t pairs = 0;
        bool again = true;
        for (int turn = 0; again && turn < tries; ++turn) {
            for (std::size_t k = 0; k < size; ++k) rows.shift[k] = pass.shift[start + k] + slack;
            block.count = kernels.choose(pass, bounds.levels(), rows, log_weight, log_tau, chosen.get());
            lift = with.rows(pass, block, scratch.get(), nullptr);
            pairs = columns_of(block) * size;
            count.pairs += pairs;
            again = false;
            for (std::size_t k = 0; k < size; ++k) again |= pass.shift[start + k] > rows.shift[k];
        }
        count.needed += pairs;

        // The columns of which these rows hold more than the fraction tau that is theirs.
        double mass = -INFINITY;
        for (std::size_t i = start; i < stop; ++i) mass = std::max(mass, pass.log_a[i] + (pass.f[i] - pass.shift[i]));
        const double share = std::exp2(log_tau + mass - lift) * static_cast<double>(size);
        const Shares shares = {share / static_cast<double>(pass.m), share / std::exp2(log_weight)};
        with.scatter(pass, block, scratch.get(), lift, sums, &shares, marks.get());
        list_marked(block, marks.get(), &lists->runs);
        lists->starts.push_back(lists->runs.size());
    }
    lists->runs.shrink_to_fit();
    return count;
}

/// Powers of pairs that are listed: where those of a block go.
template <class T>
class Keeper {
public:
    Keeper(const NearPass& pass, std::size_t first, std::size_t last, NearLists* lists) : lists_(lists) {
        if (lists == nullptr) return;
        const BlockKernels<T>& with = block_kernels<T>();
        if (lists->kept.empty()) measure(static_cast<double>(last - first) / static_cast<double>(pass.n));
        if (!fits()) return;
        moved_ = aligned<T>(pass.m);
        known_ = !lists->beta.empty() && with.moved(pass.beta, lists->beta.data(), pass.m, moved_.get());
        if (known_) return;
        const std::size_t bytes = lists->kept.back() * sizeof(T);
        if (lists->room < bytes) {
            lists->room = 0;
            lists->powers.reset();  // before there is more
            lists->powers = aligned<unsigned char>(bytes);
            lists->room = bytes;
        }
        lists->bases.resize((lists->kept.size() - 1) * near_rows);
        lists->beta.assign(pass.beta, pass.beta + pass.m);
    }

    /// The rows of block `number`.
    double rows(const NearPass& pass, const NearBlock& block, std::size_t number, T* scratch) const {
        const BlockKernels<T>& with = block_kernels<T>();
        if (lists_ == nullptr || !fits()) return with.rows(pass, block, scratch, nullptr);
        const KeptRows<T> kept = {reinterpret_cast<T*>(lists_->powers.get()) + lists_->kept[number],
                                  lists_->bases.data() + number * near_rows};
        if (!known_) return with.rows(pass, block, scratch, &kept);
        const double lift = with.again(pass, block, scratch, kept, moved_.get());
        return std::isnan(lift) ? with.rows(pass, block, scratch, nullptr) : lift;
    }

private:
    /// Where the powers of each block start; nothing but a zero if they are too many, for this share of the rows.
    void measure(double share) {
        std::vector<std::size_t>& kept = lists_->kept;
        kept.assign(1, 0);
        for (std::size_t number = 0; number + 1 < lists_->starts.size(); ++number) {
            const std::size_t start = lists_->starts[number];
            kept.push_back(kept.back() +
                           kept_size(columns_of({0, 0, &lists_->runs[start], lists_->starts[number + 1] - start})));
        }
        if (static_cast<double>(kept.back() * sizeof(T)) > most_kept * share) kept.resize(1);
    }
    bool fits() const { return lists_->kept.size() > 1; }

    NearLists* lists_;
    Aligned<T> moved_;
    bool known_ = false;
};

template <class T>
std::size_t go_over(const NearPass& pass, std::size_t first, std::size_t last, NearLists* lists, double* sums) {
    const BlockKernels<T>& with = block_kernels<T>();
    const auto scratch = aligned<T>(with.scratch(pass.m));
    const Keeper<T> keeper(pass, first, last, lists);
    const Run all = {0, static_cast<std::int32_t>(pass.m)};
    std::fill(sums, sums + pass.m, 0.0);
    std::size_t pairs = 0, number = 0;
    const std::size_t height = lists != nullptr ? near_rows : all_rows;
    for (std::size_t start = first; start < last; start += height, ++number) {
        NearBlock block = {start, std::min(start + height, last), &all, 1};
        if (lists != nullptr) {
            block.runs = lists->runs.data() + lists->starts[number];
            block.count = lists->starts[number + 1] - lists->starts[number];
        }
        const double lift = keeper.rows(pass, block, number, scratch.get());
        with.scatter(pass, block, scratch.get(), lift, sums, nullptr, nullptr);
        pairs += columns_of(block) * (block.last - block.first);
    }
    return pairs;
}

}  // namespace

NearBounds::NearBounds(const double* Y, std::size_t m, const double* potentials, const double* log_weights,
                       double scale, bool linear) {
    const auto scratch = aligned<double>(bound_scratch(bound_sizes[bound_levels - 1]));
    for (std::size_t level = 0; level < bound_levels; ++level) {
        const std::size_t size = bound_sizes[level];
        bounds_[level].resize((m + size - 1) / size);
        levels_[level] = bounds_[level].data();
        bound_kernels().bounds(Y, m, potentials, log_weights, scale, linear, size, scratch.get(),
                               bounds_[level].data());
    }
}

NearCount screened(const NearPass& pass, bool single, std::size_t first, std::size_t last, const NearBounds& bounds,
                   double log_tau, double* sums, NearLists* lists) {
    return single ? screen<float>(pass, first, last, bounds, log_tau, sums, lists)
                  : screen<double>(pass, first, last, bounds, log_tau, sums, lists);
}

std::size_t listed(const NearPass& pass, bool single, std::size_t first, std::size_t last, NearLists* lists,
                   double* sums) {
    return single ? go_over<float>(pass, first, last, lists, sums) : go_over<double>(pass, first, last, lists, sums);
}

}  // namespace monge
