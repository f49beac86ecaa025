"""Batched sampling with a KV cache; returns ids together with the sampler's own log-probabilities.

Differences from the textbook loop:
every row draws from its own random stream, keyed by (seed, prompt, occurrence), so a sample does not depend on the batch
that it was in; the samples of one prompt share one prefill; rows that have finished leave the batch.
Full distribution only: no top-k, no top-p, since a truncated sampler biases every importance ratio (algorithms, 7.0 rule 5).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor
from transformers import DynamicCache

from trueline.core.types import Finish
from trueline.models.forked import share, shared_array, workers_for
from trueline.models.policy import Policy
from trueline.models.products import linear


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled continuation: ids (the stop token included when there was one) and log-probabilities, nats."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Finish


@torch.no_grad()
def sample(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    *,
    count: int = 1,
    max_tokens: int = 64,
    temperature: float = 1.0,
    seed: int = 0,
    rows: int = 768,
    progress: Callable[[int], None] = lambda _: None,
) -> list[list[Sample]]:
    """`count` samples for each prompt, in the order of the prompts. Temperature 0 is greedy. `rows` bounds the batch.

    `progress` is told how many prompts are done. An empty prompt is refused: there is nothing to condition on.
    On a processor with several threads, large requests are shared among as many forked processes of one thread each
    (models/forked.py): decoding is many small operations, which threads hardly speed up.
    """
    if any(len(p) == 0 for p in prompts):
        raise ValueError(
            f"prompt {[len(p) for p in prompts].index(0)} is empty; a model needs at least one token to go on from"
        )
    limit = getattr(policy.model.config, "max_position_embeddings", None)
    longest = max((len(p) for p in prompts), default=0)
    if limit and longest + max_tokens > limit:
        raise ValueError(
            f"a prompt of {longest} tokens and {max_tokens} new ones exceed the model's context of {limit}; "
            f"shorten the prompt or lower max_tokens"
        )
    was_training = policy.training
    policy.eval()
    uniforms = _streams(prompts, count, max_tokens, seed) if temperature > 0 else None
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    drawn = Drawn.empty(len(prompts) * count, max_tokens)

    def work(part: int, parts: int) -> None:
        done = 0
        for chosen in _alike(order[part::parts], [len(p) for p in prompts], max(1, rows // count)):
            places = np.array([i * count + k for i in chosen for k in range(count)])
            noise = None if uniforms is None else uniforms.reshape(-1, max_tokens)[places]
            _batch(policy, [prompts[i] for i in chosen], count, temperature, noise, drawn, places)
            done += len(chosen)
            progress(min(len(prompts), done * parts))  # the other parts are as large, and as far

    share(work, workers_for(len(prompts), len(prompts) * count * max_tokens, policy.device))
    policy.train(was_training)
    return [[drawn[i * count + k] for k in range(count)] for i in range(len(prompts))]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Samples as arrays, in memory that forked processes share with this one."""

    tokens: np.ndarray  # (R, T)
    logps: np.ndarray  # (R, T)
    lengths: np.ndarray  # (R,)
    stopped: np.ndarray  # (R,)

    @classmethod
    def empty(cls, rows: int, length: int) -> Drawn:
        """Room for `rows` samples of at most `length` tokens."""
        kinds = ((rows, length), np.int64), ((rows, length), np.float64), ((rows,), np.int64), ((rows,), np.bool_)
        return cls(*(shared_array(shape, kind) for shape, kind in kinds))

    def __getitem__(self, row: int) -> Sample:
        n = self.lengths[row]
        finish: Finish = "stop" if self.stopped[row] else "length"
        return Sample(tuple(self.tokens[row, :n].tolist()), tuple(self.logps[row, :n].tolist()), finish)


