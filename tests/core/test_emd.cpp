// The exact solver through its boundary.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "common/ground_costs.hpp"
#include "exact/emd.hpp"
#include "exact/emd_pairs.hpp"
#include "instances.hpp"

namespace {

template <class T>
void random_instances() {
    const std::pair<std::size_t, std::size_t> shapes[] = {{1, 1},   {1, 40},    {40, 1},    {2, 3},    {13, 13},
                                                          {30, 31}, {129, 127}, {150, 150}, {20, 300}, {300, 20}};
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
    for (const auto& shape :
         {std::make_pair(40, 60), std::make_pair(60, 40), std::make_pair(10, 90), std::make_pair(150, 140)}) {
        const auto in = make<double>(Kind::plane, shape.first, shape.second, true, 3);
        const Solution plain = solve(in);
        check_optimal(in, plain);
        auto try_layout = [&](std::ptrdiff_t row_step, std::ptrdiff_t col_step, bool rows_back, bool cols_back) {
            const auto n = static_cast<std::ptrdiff_t>(in.n), m = static_cast<std::ptrdiff_t>(in.m);
            // Guarded by NaN: whoever reads between the entries is found out.
            std::vector<double> memory((n - 1) * row_step + (m - 1) * col_step + 1, std::nan(""));
            for (std::ptrdiff_t i = 0; i < n; ++i)
                for (std::ptrdiff_t j = 0; j < m; ++j)
                    memory[(rows_back ? n - 1 - i : i) * row_step + (cols_back ? m - 1 - j : j) * col_step] =
                        in.at(i, j);
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
        for (std::size_t j = 0; j < 30; ++j)
            in.cost[i * 30 + j] = (i < 11) == (j < 11) ? 1.0 + static_cast<double>(i * j % 5) : inf;
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
        p.start.f = cold.f.data(), p.start.g = cold.g.data();
        const Solution warm = monge::solve(p, {});
        check_optimal(in, warm);
        CHECK(warm.counters.pivots <= cold.counters.pivots);
        p.start.plan_rows = cold.rows.data(), p.start.plan_cols = cold.cols.data(), p.start.entries = cold.rows.size();
        p.start.list_rows = cold.list_rows.data(), p.start.list_cols = cold.list_cols.data();
        p.start.listed = cold.list_rows.size();
        const Solution again = monge::solve(p, {});
        check_optimal(in, again);
        CHECK(again.counters.pivots <= cold.counters.pivots);
        if (kind == Kind::forbidden || n == 400) CHECK(again.list_rows.size() >= again.rows.size());
        p.start.entries = p.start.listed = 0;
        // Nonsense of any size is still only a start.
        Random random(1);
        for (const double scale : {0.0, 1e-300, 1.0, 1e6, 1e15, 1e300}) {
            std::vector<double> f(n), g(n);
            for (double& x : f) x = scale * (random.uniform() - 0.5);
            for (double& x : g) x = scale * (random.uniform() - 0.5);
            p.start.f = f.data(), p.start.g = g.data();
            const Solution started = monge::solve(p, guarded());
            check_optimal(in, started);
            // Large potentials would make any gap look small.
            CHECK(std::fabs(started.cost - cold.cost) <= 1e-12 * (1.0 + cold.cost));
        }
    }
}

/// Batches give the bits of single solves, whatever was solved before in the same memory.
void batches() {
    where = "batch";
    Random random(11);
    std::vector<Instance<double>> instances;
    for (int k = 0; k < 60; ++k) {
        const auto size = [&] { return static_cast<std::size_t>(1 + random.below(k % 20 == 0 ? 400 : 40)); };
        const Kind kind = kinds[static_cast<std::size_t>(k) % kinds.size()].first;
        const std::size_t n = size();
        instances.push_back(make<double>(kind, n, kind == Kind::forbidden ? n : size(),
                                         kind != Kind::forbidden && k % 2 == 0, 100 + k));
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

/// Pairs of clouds give the bits of single solves of their costs.
template <class T>
void cloud_pairs() {
    where = "cloud pairs";
    Random random(5);
    const std::size_t count = 7, d = 3;
    const std::pair<std::size_t, std::size_t> shapes[] = {{1, 1}, {1, 5}, {9, 9}, {12, 7}, {200, 200}};
    for (const auto& [n, m] : shapes) {
        std::vector<T> x(count * n * d), y(count * m * d);
        for (auto* points : {&x, &y})
            for (T& z : *points) z = static_cast<T>(random.uniform());
        const monge::CloudPairs<T> pairs{x.data(), y.data(), count, n, m, d, {monge::Ground::squares, 1.0, 1.0}};
        const monge::PairPlans plans = monge::solve(pairs, Options{});
        CHECK(plans.status == Status::optimal && plans.inexact == 0);
        CHECK(plans.cost.size() == count && plans.begin.size() == count + 1);
        if (plans.begin.size() != count + 1) continue;
        for (std::size_t q = 0; q < count; ++q) {
            Instance<T> in{n, m, std::vector<T>(n * m), {}, {}};
            monge::ground_costs(pairs.cost, x.data() + q * n * d, y.data() + q * m * d, n, m, d, 1, in.cost.data());
            const Solution alone = solve(in);
            const auto begin = static_cast<std::size_t>(plans.begin[q]);
            CHECK(plans.cost[q] == alone.cost);
            CHECK(static_cast<std::size_t>(plans.begin[q + 1]) - begin == alone.mass.size());
            bool same = true;
            for (std::size_t k = 0; k < alone.mass.size(); ++k)
                same &= plans.rows[begin + k] == alone.rows[k] && plans.cols[begin + k] == alone.cols[k] &&
                        plans.mass[begin + k] == alone.mass[k];
            CHECK(same);
        }
    }
    const monge::CloudPairs<T> none{nullptr, nullptr, 0, 3, 3, 2, {monge::Ground::squares, 1.0, 1.0}};
    CHECK(monge::solve(none, Options{}).begin.size() == 1);
}

}  // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // what was printed before a crash should be seen
    assignments();
    layouts();
    random_instances<float>();
    random_instances<double>();
    infeasible();
    invalid();
    warm_starts();
    batches();
    cloud_pairs<float>();
    cloud_pairs<double>();
    threads();
    stopping();
    return verdict();
}
