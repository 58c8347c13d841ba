// See small.hpp. The loop is that of iteration.py, with Newton's method beside acceleration, and for a small eps
// the exact solver in place of annealing.
#include "entropic/small.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "exact/emd.hpp"
#include "common/ground_costs.hpp"
#include "entropic/small_kernels.hpp"
#include "entropic/steps.hpp"
#include "common/sorting.hpp"
#include "common/workers.hpp"

namespace monge {
namespace {

using std::int64_t;
using std::size_t;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double ln2 = 0.69314718055994530942, eps_ = 1.0 / ln2;

// Factor between values of eps.
constexpr double anneal = 4.0;
// Marginal error at which an eps that is not the last has done its work: at a share of the cost scale above `coarse`
// little depends on it; below, a plan that leaves the mass of a whole column where it does not belong makes the next
// eps start from nowhere.
constexpr double coarse = 0.03, stage_error = 0.1, least_stage_error = 0.003;
// Steps that acceleration looks back on.
constexpr size_t depth = 8;
// How far, in log2 units, potentials may move from those that are absorbed: what was cut off then still counts for
// nothing, and no row or column sum overflows.
constexpr double farthest = 200.0;
// The same before Newton's method, which squares the matrix.
constexpr double farthest_squared = 20.0;
// Column sums below which too much may have been cut off; and a bound that keeps sums finite.
constexpr double lost = 1e-150, largest_sum = 1e250;
// Newton's method: the damping it starts with, its bounds, and the least pivot on a unit diagonal.
constexpr double first_damping = 1e-3, least_damping = 1e-14, most_damping = 1e3, least_pivot = 1e-15;
// The share of its mass that a column must get before such a step.
constexpr double uneven_share = 0.05;
// The share of the promised increase of the dual that a step must bring (Armijo).
constexpr double armijo = 1e-4;
// Columns up to which a step of Newton's method costs no more than a few passes.
constexpr size_t tiny = 32;
// Passes before that, and their growth with the number of columns: so does the ratio of a step's price to a pass's.
constexpr int64_t few_passes = 20, columns_per_pass = 4;
// Shares of the cost scale below which eps is not annealed: exact potentials are a better start, and from there Newton's
// method soon is of use. They take longer to find, which pays earlier for a tolerance below `precise` if columns are not
// many.
constexpr double small = 0.005, small_precise = 0.02, precise = 1e-5;
constexpr size_t many = 300;
constexpr int64_t early_passes = 10;

constexpr size_t most_errors = 10000;

size_t filled(size_t size) { return (size + 7) / 8 * 8; }

class Solver {
public:
    explicit Solver(std::atomic<bool>& stop) : kernels_(scaling_kernels()), stop_(stop) {}

    /// `poll` is called from time to time if not null.
    void solve(const SmallProblem& problem, SmallOutcome* outcome, const SmallOptions* poll) {
        const auto began = std::chrono::steady_clock::now();
        p_ = &problem;
        out_ = outcome;
        *out_ = SmallOutcome{};
        poll_ = poll;
        prepare();
        iterate();
        finish();
        out_->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    }

private:
    // --- Costs ---

    /// Rows are the longer side: Newton's method works on the shorter one.
    void prepare() {
        const SmallProblem& p = *p_;
        turned_ = p.m > p.n;
        n_ = turned_ ? p.m : p.n;
        m_ = turned_ ? p.n : p.m;
        stride_ = filled(m_);
        const size_t rows = filled(n_);
        C_.resize(n_ * stride_);
        K_.resize(n_ * stride_);
        for (auto* row : {&a_, &log_a_, &alpha_, &alpha0_, &w_, &r_, &log_r_}) row->assign(rows, 0.0);
        for (auto* row : {&b_, &log_b_, &beta_, &beta0_, &v_, &column_, &softmin_, &shift_, &safe_, &wanted_, &scratch_})
            row->assign(stride_, 0.0);
        std::copy_n(turned_ ? p.b : p.a, n_, a_.begin());
        std::copy_n(turned_ ? p.a : p.b, m_, b_.begin());
        logarithms(a_, log_a_);
        logarithms(b_, log_b_);
        const int side = turned_ ? 1 : 0;
        balanced_rows_ = p.kl[side] == infinity && p.cap[side] == infinity;
        balanced_ = balanced_rows_ && p.kl[1 - side] == infinity && p.cap[1 - side] == infinity;
        memory_.resize((2 * depth + 3) * stride_);
        load_costs();
    }

