"""The proof of coverage: it holds for a policy that runs, and finds each way in which a rail may silently not run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files

import pytest
import yaml

from tests.guard.fakes import Finds, Says
from trueline.guard.coverage.positions import POSITIONS
from trueline.guard.coverage.proving import MARKER, PATHS, Proof, prove
from trueline.guard.coverage.replies import reply, stream
from trueline.guard.exchange import INPUT_PLACES, OUTPUT_PLACES, Exchange, Side
from trueline.guard.policy import Policy, Seat, policy_of
from trueline.guard.rail import Scan
from trueline.guard.ruling import Ruling, allow
from trueline.guard.wires import WIRES, wire_of


def _prove(policy: Policy) -> Proof:
    return asyncio.run(prove(policy))


def _default() -> Policy:
    return policy_of(yaml.safe_load(files("trueline.guard").joinpath("policies/default.yaml").read_text(encoding="utf-8")))


def test_the_default_policy_reads_every_position() -> None:
    """Each of its rails reads each position of its places, on every endpoint, streamed and not."""
    proof = _prove(_default())
    assert proof.holds
    assert {cell.status for cell in proof.cells} == {200}


@pytest.mark.parametrize("release", ["checked", "text"])
def test_a_policy_of_patterns_reads_every_position_also_as_text_grows(release: str) -> None:
    """Where a stream leaves as it grows, every position is read all the same."""
    assert _prove(Policy(seats=(Seat(rail=Finds(word="marrow")),), release=release)).holds  # type: ignore[arg-type]


def _unless(broken: Callable[[Exchange, Side], bool]) -> Says:
    def says(exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        if broken(exchange, side):
            raise RuntimeError("odd")
        return allow("says")

    return Says(says=says)


@pytest.mark.parametrize(
    ("broken", "missed"),
    [
        (
            lambda exchange, side: exchange.stream and side == "output",
            lambda cell: cell.stream and cell.position.side == "output",
        ),
        (lambda exchange, side: exchange.endpoint == "responses", lambda cell: cell.position.endpoint == "responses"),
        (
            lambda exchange, side: any(MARKER in p.text and p.place == "tool_schema" for p in exchange.asked),
            lambda cell: cell.position.place == "tool_schema",
        ),
    ],
    ids=["streams", "an endpoint", "a position"],
)
def test_a_rail_that_does_not_run_somewhere_is_found_there_and_nowhere_else(
    broken: Callable[[Exchange, Side], bool], missed: Callable[[object], bool]
) -> None:
    """The empty cells are those where the rail broke: streams, one endpoint, or one position."""
    proof = _prove(Policy(seats=(Seat(rail=_unless(broken), on_error="open"),)))
    assert not proof.holds
    assert [cell for cell, _ in proof.missed] == [cell for cell in proof.cells if missed(cell)]


def test_a_position_that_no_rail_reads_fails_the_proof() -> None:
    """A policy that reads users alone leaves the rest open, and the proof says where."""
    proof = _prove(Policy(seats=(Seat(rail=replace(Finds(word="a"), places=("user",))),)))
    assert not proof.holds
    assert {cell.position.place for cell in proof.unread} == {*INPUT_PLACES, *OUTPUT_PLACES} - {"user"}


def test_every_endpoint_and_place_has_a_position() -> None:
    """What a wire can read stands in the matrix, so a new endpoint cannot be forgotten."""
    assert {position.endpoint for position in POSITIONS} == {wire.endpoint for wire in WIRES.values()} == set(PATHS)
    for endpoint in ("chat", "responses", "messages"):
        at = [position for position in POSITIONS if position.endpoint == endpoint]
        assert {position.place for position in at if position.side == "input"} == set(INPUT_PLACES)
        assert {position.place for position in at if position.side == "output"} == set(OUTPUT_PLACES)


@pytest.mark.parametrize("endpoint", ["chat", "responses", "messages", "completions"])
def test_a_streamed_reply_says_what_the_whole_one_says(endpoint: str) -> None:
    """The stream of a made-up upstream is the same reply, with its marker cut in two."""
    said = {"text": f"it is {MARKER}"} | ({} if endpoint == "completions" else {"arguments": '{"q": "two"}'})
    wire = wire_of("POST", PATHS[endpoint])
    assert wire is not None
    import orjson

    asked = wire.read_request(orjson.dumps({"model": "m", "messages": [], "input": "", "prompt": "", "stream": True}))
    machine = wire.stream(asked)
    events = list(stream(endpoint, said))
    assert not any(MARKER in event.decode() for event in events if b"delta" in event and b"done" not in event)
    for event in events:
        machine.feed(event)
    machine.end()
    grown = {(p.place, p.text) for p in machine.exchange.said if p.place in ("assistant", "tool_call")}
    whole = {(p.place, p.text) for p in wire.read_reply(asked, orjson.dumps(reply(endpoint, said))).said}
    assert {text for text in grown if MARKER in text[1]} <= whole
    assert any(MARKER in text for _, text in grown)
