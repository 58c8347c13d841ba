// The C++ core's own tests: no Python, no framework. Run under AddressSanitizer and UndefinedBehaviorSanitizer by
//
//   cmake -S . -B build/core -DMONGE_CORE_TESTS=ON -DMONGE_SANITIZE=ON && cmake --build build/core && ctest --test-dir build/core
//
// and once per instruction set, which MONGE_SIMD selects at start.
#include <algorithm>
#include <atomic>
#include <cfloat>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/ground_costs.hpp"
#include "exact/emd.hpp"
#include "exact/masses.hpp"
#include "exact/network_simplex.hpp"
#include "exact/row_kernels.hpp"
#include "exact/sparse.hpp"
#include "common/workers.hpp"

namespace {

using monge::Flow;
using monge::Options;
using monge::Problem;
using monge::Solution;
using monge::Status;

constexpr double inf = std::numeric_limits<double>::infinity();

int passed = 0, failed = 0;

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (condition) {                                                            \
            ++passed;                                                               \
        } else {                                                                    \
            ++failed;                                                               \
            std::printf("%s:%d: %s [%s]\n", __FILE__, __LINE__, #condition, where); \
        }                                                                           \
    } while (false)

// What is being tested, for the message of a check that fails.
const char* where = "";

// The same numbers on every platform.
class Random {
public:
    explicit Random(unsigned seed) : engine_(seed) {}
    double uniform() { return (static_cast<double>(engine_()) + 0.5) / 4294967296.0; }
    int below(int n) { return static_cast<int>(uniform() * n); }

private:
    std::mt19937 engine_;
};

// --- Problems through the boundary ------------------------------------------------------------------------------------

template <class T>
struct Instance {
    std::size_t n, m;
    std::vector<T> cost;  // (n, m), row-major
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

double total_of(const std::vector<double>& a, const std::vector<double>& b) {
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
Options guarded() {
    Options options;
    options.time_limit = 20.0;
    return options;
}

template <class T>
Solution solve(const Instance<T>& in, Options options = guarded()) {
    return monge::solve(in.problem(), options);
}

bool same_bits(const std::vector<double>& x, const std::vector<double>& y) {
    return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) == 0);
}

bool same_bits(const Solution& s, const Solution& t) {
    return s.status == t.status && same_bits(s.f, t.f) && same_bits(s.g, t.g) && same_bits(s.mass, t.mass) &&
           s.rows == t.rows && s.cols == t.cols && s.cost == t.cost && s.gap == t.gap &&
           s.counters.pivots == t.counters.pivots && s.counters.arcs_priced == t.counters.arcs_priced;
}

enum class Kind { iid, ties, plane, copies, constant, negative, large, tiny, wide_range, forbidden, shifted };
const std::vector<std::pair<Kind, const char*>> kinds = {
    {Kind::iid, "iid"},           {Kind::ties, "ties"},           {Kind::plane, "plane"},   {Kind::copies, "copies"},
    {Kind::constant, "constant"}, {Kind::negative, "negative"},   {Kind::large, "large"},   {Kind::tiny, "tiny"},
    {Kind::wide_range, "wide range"}, {Kind::forbidden, "forbidden"}, {Kind::shifted, "shifted"}};

/// `fit`: a scale that the type of the cost can hold.
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

template <class T>
void random_instances() {
    const std::pair<std::size_t, std::size_t> shapes[] = {{1, 1},    {1, 40},   {40, 1},   {2, 3},     {13, 13},
                                                          {30, 31},  {129, 127}, {150, 150}, {20, 300}, {300, 20}};
    for (const auto& [kind, name] : kinds)
        for (const auto& [n, m] : shapes)
            for (const bool weighted : {false, true}) {
                if (kind == Kind::forbidden && (n != m || weighted)) continue;
                where = name;
                const auto in = make<T>(kind, n, m, weighted, 1);
                check_optimal(in, solve(in));
            }
}

/// All permutations, for up to 7! of them.
void assignments() {
    where = "assignment";
    for (unsigned seed = 0; seed < 40; ++seed)
        for (const Kind kind : {Kind::iid, Kind::ties, Kind::forbidden}) {
            const std::size_t n = 2 + seed % 6;
            auto in = make<double>(kind, n, n, false, seed);
            if (kind == Kind::forbidden && seed % 2 == 1)
                for (std::size_t i = 0; i < n; i += 2) in.cost[i * n + i] = inf;  // now there may be no plan
            std::vector<std::size_t> order(n);
            std::iota(order.begin(), order.end(), 0);
            double best = inf;
            do {
                double sum = 0.0;
                for (std::size_t i = 0; i < n; ++i) sum += in.at(i, order[i]);
                best = std::min(best, sum / static_cast<double>(n));
            } while (std::next_permutation(order.begin(), order.end()));
            const Solution s = solve(in);
            if (best == inf) {
                CHECK(s.status == Status::infeasible);
            } else {
                check_optimal(in, s);
                CHECK(std::fabs(s.cost - best) <= 1e-14 * (1.0 + best));
            }
        }
}

void layouts() {
    where = "layouts";
    for (const auto& shape : {std::make_pair(40, 60), std::make_pair(60, 40), std::make_pair(10, 90), std::make_pair(150, 140)}) {
        const auto in = make<double>(Kind::plane, shape.first, shape.second, true, 3);
        const Solution plain = solve(in);
        check_optimal(in, plain);
        auto try_layout = [&](std::ptrdiff_t row_step, std::ptrdiff_t col_step, bool rows_back, bool cols_back) {
            const auto n = static_cast<std::ptrdiff_t>(in.n), m = static_cast<std::ptrdiff_t>(in.m);
            // Guarded by NaN: whoever reads between the entries is found out.
            std::vector<double> memory((n - 1) * row_step + (m - 1) * col_step + 1, std::nan(""));
            for (std::ptrdiff_t i = 0; i < n; ++i)
                for (std::ptrdiff_t j = 0; j < m; ++j)
                    memory[(rows_back ? n - 1 - i : i) * row_step + (cols_back ? m - 1 - j : j) * col_step] = in.at(i, j);
            Problem p = in.problem();
            p.cost = memory.data() + (rows_back ? (n - 1) * row_step : 0) + (cols_back ? (m - 1) * col_step : 0);
            p.row_step = rows_back ? -row_step : row_step;
            p.col_step = cols_back ? -col_step : col_step;
            const Solution s = monge::solve(p, {});
            check_optimal(in, s);
            CHECK(std::fabs(s.cost - plain.cost) <= 1e-12 * plain.cost);
        };
        const auto n = static_cast<std::ptrdiff_t>(in.n), m = static_cast<std::ptrdiff_t>(in.m);
        for (const bool rows_back : {false, true})
            for (const bool cols_back : {false, true}) {
                try_layout(m, 1, rows_back, cols_back);          // C
                try_layout(1, n, rows_back, cols_back);          // Fortran
                try_layout(2 * m + 3, 2, rows_back, cols_back);  // strided
                try_layout(3, 3 * n + 1, rows_back, cols_back);
            }
        // Both steps zero: one number stands for all costs.
        const double one = 2.5;
        Problem p = in.problem();
        p.cost = &one, p.row_step = 0, p.col_step = 0;
        Instance<double> constant = in;
        std::fill(constant.cost.begin(), constant.cost.end(), one);
        check_optimal(constant, monge::solve(p, {}));
    }
}

void threads() {
    // Large enough that several threads take part.
    for (const auto& [kind, name] : kinds) {
        if (kind == Kind::constant || kind == Kind::negative) continue;
        where = name;
        for (const bool weighted : {false, true}) {
            if (kind == Kind::forbidden && weighted) continue;
            const auto in = make<float>(kind, 1030, 1030, weighted, 4);
            Options one, three;
            three.threads = 3;
            const Solution s = solve(in, one);
            check_optimal(in, s);
            CHECK(same_bits(s, solve(in, three)));
            if (kind != Kind::iid && kind != Kind::plane) break;
        }
    }
}

void infeasible() {
    where = "infeasible";
    auto in = make<double>(Kind::iid, 30, 30, false, 5);
    for (std::size_t j = 0; j < 30; ++j) in.cost[7 * 30 + j] = inf;
    CHECK(solve(in).status == Status::infeasible);
    // Without mass, the row may be cut off.
    in.a.assign(30, 1.0), in.b.assign(30, 29.0 / 30.0);
    in.a[7] = 0.0;
    check_optimal(in, solve(in));
    // Two blocks that each balance, and then do not, by the least amount.
    in.a.assign(30, 1.0), in.b.assign(30, 1.0);
    for (std::size_t i = 0; i < 30; ++i)
        for (std::size_t j = 0; j < 30; ++j) in.cost[i * 30 + j] = (i < 11) == (j < 11) ? 1.0 + static_cast<double>(i * j % 5) : inf;
    check_optimal(in, solve(in));
    in.a[0] += 1e-6, in.b[29] += 1e-6;
    CHECK(solve(in).status == Status::infeasible);
    std::fill(in.cost.begin(), in.cost.end(), inf);
    CHECK(solve(in).status == Status::infeasible);
}

void invalid() {
    where = "invalid";
    for (const double bad : {std::nan(""), -inf, 1e291, -1e291})
        for (const std::size_t at : {0, 5, 1000, 22499}) {
            auto in = make<double>(Kind::iid, 150, 150, false, 6);
            in.cost[at] = bad;
            CHECK(solve(in).status == Status::invalid_cost);
        }
    auto single = make<float>(Kind::iid, 20, 20, false, 6);
    single.cost[399] = std::nanf("");
    CHECK(solve(single).status == Status::invalid_cost);
}

void stopping() {
    where = "time limit";
    for (const Kind kind : {Kind::iid, Kind::plane, Kind::ties})
        for (const auto& shape : {std::make_pair(200, 200), std::make_pair(30, 400), std::make_pair(400, 30)})
            for (const bool weighted : {false, true}) {
                const auto in = make<double>(kind, shape.first, shape.second, weighted, 7);
                Options none;
                none.time_limit = 0.0;
                const Solution s = solve(in, none), best = solve(in);
                CHECK(s.status == Status::time_limit);
                check_certificate(in, s);
                const double rounding = 1e-12 * (1.0 + best.cost);
                CHECK(s.cost - s.gap <= best.cost + rounding);
                CHECK(best.cost <= s.cost + rounding);
            }
    auto forbidden = make<double>(Kind::forbidden, 200, 200, false, 7);
    Options none;
    none.time_limit = 0.0;
    CHECK(solve(forbidden, none).status == Status::no_plan_yet);

    where = "cancelled";
    const std::atomic<bool> cancelled{true};
    Options by_another;
    by_another.cancelled = &cancelled;
    for (const std::size_t n : {20, 400}) {
        const auto in = make<double>(Kind::plane, n, n, false, 8);
        CHECK(solve(in, by_another).status == Status::interrupted);
    }

    where = "interrupt";
    struct Calls {
        int count, stop_at;
    };
    for (const int stop_at : {1, 2}) {
        Calls calls{0, stop_at};
        Options options;
        options.threads = stop_at;
        options.context = &calls;
        // Polled when 50 ms are over since the last time: a poll that takes them itself is followed by the next.
        options.poll = [](void* context, const monge::Progress& progress) {
            auto& calls = *static_cast<Calls*>(context);
            std::this_thread::sleep_for(std::chrono::milliseconds(60));
            return progress.pivots >= 0 && progress.sweeps >= 0 && ++calls.count == calls.stop_at;
        };
        // The first poll needs a solve that takes so long by itself: on any machine, some size does.
        Status status = Status::optimal;
        for (std::size_t n = 2000; calls.count < stop_at && n <= 16000; n *= 2) {
            calls.count = 0;
            status = solve(make<float>(Kind::plane, n, n, false, 8), options).status;
        }
        CHECK(status == Status::interrupted);
        CHECK(calls.count == stop_at);  // and not once more
    }
}

void warm_starts() {
    where = "warm start";
    const std::vector<std::pair<Kind, std::size_t>> cases = {
        {Kind::iid, 150}, {Kind::plane, 150}, {Kind::forbidden, 150}, {Kind::ties, 150}, {Kind::plane, 400}};
    for (const auto& [kind, n] : cases) {
        const auto in = make<double>(kind, n, n, false, 9);
        const Solution cold = solve(in);
        Problem p = in.problem();
        p.f = cold.f.data(), p.g = cold.g.data();
        const Solution warm = monge::solve(p, {});
        check_optimal(in, warm);
        CHECK(warm.counters.pivots <= cold.counters.pivots);
        p.plan_rows = cold.rows.data(), p.plan_cols = cold.cols.data(), p.entries = cold.rows.size();
        p.list_rows = cold.list_rows.data(), p.list_cols = cold.list_cols.data(), p.listed = cold.list_rows.size();
        const Solution again = monge::solve(p, {});
        check_optimal(in, again);
        CHECK(again.counters.pivots <= cold.counters.pivots);
        if (kind == Kind::forbidden || n == 400) CHECK(again.list_rows.size() >= again.rows.size());
        p.entries = p.listed = 0;
        // Nonsense of any size is still only a start.
        Random random(1);
        for (const double scale : {0.0, 1e-300, 1.0, 1e6, 1e15, 1e300}) {
            std::vector<double> f(n), g(n);
            for (double& x : f) x = scale * (random.uniform() - 0.5);
            for (double& x : g) x = scale * (random.uniform() - 0.5);
            p.f = f.data(), p.g = g.data();
            const Solution started = monge::solve(p, guarded());
            check_optimal(in, started);
            // Large potentials would make any gap look small.
            CHECK(std::fabs(started.cost - cold.cost) <= 1e-12 * (1.0 + cold.cost));
        }
    }
}

// --- The inner headers ------------------------------------------------------------------------------------------------

/// Batches give the bits of single solves, whatever was solved before in the same memory.
void batches() {
    where = "batch";
    Random random(11);
    std::vector<Instance<double>> instances;
    for (int k = 0; k < 60; ++k) {
        const auto size = [&] { return static_cast<std::size_t>(1 + random.below(k % 20 == 0 ? 400 : 40)); };
        const Kind kind = kinds[static_cast<std::size_t>(k) % kinds.size()].first;
        const std::size_t n = size();
        instances.push_back(make<double>(kind, n, kind == Kind::forbidden ? n : size(), kind != Kind::forbidden && k % 2 == 0, 100 + k));
    }
    std::vector<Problem> problems;
    for (const auto& in : instances) problems.push_back(in.problem());
    for (const int threads : {1, 2, 3}) {
        Options options;
        options.threads = threads;
        const auto solutions = monge::solve_all(problems, options);
        CHECK(solutions.size() == problems.size());
        for (std::size_t k = 0; k < problems.size(); ++k) CHECK(same_bits(solutions[k], solve(instances[k])));
    }
    CHECK(monge::solve_all({}, {}).empty());
}

/// The simplex for large problems, which `solve` does not ask when one is small, agrees with the one for small problems.
void both_simplexes() {
    where = "both simplexes";
    for (const auto& [kind, name] : kinds) {
        if (kind == Kind::forbidden) continue;
        for (const auto& [n, m] : std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {2, 3}, {30, 30}, {60, 25}, {200, 180}}) {
            where = name;
            const auto in = make<double>(kind, n, m, n != m, 12);
            const Solution small = solve(in);
            const auto masses = monge::integer_masses(in.problem().a, n, in.problem().b, m);
            if (*std::min_element(masses.supply.begin(), masses.supply.end()) == 0 ||
                *std::min_element(masses.demand.begin(), masses.demand.end()) == 0)
                continue;
            const monge::MatrixArcs<double> arcs(in.cost.data(), static_cast<std::ptrdiff_t>(m), 1, n, m);
            monge::Workers workers(1);
            const Options options;
            monge::Monitor monitor(options);
            monge::Counters counters;
            monge::NetworkSimplex<monge::MatrixArcs<double>> simplex(arcs, masses.supply, masses.demand, workers, monitor, counters);
            double magnitude = 0.0;
            for (const double c : in.cost) magnitude = std::max(magnitude, std::fabs(c));
            simplex.start(magnitude, true);
            simplex.optimise();
            const auto [u, v] = simplex.certificate();
            double primal = 0.0, gap = 0.0, size = 0.0;
            simplex.tree().for_each_arc([&, &u = u, &v = v](monge::Node i, monge::Node j, Flow flow, double cost) {
                primal += static_cast<double>(flow) * cost;
                gap += static_cast<double>(flow) * ((cost - v[j]) - u[i]);
                size += static_cast<double>(flow) * (std::fabs(u[i]) + std::fabs(v[j]) + std::fabs(cost));
            });
            CHECK(std::fabs(gap) <= 1e-13 * size);
            CHECK(std::fabs(primal / masses.per_mass - small.cost) <= 1e-13 * size / masses.per_mass);
        }
    }
}

