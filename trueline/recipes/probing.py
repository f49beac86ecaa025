"""From labelled texts to a probe of a model: its states on each text, folds of families, a layer, a threshold, the probe.

What the linear rail over n-grams does (guard/learned/training.py) is done here with what a model makes of a text: the same
examples, families of near-duplicates, folds, weights and rate of false positives. The layer is the one whose loss out of fold
is least: on easy data all layers find everything, and the loss still tells which is surer. The threshold holds out of fold, and
for the probe that is kept on what it was fitted to. A text is read as it was written, as the one turn of a user behind the
system prompt that is given.

    trained = train(policy, examples, system="You are a helper.", fpr=0.01)
    trained.probe.save(Path("models/probe"))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from numpy.typing import NDArray
from torch import Tensor

from trueline.core.stats import wilson
from trueline.core.types import Conversation, Rate
from trueline.guard.learned.table import Table
from trueline.guard.learned.training import FOLDS, Example, Line, distinct, families, folds_of, lines_of, threshold_at, weight
from trueline.guard.scan.folding import fold, without_halves
from trueline.models.policy import Policy
from trueline.models.probe import Probe, fit, identity_of
from trueline.models.prompt_states import READS, prompt_states
from trueline.models.residual import check_layers

COIN = 0.69  # nats, a little less than ln 2: the loss of a probe that knows nothing
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A probe, and what is known of it."""

    probe: Probe
    losses: Mapping[int, float]  # of each layer that was tried, out of fold, in nats; both labels count the same
    lines: tuple[Line, ...]
    recall: Rate  # over all attacks, out of fold
    false_positives: float  # the mean over the sources of benign texts, out of fold

    @property
    def tells(self) -> bool:
        """Whether the layer tells anything out of fold: its loss is less than that of a coin."""
        return self.losses[self.probe.layer] < COIN


def train(
    policy: Policy,
    examples: Iterable[Example],
    *,
    fpr: float = 0.01,
    layer: int | None = None,  # None: the best one out of fold
    reads: str = "last",  # a name of READS
    system: str = "",
    files: Mapping[str, str] | None = None,
    say: Say = lambda text: None,
) -> Trained:
    """Train on texts as they were written; the probe notes `files` (names by content hash). Raises ValueError for too few."""
    if not 0 < fpr < 1:
        raise ValueError(f"fpr: expected a share between 0 and 1, got {fpr}")
    count = policy.model.config.num_hidden_layers
    layers = check_layers(policy, range(count) if layer is None else (layer,))
    rows, heads = _readable(policy, examples, system, say)
    labels = np.array([row.attack for row in rows], bool)
    family = families(Table.of([row.text for row in rows]), labels, say)
    states = prompt_states(policy, heads, layers, read=READS[reads], progress=_every(len(rows), say))  # (N, layers, D)
    source = np.unique([f"{row.attack} {row.source}" for row in rows], return_inverse=True)[1]
    importance = weight(family, source)
    folds = folds_of(labels, family)
    found = {one: out_of_fold(states[:, place], labels, importance, folds) for place, one in enumerate(layers)}
    losses = {one: _loss(scores, labels, importance) for one, scores in found.items()}
    for one, loss in losses.items():
        say(f"layer {one}: loss {loss:.4f} out of fold")
    best = min(losses, key=lambda one: (losses[one], one))
    own = states[:, layers.index(best)]
    fitted = fit(own, torch.from_numpy(labels), torch.from_numpy(importance))
    # Where few families make a fold poor, its probe scores lower than the one that is kept, and a threshold out of fold alone
    # would stop more than the share of the very texts that this one was fitted to.
    kept = fitted.scores(own).numpy()
    threshold = max(threshold_at(scores[~labels], source[~labels], fpr) for scores in (found[best], kept))
    acted = found[best] > threshold
    lines = tuple(lines_of(rows, acted, family))
    trained_on = {
        "files": dict(files or {}), "system": system, "texts": len(rows), "attacks": int(labels.sum()),
        "families": len(np.unique(family)), "fpr": fpr, "layers": {str(one): loss for one, loss in losses.items()},
        "sources": [{**asdict(line), "acted": asdict(line.acted)} for line in lines],
    }  # fmt: skip
    probe = Probe(
        weights=fitted.weights.float(),
        bias=fitted.bias,
        threshold=threshold,
        layer=best,
        reads=reads,
        model=identity_of(policy),
        trained=trained_on,
    )
    share = float(np.mean([line.acted.value for line in lines if not line.attack]))
    recall = wilson(int(acted[labels].sum()), int(labels.sum()))
    return Trained(probe=probe, losses=losses, lines=lines, recall=recall, false_positives=share)


def asked(text: str, system: str = "") -> Conversation:
    """A text as the one turn of a user."""
    opened = Conversation().say("system", system) if system else Conversation()
    return opened.say("user", text)


def out_of_fold(
    states: Tensor, labels: NDArray[np.bool_], importance: NDArray[np.float32], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Each row's score (N,) by a probe that was fitted on the other folds; states (N, D)."""
    scores = np.zeros(len(labels))
    for number in range(FOLDS):
        inside, outside = torch.from_numpy(folds != number), torch.from_numpy(folds == number)
        fitted = fit(states[inside], torch.from_numpy(labels)[inside], torch.from_numpy(importance)[inside])
        scores[outside.numpy()] = fitted.scores(states[outside]).numpy()
    return scores


def _readable(policy: Policy, examples: Iterable[Example], system: str, say: Say) -> tuple[list[Example], list[list[int]]]:
    """The examples, each text once and folded as their families are found by, and beside each its prompt as written."""
    written: dict[str, str] = {}
    given = list(examples)
    for example in given:
        key = fold(without_halves(example.text)).strip()
        written[key] = min(written.get(key, example.text), example.text)  # whatever the order of the files
    rows, left_out = distinct(given)
    heads = [policy.codec.prompt(asked(written[row.text], system)) for row in rows]
    most = getattr(policy.model.config, "max_position_embeddings", None) or max(map(len, heads), default=0)
    kept = [number for number, head in enumerate(heads) if len(head) <= most]
    attacks = sum(rows[number].attack for number in kept)
    say(f"{len(kept):,} texts, {attacks:,} of them attacks; {left_out:,} left out (the same text twice, or as both)")
    if len(kept) < len(rows):
        say(f"{len(rows) - len(kept):,} more left out: longer than the {most:,} tokens that this model reads")
    return [rows[number] for number in kept], [heads[number] for number in kept]


def _loss(scores: NDArray[np.float64], labels: NDArray[np.bool_], importance: NDArray[np.float32]) -> float:
    """The mean log-loss in nats, both labels alike."""
    loss = F.binary_cross_entropy_with_logits(torch.from_numpy(scores), torch.from_numpy(labels).double(), reduction="none")
    each = loss.numpy()
    return float(np.mean([np.average(each[kind], weights=importance[kind]) for kind in (labels, ~labels)]))


def _every(total: int, say: Say) -> Callable[[int], None]:
    """Say how many texts are read, at each tenth of them."""
    told = 0

    def progress(done: int) -> None:
        nonlocal told
        if done * 10 // total > told:
            told = done * 10 // total
            say(f"{done:,} of {total:,} texts read")

    return progress
