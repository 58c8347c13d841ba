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
#include "exact/emd.hpp"

namespace {

template <class T>
void points() {
    where = std::is_same<T, float>::value ? "points, float" : "points, double";
    using monge::GroundCost;
    const double eps = std::numeric_limits<T>::epsilon();
    for (const std::size_t d : {1, 2, 5, 64})
        for (const auto& shape : {std::make_pair(1, 1), std::make_pair(3, 17), std::make_pair(40, 600), std::make_pair(600, 1100)}) {
            if (d > 5 && shape.first > 100) continue;
            const auto n = static_cast<std::size_t>(shape.first), m = static_cast<std::size_t>(shape.second);
            Random random(13);
            std::vector<T> x(n * d), y(m * d);
            for (T& t : x) t = static_cast<T>(random.uniform() - 0.5);
            for (T& t : y) t = static_cast<T>(random.uniform() - 0.5);
            for (const auto& [ground, power] : {std::make_pair(GroundCost::euclidean, 2.0), std::make_pair(GroundCost::euclidean, 1.0),
                                                std::make_pair(GroundCost::euclidean, 3.5), std::make_pair(GroundCost::cityblock, 1.0),
                                                std::make_pair(GroundCost::cityblock, 2.0), std::make_pair(GroundCost::cosine, 1.0)}) {
                std::vector<T> one(n * m), three(n * m);
                monge::point_costs(x.data(), y.data(), n, m, d, ground, power, 1, one.data());
                monge::point_costs(x.data(), y.data(), n, m, d, ground, power, 3, three.data());
                CHECK(one == three);
                double worst = 0.0;
                for (std::size_t i = 0; i < n; ++i)
                    for (std::size_t j = 0; j < m; ++j) {
                        double square = 0.0, sum = 0.0, inner = 0.0, xx = 0.0, yy = 0.0;
                        for (std::size_t t = 0; t < d; ++t) {
                            const double p = x[i * d + t], q = y[j * d + t];
                            square += (p - q) * (p - q), sum += std::fabs(p - q), inner += p * q, xx += p * p, yy += q * q;
                        }
                        const double expected = ground == GroundCost::euclidean   ? std::pow(square, power / 2)
                                                : ground == GroundCost::cityblock ? std::pow(sum, power)
                                                                                  : 1.0 - inner / std::sqrt(xx * yy);
                        // Cosine is a difference of numbers of size one; the others are sums of positive terms.
                        const double scale = ground == GroundCost::cosine ? 1.0 : expected;
                        if (scale > 0.0) worst = std::max(worst, std::fabs(static_cast<double>(one[i * m + j]) - expected) / scale);
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