void masses() {
    where = "masses";
    Random random(10);
    for (int round = 0; round < 300; ++round) {
        const std::size_t n = 1 + static_cast<std::size_t>(random.below(40)), m = 1 + static_cast<std::size_t>(random.below(40));
        std::vector<double> a(n), b(m);
        // All sizes of weights, and of totals, some of them zero.
        const double spread = 30.0 * random.uniform();
        for (double& w : a) w = random.below(6) == 0 ? 0.0 : std::pow(10.0, -spread * random.uniform());
        for (double& w : b) w = random.below(6) == 0 ? 0.0 : std::pow(10.0, -spread * random.uniform());
        a[0] = b[0] = 1.0;
        const double scale = std::pow(10.0, 60.0 * random.uniform() - 30.0);
        const double sum_a = total_of(a, {}), sum_b = total_of(b, {});
        for (double& w : a) w *= scale / sum_a;
        for (double& w : b) w *= scale / sum_b;
        const bool has_a = random.below(4) > 0, has_b = random.below(4) > 0;
        const auto masses = monge::integer_masses(has_a ? a.data() : nullptr, n, has_b ? b.data() : nullptr, m);
        CHECK(masses.supply.size() == n && masses.demand.size() == m);
        long double sent = 0.0L, received = 0.0L;
        for (const Flow x : masses.supply) sent += x;
        for (const Flow x : masses.demand) received += x;
        CHECK(sent == received);
        CHECK(sent > 0.0L && sent < 9.0e18L / 2);  // the sum of two flows still fits
        const double total = has_a || has_b ? scale : 1.0;
        CHECK(std::fabs(static_cast<double>(sent) / masses.per_mass / total - 1.0) <= 1e-14);
        bool faithful = true, signs = true;
        for (std::size_t i = 0; i < n; ++i) {
            const double wanted = has_a ? a[i] : total / static_cast<double>(n);
            signs &= (masses.supply[i] > 0) == (wanted > 0.0) && masses.supply[i] >= 0;
            // One unit of flow for rounding, and what the others' rounding left over.
            faithful &= std::fabs(static_cast<double>(masses.supply[i]) / masses.per_mass - wanted) <=
                        1e-14 * wanted + static_cast<double>(n + m + 2) / masses.per_mass;
        }
        CHECK(faithful);
        CHECK(signs);
    }
    // Decimals stay decimals, and uniform squares are assignments.
    const double a[] = {0.2, 0.5, 0.2, 0.1}, b[] = {0.3, 0.3, 0.4, 0.0};
    const auto animals = monge::integer_masses(a, 4, b, 4);
    CHECK(animals.supply[0] * 5 == animals.supply[1] * 2 && animals.demand[2] == 2 * animals.supply[0]);
    const auto square = monge::integer_masses(nullptr, 5, nullptr, 5);
    CHECK(square.supply == std::vector<Flow>(5, 1) && square.demand == std::vector<Flow>(5, 1));
    const auto rectangle = monge::integer_masses(nullptr, 4, nullptr, 6);
    CHECK(rectangle.supply == std::vector<Flow>(4, 3) && rectangle.demand == std::vector<Flow>(6, 2));
}

