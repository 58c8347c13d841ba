# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/entropic/pairs.hpp, plan_pairs.hpp and cloud_gradient.hpp: convert, allocate, drop the GIL. Nothing else."""

from libcpp.vector cimport vector

import numpy as np

ctypedef fused real:
    float
    double


cdef extern from "entropic/pairs.hpp" namespace "monge" nogil:
    cdef enum class Ground(int):
        pass

    cdef cppclass Costs[T]:
        const float* floats
        const double* doubles
        size_t stride
        const T* x
        const T* y
        size_t d
        Ground ground
        bint lifted
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

    cdef cppclass CostRows[T]:
        Costs[T] costs
        size_t m, first, last
        T* out

    cdef struct SinkhornKernels:
        void (*float_pass)(const SinkhornRows[float]&) noexcept nogil
        void (*double_pass)(const SinkhornRows[double]&) noexcept nogil

    cdef struct CostKernels:
        void (*float_costs)(const CostRows[float]&) noexcept nogil
        void (*double_costs)(const CostRows[double]&) noexcept nogil

    const SinkhornKernels& sinkhorn_kernels() noexcept
    const CostKernels& cost_kernels() noexcept
    const size_t most_rows_at_once


cdef extern from "entropic/packed_points.hpp" namespace "monge" nogil:
    cdef struct GroundCost:
        Ground base
        double exponent, factor

    cdef cppclass PackedPoints[T]:
        vector[T] x, y
        size_t d
        bint lifted
        double factor
        void pack(const GroundCost&, const double* x, size_t n, const double* y, size_t m, size_t d) except +


cdef extern from "entropic/cloud_gradient.hpp" namespace "monge" nogil:
    cdef struct CloudGradient:
        size_t n, m, d
        const double* x
        const double* y
        Ground ground
        double exponent, factor
        const double* a
        const double* b
        const double* f
        const double* g
        double eps
        double* grad_x
        double* grad_y

    void _cloud_gradient "monge::cloud_gradient"(const CloudGradient&) except +


cdef extern from "entropic/plan_pairs.hpp" namespace "monge" nogil:
    cdef cppclass PlanRows:
        Costs[double] costs
        size_t m, first, last
        double inverse
        const double* rows
        const double* columns

    cdef cppclass PlanSums:
        PlanRows plan
        const double* u
        const double* v
        double* sent
        double* received
        double price

    cdef cppclass PlanProduct:
        PlanRows plan
        const double* V
        double* out
        size_t stride

    cdef cppclass PlanEntropy:
        PlanRows plan
        const double* u
        const double* v
        double* sent
        double* received
        double price, entropy

    cdef cppclass PlanGradient:
        PlanRows plan
        double* sent
        double* received
        double* x
        double* y
        double* scratch
        double price

    cdef cppclass TransformRows:
        Costs[double] costs
        size_t m, first, last
        const double* g
        double* f
        double* low
        double* scratch

    cdef cppclass SpreadRows:
        Costs[double] costs
        size_t m, first, last
        const double* u
        const double* v

    cdef struct PlanKernels:
        void (*entries)(const PlanRows&, double*) noexcept nogil
        void (*sums)(PlanSums&) noexcept nogil
        void (*product)(const PlanProduct&) noexcept nogil
        void (*entropy)(PlanEntropy&) noexcept nogil
        void (*gradient)(PlanGradient&) noexcept nogil
        void (*transform)(const TransformRows&) noexcept nogil
        double (*spread)(const SpreadRows&) noexcept nogil

    const PlanKernels& plan_kernels() noexcept
    const size_t transform_rows
    size_t gradient_scratch(size_t d) noexcept

cdef size_t _PANEL_BYTES = 192, _DOUBLES = 24


def panel_size(dtype):
    """Columns in a panel of numbers of this type."""
    return _PANEL_BYTES // dtype.itemsize


cdef object _array(const vector[real]& numbers):
    out = np.empty(numbers.size(), np.float32 if real is float else np.float64)
    cdef real[::1] at = out
    cdef size_t k
    for k in range(numbers.size()):
        at[k] = numbers[k]
    return out


cdef tuple _pack(const double[:, ::1] x, const double[:, ::1] y, int base, double exponent, double factor, real like):
    cdef PackedPoints[real] points
    cdef GroundCost ground
    ground.base, ground.exponent, ground.factor = <Ground> base, exponent, factor
    points.pack(ground, &x[0, 0], x.shape[0], &y[0, 0], y.shape[0], x.shape[1])
    rows = _array[real](points.x).reshape(x.shape[0], -1)
    return (rows, _array[real](points.y), base, bool(points.lifted), exponent), points.factor


def packed(x, y, base, exponent, factor, single):
    """Points as `Costs` holds them, in single or double precision, and the factor from their costs to cost units."""
    if single:
        return _pack[float](x, y, base, exponent, factor, 0.0)
    return _pack[double](x, y, base, exponent, factor, 0.0)


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
    x, y, ground, lifted, exponent = costs
    out.x, out.y, out.d = &x[0, 0], &y[0], x.shape[1]
    out.ground, out.lifted, out.exponent = <Ground> <int> ground, lifted, exponent


def sinkhorn_rows(tuple costs, const real[::1] beta, double inverse, double reference, const double[::1] log_a,
                  double damp, double cap, double lift, size_t first, size_t last, double[::1] shift, double[::1] f,
                  double[::1] sums):
    """Some rows of a pass."""
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
            sinkhorn_kernels().float_pass(rows)
        else:
            sinkhorn_kernels().double_pass(rows)


