"""What a campaign was answered, kept in the database as it comes: a question that was answered is not asked again.

A campaign is a function of its replies. They alone are its memory: after kill -9 it begins anew, is answered from here as far
as it had come, and makes the same attempts again. A question is who is asked, the conversation and the sampling, by content.
What comes within a few milliseconds is written together, at once where nobody else is under way, and only then is the answer
given on: a kill can lose the questions that were still under way, and no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trueline.core.ports import Target
from trueline.core.records import to_dict
from trueline.core.types import GREEDY, Attempt, Completion, Conversation, Prompt, Sampling
from trueline.store.database import Hashes, drop_attempts, replies, save_replies
from trueline.store.folders import digest
from trueline.store.opening import Database

Made = tuple[Attempt, Hashes]
Save = Callable[[Mapping[str, Completion], Sequence[Made]], None]
Elsewhere = Callable[[str], Awaitable[Completion | None]]  # by the question's hash
NOTHING = Prompt(conversation=Conversation())
TOGETHER = 0.002  # seconds that an answer waits for others to be written with it; a write costs about half a millisecond


class NotKeptError(RuntimeError):
    """An answer came and could not be written; what was written before it is safe."""


def question_of(hashed: str, conversation: Conversation, sampling: Sampling) -> str:
    """The hash of a question: who is asked, by content, what, and how the answer is drawn."""
    return digest([hashed, to_dict(replace(conversation, id="")), to_dict(sampling)])


@dataclass
class Record:
    """The replies and attempts of one run; open that of a database with `Record.open`, and end with `close`."""

    save: Save
    known: dict[str, Completion]
    elsewhere: Elsewhere | None = None  # where else an answer may be known, and is kept
    asked: int = 0  # questions that went to a target in this sitting
    broken: NotKeptError | None = None
    _replies: dict[str, Completion] = field(default_factory=dict)
    _attempts: list[Made] = field(default_factory=list)
    _under_way: dict[str, asyncio.Task[Completion]] = field(default_factory=dict)
    _awaited: int = 0  # of the questions under way, those that their targets have not answered yet
    _writing: asyncio.Future[None] | None = None
    _due: asyncio.Handle | None = None

    @classmethod
    def open(cls, engine: Database, run: str) -> Record:
        """Read what a stored run was answered; its attempts are dropped, for they are made again."""
        drop_attempts(engine, run)
        return cls(lambda answered, made: save_replies(engine, run, answered, made), replies(engine, run))

    async def reply(self, target: Target, hashed: str, conversation: Conversation, sampling: Sampling) -> Completion:
        """What the target (its content hash beside it) answered before, or answers now."""
        question = question_of(hashed, conversation, sampling)
        found = self.known.get(question)
        if found is None:
            task = self._under_way.get(question)
            if task is None:
                task = self._under_way[question] = asyncio.create_task(self._ask(question, target, conversation, sampling))
                task.add_done_callback(lambda _: self._under_way.pop(question))
            found = await asyncio.shield(task)
        return replace(found, prompt=Prompt(conversation=conversation))

    def add(self, attempt: Attempt, hashes: Hashes) -> None:
        """Keep an attempt; it is written with what comes next."""
        self._attempts.append((attempt, hashes))
        self._soon()

    def close(self) -> None:
        """Write what waits."""
        self._write()

    async def _ask(self, question: str, target: Target, conversation: Conversation, sampling: Sampling) -> Completion:
        if self.broken is not None:
            raise self.broken
        if self.elsewhere is not None and (found := await self.elsewhere(question)) is not None:
            self.known[question] = found
            return found
        self.asked += 1
        self._awaited += 1
        try:
            completion = replace(await target.reply(conversation, sampling), prompt=NOTHING)  # who asks again knows the prompt
        finally:
            self._awaited -= 1
        if completion.finish != "error":
            self._replies[question] = completion
            await asyncio.shield(self._soon())
            self.known[question] = completion
        return completion

    def _soon(self) -> asyncio.Future[None]:
        """What is done once all that waits is written."""
        loop = asyncio.get_running_loop()
        if self._writing is None or self._due is None:
            self._writing = loop.create_future()
            self._due = loop.call_later(TOGETHER, self._settle, self._writing)
        if not self._awaited:  # there is nobody to wait for
            self._due.cancel()
            self._due = loop.call_soon(self._settle, self._writing)
        return self._writing

    def _settle(self, written: asyncio.Future[None]) -> None:
        self._writing = self._due = None
        try:
            self._write()
        except Exception as error:  # a full disk: whoever waits for the answer is told
            self.broken = NotKeptError(" ".join(str(error).split()))
            written.set_exception(self.broken)
            written.exception()  # read here too, since attempts wait for nobody
        else:
            written.set_result(None)

    def _write(self) -> None:
        answered, self._replies = self._replies, {}
        made, self._attempts = self._attempts, []
        if answered or made:
            self.save(answered, made)


@dataclass(frozen=True)
class Remembered:
    """A target whose answers a campaign remembers: the attacker's model, or the one behind a judge."""

    target: Target
    record: Record
    hashed: str

    @property
    def name(self) -> str:
        return self.target.name

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """Answer as the target did, or does."""
        return await self.record.reply(self.target, self.hashed, conversation, sampling)