/// Every loop of this instruction set against a naive one, on lengths around all vector widths.
template <class T>
void row_kernels() {
    where = std::is_same<T, float>::value ? "row kernels, float" : "row kernels, double";
    const auto& kernels = monge::row_kernels<T>();
    Random random(11);
    for (const bool ties : {false, true})
        for (const bool holes : {false, true})
            for (const std::size_t m : {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 111, 112, 113, 127, 224, 1000, 1117}) {
                // Exactly as long as promised: the sanitizer sees a read beyond the end.
                std::vector<T> c(m);
                std::vector<double> v(m);
                for (T& x : c) x = static_cast<T>(holes && random.below(5) == 0 ? inf : ties ? random.below(3) : random.uniform());
                for (double& x : v) x = ties ? random.below(3) : random.uniform() - 0.5;
                auto reduced = [&](std::size_t j) { return static_cast<double>(c[j]) - v[j]; };

                monge::CostRange range{inf, -inf, false, false};
                kernels.scan(c.data(), m, &range);
                double low = inf, high = -inf, least = inf;
                bool infinite = false;
                for (std::size_t j = 0; j < m; ++j) {
                    infinite |= static_cast<double>(c[j]) == inf;
                    if (std::isfinite(c[j])) low = std::min(low, static_cast<double>(c[j])), high = std::max(high, static_cast<double>(c[j]));
                    least = std::min(least, reduced(j));
                }
                CHECK(range.lowest == low && range.highest == high);
                CHECK(range.has_infinity == infinite && !range.has_invalid);
                for (const T bad : {static_cast<T>(std::nan("")), static_cast<T>(-inf)}) {
                    if (m == 0) continue;
                    std::vector<T> spoilt(c);
                    spoilt[static_cast<std::size_t>(random.below(static_cast<int>(m)))] = bad;
                    monge::CostRange found{inf, -inf, false, false};
                    kernels.scan(spoilt.data(), m, &found);
                    CHECK(found.has_invalid);
                }

                CHECK(kernels.minimum(c.data(), v.data(), m) == least);

                std::vector<double> minima((m + monge::stretch - 1) / monge::stretch, inf), found_minima(minima.size());
                for (std::size_t j = 0; j < m; ++j)
                    minima[j / monge::stretch] = std::min(minima[j / monge::stretch], reduced(j));
                CHECK(kernels.stretch_minima(c.data(), v.data(), m, found_minima.data()) == least);
                CHECK(found_minima == minima);

                std::vector<double> best(m), arg(m, -1.0);
                for (double& x : best) x = random.below(3) == 0 ? inf : random.uniform();
                std::vector<double> expected_best(best), expected_arg(arg);
                for (std::size_t j = 0; j < m; ++j)
                    if (static_cast<double>(c[j]) - 0.25 < best[j]) {
                        expected_best[j] = static_cast<double>(c[j]) - 0.25;
                        expected_arg[j] = 42.0;
                    }
                kernels.column_minima(c.data(), 0.25, 42.0, m, best.data(), arg.data());
                CHECK(best == expected_best && arg == expected_arg);

                for (const double bound : {-inf, 0.0, 0.3, 1.0, inf}) {
                    std::vector<std::int32_t> out(m + 1), expected;
                    for (std::size_t j = 0; j < m; ++j)
                        if (reduced(j) < bound) expected.push_back(static_cast<std::int32_t>(j));
                    const std::size_t found = kernels.below(c.data(), v.data(), m, bound, out.data());
                    out.resize(found);
                    CHECK(out == expected);
                }

                for (const std::size_t k : {1, 2, 16, 32, 112, 113}) {
                    if (k > m) continue;
                    std::fill(found_minima.begin(), found_minima.end(), 0.0);
                    const double bound = kernels.kth_bound(c.data(), v.data(), m, k, found_minima.data());
                    CHECK(found_minima == minima);
                    std::size_t reach = 0;
                    for (std::size_t j = 0; j < m; ++j) reach += reduced(j) <= bound;
                    CHECK(reach >= k);
                    // Useful, too: on random costs hardly more than asked for reach it.
                    if (m >= 1000 && k <= 16 && !ties) CHECK(reach <= 4 * k);
                }

                std::vector<double> sums(m), expected_sums(m);
                for (std::size_t j = 0; j < m; ++j) {
                    sums[j] = random.uniform();
                    expected_sums[j] = sums[j] + static_cast<double>(c[j]);
                }
                kernels.add(c.data(), m, sums.data());
                CHECK(sums == expected_sums);
            }
}

