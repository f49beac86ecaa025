"""Annotations for preferences: what the reference said, remembered; and what a link needs to know of the whole batch.

The reference is the policy before training, so its log-probabilities are taken once for each distinct example, before the first
step: no second model is held in memory, and an epoch costs no second forward pass.

Sorts and running means run over the whole batch, before it is split: on a micro-batch they would be another loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from trueline.models.forked import helpers_of, share, shared_array, workers_for
from trueline.models.policy import Policy
from trueline.models.tokens import Example
from trueline.train.batch import Annotate, Batch, pad_rows
from trueline.train.forward import forward

TOKENS = 4_096  # padded tokens a forward pass takes at a time, when the reference is read
Table = Mapping[Example, Tensor]  # log-probabilities of an example's trained tokens, (n,), float32, on the CPU


def remember(model: Policy, examples: Iterable[Example]) -> dict[Example, Tensor]:
    """Log-probabilities under `model` as it is now, of each distinct example once; neighbours in length share a pass.

    On a processor the passes are shared among forked processes of one thread each (models/forked.py).
    """
    distinct = in_order(examples)
    passes = list(_passes(distinct))
    counts = [sum(e.mask) for e in distinct]
    places = np.cumsum([0, *counts])
    found = shared_array((int(places[-1]),), np.float32)

    def work(part: int, parts: int) -> None:
        for first, end in passes[part::parts]:
            rows = distinct[first:end]
            batch = pad_rows([e.ids for e in rows], [e.mask for e in rows], model.codec.pad)
            found[places[first] : places[end]] = _logp(model, batch)[batch.mask].numpy()

    helped = helpers_of.get(model) is not None  # by processes that take part in every pass
    share(work, 1 if helped else workers_for(len(passes), sum(len(e.ids) for e in distinct), model.device))
    return dict(zip(distinct, torch.from_numpy(found.copy()).split(counts), strict=True))


def _passes(rows: Sequence[Example]) -> Iterator[tuple[int, int]]:
    """Cut rows, shortest first, into passes of at most TOKENS padded tokens: first and end of each."""
    first = 0
    while first < len(rows):
        fits = (n for n in range(first + 1, len(rows)) if len(rows[n].ids) * (n - first + 1) > TOKENS)
        end = next(fits, len(rows))
        yield first, end
        first = end


def in_order(examples: Iterable[Example]) -> list[Example]:
    """Each distinct example once, in the order in which `remember` reads them: the last bits of the table follow from it."""
    return sorted(dict.fromkeys(_key(e.ids, e.mask) for e in examples), key=lambda e: len(e.ids))


def recalled(table: Table) -> Annotate:
    """Write `ref_logp` (N, T) from what was remembered. A row that was not is an error: the reference is gone."""

    def apply(batch: Batch) -> Batch:
        rows = rows_of(batch)
        missing = sum(row not in table for row in rows)
        if missing:
            raise ValueError(
                f"the reference's log-probabilities of {missing} of {len(rows)} rows were not taken before training; "
                f"give `remember` every example that the source has"
            )
        ref = torch.zeros(batch.tokens.shape)
        ref[batch.mask.cpu()] = torch.cat([table[row] for row in rows])
        return batch.having(ref_logp=ref.to(batch.tokens.device))

    return apply


def without_dropout(model: Policy) -> Annotate:
    """Turn dropout off, which the loop turns on: a log-ratio to what was remembered would be noise (algorithms 7.0 rule 6)."""

    def apply(batch: Batch) -> Batch:
        model.eval()
        return batch

    return apply


def matched_gaps(model: Policy) -> Annotate:
    """Write `shift` (N,), nats: what turns a pair's own reference gap into the one of its rank. AOT, paired.

    Melnyk et al. 2024 (2406.05882): the k-th smallest gap of the policy is compared with the k-th smallest of the reference,
    over the whole batch. Both gaps are log p(chosen) - log p(rejected).
    """

    def apply(batch: Batch) -> Batch:
        ours, theirs = (_gap(_logp(model, batch), batch), _gap(batch.columns["ref_logp"], batch))
        matched = torch.empty_like(theirs).index_copy(0, ours.argsort(stable=True), theirs.sort().values)
        return batch.having(shift=(theirs - matched).repeat_interleave(2))

    return apply


def matched_sides(model: Policy) -> Annotate:
    """Write `partner` (N,), nats: for each chosen row the rejected log-ratio of its rank, and the reverse. AOT, unpaired.

    Melnyk et al. 2024 (2406.05882): chosen and rejected log-ratios are sorted apart, over the whole batch.
    """

    def apply(batch: Batch) -> Batch:
        chosen, rejected = _ratio(model, batch).view(-1, 2).unbind(-1)  # (M,)
        partner = chosen.new_empty(len(chosen), 2)
        partner[chosen.argsort(stable=True), 0] = rejected.sort().values
        partner[rejected.argsort(stable=True), 1] = chosen.sort().values
        return batch.having(partner=partner.flatten())

    return apply


class RunningDelta:
    """Write and log `delta`, nats: the mean log-ratio of all rows seen so far, this batch included. BCO's threshold over beta.

    Jung et al. 2024 (2404.04656), 4.2. It is a `Keeper` (train/loop.py): a run that was killed goes on with the same mean.
    """

    def __init__(self, model: Policy) -> None:
        self.model = model
        self.total, self.count = 0.0, 0

    def __call__(self, batch: Batch) -> Batch:
        ratio = _ratio(self.model, batch)
        self.total, self.count = self.total + float(ratio.double().sum()), self.count + len(ratio)
        delta = self.total / self.count
        return batch.having(delta=torch.full_like(ratio, delta)).logging(delta=delta)

    def state(self) -> dict[str, Tensor]:
        return {"total": torch.tensor(self.total, dtype=torch.float64), "count": torch.tensor(self.count)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.total, self.count = float(state["total"]), int(state["count"])


def mismatched(model: Policy, others: Mapping[Example, Example], table: Table) -> Annotate:
    """Write and log `kl_baseline` (N,), KTO's z0 in nats; write `share` (N,), of the batch's rows those with the row's label.

    z0 = max(0, mean of log pi(y') - log ref(y')), where y' answers another prompt than the row's: Ethayarajh et al. 2024
    (2402.01306), 4.1. `others` has for each example the same prompt with another's answer; `table` is the reference on these.
    """
    known = {_key(own.ids, own.mask): _key(other.ids, other.mask) for own, other in others.items()}

    def apply(batch: Batch) -> Batch:
        rows = [known[row] for row in rows_of(batch)]
        others = pad_rows([e.ids for e in rows], [e.mask for e in rows], model.codec.pad)
        moved = _logp(model, others).sum(-1).tolist()
        baseline = max(0.0, fmean(now - float(table[e].sum()) for now, e in zip(moved, rows, strict=True)))
        wanted = batch.columns["label"] > 0.5
        desirable = wanted.float().mean()
        share = torch.where(wanted, desirable, 1 - desirable)
        return batch.having(kl_baseline=torch.full_like(share, baseline), share=share).logging(kl_baseline=baseline)

    return apply


def best_first(batch: Batch) -> Batch:
    """Turn groups of samples into pairs, the one with the highest `reward` and the one with the lowest; log `tied`.

    A group whose rewards are all equal says nothing and is left out; `tied` is the share of these.
    """
    reward = batch.columns["reward"].view(-1, batch.group)  # (M, G)
    tells = reward.amax(-1) > reward.amin(-1)
    rows = torch.arange(len(batch.tokens), device=reward.device).view_as(reward)
    ends = torch.stack([reward.argmax(-1), reward.argmin(-1)], dim=-1)
    pairs = replace(replace(batch, group=1).take(rows.gather(1, ends)[tells].flatten()), group=2)
    return pairs.logging(tied=1 - float(tells.float().mean()))


def rows_of(batch: Batch) -> list[Example]:
    """The rows of a batch as examples, without padding: what they are remembered by."""
    sizes = batch.columns["length"].tolist()
    rows = zip(batch.tokens.tolist(), batch.mask.tolist(), sizes, strict=True)
    return [_key(tokens[:n], mask[:n]) for tokens, mask, n in rows]


MATCHED: dict[str, Callable[[Policy], Annotate]] = {"shift": matched_gaps, "partner": matched_sides}  # by the column they write


def _key(ids: Iterable[int], mask: Iterable[bool]) -> Example:
    return Example(tuple(ids), (False, *tuple(mask)[1:]))  # the first token is never trained on, whatever a mask says


def _logp(model: Policy, batch: Batch) -> Tensor:
    """Log-probabilities under the model as it is now, (N, T), where the batch is; zero where the mask is off."""
    return forward(model, batch, "logp")


def _ratio(model: Policy, batch: Batch) -> Tensor:
    return ((_logp(model, batch) - batch.columns["ref_logp"]) * batch.mask).sum(-1)  # (N,)


def _gap(logp: Tensor, batch: Batch) -> Tensor:
    chosen, rejected = (logp * batch.mask).sum(-1).view(-1, 2).unbind(-1)
    return chosen - rejected  # (M,)
