# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/entropic/near.hpp: convert, allocate, drop the GIL. Nothing else."""

from libcpp cimport bool as boolean


cdef extern from "entropic/near.hpp" namespace "monge" nogil:
    cdef enum class Ground(int):
        pass

    cdef struct NearPass:
        const double* X
        const double* Y
        size_t n, m
        double scale
        Ground ground
        double exponent
        boolean exact
        const double* beta
        const double* log_a
        const double* b
        double damp, cap
        double* shift
        double* f

    cdef struct NearColumns:
        const double* chunk_sums
        size_t chunks
        const double* log_b
        const double* g
        double unit, lost_share
        size_t repairs
        double* s

    cdef struct NearKernels:
        size_t (*columns)(const NearPass&, const NearColumns&) noexcept nogil

    cdef struct NearCount:
        size_t pairs, needed

    cdef cppclass NearLists:
        pass

    cdef cppclass NearBounds:
        NearBounds(const double* Y, size_t m, const double* potentials, const double* log_weights, double scale,
                   boolean linear) except +

    const size_t near_rows
    const NearKernels& near_kernels() noexcept
    NearCount _screened "monge::screened"(const NearPass&, boolean single, size_t first, size_t last,
                                          const NearBounds& bounds, double log_tau, double* sums,
                                          NearLists* lists) except +
    size_t _listed "monge::listed"(const NearPass&, boolean single, size_t first, size_t last, NearLists* lists,
                                   double* sums) except +


cdef extern from "entropic/near_plan.hpp" namespace "monge" nogil:
    cdef struct NearCosts:
        const double* X
        const double* Y
        size_t n, m, d
        Ground ground
        double exponent
        boolean exact

    cdef struct NearPotentials:
        double inverse
        const double* rows
        const double* columns
        const double* sent
        const double* received
        double tau

    cdef struct NearTotals:
        double price, entropy
        size_t pairs

    cdef cppclass NearPlan:
        NearPlan(const NearCosts&, const NearPotentials&) except +
        NearTotals sums(size_t first, size_t last, const double* u, const double* v, double* sent,
                        double* received) except +
        NearTotals mixture(size_t first, size_t last, const double* u, const double* v, double* sent,
                           double* received) except +
        size_t product(size_t first, size_t last, const double* V, size_t stride, double* out) except +
        NearTotals gradient(size_t first, size_t last, double* sent, double* received, double* x, double* y) except +

    cdef cppclass NearTransform:
        NearTransform(const NearCosts&, const double* g) except +
        size_t rows(size_t first, size_t last, double* f) except +

BLOCK = near_rows


cdef class Bounds:
    """Bounds of the potentials (m,) of columns Y (3, m), and of their weights."""

    cdef NearBounds* bounds

    def __cinit__(self, const double[:, ::1] Y, const double[::1] potentials, const double[::1] log_weights,
                  double scale, boolean linear):
        with nogil:
            self.bounds = new NearBounds(&Y[0, 0], Y.shape[1], &potentials[0], &log_weights[0], scale, linear)

    def __dealloc__(self):
        del self.bounds


cdef class Lists:
    """The columns that matter to each block of a chunk of rows."""

    cdef NearLists lists


cdef class Pass:
    """A pass in log2 units; see the header. Fills in shift and f."""

    cdef NearPass at
    cdef boolean single
    cdef tuple kept  # what the pointers point to

    def __init__(self, const double[:, ::1] X, const double[:, ::1] Y, double scale, tuple metric, const double[::1] beta,
                 const double[::1] log_a, const double[::1] b, double damp, double cap, double[::1] shift,
                 double[::1] f, boolean single):
        self.kept = X, Y, beta, log_a, b, shift, f
        self.single = single
        self.at.X, self.at.Y, self.at.n, self.at.m = &X[0, 0], &Y[0, 0], X.shape[1], Y.shape[1]
        ground, self.at.exponent, self.at.exact = metric
        self.at.ground = <Ground> <int> ground
        self.at.scale, self.at.damp, self.at.cap = scale, damp, cap
        self.at.beta, self.at.log_a, self.at.b = &beta[0], &log_a[0], &b[0]
        self.at.shift, self.at.f = &shift[0], &f[0]

    def screened(self, size_t first, size_t last, Bounds bounds not None, double log_tau, double[::1] sums,
                 Lists old=None):
        """Rows over all columns that matter, which are listed, too; the pairs gone over, those that were needed, and
        the lists, in the place of old ones."""
        cdef Lists lists = Lists() if old is None else old
        cdef NearCount count
        with nogil:
            count = _screened(self.at, self.single, first, last, bounds.bounds[0], log_tau, &sums[0], &lists.lists)
        return count.pairs, count.needed, lists

    def listed(self, size_t first, size_t last, Lists lists, double[::1] sums):
        """The same rows over the columns that are listed, or over all; the pairs."""
        cdef NearLists* these = NULL
        cdef size_t pairs
        if lists is not None:
            these = &lists.lists
        with nogil:
            pairs = _listed(self.at, self.single, first, last, these, &sums[0])
        return pairs

    def columns(self, const double[:, ::1] chunk_sums, const double[::1] log_b, const double[::1] g, double unit,
                double lost_share, size_t repairs, double[::1] s):
        """Softmins s (m,) of the columns from the sums of all chunks; how many were lost."""
        cdef NearColumns columns
        cdef size_t lost
        columns.chunk_sums, columns.chunks, columns.log_b, columns.g = &chunk_sums[0, 0], chunk_sums.shape[0], &log_b[0], &g[0]
        columns.unit, columns.lost_share, columns.repairs, columns.s = unit, lost_share, repairs, &s[0]
        with nogil:
            lost = near_kernels().columns(self.at, columns)
        return lost


