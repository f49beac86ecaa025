"""Rules about what a system prompt says against itself, or against every policy: contradictions, and orders never to refuse.

What holds "unless" or "if" something is an exception and no contradiction, so such sentences are left out: these rules would
rather miss a contradiction than invent one.

    trueline prompt lint system.txt
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, NamedTuple

from trueline.core.registry import register
from trueline.guard.prompting.prompt import Spot, SystemPrompt
from trueline.guard.prompting.rule import NOT_NEGATED, Severity, either

EXCEPTION = re.compile(r"\b(?:unless|except\w*|other than|apart from|if|when|whenever|where|only|until)\b")
_SAID = r"[, ]+(?P<said>{first}[a-z][^.;:!?]{{1,120}})"
ALWAYS = either("(?:always|you must|in all cases|every time)" + _SAID.format(first=r"(?!not\b|never\b)"))
NEVER = either(
    "(?:never|do not ever|under no circumstances(?: should you| must you)?|you must not|you must never|do not|dont|cannot)"
    + _SAID.format(first="")
)
REFUSE = re.compile(
    rf"{NOT_NEGATED}\b(?:refuse|decline)(?: to (?:answer|discuss|help with))?" + _SAID.format(first=r"(?!to\b)")
)
_WITHOUT_CONTENT = (
    "a about an and any all are as at be by do every everything anything for from give in is it of on or other that the their "
    "them they this to whatever user users with you your question questions request requests"
)
STOP = frozenset(_WITHOUT_CONTENT.split())
ANSWERING = frozenset(("answer", "help", "assist", "comply", "respond", "reply"))
# What is a limit of one part (a title, each bullet) clashes with no limit of another.
PART = re.compile(
    r"\b(?:title|heading|summary|subject|bullet|caption|description|introduction|conclusion|line|item|step)s?\b|"
    r"\b(?:each|per|every) (?!answer|repl|response|message)\w+"
)
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
NUMBER = {word: i for i, word in enumerate(_NUMBERS.split())}
_MANY = (
    rf" (?P<n>\d{{1,6}}|{'|'.join(NUMBER)}) "
    r"(?P<unit>words?|sentences?|paragraphs?|characters?|tokens?|lines?|bullet points?|items?|questions?|steps?)\b"
)
_AT_MOST = r"(?:at most|(?:no|not|never) more than|maximum of|up to|fewer than|under|within|limit\w* to)"
MOST = either(_AT_MOST + _MANY)
LEAST = either(rf"(?:at least|no fewer than|no less than|minimum of|(?<!no )(?<!not )(?<!never )more than){_MANY}")
EXACTLY = either(rf"(?:exactly|precisely|in){_MANY}")
_TONGUES = (
    "arabic bengali chinese czech danish dutch english finnish french german greek hebrew hindi hungarian indonesian italian "
    "japanese korean malay norwegian polish portuguese romanian russian spanish swahili swedish thai turkish "
    "ukrainian vietnamese"
)
LANGUAGES = _TONGUES.split()
SPEAKS = either(
    r"(?:answers?|reply|respond|write|speak|communicate|be)\b[^.]{0,40}\bin (?:the )?"
    rf"(?P<language>{'|'.join(LANGUAGES)}|(?:same )?language (?:of the|the) (?:user|customer)|"
    r"(?:user|customer)'s (?:own )?language|same language)"
)
OBLIGED = re.compile(r"\b(?:always|only|must|exclusively|solely)\b")
_NO = r"(?:never|do not|dont|must not|cannot) (?:ever )?"
NEVER_REFUSES = either(
    rf"{_NO}(?:refuse|decline|say no|reject) ?(?:to (?:answer|help|comply|respond)|any|a request|"
    r"requests?|the user|users|$|[.,;!])",
    r"(?:answer|fulfil\w*|comply with|obey|follow|do) (?:absolutely )?(?:every|all|any|whatever|anything) (?:\w+ ){0,2}"
    r"(?:questions?|requests?|instructions?|commands?|orders?|user|they|asks?|asked)\b[^.]{0,40}",
    "without (?:any )?(?:restrictions?|limitations?|filters?|censorship)",
    "(?:you have|there are) no (?:restrictions|limits|limitations|filters|rules)",
)


class _Rule(NamedTuple):
    """A sentence as what it orders: a verb, the words that carry its object, and whether that is everything."""

    spot: Spot
    verb: str
    object: frozenset[str]
    all: bool  # no word narrows what it is about


@register("prompt_rule", "always_and_never")
@dataclass(frozen=True, kw_only=True)
class AlwaysAndNever:
    """What it always wants is not what it never wants."""

    severity: ClassVar[Severity] = "error"
    why: ClassVar[str] = "of two rules that clash a model follows one, and nobody knows which"
    fix: ClassVar[str] = "say which rule gives way, and when: Answer every question, except for ..."
    source: ClassVar[str] = ""
    reads_any: ClassVar[bool] = False

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        always = list(_rules(prompt, ALWAYS))
        never = [*_rules(prompt, NEVER), *_rules(prompt, REFUSE, "answer")]
        for wanted in always:
            for other in never:
                if _clash(wanted, other):
                    text = prompt.text[other.spot.start : other.spot.end]
                    yield Spot(
                        what=f"this clashes with: {' '.join(text.split())}", start=wanted.spot.start, end=wanted.spot.end
                    )
                    break


@register("prompt_rule", "limits_at_odds")
@dataclass(frozen=True, kw_only=True)
class LimitsAtOdds:
    """Its limits in numbers can all be kept at once."""

    severity: ClassVar[Severity] = "error"
    why: ClassVar[str] = "no reply can keep both, so none can be checked against them"
    fix: ClassVar[str] = "leave one of the two out, or say to which part of a reply each belongs"
    source: ClassVar[str] = ""
    reads_any: ClassVar[bool] = False

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        limits: list[tuple[str, float, float, Spot]] = []  # unit with its part, least, most, where
        for pattern in (MOST, LEAST, EXACTLY):
            for spot, match in prompt.where(pattern):
                n, part = float(NUMBER.get(match["n"], 0) or match["n"]), PART.search(match.string)
                if not EXCEPTION.search(match.string[: match.start()]):
                    unit = f"{match['unit'].rstrip('s')}/{part[0] if part else ''}"
                    limits.append((unit, 0 if pattern is MOST else n, float("inf") if pattern is LEAST else n, spot))
        for (unit, least, most, spot), (unit2, least2, most2, spot2) in combinations(limits, 2):
            if unit == unit2 and (least > most2 or least2 > most):
                text = prompt.text[spot.start : spot.end]
                yield Spot(what=f"this cannot be kept beside: {' '.join(text.split())}", start=spot2.start, end=spot2.end)


@register("prompt_rule", "languages_at_odds")
@dataclass(frozen=True, kw_only=True)
class LanguagesAtOdds:
    """It wants one language, or the user's, and not both."""

    severity: ClassVar[Severity] = "error"
    why: ClassVar[str] = "which of the languages a reply is in is then up to chance, and to whoever asks"
    fix: ClassVar[str] = "keep one of the rules, or say for whom each holds"
    source: ClassVar[str] = ""
    reads_any: ClassVar[bool] = False

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        said = [
            (match["language"] if match["language"] in LANGUAGES else "the user's", spot)
            for spot, match in prompt.where(SPEAKS)
            if OBLIGED.search(match.string) and not EXCEPTION.search(match.string.replace("only", ""))
        ]
        for (first, _), (second, spot) in combinations(said, 2):
            if first != second:
                yield Spot(what=f"replies are to be in {second}, and in {first}", start=spot.start, end=spot.end)


