// What the exact solvers are made of: masses, the start, and the simplex for large problems on small ones.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "common/workers.hpp"
#include "exact/masses.hpp"
#include "exact/network_simplex.hpp"
#include "instances.hpp"

using monge::Flow;

namespace {

/// The simplex for large problems, which `solve` does not ask when one is small, agrees with the one for small
/// problems.
void both_simplexes() {
    where = "both simplexes";
    for (const auto& [kind, name] : kinds) {
        if (kind == Kind::forbidden) continue;
        for (const auto& [n, m] :
             std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {2, 3}, {30, 30}, {60, 25}, {200, 180}}) {
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
            monge::NetworkSimplex<monge::MatrixArcs<double>> simplex(arcs, masses.supply, masses.demand, workers,
                                                                     monitor, counters);
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
        const std::size_t n = 1 + static_cast<std::size_t>(random.below(40)),
                          m = 1 + static_cast<std::size_t>(random.below(40));
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

}  // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // what was printed before a crash should be seen
    masses();
    polishing();
    both_simplexes();
    return verdict();
}