void list_kernels() {
    where = "list kernels";
    const auto& kernels = monge::list_kernels();
    Random random(12);
    for (std::size_t length = 1; length < 140; ++length) {
        std::vector<std::int32_t> column(length);
        std::vector<std::int32_t> block(50);
        std::vector<double> cost(length), part(50), add(6);
        for (auto& j : column) j = random.below(50);
        for (auto& k : block) k = random.below(6);
        for (double& x : cost) x = random.below(8);
        for (double& x : part) x = random.below(4);
        for (double& x : add) x = random.below(4) - 2;
        std::size_t at = 0;
        double best = inf;
        for (std::size_t k = 0; k < cost.size(); ++k)
            if (cost[k] + (part[column[k]] + add[block[column[k]]]) < best)
                best = cost[k] + (part[column[k]] + add[block[column[k]]]), at = k;
        double value = 0.0;
        CHECK(kernels.cheapest(column.data(), cost.data(), cost.size(), part.data(), block.data(), add.data(), &value) == at);
        CHECK(value == best);

        // Shares of a Sinkhorn step, on a list that is filled up with forbidden arcs.
        const std::size_t filled = (length + 15) / 16 * 16;
        std::vector<std::int32_t> columns(filled, 0);
        std::vector<float> costs(filled, std::numeric_limits<float>::infinity()), w(50), room(filled), received(50, 0.0f);
        for (float& x : w) x = static_cast<float>(random.uniform());
        std::vector<double> exponent, expected(50, 0.0);
        const float scale = 20.0f;
        for (std::size_t k = 0; k < length; ++k) {
            columns[k] = column[k];
            costs[k] = static_cast<float>(random.uniform());
            exponent.push_back(static_cast<double>(scale) * (static_cast<double>(w[columns[k]]) - static_cast<double>(costs[k])));
        }
        const double top = *std::max_element(exponent.begin(), exponent.end());
        double sum = 0.0;
        for (const double x : exponent) sum += std::exp2(x - top);
        for (std::size_t k = 0; k < length; ++k) expected[columns[k]] += 3.0 * std::exp2(exponent[k] - top) / sum;
        kernels.sinkhorn_row(columns.data(), costs.data(), length, w.data(), scale, 3.0f, room.data(), received.data());
        bool close = true;
        // 2e-7 of the polynomial, float32 sums, and exponents up to 40 of which float32 resolves 2e-6.
        for (std::size_t j = 0; j < expected.size(); ++j) close &= std::fabs(received[j] - expected[j]) <= 1e-5 * expected[j] + 1e-30;
        CHECK(close);
    }
}

