"""A second policy beside the first: clients see nothing of it, and what it would have done is on the record and counted."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.guard.fakes import Finds, chain_of
from tests.guard.gateway import odd_rails
from tests.guard.gateway.around import CHAT, Answer, Upstream, ask, gateway, recorded, said
from tests.guard.gateway.test_streams import ASKED, SSE, _pieces
from trueline.cli.guard_audit import audit as audit_verb
from trueline.cli.guard_compare import compare as compare_verb
from trueline.cli.guard_replay import Again
from trueline.core.stats import newcombe_paired, wilson
from trueline.guard.audit.audit import Audit, Settings
from trueline.guard.audit.comparison import NothingComparedError, compare
from trueline.guard.audit.digests import Secret
from trueline.guard.audit.record import Compared, Verdict
from trueline.guard.audit.replay import records_of, replay
from trueline.guard.chain import Chain
from trueline.guard.gateway.app import Gateway
from trueline.guard.gateway.beside import Beside
from trueline.guard.gateway.live import basis_of
from trueline.guard.policy import Retention
from trueline.guard.ruling import allow
from trueline.store.opening import open_database

pytestmark = pytest.mark.slow

FIRST = chain_of(Finds(word="marrow", name="words"), Finds(word="beet", name="masks", action="redact"), message="no")
SECOND = "rails:\n- {type: words, words: [carrot, leek]}\n- {type: words, name: flags, words: [turnip], action: flag}\n"
ODD = "rails:\n- {type: odd}\n"
LONG = 120.0  # seconds: longer than any of it takes on a machine that is busy
SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


def _beside(app: Gateway, folder: Path, spec: str = SECOND, **settings: Any) -> Beside:
    path = folder / "other.yaml"
    path.write_text(spec)
    app.beside = Beside(path=path, policy=FIRST.policy, audit=app.audit, metrics=app.metrics, **{"drain": LONG, **settings})
    return app.beside


def _asking(text: str) -> dict[str, Any]:
    return {**CHAT, "messages": [{"role": "user", "content": text}]}


def _run(
    folder: Path, asked: Iterable[tuple[object, bytes | list[bytes]]], spec: str = SECOND, chain: Chain = FIRST, **settings: Any
) -> tuple[list[Answer], list[dict[str, Any]]]:
    """Send requests, each with what the upstream says to it; the answers, and the rows of the audit."""

    async def run() -> tuple[list[Answer], list[dict[str, Any]]]:
        upstream, answers = Upstream(), []
        app = gateway(folder, chain, upstream)
        async with _beside(app, folder, spec, **settings):
            for body, reply in asked:
                upstream.body, upstream.kind = reply, SSE if isinstance(reply, list) else "application/json"
                answers.append(await ask(app, body))
        return answers, await recorded(app, folder)

    return asyncio.run(run())


def _without(folder: Path, asked: Iterable[tuple[object, bytes | list[bytes]]]) -> list[Answer]:
    async def run() -> list[Answer]:
        upstream, answers = Upstream(), []
        app = gateway(folder, FIRST, upstream)
        for body, reply in asked:
            upstream.body, upstream.kind = reply, SSE if isinstance(reply, list) else "application/json"
            answers.append(await ask(app, body))
        await app.audit.close()
        return answers

    return asyncio.run(run())


def _plain(answer: Answer) -> tuple[int, dict[str, str], str]:
    """An answer without its id and its time, which are never the same."""
    body = re.sub(r'"created":\d+', "", answer.body.decode()).replace(answer.headers["x-trueline-id"], "ID")
    return answer.status, {**answer.headers, "x-trueline-id": "ID", "content-length": ""}, body


KNOWN: list[tuple[object, bytes | list[bytes]]] = [
    (_asking("hello"), said("hi")),  # both pass
    (_asking("a marrow"), said("hi")),  # the first alone blocks, the request
    (_asking("a carrot"), said("hi")),  # the second alone blocks, the request: the reply is moot for it
    (_asking("hello"), said("a leek")),  # the second alone blocks, the reply
    (_asking("a marrow and a carrot"), said("hi")),  # both block
    (_asking("a beet"), said("hi")),  # the first alone redacts
    (_asking("a turnip"), said("a marrow")),  # the second flags the request; the first blocks the reply
    (ASKED, _pieces("a leek is green")),  # a stream that the second blocks
    (ASKED, _pieces("a pea is green")),  # one that passes
]


def test_clients_see_nothing_of_it(tmp_path: Path) -> None:
    """Status, headers and bytes are the same with and without a second policy: passed, blocked, redacted and streamed."""
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    answers, _ = _run(tmp_path / "with", KNOWN)
    assert [*map(_plain, answers)] == [*map(_plain, _without(tmp_path / "without", KNOWN))]


def test_each_exchange_leaves_one_row_with_both_verdicts_and_no_text(tmp_path: Path) -> None:
    """The rows name the exchange, both policies, the action of each on each side, and the rails that differ."""
    answers, rows = _run(tmp_path, KNOWN)
    found = [row for row in rows if row["kind"] == "compared"]
    assert [row["id"] for row in found] == [answer.headers["x-trueline-id"] for answer in answers]
    assert {row["compared"]["first"]["policy"] for row in found} == {FIRST.policy.digest}
    assert len({row["compared"]["second"]["policy"] for row in found}) == 1
    sides = [tuple(row["compared"][who][side] for who in ("first", "second") for side in ("input", "output")) for row in found]
    assert sides == [
        ("allow", "allow", "allow", "allow"),
        ("block", None, "allow", None),
        ("allow", "allow", "block", None),
        ("allow", "allow", "allow", "block"),
        ("block", None, "block", None),
        ("redact", "allow", "allow", "allow"),
        ("allow", "block", "flag", "allow"),
        ("allow", "allow", "allow", "block"),
        ("allow", "allow", "allow", "allow"),
    ]
    assert found[2]["compared"]["apart"] == [{"side": "input", "rail": "words", "first": "allow", "second": "block"}]
    told = json.dumps(found)
    assert not [word for word in ("marrow", "carrot", "leek", "turnip", "beet", "hello", "green") if word in told]


def test_the_second_policy_reads_what_the_first_took_out(tmp_path: Path) -> None:
    """It judges the request as the client sent it and the reply as the upstream sent it, before any redaction."""
    spec = "rails:\n- {type: words, words: [beet], action: flag}\n"
    _, rows = _run(tmp_path, [(_asking("a beet"), said("hi")), (_asking("hello"), said("a beet"))], spec)
    found = [row["compared"] for row in rows if row["kind"] == "compared"]
    assert [(one["first"]["input"], one["second"]["input"]) for one in found] == [("redact", "flag"), ("allow", "allow")]
    assert [(one["first"]["output"], one["second"]["output"]) for one in found] == [("allow", "allow"), ("redact", "flag")]


def test_the_table_and_its_json_count_what_happened(tmp_path: Path) -> None:
    """Rates, discordant counts and ids are those of the known exchanges, and the table shows the same numbers."""
    answers, _ = _run(tmp_path, KNOWN)
    ids = [answer.headers["x-trueline-id"] for answer in answers]
    done = CliRunner().invoke(compare_verb, ["--json", "--database", str(tmp_path / "guard.db")])
    told = json.loads(done.stdout)
    rows = {row["action"]: row for row in told["rows"]}
    assert (told["n"], told["missed"], told["others"]) == (9, {}, 0)
    block, rate, difference = rows["block"], wilson(3, 9), newcombe_paired(1, 3, 2, 3)
    assert (block["only_first"], block["only_second"], block["p"]) == (2, 3, 1.0)
    assert block["first"] == {"value": rate.value, "n": 9, "low": rate.low, "high": rate.high}
    assert (block["difference"]["low"], block["difference"]["high"]) == (difference.low, difference.high)
    assert [rows[name]["only_first"] for name in ("redact", "flag", "any")] == [1, 0, 2]
    assert told["only_first"] == [{"rail": "words", "n": 2, "ids": [ids[1], ids[6]]}]
    assert told["only_second"] == [{"rail": "words", "n": 3, "ids": [ids[2], ids[3], ids[7]]}]
    table = CliRunner().invoke(compare_verb, ["--database", str(tmp_path / "guard.db")]).stdout
    shown = {line.split("│")[1].strip(): line for line in table.splitlines() if line.count("│") == 8}
    for name, row in rows.items():
        cells = [cell.strip() for cell in shown[name].split("│")[2:-1]]
        for cell, who, sign in zip(cells, ("first", "second", "difference"), ("", "", "+"), strict=False):
            assert cell == "{value:{s}.2%} [{low:{s}.2%}, {high:{s}.2%}]".format(**row[who], s=sign)
        assert [int(cell) for cell in cells[-2:]] == [row["only_first"], row["only_second"]]
    assert ids[2] in table
    assert "not compared: none" in table


def test_chains_still_verify_and_decisions_are_listed_as_before(tmp_path: Path) -> None:
    """Every exchange has its two decisions and one row of the comparison in a chain that is whole."""
    answers, _ = _run(tmp_path, KNOWN)
    where = ["--database", str(tmp_path / "guard.db")]
    done = CliRunner().invoke(audit_verb, ["verify", "--folder", str(tmp_path / "audit"), *where])
    assert (done.exit_code, "whole" in done.stdout) == (0, True), done.output
    listed = json.loads(CliRunner().invoke(audit_verb, ["list", "--json", *where]).stdout)
    assert {one["state"] for one in listed} == {"accepted", "settled"}
    assert len(listed) == 2 * len(answers)
    kinds = [record.kind for record in records_of(open_database(tmp_path / "guard.db"), answers[0].headers["x-trueline-id"])]
    assert kinds == ["accepted", "settled", "compared"]


def test_an_exchange_that_was_compared_is_replayed_as_before(tmp_path: Path) -> None:
    """A replay makes both decisions of the policy that served again, and no other."""
    chain = chain_of(Finds(word="marrow"), retention=Retention(text=True))
    (answer,), _ = _run(tmp_path, [(_asking("a carrot"), said("a marrow"))], chain=chain)
    again = Again(chain=chain, basis=basis_of(chain.policy))
    secret, id_ = Secret.open(tmp_path / "audit"), answer.headers["x-trueline-id"]
    found = replay(open_database(tmp_path / "guard.db"), secret, id_, again)
    assert (found.same, len(found.again)) == (True, 2)


def test_a_rail_that_raises_harms_nobody_and_is_counted(tmp_path: Path) -> None:
    """Clients are answered; the exchange counts as not compared, by the rail's name, and the next one is compared."""
    words = (sys.executable, odd_rails.__file__)
    answers, rows = _run(tmp_path, [(_asking("raise"), said("hi")), (_asking("hello"), said("hi"))], ODD, words=words)
    assert [answer.body for answer in answers] == [said("hi")] * 2
    assert [row["compared"]["missed"] for row in rows if row["kind"] == "compared"] == ["error: odd", ""]
    found = compare(open_database(tmp_path / "guard.db"), "2000")
    assert (found.n, found.missed) == (1, {"error: odd": 1})


