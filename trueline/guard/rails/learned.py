"""`learned`: a model of yours, trained by `trueline guard train`, on what clients send.

    rails:
      - {type: learned, model: models/harm, action: block}

The folder says what kind it is: a linear model over hashed n-grams, or a small transformer in whole numbers, which ONNX Runtime
runs. A text is worth the most of its parts: overlapping windows of it. It acts above the model's threshold, which was set at a
fixed rate of false positives; `threshold` sets another. The audit notes the model's digest beside each decision.

The linear model is asked in place. The transformer takes milliseconds a page, so it is asked in a thread, with the time limit
of its seat (`timeout_ms`), once no rail that is asked in place has blocked.

What it cannot see: whatever shares no letters and words with what it was trained on; encoded text; meaning. It is a wide net of
the second row, and no wall: recall on sources that it has never seen is in docs/rails.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan, read_by
from trueline.guard.rails.common import check_settings, wrong
from trueline.guard.ruling import Ruling, act, allow

if TYPE_CHECKING:
    from trueline.guard.learned.model import Model


@register("rail", "learned")
@dataclass(frozen=True, kw_only=True)
class Learned:
    """Scores each piece by a trained model."""

    name: str = "learned"  # how rulings and the audit call it
    action: Action = "block"  # what is done above the threshold: allow, flag, human, block
    sides: tuple[Side, ...] = ("input",)  # what clients send, what the model says
    places: tuple[Place, ...] = ("user", "tool_result", "other")  # whose text is read
    model: str = ""  # the folder that `trueline guard train` wrote
    threshold: float | None = None  # the score above which it acts, in place of the model's own
    needs: ClassVar[Needs] = "whole"

    def __post_init__(self) -> None:
        check_settings(self, self.action)
        if not self.model:
            raise wrong(self, "model", "the folder of a model (trueline guard train ... --out FOLDER)", self.model)
        if self.threshold is not None and self.threshold != self.threshold:
            raise wrong(self, "threshold", "a number", self.threshold)
        _ = self._model  # read with the settings, so that a broken model is an error of the policy

    @property
    def digest(self) -> str:
        """The model's, for the audit."""
        return self._model.digest

    @property
    def inline(self) -> bool:
        """As the model is."""
        return self._model.inline

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        limit = self._model.threshold if self.threshold is None else self.threshold
        scores = [(self._model.score(scan.folded(piece)), piece.place) for piece in read_by(self, exchange, side)]
        above = [(score, place) for score, place in scores if score > limit]
        if not above:
            return allow(self.name)
        score, place = max(above)
        return act(self.action, self.name, f"{place}: score {score:.2f}, above {limit:.2f}")

    @cached_property
    def _model(self) -> Model:
        # Here alone: who has no learned rail in the policy needs no numpy in the gateway.
        from trueline.guard.learned.loading import load_model
        from trueline.guard.learned.model import ModelError

        try:
            return load_model(Path(self.model))
        except ModelError as error:
            raise wrong(self, "model", "a model that can be read", f"{error}") from error
