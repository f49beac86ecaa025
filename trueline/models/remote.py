"""The same sampler as `models/generate.py`, over a vLLM server that runs in an environment of its own.

Prompts go out as token ids and samples come back as token ids with the server's own log-probabilities: nothing is tokenised
twice. One request a prompt, since a request of vLLM has one seed: the prompts of a larger one would share their noise.
The whole distribution is asked for by name (top_p, top_k, penalties), because a server takes what is not said from the model's
generation_config.json; and where sampling stops is the codec's word, not the server's (`ignore_eos`, `stop_token_ids`).

    remote = Remote.at("http://127.0.0.1:8000", policy.codec)
    remote.sample(prompts, count=8, max_tokens=56, seed=7, label="3-9c1f…")

Which fields are vLLM's is said in tests/contract_server.py, which speaks them too.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.types import Finish
from trueline.models.generate import Sample
from trueline.models.remote_http import ABSENT, RemoteError, StatusError, Wire, together
from trueline.models.tokens import Codec

PIECES = 512  # tokens by which two tokenizers are compared
SEEDS = 2**62  # seeds are below: vLLM adds the number of the sample, and takes 64 bits with a sign
ALWAYS: Mapping[str, Any] = {
    "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "ignore_eos": True, "logprobs": 0, "return_token_ids": True, "return_weight_versions": True,
}  # fmt: skip


class StaleError(RemoteError):
    """A server whose weights are not those that it was given."""


@dataclass(frozen=True)
class Remote:
    """A server that samples one model. `stops` are the ids at which a sample ends, `context` the tokens that it may have."""

    wire: Wire
    model: str
    stops: tuple[int, ...]
    context: int | None = None
    parallel: int = 64  # requests at a time

    @classmethod
    def at(cls, address: str, codec: Codec, *, model: str = "", timeout: float = 600.0, parallel: int = 64) -> Remote:
        """Look at what a server has. Raises RemoteError where it is not there, or has no model of that name."""
        wire = Wire.to(address, timeout)
        cards = {str(c.get("id")): c for c in _items(wire.get("/v1/models"), "data", dict, wire.url)}
        if not cards or (model and model not in cards) or (not model and len(cards) > 1):
            found = ", ".join(sorted(cards)) or "no model"
            raise RemoteError(f"{wire.url} serves {found}; expected {model or 'one model'}: name it in sampler.model")
        name = model or next(iter(cards))
        length = cards[name].get("max_model_len")
        return cls(wire, name, tuple(sorted(codec.ends)), length if isinstance(length, int) else None, parallel)

    def fits(self, codec: Codec) -> None:
        """Refuse a server whose tokenizer reads text otherwise. One that does not say (no /tokenize) is believed."""
        size = len(codec.tokenizer)
        text = " ".join(codec.piece(i) for i in range(0, size, max(1, size // PIECES)))  # words of the whole vocabulary
        try:
            said = self.wire.post("/tokenize", {"model": self.model, "prompt": text, "add_special_tokens": False})
        except StatusError as error:
            if error.status in ABSENT:
                return
            raise
        theirs, ours = _items(said, "tokens", int, self.wire.url), codec.ids(text)
        if theirs != ours:
            place = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
            raise RemoteError(
                f"{self.wire.url} reads text otherwise than the model that is trained: token {place} of {len(ours)} is "
                f"{ours[place : place + 1]} here and {theirs[place : place + 1]} there; serve the folder that `start` names"
            )

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        count: int = 1,
        max_tokens: int = 64,
        temperature: float = 1.0,
        seed: int | Sequence[int] = 0,
        label: str = "",
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[list[Sample]]:
        """`count` samples for each prompt, as `models.generate.sample` gives them; temperature 0 is greedy.

        A sample is a function of prompt and seed as far as the server's arithmetic is one of its batch. A prompt that comes
        twice with one seed gets further samples, not the same again. Samples by other weights than those of `label` are
        refused, where the server says which they were. `progress` is told how many prompts are done.
        """
        if (empty := next((i for i, p in enumerate(prompts) if not p), None)) is not None:
            raise ValueError(f"prompt {empty} is empty; a model needs at least one token to go on from")
        self.allows(max((len(p) for p in prompts), default=0) + max_tokens)
        seeds = [seed] * len(prompts) if isinstance(seed, int) else list(seed)
        keys = [(tuple(p), s) for p, s in zip(prompts, seeds, strict=True)]
        asked = Counter(keys)
        greedy, done = temperature <= 0, itertools.count(1)

        def ask(key: tuple[tuple[int, ...], int]) -> list[Sample]:
            wanted = 1 if greedy else count * asked[key]  # greedy samples are one, and vLLM refuses to make more of it
            body = {
                "model": self.model, "prompt": [list(key[0])], "n": wanted, "seed": seed_of(key[1], key[0]),
                "max_tokens": max_tokens, "temperature": max(0.0, temperature), "stop_token_ids": list(self.stops), **ALWAYS,
            }  # fmt: skip
            made = [self._sample(choice, key[0], max_tokens, label) for choice in self._choices(body, wanted)]
            progress(next(done))
            return made

        drawn = dict(zip(asked, together(ask, list(asked), self.parallel), strict=True))
        if label:  # vLLM before 0.33 knows what weights it has, but does not write it beside each sample
            self._refuse_others({str(said_of_weights(self.wire).get("weight_version", label))}, label)
        if greedy:
            return [drawn[key] * count for key in keys]
        rest = {key: iter(made) for key, made in drawn.items()}
        return [[next(rest[key]) for _ in range(count)] for key in keys]

    def score(self, rows: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability (nats, at temperature 1) of each token of each row but its first, given those before it."""

        def ask(row: Sequence[int]) -> list[float]:
            body = {"model": self.model, "prompt": [list(row)], "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
            (choice,) = self._choices(body, 1)
            places = _items(choice, "prompt_logprobs", (dict, type(None)), self.wire.url)
            if len(places) != len(row):
                raise RemoteError(f"{self.wire.url}: expected {len(row)} prompt_logprobs, got {len(places)}")
            found = (place.get(str(token)) for place, token in zip(places[1:], row[1:], strict=True) if place is not None)
            values = [_number(entry.get("logprob"), self.wire.url) for entry in found if isinstance(entry, dict)]
            if len(values) != len(row) - 1:
                raise RemoteError(f"{self.wire.url}: a token of a prompt has no log-probability in prompt_logprobs")
            return values

        return together(ask, rows, self.parallel)

    def allows(self, tokens: int) -> None:
        """Refuse prompts that, with their answers, have more tokens than the server's context."""
        if self.context is not None and tokens > self.context:
            raise RemoteError(
                f"{self.wire.url} serves a context of {self.context} tokens, and prompt and answer may have {tokens}; start it "
                f"with a larger --max-model-len, shorten the prompts or lower max_tokens"
            )

    def _choices(self, body: Mapping[str, Any], wanted: int) -> list[dict[str, Any]]:
        found = _items(self.wire.post("/v1/completions", body), "choices", dict, self.wire.url)
        if sorted(str(c.get("index")) for c in found) != sorted(map(str, range(wanted))):
            raise RemoteError(f"{self.wire.url}: expected {wanted} samples of one prompt, got {len(found)} choices")
        return sorted(found, key=lambda c: int(c["index"]))

    def _sample(self, choice: Mapping[str, Any], prompt: Sequence[int], most: int, label: str) -> Sample:
        """One choice as a sample, once everything about it is what was asked for."""
        url = self.wire.url
        if not isinstance(choice.get("token_ids"), list):
            raise RemoteError(
                f"{url} gives no token_ids, and text is never tokenised again; expected vLLM, new enough for return_token_ids"
            )
        ids = _items(choice, "token_ids", int, url)
        logprobs = choice.get("logprobs")
        values = _items(logprobs if isinstance(logprobs, dict) else {}, "token_logprobs", (int, float), url)
        logps = [_number(v, url) for v in values]
        if choice.get("prompt_token_ids") != list(prompt):
            raise RemoteError(f"{url} sampled from another prompt than it was given; expected its ids in prompt_token_ids")
        if not 0 < len(ids) <= most or len(logps) != len(ids):
            raise RemoteError(
                f"{url}: expected 1 to {most} tokens with a log-probability each, got {len(ids)} and {len(logps)}"
            )
        ended = ids[-1] in self.stops
        if choice.get("finish_reason") != ("stop" if ended else "length") or not (ended or len(ids) == most):
            why = str(choice.get("finish_reason"))[:20]
            raise RemoteError(f"{url}: a sample of {len(ids)} tokens ended by {why!r}; expected an end token, or {most} tokens")
        spans = choice.get("weight_versions") if isinstance(choice.get("weight_versions"), list) else []
        self._refuse_others({str(s.get("version")) if isinstance(s, dict) else "" for s in spans}, label)
        finish: Finish = "stop" if ended else "length"
        return Sample(tuple(ids), tuple(logps), finish)

    def _refuse_others(self, versions: set[str], label: str) -> None:
        """Refuse weights other than those of `label`; without a label all are right."""
        if label and (others := versions - {label}):
            raise StaleError(
                f"{self.wire.url} sampled with the weights {sorted(others)[0][:80]!r}, expected {label!r}: it was started "
                f"again, or another run gives it weights; give each run a server of its own, and run the same command again"
            )


def said_of_weights(wire: Wire) -> dict[str, Any]:
    """What a server says of its weights (`weight_version`; ours `checksum` too), where it says anything."""
    try:
        return wire.get("/weight_info")
    except StatusError as error:
        if error.status in ABSENT:
            return {}
        raise


def seed_of(seed: int, prompt: Sequence[int]) -> int:
    """The seed of a request, below 2^62: prompts of one seed must not share their noise. Twice is the seed itself again."""
    digest = hashlib.blake2b(repr(tuple(prompt)).encode(), digest_size=8).digest()
    return (seed ^ int.from_bytes(digest, "little")) % SEEDS


def _items(found: Mapping[str, Any], name: str, kind: type | tuple[type, ...], url: str) -> list[Any]:
    """The list of that name, whose items are of that kind."""
    items = found.get(name)
    if not isinstance(items, list) or not all(isinstance(i, kind) and not isinstance(i, bool) for i in items):
        raise RemoteError(f"{url}: expected a list {name!r} in what it answers, as vLLM gives it")
    return items


def _number(value: object, url: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RemoteError(f"{url}: expected a finite log-probability, got {str(value)[:20]!r}")
    return float(value)
