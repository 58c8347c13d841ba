// See padded_kernels.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing
// here may be an inline function of the standard library.
#include "exact/padded_kernels.hpp"

#include "exact/registers.hpp"

namespace monge {
namespace {

size_t cheapest(const double* c, const double* y, size_t m, double* value) {
    Vector low = load(c) + load(y);
    Mask at = {};  // where each lane's register began
    for (size_t j = width; j < m; j += width) {
        const Vector r = load(c + j) + load(y + j);
        const Mask less = r < low;
        low = less ? r : low;
        at = less ? Mask{} + static_cast<long long>(j) : at;
    }
    const double least = smallest(low);
    size_t best = m;
    for (std::uint32_t hits = bits(low == broadcast(least)); hits != 0; hits &= hits - 1) {
        const size_t l = static_cast<size_t>(__builtin_ctz(hits)), j = static_cast<size_t>(at[l]) + l;
        best = j < best ? j : best;
    }
    *value = least;
    return best;
}

void shift(const std::uint64_t* set, size_t size, double* values, double delta) {
    Mask lane;
    for (size_t l = 0; l < width; ++l) lane[l] = 1LL << l;
    const Vector deltas = broadcast(delta);
    for (size_t k = 0; k < size; k += width) {
        const Mask in = ((Mask{} + static_cast<long long>(set[k / 64] >> (k % 64))) & lane) != 0;
        const Vector x = load(values + k);
        store(values + k, in ? x + deltas : x);
    }
}

constexpr PaddedKernels kernels{cheapest, shift};

}  // namespace

const PaddedKernels PaddedKernels::MONGE_ISA = kernels;

}  // namespace monge
