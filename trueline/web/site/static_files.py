"""Styles and scripts of the site: read once from the packages' own folders, served by name and hash, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

import trueline.evaluate

KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
HOUSE = "site"  # whose files every page loads
DRESS = Path(trueline.evaluate.__file__).parent / "templates" / "style.css"  # the reports' own, so that pages look like them


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is served."""

    body: bytes
    kind: str
    tag: str  # of its content

    @classmethod
    def of(cls, path: Path, before: bytes = b"") -> File:
        """Read a file; `before` is put before it."""
        body = before + path.read_bytes()
        return cls(body, KINDS[path.suffix], hashlib.sha256(body).hexdigest()[:16])


def files_of(folders: Sequence[tuple[str, Path]]) -> dict[str, File]:
    """The files of named rooms, by NAME/FILE. The site's own style comes behind the reports' dress."""
    found = {}
    for name, folder in folders:
        for path in sorted((folder / "static").glob("*")):
            if path.suffix in KINDS:
                dressed = name == HOUSE and path.name == "site.css"
                found[f"{name}/{path.name}"] = File.of(path, DRESS.read_bytes() if dressed else b"")
    return found


def address_of(files: Mapping[str, File], name: str) -> str:
    """Where a page finds a file; another content has another address, so that browsers may keep it."""
    return f"/static/{name}?{files[name].tag}"


def serve_file(files: Mapping[str, File], request: Request) -> Response:
    """A file, or 404."""
    file = files.get(request.path_params["name"])
    if file is None:
        return Response("there is no such file\n", 404, media_type="text/plain")
    kept = "public, max-age=31536000, immutable" if request.url.query == file.tag else "no-cache"
    return Response(file.body, headers={"cache-control": kept}, media_type=file.kind)
