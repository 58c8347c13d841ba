// See stored.hpp. The loop resembles that of iteration.py, but is one of its own. These mean the same in both: the
// share of the costs' size where eps starts, how far back acceleration looks, and `keep_digits`. These do not: the
// factor between values of eps, the error at which one has done its work, and that a step that lowers the dual is taken
// back at once, not shortened first.
#include "entropic/stored.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "common/limits.hpp"
#include "common/sorting.hpp"
#include "common/workers.hpp"
#include "entropic/steps.hpp"
#include "entropic/stored_newton.hpp"
#include "entropic/stored_scaling.hpp"
#include "exact/emd.hpp"

namespace monge {
namespace {

using std::int64_t;
using std::size_t;

// The share of the cost scale where eps starts, above which the plan is all but the product of the weights, where
// potentials start; and the factor between values of eps. With four in its place passes are as many, and matrices more;
// but where Newton's method takes over at once, it has fewer steps to do.
constexpr double start_share = 0.25, anneal = 8.0, anneal_tiny = 4.0;
// Marginal error at which an eps that is not the last has done its work: at a share of the cost scale above `coarse`
// little depends on it; below, a plan that leaves the mass of a whole column where it does not belong makes the next
// eps start from nowhere.
constexpr double coarse = 0.03, stage_error = 0.1, least_stage_error = 0.003;
// Steps that acceleration looks back on; and those for a tolerance below `precise`, for which more than eight help,
// where a pass takes far longer than to look back.
constexpr size_t short_depth = 8, long_depth = 20, long_columns = 256;
constexpr double precise = 1e-5;
// Columns up to which a step of Newton's method costs no more than a few passes.
constexpr size_t tiny = 32;
// Passes before that, and their growth with the number of columns: so does the ratio of a step's price to a pass's.
constexpr int64_t few_passes = 20, columns_per_pass = 4;
// The share of the cost scale below which eps is not annealed: exact potentials are a better start. Of 30 to 2000
// points in 2 to 8 dimensions, distances, their squares, and independent costs, annealing took a third to two thirds of
// the time at 5e-4, half of it up to all of it at 1e-4, and at 1e-6 from as long to a hundred times as long.
constexpr double exact_below = 5e-5;
// The share below which exact potentials take the place of those that do not get on, the error from which they do, and
// the columns: with fewer, Newton's method is sooner done.
constexpr double exact_rescue = 0.005, rescue_error = 1e-3;
constexpr size_t rescue_columns = 300;
// Matrices of one eps after which potentials are too far from where they should be, as those of outliers may be: exact
// ones take their place whatever eps is.
constexpr int64_t most_kernels = 8;
// Passes without progress after which single precision is given up: that of exponents unless the error is still above
// this, that of the matrix where it is no more than so many times what single precision adds.
constexpr int64_t patience_single = 15;
constexpr double far_from_done = 0.1, near_noise = 30.0;
// What single precision may add to the error to be of help at all.
constexpr double noisy = 0.01;

class Solver {
public:
    Solver(std::atomic<bool>& stop, int threads) : workers_(threads), s_(stop, workers_) {}

    /// `poll` is called from time to time if not null.
    void solve(const StoredProblem& problem, StoredOutcome* outcome, const StoredOptions* poll) {
        const auto began = std::chrono::steady_clock::now();
        s_.read(problem, outcome, poll);
        depth_ = problem.tol < precise && s_.m > long_columns ? long_depth : short_depth;
        safe_.assign(s_.stride, 0.0);
        exactly_ = false;
        memory_.resize((2 * depth_ + 3) * s_.stride);
        iterate();
        finish();
        outcome->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    }

private:
    /// beta <- potentials of the problem without entropy, which those of a small eps are near, in cost units; false if
    /// there are none.
    bool exact_start() {
        if (!s_.balanced || s_.problem->symmetric || exactly_) return false;
        exactly_ = true;
        Problem exact;
        Pages<double> room;
        exact.single = s_.costs.floats() != nullptr;
        const auto busy = [&](size_t work) {
            s_.worked(work);
            return s_.stop.load();
        };
        exact.cost = exact.single ? static_cast<const void*>(s_.costs.floats()) : s_.costs.whole(workers_, room, busy);
        const double factor = exact.single ? 1.0 : s_.costs.factor<double>();
        exact.n = s_.n, exact.m = s_.m;
        exact.row_step = static_cast<std::ptrdiff_t>(s_.m), exact.col_step = 1;
        exact.a = s_.a.data(), exact.b = s_.b.data();
        exact.relative_rounding = 1e-10;
        Options options;
        options.threads = workers_.count();
        options.cancelled = &s_.stop;
        if (s_.poll != nullptr) {
            options.context = const_cast<StoredOptions*>(s_.poll);
            options.poll = [](void* context, const Progress&) {
                const auto* poll = static_cast<const StoredOptions*>(context);
                return poll->poll(poll->context, 0, 0.0, 0.0);
            };
        }
        const Solution solution = monge::solve(exact, options);
        if (solution.status == Status::interrupted) s_.stop = true;
        if (solution.status != Status::optimal) return false;
        // A constant that f and g share says nothing, and takes their digits.
        const double shared = median(solution.g);
        for (size_t j = 0; j < s_.m; ++j) s_.beta[j] = (solution.g[j] - shared) * factor;
        return true;
    }

