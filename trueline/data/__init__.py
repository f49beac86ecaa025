"""Real datasets in and out: rows of a file, recognised by their fields, become the records of `core.types`."""

from trueline.data.export import write
from trueline.data.formats import Labelled
from trueline.data.recognise import Recognised, describe, read
from trueline.data.rows import DataError, Row, read_rows
from trueline.data.split import Split, split_by_prompt

__all__ = [
    "DataError",
    "Labelled",
    "Recognised",
    "Row",
    "Split",
    "describe",
    "read",
    "read_rows",
    "split_by_prompt",
    "write",
]
