// What all solves share that run for a while: how they end, what they are told and tell, and whether to go on.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace monge {

enum class Status : int {
    optimal,
    time_limit,       // a feasible plan is returned, with the gap it still has
    interrupted,      // by the poll: nothing is returned
    infeasible,       // no plan avoids the forbidden arcs
    no_plan_yet,      // stopped before a plan was found that avoids the forbidden arcs
    invalid_weights,  // negative, NaN, all zero, a total outside [1e-280, 1e280], or totals that differ
    invalid_cost,     // NaN, -inf or a magnitude beyond 1e290 among the costs
    out_of_memory,
    inexact,  // costs of such different sizes are in use that rounding hides what the plan may lack: see the gap
};

/// Whether a solve that ends so comes with a plan.
inline bool has_plan(Status status) {
    return status == Status::optimal || status == Status::time_limit || status == Status::inexact;
}

/// How far a solve has come, its aggregated problems included.
struct Progress {
    std::int64_t pivots, sweeps;
    double violation;  // the largest -(c_ij - f_i - g_j) that the last sweep saw
};

/// Called from the thread that called `solve`; true asks it to stop.
using Poll = bool (*)(void* context, const Progress& progress);

struct Options {
    int threads = 1;
    double time_limit = 1e300;  // seconds
    Poll poll = nullptr;
    void* context = nullptr;
    const std::atomic<bool>* cancelled = nullptr;  // by another thread; like a poll that says true
};

/// What the solve did. All but the seconds depend on the problem alone, never on the machine or the threads.
struct Counters {
    std::int64_t pivots = 0;             // basis changes
    std::int64_t degenerate_pivots = 0;  // those that moved no mass
    std::int64_t arcs_priced = 0;        // reduced costs computed, in lists and in sweeps
    std::int64_t sweeps = 0;             // passes over all arcs that look for violators
    std::int64_t listed_arcs = 0;        // candidate arcs at the end
    std::int64_t coarse_pivots = 0;      // on the aggregated problems of the start
    std::int64_t coarse_sweeps = 0;      // likewise
    std::int64_t refinements = 0;  // solves anew for what potentials left of the costs, where costs differ much in size
    double dropped = 0.0;          // mass left out: forbidden arcs leave it no way, because weights are rounded
    double seconds_start = 0.0, seconds_pivots = 0.0, seconds_sweeps = 0.0, seconds_total = 0.0;
};

/// Adds the seconds it lives to a counter.
class Stopwatch {
public:
    explicit Stopwatch(double& seconds) : seconds_(seconds), begin_(std::chrono::steady_clock::now()) {}
    ~Stopwatch() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

private:
    double& seconds_;
    const std::chrono::steady_clock::time_point begin_;
};

/// Deadlines, interrupts and progress of one solve.
class Monitor {
public:
    explicit Monitor(const Options& options) : options_(options), begin_(Clock::now()), polled_(begin_) {}

    /// What the poll shows; the solver writes it.
    Progress progress{0, 0, 0.0};

    double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

    /// To be called from the calling thread, often: reads the clock, polls the caller about twenty times a second.
    /// True once the solve should stop.
    bool check() {
        ++checks_;
        if (stopped()) return true;
        const auto now = Clock::now();
        if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)) {
            stop_ = Status::interrupted;
        } else if (std::chrono::duration<double>(now - begin_).count() >= options_.time_limit) {
            stop_ = Status::time_limit;
        } else if (options_.poll != nullptr && now - polled_ > std::chrono::milliseconds(50)) {
            polled_ = now;
            if (options_.poll(options_.context, progress)) stop_ = Status::interrupted;
        }
        return stopped();
    }

    /// Safe from any thread.
    bool stopped() const { return stop_.load(std::memory_order_relaxed) != Status::optimal; }
    Status reason() const { return stop_; }
    /// How often the calling thread has looked: the work between two looks is what an interrupt may have to wait for.
    std::int64_t checks() const { return checks_; }

private:
    using Clock = std::chrono::steady_clock;
    const Options& options_;
    const Clock::time_point begin_;
    Clock::time_point polled_;
    std::atomic<Status> stop_{Status::optimal};
    std::int64_t checks_ = 0;
};

/// What threads share that solve one problem of many each. Only the calling thread polls; the others see `cancelled`.
class Batch {
public:
    explicit Batch(Monitor& monitor) : monitor_(monitor) {}

    /// For a solve on one of these threads.
    Options options(bool calling) {
        Options own;
        own.cancelled = &cancelled_;
        own.context = this;
        if (calling) own.poll = [](void* context, const Progress&) { return static_cast<Batch*>(context)->check(); };
        return own;
    }

    /// True once the batch should stop. To be called from the calling thread, also from within the problem it solves.
    bool check() {
        monitor_.progress.pivots = done_.load();
        if (monitor_.check()) cancelled_ = true;
        return cancelled_;
    }
    /// The same for any of the threads.
    bool stopped(bool calling) { return calling ? check() : cancelled_.load(); }

    void count() { ++done_; }

private:
    Monitor& monitor_;
    std::atomic<bool> cancelled_{false};
    std::atomic<std::int64_t> done_{0};
};

}  // namespace monge