    void logarithms(const std::vector<double>& weights, std::vector<double>& out) const {
        kernels_.log2(weights.data(), weights.size(), out.data());
        for (size_t k = 0; k < weights.size(); ++k)
            if (!(weights[k] >= std::numeric_limits<double>::min())) out[k] = std::log2(weights[k]);
    }

    void load_costs() {
        const SmallProblem& p = *p_;
        for (size_t i = 0; i < n_; ++i) std::fill(&C_[i * stride_] + m_, &C_[i * stride_] + stride_, infinity);
        if (p.costs != nullptr) {
            for (size_t i = 0; i < n_; ++i)
                for (size_t j = 0; j < m_; ++j) C_[i * stride_ + j] = p.costs[turned_ ? j * p.m + i : i * p.m + j];
            return;
        }
        across_.resize(p.d * m_);
        lay_across(turned_ ? p.x : p.y, m_, p.d, m_, across_.data());
        const double* const rows = turned_ ? p.y : p.x;
        for (size_t i = 0; i < n_; ++i) ground_row(p.ground, rows + i * p.d, across_.data(), p.d, m_, m_, &C_[i * stride_]);
    }

    /// The mean cost above the least one.
    double scale() const {
        double least, total, count;
        kernels_.summary(C_.data(), n_ * stride_, &least, &total, &count);
        return count > 0.0 ? total / count - least : 0.0;
    }

    // --- Passes ---

    /// From here on potentials and demands are in log2 units of this eps, which is `eps_` itself.
    void enter(double eps) {
        const SmallProblem& p = *p_;
        const int side = turned_ ? 1 : 0;
        unit_ = eps * ln2;
        sides_ = {n_, m_, a_.data(), b_.data(), p.kl[side] / unit_, p.cap[side] / unit_, p.kl[1 - side] / unit_,
                  p.cap[1 - side] / unit_};
        translate_ = sides_.translate();
        absorbed_ = false;
        taken_ = 0;
    }

    double moved() const {
        double most = 0.0;
        for (size_t j = 0; j < m_; ++j) most = std::max(most, std::fabs(beta_[j] - beta0_[j]));
        return most;
    }

    void absorb() {
        const double inverse = 1.0 / unit_;
        for (size_t j = 0; j < stride_; ++j) {
            beta0_[j] = beta_[j];
            shift_[j] = log_b_[j] + beta_[j];
        }
        for (size_t i = 0; i < n_; ++i) {
            const double sum = kernels_.softmax(&C_[i * stride_], inverse, shift_.data(), stride_, &K_[i * stride_]);
            alpha0_[i] = sum > -infinity ? -sum : 0.0;  // zero with no column in reach
        }
        absorbed_ = true;
    }

