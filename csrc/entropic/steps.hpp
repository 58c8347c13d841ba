// What the loop of the entropic solver does between its passes; see iteration.py, whose functions these are, for the
// meaning of the arguments. All are in one unit: that of the potentials, of eps and of the demands.
#pragma once

#include <cstddef>

namespace monge {

/// The weights and demands of the two sides.
struct Sides {
    std::size_t n, m;
    const double* a;  // (n,)
    const double* b;  // (m,)
    double kl_a, cap_a, kl_b, cap_b;

    /// Whether a common shift of the potentials has a best value.
    bool translate() const;
};

/// The plan at (f, g), as far as the loop must know it.
struct Measured {
    double error, mass, value_a, value_b;
};

/// out (m,) = the column sums of a plan, from the softmins s of its columns: b exp((g - s) / eps).
void column_sums(const double* b, std::size_t m, double eps, const double* g, const double* s, double* out);

/// `columns` (m,) are the plan's column sums; `wanted` (m,) gets those that g calls for.
Measured measure(const Sides& sides, const double* f, const double* g, const double* columns, double* wanted);

/// Whether g_j is at the bound of TV, and the plan would have it go beyond.
inline bool held(double g, double cap, double column, double wanted) {
    return (g >= cap && column <= wanted) || (g <= -cap && column >= wanted);
}

/// out (m,) = the best g for this f, where a balanced one would be s; translated before and after if `translate`, where f
/// takes part in the first translation.
void plain_step(const Sides& sides, double eps, bool translate, double* f, const double* g, const double* s, double* out);

/// g (m,) = Anderson's combination of this and the last plain steps; false if it is just the plain one. `memory` has
/// 2 depth + 3 rows of `stride` numbers, `gram` depth rows of depth; depth <= `deepest`.
bool extrapolate(const double* b, std::size_t m, double cap, double eps, std::size_t taken, const double* plain, double* g,
                 double* memory, std::size_t stride, double* gram, std::size_t depth);

constexpr std::size_t deepest = 32;

}  // namespace monge
