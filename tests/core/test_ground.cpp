// Ground costs between points, against plain loops.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "common/ground_costs.hpp"

namespace {

template <class T>
void points() {
    where = std::is_same<T, float>::value ? "points, float" : "points, double";
    using monge::Ground;
    const double eps = std::numeric_limits<T>::epsilon();
    for (const std::size_t d : {1, 2, 5, 64})
        for (const auto& shape :
             {std::make_pair(1, 1), std::make_pair(3, 17), std::make_pair(40, 600), std::make_pair(600, 1100)}) {
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
                            double square = 0.0, sum = 0.0, most = 0.0;
                            for (std::size_t t = 0; t < d; ++t) {
                                const double away =
                                    static_cast<double>(x[i * d + t]) - static_cast<double>(y[j * d + t]);
                                square += away * away, sum += std::fabs(away), most = std::max(most, std::fabs(away));
                            }
                            const double base = ground == Ground::squares     ? square
                                                : ground == Ground::absolutes ? sum
                                                                              : most;
                            const double expected = 0.5 * std::pow(base, exponent);
                            if (expected > 0.0)
                                worst = std::max(worst,
                                                 std::fabs(static_cast<double>(one[i * m + j]) - expected) / expected);
                        }
                    CHECK(worst <= eps * (4.0 * static_cast<double>(d) + 8.0));
                }
        }
}

}  // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // what was printed before a crash should be seen
    points<float>();
    points<double>();
    return verdict();
}
