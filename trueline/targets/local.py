"""A model in this process as a Target, and the batched door to it that training and evaluation use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from trueline.core.types import GREEDY, Completion, Conversation, Prompt, Sampling
from trueline.models.folders import model_folder
from trueline.models.generate import Sample, sample
from trueline.models.policy import Policy
from trueline.models.tokens import Codec, TemplateError
from trueline.models.tool_calls import parse_tool_calls
from trueline.targets.spelling import Token


@dataclass(frozen=True)
class LocalModel:
    """A policy that answers; questions that are asked at the same time share one batch, and none can tell.

    Those of one temperature and length do; their seeds may differ.

    The batch is what has been asked when the event loop next comes round: nobody waits for a clock. It is computed on the
    loop's own thread, because a large one is shared with processes that only the main thread may fork (models/forked.py).
    """

    policy: Policy
    name: str
    _waiting: list[Question] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def load(cls, reference: str, template: str = "model") -> LocalModel:
        """The model that a TARGET names, under its own chat template, `raw` or `plain`."""
        policy = Policy.load(model_folder(reference))
        policy.codec = policy.codec.with_template(template)
        return cls(policy, reference)

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """Answer; the same conversation, sampling and seed give the same completion."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Completion] = loop.create_future()
        head = tuple(self.policy.codec.prompt(conversation))
        self._waiting.append(Question(Prompt(conversation=conversation), head, sampling, answer))
        loop.call_soon(self._answer)  # the first call finds all that was asked, the others nothing
        return await answer

    @property
    def context(self) -> int | None:
        """Tokens that a conversation and its answer may have; None where the model says nothing of it."""
        return getattr(self.policy.model.config, "max_position_embeddings", None)

    def count(self, conversation: Conversation) -> int:
        """Tokens of the conversation, as the model reads it. Raises TemplateError where its template refuses it."""
        return len(self.policy.codec.prompt(conversation))

    async def spell(self, completion: Completion, sampling: Sampling, top: int = 0) -> tuple[Token, ...]:
        """The tokens of a text that it said, with the `top` likeliest in the place of each: one pass over the whole."""
        codec, ids = self.policy.codec, completion.ids[: len(completion.ids) - (completion.finish == "stop")]
        likely: list[list[tuple[int, float]]] = [[] for _ in ids]
        if top and ids:
            head = codec.prompt(completion.prompt.conversation)
            with torch.no_grad():
                logits = self.policy.logits(torch.tensor([[*head, *ids]], device=self.policy.device))[0, len(head) - 1 : -1]
                best = (logits / (sampling.temperature or 1.0)).log_softmax(-1).topk(min(top, logits.shape[-1]))
            places = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            likely = [list(zip(*place, strict=True)) for place in places]
        texts = zip(_pieces(codec, ids), completion.logprobs, likely, strict=False)  # the end token has a log-probability too
        return tuple(
            Token(text=text, logprob=logprob, likely=tuple((codec.piece(i), value) for i, value in place))
            for text, logprob, place in texts
        )

    def reads(self, conversation: Conversation) -> bool:
        """Whether the model's chat template takes such a conversation: some know no system role, or no tools."""
        try:
            self.policy.codec.prompt(conversation)
        except TemplateError:
            return False
        return True

    def _answer(self) -> None:
        """Answer all that waits; those of the same temperature and length together."""
        waiting = [question for question in self._waiting if not question.answer.done()]  # done: who asked has gone
        self._waiting.clear()
        alike: dict[tuple[float, int], list[Question]] = {}
        for question in waiting:
            alike.setdefault((question.sampling.temperature, question.sampling.max_tokens), []).append(question)
        for questions in alike.values():
            self._draw(questions)

    def _draw(self, questions: Sequence[Question]) -> None:
        # Equal questions are drawn once: a second sample of one prompt would be another than it is alone.
        sampling = questions[0].sampling
        asked = list(dict.fromkeys((question.head, question.sampling.seed) for question in questions))
        heads, seeds = [head for head, _ in asked], [seed for _, seed in asked]
        try:
            drawn = sample(self.policy, heads, max_tokens=sampling.max_tokens, temperature=sampling.temperature, seed=seeds)
        except Exception as error:
            if len(questions) == 1:
                questions[0].answer.set_exception(error)
                return
            for question in questions:  # one that is too long fails alone
                self._draw([question])
            return
        said = dict(zip(asked, drawn, strict=True))
        for question in questions:
            (answer,) = said[question.head, question.sampling.seed]
            question.answer.set_result(_completion(self.policy, question.prompt, answer, self.name))


@dataclass(frozen=True, slots=True)
class Question:
    """One conversation that waits for its answer."""

    prompt: Prompt
    head: tuple[int, ...]  # the conversation in tokens
    sampling: Sampling
    answer: asyncio.Future[Completion]


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
    return completions_of(policy, prompts, groups, name)


def completions_of(
    policy: Policy, prompts: Sequence[Prompt], groups: Sequence[Sequence[Sample]], name: str = ""
) -> list[Completion]:
    """Samples, wherever they were drawn, as completions of their prompts: what `complete` gives."""
    return [_completion(policy, prompt, drawn, name) for prompt, group in zip(prompts, groups, strict=True) for drawn in group]


def _completion(policy: Policy, prompt: Prompt, drawn: Sample, name: str) -> Completion:
    text, calls = parse_tool_calls(policy.codec.text(drawn.ids))
    return Completion(
        prompt=prompt, text=text, tool_calls=calls, model=name, ids=drawn.ids, logprobs=drawn.logprobs, finish=drawn.finish
    )


def _pieces(codec: Codec, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text: joined, the pieces are the text. The bytes of a letter come with its last token."""
    whole, shown, found = codec.text(ids), 0, []
    for end in range(1, len(ids) + 1):
        so_far = codec.text(ids[:end])
        upto = max(shown, len(so_far)) if whole.startswith(so_far) else shown
        found.append(whole[shown:upto])
        shown = upto
    return found
