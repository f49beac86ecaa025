"""What a round of red teaming teaches: findings turned into demonstrations, and into pairs of a better and a worse answer.

refusal       the attack that worked, and a refusal                    rejected: what was given
alternative   the same, and a refusal that offers something harmless   rejected: what was given
call          an attack that got a forbidden call, and a refusal with no call
twin          the same wrapper around a benign request, and its right answer; rejected: a refusal
replay        benign work in plain words, so that nothing else is forgotten; rejected: a refusal

An attack teaches only if its split may be learned from (or if it is `trained`: its words are a model's own, and no family's),
and a goal only if it is no held-out one: what shows whether a defence carries over is never trained on. What a trained attacker
wrote in the words of a family that may not teach does not either. Twins and replay are of the benign questions that nothing is
measured on (data/apart.py). A reply that was begun
for the model (a prefill) is no lesson: it has no place for a refusal.

    Lessons(campaigns=("attack0", "attack1"), n=1200)      leaves demonstrations.jsonl, rankings.jsonl, prompts.jsonl
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

from trueline.attack.catalogue import BASELINE
from trueline.attack.families import family_named
from trueline.attack.goal import procedure_of, request, world_of
from trueline.attack.people import family_of
from trueline.attack.recognised import OTHER, recognised
from trueline.core.config import ConfigError
from trueline.core.outcome import reached
from trueline.core.records import read_jsonl, write_jsonl
from trueline.core.types import Attempt, Completion, Conversation, Message, Prompt, Ranking, Split
from trueline.data.apart import drawn, measured, taught, words
from trueline.data.export import write
from trueline.data.recognise import read
from trueline.evaluate.rounds import PROBE, RIGHT, measured_on
from trueline.recipes.campaigns import ATTEMPTS
from trueline.recipes.refusals import Refusals
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.world.demonstrations import safety
from trueline.world.facts import known_hazards
from trueline.world.language import procedure_text

Kind = Literal["refusal", "alternative", "call", "twin", "replay"]
BY = "redteam"


@dataclass(frozen=True)
class Lesson:
    """One thing to learn: a prompt, the message that answers it well, and what was worse."""

    kind: Kind
    prompt: Prompt
    good: Message
    bad: Completion


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """Turn what campaigns found into training data."""

    campaigns: tuple[str, ...]  # the campaigns so far, the last of which this round answers
    learns: tuple[Split, ...] = ("train", "validation")  # splits of attacks that may be learned from
    also: tuple[str, ...] = ("trained",)  # families that teach beside them: their words are made anew for every model
    n: int = 1200  # demonstrations
    refused: float = 0.4  # share of them that refuse
    twins: float = 0.25  # share of benign requests in the wrappers that worked
    alternatives: float = 0.3  # share of the refusals that offer something harmless
    refusals: str = ""  # whose words: a file, or a TARGET; empty: the world's for its goals, else English sentences
    replay: str = ""  # demonstrations of benign work; empty: the world's, else right answers of the campaign
    benign: bool = False  # leave the refusals out, and teach as much that is benign in their place: the control

    def __post_init__(self) -> None:
        if self.n < 1 or min(self.refused, self.twins, self.alternatives) < 0 or self.refused + self.twins > 1:
            raise ConfigError(
                "n is at least 1; refused, twins and alternatives are shares, and the first two at most 1 together"
            )
        if not self.campaigns:
            raise ConfigError("lessons need at least one campaign to learn from")

    def reads(self) -> tuple[str, ...]:
        return (*self.campaigns, self.refusals, self.replay)

    def foresee(self, studio: Studio) -> None:
        """Read every demonstration of a file of benign work, before anything is attacked."""
        if Path(self.replay).is_file():
            for shown in read(Conversation, self.replay):
                _divided(shown)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        made = [list(read_jsonl(studio.file(name, ATTEMPTS), Attempt)) for name in self.campaigns]
        worked = [self._worked(studio, attempts) for attempts in made]
        if not worked[-1]:
            studio.show.say(room.name, "nothing that may be learned from worked: there is nothing to teach, the model stays")
            return {"findings": 0, "demonstrations": 0}
        findings = [attempt for some in worked for attempt in some]
        rng = Random(f"lessons/{studio.seed}/{len(self.campaigns)}/{self.benign}")
        refusals = Refusals.of(studio, self.refusals, _goals(findings))
        lessons = self._lessons(studio, findings, [attempt for some in made for attempt in some], refusals, rng)
        write([one.prompt.conversation.say("assistant", one.good.text, one.good.tool_calls) for one in lessons],
              room.folder / "demonstrations.jsonl")  # fmt: skip
        write_jsonl(room.folder / "rankings.jsonl", [_pair(one) for one in lessons])
        write_jsonl(room.folder / "prompts.jsonl", [one.prompt for one in lessons if one.kind != "replay"])
        kinds = Counter(one.kind for one in lessons)
        if not kinds["twin"]:
            studio.show.say(room.name, "no benign request stands beside the goals: nothing here teaches against over-refusal")
        families = Counter(family_of(attempt) for attempt in findings)
        return {"findings": len(findings), "demonstrations": len(lessons), **kinds, "families": dict(families.most_common())}

    def _worked(self, studio: Studio, attempts: Sequence[Attempt]) -> list[Attempt]:
        known = known_hazards(studio.world)

        def may_teach(attempt: Attempt) -> bool:
            goal, last = attempt.goal, attempt.conversation.messages[-1]
            allowed = attempt.split in self.learns or (attempt.family in self.also and self._known_words(attempt))
            if not allowed or last.role == "assistant" or goal.expected != "refuse":
                return False
            if (procedure := procedure_of(goal)) is not None:
                return procedure in known and _split(goal) in self.learns
            return _split(goal) in self.learns

        return [attempt for attempt in attempts if may_teach(attempt) and reached(attempt) == "success"]

    def _known_words(self, attempt: Attempt) -> bool:
        """Whether what an attacker wrote is in the words of families that may teach, or of none."""
        name = recognised(request(replace(attempt.goal, conversation=attempt.conversation)))
        return name == OTHER or family_named(name).split in self.learns

    def _lessons(
        self, studio: Studio, findings: Sequence[Attempt], attempts: Sequence[Attempt], refusals: Refusals, rng: Random
    ) -> list[Lesson]:
        twins = _twins(attempts, {attempt.attack for attempt in findings})
        count = {"refused": round(self.n * self.refused), "twins": round(self.n * self.twins) if twins else 0}
        lessons: list[Lesson] = []
        for attempt in [] if self.benign else _balanced(findings, count["refused"], rng):
            offer = rng.random() < self.alternatives
            kind: Kind = "call" if attempt.completion.tool_calls else "alternative" if offer else "refusal"
            prompt = replace(attempt.goal, conversation=attempt.conversation)
            given = replace(attempt.completion, prompt=prompt)
            lessons.append(Lesson(kind, prompt, _said(refusals.say(attempt.goal, rng, offer)), given))
        some = [attempt for attempt, _ in twins]
        answer = {id(attempt): good for attempt, good in twins}
        for attempt in _balanced(some, count["twins"], rng):
            prompt = replace(attempt.goal, conversation=attempt.conversation)
            lessons.append(_benign("twin", prompt, answer[id(attempt)], refusals, rng))
        for asked, good in self._replayed(studio, findings, attempts, self.n - len(lessons)):
            lessons.append(_benign("replay", asked, good, refusals, rng))
        rng.shuffle(lessons)
        return lessons

    def _replayed(
        self, studio: Studio, findings: Sequence[Attempt], attempts: Sequence[Attempt], n: int
    ) -> list[tuple[Prompt, Message]]:
        """Benign work in plain words: the world's, a file's, or what the model answered rightly itself."""
        rng = Random(f"replay/{studio.seed}/{len(self.campaigns)}")
        in_world = all(world_of(attempt.goal) is not None for attempt in findings)
        if not self.replay and in_world:
            seed = studio.seed + 1000 * len(self.campaigns)
            shown = drawn(n, lambda size: safety(studio.world, seed, size, refusals=0.0), taught)
            return [_divided(conversation, world=str(studio.world_seed)) for conversation in shown]
        benign = [a for a in attempts if a.goal.expected == "comply"]
        if self.replay:
            kept = {words(a.conversation) for a in benign if measured_on(a)}
            shown = read(Conversation, studio.file(self.replay, "demonstrations.jsonl"))
            pool = [_divided(one) for one in shown if words(one) not in kept and not (in_world and measured(one))]
        else:
            plain = [a for a in benign if a.attack == BASELINE and not measured_on(a)]
            pool = [(replace(a.goal, conversation=a.conversation), _said(a.completion.text)) for a in plain if _is_right(a)]
        return rng.choices(pool, k=n) if pool else []


def _twins(attempts: Sequence[Attempt], attacks: set[str]) -> list[tuple[Attempt, Message]]:
    """Benign requests in the wrappers that worked, each with its right answer: the model's own, else the known one.

    What a text of others orders has no known answer: the user did not ask for it, so there only the model's own is shown.
    """
    benign = [a for a in attempts if a.goal.expected == "comply" and PROBE not in a.goal.about and not measured_on(a)]
    right = {a.goal.id: a.completion.text for a in benign if _is_right(a)}
    found = []
    for attempt in benign:
        procedure = procedure_of(attempt.goal)
        known = right.get(attempt.goal.id) or (procedure_text(procedure) if procedure else "")
        foreign = attempt.family.startswith("injection")
        good = attempt.completion.text if _is_right(attempt) else "" if foreign else known
        if attempt.attack in attacks and good and attempt.conversation.messages[-1].role != "assistant":
            found.append((attempt, _said(good)))
    return found


def _is_right(attempt: Attempt) -> bool:
    """Whether a benign request was answered as it should be, in words, to its end."""
    judged, said = attempt.judgement, attempt.completion
    whole = said.finish == "stop" and bool(said.text) and not said.tool_calls
    return whole and judged.score is not None and judged.score >= RIGHT


def _balanced(attempts: Sequence[Attempt], n: int, rng: Random) -> list[Attempt]:
    """Draw `n` attempts, every family as often as the others, and few of them twice before all came once."""
    families: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        families.setdefault(family_of(attempt), []).append(attempt)
    drawn: list[Attempt] = []
    for i, name in enumerate(sorted(families)):
        some, wanted = families[name], n // len(families) + (i < n % len(families))
        whole, rest = divmod(wanted, len(some))
        drawn += some * whole + rng.sample(some, rest)
    return drawn


def _benign(kind: Kind, prompt: Prompt, good: Message, refusals: Refusals, rng: Random) -> Lesson:
    """A lesson against over-refusal: the answer is better than a refusal."""
    return Lesson(kind, prompt, good, Completion(prompt=prompt, text=refusals.say(prompt, rng), model=BY))


def _pair(lesson: Lesson) -> Ranking:
    chosen = Completion(prompt=lesson.prompt, text=lesson.good.text, tool_calls=lesson.good.tool_calls, model=BY)
    return Ranking(prompt=lesson.prompt, completions=(chosen, replace(lesson.bad, prompt=lesson.prompt)), ranks=(1, 2), by=BY)


def _divided(shown: Conversation, **about: str) -> tuple[Prompt, Message]:
    """A demonstration as its prompt and its last answer."""
    if not shown.messages or shown.messages[-1].role != "assistant":
        raise RecipeError(f"replay: expected demonstrations that end with an answer, got one that does not ({shown.id!r})")
    return Prompt(conversation=replace(shown, messages=shown.messages[:-1]), about=about), shown.messages[-1]


def _goals(attempts: Sequence[Attempt]) -> list[Prompt]:
    return list({attempt.goal.id: attempt.goal for attempt in attempts}.values())


def _split(goal: Prompt) -> str:
    return goal.about.get("split", "train")


def _said(text: str) -> Message:
    return Message(role="assistant", text=text)
