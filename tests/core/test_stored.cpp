// Small entropic problems and their kernels, for the sanitizers and without Python: the kernels against plain loops,
// and the conditions of optimality on random problems of all sizes and demands. Once per instruction set.
#include "entropic/small.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "entropic/small_kernels.hpp"

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

int failures = 0;

void expect(bool holds, const char* what, int seed) {
    if (holds) return;
    std::printf("seed %d: %s\n", seed, what);
    ++failures;
}

bool near(double x, double y, double tolerance) { return std::fabs(x - y) <= tolerance * (1.0 + std::fabs(y)); }

void check_kernels(int seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    const monge::ScalingKernels& k = monge::scaling_kernels();
    const std::size_t size = 8 * (1 + seed % 5), rows = 1 + seed % 7, odd = size - seed % 8;
    std::vector<double> K(rows * size), v(size), w(rows), out(size), powers(size), H(size * size);
    for (auto* numbers : {&K, &v, &w})
        for (double& x : *numbers) x = uniform(random);
    k.products(K.data(), rows, size, odd, v.data(), out.data());
    for (std::size_t i = 0; i < rows; ++i) {
        double sum = 0.0;
        for (std::size_t j = 0; j < odd; ++j) sum += K[i * size + j] * v[j];
        expect(near(out[i], sum, 1e-14), "products", seed);
    }
    std::fill(out.begin(), out.end(), 1.0);
    k.accumulate(K.data(), rows, size, odd, w.data(), out.data());
    for (std::size_t j = 0; j < size; ++j) {
        double sum = 1.0;
        for (std::size_t i = 0; i < rows && j < odd; ++i) sum += w[i] * K[i * size + j];
        expect(near(out[j], sum, 1e-14), "accumulate", seed);
    }
    for (std::size_t j = 0; j < size; ++j) v[j] = -1022.0 + 2022.0 * uniform(random);
    v[0] = 0.0, v[1] = -1e9, v[2] = -inf;
    k.exp2(v.data(), size, powers.data());
    for (std::size_t j = 0; j < size; ++j)
        expect(v[j] < -1022.0 ? powers[j] == 0.0 : std::fabs(powers[j] / std::exp2(v[j]) - 1.0) < 1e-15, "exp2", seed);
    powers[1] = powers[2] = 1.0;
    k.log2(powers.data(), size, out.data());
    for (std::size_t j = 0; j < size; ++j) expect(near(out[j], std::log2(powers[j]), 1e-15), "log2", seed);
    for (std::size_t j = 0; j < size; ++j) v[j] = j < odd ? 300.0 * uniform(random) : -inf;
    const double log_sum = k.softmax(K.data(), 5.0, v.data(), size, out.data());
    double total = 0.0, top = -inf;
    for (std::size_t j = 0; j < size; ++j) top = std::max(top, v[j] - 5.0 * K[j]);
    for (std::size_t j = 0; j < size; ++j) total += std::exp2(v[j] - 5.0 * K[j] - top);
    expect(near(log_sum, top + std::log2(total), 1e-14), "softmax", seed);
    for (std::size_t j = 0; j < size; ++j)
        expect(near(out[j], std::exp2(v[j] - 5.0 * K[j] - log_sum), 1e-12), "softmax's powers", seed);
    std::fill(v.begin(), v.end(), -inf);
    expect(k.softmax(K.data(), 5.0, v.data(), size, out.data()) == -inf, "softmax of nothing", seed);
    expect(*std::max_element(out.begin(), out.end()) == 0.0, "softmax of nothing", seed);
    // (K' q K + 1) x = r.
    std::vector<double> right(size), x(size);
    k.gram(K.data(), rows, size, w.data(), H.data());
    for (std::size_t j = 0; j < size; ++j) {
        H[j * size + j] += 1.0;
        x[j] = right[j] = uniform(random);
    }
    std::vector<double> U = H;
    k.factor(U.data(), odd, size, 1e-15);
    k.solve(U.data(), odd, size, x.data());
    for (std::size_t j = 0; j < odd; ++j) {
        double left = 0.0;
        for (std::size_t l = 0; l < odd; ++l) left += H[std::min(j, l) * size + std::max(j, l)] * x[l];
        expect(near(left, right[j], 1e-12), "Cholesky", seed);
    }
}

