# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/sinkhorn_rows.hpp: convert, allocate, drop the GIL. Nothing else."""

import numpy as np

ctypedef fused real:
    float
    double


cdef extern from "sinkhorn_rows.hpp" namespace "monge" nogil:
    cdef enum class Distance(int):
        euclidean
        cityblock
        product

    cdef cppclass Costs[T]:
        const float* floats
        const double* doubles
        size_t stride
        const T* x
        const T* y
        size_t d
        Distance distance
        double exponent

    cdef cppclass SinkhornRows[T]:
        Costs[T] costs
        size_t m, first, last
        double inverse
        const T* beta
        double reference
        const double* log_a
        double damp, cap, lift
        double* shift
        double* f
        double* sums
        T* scratch

    cdef cppclass PlanRows:
        Costs[double] costs
        size_t m, first, last
        double inverse
        const double* rows
        const double* columns
        double* entries
        double* prices

    cdef struct SinkhornKernels:
        void (*floats)(const SinkhornRows[float]&) noexcept nogil
        void (*doubles)(const SinkhornRows[double]&) noexcept nogil
        void (*plan)(const PlanRows&) noexcept nogil

    const SinkhornKernels& sinkhorn_kernels() noexcept
    const size_t most_rows_at_once

EUCLIDEAN, CITYBLOCK, PRODUCT = <int> Distance.euclidean, <int> Distance.cityblock, <int> Distance.product
cdef size_t _PANEL_BYTES = 192


def panel_size(dtype):
    """Columns in a panel of numbers of this type."""
    return _PANEL_BYTES // dtype.itemsize


cdef void _convert(tuple costs, Costs[real]* out, real like) except *:
    cdef const float[:, ::1] floats
    cdef const double[:, ::1] doubles
    cdef const real[:, ::1] x
    cdef const real[::1] y
    if len(costs) == 1:
        out.stride = costs[0].shape[1]
        if costs[0].dtype == np.float32:
            floats = costs[0]
            out.floats = &floats[0, 0]
        else:
            doubles = costs[0]
            out.doubles = &doubles[0, 0]
        return
    x, y, distance, exponent = costs
    out.x, out.y, out.d = &x[0, 0], &y[0], x.shape[1]
    out.distance, out.exponent = <Distance> <int> distance, exponent


def sinkhorn_rows(tuple costs, const real[::1] beta, double inverse, double reference, const double[::1] log_a,
                  double damp, double cap, double lift, size_t first, size_t last, double[::1] shift, double[::1] f,
                  double[::1] sums):
    cdef SinkhornRows[real] rows
    cdef real[::1] scratch = np.empty((most_rows_at_once + 1) * len(beta), np.asarray(beta).dtype)
    _convert(costs, &rows.costs, <real> 0.0)
    rows.m, rows.first, rows.last = len(sums), first, last
    rows.inverse, rows.reference = inverse, reference
    rows.beta, rows.log_a = &beta[0], &log_a[0]
    rows.damp, rows.cap, rows.lift = damp, cap, lift
    rows.shift, rows.f, rows.sums, rows.scratch = &shift[0], &f[0], &sums[0], &scratch[0]
    with nogil:
        if real is float:
            sinkhorn_kernels().floats(rows)
        else:
            sinkhorn_kernels().doubles(rows)


def plan_rows(tuple costs, double inverse, const double[::1] row_logs, const double[::1] column_logs, size_t first,
              size_t last, double[:, ::1] entries, double[:, ::1] prices):
    cdef PlanRows rows
    _convert(costs, &rows.costs, 0.0)
    rows.m, rows.first, rows.last = entries.shape[1], first, last
    rows.inverse, rows.rows, rows.columns = inverse, &row_logs[0], &column_logs[0]
    rows.entries = &entries[0, 0]
    if prices is not None:
        rows.prices = &prices[0, 0]
    with nogil:
        sinkhorn_kernels().plan(rows)
