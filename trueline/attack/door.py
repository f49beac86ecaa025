"""The Ask of a campaign: an attack's only door, where each question is counted, sent, judged and recorded.

It decides what an attack must not: how a question is sampled, which assistant turns are the target's own words, and what a
failure of the target or the judge is: an attempt with outcome error, or undetermined. `Health` says when a target is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from trueline.attack.record import NotKeptError, Record
from trueline.core.ports import Attack, BudgetSpentError, Inside, Judge, Target
from trueline.core.types import Attempt, Completion, Conversation, Judgement, Level, Message, Prompt, Sampling
from trueline.store.database import Hashes
from trueline.targets.errors import RefusedRequestError, TargetError, TargetKeyError, UnknownModelError

DRAWS = 100_003  # seeds between two goals that ask the same: more than any attack asks
GIVE_UP = 20  # questions in a row that failed: the target is gone, and asking on would only take time


class SpentError(BudgetSpentError):
    """The budget of this attack on this goal is spent; the campaign goes on."""


class StoppedError(BudgetSpentError):
    """The campaign has stopped: no more questions are asked."""


@dataclass
class Health:
    """Whether there is still a target to ask. Failures that belong to one question alone do not count."""

    stopped: str = ""  # why no more is asked; empty: it is
    row: int = 0
    answers: int = 0
    last: str = ""  # what the last question that failed said
    spent: bool = False  # it is a budget that stopped it

    def answered(self) -> None:
        """A question was answered."""
        self.answers += 1
        self.row = 0

    def failed(self, error: Exception) -> None:
        """A question was not. A wrong key or model, and a first question that fails, stop the campaign at once."""
        if not isinstance(error, TargetError) or isinstance(error, RefusedRequestError):
            return
        self.row += 1
        self.last = str(error)
        hopeless = isinstance(error, TargetKeyError | UnknownModelError)
        if hopeless or self.row >= GIVE_UP or not self.answers:
            self.stop(str(error))

    def stop(self, why: str) -> None:
        """Ask no more; the first reason stays."""
        self.stopped = self.stopped or why

    def heard(self, other: Health) -> None:
        """Go on with what another process saw of the same target after this."""
        self.answers += other.answers
        self.row = other.row if other.answers else self.row + other.row
        self.last, self.spent = other.last or self.last, self.spent or other.spent
        if other.stopped or self.row >= GIVE_UP:
            self.stop(other.stopped or self.last)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What all the questions of a campaign have in common."""

    target: Target
    judge: Judge
    record: Record
    hashes: Hashes  # of target and judge
    sampling: Sampling
    seed: int = 0
    attacker: Target | None = None
    inside: Inside | None = None
    seen: Callable[[Attempt], None] = lambda attempt: None
    health: Health = field(default_factory=Health)


@dataclass
class Door:
    """One attack on one goal. `draw` tells goals that ask the same thing apart, so that each is a sample of its own."""

    scene: Scene
    attack: Attack
    hashes: Hashes  # of target, judge, attack and goal
    goal: Prompt
    level: Level | None
    left: int
    draw: int = 0
    rng: Random = field(init=False)
    _query: int = 0
    _asked: Counter[Conversation] = field(default_factory=Counter)
    _said: dict[str, list[tuple[Message, ...]]] = field(default_factory=dict)  # answers, and the turns that each answered

    def __post_init__(self) -> None:
        self.rng = Random(f"{self.scene.seed}/{self.attack.name}/{self.goal.id}/{self.draw}")

    @property
    def attacker(self) -> Target | None:
        return self.scene.attacker

    @property
    def inside(self) -> Inside | None:
        return self.scene.inside

    async def __call__(self, conversation: Conversation) -> Attempt:
        """Ask, judge and record. Raises BudgetSpentError where no question is left."""
        if self.scene.health.stopped:
            raise StoppedError(self.scene.health.stopped)
        if self.left < 1:
            raise SpentError(f"{self.attack.name}: the budget of this goal is spent")
        self.left -= 1
        self._query += 1
        query, repeat = self._query, self._asked[conversation]
        self._asked[conversation] += 1
        completion, judgement = await self._answered(self._judged(conversation), repeat)
        attempt = Attempt(
            goal=self.goal,
            attack=self.attack.name,
            conversation=conversation,
            completion=completion,
            judgement=judgement,
            query=query,
            family=self.attack.family,
            split=self.attack.split,
            level=self.level,
        )
        self.scene.record.add(attempt, self.hashes)
        self.scene.seen(attempt)
        return attempt

    def _judged(self, conversation: Conversation) -> Prompt:
        """The goal in the words in which it is asked. Turns that the attack put into the assistant's mouth are not its own.

        Its own is what it answered to the very turns before: other questions are under way, and what they happen to be
        answered with by then must not matter.
        """
        turns = [place for place, message in enumerate(conversation.messages) if message.role == "assistant"]
        own = (conversation.messages[:at] in self._said.get(conversation.messages[at].text, ()) for at in turns)
        supplied = next((i for i, said in enumerate(own) if said), len(turns))
        about = dict(self.goal.about)
        if supplied:
            about["supplied"] = str(supplied)
        if conversation.messages and conversation.messages[-1].role == "assistant":
            about["prefill"] = conversation.messages[-1].text
        return replace(self.goal, conversation=conversation, about=about)

    async def _answered(self, prompt: Prompt, repeat: int) -> tuple[Completion, Judgement]:
        """The completion and its judgement; where the target failed, an empty one, and a judgement that says why."""
        scene = self.scene
        sampling = replace(scene.sampling, seed=scene.sampling.seed + DRAWS * self.draw + repeat)
        try:
            said = await scene.record.reply(scene.target, scene.hashes.target, prompt.conversation, sampling)
        except (BudgetSpentError, NotKeptError) as end:
            scene.health.stop(str(end))
            scene.health.spent = isinstance(end, BudgetSpentError)
            raise StoppedError(str(end)) from end
        except Exception as error:
            scene.health.failed(error)
            failed = Completion(prompt=prompt, text="", model=scene.target.name, finish="error")
            return failed, Judgement(judge=scene.judge.name, score=None, why=line(error))
        scene.health.answered()
        self._said.setdefault(said.text, []).append(prompt.conversation.messages)
        completion = replace(said, prompt=prompt)
        try:
            return completion, await scene.judge.judge(prompt, completion)
        except Exception as error:
            return completion, Judgement(judge=scene.judge.name, score=None, why=f"the judge failed: {line(error)}")


def line(error: BaseException) -> str:
    """An error on one line, its kind first."""
    return " ".join(f"{type(error).__name__}: {error}".split())
