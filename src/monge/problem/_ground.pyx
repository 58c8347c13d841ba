# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/common/ground_costs.hpp, limits.hpp and kd_order.hpp: convert, allocate, drop the GIL. Nothing else."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t

import numpy as np

ctypedef fused Real:
    const float
    const double


cdef extern from "common/ground_costs.hpp" namespace "monge" nogil:
    cdef enum class Ground(int):
        pass

    cdef struct GroundCost:
        Ground base
        double exponent, factor

    cdef struct GroundName:
        const char* name
        int degree

    const Ground* grounds
    const size_t ground_count
    GroundName ground_name(Ground)
    void ground_costs[T](const GroundCost&, const T*, const T*, size_t, size_t, size_t, int, T*) except +MemoryError
    void c_pair_costs "monge::pair_costs"(const GroundCost&, const double*, const double*, size_t, size_t, double*) except +
    void c_pair_slopes "monge::pair_slopes"(const GroundCost&, const double*, const double*, size_t, size_t, double*) except +

cdef extern from "common/limits.hpp" namespace "monge" nogil:
    const double largest_cost, smallest_total, largest_total
    double c_total_tolerance "monge::total_tolerance"(double rounding, size_t places)

cdef extern from "common/kd_order.hpp" namespace "monge" nogil:
    void c_kd_order "monge::kd_order"(const double* points, size_t n, size_t d, int64_t* order)


LARGEST_COST, SMALLEST_TOTAL, LARGEST_TOTAL = largest_cost, smallest_total, largest_total


def total_tolerance(double rounding, size_t places):
    """By how much two totals of weights at so many places may differ, relative to the larger one."""
    return c_total_tolerance(rounding, places)


def bases():
    """For each base, by name, the number by which the core knows it, and its degree."""
    cdef size_t k
    return {
        ground_name(grounds[k]).name.decode(): (<int> grounds[k], ground_name(grounds[k]).degree)
        for k in range(ground_count)
    }


cdef GroundCost _cost(int base, double exponent, double factor) noexcept:
    cdef GroundCost cost
    cost.base, cost.exponent, cost.factor = <Ground> base, exponent, factor
    return cost


def cost_matrix(Real[:, ::1] x, Real[:, ::1] y, int base, double exponent, double factor, int threads):
    """C (n, m) between points (n, d) and (m, d)."""
    cdef size_t n = x.shape[0], m = y.shape[0], d = x.shape[1], start, rows
    # Between blocks of some 10 ms an interrupt is answered.
    cdef size_t block = max(<size_t> 16, (<size_t> 1 << 25) // (m * (d + 4)))
    cdef GroundCost cost = _cost(base, exponent, factor)
    out = np.empty((n, m), dtype=np.float32 if Real is float else np.float64)
    cdef float[:, ::1] out_single
    cdef double[:, ::1] out_double
    if Real is float:
        out_single = out
    else:
        out_double = out
    for start in range(0, n, block):
        rows = min(block, n - start)
        with nogil:
            if Real is float:
                ground_costs[float](cost, &x[start, 0], &y[0, 0], rows, m, d, threads, &out_single[start, 0])
            else:
                ground_costs[double](cost, &x[start, 0], &y[0, 0], rows, m, d, threads, &out_double[start, 0])
        PyErr_CheckSignals()
    return out


def pair_costs(const double[:, ::1] x, const double[:, ::1] y, int base, double exponent, double factor):
    """The costs (k,) between points (k, d) and (k, d)."""
    cdef GroundCost cost = _cost(base, exponent, factor)
    costs = np.empty(x.shape[0])
    cdef double[::1] out = costs
    if x.shape[0] > 0:
        with nogil:
            c_pair_costs(cost, &x[0, 0], &y[0, 0], x.shape[0], x.shape[1], &out[0])
    return costs


def pair_slopes(const double[:, ::1] x, const double[:, ::1] y, int base, double exponent, double factor):
    """Their derivatives dc/dx (k, d)."""
    cdef GroundCost cost = _cost(base, exponent, factor)
    slopes = np.empty((x.shape[0], x.shape[1]))
    cdef double[:, ::1] out = slopes
    if x.shape[0] > 0:
        with nogil:
            c_pair_slopes(cost, &x[0, 0], &y[0, 0], x.shape[0], x.shape[1], &out[0, 0])
    return slopes


def kd_order(const double[:, ::1] points):
    """The order (n,) in which points (n, d) are next to those that are near."""
    order = np.empty(points.shape[0], dtype=np.int64)
    cdef int64_t[::1] out = order
    with nogil:
        c_kd_order(&points[0, 0], points.shape[0], points.shape[1], &out[0])
    return order
