// The loops that are compiled once per instruction set, and the choice between them.
//
// A file of such loops is compiled several times, with MONGE_ISA naming the instruction set. Its header declares a
// struct of functions, and in it the tables of all sets,
//
//     static const Kernels baseline, avx2, avx512;
//
// of which the file defines the one that it is compiled for: const Kernels Kernels::MONGE_ISA = {...}.
//
// `chosen<Kernels>()` is the one for this processor. Only files that are compiled once may call it.
#pragma once

namespace monge {

enum class InstructionSet { baseline, avx2, avx512 };

/// The best instruction set that this processor has, or a lesser one that the variable MONGE_SIMD of the environment
/// names.
InstructionSet chosen_instruction_set();

/// Its name: "avx512", "avx2" or "baseline".
const char* instruction_set();

/// The table for this processor.
template <class Kernels>
const Kernels& chosen() {
    static const Kernels& table = []() -> const Kernels& {
        switch (chosen_instruction_set()) {
#if defined(MONGE_X86_64)
            case InstructionSet::avx512: return Kernels::avx512;
            case InstructionSet::avx2: return Kernels::avx2;
#endif
            default: return Kernels::baseline;
        }
    }();
    return table;
}

}  // namespace monge
