// Passes over near points, against sums over all pairs in plain loops. For the sanitizers: sizes that are no multiples
// of anything, runs of any length, and lists. See checks.hpp for how to build it.
#include "entropic/near.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

namespace {

using monge::Ground;
using monge::NearPass;
using std::size_t;

int failed = 0;

struct Metric {
    Ground ground;
    double exponent;
    bool exact;
    bool linear() const { return ground == Ground::squares && exponent == 1.0 && !exact; }
};

struct Clouds {
    size_t n, m;
    std::vector<double> X, Y, beta, log_a, log_b, b, shift, f, sums;

    Clouds(size_t n, size_t m) : n(n), m(m) {
        std::mt19937 engine(static_cast<unsigned>(n + 1000 * m));
        const auto uniform = [&] { return (static_cast<double>(engine()) + 0.5) / 4294967296.0; };
        // On a line, in its order: so columns that are next to each other are near.
        for (auto [points, size] : {std::pair(&X, n), std::pair(&Y, m)}) {
            for (size_t i = 0; i < size; ++i) points->push_back(static_cast<double>(i) / static_cast<double>(size));
            for (size_t i = 0; i < 2 * size; ++i) points->push_back(0.05 * uniform());
        }
        log_a.assign(n, -std::log2(static_cast<double>(n)));
        log_b.assign(m, -std::log2(static_cast<double>(m)));
        b.assign(m, 1.0 / static_cast<double>(m));
        beta = log_b;
        shift.assign(n, 0.0);
        f.assign(n, 0.0);
        sums.assign(m, 0.0);
    }

    NearPass pass(Metric metric) {
        return {X.data(),    Y.data(),     n,        m,   40.0,     metric.ground, metric.exponent, metric.exact,
                beta.data(), log_a.data(), b.data(), 1.0, INFINITY, shift.data(),  f.data()};
    }

    double cost(Metric metric, size_t i, size_t j) const {
        double square = 0.0, sum = 0.0, most = 0.0;
        for (size_t c = 0; c < 3; ++c) {
            const double away = 40.0 * (X[c * n + i] - Y[c * m + j]);
            square += away * away;
            sum += std::fabs(away);
            most = std::fmax(most, std::fabs(away));
        }
        const double base = metric.ground == Ground::squares ? square : metric.ground == Ground::absolutes ? sum : most;
        return std::pow(base, metric.exponent);
    }
};

void near(double x, double expected, double limit, const char* what, size_t n, size_t m, Metric metric) {
    if (std::fabs(x - expected) <= limit) return;
    ++failed;
    std::printf("%s: %g instead of %g, n = %zu, m = %zu, ground %d, exponent %g\n", what, x, expected, n, m,
                static_cast<int>(metric.ground), metric.exponent);
}

void check(size_t n, size_t m, Metric metric, bool single) {
    Clouds all(n, m);
    const NearPass pass = all.pass(metric);
    std::vector<double> r(n), s(m, 0.0), g(m, 0.0), softmins(m);
    for (size_t i = 0; i < n; ++i) {
        double total = 0.0;
        for (size_t j = 0; j < m; ++j) total += std::exp2(all.beta[j] - all.cost(metric, i, j));
        r[i] = -std::log2(total);
    }
    for (size_t j = 0; j < m; ++j) {
        for (size_t i = 0; i < n; ++i) s[j] += std::exp2(all.log_a[i] + r[i] - all.cost(metric, i, j));
        s[j] = -std::log2(s[j]);
    }
    // What is skipped is less than the rounding of single precision.
    const double limit = single ? 1e-3 : 1e-6;
    std::vector<double> log_weights(m, 0.0), plain(m, 0.0);
    const monge::NearBounds bounds(pass.Y, m, plain.data(), log_weights.data(), pass.scale, metric.linear());
    for (int turn = 0; turn < 3; ++turn) {
        monge::NearLists lists;
        if (turn == 0) monge::listed(pass, single, 0, n, nullptr, all.sums.data());
        if (turn >= 1) {
            const monge::NearCount count = monge::screened(pass, single, 0, n, bounds, -30.0, all.sums.data(), &lists);
            if (count.needed > n * m) ++failed, std::printf("too many pairs\n");
        }
        if (turn == 2) monge::listed(pass, single, 0, n, &lists, all.sums.data());
        for (size_t i = 0; i < n; ++i) near(all.f[i], r[i], limit, "row", n, m, metric);
        monge::near_kernels().columns(pass,
                                      {all.sums.data(), 1, all.log_b.data(), g.data(), 1.0, 1e-6, m, softmins.data()});
        for (size_t j = 0; j < m; ++j) near(softmins[j], s[j], 0.01, "column", n, m, metric);
    }
}

/// Passes by kept powers, after columns have moved little, far, and so far that rows lose what they had, against passes
/// that compute all powers.
void check_kept(size_t n, size_t m, Metric metric, bool single) {
    Clouds all(n, m);
    const NearPass pass = all.pass(metric);
    std::vector<double> log_weights(m, 0.0), plain(m, 0.0), f(n), sums(m);
    const monge::NearBounds bounds(pass.Y, m, plain.data(), log_weights.data(), pass.scale, metric.linear());
    monge::NearLists lists;
    monge::screened(pass, single, 0, n, bounds, -30.0, sums.data(), &lists);
    monge::listed(pass, single, 0, n, &lists, sums.data());
    if (lists.powers == nullptr) ++failed, std::printf("nothing was kept, n = %zu, m = %zu\n", n, m);
    std::mt19937 engine(1);
    for (double far : {0.0, 2.0, 30.0, 49.0, 60.0, 1000.0, 1.0}) {
        if (far == 30.0) {  // filled in anew, in the same memory
            all.beta = all.log_b;
            monge::screened(pass, single, 0, n, bounds, -20.0, sums.data(), &lists);
            if (!lists.beta.empty()) ++failed, std::printf("old powers are known, n = %zu, m = %zu\n", n, m);
            monge::listed(pass, single, 0, n, &lists, sums.data());
        }
        const std::vector<double> from = all.shift;
        for (size_t j = 0; j < m; ++j) all.beta[j] = all.log_b[j] - far * static_cast<double>(engine()) / 4294967296.0;
        monge::listed(pass, single, 0, n, &lists, sums.data());
        f = all.f;
        all.shift = from;
        monge::NearLists afresh;
        afresh.starts = lists.starts, afresh.runs = lists.runs;
        monge::listed(pass, single, 0, n, &afresh, all.sums.data());
        const double limit = single ? 1e-3 : 1e-9;
        for (size_t i = 0; i < n; ++i) near(f[i], all.f[i], limit, "row from kept powers", n, m, metric);
        // The least positive numbers stand for zero.
        for (size_t j = 0; j < m; ++j)
            near(sums[j], all.sums[j], limit * all.sums[j] + 1e-6 / static_cast<double>(m), "sum from kept powers", n,
                 m, metric);
    }
}

}  // namespace

int main() {
    for (Ground ground : monge::grounds)
        for (double exponent : {1.0, 0.5, 0.75})
            for (bool exact : {false, true})
                for (bool single : {true, false})
                    for (auto [n, m] :
                         {std::pair<size_t, size_t>{1, 1}, {3, 17}, {16, 16}, {37, 300}, {300, 261}, {20, 4200}}) {
                        check(n, m, {ground, exponent, exact}, single);
                        check_kept(n, m, {ground, exponent, exact}, single);
                    }
    std::printf(failed == 0 ? "all passed\n" : "%d failed\n", failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
