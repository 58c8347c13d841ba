// Where to cut a circle, so that what is left is a problem on the line.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/control.hpp"
#include "common/unfilled.hpp"
#include "exact/masses.hpp"
#include "exact/univariate_walk.hpp"

namespace monge::univariate {

/// The best place to cut the circle.
///
/// Let X(s) and Y(s) be where the s-th unit of mass stands, continued over all turns: X(s + M) = X(s) + period. A shift
/// t pairs X(s) with Y(s + t), at the cost C(t) = sum_s h(X(s) - Y(s + t)), which is convex. Only the steps of Y tell
/// C(t + 1) from C(t), so a slope takes one pass over the points (Delon, Salomon, Sobolevski, section 4).
template <class H>
class Circle {
public:
    Circle(const Side& x, const Side& y, const H& h, double period, Monitor& monitor)
        : x_(x), y_(y), h_(h), period_(period), used_(x.size()) {
        for (std::size_t k = 0; k < x.size(); ++k) {
            if (k % steps_between_polls == 0 && monitor.check()) return;
            used_[k] = total_ += x.mass[k];
        }
    }

    /// The slopes of C on both sides of a shift, the shifts next to it where slopes change, and, where the shift
    /// itself is such a one, a place at which a row and a column end together.
    struct Slopes {
        double before, after;
        Flow previous, next;
        bool ends_meet = false;
        std::size_t row = 0, col = 0;  // the first with mass behind that place
        std::int64_t row_turn = 0, col_turn = 0;
    };

    /// The slopes at a shift that minimises C and at which ends meet.
    Slopes minimise(Monitor& monitor, std::int64_t& cuts) const {
        // No mass goes further than half a turn, so no more than all mass is shifted, either way.
        Flow low = -total_, high = total_, shift = 0;
        double slope_low = 0.0, slope_high = 0.0;
        bool interpolate = false;
        for (;;) {
            Slopes s = slopes(shift, monitor);
            ++cuts;
            if (monitor.check() || low >= high) return s;
            const Flow width = high - low;
            if (s.after < 0.0) {
                low = s.next, slope_low = s.after;
            } else if (s.before > 0.0) {
                high = s.previous, slope_high = s.before;
            } else if (s.ends_meet) {
                return s;
            } else {
                low = high = s.next;  // C is flat up to there
            }
            // Where the secant of the slopes vanishes, or the middle if the last step did not halve the bracket.
            interpolate = slope_low < 0.0 && slope_high > 0.0 && (!interpolate || high - low <= width / 2);
            const double share = interpolate ? slope_low / (slope_low - slope_high) : 0.5;
            shift = low >= high ? low
                                : low + std::clamp<Flow>(static_cast<Flow>(static_cast<double>(high - low) * share), 0,
                                                         high - low);
        }
    }

private:
    Slopes slopes(Flow shift, Monitor& monitor) const {
        const std::size_t n = x_.size(), m = y_.size();
        Sum before, after;
        Slopes s{0.0, 0.0, shift - 2 * total_, shift + 2 * total_};
        Flow unit = y_.mass[0] - shift;  // the last unit of X that is paired with y_j
        std::int64_t turn = (unit - 1) / total_ - ((unit - 1) % total_ < 0);
        std::size_t i = std::lower_bound(used_.begin(), used_.end(), unit - turn * total_) - used_.begin();
        Flow base = turn * total_;
        for (std::size_t j = 0; j < m; unit += y_.mass[++j == m ? 0 : j]) {
            if (j % steps_between_polls == 0 && monitor.check()) break;
            while (used_[i] + base < unit)
                if (++i == n) i = 0, base += total_, ++turn;
            std::size_t behind = i;
            std::int64_t behind_turn = turn;
            Flow behind_base = base;
            while (used_[behind] + behind_base <= unit)
                if (++behind == n) behind = 0, behind_base += total_, ++behind_turn;
            const bool ends = behind != i || behind_turn != turn;  // x_i is used up at this unit
            const bool wraps = j + 1 == m;
            const double from = y_.at[j], to = wraps ? y_.at[0] + period_ : y_.at[j + 1];
            auto rise = [&](double at) { return h_.rise(at - from, at - to, from - to); };
            const double rise_after = rise(x_.at[i] + static_cast<double>(turn) * period_);
            after.add(rise_after);
            before.add(ends ? rise(x_.at[behind] + static_cast<double>(behind_turn) * period_) : rise_after);
            s.next = std::min(s.next, shift + (unit - (used_[i] + base - x_.mass[i])));
            s.previous = std::max(s.previous, shift - (used_[behind] + behind_base - unit));
            if (ends && y_.mass[wraps ? 0 : j + 1] > 0) {
                s.ends_meet = true;
                s.row = behind, s.row_turn = behind_turn;
                s.col = wraps ? 0 : j + 1, s.col_turn = wraps ? 1 : 0;
            }
        }
        s.before = before.value();
        s.after = after.value();
        return s;
    }

    const Side &x_, &y_;
    const H& h_;
    const double period_;
    Unfilled<Flow> used_;  // mass up to and with the i-th point
    Flow total_ = 0;
};

}  // namespace monge::univariate
