"""The one place where text becomes token ids: tokenizer training, and the renderer Conversation <-> ids + loss mask.

A loss mask is *exact* when every token lies wholly inside or wholly outside what the assistant said (its end token included).
The renderer finds the assistant's characters by rendering prefixes of the conversation with the model's own chat template,
then maps characters to tokens by offsets; where a template or a tokenizer makes that impossible it refuses, and shows where.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jinja2 import TemplateError as JinjaError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from trueline.core.types import Conversation, Message
from trueline.models.tokenizer import UNLIMITED, FastTokenizer, tokenizer_at

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Every assistant turn ends with eos, so that "stop" is learned from data; whitespace is the world's own: one space a word.
WORLD_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %} <sys> {{ m.content }}"
    "{% elif m.role == 'user' %} <user> {{ m.content }}"
    "{% elif m.role == 'tool' %} <result> {{ m.content }}"
    "{% else %} <asst>{% if m.content %} {{ m.content }}{% endif %}"
    "{% for call in m.tool_calls or [] %} <tool> {{ call.function.name }} {{ call.function.arguments }}{% endfor %}"
    " {{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %} <asst>{% endif %}"
)
# For checkpoints that come without a template (base models): plain roles, one line a turn.
PLAIN_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'assistant' %}Assistant: {{ m.content }}{{ eos_token }}\n"
    "{% else %}{{ m.role | capitalize }}: {{ m.content }}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
# For prompts that are the beginning of a text, not a request: a story, a line of code.
RAW_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
)
TEMPLATES = {"raw": RAW_TEMPLATE, "plain": PLAIN_TEMPLATE}


class TemplateError(ValueError):
    """A chat template, or data under it, whose loss mask cannot be made exact."""


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids, and which of them are trained on (True: said by the assistant, its end token included)."""

    ids: tuple[int, ...]
    mask: tuple[bool, ...]


