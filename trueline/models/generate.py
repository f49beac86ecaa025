"""Batched sampling with a KV cache; returns ids together with the sampler's own log-probabilities.

Differences from the textbook loop:
every row draws from its own random stream, keyed by (seed, prompt, occurrence), so a sample does not depend on the batch
that it was in; the samples of one prompt share one prefill; rows that have finished leave the batch, and waiting ones join.
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

from trueline.core.types import Finish
from trueline.models import native, native_decode
from trueline.models.decode import decoder_for, pads
from trueline.models.forked import share, shared_array, workers_for
from trueline.models.policy import Policy

JOIN = 4  # waiting prompts are read when one in so many rows has become free
PIECE = 8  # batches' worth of prompts that pass through one decoder


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
        sizes = [len(p) for p in prompts]
        for chosen in _alike(order[part::parts], sizes, max(1, PIECE * rows // count), 1.5 if pads(policy) else 4.0):
            places = np.array([i * count + k for i in chosen for k in range(count)])
            noise = None if uniforms is None else uniforms.reshape(-1, max_tokens)[places]
            _batch(policy, [prompts[i] for i in chosen], count, temperature, noise, drawn, places, rows)
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


def _alike(order: Sequence[int], lengths: Sequence[int], most: int, stretch: float) -> Iterator[list[int]]:
    """Cut an order, shortest first, into batches of at most `most` whose longest is not much longer than their shortest.

    A batch is as wide as its longest prompt, in memory and mostly in time: one long prompt makes hundreds of short ones long.
    """
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) == most or lengths[i] > stretch * (lengths[batch[0]] + 16)):
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
    rows: int,  # at most so many are alive at a time
) -> None:
    device, max_tokens = policy.device, drawn.tokens.shape[1]
    rows = max(count, rows)
    decoder = decoder_for(policy, max(map(len, prompts)), min(rows, len(places)), count, max_tokens)
    stop_ids = np.array(sorted(policy.codec.ends))
    drawn.lengths[places] = max_tokens
    active, made = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)  # live rows, and the tokens that each has
    waiting = 0  # the first prompt that has not been read
    logits = None
    while waiting < len(prompts) or len(active):
        room = min(decoder.places, (rows - len(active)) // count)
        if waiting < len(prompts) and (not len(active) or (decoder.joins and room * count * JOIN >= rows)):
            new = prompts[waiting : waiting + room]
            first = decoder.admit(new, count).repeat_interleave(count, 0)
            logits = first if logits is None else torch.cat([logits, first])
            active = np.append(active, np.arange(waiting * count, (waiting + len(new)) * count))
            made = np.append(made, np.zeros(len(new) * count, dtype=np.int64))
            waiting += len(new)
        u = None if noise is None else torch.from_numpy(noise[active, made]).to(device)
        picked, logp = _draw(logits, temperature, u)
        here = places[active]
        drawn.tokens[here, made], drawn.logps[here, made] = picked.cpu().numpy(), logp.cpu().numpy()
        made += 1
        stops = np.isin(drawn.tokens[here, made - 1], stop_ids)
        drawn.lengths[here[stops]], drawn.stopped[here[stops]] = made[stops], True
        ends = stops | (made == max_tokens)
        if ends.any():
            keep = torch.from_numpy(np.flatnonzero(~ends))
            decoder.keep(keep)
            active, made, picked = active[~ends], made[~ends], picked[keep.to(device)]
        logits = decoder.step(picked) if len(active) else None


def _draw(logits: Tensor, temperature: float, u: Tensor | None) -> tuple[Tensor, Tensor]:
    """Pick a token for each row by inverting its cumulative distribution at u; returns ids (N,) and log-probabilities (N,)."""
    if native.fits(logits):
        return native_decode.draw(logits, temperature, u)
    logp = F.log_softmax(logits.float() / (temperature if temperature > 0 else 1.0), dim=-1)
    if u is None:
        picked = logp.argmax(-1)
    else:
        cumulative = logp.double().exp().cumsum(-1)
        target = (u * cumulative[:, -1]).unsqueeze(-1)
        picked = torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp_(max=logits.shape[-1] - 1)
    return picked, logp.gather(-1, picked[:, None]).squeeze(-1)
