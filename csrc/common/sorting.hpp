// Positions of numbers in increasing order, by a radix sort that carries the positions inside its keys.
//
// Numbers that lie about evenly, as most do, are rounded down to so fine a grid that few share a place on it: two
// passes of eleven bits or fewer put 100,000 of them in order, and neighbours on one place are told apart by insertion.
// Others lie on a grid of floating point. A double's bits, taken as an integer after a change of sign, have the order
// of the numbers. What all numbers share at the top of these integers is shifted out, the leading bits that remain are
// kept, and the position takes the place of the rest: eight bytes a number, and three passes of eleven bits or fewer.
// The few neighbours that the dropped bits would have told apart are sorted by comparison afterwards.
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
        const bool some = n_ >= smallest_even && !ordered(values, stop);
        if (some && even_sort(values, sorted, stop)) return;
        const bool radix = n_ >= smallest_radix && some;
        if (radix) {
            radix_sort(values, stop);
        } else {
            in_blocks(stop, [&](std::size_t k) { keys_[k] = k; });
            if (some || n_ < smallest_even) compare_sort(values, 0, n_, stop);
        }
        if (!in_blocks(stop, [&](std::size_t k) { sorted[k] = values[position(k)]; })) return;
        if (radix) repair(values, sorted, stop);
        in_blocks(stop, [&](std::size_t k) { keys_[k] &= positions(); });
    }

    /// Where the k-th smallest number stands, for k from 0 to n - 1.
    const Unfilled<std::uint64_t>& order() const { return keys_; }

    /// The same, to be taken once: nothing can be sorted here afterwards.
    Unfilled<std::uint64_t> take_order() { return std::move(keys_); }

private:
    static constexpr std::size_t smallest_even = 48;            // below, a comparing sort is as fast
    static constexpr std::size_t smallest_radix = 1024;         // below, clearing the counts costs more than comparing
    static constexpr std::size_t block = std::size_t(1) << 18;  // numbers between two looks at stop(), about a ms
    static constexpr std::size_t compared = std::size_t(1) << 15;  // numbers that std::sort takes as long for
    static constexpr int digit_bits = 11, digits = 3;              // counts of 11 bits stay in the first-level cache
    // Places on the grid per number; and steps of the insertion, per number, beyond which the numbers are not even.
    static constexpr int spare_bits = 5;
    static constexpr std::size_t most_steps = 4;

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
    std::pair<double, double> range(const double* values, Stop& stop) {
        // Four lanes: one minimum waits for the last, and a sort has few passes to spare.
        std::array<double, 4> low, high;
        low.fill(values[0]), high.fill(values[0]);
        in_blocks(stop, [&](std::size_t k) {
            low[k % 4] = std::min(low[k % 4], values[k]);
            high[k % 4] = std::max(high[k % 4], values[k]);
        });
        return {*std::min_element(low.begin(), low.end()), *std::max_element(high.begin(), high.end())};
    }

    /// The sort of numbers on an even grid. False, with nothing done, if too many share a place.
    template <class Stop>
    bool even_sort(const double* values, double* sorted, Stop& stop) {
        const auto [low, high] = range(values, stop);
        const int two = 2 * digit_bits, wished = index_bits_ + spare_bits;
        const int kept =
            index_bits_ < two && wished > two ? two : std::min({wished, digits * digit_bits, 64 - index_bits_});
        const double places = static_cast<double>((std::uint64_t(1) << kept) - 1), scale = places / (high - low);
        if (!(scale > 0.0 && scale < 1e300 && high - low < 1e300) || n_ >> 32 != 0) return false;
        const int count = kept <= 8 ? 1 : kept <= two ? 2 : 3, each = (kept + count - 1) / count;
        const std::uint64_t mask = (std::uint64_t(1) << each) - 1;
        std::array<std::array<std::uint32_t, std::size_t(1) << digit_bits>, digits> starts;
        for (int digit = 0; digit < count; ++digit) std::fill_n(starts[digit].begin(), mask + 1, 0);
        auto shift = [&](int digit) { return index_bits_ + digit * each; };
        const auto key_all = [&](auto passes) {
            return in_blocks(stop, [&](std::size_t k) {
                const auto place = static_cast<std::uint64_t>(static_cast<std::int64_t>((values[k] - low) * scale));
                keys_[k] = place << index_bits_ | k;
                for (int digit = 0; digit < passes(); ++digit) ++starts[digit][(place >> (digit * each)) & mask];
            });
        };
        if (!(count == 2 ? key_all([] { return 2; }) : key_all([&] { return count; }))) return true;
        // Were each stretch of the grid that has the leading digit in common filled evenly, so many pairs would meet.
        double pairs = 0.0;
        for (std::size_t place = 0; place <= mask; ++place)
            pairs += static_cast<double>(starts[count - 1][place]) * static_cast<double>(starts[count - 1][place]);
        if (count > 1 && pairs > most_steps * static_cast<double>(n_) * static_cast<double>(mask + 1)) return false;
        for (int digit = 0; digit < count; ++digit) {
            auto& start = starts[digit];
            std::uint32_t sum = 0;
            for (std::size_t place = 0; place <= mask; ++place) sum += std::exchange(start[place], sum);
            const int by = shift(digit);
            if (!in_blocks(stop, [&](std::size_t k) { spare_[start[(keys_[k] >> by) & mask]++] = keys_[k]; }))
                return true;
            keys_.swap(spare_);
        }
        if (!in_blocks(stop, [&](std::size_t k) { sorted[k] = values[keys_[k] &= positions()]; })) return true;
        std::size_t steps = 0;
        for (std::size_t k = 1; k < n_; ++k) {
            if (k % block == 0 && stop()) return true;
            if (sorted[k - 1] <= sorted[k]) continue;
            const double value = sorted[k];
            const std::uint64_t place = keys_[k];
            std::size_t to = k;
            for (; to > 0 && sorted[to - 1] > value; --to) {
                sorted[to] = sorted[to - 1];
                keys_[to] = keys_[to - 1];
            }
            sorted[to] = value;
            keys_[to] = place;
            steps += k - to;
            if (steps > most_steps * n_) return false;
        }
        return true;
    }

    template <class Stop>
    void radix_sort(const double* values, Stop& stop) {
        const auto [low, high] = range(values, stop);
        const std::uint64_t least = image(low), most = image(high);
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
