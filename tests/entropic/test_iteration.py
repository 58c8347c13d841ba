"""The loop over passes, and the steps that it takes between them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from cases import sample

import monge
from monge.entropic import iteration, passes
from monge.entropic._steps import Steps
from monge.entropic.iteration import Schedule, iterate, memory_depth
from monge.entropic.kernels.native import NativePairs
from monge.entropic.kernels.reference import ReferencePairs, ReferenceSteps
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import KL, TV, Balanced
from monge.entropic.problem import Problem

DEMANDS = [Balanced(), KL(0.7), TV(0.3)]
EPS = 0.1


def both(n, m, rows, columns, depth=4, seed=0):
    """The same potentials in the core's steps and in the specified ones."""
    rng = np.random.default_rng(seed)
    a, b, f, g = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m)), rng.normal(size=n), rng.normal(size=m)
    if m > 1:
        a[1] = b[m // 2] = 0.0
    f, g = np.clip(f, -rows.cap, rows.cap), np.clip(g, -columns.cap, columns.cap)
    made = [kind(a, b, (rows, columns), f.copy(), g.copy(), depth) for kind in (Steps, ReferenceSteps)]
    passes_into(made, rng)
    return made, rng


def passes_into(made, rng, about=1.0):
    """What a pass may find, in both."""
    s = about * rng.normal(size=len(made[0].s))
    for steps in made:
        steps.s[:] = s


def assert_same(made, rtol=1e-12):
    core, right = made
    np.testing.assert_allclose(core.f, right.f, rtol=rtol, atol=1e-13)
    some = right.b > 0.0
    np.testing.assert_allclose(core.g[some], right.g[some], rtol=rtol, atol=1e-13)


@pytest.mark.parametrize("rows", DEMANDS, ids=str)
@pytest.mark.parametrize("columns", DEMANDS, ids=str)
@pytest.mark.parametrize("size", [1, 70])
class TestSteps:
    """Those of the core against their specification."""

    def test_measure(self, rows, columns, size):
        made, _ = both(50, size, rows, columns)
        np.testing.assert_allclose(*(steps.measure(EPS) for steps in made), rtol=1e-13)
        for bound in (-columns.cap, columns.cap):  # where TV takes any sum on one side of the weight
            if math.isfinite(bound):
                for steps in made:
                    steps.g[::2] = bound
                np.testing.assert_allclose(*(steps.measure(EPS) for steps in made), rtol=1e-13)

    def test_no_mass(self, rows, columns, size):
        made, _ = both(50, size, rows, columns)
        for steps in made:
            steps.s[:] = 1e6
        found, right = (steps.measure(EPS) for steps in made)
        assert found[:2] == right[:2] == (1.0, 0.0)

    def test_plain_step(self, rows, columns, size):
        made, _ = both(50, size, rows, columns)
        for steps in made:
            steps.advance(EPS)
        assert_same(made)

    def test_acceleration(self, rows, columns, size):
        # Through more steps than are remembered, and all ways to go back.
        made, rng = both(50, size, rows, columns, depth=min(4, size))
        further = []
        for k in range(12):
            passes_into(made, rng)
            done = [steps.accelerate(EPS, k in (0, 9)) for steps in made]
            further.append(done)
            assert_same(made, rtol=1e-9)
            if k == 6:
                for steps in made:
                    steps.shorten(0.25)
                assert_same(made, rtol=1e-9)
            if k == 7:
                for steps in made:
                    steps.take_back()
                assert_same(made, rtol=1e-9)
        if size > 1:  # changes of one column may be nothing but rounding
            assert further == [[k not in (0, 9)] * 2 for k in range(12)]

    def test_no_steps_are_left_after_they_are_forgotten(self, rows, columns, size):
        made, rng = both(50, size, rows, columns)
        for steps in made:
            steps.accelerate(EPS, False)
        passes_into(made, rng)
        for steps in made:
            steps.forget()
            assert not steps.accelerate(EPS, False)
        assert_same(made)

    def test_digits_are_kept(self, rows, columns, size):
        made, _ = both(50, size, rows, columns)
        before = made[0].g.copy()
        for steps in made:
            steps.keep_digits(EPS)
        np.testing.assert_array_equal(made[0].g, before)
        if size > 1:
            for steps in made:
                steps.g[0] = 1e30
                steps.keep_digits(EPS)
            assert_same(made)
            assert (made[0].g[0] < 1e30) == (rows.fixed and columns.fixed)


def test_equal_steps_are_no_reason_to_go_further():
    made, _ = both(20, 30, Balanced(), Balanced())
    for steps in made:
        for _ in range(3):  # the same potentials again
            steps.g[:] = 0.0
            steps.accelerate(EPS, False)
    assert_same(made)


def matrix_problem(marginals, tol=1e-9, max_iter=500):
    p = sample("gaussians_plane", 24)
    return Problem(monge.CostMatrix(p.cost), None, None, marginals, 0.05 * p.cost.mean(), tol, max_iter)


def looped(problem, pairs_kind, steps_kind):
    """The answer by the loop over these pairs and steps."""
    a, b, f, g = problem.inner_a, problem.inner_b, problem.f, problem.g
    pairs = pairs_kind(problem.cost, a, b, problem.marginals, Threads(1))
    steps = steps_kind(a, b, problem.marginals, f, g, memory_depth(problem.tol))
    found = iterate(pairs, steps, Schedule(pairs.size / 4.0, problem.eps, problem.tol, problem.max_iter))
    return problem.answer(passes.Outcome.of(found, 0.0, {}), 1)


class TestLoop:
    @pytest.mark.parametrize("marginals", [(Balanced(), Balanced()), (KL(0.3), KL(0.3)), (TV(0.2), KL(0.5))], ids=str)
    def test_whole_solve_agrees_with_the_reference(self, marginals):
        # The same loop, run over the reference and over compiled passes; and the core's, which takes fewer of them.
        kinds = itertools.product((ReferencePairs, NativePairs), (ReferenceSteps, Steps))
        plain, in_core, compiled_passes, compiled = (looped(matrix_problem(marginals), *kind) for kind in kinds)
        p = sample("gaussians_plane", 24)
        small = monge.sinkhorn(p.cost, eps=0.05 * p.cost.mean(), marginals=marginals, tol=1e-9, max_iter=500)
        for t in (plain, in_core, compiled_passes, compiled, small):
            assert t.converged
            assert t.value == pytest.approx(plain.value, abs=1e-9)
            assert np.abs(plain.plan.toarray() - t.plan.toarray()).sum() < 1e-7
        # Single precision comes first, and is then waited for to get no better.
        assert compiled.iterations <= plain.iterations + 15
        assert small.iterations <= plain.iterations

    def test_noise_floor(self):
        assert iteration.noise_floor(math.inf, 1.0) == math.inf
        assert iteration.noise_floor(1e-8, 1e-4) > 1e-4

    @pytest.mark.parametrize("rel", [0.05, 0.01, 0.001])
    def test_acceleration_pays(self, rel, in_loop):
        in_loop()
        # Plain passes from annealed potentials: 40, 190 and 2000.
        rng = np.random.default_rng(0)
        x, y = rng.random((400, 3)), rng.random((400, 3))
        mean = ((x[:, None] - y) ** 2).sum(-1).mean()
        t = monge.sinkhorn(monge.PointCloud(x, y), eps=rel * mean, tol=1e-3)
        assert t.iterations <= {0.05: 16, 0.01: 40, 0.001: 150}[rel]


class Scripted:
    """Pairs and steps in one, whose errors are written down: the loop sees numbers alone."""

    noise, skipped, patience, size = math.inf, 0.0, 3, 1.0

    def __init__(self, errors, complete=()):
        self.errors, self.complete, self.log = iter(errors), itertools.chain(complete, itertools.repeat(True)), []

    def run(self, steps, eps, single, complete):
        assert steps is self
        self.log.append(("run", eps, single, complete))
        return next(self.complete) or complete

    def measure(self, eps):
        return next(self.errors), 1.0, 0.0, 0.0

    def accelerate(self, eps, anew):
        self.log.append(("accelerate", anew))
        return False

    def __getattr__(self, name):
        def called(*args):
            self.log.append((name, *args))

        return called

    def called(self, name):
        return [entry[1:] for entry in self.log if entry[0] == name]


class TestDecisions:
    def test_eps_falls_by_factors_of_four(self):
        pairs = Scripted([1e-9] * 9)
        found = iterate(pairs, pairs, Schedule(20.0, 1.0, 1e-3, 100))
        assert found.converged
        assert [eps for eps, *_ in pairs.called("run")] == [16.0, 4.0, 1.0]
        assert pairs.called("advance") == [(16.0,), (4.0,)]

    def test_the_last_pass_is_at_the_eps_that_was_asked_for(self):
        pairs = Scripted([1.0] * 9)
        found = iterate(pairs, pairs, Schedule(20.0, 1.0, 1e-3, 5))
        assert not found.converged
        assert found.passes == 5
        assert [eps for eps, *_ in pairs.called("run")] == [16.0] * 4 + [1.0]
        assert pairs.called("run")[-1][2] is True
        assert found.errors == [1.0] * 5

    def test_an_incomplete_pass_is_not_believed(self):
        pairs = Scripted([1e-9] * 9, [True, False, False, True])
        found = iterate(pairs, pairs, Schedule(4.0, 1.0, 1e-3, 100))
        assert found.converged
        assert [complete for *_, complete in pairs.called("run")] == [False, False, True]

    def test_lists_are_made_anew_after_some_passes(self):
        pairs = Scripted([1.0] * 40, itertools.repeat(False))
        iterate(pairs, pairs, Schedule(1.0, 1.0, 1e-3, 35))
        complete = [k for k, (*_, complete) in enumerate(pairs.called("run")) if complete]
        assert complete == [15, 31, 34]

    def test_other_potentials_are_asked_for_once(self):
        told = []
        for errors in ([1.0] * 50, [0.49**k for k in range(50)]):  # the second are halved by each pass
            pairs = Scripted(errors)

            def restart(eps, pairs=pairs):
                told.append((eps, len(pairs.called("run"))))

            iterate(pairs, pairs, Schedule(1.0, 1.0, 1e-300, 50), restart=restart)
            assert told == [(1.0, 5)]  # after the first, and the three that there is patience for, and one more

    def test_reports(self):
        seen = []
        pairs = Scripted([0.5, 1e-9, 0.25, 1e-9])
        iterate(pairs, pairs, Schedule(4.0, 1.0, 1e-3, 100), lambda *args: seen.append(args))
        assert seen == [(0, 4.0, 0.0), (1, 4.0, 0.5), (2, 1.0, 1e-9), (3, 1.0, 0.25)]

    def test_single_precision_is_for_as_long_as_it_helps(self):
        # Its noise at eps = 1 is 1e-4 of the tolerance that is asked for in the end, 1e-6.
        pairs = Scripted([1e-2, 1.1e-5, 1e-5, 1e-7])
        pairs.noise = 1e-5
        found = iterate(pairs, pairs, Schedule(1.0, 1.0, 1e-6, 100))
        assert found.converged
        assert [single for _, single, _ in pairs.called("run")] == [True, True, True, False]
