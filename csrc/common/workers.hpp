// A pool of threads that lives as long as one call.
//
// Nothing outlives the call, so a process may fork between calls; nothing is shared between calls, so many may run at
// once. The threads start at the first `run` that asks for more than one. Between two runs they look out for the next
// one for some microseconds before they sleep, since to be woken takes as long; and a run waits for its chunks, not
// for threads: one that the system keeps from running holds nobody up.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace monge {

/// Tells the processor that a loop waits for another thread.
inline void pause_briefly() {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

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
        if (count_ == 1 || chunks < 2 || chunks >= most_chunks || !start()) {
            for (std::size_t chunk = 0; chunk < chunks; ++chunk) task(chunk, 0);
            return;
        }
        typedef std::remove_reference_t<Task> Plain;
        context_ = const_cast<void*>(static_cast<const void*>(&task));
        call_ = [](void* context, std::size_t chunk, int worker) { (*static_cast<Plain*>(context))(chunk, worker); };
        chunks_ = chunks;
        left_.store(chunks, std::memory_order_relaxed);
        const std::uint64_t round = (ticket_.load(std::memory_order_relaxed) / most_chunks + 1) * most_chunks;
        ticket_.store(round + chunks);
        if (sleepers_.load() > 0) {
            std::lock_guard<std::mutex> lock(mutex_);
            wake_.notify_all();
        }
        work(0);
        for (int k = 0; k < patience; ++k) {
            if (left_.load(std::memory_order_acquire) == 0) return;
            pause_briefly();
        }
        std::unique_lock<std::mutex> lock(mutex_);
        while (!done_.wait_for(lock, std::chrono::milliseconds(20), [this] { return left_.load() == 0; })) {
            lock.unlock();
            idle();
            lock.lock();
        }
    }

private:
    // Chunks of a run stay below this; and pauses before a thread sleeps, which take some 20 us.
    static constexpr std::uint64_t most_chunks = std::uint64_t{1} << 32;
    static constexpr int patience = 1 << 10;

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

    /// Chunks of this run, as long as there are any. Who has got one may read what belongs to the run: it does not end
    /// before that chunk is done.
    void work(int worker) {
        std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
        while (ticket % most_chunks > 0) {
            if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) continue;
            call_(context_, chunks_ - static_cast<std::size_t>(ticket % most_chunks), worker);
            if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1 && worker != 0) {
                std::lock_guard<std::mutex> lock(mutex_);
                done_.notify_one();
            }
            ticket = ticket_.load(std::memory_order_acquire);
        }
    }

    void serve(int worker) {
        std::uint64_t seen = 0;
        const auto called = [&] { return closing_.load() || ticket_.load() / most_chunks != seen; };
        for (;;) {
            for (int k = 0; k < patience && !called(); ++k) pause_briefly();
            if (!called()) {
                std::unique_lock<std::mutex> lock(mutex_);
                sleepers_.fetch_add(1);
                wake_.wait(lock, called);
                sleepers_.fetch_sub(1);
            }
            if (closing_.load()) return;
            seen = ticket_.load() / most_chunks;
            work(worker);
        }
    }

    const int count_;
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    void* context_ = nullptr;
    void (*call_)(void* context, std::size_t chunk, int worker) = nullptr;
    std::size_t chunks_ = 0;
    std::atomic<std::size_t> left_{0};      // chunks of this run that are not done
    std::atomic<std::uint64_t> ticket_{0};  // the number of the run, times `most_chunks`, and chunks not yet taken
    std::atomic<int> sleepers_{0};
    std::atomic<bool> closing_{false};
};

}  // namespace monge
