// Positions of numbers in increasing order, by a radix sort that carries the positions inside its keys.
//
// A double's bits, taken as an integer after a change of sign, have the order of the numbers. What all numbers share at
// the top of these integers is shifted out, the leading bits that remain are kept, and the position takes the place of
// the rest: eight bytes a number, and three passes of eleven bits or fewer. The few neighbours that the dropped bits
// would have told apart are sorted by comparison afterwards.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "common/unfilled.hpp"

namespace monge {

class Sorting {
public:
    /// Room for n numbers; `sort` allocates nothing, so that it may run in a worker.
    explicit Sorting(std::size_t n) : n_(n), keys_(n), spare_(n) {
        while (n_ > (std::uint64_t(1) << index_bits_)) ++index_bits_;
    }

    /// Fills sorted (n,) with the numbers of values (n,), finite, in increasing order; ties keep their order. Calls
    /// stop() now and then, and gives up once it is true.
    template <class Stop>
    void sort(const double* values, double* sorted, Stop&& stop) {
        const bool radix = n_ >= smallest_radix && !ordered(values, stop);
        if (radix) {
            radix_sort(values, stop);
        } else {
            in_blocks(stop, [&](std::size_t k) { keys_[k] = k; });
            if (n_ < smallest_radix) compare_sort(values, 0, n_, stop);
        }
        if (!in_blocks(stop, [&](std::size_t k) { sorted[k] = values[position(k)]; })) return;
        if (radix) repair(values, sorted, stop);
        in_blocks(stop, [&](std::size_t k) { keys_[k] &= positions(); });
    }

    /// Where the k-th smallest number stands, for k from 0 to n - 1. To be taken once.
    Unfilled<std::uint64_t> take_order() { return std::move(keys_); }

private:
    static constexpr std::size_t smallest_radix = 1024;         // below, clearing the counts costs more than comparing
    static constexpr std::size_t block = std::size_t(1) << 18;  // numbers between two looks at stop(), about a ms
    static constexpr std::size_t compared = std::size_t(1) << 15;  // numbers that std::sort takes as long for
    static constexpr int digit_bits = 11, digits = 3;              // counts of 11 bits stay in the first-level cache

    std::uint64_t positions() const { return (std::uint64_t(1) << index_bits_) - 1; }
    std::size_t position(std::size_t k) const { return keys_[k] & positions(); }

    /// Does something for each k from 0 to n - 1, unless it is to stop on the way; false then.
    template <class Stop, class Action>
    bool in_blocks(Stop& stop, Action&& action) {
        for (std::size_t begin = 0; begin < n_; begin += block) {
            if (stop()) return false;
            for (std::size_t k = begin; k < std::min(n_, begin + block); ++k) action(k);
        }
        return true;
    }

    template <class Stop>
    bool ordered(const double* values, Stop& stop) const {
        for (std::size_t begin = 0; begin < n_ && !stop(); begin += block)
            if (!std::is_sorted(values + begin, values + std::min(n_, begin + block + 1))) return false;
        return true;
    }

    static std::uint64_t image(double value) {
        value += 0.0;  // -0 is 0
        std::uint64_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        return bits ^ ((bits >> 63) ? ~std::uint64_t(0) : std::uint64_t(1) << 63);
    }

