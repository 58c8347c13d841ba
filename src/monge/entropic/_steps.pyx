# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/entropic/steps.hpp: convert, allocate, drop the GIL. Nothing else."""

from libcpp cimport bool as boolean

import numpy as np


cdef extern from "entropic/steps.hpp" namespace "monge" nogil:
    cdef struct Sides:
        size_t n, m
        const double* a
        const double* b
        double kl_a, cap_a, kl_b, cap_b
        boolean symmetric

    cdef struct Measured:
        double error, mass, value_a, value_b

    cdef cppclass CoreSteps "monge::Steps":
        CoreSteps(const Sides&, size_t depth, double* f, double* g, const double* s) except +
        Measured measure(double eps)
        void keep_digits(double eps) except +
        void advance(double eps)
        boolean accelerate(double eps, boolean anew)
        void shorten(double share)
        void take_back()
        void forget()


cdef class Steps:
    """Potentials and the steps on them, in the core."""

    cdef CoreSteps* core
    cdef readonly object f, g, s
    cdef tuple kept  # what the pointers point to

    def __cinit__(self, const double[::1] a, const double[::1] b, marginals, double[::1] f, double[::1] g, size_t depth,
                  boolean symmetric=False):
        rows, columns = marginals
        cdef double[::1] s = np.zeros(len(b))
        cdef Sides sides = Sides(len(a), len(b), &a[0], &b[0], rows.kl, rows.cap, columns.kl, columns.cap,
                                 symmetric)
        self.kept = a, b, f, g, s
        self.f, self.g, self.s = np.asarray(f), np.asarray(g), np.asarray(s)
        self.core = new CoreSteps(sides, depth, &f[0], &g[0], &s[0])

    def __dealloc__(self):
        del self.core

    def measure(self, double eps):
        cdef Measured found
        with nogil:
            found = self.core.measure(eps)
        return found.error, found.mass, found.value_a, found.value_b

    def keep_digits(self, double eps):
        with nogil:
            self.core.keep_digits(eps)

    def advance(self, double eps):
        with nogil:
            self.core.advance(eps)

    def accelerate(self, double eps, boolean anew):
        cdef boolean further
        with nogil:
            further = self.core.accelerate(eps, anew)
        return further

    def shorten(self, double share):
        with nogil:
            self.core.shorten(share)

    def take_back(self):
        with nogil:
            self.core.take_back()

    def forget(self):
        self.core.forget()
