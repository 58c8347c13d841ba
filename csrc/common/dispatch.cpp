// Picks, once, the instruction set that the loops that are compiled several times run on. A library that calls only some
// of these functions holds only their loops: the linker drops the rest.
#include <cstdlib>
#include <cstring>

#include "common/ground_kernels.hpp"
#include "exact/emd.hpp"
#include "entropic/near_pass.hpp"
#include "exact/row_kernels.hpp"
#include "entropic/small_kernels.hpp"
#include "entropic/pairs.hpp"

namespace monge {
namespace {

enum class InstructionSet { baseline, avx2, avx512 };

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

InstructionSet chosen() {
    static const InstructionSet set = detect();
    return set;
}

}  // namespace

// The table `name` of each instruction set, and a function that returns the one in use.
#if defined(MONGE_X86_64)
#define MONGE_CHOICE(Type, name, function)                                                      \
    extern const Type* const name##_baseline, * const name##_avx2, * const name##_avx512;       \
    function {                                                                                  \
        static const Type& table = *(chosen() == InstructionSet::avx512 ? name##_avx512         \
                                     : chosen() == InstructionSet::avx2 ? name##_avx2           \
                                                                        : name##_baseline);     \
        return table;                                                                           \
    }
#else
#define MONGE_CHOICE(Type, name, function)      \
    extern const Type* const name##_baseline;   \
    function { return *name##_baseline; }
#endif

MONGE_CHOICE(RowKernels<float>, rows_float, template <> const RowKernels<float>& row_kernels())
MONGE_CHOICE(RowKernels<double>, rows_double, template <> const RowKernels<double>& row_kernels())
MONGE_CHOICE(GroundKernels<float>, ground_float, template <> const GroundKernels<float>& ground_kernels())
MONGE_CHOICE(GroundKernels<double>, ground_double, template <> const GroundKernels<double>& ground_kernels())
MONGE_CHOICE(ListKernels, lists, const ListKernels& list_kernels())
MONGE_CHOICE(PaddedKernels, padded, const PaddedKernels& padded_kernels())
MONGE_CHOICE(ScalingKernels, scaling, const ScalingKernels& scaling_kernels())
MONGE_CHOICE(SinkhornKernels, sinkhorn, const SinkhornKernels& sinkhorn_kernels())
MONGE_CHOICE(NearKernels, near, const NearKernels& near_kernels())

const char* instruction_set() {
    switch (chosen()) {
        case InstructionSet::avx512: return "avx512";
        case InstructionSet::avx2: return "avx2";
        case InstructionSet::baseline: break;
    }
    return "baseline";
}

}  // namespace monge
