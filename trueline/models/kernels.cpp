// What a training step and a decoding step do beside matrix products, for float32 on a processor: attention over pieces of any
// length with the rotation of queries and keys inside, norms, SwiGLU, log-probabilities of logits, and the decoder's attention.
//
// Plain C functions on raw pointers, called by models/native.py; torch does the same where this file was not compiled
// (models/fast.py), and tests/models/test_native.py holds the two against each other. Nothing here starts a thread: a caller
// that has several gives each a range of heads or rows. Vectors are GCC's; every function is compiled for AVX-512, AVX2 and
// the plain processor, and the loader picks one.
//
// Shapes: M tokens one after another, H query heads, G key heads, D numbers a head; qkv is (M, (H + 2 G) D).

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
static const n_t BLOCK = 32;  // queries whose scores exist at one time in the backward pass

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
// The transpose of `rotate`, added to x.
INLINE void rotate_back(const float* y, const float* cos, const float* sin, n_t D, float scale, float* x) {
    for (n_t d = 0; d < D / 2; d++) {
        float a = y[d] * scale, b = y[d + D / 2] * scale;
        x[d] += a * cos[d] + b * sin[d];
        x[d + D / 2] += b * cos[d] - a * sin[d];
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
        for (n_t j = 0; j < up(n); j += L) store(row + j, load(row + j) / z);
        if (lse) lse[i] = most + std::log(z);
    }
}

// Attention over pieces. A piece is (first query, queries, first prefix token, prefix tokens): its tokens see the whole prefix,
// then themselves causally. Heads of keys g0 .. g1 - 1. out (M, H D); lse (M, H).
EXPORT void attend(const float* qkv, const float* cos, const float* sin, const n_t* pieces, n_t count, n_t H, n_t G, n_t D,
                   float scale, n_t g0, n_t g1, float* out, float* lse) {
    const n_t W = (H + 2 * G) * D, share = H / G, DP = up(D);
    for (n_t s = 0; s < count; s++) {
        const n_t q0 = pieces[4 * s], qn = pieces[4 * s + 1], p0 = pieces[4 * s + 2], pn = pieces[4 * s + 3];
        const n_t T = pn + qn, TP = up(T);
        scratch.begin(DP * TP + TP * DP + 8 * (DP + TP + DP) + 64);
        float *kt = scratch.take(DP * TP), *v = scratch.take(TP * DP), *q = scratch.take(8 * DP), *p = scratch.take(8 * TP),
              *o = scratch.take(8 * DP), sums[8];
        memset(kt, 0, 4 * DP * TP);
        memset(v, 0, 4 * TP * DP);
        memset(q, 0, 4 * 8 * DP);
        for (n_t g = g0; g < g1; g++) {
            for (n_t j = 0; j < T; j++) {
                const n_t r = j < pn ? p0 + j : q0 + j - pn;
                rotate(qkv + r * W + (H + g) * D, cos + r * D / 2, sin + r * D / 2, D, 1.0f, kt + j, TP);
                memcpy(v + j * DP, qkv + r * W + (H + G + g) * D, 4 * D);
            }
            for (n_t h = g * share; h < (g + 1) * share; h++)
                for (n_t i = 0; i < qn; i += 8) {
                    const n_t rows = std::min<n_t>(8, qn - i), seen = pn + i + rows, width = up(seen);
                    for (n_t m = 0; m < rows; m++) {
                        const n_t r = q0 + i + m;
                        rotate(qkv + r * W + h * D, cos + r * D / 2, sin + r * D / 2, D, scale, q + m * DP, 1);
                    }
                    product(rows, width, D, q, DP, 1, kt, TP, p, TP);
                    softmax(p, rows, TP, pn + i + 1, width, sums);
                    product(rows, DP, seen, p, TP, 1, v, DP, o, DP);
                    for (n_t m = 0; m < rows; m++) {
                        memcpy(out + ((q0 + i + m) * H + h) * D, o + m * DP, 4 * D);
                        lse[(q0 + i + m) * H + h] = sums[m];
                    }
                }
        }
    }
}

