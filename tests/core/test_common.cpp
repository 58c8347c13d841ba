// The pool of threads, the instruction set, and the sort.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "checks.hpp"
#include "common/dispatch.hpp"
#include "common/sorting.hpp"
#include "common/workers.hpp"

namespace {

void workers() {
    where = "workers";
    for (const int count : {-1, 0, 1, 2, 3, 8}) {
        monge::Workers pool(count);
        CHECK(pool.count() == std::max(1, count));
        for (int round = 0; round < 200; ++round)
            for (const std::size_t chunks : {0, 1, 2, 3, 100}) {
                std::vector<std::atomic<int>> seen(chunks);
                std::atomic<bool> sane{true};
                pool.run(chunks, [&](std::size_t chunk, int worker) {
                    if (chunk >= chunks || worker < 0 || worker >= pool.count())
                        sane = false;
                    else
                        seen[chunk].fetch_add(1);
                });
                bool once = true;
                for (const auto& s : seen) once &= s.load() == 1;
                CHECK(sane && once);
            }
    }
    // Never used: nothing to wait for at the end.
    {
        monge::Workers idle(4);
    }
}

void instruction_set() {
    where = "instruction set";
    const std::string got = monge::instruction_set();
    CHECK(got == "baseline" || got == "avx2" || got == "avx512");
    const char* wish = std::getenv("MONGE_SIMD");
    if (wish != nullptr && std::strcmp(wish, "baseline") == 0) CHECK(got == "baseline");
    if (wish != nullptr && std::strcmp(wish, "avx2") == 0) CHECK(got != "avx512");
}

/// The order of values, by a stable sort of the standard library.
std::vector<std::uint64_t> stable_order(const std::vector<double>& values) {
    std::vector<std::uint64_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto k, auto l) { return values[k] < values[l]; });
    return order;
}

void sorting() {
    struct Kind {
        const char* name;
        double (*draw)(Random& random, std::size_t k);
    };
    const Kind kinds[] = {
        {"even", [](Random& random, std::size_t) { return random.uniform() - 0.5; }},
        {"bell", [](Random& random, std::size_t) { return std::log(random.uniform() / (1.0 - random.uniform())); }},
        {"ties", [](Random& random, std::size_t) { return static_cast<double>(random.below(7)); }},
        {"signed zeros", [](Random& random, std::size_t) { return random.below(2) ? 0.0 : -0.0 * random.below(3); }},
        {"all sizes", [](Random& random, std::size_t) { return std::exp(600.0 * (random.uniform() - 0.5)); }},
        {"one far out", [](Random& random, std::size_t k) { return k == 5 ? 1e9 : random.uniform(); }},
        {"two heaps", [](Random& random, std::size_t k) { return 1e-3 * random.uniform() + (k % 2 ? 1e6 : 0.0); }},
        {"neighbours", [](Random& random, std::size_t) { return 1.0 + 0x1p-52 * random.below(1000); }},
        {"the largest", [](Random& random, std::size_t) { return 1.7e308 * (random.uniform() - 0.5) * 2.0; }},
        {"the smallest", [](Random& random, std::size_t) { return 5e-324 * random.below(100000); }},
        {"ordered", [](Random&, std::size_t k) { return static_cast<double>(k / 3); }},
        {"backwards", [](Random&, std::size_t k) { return -static_cast<double>(k / 3); }},
    };
    Random random(1);
    for (const Kind& kind : kinds)
        for (const std::size_t n : {1, 2, 7, 47, 48, 49, 300, 1023, 1024, 5000, 70000}) {
            where = kind.name;
            std::vector<double> values(n), sorted(n);
            for (std::size_t k = 0; k < n; ++k) values[k] = kind.draw(random, k);
            monge::Sorting sorting(n);
            for (int time = 0; time < 2; ++time) {  // the second on what the first has left
                sorting.sort(values.data(), sorted.data(), [] { return false; });
                const auto expected = stable_order(values);
                CHECK(std::equal(expected.begin(), expected.end(), sorting.order().begin(), sorting.order().end()));
                bool same = true;
                for (std::size_t k = 0; k < n; ++k) same &= sorted[k] == values[expected[k]];
                CHECK(same);
                std::reverse(values.begin(), values.end());
            }
        }
    // It ends soon when it is told to, wherever that is.
    where = "sorting, stopped";
    std::vector<double> values(1 << 20), sorted(values.size());
    for (double& value : values) value = random.uniform();
    monge::Sorting sort(values.size());
    int looks = 0;
    sort.sort(values.data(), sorted.data(), [&] { return ++looks < 0; });
    for (int last = 1; last < looks; ++last) {
        int after = 0;
        sort.sort(values.data(), sorted.data(), [&, left = last]() mutable {
            if (--left > 0) return false;
            ++after;
            return true;
        });
        CHECK(after >= 1 && after <= 4);
    }
}

}  // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // what was printed before a crash should be seen
    instruction_set();
    workers();
    sorting();
    return verdict();
}
