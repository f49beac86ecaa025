"""What the rules of `injection` and `jailbreak` find in public data: recall and false positives, with intervals.

    python benchmarks/rails_public.py DATA            # the half that was kept aside
    python benchmarks/rails_public.py DATA --half dev # the half that was read while the rules were written

DATA is a folder with `injection/*.jsonl`, `redteam/jailbreak_prompts.jsonl.gz` and `overrefusal/*` (one JSON object a line with
`id` and the field named in SETS). A row belongs to a half by the hash of its id. Templates have near-duplicates in both halves
(`cluster`), so recall on families that the other half has none of is given beside it. A second table says how often
`enablement` acts on replies of public models, all rows of REPLIES: they are no attacks on a guard, so it counts false alarms.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import re2

from trueline.core.stats import wilson
from trueline.core.types import Conversation
from trueline.guard.exchange import Exchange, Piece, Place
from trueline.guard.rail import Hit, Rail
from trueline.guard.rails.enablement import Enabled
from trueline.guard.rails.injection import Injection
from trueline.guard.rails.jailbreak import Jailbreak
from trueline.guard.rails.refusals import says_no

SETS: tuple[tuple[str, str, str, Place], ...] = (  # file, field, what it is, where the text stands
    ("injection/direct_injections.jsonl", "prompt", "attack", "user"),
    ("injection/system_prompt_injections.jsonl", "prompt", "attack", "user"),
    ("injection/system_prompt_extraction.jsonl", "prompt", "attack", "user"),
    ("injection/indirect_attacks.jsonl", "attack", "attack", "tool_result"),
    ("injection/agent_attack_tools.jsonl", "attack_instruction", "attack", "tool_result"),
    ("redteam/jailbreak_prompts.jsonl.gz", "prompt", "attack", "user"),
    ("overrefusal/benign_borderline.jsonl", "prompt", "benign", "user"),
    ("overrefusal/benign_instructions.jsonl.gz", "prompt", "benign", "user"),
    ("injection/indirect_contexts.jsonl.gz", "context", "benign", "tool_result"),
    ("injection/agent_tasks.jsonl", "task", "benign", "user"),
    ("injection/agent_normal_tools.jsonl", "tool_description", "benign", "tool_schema"),
)

REPLIES: tuple[tuple[str, str, str], ...] = (  # file, field of what was asked, field of the reply
    ("instruct/alpaca_eval_reference.jsonl.gz", "instruction", "output"),
    ("preference/alpaca_eval.jsonl.gz", "prompt", "chosen"),
    ("preference/hh_harmless.jsonl.gz", "prompt", "chosen"),
    ("instruct/safe_refusals.jsonl", "instruction", "output"),
    ("judge/jailbreakbench_attacks.jsonl.gz", "goal", "response"),
)


class Search:
    """The scan of one rail, pattern by pattern, on the text as written: the shared scanner finds the same, and more views."""

    def __init__(self, rail: Rail) -> None:
        self._patterns = [(pattern, re2.compile(pattern.text)) for pattern in rail.patterns()]

    def hits(self, piece: Piece) -> list[Hit]:
        """Every hit of every pattern whose keyword stands in the text."""
        lower = piece.text.lower()
        return [
            Hit(pattern=pattern.name, start=match.start(), end=match.end(), text=match.group())
            for pattern, compiled in self._patterns
            if not pattern.keywords or any(word in lower for word in pattern.keywords)
            for match in compiled.finditer(piece.text)
        ]

    def folded(self, piece: Piece) -> str:
        """The text in lower case."""
        return piece.text.lower()


def main() -> None:
    """Print one table."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("data", type=Path)
    words.add_argument("--half", choices=("dev", "test"), default="test")
    words.add_argument("--show", metavar="FILE", help="print the rows of a set that are missed (or, of a benign set, found)")
    words.add_argument("--limit", type=int, default=0, help="at most so many rows of a set")
    given = words.parse_args()
    _requests(given.data, given.half, given.limit, given.show or "")
    _replies(given.data, given.limit)


