"""Identifiers: every family has some, a goal adds what it puts at stake, and nothing that is unknown is an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trueline.attack.catalogue import family_names
from trueline.core.types import Conversation, Prompt
from trueline.evaluate.taxonomy import FAMILY_TAGS, JAILBREAK, TAGS, TAXONOMIES, of_family, tags
from trueline.world.families import FAMILIES

PLAIN = Prompt(conversation=Conversation(), expected="refuse")
PAGE = Path(__file__).parents[2] / "docs" / "exports.md"
MARKS = ("<!-- identifiers: python -m tests.evaluate.test_taxonomy -->", "<!-- end -->")
FORMS = {"owasp-llm": r"LLM(0[1-9]|10):2025", "owasp-agentic": r"ASI(0[1-9]|10):2026", "atlas": r"AML\.T\d{4}(\.\d{3})?"}


def ids(family, goal=PLAIN):
    return [tag.id for tag in tags(family, goal)]


@pytest.mark.parametrize("family", [*FAMILIES, *FAMILY_TAGS])
def test_every_family_is_tagged_in_owasp_and_atlas(family):
    """Each family of the world and of the table has an identifier of OWASP and one of ATLAS, none of them twice."""
    found = tags(family, PLAIN)
    assert {"owasp", "atlas"} <= {tag.taxonomy.split("-")[0] for tag in found}
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("family", sorted({part for name in (*FAMILIES, *family_names()) for part in name.split("+")}))
def test_the_families_of_the_catalogue_are_mapped_on_purpose(family):
    """A family that can be attacked with has a row of its own: its identifiers are no accident of a missing one."""
    assert family.partition("~")[0] in FAMILY_TAGS


@pytest.mark.parametrize("family", ["", "sorcery", "a+b+c", "~", "+", "🜏", "role~2+sorcery", "prefill_"])
def test_an_unknown_family_gets_the_general_identifiers(family):
    """Whatever a family is called, it has at least the identifiers of a jailbreak."""
    assert set(JAILBREAK) <= set(ids(family))


def test_sizes_and_paraphrases_change_nothing_and_compositions_add_up():
    """`role~2` is role, `prefill_8` is prefill, and a composition has what its parts have, in any order."""
    assert ids("override~2") == ids("override")
    assert ids("injection_32") == ids("injection")
    assert set(ids("role+base64")) == set(ids("role")) | set(ids("base64"))
    assert ids("extraction+injection") == ids("injection+extraction")


def test_a_goal_adds_what_it_puts_at_stake():
    """A secret adds disclosure, a forbidden tool adds excessive agency; a goal without either adds nothing."""
    secret = Prompt(conversation=Conversation(), about={"canary": "x"})
    deed = Prompt(conversation=Conversation(), about={"forbidden_tool": "send"})
    assert set(ids("role", secret)) - set(ids("role")) == {"LLM02:2025", "AML.T0057"}
    assert set(ids("role", deed)) - set(ids("role")) == {"LLM06:2025", "ASI02:2026", "AML.T0053"}
    assert tags("role", PLAIN) == of_family("role")


def test_identifiers_have_the_form_of_their_taxonomy():
    """The two lists of OWASP are whole, ten each, and every identifier is spelled as its taxonomy spells it."""
    for key, form in FORMS.items():
        found = [tag.id for tag in TAGS.values() if tag.taxonomy == key]
        assert all(re.fullmatch(form, name) for name in found)
        assert len(found) == 10 or key == "atlas"
    assert {tag.taxonomy for tag in TAGS.values()} == set(TAXONOMIES)
    assert all(tag.url.startswith("https://") for tag in TAGS.values())


def table():
    """The identifiers of every family, as docs/exports.md shows them: families that share all of them share a row."""
    rows = {}
    for family in sorted(FAMILY_TAGS):
        rows.setdefault(of_family(family), []).append(f"`{family}`")
    lines = ["| identifiers | families |", "|---|---|"]
    for found, families in rows.items():
        lines.append(f"| {'<br>'.join(f'{tag.id} {tag.name}' for tag in found)} | {' '.join(families)} |")
    return "\n".join(lines)


def test_the_page_shows_the_table_as_it_is():
    """docs/exports.md has the table that the data gives: write it again with `python -m tests.evaluate.test_taxonomy`."""
    assert f"{MARKS[0]}\n{table()}\n{MARKS[1]}" in PAGE.read_text(encoding="utf-8"), "python -m tests.evaluate.test_taxonomy"


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    PAGE.write_text(f"{before}{MARKS[0]}\n{table()}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}", encoding="utf-8")
