// Decoding for float32 on a processor: a prompt's keys and values kept once for all of its samples, attention of one token for each
// row, the pick of a token, and a whole step of a Llama or Qwen model with its products. Called by models/native_decode.py.
//
// A decoder's weights do not change while it decodes, so each is laid out once in panels of 32 outputs: a product of a few rows
// costs what it computes, where a library would lay the weight out anew for every call. Nothing here starts a thread.

#include "vectors.h"

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

// Of a product: rows that are computed together, outputs in a panel of a weight, rows that are laid out at a time.
static const n_t ROWS = 14, PANEL = 32, CHUNK = 16 * ROWS;

// A weight (N, K) in panels: output n of input k stands at to[(n / 32) 32 K + 32 k + n % 32]; what is beyond N is 0.
EXPORT void panels(const float* w, n_t N, n_t K, float* to) {
    memset(to, 0, 4 * ((N + PANEL - 1) / PANEL) * PANEL * K);
    for (n_t n = 0; n < N; n++)
        for (n_t k = 0; k < K; k++) to[n / PANEL * PANEL * K + k * PANEL + n % PANEL] = w[n * K + k];
}

template <int R> INLINE void rows_times(n_t K, const float* a, const float* panel, float* to, n_t ld, n_t rows, n_t columns) {
    if (rows == R && columns == PANEL) return tile<R, 2>(K, a, 1, 16, panel, PANEL, to, ld, false);
    float some[R * PANEL];
    tile<R, 2>(K, a, 1, 16, panel, PANEL, some, PANEL, false);
    for (n_t m = 0; m < rows; m++) memcpy(to + m * ld, some + m * PANEL, 4 * columns);
}

// to (M, N) = a (M, K) times a weight in panels, transposed, plus the bias where there is one. A row's result does not depend on
// the rows beside it: each number is one sum over k in order.
EXPORT void panel_product(const float* a, n_t M, n_t K, const float* weight, const float* bias, n_t N, float* to) {
    static thread_local Scratch space;
    space.begin(CHUNK / ROWS * K * 16);
    float* packed = space.take(CHUNK / ROWS * K * 16);
    for (n_t start = 0; start < M; start += CHUNK) {
        const n_t now = std::min(CHUNK, M - start), blocks = (now + ROWS - 1) / ROWS, high = (now + blocks - 1) / blocks;
        for (n_t b = 0; b < blocks; b++) {  // rows of a block side by side: (K, 16)
            const n_t from = start + std::min(b * high, now), rows = std::min(high, start + now - from);
            float* p = packed + b * K * 16;
            for (n_t m = 0; m < rows; m++) for (n_t k = 0; k < K; k++) p[k * 16 + m] = a[(from + m) * K + k];
        }
        for (n_t n = 0; n < N; n += PANEL)
            for (n_t b = 0; b < blocks; b++) {
                const n_t from = start + std::min(b * high, now), rows = std::min(high, start + now - from);
                const n_t columns = std::min(PANEL, N - n);
                const float *p = packed + b * K * 16, *panel = weight + n * K;
                float* c = to + from * N + n;
                switch (rows + rows % 2) {
                    case 2: rows_times<2>(K, p, panel, c, N, rows, columns); break;
                    case 4: rows_times<4>(K, p, panel, c, N, rows, columns); break;
                    case 6: rows_times<6>(K, p, panel, c, N, rows, columns); break;
                    case 8: rows_times<8>(K, p, panel, c, N, rows, columns); break;
                    case 10: rows_times<10>(K, p, panel, c, N, rows, columns); break;
                    case 12: rows_times<12>(K, p, panel, c, N, rows, columns); break;
                    case 14: rows_times<14>(K, p, panel, c, N, rows, columns); break;
                }
            }
    }
    if (bias) for (n_t m = 0; m < M; m++) for (n_t n = 0; n < N; n++) to[m * N + n] += bias[n];
}

// A Llama or Qwen model, and where its rows keep keys and values; models/native_decode.py has the same two structures.
struct Block {
    const float *norm_in, *norm_post, *qkv, *bias, *q_norm, *k_norm, *out, *gate_up, *down;  // matrices in panels
    float *prompt_k, *prompt_v, *own_k, *own_v;
};
struct Model {
    n_t layers, width, H, G, D, inner, vocabulary, P, T;
    const float *embedding, *last, *head, *cos, *sin;  // head in panels; cos and sin (positions, D / 2)
    float eps;
};

extern "C" void norm(const float*, const float*, const float*, n_t, float, n_t, n_t, float*, float*);
extern "C" void norm_heads(const float*, const float*, const float*, n_t, n_t, n_t, float, n_t, n_t, float*);
extern "C" void swiglu(const float*, n_t, n_t, n_t, float*);

// A token for each of R rows, in groups as `attend_step` has them: logits (R, vocabulary).
EXPORT void decode_step(const Model* m, const Block* blocks, const n_t* ids, const n_t* starts, const n_t* owners, const n_t* lengths,
                 const n_t* slots, const n_t* made, n_t groups, n_t R, float* logits) {
    static thread_local Scratch space;
    const n_t width = m->width, H = m->H, G = m->G, D = m->D, inner = m->inner, W = (H + 2 * G) * D;
    space.begin(R * (3 * width + W + H * D + 3 * inner + D) + 256);
    float *x = space.take(R * width), *h = space.take(R * width), *y = space.take(R * width), *qkv = space.take(R * W),
          *seen = space.take(R * H * D), *both = space.take(R * 2 * inner), *mid = space.take(R * inner), *cos = space.take(R * D / 2),
          *sin = space.take(R * D / 2);
    for (n_t i = 0; i < groups; i++)
        for (n_t r = starts[i]; r < starts[i + 1]; r++) {
            const n_t at = (lengths[owners[i]] + made[r]) * D / 2;
            memcpy(x + r * width, m->embedding + ids[r] * width, 4 * width);
            memcpy(cos + r * D / 2, m->cos + at, 2 * D);
            memcpy(sin + r * D / 2, m->sin + at, 2 * D);
        }
    norm(x, nullptr, blocks[0].norm_in, width, m->eps, 0, R, nullptr, h);
    for (n_t l = 0; l < m->layers; l++) {
        const Block& b = blocks[l];
        panel_product(h, R, width, b.qkv, b.bias, W, qkv);
        if (b.q_norm) norm_heads(qkv, b.q_norm, b.k_norm, H, G, D, m->eps, 0, R, qkv);
        rotate_rows(qkv, W, cos, sin, R, H + G, D);
        attend_step(qkv, starts, owners, lengths, slots, made, groups, H, G, D, 1.0f / std::sqrt((float)D), m->P, b.prompt_k, b.prompt_v,
                    m->T, b.own_k, b.own_v, seen);
        panel_product(seen, R, H * D, b.out, nullptr, width, y);
        norm(x, y, b.norm_post, width, m->eps, 0, R, x, h);
        panel_product(h, R, width, b.gate_up, nullptr, 2 * inner, both);
        swiglu(both, inner, 0, R, mid);
        panel_product(mid, R, inner, b.down, nullptr, width, y);
        norm(x, y, l + 1 < m->layers ? blocks[l + 1].norm_in : m->last, width, m->eps, 0, R, x, h);
    }
    panel_product(h, R, width, m->head, nullptr, m->vocabulary, logits);
}

// Whether the tiles of `panel_product` fit the processor's registers; with fewer, a library's products are better.
EXPORT n_t wide_registers() {
#if defined(__x86_64__) && defined(__GNUC__)
    return __builtin_cpu_supports("avx512f") ? 1 : 0;
#else
    return 0;
#endif
}