// The gradient of `attend`: to_qkv must be zero where these heads stand; pieces that share a prefix add to its gradient.
EXPORT void attend_back(const float* qkv, const float* cos, const float* sin, const n_t* pieces, n_t count, n_t H, n_t G, n_t D,
                        float scale, n_t g0, n_t g1, const float* out, const float* lse, const float* to_out, float* to_qkv) {
    const n_t W = (H + 2 * G) * D, share = H / G, DP = up(D);
    for (n_t s = 0; s < count; s++) {
        const n_t q0 = pieces[4 * s], qn = pieces[4 * s + 1], p0 = pieces[4 * s + 2], pn = pieces[4 * s + 3];
        const n_t T = pn + qn, TP = up(T);
        scratch.begin(5 * DP * TP + BLOCK * (3 * DP + 2 * TP) + 128);
        float *kt = scratch.take(DP * TP), *vt = scratch.take(DP * TP), *k = scratch.take(TP * DP), *dk = scratch.take(TP * DP),
              *dv = scratch.take(TP * DP), *q = scratch.take(BLOCK * DP), *go = scratch.take(BLOCK * DP),
              *dq = scratch.take(BLOCK * DP), *p = scratch.take(BLOCK * TP), *ds = scratch.take(BLOCK * TP);
        memset(kt, 0, 4 * DP * TP);
        memset(vt, 0, 4 * DP * TP);
        memset(k, 0, 4 * TP * DP);
        memset(q, 0, 4 * BLOCK * DP);
        memset(go, 0, 4 * BLOCK * DP);
        for (n_t g = g0; g < g1; g++) {
            for (n_t j = 0; j < T; j++) {
                const n_t r = j < pn ? p0 + j : q0 + j - pn;
                rotate(qkv + r * W + (H + g) * D, cos + r * D / 2, sin + r * D / 2, D, 1.0f, k + j * DP, 1);
                const float* value = qkv + r * W + (H + G + g) * D;
                for (n_t d = 0; d < D; d++) { kt[d * TP + j] = k[j * DP + d]; vt[d * TP + j] = value[d]; }
            }
            memset(dk, 0, 4 * TP * DP);
            memset(dv, 0, 4 * TP * DP);
            for (n_t h = g * share; h < (g + 1) * share; h++)
                for (n_t i = 0; i < qn; i += BLOCK) {
                    const n_t rows = std::min(BLOCK, qn - i), seen = pn + i + rows, width = up(seen);
                    for (n_t m = 0; m < rows; m++) {
                        const n_t r = q0 + i + m;
                        rotate(qkv + r * W + h * D, cos + r * D / 2, sin + r * D / 2, D, scale, q + m * DP, 1);
                        memcpy(go + m * DP, to_out + (r * H + h) * D, 4 * D);
                    }
                    product(rows, width, D, q, DP, 1, kt, TP, p, TP);
                    product(rows, width, D, go, DP, 1, vt, TP, ds, TP);
                    for (n_t m = 0; m < rows; m++) {
                        const n_t r = q0 + i + m, n = pn + i + m + 1;
                        const float *mine = out + (r * H + h) * D, *his = go + m * DP, z = lse[r * H + h];
                        float delta = 0;
                        for (n_t d = 0; d < D; d++) delta += mine[d] * his[d];
                        float *prow = p + m * TP, *drow = ds + m * TP;
                        for (n_t j = 0; j < width; j += L) {
                            V e = exponential(load(prow + j) - z);
                            if (j + L > n) for (n_t x = std::max<n_t>(0, n - j); x < L; x++) e[x] = 0;
                            store(prow + j, e);
                            store(drow + j, e * (load(drow + j) - delta));
                        }
                    }
                    product(rows, DP, seen, ds, TP, 1, k, DP, dq, DP);
                    product(seen, DP, rows, ds, 1, TP, q, DP, dk, DP, true);
                    product(seen, DP, rows, p, 1, TP, go, DP, dv, DP, true);
                    for (n_t m = 0; m < rows; m++) {
                        const n_t r = q0 + i + m;
                        rotate_back(dq + m * DP, cos + r * D / 2, sin + r * D / 2, D, scale, to_qkv + r * W + h * D);
                    }
                }
            for (n_t j = 0; j < T; j++) {
                const n_t r = j < pn ? p0 + j : q0 + j - pn;
                rotate_back(dk + j * DP, cos + r * D / 2, sin + r * D / 2, D, 1.0f, to_qkv + r * W + (H + g) * D);
                float* value = to_qkv + r * W + (H + G + g) * D;
                for (n_t d = 0; d < D; d++) value[d] += dv[j * DP + d];
            }
        }
    }
}

