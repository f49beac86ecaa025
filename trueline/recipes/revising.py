"""The supervised half of Constitutional AI: sample, criticise under a principle, revise, and keep what the critic lets stand.

After Bai et al. 2022 (2212.08073, section 3), from which it differs in three things:

- a critique ends with a verdict. A reply that keeps the drawn principle stays; one that breaks it is revised up to `tries`
  times, and the first revision whose own verdict is `keeps` is taken. What never gets there is left out, since it would be
  taught otherwise;
- the model that was criticised is tuned further, on the final replies alone; there a pre-trained model is tuned, on the
  revisions of all rounds;
- benign prompts are criticised too, under principles that speak of them; there they are answered and not revised.

    regenerate     the reviser answers the same request again: what the world uses, where editing fails (decisions/0010)
    edit           the reviser rewrites the reply, with the critique before it: the paper's way, and that of English

Into the stage's folder go `steps.jsonl` (every critique with the principle that caused it, and its revision) and
`demonstrations.jsonl` (the final replies and the replay) for `sft`. Critiques are dropped from what is taught, as in the paper.

    trueline run revise start=MODEL constitution=plain critic=openai:MODEL reviser=openai:MODEL red=red.jsonl benign=asked.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal

from trueline.core.config import ConfigError
from trueline.core.records import write_jsonl
from trueline.core.registry import register
from trueline.core.types import Completion, Conversation, Prompt
from trueline.data.constitution import Constitution, Principle, Tongue, read_constitution
from trueline.data.export import write
from trueline.models.policy import Policy
from trueline.models.tokens import Codec
from trueline.recipes.criticising import NONE, ask_critique, ask_revision, check_rules, oracle_critique, read_critique
from trueline.recipes.looking import same_world
from trueline.recipes.red_prompts import asked_prompts, replayed
from trueline.recipes.revising_report import told
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.recipes.voices import Voices

IN_FORM = 0.5  # share of critiques with a verdict below which nothing that follows would mean anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One critique, and what came of it."""

    prompt: Prompt
    harmful: bool
    round: int  # from 1
    reply: Completion
    principle: str  # its id
    critique: str
    broken: bool | None  # the verdict; None: not in form
    revision: Completion | None = None  # the one that keeps the principle; None: none was needed, or none was found
    tried: int = 0  # revisions asked for


@dataclass
class Case:
    """One prompt on its way through the rounds."""

    reply: Completion
    harmful: bool
    given_up: bool = False  # broken, and no revision kept the principle
    steps: list[Step] = field(default_factory=list)


Drawn = tuple[Case, Principle]  # a reply, and the principle that it is criticised under


