"""What the later links of `align` ask of a machine: constitution, red-teaming and its attacker, packs, calendars, a given base.

Importing this file registers them with `work` of workload.py. What can only be known by doing is assumed and said: how many
replies need a revision, how many attempts succeed. Lessons and reports read what others left, and cost nothing that counts.

    trueline run align --dry-run
"""

from __future__ import annotations

from dataclasses import replace

from trueline.attack.catalogue import choose
from trueline.recipes.banked import Bank
from trueline.recipes.campaigns import USUAL, Campaign
from trueline.recipes.constitution_measure import MeasureConstitution
from trueline.recipes.given import Given
from trueline.recipes.intime import Known as Shown
from trueline.recipes.intime import Response
from trueline.recipes.intime_report import Beside, Reading
from trueline.recipes.lengths import of_prompts
from trueline.recipes.lessons import Lessons
from trueline.recipes.matrix import Row, Together
from trueline.recipes.pursuit import Pursuit
from trueline.recipes.rated import Rated
from trueline.recipes.redteam import Update
from trueline.recipes.revising import Revise
from trueline.recipes.rlaif import Preferring
from trueline.recipes.rounds import Rounds
from trueline.recipes.size import Model, model_of
from trueline.recipes.trial import SPLITS, Trial
from trueline.recipes.usual import WORDS
from trueline.recipes.workload import work
from trueline.recipes.workload_base import Known, Work, decoded

__all__ = ["work"]

REVISED, TRIES = 0.5, 2.0  # assumed: the share of harmful prompts whose reply is revised, and how often
TWINS = 1.3  # questions for each attack and goal, benign twins with them
ARMS = 4  # attackers of a trial, random wrappers among them
ANSWERED = 300  # goals of a row, where nobody says


@work.register
def _(recipe: Given, known: Known) -> Work:
    return Work(reads=recipe.reads(), model=model_of(recipe.model, known.models), steps=0, tokens=0)


@work.register
def _(recipe: Revise, known: Known) -> Work:
    model = model_of(recipe.start, known.models)
    per_round = 2 + REVISED * TRIES  # a critique of each sort, and revisions of some
    note = f"takes {REVISED:.0%} of the replies to harmful prompts to be revised; a critic elsewhere is not counted"
    return _asking(recipe.reads(), model, round(recipe.n * (2 + recipe.rounds * per_round)), note)


@work.register
def _(recipe: MeasureConstitution, known: Known) -> Work:
    models = 2 + len(recipe.controls)
    return _asking(recipe.reads(), model_of(recipe.before, known.models), models * 3 * recipe.n)


@work.register
def _(recipe: Campaign, known: Known) -> Work:
    questions = len(choose(recipe.attacks, recipe.settings)) * (recipe.n or USUAL) * TWINS + 3 * recipe.probes
    model = model_of(recipe.target, known.models)
    return _asking(recipe.reads(), model, round(questions), "takes a question for each attack and goal; searches ask more")


@work.register
def _(recipe: Row, known: Known) -> Work:
    questions = len(choose(recipe.attacks)) * (recipe.n or ANSWERED)
    model = model_of(recipe.model, known.models)
    return _asking(recipe.reads(), model, questions, "takes a question for each attack and goal; searches ask more")


@work.register
def _(recipe: Update, known: Known) -> Work:
    model = model_of(recipe.start, known.models)
    return Work(reads=recipe.reads(), model=model, note=f"its data is not there before {recipe.lessons} has run")


@work.register
def _(recipe: Preferring, known: Known) -> Work:
    return work(replace(recipe.how, start=recipe.start, data=recipe.labels), known)


@work.register
def _(recipe: Beside, known: Known) -> Work:
    return _asking(recipe.reads(), model_of(recipe.model, known.models), 2 * recipe.n)


@work.register
def _(recipe: Pursuit, known: Known) -> Work:
    """Requests and their answers are sampled, and the requests trained on."""
    model, rows = model_of(recipe.start, known.models), recipe.batch * recipe.group
    done = _asking(recipe.reads(), model, 2 * recipe.iterations * rows, "takes the target to be as large as the attacker")
    if model.size is None:
        return replace(done, steps=recipe.iterations)
    trained = float(recipe.iterations * rows * recipe.max_tokens)
    return replace(
        done,
        steps=recipe.iterations,
        flops=done.flops + 4 * model.size.forward(trained, recipe.max_tokens, trained),
        memory=done.memory + model.size.training(recipe.optim.muon > 0, recipe.adapter.rank),
        learned=model.size.gradient(recipe.adapter.rank),
    )


@work.register
def _(recipe: Trial, known: Known) -> Work:
    questions = ARMS * len(SPLITS) * recipe.most * recipe.budget
    return _asking(recipe.reads(), model_of(recipe.start, known.models), questions)


@work.register(Lessons)
@work.register(Rated)
@work.register(Reading)
@work.register(Response)
@work.register(Rounds)
@work.register(Shown)
@work.register(Together)
def _(recipe: Lessons | Rated | Reading | Response | Rounds | Shown | Together, known: Known) -> Work:
    return Work(reads=recipe.reads(), steps=0, tokens=0, note="reads what others left: nothing is trained or sampled")


@work.register
def _(recipe: Bank, known: Known) -> Work:
    model = model_of(recipe.target, known.models)
    return Work(reads=recipe.reads(), model=model, note="asks what worked before, which is not known before it has")


def _asking(reads: tuple[str, ...], model: Model, questions: int, note: str = "") -> Work:
    base = Work(reads=reads, model=model, note="; ".join(filter(None, (model.note, note))))
    return decoded(base, of_prompts("world/training", model.codec, WORDS), max(1, questions), 1)
