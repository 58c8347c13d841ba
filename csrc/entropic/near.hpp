// Passes of the entropic solver over points in up to three dimensions. They skip pairs that are too far apart to
// matter.
//
// Points lie in the order of a k-d tree. A pass takes its rows in blocks, and works on a packed copy of the columns
// that a block can reach. `screened` finds these by bounds. `NearBounds` has, for the columns of each node of the tree,
// a linear function that lies above their potentials; the largest value of that function less the cost, over the box
// around the node, has a closed form for each row. A pair is left out where
//
//     2^(r_i + g_j - C_ij) max(a_i n, b_j m) <= tau,
//
// with r the potentials of the rows and weights of total 1. So no row and no column loses more than tau of its weight.
// In an unbalanced problem a column may want less than its weight: the potential that is compared is then raised by as
// much.
//
// `screened` can write lists, too: for each block of rows the columns, as runs, of which the block holds more than
// that. `listed` is a pass over these.
#pragma once

#include <cstddef>
#include <vector>

#include "common/aligned.hpp"
#include "entropic/near_bounds.hpp"
#include "entropic/near_pass.hpp"

namespace monge {

/// Bounds of the potentials of all columns, at each level.
class NearBounds {
public:
    /// May throw std::bad_alloc, as all that follows.
    NearBounds(const double* Y, std::size_t m, const double* potentials, const double* log_weights, double scale,
               bool linear);
    const Bound* const* levels() const { return levels_; }

private:
    std::vector<Bound> bounds_[bound_levels];
    const Bound* levels_[bound_levels];
};

/// The columns of each block of rows; and, from the first pass over them on and unless that takes too much memory, the
/// powers of these pairs: reading them takes half the time. Lists that are filled in anew use the memory they have.
struct NearLists {
    std::vector<std::size_t> starts;  // one more than blocks
    std::vector<Run> runs;
    std::vector<std::size_t> kept;  // where the powers of a block start; empty before the first pass
    std::vector<double> beta;       // of the columns, for which they were computed; empty if they were not
    std::vector<double> bases;      // of the rows
    Aligned<unsigned char> powers;
    std::size_t room = 0;  // bytes of these
};

struct NearCount {
    std::size_t pairs;   // that a pass went over
    std::size_t needed;  // of the last choice of columns for each block
};

/// Rows from `first` to `last` of a pass over all columns that matter. `sums` (m,) are the column sums of these rows.
NearCount screened(const NearPass& pass, bool single, std::size_t first, std::size_t last, const NearBounds& bounds,
                   double log_tau, double* sums, NearLists* lists);

/// The same, over the columns that are listed, which are those of the same rows in the same precision; or over all.
/// Returns the pairs.
std::size_t listed(const NearPass& pass, bool single, std::size_t first, std::size_t last, NearLists* lists,
                   double* sums);

}  // namespace monge
