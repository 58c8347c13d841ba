// The inner loops of passes over points in up to three dimensions; see near.hpp for what they are part of. Which
// columns a block of rows goes over is found by those of near_bounds.hpp.
//
// They are written once, in near_pass.cpp, and built once per instruction set, like row_kernels.hpp; other than there,
// sums are rounded differently in each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/dispatch.hpp"
#include "common/ground.hpp"

namespace monge {

/// A pass, in log2 units: costs and potentials over eps log 2, and coordinates times `scale` give such costs. Points
/// are (3, n) and (3, m), coordinate by coordinate.
struct NearPass {
    const double* X;
    const double* Y;
    std::size_t n, m;
    double scale;
    Ground ground;
    double exponent;     // of the base
    bool exact;          // squares are added up before they meet potentials, which may be small beside them
    const double* beta;  // potentials of the columns, and the logarithms of their weights
    const double* log_a;
    const double* b;  // what the columns are to get: the weights, or less, in an unbalanced problem
    double damp, cap;
    double* shift;  // guesses of the rows' undamped potentials, which become those
    double* f;      // the potentials of the rows
};

/// Columns from `first` to `last`.
struct Run {
    std::int32_t first, last;
};

/// A block of rows and the columns that it goes over.
struct NearBlock {
    std::size_t first, last;
    const Run* runs;
    std::size_t count;
};

/// Rows whose columns are chosen together.
constexpr std::size_t near_rows = 16;

/// What makes columns of a block worth listing: more mass than the smaller one of `row` and `column` times b_j.
struct Shares {
    double row, column;
};

/// Powers 2^(beta_j + base_i - C_ij) of a block of at most `near_rows` rows.
template <class T>
struct KeptRows {
    T* powers;     // kept_size(columns)
    double* base;  // (near_rows,)
};

/// Numbers that a block of so many columns has powers of, and some that fill up vectors.
constexpr std::size_t kept_size(std::size_t columns) { return near_rows * ((columns + 15) / 16 * 16); }

template <class T>
struct BlockKernels {
    /// Numbers of scratch for up to m columns.
    std::size_t (*scratch)(std::size_t m);
    /// The rows of a block: fills in shift and f, and leaves the sums of P_ij / 2^lift over the rows at the start of
    /// `scratch`, run after run; returns the lift. Unless null, `kept` gets the block's powers.
    double (*rows)(const NearPass&, const NearBlock&, T* scratch, const KeptRows<T>* kept);
    /// The same from kept powers, where columns have moved since: moved (m,) are powers of two of the change of beta.
    /// NaN if the rows have moved too far for that, and nothing is known.
    double (*again)(const NearPass&, const NearBlock&, T* scratch, const KeptRows<T>& kept, const T* moved);
    /// 2^(now_j - then_j), (m,); false if a number is beyond what kept powers are good for.
    bool (*moved)(const double* now, const double* then, std::size_t m, T* out);
    /// Adds these sums to those of all columns. With shares, marks_k = 1 where column k of the runs is worth listing.
    /// `marks` has room for 8 more.
    void (*scatter)(const NearPass&, const NearBlock&, const T* scratch, double lift, double* sums, const Shares*,
                    unsigned char* marks);
};

/// The end of a pass: softmins s of the columns, in cost units, from the sums of `chunks` chunks. A column whose sum is
/// less than lost_share times its weight is summed again, over all rows, the first `repairs` of them; others are moved
/// by what is certain.
struct NearColumns {
    const double* chunk_sums;  // (chunks, m)
    std::size_t chunks;
    const double* log_b;
    const double* g;  // in cost units
    double unit, lost_share;
    std::size_t repairs;
    double* s;
};

struct NearKernels {
    BlockKernels<float> floats;
    BlockKernels<double> doubles;
    /// Returns how many columns had lost their sums.
    std::size_t (*columns)(const NearPass&, const NearColumns&);

    static const NearKernels baseline, avx2, avx512;  // see common/dispatch.hpp
};

inline const NearKernels& near_kernels() { return chosen<NearKernels>(); }

}  // namespace monge