// One decoding step. Rows lie in groups that share a prompt: group i has rows starts[i] .. starts[i + 1] - 1, and its prompt is
// number owners[i], of lengths[owners[i]] tokens, with keys (G, D, P) and values (G, P, D). Row r keeps its own keys (G, D, T)
// and values (G, T, D) in slot slots[r]: made[r] of them are there, and this step's are added. P and T: multiples of 16.
// qkv (R, (H + 2 G) D) has been rotated; out (R, H D).
EXPORT void attend_step(const float* qkv, const n_t* starts, const n_t* owners, const n_t* lengths, const n_t* slots, const n_t* made,
                        n_t groups, n_t H, n_t G, n_t D, float scale, n_t P, const float* prompt_k, const float* prompt_v, n_t T,
                        float* own_k, float* own_v, float* out) {
    const n_t W = (H + 2 * G) * D, share = H / G, DP = up(D), width = P + T;
    for (n_t i = 0; i < groups; i++) {
        const n_t from = starts[i], rows = starts[i + 1] - from, n = lengths[owners[i]], M = rows * share;
        scratch.begin(M * (2 * DP + width) + up(n) * DP + 128);
        float *q = scratch.take(M * DP), *s = scratch.take(M * width), *o = scratch.take(M * DP), *padded = scratch.take(up(n) * DP);
        for (n_t g = 0; g < G; g++) {
            const float *pk = prompt_k + (owners[i] * G + g) * P * D, *pv = prompt_v + (owners[i] * G + g) * P * D;
            for (n_t r = 0; r < rows; r++)
                for (n_t h = 0; h < share; h++)
                    for (n_t d = 0; d < D; d++) q[(r * share + h) * DP + d] = qkv[(from + r) * W + (g * share + h) * D + d] * scale;
            product(M, up(n), D, q, DP, 1, pk, P, s, width);
            for (n_t r = 0; r < rows; r++) {
                const n_t at = made[from + r], now = at + 1;
                float *k = own_k + (slots[from + r] * G + g) * D * T, *v = own_v + (slots[from + r] * G + g) * T * D;
                const float *key = qkv + (from + r) * W + (H + g) * D, *value = key + G * D;
                for (n_t d = 0; d < D; d++) { k[d * T + at] = key[d]; v[at * D + d] = value[d]; }
                for (n_t h = 0; h < share; h++) {
                    float* row = s + (r * share + h) * width;
                    product(1, up(now), D, q + (r * share + h) * DP, DP, 1, k, T, row + up(n), width);
                    for (n_t j = 0; j < now; j++) row[n + j] = row[up(n) + j];  // the row's own scores follow the prompt's
                    softmax(row, 1, width, n + now, up(n + now), nullptr);
                }
            }
            if (DP == D) product(M, D, n, s, width, 1, pv, D, o, DP);
            else {
                for (n_t j = 0; j < n; j++) memcpy(padded + j * DP, pv + j * D, 4 * D);
                product(M, DP, n, s, width, 1, padded, DP, o, DP);
            }
            for (n_t r = 0; r < rows; r++) {
                const n_t now = made[from + r] + 1;
                const float* v = own_v + (slots[from + r] * G + g) * T * D;
                for (n_t h = 0; h < share; h++) {
                    const float* weight = s + (r * share + h) * width + n;
                    float *sum = o + (r * share + h) * DP, *to = out + ((from + r) * H + g * share + h) * D;
                    if (DP == D) product(1, D, now, weight, 1, 1, v, D, sum, DP, true);
                    else for (n_t j = 0; j < now; j++) for (n_t d = 0; d < D; d++) sum[d] += weight[j] * v[j * D + d];
                    memcpy(to, sum, 4 * D);
                }
            }
        }
    }
}

