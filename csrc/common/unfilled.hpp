// Vectors whose numbers are not filled in when they are made: memory is touched where it is used, between two looks at
// whether a solve should go on, and not in one long stretch before.
#pragma once

#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace monge {

template <class T>
struct NoFill : std::allocator<T> {
    template <class U>
    struct rebind {
        using other = NoFill<U>;
    };
    template <class U>
    void construct(U* at) noexcept {
        ::new (static_cast<void*>(at)) U;
    }
    template <class U, class... Values>
    void construct(U* at, Values&&... values) {
        ::new (static_cast<void*>(at)) U(std::forward<Values>(values)...);
    }
};

template <class T>
using Unfilled = std::vector<T, NoFill<T>>;

}  // namespace monge
