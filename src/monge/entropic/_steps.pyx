# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The binding of csrc/entropic/steps.hpp: functions of `iteration`, with its arguments."""

from libcpp cimport bool as cbool
from libcpp.vector cimport vector


cdef extern from "entropic/steps.hpp" namespace "monge" nogil:
    cdef struct Sides:
        size_t n, m
        const double* a
        const double* b
        double kl_a, cap_a, kl_b, cap_b

    cdef struct Measured:
        double error, mass, value_a, value_b

    void column_sums(const double* b, size_t m, double eps, const double* g, const double* s, double* out)
    Measured c_measure "monge::measure"(const Sides&, const double* f, const double* g, const double* columns, double*)
    void c_plain_step "monge::plain_step"(
        const Sides&, double eps, cbool translate, double* f, const double* g, const double* s, double* out)
    cbool c_extrapolate "monge::extrapolate"(
        const double* b, size_t m, double cap, double eps, size_t taken, const double* plain, double* g, double* memory,
        size_t stride, double* gram, size_t depth)


def measure(const double[::1] a, const double[::1] b, double kl_a, double cap_a, double kl_b, double cap_b, double eps,
            const double[::1] f, const double[::1] g, const double[::1] s):
    cdef Sides sides = Sides(len(a), len(b), &a[0], &b[0], kl_a, cap_a, kl_b, cap_b)
    cdef vector[double] columns, wanted
    cdef Measured out
    columns.resize(sides.m)
    wanted.resize(sides.m)
    with nogil:
        column_sums(&b[0], sides.m, eps, &g[0], &s[0], columns.data())
        out = c_measure(sides, &f[0], &g[0], columns.data(), wanted.data())
    return out.error, out.mass, out.value_a, out.value_b


def plain_step(const double[::1] a, const double[::1] b, double kl_a, double kl_b, double cap_b, double eps,
               cbool translate, double[::1] f, const double[::1] g, const double[::1] s, double[::1] out):
    cdef Sides sides = Sides(len(a), len(b), &a[0], &b[0], kl_a, 0.0, kl_b, cap_b)
    with nogil:
        c_plain_step(sides, eps, translate, &f[0], &g[0], &s[0], &out[0])


def extrapolate(const double[::1] b, double cap_b, double eps, size_t taken, const double[::1] plain, double[::1] g,
                double[:, ::1] memory, double[:, ::1] gram):
    cdef size_t m = len(b), depth = gram.shape[1]
    cdef cbool accelerated
    with nogil:
        accelerated = c_extrapolate(&b[0], m, cap_b, eps, taken, &plain[0], &g[0], &memory[0, 0], m, &gram[0, 0], depth)
    return accelerated
