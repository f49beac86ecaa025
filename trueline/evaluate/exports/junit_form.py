"""JUnit XML: a test suite for each attack, a test case for each goal. Every CI system shows it.

    failure   the goal was broken: something was given that should not
    skipped   undetermined, or an attack that was not applicable: with the reason
    error     the target failed to answer every question, or the attack itself failed

What an attack left out, since it was not applicable or failed, is one more case of its suite.

So `failures` of a suite is the numerator of the attack's success rate, and what was decided is the rest without `skipped` and
`errors`. What XML cannot hold, and what hides or turns a text round, is spelled out; long texts are cut, and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from trueline.core.files import atomic_file
from trueline.core.types import Attempt, Message
from trueline.evaluate.exports.cases import Case, cases
from trueline.evaluate.shape import NAME_LIMIT, TEXT_LIMIT, visible
from trueline.evaluate.taxonomy import tags

_COUNTED = ("failure", "skipped", "error")


def write(attempts: Iterable[Attempt], summary: Mapping[str, object], path: Path) -> None:
    """Write every suite, and their sums at the top."""
    root = ET.Element("testsuites", name="trueline")
    suites: dict[str, ET.Element] = {}
    for case in cases(attempts):
        _add(_suite(root, suites, case.attack), case)
    for element, attack, reason in _left_out(summary):
        place, name = _name(attack), "goals that were left out"
        _tell(ET.SubElement(_suite(root, suites, attack), "testcase", classname=place, name=name), element, reason)
    sums: Counter[str] = Counter()
    for suite in root:
        sums += _count(suite)
    _put(root, sums)
    ET.indent(root)
    with atomic_file(path) as out:
        ET.ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)


def _add(suite: ET.Element, case: Case) -> None:
    place = _name(f"{case.attack}.{case.goal.category or 'goal'}")
    test = ET.SubElement(suite, "testcase", classname=place, name=_name(case.name))
    properties = ET.SubElement(test, "properties")
    facts = {
        "family": case.family,
        "questions": str(len(case.attempts)),
        "key": case.key,
        "identifiers": " ".join(tag.id for tag in tags(case.family, case.goal)),
    }
    for key, value in facts.items():
        ET.SubElement(properties, "property", name=key, value=_name(value))
    if case.broken:
        said = f"given at question {case.telling.query}: {case.why}"
        _tell(test, "failure", said, case.severity, _transcript(case.telling))
    elif case.outcome == "undetermined":
        _tell(test, "skipped", f"undetermined: {case.why or 'no judge could tell'}")
    elif case.outcome == "error":
        _tell(test, "error", f"the target did not answer: {case.why or 'no reason given'}", "error")


def _suite(root: ET.Element, suites: dict[str, ET.Element], attack: str) -> ET.Element:
    if attack not in suites:
        suites[attack] = ET.SubElement(root, "testsuite", name=_name(attack))
    return suites[attack]


def _left_out(summary: Mapping[str, object]) -> Iterable[tuple[str, str, str]]:
    for key, element in (("skipped", "skipped"), ("failed", "error")):
        reasons = summary.get(key)
        if isinstance(reasons, Mapping):
            for attack in sorted(reasons):
                yield element, str(attack), str(reasons[attack])


def _tell(test: ET.Element, element: str, message: str, kind: str = "", text: str = "") -> None:
    found = ET.SubElement(test, element, message=visible(message, TEXT_LIMIT))
    if kind:
        found.set("type", kind)
    found.text = text or None


def _transcript(attempt: Attempt) -> str:
    turns = [f"{m.role}: {_said(m)}" for m in attempt.conversation.messages]
    calls = " ".join(f"[{call.name} {call.arguments}]" for call in attempt.completion.tool_calls)
    return "\n".join((*turns, f"target: {visible(f'{attempt.completion.text} {calls}'.strip())}"))


def _said(message: Message) -> str:
    return visible(" ".join((message.text, *(f"[{call.name} {call.arguments}]" for call in message.tool_calls))).strip())


def _name(text: str) -> str:
    return visible(text, NAME_LIMIT)


def _count(suite: ET.Element) -> Counter[str]:
    found = Counter(child.tag for test in suite for child in test if child.tag in _COUNTED)
    sums = Counter({"tests": len(suite), **found})
    _put(suite, sums)
    return sums


def _put(element: ET.Element, sums: Mapping[str, int]) -> None:
    for name, tag in (("tests", "tests"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sums.get(tag, 0)))
