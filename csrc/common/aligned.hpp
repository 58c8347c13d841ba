// Memory whose vectors do not straddle cache lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace monge {

// The standard's own aligned memory is not there on all systems that wheels are for. What was allocated stands before
// what is used.
struct AlignedDelete {
    void operator()(void* p) const { ::operator delete(static_cast<void**>(p)[-1]); }
};

/// Of numbers that are not filled in: only what is touched costs anything.
template <class T>
using Aligned = std::unique_ptr<T[], AlignedDelete>;

/// May throw std::bad_alloc.
template <class T>
Aligned<T> aligned(std::size_t size) {
    constexpr std::uintptr_t line = 64;
    void* const all = ::operator new(size * sizeof(T) + line + sizeof(void*));
    void** const at =
        reinterpret_cast<void**>((reinterpret_cast<std::uintptr_t>(all) + sizeof(void*) + line - 1) / line * line);
    at[-1] = all;
    return Aligned<T>(reinterpret_cast<T*>(at));
}

}  // namespace monge
