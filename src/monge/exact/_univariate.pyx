# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/univariate.hpp: allocate, drop the GIL, map the status. Nothing else."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool

import numpy as np


cdef extern from "emd.hpp" namespace "monge" nogil:
    cdef enum class Status(int):
        out_of_memory

    cdef struct Progress:
        pass

    cdef struct Options:
        int threads
        cbool (*poll)(void*, const Progress&) noexcept nogil
        void* context


cdef extern from "univariate.hpp" namespace "monge" nogil:
    cdef struct UnivariateProblem:
        const double* x
        const double* y
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
        int64_t cuts
        double seconds_sort, seconds_total

    UnivariateSolution solve "monge::solve"(const UnivariateProblem&, const Options&, UnivariatePlan*)


cdef class _Watch:
    """The exception that stopped the solve."""
    cdef object error


cdef cbool _poll(void* context, const Progress& progress) noexcept with gil:
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<_Watch> context).error = error
        return True
    return False


cdef _solve(const double[::1] x, const double[::1] y, const double[::1] a, const double[::1] b, double p, double unit,
            double period, int threads, UnivariatePlan* plan):
    cdef UnivariateProblem problem
    cdef Options options
    cdef UnivariateSolution solution
    cdef _Watch watch = _Watch()
    problem.x, problem.n = &x[0], x.shape[0]
    problem.y, problem.m = &y[0], y.shape[0]
    if a is not None:
        problem.a = &a[0]
    if b is not None:
        problem.b = &b[0]
    problem.p, problem.unit, problem.period = p, unit, period
    options.threads, options.poll, options.context = threads, _poll, <void*> watch
    with nogil:
        solution = solve(problem, options, plan)
    if watch.error is not None:
        raise watch.error
    if solution.status == Status.out_of_memory:
        raise MemoryError(f"no memory to sort {problem.n} and {problem.m} points; free some, or pass fewer points.")
    return solution


def mean_cost(x, y, a, b, double p, double unit, double period, int threads):
    solution = _solve(x, y, a, b, p, unit, period, threads, NULL)
    return solution["cost"] / solution["mass"], solution["reach"]


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
