"""A chain: everybody is asked, nobody's silence is an allow, and what is passed on is what was judged."""

from __future__ import annotations

import asyncio

from tests.guard.fakes import Finds, Says, Waits, chain_of
from trueline.core.types import Conversation
from trueline.guard.chain import Chain, Outcome
from trueline.guard.exchange import Exchange, Side
from trueline.guard.guarded import exchange_of
from trueline.guard.policy import Seat
from trueline.guard.rail import Scan
from trueline.guard.ruling import Ruling, allow, block


def _judge(chain: Chain, text: str) -> Outcome:
    return asyncio.run(chain.judge(exchange_of(Conversation().say("user", text)), "input"))


def _raises(exchange: Exchange, side: Side, scan: Scan) -> Ruling:
    raise RuntimeError("a secret in an error")


async def _hangs(exchange: Exchange, side: Side, scan: Scan) -> Ruling:
    await asyncio.Event().wait()
    return allow("never")


def test_a_rail_that_raises_blocks_and_its_error_is_not_quoted() -> None:
    """Fail closed is the default, and what an error's text holds does not reach the record."""
    outcome = _judge(chain_of(Says(says=_raises)), "hello")
    assert (outcome.ruling.action, outcome.ruling.decision.status) == ("block", "error")
    assert "secret" not in outcome.ruling.decision.why


def test_a_rail_that_returns_no_ruling_is_a_rail_that_broke() -> None:
    """Nothing is no word, and counts as its seat says."""
    silent = Says(says=lambda *_: None)  # type: ignore[arg-type, return-value]
    assert _judge(chain_of(silent), "hello").ruling.decision.status == "error"
    assert _judge(chain_of(Seat(rail=silent, on_error="open")), "hello").ruling.action == "flag"


def test_a_rail_that_fails_open_flags_and_says_that_it_did_not_run() -> None:
    """Open is an explicit choice, and never looks like an allow."""
    outcome = _judge(chain_of(Seat(rail=Says(says=_raises), on_error="open")), "hello")
    assert (outcome.ruling.action, outcome.ruling.decision.status) == ("flag", "error")


def test_a_rail_that_hangs_is_given_up_after_its_time() -> None:
    """A rail that waits for ever costs its time limit and no more."""
    outcome = _judge(chain_of(Seat(rail=Waits(says=_hangs), timeout_ms=5)), "hello")
    assert (outcome.ruling.action, outcome.ruling.decision.status) == ("block", "timeout")


def test_a_rail_that_is_not_asked_stands_in_the_record_as_not_run() -> None:
    """Once something is blocked nobody waits for a slow rail, and the record says that it was not asked."""
    outcome = _judge(chain_of(Finds(word="marrow"), Waits(says=_hangs)), "marrow")
    assert [(r.decision.by, r.decision.status) for r in outcome.rulings] == [("finds", "ran"), ("says", "not_run")]


def test_who_judges_reads_what_is_passed_on() -> None:
    """Redactions are made first: a judge behind them sees the text without what was taken out."""
    seen: list[str] = []

    def judge(exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        seen.extend(piece.text for piece in exchange.pieces(side))
        return allow("says")

    outcome = _judge(chain_of(Says(says=judge), Finds(word="marrow", action="redact")), "my marrow is here")
    assert seen == ["my [x] is here"]
    assert list(outcome.texts.values()) == ["my [x] is here"]
    assert outcome.ruling.action == "redact"


def test_a_shadow_changes_nothing_but_the_record() -> None:
    """A rail in shadow neither blocks nor redacts, and what it would have done is remembered."""
    for action in ("block", "redact"):
        outcome = _judge(chain_of(Seat(rail=Finds(word="marrow", action=action), mode="shadow")), "marrow")
        assert (outcome.ruling.action, outcome.ruling.shadow, outcome.texts) == ("flag", action, {})


def test_a_shadow_does_not_weaken_a_rail_that_blocks() -> None:
    """The same word, found by a shadow and by a rail that is enforced, is blocked."""
    seats = [Seat(rail=Finds(word="marrow", name="a"), mode="shadow"), Finds(word="marrow", name="b")]
    assert _judge(chain_of(*seats), "marrow").stopped


def test_a_text_that_is_coded_too_deeply_to_read_is_blocked() -> None:
    """What the scan could not read to its end does not pass, though no rail has found anything in it."""
    import base64

    text = b"hello there, this is a plain text"
    for _ in range(8):
        text = base64.b64encode(text)
    outcome = _judge(chain_of(Finds(word="marrow")), text.decode())
    assert outcome.stopped
    assert outcome.rulings[0].decision.by == "scan"


def test_the_word_of_every_rail_is_in_the_outcome() -> None:
    """The record has one ruling for each rail of the side, with the time that it took."""
    outcome = _judge(chain_of(*(Finds(word=w, name=w) for w in ("one", "two", "three"))), "two")
    assert [r.decision.by for r in outcome.rulings] == ["one", "two", "three"]
    assert [r.action for r in outcome.rulings] == ["allow", "block", "allow"]
    assert all(r.ms > 0 for r in outcome.rulings)


def test_a_side_that_no_rail_reads_says_so() -> None:
    """An allow of nobody is marked as not run."""
    chain = chain_of(Finds(word="marrow", sides=("input",)))
    outcome = asyncio.run(chain.judge(exchange_of(Conversation()), "output"))
    assert (outcome.ruling.action, outcome.ruling.decision.status) == ("allow", "not_run")


def test_streams_are_released_by_the_rail_that_needs_most() -> None:
    """One enforced rail that needs the whole reply holds all of it back; one that only watches does not."""
    whole = Says(says=lambda *_: block("says", "x"))
    assert chain_of(Finds(word="a")).streams == "text"
    assert chain_of(Finds(word="a"), whole).streams == "whole"
    assert chain_of(Finds(word="a"), Seat(rail=whole, mode="shadow")).streams == "text"
    assert chain_of(Finds(word="a"), whole, release="text").streams == "text"
