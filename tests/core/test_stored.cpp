// Entropic problems with a stored kernel matrix, for the sanitizers and without Python: the loops against plain ones,
// and the conditions of optimality on random problems of all sizes and demands. Once per instruction set.
#include "entropic/stored.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "entropic/packed_points.hpp"
#include "entropic/stored_pass.hpp"
#include "entropic/vector_kernels.hpp"

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
    const monge::VectorKernels& k = monge::vector_kernels();
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
    // (K' q K + 1) x = r.
    std::vector<double> right(size), x(size);
    k.gram(K.data(), rows, size, size, w.data(), 0, size, H.data());
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

template <class Rows>
void give(const float* C, Rows* rows) {
    rows->floats = C;
}
template <class Rows>
void give(const double* C, Rows* rows) {
    rows->doubles = C;
}

void make(const monge::FreshRows<float, float>& rows) { monge::stored_kernels().float_fresh(rows); }
void make(const monge::FreshRows<double, float>& rows) { monge::stored_kernels().mixed_fresh(rows); }
void make(const monge::FreshRows<double, double>& rows) { monge::stored_kernels().double_fresh(rows); }
void again(const monge::StoredRows<float>& rows) { monge::stored_kernels().float_again(rows); }
void again(const monge::StoredRows<double>& rows) { monge::stored_kernels().double_again(rows); }

/// A fresh pass with guesses that are good, or far off, and one that reads its matrix with other potentials.
template <class E, class T>
void check_passes(std::size_t n, std::size_t m, bool far, bool damped, double tolerance, int seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    const std::size_t stride = monge::stored_stride(m), room = n + 2 * monge::stored_rows;
    std::vector<E> C(n * m), beta(stride, -std::numeric_limits<E>::infinity());
    for (E& c : C) c = static_cast<E>(uniform(random));
    C[(n - 1) * m] = std::numeric_limits<E>::infinity();
    std::vector<T> K(n * stride, T(NAN)), v(stride), scratch(stride, T(NAN));
    std::vector<double> a(room), shift(room), softmin(room), alpha(room), r(room), w(room), columns(stride);
    for (std::size_t i = 0; i < n; ++i) a[i] = uniform(random);
    for (std::size_t j = 0; j < m; ++j) {
        v[j] = static_cast<T>(uniform(random));
        beta[j] = static_cast<E>(10.0 * uniform(random));
    }
    if (m > 1) v[1] = T(0), beta[1] = -std::numeric_limits<E>::infinity();  // no weight
    for (std::size_t i = 0; i < n; ++i) shift[i] = far ? 300.0 * uniform(random) - 150.0 : 0.0;
    const double inverse = 12.0, damp = damped ? 0.7 : 1.0, cap = damped ? 3.0 : inf;
    monge::FreshRows<E, T> rows{};
    rows.rows = {K.data(),       stride,        m,        0,        n,
                 v.data(),       a.data(),      damp,     cap,      shift.data(),
                 softmin.data(), alpha.data(),  r.data(), w.data(), columns.data(),
                 false,          scratch.data()};
    give(C.data(), &rows);
    rows.stride = m;
    rows.inverse = inverse;
    rows.beta = beta.data();
    for (int pass = 0; pass < 2; ++pass) {
        pass == 0 ? make(rows) : again(rows.rows);
        std::vector<double> sums(m);
        for (std::size_t i = 0; i < n; ++i) {
            double total = 0.0;
            for (std::size_t j = 0; j < m; ++j)
                total += double(v[j]) * std::exp2(double(beta[j]) + shift[i] - inverse * double(C[i * m + j]));
            if (!(total > 0.0)) {
                expect(alpha[i] == 0.0 && w[i] == 0.0, "a row out of reach", seed);
                continue;
            }
            const double s = shift[i] - std::log2(total), best = std::min(std::max(damp * s, -cap), cap);
            expect(near(softmin[i], s, tolerance) && near(alpha[i], best, tolerance), "potentials of rows", seed);
            expect(near(w[i], a[i] * std::exp2(best - shift[i]), 30.0 * tolerance), "scalings of rows", seed);
            for (std::size_t j = 0; j < m; ++j)
                sums[j] += w[i] * std::exp2(double(beta[j]) + shift[i] - inverse * double(C[i * m + j]));
        }
        for (std::size_t j = 0; j < m; ++j) expect(near(columns[j], sums[j], 30.0 * tolerance), "columns", seed);
        for (std::size_t j = 0; j < m; ++j)
            if (v[j] > T(0)) v[j] *= static_cast<T>(0.5 + uniform(random));
    }
}