def test_a_rail_that_hangs_harms_nobody_and_its_process_is_replaced(tmp_path: Path) -> None:
    """While it hangs clients are answered; then the exchange counts as not compared, and another process is at work."""

    async def run() -> None:
        app = gateway(tmp_path, FIRST, Upstream(body=said("hi")))
        words = (sys.executable, odd_rails.__file__)
        async with (
            asyncio.timeout(LONG),
            _beside(app, tmp_path, ODD, words=words, patience=0.5, pause=0.0, drain=0.0) as beside,
        ):
            await _until(lambda: not beside.trouble)
            assert (await ask(app, _asking("hang"))).body == said("hi")
            assert (await ask(app, _asking("hang"))).body == said("hi")
            await _until(lambda: app.metrics.not_compared["hung"] == 2)
            await _until(lambda: not beside.trouble)
        rows = await recorded(app, tmp_path)
        assert [row["compared"]["missed"] for row in rows if row["kind"] == "compared"] == ["hung", "hung"]

    asyncio.run(run())


def test_a_full_queue_is_counted_and_delays_nobody(tmp_path: Path) -> None:
    """With a second policy that takes nothing, all are answered; what does not fit, and what is left at the end, is counted."""

    async def run() -> None:
        app = gateway(tmp_path, FIRST, Upstream(body=said("hi")))
        async with _beside(app, tmp_path, words=SLEEPER, most=2, drain=0.0):
            assert [(await ask(app)).status for _ in range(5)] == [200] * 5
            text = (await ask(app, path="/metrics", method="GET")).body.decode()
            assert 'trueline_not_compared_total{why="queue full"} 3.0' in text
        rows = await recorded(app, tmp_path)
        assert [row["kind"] for row in rows].count("settled") == 5
        missed = [row["compared"]["missed"] for row in rows if row["kind"] == "compared"]
        assert missed == ["queue full"] * 3 + ["ended"] * 2
        with pytest.raises(NothingComparedError, match="3 queue full, 2 ended"):
            compare(open_database(tmp_path / "guard.db"), "2000")

    asyncio.run(run())


