// Problems of many kinds for the exact solvers, and what has to hold of their solutions.
#pragma once

#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "exact/emd.hpp"

using monge::Options;
using monge::Problem;
using monge::Solution;
using monge::Status;

template <class T>
struct Instance {
    std::size_t n, m;
    std::vector<T> cost;       // (n, m), row-major
    std::vector<double> a, b;  // empty for uniform
    double at(std::size_t i, std::size_t j) const { return static_cast<double>(cost[i * m + j]); }

    Problem problem() const {
        Problem p;
        p.cost = cost.data();
        p.single = std::is_same<T, float>::value;
        p.n = n, p.m = m;
        p.row_step = static_cast<std::ptrdiff_t>(m), p.col_step = 1;
        p.a = a.empty() ? nullptr : a.data();
        p.b = b.empty() ? nullptr : b.data();
        return p;
    }
};

inline double total_of(const std::vector<double>& a, const std::vector<double>& b) {
    if (!a.empty()) return std::accumulate(a.begin(), a.end(), 0.0);
    return b.empty() ? 1.0 : std::accumulate(b.begin(), b.end(), 0.0);
}

/// Marginals, allowed arcs, dual feasibility, cost and gap, recomputed. Does not ask that the gap be small.
template <class T>
void check_certificate(const Instance<T>& in, const Solution& s) {
    const double total = total_of(in.a, in.b);
    CHECK(s.f.size() == in.n && s.g.size() == in.m);
    CHECK(s.rows.size() == s.mass.size() && s.cols.size() == s.mass.size());
    CHECK(s.mass.size() <= in.n + in.m - 1);
    std::vector<double> sent(in.n, 0.0), received(in.m, 0.0);
    double cost = 0.0, scale = 0.0;
    bool sane = true, sorted = true;
    for (std::size_t k = 0; k < s.mass.size(); ++k) {
        const auto i = static_cast<std::size_t>(s.rows[k]), j = static_cast<std::size_t>(s.cols[k]);
        sane &= i < in.n && j < in.m && s.mass[k] > 0.0;
        if (!sane) break;
        sane &= std::isfinite(in.at(i, j));
        sent[i] += s.mass[k];
        received[j] += s.mass[k];
        cost += s.mass[k] * in.at(i, j);
        scale += s.mass[k] * std::fabs(in.at(i, j));
        if (k > 0) sorted &= std::make_pair(s.rows[k - 1], s.cols[k - 1]) < std::make_pair(s.rows[k], s.cols[k]);
    }
    CHECK(sane);
    CHECK(sorted);  // which also says that no arc occurs twice
    if (!sane || s.f.size() != in.n || s.g.size() != in.m) return;
    double error = 0.0, dual = 0.0;
    for (std::size_t i = 0; i < in.n; ++i) {
        const double a = in.a.empty() ? total / static_cast<double>(in.n) : in.a[i];
        error += std::fabs(sent[i] - a);
        dual += a * s.f[i];
        scale += a * std::fabs(s.f[i]);
    }
    for (std::size_t j = 0; j < in.m; ++j) {
        const double b = in.b.empty() ? total / static_cast<double>(in.m) : in.b[j];
        error += std::fabs(received[j] - b);
        dual += b * s.g[j];
        scale += b * std::fabs(s.g[j]);
    }
    // Plain sums of doubles over up to n + m terms.
    const double rounding = DBL_EPSILON * static_cast<double>(in.n + in.m + 16);
    CHECK(error <= rounding * total);
    bool feasible = true;
    for (std::size_t i = 0; i < in.n; ++i)
        for (std::size_t j = 0; j < in.m; ++j) {
            const double c = in.at(i, j);
            if (c == inf) continue;
            feasible &= s.f[i] + s.g[j] - c <= 6 * DBL_EPSILON * (std::fabs(s.f[i]) + std::fabs(s.g[j]) + std::fabs(c));
        }
    CHECK(feasible);
    CHECK(std::fabs(s.cost - cost) <= rounding * scale);
    CHECK(s.gap >= 0.0);
    CHECK(std::fabs((cost - dual) - s.gap) <= 4 * rounding * scale);
}

