// Exact solves that move a part of the mass.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <vector>

#include "checks.hpp"
#include "exact/emd.hpp"
#include "instances.hpp"

namespace {

void partial_instances() {
    where = "partial instances";
    Random random(12);
    for (int trial = 0; trial < 200; ++trial) {
        const int most = trial % 10 == 0 ? 900 : trial % 3 == 0 ? 100 : 9;
        Instance<double> in{static_cast<std::size_t>(1 + random.below(most)),
                            static_cast<std::size_t>(1 + random.below(most)),
                            {},
                            {},
                            {}};
        for (std::size_t k = 0; k < in.n * in.m; ++k) in.cost.push_back(random.below(50) - 10);
        for (std::size_t i = 0; i < in.n; ++i) in.a.push_back(random.below(4));
        for (std::size_t j = 0; j < in.m; ++j) in.b.push_back(random.below(4));
        in.a[0] += 1.0, in.b[0] += 1.0;
        const double total_a = std::accumulate(in.a.begin(), in.a.end(), 0.0),
                     total_b = std::accumulate(in.b.begin(), in.b.end(), 0.0);
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
        CHECK(*std::min_element(kept.begin(), kept.end()) >= 0.0 &&
              *std::min_element(lacking.begin(), lacking.end()) >= 0.0);
        double dual = -(total_a - moved) * *std::max_element(s.f.begin(), s.f.end());
        dual -= (total_b - moved) * *std::max_element(s.g.begin(), s.g.end());
        for (std::size_t i = 0; i < in.n; ++i) dual += in.a[i] * s.f[i];
        for (std::size_t j = 0; j < in.m; ++j) dual += in.b[j] * s.g[j];
        bool feasible = true;
        for (std::size_t i = 0; i < in.n; ++i)
            for (std::size_t j = 0; j < in.m; ++j) feasible &= s.f[i] + s.g[j] <= in.at(i, j) + 1e-13 * 50;
        CHECK(feasible);
        CHECK(s.gap >= 0.0 && s.gap <= 1e-12 * 50 * moved &&
              std::fabs(s.cost - dual - s.gap) <= 1e-12 * 50 * total_a * total_b);
    }
}

}  // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // what was printed before a crash should be seen
    partial_instances();
    return verdict();
}