void padded_kernels() {
    where = "padded kernels";
    const auto& kernels = monge::padded_kernels();
    Random random(13);
    for (int round = 0; round < 200; ++round) {
        const std::size_t m = 8 * static_cast<std::size_t>(1 + random.below(12)), filled = m - static_cast<std::size_t>(random.below(8));
        std::vector<double> c(m, inf), y(m, 0.0), before(m);
        for (std::size_t j = 0; j < filled; ++j) c[j] = random.below(6), y[j] = random.below(3);
        std::size_t best = 0;
        for (std::size_t j = 1; j < filled; ++j)
            if (c[j] + y[j] < c[best] + y[best]) best = j;
        double value = 0.0;
        CHECK(kernels.cheapest(c.data(), y.data(), m, &value) == best);
        CHECK(value == c[best] + y[best]);

        std::vector<std::uint64_t> set((m + 63) / 64, 0);
        for (double& x : before) x = random.uniform();
        std::vector<double> after = before;
        for (std::size_t j = 0; j < m; ++j)
            if (random.below(2) == 0) set[j / 64] |= std::uint64_t(1) << (j % 64);
        kernels.shift(set.data(), m, after.data(), 0.25);
        bool right = true;
        for (std::size_t j = 0; j < m; ++j) right &= after[j] == before[j] + ((set[j / 64] >> (j % 64) & 1) != 0 ? 0.25 : 0.0);
        CHECK(right);
    }
}

