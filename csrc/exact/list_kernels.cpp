// See list_kernels.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing
// here may be an inline function of the standard library.
#include "exact/list_kernels.hpp"

#include "exact/registers.hpp"

namespace monge {
namespace {

size_t cheapest(const int32_t* column, const double* cost, size_t len, const double* part, const int32_t* block,
                const double* add, double* value) {
    // Values first, then their minimum, then its place: a running minimum with its place would wait for each
    // comparison.
    constexpr size_t most = 128;
    double r[most];
    double best = infinity;
    size_t at = 0;
    for (size_t start = 0; start < len; start += most) {
        const size_t count = len - start < most ? len - start : most;
        double low[4] = {infinity, infinity, infinity, infinity};
        size_t k = 0;
        for (; k + 4 <= count; k += 4)
            for (size_t l = 0; l < 4; ++l) {
                const int32_t j = column[start + k + l];
                r[k + l] = cost[start + k + l] + (part[j] + add[block[j]]);
                low[l] = smaller(r[k + l], low[l]);
            }
        for (; k < count; ++k) {
            const int32_t j = column[start + k];
            r[k] = cost[start + k] + (part[j] + add[block[j]]);
            low[0] = smaller(r[k], low[0]);
        }
        const double least = smaller(smaller(low[0], low[1]), smaller(low[2], low[3]));
        if (least < best) {
            best = least;
            for (k = 0; r[k] != least; ++k) {
            }
            at = start + k;
        }
    }
    *value = best;
    return at;
}

double least(const int32_t* column, const double* cost, size_t len, const double* value) {
    double low[4] = {infinity, infinity, infinity, infinity};
    size_t k = 0;
    for (; k + 4 <= len; k += 4)
        for (size_t l = 0; l < 4; ++l) low[l] = smaller(cost[k + l] + value[column[k + l]], low[l]);
    for (; k < len; ++k) low[0] = smaller(cost[k] + value[column[k]], low[0]);
    return smaller(smaller(low[0], low[1]), smaller(low[2], low[3]));
}

typedef float Floats __attribute__((vector_size(8 * width), aligned(4), may_alias));  // one register of floats
typedef int32_t Integers __attribute__((vector_size(8 * width)));

size_t nearest(const float* x, const float* y, size_t d, size_t stride, size_t m) {
    constexpr size_t step = 2 * width;
    Floats best = Floats{} + HUGE_VALF;
    Integers at = {};
    for (size_t j = 0; j < m; j += step) {
        Floats sum = {};
        for (size_t t = 0; t < d; ++t) {
            const Floats difference = x[t] - *reinterpret_cast<const Floats*>(y + t * stride + j);
            sum += difference * difference;
        }
        const Integers closer = sum < best;
        best = closer ? sum : best;
        at = closer ? Integers{} + static_cast<int32_t>(j) : at;
    }
    size_t found = static_cast<size_t>(at[0]);
    float least = best[0];
    for (size_t l = 1; l < step; ++l) {
        const size_t j = static_cast<size_t>(at[l]) + l;
        if (best[l] < least || (best[l] == least && j < found)) {
            least = best[l];
            found = j;
        }
    }
    return found;
}

// 2^x for x <= 0, relative error 2e-7: x is split into the nearest integer, by adding a magic number, and a rest in
// [-1/2, 1/2] on which a polynomial of degree 5 is fitted (minimax in the relative error). The integer, in the last
// bits of the sum, is added to the exponent of the result.
inline Floats exp2_nonpositive(Floats x) {
    const Floats least = Floats{} - 126.0f;
    const float magic = 12582912.0f;  // 1.5 * 2^23
    x = x < least ? least : x;
    const Floats shifted = x + magic;
    const Floats r = x - (shifted - magic);
    Floats p = r * 1.32647273e-3f + 9.67151299e-3f;
    p = p * r + 5.55073358e-2f;
    p = p * r + 2.40222424e-1f;
    p = p * r + 6.93147004e-1f;
    p = p * r + 1.0f;
    return (Floats)((Integers)p + ((Integers)shifted << 23));
}

void sinkhorn_row(const int32_t* column, const float* cost, size_t len, const float* w, float scale, float mass,
                  float* scratch, float* received) {
    constexpr size_t step = 2 * width;
    const size_t filled = (len + lanes - 1) / lanes * lanes;
    for (size_t k = 0; k < filled; ++k) scratch[k] = scale * (w[column[k]] - cost[k]);
    Floats* const x = reinterpret_cast<Floats*>(scratch);
    Floats top = x[0];
    for (size_t q = 1; q < filled / step; ++q) top = x[q] > top ? x[q] : top;
    float shift = top[0];
    for (size_t l = 1; l < step; ++l) shift = top[l] > shift ? top[l] : shift;
    // Sixteen partial sums whatever the register, so that every instruction set adds in the same order.
    constexpr size_t registers = lanes / step;
    Floats sums[registers] = {};
    for (size_t q = 0; q < filled / step; q += registers)
        for (size_t r = 0; r < registers; ++r) {
            x[q + r] = exp2_nonpositive(x[q + r] - shift);
            sums[r] += x[q + r];
        }
    float sum = 0.0f;
    for (size_t l = 0; l < lanes; ++l) sum += sums[l / step][l % step];
    const float share = mass / sum;
    for (size_t k = 0; k < len; ++k) received[column[k]] += share * scratch[k];
}

constexpr ListKernels kernels{cheapest, least, nearest, sinkhorn_row};

}  // namespace

const ListKernels ListKernels::MONGE_ISA = kernels;

}  // namespace monge
