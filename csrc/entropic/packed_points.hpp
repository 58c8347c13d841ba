// Points in the form that the loops over pairs take; see `Costs` in pairs.hpp.
#pragma once

#include <cstddef>
#include <vector>

#include "common/ground.hpp"
#include "entropic/pairs.hpp"

namespace monge {

/// Points x (n, d) and y (m, d) about their middle, over a power of two that brings them into range, lifted where
/// products are faster than differences and no distance loses its digits by them.
template <class T>
class PackedPoints {
public:
    /// Points whose difference is in range; may throw std::bad_alloc.
    void pack(const GroundCost& ground, const double* x, std::size_t n, const double* y, std::size_t m, std::size_t d);

    /// Costs, over `factor`.
    Costs<T> costs() const;

    std::vector<T> x, y;  // rows of x, panels of y
    std::size_t d = 0;    // of their coordinates
    bool lifted = false;
    double factor = 1.0;

private:
    Ground ground_ = Ground::squares;
    double exponent_ = 1.0;
};

}  // namespace monge
