// See ground_kernels.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing
// here may be an inline function of the standard library.
#include "common/ground_kernels.hpp"

namespace monge {
namespace {

// Columns whose bases stay in the first-level cache while the coordinates, the outer loop, are gone through.
constexpr size_t tile = 512;

// From differences, which keep all digits for points that lie close together; |x|^2 + |y|^2 - 2 <x, y> loses them.
template <class T>
void bases(Ground ground, const T* x, const T* y, size_t d, size_t stride, size_t m, T* out) {
    with_ground(ground, [=](auto base) {
        typedef decltype(base) Base;
        for (size_t start = 0; start < m; start += tile) {
            const size_t count = m - start < tile ? m - start : tile;
            T* o = out + start;
            for (size_t j = 0; j < count; ++j) o[j] = 0;
            for (size_t k = 0; k < d; ++k) {
                const T* column = y + k * stride + start;
                const T here = x[k];
                for (size_t j = 0; j < count; ++j) o[j] = Base::join(o[j], Base::term(here - column[j]));
            }
        }
    });
}

template <class T>
void square_root(T* c, size_t m) {
    for (size_t j = 0; j < m; ++j) c[j] = root(c[j]);
}

template <class T>
constexpr GroundKernels<T> table{bases<T>, square_root<T>};

}  // namespace

template <class T>
const GroundKernels<T> GroundKernels<T>::MONGE_ISA = table<T>;
template struct GroundKernels<float>;
template struct GroundKernels<double>;

}  // namespace monge