    void iterate() {
        const StoredProblem& p = *s_.problem;
        const double first = p.first > 0.0 ? p.first : s_.size_of_costs.mean;
        wait_ = s_.m <= tiny && !p.symmetric ? 0 : few_passes + static_cast<int64_t>(s_.m) / columns_per_pass;
        const double factor = s_.m <= tiny ? anneal_tiny : anneal;
        double eps = p.eps;
        while (!p.symmetric && eps * factor <= start_share * first) eps *= factor;
        const double* start = s_.turned ? p.f : p.g;
        for (size_t j = 0; j < s_.m; ++j) s_.beta[j] = start[j];
        small_ = exact_rescue * s_.size_of_costs.mean;
        if (p.first <= 0.0 && p.eps < exact_below * first && exact_start()) eps = p.eps;
        for (;;) {
            // The last pass that is allowed is made at the eps that was asked for.
            const bool last = eps <= p.eps || s_.outcome->passes + 1 >= p.max_iter;
            if (last) eps = p.eps;
            const double enough = eps > coarse * first ? stage_error : std::max(1.0 / s_.m, least_stage_error);
            const double goal = last ? p.tol : std::max(std::min(enough, stage_error), p.tol);
            if (s_.balanced) keep_digits(s_.b.data(), s_.m, eps, s_.beta.data());
            s_.more = !last;
            s_.enter(eps);
            for (size_t j = 0; j < s_.m; ++j) s_.beta[j] /= s_.unit;
            const End end = stage(eps, goal, last);
            if (end == End::of_all) return;
            if (end == End::by_exact_potentials) {
                eps = p.eps;
                continue;
            }
            s_.plain_step(s_.beta);
            for (size_t j = 0; j < s_.m; ++j) s_.beta[j] *= s_.unit;
            eps = std::max(eps / factor, p.eps);
        }
    }

    /// How an eps ends: it has done its work, all is done, or other potentials are to take over.
    enum class End { of_stage, of_all, by_exact_potentials };

    /// The least precision, above this one, that can tell the goal; or one in which most of the way can be gone.
    Digits suitable(Digits least, double goal, bool most_of_the_way) const {
        Digits found = std::max(least, s_.least_digits);
        while (found != Digits::full && s_.floor_of(found) > 0.5 * goal) found = static_cast<Digits>(int(found) + 1);
        if (found != Digits::full || !most_of_the_way || s_.least_digits == Digits::full) return found;
        return s_.floor_of(Digits::mixed) < noisy ? Digits::mixed : Digits::full;
    }

