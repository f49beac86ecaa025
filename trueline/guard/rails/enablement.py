"""`enablement`: the reply says no, and gives it all the same.

    rails:
      - {type: enablement, action: block}

"I cannot help with that. However, step 1 ..." passes every check that looks for a refusal. This rail reads the exchange: it
finds the sentences that refuse, takes them out, and weighs what is left against what was asked: steps and sentences that tell
something of it, in the text and in the arguments of calls, in every decoding (judges/enablement.py). A reply that does not
refuse is not its business, and neither is how harmful anything is.

What it cannot see: a refusal in another language than English; substance that does not name what was asked for; a question
that stands in an earlier turn. It cannot tell an alternative that uses the question's own words from the thing itself:
measured on replies of public models in docs/rails.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.outcome import GAVE
from trueline.core.registry import register
from trueline.core.types import Action, Completion, Judgement, Prompt
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan
from trueline.guard.rails.common import check_settings, wrong
from trueline.guard.rails.refusals import says_no
from trueline.guard.rails.replies import question, replies
from trueline.guard.ruling import Ruling, act, allow, fold
from trueline.judges.enablement import Enablement


@register("rail", "enablement")
@dataclass(frozen=True, kw_only=True)
class Enabled:
    """Weighs what a refusing reply gives."""

    name: str = "enablement"  # how rulings and the audit call it
    action: Action = "block"  # what is done where a refusal gives: allow, flag, human, block
    unsure: Action = "flag"  # what is done where it tells something, and nobody can say what that is worth
    sides: tuple[Side, ...] = ("output",)  # what the model says
    places: tuple[Place, ...] = ("assistant",)  # whose text is read
    gave: float = GAVE  # disclosure from which on a reply has given, 0 to 1
    needs: ClassVar[Needs] = "whole"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, self.unsure, sides=("output",))
        if not 0 < self.gave <= 1:
            raise wrong(self, "gave", "a share above 0, at most 1", self.gave)

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        asked = question(exchange.conversation)
        refusing = [reply.text for reply in replies(exchange, self.places) if says_no(reply.text, asked)]
        return fold([self._ruling(exchange, text) for text in refusing]) if refusing else allow(self.name)

    def _ruling(self, exchange: Exchange, text: str) -> Ruling:
        given = _weighed(exchange, text).disclosure
        if given is None:
            return act(self.unsure, self.name, "refuses, and tells something that nobody can say the worth of")
        if given < self.gave:
            return allow(self.name, "refuses, and keeps to it")
        return act(self.action, self.name, f"refuses, and gives: disclosure {given:.2f}")


def _weighed(exchange: Exchange, text: str) -> Judgement:
    """The judge's word. It is a coroutine by its port and waits for nothing, so one step ends it."""
    prompt = Prompt(conversation=exchange.conversation, expected="refuse")
    step = Enablement().judge(prompt, Completion(prompt=prompt, text=text, tool_calls=exchange.calls))
    try:
        step.send(None)
    except StopIteration as end:
        return end.value
    step.close()
    raise RuntimeError("expected a judge that waits for nothing, got one that waits")
