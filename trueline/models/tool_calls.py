"""Tool calls out of what a model of the world wrote: `<tool> NAME ARGUMENTS`, up to the end of the sentence.

text, calls = parse_tool_calls("<tool> send bram note . done .")
"""

from __future__ import annotations

import re

from trueline.core.types import ToolCall


def parse_tool_calls(text: str, marker: str = "<tool>") -> tuple[str, tuple[ToolCall, ...]]:
    """Split the world's `<tool> NAME ARGUMENTS` out of a sampled reply; a call ends with its sentence.

    >>> said, calls = parse_tool_calls("<tool> send bram note . sorry , i cannot .")
    >>> said, calls[0].arguments
    ('sorry , i cannot .', 'bram note')
    """
    head, *calls = text.split(marker)
    said, parsed = [head.strip()], []
    for call in calls:
        written, *after = re.split(r" [.?!](?= |$)", f" {call.strip()}", maxsplit=1)
        name, _, arguments = written.strip().partition(" ")
        parsed.append(ToolCall(name=name, arguments=arguments.strip()))
        said += [rest.strip() for rest in after]
    return " ".join(filter(None, said)), tuple(parsed)
