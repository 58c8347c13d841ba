// An order in which points that are close in space are close in memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>

namespace monge {

/// Writes 0 .. n-1 to `order` so that any 2^k consecutive places that begin at a multiple of 2^k, k >= 1, hold the
/// points of one box of a k-d tree (Bentley 1975), which is cut across its longest side. `points` is (n, d), row by
/// row.
inline void kd_order(const double* points, std::size_t n, std::size_t d, std::int64_t* order) {
    constexpr std::size_t leaf = 2;
    struct Recursion {
        const double* points;
        std::size_t d;

        void operator()(std::int64_t* first, std::int64_t* last) const {
            const auto size = static_cast<std::size_t>(last - first);
            if (size <= leaf) return;
            std::size_t longest = 0;
            double length = -1.0;
            for (std::size_t k = 0; k < d; ++k) {
                double low = points[*first * d + k], high = low;
                for (const std::int64_t* i = first; i != last; ++i) {
                    low = std::min(low, points[*i * d + k]);
                    high = std::max(high, points[*i * d + k]);
                }
                if (high - low > length) {
                    length = high - low;
                    longest = k;
                }
            }
            // The first part holds the largest power of two of points that leaves some to the second.
            std::size_t part = leaf;
            while (2 * part < size) part *= 2;
            std::nth_element(first, first + part, last, [&](std::int64_t i, std::int64_t j) {
                const double at_i = points[i * d + longest], at_j = points[j * d + longest];
                return at_i < at_j || (at_i == at_j && i < j);  // ties by index: one answer everywhere
            });
            (*this)(first, first + part);
            (*this)(first + part, last);
        }
    };
    std::iota(order, order + n, std::int64_t{0});
    Recursion{points, d}(order, order + n);
}

}  // namespace monge