def _alike(order: Sequence[int], lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Cut an order, shortest first, into batches of at most `most` whose longest is not much longer than their shortest.

    A batch is as wide as its longest prompt, in time and in memory: one long prompt makes hundreds of short ones long.
    """
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) == most or lengths[i] > 1.5 * lengths[batch[0]] + 16):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _streams(prompts: Sequence[Sequence[int]], count: int, length: int, seed: int) -> np.ndarray:
    """One row of uniforms per sample, (prompts, count, length), from a counter-based generator keyed by content."""
    seen: Counter[tuple[int, ...]] = Counter()
    out = np.empty((len(prompts), count, length))
    for i, prompt in enumerate(prompts):
        key = tuple(prompt)
        digest = hashlib.blake2b(repr((seed, key, seen[key])).encode(), digest_size=16).digest()
        seen[key] += 1
        out[i] = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little"))).random((count, length))
    return out


def _batch(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    count: int,
    temperature: float,
    noise: np.ndarray | None,  # (N, T)
    drawn: Drawn,
    places: np.ndarray,  # (N,) rows of `drawn` to fill
) -> None:
    device, max_tokens = policy.device, drawn.tokens.shape[1]
    width = max(len(p) for p in prompts)
    ids = torch.full((len(prompts), width), policy.codec.pad)
    real = torch.zeros((len(prompts), width), dtype=torch.bool)
    for row, prompt in enumerate(prompts):  # left padding: all rows end at the same place
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        real[row, width - len(prompt) :] = True
    decoder = _FastDecoder(policy, max_tokens) if policy.fast is not None else _AnyDecoder(policy)
    logits = decoder.prefill(ids.to(device), real.to(device), count)  # (N, V)
    drawn.lengths[places] = max_tokens
    active = np.arange(len(places))
    stop_ids = np.array(sorted(policy.codec.ends))
    for t in range(max_tokens):
        u = None if noise is None else torch.from_numpy(noise[active, t]).to(device)
        picked, logp = _draw(logits, temperature, u)
        here = places[active]
        drawn.tokens[here, t], drawn.logps[here, t] = picked.cpu().numpy(), logp.cpu().numpy()
        ends = np.isin(drawn.tokens[here, t], stop_ids)
        drawn.lengths[here[ends]], drawn.stopped[here[ends]] = t + 1, True
        if ends.all() or t == max_tokens - 1:
            break
        if ends.any():
            keep = torch.from_numpy(np.flatnonzero(~ends)).to(device)
            decoder.keep(keep)
            active, picked = active[~ends], picked[keep]
        logits = decoder.step(picked)


def _draw(logits: Tensor, temperature: float, u: Tensor | None) -> tuple[Tensor, Tensor]:
    """Pick a token for each row by inverting its cumulative distribution at u; returns ids (N,) and log-probabilities (N,)."""
    logp = F.log_softmax(logits.float() / (temperature if temperature > 0 else 1.0), dim=-1)
    if u is None:
        picked = logp.argmax(-1)
    else:
        cumulative = logp.double().exp().cumsum(-1)
        target = (u * cumulative[:, -1]).unsqueeze(-1)
        picked = torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp_(max=logits.shape[-1] - 1)
    return picked, logp.gather(-1, picked[:, None]).squeeze(-1)


class _FastDecoder:
    """Decoding on `models.fast`: weights fused once, cache written in place, finished rows dropped a quarter at a time."""

    def __init__(self, policy: Policy, max_tokens: int) -> None:
        assert policy.fast is not None
        self.fast, self.head = policy.fast, policy.model.lm_head.weight
        self.layers = self.fast.pack()
        self.max_tokens = max_tokens

    def prefill(self, ids: Tensor, real: Tensor, count: int) -> Tensor:
        rows, width = ids.shape
        self.cache = self.fast.cache(rows, width + self.max_tokens, self.head)
        positions = (real.cumsum(-1) - 1).clamp_(min=0)
        mask = None
        if not bool(real.all()):
            causal = torch.ones(width, width, dtype=torch.bool, device=ids.device).tril()
            own = torch.eye(width, dtype=torch.bool, device=ids.device)  # a padded row may see itself, or softmax is 0/0
            mask = ((causal & real[:, None]) | own)[:, None]  # (N, 1, T, T)
        hidden = self.fast.hidden(ids, self.layers, positions, mask, self.cache)
        repeat = torch.arange(rows, device=ids.device).repeat_interleave(count)
        self.cache = self.cache.select(repeat)
        padded = not bool(real.all())
        self.real = F.pad(real, (0, self.max_tokens), value=True)[repeat] if padded else None
        self.position, self.at = positions[repeat, -1], width
        self.alive = torch.arange(len(repeat), device=ids.device)  # rows of the cache still in use
        return linear(hidden[:, -1], self.head)[repeat]

    def keep(self, rows: Tensor) -> None:
        self.alive = self.alive[rows]
        if len(self.alive) <= 0.75 * len(self.position):
            self.cache, self.position = self.cache.select(self.alive), self.position[self.alive]
            self.real = None if self.real is None else self.real[self.alive]
            self.alive = torch.arange(len(self.position), device=rows.device)

    def step(self, picked: Tensor) -> Tensor:
        tokens = picked.new_zeros(len(self.position))
        tokens[self.alive] = picked
        self.position = self.position + 1
        mask = None if self.real is None else self.real[:, None, None, : self.at + 1]
        hidden = self.fast.hidden(tokens[:, None], self.layers, self.position[:, None], mask, self.cache, self.at)
        self.at += 1
        return linear(hidden[self.alive, -1], self.head)


class _AnyDecoder:
    """Decoding through `transformers`, for architectures that `models.fast` does not know."""

    def __init__(self, policy: Policy) -> None:
        self.model = policy.model
        self.cache = DynamicCache()

    def prefill(self, ids: Tensor, real: Tensor, count: int) -> Tensor:
        self.real, self.position = real, (real.cumsum(-1) - 1).clamp_(min=0)
        logits = self._forward(ids, self.position)
        if count > 1:
            self.cache.batch_repeat_interleave(count)
        self.real, self.position = self.real.repeat_interleave(count, 0), self.position[:, -1].repeat_interleave(count, 0)
        return logits.repeat_interleave(count, 0)

    def keep(self, rows: Tensor) -> None:
        self.cache.batch_select_indices(rows)
        self.real, self.position = self.real[rows], self.position[rows]

    def step(self, picked: Tensor) -> Tensor:
        self.real, self.position = F.pad(self.real, (0, 1), value=True), self.position + 1
        return self._forward(picked[:, None], self.position[:, None])

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        output = self.model(
            input_ids=ids, attention_mask=self.real.long(), position_ids=positions, past_key_values=self.cache, use_cache=True
        )
        return output.logits[:, -1]
