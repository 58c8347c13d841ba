// What costs and weights may be.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

namespace monge {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Beyond this, sums of costs along a path of the solver's tree could overflow.
constexpr double largest_cost = 1e290;

/// Masses are multiplied by 2^60, and by costs: beyond these totals such products would overflow.
constexpr double smallest_total = 1e-280, largest_total = 1e280;

/// By how much two totals of weights at so many places may differ, relative to the larger one, because their numbers
/// were rounded. Each weight is off by half a unit in its last place, and so is the sum by which it was normalised, to
/// which a plain loop over float32 adds about the square root of the number of terms.
inline double total_tolerance(double rounding, std::size_t places) {
    return rounding * (8.0 + std::sqrt(static_cast<double>(places)));
}

}  // namespace monge
