"""A policy file: what it says is what is built, and every mistake is named with its place and what to write."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from trueline.guard.policy import Policy, PolicyError, policy_of, read_policy, schema

GOOD = {"name": "shop", "rails": [{"type": "words", "words": ["marrow"]}, {"type": "secrets", "mode": "shadow"}]}


def test_a_policy_is_built_as_it_is_written() -> None:
    """Rails stand in their order, with their own settings and those of their seat."""
    policy = policy_of(GOOD)
    assert [seat.rail.name for seat in policy.seats] == ["words", "secrets"]
    assert [seat.mode for seat in policy.seats] == ["enforce", "shadow"]
    assert [seat.on_error for seat in policy.seats] == ["closed", "closed"]


def test_on_error_of_the_policy_is_that_of_each_rail_that_does_not_say_it() -> None:
    """One line opens all rails, and one rail may still be closed."""
    rails = [{"type": "words", "words": ["a"]}, {"type": "secrets", "on_error": "closed"}]
    assert [seat.on_error for seat in policy_of({"on_error": "open", "rails": rails}).seats] == ["open", "closed"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rails": []}, "at least one rail"),
        ({"rails": None}, "at least one rail"),
        ({"rail": []}, "unknown setting rail.*did you mean 'rails'"),
        ({"rails": [{"type": "secret"}]}, r"rails\[0\].type: .*'secret'.*did you mean 'secrets'"),
        ({"rails": [{"words": ["a"]}]}, r"rails\[0\]: expected type"),
        ({"rails": [{"type": "secrets", "acton": "block"}]}, r"rails\[0\] \(secrets\).acton.*did you mean 'action'"),
        ({"rails": [{"type": "secrets", "action": "explode"}]}, r"rails\[0\] \(secrets\).action.*explode"),
        ({"rails": [{"type": "secrets", "mode": "loud"}]}, r"rails\[0\] \(secrets\).mode.*loud"),
        ({"rails": [{"type": "secrets"}, {"type": "secrets"}]}, r"rails\[1\].*another `name`"),
        ({"on_block": "shout", "rails": GOOD["rails"]}, "on_block.*shout"),
        ({"limits": {"body_bites": 1}, "rails": GOOD["rails"]}, "limits.*body_bites"),
        (["rails"], "expected keys and values"),
    ],
)
def test_a_mistake_is_named_with_its_place(change: object, says: str) -> None:
    """The error says where, what came, and the nearest right word."""
    with pytest.raises(PolicyError, match=f"(?s){says}"):
        policy_of(change)


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    """Of several policies a person learns which one, and which line where YAML itself is broken."""
    path = tmp_path / "p.yaml"
    path.write_text("rails: [\n")
    with pytest.raises(PolicyError, match=r"p.yaml:\d+"):
        read_policy(path)
    path.write_text("rails: []\n")
    with pytest.raises(PolicyError, match=r"p.yaml: rails"):
        read_policy(path)


def test_the_digest_is_of_what_the_policy_says() -> None:
    """The order of keys changes nothing, any setting does."""
    again = policy_of({"rails": GOOD["rails"], "name": "shop"})
    assert again.digest == policy_of(GOOD).digest
    assert policy_of({**GOOD, "message": "no"}).digest != again.digest
    assert again.version.startswith("shop@")


def test_a_file_that_a_policy_names_lies_beside_it_and_is_part_of_it(tmp_path: Path) -> None:
    """Whatever folder the command runs in; and another content is another policy."""
    (tmp_path / "p.yaml").write_text("rails: [{type: words, file: banned.txt}]\n")
    (tmp_path / "banned.txt").write_text("marrow\n")
    one = read_policy(tmp_path / "p.yaml")
    assert "marrow" in [pattern.text for pattern in one.seats[0].rail.patterns()]
    (tmp_path / "banned.txt").write_text("carrot\n")
    assert read_policy(tmp_path / "p.yaml").digest != one.digest


def _valid(spec: object) -> bool:
    return bool(jsonschema.Draft202012Validator(schema()).is_valid(spec))


def test_the_schema_for_editors_takes_what_the_reader_takes() -> None:
    """A good policy is valid, and an unknown rail, setting or action is not."""
    assert _valid(GOOD)
    assert _valid(_default())
    assert not _valid({"rails": [{"type": "secret"}]})
    assert not _valid({"rails": [{"type": "secrets", "acton": "block"}]})
    assert not _valid({"rails": [{"type": "secrets", "action": "explode"}]})


def test_the_schema_says_what_each_setting_means() -> None:
    """An editor shows the comment that stands beside a field in the source."""
    rails = schema()["properties"]["rails"]["items"]["oneOf"]
    secrets = next(rail for rail in rails if rail["title"] == "secrets")
    assert "no secret" in secrets["properties"]["allow"]["description"]
    assert "shadow" in secrets["properties"]["mode"]["description"]


def test_the_default_policy_reads() -> None:
    """What `trueline guard policy new` writes is a policy."""
    assert isinstance(policy_of(_default()), Policy)


def _default() -> object:
    from importlib.resources import files

    import yaml

    return yaml.safe_load(files("trueline.guard").joinpath("policies/default.yaml").read_text(encoding="utf-8"))
