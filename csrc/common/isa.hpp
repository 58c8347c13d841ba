// Of the instruction set that a file is compiled for. Only for files that are compiled once per set.
#pragma once

#include <cstddef>

namespace monge {
namespace {

/// Of the widest vector.
#if defined(__AVX512F__)
constexpr std::size_t vector_bytes = 64;
#elif defined(__AVX__)
constexpr std::size_t vector_bytes = 32;
#else
constexpr std::size_t vector_bytes = 16;
#endif

}  // namespace
}  // namespace monge
