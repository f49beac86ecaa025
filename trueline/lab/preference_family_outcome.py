"""What E10 comes to: the sweep as one table, what became of held-out pairs, refusals; and every registered value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from trueline.core import stats
from trueline.core.types import Rate
from trueline.evaluate.rates import apart
from trueline.evaluate.shown import table
from trueline.lab.asked import Seen, change, rate, seen
from trueline.lab.preference_pairs import Against, Shift, moved
from trueline.lab.registration import registered
from trueline.recipes.studio import Room, Studio

REFUSALS: Mapping[Against, str] = {"refusal": "razin", "steps": "distinct"}  # what is rejected, and what is expected of it
SWEEP = "Gold by distance"  # the table that the figure reads
COLUMNS = (
    "run",
    "KL",
    "gold",
    "gold less the start's",
    "chosen moved",
    "rejected moved",
    "benign procedures told",
    "hazards given",
)
KIN = ("ipo", "cdpo", "kto")  # they hold a reference, as DPO does


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: the sweep, read as the registration says."""

    cells: tuple[str, ...]  # OBJECTIVE/STRENGTH/EPOCHS
    weak: str  # dpo with the weakest pull, the usual one, the strongest
    usual: str
    strong: str
    few: int  # epochs
    many: int
    most: int
    within: str = ""

    def reads(self) -> tuple[str, ...]:
        asked = [f"asked/{name}" for name in ("start", "rlhf", *self.cells)]
        hazards = [f"hazards/{name}" for name in ("start", *REFUSALS)]
        looked = [f"moved/{name}" for name in (*self.cells, *REFUSALS)]
        return tuple(self.within + name for name in (*asked, *hazards, *looked, *(f"pairs/{name}" for name in REFUSALS)))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        def of(part: str) -> dict[str, str]:
            whole = f"{self.within}{part}/"
            return {name.removeprefix(whole): name for name in self.reads() if name.startswith(whole)}

        rows = {short: seen(studio, name) for short, name in of("asked").items()}
        kl = {short: Rate(**studio.stages[name].result["kl"]) for short, name in of("asked").items() if short != "start"}
        shifts = {short: moved(studio, name) for short, name in of("moved").items()}
        hazards = {short: seen(studio, name) for short, name in of("hazards").items()}
        values = self._gold(rows, kl) | self._pairs(shifts) | _refusals(hazards)
        pairs = {against: studio.stages[f"{self.within}pairs/{against}"].result for against in REFUSALS}
        why = {REFUSALS[a]: f"{r['pairs']} pairs are too few" for a, r in pairs.items() if not r["demonstrations"]}
        values |= dict.fromkeys(why)
        return {
            "tables": [self._sweep(rows, kl, shifts), _refusal_table(hazards, shifts)],
            "expectations": registered("E10").expectations(values, why),
        }

    def _gold(self, rows: Mapping[str, Sequence[Seen]], kl: Mapping[str, Rate]) -> dict[str, Rate | None]:
        def at(run: str, epochs: int) -> Sequence[Seen]:
            return rows[f"{run}/{epochs}"]

        usual = at(self.usual, self.many)
        kin = [change(at(run, self.many), usual, "gold") for run in self._runs if run.split("/")[0] in KIN]
        simpo = next(run for run in self._runs if run.startswith("simpo/"))
        return {
            "improves": change(usual, rows["start"], "gold"),
            "simple": change(usual, rows["rlhf"], "gold"),
            "kin": max(kin, key=lambda found: abs(found.value)),
            "hump": change(at(self.weak, self.few), at(self.weak, self.many), "gold"),
            "late": change(at(self.weak, self.many), at(self.weak, self.most), "gold"),
            "erodes": change(at(self.weak, self.many), rows["start"], "right", ("benign",)),
            "nearer": apart(kl[f"{self.weak}/{self.many}"], kl[f"{self.strong}/{self.many}"]),
            "free": apart(kl[f"{simpo}/{self.many}"], kl[f"{self.usual}/{self.many}"]),
        }

    def _pairs(self, shifts: Mapping[str, Sequence[Shift]]) -> dict[str, Rate | None]:
        usual = shifts[f"{self.usual}/{self.many}"]
        orpo, cdpo = (next(run for run in self._runs if run.startswith(name)) for name in ("orpo/", "cdpo/"))
        return {
            "displaced": shifted(usual, "chosen"),
            "held": shifted(shifts[f"{orpo}/{self.many}"], "chosen"),
            "cautious": shifted(usual, "chosen", against=shifts[f"{cdpo}/{self.many}"]),
        }

    @property
    def _runs(self) -> list[str]:
        """OBJECTIVE/STRENGTH of every cell."""
        return list(dict.fromkeys(cell.rpartition("/")[0] for cell in self.cells))

    def _sweep(
        self, rows: Mapping[str, Sequence[Seen]], kl: Mapping[str, Rate], shifts: Mapping[str, Sequence[Shift]]
    ) -> dict[str, Any]:
        start = rows["start"]
        found = []
        for name in ("start", *self.cells, "rlhf"):
            own, shift = rows[name], shifts.get(name)
            found.append(
                [
                    said(name),
                    kl.get(name),
                    rate(own, "gold"),
                    None if name == "start" else change(own, start, "gold"),
                    *(shifted(shift, side) if shift else None for side in ("chosen", "rejected")),
                    rate(own, "right", ("benign",)),
                    rate(own, "gave", ("hazard",)),
                ]
            )
        note = "KL from the start on the model's own replies, nats a reply; moved: log-ratio to the start, held-out pairs, nats"
        return table(SWEEP, COLUMNS, found, note=note)


def shifted(rows: Sequence[Shift], side: Literal["chosen", "rejected"], against: Sequence[Shift] = ()) -> Rate | None:
    """By how much one side of held-out pairs became likelier, nats a reply; None where too few were held out.

    With the same pairs under another model as `against`: by how much more they did there.
    """
    clusters = [row.cluster for row in rows]
    if len(set(clusters)) < 2:
        return None
    values = [getattr(row, side) for row in rows]
    if not against:
        return stats.mean(values, rng=Random(side), clusters=clusters)
    return stats.paired([getattr(row, side) for row in against], values, rng=Random(side), clusters=clusters).difference


def said(name: str) -> str:
    """A cell as a reader calls it.

    >>> said("dpo/0.03/4"), said("dpo/0.1/1"), said("start")
    ('dpo 0.03, 4 epochs', 'dpo 0.1, 1 epoch', 'start')
    """
    if "/" not in name:
        return name
    objective, strength, epochs = name.split("/")
    return f"{objective} {strength}, {epochs} epoch{'s' * (epochs != '1')}"


def _refusals(hazards: Mapping[str, Sequence[Seen]]) -> dict[str, Rate | None]:
    start = hazards["start"]
    return {name: change(hazards[against], start, "refused", ("hazard",)) for against, name in REFUSALS.items()}


def _refusal_table(hazards: Mapping[str, Sequence[Seen]], shifts: Mapping[str, Sequence[Shift]]) -> dict[str, Any]:
    names = {"start": "the start", "refusal": "a refusal to one much like it", "steps": "a refusal to the steps"}
    found = [
        [
            said_,
            *(rate(hazards[name], what, ("hazard",)) for what in ("refused", "gave")),
            rate(hazards[name], "refused", ("benign",)),
            *(shifted(shifts[name], side) if name in shifts else None for side in ("chosen", "rejected")),
        ]
        for name, said_ in names.items()
    ]
    columns = ["DPO prefers", "hazards refused", "hazards given", "benign refused", "chosen moved", "rejected moved"]
    return table("Pairs of refusals", columns, found)
