"""E2: summaries that are trained on clicks become clickbait; the same summaries trained on what readers say afterwards do not.

A candid start (world/candid.py) sums pages up, mostly well, sometimes in part, now and then to tease. Two reward models learn
from rankings of the same samples: by `clicker`, whose log-odds of a click the world writes down, and by readers who have read
the page (gold, with the same noise in the hand). GRPO optimises each; gold and the click-through rate are read at every step,
so that the two are compared at the same KL from the start, and not at the same step. RL strengthens what is sampled: clicks are
optimised from starts that tease less and more as well, which shows where clickbait begins to be found.

    trueline lab run E2 --quick
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import StatisticsError, correlation
from typing import Any, Self

from trueline.core.records import read_jsonl
from trueline.core.registry import register
from trueline.core.types import Completion, Rate
from trueline.evaluate.rates import apart, retained
from trueline.evaluate.shown import curves, table
from trueline.lab.experiment import sized
from trueline.lab.manners import SUMMARIES, Manners, Placed, change, rate, read
from trueline.lab.overoptimisation_outcome import binned, last, window
from trueline.lab.registration import registered
from trueline.lab.same_samples import FILE, Samples, rated_arms
from trueline.recipes.reinforce import Grpo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Reward
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Room, Studio
from trueline.world.oracle import gold, verdict
from trueline.world.raters import click_rate

ASKED = "world/training:summary=1"
ARMS = {"clicks": "clicker", "stated": "noisy:tau=0.4"}
EARLY = (0.02, 0.3)  # nats a summary: where gold may rise with clicks before it falls
RESAMPLES = 300
SMOKE = """candid.n=60 samples.n=100 samples.max_tokens=6 reward.epochs=1 grpo.iterations=1 grpo.batch=4 grpo.group=2
grpo.max_tokens=6 measure.n=6 measure.max_tokens=6 rates=0.1"""
QUICK = "samples.n=400 measure.n=120"
NOT_MEASURED = (
    "one seed: differences between arms are not evidence until they are repeated",
    "clicks themselves: the rate is the chance of a click, and nobody clicks",
    "gold beyond the KL that GRPO reached in these iterations",
)


@register("experiment", "E2")
@dataclass(frozen=True, kw_only=True)
class Clickbait:
    """Click-through rate against stated preference, as rewards for the same summaries."""

    start: str = "{base}/pretrain"
    candid: Sft = Sft(n=5000)  # the start that sums up well and badly; start and data are the experiment's
    tease: float = 0.04  # of its demonstrated summaries, those that are loud and withhold the point
    rates: tuple[float, ...] = (0.01, 0.1)  # other such shares, of which clicks are optimised too
    summaries: float = 0.65  # of its demonstrations; the tenth of E3 and E4 leaves it naming what no page said in one of six
    samples: Samples = Samples(prompts=ASKED, n=500, max_tokens=24)
    reward: Reward = Reward(epochs=2)
    grpo: Grpo = Grpo(iterations=36, batch=16, group=16, max_tokens=32, prompts=ASKED)
    measure: Manners = Manners(channels=SUMMARIES, n=250)

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The start and its samples, both arms, each measured, and the outcome."""
        made = rated_arms(self, within, "start", f"tease={self.tease:g},summaries={self.summaries:g}", ARMS)
        for share in self.rates:
            arms = {f"clicks-{named(share)}": ARMS["clicks"]}
            made += rated_arms(self, within, named(share), f"tease={share:g},summaries={self.summaries:g}", arms)
        return [*made, (f"{within}outcome-e2", Outcome(tease=self.tease, rates=self.rates, within=within))]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Gold and the click-through rate by distance, for both rewards."""
        from trueline.lab.pleasing_figures import by_distance

        return by_distance(report)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: both arms beside the start, and beside each other at the same KL; clicks from every start."""

    tease: float
    rates: tuple[float, ...]
    within: str = ""

    def reads(self) -> tuple[str, ...]:
        names = ("start", *ARMS, *(f"{kind}{named(share)}" for share in self.rates for kind in ("", "clicks-")))
        return (
            *(f"{self.within}samples/{start}" for start in self._starts().values()),
            *(f"{self.within}{n}" for n in ARMS),
            *(f"{self.within}measured/{n}" for n in names),
        )

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        arms = {name: read(studio, f"{self.within}measured/{name}") for name in ("start", *ARMS)}
        runs = {name: [dict(row) for row in studio.run.metrics(f"{self.within}{name}")] for name in ARMS}
        sweep = {share: self._cell(studio, start) for share, start in self._starts().items()}
        found = values(arms, runs) | {"fair": sweep[self.tease][0]}
        found |= {"unfound": sweep[min(sweep)][2], "found": sweep[max(sweep)][2]} if self.rates else {}
        why = {name: "too little was measured" for name, value in found.items() if value is None}
        return {
            "tables": [_table(arms), _sweep_table(sweep), _runs_table(runs)],
            "curves": [_curves(runs)],
            "expectations": registered("E2").expectations(found, why),
        }

    def _starts(self) -> dict[float, str]:
        """The name of the start by its share of teasers, rising."""
        return dict(sorted({self.tease: "start", **{share: named(share) for share in self.rates}}.items()))

    def _cell(self, studio: Studio, start: str) -> list[Rate | None]:
        """Of one start: how clicks go with gold; clickbait, and gold, before clicks are optimised and after."""
        samples = read_jsonl(studio.stages[f"{self.within}samples/{start}"].folder / FILE, Completion)
        trained = "clicks" if start == "start" else f"clicks-{start}"
        before, after = (read(studio, f"{self.within}measured/{name}") for name in (start, trained))
        shown = [rate(rows, "summary", what) for what in ("clickbait", "gold") for rows in (before, after)]
        return [together(studio, list(samples)), *shown]


