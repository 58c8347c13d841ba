// Weights as integers, so that flows add up exactly.
//
// Sources and sinks are scaled to a common total of about 2^60. Ratio tests of the simplex are then exact, ties are
// ties, and no rounding of flows can make a feasible problem look infeasible. That of the weights can, where forbidden
// arcs ask for the balance of a part of the places: `droppable` says how much mass is not worth a word.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "common/limits.hpp"

namespace monge {

using Flow = std::int64_t;

/// 2^60 leaves room for the sum of any two flows and resolves masses 10^-18 of the total.
constexpr double full_mass = 1152921504606846976.0;

struct Masses {
    std::vector<Flow> supply, demand;  // >= 0, equal sums; zero where the weight is zero
    double per_mass;             // units of flow per unit of the caller's weights; dividing by it keeps 0.2 as 0.2
    Flow kept = 0, lacking = 0;  // of a partial problem: what the sources keep, and what the sinks do not get

    /// Makes the sources sinks and the sinks sources.
    void transpose() {
        std::swap(supply, demand);
        std::swap(kept, lacking);
    }
};

/// Where null, a or b stands for uniform weights; if both are, the total is 1.
class IntegerMasses {
public:
    static bool never() { return false; }

    /// Whether weights are finite, not negative and not all zero, with totals that differ by rounding alone.
    static bool valid(const double* a, std::size_t n, const double* b, std::size_t m, double rounding,
                      bool check_totals) {
        const double mass_a = total(a, n), mass_b = total(b, m);
        auto possible = [](const double* w, std::size_t size, double mass) {
            if (w == nullptr) return true;
            bool negative = false;
            for (std::size_t i = 0; i < size; ++i) negative |= w[i] < 0.0;
            return !negative && mass >= smallest_total && mass <= largest_total;
        };
        if (!possible(a, n, mass_a) || !possible(b, m, mass_b)) return false;
        if (a == nullptr || b == nullptr || !check_totals) return true;
        return std::fabs(mass_a - mass_b) <= total_tolerance(rounding, n + m) * std::max(mass_a, mass_b);
    }

    /// For valid weights. A difference between the totals is rescaled away on the side of b. `stop` is asked now and
    /// then; once it says true, what is returned is worth nothing.
    template <class Stop>
    static Masses make(const double* a, std::size_t n, const double* b, std::size_t m, Stop&& stop) {
        Masses masses{std::vector<Flow>(n), std::vector<Flow>(m), 0.0};
        const double mass_a = total(a, n), mass_b = total(b, m);
        const double mass = a != nullptr ? mass_a : mass_b;
        if (uniform(a, n) && uniform(b, m)) {
            // Each source holds m / g units, each sink n / g: a square problem becomes an assignment, to the unit.
            const std::size_t g = std::gcd(n, m);
            std::fill(masses.supply.begin(), masses.supply.end(), static_cast<Flow>(m / g));
            std::fill(masses.demand.begin(), masses.demand.end(), static_cast<Flow>(n / g));
            masses.per_mass = static_cast<double>(n) * static_cast<double>(m / g) / mass;
            return masses;
        }
        // Counts, and decimals of up to six digits, stay what they are: 0.1 + 0.2 is then 0.3, and plans carry no dust.
        for (const double denominator : {mass, 1e6, full_mass}) {
            if (denominator > full_mass) continue;  // units would not fit
            const bool exact = denominator < full_mass;
            Flow sum_a = 0, sum_b = 0;
            if (!scale(a, mass_a, denominator, exact, masses.supply, sum_a, stop)) continue;
            if (!scale(b, mass_b, denominator, exact, masses.demand, sum_b, stop)) continue;
            if (exact && sum_a != sum_b) continue;
            // What rounding left over goes to the largest mass, where it is least, on the side that has too little.
            auto& poor = sum_a < sum_b ? masses.supply : masses.demand;
            *std::max_element(poor.begin(), poor.end()) += std::abs(sum_a - sum_b);
            masses.per_mass = static_cast<double>(std::max(sum_a, sum_b)) / mass;
            break;
        }
        return masses;
    }

