"""Sinkhorn's algorithm, written once.

maximise  phi_a(f) + phi_b(g) - eps sum_ij a_i b_j exp((f_i + g_j - C_ij) / eps)

where phi is the concave conjugate of each side's demand: <a, f> for a balanced one, rho <a, 1 - exp(-f / rho)> for
KL(rho), <a, min(f, rho)> with f >= -rho for TV(rho). One pass of a kernel maximises in f for the given g and returns
the softmin s that would be the next g of a balanced problem. It costs one exponential per pair, and yields the
marginals of the plan at (f, g) on the way: those of the rows are right by construction, those of the columns are
b exp((g - s) / eps). So the stopping test is free, and it is the truth about the potentials that are returned.

`iterate` is a generator: it yields whenever it wants a pass. This keeps the loop apart from kernels, threads and
progress bars. The functions below it, which say what happens between passes, exist in the C++ core too (`loop`).

- eps is annealed (Kosowsky and Yuille 1994): from a share of the size of the costs, by factors of four.
- Anderson acceleration of type II (Walker and Ni 2011, section 2) of the map g -> next g. A step that lowers the dual
  without halving the error is shortened, then taken back.
- KL demands are translated to the best common shift f + t, g - t after each half step (Sejourne, Vialard and Peyre
  2022, "Faster unbalanced optimal transport: translation invariant Sinkhorn", section 3), which is where plain
  iterations lose their time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = [
    "ANNEAL", "COMPLETE", "CONVERGED", "DUAL", "EPS", "ERROR", "PASSES", "START", "STATUS",
    "extrapolate", "iterate", "measure", "noise_floor", "plain_step", "translation",
]  # fmt: skip

# Places in `outcome`.
STATUS, PASSES, ERROR, DUAL, EPS, COMPLETE = range(6)
CONVERGED = 1.0

# Share of the size of the costs where eps starts: above it the plan is next to the product of the weights. And the
# factor between values of eps; 8 is as good.
START, ANNEAL = 1 / 4, 4.0
# Marginal error at which an eps that is not the last has done its work.
_STAGE_ERROR = 0.03
# Steps that acceleration looks back on, and below which tolerance it looks further: more than 8 help only there.
_MEMORY, _LONG_MEMORY, _PRECISE = 8, 20, 1e-5
# In units of eps. One pass tells little about changes beyond this, where the plan changes by a factor of 3e4.
_TRUSTED_RESIDUAL = 10.0
# How far, in units of eps, acceleration may go beyond the plain step in any column.
_LONGEST_STEP = 40.0
# A step that lowers the dual is shortened by this factor, so often, before it is taken back.
_SHORTEN, _SHORTER = 0.25, 1
# One taken back after the other is followed by plain steps, twice as many each time, at most 2 to the power of this.
_LONGEST_PAUSE = 5
# Added to the unit diagonal of the least squares problem: in its directions below this there is only noise.
_RIDGE = 1e-13
# Single precision that adds more than this to the error is no help.
_NOISY = 0.01
# Noise over eps from which single precision will do for the value too: the mass, which enters it times eps, is off by
# 3e-7, and noise is 5e-8 of the largest cost. So this is where eps is some thirty times as large.
_SINGLE_MASS = 1.5e-9
# Single precision is given up after so many passes without progress.
_PATIENCE = 15
# In units of eps, how far potentials may be from their median where an eps starts: further ones have too few digits.
_FARTHEST = 1e11
# Passes that may go by what an earlier one found to matter, before that is looked at anew.
_REFRESH = 15
# Masses that agree so far are equal but for rounding, which a large rho would turn into a shift that means nothing.
_SAME_MASS = 1e-14


def iterate(
    a: Any,
    b: Any,
    kl_a: float,
    cap_a: float,
    kl_b: float,
    cap_b: float,
    eps_last: float,
    eps_first: float,
    tol: float,
    max_iter: int,
    noise: float,
    skipped: float,
    f: Any,
    g: Any,
    s: Any,
    history: Any,
    outcome: Any,
) -> Iterator[tuple[float, bool, bool]]:
    """Yields (eps, single, sure) when it wants f (n,) and s (m,) filled in for g (m,).

    `single` says whether single precision will do. If not `sure`, the pass may leave out pairs that mattered little in
    an earlier one; who runs it sets outcome[COMPLETE] to zero then, else to one. Only the error of a complete pass ends
    a stage.

    At the end f and g are potentials at eps_last and `outcome` holds STATUS, PASSES, ERROR, DUAL; `history` the error
    of each pass, as far as it reaches. Weights a, b are those of the kernel; single precision adds up to about
    noise / eps to the error, and complete passes leave out up to `skipped`. g holds the start; f, g, s, history and
    outcome are modified in place.
    """
    m = len(b)
    translate = (kl_a < np.inf or kl_b < np.inf) and cap_a == np.inf and cap_b == np.inf
    depth = _LONG_MEMORY if tol < _PRECISE else _MEMORY
    memory = np.empty((2 * depth + 3, m))
    gram = np.zeros((2 * depth + 2, depth))
    safe = np.zeros(m)

    eps = eps_last
    while eps * ANNEAL <= eps_first:
        eps *= ANNEAL
    passes = 0
    outcome[STATUS], outcome[COMPLETE] = 0.0, 1.0
    while True:
        # The last pass that is allowed is made at the eps that was asked for.
        final = eps <= eps_last or passes + 1 >= max_iter
        if final:
            eps = eps_last
        goal = (tol if final else max(_STAGE_ERROR, tol)) - skipped
        floor = noise_floor(noise, eps)
        # Single precision will do where its noise is no more than half of what is asked for; else for most of the way:
        # a pass in double precision tells whether it was all of it.
        enough = goal > 2.0 * floor
        single = (enough or floor < _NOISY) and _SINGLE_MASS * eps < noise
        enough = enough and single
        stop = goal - floor if enough else max(0.9 * goal, floor)
        if not (kl_a < np.inf or kl_b < np.inf or cap_a < np.inf or cap_b < np.inf):
            _keep_digits(b, eps, g)
        taken, accelerated, shorter, refused, pause = 0, False, 0, 0, 0
        safe_dual, safe_error, best, waiting = -np.inf, np.inf, np.inf, 0
        sure, unsure = False, 0
        while True:
            yield eps, single, sure or passes + 1 >= max_iter
            passes += 1
            unsure = 0 if outcome[COMPLETE] > 0.0 else unsure + 1
            error, mass, value_a, value_b = measure(a, b, kl_a, cap_a, kl_b, cap_b, eps, f, g, s)
            dual = value_a + value_b + eps * (1.0 - mass)
            if passes <= len(history):
                history[passes - 1] = error
            outcome[PASSES], outcome[ERROR], outcome[DUAL], outcome[EPS] = passes, error, dual, eps
            done = error <= (stop if single else goal) and (enough or not single)
            if done and unsure > 0 and passes < max_iter:
                sure = True
                continue  # the same potentials again, with all pairs
            sure = unsure >= _REFRESH
            if final and done:
                outcome[STATUS] = CONVERGED
                return
            if passes >= max_iter:
                return
            if done or (not final and passes + 1 >= max_iter):
                break
            waiting = waiting + 1 if error > 0.9 * best else 0
            best = min(best, error)
            if single and (error <= stop or (waiting > _PATIENCE and error < 0.1)):
                single, taken, accelerated, shorter = False, 0, False, 0
                safe_dual, safe_error, best, waiting = -np.inf, np.inf, np.inf, 0
                continue  # the same potentials again, in double precision

            slack = eps * mass * (floor + 1e-6) if single else 1e-12 * (abs(value_a) + abs(value_b) + eps * mass)
            if accelerated and not (dual >= safe_dual - slack or error <= 0.5 * safe_error):
                shorter += 1
                if shorter <= _SHORTER:
                    g[:] = safe + _SHORTEN * (g - safe)
                else:  # the changes are forgotten, but not the step they led away from
                    g[:] = safe
                    taken, accelerated, shorter = 1, False, 0
                    pause = 2 ** min(refused, _LONGEST_PAUSE) - 1
                    refused += 1
                continue
            if accelerated:
                refused = 0
            shorter = 0
            plain_step(a, b, kl_a, kl_b, cap_b, eps, translate, f, g, s, safe)
            safe_dual, safe_error = dual, error
            taken = taken if pause == 0 else 0
            pause = max(pause - 1, 0)
            accelerated = extrapolate(b, cap_b, eps, taken, safe, g, memory, gram)
            taken += 1
        # The plain step of the last potentials starts the next eps.
        plain_step(a, b, kl_a, kl_b, cap_b, eps, translate, f, g, s, g)
        eps = max(eps / ANNEAL, eps_last)


def _keep_digits(b: Any, eps: float, g: Any) -> None:
    """Brings potentials that are too far from the others for eps to count beside them as near as it does.

    That is where mass of an outlier goes to another one: f_i + g_j says how, but f_i and g_j may be of any size.
    """
    if g.max() - g.min() <= _FARTHEST * eps:
        return
    known = g[b > 0.0]
    if known.size and known.max() - known.min() > _FARTHEST * eps:
        middle = np.median(known)
        np.clip(g, middle - _FARTHEST * eps, middle + _FARTHEST * eps, out=g)


def noise_floor(noise: float, eps: float) -> float:
    """What single precision adds to the error: by its sums and its exponential, and by what it knows of the costs."""
    return 3e-7 + noise / eps


def measure(
    a: Any, b: Any, kl_a: float, cap_a: float, kl_b: float, cap_b: float, eps: float, f: Any, g: Any, s: Any
) -> tuple[float, float, float, float]:
    """The plan at (f, g): the error of its columns, its mass, and what f and g add to the dual value.

    The error is that of the column sums against those that g calls for, b exp(-g / kl); where g is at a bound, TV takes
    any column sum on one side of the weight.
    """
    mass, error, value_a, value_b = 0.0, 0.0, 0.0, 0.0
    for i in range(len(a)):
        if a[i] > 0.0:
            value_a += a[i] * (-kl_a * np.expm1(-f[i] / kl_a) if kl_a < np.inf else min(f[i], cap_a))
    for j in range(len(b)):
        if b[j] > 0.0:
            column = b[j] * np.exp((g[j] - s[j]) / eps)
            wanted = b[j] * np.exp(-g[j] / kl_b) if kl_b < np.inf else b[j]
            mass += column
            if not ((g[j] >= cap_b and column <= wanted) or (g[j] <= -cap_b and column >= wanted)):
                error += abs(column - wanted)
            value_b += b[j] * (-kl_b * np.expm1(-g[j] / kl_b) if kl_b < np.inf else min(g[j], cap_b))
    error = error / mass if mass > 0.0 else 1.0 if error > 0.0 else 0.0
    return error, mass, value_a, value_b


def plain_step(
    a: Any,
    b: Any,
    kl_a: float,
    kl_b: float,
    cap_b: float,
    eps: float,
    translate: bool,
    f: Any,
    g: Any,
    s: Any,
    out: Any,
) -> None:
    """out (m,) = the best g for this f, translated before and after; f takes part in the first translation."""
    damp = 1.0 / (1.0 + eps / kl_b)
    shift = translation(a, b, f, g, kl_a, kl_b) if translate else 0.0
    for j in range(len(b)):
        out[j] = min(max(damp * (s[j] - shift), -cap_b), cap_b) if b[j] > 0.0 else 0.0
    if translate:
        for i in range(len(f)):
            f[i] += shift
        shift = translation(a, b, f, out, kl_a, kl_b)
        for j in range(len(b)):
            out[j] -= shift


def extrapolate(b: Any, cap_b: float, eps: float, taken: Any, plain: Any, g: Any, memory: Any, gram: Any) -> bool:
    """g (m,) = Anderson's combination of this and the last plain steps; False if it is just the plain one.

    `taken` counts the steps since the memory was cleared. The rows of `memory` hold the changes of the residual, those
    of the plain steps, then the last residual, the last plain step, and the residual; residuals are in units of eps.
    Least squares in the norm of the weights, by Cholesky's factorisation of the normal equations scaled to a unit
    diagonal, all in `gram`: products, the factor, the scaling, the solution.
    """
    m = len(b)
    residual, last_residual, last_plain = memory[-1], memory[-3], memory[-2]
    depth = gram.shape[1]
    newest = (taken - 1) % depth
    known = min(taken, depth)
    longest = _LONGEST_STEP * eps
    for j in range(m):
        residual[j] = min(max((plain[j] - g[j]) / eps, -_TRUSTED_RESIDUAL), _TRUSTED_RESIDUAL) if b[j] > 0.0 else 0.0
    if known > 0:
        change_residual, change_plain = memory[newest], memory[depth + newest]
        for j in range(m):
            change_residual[j] = residual[j] - last_residual[j]
            change_plain[j] = plain[j] - last_plain[j]
    for j in range(m):
        last_residual[j], last_plain[j], g[j] = residual[j], plain[j], plain[j]
    if known == 0:
        return False

    factor, scaling, weight = gram[depth:-2], gram[-2], gram[-1]
    for p in range(known):
        old, new = memory[p], memory[newest]
        product, against = 0.0, 0.0
        for j in range(m):
            product += b[j] * old[j] * new[j]
            against += b[j] * old[j] * residual[j]
        gram[newest, p] = gram[p, newest] = product
        weight[p] = against
    for p in range(known):
        if not gram[p, p] > 0.0:
            return False
        scaling[p] = 1.0 / np.sqrt(gram[p, p])
        for q in range(p):
            entry = gram[p, q] * scaling[p] * scaling[q]
            for r in range(q):
                entry -= factor[p, r] * factor[q, r]
            factor[p, q] = entry / factor[q, q]
        entry = 1.0 + _RIDGE
        for r in range(p):
            entry -= factor[p, r] * factor[p, r]
        factor[p, p] = np.sqrt(max(entry, _RIDGE))
        weight[p] *= scaling[p]
        for q in range(p):
            weight[p] -= factor[p, q] * weight[q]
        weight[p] /= factor[p, p]
    for back in range(known):
        p = known - 1 - back
        for q in range(p + 1, known):
            weight[p] -= factor[q, p] * weight[q]
        weight[p] /= factor[p, p]
    for p in range(known):
        change, amount = memory[depth + p], weight[p] * scaling[p]
        for j in range(m):
            g[j] -= amount * change[j]
    for j in range(m):
        step = min(max(g[j] - plain[j], -longest), longest)
        g[j] = min(max(plain[j] + step, -cap_b), cap_b)
    return True


def translation(a: Any, b: Any, f: Any, g: Any, kl_a: float, kl_b: float) -> float:
    """The t for which f + t, g - t have the largest dual value: sum a exp(-f / kl_a) = sum b exp(-g / kl_b) there."""
    low_f, low_g, sum_a, sum_b = np.inf, np.inf, 0.0, 0.0
    for i in range(len(f)):
        low_f = min(low_f, f[i] if a[i] > 0.0 else np.inf)
    for j in range(len(g)):
        low_g = min(low_g, g[j] if b[j] > 0.0 else np.inf)
    for i in range(len(f)):
        sum_a += a[i] * np.exp(min(low_f - f[i], 0.0) / kl_a)
    for j in range(len(g)):
        sum_b += b[j] * np.exp(min(low_g - g[j], 0.0) / kl_b)
    difference = np.log(sum_a / sum_b) - low_f / kl_a + low_g / kl_b
    return float(difference / (1.0 / kl_a + 1.0 / kl_b)) if abs(difference) > _SAME_MASS else 0.0
