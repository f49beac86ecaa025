// What a training step does beside matrix products, for float32 on a processor: attention over pieces of any length with the
// rotation of queries and keys inside, norms, SwiGLU and log-probabilities of logits. Decoding is in decoding.cpp.
//
// Plain C functions on raw pointers, called by models/native.py; torch does the same where this file was not compiled
// (models/fast.py), and tests/models/test_native.py holds the two against each other. Nothing here starts a thread: a caller
// that has several gives each a range of heads or rows.
//
// Shapes: M tokens one after another, H query heads, G key heads, D numbers a head; qkv is (M, (H + 2 G) D).

#include "vectors.h"

static const n_t BLOCK = 32;  // queries whose scores exist at one time in the backward pass

// The transpose of `rotate`, added to x.
INLINE void rotate_back(const float* y, const float* cos, const float* sin, n_t D, float scale, float* x) {
    for (n_t d = 0; d < D / 2; d++) {
        float a = y[d] * scale, b = y[d + D / 2] * scale;
        x[d] += a * cos[d] + b * sin[d];
        x[d + D / 2] += b * cos[d] - a * sin[d];
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
        scratch.begin(DP * TP + 2 * TP * DP + 8 * (DP + TP + DP) + 64);
        float *kt = scratch.take(DP * TP), *k = scratch.take(TP * DP), *v = scratch.take(TP * DP), *q = scratch.take(8 * DP),
              *p = scratch.take(8 * TP), *o = scratch.take(8 * DP), sums[8];
        memset(k, 0, 4 * TP * DP);
        memset(v, 0, 4 * TP * DP);
        memset(q, 0, 4 * 8 * DP);
        for (n_t g = g0; g < g1; g++) {
            for (n_t j = 0; j < T; j++) {
                const n_t r = j < pn ? p0 + j : q0 + j - pn;
                rotate(qkv + r * W + (H + g) * D, cos + r * D / 2, sin + r * D / 2, D, 1.0f, k + j * DP, 1);
                memcpy(v + j * DP, qkv + r * W + (H + G + g) * D, 4 * D);
            }
            transpose(k, DP, kt, TP, TP, DP);
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
        scratch.begin(6 * DP * TP + BLOCK * (3 * DP + 2 * TP) + 128);
        float *kt = scratch.take(DP * TP), *vt = scratch.take(DP * TP), *k = scratch.take(TP * DP), *v = scratch.take(TP * DP),
              *dk = scratch.take(TP * DP), *dv = scratch.take(TP * DP), *q = scratch.take(BLOCK * DP), *go = scratch.take(BLOCK * DP),
              *dq = scratch.take(BLOCK * DP), *p = scratch.take(BLOCK * TP), *ds = scratch.take(BLOCK * TP);
        memset(k, 0, 4 * TP * DP);
        memset(v, 0, 4 * TP * DP);
        memset(q, 0, 4 * BLOCK * DP);
        memset(go, 0, 4 * BLOCK * DP);
        for (n_t g = g0; g < g1; g++) {
            for (n_t j = 0; j < T; j++) {
                const n_t r = j < pn ? p0 + j : q0 + j - pn;
                rotate(qkv + r * W + (H + g) * D, cos + r * D / 2, sin + r * D / 2, D, 1.0f, k + j * DP, 1);
                memcpy(v + j * DP, qkv + r * W + (H + G + g) * D, 4 * D);
            }
            transpose(k, DP, kt, TP, TP, DP);
            transpose(v, DP, vt, TP, TP, DP);
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
                        const float z = lse[r * H + h], delta = dot(out + (r * H + h) * D, go + m * DP, D);
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
// Where `normed` is given, what `norm` made of x is written there; it may be the place of to_normed.
EXPORT void norm_back(const float* x, const float* w, const float* to_normed, const float* to_sum, n_t D, float eps, n_t r0, n_t r1,
                      float* to_x, float* to_w, float* normed) {
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
        if (normed) for (d = 0; d < D; d++) normed[r * D + d] = row[d] * scale * w[d];
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
        if (to != qkv) memcpy(to + r * W + (H + G) * D, qkv + r * W + (H + G) * D, 4 * G * D);
    }
}
// The gradient of `norm_heads`; to_qkv may be the place of `from`.
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
            for (n_t d = 0; d < D; d++) to_w[d] += g[d] * x[d] * scale;
            for (n_t d = 0; d < D; d++) to[d] = g[d] * w[d] * scale - x[d] * pull;
        }
        if (to_qkv != from) memcpy(to_qkv + r * W + (H + G) * D, from + r * W + (H + G) * D, 4 * G * D);
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
// Where `made` is given, what `swiglu` made of `both` is written there; it may be the place of `from`.
EXPORT void swiglu_back(const float* both, const float* from, n_t F, n_t r0, n_t r1, float* to_both, float* made) {
    for (n_t r = r0; r < r1; r++)
        for (n_t f = 0; f < F; f += L) {
            V gate = load(both + r * 2 * F + f), up_ = load(both + r * 2 * F + F + f), g = load(from + r * F + f);
            V open = 1.0f / (1.0f + exponential(-gate));
            store(to_both + r * 2 * F + f, g * up_ * open * (1.0f + gate * (1.0f - open)));
            store(to_both + r * 2 * F + F + f, g * gate * open);
            if (made) store(made + r * F + f, gate * up_ * open);
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

EXPORT n_t kernels_version() { return 3; }
