// What the loop of the entropic solver does between its passes; see iteration.py, whose functions these are, for the
// meaning of the arguments. All are in one unit: that of the potentials, of eps and of the demands.
#pragma once

#include <cstddef>
#include <vector>

namespace monge {

/// The weights and demands of the two sides.
struct Sides {
    std::size_t n, m;
    const double* a;  // (n,)
    const double* b;  // (m,)
    double kl_a, cap_a, kl_b, cap_b;
    bool symmetric;  // both sides are the same, and the costs symmetric: one potential is both

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
inline bool at_bound(double g, double cap, double column, double wanted) {
    return (g >= cap && column <= wanted) || (g <= -cap && column >= wanted);
}

/// out (m,) = the best g for this f, where a balanced one would be s; translated before and after if `translate`, where
/// f takes part in the first translation.
///
/// In a symmetric problem it is (g + 8 f + 8 times that) / 17. Let h be the potential and P its plan. Where g is off by
/// e, f is off by -Q e and the best g by Q^2 e, with Q = diag(P 1)^-1 P (and damped, for KL), whose eigenvalues are in
/// [0, 1] for the kernels of the usual costs, and in [-1, 1] always. The polynomial (1 - 8 t + 8 t^2) / 17 is
/// Chebyshev's of [0, 1] that is one at -1: it is at most 1/17 there, and less than one in (-1, 0), whatever eps is. So
/// a pass leaves a seventeenth of the error; the mean of f and g (Feydy et al. 2019, "Interpolating between optimal
/// transport and MMD using Sinkhorn divergences", section 3.1, equation 25) leaves a half.
void plain_step(const Sides& sides, double eps, bool translate, double* f, const double* g, const double* s,
                double* out);

/// g (m,) = Anderson's combination of this and the last plain steps; false if it is just the plain one. `memory` has
/// 2 depth + 3 rows of `stride` numbers, `gram` depth rows of depth; depth <= `deepest`.
bool extrapolate(const double* b, std::size_t m, double cap, double eps, std::size_t taken, const double* plain,
                 double* g, double* memory, std::size_t stride, double* gram, std::size_t depth);

constexpr std::size_t deepest = 32;

/// In units of eps, how far potentials may be from their median where an eps starts: further ones have too few digits.
constexpr double most_digits = 1e11;

/// Brings potentials g (m,) that are too far from the others for eps to count beside them as near as it does. That is
/// where mass of an outlier goes to another one: f_i + g_j says how, but f_i and g_j may be of any size.
void keep_digits(const double* b, std::size_t m, double eps, double* g);

/// The potentials of one problem and the steps on them, as `Steps` in kernels/reference.py specifies them. A pass fills
/// in f and s for g; all else happens here, so that the loop sees numbers alone.
class Steps {
public:
    /// `f` (n,), `g` (m,) and `s` (m,) are the caller's, as are the weights. Acceleration looks back on `depth` steps.
    Steps(const Sides& sides, std::size_t depth, double* f, double* g, const double* s);

    Measured measure(double eps);
    void keep_digits(double eps);
    void advance(double eps);
    bool accelerate(double eps, bool anew);
    void shorten(double share);
    void take_back();
    void forget() { taken_ = 0; }

private:
    const Sides sides_;
    const std::size_t depth_;
    double* const f_;
    double* const g_;
    const double* const s_;
    const bool translate_;
    std::size_t taken_ = 0;                 // steps since acceleration forgot what was before
    std::vector<double> columns_, wanted_;  // (m,): the column sums, and those that g calls for
    std::vector<double> safe_;              // (m,): the last plain step
    std::vector<double> memory_, gram_;
};

}  // namespace monge
