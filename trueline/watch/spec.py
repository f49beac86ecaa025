"""What a watch asks, as it was said when it was added: settings, read into attacks, packs and goals, and checked at the rim.

    spec = checked(Spec(target="runs/demo/safety"))          # paths made whole, what is usual filled in, all of it readable
    chosen = read(spec)                                      # the attacks, packs and goals, as they are today
    row = new_watch(spec, name="", every=21600, budget=budget, now=now)

Names of packs are kept and not their content: `all` has more in it once a newer pack is installed. The sentinels are kept word
for word.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from trueline.attack.bank import bank_in
from trueline.attack.catalogue import choose
from trueline.attack.goals import BANK, WORLD, read_goals
from trueline.attack.harmless import harmless
from trueline.attack.packs import PREFIX, Pack, packs_in
from trueline.core.config import from_spec, override, to_spec
from trueline.core.ports import Attack, Target
from trueline.core.records import from_dict, to_dict
from trueline.core.types import Prompt
from trueline.evaluate.suites import here
from trueline.recipes.arms import Attacking, in_the_world
from trueline.recipes.attacking import deployed_prompt, usual_goals
from trueline.recipes.judging import open_judge
from trueline.recipes.opened import target_hash
from trueline.recipes.usual import usual_judge
from trueline.store.watches import WatchRow, stamp
from trueline.targets.deployment import read_deployment
from trueline.targets.http import Asking
from trueline.targets.naming import address_of, kind_of
from trueline.targets.patience import Budget
from trueline.targets.wrappers import Scripted
from trueline.watch.bandit import DISCOUNT, FLOOR
from trueline.watch.channels import check_word
from trueline.watch.sentinels import Sentinel, draw
from trueline.world.facts import make_world
from trueline.world.prompts import over_refusal_prompts

SENTINELS = 48  # half attacks, half requests that should be answered
LEAST = 4  # sentinels below which no rate has any meaning
RUBRIC, LEARNED = "rubric:", "learned:"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The settings of a watch; those that a campaign has too mean the same."""

    target: str
    packs: str = ""  # words of attack/packs.py; empty: all of them, unless attacks are named
    attacks: str = ""  # names and batteries beside the packs
    settings: tuple[str, ...] = ()  # of the attacks, as NAME.KEY=VALUE
    goals: str = ""
    n: int | None = None
    column: str = ""
    judge: str = ""
    attacker: str = ""
    helpful: str = ""
    tries: int = 4  # questions that an attack may ask for one goal
    temperature: float = 1.0  # of all but the sentinels
    max_tokens: int = 0
    template: str = "model"
    world_seed: int = 0
    sentinels: int = SENTINELS
    threshold: float | None = None  # attack success on the sentinels that is too much
    max_undetermined: float = 0.2
    floor: float = FLOOR  # share of the exploring pulls that go to what was asked least
    discount: float = DISCOUNT  # what a result is worth a round later
    at_once: int = 8  # pairs of attack and goal at a time
    ask: tuple[str, ...] = ()  # how a remote target is asked, as KEY=VALUE
    alerts: tuple[str, ...] = ()  # where alerts go, as words of watch/channels.py that hold no secret

    def __post_init__(self) -> None:
        for name in ("floor", "discount", "max_undetermined"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a share from 0 to 1, got {getattr(self, name)}")
        if self.tries < 1 or self.at_once < 1 or self.sentinels < LEAST:
            raise ValueError(
                f"expected tries and at_once of at least 1 and {LEAST} sentinels or more; got {self.tries}, {self.at_once} and "
                f"{self.sentinels}"
            )

    @property
    def words(self) -> str:
        """The choice of attacks as `trueline attack` takes it."""
        packs = [word.strip() for word in self.packs.split(",") if word.strip()]
        named = [part for part in (self.attacks.strip(),) if part]
        chosen = [*named, *(word if word.startswith(PREFIX) else PREFIX + word for word in packs)]
        return ",".join(chosen or [f"{PREFIX}all"])

    @property
    def asking(self) -> Asking:
        """How a remote target is asked."""
        return override(Asking(), self.ask)

    def campaign(self, seed: int) -> Attacking:
        """The campaign of a round; another seed samples anew."""
        return Attacking(
            target=self.target, attacks=self.words, settings=self.settings, goals=self.goals, n=self.n, column=self.column,
            judge=self.judge, attacker=self.attacker, helpful=self.helpful, budget=self.tries, temperature=self.temperature,
            max_tokens=self.max_tokens, template=self.template, seed=seed, world_seed=self.world_seed,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a spec names, as it is today."""

    attacks: tuple[Attack, ...]
    packs: tuple[Pack, ...]
    goals: tuple[Prompt, ...]

    @property
    def harmful(self) -> tuple[Prompt, ...]:
        """The goals that should be refused: what is attacked."""
        return tuple(goal for goal in self.goals if goal.expected == "refuse")


def checked(spec: Spec) -> Spec:
    """Return a spec with whole paths and what is usual filled in. Raises a ValueError for whatever could not be asked."""
    spec = replace(
        spec,
        target=_whole(spec.target),
        attacker=_whole(spec.attacker),
        helpful=_whole(spec.helpful),
        judge=",".join(_whole_judge(part.strip()) for part in spec.judge.split(",")),
        goals=",".join(_whole_file(part.strip()) for part in (spec.goals or usual_goals(spec.target)).split(",")),
        alerts=tuple(_whole_channel(word) for word in spec.alerts),
        packs=",".join(_whole_file(part.strip().removeprefix(PREFIX)) for part in spec.packs.split(",")),
    )
    for reference in filter(None, (spec.target, spec.attacker, spec.helpful)):
        check_target(reference, spec.template)
    _ = spec.asking
    chosen = read(spec)
    if not chosen.harmful:
        raise ValueError(f"goals {spec.goals!r}: expected requests that should be refused, found none; name others")
    name = spec.judge or usual_judge(in_the_world(chosen.goals))
    asyncio.run(open_judge(name, world=spec.world_seed, opened=lambda reference: _only_checked(reference, spec.template)))
    return spec


def read(spec: Spec) -> Chosen:
    """Read what a spec names. Raises ValueError, as `trueline attack` does."""
    if BANK in spec.goals.split(",") or bank_in(spec.goals):
        raise ValueError("the bank is asked again in every round; name the goals of new attacks: world, canary or a file")
    goals = read_goals(spec.goals, spec.n, column=spec.column, world_seed=spec.world_seed, system=deployed_prompt(spec.target))
    return Chosen(attacks=choose(spec.words, spec.settings), packs=packs_in(spec.words), goals=goals)


def new_watch(spec: Spec, *, name: str, every: int, budget: Budget, now: datetime, own: str = "") -> WatchRow:
    """Make the watch of a checked spec, its sentinels drawn by its id (`own`, or a new one). Its first round is due at once."""
    chosen, own = read(spec), own or token_hex(8)
    if budget.requests and 2 * spec.sentinels > budget.requests:
        raise ValueError(
            f"{spec.sentinels} sentinels are asked in every round, and may be half of its questions at most; "
            f"raise --budget questions={budget.requests} to {2 * spec.sentinels}, or lower --sentinels"
        )
    packed = {attack.name for pack in chosen.packs for attack in pack.attacks()}
    known = [attack for attack in chosen.attacks if attack.split == "train" or attack.name in packed]
    sentinels = asyncio.run(draw(own, known, chosen.goals, _probes(chosen.goals, spec), spec.sentinels))
    if not any(one.prompt.expected == "refuse" for one in sentinels):
        raise ValueError("no attack of these asks one question that these goals can be put into; name more attacks or packs")
    kept = {"asked": to_spec(spec), "sentinels": [to_dict(one) for one in sentinels]}
    return WatchRow(
        id=own, name=name or name_of(spec.target), target=spec.target, every=every, spec=kept, budget=asdict(budget),
        created=stamp(now), due=stamp(now),
    )  # fmt: skip


def spec_of(row: WatchRow) -> Spec:
    """Return the settings of a stored watch."""
    return from_spec(Spec, row.spec["asked"])


def sentinels_of(row: WatchRow) -> tuple[Sentinel, ...]:
    """Return the sentinels of a stored watch."""
    return tuple(from_dict(Sentinel, one) for one in row.spec["sentinels"])


def budget_of(row: WatchRow) -> Budget:
    """Return the budget of a stored watch's rounds."""
    return Budget(**row.budget)


def name_of(target: str) -> str:
    """Name a watch after its target: the last parts of it that tell, in letters that a shell leaves alone.

    >>> name_of("http://localhost:8000/v1#tiny"), name_of("/home/me/runs/demo/safety"), name_of("shop.yaml")
    ('tiny', 'demo-safety', 'shop')
    """
    if kind_of(target) == "deployment":
        last = Path(target).stem
    elif kind_of(target) == "remote" or target.startswith("hf:"):
        last = re.split(r"[#:]", target)[-1]
    else:
        last = "-".join(Path(target).parts[-2:])
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.") or "watch"


def check_target(reference: str, template: str = "model") -> None:
    """Raise a ValueError where a TARGET could not be opened, as far as can be told without asking it."""
    kind = kind_of(reference)
    if kind == "remote":
        address_of(reference)
    elif kind == "deployment":
        check_target(read_deployment(Path(reference)).settings.model, template)
    target_hash(reference, template)


def _probes(goals: Sequence[Prompt], spec: Spec) -> Sequence[Prompt]:
    """Requests that should be answered: harmless ones that look dangerous, in the tongue of the goals."""
    if not in_the_world(goals):
        return harmless()
    world = make_world(spec.world_seed)
    asked = over_refusal_prompts(world, 17, max(spec.sentinels, 40))
    return [replace(here(world, probe), source=WORLD) for probe in asked]


async def _only_checked(reference: str, template: str) -> tuple[Target, str]:
    check_target(reference, template)
    return Scripted(answers=()), reference


def _whole_channel(word: str) -> str:
    """A channel that another folder's daemon writes to the same file by."""
    check_word(word)
    kind, _, rest = word.partition(":")
    return f"{kind}:{Path(rest).absolute()}" if kind == "sarif" else word


def _whole(reference: str) -> str:
    """A TARGET that another folder's daemon can open: paths from the root."""
    if not reference or kind_of(reference) == "remote" or reference.startswith("hf:"):
        return reference
    return str(Path(reference).resolve()) if Path(reference).exists() else reference


def _whole_file(word: str) -> str:
    return str(Path(word).resolve()) if Path(word).is_file() else word


def _whole_judge(word: str) -> str:
    for head in (RUBRIC, LEARNED):
        if word.startswith(head):
            return head + _whole(word.removeprefix(head))
    return word
