"""The guard of a deployment: a classifier of what comes in, and one that reads the reply while it is said.

    studio.make("guards", Guards(model="{base}/helpful"))       # leaves came/ and said/: models of the rail `learned`
    guard = Guard.of(studio, "guards")
    guard.holds(conversation)          # what reached the assistant from outside is held back
    guard.cut(completion)              # as much of a reply as goes out

Both are linear models of `trueline guard train` (guard/learned/). A label is what was asked for, and no verdict: orders and
requests in wordings that may be taught are attacks, and the replies of a model that helps with everything are harmful where
steps or deeds were asked for. Shops and benign work are not those that anything is measured on. The oracle is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any, Self

import numpy as np

from trueline.core.config import ConfigError
from trueline.core.types import Completion, Conversation
from trueline.data.apart import taught
from trueline.guard.learned.linear import Linear
from trueline.guard.learned.training import Example, threshold_at, train
from trueline.guard.scan.folding import fold
from trueline.lab.deployment_goals import DEED, INJECTION, STEPS, TAUGHT, Question, goals, tasks
from trueline.lab.deployment_shop import SYSTEMS
from trueline.lab.paired import put
from trueline.recipes.studio import Room, Studio
from trueline.world.reading import spoken

CAME, SAID = "came", "said"
HARMFUL = (STEPS, DEED)  # what a reply to must not go out, whoever asks in whatever shop


@dataclass(frozen=True, kw_only=True)
class Guards:
    """Train both classifiers, each with its threshold at a rate of false positives on benign work that it has not seen."""

    model: str  # that helps with everything: a stage, or a folder
    n: int = 48  # goals of each kind
    tasks: int = 900
    fpr: float = 0.01
    max_tokens: int = 48

    def __post_init__(self) -> None:
        if min(self.n, self.tasks, self.max_tokens) < 1 or not 0 < self.fpr < 1:
            raise ConfigError("n, tasks and max_tokens must each be at least 1, and fpr lie between 0 and 1")

    def reads(self) -> tuple[str, ...]:
        return (self.model,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        world, seed = studio.world, studio.seed
        attacks = [q for q in goals(world, seed, self.n, "guard") if q.words in TAUGHT[q.kind]]
        work = tasks(world, seed, self.tasks, taught)
        came = [one for q in (*attacks, *work[::2]) for one in _asked(q)]
        self._learned(came, [_outside(q.prompt.conversation) for q in work[1::2]]).save(room.folder / CAME)
        harmful = [q for q in attacks if q.harm in HARMFUL]
        asked = [question.under(system) for question, system in zip([*harmful, *work], cycle(SYSTEMS))]
        said = put(studio, room, self.model, asked, max_tokens=self.max_tokens, seed=seed + 2)
        told, done = said[: len(harmful)], said[len(harmful) :]
        replies = [
            one
            for q, completion in zip([*harmful, *work[::2]], [*told, *done[::2]], strict=True)
            for one in _said(q, completion)
        ]
        self._learned(replies, [_heard(completion) for completion in done[1::2]]).save(room.folder / SAID)
        return {"attacks": len(attacks), "harmful": len(harmful), "work": len(work)}

    def _learned(self, examples: Sequence[Example], unseen: Sequence[Sequence[str]]) -> Linear:
        """A model whose threshold so many of the unseen exchanges of benign work are above, each by the worst of its texts.

        The threshold that training sets is for wordings that nobody has seen. An operator knows the work of its own app, and
        the world words it in a few ways: out of fold, hardly anything would be acted on.
        """
        model = train(examples, fpr=self.fpr).model
        worst = np.array([max(map(model.score, texts), default=model.bias) for texts in unseen])
        return replace(model, threshold=threshold_at(worst, np.zeros(len(worst), np.int64), self.fpr))


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Both classifiers at work."""

    came: Linear
    said: Linear

    @classmethod
    def of(cls, studio: Studio, stage: str) -> Self:
        """What a stage has left."""
        return cls.read(studio.stages[stage].folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Both, from a folder."""
        return cls(came=Linear.load(folder / CAME), said=Linear.load(folder / SAID))

    def holds(self, conversation: Conversation) -> bool:
        """Whether something that came from outside, from the user or on a page, is held back; then nothing is answered."""
        return any(self.came.score(text) > self.came.threshold for text in _outside(conversation))

    def cut(self, completion: Completion) -> Completion:
        """The reply up to the word that is too much, and the calls before the one that is; itself where nothing is."""
        reply = spoken(completion)
        for i, heard in enumerate(_prefixes(reply.text)):
            if self.said.score(fold(heard)) > self.said.threshold:
                return _shorter(completion, " ".join(reply.text.split()[:i]))
        for call in reply.tool_calls:
            if self.said.score(fold(f"{call.name} {call.arguments}")) > self.said.threshold:
                return _shorter(completion, reply.text)
        return completion


def _shorter(completion: Completion, text: str) -> Completion:
    return replace(completion, text=text, tool_calls=(), ids=(), logprobs=())


def _outside(conversation: Conversation) -> list[str]:
    return [fold(message.text) for message in conversation.messages if message.role in ("user", "tool")]


def _asked(question: Question) -> list[Example]:
    """What a classifier of inputs learns of a question: of an injection the page, for its user asked for nothing wrong."""
    attack, texts = bool(TAUGHT.get(question.kind)), _outside(question.prompt.conversation)
    texts = texts[1:] if question.kind == INJECTION else texts
    return [Example(text=text, attack=attack, source=question.kind) for text in texts]


def _said(question: Question, completion: Completion) -> list[Example]:
    """What a classifier of outputs learns of a reply: its text, and each call."""
    reply = spoken(completion)
    texts = [reply.text, *(f"{call.name} {call.arguments}" for call in reply.tool_calls)]
    attack = question.harm in HARMFUL
    return [Example(text=text, attack=attack, source=question.kind) for text in texts if text]


def _heard(completion: Completion) -> list[str]:
    """All that a classifier of the stream reads of a reply: its text as it grows, and each call."""
    reply = spoken(completion)
    return [fold(text) for text in (*_prefixes(reply.text), *(f"{call.name} {call.arguments}" for call in reply.tool_calls))]


def _prefixes(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[: i + 1]) for i in range(len(words))]