    /// alpha <- the best one for beta; the column sums of the plan, and the softmin that would be the next beta.
    void pass(double range = farthest) {
        if (!absorbed_ || moved() > range) absorb();
        for (size_t j = 0; j < stride_; ++j) v_[j] = beta_[j] - beta0_[j];
        kernels_.exp2(v_.data(), stride_, v_.data());
        std::fill(column_.begin(), column_.end(), 0.0);
        // As many rows at a time as stay in the first cache between the two products.
        const size_t block = std::max<size_t>(8, 2048 / stride_ / 8 * 8);
        const double damp = 1.0 / (1.0 + eps_ / sides_.kl_a), cap = sides_.cap_a;
        for (size_t first = 0; first < n_; first += block) {
            const size_t rows = std::min(block, n_ - first), all = filled(rows);
            const double* K = &K_[first * stride_];
            kernels_.products(K, rows, stride_, stride_, v_.data(), &r_[first]);
            for (size_t i = first; i < first + all; ++i) r_[i] = r_[i] > 0.0 ? r_[i] : 1.0;
            kernels_.log2(&r_[first], all, &log_r_[first]);
            if (balanced_rows_) {
                for (size_t i = first; i < first + all; ++i) {
                    alpha_[i] = alpha0_[i] - log_r_[i];
                    w_[i] = a_[i] / r_[i];
                }
            } else {
                for (size_t i = first; i < first + all; ++i) {
                    const double softmin = alpha0_[i] - log_r_[i];
                    alpha_[i] = std::min(std::max(damp * softmin, -cap), cap);
                    w_[i] = alpha_[i] - softmin;
                }
                kernels_.exp2(&w_[first], all, &w_[first]);
                for (size_t i = first; i < first + all; ++i) w_[i] *= a_[i] / r_[i];
            }
            kernels_.accumulate(K, rows, stride_, stride_, &w_[first], column_.data());
        }
        for (size_t j = 0; j < stride_; ++j) {
            column_[j] *= v_[j];
            scratch_[j] = column_[j] > lost && column_[j] < largest_sum ? column_[j] : 1.0;
        }
        kernels_.log2(scratch_.data(), stride_, softmin_.data());
        for (size_t j = 0; j < m_; ++j) {
            if (!(b_[j] > 0.0)) {
                softmin_[j] = beta_[j];
            } else if (scratch_[j] == column_[j]) {
                softmin_[j] = beta_[j] + log_b_[j] - softmin_[j];
            } else {
                softmin_[j] = column_softmin(j);
                column_[j] = std::min(b_[j] * std::exp2(std::min(beta_[j] - softmin_[j], 1000.0)), largest_sum);
            }
        }
        ++out_->passes;
        worked(n_ * stride_);
    }

    /// Polls from time to time, by the number of products and sums.
    void worked(size_t more) {
        work_ += more;
        if (work_ < size_t{1} << 26) return;
        work_ = 0;
        if (poll_ != nullptr && poll_->poll(poll_->context, out_->passes, unit_ / ln2, error_)) stop_ = true;
    }

    /// -log2 sum_i 2^(log_a_i + alpha_i - C_ij / unit), whatever the numbers.
    double column_softmin(size_t j) const {
        double top = -infinity, total = 0.0;
        for (size_t i = 0; i < n_; ++i) top = std::max(top, log_a_[i] + alpha_[i] - C_[i * stride_ + j] / unit_);
        if (!(top > -infinity)) return infinity;
        for (size_t i = 0; i < n_; ++i) total += std::exp2(log_a_[i] + alpha_[i] - C_[i * stride_ + j] / unit_ - top);
        return -top - std::log2(total);
    }

    /// The column sums that beta calls for, the marginal error, and the dual value.
    void measure() {
        const Measured plan = monge::measure(sides_, alpha_.data(), beta_.data(), column_.data(), wanted_.data());
        mass_ = plan.mass;
        error_ = plan.error;
        dual_ = unit_ * (plan.value_a + plan.value_b + eps_ * (1.0 - plan.mass));
        size_ = unit_ * (std::fabs(plan.value_a) + std::fabs(plan.value_b) + eps_ * plan.mass);
        if (out_->errors.size() < most_errors) out_->errors.push_back(error_);
        out_->error = error_;
        out_->dual = dual_;
    }

    // --- Steps ---

    void plain_step(std::vector<double>& next) {
        monge::plain_step(sides_, eps_, translate_, alpha_.data(), beta_.data(), softmin_.data(), next.data());
    }

