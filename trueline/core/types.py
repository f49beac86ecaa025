"""The records that flow through trueline: plain, frozen, comparable, and free of tensors.

Every room of the house speaks in these ten-odd nouns (GLOSSARY.md).
They are standard-library dataclasses, so that importing them costs nothing; `core.records` turns them into JSON and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
Expected = Literal["comply", "refuse"]
Stance = Literal["comply", "refuse", "none"]
Finish = Literal["stop", "length", "filtered", "error"]  # filtered: a policy stopped it, and says so in its place
Split = Literal["train", "validation", "held_out"]
Action = Literal["allow", "flag", "redact", "rewrite", "human", "block"]  # the later, the stricter
Level = Literal["L0", "L1", "L2", "L3", "L4", "L5", "L6"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool: its name, and its arguments as the model wrote them (JSON text, or the world's own words)."""

    name: str
    arguments: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation; a `tool` message answers the call whose id it carries."""

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that the model is told about: `parameters` is a JSON Schema, as text."""

    name: str
    description: str = ""
    parameters: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Messages in order, and the tools on offer.

    >>> Conversation().say("user", "hello").say("assistant", "hi").messages[-1].text
    'hi'
    """

    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    id: str = ""

    def say(self, role: Role, text: str, tool_calls: tuple[ToolCall, ...] = ()) -> Conversation:
        """Return a new conversation with one more turn."""
        return replace(self, messages=(*self.messages, Message(role=role, text=text, tool_calls=tool_calls)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is asked, and what right looks like.

    `about` is what a judge needs to look the truth up (in the world: which person, which procedure); a model never sees it.
    """

    conversation: Conversation
    expected: Expected = "comply"
    category: str = ""
    source: str = ""
    id: str = ""
    about: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a target said. `ids` and `logprobs` travel with the text: a sample is never tokenised again.

    `logprobs[t]` is the sampler's own log-probability (nats, at the sampling temperature) of `ids[t]`, the stop token included.
    """

    prompt: Prompt
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    model: str = ""
    ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finish: Finish = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge says. `score` is in [0, 1], and 1.0 always means "behaved as `prompt.expected` says"; None abstains.

    `stance` (what the reply says) and `disclosure` (what it gives, 0..1) are two facts, and are never multiplied together.
    """

    judge: str
    score: float | None
    stance: Stance = "none"
    disclosure: float | None = None
    why: str = ""
    facets: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """One completion preferred to another for the same prompt; `by` names the rater, `margin` how much better (0: not said)."""

    prompt: Prompt
    chosen: Completion
    rejected: Completion
    by: str = ""
    margin: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Two or more completions of one prompt, with ranks: 1 is best, equal ranks are ties.

    `preference`, of a pair alone, is a soft label: the probability that the first is the better one (None: not said).
    """

    prompt: Prompt
    completions: tuple[Completion, ...]
    ranks: tuple[int, ...]
    by: str = ""
    preference: float | None = None

    def __post_init__(self) -> None:
        if len(self.completions) != len(self.ranks) or len(self.ranks) < 2:
            raise ValueError(
                f"a ranking needs one rank for each of two or more completions; "
                f"got {len(self.completions)} completions and {len(self.ranks)} ranks"
            )
        if self.preference is not None and not (len(self.ranks) == 2 and 0 <= self.preference <= 1):
            raise ValueError(
                f"a soft label is the probability, 0 to 1, that the first of two completions is the better one; "
                f"got {self.preference} for {len(self.ranks)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One question put to a target by an attack, and how it was judged. `query` counts from 1 within (goal, attack).

    `family` is the kind of attack and `split` who may train on it; `level` is how far attack and goal are from what a defence
    may have been trained on (attack/levels.py). A target that failed to answer is an attempt too: it ends with "error".
    """

    goal: Prompt
    attack: str
    conversation: Conversation
    completion: Completion
    judgement: Judgement
    query: int = 1
    family: str = ""
    split: Split | None = None
    level: Level | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A guard's word. A check that did not run says so: `status` is never assumed. `human` waits for a person."""

    action: Action
    status: Literal["ran", "not_run", "error", "timeout"] = "ran"
    by: str = ""
    why: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What we tell people: attempts that show one weakness, and whether it still stands."""

    key: str
    attempts: tuple[Attempt, ...]
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    status: Literal["open", "fixed", "regressed"] = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where anything came from: the recipe, its whole spec, the code, the seed and the parents' ids."""

    id: str
    recipe: str
    spec: Mapping[str, object] = field(default_factory=dict, hash=False)
    commit: str = ""
    seed: int = 0
    parents: tuple[str, ...] = ()
    started: str = ""  # ISO 8601, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a target samples. Temperature 0 is greedy. `seed` makes a sample reproducible where the target allows it."""

    temperature: float = 1.0
    max_tokens: int = 256
    seed: int = 0


GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A measured number with its sample size and 95 % interval: the only way a rate is ever shown."""

    value: float
    n: int
    low: float
    high: float