template <class T>
void points() {
    where = std::is_same<T, float>::value ? "points, float" : "points, double";
    using monge::Ground;
    const double eps = std::numeric_limits<T>::epsilon();
    for (const std::size_t d : {1, 2, 5, 64})
        for (const auto& shape : {std::make_pair(1, 1), std::make_pair(3, 17), std::make_pair(40, 600), std::make_pair(600, 1100)}) {
            if (d > 5 && shape.first > 100) continue;
            const auto n = static_cast<std::size_t>(shape.first), m = static_cast<std::size_t>(shape.second);
            Random random(13);
            std::vector<T> x(n * d), y(m * d);
            for (T& t : x) t = static_cast<T>(random.uniform() - 0.5);
            for (T& t : y) t = static_cast<T>(random.uniform() - 0.5);
            for (const Ground ground : monge::grounds)
                for (const double exponent : {1.0, 0.5, 1.75}) {
                    const monge::GroundCost cost = {ground, exponent, 0.5};
                    std::vector<T> one(n * m), three(n * m);
                    monge::ground_costs(cost, x.data(), y.data(), n, m, d, 1, one.data());
                    monge::ground_costs(cost, x.data(), y.data(), n, m, d, 3, three.data());
                    CHECK(one == three);
                    double worst = 0.0;
                    for (std::size_t i = 0; i < n; ++i)
                        for (std::size_t j = 0; j < m; ++j) {
                            double square = 0.0, sum = 0.0;
                            for (std::size_t t = 0; t < d; ++t) {
                                const double away = static_cast<double>(x[i * d + t]) - static_cast<double>(y[j * d + t]);
                                square += away * away, sum += std::fabs(away);
                            }
                            const double expected = 0.5 * std::pow(ground == Ground::squares ? square : sum, exponent);
                            if (expected > 0.0)
                                worst = std::max(worst, std::fabs(static_cast<double>(one[i * m + j]) - expected) / expected);
                        }
                    CHECK(worst <= eps * (4.0 * static_cast<double>(d) + 8.0));
                }
        }
}

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
                    if (chunk >= chunks || worker < 0 || worker >= pool.count()) sane = false;
                    else seen[chunk].fetch_add(1);
                });
                bool once = true;
                for (const auto& s : seen) once &= s.load() == 1;
                CHECK(sane && once);
            }
    }
    // Never used: nothing to wait for at the end.
    { monge::Workers idle(4); }
}

