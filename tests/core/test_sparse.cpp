// Exact solves over given arcs, against those over all arcs of which the others are forbidden.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "checks.hpp"
#include "exact/sparse.hpp"
#include "instances.hpp"

namespace {

void sparse_instances() {
    where = "sparse instances";
    Random random(11);
    for (int trial = 0; trial < 200; ++trial) {
        const int most = trial % 10 == 0 ? 400 : 9;
        Instance<double> in{static_cast<std::size_t>(1 + random.below(most)),
                            static_cast<std::size_t>(1 + random.below(most)),
                            {},
                            {},
                            {}};
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

}  // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // what was printed before a crash should be seen
    sparse_instances();
    return verdict();
}
