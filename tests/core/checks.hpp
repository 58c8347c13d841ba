// What the tests of the C++ core share: no Python, no framework. Run under AddressSanitizer and
// UndefinedBehaviorSanitizer by
//
//   cmake -S . -B build/core -DMONGE_CORE_TESTS=ON -DMONGE_SANITIZE=ON && cmake --build build/core && ctest --test-dir
//   build/core
//
// and once per instruction set, which MONGE_SIMD selects at start.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>

inline constexpr double inf = std::numeric_limits<double>::infinity();

inline int passed = 0, failed = 0;

// What is being tested, for the message of a check that fails.
inline const char* where = "";

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (condition) {                                                            \
            ++passed;                                                               \
        } else {                                                                    \
            ++failed;                                                               \
            std::printf("%s:%d: %s [%s]\n", __FILE__, __LINE__, #condition, where); \
        }                                                                           \
    } while (false)

/// For the end of a test program: what it returns.
inline int verdict() {
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

// The same numbers on every platform.
class Random {
public:
    explicit Random(unsigned seed) : engine_(seed) {}
    double uniform() { return (static_cast<double>(engine_()) + 0.5) / 4294967296.0; }
    int below(int n) { return static_cast<int>(uniform() * n); }

private:
    std::mt19937 engine_;
};