// The prompts' keys, rotated, and values of one layer, from qkv (M, (H + 2 G) D) of all prompts one after another, into
// the places places[i] of prompt_k (places, G, D, P) and prompt_v (places, G, P, D).
EXPORT void keep_prompts(const float* qkv, const float* cos, const float* sin, const n_t* lengths, const n_t* places, n_t prompts,
                         n_t H, n_t G, n_t D, n_t P, float* prompt_k, float* prompt_v) {
    const n_t W = (H + 2 * G) * D;
    n_t r = 0;
    for (n_t i = 0; i < prompts; i++)
        for (n_t j = 0; j < lengths[i]; j++, r++)
            for (n_t g = 0; g < G; g++) {
                rotate(qkv + r * W + (H + g) * D, cos + r * D / 2, sin + r * D / 2, D, 1.0f, prompt_k + (places[i] * G + g) * P * D + j, P);
                memcpy(prompt_v + ((places[i] * G + g) * P + j) * D, qkv + r * W + (H + G + g) * D, 4 * D);
            }
}

// Pick a token for each row of logits z (n, N) by inverting its cumulative distribution at u, or the likeliest where there is
// no u; and its log-probability. The logits are divided by the temperature in place.
EXPORT void draw(float* z, n_t N, float inverse, const double* u, n_t r0, n_t r1, n_t* picked, float* logp) {
    std::vector<double> sums((N + L - 1) / L);
    for (n_t r = r0; r < r1; r++) {
        float* row = z + r * N;
        V top = all(-INFINITY);
        for (n_t j = 0; j < N; j += L) {
            const n_t n = std::min(L, N - j);
            V x = (n == L ? load(row + j) : part(row + j, n, -INFINITY)) * inverse;
            memcpy(row + j, &x, 4 * n);
            top = larger(top, x);
        }
        const float most = largest(top);
        n_t best = 0;
        while (best + 1 < N && row[best] != most) best++;
        double total = 0;
        for (n_t j = 0; j < N; j += L) {
            const n_t n = std::min(L, N - j);
            V e = exponential((n == L ? load(row + j) : part(row + j, n, most)) - most);
            for (n_t x = n; x < L; x++) e[x] = 0;
            sums[j / L] = sum(e);
            total += sums[j / L];
        }
        if (u) {
            const double wanted = u[r] * total;
            double below = 0;
            n_t b = 0;
            while (b + 1 < (n_t)sums.size() && below + sums[b] <= wanted) below += sums[b++];
            V e = exponential((N - b * L >= L ? load(row + b * L) : part(row + b * L, N - b * L, most)) - most);
            best = b * L;
            while (best + 1 < std::min(N, (b + 1) * L) && below + e[best - b * L] <= wanted) { below += e[best - b * L]; best++; }
        }
        picked[r] = best;
        logp[r] = (float)(row[best] - most - std::log(total));
    }
}

// x (M, H D) read at rows of `stride` floats, rotated in place, `heads` heads from the start of each row.
EXPORT void rotate_rows(float* x, n_t stride, const float* cos, const float* sin, n_t M, n_t heads, n_t D) {
    for (n_t r = 0; r < M; r++)
        for (n_t h = 0; h < heads; h++) {
            float* y = x + r * stride + h * D;
            for (n_t d = 0; d < D / 2; d++) {
                float a = y[d], b = y[d + D / 2], c = cos[r * D / 2 + d], s = sin[r * D / 2 + d];
                y[d] = a * c - b * s;
                y[d + D / 2] = b * c + a * s;
            }
        }
}

