// Picks, once, the instruction set that the loops that are compiled several times run on.
#include <cstdlib>
#include <cstring>

#include "emd.hpp"
#include "near_rows.hpp"
#include "row_kernels.hpp"
#include "scaling_kernels.hpp"
#include "sinkhorn_rows.hpp"

namespace monge {

#define MONGE_DECLARE(isa)                                  \
    extern const RowKernels<float>* const rows_float_##isa;     \
    extern const RowKernels<double>* const rows_double_##isa;   \
    extern const PointKernels<float>* const points_float_##isa; \
    extern const PointKernels<double>* const points_double_##isa; \
    extern const ListKernels* const lists_##isa;                 \
    extern const PaddedKernels* const padded_##isa;              \
    extern const ScalingKernels* const scaling_##isa;            \
    extern const SinkhornKernels* const sinkhorn_##isa;          \
    extern const NearKernels* const near_##isa;

MONGE_DECLARE(baseline)
#if defined(MONGE_X86_64)
MONGE_DECLARE(avx2)
MONGE_DECLARE(avx512)
#endif

namespace {

struct Choice {
    const char* name;
    const RowKernels<float>* rows_float;
    const RowKernels<double>* rows_double;
    const PointKernels<float>* points_float;
    const PointKernels<double>* points_double;
    const ListKernels* lists;
    const PaddedKernels* padded;
    const ScalingKernels* scaling;
    const SinkhornKernels* sinkhorn;
    const NearKernels* near;
};

#define MONGE_CHOICE(isa) \
    Choice {                                                                                                  \
        #isa, rows_float_##isa, rows_double_##isa, points_float_##isa, points_double_##isa, lists_##isa, padded_##isa, \
            scaling_##isa, sinkhorn_##isa, near_##isa                                                             \
    }

Choice choose() {
#if defined(MONGE_X86_64)
    // MONGE_SIMD=baseline or avx2 asks for less than the processor has: for tests, and for comparing the paths.
    const char* wish = std::getenv("MONGE_SIMD");
    const bool any = wish == nullptr || *wish == '\0';
    __builtin_cpu_init();
    if ((any || std::strcmp(wish, "avx512") == 0) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return MONGE_CHOICE(avx512);
    if ((any || std::strcmp(wish, "baseline") != 0) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return MONGE_CHOICE(avx2);
#endif
    return MONGE_CHOICE(baseline);
}

const Choice& choice() {
    static const Choice chosen = choose();
    return chosen;
}

}  // namespace

template <>
const RowKernels<float>& row_kernels<float>() {
    return *choice().rows_float;
}
template <>
const RowKernels<double>& row_kernels<double>() {
    return *choice().rows_double;
}
template <>
const PointKernels<float>& point_kernels<float>() {
    return *choice().points_float;
}
template <>
const PointKernels<double>& point_kernels<double>() {
    return *choice().points_double;
}
const ListKernels& list_kernels() { return *choice().lists; }
const PaddedKernels& padded_kernels() { return *choice().padded; }
const ScalingKernels& scaling_kernels() { return *choice().scaling; }
const SinkhornKernels& sinkhorn_kernels() { return *choice().sinkhorn; }
const NearKernels& near_kernels() { return *choice().near; }
const char* instruction_set() { return choice().name; }

}  // namespace monge
