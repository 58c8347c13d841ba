// Ground costs of differences of points in up to three dimensions, as vectors. Only for files that are compiled once
// per instruction set: all is local to them.
#pragma once

#include "common/ground.hpp"
#include "common/vectors.hpp"
#include "entropic/near_pass.hpp"

namespace monge {
namespace {

/// Some numbers from p, and `rest` where there are fewer than a vector's.
inline Vector<double> load_some(const double* p, size_t count, double rest) {
    if (count >= width<double>) return load<double>(p);
    double each[width<double>];
    for (size_t l = 0; l < width<double>; ++l) each[l] = l < count ? p[l] : rest;
    return load<double>(each);
}

/// What is done to a base: nothing, a root, or a power.
enum class Shape { plain, root, power };

/// Ground costs of differences.
template <class T, class Base, Shape shape>
struct Metric {
    Exponent<T> exponent;

    /// t - cost.
    inline Vector<T> below(Vector<T> t, Vector<T> u, Vector<T> v, Vector<T> w) const {
        if (Base::fused && shape == Shape::plain) {
            t -= Base::term(u);
            t -= Base::term(v);
            t -= Base::term(w);
            return t;
        }
        Vector<T> base = Base::term(u);
        base = Base::join(base, Base::term(v));
        base = Base::join(base, Base::term(w));
        if (shape == Shape::plain) return t - base;
        return t - (shape == Shape::root ? (Vector<T>)roots(base) : raised<T>(base, exponent));
    }
};

/// Calls `use` with the metric of a pass. What is plain or a root is compiled for the bases and the distances
/// themselves.
template <class T, class Use>
inline auto with_metric(const NearPass& pass, Use use) {
    const Exponent<T> exponent(pass.exponent);
    return with_ground(pass.ground, [&](auto base) {
        typedef decltype(base) Base;
        constexpr Shape distance = Base::degree == 1 ? Shape::plain : Shape::root;
        if (!pass.exact && pass.exponent == 1.0) return use(Metric<T, Base, Shape::plain>{exponent});
        if (pass.exponent * Base::degree == 1.0) return use(Metric<T, Base, distance>{exponent});
        return use(Metric<T, Base, Shape::power>{exponent});
    });
}

}  // namespace
}  // namespace monge
