// A pool of threads that lives as long as one call.
//
// Nothing outlives the call, so a process may fork between calls; nothing is shared between calls, so many may run at
// once. The threads start at the first `run` that asks for more than one.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace monge {

class Workers {
public:
    explicit Workers(int threads) : count_(threads < 1 ? 1 : threads > most ? most : threads) {}
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    ~Workers() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            closing_ = true;
        }
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    static constexpr int most = 256;  // a request for a million threads is not meant
    int count() const { return count_; }

    /// Calls task(chunk, worker) for every chunk in [0, chunks); worker < count() tells scratch space apart, worker 0
    /// is the calling thread. Chunks are handed out in increasing order as workers become free: a result must not
    /// depend on who computes it. Tasks must not throw.
    template <class Task>
    void run(std::size_t chunks, Task&& task) {
        run(chunks, task, [] {});
    }

    /// The same; `idle` is called on the calling thread every 20 ms while it has nothing left to do but to wait.
    template <class Task, class Idle>
    void run(std::size_t chunks, Task&& task, Idle&& idle) {
        if (count_ == 1 || chunks < 2 || !start()) {
            for (std::size_t chunk = 0; chunk < chunks; ++chunk) task(chunk, 0);
            return;
        }
        {
            std::lock_guard<std::mutex> lock(mutex_);
            task_ = [&task](std::size_t chunk, int worker) { task(chunk, worker); };
            chunks_ = chunks;
            next_ = 0;
            busy_ = static_cast<int>(threads_.size());
            ++round_;
        }
        wake_.notify_all();
        for (std::size_t chunk; (chunk = next_.fetch_add(1)) < chunks;) task(chunk, 0);
        std::unique_lock<std::mutex> lock(mutex_);
        while (!done_.wait_for(lock, std::chrono::milliseconds(20), [this] { return busy_ == 0; })) {
            lock.unlock();
            idle();
            lock.lock();
        }
    }

private:
    /// False if the system has no thread to spare: the caller then works alone.
    bool start() {
        if (!threads_.empty()) return true;
        try {
            threads_.reserve(count_ - 1);
            for (int worker = 1; worker < count_; ++worker) threads_.emplace_back([this, worker] { serve(worker); });
        } catch (const std::exception&) {
        }
        return !threads_.empty();
    }

    void serve(int worker) {
        std::size_t seen = 0;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return closing_ || round_ != seen; });
            if (closing_) return;
            seen = round_;
            lock.unlock();
            for (std::size_t chunk; (chunk = next_.fetch_add(1)) < chunks_;) task_(chunk, worker);
            lock.lock();
            if (--busy_ == 0) done_.notify_one();
        }
    }

    const int count_;
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::function<void(std::size_t, int)> task_;
    std::size_t chunks_ = 0;
    std::atomic<std::size_t> next_{0};
    std::size_t round_ = 0;
    int busy_ = 0;
    bool closing_ = false;
};

}  // namespace monge
