# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/exact/sliced.hpp: allocate, drop the GIL, map the status. Nothing else."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool

import numpy as np


cdef extern from "common/control.hpp" namespace "monge" nogil:
    cdef enum class Status(int):
        out_of_memory

    cdef struct Progress:
        int64_t pivots

    cdef struct Options:
        int threads
        cbool (*poll)(void*, const Progress&) noexcept nogil
        void* context


cdef extern from "exact/sliced.hpp" namespace "monge" nogil:
    cdef struct SlicedProblem:
        const double* x
        const double* y
        size_t n, m, d
        double factor
        const double* shift
        const double* a
        const double* b
        const double* directions
        size_t count
        double p, unit

    cdef struct SlicedSums:
        double* means
        double* reaches
        double* lifted
        double* points_x
        double* points_y
        double* turns
        double* weights_a
        double* weights_b

    Status solve "monge::solve"(const SlicedProblem&, const Options&, const SlicedSums&)


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


cdef double* _data(double[::1] values):
    return &values[0]


def sums(const double[:, ::1] x, const double[:, ::1] y, const double[::1] a, const double[::1] b, double factor,
         const double[::1] shift, const double[:, ::1] directions, double p, double unit, int threads, *,
         lifted=False, points=False, turns=False, weights=False):
    cdef SlicedProblem problem
    cdef SlicedSums wanted
    cdef Options options
    cdef Status status
    cdef _Watch watch = _Watch()
    problem.x, problem.y, problem.shift, problem.directions = &x[0, 0], &y[0, 0], &shift[0], &directions[0, 0]
    problem.n, problem.m, problem.d, problem.count = x.shape[0], y.shape[0], x.shape[1], directions.shape[0]
    if a is not None:
        problem.a = &a[0]
    if b is not None:
        problem.b = &b[0]
    problem.factor, problem.p, problem.unit = factor, p, unit
    options.threads, options.poll, options.context = threads, _poll, <void*> watch
    n, m, d, count = problem.n, problem.m, problem.d, problem.count
    found = {"means": np.empty(count), "reaches": np.empty(count)}
    wanted.means, wanted.reaches = _data(found["means"]), _data(found["reaches"])
    if lifted:
        found["lifted"] = np.empty(count)
        wanted.lifted = _data(found["lifted"])
    if points:
        found["points_x"], found["points_y"] = np.empty((n, d)), np.empty((m, d))
        wanted.points_x, wanted.points_y = _data(found["points_x"].reshape(-1)), _data(found["points_y"].reshape(-1))
    if turns:
        found["turns"] = np.empty((count, d))
        wanted.turns = _data(found["turns"].reshape(-1))
    if weights:
        found["weights_a"], found["weights_b"] = np.empty(n), np.empty(m)
        wanted.weights_a, wanted.weights_b = _data(found["weights_a"]), _data(found["weights_b"])
    with nogil:
        status = solve(problem, options, wanted)
    if watch.error is not None:
        raise watch.error
    if status == Status.out_of_memory:
        raise MemoryError(f"no memory to project {n + m} points; free some, or pass fewer points or threads.")
    return found