    /// Newton's method for the dual as a function of beta alone, from potentials that a pass was made with, until the
    /// error is below `goal`; the damping is that of Levenberg and Marquardt. At the end, the last pass was made with
    /// beta, which is no worse than at the start.
    void newton(double goal) {
        double damping = first_damping;
        H_.resize(stride_ * stride_);
        U_.resize(stride_ * stride_);
        for (auto* row : {&step_, &right_, &diagonal_}) row->assign(stride_, 0.0);
        taken_ = 0;
        for (bool plain = false; error_ > goal;) {
            // A column that gets next to nothing has no curvature to go by; the plain step knows what it lacks.
            plain = !plain && uneven();
            if (plain) {
                if (over()) return;
                plain_step(beta_);
                pass();
                measure();
                continue;
            }
            if (moved() > farthest_squared) {
                --out_->passes;  // the same potentials once more
                pass(farthest_squared);
            }
            curvature();
            const double before = dual_, error = error_;
            base_ = beta_;
            for (bool accepted = false; !accepted;) {
                if (over()) return;
                const double promised = newton_step(damping);
                pass();
                measure();
                // What is promised may be less than the dual is known to.
                accepted = promised > 1e-13 * size_ ? dual_ >= before + armijo * promised : error_ <= error;
                damping *= accepted ? 0.1 : 10.0;
                if (!accepted && damping > most_damping) {
                    beta_ = base_;
                    pass();
                    measure();
                    return;
                }
            }
            damping = std::max(damping, least_damping);
        }
    }

    /// Whether some column gets far too little.
    bool uneven() const {
        for (size_t j = 0; j < m_; ++j)
            if (column_[j] < uneven_share * wanted_[j]) return true;
        return false;
    }

    /// H, scaled to a unit diagonal, and the gradient at the last pass. The second derivative by g is -H / eps, with
    /// H = diag(column sums, and what the demand adds) - P' diag(1 / (row sums, and ...)) P.
    void curvature() {
        const double cap_b = sides_.cap_b;
        for (size_t i = 0; i < n_; ++i) {
            const double sum = w_[i] * r_[i] * (1.0 + eps_ / sides_.kl_a);
            const bool fixed = std::fabs(alpha_[i]) >= sides_.cap_a;  // at TV's bound
            log_r_[i] = sum > 0.0 && !fixed ? w_[i] * (w_[i] / sum) : 0.0;
        }
        kernels_.gram(K_.data(), n_, stride_, log_r_.data(), H_.data());
        worked(n_ * stride_ / 2 * m_);
        for (size_t j = 0; j < m_; ++j) {
            const double diagonal = column_[j] + wanted_[j] * (eps_ / sides_.kl_b);
            const bool free = b_[j] > 0.0 && !held(beta_[j], cap_b, column_[j], wanted_[j]) && diagonal > 0.0;
            diagonal_[j] = free ? 1.0 / std::sqrt(diagonal) : 0.0;
            right_[j] = free ? wanted_[j] - column_[j] : 0.0;
        }
        for (size_t j = 0; j < m_; ++j) {
            double* row = &H_[j * stride_];
            const double left = -diagonal_[j] * v_[j];
            for (size_t k = j; k < m_; ++k) row[k] *= left * (diagonal_[k] * v_[k]);
            row[j] += 1.0;
        }
    }

    /// beta <- base + the step with this damping; the increase of the dual that the gradient promises.
    double newton_step(double damping) {
        const double cap = sides_.cap_b;
        ++out_->steps;
        for (size_t j = 0; j < m_; ++j) {
            std::copy(&H_[j * stride_] + j / 8 * 8, &H_[j * stride_] + stride_, &U_[j * stride_] + j / 8 * 8);
            U_[j * stride_ + j] += damping;
            step_[j] = right_[j] * diagonal_[j];
        }
        kernels_.factor(U_.data(), m_, stride_, least_pivot);
        worked(m_ * m_ / 6 * m_);
        kernels_.solve(U_.data(), m_, stride_, step_.data());
        double promised = 0.0;
        for (size_t j = 0; j < m_; ++j) {
            beta_[j] = std::min(std::max(base_[j] + step_[j] * diagonal_[j] / ln2, -cap), cap);
            promised += (beta_[j] - base_[j]) * right_[j];
        }
        return unit_ * promised;
    }