INLINE float squares(const float* x, n_t D) {
    V total{};
    n_t d = 0;
    for (; d + L <= D; d += L) { V v = load(x + d); total += v * v; }
    float s = sum(total);
    for (; d < D; d++) s += x[d] * x[d];
    return s;
}

// sum = x + y (where y is given), normed = sum / rms(sum) * w, rows r0 .. r1 - 1. Zhang & Sennrich 2019, eq. 4.
EXPORT void norm(const float* x, const float* y, const float* w, n_t D, float eps, n_t r0, n_t r1, float* sum_, float* normed) {
    for (n_t r = r0; r < r1; r++) {
        const float* row = x + r * D;
        if (y) {
            float* to = sum_ + r * D;
            for (n_t d = 0; d < D; d++) to[d] = row[d] + y[r * D + d];
            row = to;
        }
        const float scale = 1.0f / std::sqrt(squares(row, D) / D + eps);
        for (n_t d = 0; d < D; d++) normed[r * D + d] = row[d] * scale * w[d];
    }
}
// to_x = the gradient of x (and of y): what comes by `normed`, plus to_sum where it is given. to_w (D) is added to.
EXPORT void norm_back(const float* x, const float* w, const float* to_normed, const float* to_sum, n_t D, float eps, n_t r0, n_t r1,
                      float* to_x, float* to_w) {
    for (n_t r = r0; r < r1; r++) {
        const float *row = x + r * D, *g = to_normed + r * D;
        const float scale = 1.0f / std::sqrt(squares(row, D) / D + eps);
        V dots{};
        float dot = 0;
        n_t d = 0;
        for (; d + L <= D; d += L) dots += load(row + d) * load(g + d) * load(w + d);
        dot = sum(dots);
        for (; d < D; d++) dot += row[d] * g[d] * w[d];
        const float pull = dot * scale * scale * scale / D;
        float* to = to_x + r * D;
        for (d = 0; d < D; d++) {
            to[d] = g[d] * w[d] * scale - row[d] * pull;
            to_w[d] += g[d] * row[d] * scale;
        }
        if (to_sum) for (d = 0; d < D; d++) to[d] += to_sum[r * D + d];
    }
}

// The heads of queries and keys normed one by one (Qwen3), the values copied. qkv and to (M, (H + 2 G) D).
EXPORT void norm_heads(const float* qkv, const float* wq, const float* wk, n_t H, n_t G, n_t D, float eps, n_t r0, n_t r1, float* to) {
    const n_t W = (H + 2 * G) * D;
    for (n_t r = r0; r < r1; r++) {
        for (n_t h = 0; h < H + G; h++) {
            const float *x = qkv + r * W + h * D, *w = h < H ? wq : wk;
            const float scale = 1.0f / std::sqrt(squares(x, D) / D + eps);
            for (n_t d = 0; d < D; d++) to[r * W + h * D + d] = x[d] * scale * w[d];
        }
        memcpy(to + r * W + (H + G) * D, qkv + r * W + (H + G) * D, 4 * G * D);
    }
}
EXPORT void norm_heads_back(const float* qkv, const float* wq, const float* wk, const float* from, n_t H, n_t G, n_t D, float eps,
                            n_t r0, n_t r1, float* to_qkv, float* to_wq, float* to_wk) {
    const n_t W = (H + 2 * G) * D;
    for (n_t r = r0; r < r1; r++) {
        for (n_t h = 0; h < H + G; h++) {
            const float *x = qkv + r * W + h * D, *g = from + r * W + h * D, *w = h < H ? wq : wk;
            float *to = to_qkv + r * W + h * D, *to_w = h < H ? to_wq : to_wk, dot = 0;
            const float scale = 1.0f / std::sqrt(squares(x, D) / D + eps);
            for (n_t d = 0; d < D; d++) dot += x[d] * g[d] * w[d];
            const float pull = dot * scale * scale * scale / D;
            for (n_t d = 0; d < D; d++) {
                to[d] = g[d] * w[d] * scale - x[d] * pull;
                to_w[d] += g[d] * x[d] * scale;
            }
        }
        memcpy(to_qkv + r * W + (H + G) * D, from + r * W + (H + G) * D, 4 * G * D);
    }
}

