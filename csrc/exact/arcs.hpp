// Cost policies: what the solver asks of a cost.
//
// A policy `Arcs` stands for the costs c_ij of a complete bipartite graph between `rows()` sources and `cols()` sinks
// and must offer, safely from several threads at once:
//
//   typedef Scalar                     what a row is made of, float or double
//   size_t rows() const, cols() const
//   double cost(i, j) const            one cost
//   const Scalar* row(i, scratch)      the costs of row i, contiguous; `scratch` has room for cols() of them and is
//                                      used only where the row does not lie in memory as it is wanted
//   bool slack_row() const, slack_col() const
//                                      whether the last row, the last column, is no place but stands for the mass that
//                                      a partial problem leaves where it is
//
// A cost of +inf is a forbidden arc. Nothing is stored per arc but what the caller already owns.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/limits.hpp"

namespace monge {

using Node = std::int32_t;  // rows, then columns, then the root: checked to fit at the boundary

/// A matrix that the caller owns, read in place, possibly transposed, possibly without some of its rows and columns,
/// possibly with a row and a column of slack for a partial problem (Chapel, Alaya & Gasso 2020, "Partial optimal
/// transport with applications on positive-unlabeled learning", section 3): what a source keeps goes to the one, what a
/// sink lacks comes from the other, at no cost.
template <class T>
class MatrixArcs {
public:
    using Scalar = T;

    /// `row_step` and `col_step` are in elements. Empty maps mean all rows, all columns.
    MatrixArcs(const T* base, std::ptrdiff_t row_step, std::ptrdiff_t col_step, std::size_t rows, std::size_t cols,
               std::vector<Node> row_map = {}, std::vector<Node> col_map = {})
        : base_(base), row_step_(row_step), col_step_(col_step), row_map_(std::move(row_map)),
          col_map_(std::move(col_map)), rows_(row_map_.empty() ? rows : row_map_.size()),
          cols_(col_map_.empty() ? cols : col_map_.size()) {}

    /// Adds slack. `corner` is the cost of the arc from slack to slack, or what of it a T can hold: the size of the
    /// largest cost is enough, since what then stays on the arc can be taken off any other at no loss.
    void add_slack(bool row, bool col, double corner) {
        slack_row_ = row, slack_col_ = col;
        corner_ = std::min(corner, static_cast<double>(std::numeric_limits<T>::max()));
    }

    std::size_t rows() const { return rows_ + slack_row_; }
    std::size_t cols() const { return cols_ + slack_col_; }
    bool slack_row() const { return slack_row_; }
    bool slack_col() const { return slack_col_; }

    bool is_slack(std::size_t i, std::size_t j) const { return i == rows_ || j == cols_; }
    double cost(std::size_t i, std::size_t j) const {
        if (is_slack(i, j)) return i == rows_ && j == cols_ ? corner_ : 0.0;
        return static_cast<double>(start(i)[col(j) * col_step_]);
    }

    /// Row i and all that follow, one behind the other, if that is how they lie in memory; else null.
    const T* together(std::size_t i) const {
        const bool lie = row_map_.empty() && col_map_.empty() && !slack_row_ && !slack_col_ && col_step_ == 1 &&
                         row_step_ == static_cast<std::ptrdiff_t>(cols_);
        return lie ? start(i) : nullptr;
    }

    const T* row(std::size_t i, T* scratch) const {
        if (i == rows_) {
            std::fill(scratch, scratch + cols_, T(0));
            if (slack_col_) scratch[cols_] = static_cast<T>(corner_);
            return scratch;
        }
        const T* p = start(i);
        if (!col_map_.empty()) {
            for (std::size_t j = 0; j < cols_; ++j) scratch[j] = p[col_map_[j] * col_step_];
        } else if (col_step_ != 1) {
            for (std::size_t j = 0; j < cols_; ++j) scratch[j] = p[static_cast<std::ptrdiff_t>(j) * col_step_];
        } else if (slack_col_) {
            std::copy(p, p + cols_, scratch);
        } else {
            return p;
        }
        if (slack_col_) scratch[cols_] = T(0);
        return scratch;
    }

private:
    const T* start(std::size_t i) const {
        return base_ + (row_map_.empty() ? static_cast<std::ptrdiff_t>(i) : row_map_[i]) * row_step_;
    }
    std::ptrdiff_t col(std::size_t j) const { return col_map_.empty() ? static_cast<std::ptrdiff_t>(j) : col_map_[j]; }

    const T* base_;
    std::ptrdiff_t row_step_, col_step_;
    std::vector<Node> row_map_, col_map_;
    std::size_t rows_, cols_;  // without slack
    bool slack_row_ = false, slack_col_ = false;
    double corner_ = 0.0;
};

/// The two problems into which forbidden arcs split a solve.
///
/// Phase one minimises the mass on forbidden arcs: cost 1 if c_ij = +inf, else 0. Its optimal potentials (p, q) are
/// integers. If the minimum is zero, every feasible plan lives on the allowed arcs with p_i + q_j = 0, and on these any
/// flow keeps forbidden arcs empty. Phase two minimises the true cost over just these: the costs of all others read as
/// +inf. No large constant enters the arithmetic.
template <class Arcs>
class ForbiddenArcs {
public:
    using Scalar = typename Arcs::Scalar;

