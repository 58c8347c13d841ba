// For files that are compiled once per instruction set, with MONGE_ISA naming it: MONGE_NAME(x) is x_avx512, for one.
#pragma once

#include <cstddef>

#define MONGE_NAME_2(name, isa) name##_##isa
#define MONGE_NAME_1(name, isa) MONGE_NAME_2(name, isa)
#define MONGE_NAME(name) MONGE_NAME_1(name, MONGE_ISA)

namespace monge {
namespace {

/// Of the widest vector of the instruction set.
#if defined(__AVX512F__)
constexpr std::size_t vector_bytes = 64;
#elif defined(__AVX__)
constexpr std::size_t vector_bytes = 32;
#else
constexpr std::size_t vector_bytes = 16;
#endif

}  // namespace
}  // namespace monge
