// Plans over near points, against sums over all pairs in plain loops. For the sanitizers: sizes that are no multiples
// of anything, chunks of rows, and columns that are left out. See checks.hpp for how to build it.
#include "entropic/near_plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

namespace {

using monge::Ground;
using std::size_t;

constexpr double inverse = 300.0;

struct Metric {
    Ground ground;
    double exponent;
};
constexpr Metric metrics[] = {{Ground::squares, 1.0},   {Ground::squares, 0.5},   {Ground::squares, 0.75},
                              {Ground::absolutes, 1.0}, {Ground::absolutes, 1.5}, {Ground::largest, 1.0},
                              {Ground::largest, 1.5}};

int failed = 0;

struct Problem {
    size_t n, m, d;
    Metric metric;
    std::vector<double> X, Y, rows, columns, sent, received, g, C, P;

    Problem(size_t n, size_t m, size_t d, Metric metric) : n(n), m(m), d(d), metric(metric) {
        std::mt19937 engine(static_cast<unsigned>(n + 1000 * m));
        const auto uniform = [&] { return (static_cast<double>(engine()) + 0.5) / 4294967296.0; };
        // On a line, in its order: so columns that are next to each other are near.
        for (auto [points, size] : {std::pair(&X, n), std::pair(&Y, m)}) {
            for (size_t i = 0; i < size; ++i) points->push_back(static_cast<double>(i) / static_cast<double>(size));
            for (size_t i = size; i < d * size; ++i) points->push_back(0.05 * uniform());
            points->resize(3 * size, 0.0);
        }
        for (size_t i = 0; i < n; ++i) rows.push_back(i % 5 == 3 ? -INFINITY : -4.0 * uniform());
        for (size_t j = 0; j < m; ++j) columns.push_back(j % 7 == 3 ? -INFINITY : -4.0 * uniform());
        for (size_t j = 0; j < m; ++j) g.push_back(j % 7 == 3 ? -INFINITY : 0.1 * uniform());
        sent.assign(n, 0.0);
        received.assign(m, 0.0);
        for (size_t i = 0; i < n; ++i)
            for (size_t j = 0; j < m; ++j) {
                C.push_back(cost(i, j));
                P.push_back(std::exp2(rows[i] + columns[j] - inverse * C.back()));
                sent[i] += P.back();
                received[j] += P.back();
            }
    }

    double difference(size_t i, size_t j, size_t c) const { return X[c * n + i] - Y[c * m + j]; }

    double base(size_t i, size_t j) const {
        double square = 0.0, sum = 0.0, most = 0.0;
        for (size_t c = 0; c < 3; ++c) {
            square += difference(i, j, c) * difference(i, j, c);
            sum += std::fabs(difference(i, j, c));
            most = std::fmax(most, std::fabs(difference(i, j, c)));
        }
        return metric.ground == Ground::squares ? square : metric.ground == Ground::absolutes ? sum : most;
    }

    double cost(size_t i, size_t j) const { return std::pow(base(i, j), metric.exponent); }

    /// dC_ij / dx_ic.
    double slope(size_t i, size_t j, size_t c) const {
        const double z = difference(i, j, c), at = base(i, j);
        if (z == 0.0 || (metric.ground == Ground::largest && std::fabs(z) < at)) return 0.0;
        return metric.exponent * std::pow(at, metric.exponent - 1.0) *
               (metric.ground == Ground::squares ? 2.0 * z
                : z > 0.0                        ? 1.0
                                                 : -1.0);
    }

    monge::NearCosts costs() const { return {X.data(), Y.data(), n, m, d, metric.ground, metric.exponent, false}; }
};

void near(double x, double expected, double size, const char* what, const Problem& problem) {
    if (std::fabs(x - expected) <= 1e-11 * size) return;
    ++failed;
    std::printf("%s: %g instead of %g, n = %zu, m = %zu, d = %zu, ground %d, exponent %g\n", what, x, expected,
                problem.n, problem.m, problem.d, static_cast<int>(problem.metric.ground), problem.metric.exponent);
}

/// x log2 x.
double term(double x) { return x > 0.0 ? x * std::log2(x) : 0.0; }

struct Found {
    std::vector<double> sent, received;
    double price = 0.0, entropy = 0.0;

    explicit Found(const Problem& problem) : sent(problem.n, NAN), received(problem.m, 0.0) {}

