#include "common/dispatch.hpp"

#include <cstdlib>
#include <cstring>

namespace monge {
namespace {

InstructionSet detect() {
#if defined(MONGE_X86_64)
    // MONGE_SIMD=baseline or avx2 asks for less than the processor has: for tests, and for comparing the paths.
    const char* wish = std::getenv("MONGE_SIMD");
    const bool any = wish == nullptr || *wish == '\0';
    __builtin_cpu_init();
    if ((any || std::strcmp(wish, "avx512") == 0) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return InstructionSet::avx512;
    if ((any || std::strcmp(wish, "baseline") != 0) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return InstructionSet::avx2;
#endif
    return InstructionSet::baseline;
}

}  // namespace

InstructionSet chosen_instruction_set() {
    static const InstructionSet set = detect();
    return set;
}

const char* instruction_set() {
    switch (chosen_instruction_set()) {
        case InstructionSet::avx512: return "avx512";
        case InstructionSet::avx2: return "avx2";
        case InstructionSet::baseline: break;
    }
    return "baseline";
}

}  // namespace monge