def test_its_file_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    """/ready says what is wrong with it; the policy that was good goes on; no version of it is kept to roll back to."""

    async def run() -> None:
        app = gateway(tmp_path, FIRST, Upstream(body=said("hi")))
        async with asyncio.timeout(LONG), _beside(app, tmp_path) as beside:
            await _until(lambda: not beside.trouble)
            version = beside.version
            beside.path.write_text("rails: [{type: word}]\n")
            await _until(lambda: bool(beside.trouble))
            ready = await ask(app, path="/ready", method="GET")
            assert (ready.status, ready.json["beside"], ready.json["policy"]) == (200, version, FIRST.policy.version)
            assert "did you mean 'words'" in ready.json["trouble"][0]
            beside.path.write_text(SECOND.replace("carrot", "hello"))
            await _until(lambda: beside.version != version)
            assert beside.trouble == ""
            await ask(app)
        rows = await recorded(app, tmp_path)
        assert [row["compared"]["second"]["input"] for row in rows if row["kind"] == "compared"] == ["block"]
        assert not (tmp_path / "policies").exists()

    asyncio.run(run())


def test_what_is_compared_never_takes_the_place_of_a_decision(tmp_path: Path) -> None:
    """Half of the journal is for decisions: while the database is away, comparisons are dropped and decisions are not."""
    from tests.guard.audit.deciding import BASIS, exchange

    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", Settings(apart=False, every=1000.0, most_bytes=4_000))
    one = Compared(first=Verdict(policy="a", version="a"), second=Verdict(policy="b", version="b"))
    kept = [audit.compare("id", exchange(), one) for _ in range(20)]
    assert kept[0]
    assert not kept[-1]
    assert audit.accept(exchange(), allow("a"), [], BASIS)
    asyncio.run(audit.close())


