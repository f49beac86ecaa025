"""The figure of E20: by how much text the weak model has read, supervisor, student and ceiling; answers, and orderings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trueline.lab.scale_figure import beside
from trueline.lab.weak_to_strong_outcome import ANSWERS, ORDERINGS


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Two panels of the pooled report; None where they are not there."""
    return beside(report, {ANSWERS: "share of questions", ORDERINGS: "share of pairs"})
