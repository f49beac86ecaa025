"""`trueline constitution`: what is shipped is listed, what can be worked with is shown, and what cannot ends with one line."""

import json

from tests.calling import trueline
from tests.recipes import toys
from trueline.data.constitution import read_constitution, shipped


def test_list_names_what_is_shipped():
    """Every shipped constitution and every control is named, for people and for machines."""
    shown = trueline("constitution", "list")
    assert shown.code == 0
    assert all(name in shown.out for name in (*shipped(), "NAME:placebo", "NAME:inverted"))
    assert set(json.loads(trueline("constitution", "list", "--json").out)) == set(shipped())


def test_check_shows_a_constitution_with_its_hash():
    """The table holds each principle; the JSON holds everything, with the hash."""
    shown = trueline("constitution", "check", "plain")
    assert shown.code == 0
    assert shown.err == ""
    assert "no-flattery" in shown.out
    found = json.loads(trueline("constitution", "check", "world", "--json").out)
    assert found["hash"] == read_constitution("world").hash
    assert [p["scope"] for p in found["principles"]] == ["harmful", "benign", "benign"]
    assert found["warnings"] == []


def test_check_warns_of_what_is_probably_not_meant(tmp_path):
    """A principle that is never drawn, and prompts that nothing speaks of, are pointed out."""
    file = tmp_path / "c.yaml"
    file.write_text(
        "{name: c, version: 1, speaks: world, principles: [{id: a, text: 'rule : never give loud words .', scope: benign},"
        " {id: b, text: 'rule : never give praise .', scope: benign, weight: 0.001}]}"
    )
    shown = trueline("constitution", "check", file)
    assert shown.code == 0
    for words in (
        "'b': its weight is less than 1 %",
        "no principle speaks of harmful prompts",
    ):
        assert words in shown.err
    assert "nothing to go by" in trueline("constitution", "check", "world:empty").err


def test_a_rule_that_no_critic_knows_is_refused_with_what_they_know(tmp_path):
    """What was in no document cannot be judged, so nothing is trained on verdicts about it."""
    file = tmp_path / "c.yaml"
    file.write_text("{name: c, version: 1, speaks: world, principles: [{id: a, text: 'rule : never give cake .'}]}")
    for words in (
        ("constitution", "check", file),
        ("run", "revise", f"constitution={file}", f"start={toys.world_model(tmp_path)}"),
    ):
        shown = trueline(*words)
        assert (shown.code, shown.out) == (2, "")
        assert "principle 'a': expected `rule : never give ...`" in shown.err
        assert "loud words" in shown.err


def test_check_refuses_with_one_line_and_code_2(tmp_path):
    """What cannot be worked with is named by file, principle and key, its control characters made visible."""
    file = tmp_path / "c.yaml"
    file.write_text('{name: c, version: 1, principles: [{id: "a\\e[31m", text: Be kind., weight: -1}]}')
    shown = trueline("constitution", "check", file)
    assert shown.code == 2
    assert shown.out == ""
    assert "weight: expected a number above 0, got -1" in shown.err
    assert "\x1b" not in shown.err
    assert len(shown.err.strip().splitlines()) == 1


def test_a_name_is_no_markup_of_the_terminal(tmp_path):
    """A name that is the console's markup, an escape or a second line is shown as it is written, in one line."""
    file = tmp_path / "c.yaml"
    file.write_text('{name: "[red]x[/red]\\e[31m\\ny", version: 1, principles: [{id: a, text: "[bold]Be kind."}]}')
    shown = trueline("constitution", "check", file).out
    assert "[red]x[/red]⟨U+001B⟩[31m y, version 1" in shown
    assert "[bold]Be kind." in shown
    assert "\x1b" not in shown
