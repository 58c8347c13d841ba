# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/exact/univariate.hpp: allocate, drop the GIL, map the status. Nothing else."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

import numpy as np


cdef extern from "common/control.hpp" namespace "monge" nogil:
    cdef enum class Status(int):
        optimal
        out_of_memory

    cdef struct Progress:
        int64_t pivots

    cdef struct Options:
        int threads
        cbool (*poll)(void*, const Progress&) noexcept nogil
        void* context


cdef extern from "exact/univariate.hpp" namespace "monge" nogil:
    cdef struct UnivariateProblem:
        const double* x
        const double* y
        const uint64_t* x_order
        const uint64_t* y_order
        size_t n, m
        const double* a
        const double* b
        double p, unit, period

    cdef struct UnivariatePlan:
        double* f
        double* g
        int64_t* rows
        int64_t* cols
        double* mass
        size_t entries

    cdef struct UnivariateSolution:
        Status status
        double cost, mass, reach, gap
        int64_t cuts, checks
        double seconds_sort, seconds_total

    UnivariateSolution solve "monge::solve"(const UnivariateProblem&, const Options&, UnivariatePlan*)
    Status sort "monge::sort"(const double*, size_t, const Options&, uint64_t*)
    Status solve_all "monge::solve_all"(const UnivariateProblem*, size_t, const Options&, UnivariateSolution*)


cdef class _Watch:
    """Who is told how many problems are done, and the exception that stopped the solve."""
    cdef object report, error


cdef cbool _poll(void* context, const Progress& progress) noexcept with gil:
    try:
        PyErr_CheckSignals()
        if (<_Watch> context).report is not None:
            (<_Watch> context).report(progress.pivots)
    except BaseException as error:
        (<_Watch> context).error = error
        return True
    return False


cdef UnivariateProblem _problem(const double[::1] x, const double[::1] y, const double[::1] a, const double[::1] b,
                                double p, double unit, double period):
    cdef UnivariateProblem problem
    problem.x, problem.n = &x[0], x.shape[0]
    problem.y, problem.m = &y[0], y.shape[0]
    if a is not None:
        problem.a = &a[0]
    if b is not None:
        problem.b = &b[0]
    problem.p, problem.unit, problem.period = p, unit, period
    return problem


cdef Options _options(int threads, _Watch watch):
    cdef Options options
    options.threads, options.poll, options.context = threads, _poll, <void*> watch
    return options


cdef _raise(_Watch watch, Status status, size_t points):
    if watch.error is not None:
        raise watch.error
    if status == Status.out_of_memory:
        raise MemoryError(f"no memory to sort {points} points; free some, or pass fewer points.")


cdef _solve(x, y, a, b, double p, double unit, double period, int threads, UnivariatePlan* plan):
    cdef UnivariateProblem problem = _problem(x, y, a, b, p, unit, period)
    cdef UnivariateSolution solution
    cdef _Watch watch = _Watch()
    cdef Options options = _options(threads, watch)
    with nogil:
        solution = solve(problem, options, plan)
    _raise(watch, solution.status, problem.n + problem.m)
    return solution


def mean_cost(x, y, a, b, double p, double unit, double period, int threads):
    solution = _solve(x, y, a, b, p, unit, period, threads, NULL)
    return solution["cost"] / solution["mass"], solution["reach"]


def mean_costs(pairs, double p, units, int threads, report):
    cdef size_t k, count = len(pairs), points = 0
    cdef vector[UnivariateProblem] problems = vector[UnivariateProblem](count)
    cdef vector[UnivariateSolution] solutions = vector[UnivariateSolution](count)
    cdef const uint64_t[::1] x_order, y_order
    cdef Status status
    cdef _Watch watch = _Watch()
    cdef Options options = _options(threads, watch)
    watch.report = report
    for k in range(count):
        x, y = pairs[k]
        problems[k] = _problem(x.points, y.points, x.weights, y.weights, p, units[k], 0.0)
        x_order, y_order = x.order, y.order
        problems[k].x_order, problems[k].y_order = &x_order[0], &y_order[0]
        points = max(points, problems[k].n + problems[k].m)
    with nogil:
        status = solve_all(problems.data(), count, options, solutions.data())
    _raise(watch, status, points)
    return [(solutions[k].cost / solutions[k].mass, solutions[k].reach) for k in range(count)]


def order(const double[::1] values):
    places = np.empty(values.shape[0], dtype=np.uint64)
    cdef uint64_t[::1] out = places
    cdef Status status
    cdef _Watch watch = _Watch()
    cdef Options options = _options(1, watch)
    with nogil:
        status = sort(&values[0], values.shape[0], options, &out[0])
    _raise(watch, status, values.shape[0])
    return places


def transport(x, y, a, b, double p, double period, int threads):
    cdef size_t n = len(x), m = len(y)
    cdef UnivariatePlan plan
    f, g = np.empty(n), np.empty(m)
    rows, cols, mass = np.empty(n + m - 1, np.int64), np.empty(n + m - 1, np.int64), np.empty(n + m - 1)
    cdef double[::1] f_view = f, g_view = g, mass_view = mass
    cdef int64_t[::1] rows_view = rows, cols_view = cols
    plan.f, plan.g, plan.mass = &f_view[0], &g_view[0], &mass_view[0]
    plan.rows, plan.cols = &rows_view[0], &cols_view[0]
    solution = _solve(x, y, a, b, p, 1.0, period, threads, &plan)
    return solution, f, g, rows[:plan.entries], cols[:plan.entries], mass[:plan.entries]
