// For files that are compiled once per instruction set, with MONGE_ISA naming it: MONGE_NAME(x) is x_avx512, for one.
#pragma once

#define MONGE_NAME_2(name, isa) name##_##isa
#define MONGE_NAME_1(name, isa) MONGE_NAME_2(name, isa)
#define MONGE_NAME(name) MONGE_NAME_1(name, MONGE_ISA)