void instruction_set() {
    where = "instruction set";
    const std::string got = monge::instruction_set();
    CHECK(got == "baseline" || got == "avx2" || got == "avx512");
    const char* wish = std::getenv("MONGE_SIMD");
    if (wish != nullptr && std::strcmp(wish, "baseline") == 0) CHECK(got == "baseline");
    if (wish != nullptr && std::strcmp(wish, "avx2") == 0) CHECK(got != "avx512");
    std::printf("%s: ", got.c_str());
}

// --- Over given arcs, and of a part of the mass -------------------------------------------------------------------------

void sparse_instances() {
    where = "sparse instances";
    Random random(11);
    for (int trial = 0; trial < 200; ++trial) {
        const int most = trial % 10 == 0 ? 400 : 9;
        Instance<double> in{static_cast<std::size_t>(1 + random.below(most)), static_cast<std::size_t>(1 + random.below(most)), {}, {}, {}};
        std::vector<std::int64_t> begin{0};
        std::vector<std::int32_t> col;
        std::vector<double> cost;
        for (std::size_t i = 0; i < in.n; ++i) {
            for (std::size_t j = 0; j < in.m; ++j) {
                const bool arc = random.uniform() < 0.4;
                in.cost.push_back(arc ? random.below(20) - 5 : inf);
                if (!arc) continue;
                col.push_back(static_cast<std::int32_t>(j));
                cost.push_back(in.cost.back());
            }
            begin.push_back(static_cast<std::int64_t>(col.size()));
        }
        if (trial % 2 == 0) {
            in.a.resize(in.n), in.b.resize(in.m);
            for (std::size_t unit = 0; unit < 3 * (in.n + in.m); ++unit) {
                in.a[random.below(static_cast<int>(in.n))] += 1.0;
                in.b[random.below(static_cast<int>(in.m))] += 1.0;
            }
        }
        monge::SparseProblem problem;
        problem.n = in.n, problem.m = in.m;
        problem.begin = begin.data(), problem.col = col.data(), problem.cost = cost.data();
        problem.a = in.a.empty() ? nullptr : in.a.data();
        problem.b = in.b.empty() ? nullptr : in.b.data();
        const Solution s = monge::solve(problem, Options{}), full = monge::solve(in.problem(), Options{});
        CHECK(s.status == full.status);
        if (full.status == Status::optimal) check_optimal(in, s);
    }
}

