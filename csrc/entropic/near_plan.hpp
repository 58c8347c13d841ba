// What is asked of a plan over points in up to three dimensions, from the pairs that matter: its sums, its price, its
// entropy, and its products. And the min-plus transform of a potential, from the pairs that can attain it.
//
// Points lie in the order of a k-d tree, as in near.hpp. A block of rows takes a packed copy of the columns that its
// bounds leave, and the kernels of plan_pairs.hpp go over that: so each entry has the bits that it has in a pass over
// all pairs. A pair of the plan P_ij = 2^(rows_i + columns_j - inverse C_ij) is left out where
//
//     P_ij <= tau min(sent_i / m, received_j / n),
//
// with sent and received what rows and columns hold: no row or column loses more than tau of that.
#pragma once

#include <cstddef>
#include <vector>

#include "entropic/near.hpp"
#include "entropic/plan_pairs.hpp"

namespace monge {

/// Points (3, n) and (3, m), of which d coordinates are not zero throughout, and the costs between them.
struct NearCosts {
    const double* X;
    const double* Y;
    std::size_t n, m, d;
    Ground ground;
    double exponent;  // of the base
    bool exact;       // as in `NearPass`
};

/// Logarithms to base 2 of a plan; -inf for what is empty.
struct NearPotentials {
    double inverse;
    const double* rows;     // (n,)
    const double* columns;  // (m,)
    const double* sent;     // of about what each row holds
    const double* received;
    double tau;
};

/// Sums over some rows of a plan, and the pairs gone over.
struct NearTotals {
    double price, entropy;
    std::size_t pairs;
};

/// Points and potentials have to outlive it. All it does may throw std::bad_alloc, and run on several threads at once.
class NearPlan {
public:
    NearPlan(const NearCosts& costs, const NearPotentials& potentials);

    /// As `PlanSums`, for rows from `first` to `last`: u and sent are (n,), v and received (m,).
    NearTotals sums(std::size_t first, std::size_t last, const double* u, const double* v, double* sent,
                    double* received) const;
    /// As `PlanMixture`.
    NearTotals mixture(std::size_t first, std::size_t last, const double* u, const double* v, double* sent,
                       double* received) const;
    /// As `PlanProduct`, with V (m, stride) and out (n, stride); returns the pairs.
    std::size_t product(std::size_t first, std::size_t last, const double* V, std::size_t stride, double* out) const;
    /// As `PlanGradient`, with x (n, d) and y (m, d).
    NearTotals gradient(std::size_t first, std::size_t last, double* sent, double* received, double* x,
                        double* y) const;

private:
    template <class Use>
    std::size_t over_blocks(std::size_t first, std::size_t last, Use use) const;
    template <class Sums>
    std::size_t over_vectors(std::size_t first, std::size_t last, const double* u, const double* v, double* sent,
                             double* received, void (*kernel)(Sums&), Sums* total) const;

    NearCosts costs_;
    NearPotentials at_;
    double scale_;                        // of coordinates, for bounds
    std::vector<double> shift_, weight_;  // (n,), of rows: over what they hold, and what that is
    NearBounds bounds_;                   // of the same for columns
    double least_;
};

/// The transform of g (m,), in units of the costs; -inf for a column that is left out.
class NearTransform {
public:
    NearTransform(const NearCosts& costs, const double* g);

    /// f_i = min_j C_ij - g_j for rows from `first` to `last`, +inf where there is no column; returns the pairs.
    std::size_t rows(std::size_t first, std::size_t last, double* f) const;

private:
    NearCosts costs_;
    const double* g_;
    double largest_;  // |g_j|
    NearBounds bounds_;
};

}  // namespace monge
