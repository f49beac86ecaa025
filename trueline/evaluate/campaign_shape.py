"""The shape of a campaign's `report.json`, and the door it comes through to be shown: strings made safe, numbers checked.

`campaign.py` says what each key means and writes them; here they are read back, from this version or a later one. Beside what
`campaign.summary` gives, a report may hold "verdict" (of `campaign.verdict`) and "about" (facts: target, seed, ...).
"""

from __future__ import annotations

from collections.abc import Mapping

from trueline.core.outcome import Outcome
from trueline.core.types import Level, Rate, Split, Stance
from trueline.evaluate.shape import Measured, Name, Part, check

Rates = dict[Name, Measured]


class At(Part):
    """The share of goals broken within a budget."""

    budget: int
    value: float
    n: int
    low: float
    high: float


class Lift(Part):
    """A difference between the same goals twice."""

    difference: Rate
    p: float
    p_holm: float | None = None
    wins: int
    losses: int
    ties: int


class Capability(Part):
    """What an attack gets where nothing is refused, and attack success measured by it."""

    benign: Measured = None
    helpful: Measured = None
    used: str | None = None
    usable: bool | None = None
    normalised: Measured = None

    @property
    def able(self) -> Rate | None:
        """The capability that counts."""
        return self.helpful or self.benign


class Power(Part):
    """A power law as fitted: -log ASR(N) = a N^-b."""

    a: float
    b: float
    aic: float


class Beta(Part):
    """A beta-binomial law as fitted: a goal's chance a question is drawn from Beta(alpha, beta)."""

    alpha: float
    beta: float
    aic: float


class Said(Part):
    """What both laws say at one budget."""

    budget: int
    power: float
    beta: float


class Forecast(Part):
    """What both laws forecast, with their errors."""

    budget: int
    power: Rate
    beta: Rate


class HeldOut(Part):
    """A forecast made from the first questions, and what came."""

    fitted_on: int
    forecast_at: int
    observed: Rate
    power_error: float
    beta_error: float


class Law(Part):
    """Success as a function of the budget; `cannot_tell` says why there is none."""

    goals: int
    broken: int
    asked: int
    cannot_tell: str | None = None
    power: Power | None = None
    beta: Beta | None = None
    better: Name = ""
    apart: float = 0.0
    curve: list[Said] = []
    forecast: list[Forecast] = []
    held_out: HeldOut | None = None


class Measures(Part):
    """The rates of an arm, or of the whole."""

    goals: int
    clusters: int
    budget: int
    asr: Measured = None
    corrected: Measured = None
    by_attempt: Measured = None
    by_attempt_corrected: Measured = None
    open: int = 0
    at_most: Measured = None
    curve: list[At] = []


class Overall(Measures):
    """Goals broken by any attack."""

    questions: int = 0


class Arm(Measures):
    """One attack."""

    attack: Name
    family: Name
    split: Split | None = None
    levels: list[Level] = []
    baseline: bool = False
    attempts: int
    outcomes: dict[Outcome, int]
    goal_outcomes: dict[Outcome, int]
    undecided: Measured = None
    first_success: float | None = None
    lift: Lift | None = None
    two_by_two: dict[str, int] = {}
    refused_but_gave: Measured = None
    capability: Capability = Capability()
    refused_benign: Measured = None
    categories: Rates = {}
    law: Law | None = None


class Family(Part):
    """A kind of attack."""

    split: Split | None = None
    attacks: list[Name] = []
    asr: Measured = None
    categories: Rates = {}


class First(Part):
    """The attack that broke a goal with the fewest questions."""

    attack: Name
    query: int


class Goal(Part):
    """One goal and its fate."""

    id: Name
    category: Name = ""
    cluster: Name = ""
    asked: str = ""
    outcome: Outcome
    broken_by: list[Name] = []
    first: First | None = None


class Known(Part):
    """The judge's figures."""

    judge: Name
    source: str = ""
    sensitivity: Rate
    specificity: Rate


class Turn(Part):
    """One message."""

    role: Name
    text: str = ""


class Transcript(Part):
    """One attempt, to be read by a person."""

    attack: Name
    family: Name = ""
    goal: Name = ""
    category: Name = ""
    query: int = 1
    outcome: Outcome
    stance: Stance = "none"
    disclosure: float | None = None
    why: str = ""
    left_out: int = 0
    messages: list[Turn] = []
    reply: str = ""


class Ruling(Part):
    """The verdict."""

    verdict: Name
    why: str = ""
    needed: int | None = None
    threshold: float | None = None
    max_undetermined: float | None = None


class Campaign(Part):
    """A whole campaign."""

    counts: dict[str, int]
    outcomes: dict[Outcome, int]
    undecided: Measured = None
    overall: Overall
    arms: list[Arm]
    families: dict[Name, Family] = {}
    levels: dict[Level, Measured] = {}
    splits: dict[Split, Measured] = {}
    gaps: dict[Split, Lift | None] = {}
    categories: Rates = {}
    goals: list[Goal] = []
    over_refusal: Measured = None
    two_by_two: dict[str, int] = {}
    refused_but_gave: Measured = None
    judge: Known | None = None
    dark: list[tuple[Name, Name]] = []
    skipped: dict[Name, str] = {}
    failed: dict[Name, str] = {}
    transcripts: list[Transcript] = []
    verdict: Ruling | None = None
    about: dict[Name, object] = {}

    @property
    def baseline(self) -> Arm | None:
        """The arm that asks each goal as it stands."""
        return next((arm for arm in self.arms if arm.baseline), None)

    @property
    def ranked(self) -> list[Arm]:
        """The arms that measured something, the most successful first."""
        return sorted((arm for arm in self.arms if arm.asr), key=lambda arm: (-arm.asr.value if arm.asr else 0.0, arm.attack))


def read_campaign(report: Mapping[str, object]) -> Campaign:
    """Make a campaign report's strings safe to show and check its shape."""
    return check(Campaign, report, "trueline/evaluate/campaign.py")
