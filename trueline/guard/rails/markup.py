"""`markup`: text of a model that a page would run or fetch: unsafe HTML, script links, pictures and links that carry data out.

    rails:
      - {type: markup, hosts: [docs.example.com, "*.example.org"], links: carrying}

A picture in Markdown is fetched as soon as it is shown, so its address can carry a secret to whoever owns the host, without a
click. So pictures (and reference definitions, which may be pictures) of hosts that are not on the list are taken out. A link
needs a click: by default it is only taken out where its address carries data (a query, a fragment, a long or random part).

What it cannot see: whether a page escapes what it shows, in which case none of this is needed; what a host on the list passes
on; data in the name of a host below `*.`; code blocks, where `code` is off. It reads HTML by patterns and does not parse it:
a page that shows a model's HTML unescaped needs a sanitiser as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import re2

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Path, Piece, Place, Side
from trueline.guard.rail import Hit, Needs, Pattern, Scan
from trueline.guard.rails.common import EDITING, Found, Span, check_settings, found_in, read_as, ruling_of, within, wrong
from trueline.guard.rails.hosts import host_of, is_host, on_list
from trueline.guard.ruling import Ruling

Links = Literal["all", "carrying", "none"]

_TAGS = "script|iframe|object|embed|applet|frame|frameset|form|base|meta|link|style|svg|math|portal|template|noscript|xml"
_EVENTS = (
    "abort|after|anim|auxclick|before|begin|blur|bounce|can|change|click|close|context|copy|cue|cut|dblclick|drag|drop|duration|emptied"
    "|end|error|finish|focus|form|got|hash|input|invalid|key|load|lost|message|mouse|page|paste|pause|play|pointer|popstate|progress"
    "|rate|repeat|reset|resize|scroll|search|security|seek|select|show|slot|stalled|start|storage|submit|suspend|time|toggle|touch"
    "|transition|unload|volume|waiting|wheel"
)
_SCRIPT = r"\s*".join("javascript")  # a browser drops blanks and line ends within a scheme
_WEB = r"(?:https?:[/\\]*|[/\\]{2})"  # an address with a host of its own; a browser takes a backslash for a slash
_START = r"(?i)(?:\]\(|\]:|[\"'`=(<])\s*"  # what stands before an address
_PATTERNS: tuple[tuple[str, str, str], ...] = (  # name, keyword, expression (RE2)
    ("html", "<", rf"(?i)</?(?:{_TAGS})\b[^>]*>?"),
    ("handler", "=", rf"(?i)[\s/\"'`]on(?:{_EVENTS})[a-z]{{0,20}}\s*="),
    ("script_link", ":", rf"{_START}(?:{_SCRIPT}|vbscript|livescript)\s*:[^\s\"'>)]*"),
    ("data_link", "data:", rf"{_START}data:(?:text/html|image/svg\+xml|application/xhtml\+xml|text/xml)[^\s\"'>)]*"),
    ("target", "](", rf"(?i)\]\(\s*<?{_WEB}[^\s)>]+(?:>?[^)\n]*\))?"),
    ("definition", "]:", rf"(?i)\]:\s*<?{_WEB}[^\s>]+"),
    ("attribute", "=", rf"(?i)\b(?:src|background|poster|data|manifest)\s*=\s*[\"'`]?\s*{_WEB}[^\s\"'`>]+"),
    ("source_set", "srcset", r"(?i)\bsrcset\s*=[^>]*"),
    ("style", "(", rf"(?i)\burl\(\s*[\"']?{_WEB}[^\s\"')]+"),
    ("link", "http", r"(?i)https?:[/\\]+[^\s<>()\"'`\]]+"),
)  # fmt: skip
_ADDRESS = re.compile(r"(?:https?:[/\\]*|[/\\]{2})[^\s)>\"'`]+", re.IGNORECASE)
_LONG_PART = re.compile(r"[^/.-]{24,}")
_FENCE = re2.compile(r"(?ms)^ {0,3}```[^\n`]*\n.*?^ {0,3}```[ \t]*$")
_FETCHED = ("definition", "attribute", "style")  # and targets of pictures
_REACH = 2000  # characters before a target in which its opening bracket is looked for


@register("rail", "markup")
@dataclass(frozen=True, kw_only=True)
class Markup:
    """Takes out what a page would run or fetch."""

    name: str = "markup"  # how rulings and the audit call it
    action: Action = "redact"  # what is done about it: allow, flag, redact, human, block
    sides: tuple[Side, ...] = ("output",)  # what the model says
    places: tuple[Place, ...] = ("assistant",)  # whose text is read
    hosts: tuple[str, ...] = ()  # hosts that pictures and links may lead to; "*.example.com": every host below
    links: Links = "carrying"  # which links to other hosts are taken out: all, those that carry data, none
    code: bool = True  # whether fenced code is read too; off where a page surely shows it as text
    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, may=EDITING)
        odd = [host for host in self.hosts if not is_host(host)]
        if odd:
            raise wrong(self, "hosts", "names of hosts, such as docs.example.com or *.example.com", odd[0])
        if self.links not in ("all", "carrying", "none"):
            raise wrong(self, "links", "one of all, carrying, none", self.links)

    def patterns(self) -> Sequence[Pattern]:
        return [Pattern(name=name, text=text, kind="regex", keywords=(word,)) for name, word, text in _PATTERNS]

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        found = found_in(self, exchange, side, scan, self._unsafe)
        return ruling_of(self.name, self.action, _outermost(found))

    def _unsafe(self, piece: Piece, hit: Hit) -> Iterator[Span]:
        if not self.code and any(start <= hit.start and hit.end <= end for start, end in _fences(piece.text)):
            return
        text = read_as(piece, hit)
        if hit.pattern == "target":
            url, picture = _address(text), _is_picture(piece.text, hit.start)
            if not on_list(url, self.hosts) if picture else self._leads_out(url):
                yield (*within(hit, 1, len(text)), "image" if picture else "link")
        elif hit.pattern in _FETCHED:
            if not on_list(_address(text), self.hosts):
                yield (*within(hit, int(hit.pattern == "definition"), len(text)), hit.pattern)
        elif hit.pattern == "link":
            url = text.rstrip(".,;:!?*_")
            if self._leads_out(url):
                yield (*within(hit, 0, len(url)), "link")
        elif hit.pattern in ("script_link", "data_link"):
            yield (*within(hit, 1, len(text)), hit.pattern)
        else:
            yield (hit.start, hit.end, hit.pattern)

    def _leads_out(self, url: str) -> bool:
        if self.links == "none" or on_list(url, self.hosts):
            return False
        return self.links == "all" or carries(url)


def carries(url: str) -> bool:
    """Whether an address has room for data: a query, a fragment, a part of 24 characters without a stop, or no certain host.

    >>> carries("https://example.com/a/guide.html"), carries("https://example.com/?q=secret")
    (False, True)
    """
    return not host_of(url) or "?" in url or "#" in url or "%" in url or _LONG_PART.search(url.partition("//")[2]) is not None


def _outermost(found: Iterable[Found]) -> Iterator[Found]:
    """Findings in their order, without links that stand within something else that goes."""
    path: Path | None = None
    end = 0
    for finding in found:
        end = end if finding.piece.path == path else 0
        path = finding.piece.path
        if finding.what != "link" or finding.start >= end:
            end = max(end, finding.end)
            yield finding


def _address(text: str) -> str:
    """The address in a match; empty, which is on no list, where there is none."""
    match = _ADDRESS.search(text)
    return match.group() if match else ""


def _is_picture(text: str, end: int) -> bool:
    """Whether the bracket that closes here was opened by a picture's `![`; what cannot be told is one."""
    if text[end : end + 1] != "]":  # it was found in what decodes, and stands in no text of its own
        return True
    depth = 0
    for place in range(end, max(-1, end - _REACH), -1):
        depth += (text[place] == "]") - (text[place] == "[")
        if depth == 0:
            return text[max(0, place - 1) : place] == "!"
    return True


@lru_cache(maxsize=4)  # one text has many hits
def _fences(text: str) -> tuple[tuple[int, int], ...]:
    """Where closed blocks of fenced code stand, as far as no HTML comes before them: HTML can swallow a fence."""
    html = text.find("<")
    return tuple(block.span() for block in _FENCE.finditer(text) if html < 0 or block.start() < html)