    /// Of a partial problem, which moves `mass`: all that there is in a if `sends_all`, all that fits in b if
    /// `fills_all`.
    static Masses make_partial(const double* a, std::size_t n, const double* b, std::size_t m, double mass,
                               bool sends_all, bool fills_all) {
        Masses masses{std::vector<Flow>(n), std::vector<Flow>(m), 0.0};
        const double mass_a = total(a, n), mass_b = total(b, m), wide = mass_a + mass_b;
        // Units per mass: whole numbers of sources or sinks and a millionth of them, counts, decimals of six digits.
        std::vector<double> units;
        if (uniform(a, n) && uniform(b, m)) {
            const double each_a = static_cast<double>(n) / mass_a, each_b = static_cast<double>(m) / mass_b;
            const double both = static_cast<double>(std::lcm(n, m)) / mass_a;
            units = {each_a, each_b, both, 1e6 * both};
        }
        units.insert(units.end(), {1.0, 1e6, 1e6 / mass_a, full_mass / wide});
        for (const double per_mass : units) {
            if (wide * per_mass > full_mass) continue;
            const bool exact = per_mass != units.back();
            Flow sum_a = 0, sum_b = 0;
            const double moved = mass * per_mass, whole = std::nearbyint(moved);
            if (exact && std::fabs(moved - whole) > 1e-15 * moved) continue;
            if (!scale(a, mass_a, mass_a * per_mass, exact, masses.supply, sum_a, never)) continue;
            if (!scale(b, mass_b, mass_b * per_mass, exact, masses.demand, sum_b, never)) continue;
            masses.per_mass = per_mass;
            const Flow most = std::min(sum_a, sum_b);
            const Flow sent = sends_all   ? sum_a
                              : fills_all ? sum_b
                                          : std::clamp<Flow>(static_cast<Flow>(whole), 1, most);
            masses.kept = sum_a - sent;
            masses.lacking = sum_b - sent;
            break;
        }
        // Totals that differ by less than the rounding to units.
        if (masses.kept < 0)
            *std::max_element(masses.supply.begin(), masses.supply.end()) -= std::exchange(masses.kept, 0);
        if (masses.lacking < 0)
            *std::max_element(masses.demand.begin(), masses.demand.end()) -= std::exchange(masses.lacking, 0);
        return masses;
    }

private:
    static constexpr std::size_t weights_between_looks = std::size_t(1) << 16;
    static double total(const double* w, std::size_t size) {
        if (w == nullptr) return 1.0;
        double sum = 0.0, lost = 0.0;  // Neumaier's compensated sum
        for (std::size_t i = 0; i < size; ++i) {
            const double next = sum + w[i];
            lost += std::fabs(sum) >= std::fabs(w[i]) ? (sum - next) + w[i] : (w[i] - next) + sum;
            sum = next;
        }
        return sum + lost;
    }

    static bool uniform(const double* w, std::size_t size) {
        if (w == nullptr) return true;
        for (std::size_t i = 1; i < size; ++i)
            if (w[i] != w[0]) return false;
        return true;
    }

    /// Weights in units of total / denominator. If `exact`, false unless every weight is a whole number of them.
    template <class Stop>
    static bool scale(const double* w, double sum, double denominator, bool exact, std::vector<Flow>& out,
                      Flow& rounded, Stop&& stop) {
        for (std::size_t i = 0; i < out.size(); ++i) {
            if (i % weights_between_looks == 0 && stop()) return true;
            const double x = (w == nullptr ? 1.0 / static_cast<double>(out.size()) : w[i] / sum) * denominator;
            const double whole = std::nearbyint(x);
            if (exact && std::fabs(x - whole) > 1e-15 * x) return false;
            out[i] = x > 0.0 ? std::max<Flow>(1, static_cast<Flow>(whole)) : 0;
            rounded += out[i];
        }
        return true;
    }
};

inline bool valid_weights(const double* a, std::size_t n, const double* b, std::size_t m, double rounding,
                          bool check_totals) {
    return IntegerMasses::valid(a, n, b, m, rounding, check_totals);
}

/// The flow that may be left with no way over allowed arcs because of rounding alone: that of the weights, as for their
/// totals, and that to units, by one per place. None where weights are whole numbers of units, which are far fewer
/// then.
inline Flow droppable(const Masses& masses, double rounding) {
    double all = 0.0;  // with slack
    for (const Flow units : masses.supply) all += static_cast<double>(units);
    if (all < 0.25 * full_mass) return 0;
    const std::size_t places = masses.supply.size() + masses.demand.size();
    const double share = total_tolerance(rounding, places) + static_cast<double>(places) / full_mass;
    const double moved = all - static_cast<double>(masses.kept) - static_cast<double>(masses.lacking);
    return static_cast<Flow>(std::min(share, 0.5) * moved);
}

template <class Stop = bool (*)()>
Masses integer_masses(const double* a, std::size_t n, const double* b, std::size_t m,
                      Stop&& stop = IntegerMasses::never) {
    return IntegerMasses::make(a, n, b, m, stop);
}

inline Masses partial_masses(const double* a, std::size_t n, const double* b, std::size_t m, double mass,
                             bool sends_all, bool fills_all) {
    return IntegerMasses::make_partial(a, n, b, m, mass, sends_all, fills_all);
}

}  // namespace monge