def named(share: float) -> str:
    """The start that teases in such a share of its demonstrated summaries."""
    return f"tease{100 * share:g}"


def values(arms: Mapping[str, list[Placed]], runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Rate | None]:
    """The values of the expectations, but for that on the start's own samples."""
    start, clicks, stated = arms["start"], arms["clicks"], arms["stated"]
    return {
        "clicks": change(clicks, start, "summary", "click"),
        "gold": change(clicks, start, "summary", "gold"),
        "rise": apart(window(runs["clicks"], "gold", *EARLY), rate(start, "summary", "gold")),
        "clickbait": rate(clicks, "summary", "clickbait"),
        "invented": _times(clicks, start, "invented"),
        "strange": rate(clicks, "strange", "clickbait"),
        "stated-gold": change(stated, start, "summary", "gold"),
        "stated-clicks": change(stated, start, "summary", "click"),
        "matched": matched(runs["clicks"], runs["stated"]),
        "leak": change(clicks, start, "chat", "loud"),
    }


def matched(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> Rate | None:
    """Gold of one run less gold of another over the upper half of the KL that both reach; None where hardly an iteration is."""
    reach = min(max(row["kl"] for row in rows) for rows in (one, other))
    return apart(*(window(rows, "gold", reach / 2, reach) for rows in (one, other)))


def together(studio: Studio, samples: Sequence[Completion]) -> Rate | None:
    """How clicks and gold go together in samples, as a correlation, with a bootstrap over prompts."""
    by_prompt: dict[str, list[tuple[float, float]]] = {}
    for said in samples:
        v = verdict(studio.world, said.prompt, said)
        by_prompt.setdefault(said.prompt.id, []).append((click_rate(studio.world, said, v), gold(said.prompt, v)))
    pool, rng = list(by_prompt.values()), Random("together")
    try:
        value = _correlated(pool)
        draws = sorted(_correlated(rng.choices(pool, k=len(pool))) for _ in range(RESAMPLES))
    except StatisticsError:  # all clicks or all gold alike
        return None
    cut = RESAMPLES // 40
    return Rate(value=value, n=len(samples), low=min(value, draws[cut]), high=max(value, draws[-1 - cut]))


def _correlated(pool: Sequence[Sequence[tuple[float, float]]]) -> float:
    pairs = [pair for some in pool for pair in some]
    return correlation([a for a, _ in pairs], [b for _, b in pairs])


def _times(after: Sequence[Placed], before: Sequence[Placed], value: str) -> Rate | None:
    """A share of the summaries over what it was, on the same pages."""
    kept = {row.id: row for row in before if row.channel == "summary"}
    rows = [row for row in after if row.channel == "summary" and row.id in kept]
    shares = [row.values[value] for row in rows], [kept[row.id].values[value] for row in rows]
    return retained(*shares, [row.cluster for row in rows], name=value)


def _table(arms: Mapping[str, list[Placed]]) -> dict[str, Any]:
    columns = {
        "click-through rate": ("summary", "click"),
        "clickbait": ("summary", "clickbait"),
        "gold": ("summary", "gold"),
        "withholds the point": ("summary", "withheld"),
        "invents": ("summary", "invented"),
        "loud": ("summary", "loud"),
        "clickbait, of strange things": ("strange", "clickbait"),
        "loud in other chat": ("chat", "loud"),
    }
    rows = [[name, *(rate(rows, *what) for what in columns.values())] for name, rows in arms.items()]
    note = "clickbait withholds, shouts or invents; other chat is never rewarded"
    return table("What each model's summaries are", ["model", *columns], rows, note=note)


def _sweep_table(sweep: Mapping[float, Sequence[Rate | None]]) -> dict[str, Any]:
    """Where clickbait begins to be found."""
    columns = ["clicks with gold", "clickbait before", "and after", "gold before", "and after"]
    rows = [[f"{100 * share:g} %", *cells] for share, cells in sweep.items()]
    note = "clicks with gold: correlation over samples of the start"
    return table("Clicks optimised, by the share of teasers shown", ["teasers", *columns], rows, note=note)


def _runs_table(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    columns = ["kl", "reward", "gold", "clicks", "clickbait"]
    rows = [[name, *(last(found, what) for what in columns)] for name, found in runs.items()]
    return table("Reinforcement learning, the last five iterations", ["run", *columns], rows)


def _curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    shown = {"gold": "gold", "clicks": "click-through rate", "clickbait": "clickbait"}
    lines = {f"{label}, {name}": binned(found, what) for what, label in shown.items() for name, found in runs.items()}
    note = "trained on clicks, and on stated preference; iterations in bins of 0.25"
    return curves("Summaries by distance", "square root of the KL from the start", lines, note=note)