    // --- The loop ---

    /// beta <- potentials of the problem without entropy, which those of a small eps are near; false if there are none.
    bool exact_start() {
        if (!balanced_) return false;
        Problem exact;
        exact.cost = C_.data();
        exact.n = n_, exact.m = m_;
        exact.row_step = static_cast<std::ptrdiff_t>(stride_), exact.col_step = 1;
        exact.a = a_.data(), exact.b = b_.data();
        exact.relative_rounding = 1e-10;
        Options options;
        options.cancelled = &stop_;
        if (poll_ != nullptr) {
            options.context = const_cast<SmallOptions*>(poll_);
            options.poll = [](void* context, const Progress&) {
                const auto* poll = static_cast<const SmallOptions*>(context);
                return poll->poll(poll->context, 0, 0.0, 0.0);
            };
        }
        const Solution solution = monge::solve(exact, options);
        if (solution.status == Status::interrupted) stop_ = true;
        if (solution.status != Status::optimal) return false;
        std::copy(solution.g.begin(), solution.g.end(), beta_.begin());
        // A constant that f and g share says nothing, and takes their digits.
        const double shared = median(solution.g);
        for (size_t j = 0; j < m_; ++j) beta_[j] -= shared;
        return true;
    }

    bool over() const { return out_->passes >= p_->max_iter || stop_; }

    void iterate() {
        const SmallProblem& p = *p_;
        const double first = p.first > 0.0 ? p.first : scale();
        wait_ = m_ <= tiny ? 0 : few_passes + static_cast<int64_t>(m_) / columns_per_pass;
        double eps = p.eps;
        // From a share of the scale: above it the plan is all but the product of the weights, where potentials start.
        while (eps * anneal * anneal <= first) eps *= anneal;
        const double* start = turned_ ? p.f : p.g;
        for (size_t j = 0; j < m_; ++j) beta_[j] = start[j];
        if (p.first <= 0.0 && p.eps < first * (p.tol < precise && m_ <= many ? small_precise : small) && exact_start()) {
            eps = p.eps;
            if (p.tol < precise) wait_ = early_passes;
        }
        for (;;) {
            // The last pass that is allowed is made at the eps that was asked for.
            const bool last = eps <= p.eps || out_->passes + 1 >= p.max_iter;
            if (last) eps = p.eps;
            const double enough = eps > coarse * first ? stage_error : std::max(1.0 / m_, least_stage_error);
            const double goal = last ? p.tol : std::max(std::min(enough, stage_error), p.tol);
            if (balanced_) keep_digits(b_.data(), m_, eps, beta_.data());
            enter(eps);
            for (size_t j = 0; j < m_; ++j) beta_[j] /= unit_;
            if (stage(goal, last)) {
                out_->converged = last && error_ <= goal;
                return;
            }
            plain_step(beta_);
            for (size_t j = 0; j < m_; ++j) beta_[j] *= unit_;
            eps = std::max(eps / anneal, p.eps);
        }
    }

    /// One eps; true if the solve ends with it.
    bool stage(double goal, bool last) {
        bool accelerated = false;
        double safe_dual = -infinity, safe_error = infinity;
        int64_t patience = wait_;
        for (int64_t k = 0;; ++k) {
            pass();
            measure();
            if (error_ > goal && k >= patience) {
                newton(goal);
                patience = 2 * k + wait_ + few_passes;
                accelerated = false;
                safe_dual = -infinity, safe_error = infinity;
            }
            if ((last && error_ <= goal) || over()) return true;
            if (error_ <= goal || (!last && out_->passes + 1 >= p_->max_iter)) return false;
            // A step that lowers the dual without halving the error is taken back.
            if (accelerated && !(dual_ >= safe_dual - 1e-12 * size_ || error_ <= 0.5 * safe_error)) {
                beta_ = safe_;
                taken_ = 1;  // the changes are forgotten, but not the step they led away from
                accelerated = false;
                continue;
            }
            plain_step(safe_);
            safe_dual = dual_, safe_error = error_;
            accelerated = extrapolate(b_.data(), stride_, sides_.cap_b, eps_, taken_++, safe_.data(), beta_.data(),
                                      memory_.data(), stride_, gram_, depth);
        }
    }

