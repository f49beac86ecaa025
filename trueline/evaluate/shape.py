"""The shape of `report.json`, and the door that every report comes through.

A report holds what models wrote, and some of it was written to do harm to whoever reads it.
So `read` first makes every string safe to look at (control, invisible and direction-changing characters are spelled out,
very long texts are cut and say so) and then checks the shape; what is missing stays missing.

Every rate is `{"value", "n", "low", "high"}`; a rate with n = 0, or whose value is not a number, counts as not measured.
Unknown keys are ignored, so that a newer run can still be read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from trueline.core.types import Expected, Rate, Stance

TEXT_LIMIT = 1200  # characters of one text that are shown
_LINES = {ord("\n"): None, ord("\t"): None}
NAME_LIMIT = 80  # characters of a name: a run, a stage, a family, a metric


def _measured(rate: object) -> object:
    """Turn a rate of nothing into None."""
    if isinstance(rate, Mapping):
        value, n = rate.get("value"), rate.get("n", 1)
        if value is None or n == 0 or (isinstance(value, float) and not isfinite(value)):
            return None
    return rate


def _numbers(point: object) -> object:
    """Keep the finite numbers of a point; what is not a number cannot be drawn."""
    if isinstance(point, Mapping):
        return {key: v for key, v in point.items() if isinstance(v, int | float) and isfinite(v)}
    return point


Measured = Annotated[Rate | None, BeforeValidator(_measured)]
Name = Annotated[str, AfterValidator(lambda name: visible(name, NAME_LIMIT))]
Point = Annotated[dict[str, float], BeforeValidator(_numbers)]


class Part(BaseModel):
    """What all parts of a report share: frozen, and deaf to keys of later versions."""

    model_config = ConfigDict(frozen=True, extra="ignore")


P = TypeVar("P", bound=Part)


class Metric(Part):
    """A stage's number; n and interval where there are any."""

    value: float | None = None
    n: int | None = None
    low: float | None = None
    high: float | None = None


class Stage(Part):
    """One step of the recipe: whether it ran, what it cost, and what it reported about itself."""

    name: Name
    status: Literal["done", "skipped", "failed"]
    seconds: float | None = None
    tokens: int | None = None
    parent: Name | None = None
    metrics: dict[str, Metric] = {}


class Gate(Part):
    """A promise made before the run, and whether it was kept."""

    name: Name
    status: Literal["PASS", "FAIL", "N/A"]
    value: Measured = None
    needs: float | None = None
    meaning: str = ""


class Family(Part):
    """Which split an attack family belongs to: only held-out families say anything about new attacks."""

    split: Literal["train", "validation", "held_out"] = "held_out"


class Rung(Part):
    """One model of the ladder, measured: gold by domain, attack success and bare capability by family, what it refuses."""

    stage: Name
    gold: dict[str, Measured] = {}
    attack: dict[str, Measured] = {}
    capability: dict[str, Measured] | None = None
    families: dict[str, Family] = {}
    two_by_two: dict[str, int] = {}  # "<stance>_<withheld|gave>" -> count, over forbidden requests
    over_refusal: Measured = None
    kl: Measured = None  # nats a reply, from the model it started from
    tokens: int | None = None
    seconds: float | None = None


class Curve(Part):
    """A learning curve: `x` names the key on the axis; every key that ends in "loss" is drawn."""

    stage: Name
    x: str = "tokens"
    points: list[Point] = []


class Reinforcement(Part):
    """One RL run, iteration by iteration; `K_low` and `K_high`, where given, are the interval of `K`."""

    stage: Name
    control: bool = False
    points: list[Point] = []


class Preferring(Part):
    """A preference run: log-probabilities (nats) of chosen and rejected replies, apart."""

    stage: Name
    points: list[Point] = []


class Bin(Part):
    """One bin of a reward model's confidence: n pairs, and how often it was right."""

    confidence: float
    accuracy: float
    n: int


