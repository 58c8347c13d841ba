// The aggregated problem: estimates of the potentials from the matrix alone.
//
// Rows and columns are gathered in clusters of like entries; masses are summed, costs averaged over pairs of clusters;
// that problem is solved; its row potentials are prolonged to the columns. Where the matrix has no structure to
// aggregate, as a test on samples tells, nothing is done.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "exact/arcs.hpp"
#include "exact/list_kernels.hpp"
#include "exact/masses.hpp"
#include "exact/row_passes.hpp"
#include "exact/spanning_tree.hpp"

namespace monge {

constexpr std::size_t features = 8;           // entries that describe a row or a column
constexpr std::size_t coarsening = 10;        // places per cluster
constexpr std::size_t smallest_coarse = 100;  // longer sides are aggregated
constexpr std::size_t narrowest_coarse = 8;   // unless the shorter one is below this
constexpr std::size_t most_clusters = 2000;   // per side
constexpr std::size_t fewest_clusters = 500;  // of a long side, however short the other one is
constexpr std::size_t long_side = 3000;       // shorter sides are done before a better start pays
constexpr double coherent = 0.7;              // coherence below this: aggregate

/// Clusters of the rows, or of the columns, of a matrix.
struct Clusters {
    std::vector<std::int32_t> of;      // cluster of each member
    std::vector<Node> representative;  // member that stands for each cluster
};

/// The same numbers on every platform: standard distributions are not portable, the engine is.
class Draw {
public:
    explicit Draw(std::uint32_t seed) : engine_(seed) {}
    std::size_t below(std::size_t n) {
        return static_cast<std::size_t>((static_cast<std::uint64_t>(engine_()) * n) >> 32);
    }
    /// `count` different numbers below n, in increasing order.
    std::vector<Node> sample(std::size_t n, std::size_t count) {
        std::vector<Node> chosen;
        for (std::size_t i = 0; i < n && chosen.size() < count; ++i)
            if (below(n - i) < count - chosen.size()) chosen.push_back(static_cast<Node>(i));
        return chosen;
    }

private:
    std::mt19937 engine_;
};

/// Each member joins the nearest of random representatives. feature(t, i): the t-th feature of member i.
template <class Feature>
Clusters cluster(std::size_t members, std::size_t count, Draw& draw, Workers& workers, Monitor& monitor,
                 Feature&& feature) {
    Clusters clusters{std::vector<std::int32_t>(members, 0), draw.sample(members, count)};
    std::vector<float> table(features * members);
    for (std::size_t t = 0; t < features; ++t)
        for (std::size_t i = 0; i < members; ++i) table[t * members + i] = static_cast<float>(feature(t, i));
    const std::size_t stride = (count + 15) / 16 * 16;
    std::vector<float> centers(features * stride, std::numeric_limits<float>::infinity());
    for (std::size_t t = 0; t < features; ++t)
        for (std::size_t r = 0; r < count; ++r)
            centers[t * stride + r] = table[t * members + clusters.representative[r]];
    for_rows(members, count, workers, monitor, [&](std::size_t i, int) {
        float x[features];
        for (std::size_t t = 0; t < features; ++t) x[t] = table[t * members + i];
        clusters.of[i] = static_cast<std::int32_t>(list_kernels().nearest(x, centers.data(), features, stride, count));
    });
    // Between representatives with the same features the first takes all: the others go.
    std::vector<std::int32_t> name(count, -1);
    for (const auto r : clusters.of) name[r] = 0;
    std::int32_t kept = 0;
    for (std::size_t r = 0; r < count; ++r)
        if (name[r] == 0) {
            clusters.representative[kept] = clusters.representative[r];
            name[r] = kept++;
        }
    clusters.representative.resize(kept);
    for (auto& r : clusters.of) r = name[r];
    return clusters;
}

/// var(C_i - C_r) / var(C_i - C_z) over sampled members i, their representatives r and random others z, on entries that
/// were not features; the median, which heavy-tailed costs do not mislead. cost(i, k): the k-th sampled entry of i.
template <class Cost>
double incoherence(const Clusters& clusters, std::size_t entries, Draw& draw, Cost&& cost) {
    std::vector<double> ratios;
    const std::size_t members = clusters.of.size(), samples = std::clamp<std::size_t>(members / 4, 64, 256);
    std::vector<double> own(entries), difference(entries);
    for (std::size_t s = 0; s < samples; ++s) {
        const std::size_t i = draw.below(members), z = draw.below(members);
        const std::size_t r = clusters.representative[clusters.of[i]];
        if (i == r || i == z) continue;
        for (std::size_t k = 0; k < entries; ++k) own[k] = cost(i, k);
        auto variance = [&](std::size_t other) {
            double sum = 0.0, squares = 0.0;
            for (std::size_t k = 0; k < entries; ++k) sum += difference[k] = own[k] - cost(other, k);
            const double mean = sum / static_cast<double>(entries);
            for (const double x : difference) squares += (x - mean) * (x - mean);
            return squares;
        };
        const double near = variance(r), far = variance(z);
        ratios.push_back(far > 0.0 ? near / far : 0.0);
    }
    if (ratios.empty()) return 0.0;
    std::nth_element(ratios.begin(), ratios.begin() + ratios.size() / 2, ratios.end());
    return ratios[ratios.size() / 2];
}

/// The aggregated problem: masses summed, costs averaged, over pairs of clusters.
struct CoarseProblem {
    Clusters rows, cols;
    std::vector<float> row_mean;  // (R, m), averaged over clusters of rows alone, over `magnitude`: prolongs potentials
    double magnitude;             // of the costs: float32 would overflow on 1e40
    std::vector<double> cost;     // (R, S)
    std::vector<Flow> supply, demand;
};

/// Returns false if the matrix is too small, or has no structure to aggregate. `magnitude`: of its largest entry.
template <class Arcs>
bool aggregate(const Arcs& arcs, double magnitude, const std::vector<Flow>& supply, const std::vector<Flow>& demand,
               std::vector<Scratch<typename Arcs::Scalar>>& scratch, Workers& workers, Monitor& monitor,
               CoarseProblem& coarse) {
    // Slack is like no place: it stays apart, and the aggregated problem has slack of its own.
    const std::size_t n = arcs.rows() - arcs.slack_row(), m = arcs.cols() - arcs.slack_col();
    if (std::max(n, m) < smallest_coarse || std::min(n, m) < narrowest_coarse || magnitude == 0.0) return false;
    coarse.magnitude = magnitude;
    // Next to a long side the shorter one keeps as many places as that has clusters: the potentials of a few hundred
    // columns should not be guessed from those of some dozens. More clusters than two for each of these tell nothing
    // new.
    const std::size_t shorter = std::min(n, m), longer = std::max(n, m);
    const std::size_t most = std::min(most_clusters, std::max(2 * shorter, fewest_clusters));
    auto clusters_for = [&](std::size_t size) {
        if (size < 32) return size;
        const std::size_t wanted = longer < long_side ? size / coarsening : std::min(size, longer / coarsening);
        return std::clamp<std::size_t>(wanted, 8, most);
    };
    Draw draw(20130);
    const auto feature_cols = draw.sample(m, features), feature_rows = draw.sample(n, features);
    auto by_row = [&](std::size_t t, std::size_t i) { return arcs.cost(i, feature_cols[t]) / magnitude; };
    auto by_col = [&](std::size_t t, std::size_t j) { return arcs.cost(feature_rows[t], j) / magnitude; };
    coarse.rows = cluster(n, clusters_for(n), draw, workers, monitor, by_row);
    coarse.cols = cluster(m, clusters_for(m), draw, workers, monitor, by_col);

    constexpr std::size_t entries = 64;
    const auto sample_cols = draw.sample(m, entries), sample_rows = draw.sample(n, entries);
    const double h =
        std::max(incoherence(coarse.rows, sample_cols.size(), draw,
                             [&](std::size_t i, std::size_t k) { return arcs.cost(i, sample_cols[k]) / magnitude; }),
                 incoherence(coarse.cols, sample_rows.size(), draw,
                             [&](std::size_t j, std::size_t k) { return arcs.cost(sample_rows[k], j) / magnitude; }));
    if (!(h < coherent) || monitor.stopped()) return false;

    const std::size_t R = coarse.rows.representative.size(), S = coarse.cols.representative.size();
    std::vector<std::vector<Node>> members(R);
    for (std::size_t i = 0; i < n; ++i) members[coarse.rows.of[i]].push_back(static_cast<Node>(i));
    std::vector<double> col_count(S, 0.0);
    for (const auto s : coarse.cols.of) ++col_count[s];
    coarse.cost.assign(R * S, 0.0);
    coarse.row_mean.resize(R * m);
    // One cluster of rows belongs to one worker: sums are taken in the same order whoever takes them.
    const auto& kernels = row_kernels<typename Arcs::Scalar>();
    auto average = [&](std::size_t r, const double* sum) {
        float* mean = coarse.row_mean.data() + r * m;
        double* cost = coarse.cost.data() + r * S;
        const double share = 1.0 / static_cast<double>(members[r].size());
        for (std::size_t j = 0; j < m; ++j) {
            mean[j] = static_cast<float>(sum[j] * share / magnitude);
            cost[coarse.cols.of[j]] += sum[j] * share;
        }
        for (std::size_t s = 0; s < S; ++s) cost[s] /= col_count[s];
    };
    if (longer > 4 * shorter && arcs.row(0, scratch[0].row.data()) == scratch[0].row.data()) {
        // Rows that are gathered from memory share its cache lines with their neighbours: better taken in their order,
        // while all sums wait. Each worker has its own clusters.
        std::vector<double> sums(R * m, 0.0);
        const std::size_t shares = static_cast<std::size_t>(workers.count());
        workers.run(shares, [&](std::size_t share, int worker) {
            for (std::size_t i = 0; i < n; ++i) {
                const std::size_t r = coarse.rows.of[i];
                if (r % shares != share) continue;
                if (worker == 0) monitor.check();
                if (monitor.stopped()) return;
                kernels.add(arcs.row(i, scratch[worker].row.data()), m, sums.data() + r * m);
            }
            for (std::size_t r = share; r < R; r += shares) average(r, sums.data() + r * m);
        });
    } else {
        std::vector<std::vector<double>> sums(workers.count(), std::vector<double>(m));
        workers.run(R, [&](std::size_t r, int worker) {
            if (worker == 0) monitor.check();
            if (monitor.stopped()) return;
            auto& sum = sums[worker];
            std::fill(sum.begin(), sum.end(), 0.0);
            for (const Node i : members[r]) kernels.add(arcs.row(i, scratch[worker].row.data()), m, sum.data());
            average(r, sum.data());
        });
    }
    coarse.supply.assign(R, 0);
    coarse.demand.assign(S, 0);
    coarse.supply.insert(coarse.supply.end(), supply.begin() + n, supply.end());
    coarse.demand.insert(coarse.demand.end(), demand.begin() + m, demand.end());
    for (std::size_t i = 0; i < n; ++i) coarse.supply[coarse.rows.of[i]] += supply[i];
    for (std::size_t j = 0; j < m; ++j) coarse.demand[coarse.cols.of[j]] += demand[j];
    return !monitor.stopped();
}

/// v_j = min_r (mean cost of cluster r to column j) - U_r: the c-transform of the coarse row potentials. Means over
/// columns, too, would give all columns of a cluster the same potential (3 to 7 times the pivots on grids and shifted
/// clouds).
inline void prolong(const CoarseProblem& coarse, const SpanningTree& tree, std::vector<double>& v) {
    const std::size_t m = coarse.cols.of.size(), R = coarse.rows.representative.size();
    std::vector<double> unused(m);
    std::fill(v.begin(), v.end(), infinity);
    for (std::size_t r = 0; r < R; ++r)
        row_kernels<float>().column_minima(coarse.row_mean.data() + r * m,
                                           tree.row_potential(static_cast<Node>(r)) / coarse.magnitude, 0.0, m,
                                           v.data(), unused.data());
    for (double& x : v) x *= coarse.magnitude;
    if (coarse.supply.size() > R) {
        const double most = -tree.row_potential(static_cast<Node>(R));
        for (double& x : v) x = std::min(x, most);
    }
    if (v.size() > m) v[m] = tree.col_potential(static_cast<Node>(coarse.cols.representative.size()));
}

}  // namespace monge