@register("recipe", "revise")
@dataclass(frozen=True, kw_only=True)
class Revise:
    """Sample a model, criticise its replies by a constitution, revise those that break it; demonstrations for `sft`."""

    start: str = "helpful"  # the model whose replies are criticised: a stage, a folder, or any TARGET
    constitution: str = "world"  # a shipped one, a file, or a control of one, such as world:placebo
    critic: str = ""  # who criticises: a stage, a folder, or any TARGET; empty: the model itself
    reviser: str = ""  # who revises; empty: the critic
    how: Literal["auto", "regenerate", "edit"] = "auto"  # auto: regenerate in the world, edit in English
    rounds: int = 1  # of critique and revision, each under a principle of its own; 0: the replies as they are
    tries: int = 8  # revisions of one reply in a round, until one keeps the principle
    red: str = "world/red"  # prompts that ask for harm: world/red, or a file
    benign: str = "world/benign"  # prompts that should be answered: world/benign, or a file
    n: int = 800  # prompts of each kind; 0: all of a file
    held_out: float = 0.2  # share of a file's prompts that is kept to measure on
    replay: str = ""  # a file of conversations to teach beside, so that it is not forgotten; empty: of the world, its skills
    n_replay: int = 200  # of it; 0: all of a file, none of the world
    max_tokens: int = 0  # of a reply; 0: 56 in the world, 256 in English
    critique_tokens: int = 0  # of a critique; 0: 24 in the world, 256 in English
    temperature: float = 1.0  # of replies and revisions; critiques are the likeliest ones

    def __post_init__(self) -> None:
        if not 0 <= self.rounds <= 4:
            raise ConfigError(f"rounds must be 0 to 4, got {self.rounds}")
        if not 0 <= self.held_out < 1:
            raise ConfigError(f"held_out is a share from 0 to below 1, got {self.held_out}")
        if self.tries < 1 or min(self.n, self.n_replay, self.max_tokens, self.critique_tokens, self.temperature) < 0:
            raise ConfigError("tries must be at least 1; n, n_replay, tokens and temperature must not be negative")
        for name, asked in (("red", self.red), ("benign", self.benign)):
            if asked.startswith("world/") and (asked != f"world/{name}" or not self.n):
                raise ConfigError(f"{name}: the world's prompts are world/{name}, with n above 0; got {asked} and n={self.n}")

    def reads(self) -> tuple[str, ...]:
        files = [data for data in (self.red, self.benign, self.replay) if data and not data.startswith("world/")]
        own = read_constitution(self.constitution).hash  # another text is another stage
        return tuple(dict.fromkeys((self.start, *self.judges(), *files, own)))

    def foresee(self, studio: Studio) -> None:
        """Refuse, before anything is sampled, a constitution that will not do, and files that leave nothing to revise."""
        if self.check().speaks == "world":
            same_world(studio, self.start, *self.judges())
        else:
            for data in (self.red, self.benign):
                asked_prompts(studio, data, self.n, self.held_out)

    def check(self) -> Constitution:
        """Read the constitution. Raises where it cannot be worked with, or does not speak as the prompts do."""
        constitution = read_constitution(self.constitution)
        check_rules(constitution)
        wrong = [d for d in (self.red, self.benign) if d.startswith("world/") != (constitution.speaks == "world")]
        if wrong:
            needed = "world/red and world/benign" if constitution.speaks == "world" else "files of prompts in English"
            raise RecipeError(f"{self.constitution} speaks {constitution.speaks}: expected {needed}, got {' and '.join(wrong)}")
        return constitution

    def judges(self) -> tuple[str, str]:
        """The critic and the reviser."""
        critic = self.critic or self.start
        return critic, self.reviser or critic

    def tokens(self, speaks: Tongue) -> tuple[int, int]:
        """The longest reply and the longest critique."""
        usual = (56, 24) if speaks == "world" else (256, 256)
        return self.max_tokens or usual[0], self.critique_tokens or usual[1]

    def fitting(self, asked: Sequence[Prompt], constitution: Constitution, readers: Iterable[Policy | None]) -> list[Prompt]:
        """The prompts for which critic and reviser have room to the end. Raises RecipeError where there is room for none.

        A target that is not in this process is believed to have it.
        """
        left = list(asked)
        for name, reader in zip(self.judges(), readers, strict=True):
            limit = None if reader is None else getattr(reader.model.config, "max_position_embeddings", None)
            if reader is None or limit is None:
                continue
            needed = {id(prompt): self._needed(prompt, constitution, reader.codec) for prompt in left}
            if left and min(needed.values()) > limit:
                raise RecipeError(
                    f"{name} reads {limit} tokens, and a critique of a reply to the shortest prompt takes "
                    f"{min(needed.values())}; name another critic (critic=TARGET, which may be served elsewhere), or lower "
                    f"max_tokens and critique_tokens"
                )
            left = [prompt for prompt in left if needed[id(prompt)] <= limit]
        return left

    def _needed(self, prompt: Prompt, constitution: Constitution, codec: Codec) -> int:
        """Tokens of the longest dialogue about a reply: what is asked at its longest, the reply, the critique, the revision."""
        reply, critique = self.tokens(constitution.speaks)
        asked = [ask_revision(Completion(prompt=prompt, text=""), p, "", constitution.speaks) for p in constitution.principles]
        return max((len(codec.prompt(one.conversation)) for one in asked), default=0) + 2 * reply + critique

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        constitution = self.check()
        voices = Voices(studio, room, phases=1 + self.rounds * (1 + 2 * self.tries))
        red, _ = asked_prompts(studio, self.red, self.n, self.held_out)
        benign, _ = asked_prompts(studio, self.benign, self.n, self.held_out)
        longest, _ = self.tokens(constitution.speaks)
        red_fit, benign_fit = (self.fitting(some, constitution, map(voices.policy, self.judges())) for some in (red, benign))
        too_long = len(red) + len(benign) - len(red_fit) - len(benign_fit)
        if too_long:
            studio.show.say(room.name, f"{too_long} prompts are too long for a critique of their replies, and are left out")
        red, benign = red_fit, benign_fit
        said = voices.say(
            self.start, [*red, *benign], max_tokens=longest, temperature=self.temperature, seed=studio.seed
        )  # fmt: skip
        cases = [Case(reply, harmful=place < len(red)) for place, reply in enumerate(said)]
        for number in range(1, self.rounds + 1):
            self._round(number, cases, constitution, voices, studio.seed)
        final = [c for c in cases if not c.given_up and c.reply.finish == "stop" and (c.reply.text or c.reply.tool_calls)]
        write_jsonl(room.folder / "steps.jsonl", [step for case in cases for step in case.steps])
        if not final:
            raise RecipeError(
                f"no reply of {len(cases)} kept its principle or was revised to, and ended by itself; "
                f"raise tries or max_tokens, or choose another reviser"
            )
        replay = replayed(studio, self.replay, self.n_replay, constitution.speaks)
        write([*map(_shown, final), *replay], room.folder / "demonstrations.jsonl")
        room.keep(0, [case.reply for case in cases[:: max(1, len(cases) // 10)]])
        counts = {
            "demonstrations": len(final),
            "replayed": len(replay),
            "left_out": len(cases) - len(final),
            "too_long": too_long,
        }
        world = studio.world if constitution.speaks == "world" else None
        return {**counts, **told([step for case in cases for step in case.steps], constitution, world)}

    def _round(self, number: int, cases: Sequence[Case], constitution: Constitution, voices: Voices, seed: int) -> None:
        """Criticise every reply under a principle of its own, and revise those that break it."""
        drawn: list[Drawn] = []
        for place, case in enumerate(cases):
            rng = Random(f"principle/{seed}/{number}/{place}")
            principle = constitution.draw(rng, case.harmful) if constitution.principles else NONE
            if principle is not None and not case.given_up and case.reply.finish != "error":
                drawn.append((case, principle))
        judged = self._critiques(
            [(case.reply, principle) for case, principle in drawn], constitution, voices, f"{seed}/{number}"
        )
        for (case, principle), (critique, broken) in zip(drawn, judged, strict=True):
            step = Step(
                prompt=case.reply.prompt, harmful=case.harmful, round=number, reply=case.reply, principle=principle.id,
                critique=critique, broken=broken,
            )  # fmt: skip
            case.steps.append(step)
        if constitution.principles:  # one with nothing to go by may well come to no verdict: that is the control's answer
            self._check_form([case.steps[-1] for case, _ in drawn])
        waiting = [(case, principle) for case, principle in drawn if case.steps[-1].broken]
        for attempt in range(self.tries):
            waiting = self._attempt(waiting, constitution, voices, seed + 1000 * number + attempt)
        for case, _ in waiting:
            case.given_up = True

    def _attempt(self, waiting: Sequence[Drawn], constitution: Constitution, voices: Voices, seed: int) -> list[Drawn]:
        """Ask for one revision of each reply; return those that still break their principle, or were cut off."""
        said = self._revisions(waiting, constitution, voices, seed)
        revised = [(reply, principle) for reply, (_, principle) in zip(said, waiting, strict=True)]
        judged = self._critiques(revised, constitution, voices, f"{seed}/revisions")
        left = []
        for (case, principle), revision, (_, broken) in zip(waiting, said, judged, strict=True):
            keeps = broken is False and revision.finish == "stop"
            case.steps[-1] = replace(case.steps[-1], tried=case.steps[-1].tried + 1, revision=revision if keeps else None)
            if keeps:
                case.reply = revision
            else:
                left.append((case, principle))
        return left

    def _critiques(
        self, pairs: Sequence[tuple[Completion, Principle]], constitution: Constitution, voices: Voices, batch: str
    ) -> list[tuple[str, bool | None]]:
        """What is said of each reply, and the verdict that it ends with: the critic's, or what a control puts in its place."""
        if constitution.verdicts == "oracle":
            return [oracle_critique(voices.studio.world, reply, principle) for reply, principle in pairs]
        asked = [ask_critique(reply, principle, constitution.speaks) for reply, principle in pairs]
        said = voices.say(self.judges()[0], asked, max_tokens=self.tokens(constitution.speaks)[1], temperature=0.0, seed=0)
        found = [(c.text, read_critique(c.text, constitution.speaks)) for c in said]
        return Random(f"shuffled/{batch}").sample(found, len(found)) if constitution.verdicts == "shuffled" else found

    def _revisions(self, waiting: Sequence[Drawn], constitution: Constitution, voices: Voices, seed: int) -> list[Completion]:
        edit = self.how == "edit" or (self.how == "auto" and constitution.speaks == "english")
        asked = [
            ask_revision(case.reply, principle, case.steps[-1].critique, constitution.speaks) if edit else case.reply.prompt
            for case, principle in waiting
        ]
        longest = self.tokens(constitution.speaks)[0]
        said = voices.say(self.judges()[1], asked, max_tokens=longest, temperature=self.temperature, seed=seed)
        return [replace(reply, prompt=case.reply.prompt) for reply, (case, _) in zip(said, waiting, strict=True)]

    def _check_form(self, steps: Sequence[Step]) -> None:
        """Raise where the critic does not answer in form: nothing that it says after can be used."""
        unread = [step.critique for step in steps if step.broken is None]
        if steps and len(unread) > (1 - IN_FORM) * len(steps):
            examples = "; ".join(repr(text[:80]) for text in dict.fromkeys(unread[:3]))
            raise RecipeError(
                f"the critic {self.judges()[0]} ended {len(steps) - len(unread)} of {len(steps)} critiques with a verdict, and "
                f"{IN_FORM:.0%} are needed; it said for example {examples}. "
                f"Take a critic that can judge, or raise critique_tokens"
            )


def _shown(case: Case) -> Conversation:
    said = case.reply.prompt.conversation.say("assistant", case.reply.text, case.reply.tool_calls)
    return replace(said, id=case.reply.prompt.id)
