// The inner loops of the exact solver against naive ones, for the instruction set in use.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <type_traits>
#include <vector>

#include "checks.hpp"
#include "exact/list_kernels.hpp"
#include "exact/padded_kernels.hpp"
#include "exact/row_kernels.hpp"

namespace {

/// Every loop of this instruction set against a naive one, on lengths around all vector widths.
template <class T>
void row_kernels() {
    where = std::is_same<T, float>::value ? "row kernels, float" : "row kernels, double";
    const auto& kernels = monge::row_kernels<T>();
    Random random(11);
    for (const bool ties : {false, true})
        for (const bool holes : {false, true})
            for (const std::size_t m :
                 {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 111, 112, 113, 127, 224, 1000, 1117}) {
                // Exactly as long as promised: the sanitizer sees a read beyond the end.
                std::vector<T> c(m);
                std::vector<double> v(m);
                for (T& x : c)
                    x = static_cast<T>(holes && random.below(5) == 0 ? inf : ties ? random.below(3) : random.uniform());
                for (double& x : v) x = ties ? random.below(3) : random.uniform() - 0.5;
                auto reduced = [&](std::size_t j) { return static_cast<double>(c[j]) - v[j]; };

                monge::CostRange range{inf, -inf, false, false};
                kernels.scan(c.data(), m, &range);
                double low = inf, high = -inf, least = inf;
                bool infinite = false;
                for (std::size_t j = 0; j < m; ++j) {
                    infinite |= static_cast<double>(c[j]) == inf;
                    if (std::isfinite(c[j]))
                        low = std::min(low, static_cast<double>(c[j])),
                        high = std::max(high, static_cast<double>(c[j]));
                    least = std::min(least, reduced(j));
                }
                CHECK(range.lowest == low && range.highest == high);
                CHECK(range.has_infinity == infinite && !range.has_invalid);
                for (const T bad : {static_cast<T>(std::nan("")), static_cast<T>(-inf)}) {
                    if (m == 0) continue;
                    std::vector<T> spoilt(c);
                    spoilt[static_cast<std::size_t>(random.below(static_cast<int>(m)))] = bad;
                    monge::CostRange found{inf, -inf, false, false};
                    kernels.scan(spoilt.data(), m, &found);
                    CHECK(found.has_invalid);
                }

                CHECK(kernels.minimum(c.data(), v.data(), m) == least);

                std::vector<double> minima((m + monge::stretch - 1) / monge::stretch, inf), found_minima(minima.size());
                for (std::size_t j = 0; j < m; ++j)
                    minima[j / monge::stretch] = std::min(minima[j / monge::stretch], reduced(j));
                CHECK(kernels.stretch_minima(c.data(), v.data(), m, found_minima.data()) == least);
                CHECK(found_minima == minima);

                std::vector<double> best(m), arg(m, -1.0);
                for (double& x : best) x = random.below(3) == 0 ? inf : random.uniform();
                std::vector<double> expected_best(best), expected_arg(arg);
                for (std::size_t j = 0; j < m; ++j)
                    if (static_cast<double>(c[j]) - 0.25 < best[j]) {
                        expected_best[j] = static_cast<double>(c[j]) - 0.25;
                        expected_arg[j] = 42.0;
                    }
                kernels.column_minima(c.data(), 0.25, 42.0, m, best.data(), arg.data());
                CHECK(best == expected_best && arg == expected_arg);

                for (const double bound : {-inf, 0.0, 0.3, 1.0, inf}) {
                    std::vector<std::int32_t> out(m + 1), expected;
                    for (std::size_t j = 0; j < m; ++j)
                        if (reduced(j) < bound) expected.push_back(static_cast<std::int32_t>(j));
                    const std::size_t found = kernels.below(c.data(), v.data(), m, bound, out.data());
                    out.resize(found);
                    CHECK(out == expected);
                }

                for (const std::size_t k : {1, 2, 16, 32, 112, 113}) {
                    if (k > m) continue;
                    std::fill(found_minima.begin(), found_minima.end(), 0.0);
                    const double bound = kernels.kth_bound(c.data(), v.data(), m, k, found_minima.data());
                    CHECK(found_minima == minima);
                    std::size_t reach = 0;
                    for (std::size_t j = 0; j < m; ++j) reach += reduced(j) <= bound;
                    CHECK(reach >= k);
                    // Useful, too: on random costs hardly more than asked for reach it.
                    if (m >= 1000 && k <= 16 && !ties) CHECK(reach <= 4 * k);
                }

                std::vector<double> sums(m), expected_sums(m);
                for (std::size_t j = 0; j < m; ++j) {
                    sums[j] = random.uniform();
                    expected_sums[j] = sums[j] + static_cast<double>(c[j]);
                }
                kernels.add(c.data(), m, sums.data());
                CHECK(sums == expected_sums);
            }
}

void list_kernels() {
    where = "list kernels";
    const auto& kernels = monge::list_kernels();
    Random random(12);
    for (std::size_t length = 1; length < 140; ++length) {
        std::vector<std::int32_t> column(length);
        std::vector<std::int32_t> block(50);
        std::vector<double> cost(length), part(50), add(6);
        for (auto& j : column) j = random.below(50);
        for (auto& k : block) k = random.below(6);
        for (double& x : cost) x = random.below(8);
        for (double& x : part) x = random.below(4);
        for (double& x : add) x = random.below(4) - 2;
        std::size_t at = 0;
        double best = inf;
        for (std::size_t k = 0; k < cost.size(); ++k)
            if (cost[k] + (part[column[k]] + add[block[column[k]]]) < best)
                best = cost[k] + (part[column[k]] + add[block[column[k]]]), at = k;
        double value = 0.0;
        CHECK(kernels.cheapest(column.data(), cost.data(), cost.size(), part.data(), block.data(), add.data(),
                               &value) == at);
        CHECK(value == best);

        // Shares of a Sinkhorn step, on a list that is filled up with forbidden arcs.
        const std::size_t filled = (length + 15) / 16 * 16;
        std::vector<std::int32_t> columns(filled, 0);
        std::vector<float> costs(filled, std::numeric_limits<float>::infinity()), w(50), room(filled),
            received(50, 0.0f);
        for (float& x : w) x = static_cast<float>(random.uniform());
        std::vector<double> exponent, expected(50, 0.0);
        const float scale = 20.0f;
        for (std::size_t k = 0; k < length; ++k) {
            columns[k] = column[k];
            costs[k] = static_cast<float>(random.uniform());
            exponent.push_back(static_cast<double>(scale) *
                               (static_cast<double>(w[columns[k]]) - static_cast<double>(costs[k])));
        }
        const double top = *std::max_element(exponent.begin(), exponent.end());
        double sum = 0.0;
        for (const double x : exponent) sum += std::exp2(x - top);
        for (std::size_t k = 0; k < length; ++k) expected[columns[k]] += 3.0 * std::exp2(exponent[k] - top) / sum;
        kernels.sinkhorn_row(columns.data(), costs.data(), length, w.data(), scale, 3.0f, room.data(), received.data());
        bool close = true;
        // 2e-7 of the polynomial, float32 sums, and exponents up to 40 of which float32 resolves 2e-6.
        for (std::size_t j = 0; j < expected.size(); ++j)
            close &= std::fabs(received[j] - expected[j]) <= 1e-5 * expected[j] + 1e-30;
        CHECK(close);
    }
}

void padded_kernels() {
    where = "padded kernels";
    const auto& kernels = monge::padded_kernels();
    Random random(13);
    for (int round = 0; round < 200; ++round) {
        const std::size_t m = 8 * static_cast<std::size_t>(1 + random.below(12)),
                          filled = m - static_cast<std::size_t>(random.below(8));
        std::vector<double> c(m, inf), y(m, 0.0), before(m);
        for (std::size_t j = 0; j < filled; ++j) c[j] = random.below(6), y[j] = random.below(3);
        std::size_t best = 0;
        for (std::size_t j = 1; j < filled; ++j)
            if (c[j] + y[j] < c[best] + y[best]) best = j;
        double value = 0.0;
        CHECK(kernels.cheapest(c.data(), y.data(), m, &value) == best);
        CHECK(value == c[best] + y[best]);

        std::vector<std::uint64_t> set((m + 63) / 64, 0);
        for (double& x : before) x = random.uniform();
        std::vector<double> after = before;
        for (std::size_t j = 0; j < m; ++j)
            if (random.below(2) == 0) set[j / 64] |= std::uint64_t(1) << (j % 64);
        kernels.shift(set.data(), m, after.data(), 0.25);
        bool right = true;
        for (std::size_t j = 0; j < m; ++j)
            right &= after[j] == before[j] + ((set[j / 64] >> (j % 64) & 1) != 0 ? 0.25 : 0.0);
        CHECK(right);
    }
}

}  // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IONBF, 0);  // what was printed before a crash should be seen
    row_kernels<float>();
    row_kernels<double>();
    list_kernels();
    padded_kernels();
    return verdict();
}
