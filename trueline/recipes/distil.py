"""Distillation: a student learns a teacher's distribution of every token, not only the one token that was said.

Three ways, by what the teacher gives: its distribution on the data's replies or on the student's own (`distil`), its
log-probability of the student's samples as an advantage (`distil by=advantage`), or its words (`demonstrate`, then `sft`).
The last is the one that works between tokenizers.

    trueline run distil start=STUDENT teacher=TEACHER data=answers.jsonl
    trueline run distil start=STUDENT teacher=TEACHER data=answers.jsonl on_policy=0.5 objective.beta=0.5 top=64
    trueline run distil start=STUDENT teacher=TEACHER data=prompts.jsonl on_policy=1 by=advantage
    trueline run demonstrate start=TEACHER prompts=prompts.jsonl
    trueline run demonstrate start=TEACHER prompts=world/benign mixed=world/hazards share=0.05
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Conversation, Prompt
from trueline.data.export import write
from trueline.data.recognise import describe
from trueline.data.split import split_by_prompt
from trueline.models.policy import Policy
from trueline.models.tokens import Example, audit
from trueline.recipes.answering import answers
from trueline.recipes.looking import same_words
from trueline.recipes.reading import MIXES, context_of, conversations, prompts
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.targets.naming import kind_of
from trueline.train.annotate_teacher import against, teacher
from trueline.train.batch import Annotate, Objective, pad_rows
from trueline.train.loop import train
from trueline.train.objectives.distil import Divergence
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.optim import Optim
from trueline.train.student import StudentSamples


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Distil:
    """Draw a student's distribution to a teacher's, on data or on the student's own samples."""

    start: str = "pretrain"  # the student: a stage, a folder, or hf:NAME
    teacher: str = "safety"  # the teacher, with the same tokenizer: a stage, a folder, or hf:NAME
    data: str = "world/safety"  # a set of the world, world/training (prompts), a stage of `demonstrate`, or a file of either
    n: int = 3000  # examples to use; 0: all of a file
    on_policy: float = 0.0  # share of the steps on replies that the student samples itself (GKD's lambda)
    by: Literal["divergence", "advantage"] = "divergence"  # advantage: policy gradient on log teacher - log student
    top: int = 0  # the teacher's most likely tokens that are kept, all others being one more; 0: every token is kept
    max_tokens: int = 56  # longest sample of the student
    epochs: int = 1
    batch: int = 1024  # tokens a step
    micro_rows: int = 0  # examples per forward pass, of the teacher too; 0: all of a step
    context: int = 0  # longest example, tokens; longer ones are left out and counted. 0: what both models have room for
    held_out: float = 0.05  # share of the prompts of a file of conversations that is kept to measure on
    objective: Divergence = Divergence()
    gradient: PolicyGradient = PolicyGradient()  # in the place of objective where by=advantage
    optim: Optim = Optim(lr=1e-3, muon=0.003, decay=0.6)

    def __post_init__(self) -> None:
        if self.n < 0 or self.top < 0 or min(self.epochs, self.batch, self.max_tokens) < 1:
            raise ConfigError("n and top must not be negative; epochs, batch and max_tokens must be at least 1")
        if not 0 <= self.on_policy <= 1:
            raise ConfigError(f"on_policy is a share between 0 and 1, got {self.on_policy}")
        if self.by == "advantage" and self.on_policy < 1:
            raise ConfigError(f"an advantage needs the student's own samples: set on_policy=1, got {self.on_policy}")
        if self.on_policy and self.objective.alpha:
            raise ConfigError("objective.alpha weighs the data's own tokens, which a student's samples are not: set it to 0")

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.teacher, "" if self.data.startswith("world/") else self.data)

    def foresee(self, studio: Studio) -> None:
        """Refuse a teacher that gives no logits, or gives them over other words, before work starts."""
        if kind_of(self.teacher) != "local":
            raise RecipeError(f"teacher: {self.teacher} gives words and no logits; {self._in_words()}")
        self._check_words(same_words(self.start, self.teacher))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        student, master = studio.policy(self.start), studio.policy(self.teacher, frozen=True)
        self._check(student, master)
        room_of = [m.model.config.max_position_embeddings for m in (student, master)]
        limit = context_of(student.codec, min((x for x in room_of if x), default=None), self.context)
        found, held = self._examples(studio, student)
        spare = self.max_tokens if self.on_policy else 0  # a sample may be longer than the reply that it stands for
        examples = [e for e in found if max(len(e.ids), _head(e) + spare) <= limit]
        if not examples:
            raise RecipeError(f"all {len(found)} examples need more than {limit} tokens; raise context or shorten the data")
        shared = min(student.model.config.vocab_size, master.model.config.vocab_size)
        by_token = teacher(master, self.top, self.objective.temperature, shared, self.micro_rows)
        source = StudentSamples(
            policy=student,
            examples=examples,
            annotate=against(master, self.micro_rows) if self.by == "advantage" else by_token,
            share=self.on_policy,
            epochs=self.epochs,
            tokens=self.batch,
            max_tokens=self.max_tokens,
            seed=studio.seed,
        )
        measured = [e for e in held if len(e.ids) <= limit]

        def far() -> dict[str, float]:
            with room.shared(master):
                return distance(student, by_token, self.objective, measured)

        before = far() if measured else None
        studio.show.steps(room.name, len(source))
        objective: Objective = self.gradient if self.by == "advantage" else self.objective
        done = train(student, objective, source, self.optim, room.loop(("loss", "teacher_kl"), self.micro_rows))
        student.save(room.folder / "model")
        result: dict[str, Any] = {
            "tokens": done.tokens,
            "seconds": done.seconds,
            "examples": len(examples),
            "too_long": len(found) - len(examples),
        }
        if before is not None:
            result |= {"held_out_before": before, "held_out": far()}
        return result

    def _check(self, student: Policy, master: Policy) -> None:
        """Refuse two models whose ids do not mean the same."""
        self._check_words(student.codec.tokenizer.get_vocab() == master.codec.tokenizer.get_vocab())
        widths = [m.model.config.vocab_size for m in (student, master)]
        if self.by == "divergence" and widths[0] > widths[1] and not self.top:
            raise RecipeError(
                f"the student has {widths[0]} logits and the teacher {widths[1]}; set top=64, which needs no common width"
            )

    def _check_words(self, same: bool) -> None:
        if not same:
            raise RecipeError(
                f"{self.start} and {self.teacher} have different tokenizers, so their distributions are over different things; "
                f"{self._in_words()}"
            )

    def _in_words(self) -> str:
        return f"let the teacher speak instead: trueline run demonstrate start={self.teacher}, then sft on what it said"

    def _examples(self, studio: Studio, student: Policy) -> tuple[list[Example], list[Example]]:
        """Examples to train on and to measure on; of prompts alone the masks are empty."""
        world, data = self.data.startswith("world/"), studio.file(self.data, "demonstrations.jsonl")
        alone = data.removeprefix("world/") in MIXES if world else describe(data).kind is not Conversation
        if alone:
            if self.on_policy < 1:
                raise RecipeError(f"{self.data} holds prompts and no replies: set on_policy=1, or give conversations")
            asked = prompts(studio, data, self.n, seed=studio.seed + 1)
            heads = [student.codec.prompt(p.conversation) for p in asked]
            return [Example(tuple(head), (False,) * len(head)) for head in heads], []
        shown = conversations(studio, data, self.n)
        kept, held = (shown, []) if world else split_by_prompt(shown, self.held_out, studio.seed)
        examples = [student.codec.example(c, "last") for c in kept]
        audit(student.codec, examples)
        return examples, [student.codec.example(c, "last") for c in held]


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Demonstrate:
    """Sample a model's replies as demonstrations for `sft`: distillation by words (Kim & Rush 2016, 1606.07947)."""

    start: str = "safety"  # the teacher: a stage, or any TARGET
    prompts: str = "world/training"  # world/training|benign|hazards, or a file of prompts
    n: int = 1000  # prompts; 0: all of a file
    mixed: str = ""  # prompts that take the place of some of these: world/hazards, or a file
    share: float = 0.0  # of the prompts, that are of `mixed`
    count: int = 1  # samples of each prompt
    max_tokens: int = 56
    temperature: float = 1.0  # 0 takes the likeliest token at each place

    def __post_init__(self) -> None:
        if min(self.count, self.max_tokens) < 1 or self.n < 0 or self.temperature < 0:
            raise ConfigError("count and max_tokens must be at least 1; n and temperature must not be negative")
        if not 0 <= self.share <= 1 or (self.share > 0) != bool(self.mixed):
            raise ConfigError(
                f"share lies in [0, 1], and is above 0 where mixed names prompts; got {self.share}, {self.mixed!r}"
            )

    def reads(self) -> tuple[str, ...]:
        return (self.start, *("" if named.startswith("world/") else named for named in (self.prompts, self.mixed)))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        asked = self._asked(studio)
        studio.show.steps(room.name, len(asked))
        bar = studio.show.bar(room.name)
        drawn = answers(
            studio,
            self.start,
            asked,
            count=self.count,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=studio.seed,
            progress=lambda done: bar(done, {}, 0.0, 0.0),
        )
        whole = [c for c in drawn if c.finish == "stop" and (c.text or c.tool_calls)]  # a cut reply teaches to stop midway
        if not whole:
            raise RecipeError(f"none of {len(drawn)} replies ended by itself within {self.max_tokens} tokens; raise max_tokens")
        said = [c.prompt.conversation.say("assistant", c.text, c.tool_calls) for c in whole]
        write(said, room.folder / "demonstrations.jsonl")
        return {"demonstrations": len(said), "cut_off_or_empty": len(drawn) - len(said)}

    def _asked(self, studio: Studio) -> list[Prompt]:
        """The prompts, and those that are mixed in, as many as `share` says."""
        asked = prompts(studio, self.prompts, self.n, seed=studio.seed + 1)
        if not self.mixed:
            return asked
        others = round(self.share * len(asked))
        return [*asked[: len(asked) - others], *prompts(studio, self.mixed, others, seed=studio.seed + 1)] if others else asked


@torch.no_grad()
def distance(student: Policy, annotate: Annotate, objective: Divergence, examples: Sequence[Example]) -> dict[str, float]:
    """The divergence from the teacher and the cross-entropy with the data, nats a trained token, on these examples."""
    sums: dict[str, float] = {}
    count = 0
    for i in range(0, len(examples), 32):
        part = examples[i : i + 32]
        batch = annotate(pad_rows([e.ids for e in part], [e.mask for e in part], student.codec.pad).to(student.device))
        for term in objective(student(batch.tokens, batch.mask, objective.needs), batch):
            sums[term.name] = sums.get(term.name, 0.0) + float(term.total)
        count += int(batch.mask.sum())
    return {"divergence": sums["loss"] / count, "loss": sums["nll"] / count}


def _head(example: Example) -> int:
    """Tokens before the reply."""
    return example.mask.index(True) if True in example.mask else len(example.ids)
