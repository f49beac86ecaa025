"""`schema`: the reply is JSON that satisfies a JSON Schema, and nothing else.

    rails:
      - {type: schema, schema: answer.schema.json, action: block}

The whole text of each reply must be one JSON value (drafts 4 to 2020-12; `$ref` within the schema only). A reply of tool
calls without text is not judged here: `tools` has schemas for arguments. Nothing is repaired: a reply that fails is blocked
or flagged.

What it cannot see: whether the values are true. A fence of Markdown around the JSON is text around it, and fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import jsonschema_rs

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan
from trueline.guard.rails.common import check_settings, wrong
from trueline.guard.rails.replies import replies
from trueline.guard.rails.schemas import UnreadableError, compiled, strict_json
from trueline.guard.ruling import Ruling, act, allow, fold


@register("rail", "schema")
@dataclass(frozen=True, kw_only=True)
class Schema:
    """Validates replies."""

    name: str = "schema"  # how rulings and the audit call it
    action: Action = "block"  # what is done about a reply that fails: allow, flag, human, block
    sides: tuple[Side, ...] = ("output",)  # what the model says
    places: tuple[Place, ...] = ("assistant",)  # whose text is read
    schema: str = ""  # the JSON Schema: its text, or the path of its file
    needs: ClassVar[Needs] = "whole"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, sides=("output",))
        try:
            _ = self._validator
        except (ValueError, OSError) as error:
            raise wrong(self, "schema", f"a JSON Schema, or the path of one ({error})", self.schema[:80]) from error

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        rulings = [self._ruling(reply.text) for reply in replies(exchange, self.places)]
        return fold(rulings) if rulings else allow(self.name, "no text to validate")

    @cached_property
    def _validator(self) -> jsonschema_rs.Validator:
        return compiled(self.schema)

    def _ruling(self, text: str) -> Ruling:
        try:
            value = strict_json(text)
        except UnreadableError as error:
            return act(self.action, self.name, str(error))
        first = next(iter(self._validator.iter_errors(value)), None)
        if first is None:
            return allow(self.name)
        return act(self.action, self.name, f"breaks /{'/'.join(map(str, first.schema_path))[:80]}")
