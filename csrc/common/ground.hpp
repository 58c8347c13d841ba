// Ground costs between points, c(x, y) = factor * base(x - y)^exponent: all that is known of a base.
//
// A base takes in the differences of the coordinates one after another, as numbers or as vectors of numbers,
//
//     base(z) = join(join(term(z_1), term(z_2)), term(z_3)) ...
//
// and every loop over points is compiled with each: matrices and single pairs (ground_kernels.cpp), passes over all
// pairs (pair_blocks.hpp) and over near ones (near_pass.cpp). They rely on this:
//
// - base(z) = base(|z_1|, |z_2|, ...), and it does not fall where some |z_k| grows. So of a box, the point that is
//   nearest to x in each coordinate has the lowest cost.
// - Terms are not negative, a coordinate that is zero adds nothing, and join(0, t) = t.
// - base(t z) = t^degree base(z) for t > 0. Its 1/degree-th power is the distance, and that is at most sum_k |z_k|.
//
// A new one is a struct here, with a line in `Ground`, `grounds` and `with_ground`; src/monge/problem/ground.py gives
// it a name.
#pragma once

#include "common/vectors.hpp"

namespace monge {

enum class Ground : int { squares, absolutes, largest };

constexpr Ground grounds[] = {Ground::squares, Ground::absolutes, Ground::largest};
constexpr std::size_t ground_count = sizeof grounds / sizeof grounds[0];

/// c(x, y) = factor * base(x - y)^exponent.
struct GroundCost {
    Ground base;
    double exponent, factor;
};

namespace {

/// The sum of squares: the Euclidean distance squared.
struct Squares {
    static constexpr const char* name = "squares";
    static constexpr int degree = 2;
    /// Whether terms are products and joined by addition: one fused operation then adds or subtracts a term.
    static constexpr bool fused = true;
    template <class V>
    static inline V term(V z) {
        return z * z;
    }
    template <class V>
    static inline V join(V sum, V term) {
        return sum + term;
    }
    /// The derivatives d base / d z_k, for one coordinate after another, of a difference whose base is given.
    template <class V>
    struct Slopes {
        explicit Slopes(V) {}
        inline V operator()(V z) { return z + z; }
    };
};

/// The sum of absolute values: the cityblock distance. Where z_k = 0, its derivative counts as zero.
struct Absolutes {
    static constexpr const char* name = "absolutes";
    static constexpr int degree = 1;
    static constexpr bool fused = false;
    template <class V>
    static inline V term(V z) {
        return magnitude(z);
    }
    template <class V>
    static inline V join(V sum, V term) {
        return sum + term;
    }
    template <class V>
    struct Slopes {
        explicit Slopes(V) {}
        inline V operator()(V z) { return sign(z); }
    };
};

/// The largest absolute value: the Chebyshev distance. Where several coordinates attain it, the first one moves it.
struct Largest {
    static constexpr const char* name = "largest";
    static constexpr int degree = 1;
    static constexpr bool fused = false;
    template <class V>
    static inline V term(V z) {
        return magnitude(z);
    }
    template <class V>
    static inline V join(V most, V term) {
        return larger(most, term);
    }
    template <class V>
    struct Slopes {
        V base, left;  // one until a coordinate has attained the base, then zero
        explicit Slopes(V base) : base(base), left(V{} + 1.0f) {}
        inline V operator()(V z) {
            const V none = {}, slope = magnitude(z) == base ? left * sign(z) : none;
            left = magnitude(z) == base ? none : left;
            return slope;
        }
    };
};

/// Calls `use` with the base.
template <class Use>
inline auto with_ground(Ground ground, Use use) {
    switch (ground) {
        case Ground::squares: return use(Squares{});
        case Ground::absolutes: return use(Absolutes{});
        case Ground::largest: break;
    }
    return use(Largest{});
}

}  // namespace
}  // namespace monge
