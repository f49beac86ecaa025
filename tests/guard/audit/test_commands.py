"""Tests of cli/guard_audit.py and cli/guard_keys.py: what the verbs print, and the exit codes by which a script can tell."""

import asyncio
import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from tests.guard.audit.deciding import BASIS, QUIET, exchange
from trueline.cli.guard_audit import audit as audit_verb
from trueline.cli.guard_keys import keys as keys_verb
from trueline.guard.audit.audit import Audit, Settings
from trueline.guard.ruling import allow
from trueline.store.opening import open_database


@pytest.fixture
def said(tmp_path):
    """Call a verb on a small audit: one exchange settled, one not, with its text retained."""
    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", Settings(apart=False, every=QUIET))
    keeping = type(BASIS)(policy="p", keep_days=1)
    audit.settle(audit.accept(exchange(), allow("a"), [], BASIS), exchange("a", "b"), allow("a"), [], BASIS)
    audit.accept(exchange("left"), allow("a"), [], keeping)
    asyncio.run(audit.close())

    def call(verb, *words, code=0, folder=True):
        where = ["--folder", str(tmp_path / "audit")] if folder and words[0] == "verify" else []
        done = CliRunner().invoke(verb, [*words, "--database", str(tmp_path / "a.db"), *where])
        assert done.exit_code == code, done.output
        return done.stdout

    return call


def test_verify_tells_by_its_exit_code(said, tmp_path):
    """0 whole, 1 broken, 3 not signed or nothing there; an anchor of before is kept to."""
    assert "whole, 4 rows" in said(audit_verb, "verify")
    heads = said(audit_verb, "verify", "--anchor")
    (tmp_path / "heads").write_text(heads)
    said(audit_verb, "verify", "--against", str(tmp_path / "heads"))
    (head,) = (tmp_path / "audit").glob("*/head")
    head.rename(tmp_path / "head")
    assert "unsigned" in said(audit_verb, "verify", code=3)
    with closing(open_database(tmp_path / "a.db").raw_connection()) as connection:
        connection.execute("DELETE FROM audit WHERE seq = 4")
    said(audit_verb, "verify", code=3)
    assert "cut off" in said(audit_verb, "verify", "--against", str(tmp_path / "heads"), code=1)
    with closing(open_database(tmp_path / "a.db").raw_connection()) as connection:
        connection.execute("UPDATE audit SET action = 'block' WHERE seq = 2")
    (found,) = json.loads(said(audit_verb, "verify", "--json", code=1))
    assert (found["state"], found["fault"]["kind"], found["fault"]["seq"]) == ("broken", "changed", 2)
    with closing(open_database(tmp_path / "a.db").raw_connection()) as connection:
        connection.execute("DELETE FROM audit")
    assert said(audit_verb, "verify", code=3) == ""
    said(audit_verb, "verify", "--folder", str(tmp_path / "none"), code=2, folder=False)


def test_decisions_are_listed_shown_and_purged(said):
    """The latest comes first; what was not settled is told; a row is shown whole; texts go when they expire."""
    listed = said(audit_verb, "list").splitlines()
    assert [line.split()[4] for line in listed] == ["accepted", "settled", "accepted"]
    (left,) = said(audit_verb, "list", "--unsettled").splitlines()
    assert left.split()[0] == listed[0].split()[0]
    assert '"kind": "accepted"' in said(audit_verb, "show", left.split()[0])
    assert said(audit_verb, "purge") == "0 texts deleted\n"
    assert said(audit_verb, "purge", "--before", "2999-01-01") == "1 texts deleted\n"


def test_keys_are_made_listed_and_revoked(said):
    """A key is printed alone, so that a script can take it; the list shows its limits and never the key."""
    assert "this machine alone" in said(keys_verb, "list")
    shown = said(keys_verb, "add", "batch job", "--requests-a-minute", "60").strip()
    key_id = shown.split("-")[1]
    listed = said(keys_verb, "list")
    assert f"{key_id}  since" in listed
    assert "requests_a_minute=60" in listed
    assert shown.split("-", 2)[2] not in listed + said(keys_verb, "list", "--json")
    said(keys_verb, "revoke", key_id)
    assert json.loads(said(keys_verb, "list", "--json"))[0]["revoked"]
    said(keys_verb, "revoke", "none", code=2)
    said(keys_verb, "add", " ", code=2)
