"""Rules about the text itself: credentials, placeholders, invisible characters, length, and wordings that nobody can check.

What these rules find is there to be deleted, filled in or said more narrowly, at the place that they name.

    trueline prompt lint system.txt
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from trueline.core.registry import register
from trueline.guard.prompting.credentials import credentials
from trueline.guard.prompting.prompt import Spot, SystemPrompt, tokens_estimate
from trueline.guard.prompting.rule import NEGATED, NOT_NEGATED, Severity, either

PLACEHOLDER = re.compile(
    r"\{\{[^{}\n]{1,60}\}\}|\{%[^{}\n]{1,60}%\}|\$\{[^{}\n]{1,60}\}|(?<![\w{])\{[A-Za-z_][A-Za-z0-9_.]{0,40}\}(?!\})|"
    r"<(?:insert|add|enter)[ _-][^<>\n]{1,60}>|\[(?:insert|add|enter|company|product)\b[^\[\]\n]{0,60}\](?!\()|"
    r"\b(?:TODO|FIXME|TBD|XXX)\b|\b[Ll]orem ipsum\b"
)
# Zero-width, bidirectional, deprecated and tag characters: unseen, and read. Joiners belong to some scripts and to emoji.
INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e0fff]"
)
VAGUE = either(
    r"(?:be|keep|stay|remain|answers?|respond|reply|replies)\b[^.]{0,24}\b(?:concise|brief|short|succinct|to the point|"
    "reasonabl|appropriate (?:length|format)|well[- ]structured|nicely|clean|not too (?:long|short|detailed))",
    "(?:not|avoid being) (?:too|overly) (?:long|verbose|short|detailed)",
    "(?:nice|good|proper|appropriate|readable) format",
)
MEASURED = re.compile(r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|single|json|markdown|yaml|xml|html|csv)\b")
_SPEAK = r"(?:discuss\w*|talk\w* about|speak\w* about|engag\w* in (?:discussion|conversation|debate)s?)"
_TELL = r"(?:shar\w*|provid\w*|giv\w*|answer\w*|help\w*|assist\w*|mention\w*)"
_WHOLE = "(?:information (?:about|on|regarding)|anything(?! else| other)|everything|questions? (?:about|on))"
# Secrecy is no subject; and "which it will not discuss, and ..." names none.
_OWN = (
    r"(?!(?:about|any|your|these|this|the|own|system|internal| )*(?:instructions?|prompts?|rules|password|private|personal|"
    r"confidential)|and\b|or\b)"
)
BROAD = either(
    rf"{NEGATED}(?: \w+){{0,2}} {_SPEAK} {_OWN}\w+",
    rf"{NEGATED}(?: \w+)? {_TELL}\b[^.]{{0,20}}\b{_WHOLE} {_OWN}\w+",
    rf"{NOT_NEGATED}(?:refuse|decline|reject|avoid|block)\b[^.]{{0,25}}"
    r"\b(?:any|anything(?! else| other)|all(?! costs)|everything|every|topics?|subjects?)\b"
    r"(?![^.]{0,20}\b(?:requests?|orders?|commands?)\b(?! (?:about|for|on|related|involving|to|that)))",
    r"(?:discussing|talking about|answering|mentioning|providing)\b[^.]{0,60}\b(?:is|are) "
    "(?:strictly )?(?:not allowed|forbidden|prohibited)",
)


@register("prompt_rule", "secret")
@dataclass(frozen=True, kw_only=True)
class Secret:
    """It holds no credential."""

    severity: ClassVar[Severity] = "error"
    why: ClassVar[str] = "whoever talks to the model long enough reads its prompt; a system prompt is no place for secrets"
    fix: ClassVar[str] = "take it out, and let the application check what it protects; change the credential if it was deployed"
    source: ClassVar[str] = "OWASP LLM07:2025; Liang et al. 2024, arXiv:2408.02416"
    reads_any: ClassVar[bool] = True

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        for one in credentials(prompt.text):
            yield Spot(what=f"a credential: {one.kind}", start=one.start, end=one.end, secret=True)


@register("prompt_rule", "placeholder")
@dataclass(frozen=True, kw_only=True)
class Placeholder:
    """It is finished: nothing waits to be filled in."""

    severity: ClassVar[Severity] = "error"
    why: ClassVar[str] = "the model reads the placeholder as it stands, and users see it"
    fix: ClassVar[str] = "fill it in; if the application does so at run time, lint what it sends"
    source: ClassVar[str] = ""
    reads_any: ClassVar[bool] = True

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        for match in PLACEHOLDER.finditer(prompt.text):
            yield Spot(what="a placeholder", start=match.start(), end=match.end())


@register("prompt_rule", "invisible")
@dataclass(frozen=True, kw_only=True)
class Invisible:
    """Everything in it can be seen."""

    severity: ClassVar[Severity] = "error"
    why: ClassVar[str] = "a model reads what a reviewer cannot see: whole sentences fit into invisible characters"
    fix: ClassVar[str] = "delete them, and ask where the text came from"
    source: ClassVar[str] = "Unicode Technical Report 36; Boucher et al. 2022, arXiv:2106.09898"
    reads_any: ClassVar[bool] = True

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        places = (match.start() for match in INVISIBLE.finditer(prompt.text))
        for _, run in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0]):
            at = [place for _, place in run]
            names = ", ".join(dict.fromkeys(f"U+{ord(prompt.text[i]):04X}" for i in at[:4]))
            yield Spot(what=f"{len(at)} invisible ({names})", start=at[0], end=at[-1] + 1)


@register("prompt_rule", "length")
@dataclass(frozen=True, kw_only=True)
class Length:
    """It is no longer than it has to be."""

    most: int = 1500  # tokens, estimated, from which it is said

    severity: ClassVar[Severity] = "note"
    why: ClassVar[str] = "the more instructions at once, the fewer are followed, and every conversation pays for every token"
    fix: ClassVar[str] = "take out what the model does anyway: trueline prompt search measures which parts do anything"
    source: ClassVar[str] = "Jaroslawicz et al. 2025, arXiv:2507.11538 (keywords asked for, 10 to 500 of them)"
    reads_any: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most must be at least 1 token, got {self.most}")

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        if (tokens := tokens_estimate(prompt.text)) > self.most:
            yield Spot(what=f"about {tokens:,} tokens, which is more than {self.most:,}")


@register("prompt_rule", "uncheckable_format")
@dataclass(frozen=True, kw_only=True)
class UncheckableFormat:
    """What it asks of a reply's form can be checked."""

    severity: ClassVar[Severity] = "note"
    why: ClassVar[str] = "what is short, or well structured, nobody can test, so nobody will notice when it stops holding"
    fix: ClassVar[str] = "give a number or a format: at most three sentences; a JSON object with these keys"
    source: ClassVar[str] = ""
    reads_any: ClassVar[bool] = False

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        for spot, match in prompt.where(VAGUE):
            if not MEASURED.search(match.string):
                yield Spot(what=f"cannot be checked: {match[0]}", start=spot.start, end=spot.end)


@register("prompt_rule", "broad_refusal")
@dataclass(frozen=True, kw_only=True)
class BroadRefusal:
    """What it declines is an act, not a whole subject."""

    severity: ClassVar[Severity] = "warning"
    why: ClassVar[str] = "a subject that is forbidden whole is refused where it is harmless too: over-refusal"
    fix: ClassVar[str] = "name the acts: not 'anything about chemistry', but 'steps for making weapons or drugs'"
    source: ClassVar[str] = (
        "Röttger et al. 2023, arXiv:2308.01263 (Llama 2 refuses more harmless requests with its safety prompt)"
    )
    reads_any: ClassVar[bool] = False

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]:
        for spot, match in prompt.where(BROAD):
            yield Spot(what=f"a whole subject is declined: {match[0]}", start=spot.start, end=spot.end)
