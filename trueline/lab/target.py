"""What experiments on a model of one's own share: in which tongue it is asked, whether it can be, and what is left out.

    trueline lab run E3 E12 --target http://localhost:8000/v1#MODEL
    trueline lab run E11 --target FOLDER

A model of one of our runs is asked in the world's tongue, any other in English. Nothing was registered of it, so nothing passes
or fails: the report holds tables, and says of what could not be measured why.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trueline.attack.goals import WORLD
from trueline.core.types import Conversation
from trueline.models.folders import source_of, tokenizer_of
from trueline.models.tokenizer import FastTokenizer
from trueline.models.tokens import Codec, TemplateError
from trueline.recipes.looking import folder_of, same_world
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, RecipeError, Studio

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# What is asked of an English model looks like this; a template that takes none of it is known before work starts.
USUAL = Conversation().say("system", "You answer questions for a library.").say("user", "When do you open?")
NO_TEMPLATE = (
    "how the model was trained to be asked: it came without a chat template, and was asked in lines (User: ... Assistant: ...)"
)


@dataclass(frozen=True, kw_only=True)
class OnTarget(ABC):
    """What an experiment measures on one target: its stages, and why it leaves out what it leaves out."""

    target: str
    goals: str  # the world's, or canaries (recipes/attacking.py says which is usual)
    n: int

    @abstractmethod
    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Every part that the target allows."""

    @abstractmethod
    def missing(self) -> Sequence[str]:
        """What the target does not allow, with the reason."""

    def foresee(self, studio: Studio) -> None:
        """Refuse a model of another world, and one whose chat template takes no such questions."""
        for model in dict.fromkeys(name for _, part in self.stages() for name in part.reads() if name):
            if self.goals == WORLD:
                same_world(studio, model)
            elif (tokenizer := _tokenizer(model)) is not None:
                try:
                    Codec.of(tokenizer).prompt(USUAL)
                except TemplateError as error:
                    raise RecipeError(f"{model}: expected a model that can be asked under a system prompt; {error}") from error

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry out what the target allows; return the report, which says what it does not."""
        tokenizer = None if self.goals == WORLD else _tokenizer(self.target)
        plain = tokenizer is not None and tokenizer.chat_template is None
        return made_of(self, studio, [*self.missing(), *([NO_TEMPLATE] if plain else [])])


def _tokenizer(model: str) -> FastTokenizer | PreTrainedTokenizerBase | None:
    """The tokenizer of a model in this process; None of any other, which renders what it is asked itself."""
    there = model if model.startswith("hf:") else folder_of(model)
    return None if there is None else tokenizer_of(source_of(there))