@dataclass(frozen=True)
class Codec:
    """A tokenizer with its chat template: what a Policy reads and writes."""

    tokenizer: FastTokenizer | PreTrainedTokenizerBase
    stop_ids: frozenset[int]

    @classmethod
    def of(cls, tokenizer: FastTokenizer | PreTrainedTokenizerBase, also_stop: Iterable[int] = ()) -> Codec:
        """Wrap a tokenizer; refuses one without an end token, and gives a template to one that has none."""
        if tokenizer.eos_token_id is None:
            raise TemplateError(
                "the tokenizer has no eos token, so a model could never learn to stop; set it in tokenizer_config.json"
            )
        if tokenizer.chat_template is None:
            tokenizer.chat_template = PLAIN_TEMPLATE
        return cls(tokenizer, frozenset({tokenizer.eos_token_id, *also_stop}))

    @classmethod
    def load(cls, path: str | Path) -> Codec:
        """Read the tokenizer of a model folder (or hub name); code in it is never run."""
        return cls.of(tokenizer_at(str(path)))

    def with_template(self, name: str) -> Codec:
        """The same tokenizer under another template: `raw`, `plain`, or `model` for the one that it came with."""
        if name == "model":
            return self
        tokenizer = copy.deepcopy(self.tokenizer)
        tokenizer.chat_template = TEMPLATES[name]
        return Codec(tokenizer, self.stop_ids)

    @property
    def eos(self) -> int:
        return int(self.tokenizer.eos_token_id)

    @property
    def bos(self) -> int | None:
        return self.tokenizer.bos_token_id

    @property
    def ends(self) -> frozenset[int]:
        """Ids at which sampling stops: the end tokens, and bos, for a model that begins another text has ended this one."""
        return self.stop_ids if self.bos is None else self.stop_ids | {int(self.bos)}

    @property
    def pad(self) -> int:
        """The id that fills short rows: the pad token, or any id but eos; it is never attended to or trained on."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None and pad != self.eos else (0 if self.eos != 0 else 1)

    def ids(self, text: str) -> list[int]:
        """Tokenise raw text, adding nothing."""
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])  # long text is no fault

    def document(self, text: str) -> list[int]:
        """Ids of one pre-training document: bos (if the tokenizer has one), the text, eos."""
        body = self.ids(text)
        head = [] if self.bos is None else [self.bos]
        return head + body + ([] if body and body[-1] == self.eos else [self.eos])

    def text(self, ids: Sequence[int]) -> str:
        """What the ids say, without bos, eos and padding."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()

    def piece(self, token: int) -> str:
        """What one token says by itself; a special one says its name."""
        return str(self.tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def prompt(self, conversation: Conversation) -> list[int]:
        """Ids that a model continues: the conversation, then the opening of an assistant turn.

        A conversation that already ends with an assistant turn is *prefilled*: the model goes on from that turn's words.
        """
        messages = conversation.messages
        if messages and messages[-1].role == "assistant":
            head = self._render(conversation, len(messages) - 1, generation=True)
            whole = self._render(conversation, len(messages), generation=False)
            words = messages[-1].text
            return self.ids(whole[: whole.index(words, len(head)) + len(words)] if words else head)
        return self.ids(self._render(conversation, len(messages), generation=True))

    def example(self, conversation: Conversation, train: Literal["all", "last"] = "all") -> Example:
        """Ids and exact loss mask of a whole conversation; `train` says which assistant turns carry loss.

        Raises TemplateError where the mask cannot be exact.
        """
        text, spans = self.spans(conversation)
        if train == "last":
            spans = spans[-1:]
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        mask = []
        for start, end in encoded["offset_mapping"]:
            inside = any(start >= low and end <= high for low, high in spans)
            if not inside and any(start < high and end > low for low, high in spans):
                raise TemplateError(
                    f"the token {text[start:end]!r} lies half inside the assistant's turn, so the loss mask cannot be exact; "
                    f"in the chat template put a newline or a special token, not a space, before the assistant's words"
                )
            mask.append(inside)
        return Example(tuple(encoded["input_ids"]), tuple(mask))

    def spans(self, conversation: Conversation) -> tuple[str, list[tuple[int, int]]]:
        """The rendered text, and the character ranges that the assistant says (end token included).

        A turn that opens the conversation is context: nobody asked for it, so there is no prompt to learn it from.
        """
        messages = conversation.messages
        found: list[tuple[int, int]] = []
        whole = self._render(conversation, len(messages), generation=False)
        for index, message in enumerate(messages):
            if message.role != "assistant" or index == 0:
                continue
            head = self._render(conversation, index, generation=True)
            full = self._render(conversation, index + 1, generation=False)
            if not full.startswith(head):
                raise TemplateError(
                    f"the chat template does not continue its own generation prompt at message {index}: "
                    f"after {head[-40:]!r} a model would say something else than the training text has; "
                    f"correct the template's add_generation_prompt branch"
                )
            stop = _end_of_turn(full[len(head) :], self._stop_strings())
            if stop is None:
                raise TemplateError(
                    f"the chat template writes no end token after the assistant's turn {index} ({full[-40:]!r}); "
                    f"add {self.tokenizer.eos_token!r} after the content, or the model never learns to stop"
                )
            if not whole.startswith(full[: len(head) + stop]):
                raise TemplateError(
                    f"the chat template rewrites earlier turns (message {index} reads differently once more turns follow), so "
                    f"its loss mask is not exact; split the conversation so that each trained turn is its last"
                )
            found.append((len(head), len(head) + stop))
        return whole, found

    def _render(self, conversation: Conversation, upto: int, generation: bool) -> str:
        if upto == 0 and not generation:
            return ""
        messages = [_as_dict(m) for m in conversation.messages[:upto]]
        tools = [{"type": "function", "function": {"name": t.name, "description": t.description}} for t in conversation.tools]
        try:
            rendered = self.tokenizer.apply_chat_template(
                messages, tools=tools or None, tokenize=False, add_generation_prompt=generation
            )
        except JinjaError as error:  # a template may refuse roles, or be broken
            raise TemplateError(f"the chat template refuses this conversation: {error}; change one of them") from error
        return str(rendered)

    def _stop_strings(self) -> list[str]:
        return [self.tokenizer.convert_ids_to_tokens(i) for i in self.stop_ids]


def audit(codec: Codec, examples: Sequence[Example], chat: bool = True) -> None:
    """Refuse data that cannot teach: nothing to learn from, everything trained on, or no end token among what is trained.

    Raises TemplateError; the message shows the first bad example with its trained tokens marked.
    """
    for index, example in enumerate(examples):
        trained = [i for i, m in zip(example.ids, example.mask, strict=True) if m]
        if not trained:
            fault = "has an empty loss mask: the model would learn nothing from it"
        elif chat and len(trained) == len(example.ids):
            fault = "has every token in its loss mask: the model would be trained on the user's words too"
        elif chat and not codec.stop_ids.intersection(trained):
            fault = "has no end token in its loss mask: the model would never learn to stop"
        else:
            continue
        raise TemplateError(f"example {index} {fault}\n{coloured(codec, example)}")


def coloured(codec: Codec, example: Example, width: int = 60) -> str:
    """The example's tokens as rich markup: trained ones green, the others dim."""
    from rich.markup import escape

    tokens = codec.tokenizer.convert_ids_to_tokens(list(example.ids[:width]))
    shown = [f"[{'green' if m else 'dim'}]{escape(t)}[/]" for t, m in zip(tokens, example.mask, strict=False)]
    return " ".join(shown) + (" ..." if len(example.ids) > width else "")


def word_tokenizer(words: Sequence[str]) -> FastTokenizer:
    """One token a word, for a closed vocabulary; `words` starts with <pad>, <bos> and <eos>, and <unk> is added."""
    vocabulary = {word: index for index, word in enumerate([*words, "<unk>"])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106  (a token, not a password)
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _finish(core, "<bos>", "<eos>", "<pad>", "<unk>", WORLD_TEMPLATE)


def train_tokenizer(texts: Iterable[str], size: int) -> FastTokenizer:
    """Byte-level BPE of `size` tokens, learned from texts (Sennrich et al. 2016; the byte alphabet leaves nothing unknown)."""
    if size < 300:
        raise ValueError(f"a byte-level vocabulary needs at least 300 tokens (256 bytes and room to merge), got {size}")
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<pad>", "<bos>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return _finish(core, "<bos>", "<eos>", "<pad>", None, PLAIN_TEMPLATE)


def _finish(core: Tokenizer, bos: str, eos: str, pad: str, unk: str | None, template: str) -> FastTokenizer:
    named = {"bos_token": bos, "eos_token": eos, "pad_token": pad} | ({} if unk is None else {"unk_token": unk})
    core.add_special_tokens(list(named.values()))
    config = {
        "clean_up_tokenization_spaces": False,
        "model_max_length": UNLIMITED,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    return FastTokenizer(core, {**named, **config}, template)


def _as_dict(message: Message) -> dict[str, object]:
    row: dict[str, object] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        row["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in message.tool_calls
        ]
    if message.tool_call_id:
        row["tool_call_id"] = message.tool_call_id
    return row


def _end_of_turn(body: str, stops: Sequence[str]) -> int | None:
    """Where an assistant turn ends in `body`: just after its last end token."""
    ends = [body.rindex(s) + len(s) for s in stops if s in body]
    return max(ends) if ends else None
