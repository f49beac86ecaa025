// Vectors of sixteen floats, products of small matrices and softmax, for kernels.cpp and decoding.cpp.
//
// Vectors are GCC's; every exported function is compiled for AVX-512, AVX2 and the plain processor, and the loader picks one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define EXPORT extern "C" __attribute__((visibility("default"), target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions only

typedef float V __attribute__((vector_size(64)));
typedef int32_t I __attribute__((vector_size(64)));
typedef int64_t n_t;
static const n_t L = 16;      // floats in a vector

INLINE V load(const float* p) { V v; memcpy(&v, p, 64); return v; }
INLINE void store(float* p, V v) { memcpy(p, &v, 64); }
INLINE V all(float x) { return V{} + x; }
INLINE V part(const float* p, n_t n, float rest) { V v = all(rest); memcpy(&v, p, 4 * n); return v; }
// Halves are folded onto each other: four steps, not fifteen.
INLINE V fold8(V v) { return __builtin_shuffle(v, (I){8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7}); }
INLINE V fold4(V v) { return __builtin_shuffle(v, (I){4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11}); }
INLINE V fold2(V v) { return __builtin_shuffle(v, (I){2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13}); }
INLINE float sum(V v) { v += fold8(v); v += fold4(v); v += fold2(v); return v[0] + v[1]; }
INLINE V larger(V a, V b) { return a > b ? a : b; }
INLINE float largest(V v) { v = larger(v, fold8(v)); v = larger(v, fold4(v)); v = larger(v, fold2(v)); return std::max(v[0], v[1]); }
INLINE n_t up(n_t n) { return (n + L - 1) / L * L; }

// e^x to two units in the last place: 2^k e^r with |r| <= ln 2 / 2, e^r by its series to the seventh power. Below -87: about 0.
INLINE V exponential(V x) {
    x = x < all(-87.0f) ? all(-87.0f) : x;
    x = x > all(88.0f) ? all(88.0f) : x;
    V k = (x * 1.44269504f + 12582912.0f) - 12582912.0f;  // to the nearest whole number
    V r = x - k * 0.693359375f + k * 2.12194440e-4f;      // ln 2 in two parts, so that r is exact
    V p = all(1.0f / 5040);
    p = p * r + 1.0f / 720; p = p * r + 1.0f / 120; p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6; p = p * r + 0.5f; p = p * r + 1.0f; p = p * r + 1.0f;
    I bits = (__builtin_convertvector(k, I) + 127) << 23;
    V scale; memcpy(&scale, &bits, 64);
    return p * scale;
}

// C (R, 16 W) = or += A (R, K) B (K, 16 W). A's element (m, k) stands at a[m sm + k sk], so that it may be transposed.
template <int R, int W> INLINE void tile(n_t K, const float* a, n_t sm, n_t sk, const float* b, n_t ldb, float* c, n_t ldc, bool add) {
    V acc[R][W];
    for (int m = 0; m < R; m++) for (int w = 0; w < W; w++) acc[m][w] = add ? load(c + m * ldc + w * L) : V{};
    for (n_t k = 0; k < K; k++) {
        V row[W];
        for (int w = 0; w < W; w++) row[w] = load(b + k * ldb + w * L);
        for (int m = 0; m < R; m++) {
            V x = all(a[m * sm + k * sk]);
            for (int w = 0; w < W; w++) acc[m][w] += x * row[w];
        }
    }
    for (int m = 0; m < R; m++) for (int w = 0; w < W; w++) store(c + m * ldc + w * L, acc[m][w]);
}
// The same for one row, in four sums: one alone would wait for itself at every step.
template <int W> INLINE void line(n_t K, const float* a, n_t sk, const float* b, n_t ldb, float* c, bool add) {
    V acc[4][W] = {};
    n_t k = 0;
    for (; k + 4 <= K; k += 4)
        for (int i = 0; i < 4; i++) for (int w = 0; w < W; w++) acc[i][w] += a[(k + i) * sk] * load(b + (k + i) * ldb + w * L);
    for (; k < K; k++) for (int w = 0; w < W; w++) acc[0][w] += a[k * sk] * load(b + k * ldb + w * L);
    for (int w = 0; w < W; w++) {
        V total = (acc[0][w] + acc[1][w]) + (acc[2][w] + acc[3][w]);
        store(c + w * L, add ? load(c + w * L) + total : total);
    }
}
template <int W> INLINE void strip(n_t M, n_t K, const float* a, n_t sm, n_t sk, const float* b, n_t ldb, float* c, n_t ldc, bool add) {
    n_t m = 0;
    for (; m + 8 <= M; m += 8) tile<8, W>(K, a + m * sm, sm, sk, b, ldb, c + m * ldc, ldc, add);
    if (M - m >= 4) { tile<4, W>(K, a + m * sm, sm, sk, b, ldb, c + m * ldc, ldc, add); m += 4; }
    if (M - m >= 2) { tile<2, W>(K, a + m * sm, sm, sk, b, ldb, c + m * ldc, ldc, add); m += 2; }
    if (M - m >= 1) line<W>(K, a + m * sm, sk, b, ldb, c + m * ldc, add);
}
// N is a multiple of 16.
INLINE void product(n_t M, n_t N, n_t K, const float* a, n_t sm, n_t sk, const float* b, n_t ldb, float* c, n_t ldc, bool add = false) {
    n_t n = 0;
    for (; n + 2 * L <= N; n += 2 * L) strip<2>(M, K, a, sm, sk, b + n, ldb, c + n, ldc, add);
    if (n < N) strip<1>(M, K, a, sm, sk, b + n, ldb, c + n, ldc, add);
}