def _requests(data: Path, half: str, limit: int, show: str) -> None:
    """The first table: what the rails find in each set of requests and documents."""
    judge = _judge()
    print("| set | what | n | injection acts | jailbreak flags | jailbreak blocks | either |")
    print("|---|---|---|---|---|---|---|")
    for file, field, what, place in SETS:
        rows = [row for row in _rows(data / file) if _half(str(row["id"])) == half][: limit or None]
        found = [judge(str(row[field]), place) for row in rows]
        _line(file, what, found)
        if "cluster" in rows[0]:
            other = {row["cluster"] for row in _rows(data / file) if _half(str(row["id"])) != half}
            alone = [acts for row, acts in zip(rows, found, strict=True) if row["cluster"] not in other]
            _line(f"{file}, families of this half alone", what, alone)
        if show and show in file:
            for row, (injection, flags, _) in zip(rows, found, strict=True):
                if (injection or flags) == (what == "benign"):
                    print(f"    {str(row[field])[:300]!r}")


def _replies(data: Path, limit: int) -> None:
    """The second table: how often replies refuse, and how often the rail takes what they say beside that for giving."""
    rail = Enabled()
    print("\n| replies | n | refuse in words | enablement flags | enablement blocks |\n|---|---|---|---|---|")
    for file, asked, said in REPLIES:
        rows = list(_rows(data / file))[: limit or None]
        exchanges = [_exchange(_text(row[asked]), _text(row[said])) for row in rows]
        refused = [says_no(exchange.reply_text(), "") is not None for exchange in exchanges]
        acts = [rail.check(exchange, "output", Search(rail)).action for exchange in exchanges]
        cells = [_rate(column) for column in (refused, [act == "flag" for act in acts], [act == "block" for act in acts])]
        print(f"| {file} | {len(rows)} | {' | '.join(cells)} |", flush=True)


def _exchange(asked: str, said: str) -> Exchange:
    piece = Piece(side="output", place="assistant", text=said, path=("choices", 0, "message", "content"))
    return Exchange(endpoint="chat", conversation=Conversation().say("user", asked), asked=(), said=(piece,))


def _text(value: object) -> str:
    """A text, or the last turn of a list of messages."""
    return str(value[-1]["content"]) if isinstance(value, list) else str(value)


def _judge() -> Callable[[str, Place], tuple[bool, bool, bool]]:
    """Whether the injection rail acts, the jailbreak rail flags, and blocks."""
    injection, jailbreak = Injection(), Jailbreak()
    searches = Search(injection), Search(jailbreak)

    def judged(text: str, place: Place) -> tuple[bool, bool, bool]:
        asked = (Piece(side="input", place=place, text=text, path=("messages", 0, "content")),)
        exchange = Exchange(endpoint="chat", conversation=Conversation(), asked=asked)
        first = injection.check(exchange, "input", searches[0]).action != "allow"
        second = jailbreak.check(exchange, "input", searches[1]).action
        return first, second != "allow", second == "block"

    return judged


def _line(name: str, what: str, found: list[tuple[bool, bool, bool]]) -> None:
    columns = [
        [row[0] for row in found],
        [row[1] for row in found],
        [row[2] for row in found],
        [row[0] or row[1] for row in found],
    ]
    print(f"| {name} | {what} | {len(found)} | {' | '.join(map(_rate, columns))} |", flush=True)


def _rate(column: list[bool]) -> str:
    rate = wilson(sum(column), len(column))
    return f"{rate.value:.1%} ({rate.low:.1%}-{rate.high:.1%})"


def _rows(path: Path) -> Iterator[dict[str, object]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _half(row: str) -> str:
    return "dev" if int(hashlib.sha256(f"rails|{row}".encode()).hexdigest()[:8], 16) % 2 == 0 else "test"


if __name__ == "__main__":
    main()