    template <class Stop>
    void radix_sort(const double* values, Stop& stop) {
        // Four lanes: one minimum waits for the last, and a sort has few passes to spare.
        std::array<double, 4> low, high;
        low.fill(values[0]), high.fill(values[0]);
        in_blocks(stop, [&](std::size_t k) {
            low[k % 4] = std::min(low[k % 4], values[k]);
            high[k % 4] = std::max(high[k % 4], values[k]);
        });
        const std::uint64_t least = image(*std::min_element(low.begin(), low.end()));
        const std::uint64_t most = image(*std::max_element(high.begin(), high.end()));
        int shared = 0;  // bits at the top that are zero in every u - least
        while (shared < 63 && ((most - least) << shared) >> 63 == 0) ++shared;
        const int kept = std::min(digits * digit_bits, 64 - index_bits_), each = (kept + digits - 1) / digits;
        const std::uint64_t mask = (std::uint64_t(1) << each) - 1;
        std::array<std::array<std::size_t, std::size_t(1) << digit_bits>, digits> starts{};
        auto shift = [&](int digit) { return index_bits_ + digit * each; };
        const bool counted = in_blocks(stop, [&](std::size_t k) {
            const std::uint64_t leading = ((image(values[k]) - least) << shared) >> (64 - kept);
            keys_[k] = leading << index_bits_ | k;
            for (int digit = 0; digit < digits; ++digit) ++starts[digit][(keys_[k] >> shift(digit)) & mask];
        });
        if (!counted) return;
        for (int digit = 0; digit < digits; ++digit) {
            auto& start = starts[digit];
            if (start[(keys_[0] >> shift(digit)) & mask] == n_) continue;  // the same in all
            std::size_t sum = 0;
            for (auto& count : start) {
                const std::size_t next = sum + count;
                count = sum;
                sum = next;
            }
            const auto place = [&](std::size_t k) { spare_[start[(keys_[k] >> shift(digit)) & mask]++] = keys_[k]; };
            if (!in_blocks(stop, place)) return;
            keys_.swap(spare_);
        }
    }

    /// Sorts each run of equal leading bits that is out of order.
    template <class Stop>
    void repair(const double* values, double* sorted, Stop& stop) {
        for (std::size_t k = 1; k < n_; ++k) {
            if (k % block == 0 && stop()) return;
            if (sorted[k - 1] <= sorted[k]) continue;
            std::size_t begin = k - 1, end = k + 1;
            const std::uint64_t leading = keys_[k] >> index_bits_;
            while (begin > 0 && keys_[begin - 1] >> index_bits_ == leading) --begin;
            while (end < n_ && keys_[end] >> index_bits_ == leading) ++end;
            if (end - begin == 2) {
                std::swap(keys_[begin], keys_[begin + 1]);
                std::swap(sorted[begin], sorted[begin + 1]);
            } else {
                compare_sort(values, begin, end, stop);
                for (std::size_t l = begin; l < end; ++l) sorted[l] = values[position(l)];
            }
            k = end - 1;
        }
    }

    /// Few numbers at once; more of them in parts, which are merged: std::sort cannot be stopped.
    template <class Stop>
    void compare_sort(const double* values, std::size_t begin, std::size_t end, Stop& stop) {
        const std::uint64_t mask = positions();
        const auto less = [&](std::uint64_t k, std::uint64_t l) {
            const double v = values[k & mask], w = values[l & mask];
            return v < w || (v == w && (k & mask) < (l & mask));
        };
        for (std::size_t first = begin; first < end; first += compared) {
            if (end - begin > compared && stop()) return;
            std::sort(keys_.begin() + first, keys_.begin() + std::min(end, first + compared), less);
        }
        for (std::size_t width = compared; width < end - begin; width *= 2) {
            for (std::size_t first = begin; first < end; first += 2 * width) {
                const std::size_t middle = std::min(end, first + width), last = std::min(end, middle + width);
                std::size_t k = first, l = middle;
                for (std::size_t to = first; to < last; ++to) {
                    if (to % compared == 0 && stop()) return;
                    spare_[to] = l == last || (k < middle && less(keys_[k], keys_[l])) ? keys_[k++] : keys_[l++];
                }
            }
            for (std::size_t to = begin; to < end; ++to) {
                if (to % block == 0 && stop()) return;
                keys_[to] = spare_[to];
            }
        }
    }

    std::size_t n_;
    int index_bits_ = 1;
    Unfilled<std::uint64_t> keys_, spare_;
};

/// The middle one of some values, the upper one of two.
inline double median(std::vector<double> values) {
    const auto middle = values.begin() + values.size() / 2;
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

}  // namespace monge
