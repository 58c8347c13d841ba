// The line and the circle, for the sanitizers and without Python: marginals, feasibility on all pairs, and the gap of
// small random problems that are full of ties.
#include "exact/univariate.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

namespace {

int failures = 0;

void expect(bool holds, const char* what, int seed) {
    if (holds) return;
    std::printf("seed %d: %s\n", seed, what);
    ++failures;
}

double distance(double x, double y, double period) {
    const double d = std::fabs(x - y);
    return period > 0.0 ? std::min(d, period - d) : d;
}

void check(std::size_t n, std::size_t m, double p, double period, bool weighted, int seed) {
    std::mt19937 random(seed);
    auto below = [&](int k) { return static_cast<double>(random() % k); };
    std::vector<double> x(n), y(m), a(n, 0.0), b(m, 0.0);
    for (auto& v : x) v = below(20) / 4.0;
    for (auto& v : y) v = below(40) / 8.0;
    for (std::size_t k = 0; k < n + m; ++k) a[random() % n] += 1.0, b[random() % m] += 1.0;
    if (!weighted) a.assign(n, 1.0 / static_cast<double>(n)), b.assign(m, 1.0 / static_cast<double>(m));
    monge::UnivariateProblem problem;
    problem.x = x.data(), problem.y = y.data(), problem.n = n, problem.m = m;
    if (weighted) problem.a = a.data(), problem.b = b.data();
    problem.p = p, problem.period = period;
    std::vector<double> f(n), g(m), mass(n + m - 1);
    std::vector<std::int64_t> rows(n + m - 1), cols(n + m - 1);
    monge::UnivariatePlan plan;
    plan.f = f.data(), plan.g = g.data(), plan.rows = rows.data(), plan.cols = cols.data(), plan.mass = mass.data();
    monge::Options options;
    options.threads = 2;
    const auto solution = monge::solve(problem, options, &plan);
    expect(monge::solve(problem, options, nullptr).cost == solution.cost, "cost without the plan", seed);
    const double scale = std::pow(5.0, p), tolerance = 1e-10 * scale * (weighted ? static_cast<double>(n + m) : 1.0);
    expect(solution.status == monge::Status::optimal, "status", seed);
    expect(plan.entries <= n + m - 1, "entries", seed);
    double cost = 0.0;
    for (std::size_t k = 0; k < plan.entries; ++k) {
        a[rows[k]] -= mass[k];
        b[cols[k]] -= mass[k];
        cost += mass[k] * std::pow(distance(x[rows[k]], y[cols[k]], period), p);
    }
    for (const double rest : a) expect(std::fabs(rest) < 1e-9, "sent", seed);
    for (const double rest : b) expect(std::fabs(rest) < 1e-9, "received", seed);
    expect(std::fabs(cost - solution.cost) <= tolerance, "cost", seed);
    expect(solution.gap >= 0.0 && solution.gap <= tolerance, "gap", seed);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < m; ++j)
            expect(f[i] + g[j] <= std::pow(distance(x[i], y[j], period), p) + tolerance, "feasibility", seed);
}

/// Problems whose points were put in order before, side by side, have the bits that each has by itself.
void check_many(int threads) {
    std::mt19937 random(7);
    constexpr std::size_t count = 40;
    std::vector<std::vector<double>> points(count), weights(count);
    std::vector<std::vector<std::uint64_t>> orders(count);
    for (std::size_t k = 0; k < count; ++k) {
        const std::size_t n = k % 10 == 0 ? 5000 : 1 + k;
        for (std::size_t l = 0; l < n; ++l) {
            points[k].push_back(static_cast<double>(random() % 1000));  // with ties
            weights[k].push_back(static_cast<double>(1 + random() % 9));
        }
        double total = 0.0;
        for (const double w : weights[k]) total += w;
        for (double& w : weights[k]) w /= total;
        orders[k].resize(n);
        expect(monge::sort(points[k].data(), n, {}, orders[k].data()) == monge::Status::optimal, "sort",
               static_cast<int>(k));
        for (std::size_t l = 1; l < n; ++l)
            expect(points[k][orders[k][l - 1]] <= points[k][orders[k][l]], "order", static_cast<int>(k));
    }
    std::vector<monge::UnivariateProblem> problems;
    for (std::size_t k = 0; k + 1 < count; ++k) {
        monge::UnivariateProblem problem;
        problem.x = points[k].data(), problem.n = points[k].size(), problem.x_order = orders[k].data();
        problem.y = points[k + 1].data(), problem.m = points[k + 1].size(), problem.y_order = orders[k + 1].data();
        if (k % 2 == 0) problem.a = weights[k].data(), problem.b = weights[k + 1].data();
        problem.p = 1.5, problem.unit = 1024.0;
        problems.push_back(problem);
    }
    std::vector<monge::UnivariateSolution> solutions(problems.size());
    monge::Options options;
    options.threads = threads;
    const auto status = monge::solve_all(problems.data(), problems.size(), options, solutions.data());
    expect(status == monge::Status::optimal, "all", threads);
    for (std::size_t k = 0; k < problems.size(); ++k) {
        problems[k].x_order = problems[k].y_order = nullptr;
        const auto alone = monge::solve(problems[k], {}, nullptr);
        expect(alone.cost == solutions[k].cost && alone.reach == solutions[k].reach, "alone", static_cast<int>(k));
    }
}

bool stop(void*, const monge::Progress&) { return true; }

}  // namespace

int main() {
    int seed = 0;
    for (const double p : {1.0, 1.5, 2.0, 3.0})
        for (const double period : {0.0, 5.0, 8.0})
            for (const bool weighted : {false, true}) {
                for (int k = 0; k < 60; ++k, ++seed) check(1 + seed % 9, 1 + seed / 9 % 7, p, period, weighted, seed);
                check(1300, 1024, p, period, weighted, ++seed);  // beyond the smallest radix sort
            }
    check(20000, 7, 2.0, 5.0, true, ++seed);  // on two threads
    for (const int threads : {1, 3}) check_many(threads);
    // An interrupt ends a solve, wherever it comes.
    std::vector<double> points(3000000);
    std::mt19937 random(1);
    for (auto& v : points) v = static_cast<double>(random());
    monge::UnivariateProblem problem;
    problem.x = problem.y = points.data(), problem.n = points.size(), problem.m = points.size() - 1;
    problem.period = 4294967296.0;
    monge::Options options;
    options.poll = stop;
    expect(monge::solve(problem, options, nullptr).status == monge::Status::interrupted, "interrupt", 0);
    if (failures == 0) std::puts("univariate: all well");
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
