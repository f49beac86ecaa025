"""`/ranking/{project}/export/{kind}`: what `trueline ranking export` writes, as a file to take away; `?question=harmless`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from trueline.recipes.ranked_export import RECORDS, carry_out
from trueline.web.ranking.told import project_at
from trueline.web.site.room import Asked, File


def export(asked: Asked) -> File:
    """The rows of one form, by the rules of `recipes/ranked_export.py`."""
    project = project_at(asked.site.database, asked.path["project"])
    kind, question = asked.path["kind"], asked.query.get("question", "") or project.questions[0]
    with TemporaryDirectory(prefix="trueline-") as folder:
        path = Path(folder) / "rows.jsonl"
        carry_out(asked.site.database, project.id, kind, path, "" if kind == RECORDS else question)
        body = path.read_bytes()
    name = f"{project.name}-{kind}.jsonl" if kind == RECORDS else f"{project.name}-{question}-{kind}.jsonl"
    return File(name, "application/x-ndjson", body)