@register("prompt_rule", "never_refuse")
@dataclass(frozen=True, kw_only=True)
class NeverRefuse:
    """It does not forbid refusals."""

    severity: ClassVar[Severity] = "error"
    why: ClassVar[str] = "it asks for what an attacker asks for: jailbreaks that forbid a refusal are built on these very words"
    fix: ClassVar[str] = "take it out; if the model refuses too much, name the requests that it should answer"
    source: ClassVar[str] = "Wei et al. 2023, arXiv:2307.02483 (refusal suppression)"
    reads_any: ClassVar[bool] = False

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        for spot, match in prompt.where(NEVER_REFUSES):
            if not EXCEPTION.search(match.string[match.start() :]):
                yield Spot(what=f"it forbids refusals: {match[0].strip()}", start=spot.start, end=spot.end)


def _rules(prompt: SystemPrompt, pattern: re.Pattern[str], verb: str = "") -> Iterator[_Rule]:
    """Every order of a kind, without exceptions of its own; `verb` is what the pattern itself says."""
    for spot, match in prompt.where(pattern):
        words = re.findall(r"[a-z][a-z'-]*", match["said"])
        if words and not EXCEPTION.search(match.string):
            rest = words if verb else words[1:]
            said = verb or ("answer" if words[0] in ANSWERING else words[0])
            content = frozenset(word.rstrip("s") for word in rest if word not in STOP)
            yield _Rule(spot, said, content, not content)


def _clash(wanted: _Rule, other: _Rule) -> bool:
    """Whether one sentence always wants what the other never wants: the same verb, of everything or of the same things."""
    if wanted.verb != other.verb or wanted.spot == other.spot:
        return False
    if wanted.all or other.all:
        return True
    return 2 * len(wanted.object & other.object) >= len(wanted.object | other.object)
