# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/entropic/stored.hpp: convert, drop the GIL, map the outcome. Nothing else."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

import numpy as np


cdef extern from "entropic/stored.hpp" namespace "monge" nogil:
    cdef enum class Ground(int):
        pass

    cdef struct GroundCost:
        Ground base
        double exponent, factor

    cdef struct StoredProblem:
        size_t n, m
        const float* floats
        const double* doubles
        const double* x
        const double* y
        size_t d
        GroundCost ground
        const double* a
        const double* b
        double kl[2]
        double cap[2]
        double eps, first, tol
        cbool symmetric
        int64_t max_iter
        double* f
        double* g

    cdef cppclass StoredOutcome:
        cbool converged
        int64_t passes, steps, kernels
        double error, dual, seconds
        vector[double] errors

    cdef cppclass StoredOptions:
        int threads
        cbool (*poll)(void*, int64_t, double, double) noexcept nogil
        void* context

    const size_t costly_coordinates, most_kept, most_newton_columns
    cbool turning "monge::worth_turning"(size_t n, size_t m) noexcept

    cbool solve_stored(const StoredProblem*, StoredOutcome*, size_t, const StoredOptions&)


COSTLY_COORDINATES, MOST_KEPT, MOST_NEWTON_COLUMNS = costly_coordinates, most_kept, most_newton_columns


def worth_turning(size_t n, size_t m):
    """Whether a matrix that is wider than high is copied, so that its rows are the longer side."""
    return turning(n, m)


cdef class _Watch:
    """What a poll needs: the caller's progress function, and the exception that stopped the solve."""
    cdef object report
    cdef object error


cdef cbool _poll(void* context, int64_t passes, double eps, double marginal_error) noexcept with gil:
    cdef _Watch watch = <_Watch> context
    try:
        PyErr_CheckSignals()
        if watch.report is not None and passes > 0:
            watch.report(passes, eps, marginal_error)
    except BaseException as error:
        watch.error = error
        return True
    return False


cdef void _convert(tuple problem, tuple demands, double eps, double tol, int64_t max_iter,
                   StoredProblem* out) except *:
    cdef const float[:, ::1] floats
    cdef const double[:, ::1] doubles, x, y
    cdef const double[::1] a, b
    cdef double[::1] f, g
    cost, a, b, f, g, out.first, out.symmetric = problem
    out.n, out.m = f.shape[0], g.shape[0]
    out.floats, out.doubles = <const float*> NULL, <const double*> NULL
    if isinstance(cost, tuple):
        x, y, ground, out.ground.exponent, out.ground.factor = cost
        out.ground.base = <Ground> <int> ground
        out.x, out.y, out.d = &x[0, 0], &y[0, 0], x.shape[1]
    elif cost.dtype == np.float32:
        floats = cost
        out.floats = &floats[0, 0]
    else:
        doubles = cost
        out.doubles = &doubles[0, 0]
    out.a, out.b, out.f, out.g = &a[0], &b[0], &f[0], &g[0]
    out.kl[0], out.cap[0], out.kl[1], out.cap[1] = demands
    out.eps, out.tol, out.max_iter = eps, tol, max_iter


cdef tuple _answer(const StoredOutcome& out):
    cdef double[::1] errors
    cdef size_t k
    kept = np.empty(out.errors.size())
    if out.errors.size() > 0:
        errors = kept
        for k in range(out.errors.size()):
            errors[k] = out.errors[k]
    return out.converged, out.passes, out.steps, out.error, out.dual, kept, out.seconds, out.kernels


def solve(list problems, tuple demands, double eps, double tol, int64_t max_iter, int threads, report):
    cdef vector[StoredProblem] converted
    cdef vector[StoredOutcome] outcomes
    cdef StoredOptions options
    cdef _Watch watch = _Watch()
    cdef size_t k, count = len(problems)
    cdef cbool enough
    converted.resize(count)
    outcomes.resize(count)
    for k in range(count):
        _convert(problems[k], demands, eps, tol, max_iter, &converted[k])
    watch.report = report
    options.threads, options.poll, options.context = threads, _poll, <void*> watch
    with nogil:
        enough = solve_stored(converted.data(), outcomes.data(), count, options)
    if watch.error is not None:
        raise watch.error
    if not enough:
        raise MemoryError("no memory for the kernel matrix; aggregate places, or solve fewer problems at once, on fewer threads.")
    return [_answer(outcomes[k]) for k in range(count)]
