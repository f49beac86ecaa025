"""Red-team training in rounds: attack, judge, learn from what worked, and attack again with a fresh attacker.

    attack0 -> lessons1 -> update1 -> attack1 -> bank1 -> lessons2 -> update2 -> attack2 -> bank2 -> ... -> rounds

`attackN` attacks the model of round N with new wordings and samples: it measures the round, and what works in it is what the
next round learns from. It asks held-out families too, of which nothing is ever learned. `bankN` asks the model of round N
everything that worked on the models before it, and those models too. `control` takes the same steps on benign data alone, and
`rounds` is the report. With `trained=true` an attacker model (attacker.py) is trained anew against the model of each round, and
attacks it too; it begins as `attacker.start`, else as the model that refuses nothing (`helpful`), else as the one to harden.

    trueline run redteam start=runs/demo/helpful rounds=2
    trueline run redteam start=runs/demo/safety rounds=3 helpful=runs/demo/placebo
    trueline run redteam start=MODEL campaign.goals=goals.jsonl campaign.attacks=train,past by=dpo campaign.people=ours.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from trueline.attack.goals import WORLD
from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Split
from trueline.recipes.attacker import WORLD_REQUESTS, Attacker
from trueline.recipes.banked import Bank
from trueline.recipes.campaigns import Campaign
from trueline.recipes.lessons import Lessons
from trueline.recipes.prefer import Dpo
from trueline.recipes.reinforce import Grpo
from trueline.recipes.reporting import made_of
from trueline.recipes.rewards import models_of
from trueline.recipes.rounds import Rounds
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Room, Studio
from trueline.targets.naming import kind_of

# Families of which nothing may be learned, in the tongue of the world; elsewhere those that it lacks are skipped.
HELD_OUT = (
    *("suppress", "past", "format", "spelled", "zaba", "bind", "deed", "crescendo_supplied", "many_shot", "prefill"),
    *("role+prefix", "authority+override", "role+story", "prefix+authority", "override+role"),
    *("injection_document_held_out", "injection_tool_held_out"),
)
ATTACKS = ",".join(("train", "validation", *HELD_OUT))


@dataclass(frozen=True, kw_only=True)
class Update:
    """Train on a round's lessons; where there are none, keep the model as it is."""

    start: str
    lessons: str
    how: Sft | Dpo | Grpo

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.lessons, *(models_of(self.how.reward) if isinstance(self.how, Grpo) else ()))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        if not studio.stages[self.lessons].result["demonstrations"]:
            studio.policy(self.start).save(room.folder / "model")
            return {"kept": 1}
        if isinstance(self.how, Grpo):
            asked = studio.file(self.lessons, "prompts.jsonl")
            return {"kept": 0, **replace(self.how, start=self.start, prompts=asked)(studio, room)}
        return {"kept": 0, **replace(self.how, start=self.start, data=self.lessons)(studio, room)}


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Redteam:
    """Rounds of attack and training, each measured by an attacker that was not trained against."""

    start: str = "safety"  # the model to harden: a folder, a run, or hf:NAME
    rounds: int = 3
    by: Literal["sft", "dpo", "grpo"] = "sft"  # how a round trains
    helpful: str = ""  # a TARGET that refuses nothing: an attack that gets little out of it is not usable, and no defence
    bank: str = ""  # a bank to begin with (attack/bank.py)
    control: bool = True  # also take the steps of the first round on benign data alone
    bound: bool = False  # also learn from all families, held-out ones too: the upper bound, whose model goes nowhere else
    trained: bool = False  # also train an attacker anew against the model of each round
    attacker: Attacker = Attacker(start="", with_plain=False, with_trial=False)  # how; target and goals are those of the round
    campaign: Campaign = Campaign(attacks=ATTACKS)
    lessons: Lessons = Lessons(campaigns=("attack0",))
    sft: Sft = Sft(n=0, turns="last")
    dpo: Dpo = Dpo()
    grpo: Grpo = Grpo(reward="gold", iterations=12)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigError(f"rounds must be at least 1, got {self.rounds}")
        if "held_out" in self.lessons.learns:
            raise ConfigError(
                "lessons.learns: held-out families show what carries over, and nothing may be trained on them; leave held_out "
                "out, or take bound=true, whose model goes nowhere else"
            )
        if self.trained:
            self._check_attacker()

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The rounds in order, then the controls, then the report."""
        made = self._attack(within, self.start, 0)
        if self.helpful:
            made.append((f"{within}able", replace(self._campaign(self.helpful, 0), probes=0)))
        model, bank = self.start, self.bank
        for number in range(1, self.rounds + 1):
            made += self._round(within, number, model, bank)
            model, bank = f"{within}update{number}", f"{within}bank{number}"
        arms = [name for name, wanted in (("control", self.control), ("bound", self.bound)) if wanted]
        for name in arms:
            made += self._arm(within, name)
        return [*made, (f"{within}rounds", self._report(within, arms))]

    def final(self, within: str = "") -> str:
        """The stage whose model is the outcome."""
        return f"{within}update{self.rounds}"

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio)

    def _round(self, within: str, number: int, model: str, bank: str) -> list[tuple[str, Recipe]]:
        """Learn from all campaigns so far, train, attack what came of it, and ask it the bank."""
        campaigns = tuple(f"{within}attack{n}" for n in range(number))
        lessons, update = f"{within}lessons{number}", f"{within}update{number}"
        return [
            (lessons, replace(self.lessons, campaigns=campaigns)),
            (update, Update(start=model, lessons=lessons, how=getattr(self, self.by))),
            *self._attack(within, update, number),
            (f"{within}bank{number}", self._bank(within, number, model, bank)),
        ]

    def _attack(self, within: str, model: str, number: int) -> list[tuple[str, Recipe]]:
        """A fresh attack on a model: wordings and samples that no lesson has seen."""
        campaign, name = self._campaign(model, number), f"{within}attack{number}"
        if not self.trained:
            return [(name, campaign)]
        room = f"{within}attacker{number}/"
        begins = self.attacker.start or self.helpful or self.start
        anew = replace(self.attacker, start=begins, target=model, goals=campaign.goals, judge=campaign.judge)
        asking = replace(campaign, attacks=f"{campaign.attacks},trained", attacker=anew.final(room))
        return [*anew.stages(room), (name, asking)]

    def _check_attacker(self) -> None:
        """Refuse an attacker that cannot be trained: one that answers from elsewhere, or that is shown another tongue."""
        begins = self.attacker.start or self.helpful or self.start
        if kind_of(begins) != "local":
            raise ConfigError(
                f"trained: an attacker is trained here, and {begins} answers from elsewhere; give attacker.start=MODEL"
            )
        if self.campaign.goals != WORLD and self.attacker.requests == WORLD_REQUESTS:
            raise ConfigError(
                f"trained: an attacker learns to ask from the world's requests, and {self.campaign.goals} are no goals of the "
                "world; give attacker.requests=FILE (goals answered with requests), or attacker.requests= if it can ask already"
            )

    def _arm(self, within: str, name: str) -> list[tuple[str, Recipe]]:
        """The first round once more, with other lessons: benign ones alone, or those of every family."""
        lessons = replace(self.lessons, campaigns=(f"{within}attack0",))
        lessons = replace(lessons, benign=True) if name == "control" else replace(lessons, learns=get_args(Split))
        update = f"{within}{name}/update"
        return [
            (f"{within}{name}/lessons", lessons),
            (update, Update(start=self.start, lessons=f"{within}{name}/lessons", how=getattr(self, self.by))),
            (f"{within}{name}/attack", self._campaign(update, 1)),
        ]

    def _bank(self, within: str, number: int, origin: str, before: str) -> Bank:
        found, latest = f"{within}attack{number - 1}", f"{within}attack{number}"
        return Bank(
            target=f"{within}update{number}", origin=origin, found=found, latest=latest, before=before, like=self.campaign
        )

    def _campaign(self, target: str, draw: int) -> Campaign:
        return replace(self.campaign, target=target, draw=draw)

    def _report(self, within: str, arms: list[str]) -> Rounds:
        return Rounds(
            campaigns=tuple(f"{within}attack{n}" for n in range(self.rounds + 1)),
            lessons=tuple(f"{within}lessons{n}" for n in range(1, self.rounds + 1)),
            banks=tuple(f"{within}bank{n}" for n in range(1, self.rounds + 1)),
            arms=tuple(f"{within}{name}/attack" for name in arms),
            able=f"{within}able" if self.helpful else "",
            learns=self.lessons.learns,
        )
