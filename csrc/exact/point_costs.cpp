// Ground costs between point clouds as a matrix, on all threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "exact/emd.hpp"
#include "exact/row_kernels.hpp"
#include "common/workers.hpp"

namespace monge {
namespace {

template <class T>
T norm(const T* x, std::size_t d) {
    double sum = 0.0;
    for (std::size_t t = 0; t < d; ++t) sum += static_cast<double>(x[t]) * static_cast<double>(x[t]);
    return static_cast<T>(std::sqrt(sum));
}

}  // namespace

template <class T>
void point_costs(const T* x, const T* y, std::size_t n, std::size_t m, std::size_t d, GroundCost ground, double power,
                 int threads, T* out) {
    const auto& kernels = point_kernels<T>();
    std::vector<T> across(d * m), y_norm;  // one coordinate of all points y after the other
    for (std::size_t j = 0; j < m; ++j)
        for (std::size_t t = 0; t < d; ++t) across[t * m + j] = y[j * d + t];
    if (ground == GroundCost::cosine)
        for (std::size_t j = 0; j < m; ++j) y_norm.push_back(norm(y + j * d, d));
    Workers workers(n * m * (d + 1) < (std::size_t(1) << 20) ? 1 : threads);
    constexpr std::size_t block = 16;
    workers.run((n + block - 1) / block, [&](std::size_t chunk, int) {
        for (std::size_t i = chunk * block; i < std::min(n, (chunk + 1) * block); ++i) {
            T* row = out + i * m;
            const T* xi = x + i * d;
            switch (ground) {
                case GroundCost::euclidean:
                    kernels.squared_euclidean(xi, across.data(), d, m, m, row);
                    if (power == 1.0)
                        kernels.square_root(row, m);
                    else if (power != 2.0)
                        for (std::size_t j = 0; j < m; ++j) row[j] = std::pow(row[j], static_cast<T>(power / 2));
                    break;
                case GroundCost::cityblock:
                    kernels.cityblock(xi, across.data(), d, m, m, row);
                    if (power != 1.0)
                        for (std::size_t j = 0; j < m; ++j) row[j] = std::pow(row[j], static_cast<T>(power));
                    break;
                case GroundCost::cosine: {
                    kernels.inner_product(xi, across.data(), d, m, m, row);
                    const T x_norm = norm(xi, d);
                    for (std::size_t j = 0; j < m; ++j) row[j] = std::max(T(0), T(1) - row[j] / x_norm / y_norm[j]);
                    break;
                }
            }
        }
    });
}

template void point_costs<float>(const float*, const float*, std::size_t, std::size_t, std::size_t, GroundCost, double, int, float*);
template void point_costs<double>(const double*, const double*, std::size_t, std::size_t, std::size_t, GroundCost, double, int, double*);

}  // namespace monge
