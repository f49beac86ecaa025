"""Rules put to a system prompt: what breaks them, where it stands, why it matters and how to put it right.

    trueline prompt lint system.txt

>>> [remark.rule for remark in lint(SystemPrompt(text="You are a librarian. Today's offer: {{offer}}."))][:1]
['placeholder']
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trueline.core.config import ConfigError, override
from trueline.core.records import nearest
from trueline.core.registry import plugins
from trueline.guard.prompting import rules_clashing, rules_missing, rules_text  # noqa: F401 - they register the rules
from trueline.guard.prompting.prompt import SystemPrompt, excerpt, position
from trueline.guard.prompting.rule import PromptRule, Severity

WEIGHT: Mapping[Severity, int] = MappingProxyType({"error": 0, "warning": 1, "note": 2})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One rule that a prompt breaks. What is missing stands nowhere: line and column are 0, and the excerpt is empty."""

    rule: str
    severity: Severity
    what: str
    line: int
    column: int
    excerpt: str
    why: str
    fix: str
    source: str  # where it was measured or is asked for; empty: convention


def rules(settings: tuple[str, ...] = ()) -> dict[str, PromptRule]:
    """Every rule by its id, with settings as RULE.KEY=VALUE. Raises ConfigError where one names no rule."""
    found: dict[str, PromptRule] = {name: kind() for name, kind in plugins("prompt_rule").items()}
    for word in settings:
        name, _, rest = word.partition(".")
        if name not in found or not rest:
            raise ConfigError(f"expected RULE.KEY=VALUE, got {word!r}{nearest(name, found)}; rules: {', '.join(found)}")
        found[name] = override(found[name], [rest])
    return found


def lint(prompt: SystemPrompt, chosen: Mapping[str, PromptRule] | None = None) -> list[Remark]:
    """What a prompt breaks, the worst first; rules about wording are left out where it is not English."""
    found = []
    for name, rule in (rules() if chosen is None else chosen).items():
        if rule.reads_any or prompt.english:
            for spot in rule.check(prompt):
                line, column = position(prompt.text, spot.start) if spot.end else (0, 0)
                found.append(
                    Remark(
                        rule=name, severity=rule.severity, what=spot.what, line=line, column=column,
                        excerpt=excerpt(prompt.text, spot), why=rule.why, fix=rule.fix, source=rule.source,
                    )
                )  # fmt: skip
    return sorted(found, key=lambda remark: (WEIGHT[remark.severity], remark.line, remark.column, remark.rule))