struct Scratch {  // memory that a thread keeps from one call to the next
    std::vector<float> kept;
    n_t used = 0;
    void begin(n_t floats) { used = 0; if ((n_t)kept.size() < floats) kept.resize(floats); }
    float* take(n_t floats) { float* p = kept.data() + used; used += up(floats); return p; }
};
static thread_local Scratch scratch;

// Rotation of one head at one token (Su et al. 2021, eq. 34, halves): y = scale * rotate(x), element d of y at y[d * step].
INLINE void rotate(const float* x, const float* cos, const float* sin, n_t D, float scale, float* y, n_t step) {
    for (n_t d = 0; d < D / 2; d++) {
        float a = x[d] * scale, b = x[d + D / 2] * scale;
        y[d * step] = a * cos[d] - b * sin[d];
        y[(d + D / 2) * step] = b * cos[d] + a * sin[d];
    }
}
// Scores become probabilities: row i of s (n rows of `ld`) sees `first + i` keys; what it does not see is 0. Gives log-sum-exps.
INLINE void softmax(float* s, n_t rows, n_t ld, n_t first, n_t width, float* lse) {
    for (n_t i = 0; i < rows; i++) {
        float* row = s + i * ld;
        n_t n = first + i, full = n / L * L, rest = n - full;
        V top = all(-INFINITY);
        for (n_t j = 0; j < full; j += L) { V x = load(row + j); top = x > top ? x : top; }
        if (rest) { V x = part(row + full, rest, -INFINITY); top = x > top ? x : top; }
        float most = largest(top);
        V total{};
        for (n_t j = 0; j < full; j += L) { V e = exponential(load(row + j) - most); store(row + j, e); total += e; }
        if (rest) {
            V e = exponential(part(row + full, rest, most - 100.0f) - most);
            for (n_t j = rest; j < L; j++) e[j] = 0;
            store(row + full, e); total += e;
        }
        for (n_t j = up(n); j < width; j += L) store(row + j, V{});
        float z = sum(total);
        const float inverse = 1.0f / z;
        for (n_t j = 0; j < up(n); j += L) store(row + j, load(row + j) * inverse);
        if (lse) lse[i] = most + std::log(z);
    }
}

// B (C, R) = A (R, C) transposed; R and C are multiples of 16. Sixteen rows at a time, in four rounds of interleaving halves.
INLINE void transpose(const float* a, n_t lda, float* b, n_t ldb, n_t R, n_t C) {
    const I low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}, high = low + 8;
    for (n_t r = 0; r < R; r += L)
        for (n_t c = 0; c < C; c += L) {
            V x[16], y[16];
            for (int i = 0; i < 16; i++) x[i] = load(a + (r + i) * lda + c);
#pragma GCC unroll 4
            for (int round = 0; round < 4; round++) {
#pragma GCC unroll 8
                for (int i = 0; i < 8; i++) {
                    y[2 * i] = __builtin_shuffle(x[i], x[i + 8], low);
                    y[2 * i + 1] = __builtin_shuffle(x[i], x[i + 8], high);
                }
                for (int i = 0; i < 16; i++) x[i] = y[i];
            }
            for (int i = 0; i < 16; i++) store(b + (c + i) * ldb + r, x[i]);
        }
}

INLINE float dot(const float* x, const float* y, n_t D) {
    V total{};
    n_t d = 0;
    for (; d + L <= D; d += L) total += load(x + d) * load(y + d);
    float s = sum(total);
    for (; d < D; d++) s += x[d] * y[d];
    return s;
}
INLINE float squares(const float* x, n_t D) {
    V total{};
    n_t d = 0;
    for (; d + L <= D; d += L) { V v = load(x + d); total += v * v; }
    float s = sum(total);
    for (; d < D; d++) s += x[d] * x[d];
    return s;
}
