# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of the C++ core: convert, allocate, drop the GIL, map the status. Nothing else."""

from cpython.buffer cimport PyBUF_CONTIG_RO, PyBUF_STRIDED_RO, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport HUGE_VAL
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

import numpy as np

cdef object _empty = np.empty
cdef object _int64 = np.int64
cdef object _int32 = np.int32


cdef extern from "common/control.hpp" namespace "monge" nogil:
    cdef enum class Status(int):
        optimal
        time_limit
        infeasible
        no_plan_yet
        invalid_weights
        invalid_cost
        out_of_memory
        inexact

    cdef struct Progress:
        int64_t pivots, sweeps
        double violation

    ctypedef cbool (*Poll)(void*, const Progress&) noexcept nogil

    cdef struct Options:
        int threads
        double time_limit
        Poll poll
        void* context

    cdef struct Counters:
        int64_t pivots, degenerate_pivots, arcs_priced, sweeps, listed_arcs, coarse_pivots, coarse_sweeps, refinements
        double dropped
        double seconds_start, seconds_pivots, seconds_sweeps, seconds_total

cdef extern from "common/dispatch.hpp" namespace "monge" nogil:
    const char* _instruction_set "monge::instruction_set"()

cdef extern from "exact/emd.hpp" namespace "monge" nogil:
    cdef struct Start:
        const double* f
        const double* g
        const int64_t* plan_rows
        const int64_t* plan_cols
        size_t entries
        const int32_t* list_rows
        const int32_t* list_cols
        size_t listed

    cdef struct Problem:
        const void* cost
        cbool single
        size_t n, m
        ptrdiff_t row_step, col_step
        const double* a
        const double* b
        double relative_rounding
        cbool check_totals
        Start start
        cbool sends_all, fills_all
        double mass

    cdef cppclass Solution:
        Status status
        vector[double] f, g, mass
        vector[int64_t] rows, cols
        vector[int32_t] list_rows, list_cols
        double cost, gap
        Counters counters

    Solution solve "monge::solve"(const Problem&, const Options&)
    vector[Solution] solve_all "monge::solve_all"(const vector[Problem]&, const Options&) except +

cdef extern from "common/ground.hpp" namespace "monge" nogil:
    cdef enum class Ground(int):
        pass

    cdef struct GroundCost:
        Ground base
        double exponent, factor

cdef extern from "exact/emd_pairs.hpp" namespace "monge" nogil:
    cdef cppclass CloudPairs[T]:
        const T* x
        const T* y
        size_t count, n, m, d
        GroundCost cost

    cdef cppclass PairPlans:
        Status status
        vector[double] cost, mass
        vector[int64_t] begin
        vector[int32_t] rows, cols
        int64_t inexact

    PairPlans solve_pairs "monge::solve"[T](const CloudPairs[T]&, const Options&)

cdef extern from "exact/sparse.hpp" namespace "monge" nogil:
    cdef struct SparseProblem:
        size_t n, m
        const int64_t* begin
        const int32_t* col
        const double* cost
        const double* a
        const double* b
        double relative_rounding
        const double* g

    Solution solve "monge::solve"(const SparseProblem&, const Options&)


OPTIMAL, TIME_LIMIT, INEXACT = <int> Status.optimal, <int> Status.time_limit, <int> Status.inexact
INFEASIBLE, NO_PLAN_YET, OUT_OF_MEMORY = <int> Status.infeasible, <int> Status.no_plan_yet, <int> Status.out_of_memory
INVALID_WEIGHTS, INVALID_COST = <int> Status.invalid_weights, <int> Status.invalid_cost


cdef class _Watch:
    """What a poll needs: the caller's progress function, and the exception that stopped the solve."""
    cdef object report
    cdef object error


