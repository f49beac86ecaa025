"""What E7 comes to: both arms by labels and by noise, PPO beside GRPO, reward models by labels; every registered value.

Differences in gold are paired: the same prompts, the same sampling seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from random import Random
from typing import Any

from trueline.core.stats import paired
from trueline.core.types import Rate
from trueline.evaluate.rates import clustered
from trueline.evaluate.shown import curves, table
from trueline.lab.asked import Seen, change, rate, seen
from trueline.lab.labels import RATER, Order, ordered
from trueline.lab.registration import registered
from trueline.recipes.studio import Room, Studio

ARMS = {"sft": "fine-tuning on the best replies", "grpo": "reward model and RL"}
HARMFUL, TOLD = ("hazard",), ("benign",)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """So many labels, and the share of them that is wrong."""

    n: int
    flip: float

    @property
    def name(self) -> str:
        """How its stages are called.

        >>> Cell(n=300, flip=0.0).name, Cell(n=1000, flip=0.25).name
        ('300', '1000-0.25')
        """
        return f"{self.n}-{self.flip:g}" if self.flip else str(self.n)

    @property
    def said(self) -> str:
        """What a reader calls it."""
        return f"{self.n:,} labels" + (f", {100 * self.flip:g} % turned round" if self.flip else "")


def cells(counts: Sequence[int], noise: Sequence[float]) -> list[Cell]:
    """Every number of labels without noise, and the most labels with it."""
    return [*(Cell(n=n, flip=0.0) for n in counts), *(Cell(n=counts[-1], flip=flip) for flip in noise)]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: every cell of both arms, side by side."""

    counts: tuple[int, ...]  # labels
    noise: tuple[float, ...]  # shares turned round, at the most labels
    within: str = ""

    def reads(self) -> tuple[str, ...]:
        arms = [f"asked/{arm}/{cell.name}" for cell in self.cells for arm in ARMS]
        return tuple(f"{self.within}{name}" for name in ("asked/start", *arms, "asked/ppo", "ordered"))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        asked = f"{self.within}asked/"
        rows = {name.removeprefix(asked): seen(studio, name) for name in self.reads() if name.startswith(asked)}
        kl = {name: studio.stages[asked + name].result.get("kl") for name in rows}
        pairs = ordered(studio, f"{self.within}ordered")
        return {
            "tables": [self._cells_table(rows, kl), _learners(rows, kl, self._clean[-1]), self._rewards(pairs)],
            "curves": [self._curves(rows)],
            "expectations": registered("E7").expectations(self._values(rows, pairs)),
        }

    @property
    def cells(self) -> list[Cell]:
        """Both sweeps."""
        return cells(self.counts, self.noise)

    @property
    def _clean(self) -> list[Cell]:
        return [cell for cell in self.cells if not cell.flip]

    def _values(self, rows: Mapping[str, Sequence[Seen]], pairs: Sequence[Order]) -> dict[str, Rate | None]:
        first, *_, last = self._clean
        noisy = sorted((cell for cell in self.cells if cell.flip), key=lambda cell: cell.flip)
        grpo = {cell: rows[f"grpo/{cell.name}"] for cell in self.cells}

        def against(cell: Cell) -> Rate:
            return change(grpo[cell], rows[f"sft/{cell.name}"], "gold")

        reward = f"{self.within}reward/"
        gained = more_right(pairs, reward + last.name, reward + first.name)
        doublings = log2(last.n / first.n)
        return {
            "equal": against(last),
            "few": against(first),
            "better": change(grpo[last], rows["start"], "gold"),
            "labels": change(grpo[last], grpo[first], "gold"),
            "robust": change(grpo[noisy[0]], grpo[last], "gold") if noisy else None,
            "noise": change(grpo[noisy[-1]], grpo[last], "gold") if noisy else None,
            "ppo": change(rows["ppo"], grpo[last], "gold"),
            "doubling": Rate(
                value=gained.value / doublings, n=gained.n, low=gained.low / doublings, high=gained.high / doublings
            ),
            "averages": more_right(pairs, reward + last.name, RATER),
        }

    def _cells_table(self, rows: Mapping[str, Sequence[Seen]], kl: Mapping[str, Any]) -> dict[str, Any]:
        columns = ["labels", "gold, fine-tuned", "gold, RL", "RL less fine-tuned", "KL, fine-tuned", "KL, RL"]
        found = []
        for cell in self.cells:
            sft, grpo = f"sft/{cell.name}", f"grpo/{cell.name}"
            gold = [rate(rows[sft], "gold"), rate(rows[grpo], "gold"), change(rows[grpo], rows[sft], "gold")]
            found.append([cell.said, *gold, kl[sft], kl[grpo]])
        start = rate(rows["start"], "gold")
        return table(
            "The same labels, read twice",
            columns,
            [["none: the start", start, start, None, None, None], *found],
            note="gold over the training mix, paired by prompt and sampling seed; KL from the start, nats a reply",
        )

    def _rewards(self, pairs: Sequence[Order]) -> dict[str, Any]:
        clusters = [pair.cluster for pair in pairs]
        names = {cell.said: f"{self.within}reward/{cell.name}" for cell in self.cells} | {"the rater": RATER}
        found = [[said, clustered([pair.right[name] for pair in pairs], clusters)] for said, name in names.items()]
        return table(
            "Reward models by labels",
            ["labels", "better reply first"],
            found,
            note="fresh pairs of the start's replies that differ in gold",
        )

    def _curves(self, rows: Mapping[str, Sequence[Seen]]) -> dict[str, Any]:
        start = rate(rows["start"], "gold")
        lines: dict[str, list[tuple[float, Rate | float]]] = {}
        for arm, called in ARMS.items():
            lines[called] = [(float(cell.n), rate(rows[f"{arm}/{cell.name}"], "gold")) for cell in self._clean]
        lines["the start"] = [(float(cell.n), start) for cell in self._clean]
        return curves("Gold by labels", "labels", lines, note="every label clean; gold over the training mix")


def _learners(rows: Mapping[str, Sequence[Seen]], kl: Mapping[str, Any], cell: Cell) -> dict[str, Any]:
    """PPO and GRPO on one reward, as many rollouts each."""
    names = {"GRPO": f"grpo/{cell.name}", "PPO": "ppo"}
    found = [
        [
            said,
            rate(rows[name], "gold"),
            kl[name],
            *(rate(rows[name], what, kinds) for what, kinds in (("gave", HARMFUL), ("right", TOLD), ("right", ("fact",)))),
        ]
        for said, name in names.items()
    ]
    columns = ["learner", "gold", "KL", "hazards given", "benign procedures told", "facts right"]
    return table(f"PPO and GRPO, {cell.said}", columns, found)


def more_right(pairs: Sequence[Order], first: str, second: str) -> Rate:
    """How much oftener one orders the pairs rightly than another."""
    right = [[pair.right[name] for pair in pairs] for name in (first, second)]
    return paired(*right, rng=Random("ordered"), clusters=[pair.cluster for pair in pairs]).difference