void partial_instances() {
    where = "partial instances";
    Random random(12);
    for (int trial = 0; trial < 200; ++trial) {
        const int most = trial % 10 == 0 ? 900 : trial % 3 == 0 ? 100 : 9;
        Instance<double> in{static_cast<std::size_t>(1 + random.below(most)), static_cast<std::size_t>(1 + random.below(most)), {}, {}, {}};
        for (std::size_t k = 0; k < in.n * in.m; ++k) in.cost.push_back(random.below(50) - 10);
        for (std::size_t i = 0; i < in.n; ++i) in.a.push_back(random.below(4));
        for (std::size_t j = 0; j < in.m; ++j) in.b.push_back(random.below(4));
        in.a[0] += 1.0, in.b[0] += 1.0;
        const double total_a = std::accumulate(in.a.begin(), in.a.end(), 0.0), total_b = std::accumulate(in.b.begin(), in.b.end(), 0.0);
        Problem problem = in.problem();
        problem.mass = 1.0 + random.below(static_cast<int>(std::min(total_a, total_b)));
        problem.sends_all = problem.mass == total_a, problem.fills_all = problem.mass == total_b;
        const Solution s = monge::solve(problem, Options{});
        CHECK(s.status == Status::optimal);
        std::vector<double> kept(in.a), lacking(in.b);
        double moved = 0.0, cost = 0.0;
        for (std::size_t k = 0; k < s.mass.size(); ++k) {
            kept[s.rows[k]] -= s.mass[k];
            lacking[s.cols[k]] -= s.mass[k];
            moved += s.mass[k];
            cost += s.mass[k] * in.at(s.rows[k], s.cols[k]);
        }
        // Whole numbers all through, but for the potentials of larger ones, which start from estimates.
        CHECK(moved == problem.mass && cost == s.cost);
        CHECK(*std::min_element(kept.begin(), kept.end()) >= 0.0 && *std::min_element(lacking.begin(), lacking.end()) >= 0.0);
        double dual = -(total_a - moved) * *std::max_element(s.f.begin(), s.f.end());
        dual -= (total_b - moved) * *std::max_element(s.g.begin(), s.g.end());
        for (std::size_t i = 0; i < in.n; ++i) dual += in.a[i] * s.f[i];
        for (std::size_t j = 0; j < in.m; ++j) dual += in.b[j] * s.g[j];
        bool feasible = true;
        for (std::size_t i = 0; i < in.n; ++i)
            for (std::size_t j = 0; j < in.m; ++j) feasible &= s.f[i] + s.g[j] <= in.at(i, j) + 1e-13 * 50;
        CHECK(feasible);
        CHECK(s.gap >= 0.0 && s.gap <= 1e-12 * 50 * moved && std::fabs(s.cost - dual - s.gap) <= 1e-12 * 50 * total_a * total_b);
    }
}

}  // namespace

// Lists of all columns, which count how often a row of theirs is looked at.
struct CountedLists {
    std::size_t columns;
    std::vector<monge::Node> all;
    std::vector<double> cost;
    mutable std::size_t seen = 0;

    std::size_t length(std::size_t) const { return ++seen, columns; }
    const monge::Node* cols(std::size_t) const { return all.data(); }
    const double* costs(std::size_t i) const { return cost.data() + i * columns; }
};

void polishing() {
    where = "polishing";
    Random random(7);
    const std::size_t n = 20000;
    for (const std::size_t m : {2, 8}) {
        CountedLists lists{m, std::vector<monge::Node>(m), std::vector<double>(n * m)};
        std::iota(lists.all.begin(), lists.all.end(), 0);
        for (double& c : lists.cost) c = random.uniform();
        std::vector<Flow> demand(m);
        for (std::size_t j = 0; j < m; ++j) demand[j] = static_cast<Flow>(n / m);
        std::vector<double> v(m, 0.0);
        CHECK(monge::polish(lists, std::vector<Flow>(n, 1), demand, 1.0, v));
        // Stages by the dozen, of five steps each that look at a row twice: 170 times each, were all rows to stay open.
        CHECK(lists.seen < 100 * n);
        // Nearly all rows have their columns by now.
        std::vector<Flow> received(m, 0);
        for (std::size_t i = 0; i < n; ++i) {
            std::size_t best = 0;
            for (std::size_t j = 1; j < m; ++j)
                if (lists.costs(i)[j] - v[j] < lists.costs(i)[best] - v[best]) best = j;
            ++received[best];
        }
        for (std::size_t j = 0; j < m; ++j) CHECK(std::abs(received[j] - demand[j]) < static_cast<Flow>(n / 500));
    }
}

int main() {
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // what was printed before a crash should be seen
    instruction_set();
    masses();
    row_kernels<float>();
    row_kernels<double>();
    list_kernels();
    padded_kernels();
    points<float>();
    points<double>();
    workers();
    polishing();
    assignments();
    layouts();
    random_instances<float>();
    random_instances<double>();
    sparse_instances();
    partial_instances();
    infeasible();
    invalid();
    warm_starts();
    batches();
    both_simplexes();
    threads();
    stopping();
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