class RewardModel(Part):
    """How well the reward model knows the raters, how well the raters agree, and how well it knows the truth."""

    accuracy: Measured = None
    rater_agreement: Measured = None
    accuracy_vs_gold: Measured = None
    calibration: list[Bin] = []


class Item(Part):
    """One exchange with the oracle's verdict."""

    prompt: str
    reply: str
    expected: Expected = "comply"
    stance: Stance = "none"
    disclosure: float | None = None
    gold: float | None = None
    category: Name = ""


class Transcripts(Part):
    """Exchanges of one stage, to be read by a person."""

    stage: Name
    items: list[Item] = []


Cell = Annotated[Rate | int | float | str | None, BeforeValidator(_measured)]


class Table(Part):
    """Rows that a stage wants to be read; a cell is a rate, a number, a text or nothing (evaluate/shown.py)."""

    title: str
    note: str = ""
    columns: list[str] = []
    rows: list[list[Cell]] = []


class CurveSeries(Part):
    """One line of a chart."""

    name: Name
    points: list[Point] = []


class Curves(Part):
    """Lines that a stage wants to be looked at: each point has x and value, and low and high where there is an interval."""

    title: str
    note: str = ""
    x: str = ""
    zero: bool = True
    log: bool = False  # x is spaced by ratios
    series: list[CurveSeries] = []


class Expectation(Part):
    """What was claimed before the run, and whether it held."""

    name: Name
    claim: str = ""
    status: Literal["PASS", "FAIL", "INCONCLUSIVE", "N/A"]
    value: Measured = None
    least: float | None = None
    most: float | None = None
    why: str = ""


class Shown(Part):
    """What one stage shows beside its numbers."""

    stage: Name
    tables: list[Table] = []
    curves: list[Curves] = []


class Report(Part):
    """A whole run, as `report.json` holds it. Only `run`, `recipe` and `stages` are required."""

    run: Name
    recipe: Name
    stages: list[Stage]
    seed: int | None = None
    commit: str = ""
    seconds: float | None = None
    versions: dict[str, object] = {}
    summary: list[str] = []
    gates: list[Gate] = []
    ladder: list[Rung] = []
    curves: list[Curve] = []
    rl: list[Reinforcement] = []
    preference: list[Preferring] = []
    reward_model: RewardModel | None = None
    shown: list[Shown] = []
    expectations: list[Expectation] = []
    transcripts: list[Transcripts] = []
    not_measured: list[str] = []
    provenance: dict[str, object] = {}


def read(report: Mapping[str, object]) -> Report:
    """Make a report's strings safe to show and check its shape; a part given as None counts as left out."""
    return check(Report, report, "trueline/evaluate/shape.py")


def check(kind: type[P], report: Mapping[str, object], described: str) -> P:
    """Read a report as the shape that `described` (a file) describes."""
    kept = {key: value for key, value in report.items() if value is not None}
    try:
        return kind.model_validate(_clean(kept))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {str(e['input'])[:60]!r}" for e in error.errors()[:5]]
        raise ValueError(
            f"report.json does not have the shape of a report ({error.error_count()} places): {'; '.join(wrong)}. "
            f"The shape is described in {described}"
        ) from None


def visible(text: str, limit: int = TEXT_LIMIT) -> str:
    """Spell out what would hide or turn round, and cut what is too long, saying how much is missing.

    >>> visible("safe\\u202egnp.exe")
    'safe⟨U+202E⟩gnp.exe'
    """
    if len(text) <= limit and text.isascii() and text.translate(_LINES).isprintable():
        return text  # most texts are plain
    shown: list[str] = []
    length = 0
    for place, character in enumerate(text):
        word = f"⟨U+{ord(character):04X}⟩" if _hides(character) else character
        length += len(word)
        if length > limit:
            return "".join(shown) + f" … [{len(text) - place:,} more characters]"
        shown.append(word)
    return "".join(shown)


def _hides(character: str) -> bool:
    """Say whether a character is unseen, turns the text round, or selects a variant (a known way to smuggle text)."""
    if character in "\n\t":
        return False
    selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return selector or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _clean(value: object) -> object:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(key), NAME_LIMIT): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value
