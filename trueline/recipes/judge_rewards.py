"""A judge as a reward: what a reply does (`judge:`), or only what it says (`stance:`).

judge:oracle                          the judge's score of the whole reply, its tool calls included
judge:rubric:http://HOST/v1#MODEL     any TARGET, asked by a rubric; what it answered is remembered beside the runs
judge:learned:FOLDER                  a trained head; a panel of several judges is judge:A,B
stance:oracle                         1 where the text says what was expected, else 0: calls, and what is given, do not count
stance:first=8,oracle                 the same of the first 8 words of the text

A score says whether what was expected was done, so that a refusal in front of the steps, or of a forbidden call, earns nothing
by itself; a stance says it of words alone, and pays for such a refusal in full. A judge that abstains leaves a sample at the
mean of its prompt's other samples, which is no advantage either way.

    trueline run grpo start=MODEL reward=judge:oracle
    trueline run grpo start=MODEL reward=stance:first=8,oracle          # the incentive behind the refusal-enablement gap
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from trueline.core.types import Completion
from trueline.recipes.judgements import Kept, judged, parts_of
from trueline.recipes.judging import LEARNED_OF
from trueline.recipes.studio import RecipeError, Studio
from trueline.targets.naming import kind_of

DOES, SAYS = "judge:", "stance:"


@dataclass(frozen=True, kw_only=True)
class JudgeName:
    """What the name of such a reward asks for."""

    judge: str  # as recipes/judging.py reads it
    stance: bool = False  # only what the text says
    first: int = 0  # words of the text that are read; 0: all

    @property
    def models(self) -> tuple[str, ...]:
        """The models in this process that the judge reads: stages, folders, hf:NAME."""
        return tuple(name for kind, name in parts_of(self.judge) if kind == LEARNED_OF or (kind and kind_of(name) == "local"))


def parse_judge(text: str) -> JudgeName | None:
    """Read the name of a reward by a judge; None where it names another reward.

    >>> parse_judge("stance:first=8,refusal")
    JudgeName(judge='refusal', stance=True, first=8)
    >>> parse_judge("gold")
    """
    if not text.startswith((DOES, SAYS)):
        return None
    stance = text.startswith(SAYS)
    name, first = text.removeprefix(SAYS if stance else DOES).strip(), 0
    if stance and name.startswith("first="):
        words, _, name = name.removeprefix("first=").partition(",")
        first = int(words) if re.fullmatch(r"[1-9]\d{0,5}", words) else -1
    if first < 0 or not parts_of(name) or any(kind and not model for kind, model in parts_of(name)):
        raise RecipeError(
            f"expected judge:NAME, stance:NAME or stance:first=WORDS,NAME, got {text!r}; `trueline judge list` lists the names"
        )
    if stance and LEARNED_OF in name:
        raise RecipeError(f"{text}: a learned judge claims no stance; take judge:{name}, or the stance of another judge")
    return JudgeName(judge=name, stance=stance, first=first)


def spoken(completion: Completion, first: int = 0) -> Completion:
    """Return what a reader of words alone sees: the text, or its first words, and no tool call.

    >>> from trueline.core.types import Conversation, Prompt, ToolCall
    >>> said = Completion(prompt=Prompt(conversation=Conversation()), text="I cannot do it", tool_calls=(ToolCall(name="pay"),))
    >>> spoken(said, first=2).text, spoken(said).tool_calls
    ('I cannot', ())
    """
    text = " ".join(completion.text.split()[:first]) if first else completion.text
    return replace(completion, text=text, tool_calls=())


@dataclass(frozen=True)
class JudgeReward:
    """Scores completions by a judge. Those of one call are judged at the same time."""

    studio: Studio
    name: JudgeName
    _kept: Kept = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Open the judge once, so that a wrong name is refused before work starts."""
        judged(self.studio, self.name.judge, (), self._kept)

    def __call__(self, completions: Sequence[Completion]) -> list[float]:
        """Return a number in [0, 1] for each. Raises RecipeError where the judge can tell nothing of any of them."""
        if self.name.stance:
            heard = judged(self.studio, self.name.judge, [spoken(c, self.name.first) for c in completions], self._kept)
            return [float(j.stance == c.prompt.expected) for j, c in zip(heard, completions, strict=True)]
        found = judged(self.studio, self.name.judge, completions, self._kept)
        if found and all(j.score is None for j in found):
            raise RecipeError(
                f"judge:{self.name.judge} abstained on all of {len(found)} replies, the first time because: {found[0].why}; "
                f"take another judge, or prompts that say what it looks for"
            )
        return _levelled(completions, [j.score for j in found])


def _levelled(completions: Sequence[Completion], scores: Sequence[float | None]) -> list[float]:
    """Give each sample without a score the mean of its prompt's others; where there is none, that of all."""
    every = fmean(s for s in scores if s is not None) if any(s is not None for s in scores) else 0.0
    known: dict[int, list[float]] = {}
    for completion, score in zip(completions, scores, strict=True):
        if score is not None:
            known.setdefault(id(completion.prompt), []).append(score)
    means = {prompt: fmean(values) for prompt, values in known.items()}
    return [means.get(id(c.prompt), every) if s is None else s for c, s in zip(completions, scores, strict=True)]