// silu(gate) * up, with gate and up side by side: both (M, 2 F) -> (M, F). Shazeer 2020, eq. 6. F: a multiple of 16.
EXPORT void swiglu(const float* both, n_t F, n_t r0, n_t r1, float* to) {
    for (n_t r = r0; r < r1; r++)
        for (n_t f = 0; f < F; f += L) {
            V gate = load(both + r * 2 * F + f), up_ = load(both + r * 2 * F + F + f);
            store(to + r * F + f, gate * up_ / (1.0f + exponential(-gate)));
        }
}
EXPORT void swiglu_back(const float* both, const float* from, n_t F, n_t r0, n_t r1, float* to_both) {
    for (n_t r = r0; r < r1; r++)
        for (n_t f = 0; f < F; f += L) {
            V gate = load(both + r * 2 * F + f), up_ = load(both + r * 2 * F + F + f), g = load(from + r * F + f);
            V open = 1.0f / (1.0f + exponential(-gate));
            store(to_both + r * 2 * F + f, g * up_ * open * (1.0f + gate * (1.0f - open)));
            store(to_both + r * 2 * F + F + f, g * gate * open);
        }
}

// Logits z (n, N), divided by the temperature in place: log-probability of each row's target, log-sum-exp, entropy if asked.
EXPORT void log_probability(float* z, const n_t* targets, n_t N, float inverse, n_t r0, n_t r1, float* logp, float* lse, float* entropy) {
    for (n_t r = r0; r < r1; r++) {
        float* row = z + r * N;
        const n_t full = N / L * L, rest = N - full;
        V top = all(-INFINITY), total{}, mean{};
        for (n_t j = 0; j < full; j += L) { V x = load(row + j) * inverse; store(row + j, x); top = x > top ? x : top; }
        for (n_t j = full; j < N; j++) row[j] *= inverse;
        if (rest) { V x = part(row + full, rest, -INFINITY); top = x > top ? x : top; }
        const float most = largest(top);
        for (n_t j = 0; j < full; j += L) { V x = load(row + j) - most, e = exponential(x); total += e; mean += e * x; }
        if (rest) {
            V x = part(row + full, rest, most) - most, e = exponential(x);
            for (n_t j = rest; j < L; j++) e[j] = 0;
            total += e; mean += e * x;
        }
        const float s = sum(total), z0 = std::log(s);
        lse[r] = most + z0;
        logp[r] = row[targets[r]] - most - z0;
        if (entropy) entropy[r] = z0 - sum(mean) / s;
    }
}
// z becomes the gradient of the logits: (onehot - p) to_logp - p (log p + H) to_entropy, over the temperature.
EXPORT void log_probability_back(float* z, const n_t* targets, n_t N, float inverse, n_t r0, n_t r1, const float* lse,
                                 const float* entropy, const float* to_logp, const float* to_entropy) {
    for (n_t r = r0; r < r1; r++) {
        float* row = z + r * N;
        const float g = to_logp[r], e = to_entropy ? to_entropy[r] : 0.0f, nats = to_entropy ? entropy[r] : 0.0f;
        for (n_t j = 0; j < N; j += L) {
            const n_t n = std::min(L, N - j);
            V logs = (n == L ? load(row + j) : part(row + j, n, 0.0f)) - lse[r];
            V change = exponential(logs) * (-g - e * (logs + nats)) * inverse;
            memcpy(row + j, &change, 4 * n);
        }
        row[targets[r]] += g * inverse;
    }
}

EXPORT n_t kernels_version() { return 1; }
