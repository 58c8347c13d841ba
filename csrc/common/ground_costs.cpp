// See ground_costs.hpp.
#include "common/ground_costs.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/ground_kernels.hpp"
#include "common/workers.hpp"

namespace monge {
namespace {

// Squares of numbers between two to these powers are in range, and so are sums of many.
constexpr int low_exponent = -450, high_exponent = 450;

/// The difference between two points over 2^scale, which brings it into range, and its base.
template <class Base>
struct Pair {
    std::vector<double> z;
    int scale = 0;
    double base = 0.0;

    void take(const double* x, const double* y, std::size_t d) {
        z.resize(d);
        double longest = 0.0;
        for (std::size_t k = 0; k < d; ++k) {
            z[k] = x[k] - y[k];
            longest = std::max(longest, std::fabs(z[k]));
        }
        std::frexp(longest, &scale);
        scale = longest > 0.0 && (scale < low_exponent || scale > high_exponent) ? scale : 0;
        base = 0.0;
        for (double& each : z) {
            if (scale != 0) each = std::ldexp(each, -scale);
            base = Base::join(base, Base::term(each));
        }
    }
};

double raised_to(double base, double exponent) {
    return exponent == 1.0 ? base : exponent == 0.5 ? std::sqrt(base) : std::pow(base, exponent);
}

}  // namespace

GroundName ground_name(Ground ground) {
    return with_ground(ground, [](auto base) { return GroundName{decltype(base)::name, decltype(base)::degree}; });
}

template <class T>
void lay_across(const T* points, std::size_t m, std::size_t d, std::size_t stride, T* out) {
    for (std::size_t j = 0; j < m; ++j)
        for (std::size_t k = 0; k < d; ++k) out[k * stride + j] = points[j * d + k];
}

template <class T>
void ground_row(const GroundCost& cost, const T* x, const T* across, std::size_t d, std::size_t stride, std::size_t m,
                T* out) {
    const GroundKernels<T>& kernels = ground_kernels<T>();
    kernels.bases(cost.base, x, across, d, stride, m, out);
    if (cost.exponent == 0.5)
        kernels.square_root(out, m);
    else if (cost.exponent != 1.0)
        for (std::size_t j = 0; j < m; ++j) out[j] = std::pow(out[j], static_cast<T>(cost.exponent));
    if (cost.factor != 1.0)
        for (std::size_t j = 0; j < m; ++j) out[j] *= static_cast<T>(cost.factor);
}

template <class T>
void ground_costs(const GroundCost& cost, const T* x, const T* y, std::size_t n, std::size_t m, std::size_t d,
                  int threads, T* out) {
    std::vector<T> across(d * m);
    lay_across(y, m, d, m, across.data());
    Workers workers(n * m * (d + 1) < (std::size_t(1) << 20) ? 1 : threads);
    constexpr std::size_t block = 16;
    workers.run((n + block - 1) / block, [&](std::size_t chunk, int) {
        for (std::size_t i = chunk * block; i < std::min(n, (chunk + 1) * block); ++i)
            ground_row(cost, x + i * d, across.data(), d, m, m, out + i * m);
    });
}

void pair_costs(const GroundCost& cost, const double* x, const double* y, std::size_t count, std::size_t d,
                double* out) {
    with_ground(cost.base, [&](auto base) {
        typedef decltype(base) Base;
        Pair<Base> pair;
        for (std::size_t k = 0; k < count; ++k) {
            pair.take(x + k * d, y + k * d, d);
            const double scale = std::exp2(pair.scale * (Base::degree * cost.exponent));
            out[k] = cost.factor * raised_to(pair.base, cost.exponent) * scale;
        }
    });
}

void pair_slopes(const GroundCost& cost, const double* x, const double* y, std::size_t count, std::size_t d,
                 double* out) {
    with_ground(cost.base, [&](auto base) {
        typedef decltype(base) Base;
        Pair<Base> pair;
        for (std::size_t k = 0; k < count; ++k, out += d) {
            pair.take(x + k * d, y + k * d, d);
            // d base^e / dz = e base^(e - 1) d base / dz
            double outer = cost.factor * cost.exponent * raised_to(pair.base, cost.exponent - 1.0);
            outer = pair.base > 0.0 ? outer * std::exp2(pair.scale * (Base::degree * cost.exponent - 1.0)) : 0.0;
            typename Base::template Slopes<double> slopes(pair.base);
            for (std::size_t l = 0; l < d; ++l) out[l] = outer * slopes(pair.z[l]);
        }
    });
}

template void lay_across<double>(const double*, std::size_t, std::size_t, std::size_t, double*);
template void ground_row<double>(const GroundCost&, const double*, const double*, std::size_t, std::size_t, std::size_t,
                                 double*);
template void ground_costs<float>(const GroundCost&, const float*, const float*, std::size_t, std::size_t, std::size_t,
                                  int, float*);
template void ground_costs<double>(const GroundCost&, const double*, const double*, std::size_t, std::size_t,
                                   std::size_t, int, double*);

}  // namespace monge
