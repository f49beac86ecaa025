"""The one Protocol of the rules that read a system prompt, and words that several of them share.

A rule is a frozen dataclass that says why it matters and how to put it right; `check` yields the spots that break it. Rules
about wording read English alone; the others (`reads_any` is True) read every text. `source` is where it was measured or is
asked for; without one the rule is convention, and `trueline prompt lint` says so.

    @register("prompt_rule", "greeting")
    @dataclass(frozen=True, kw_only=True)
    class Greeting: ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, Protocol, runtime_checkable

from trueline.guard.prompting.prompt import Spot, SystemPrompt

Severity = Literal["error", "warning", "note"]

# Over folded sentences (judges/sentences.py): lower case, "do not" for "don't", at most 600 characters, so no search is long.
NEGATED = (
    r"(?:do not|dont|never|must not|should not|shall not|cannot|may not|will not|not (?:allowed|permitted|programmed|able) to|"
    r"never to|not to|refuse to|decline to|avoids?|under no circumstances(?: (?:should|must|may|shall|will|are) you)?)"
)
NOT_NEGATED = r"(?<!not )(?<!never )(?<!no )(?<!cannot )"  # before a word of refusal: "never refuse" declines nothing


def either(*parts: str) -> re.Pattern[str]:
    """A pattern of alternatives, each of which begins where a word does."""
    return re.compile(rf"\b(?:{'|'.join(parts)})")


REFUSES = either(
    "refus",
    "declin",
    rf"{NEGATED}(?: \w+)? \w",
    "only (?:answer|help|discuss|respond|assist|provide|talk)",
    "(?:is|are) not allowed",
    "out of scope",
    "outside (?:of )?(?:your|this|the) scope",
    "off[- ]limits",
    "forbidden",
    "prohibited",
)
TOOLS = either(
    r"(?:uses?|using|calls?|calling|invoke|access to|have|has|given|following|available|these|your)\b[^.]{0,30}"
    r"\b(?:tools?|functions|plugins?|apis)\b",
    r"(?:calls?|calling|invoke) (?:\w+ ){0,3}(?:function|api)\b",
)
READS = either(
    r"(?:reads?|reading|summari[sz]e\w*|search\w*|brows\w+|retriev\w+|opens?|fetch\w*|visit\w*|analy[sz]e\w*|extract\w*|"
    r"process\w*|review\w*|questions about|based on|from)\b[^.]{0,40}\b(?:web ?pages?|pages?|html|websites?|documents?|"
    r"files?|attachments?|e-?mails?|articles?|search results|"
    r"(?:submitted|provided|retrieved|attached) \w+|tickets?|repositor\w+)\b"
)


@runtime_checkable
class PromptRule(Protocol):
    """One thing that a system prompt should say, or should not."""

    @property
    def severity(self) -> Severity: ...

    @property
    def why(self) -> str: ...

    @property
    def fix(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def reads_any(self) -> bool: ...

    def check(self, prompt: SystemPrompt) -> Iterator[Spot]: ...
