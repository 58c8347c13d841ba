// Rows of costs, from points or from a matrix. See pairs.hpp. Compiled once per instruction set, with MONGE_ISA naming
// it; as in row_kernels.cpp, nothing here may be an inline function of the standard library.
#include "entropic/pair_blocks.hpp"

namespace monge {
namespace {

/// Columns by columns, so that a panel of points stays in the first cache for all rows.
template <class T>
void cost_rows(const CostRows<T>& in) {
    with_source(in.costs, in.m, [&](const auto& source) {
        typedef typename std::remove_const_t<std::remove_reference_t<decltype(source)>>::Row Row;
        for (size_t j = 0; j < in.m; j += block<T>)
            for (size_t i = in.first; i < in.last; i += tall) {
                Row rows[tall];
                find_rows(source, i, in.last, tall, rows);
                const Block<T> c = source.read(rows, j);
                for (size_t r = 0; r < tall && i + r < in.last; ++r)
                    store_some(in.out + (i - in.first + r) * in.m + j, c.at[r], in.m - j);
            }
    });
}

constexpr CostKernels kernels = {cost_rows<float>, cost_rows<double>};

}  // namespace

const CostKernels CostKernels::MONGE_ISA = kernels;

}  // namespace monge