cdef cbool _poll(void* context, const Progress& progress) noexcept with gil:
    cdef _Watch watch = <_Watch> context
    try:
        PyErr_CheckSignals()
        if watch.report is not None:
            watch.report(progress.pivots, progress.sweeps, progress.violation)
    except BaseException as error:
        watch.error = error
        return True
    return False


cdef Options _options(int threads, double time_limit, _Watch watch, report) except *:
    """`watch` is to live as long as the solve."""
    cdef Options options
    watch.report = report
    options.threads = threads
    options.time_limit = time_limit
    options.poll = _poll
    options.context = <void*> watch
    return options


cdef _filled(out, const void* data):
    """`out`, a new array, with the data in it. The buffer protocol, since a memoryview takes longer than a small array
    takes to fill."""
    cdef Py_buffer buffer
    PyObject_GetBuffer(out, &buffer, PyBUF_CONTIG_RO | PyBUF_WRITABLE)
    memcpy(buffer.buf, data, buffer.len)
    PyBuffer_Release(&buffer)
    return out


cdef _as_array(const vector[double]& values):
    return _filled(_empty(values.size()), values.data())


cdef _as_indices(const vector[int64_t]& values):
    return _filled(_empty(values.size(), _int64), values.data())


cdef _as_places(const vector[int32_t]& values):
    return _filled(_empty(values.size(), _int32), values.data())


cdef _as_lists(const Solution& solution):
    if solution.list_rows.size() == 0:
        return None
    return _as_places(solution.list_rows), _as_places(solution.list_cols)


cdef _as_tuple(const Solution& solution):
    return (
        <int> solution.status, solution.cost, solution.gap, _as_array(solution.f), _as_array(solution.g),
        _as_indices(solution.rows), _as_indices(solution.cols), _as_array(solution.mass), _as_lists(solution),
        solution.counters,
    )


cdef void _read_cost(object cost, Problem& problem) except *:
    """Arrays are read through their buffers, which are given back at once: the caller owns them for as long as it takes. A
    memoryview takes longer to make than a small problem to solve."""
    cdef Py_buffer buffer
    PyObject_GetBuffer(cost, &buffer, PyBUF_STRIDED_RO)
    problem.cost = buffer.buf
    problem.single = buffer.itemsize == sizeof(float)
    problem.n = buffer.shape[0]
    problem.m = buffer.shape[1]
    problem.row_step = buffer.strides[0] // buffer.itemsize
    problem.col_step = buffer.strides[1] // buffer.itemsize
    PyBuffer_Release(&buffer)


cdef const void* _data(object array) except? NULL:
    """Of a contiguous array; NULL for None."""
    cdef Py_buffer buffer
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &buffer, PyBUF_CONTIG_RO)
    PyBuffer_Release(&buffer)
    return buffer.buf


cdef Problem _problem(cost, a, b) except *:
    cdef Problem problem
    _read_cost(cost, problem)
    problem.a = <const double*> _data(a)
    problem.b = <const double*> _data(b)
    return problem


ctypedef fused AnyProblem:
    Problem
    SparseProblem


cdef _solved(const AnyProblem& problem, int threads, double time_limit, report):
    cdef Solution solution
    cdef _Watch watch = _Watch()
    cdef Options options = _options(threads, time_limit, watch, report)
    with nogil:
        solution = solve(problem, options)
    if watch.error is not None:
        raise watch.error
    return _as_tuple(solution)


cdef Start _start(tuple known) except *:
    cdef Start start
    f, g, plan_rows, plan_cols, list_rows, list_cols = known
    start.f = <const double*> _data(f)
    start.g = <const double*> _data(g)
    if plan_rows is not None:
        start.plan_rows = <const int64_t*> _data(plan_rows)
        start.plan_cols = <const int64_t*> _data(plan_cols)
        start.entries = len(plan_rows)
    if list_rows is not None:
        start.list_rows = <const int32_t*> _data(list_rows)
        start.list_cols = <const int32_t*> _data(list_cols)
        start.listed = len(list_rows)
    return start


