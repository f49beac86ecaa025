"""Loss masks: which tokens a chat model is trained on, and what happens when a template makes that impossible to say.

You learn to look before you train. What the assistant says, with its end token, is trained on; all else is context. The mask
comes from the model's own chat template, and it is exact or refused: the second template opens the assistant's turn with a
space, which the tokenizer then glues to the assistant's first word, so that one token is half prompt and half answer.

    python examples/020_loss_masks.py

It prints "the mask is exact", with the trained tokens in green, and then "refused".
"""

from __future__ import annotations

from rich.console import Console

from trueline.core.types import Conversation
from trueline.models.tokens import Codec, TemplateError, audit, coloured, train_tokenizer

TURNS = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]\n{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}"
GOOD = TURNS + "{% endif %}\n{% endfor %}{% if add_generation_prompt %}[assistant]\n{% endif %}"
BAD = GOOD.replace("]\n", "] ")


def main() -> None:
    """Render one conversation under both templates."""
    console = Console(soft_wrap=True)
    talk = Conversation()
    for asked, answered in (("name a pet .", "a cat or a dog"), ("one more .", "an owl")):
        talk = talk.say("user", asked).say("assistant", answered)
    tokenizer = train_tokenizer([m.text for m in talk.messages] * 20, 320)

    tokenizer.chat_template = GOOD
    codec = Codec.of(tokenizer)
    for turns in ("all", "last"):
        example = codec.example(talk, train=turns)
        audit(codec, [example])
        console.print(coloured(codec, example, width=80))
        said = codec.tokenizer.decode([i for i, trained in zip(example.ids, example.mask, strict=True) if trained])
        console.print(f"turns={turns}: the mask is exact. Trained on: {said!r}\n", markup=False)

    tokenizer.chat_template = BAD
    try:
        Codec.of(tokenizer).example(talk)
    except TemplateError as error:
        console.print(f"refused: {error}", markup=False)


if __name__ == "__main__":
    main()
