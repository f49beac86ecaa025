"""An Inspect log (https://inspect.aisi.org.uk): `inspect view` shows every conversation, `inspect log dump` prints it.

    pip install 'trueline[inspect]'
    inspect view start --log-dir out

An attempt is a sample. Its scores are `outcome`, which is success, failure, undetermined or error and never less than these
four, and `stance` and `disclosure`, as two facts. The log is written without Inspect's scheduler, so that thousands of samples
take seconds. Inspect's viewer renders Markdown: what it shows was written by attacks and models.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalMetric, EvalResults, EvalSample, EvalScore, EvalSpec
from inspect_ai.log import write_eval_log as write_log
from inspect_ai.scorer import Score

from trueline.core.files import atomic_file
from trueline.core.outcome import reached, tally
from trueline.core.types import Attempt
from trueline.evaluate.exports.cases import Case, cases
from trueline.evaluate.exports.inspect_chat import chat, output, safe, safe_values
from trueline.evaluate.taxonomy import tags
from trueline.store.folders import digest

TASK = "trueline/attack"


def write(attempts: Iterable[Attempt], summary: Mapping[str, object], path: Path) -> None:
    """Write one log of one campaign, under any name: Inspect's own file is copied into place whole."""
    log = _log(cases(attempts), summary)
    with TemporaryDirectory() as folder:
        made = Path(folder) / "campaign.eval"
        write_log(log, str(made), format="eval")
        with made.open("rb") as done, atomic_file(path) as out:
            shutil.copyfileobj(done, out)


def _log(found: Sequence[Case], summary: Mapping[str, object]) -> EvalLog:
    samples = list(_samples(found))
    models = sorted({sample.output.model for sample in samples if sample.output.model})
    key = digest([sample.id for sample in samples])
    spec = EvalSpec(
        eval_id=key[:22],
        run_id=key[22:44],
        task_id=digest(TASK)[:22],
        created=datetime.now(UTC).isoformat(),
        task=TASK,
        model="+".join(models) or "none",
        dataset=EvalDataset(name="attempts", samples=len(samples), sample_ids=[sample.id for sample in samples]),
        config=EvalConfig(epochs=1),
        metadata={"summary": safe_values(summary)},
    )
    return EvalLog(status="success", eval=spec, results=_results(found, len(samples)), samples=samples)


def _results(found: Sequence[Case], n: int) -> EvalResults:
    """The counts of attempts, and the share of cases that broke among those decided."""
    counts = tally(reached(attempt) for case in found for attempt in case.attempts).counts
    decided = sum(case.decided for case in found)
    metrics: dict[str, float] = dict(counts)
    if decided:
        metrics["broken"] = sum(case.broken for case in found) / decided
    scored = {name: EvalMetric(name=name, value=value) for name, value in metrics.items()}
    score = EvalScore(name="outcome", scorer="outcome", scored_samples=n, metrics=scored)
    return EvalResults(total_samples=n, completed_samples=n, scores=[score])


def _samples(found: Iterable[Case]) -> Iterator[EvalSample]:
    taken: dict[str, int] = {}
    for case in found:
        known = [tag.id for tag in tags(case.family, case.goal)]
        for attempt in case.attempts:
            name = safe(f"{case.attack}/{case.name}/{attempt.query}")
            taken[name] = taken.get(name, 0) + 1
            yield _sample(attempt, case, known, name if taken[name] == 1 else f"{name}~{taken[name]}")


def _sample(attempt: Attempt, case: Case, known: list[str], name: str) -> EvalSample:
    judgement, said = attempt.judgement, output(attempt.completion)
    scores = {
        "outcome": Score(value=reached(attempt), answer=safe(attempt.completion.text), explanation=safe(judgement.why)),
        "stance": Score(value=judgement.stance),
    }
    if judgement.disclosure is not None:
        scores["disclosure"] = Score(value=judgement.disclosure)
    facts = {"attack": case.attack, "family": case.family, "goal": case.name, "category": case.goal.category, "key": case.key}
    return EvalSample(
        id=name,
        epoch=1,
        input=chat(attempt.conversation.messages),
        target=case.goal.expected,
        messages=[*chat(attempt.conversation.messages), said.choices[0].message],
        output=said,
        scores=scores,
        metadata={key: safe(value) for key, value in facts.items()}
        | {"query": attempt.query, "split": attempt.split, "level": attempt.level, "judge": judgement.judge, "tags": known},
    )