    /// Some rows at a time, whose columns are added up.
    template <class Use>
    void in_chunks(Use use) {
        std::vector<double> part(received.size(), NAN);
        const size_t n = sent.size(), cut = std::min<size_t>(32, n);
        for (auto [first, last] : {std::pair(size_t{0}, cut), std::pair(cut, n)}) {
            const monge::NearTotals totals = use(first, last, part.data());
            price += totals.price, entropy += totals.entropy;
            for (size_t j = 0; j < part.size(); ++j) received[j] += part[j];
        }
    }
};

void check_plan(const Problem& at) {
    std::vector<double> log_sent, log_received;
    for (double mass : at.sent) log_sent.push_back(std::log2(mass));
    for (double mass : at.received) log_received.push_back(std::log2(mass));
    const monge::NearPlan plan(
        at.costs(), {inverse, at.rows.data(), at.columns.data(), log_sent.data(), log_received.data(), -66.0});
    std::vector<double> u, v;
    for (size_t i = 0; i < at.n; ++i) u.push_back(i % 4 == 1 ? 0.0 : 1.0 / static_cast<double>(i + 1));
    for (size_t j = 0; j < at.m; ++j) v.push_back(j % 3 == 1 ? 0.0 : 1.0 / static_cast<double>(j + 2));

    Found sums(at), mixture(at);
    sums.in_chunks([&](size_t first, size_t last, double* part) {
        return plan.sums(first, last, u.data(), v.data(), sums.sent.data(), part);
    });
    mixture.in_chunks([&](size_t first, size_t last, double* part) {
        return plan.mixture(first, last, u.data(), v.data(), mixture.sent.data(), part);
    });
    constexpr size_t stride = monge::panel_size<double>;
    std::vector<double> V(at.m * stride), products(at.n * stride, NAN);
    for (size_t k = 0; k < V.size(); ++k) V[k] = static_cast<double>(k % 13);
    plan.product(0, at.n, V.data(), stride, products.data());

    std::vector<double> sent(at.n, NAN), x(at.n * at.d, NAN), y(at.m * at.d, NAN), pulls(at.m * at.d, 0.0),
        pull_sizes(at.m, 0.0), part(at.m, NAN);
    const double gradient_price = plan.gradient(0, at.n, sent.data(), part.data(), x.data(), y.data()).price;

    std::vector<double> received(at.m, 0.0);
    double price = 0.0, more_price = 0.0, entropy = 0.0, size = 0.0;
    for (size_t i = 0; i < at.n; ++i) {
        double paid = 0.0, product = 0.0, push[3] = {}, push_size = 0.0;
        for (size_t j = 0; j < at.m; ++j) {
            const double p = at.P[i * at.m + j], c = at.C[i * at.m + j], w = u[i] * v[j];
            paid += p * v[j];
            for (size_t k = 0; k < at.d; ++k) {
                push[k] += p * at.slope(i, j, k);
                pulls[j * at.d + k] -= p * at.slope(i, j, k);
                push_size += p * std::fabs(at.slope(i, j, k));
                pull_sizes[j] += p * std::fabs(at.slope(i, j, k));
            }
            received[j] += u[i] * p;
            product += p * V[j * stride + 5];
            price += w * p * c;
            more_price += p * c;
            entropy += term(p + w) - term(w);
            size += std::fabs(term(p)) + std::fabs(term(w));
        }
        near(sums.sent[i], paid, at.sent[i], "row sum", at);
        near(sent[i], at.sent[i], at.sent[i], "row sum beside a gradient", at);
        for (size_t k = 0; k < at.d; ++k) near(x[i * at.d + k], push[k], push_size, "gradient of a row", at);
        near(mixture.sent[i], at.sent[i], at.sent[i], "row sum beside a product", at);
        near(products[i * stride + 5], product, 13.0 * at.sent[i], "product", at);
    }
    for (size_t j = 0; j < at.m; ++j) {
        near(sums.received[j], received[j], at.received[j], "column sum", at);
        near(part[j], at.received[j], at.received[j], "column sum beside a gradient", at);
        for (size_t k = 0; k < at.d; ++k)
            near(y[j * at.d + k], pulls[j * at.d + k], pull_sizes[j], "gradient of a column", at);
        near(mixture.received[j], at.received[j], at.received[j], "column sum beside a product", at);
    }
    near(sums.price, price, price, "price", at);
    near(gradient_price, more_price, more_price, "price beside gradients", at);
    near(mixture.price, more_price, more_price, "price beside a product", at);
    near(mixture.entropy, entropy, size, "entropy", at);
}

void check_transform(const Problem& at) {
    const monge::NearTransform transform(at.costs(), at.g.data());
    std::vector<double> f(at.n, NAN);
    const size_t cut = std::min<size_t>(16, at.n);
    transform.rows(0, cut, f.data());
    transform.rows(cut, at.n, f.data());
    for (size_t i = 0; i < at.n; ++i) {
        double least = INFINITY;
        for (size_t j = 0; j < at.m; ++j) least = std::min(least, at.C[i * at.m + j] - at.g[j]);
        near(f[i], least, 0.01, "transform", at);
    }
}

}  // namespace

int main() {
    for (const Metric metric : metrics)
        for (size_t d : {1, 2, 3})
            for (auto [n, m] :
                 {std::pair<size_t, size_t>{1, 1}, {3, 17}, {16, 16}, {37, 300}, {300, 261}, {20, 4200}}) {
                const Problem problem(n, m, d, metric);
                check_plan(problem);
                check_transform(problem);
            }
    std::printf(failed == 0 ? "all passed\n" : "%d failed\n", failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