/// Points on both sides of the number of coordinates from which they are lifted, some far away from the others.
template <class T>
void check_packing(std::size_t d, double outlier, double unit, double tolerance, int seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    const std::size_t n = 9, m = 50;
    std::vector<double> x(n * d), y(m * d);
    for (auto* points : {&x, &y})
        for (double& each : *points) each = unit * (5.0 + normal(random));
    y[0] *= outlier;
    for (monge::Ground base : monge::grounds) {
        monge::PackedPoints<T> packed;
        packed.pack({base, 1.0, 3.0}, x.data(), n, y.data(), m, d);
        expect(packed.lifted == (base == monge::Ground::squares && d >= 8 && outlier == 1.0), "lifting", seed);
        std::vector<T> out(n * m);
        const monge::CostRows<T> rows = {packed.costs(), m, 0, n, out.data()};
        if constexpr (sizeof(T) == sizeof(float))
            monge::cost_kernels().float_costs(rows);
        else
            monge::cost_kernels().double_costs(rows);
        monge::with_ground(base, [&](auto ground) {
            typedef decltype(ground) Base;
            double largest = 0.0;
            std::vector<double> right(n * m);
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t j = 0; j < m; ++j) {
                    double all = 0.0;
                    for (std::size_t k = 0; k < d; ++k) all = Base::join(all, Base::term(x[i * d + k] - y[j * d + k]));
                    right[i * m + j] = 3.0 * all;
                    largest = std::max(largest, 3.0 * all);
                }
            for (std::size_t k = 0; k < n * m; ++k)
                expect(std::fabs(packed.factor * double(out[k]) - right[k]) <= tolerance * largest, "packed", seed);
        });
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
    monge::StoredProblem p = {};
    p.n = n, p.m = m, p.doubles = C.data(), p.a = a.data(), p.b = b.data();
    p.kl[0] = rows.kl, p.cap[0] = rows.cap, p.kl[1] = columns.kl, p.cap[1] = columns.cap;
    p.eps = eps, p.tol = 1e-9, p.max_iter = 10000, p.f = f.data(), p.g = g.data();
    monge::StoredOutcome outcome;
    expect(monge::solve_stored(&p, &outcome, 1, {}), "memory", seed);
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
    for (bool far : {false, true})
        for (bool damped : {false, true})
            for (std::size_t n : {1, 7, 8, 21, 300})
                for (std::size_t m : {1, 5, 24, 49, 97}) {
                    check_passes<float, float>(n, m, far, damped, 1e-5, ++seed);
                    check_passes<double, float>(n, m, far, damped, 1e-6, ++seed);
                    check_passes<double, double>(n, m, far, damped, 1e-13, ++seed);
                }
    for (std::size_t d : {1, 3, 7, 8, 20})
        for (double outlier : {1.0, 1e4})
            for (double unit : {1.0, 1e-20, 1e30}) {
                check_packing<float>(d, outlier, unit, 2e-6, ++seed);
                check_packing<double>(d, outlier, unit, 4e-15, ++seed);
            }
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
    std::vector<monge::StoredProblem> problems(64);
    std::vector<monge::StoredOutcome> outcomes(64);
    for (std::size_t k = 0; k < problems.size(); ++k) {
        monge::StoredProblem& p = problems[k];
        p = {};
        p.n = p.m = 200, p.doubles = C.data(), p.a = p.b = w.data(), p.f = &f[k * 200], p.g = &g[k * 200];
        p.kl[0] = p.kl[1] = p.cap[0] = p.cap[1] = inf;
        p.eps = 1e-4 * 4294967296.0, p.first = p.eps, p.tol = 1e-300, p.max_iter = std::int64_t{1} << 60;
    }
    monge::StoredOptions options;
    options.threads = 3, options.poll = stop;
    expect(monge::solve_stored(problems.data(), outcomes.data(), problems.size(), options), "memory", seed);
    for (const auto& outcome : outcomes) expect(!outcome.converged, "interrupt", seed);
    if (failures == 0) std::puts("stored kernels: all well");
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
