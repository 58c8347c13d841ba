// Powers of two per second on one core: those of the core's passes over pairs, in the faster of their two forms, of
// numbers in the nearest cache, summed and nothing else. Compiled and run by exponential.py.
#include "common/vectors.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

using namespace monge;

namespace {

typedef Vector<float> Powers(Vector<float>);

constexpr std::size_t size = 2048, sweeps = 1000, trials = 50, together = 8;
alignas(64) float exponents[size];

template <Powers power>
float sum_of_powers() {
    Vector<float> sums[together] = {};
    for (std::size_t j = 0; j < size; j += together * width<float>)
#pragma GCC unroll 8
        for (std::size_t k = 0; k < together; ++k) sums[k] += power(load<float>(exponents + j + k * width<float>));
    for (std::size_t k = 1; k < together; ++k) sums[0] += sums[k];
    return sums[0][0];
}

double per_second(float (*run)()) {
    double best = 0.0;
    volatile float kept;  // so that there is a use for the sums
    for (std::size_t trial = 0; trial < trials; ++trial) {
        const auto start = std::chrono::steady_clock::now();
        for (std::size_t sweep = 0; sweep < sweeps; ++sweep) kept = run();
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        best = std::max(best, size * sweeps / seconds.count());
    }
    (void)kept;
    return best;
}

}  // namespace

int main() {
    for (std::size_t j = 0; j < size; ++j) exponents[j] = -static_cast<float>(j % 97) / 7.0f;
    std::printf("%.6g\n",
                std::max(per_second(sum_of_powers<power<float>>), per_second(sum_of_powers<rough_power<float>>)));
}
