"""The few scripts of the lab's page, inside the page, and the policy that lets them run and nothing else.

    found = scripts()
    found.policy        for <meta http-equiv="Content-Security-Policy">: each script by the hash of its text
    found.inline        the scripts themselves

They are Vega, Vega-Lite and Vega-Embed out of the installed vl-convert, which bundles them, and a loader that turns each
specification on the page into a drawing. Vega's expressions are interpreted (`ast: true`), so that nothing needs `eval`. A
specification is data: it stands in a script element of type application/json, which no browser runs, with `<` written as an
escape, so that no text can end the element.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup

LOADER = """(async () => {
  const look = {renderer: "svg", actions: false, defaultStyle: false, tooltip: {theme: "custom"}};
  for (const source of document.querySelectorAll('figure > script[type="application/json"]')) {
    const figure = source.parentElement, place = figure.querySelector(".live");
    const spec = JSON.parse(source.textContent);
    if (spec.hconcat && place.clientWidth < 640) {  // a phone: panels below each other, not shrunk side by side
      spec.vconcat = spec.hconcat;
      delete spec.hconcat;
    }
    try {
      await vegaEmbed(place, spec, {mode: "vega-lite", ast: true, ...look});
      figure.classList.add("drawn");
    } catch (error) {
      place.remove();
      console.error(figure.id, error);
    }
  }
})();"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripts:
    """What runs on a page, and the policy for it."""

    inline: tuple[Markup, ...]
    policy: str


@cache
def scripts() -> Scripts:
    """The renderer and its loader. Making the bundle takes a second or two, once a process."""
    import vl_convert

    texts = (vl_convert.javascript_bundle(), LOADER)
    return Scripts(inline=tuple(_inline(text) for text in texts), policy=policy(*texts))


def policy(*texts: str) -> str:
    """A content-security policy under which these scripts run, and nothing is fetched, sent, framed or evaluated."""
    hashes = " ".join(f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts)
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {hashes}; {rest}"


def embedded(spec: Mapping[str, Any]) -> Markup:
    """JSON for a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(spec, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704  JSON in ASCII without a single tag


def _inline(text: str) -> Markup:
    lower = text.lower()
    if "</script" in lower or "<!--" in lower or "\r" in text:
        raise ValueError(
            "a script inside a page cannot hold </script, <!-- or a carriage return; install another vl-convert-python"
        )
    return Markup(text)  # noqa: S704  our own, and the installed package's
