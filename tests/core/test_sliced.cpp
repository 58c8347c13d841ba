// Projections of two clouds, against the plans and potentials of the line, one direction at a time: with ties, weights
// of zero and numbers of points on both sides of a group's.
#include "exact/sliced.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "exact/univariate.hpp"

namespace {

using Numbers = std::vector<double>;

struct Clouds {
    std::size_t n, m, d;
    Numbers x, y, a, b, shift;
    bool weighted;
};

Clouds clouds(std::size_t n, std::size_t m, std::size_t d, bool weighted, Random& random) {
    Clouds c{n, m, d, Numbers(n * d), Numbers(m * d), Numbers(n, 0.0), Numbers(m, 0.0), Numbers(d, 0.25), weighted};
    for (double& v : c.x) v = random.below(40) / 8.0;
    for (double& v : c.y) v = random.below(60) / 8.0;
    for (std::size_t k = 0; k < 2 * (n + m); ++k) c.a[random.below(static_cast<int>(n))] += 1.0;
    for (std::size_t k = 0; k < 2 * (n + m); ++k) c.b[random.below(static_cast<int>(m))] += 1.0;
    return c;
}

monge::SlicedProblem problem_of(const Clouds& c, const Numbers& directions, double p) {
    monge::SlicedProblem problem;
    problem.x = c.x.data(), problem.y = c.y.data(), problem.n = c.n, problem.m = c.m, problem.d = c.d;
    problem.factor = 0.5, problem.shift = c.shift.data();
    if (c.weighted) problem.a = c.a.data(), problem.b = c.b.data();
    problem.directions = directions.data(), problem.count = directions.size() / c.d;
    problem.p = p, problem.unit = 4.0;
    return problem;
}

struct Found {
    Numbers means, reaches, lifted, points_x, points_y, turns, weights_a, weights_b;
};

Found found_by(const monge::SlicedProblem& problem, int threads, bool lifted) {
    const std::size_t n = problem.n, m = problem.m, d = problem.d, count = problem.count;
    Found found{Numbers(count), Numbers(count),     Numbers(count), Numbers(n * d),
                Numbers(m * d), Numbers(count * d), Numbers(n),     Numbers(m)};
    monge::Options options;
    options.threads = threads;
    monge::SlicedSums sums;
    sums.means = found.means.data(), sums.reaches = found.reaches.data();
    sums.weights_a = found.weights_a.data(), sums.weights_b = found.weights_b.data();
    CHECK(monge::solve(problem, options, sums) == monge::Status::optimal);
    const Numbers means = found.means;
    sums.weights_a = sums.weights_b = nullptr;
    sums.points_x = found.points_x.data(), sums.points_y = found.points_y.data(), sums.turns = found.turns.data();
    if (lifted) sums.lifted = found.lifted.data();
    CHECK(monge::solve(problem, options, sums) == monge::Status::optimal);
    for (std::size_t k = 0; k < count; ++k) CHECK(std::fabs(means[k] - found.means[k]) <= 1e-14 * (1.0 + means[k]));
    return found;
}

bool close(const Numbers& u, const Numbers& v) {
    double off = 0.0, size = 1.0;
    for (std::size_t k = 0; k < u.size(); ++k) off = std::max(off, std::fabs(u[k] - v[k])), size = std::max(size, v[k]);
    return off <= 1e-11 * size;
}

bool same(const Found& u, const Found& v) {
    return u.means == v.means && u.reaches == v.reaches && u.lifted == v.lifted && u.points_x == v.points_x &&
           u.points_y == v.points_y && u.turns == v.turns && u.weights_a == v.weights_a && u.weights_b == v.weights_b;
}

/// What the solver on the line says of each direction. Potentials are compared by the dual value that they have.
void check(const Clouds& c, std::size_t count, double p, Random& random) {
    Numbers directions(count * c.d);
    // Few digits: projections and their ties are the same whatever sums them up.
    for (double& v : directions) v = (random.below(17) - 8) / 8.0;
    const monge::SlicedProblem problem = problem_of(c, directions, p);
    const Found found = found_by(problem, 1, true);
    Found expected{Numbers(count),     Numbers(count),       Numbers(count), Numbers(c.n * c.d),
                   Numbers(c.m * c.d), Numbers(count * c.d), Numbers(c.n),   Numbers(c.m)};
    double dual = 0.0, primal = 0.0;
    for (std::size_t k = 0; k < count; ++k) {
        const double* const theta = directions.data() + k * c.d;
        const auto placed = [&](const Numbers& points, std::size_t i, std::size_t s) {
            return (points[i * c.d + s] - c.shift[s]) * problem.factor;
        };
        Numbers x(c.n, 0.0), y(c.m, 0.0), f(c.n), g(c.m), mass(c.n + c.m - 1);
        for (std::size_t i = 0; i < c.n; ++i)
            for (std::size_t s = 0; s < c.d; ++s) x[i] += theta[s] * placed(c.x, i, s);
        for (std::size_t j = 0; j < c.m; ++j)
            for (std::size_t s = 0; s < c.d; ++s) y[j] += theta[s] * placed(c.y, j, s);
        std::vector<std::int64_t> rows(mass.size()), cols(mass.size());
        monge::UnivariateProblem line;
        line.x = x.data(), line.y = y.data(), line.n = c.n, line.m = c.m, line.a = problem.a, line.b = problem.b;
        line.p = p, line.unit = problem.unit;
        monge::UnivariatePlan plan;
        plan.f = f.data(), plan.g = g.data(), plan.rows = rows.data(), plan.cols = cols.data(), plan.mass = mass.data();
        const auto solution = monge::solve(line, {}, &plan);
        expected.means[k] = solution.cost / solution.mass, expected.reaches[k] = solution.reach;
        primal += expected.means[k];
        for (std::size_t e = 0; e < plan.entries; ++e) {
            const auto i = static_cast<std::size_t>(rows[e]), j = static_cast<std::size_t>(cols[e]);
            const double apart = x[i] - y[j], share = mass[e] / solution.mass;
            const double size = std::pow(std::fabs(apart) / problem.unit, p - 1.0);
            const double slope = share * (apart > 0.0 ? size : apart < 0.0 ? -size : 0.0);
            double square = 0.0;
            for (std::size_t s = 0; s < c.d; ++s) {
                const double difference = placed(c.x, i, s) - placed(c.y, j, s);
                expected.points_x[i * c.d + s] += slope * theta[s], expected.points_y[j * c.d + s] -= slope * theta[s];
                expected.turns[k * c.d + s] += slope * difference;
                square += difference * difference;
            }
            expected.lifted[k] += share * std::pow(std::sqrt(square) / problem.unit, p);
        }
    }
    CHECK(close(found.means, expected.means) && close(found.reaches, expected.reaches));
    CHECK(close(found.lifted, expected.lifted) && close(found.turns, expected.turns));
    CHECK(close(found.points_x, expected.points_x) && close(found.points_y, expected.points_y));
    double total_a = 0.0, total_b = 0.0;
    for (const double w : c.a) total_a += w;
    for (const double w : c.b) total_b += w;
    for (std::size_t i = 0; i < c.n; ++i)
        dual += found.weights_a[i] * (c.weighted ? c.a[i] / total_a : 1.0 / static_cast<double>(c.n));
    for (std::size_t j = 0; j < c.m; ++j)
        dual += found.weights_b[j] * (c.weighted ? c.b[j] / total_b : 1.0 / static_cast<double>(c.m));
    CHECK(std::fabs(dual - primal) <= 1e-11 * (1.0 + primal));
    for (const int threads : {2, 5}) CHECK(same(found, found_by(problem, threads, true)));
    const Found unlifted = found_by(problem, 1, false);  // another way where each point has one partner
    CHECK(close(unlifted.means, found.means) && close(unlifted.points_x, found.points_x));
    CHECK(close(unlifted.points_y, found.points_y) && close(unlifted.turns, found.turns));
}

/// Sums over many directions, block after block, are those over each, one after the other.
void check_blocks(Random& random) {
    where = "blocks";
    const Clouds c = clouds(33, 20, 5, true, random);
    Numbers directions(300 * c.d);
    for (double& v : directions) v = random.uniform() - 0.5;
    const Found all = found_by(problem_of(c, directions, 2.0), 3, false);
    Found sum{{}, {}, {}, Numbers(c.n * c.d, 0.0), Numbers(c.m * c.d, 0.0), {}, Numbers(c.n, 0.0), {}};
    for (std::size_t k = 0; k < 300; ++k) {
        const Numbers one(directions.begin() + k * c.d, directions.begin() + (k + 1) * c.d);
        const Found found = found_by(problem_of(c, one, 2.0), 1, false);
        CHECK(found.means[0] == all.means[k] && found.reaches[0] == all.reaches[k]);
        CHECK(std::equal(found.turns.begin(), found.turns.end(), all.turns.begin() + k * c.d));
        for (std::size_t i = 0; i < sum.points_x.size(); ++i) sum.points_x[i] += found.points_x[i];
        for (std::size_t j = 0; j < sum.points_y.size(); ++j) sum.points_y[j] += found.points_y[j];
        for (std::size_t i = 0; i < c.n; ++i) sum.weights_a[i] += found.weights_a[i];
    }
    CHECK(close(all.points_x, sum.points_x) && close(all.points_y, sum.points_y));
    CHECK(close(all.weights_a, sum.weights_a));
}

bool stop(void*, const monge::Progress&) { return true; }

void check_interrupt(Random& random) {
    where = "interrupt";
    constexpr std::size_t n = 20000, count = 2000;
    Numbers x(n), directions(count, 1.0), shift(1, 0.0), means(count), reaches(count);
    for (double& v : x) v = random.uniform();
    monge::SlicedProblem problem;
    problem.x = problem.y = x.data(), problem.n = problem.m = n, problem.d = 1, problem.shift = shift.data();
    problem.directions = directions.data(), problem.count = count;
    monge::SlicedSums sums;
    sums.means = means.data(), sums.reaches = reaches.data();
    for (const int threads : {1, 3}) {
        monge::Options options;
        options.threads = threads, options.poll = stop;
        CHECK(monge::solve(problem, options, sums) == monge::Status::interrupted);
    }
}

}  // namespace

int main() {
    Random random(3);
    for (const double p : {1.0, 1.5, 2.0, 3.0})
        for (const bool weighted : {false, true})
            for (const auto& [n, m] :
                 {std::pair<int, int>{1, 1}, {1, 9}, {16, 16}, {15, 15}, {17, 33}, {40, 40}, {60, 80}})
                for (const int d : {1, 2, 3, 6}) {
                    where = weighted ? "weighted" : "uniform";
                    check(clouds(n, m, d, weighted, random), 1 + random.below(9), p, random);
                }
    check(clouds(1500, 1500, 2, false, random), 70, 2.0, random);  // beyond one block and one chunk of points
    check(clouds(3000, 1700, 3, true, random), 70, 1.0, random);
    check_blocks(random);
    check_interrupt(random);
    return verdict();
}
