// The start of the network simplex: estimates of the potentials, candidate lists, and a basis near the optimum.
//
//   coarse potentials   aggregate rows and columns into clusters found from the matrix alone, solve that problem
//   coherence           whether the matrix has the structure for it; else plain row and column minima
//   polish              a few entropic half steps on the lists
//   greedy              arcs by increasing reduced cost; what is left goes to the cheapest sink that is open
//
// How near the potentials come decides nearly everything: from plain minima, a squared Euclidean cost in the plane takes
// fifty times the pivots that it takes from aggregated costs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "arcs.hpp"
#include "masses.hpp"
#include "pricing.hpp"
#include "spanning_tree.hpp"

namespace monge {

constexpr std::size_t features = 8;            // entries that describe a row or a column
constexpr std::size_t coarsening = 10;         // places per cluster
constexpr std::size_t smallest_coarse = 100;   // longer sides are aggregated
constexpr std::size_t narrowest_coarse = 8;    // unless the shorter one is below this
constexpr std::size_t most_clusters = 2000;    // per side
constexpr double coherent = 0.7;               // coherence below this: aggregate
constexpr std::size_t short_list = 16;         // arcs per row to start from
constexpr std::size_t long_list = 32;          // arcs per row to polish on
constexpr std::size_t smallest_polish = 256;   // rows; below it pivots are cheaper
constexpr int polish_stages = 4, polish_steps = 5;
constexpr double polished = 0.15;              // keep the polish if its column error came below this

/// Clusters of the rows, or of the columns, of a matrix.
struct Clusters {
    std::vector<std::int32_t> of;         // cluster of each member
    std::vector<Node> representative;     // member that stands for each cluster
};

/// The same numbers on every platform: standard distributions are not portable, the engine is.
class Draw {
public:
    explicit Draw(std::uint32_t seed) : engine_(seed) {}
    std::size_t below(std::size_t n) { return static_cast<std::size_t>((static_cast<std::uint64_t>(engine_()) * n) >> 32); }
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
Clusters cluster(std::size_t members, std::size_t count, Draw& draw, Workers& workers, Monitor& monitor, Feature&& feature) {
    Clusters clusters{std::vector<std::int32_t>(members, 0), draw.sample(members, count)};
    std::vector<float> table(features * members);
    for (std::size_t t = 0; t < features; ++t)
        for (std::size_t i = 0; i < members; ++i) table[t * members + i] = static_cast<float>(feature(t, i));
    std::vector<float> centers(features * count);
    for (std::size_t t = 0; t < features; ++t)
        for (std::size_t r = 0; r < count; ++r) centers[t * count + r] = table[t * members + clusters.representative[r]];
    std::vector<std::vector<float>> distance(workers.count(), std::vector<float>(count));
    for_rows(members, count * features, workers, monitor, [&](std::size_t i, int worker) {
        float x[features];
        for (std::size_t t = 0; t < features; ++t) x[t] = table[t * members + i];
        float* d = distance[worker].data();
        point_kernels<float>().squared_euclidean(x, centers.data(), features, count, count, d);
        clusters.of[i] = static_cast<std::int32_t>(std::min_element(d, d + count) - d);
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
    for (std::size_t s = 0; s < samples; ++s) {
        const std::size_t i = draw.below(members), z = draw.below(members);
        const std::size_t r = clusters.representative[clusters.of[i]];
        if (i == r || i == z) continue;
        auto variance = [&](std::size_t other) {
            double sum = 0.0, squares = 0.0;
            for (std::size_t k = 0; k < entries; ++k) sum += cost(i, k) - cost(other, k);
            const double mean = sum / static_cast<double>(entries);
            for (std::size_t k = 0; k < entries; ++k) {
                const double x = cost(i, k) - cost(other, k) - mean;
                squares += x * x;
            }
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
    const std::size_t n = arcs.rows(), m = arcs.cols();
    if (std::max(n, m) < smallest_coarse || std::min(n, m) < narrowest_coarse || magnitude == 0.0) return false;
    coarse.magnitude = magnitude;
    auto clusters_for = [](std::size_t size) {
        return size < 32 ? size : std::clamp<std::size_t>(size / coarsening, 8, most_clusters);
    };
    Draw draw(20130);
    const auto feature_cols = draw.sample(m, features), feature_rows = draw.sample(n, features);
    auto by_row = [&](std::size_t t, std::size_t i) { return arcs.cost(i, feature_cols[t]) / magnitude; };
    auto by_col = [&](std::size_t t, std::size_t j) { return arcs.cost(feature_rows[t], j) / magnitude; };
    coarse.rows = cluster(n, clusters_for(n), draw, workers, monitor, by_row);
    coarse.cols = cluster(m, clusters_for(m), draw, workers, monitor, by_col);

    constexpr std::size_t entries = 64;
    const auto sample_cols = draw.sample(m, entries), sample_rows = draw.sample(n, entries);
    const double h = std::max(
        incoherence(coarse.rows, sample_cols.size(), draw, [&](std::size_t i, std::size_t k) { return arcs.cost(i, sample_cols[k]) / magnitude; }),
        incoherence(coarse.cols, sample_rows.size(), draw, [&](std::size_t j, std::size_t k) { return arcs.cost(sample_rows[k], j) / magnitude; }));
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
    std::vector<std::vector<double>> sums(workers.count(), std::vector<double>(m));
    workers.run(R, [&](std::size_t r, int worker) {
        if (worker == 0) monitor.check();
        if (monitor.stopped()) return;
        auto& sum = sums[worker];
        std::fill(sum.begin(), sum.end(), 0.0);
        for (const Node i : members[r]) kernels.add(arcs.row(i, scratch[worker].row.data()), m, sum.data());
        float* mean = coarse.row_mean.data() + r * m;
        double* cost = coarse.cost.data() + r * S;
        const double share = 1.0 / static_cast<double>(members[r].size());
        for (std::size_t j = 0; j < m; ++j) {
            mean[j] = static_cast<float>(sum[j] * share / magnitude);
            cost[coarse.cols.of[j]] += sum[j] * share;
        }
        for (std::size_t s = 0; s < S; ++s) cost[s] /= col_count[s];
    });
    coarse.supply.assign(R, 0);
    coarse.demand.assign(S, 0);
    for (std::size_t i = 0; i < n; ++i) coarse.supply[coarse.rows.of[i]] += supply[i];
    for (std::size_t j = 0; j < m; ++j) coarse.demand[coarse.cols.of[j]] += demand[j];
    return !monitor.stopped();
}

/// v_j = min_r (mean cost of cluster r to column j) - U_r: the c-transform of the coarse row potentials. Means over columns,
/// too, would give all columns of a cluster the same potential (3 to 7 times the pivots on grids and shifted clouds).
inline void prolong(const CoarseProblem& coarse, const SpanningTree& tree, std::vector<double>& v) {
    const std::size_t m = v.size();
    std::vector<double> unused(m);
    std::fill(v.begin(), v.end(), infinity);
    for (std::size_t r = 0; r < coarse.supply.size(); ++r)
        row_kernels<float>().column_minima(coarse.row_mean.data() + r * m, tree.row_potential(static_cast<Node>(r)) / coarse.magnitude,
                                           0.0, m, v.data(), unused.data());
    for (double& x : v) x *= coarse.magnitude;
}

/// u_i = min_j c_ij - v_j, then v_j = min_i c_ij - u_i. Feasible whatever v was.
template <class Arcs>
void c_transform(const Arcs& arcs, std::vector<double>& u, std::vector<double>& v,
                 std::vector<Scratch<typename Arcs::Scalar>>& scratch, Workers& workers, Monitor& monitor) {
    const auto& kernels = row_kernels<typename Arcs::Scalar>();
    ColumnMinima minima(arcs.cols(), workers.count());
    for_rows(arcs.rows(), arcs.cols(), workers, monitor, [&](std::size_t i, int worker) {
        const auto* c = arcs.row(i, scratch[worker].row.data());
        u[i] = kernels.minimum(c, v.data(), arcs.cols());
        double* values = minima.values(worker);
        kernels.column_minima(c, u[i], static_cast<double>(i), arcs.cols(), values, minima.rows(worker));
    });
    if (monitor.stopped()) return;
    minima.merge();
    for (std::size_t j = 0; j < v.size(); ++j) v[j] = minima.value(j);
}

/// Fills the lists with the k best arcs of each row at v and the best row of each column; u and v become feasible.
template <class Arcs>
void fill_lists(const Arcs& arcs, std::size_t k, std::vector<double>& u, std::vector<double>& v, CandidateLists& lists,
                std::vector<Scratch<typename Arcs::Scalar>>& scratch, Workers& workers, Monitor& monitor) {
    const auto& kernels = row_kernels<typename Arcs::Scalar>();
    ColumnMinima minima(arcs.cols(), workers.count());
    for_rows(arcs.rows(), arcs.cols(), workers, monitor, [&](std::size_t i, int worker) {
        u[i] = list_row(arcs, i, v.data(), k, lists, scratch[worker]);
        const auto* c = arcs.row(i, scratch[worker].row.data());
        double* values = minima.values(worker);
        kernels.column_minima(c, u[i], static_cast<double>(i), arcs.cols(), values, minima.rows(worker));
    });
    if (monitor.stopped()) return;
    minima.merge();
    for (std::size_t j = 0; j < v.size(); ++j) {
        v[j] = minima.value(j);
        const Node i = minima.row(j);
        if (i >= 0 && !lists.contains(i, static_cast<Node>(j))) lists.add(i, static_cast<Node>(j), arcs.cost(i, j));
    }
}

/// Sharpens v by Sinkhorn's iteration on the lists alone (Cuturi 2013, section 4), in float32, while eps falls. Leaves v
/// as it was and returns false if the columns did not come near their masses.
inline bool polish(const CandidateLists& lists, const std::vector<Flow>& supply, const std::vector<Flow>& demand,
                   double magnitude, std::vector<double>& v) {
    const std::size_t n = supply.size(), m = demand.size();
    // The lists once more, in float32 and filled up to a multiple of sixteen: costs above the least reduced cost of the
    // row, so that they are small numbers.
    std::size_t stride = 16;
    for (std::size_t i = 0; i < n; ++i) stride = std::max(stride, (lists.length(i) + 15) / 16 * 16);
    std::vector<Node> column(n * stride, 0);
    std::vector<float> cost(n * stride, std::numeric_limits<float>::infinity());
    std::vector<double> gaps;
    for (std::size_t i = 0; i < n; ++i) {
        double low = infinity, high = -infinity;
        for (std::size_t k = 0; k < lists.length(i); ++k) {
            const double r = lists.costs(i)[k] - v[lists.cols(i)[k]];
            low = std::min(low, r);
            high = std::max(high, r);
        }
        for (std::size_t k = 0; k < lists.length(i); ++k) {
            column[i * stride + k] = lists.cols(i)[k];
            cost[i * stride + k] = static_cast<float>((lists.costs(i)[k] - v[lists.cols(i)[k]] - low) / magnitude);
        }
        if (lists.length(i) > 1) gaps.push_back((high - low) / magnitude);
    }
    if (gaps.empty()) return false;
    // eps begins at a fraction of the median spread of a list.
    std::nth_element(gaps.begin(), gaps.begin() + gaps.size() / 2, gaps.end());
    double eps = 0.3 * gaps[gaps.size() / 2];
    if (!(eps > 1e-30)) return false;

    double total = 0.0;
    for (const auto units : supply) total += static_cast<double>(units);
    std::vector<float> wanted(m), received(m), room(stride), w(m, 0.0f);  // w: the change of v, over the magnitude
    for (std::size_t j = 0; j < m; ++j) wanted[j] = static_cast<float>(static_cast<double>(demand[j]) / total);
    double error = infinity;
    for (int stage = 0; stage < polish_stages; ++stage, eps *= 0.5) {
        const float scale = static_cast<float>(1.4426950408889634 / eps);  // to powers of two
        for (int step = 0; step < polish_steps; ++step) {
            std::fill(received.begin(), received.end(), 0.0f);
            for (std::size_t i = 0; i < n; ++i)
                if (lists.length(i) > 0)
                    list_kernels().sinkhorn_row(&column[i * stride], &cost[i * stride], lists.length(i), w.data(), scale,
                                                static_cast<float>(static_cast<double>(supply[i]) / total), room.data(),
                                                received.data());
            error = 0.0;
            for (std::size_t j = 0; j < m; ++j) {
                error += std::fabs(static_cast<double>(received[j]) - wanted[j]);
                // A column that received nothing moves by a bounded step.
                const double ratio = static_cast<double>(wanted[j]) / std::max(1e-30, static_cast<double>(received[j]));
                w[j] += static_cast<float>(eps * std::log(std::clamp(ratio, 1e-6, 1e6)));
            }
        }
    }
    if (!(error <= polished)) return false;
    for (std::size_t j = 0; j < m; ++j) v[j] += magnitude * static_cast<double>(w[j]);
    return true;
}

/// The c-transform over list arcs alone; keeps the `k` best arcs per row and the best one of each column.
inline void tighten(CandidateLists& lists, std::size_t k, std::vector<double>& u, std::vector<double>& v) {
    const std::size_t n = u.size(), m = v.size();
    std::vector<double> best(m, infinity), best_cost(m, 0.0);
    std::vector<Node> best_row(m, -1);
    for (std::size_t i = 0; i < n; ++i) {
        if (lists.length(i) == 0) continue;
        u[i] = infinity;
        for (std::size_t q = 0; q < lists.length(i); ++q) u[i] = std::min(u[i], lists.costs(i)[q] - v[lists.cols(i)[q]]);
        for (std::size_t q = 0; q < lists.length(i); ++q) {
            const Node j = lists.cols(i)[q];
            const double r = lists.costs(i)[q] - u[i];
            if (r < best[j]) {
                best[j] = r;
                best_row[j] = static_cast<Node>(i);
                best_cost[j] = lists.costs(i)[q];
            }
        }
    }
    for (std::size_t j = 0; j < m; ++j)
        if (best_row[j] >= 0) v[j] = best[j];
    for (std::size_t i = 0; i < n; ++i) lists.shrink(i, v.data(), k);
    for (std::size_t j = 0; j < m; ++j)
        if (best_row[j] >= 0 && !lists.contains(best_row[j], static_cast<Node>(j)))
            lists.add(best_row[j], static_cast<Node>(j), best_cost[j]);
}

/// A forest of arcs that carry flow, together a feasible plan. The arcs of `first` come first, in their order, then those of
/// the lists by increasing reduced cost; each takes what its ends can still send and receive. What is left over goes to the
/// cheapest column still open, over an arc that then joins the list; once the monitor says stop, to any that is open.
template <class Arcs>
std::vector<BasicArc> greedy(const Arcs& arcs, std::vector<Flow> supply, std::vector<Flow> demand,
                             const std::vector<double>& u, const std::vector<double>& v,
                             const std::vector<std::pair<Node, Node>>& first, CandidateLists& lists, Monitor& monitor) {
    struct Ranked {
        double reduced;
        Node i, position;
    };
    const std::size_t n = arcs.rows(), m = arcs.cols();
    std::vector<Ranked> order;
    order.reserve(lists.total());
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < lists.length(i); ++k)
            order.push_back({(lists.costs(i)[k] - v[lists.cols(i)[k]]) - u[i], static_cast<Node>(i), static_cast<Node>(k)});
    std::sort(order.begin(), order.end(), [](const Ranked& x, const Ranked& y) {
        return x.reduced < y.reduced || (x.reduced == y.reduced && (x.i < y.i || (x.i == y.i && x.position < y.position)));
    });
    std::vector<BasicArc> forest;
    forest.reserve(n + m);
    auto send = [&](Node i, Node j, double cost) {
        const Flow flow = std::min(supply[i], demand[j]);
        if (flow == 0) return;
        forest.push_back({i, j, flow, cost});
        supply[i] -= flow;
        demand[j] -= flow;
    };
    for (const auto& [i, j] : first) send(i, j, arcs.cost(i, j));
    for (const Ranked& arc : order) send(arc.i, lists.cols(arc.i)[arc.position], lists.costs(arc.i)[arc.position]);

    std::vector<Node> open;
    for (std::size_t j = 0; j < m; ++j)
        if (demand[j] > 0) open.push_back(static_cast<Node>(j));
    for (std::size_t i = 0; i < n; ++i) {
        while (supply[i] > 0) {
            std::size_t best = open.size() - 1;
            double least = infinity, best_cost = infinity;
            if (!monitor.check())
                for (std::size_t q = 0; q < open.size(); ++q) {
                    const double cost = arcs.cost(i, open[q]);
                    if (cost - v[open[q]] < least) {
                        least = cost - v[open[q]];
                        best = q;
                        best_cost = cost;
                    }
                }
            const Node j = open[best];
            if (least == infinity) best_cost = arcs.cost(i, j);
            send(static_cast<Node>(i), j, best_cost);
            if (least < infinity && !lists.contains(i, j)) lists.add(i, j, best_cost);
            if (demand[j] == 0) {
                open[best] = open.back();
                open.pop_back();
            }
        }
    }
    return forest;
}

/// Arcs in an order in which each is, when its turn comes, the last one left at one of its ends. Sending along a forest in
/// this order gives back the only flow it can carry. Arcs that close a cycle are left out.
inline std::vector<std::pair<Node, Node>> leaves_first(const std::vector<std::pair<Node, Node>>& arcs, std::size_t rows,
                                                       std::size_t cols) {
    std::vector<std::vector<std::uint32_t>> incident(rows + cols);
    for (std::size_t k = 0; k < arcs.size(); ++k) {
        incident[arcs[k].first].push_back(static_cast<std::uint32_t>(k));
        incident[rows + arcs[k].second].push_back(static_cast<std::uint32_t>(k));
    }
    std::vector<std::size_t> left(rows + cols), leaves;
    for (std::size_t x = 0; x < left.size(); ++x) {
        left[x] = incident[x].size();
        if (left[x] == 1) leaves.push_back(x);
    }
    std::vector<char> taken(arcs.size(), 0);
    std::vector<std::pair<Node, Node>> order;
    order.reserve(arcs.size());
    for (std::size_t at = 0; at < leaves.size(); ++at)
        for (const std::uint32_t k : incident[leaves[at]]) {
            if (taken[k]) continue;
            taken[k] = 1;
            order.push_back(arcs[k]);
            for (const std::size_t x : {static_cast<std::size_t>(arcs[k].first), rows + arcs[k].second})
                if (--left[x] == 1) leaves.push_back(x);
        }
    return order;
}

}  // namespace monge
