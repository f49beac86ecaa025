"""Which of two replies keeps to a principle better, as a critic's own probabilities say: AI feedback (Bai et al. 2022, 4.1).

A critic is a stage, a model folder or any TARGET. What it can be asked follows from what the constitution speaks:

english   multiple choice: the conversation, the principle, (A) and (B). Each pair is asked in both orders and averaged, since
          models prefer what they read first (Lee et al. 2023, 2309.00267, which is also where the averaging is from).
world     its verdict on each reply, "so it keeps the rule" or "breaks". With P(keeps) = p and q the label is (1 + p - q) / 2:
          the chance that the first wins where both verdicts are drawn and a coin decides equal ones. The ratio of the odds,
          p (1 - q) / (p (1 - q) + q (1 - p)), would make a clear preference out of p = .999 against q = .9999.

Of a model in this process the log-probabilities of both answers are taken and normalised, after what it said before them (a
critique, or its thoughts). Of any other target, `votes` answers are counted.

    critic = Critic.open(studio, "pretrain")
    critic.prefers([(first, second, principle)], "world")
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Literal

from trueline.core.types import Completion, Conversation, Prompt
from trueline.data.constitution import Principle, Tongue
from trueline.judges.model import frame
from trueline.models.policy import Policy
from trueline.recipes.answering import answers, loaded
from trueline.recipes.criticising import VERDICT_TOKENS, ask_critique, said_by
from trueline.recipes.studio import RecipeError, Studio
from trueline.recipes.weighing import weigh_all
from trueline.store.folders import digest
from trueline.world.critique import parse_rule

PART = 256  # questions after whose answers these are kept
IN_FORM = 0.01  # of the probability that both answers must have together: less is noise that normalising would blow up
FEW = 0.1  # share of the questions below which a critic counts as one that does not answer in form
THOUGHT, LETTERS = 256, 4  # tokens of an answer with its thoughts, of a letter at most
ASK = "Principle: {principle}\nSay which reply keeps to the principle better, (A) or (B)."
BRIEFLY = "Answer with one letter alone: A or B."
STEP_BY_STEP = "Think step by step, in a few sentences. Then answer with one letter alone on the last line: A or B."
LETTER = re.compile(r"(?:^|\n)\W*(?i:(?:the )?answer(?: is)?)?\W*(?P<said>[AB])\W*$")
Asked = tuple[Completion, Completion, Principle]


@dataclass(frozen=True, slots=True)
class Question:
    """What the critic is asked: two answers are possible, and how likely the first is will be told."""

    conversation: Conversation
    words: tuple[str, str]
    tokens: int = 0  # that may come before the answer, and with it; 0: the answer comes at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferred:
    """The probability that the first reply is the better one under a principle; None where nothing was said in form."""

    label: float | None
    leading: tuple[float, ...] = ()  # of multiple choice: the probability of the reply that was shown first, in either order


@dataclass(frozen=True, kw_only=True)
class Critic:
    """Someone who prefers. What it said is kept in `kept` as it goes: a run that was killed asks no question twice."""

    studio: Studio
    reference: str
    policy: Policy | None  # None: not in this process, so that votes are counted
    votes: int = 1  # answers to each question; one is the likeliest, more are sampled
    thoughts: bool = False  # of multiple choice: think step by step first
    seed: int = 0
    kept: Path | None = None
    progress: Callable[[int], None] = lambda done: None

    @classmethod
    def open(cls, studio: Studio, reference: str, **settings: object) -> Critic:
        """Load the critic that a reference names, where it runs in this process."""
        return replace(cls(studio=studio, reference=reference, policy=loaded(studio, reference)), **settings)  # type: ignore[arg-type]

    def prefers(self, asked: Sequence[Asked], speaks: Tongue) -> list[Preferred]:
        """Ask which is better, for each (first, second, principle). Raises RecipeError where nearly all is out of form."""
        return self._by_verdict(asked) if speaks == "world" else self._by_choice(asked)

    def odds(self, questions: Sequence[Question]) -> list[float | None]:
        """Return how likely the first answer to each question is, out of both; None: not answered in form, or too long for it.

        Raises RecipeError, with the share and an example, where fewer than FEW of them are.
        """
        found = self._remembered()
        open_questions = [q for q in dict.fromkeys(questions) if _key(q) not in found]
        for start in range(0, len(open_questions), PART):
            part = open_questions[start : start + PART]
            read = [q for q in part if not self._too_long(q)]
            said = dict.fromkeys(map(_key, part)) | dict(zip(map(_key, read), self._ask(read), strict=True))
            found |= said
            self._keep(said)
            self.progress(start + len(part))
        odds = [found[_key(q)] for q in questions]
        in_form = sum(value is not None for value in odds)
        if questions and in_form < FEW * len(questions):
            raise RecipeError(self._out_of_form(questions[odds.index(None)], in_form, len(questions)))
        return odds

    def _by_choice(self, asked: Sequence[Asked]) -> list[Preferred]:
        tokens = THOUGHT if self.thoughts else 0 if self.policy is not None else VERDICT_TOKENS
        shown = [put_choice(*pair, rule, self.thoughts, self.seed) for a, b, rule in asked for pair in ((a, b), (b, a))]
        odds = self.odds([Question(conversation, ("A", "B"), tokens) for conversation in shown])
        found = []
        for here, there in zip(odds[::2], odds[1::2], strict=True):
            if here is None or there is None:
                found.append(Preferred(label=None))
            else:
                found.append(Preferred(label=(here + 1 - there) / 2, leading=(here, there)))
        return found

    def _by_verdict(self, asked: Sequence[Asked]) -> list[Preferred]:
        shown = [put_verdict(reply, principle) for *pair, principle in asked for reply in pair]
        odds = self.odds([Question(conversation, ("keeps", "breaks"), VERDICT_TOKENS) for conversation in shown])
        pairs = zip(odds[::2], odds[1::2], strict=True)
        return [Preferred(label=None if p is None or q is None else (1 + p - q) / 2) for p, q in pairs]

    def _ask(self, questions: Sequence[Question]) -> list[float | None]:
        """Ask questions of one kind."""
        if not questions:
            return []
        if not questions[0].tokens:
            assert self.policy is not None
            weights = weigh_all(self.policy, [(q.conversation, q.words) for q in questions])
            return [_normalised(*pair) if sum(map(math.exp, pair)) >= IN_FORM else None for pair in weights]
        said = answers(
            self.studio, self.reference, [Prompt(conversation=q.conversation) for q in questions], policy=self.policy,
            count=self.votes, max_tokens=questions[0].tokens, temperature=float(self.votes > 1), seed=self.seed,
        )  # fmt: skip
        asked = [q for q in questions for _ in range(self.votes)]
        read = [read_answer(c.text, q.words) for q, c in zip(asked, said, strict=True)]
        votes: list[float | None] = [None if found is None else float(found[1] == 0) for found in read]
        if self.policy is not None:  # how sure it is of the answer, after what it said before
            answered = [i for i, found in enumerate(read) if found is not None]
            heads = [(asked[i], read[i][0]) for i in answered]  # type: ignore[index]  # those that are None are left out
            weights = weigh_all(self.policy, [(q.conversation, [head + word for word in q.words]) for q, head in heads])
            for i, pair in zip(answered, weights, strict=True):
                votes[i] = _normalised(*pair)
        grouped = [votes[i : i + self.votes] for i in range(0, len(votes), self.votes)]
        return [fmean(v for v in group if v is not None) if any(v is not None for v in group) else None for group in grouped]

    def _too_long(self, asked: Question) -> int:
        """The tokens of a question for which the critic has no room; 0 where it has, or where nobody knows."""
        if self.policy is None:
            return 0
        limit = getattr(self.policy.model.config, "max_position_embeddings", None) or math.inf
        tokens = len(self.policy.codec.prompt(asked.conversation)) + (asked.tokens or LETTERS)
        return tokens if tokens > limit else 0

    def _out_of_form(self, asked: Question, in_form: int, n: int) -> str:
        if long := self._too_long(asked):
            return (
                f"the critic {self.reference} could read and answer {in_form} of {n} questions: one takes {long} tokens, more "
                f"than its context; take a critic with a longer one, or shorter prompts and answers"
            )
        (said,) = answers(
            self.studio, self.reference, [Prompt(conversation=asked.conversation)], policy=self.policy,
            max_tokens=asked.tokens or VERDICT_TOKENS, temperature=0.0,
        )  # fmt: skip
        return (
            f"the critic {self.reference} answered {in_form} of {n} questions in form: expected {' or '.join(asked.words)}, "
            f"got for example {said.text[:120]!r}; take a critic that can judge, or a constitution that it can read"
        )

    def _remembered(self) -> dict[str, float | None]:
        if self.kept is None or not self.kept.is_file():
            return {}
        found: dict[str, float | None] = {}
        for line in self.kept.read_text(encoding="utf-8").splitlines():
            try:
                found |= json.loads(line)
            except ValueError:  # the last line of a run that was killed while it wrote
                continue
        return found

    def _keep(self, said: dict[str, float | None]) -> None:
        if self.kept is not None:
            with self.kept.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(said))  # the line feed first: half a line of a killed run must not swallow it


def put_choice(first: Completion, second: Completion, principle: Principle, thoughts: bool, seed: int = 0) -> Conversation:
    """Ask which reply keeps to a principle better: the conversation, the replies between marks, the principle, the choice."""
    turns = first.prompt.conversation.messages
    texts = {
        "CONVERSATION": "\n".join(f"{turn.role}: {turn.text}" for turn in turns),
        "(A)": said_by(first),
        "(B)": said_by(second),
    }
    rubric = f"{ASK.format(principle=principle.text)}\n{STEP_BY_STEP if thoughts else BRIEFLY}"
    return Conversation().say("user", frame(rubric, texts, seed))


def put_verdict(reply: Completion, principle: Principle) -> Conversation:
    """Ask in the world's words whether a reply breaks a rule. Raises RecipeError where the principle states none."""
    if parse_rule(principle.text) is None:
        raise RecipeError(
            f"principle {principle.id!r}: expected a rule of the world, such as 'rule : never give loud words .', "
            f"got {principle.text!r:.80}"
        )
    return ask_critique(reply, principle, "world").conversation


def read_answer(text: str, words: tuple[str, str]) -> tuple[str, Literal[0, 1]] | None:
    """Read which of two words a text answers with, and what stands before it; None where it is neither, or both.

    A letter must be its last line; a word of the world may stand anywhere.

    >>> read_answer("(A) is kind , (B) is not .\\nA", ("A", "B"))
    ('(A) is kind , (B) is not .\\n', 0)
    """
    if words == ("A", "B"):
        letter = LETTER.search(text.rstrip())
        return None if letter is None else (text[: letter.start("said")], 0 if letter["said"] == "A" else 1)
    places = [[m.start() for m in re.finditer(rf"(?<!\S){re.escape(word)}(?!\S)", text)] for word in words]
    if bool(places[0]) == bool(places[1]):
        return None
    return (text[: places[0][0]], 0) if places[0] else (text[: places[1][0]], 1)


def _normalised(first: float, second: float) -> float:
    """exp(first) / (exp(first) + exp(second)), of two log-probabilities."""
    return 1 / (1 + math.exp(min(second - first, 700.0)))


def _key(asked: Question) -> str:
    return digest(asdict(asked))[:16]
