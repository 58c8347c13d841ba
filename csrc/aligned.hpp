// Memory whose vectors do not straddle cache lines.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace monge {

struct AlignedDelete {
    void operator()(void* p) const { ::operator delete(p, std::align_val_t{64}); }
};

/// Of numbers that are not filled in: only what is touched costs anything.
template <class T>
using Aligned = std::unique_ptr<T[], AlignedDelete>;

/// May throw std::bad_alloc.
template <class T>
Aligned<T> aligned(std::size_t size) {
    return Aligned<T>(static_cast<T*>(::operator new(size * sizeof(T), std::align_val_t{64})));
}

}  // namespace monge
