"""`tools`: which tools may be called, and with what.

    rails:
      - type: tools
        allow: [search, send_mail]
        rules:
          - tool: send_mail
            schema: '{"type": "object", "required": ["to"], "properties": {"to": {}}, "additionalProperties": false}'
            arguments: [{path: to, one_of: ["*@example.com"]}]
          - {tool: pay, arguments: [{path: amount, at_most: 100}]}
          - {tool: read_file, arguments: [{path: path, within: /srv/data}]}
          - {tool: fetch, arguments: [{path: url, hosts: ["*.example.com"]}]}

It reads the calls of the reply, those that the request says were made in earlier turns, and the tools that a request offers.
What cannot be read (arguments that are no JSON object, a key twice) is refused. An argument that is absent is the schema's
business.

What it cannot see: what a tool really does with its arguments; symbolic links behind a path; who owns a host at the time of
the call; a call that the upstream makes by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import jsonschema_rs

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Action, ToolCall
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan
from trueline.guard.rails.arguments import Argument
from trueline.guard.rails.calls import arguments, leaves, named, of_side
from trueline.guard.rails.common import BOTH, check_settings, wrong
from trueline.guard.rails.schemas import UnreadableError, compiled
from trueline.guard.ruling import Ruling, act, allow


@dataclass(frozen=True, kw_only=True)
class ToolRule:
    """What the calls of one tool must satisfy."""

    tool: str  # its name; with a star at the end, every tool that begins so
    schema: str = ""  # a JSON Schema of its arguments: its text, or the path of its file
    arguments: tuple[Argument, ...] = ()  # what single arguments must be

    def __post_init__(self) -> None:
        try:
            _ = self.validator
        except (ValueError, OSError) as error:
            raise ConfigError(f"tool {self.tool!r}: schema: expected a JSON Schema, or the path of one ({error})") from error

    @cached_property
    def validator(self) -> jsonschema_rs.Validator | None:
        """The schema, compiled; None where there is none."""
        return compiled(self.schema) if self.schema else None

    def breaches(self, given: dict[str, object]) -> Iterator[str]:
        """What is wrong with the arguments of a call, without quoting them."""
        if self.validator is not None and not self.validator.is_valid(given):
            yield "arguments do not satisfy the schema"
        for argument in self.arguments:
            for value in leaves(given, argument.path):
                if why := argument.breach(value):
                    yield f"{argument.path}: {why}"


@register("rail", "tools")
@dataclass(frozen=True, kw_only=True)
class Tools:
    """Holds tool calls to a list and to rules."""

    name: str = "tools"  # how rulings and the audit call it
    action: Action = "block"  # what is done about a breach: allow, flag, human, block
    sides: tuple[Side, ...] = BOTH  # calls of earlier turns and tools on offer, calls of the reply
    places: tuple[Place, ...] = ("tool_call", "tool_schema")  # calls, and the tools that a request offers
    allow: tuple[str, ...] = ()  # tools that may be called and offered, stars allowed; empty: all
    deny: tuple[str, ...] = ()  # tools that may not, even where `allow` has them
    rules: tuple[ToolRule, ...] = ()  # what calls must satisfy; every rule that names the tool counts
    needs: ClassVar[Needs] = "whole"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action)
        if not (self.allow or self.deny or self.rules):
            raise wrong(self, "allow", "tools to allow, to deny, or rules for them", "none of the three")

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        found = list(self._breaches(exchange, side))
        return act(self.action, self.name, "; ".join(found[:5])) if found else allow(self.name)

    def _breaches(self, exchange: Exchange, side: Side) -> Iterator[str]:
        if side == "input" and "tool_schema" in self.places:
            for tool in exchange.tools or exchange.conversation.tools:
                if not self._may(tool.name):
                    yield f"offers {tool.name[:40]}, which is not allowed"
        if "tool_call" in self.places:
            for done in of_side(exchange, side):
                yield from (f"{done.call.name[:40]}: {why}" for why in self._wrong_with(done.call))

    def _may(self, tool: str) -> bool:
        listed = not self.allow or any(named(pattern, tool) for pattern in self.allow)
        return listed and not any(named(pattern, tool) for pattern in self.deny)

    def _wrong_with(self, call: ToolCall) -> Iterator[str]:
        if not self._may(call.name):
            yield "not allowed"
            return
        rules = [rule for rule in self.rules if named(rule.tool, call.name)]
        if rules:
            try:
                given = arguments(call)
            except UnreadableError as error:
                yield str(error)
                return
            for rule in rules:
                yield from rule.breaches(given)
