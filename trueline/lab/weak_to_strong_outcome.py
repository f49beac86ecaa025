"""What E20 comes to: the share of the performance gap that weak labels recover, and what each judge's reward is worth.

    PGR = (student - supervisor) / (ceiling - supervisor)          Burns et al. 2023, 2312.09390, section 3

Everyone answers the same questions and orders the same pairs, so each difference is paired, and PGR is a ratio of sums over the
same items. Where the supervisor is not surely below the ceiling there is nothing to recover: N/A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from trueline.core.stats import paired
from trueline.core.types import Rate
from trueline.evaluate.rates import clustered, retained, rise
from trueline.evaluate.shown import curves, table
from trueline.lab.gaps import Risen, deviations, mean, trained
from trueline.lab.labels import ordered
from trueline.lab.overoptimisation_world import GOLD, Scored
from trueline.lab.registration import registered
from trueline.lab.weak_to_strong_answers import Answer, answered
from trueline.recipes.studio import Room, Studio

CEILING, SHUFFLED, STRONG = "oracle", "shuffled", "unlabelled"
ARMS = {"weak": "the weak judge", "student": "its strong student", "strong": "the strong judge"}  # whose reward is optimised
ANSWERS, ORDERINGS = "Right answers by the supervisor's text", "Pairs ordered rightly by the judge's text"
MILLION = 1e6


def judges(name: str) -> dict[str, str]:
    """The stage that holds the reward of each arm, for the weak model of that name."""
    return dict(zip(ARMS, (f"judge/{name}", f"reward/{name}", f"reward/{CEILING}"), strict=True))


def said(tokens: int) -> str:
    """How a weak model is called.

    >>> said(1_600_000), said(2048)
    ('1.6M', '0.002048M')
    """
    return f"{tokens / MILLION:g}M"


@dataclass(frozen=True)
class Items:
    """The same items for everyone: who was right on each."""

    right: Mapping[str, Sequence[float]]
    clusters: Sequence[str]

    def rate(self, name: str) -> Rate | None:
        """How often one is right."""
        return clustered(self.right[name], self.clusters)

    def above(self, name: str, other: str) -> Rate | None:
        """How much oftener one is right than another, item by item."""
        return rise(self.right[name], self.right[other], self.clusters, name=f"{name}/{other}")

    def recovered(self, student: str, weak: str, ceiling: str) -> Rate | None:
        """The performance gap recovered; None where the weak one is not surely below the ceiling."""
        apart = self.above(ceiling, weak)
        if apart is None or apart.low <= 0:
            return None
        low = self.right[weak]
        after, before = ([a - b for a, b in zip(self.right[name], low, strict=True)] for name in (student, ceiling))
        if after == before:  # item by item the ceiling itself: a share of all there was to recover
            gained = [(1.0, cluster) for b, cluster in zip(before, self.clusters, strict=True) if b]
            return clustered([value for value, _ in gained], [cluster for _, cluster in gained])
        return retained(after, before, self.clusters, name=f"{student}/{weak}")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: both kinds of labels by how weak their giver is, and the rewards optimised."""

    tokens: tuple[int, ...]
    at: int
    passes: tuple[int, ...]  # other numbers of passes over the weak labels than `usual`
    usual: int
    within: str = ""

    def reads(self) -> tuple[str, ...]:
        names = [*map(said, self.tokens), CEILING, SHUFFLED]
        arms = [*(f"grpo/{arm}" for arm in ARMS), *(f"scored/{arm}" for arm in ("start", *ARMS))]
        labels = [f"questions/{name}" for name in names] + [f"pairs/{name}" for name in names]
        stages = [*(f"answers/{name}" for name in self._answerers), "ordered", *labels, *arms]
        return tuple(f"{self.within}{stage}" for stage in stages)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        said_by = {name: answered(studio, f"{self.within}answers/{name}") for name in self._answerers}
        answers = Items(
            {name: [row.right for row in rows] for name, rows in said_by.items()}, [row.cluster for row in said_by[CEILING]]
        )
        pairs = ordered(studio, f"{self.within}ordered")
        names = [name.removeprefix(self.within) for name in pairs[0].right]
        judged = Items(
            {name: [pair.right[self.within + name] for pair in pairs] for name in names}, [pair.cluster for pair in pairs]
        )
        risen, gold = self._optimised(studio)
        values = self._answer_values(answers, said_by) | self._judge_values(judged) | _reward_values(risen, gold)
        why = {name: WHY.get(name, "too few to say") for name, value in values.items() if value is None}
        labels = {name: studio.stages[f"{self.within}{name}"].result["right"] for name in self._labels}
        return {
            "tables": [
                self._answer_table(answers, labels),
                self._passes_table(answers, said_by),
                self._judge_table(judged, labels),
                self._reward_table(studio, risen, gold),
            ],
            "curves": [self._answer_curves(answers), self._judge_curves(judged)],
            "expectations": registered("E20").expectations(values, why),
        }

    @property
    def _answerers(self) -> list[str]:
        students = [*map(said, self.tokens), *(f"{said(self.at)}-{n}" for n in self.passes), CEILING, SHUFFLED]
        return [*(f"supervisor/{said(n)}" for n in self.tokens), *students, STRONG]

    @property
    def _labels(self) -> list[str]:
        return [f"{kind}/{name}" for kind in ("questions", "pairs") for name in (*map(said, self.tokens), CEILING, SHUFFLED)]

    def _optimised(self, studio: Studio) -> tuple[dict[str, Risen], dict[str, Sequence[float]]]:
        """What optimising each reward bought, prompt by prompt, and the gold at its end."""
        start = Scored.read(studio.stages[f"{self.within}scored/start"].folder)
        risen, gold = {}, {}
        for arm, stage in judges(said(self.at)).items():
            reward, end = f"{self.within}{stage}", Scored.read(studio.stages[f"{self.within}scored/{arm}"].folder)
            risen[arm] = trained(start, end, reward, deviations([start], reward))
            gold[arm] = end.scores[GOLD].mean(1).tolist()
        return risen, gold

    def _answer_values(self, found: Items, said_by: Mapping[str, Sequence[Answer]]) -> dict[str, Rate | None]:
        student, weak = said(self.at), f"supervisor/{said(self.at)}"
        return {
            "weaker": found.above(CEILING, weak),
            "beats": found.above(student, weak),
            "recovered": found.recovered(student, weak, CEILING),
            "shuffled": found.recovered(SHUFFLED, weak, CEILING),
            "imitates": imitated(said_by[student], said_by[weak], said_by[CEILING]),
        }

    def _judge_values(self, found: Items) -> dict[str, Rate | None]:
        student, weak, ceiling = f"reward/{said(self.at)}", f"judge/{said(self.at)}", f"reward/{CEILING}"
        return {
            "weaker_judge": found.above(ceiling, weak),
            "beats_judge": found.above(student, weak),
            "judged": found.recovered(student, weak, ceiling),
            "shuffled_judge": found.rate(f"reward/{SHUFFLED}"),
        }

    def _answer_table(self, found: Items, labels: Mapping[str, Any]) -> dict[str, Any]:
        rows = [
            [
                name,
                found.rate(f"supervisor/{name}"),
                labels[f"questions/{name}"],
                found.rate(name),
                found.recovered(name, f"supervisor/{name}", CEILING),
            ]
            for name in map(said, self.tokens)
        ]
        at = f"supervisor/{said(self.at)}"
        rows.append(
            [
                "shuffled",
                found.rate(at),
                labels[f"questions/{SHUFFLED}"],
                found.rate(SHUFFLED),
                found.recovered(SHUFFLED, at, CEILING),
            ]
        )
        rows += [["oracle: the ceiling", None, labels[f"questions/{CEILING}"], found.rate(CEILING), None]]
        rows += [["none: the strong model before any label", None, None, found.rate(STRONG), None]]
        columns = [
            "labels by a weak model of so much text",
            "supervisor right",
            "labels right",
            "student right",
            "gap recovered",
        ]
        return table(
            "Answers: weak to strong", columns, rows, "likeliest answers about people and things that nobody was taught on"
        )

    def _passes_table(self, found: Items, said_by: Mapping[str, Sequence[Answer]]) -> dict[str, Any]:
        """The sweep over how far the weak labels are fitted."""
        at, rows = said(self.at), []
        for n in sorted((self.usual, *self.passes)):
            name = at if n == self.usual else f"{at}-{n}"
            same = imitated(said_by[name], said_by[f"supervisor/{at}"], said_by[CEILING])
            rows.append([str(n), found.rate(name), found.recovered(name, f"supervisor/{at}", CEILING), same])
        columns = ["passes", "student right", "gap recovered", "errors repeated"]
        return table("By passes over the weak labels", columns, rows, f"what is registered is read at {self.usual}")

    def _judge_table(self, found: Items, labels: Mapping[str, Any]) -> dict[str, Any]:
        ceiling = f"reward/{CEILING}"
        rows = [
            [
                name,
                found.rate(f"judge/{name}"),
                labels[f"pairs/{name}"],
                found.rate(f"reward/{name}"),
                found.recovered(f"reward/{name}", f"judge/{name}", ceiling),
            ]
            for name in map(said, self.tokens)
        ]
        rows.append(["shuffled", None, labels[f"pairs/{SHUFFLED}"], found.rate(f"reward/{SHUFFLED}"), None])
        rows.append(["oracle: the ceiling", None, labels[f"pairs/{CEILING}"], found.rate(ceiling), None])
        columns = ["orderings by a weak model of so much text", "judge right", "labels right", "student right", "gap recovered"]
        return table(
            "Judging: weak to strong", columns, rows, "pairs of replies that differ in gold, subjects that nobody was taught on"
        )

    def _reward_table(self, studio: Studio, risen: Mapping[str, Risen], gold: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        rows = [
            [
                ARMS[arm],
                float(studio.stages[f"{self.within}grpo/{arm}"].result["kl_last"]),
                *(mean(getattr(rise, what), f"{arm}/{what}") for what in ("reward", "gold", "gap")),
            ]
            for arm, rise in risen.items()
        ]
        columns = ["reward", "KL", "reward's rise", "gold's rise", "gap"]
        note = "GRPO, as many iterations each; deviations of the start's samples; KL of the last iteration, nats a reply"
        return table("Judges, optimised", columns, rows, note)

    def _answer_curves(self, found: Items) -> dict[str, Any]:
        lines = {
            "supervisor": [(n / MILLION, found.rate(f"supervisor/{said(n)}")) for n in self.tokens],
            "strong student": [(n / MILLION, found.rate(said(n))) for n in self.tokens],
            "ceiling": [(n / MILLION, found.rate(CEILING)) for n in self.tokens],
        }
        return curves(ANSWERS, "million tokens that the weak model read", _there(lines))

    def _judge_curves(self, found: Items) -> dict[str, Any]:
        lines = {
            "weak judge": [(n / MILLION, found.rate(f"judge/{said(n)}")) for n in self.tokens],
            "strong student": [(n / MILLION, found.rate(f"reward/{said(n)}")) for n in self.tokens],
            "ceiling": [(n / MILLION, found.rate(f"reward/{CEILING}")) for n in self.tokens],
        }
        return curves(ORDERINGS, "million tokens that the weak model read", _there(lines))


WHY = {
    "recovered": "the supervisor is not surely weaker than the ceiling",
    "shuffled": "the supervisor is not surely weaker than the ceiling",
    "imitates": "the supervisor makes no error that the ceiling does not make",
    "judged": "the weak judge is not surely weaker than the ceiling",
}


def imitated(student: Sequence[Answer], weak: Sequence[Answer], ceiling: Sequence[Answer]) -> Rate | None:
    """Of the weak one's errors on what the ceiling gets right, the share that the student makes in the same words."""
    if not [row.id for row in student] == [row.id for row in weak] == [row.id for row in ceiling]:
        raise ValueError("models are compared on the same questions; these were asked different ones")
    rows = [(s, w) for s, w, c in zip(student, weak, ceiling, strict=True) if c.right and not w.right]
    return clustered([float(s.text == w.text) for s, w in rows], [s.cluster for s, _ in rows])


def _reward_values(risen: Mapping[str, Risen], gold: Mapping[str, Sequence[float]]) -> dict[str, Rate | None]:
    def less(a: Sequence[float], b: Sequence[float], name: str) -> Rate:
        return paired(a, b, rng=Random(f"E20/{name}")).difference

    gaps = {arm: rise.gap.tolist() for arm, rise in risen.items()}
    return {
        "costs": less(gold["student"], gold["strong"], "costs"),
        "gap": less(gaps["student"], gaps["strong"], "gap"),
        "handed": less(gold["student"], gold["weak"], "handed"),
    }


def _there(lines: Mapping[str, Sequence[tuple[float, Rate | None]]]) -> dict[str, list[tuple[float, Rate | float]]]:
    return {name: [(x, value) for x, value in points if value is not None] for name, points in lines.items()}
