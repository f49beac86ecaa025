"""A model in this process as a Target, and the batched door to it that training and evaluation use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trueline.core.types import GREEDY, Completion, Conversation, Prompt, Sampling
from trueline.models.generate import Sample, sample
from trueline.models.policy import Policy
from trueline.models.tokens import parse_tool_calls


@dataclass(frozen=True)
class LocalModel:
    """A policy that answers one conversation at a time."""

    policy: Policy
    name: str

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """Answer; the same conversation, sampling and seed give the same completion."""
        drawn = complete(
            self.policy,
            [Prompt(conversation=conversation)],
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            seed=sampling.seed,
            name=self.name,
        )
        return drawn[0]


def complete(
    policy: Policy,
    prompts: Sequence[Prompt],
    *,
    count: int = 1,
    max_tokens: int = 56,
    temperature: float = 1.0,
    seed: int = 0,
    name: str = "",
    progress: Callable[[int], None] = lambda _: None,
) -> list[Completion]:
    """Sample `count` completions for each prompt: all of the first prompt, then all of the second, and so on."""
    heads = [policy.codec.prompt(p.conversation) for p in prompts]
    groups = sample(policy, heads, count=count, max_tokens=max_tokens, temperature=temperature, seed=seed, progress=progress)
    return [_completion(policy, prompt, drawn, name) for prompt, group in zip(prompts, groups, strict=True) for drawn in group]


def _completion(policy: Policy, prompt: Prompt, drawn: Sample, name: str) -> Completion:
    text, calls = parse_tool_calls(policy.codec.text(drawn.ids))
    return Completion(
        prompt=prompt, text=text, tool_calls=calls, model=name, ids=drawn.ids, logprobs=drawn.logprobs, finish=drawn.finish
    )
