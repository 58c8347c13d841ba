// See plan_pairs.hpp. Compiled once per instruction set, with MONGE_ISA naming it; as in row_kernels.cpp, nothing here
// may be an inline function of the standard library.
#include "entropic/plan_pairs.hpp"

#include <math.h>

#include "entropic/pair_blocks.hpp"

namespace monge {
namespace {

inline Vector<double> entry(const PlanRows& plan, size_t i, size_t j, Vector<double> c) {
    return power_or_zero((load<double>(plan.columns + j) - plan.inverse * c) + plan.rows[i]);
}

void plan_entries(const PlanRows& in, double* out) {
    for_all_blocks(in.costs, in.m, in.first, in.last, [&](size_t i, size_t j, const Block<double>& c) {
        for (size_t r = 0; r < tall && i + r < in.last; ++r) {
            Vector<double> entries[wide];
            for (size_t v = 0; v < wide; ++v) entries[v] = entry(in, i + r, j + v * width<double>, c.at[r][v]);
            store_some(out + (i - in.first + r) * in.m + j, entries, in.m - j);
        }
    });
}

/// Adds up lanes, and empties them.
inline double take(Vector<double>& lanes) {
    const double total = sum<double>(lanes);
    lanes = Vector<double>{};
    return total;
}

void plan_sums(PlanSums& in) {
    const PlanRows& plan = in.plan;
    for (size_t j = 0; j < whole_panels<double>(plan.m); ++j) in.received[j] = 0.0;
    in.price = 0.0;
    Vector<double> sent[tall] = {}, price = {};
    for_all_blocks(plan.costs, plan.m, plan.first, plan.last, [&](size_t i, size_t j, const Block<double>& c) {
        const size_t rows = plan.last - i < tall ? plan.last - i : tall;
        for (size_t v = 0; v < wide; ++v) {
            const size_t at = j + v * width<double>;
            const Vector<double> weight = load<double>(in.v + at);
            Vector<double> received = load<double>(in.received + at);
            for (size_t r = 0; r < rows; ++r) {
                const Vector<double> p = entry(plan, i + r, at, c.at[r][v]), paid = p * weight;
                sent[r] += paid;
                received += in.u[i + r] * p;
                // An arc without mass costs nothing, even if it is forbidden.
                price += p > 0.0 ? (in.u[i + r] * paid) * c.at[r][v] : Vector<double>{};
            }
            store(in.received + at, received);
        }
        if (j + block<double> < plan.m) return;
        for (size_t r = 0; r < rows; ++r) in.sent[i + r] = take(sent[r]);
        in.price += take(price);
    });
}

void plan_product(const PlanProduct& in) {
    const PlanRows& plan = in.plan;
    constexpr size_t columns = 10 * panel_size<double>;  // whose entries stay in the first cache
    double entries[tall][columns];
    with_source(plan.costs, plan.m, [&](const auto& source) {
        typedef typename std::remove_const_t<std::remove_reference_t<decltype(source)>>::Row Row;
        for (size_t i = plan.first; i < plan.last; i += tall) {
            Row rows[tall];
            find_rows(source, i, plan.last, tall, rows);
            double* out[tall];
            for (size_t r = 0; r < tall; ++r) {
                out[r] = in.out + (i + r < plan.last ? i + r : plan.last - 1) * in.stride;
                for (size_t c = 0; c < in.stride; ++c) out[r][c] = 0.0;
            }
            for (size_t start = 0; start < plan.m; start += columns) {
                const size_t size = plan.m - start < columns ? plan.m - start : columns;
                for (size_t j = 0; j < size; j += block<double>) {
                    const Block<double> c = source.read(rows, start + j);
                    for (size_t r = 0; r < tall; ++r)
                        for (size_t v = 0; v < wide; ++v) {
                            const size_t at = j + v * width<double>, row = i + r < plan.last ? i + r : plan.last - 1;
                            store(entries[r] + at, entry(plan, row, start + at, c.at[r][v]));
                        }
                }
                for (size_t c = 0; c < in.stride; c += block<double>) {
                    Block<double> total = {};
                    for (size_t j = 0; j < size; ++j) {
                        const double* const V = in.V + (start + j) * in.stride + c;
#pragma GCC unroll 4
                        for (size_t r = 0; r < tall; ++r)
#pragma GCC unroll 3
                            for (size_t v = 0; v < wide; ++v)
                                total.at[r][v] += entries[r][j] * load<double>(V + v * width<double>);
                    }
                    for (size_t r = 0; r < tall && i + r < plan.last; ++r)
                        for (size_t v = 0; v < wide; ++v) {
                            double* const at = out[r] + c + v * width<double>;
                            store(at, load<double>(at) + total.at[r][v]);
                        }
                }
            }
        }
    });
}

void plan_entropy(PlanEntropy& in) {
    const PlanRows& plan = in.plan;
    for (size_t j = 0; j < whole_panels<double>(plan.m); ++j) in.received[j] = 0.0;
    in.price = in.entropy = 0.0;
    Vector<double> sent[tall] = {}, price = {}, entropy = {};
    for_all_blocks(plan.costs, plan.m, plan.first, plan.last, [&](size_t i, size_t j, const Block<double>& c) {
        const size_t rows = plan.last - i < tall ? plan.last - i : tall;
        for (size_t v = 0; v < wide; ++v) {
            const size_t at = j + v * width<double>;
            const Vector<double> more = load<double>(in.v + at);
            Vector<double> received = load<double>(in.received + at);
            for (size_t r = 0; r < rows; ++r) {
                const Vector<double> mass = entry(plan, i + r, at, c.at[r][v]) + in.u[i + r] * more;
                sent[r] += mass;
                received += mass;
                price += mass > 0.0 ? mass * c.at[r][v] : Vector<double>{};
                entropy += mass * logarithm(mass);
            }
            store(in.received + at, received);
        }
        if (j + block<double> < plan.m) return;
        for (size_t r = 0; r < rows; ++r) in.sent[i + r] = take(sent[r]);
        in.price += take(price);
        in.entropy += take(entropy);
    });
}

void plan_mixture(PlanMixture& in) {
    const PlanRows& plan = in.plan;
    for (size_t j = 0; j < whole_panels<double>(plan.m); ++j) in.received[j] = 0.0;
    in.price = in.entropy = 0.0;
    Vector<double> sent[tall] = {}, price = {}, entropy = {};
    double log_u[tall];
    for_all_blocks(plan.costs, plan.m, plan.first, plan.last, [&](size_t i, size_t j, const Block<double>& c) {
        const size_t rows = plan.last - i < tall ? plan.last - i : tall;
        if (j == 0)
            for (size_t r = 0; r < rows; ++r) log_u[r] = in.u[i + r] > 0.0 ? log2(in.u[i + r]) : 0.0;
        for (size_t v = 0; v < wide; ++v) {
            const size_t at = j + v * width<double>;
            const Vector<double> more = load<double>(in.v + at), log_v = logarithm(more);
            Vector<double> received = load<double>(in.received + at);
            for (size_t r = 0; r < rows; ++r) {
                const Vector<double> p = entry(plan, i + r, at, c.at[r][v]), w = in.u[i + r] * more, mass = p + w;
                sent[r] += p;
                received += p;
                price += p > 0.0 ? p * c.at[r][v] : Vector<double>{};
                entropy += mass * logarithm(mass) - w * (log_u[r] + log_v);
            }
            store(in.received + at, received);
        }
        if (j + block<double> < plan.m) return;
        for (size_t r = 0; r < rows; ++r) in.sent[i + r] = take(sent[r]);
        in.price += take(price);
        in.entropy += take(entropy);
    });
}

/// The least lane.
inline double lowest(Vector<double> x) { return -highest<double>(-x); }

/// `keep` says whether costs go to the scratch.
template <bool keep, class Source>
void transform_rows_of(const TransformRows& in, const Source& source) {
    const TransformRows here = in;  // for all that compilers know, stores may change what is in memory
    const size_t padded = whole_panels<double>(here.m);
    const double none = HUGE_VAL;
    typename Source::Row rows[tall];
    for (size_t i = here.first; i < here.last; i += tall) {
        find_rows(source, i, here.last, tall, rows);
        Vector<double> least[tall];
        for (auto& each : least) each = broadcast(none);
        for (size_t j = 0; j < here.m; j += block<double>) {
            const Block<double> c = source.read(rows, j);
#pragma GCC unroll 3
            for (size_t v = 0; v < wide; ++v) {
                const size_t at = j + v * width<double>;
                const Vector<double> g = load<double>(here.g + at);
#pragma GCC unroll 4
                for (size_t r = 0; r < tall; ++r) {
                    least[r] = smaller(c.at[r][v] - g, least[r]);
                    if (keep) store(here.scratch + r * padded + at, c.at[r][v]);
                }
            }
        }
        double f[tall];
        for (size_t r = 0; r < tall; ++r) {
            f[r] = lowest(least[r]);
            if (i + r < here.last) here.f[i + r] = f[r];
            f[r] = f[r] < none ? f[r] : 0.0;
        }
        if (!keep) continue;
        const double *const one = here.scratch, *const two = one + padded, *const three = two + padded,
                            *const four = three + padded;
        const double f1 = f[0], f2 = f[1], f3 = f[2], f4 = f[3];
        for (size_t j = 0; j < here.m; j += width<double>) {
            const Vector<double> first = smaller(load<double>(one + j) - f1, load<double>(two + j) - f2),
                                 second = smaller(load<double>(three + j) - f3, load<double>(four + j) - f4);
            store(here.low + j, smaller(smaller(first, second), load<double>(here.low + j)));
        }
    }
}

void transform(const TransformRows& in) {
    if (in.low != nullptr)
        for (size_t j = 0; j < whole_panels<double>(in.m); ++j) in.low[j] = HUGE_VAL;
    with_source(in.costs, in.m, [&](const auto& source) {
        in.low != nullptr ? transform_rows_of<true>(in, source) : transform_rows_of<false>(in, source);
    });
}

double spread_price(const SpreadRows& in) {
    double price = 0.0;
    Vector<double> paid[tall] = {};
    for_all_blocks(in.costs, in.m, in.first, in.last, [&](size_t i, size_t j, const Block<double>& c) {
        for (size_t v = 0; v < wide; ++v) {
            const Vector<double> weight = load<double>(in.v + j + v * width<double>);
            for (size_t r = 0; r < tall; ++r) paid[r] += weight > 0.0 ? weight * c.at[r][v] : Vector<double>{};
        }
        if (j + block<double> < in.m) return;
        for (size_t r = 0; r < tall; ++r) {
            const double row = take(paid[r]);
            if (i + r < in.last && in.u[i + r] > 0.0) price += in.u[i + r] * row;
        }
    });
    return price;
}

/// D is the number of coordinates, if it is so small that the sums of a row stay in registers, and the exponent is one;
/// else zero.
template <size_t D, class Base>
void gradient_of(PlanGradient& in) {
    typedef typename Base::template Slopes<Vector<double>> Slopes;
    typedef Points<double, Base, false> Source;
    const PlanRows& plan = in.plan;
    const size_t d = D > 0 ? D : plan.costs.d;
    const double exponent = D > 0 ? 1.0 : plan.costs.exponent;
    // The one gives bases, the other makes costs of them.
    const Source points = {plan.costs.x, plan.costs.y, d, Exponent<double>(1.0)};
    const Source costs = {plan.costs.x, plan.costs.y, d, Exponent<double>(exponent)};
    const Vector<double> none = {};
    Vector<double> price = none;
    for (size_t i = plan.first; i < plan.last; i += tall) {
        const size_t count = plan.last - i < tall ? plan.last - i : tall;
        const double* rows[tall];
        find_rows(points, i, plan.last, tall, rows);
        Vector<double> sent[tall] = {};
        Vector<double> pushed[D > 0 ? D * tall : 1] = {};
        for (size_t k = 0; D == 0 && k < d * tall * width<double>; ++k) in.scratch[k] = 0.0;
        for (size_t j = 0; j < plan.m; j += block<double>) {
            const Block<double> bases = points.read(rows, j), paid = exponent == 1.0 ? bases : costs.raise(bases);
            for (size_t v = 0; v < wide; ++v) {
                const size_t at = j + v * width<double>;
                Vector<double> received = load<double>(in.received + at), weight[tall];
                for (size_t r = 0; r < tall; ++r) {
                    const Vector<double> base = bases.at[r][v], c = paid.at[r][v];
                    const Vector<double> p = r < count ? entry(plan, i + r, at, c) : none;
                    sent[r] += p;
                    received += p;
                    price += p > 0.0 ? p * c : none;
                    // Where points are the same, or so near that the base is no number, there is no slope.
                    const Vector<double> steep = exponent == 1.0 ? p : p * (exponent * c / base);
                    weight[r] = p > 0.0 ? (base > 0.0 ? steep : none) : none;
                }
                store(in.received + at, received);
                Slopes slopes[tall] = {Slopes(bases.at[0][v]), Slopes(bases.at[1][v]), Slopes(bases.at[2][v]),
                                       Slopes(bases.at[3][v])};
                const size_t place = at % panel_size<double> + at / panel_size<double> * (d * panel_size<double>);
                const double* const y = points.y + place;
                double* const out = in.y + place;
                for (size_t k = 0; k < d; ++k) {
                    const Vector<double> there = load<double>(y + k * panel_size<double>);
                    Vector<double> pull = load<double>(out + k * panel_size<double>);
                    for (size_t r = 0; r < tall; ++r) {
                        const Vector<double> push = weight[r] * slopes[r](rows[r][k] - there);
                        pull -= push;
                        if (D > 0) {
                            pushed[D > 0 ? k * tall + r : 0] += push;
                            continue;
                        }
                        double* const lanes = in.scratch + (k * tall + r) * width<double>;
                        store(lanes, load<double>(lanes) + push);
                    }
                    store(out + k * panel_size<double>, pull);
                }
            }
        }
        for (size_t r = 0; r < count; ++r) {
            in.sent[i + r] = sum<double>(sent[r]);
            for (size_t k = 0; k < d; ++k)
                in.x[(i + r) * d + k] = sum<double>(D > 0 ? pushed[D > 0 ? k * tall + r : 0]
                                                          : load<double>(in.scratch + (k * tall + r) * width<double>));
        }
    }
    in.price = sum<double>(price);
}

void plan_gradient(PlanGradient& in) {
    const Costs<double>& costs = in.plan.costs;
    const size_t whole = whole_panels<double>(in.plan.m);
    for (size_t j = 0; j < whole; ++j) in.received[j] = 0.0;
    for (size_t j = 0; j < whole * costs.d; ++j) in.y[j] = 0.0;
    if (costs.ground == Ground::squares && costs.exponent == 1.0) switch (costs.d) {
            case 1: return gradient_of<1, Squares>(in);
            case 2: return gradient_of<2, Squares>(in);
            case 3: return gradient_of<3, Squares>(in);
        }
    with_ground(costs.ground, [&](auto base) { gradient_of<0, decltype(base)>(in); });
}

constexpr PlanKernels kernels = {plan_entries, plan_sums,     plan_product, plan_entropy,
                                 plan_mixture, plan_gradient, transform,    spread_price};

}  // namespace

const PlanKernels PlanKernels::MONGE_ISA = kernels;

}  // namespace monge