def emd(cost, a, b, double rounding, start, int threads, double time_limit, report):
    cdef Problem problem = _problem(cost, a, b)
    problem.relative_rounding = rounding
    if start is not None:
        problem.start = _start(start)
    return _solved(problem, threads, time_limit, report)


def partial(cost, a, b, double rounding, double mass, bint sends_all, bint fills_all, int threads, double time_limit,
            report):
    cdef Problem problem = _problem(cost, a, b)
    problem.relative_rounding = rounding
    problem.mass = mass
    problem.sends_all = sends_all
    problem.fills_all = fills_all
    return _solved(problem, threads, time_limit, report)


def sparse(size_t m, begin, col, cost, a, b, double rounding, g, double time_limit, report):
    cdef SparseProblem problem
    problem.n = len(begin) - 1
    problem.m = m
    problem.begin = <const int64_t*> _data(begin)
    problem.col = <const int32_t*> _data(col)
    problem.cost = <const double*> _data(cost)
    problem.a = <const double*> _data(a)
    problem.b = <const double*> _data(b)
    problem.relative_rounding = rounding
    problem.g = <const double*> _data(g)
    return _solved(problem, 1, time_limit, report)


cdef vector[Solution] _solve_all(list costs, list a, list b, list roundings, bint check_totals, int threads,
                                 double time_limit, report) except *:
    cdef vector[Problem] problems = vector[Problem](len(costs))
    cdef vector[Solution] solutions
    cdef _Watch watch = _Watch()
    cdef Options options = _options(threads, time_limit, watch, report)
    cdef size_t k
    for k in range(problems.size()):
        problems[k] = _problem(costs[k], a[k], b[k])
        problems[k].relative_rounding = roundings[k]
        problems[k].check_totals = check_totals
    with nogil:
        solutions = solve_all(problems, options)
    if watch.error is not None:
        raise watch.error
    return solutions


def emd_all(list costs, list a, list b, list roundings, int threads, double time_limit, report):
    cdef vector[Solution] solutions = _solve_all(costs, a, b, roundings, True, threads, time_limit, report)
    cdef size_t k
    return [_as_tuple(solutions[k]) for k in range(solutions.size())]


def emd_values(list costs, list a, list b, list roundings, int threads, report):
    cdef vector[Solution] solutions = _solve_all(costs, a, b, roundings, False, threads, HUGE_VAL, report)
    cdef size_t k
    return [(<int> solutions[k].status, solutions[k].cost) for k in range(solutions.size())]


ctypedef fused Real:
    float
    double


cdef PairPlans _solve_pairs(const Real* x, object places, int base, double exponent, double factor, const Options& options,
                            y) except *:
    cdef CloudPairs[Real] pairs
    cdef PairPlans plans
    pairs.x, pairs.y = x, <const Real*> _data(y)
    pairs.count, pairs.n, pairs.m, pairs.d = places
    pairs.cost.base, pairs.cost.exponent, pairs.cost.factor = <Ground> base, exponent, factor
    with nogil:
        plans = solve_pairs(pairs, options)
    return plans


def emd_pairs(x, y, int base, double exponent, double factor):
    cdef PairPlans plans
    cdef _Watch watch = _Watch()
    cdef Options options = _options(1, HUGE_VAL, watch, None)
    places = len(x), x.shape[1], y.shape[1], x.shape[2]
    if x.itemsize == sizeof(float):
        plans = _solve_pairs(<const float*> _data(x), places, base, exponent, factor, options, y)
    else:
        plans = _solve_pairs(<const double*> _data(x), places, base, exponent, factor, options, y)
    if watch.error is not None:
        raise watch.error
    return (<int> plans.status, _as_array(plans.cost), _as_indices(plans.begin), _as_places(plans.rows),
            _as_places(plans.cols), _as_array(plans.mass), plans.inexact)


def instruction_set():
    return _instruction_set().decode()
