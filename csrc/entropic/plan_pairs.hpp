// What is asked of a plan and of its potentials, over all pairs in double precision: entries, sums, products,
// entropies, gradients, and min-plus transforms. Costs are as in pairs.hpp, and so are panels.
#pragma once

#include <cstddef>

#include "common/dispatch.hpp"
#include "entropic/pairs.hpp"

namespace monge {

/// A part of a plan P_ij = 2^(rows_i + columns_j - inverse C_ij), for rows from `first` to `last`.
struct PlanRows {
    Costs<double> costs;
    std::size_t m, first, last;
    double inverse;
    const double* rows;
    const double* columns;  // -inf where panels are filled up
};

/// Its products with vectors: sent_i = sum_j P_ij v_j, received_j = sum_i u_i P_ij, and sum_ij u_i P_ij v_j C_ij.
struct PlanSums {
    PlanRows plan;
    const double* u;
    const double* v;  // filled up to whole panels
    double* sent;
    double* received;  // in whole panels, too
    double price;
};

/// Its product with a matrix: out_ic = sum_j P_ij V_jc.
struct PlanProduct {
    PlanRows plan;
    const double* V;  // rows of `stride` numbers, a multiple of panel_size<double>
    double* out;      // likewise
    std::size_t stride;
};

/// With G = P + u v': the sums of its rows and columns, of G_ij C_ij, and of G_ij log2 G_ij.
struct PlanEntropy {
    PlanRows plan;
    const double* u;
    const double* v;  // filled up to whole panels by zeros
    double* sent;
    double* received;  // in whole panels
    double price, entropy;
};

/// What P adds to the product w_ij = u_i v_j: the sums of its rows and columns, of P_ij C_ij, and, with G = P + w, of
/// G_ij log2 G_ij - w_ij log2 w_ij.
struct PlanMixture {
    PlanRows plan;
    const double* u;
    const double* v;  // filled up to whole panels by zeros
    double* sent;
    double* received;  // in whole panels
    double price, entropy;
};

/// Its gradients, x_i = sum_j P_ij dC_ij / dx_i and y_j = sum_i P_ij dC_ij / dy_j, and the sums of its rows and columns
/// and of P_ij C_ij. Costs are those of points that are not lifted. Where C has no derivative, a pair adds nothing.
struct PlanGradient {
    PlanRows plan;
    double* sent;
    double* received;  // in whole panels
    double* x;         // (n, d)
    double* y;         // in panels, as points are
    double* scratch;   // gradient_scratch(d) numbers
    double price;
};

/// For four rows of d vectors of any instruction set.
constexpr std::size_t gradient_scratch(std::size_t d) { return 4 * 8 * d; }

/// f_i = min_j C_ij - g_j for rows from `first` to `last`, and low_j = min_i C_ij - f_i over these. Costs of points
/// come from differences.
struct TransformRows {
    Costs<double> costs;
    std::size_t m, first, last;
    const double* g;  // -inf for columns that are left out, and where panels are filled up
    double* f;        // +inf where there is no column, which counts as zero in low
    double* low;      // in whole panels, +inf where there is no row; not wanted if null
    double* scratch;  // transform_rows rows of whole panels, for low
};

/// Rows of costs that a transform holds.
constexpr std::size_t transform_rows = 4;

/// The price sum_ij u_i C_ij v_j of a product, for rows from `first` to `last`. What has no weight costs nothing.
struct SpreadRows {
    Costs<double> costs;
    std::size_t m, first, last;
    const double* u;
    const double* v;  // filled up to whole panels by zeros
};

struct PlanKernels {
    /// The entries, in rows of m numbers.
    void (*entries)(const PlanRows&, double* out);
    void (*sums)(PlanSums&);
    void (*product)(const PlanProduct&);
    void (*entropy)(PlanEntropy&);
    void (*mixture)(PlanMixture&);
    void (*gradient)(PlanGradient&);
    void (*transform)(const TransformRows&);
    double (*spread)(const SpreadRows&);

    static const PlanKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

inline const PlanKernels& plan_kernels() { return chosen<PlanKernels>(); }

}  // namespace monge
