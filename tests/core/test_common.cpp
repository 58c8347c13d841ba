// The pool of threads, and the instruction set.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "checks.hpp"
#include "common/dispatch.hpp"
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

}  // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // what was printed before a crash should be seen
    instruction_set();
    workers();
    return verdict();
}
