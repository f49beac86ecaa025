"""What leaves the house: one campaign, written in the forms that other tools read. docs/exports.md says what each is for.

    export("sarif", attempts, found, "out/attacks.sarif")

`found` is `evaluate/campaign.py`'s summary; the keys read here are "skipped", "failed", "arms" and "about", each of which
may be missing. Attempts may come in any order, and from any iterable. A file is written whole, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

from trueline.core.records import nearest
from trueline.core.types import Attempt

KINDS: Mapping[str, str] = {  # kind -> the name that its file has where nobody gives one
    "json": "attempts.json",
    "junit": "junit.xml",
    "sarif": "attacks.sarif",
    "avid": "avid.json",
    "inspect": "attacks.eval",
}


class ExportError(ValueError):
    """A kind of export that is not known, or that needs a package which is not installed."""


def export(kind: str, attempts: Iterable[Attempt], summary: Mapping[str, object], path: str | Path) -> Path:
    """Write a campaign in the form of one kind; `path` may be a folder, and the file then has its usual name.

    Raises ExportError where the kind is not known or its extra is missing, before anything is written.
    """
    if kind not in KINDS:
        raise ExportError(f"expected an export of kind {', '.join(KINDS)}, got {kind!r}{nearest(kind, KINDS)}")
    try:
        writer = import_module(f"trueline.evaluate.exports.{kind}_form")
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "trueline":
            raise
        raise ExportError(
            f"the export {kind!r} needs the package {missing.name}, which is not installed: pip install 'trueline[{kind}]'"
        ) from None
    path = Path(path)
    path = path / KINDS[kind] if path.is_dir() else path
    writer.write(attempts, summary, path)
    return path