def test_where_a_policy_has_changed_the_versions_that_were_compared_last_are_shown(tmp_path: Path) -> None:
    """Exchanges of other versions are counted beside them, and are in no rate."""
    from tests.guard.audit.deciding import exchange

    audit = Audit.open(tmp_path / "audit", tmp_path / "a.db", Settings(apart=False))
    for version in ("old", "old", "new"):
        second = Verdict(policy=version, version=version, input="allow")
        audit.compare("id", exchange(), Compared(first=Verdict(policy="a", version="a", input="allow"), second=second))
    asyncio.run(audit.close())
    found = compare(open_database(tmp_path / "a.db"), "2000")
    assert (found.second, found.n, found.others) == ("new", 1, 2)


def test_where_nothing_was_compared_the_command_says_what_to_start(tmp_path: Path) -> None:
    """The exit code is 2, as for a time that is none."""
    where = ["--database", str(tmp_path / "none.db")]
    done = CliRunner().invoke(compare_verb, where)
    assert (done.exit_code, "guard serve POLICY --upstream URL --beside OTHER" in done.stderr) == (2, True)
    done = CliRunner().invoke(compare_verb, ["--since", "yesterday", *where])
    assert (done.exit_code, "such as 30m, 24h or 7d" in done.stderr) == (2, True)
    with pytest.raises(NothingComparedError):
        compare(open_database(tmp_path / "none.db"), datetime.now(UTC).isoformat())


async def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; whoever asks has a time limit."""
    while not holds():
        await asyncio.sleep(0.02)
