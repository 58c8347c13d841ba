// Entropic optimal transport where the kernel matrix is stored.
//
// maximise  phi_a(f) + phi_b(g) - eps sum_ij a_i b_j exp((f_i + g_j - C_ij) / eps)
//
// from the costs to the potentials. For each eps the exponentials are computed once, relative to potentials that are
// absorbed into them (Schmitzer 2019, "Stabilized sparse scaling algorithms for entropy regularized transport
// problems", section 3.1); a pass is then two products with that matrix, until the potentials have moved so far that it
// must be made anew. So no eps leads to overflow. The matrix is in single precision as long as that is enough for the
// marginal error that is asked for. Where passes do not get there soon, potentials of the exact solver do, or Newton's
// method; and a small eps starts from the former, in place of annealing.
//
// It is an algorithm of its own beside iteration.py: stored_scaling.hpp has the passes, stored_newton.hpp Newton's
// method, stored.cpp the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/ground.hpp"

namespace monge {

// Coordinates from which the costs of points are kept beside the matrix if there is to be another one, up to so many
// bytes.
constexpr std::size_t costly_coordinates = 128, most_kept = std::size_t{1} << 27;
// Columns up to which Newton's method is used: it takes two matrices between them, and their factors a while.
constexpr std::size_t most_newton_columns = 2048;

/// Whether a matrix that is wider than high is worth a copy, so that Newton's method works on the shorter side.
inline bool worth_turning(std::size_t n, std::size_t m) {
    return n * m <= std::size_t{1} << 20 || (n <= most_newton_columns && m >= 2 * n);
}

/// A problem, and where its answer goes. Where both sides must be met exactly, their weights add up to one.
struct StoredProblem {
    std::size_t n, m;
    const float* floats;    // costs (n, m), in one of these
    const double* doubles;  // both null for those between points
    const double* x;        // (n, d)
    const double* y;        // (m, d)
    std::size_t d;
    GroundCost ground;
    const double* a;       // (n,)
    const double* b;       // (m,)
    double kl[2], cap[2];  // the marginals of the rows and the columns: see marginals.py
    double eps, first;     // the eps to start from; zero for the scale of the costs
    bool symmetric;        // see Sides in steps.hpp; then it starts from eps
    double tol;
    std::int64_t max_iter;
    double* f;  // (n,)
    double* g;  // (m,); both hold the start
};

struct StoredOutcome {
    bool converged;
    std::int64_t passes, steps, kernels;  // steps of Newton's method; and how often the matrix was made
    double error, dual, seconds;
    std::vector<double> errors;  // after each pass, the first ones
};

struct StoredOptions {
    int threads = 1;
    /// Called now and then on the calling thread, with how far the solve there is: passes, eps and marginal error, or
    /// zeros where there is none. True stops all solves where they are.
    bool (*poll)(void* context, std::int64_t passes, double eps, double error) = nullptr;
    void* context = nullptr;
};

/// Solves `count` problems: a single one on all threads, more of them on one thread each. False if there is no memory.
bool solve_stored(const StoredProblem* problems, StoredOutcome* outcomes, std::size_t count,
                  const StoredOptions& options);

}  // namespace monge
