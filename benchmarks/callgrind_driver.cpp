// Solves one instance, for counting instructions: callgrind_driver FAMILY N M SEED [REPEATS]. In the family "moving" every
// repeat but the first starts from the answer before, after each cost has changed by up to 2 %.
// Without arguments it names its compiler, on which the counts depend.
//
// It knows no Python, which takes a minute to start under valgrind, and makes its instances itself, from a generator of
// its own, so that the same numbers come out with every compiler and library.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "exact/emd.hpp"

namespace {

/// Knuth's 64-bit linear congruential generator; the upper bits as a number in [0, 1).
struct Random {
    std::uint64_t state;
    double operator()() {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<double>(state >> 11) * 0x1p-53;
    }
};

std::vector<double> drawn(Random& random, std::size_t size) {
    std::vector<double> values(size);
    for (double& value : values) value = random();
    return values;
}

/// Costs of a family, or nothing if there is no such family.
std::vector<double> costs(const char* family, std::size_t n, std::size_t m, Random& random) {
    const bool squared = std::strcmp(family, "squared") == 0 || std::strcmp(family, "moving") == 0;
    const bool distance = std::strcmp(family, "distance") == 0;
    std::vector<double> cost;
    if (squared || distance) {
        const std::vector<double> x = drawn(random, 2 * n), y = drawn(random, 2 * m);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < m; ++j) {
                const double dx = x[2 * i] - y[2 * j], dy = x[2 * i + 1] - y[2 * j + 1];
                cost.push_back(squared ? dx * dx + dy * dy : std::sqrt(dx * dx + dy * dy));
            }
    } else if (std::strcmp(family, "iid") == 0) {
        cost = drawn(random, n * m);
    } else if (std::strcmp(family, "integers") == 0) {
        cost = drawn(random, n * m);
        for (double& c : cost) c = std::floor(10.0 * c);
    }
    return cost;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 1) {
        std::printf("%s\n", __VERSION__);
        return 0;
    }
    if (argc < 5) {
        std::fprintf(stderr, "callgrind_driver squared|distance|iid|integers|moving N M SEED [REPEATS]\n");
        return 2;
    }
    const std::size_t n = std::strtoul(argv[2], nullptr, 10), m = std::strtoul(argv[3], nullptr, 10);
    Random random{std::strtoul(argv[4], nullptr, 10)};
    random();  // the first number after a small seed is small
    const int repeats = argc > 5 ? std::atoi(argv[5]) : 1;
    std::vector<double> cost = costs(argv[1], n, m, random);
    if (cost.empty()) {
        std::fprintf(stderr, "no family %s\n", argv[1]);
        return 2;
    }
    std::vector<double> a = drawn(random, n), b = drawn(random, m);
    double total_a = 0.0, total_b = 0.0;
    for (double w : a) total_a += w;
    for (double w : b) total_b += w;
    for (double& w : b) w *= total_a / total_b;

    monge::Problem problem;
    problem.cost = cost.data();
    problem.n = n;
    problem.m = m;
    problem.row_step = static_cast<std::ptrdiff_t>(m);
    problem.col_step = 1;
    if (std::strcmp(argv[1], "iid") != 0) {  // that one is an assignment
        problem.a = a.data();
        problem.b = b.data();
    }
    monge::Solution solution;
    for (int k = 0; k < repeats; ++k) {
        const monge::Solution last = std::move(solution);
        if (k > 0 && std::strcmp(argv[1], "moving") == 0) {
            for (double& c : cost) c *= 1.0 + 0.02 * random();
            monge::Start& start = problem.start;
            start.f = last.f.data(), start.g = last.g.data();
            start.plan_rows = last.rows.data(), start.plan_cols = last.cols.data(), start.entries = last.rows.size();
            start.list_rows = last.list_rows.data(), start.list_cols = last.list_cols.data();
            start.listed = last.list_rows.size();
        }
        solution = monge::solve(problem, monge::Options{});
    }
    std::printf("cost %.17g gap %.3g pivots %lld\n", solution.cost, solution.gap,
                static_cast<long long>(solution.counters.pivots));
    return solution.status == monge::Status::optimal && solution.gap <= 1e-12 ? 0 : 1;
}
