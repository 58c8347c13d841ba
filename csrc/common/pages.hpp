// Large arrays that are not filled in, in large pages where the system has them: the first touch of a small page takes
// as long as a hundred passes over its numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace monge {

template <class T>
class Pages {
    static_assert(std::is_trivial<T>::value, "nothing is constructed");

public:
    Pages() = default;
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    ~Pages() { release(); }

    T* data() { return at_; }
    const T* data() const { return at_; }
    T& operator[](std::size_t k) { return at_[k]; }
    std::size_t size() const { return size_; }

    /// Room for so many numbers; what was there is lost. May throw std::bad_alloc.
    void resize(std::size_t size) {
        if (size == size_) return;
        release();
        const std::size_t bytes = size * sizeof(T);
        const bool large = bytes >= few_bytes;
        const std::size_t unit = large ? page : line, whole = (bytes + unit - 1) / unit * unit;
        // From the allocator, which may have it from the solve before, touched.
        all_ = ::operator new(whole + unit);
        at_ = reinterpret_cast<T*>((reinterpret_cast<std::uintptr_t>(all_) + unit - 1) / unit * unit);
        size_ = size;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
        if (large) madvise(at_, whole, MADV_HUGEPAGE);  // a wish: without it all is the same but for its speed
#endif
    }

    void release() {
        ::operator delete(all_);
        all_ = nullptr, at_ = nullptr, size_ = 0;
    }

private:
    // Of a large page, a line of the cache, and an array that is worth a large page of its own.
    static constexpr std::size_t page = std::size_t{1} << 21, line = 64, few_bytes = std::size_t{1} << 19;

    void* all_ = nullptr;
    T* at_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace monge
