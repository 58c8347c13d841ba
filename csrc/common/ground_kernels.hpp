// The inner loops over ground costs. Written once, in ground_kernels.cpp, and built once per instruction set; every set
// computes the same bits, as in row_kernels.hpp.
#pragma once

#include <cstddef>

#include "common/dispatch.hpp"
#include "common/ground.hpp"

namespace monge {

template <class T>
struct GroundKernels {
    /// The bases of the differences between x (d,) and m points stored one coordinate per row: y (d, m), row stride
    /// `stride`.
    void (*bases)(Ground ground, const T* x, const T* y, std::size_t d, std::size_t stride, std::size_t m, T* out);
    void (*square_root)(T* c, std::size_t m);

    static const GroundKernels<T> baseline, avx2, avx512;  // see dispatch.hpp
};

template <class T>
const GroundKernels<T>& ground_kernels() {
    return chosen<GroundKernels<T>>();
}
extern template struct GroundKernels<float>;
extern template struct GroundKernels<double>;

}  // namespace monge
