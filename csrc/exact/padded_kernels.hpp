// The inner loops of the exact solver for problems whose costs stay in the cache: see row_kernels.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/dispatch.hpp"

namespace monge {

/// The loops over rows that are filled up with +inf to a multiple of eight doubles, and over sets of places.
struct PaddedKernels {
    /// The lowest position of the smallest c_j + y_j, and that value in *value.
    std::size_t (*cheapest)(const double* c, const double* y, std::size_t m, double* value);

    /// values[k] += delta for the k < size in the set: bit k % 64 of word k / 64. `size` is a multiple of eight.
    void (*shift)(const std::uint64_t* set, std::size_t size, double* values, double delta);

    static const PaddedKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

inline const PaddedKernels& padded_kernels() { return chosen<PaddedKernels>(); }

}  // namespace monge