def cost_rows(tuple costs, size_t first, size_t last, real[:, ::1] out):
    """out[:] = the costs of some rows."""
    cdef CostRows[real] rows
    _convert(costs, &rows.costs, <real> 0.0)
    rows.m, rows.first, rows.last, rows.out = out.shape[1], first, last, &out[0, 0]
    with nogil:
        if real is float:
            cost_kernels().float_costs(rows)
        else:
            cost_kernels().double_costs(rows)


cdef void _plan(tuple plan, size_t m, size_t first, size_t last, PlanRows* out) except *:
    cdef const double[::1] rows, columns
    costs, out.inverse, rows, columns = plan
    _convert(costs, &out.costs, 0.0)
    out.m, out.first, out.last = m, first, last
    out.rows, out.columns = &rows[0], &columns[0]


def plan_entries(tuple plan, size_t first, size_t last, double[:, ::1] entries):
    """The entries of some rows of a plan."""
    cdef PlanRows rows
    _plan(plan, entries.shape[1], first, last, &rows)
    with nogil:
        plan_kernels().entries(rows, &entries[0, 0])


def plan_sums(tuple plan, size_t m, size_t first, size_t last, const double[::1] u, const double[::1] v,
              double[::1] sent, double[::1] received):
    """Products of some rows of a plan with u and v, and the price; see the header."""
    cdef PlanSums sums
    _plan(plan, m, first, last, &sums.plan)
    sums.u, sums.v, sums.sent, sums.received = &u[0], &v[0], &sent[0], &received[0]
    with nogil:
        plan_kernels().sums(sums)
    return sums.price


def plan_product(tuple plan, size_t m, size_t first, size_t last, const double[:, ::1] V, double[:, ::1] out):
    """The product of some rows of a plan with the matrix V (m, whole panels)."""
    cdef PlanProduct product
    _plan(plan, m, first, last, &product.plan)
    product.V, product.out, product.stride = &V[0, 0], &out[0, 0], V.shape[1]
    with nogil:
        plan_kernels().product(product)


def plan_entropy(tuple plan, size_t m, size_t first, size_t last, const double[::1] u, const double[::1] v,
                 double[::1] sent, double[::1] received):
    """The price of some rows of P + u v' and the sum of G_ij log2 G_ij; see the header."""
    cdef PlanEntropy sums
    _plan(plan, m, first, last, &sums.plan)
    sums.u, sums.v, sums.sent, sums.received = &u[0], &v[0], &sent[0], &received[0]
    with nogil:
        plan_kernels().entropy(sums)
    return sums.price, sums.entropy


def plan_gradient(tuple plan, size_t m, size_t first, size_t last, double[::1] sent, double[::1] received,
                  double[:, ::1] x, double[:, ::1] y):
    """The gradients, sums and price of some rows of a plan; see the header."""
    cdef PlanGradient sums
    cdef size_t d = x.shape[1]
    cdef double[::1] pulls = np.empty(len(received) * d), scratch = np.empty(gradient_scratch(d))
    _plan(plan, m, first, last, &sums.plan)
    sums.sent, sums.received, sums.x, sums.y = &sent[0], &received[0], &x[0, 0], &pulls[0]
    sums.scratch = &scratch[0]
    with nogil:
        plan_kernels().gradient(sums)
    panels = np.asarray(pulls).reshape(-1, d, _DOUBLES).transpose(0, 2, 1)
    np.asarray(y)[:] = panels.reshape(-1, d)[:m]
    return sums.price


def cloud_gradient(form, const double[::1] a, const double[::1] b, const double[::1] f, const double[::1] g,
                   double eps, double[:, ::1] grad_x, double[:, ::1] grad_y):
    """The gradients of a whole plan between few points; see the header."""
    cdef CloudGradient cloud
    cdef const double[:, ::1] x, y
    x, y, ground, cloud.exponent, cloud.factor = form
    cloud.ground = <Ground> <int> ground
    cloud.n, cloud.m, cloud.d = x.shape[0], y.shape[0], x.shape[1]
    cloud.x, cloud.y, cloud.a, cloud.b, cloud.f, cloud.g = &x[0, 0], &y[0, 0], &a[0], &b[0], &f[0], &g[0]
    cloud.eps, cloud.grad_x, cloud.grad_y = eps, &grad_x[0, 0], &grad_y[0, 0]
    with nogil:
        _cloud_gradient(cloud)


def transform(tuple costs, const double[::1] g, size_t first, size_t last, double[::1] f, double[::1] low=None):
    """f_i = min_j C_ij - g_j for some rows, and low_j = min_i C_ij - f_i over these; see the header."""
    cdef TransformRows rows
    cdef size_t m = len(g), whole = (m + _DOUBLES - 1) // _DOUBLES * _DOUBLES
    cdef double[::1] panels = np.full(whole, -np.inf), lowest, scratch
    panels[:m] = g
    _convert(costs, &rows.costs, 0.0)
    rows.m, rows.first, rows.last = m, first, last
    rows.g, rows.f = &panels[0], &f[0]
    rows.low = rows.scratch = NULL
    if low is not None:
        lowest, scratch = np.empty(whole), np.empty(transform_rows * whole)
        rows.low, rows.scratch = &lowest[0], &scratch[0]
    with nogil:
        plan_kernels().transform(rows)
    if low is not None:
        low[:] = lowest[:m]


def spread_price(tuple costs, size_t m, size_t first, size_t last, const double[::1] u, const double[::1] v):
    """sum_ij u_i C_ij v_j for some rows."""
    cdef SpreadRows rows
    cdef double price
    _convert(costs, &rows.costs, 0.0)
    rows.m, rows.first, rows.last, rows.u, rows.v = m, first, last, &u[0], &v[0]
    with nogil:
        price = plan_kernels().spread(rows)
    return price
