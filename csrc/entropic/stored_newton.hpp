// Newton's method. See stored.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "entropic/stored_scaling.hpp"

namespace monge {

// The damping it starts with, its bounds, and the least pivot on a unit diagonal.
constexpr double first_damping = 1e-3, least_damping = 1e-14, most_damping = 1e3, least_pivot = 1e-15;
// How far, in log2 units, potentials may move from those that are absorbed: it squares the matrix.
constexpr double farthest_squared = 20.0;
// The share of its mass that a column must get before such a step.
constexpr double uneven_share = 0.05;
// The share of the promised increase of the dual that a step must bring (Armijo).
constexpr double armijo = 1e-4;

class StoredNewton {
public:
    explicit StoredNewton(StoredScaling& scaling) : s_(scaling) {}

    /// Newton's method for the dual as a function of beta alone, from potentials that a pass was made with, until the
    /// error is below `goal`; the damping is that of Levenberg and Marquardt. All is in full precision from here on. At
    /// the end, the last pass was made with beta, which is no worse than at the start unless the solve is over.
    void run(double goal) {
        double damping = first_damping;
        size_ = filled(s_.m);
        H_.resize(size_ * size_);
        U_.resize(size_ * size_);
        q_.assign(filled(s_.n), 0.0);
        for (auto* row : {&step_, &right_, &diagonal_}) row->assign(size_, 0.0);
        if (s_.digits != Digits::full) {
            s_.use(Digits::full);
            again();
            if (s_.over()) return;
        }
        for (bool plain = false; s_.error > goal;) {
            // A column that gets next to nothing has no curvature to go by; the plain step knows what it lacks.
            plain = !plain && uneven();
            if (plain) {
                if (s_.over()) return;
                s_.plain_step(s_.beta);
                again();
                continue;
            }
            if (s_.moved() > farthest_squared) {
                --s_.outcome->passes;  // the same potentials once more
                s_.pass(farthest_squared);
            }
            curvature();
            const double before = s_.dual, error = s_.error;
            base_ = s_.beta;
            for (bool accepted = false; !accepted;) {
                if (s_.over()) return;
                const double promised = newton_step(damping);
                again();
                // What is promised may be less than the dual is known to.
                accepted = promised > 1e-13 * s_.size ? s_.dual >= before + armijo * promised : s_.error <= error;
                damping *= accepted ? 0.1 : 10.0;
                if (!accepted && damping > most_damping) {
                    s_.beta = base_;
                    again();
                    return;
                }
            }
            damping = std::max(damping, least_damping);
        }
    }

private:
    /// Whether some column gets far too little.
    bool uneven() const {
        for (std::size_t j = 0; j < s_.m; ++j)
            if (s_.column[j] < uneven_share * s_.wanted[j]) return true;
        return false;
    }

    void again() {
        s_.pass();
        s_.measure();
    }

    /// H, scaled to a unit diagonal, and the gradient at the last pass. The second derivative by g is -H / eps, with
    /// H = diag(column sums, and what the marginal adds) - P' diag(1 / (row sums, and ...)) P.
    void curvature() {
        const double cap_b = s_.sides.cap_b;
        for (std::size_t i = 0; i < s_.n; ++i) {
            const double sum = s_.w[i] * s_.r[i] * (1.0 + log2_e / s_.sides.kl_a);
            const bool fixed = std::fabs(s_.alpha[i]) >= s_.sides.cap_a;  // at TV's bound
            q_[i] = sum > 0.0 && !fixed ? s_.w[i] * (s_.w[i] / sum) : 0.0;
        }
        constexpr std::size_t some = 32;
        s_.workers.run((size_ + some - 1) / some, [&](std::size_t chunk, int worker) {
            if (s_.stop) return;
            const std::size_t first = chunk * some, last = std::min(size_, first + some);
            s_.kernels.gram(s_.K.data(), s_.n, s_.stride, size_, q_.data(), first, last, H_.data());
            if (worker == 0) s_.worked(s_.n * (last - first) * (size_ - first));
        });
        for (std::size_t j = 0; j < s_.m; ++j) {
            const double diagonal = s_.column[j] + s_.wanted[j] * (log2_e / s_.sides.kl_b);
            const bool free =
                s_.b[j] > 0.0 && !at_bound(s_.beta[j], cap_b, s_.column[j], s_.wanted[j]) && diagonal > 0.0;
            diagonal_[j] = free ? 1.0 / std::sqrt(diagonal) : 0.0;
            right_[j] = free ? s_.wanted[j] - s_.column[j] : 0.0;
        }
        for (std::size_t j = 0; j < s_.m; ++j) {
            double* row = &H_[j * size_];
            const double left = -diagonal_[j] * s_.v[j];
            for (std::size_t k = j; k < s_.m; ++k) row[k] *= left * (diagonal_[k] * s_.v[k]);
            row[j] += 1.0;
        }
    }

    /// beta <- base + the step with this damping; the increase of the dual that the gradient promises.
    double newton_step(double damping) {
        const double cap = s_.sides.cap_b;
        ++s_.outcome->steps;
        for (std::size_t j = 0; j < s_.m; ++j) {
            std::copy(&H_[j * size_] + j / 8 * 8, &H_[j * size_] + size_, &U_[j * size_] + j / 8 * 8);
            U_[j * size_ + j] += damping;
            step_[j] = right_[j] * diagonal_[j];
        }
        s_.kernels.factor(U_.data(), s_.m, size_, least_pivot);
        s_.worked(s_.m * s_.m / 6 * s_.m);
        s_.kernels.solve(U_.data(), s_.m, size_, step_.data());
        double promised = 0.0;
        for (std::size_t j = 0; j < s_.m; ++j) {
            s_.beta[j] = std::min(std::max(base_[j] + step_[j] * diagonal_[j] / ln2, -cap), cap);
            promised += (s_.beta[j] - base_[j]) * right_[j];
        }
        return s_.unit * promised;
    }

    StoredScaling& s_;
    std::size_t size_ = 0;  // of the rows of H and U
    std::vector<double> H_, U_, q_, step_, right_, diagonal_, base_;
};

}  // namespace monge
