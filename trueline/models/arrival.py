"""Whether weights that were pushed to a server of samples are those that it samples with.

After each push the server scores fixed texts (`prompt_logprobs`) and samples anew (`logprobs`; unlike scoring, sampling reads
vLLM's prefix cache), and both must be what the trainer gives, within `bound` on average. That alone would not do: a bound that
bfloat16 passes is wider than one update, so that a server which keeps its old weights would pass too. So the change is looked
for: with a = trainer before, b = trainer now, s = server, all of them log-probabilities of the fixed texts,

    arrived = <s - a, b - a> / <b - a, b - a>        1: the change is there; 0: the server answers as before

is refused where it lies below one half by three of its errors (what is left of s - a, root mean square, over |b - a|).

    pushes = Probed(Reload(remote.wire, folder), remote, prompts=heads)
    pushes.push(policy, 1).gap      # nats a token
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from trueline.models.policy import Policy
from trueline.models.pushes import Pushed, Pushes
from trueline.models.remote import Remote, StaleError

PROMPTS = 8  # that are probed
LENGTH = 24  # tokens of a sample of the probe
CERTAIN = 3.0  # standard errors by which an update must be missing before the server is held to be stale


@dataclass(frozen=True, slots=True)
class Arrival:
    """How much of an update is in what a server says: `share` of it (1: all), give or take `error`."""

    share: float
    error: float

    @classmethod
    def of(cls, before: Tensor, now: Tensor, there: Tensor) -> Arrival:
        """From log-probabilities (K,) of the trainer before the update and now, and of the server."""
        change, found = now - before, there - before
        size = float(change.square().sum())
        if not size:
            return cls(1.0, 0.0)  # nothing was to arrive
        share = float(found @ change) / size
        return cls(share, float((found - share * change).square().mean() / size) ** 0.5)

    @property
    def missing(self) -> bool:
        """Whether less than half is there beyond doubt."""
        return 0.5 - self.share > CERTAIN * self.error


@dataclass
class Probed:
    """A way for weights whose end is looked at: raises StaleError where the server does not say what the trainer does."""

    pushes: Pushes
    remote: Remote
    prompts: Sequence[Sequence[int]]  # the first PROMPTS are probed
    temperature: float = 1.0  # at which the run samples
    bound: float = 0.1  # nats a token, on average
    _texts: list[tuple[list[int], int]] = field(default_factory=list, init=False)  # ids, and where the sample begins
    _before: tuple[int, Tensor] | None = field(default=None, init=False)  # the version before, and what the trainer gave then

    def push(self, policy: Policy, version: int) -> Pushed:
        """Push, and look."""
        pushed = self.pushes.push(policy, version)
        sampled = self._sampled(pushed)
        self._texts = self._texts or [text for text, _ in sampled]
        ours = _logp(policy, self._texts, 1.0)
        theirs = torch.tensor([x for row, (_, at) in zip(self._scored(), self._texts, strict=True) for x in row[at - 1 :]])
        self._refuse_old(pushed, ours, theirs)
        gap = float((theirs - ours).abs().mean())
        if gap > self.bound:
            raise StaleError(
                f"{self._name(pushed)}: its log-probabilities of fixed texts are {gap:.3g} nats a token from the trainer's, "
                f"expected at most {self.bound:g}; it has other weights, or computes otherwise (sampler.probe is the bound)"
            )
        self._refuse_sampling(pushed, policy, sampled)
        self._before = (version, ours)
        return replace(pushed, gap=gap)

    def _sampled(self, pushed: Pushed) -> list[tuple[tuple[list[int], int], tuple[float, ...]]]:
        """Texts of the prompts and a sample of each, where it begins, and the log-probabilities that the server gave it."""
        heads = [list(p) for p in self.prompts[:PROMPTS]]
        room = LENGTH if self.remote.context is None else min(LENGTH, self.remote.context - 1 - max(map(len, heads)))
        drawn = self.remote.sample(
            heads, max_tokens=max(1, room), temperature=self.temperature, seed=pushed.version, label=pushed.label
        )
        return [(([*head, *one.ids], len(head)), one.logprobs) for head, (one,) in zip(heads, drawn, strict=True)]

    def _scored(self) -> list[list[float]]:
        return self.remote.score([ids for ids, _ in self._texts])

    def _refuse_old(self, pushed: Pushed, ours: Tensor, theirs: Tensor) -> None:
        """Refuse a server that answers as before, where the update is large enough to be seen."""
        if self._before is None:
            return
        version, before = self._before
        arrival = Arrival.of(before, ours, theirs)
        if arrival.missing:
            raise StaleError(
                f"{self._name(pushed)}: it answers as with version {version} ({arrival.share:.0%} of the last update are "
                f"there); the weights did not arrive: look at its log for the reload, and start it again"
            )

    def _refuse_sampling(
        self, pushed: Pushed, policy: Policy, sampled: Sequence[tuple[tuple[list[int], int], tuple[float, ...]]]
    ) -> None:
        """Refuse a server that samples otherwise than it scores."""
        texts, said = [text for text, _ in sampled], torch.tensor([x for _, logps in sampled for x in logps])
        gap = float((said - _logp(policy, texts, self.temperature)).abs().mean())
        if gap <= self.bound:
            return
        if self.temperature != 1 and float((said - _logp(policy, texts, 1.0)).abs().mean()) <= self.bound:
            raise StaleError(
                f"{self._name(pushed)}: it tells log-probabilities from before a temperature of {self.temperature:g}; "
                f"start it with --logprobs-mode processed_logprobs, or set temperature=1"
            )
        raise StaleError(
            f"{self._name(pushed)}: it scores texts as the trainer does, but its samples' log-probabilities are {gap:.3g} "
            f"nats a token off (at most {self.bound:g} is expected); does its prefix cache hold what older weights made?"
        )

    def _name(self, pushed: Pushed) -> str:
        return f"{self.remote.wire.url}, which should hold version {pushed.version} ({pushed.label})"


@torch.no_grad()
def _logp(policy: Policy, texts: Sequence[tuple[Sequence[int], int]], temperature: float) -> Tensor:
    """What the trainer gives the tokens from where the samples begin, all texts after each other, (K,) float32."""
    was_training = policy.training
    tokens = torch.full((len(texts), max(len(ids) for ids, _ in texts)), policy.codec.pad, device=policy.device)  # (N, T)
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for i, (ids, at) in enumerate(texts):
        tokens[i, : len(ids)] = torch.tensor(ids)
        mask[i, at : len(ids)] = True
    policy.eval()
    logp = policy(tokens, mask, frozenset({"logp"}), temperature).logp
    policy.train(was_training)
    assert logp is not None
    return logp[mask].float().cpu()
