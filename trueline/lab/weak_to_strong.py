"""E20: a weak model supervises a strong one: its answers are learned from, its orderings of replies become a reward.

After Burns et al. 2023 (https://arxiv.org/abs/2312.09390). The weak model has fewer parameters and read less text; how much
less is swept. Twice it is taught by the oracle, labels what it was not taught on, and a strong student learns from its labels:
questions of fact, and pairs of replies. The ceiling is the same student under the oracle's labels. Then the rewards of the weak
judge, of its strong student, and of the ceiling are optimised, and gold says what each was worth.

    trueline lab run E20 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.lab.experiment import sized
from trueline.lab.overoptimisation_world import ScoredSamples
from trueline.lab.same_samples import RankedBy, Samples
from trueline.lab.scale_figure import beside
from trueline.lab.weak_to_strong_answers import Answers, Questions
from trueline.lab.weak_to_strong_outcome import ANSWERS, CEILING, ORDERINGS, SHUFFLED, STRONG, Outcome, judges, said
from trueline.lab.weak_to_strong_pairs import Pairs, Right
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.reinforce import Grpo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Reward
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Studio

SMOKE = """tokens=2048 at=2048 weak.width=32 weak.layers=1 questions=24 tested=20 sft.epochs=1 passes=2 samples.n=90
samples.max_tokens=12 reward.epochs=1 grpo.iterations=1 grpo.batch=4 grpo.group=2 grpo.max_tokens=8 scored.n=8 scored.k=4
scored.max_tokens=8"""
QUICK = "tokens=1600000 grpo.iterations=14 scored.n=60"
NOT_MEASURED = (
    "the auxiliary loss on the student's own confident answers (Burns et al. 2023, 4.3.2), and intermediate sizes in a chain",
    "a strong student larger than 0.9 M parameters",
    "debate, and other ways in which a weaker judge may be helped to judge",
)


@register("experiment", "E20")
@dataclass(frozen=True, kw_only=True)
class WeakToStrong:
    """Labels of a weaker model, in answering and in judging, and its judgement optimised."""

    strong: str = "{base}/pretrain"  # the student, before any label
    start: str = "{base}/uneven"  # whose replies are ordered, and what is optimised
    weak: Pretrain = Pretrain(width=96, layers=3)  # 0.40 M parameters
    tokens: tuple[int, ...] = (800_000, 1_600_000, 3_200_000)  # text that the weak model reads: a sweep of how weak it is
    at: int = 1_600_000  # of these, the one that the registered values are read at
    questions: int = 600  # that a model is taught with
    tested: int = 300
    sft: Sft = Sft(start="", n=0, turns="last", epochs=3)
    passes: tuple[int, ...] = (1, 9)  # other numbers of passes over the weak labels: a sweep of how far they are fitted
    samples: Samples = Samples(n=1800, k=2, max_tokens=56)
    reward: Reward = Reward()
    grpo: Grpo = Grpo(iterations=24)
    scored: ScoredSamples = ScoredSamples(start="", rewards=(), n=100, k=8)

    def __post_init__(self) -> None:
        if self.sft.epochs in self.passes:
            raise ConfigError(
                f"passes: expected other numbers than that of sft.epochs, {self.sft.epochs}; got {list(self.passes)}"
            )
        if self.at not in self.tokens or list(self.tokens) != sorted(set(self.tokens)):
            raise ConfigError(f"at: expected one of tokens, which rise; got {self.at} of {list(self.tokens)}")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Weak models; their answers and students; their orderings and students; rewards optimised; the outcome."""
        weak = {said(n): (f"{within}weak/{said(n)}", replace(self.weak, tokens=n)) for n in self.tokens}
        outcome = Outcome(tokens=self.tokens, at=self.at, passes=self.passes, usual=self.sft.epochs, within=within)
        return [
            *weak.values(),
            *self._answering(within),
            *self._judging(within),
            *self._optimised(within),
            (f"{within}outcome-e20", outcome),
        ]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """By how much the weak model has read: answers on the left, orderings on the right."""
        return beside(report, {ANSWERS: "share of questions", ORDERINGS: "share of pairs"})

    def _answering(self, within: str) -> list[tuple[str, Recipe]]:
        """Supervisors, what they label, and the students of each set of labels; everyone tested."""
        true, labels, taught = f"{within}questions/teach", f"{within}questions/", f"{within}taught/"
        asked = Questions(part="label", n=self.questions)
        made: list[tuple[str, Recipe]] = [(true, replace(asked, part="teach")), (f"{labels}{CEILING}", asked)]
        for name in map(said, self.tokens):
            supervisor = f"{within}supervisor/{name}"
            made.append((supervisor, replace(self.sft, start=f"{within}weak/{name}", data=true)))
            made.append((f"{labels}{name}", replace(asked, by=supervisor)))
        at = f"{within}supervisor/{said(self.at)}"
        made.append((f"{labels}{SHUFFLED}", replace(asked, by=at, shuffled=True)))
        students = (*map(said, self.tokens), CEILING, SHUFFLED)
        made += [(f"{taught}{name}", replace(self.sft, start=self.strong, data=f"{labels}{name}")) for name in students]
        weak = f"{labels}{said(self.at)}"
        made += [
            (f"{taught}{said(self.at)}-{n}", replace(self.sft, start=self.strong, data=weak, epochs=n)) for n in self.passes
        ]
        models = {f"supervisor/{name}": f"{within}supervisor/{name}" for name in map(said, self.tokens)}
        others = tuple(f"{said(self.at)}-{n}" for n in self.passes)
        models |= {name: f"{taught}{name}" for name in (*students, *others)} | {STRONG: self.strong}
        return [*made, *((f"{within}answers/{name}", Answers(model=model, n=self.tested)) for name, model in models.items())]

    def _judging(self, within: str) -> list[tuple[str, Recipe]]:
        """Weak reward models, what they order, and the strong reward models of each set of orderings; all tested."""
        samples, ranked, pairs = f"{within}samples", f"{within}ranked", f"{within}pairs/"
        made: list[tuple[str, Recipe]] = [
            (samples, replace(self.samples, start=self.start)),
            (ranked, RankedBy(samples=samples, rater="oracle")),
            (f"{pairs}teach", Pairs(data=ranked, part="teach")),
            (f"{pairs}{CEILING}", Pairs(data=ranked, part="label")),
            (f"{pairs}{SHUFFLED}", Pairs(data=ranked, part="label", shuffled=True)),
        ]
        for name in map(said, self.tokens):
            judge = f"{within}judge/{name}"
            made.append((judge, replace(self.reward, start=f"{within}weak/{name}", data=f"{pairs}teach")))
            made.append((f"{pairs}{name}", Pairs(data=ranked, part="label", by=judge)))
        students = (*map(said, self.tokens), CEILING, SHUFFLED)
        made += [
            (f"{within}reward/{name}", replace(self.reward, start=self.strong, data=f"{pairs}{name}")) for name in students
        ]
        rewards = [*(f"{within}judge/{said(n)}" for n in self.tokens), *(f"{within}reward/{name}" for name in students)]
        return [*made, (f"{within}ordered", Right(data=ranked, rewards=tuple(rewards)))]

    def _optimised(self, within: str) -> list[tuple[str, Recipe]]:
        """GRPO on the weak judge, on its strong student, and on the ceiling; samples before and after."""
        rewards = {arm: f"{within}{stage}" for arm, stage in judges(said(self.at)).items()}
        made: list[tuple[str, Recipe]] = [
            (f"{within}scored/start", replace(self.scored, start=self.start, rewards=tuple(rewards.values())))
        ]
        for arm, reward in rewards.items():
            after = replace(self.scored, start=f"{within}grpo/{arm}", rewards=(reward,), k=min(4, self.scored.k))
            made += [
                (f"{within}grpo/{arm}", replace(self.grpo, start=self.start, reward=reward)),
                (f"{within}scored/{arm}", after),
            ]
        return made