template <class T>
void check_optimal(const Instance<T>& in, const Solution& s) {
    CHECK(s.status == Status::optimal);
    if (s.status != Status::optimal) return;
    check_certificate(in, s);
    double scale = std::fabs(s.cost);
    for (std::size_t k = 0; k < s.mass.size(); ++k)
        scale += s.mass[k] * (std::fabs(s.f[s.rows[k]]) + std::fabs(s.g[s.cols[k]]));
    CHECK(s.gap <= 1e-12 * scale);
}

/// A guard against pivots without end, not a measurement: nothing here takes seconds.
inline Options guarded() {
    Options options;
    options.time_limit = 20.0;
    return options;
}

template <class T>
Solution solve(const Instance<T>& in, Options options = guarded()) {
    return monge::solve(in.problem(), options);
}

inline bool same_bits(const std::vector<double>& x, const std::vector<double>& y) {
    return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) == 0);
}

inline bool same_bits(const Solution& s, const Solution& t) {
    return s.status == t.status && same_bits(s.f, t.f) && same_bits(s.g, t.g) && same_bits(s.mass, t.mass) &&
           s.rows == t.rows && s.cols == t.cols && s.cost == t.cost && s.gap == t.gap &&
           s.counters.pivots == t.counters.pivots && s.counters.arcs_priced == t.counters.arcs_priced;
}

enum class Kind { iid, ties, plane, copies, constant, negative, large, tiny, wide_range, forbidden, shifted };
inline const std::vector<std::pair<Kind, const char*>> kinds = {{Kind::iid, "iid"},
                                                                {Kind::ties, "ties"},
                                                                {Kind::plane, "plane"},
                                                                {Kind::copies, "copies"},
                                                                {Kind::constant, "constant"},
                                                                {Kind::negative, "negative"},
                                                                {Kind::large, "large"},
                                                                {Kind::tiny, "tiny"},
                                                                {Kind::wide_range, "wide range"},
                                                                {Kind::forbidden, "forbidden"},
                                                                {Kind::shifted, "shifted"}};

/// Weights, if there are any, are whole numbers, some of them zero.
template <class T>
Instance<T> make(Kind kind, std::size_t n, std::size_t m, bool weighted, unsigned seed) {
    Random random(seed);
    Instance<T> in{n, m, std::vector<T>(n * m), {}, {}};
    const bool single = std::is_same<T, float>::value;
    const std::size_t places = 7;  // copies: so many different points
    std::vector<double> x(2 * n), y(2 * m);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t t = 0; t < 2; ++t)
            x[2 * i + t] = kind == Kind::copies && i >= places ? x[2 * (i % places) + t] : random.uniform();
    for (std::size_t j = 0; j < m; ++j)
        for (std::size_t t = 0; t < 2; ++t)
            y[2 * j + t] = kind == Kind::copies && j >= places ? y[2 * (j % places) + t] : random.uniform();
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < m; ++j) {
            const double dx = x[2 * i] - y[2 * j], dy = x[2 * i + 1] - y[2 * j + 1], square = dx * dx + dy * dy;
            double c = 0.0;
            switch (kind) {
                case Kind::iid: c = random.uniform(); break;
                case Kind::ties: c = random.below(4); break;
                case Kind::plane:
                case Kind::copies: c = square; break;
                case Kind::constant: c = 3.0; break;
                case Kind::negative: c = -random.uniform(); break;
                case Kind::large: c = square * (single ? 1e30 : 1e280); break;
                case Kind::tiny: c = square * (single ? 1e-30 : 1e-280); break;
                case Kind::wide_range: c = std::pow(10.0, 12.0 * random.uniform() - 6.0); break;
                // The diagonal stays, so that uniform weights on a square have a plan.
                case Kind::forbidden: c = i != j && random.uniform() < 0.7 ? inf : random.uniform(); break;
                case Kind::shifted: c = square + 1e6; break;
            }
            in.cost[i * m + j] = static_cast<T>(c);
        }
    if (weighted) {
        // Whole numbers, some of them zero, with equal totals.
        auto draw = [&](std::size_t size) {
            std::vector<double> w(size);
            for (double& x : w) x = random.below(5);
            return w;
        };
        in.a = draw(n), in.b = draw(m);
        in.a[0] += 1.0, in.b[0] += 1.0;
        const double excess = total_of(in.a, {}) - total_of(in.b, {});
        (excess > 0 ? in.b : in.a)[0] += std::fabs(excess);
    }
    return in;
}
