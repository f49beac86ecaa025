"""Batched sampling with a KV cache; returns ids together with the sampler's own log-probabilities.

Differences from the textbook loop:
every row draws from its own random stream, keyed by (seed, prompt, occurrence), so a sample does not depend on the batch
that it was in; the samples of one prompt share one prefill; rows that have finished leave the batch, and waiting ones join.
Full distribution only: no top-k, no top-p, since a truncated sampler biases every importance ratio (algorithms, 7.0 rule 5).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from safetensors.torch import load
from torch import Tensor

from trueline.core.types import Finish
from trueline.models import native, native_decode
from trueline.models.decode import decoder_for, pads
from trueline.models.forked import Helpers, helpers_of, share, shared_array, workers_for
from trueline.models.policy import Policy

JOIN = 4  # waiting prompts are read when one in so many rows has become free
FEW = 256  # tokens that may be drawn: for fewer, asking helpers costs more than it saves
ARRAYS = ("tokens", "logps", "lengths", "stopped")  # of `Drawn`
PIECE = 8  # batches' worth of prompts that pass through one decoder


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled continuation: ids (the stop token included when there was one) and log-probabilities, nats."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Finish


def sample(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    *,
    count: int = 1,
    max_tokens: int = 64,
    temperature: float = 1.0,
    seed: int | Sequence[int] = 0,
    earlier: Sequence[int] | None = None,
    rows: int = 768,
    progress: Callable[[int], None] = lambda _: None,
) -> list[list[Sample]]:
    """`count` samples for each prompt, in the order of the prompts. Temperature 0 is greedy. `rows` bounds the batch.

    `seed` is one for all prompts, or one for each: a prompt draws the same with its seed in any company. One that comes again
    draws anew; `earlier` says how often each came before, where that was in another call.
    `progress` is told how many prompts are done. An empty prompt is refused: there is nothing to condition on.
    On a processor with several threads, large requests are shared among as many forked processes of one thread each
    (models/forked.py): decoding is many small operations, which threads hardly speed up.
    """
    check_room(policy, prompts, max_tokens)
    seeds = [seed] * len(prompts) if isinstance(seed, int) else seed
    uniforms = _streams(prompts, count, max_tokens, seeds, earlier).reshape(-1, max_tokens) if temperature > 0 else None
    drawn = Drawn.empty(len(prompts) * count, max_tokens)
    asked = Request(policy, prompts, count, temperature, uniforms, drawn, rows)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))

    def work(part: int, parts: int) -> None:
        asked.fill(order[part::parts], lambda n: progress(min(len(prompts), n * parts)))  # the others are as large, and as far

    tokens = len(prompts) * count * max_tokens
    if (helpers := helpers_of.get(policy)) is not None:
        helpers.fresh(policy)
        helpers = helpers_of.get(policy)  # who cannot be told of a model leaves it
    if helpers is not None and tokens >= FEW:
        _ask(helpers, asked, order, work)
    else:
        share(work, workers_for(len(prompts), tokens, policy.device))
    return [[drawn[i * count + k] for k in range(count)] for i in range(len(prompts))]


def check_room(policy: Policy, prompts: Sequence[Sequence[int]], max_tokens: int) -> None:
    """Raise ValueError for a prompt that is empty, or that leaves no room for so many new tokens."""
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


def answer(policy: Policy, told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a helper gives that was asked for samples (`_ask`): the arrays of `Drawn`."""
    prompts = [part.tolist() for part in tensors["prompts"].split(tensors["lengths"].tolist())]
    drawn = Drawn.empty(len(prompts) * told["count"], told["max_tokens"])
    noise = tensors["noise"].numpy() if "noise" in tensors else None
    asked = Request(policy, prompts, told["count"], told["temperature"], noise, drawn, told["rows"])
    asked.fill(range(len(prompts)), lambda n: None)
    return {name: torch.from_numpy(getattr(drawn, name)) for name in ARRAYS}


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be drawn, and where it goes."""

    policy: Policy
    prompts: Sequence[Sequence[int]]
    count: int
    temperature: float
    noise: np.ndarray | None  # (prompts * count, T); None: greedy
    drawn: Drawn
    rows: int  # at most so many are alive at a time

    @torch.no_grad()
    def fill(self, order: Sequence[int], progress: Callable[[int], None]) -> None:
        """Draw for some of the prompts, shortest first, in batches of like lengths."""
        was_training, done = self.policy.training, 0
        self.policy.eval()
        most = max(1, PIECE * self.rows // self.count)
        for chosen in _alike(order, [len(p) for p in self.prompts], most, 1.5 if pads(self.policy) else 4.0):
            self._batch([self.prompts[i] for i in chosen], self.places(chosen))
            done += len(chosen)
            progress(done)
        self.policy.train(was_training)

    def places(self, chosen: Sequence[int]) -> np.ndarray:
        """Rows of the samples of these prompts."""
        return np.array([i * self.count + k for i in chosen for k in range(self.count)])

    def _batch(self, prompts: Sequence[Sequence[int]], places: np.ndarray) -> None:
        """Draw for prompts that pass through one decoder."""
        drawn, count = self.drawn, self.count
        device, max_tokens = self.policy.device, drawn.tokens.shape[1]
        rows = max(count, self.rows)
        decoder = decoder_for(self.policy, max(map(len, prompts)), min(rows, len(places)), count, max_tokens)
        stop_ids = np.array(sorted(self.policy.codec.ends))
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
            here = places[active]
            u = None if self.noise is None else torch.from_numpy(self.noise[here, made]).to(device)
            picked, logp = _draw(logits, self.temperature, u)
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


def _ask(helpers: Helpers, asked: Request, order: Sequence[int], work: Callable[[int, int], None]) -> None:
    """Let helpers that are there already draw for some of the prompts: to fork others would cost more."""
    parts = min(len(asked.prompts), 1 + helpers.count)
    told = {"do": "sample", "count": asked.count, "max_tokens": asked.drawn.tokens.shape[1]}
    told |= {"temperature": asked.temperature, "rows": asked.rows}
    messages, where = {}, {}
    for part in range(1, parts):
        chosen = order[part::parts]
        where[part] = asked.places(chosen)
        own = [torch.tensor(asked.prompts[i]) for i in chosen]
        tensors = {"prompts": torch.cat(own), "lengths": torch.tensor([len(p) for p in own])}
        if asked.noise is not None:
            tensors["noise"] = torch.from_numpy(asked.noise[where[part]])
        messages[part] = helpers.message(told, asked.policy, tensors)
    _, *answers = helpers.together(messages, lambda: work(0, parts), lambda part: work(part, parts), load)
    for part, found in zip(messages, answers, strict=True):
        for name, tensor in (found or {}).items():
            getattr(asked.drawn, name)[where[part]] = tensor.numpy()


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


def _streams(
    prompts: Sequence[Sequence[int]], count: int, length: int, seeds: Sequence[int], earlier: Sequence[int] | None = None
) -> np.ndarray:
    """One row of uniforms per sample, (prompts, count, length), from a counter-based generator keyed by content."""
    seen: Counter[tuple[int, tuple[int, ...]]] = Counter()
    out = np.empty((len(prompts), count, length))
    for i, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
        key = (seed, tuple(prompt))
        before = seen[key] if earlier is None else earlier[i]
        digest = hashlib.blake2b(repr((*key, before)).encode(), digest_size=16).digest()
        seen[key] += 1
        out[i] = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little"))).random((count, length))
    return out


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
