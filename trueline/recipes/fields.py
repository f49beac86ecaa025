"""A number that stands beside each row of a file: its weight, how sure a judge was, by how much one answer is the better.

The formats of `data` leave fields alone that they do not know. A recipe that can use such a field is told its name.
"""

from __future__ import annotations

import math
from itertools import islice

from trueline.data.rows import DataError, read_rows


def numbers(data: str, field: str, n: int, least: float = -math.inf, most: float = math.inf) -> list[float]:
    """The number in `field` of each of the first `n` rows (0: all). Raises DataError with the file and the line."""
    found = []
    for row in islice(read_rows(data), n or None):
        value = row.values.get(field)
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and least <= number <= most):
            bounds = f" from {least:g}" * math.isfinite(least) + f" to {most:g}" * math.isfinite(most)
            raise DataError(f"{row.file}:{row.line}: expected a number{bounds} in the field {field!r}, got {value!r}")
        found.append(number)
    return found