cdef NearCosts _costs(const double[:, ::1] X, const double[:, ::1] Y, size_t dimensions, tuple metric):
    cdef NearCosts costs
    costs.X, costs.Y, costs.n, costs.m, costs.d = &X[0, 0], &Y[0, 0], X.shape[1], Y.shape[1], dimensions
    ground, costs.exponent, costs.exact = metric
    costs.ground = <Ground> <int> ground
    return costs


cdef class Plan:
    """A plan over the pairs that matter; see the header."""

    cdef NearPlan* plan
    cdef tuple kept  # what the pointers point to

    def __cinit__(self, const double[:, ::1] X, const double[:, ::1] Y, size_t dimensions, tuple metric, double inverse,
                  const double[::1] rows, const double[::1] columns, const double[::1] row_mass,
                  const double[::1] column_mass, double log_tau):
        cdef NearPotentials at
        cdef NearCosts costs = _costs(X, Y, dimensions, metric)
        self.kept = X, Y, rows, columns, row_mass, column_mass
        at.inverse, at.rows, at.columns = inverse, &rows[0], &columns[0]
        at.sent, at.received, at.tau = &row_mass[0], &column_mass[0], log_tau
        with nogil:
            self.plan = new NearPlan(costs, at)

    def __dealloc__(self):
        del self.plan

    def sums(self, size_t first, size_t last, const double[::1] u, const double[::1] v, double[::1] sent,
             double[::1] received):
        """Products of some rows with v, and of u with these, and the price."""
        cdef NearTotals totals
        with nogil:
            totals = self.plan.sums(first, last, &u[0], &v[0], &sent[0], &received[0])
        return totals.price, totals.pairs

    def entropy(self, size_t first, size_t last, const double[::1] u, const double[::1] v, double[::1] sent,
                double[::1] received):
        """What some rows of P add to the product u v'."""
        cdef NearTotals totals
        with nogil:
            totals = self.plan.mixture(first, last, &u[0], &v[0], &sent[0], &received[0])
        return totals.price, totals.entropy, totals.pairs

    def product(self, size_t first, size_t last, const double[:, ::1] V, double[:, ::1] out):
        """The product of some rows with the matrix V."""
        cdef size_t pairs
        with nogil:
            pairs = self.plan.product(first, last, &V[0, 0], V.shape[1], &out[0, 0])
        return pairs

    def gradient(self, size_t first, size_t last, double[::1] sent, double[::1] received, double[:, ::1] x,
                 double[:, ::1] y):
        """The gradients, sums and price of some rows."""
        cdef NearTotals totals
        with nogil:
            totals = self.plan.gradient(first, last, &sent[0], &received[0], &x[0, 0], &y[0, 0])
        return totals.price, totals.pairs


cdef class Transform:
    """The min-plus transform of a potential; see the header."""

    cdef NearTransform* transform
    cdef tuple kept

    def __cinit__(self, const double[:, ::1] X, const double[:, ::1] Y, size_t dimensions, tuple metric,
                  const double[::1] g):
        cdef NearCosts costs = _costs(X, Y, dimensions, metric)
        self.kept = X, Y, g
        with nogil:
            self.transform = new NearTransform(costs, &g[0])

    def __dealloc__(self):
        del self.transform

    def rows(self, size_t first, size_t last, double[::1] f):
        """Some rows."""
        cdef size_t pairs
        with nogil:
            pairs = self.transform.rows(first, last, &f[0])
        return pairs