    void finish() {
        const SmallProblem& p = *p_;
        double* rows = turned_ ? p.g : p.f;
        double* columns = turned_ ? p.f : p.g;
        if (out_->converged && balanced_) {
            // Another half step is free, and gives each column what it must have, were that next to nothing. The rows then
            // miss no more in all than the columns did.
            double more = 0.0;
            for (size_t j = 0; j < m_; ++j)
                if (b_[j] > 0.0 && softmin_[j] < infinity) {
                    more += b_[j] * (softmin_[j] - beta_[j]);
                    beta_[j] = softmin_[j];
                }
            out_->dual += unit_ * more + unit_ * eps_ * (mass_ - 1.0);
        }
        for (size_t j = 0; j < m_; ++j)
            if (!(b_[j] > 0.0)) {  // the passes leave these out
                const double softmin = column_softmin(j), cap = sides_.cap_b;
                beta_[j] = softmin < infinity ? std::min(std::max(softmin / (1.0 + eps_ / sides_.kl_b), -cap), cap) : 0.0;
            }
        for (size_t i = 0; i < n_; ++i) rows[i] = alpha_[i] * unit_;
        for (size_t j = 0; j < m_; ++j) columns[j] = beta_[j] * unit_;
    }

    const ScalingKernels& kernels_;
    std::atomic<bool>& stop_;
    const SmallProblem* p_ = nullptr;
    SmallOutcome* out_ = nullptr;
    const SmallOptions* poll_ = nullptr;
    size_t n_ = 0, m_ = 0, stride_ = 0, work_ = 0, taken_ = 0;
    int64_t wait_ = 0;  // passes of an eps before Newton's method
    bool turned_ = false, translate_ = false, balanced_ = true, balanced_rows_ = true, absorbed_ = false;
    Sides sides_{};
    double unit_ = 0.0;  // cost units per log2 unit
    double mass_ = 0.0, error_ = 0.0, dual_ = 0.0, size_ = 0.0;
    double gram_[depth * depth];
    std::vector<double> C_, K_, across_, memory_, H_, U_;
    // By row: weights, their logarithms, potentials, those absorbed, scalings, sums before scaling, their logarithms.
    std::vector<double> a_, log_a_, alpha_, alpha0_, w_, r_, log_r_;
    // By column.
    std::vector<double> b_, log_b_, beta_, beta0_, v_, column_, softmin_, shift_, safe_, wanted_, scratch_, base_;
    std::vector<double> step_, right_, diagonal_;
};

}  // namespace

bool solve_small(const SmallProblem* problems, SmallOutcome* outcomes, std::size_t count, const SmallOptions& options) {
    std::atomic<bool> stop{false}, failed{false};
    const auto poll = [&] {
        if (options.poll != nullptr && options.poll(options.context, 0, 0.0, 0.0)) stop = true;
    };
    try {
        Workers workers(static_cast<int>(std::min<std::size_t>(options.threads < 1 ? 1 : options.threads, count)));
        std::vector<std::unique_ptr<Solver>> solvers(workers.count());
        workers.run(
            count,
            [&](std::size_t k, int worker) {
                if (stop || failed) return;
                try {
                    if (!solvers[worker]) solvers[worker].reset(new Solver(stop));
                    solvers[worker]->solve(problems[k], &outcomes[k], worker == 0 && options.poll ? &options : nullptr);
                } catch (const std::bad_alloc&) {
                    failed = true;
                }
            },
            poll);
    } catch (const std::bad_alloc&) {
        return false;
    }
    return !failed;
}

}  // namespace monge