    /// One eps.
    End stage(double eps, double goal, bool last) {
        taken_ = 0;
        bool accelerated = false;
        double safe_dual = -infinity, safe_error = infinity, best = infinity;
        int64_t patience = wait_, waiting = 0;
        const int64_t made = s_.outcome->kernels;
        s_.use(suitable(Digits::single, goal, true));
        for (int64_t k = 0;; ++k) {
            s_.pass();
            s_.measure();
            waiting = s_.error > 0.9 * best ? waiting + 1 : 0;
            best = std::min(best, s_.error);
            double noise = 0.0;
            if (s_.digits != Digits::full) {
                noise = s_.floor_of(s_.digits);
                const bool enough = noise <= 0.5 * goal;
                const double blamed = s_.digits == Digits::single ? far_from_done : near_noise * noise;
                const bool stuck = waiting > patience_single && s_.error < blamed;
                if ((!enough && s_.error <= std::max(goal, 2.0 * noise)) || stuck) {
                    // The same potentials again, with more digits.
                    s_.use(suitable(static_cast<Digits>(int(s_.digits) + 1), goal, false));
                    forget(&accelerated, &safe_dual, &safe_error);
                    best = infinity, waiting = 0;
                    if (s_.over()) return End::of_all;  // not yet known to be done
                    continue;
                }
                if (!enough) noise = infinity;
            }
            const auto done = [&] { return s_.error + noise <= goal; };
            const bool late = k >= patience && eps < small_ && s_.error > rescue_error && s_.m > rescue_columns;
            const bool wild = s_.outcome->kernels - made > most_kernels;
            const bool stalled = !done() && !s_.over();
            if (stalled && (late || wild) && exact_start()) return End::by_exact_potentials;
            if (stalled && k >= patience && s_.m <= most_newton_columns && !s_.over()) {
                newton_.run(goal);
                noise = 0.0;
                patience = 2 * k + wait_ + few_passes;
                forget(&accelerated, &safe_dual, &safe_error);
            }
            s_.outcome->converged = last && done() && !s_.stop;
            if (s_.outcome->converged || s_.over()) return End::of_all;
            if (done() || (!last && s_.outcome->passes + 1 >= s_.problem->max_iter)) return End::of_stage;
            // A step that lowers the dual without halving the error is taken back.
            const double slack = s_.digits == Digits::full ? 1e-12 * s_.size : s_.unit * s_.mass * (noise + 1e-6);
            if (accelerated && !(s_.dual >= safe_dual - slack || s_.error <= 0.5 * safe_error)) {
                s_.beta = safe_;
                taken_ = 1;  // the changes are forgotten, but not the step they led away from
                accelerated = false;
                continue;
            }
            s_.plain_step(safe_);
            safe_dual = s_.dual, safe_error = s_.error;
            accelerated = extrapolate(s_.b.data(), s_.stride, s_.sides.cap_b, log2_e, taken_++, safe_.data(),
                                      s_.beta.data(), memory_.data(), s_.stride, gram_, depth_);
        }
    }

    void forget(bool* accelerated, double* safe_dual, double* safe_error) {
        taken_ = 0;
        *accelerated = false;
        *safe_dual = -infinity, *safe_error = infinity;
    }

    void finish() {
        const StoredProblem& p = *s_.problem;
        double* rows = s_.turned ? p.g : p.f;
        double* columns = s_.turned ? p.f : p.g;
        if (s_.outcome->converged && s_.balanced) {
            // Another half step is free, and gives each column what it must have, were that next to nothing. The rows
            // then miss no more in all than the columns did.
            double more = 0.0;
            for (size_t j = 0; j < s_.m; ++j)
                if (s_.b[j] > 0.0 && s_.softmin[j] < infinity) {
                    more += s_.b[j] * (s_.softmin[j] - s_.beta[j]);
                    s_.beta[j] = s_.softmin[j];
                }
            s_.outcome->dual += s_.unit * more + s_.unit * log2_e * (s_.mass - 1.0);
        }
        std::vector<size_t> empty;  // the passes leave these out
        for (size_t j = 0; j < s_.m; ++j)
            if (!(s_.b[j] > 0.0)) empty.push_back(j);
        s_.find_softmins(empty);
        for (size_t j : empty) {
            const double softmin = s_.softmin[j], cap = s_.sides.cap_b;
            s_.beta[j] =
                softmin < infinity ? std::min(std::max(softmin / (1.0 + log2_e / s_.sides.kl_b), -cap), cap) : 0.0;
        }
        for (size_t i = 0; i < s_.n; ++i) rows[i] = s_.alpha[i] * s_.unit;
        for (size_t j = 0; j < s_.m; ++j) columns[j] = s_.beta[j] * s_.unit;
    }

    Workers workers_;
    StoredScaling s_;
    StoredNewton newton_{s_};
    int64_t wait_ = 0;      // passes of an eps before Newton's method
    double small_ = 0.0;    // an eps at which exact potentials may do better
    bool exactly_ = false;  // whether they were asked for
    size_t taken_ = 0;      // steps in the memory of acceleration
    size_t depth_ = short_depth;
    double gram_[long_depth * long_depth];
    std::vector<double> memory_, safe_;
};

}  // namespace

bool solve_stored(const StoredProblem* problems, StoredOutcome* outcomes, std::size_t count,
                  const StoredOptions& options) {
    std::atomic<bool> stop{false}, failed{false};
    const auto poll = [&] {
        if (options.poll != nullptr && options.poll(options.context, 0, 0.0, 0.0)) stop = true;
    };
    try {
        const int threads = options.threads < 1 ? 1 : options.threads;
        Workers workers(static_cast<int>(std::min<std::size_t>(threads, count)));
        std::vector<std::unique_ptr<Solver>> solvers(workers.count());
        workers.run(
            count,
            [&](std::size_t k, int worker) {
                if (stop || failed) return;
                try {
                    if (!solvers[worker]) solvers[worker].reset(new Solver(stop, count == 1 ? threads : 1));
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