    /// Begins with the costs as they are, for the start of the solver.
    explicit ForbiddenArcs(const Arcs& arcs) : arcs_(arcs) {}

    void phase_one() { indicator_ = true; }
    /// Empty potentials stand for all allowed arcs.
    void phase_two(std::vector<double> p, std::vector<double> q) {
        indicator_ = false;
        p_ = std::move(p);
        q_ = std::move(q);
    }

    std::size_t rows() const { return arcs_.rows(); }
    std::size_t cols() const { return arcs_.cols(); }
    bool slack_row() const { return arcs_.slack_row(); }
    bool slack_col() const { return arcs_.slack_col(); }

    double cost(std::size_t i, std::size_t j) const {
        const double c = arcs_.cost(i, j);
        if (indicator_) return std::isinf(c) ? 1.0 : 0.0;
        return allowed(i, j) ? c : std::numeric_limits<double>::infinity();
    }

    const Scalar* row(std::size_t i, Scalar* scratch) const {
        const Scalar inf = std::numeric_limits<Scalar>::infinity();
        const Scalar* c = arcs_.row(i, scratch);
        if (indicator_)
            for (std::size_t j = 0; j < cols(); ++j) scratch[j] = c[j] == inf ? Scalar(1) : Scalar(0);
        else if (!p_.empty())
            for (std::size_t j = 0; j < cols(); ++j) scratch[j] = allowed(i, j) ? c[j] : inf;
        else
            return c;
        return scratch;
    }

    /// After phase two: the multiple of (p, q) that makes potentials (u, v) of phase two feasible on all arcs.
    double lift(const double* u, const double* v, std::vector<Scalar>& scratch) const {
        double factor = 0.0;
        for (std::size_t i = 0; i < rows() && !p_.empty(); ++i) {
            const Scalar* c = arcs_.row(i, scratch.data());
            for (std::size_t j = 0; j < cols(); ++j) {
                const double violation = (v[j] - static_cast<double>(c[j])) + u[i];
                if (violation > 0.0 && !allowed(i, j)) factor = std::max(factor, violation / -(p_[i] + q_[j]));
            }
        }
        return factor;
    }
    double p(std::size_t i) const { return p_.empty() ? 0.0 : p_[i]; }
    double q(std::size_t j) const { return q_.empty() ? 0.0 : q_[j]; }

private:
    bool allowed(std::size_t i, std::size_t j) const { return p_.empty() || p_[i] + q_[j] == 0.0; }

    const Arcs& arcs_;
    bool indicator_ = false;
    std::vector<double> p_, q_;
};

/// Costs less potentials (p, q) that are nearly optimal, c_ij - p_i - q_j. The same plans are optimal for them, and the
/// costs in use are nearly zero, so that large numbers among them no longer hide small differences: iterative
/// refinement (Gleixner, Steffy & Wolter 2016, "Iterative refinement for linear programming", section 2). Every
/// difference is rounded once, from its exact value. +inf stays what it is.
///
/// One type for the costs of all policies, which are asked for one at a time: it is seldom needed, and takes long to
/// compile.
class ReducedArcs {
public:
    using Scalar = double;

    template <class Base>
    ReducedArcs(const Base& base, std::vector<double> p, std::vector<double> q)
        : base_(&base), cost_([](const void* arcs, std::size_t i, std::size_t j) {
              return static_cast<const Base*>(arcs)->cost(i, j);
          }),
          p_(std::move(p)), q_(std::move(q)), slack_row_(base.slack_row()), slack_col_(base.slack_col()) {}

    std::size_t rows() const { return p_.size(); }
    std::size_t cols() const { return q_.size(); }
    bool slack_row() const { return slack_row_; }
    bool slack_col() const { return slack_col_; }

    double cost(std::size_t i, std::size_t j) const { return reduced(cost_(base_, i, j), p_[i], q_[j]); }

    const double* row(std::size_t i, double* scratch) const {
        for (std::size_t j = 0; j < cols(); ++j) scratch[j] = cost(i, j);
        return scratch;
    }

    /// c - p - q: both differences with their rounding errors (Knuth 1998, "The Art of Computer Programming", volume 2,
    /// section 4.2.2, theorem B).
    static double reduced(double c, double p, double q) {
        double lost_q, lost_p;
        const double without_q = minus(c, q, lost_q), rest = minus(without_q, p, lost_p);
        return c < std::numeric_limits<double>::infinity() ? rest + (lost_q + lost_p) : c;
    }

private:
    static double minus(double x, double y, double& lost) {
        const double difference = x - y, taken = difference - x;
        lost = (x - (difference - taken)) - (y + taken);
        return difference;
    }

    const void* base_;
    double (*cost_)(const void*, std::size_t, std::size_t);
    const std::vector<double> p_, q_;
    const bool slack_row_, slack_col_;
};

}  // namespace monge
