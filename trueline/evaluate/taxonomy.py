"""What attack families are called outside this house: identifiers of OWASP and MITRE ATLAS, as data.

    tags("base64", goal)     LLM01:2025, AML.T0054, AML.T0068

Identifiers are read with their edition: the OWASP list of 2026 has other numbers than that of 2025. Names are as published in

- OWASP Top 10 for LLM Applications 2025 (https://genai.owasp.org/llm-top-10/),
- OWASP Top 10 for Agentic Applications 2026, of December 2025,
- MITRE ATLAS, release 2026.09 of `mitre-atlas/atlas-data`; only the techniques that a family here stands for.

Which family stands for what is this project's own reading: no taxonomy has a place for single tricks of wording. A plain
harmful request (`direct`) is no technique at all, and gets the nearest identifiers, as a family that is not known does.
ATLAS has optimised inputs (AML.T0043) for predictive models alone, so that a suffix search is a jailbreak like the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trueline.core.types import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One identifier of one taxonomy."""

    id: str
    name: str
    taxonomy: str  # key of TAXONOMIES
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """A published list of weaknesses or techniques."""

    name: str
    version: str
    organisation: str
    url: str


TAXONOMIES: Mapping[str, Taxonomy] = {
    "owasp-llm": Taxonomy(
        name="OWASP Top 10 for LLM Applications",
        version="2025",
        organisation="OWASP",
        url="https://genai.owasp.org/llm-top-10/",
    ),
    "owasp-agentic": Taxonomy(
        name="OWASP Top 10 for Agentic Applications",
        version="2026",
        organisation="OWASP",
        url="https://genai.owasp.org/resource/owasp-top-10-for-agentic-applications-for-2026/",
    ),
    "atlas": Taxonomy(name="MITRE ATLAS", version="2026.09", organisation="MITRE", url="https://atlas.mitre.org/"),
}
_NAMES: Mapping[str, Mapping[str, str]] = {
    "owasp-llm": {
        "LLM01:2025": "Prompt Injection",
        "LLM02:2025": "Sensitive Information Disclosure",
        "LLM03:2025": "Supply Chain",
        "LLM04:2025": "Data and Model Poisoning",
        "LLM05:2025": "Improper Output Handling",
        "LLM06:2025": "Excessive Agency",
        "LLM07:2025": "System Prompt Leakage",
        "LLM08:2025": "Vector and Embedding Weaknesses",
        "LLM09:2025": "Misinformation",
        "LLM10:2025": "Unbounded Consumption",
    },
    "owasp-agentic": {
        "ASI01:2026": "Agent Goal Hijack",
        "ASI02:2026": "Tool Misuse and Exploitation",
        "ASI03:2026": "Identity and Privilege Abuse",
        "ASI04:2026": "Agentic Supply Chain Vulnerabilities",
        "ASI05:2026": "Unexpected Code Execution (RCE)",
        "ASI06:2026": "Memory & Context Poisoning",
        "ASI07:2026": "Insecure Inter-Agent Communication",
        "ASI08:2026": "Cascading Failures",
        "ASI09:2026": "Human-Agent Trust Exploitation",
        "ASI10:2026": "Rogue Agents",
    },
    "atlas": {
        "AML.T0051.000": "LLM Prompt Injection: Direct",
        "AML.T0051.001": "LLM Prompt Injection: Indirect",
        "AML.T0053": "AI Agent Tool Invocation",
        "AML.T0054": "LLM Jailbreak",
        "AML.T0056": "Extract LLM System Prompt",
        "AML.T0057": "LLM Data Leakage",
        "AML.T0068": "LLM Prompt Obfuscation",
    },
}
TAGS: Mapping[str, Tag] = {
    code: Tag(id=code, name=name, taxonomy=key, url=TAXONOMIES[key].url + (f"techniques/{code}" if key == "atlas" else ""))
    for key, names in _NAMES.items()
    for code, name in names.items()
}

JAILBREAK = ("LLM01:2025", "AML.T0054")  # what a family gets that is not known
_INSTRUCTED = (*JAILBREAK, "AML.T0051.000")
_OBFUSCATED = (*JAILBREAK, "AML.T0068")
_INDIRECT = ("LLM01:2025", "ASI01:2026", "AML.T0051.001")
_EXTRACTED = ("LLM07:2025", "AML.T0051.000", "AML.T0056")
_ACTED = ("LLM06:2025", "ASI02:2026", "AML.T0053")


def _each(ids: tuple[str, ...], families: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(families.split(), ids)


FAMILY_TAGS: Mapping[str, tuple[str, ...]] = {
    **_each(JAILBREAK, "direct role persona prefix suppress authority story hypothetical past future format"),
    **_each(JAILBREAK, "many_shot prefill crescendo crescendo_supplied templates pair tap best_of_n genetic bandit"),
    **_each(JAILBREAK, "suffix gcg exact_suffix trained"),
    **_each(_INSTRUCTED, "override hijack"),
    **_each(_OBFUSCATED, "base64 rot13 leet hex morse reverse spelled pig_latin homoglyph zero_width url tags encoding"),
    **_each(_OBFUSCATED, "zaba zaba_plain bind split"),
    **_each(_INDIRECT, "injection injection_document injection_tool"),
    **_each(_EXTRACTED, "extraction"),
    **_each(_ACTED, "tool_abuse deed"),
}
# What a goal adds to the family it is asked in: a secret that leaks, a call that must not be made.
_GOAL_TAGS: Mapping[str, tuple[str, ...]] = {"canary": ("LLM02:2025", "AML.T0057"), "forbidden_tool": _ACTED}


def tags(family: str, goal: Prompt) -> tuple[Tag, ...]:
    """Return the identifiers of a family and of what its goal puts at stake, in the order of the taxonomies.

    A composition (`role+prefix`) has those of all its parts; a paraphrase (`role~2`) and a size (`prefill_8`) change nothing.

    >>> from trueline.core.types import Conversation
    >>> [tag.id for tag in tags("role+base64", Prompt(conversation=Conversation()))]
    ['LLM01:2025', 'AML.T0054', 'AML.T0068']
    """
    found = set(of_family(family))
    for key, ids in _GOAL_TAGS.items():
        if goal.about.get(key):
            found.update(TAGS[code] for code in ids)
    return _in_order(found)


def of_family(family: str) -> tuple[Tag, ...]:
    """Return the identifiers of a family whatever its goal; one that is not known gets those of a jailbreak."""
    return _in_order(TAGS[code] for part in family.split("+") for code in FAMILY_TAGS.get(_plain(part), JAILBREAK))


def _plain(part: str) -> str:
    name = part.strip().partition("~")[0]
    return name if name in FAMILY_TAGS else re.sub(r"[_-]?\d+$", "", name)


def _in_order(found: Iterable[Tag]) -> tuple[Tag, ...]:
    known = set(found)
    return tuple(tag for tag in TAGS.values() if tag in known)