/// One demand: balanced, KL or TV.
struct Side {
    double kl, cap;
};

void check_solve(std::size_t n, std::size_t m, Side rows, Side columns, double eps, int seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::vector<double> C(n * m), a(n), b(m), f(n), g(m);
    for (double& c : C) c = uniform(random);
    for (auto* weights : {&a, &b}) {
        double sum = 0.0;
        for (double& w : *weights) sum += w = -std::log(1.0 - uniform(random));
        for (double& w : *weights) w /= sum;
    }
    if (m > 3) {  // a place without weight
        b[0] += b[2];
        b[2] = 0.0;
    }
    monge::SmallProblem p = {};
    p.n = n, p.m = m, p.costs = C.data(), p.a = a.data(), p.b = b.data();
    p.kl[0] = rows.kl, p.cap[0] = rows.cap, p.kl[1] = columns.kl, p.cap[1] = columns.cap;
    p.eps = eps, p.tol = 1e-9, p.max_iter = 10000, p.f = f.data(), p.g = g.data();
    monge::SmallOutcome outcome;
    expect(monge::solve_small(&p, &outcome, 1, {}), "memory", seed);
    expect(outcome.converged && outcome.error <= 1e-9, "convergence", seed);
    double error = 0.0;
    const auto add = [&](double sum, double w, double potential, Side side) {
        const double off = sum - (side.kl < inf ? w * std::exp(-potential / side.kl) : w),
                     bound = side.cap * (1.0 - 1e-12);
        if (!((potential >= bound && off <= 0.0) || (potential <= -bound && off >= 0.0))) error += std::fabs(off);
    };
    std::vector<double> sums(m);
    for (std::size_t i = 0; i < n; ++i) {
        double sum = 0.0;
        for (std::size_t j = 0; j < m; ++j) {
            const double mass = a[i] * b[j] * std::exp((f[i] + g[j] - C[i * m + j]) / eps);
            sum += mass;
            sums[j] += mass;
        }
        add(sum, a[i], f[i], rows);
    }
    for (std::size_t j = 0; j < m; ++j) add(sums[j], b[j], g[j], columns);
    expect(error <= 2e-9, "marginals", seed);
}

bool stop(void*, std::int64_t, double, double) { return true; }

}  // namespace

int main() {
    int seed = 0;
    for (; seed < 40; ++seed) check_kernels(seed);
    const Side sides[] = {{inf, inf}, {0.3, inf}, {inf, 0.1}};
    const std::size_t sizes[][2] = {{1, 1}, {1, 9}, {17, 5}, {12, 40}, {33, 33}, {70, 50}};
    for (const auto& size : sizes)
        for (const double eps : {0.3, 0.02, 0.0005})
            for (const Side rows : sides)
                for (const Side columns : sides) check_solve(size[0], size[1], rows, columns, eps, ++seed);
    // A batch on threads, stopped at once: nothing converges, nothing is left half done.
    std::vector<double> C(200 * 200), w(200, 1.0 / 200), f(64 * 200), g(64 * 200);
    std::mt19937 random(1);
    for (double& c : C) c = static_cast<double>(random());
    std::vector<monge::SmallProblem> problems(64);
    std::vector<monge::SmallOutcome> outcomes(64);
    for (std::size_t k = 0; k < problems.size(); ++k) {
        monge::SmallProblem& p = problems[k];
        p = {};
        p.n = p.m = 200, p.costs = C.data(), p.a = p.b = w.data(), p.f = &f[k * 200], p.g = &g[k * 200];
        p.kl[0] = p.kl[1] = p.cap[0] = p.cap[1] = inf;
        p.eps = 1e-4 * 4294967296.0, p.first = p.eps, p.tol = 1e-300, p.max_iter = std::int64_t{1} << 60;
    }
    monge::SmallOptions options;
    options.threads = 3, options.poll = stop;
    expect(monge::solve_small(problems.data(), outcomes.data(), problems.size(), options), "memory", seed);
    for (const auto& outcome : outcomes) expect(!outcome.converged, "interrupt", seed);
    if (failures == 0) std::puts("small sinkhorn: all well");
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
