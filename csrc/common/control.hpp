// Deadlines, interrupts and progress: whether a solve should go on.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "exact/emd.hpp"

namespace monge {

/// Adds the seconds it lives to a counter.
class Stopwatch {
public:
    explicit Stopwatch(double& seconds) : seconds_(seconds), begin_(std::chrono::steady_clock::now()) {}
    ~Stopwatch() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

private:
    double& seconds_;
    const std::chrono::steady_clock::time_point begin_;
};

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
