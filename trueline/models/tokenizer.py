"""The tokenizer of a folder as plain as it can be: the core that `tokenizers` loads, the names of special tokens, a template.

`transformers` takes half a second and 25 MB more to give the same ids. A folder is read here only where its tokenizer.json is
used as it stands and its other files say nothing that would change it; every other one is left to `AutoTokenizer`.

    tokenizer = tokenizer_at("model")
    tokenizer("some words", add_special_tokens=False)["input_ids"]
    tokenizer.save_pretrained(Path("again"))        # AutoTokenizer loads it
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

from tokenizers import Tokenizer

from trueline.models.chat import render

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")  # those that take tokenizer.json as it stands
FAMILIES = ("llama", "qwen3")  # model types for which `AutoTokenizer` believes the class that a folder names
SETTINGS = frozenset(  # keys of tokenizer_config.json that change nothing of what is computed here
    {
        *NAMED, "added_tokens_decoder", "additional_special_tokens", "backend", "chat_template", "clean_up_tokenization_spaces",
        "extra_special_tokens", "is_local", "local_files_only", "model_input_names", "model_max_length", "padding_side",
        "tokenizer_class", "truncation_side",
    }
)  # fmt: skip
OTHERS = ("special_tokens_map.json", "added_tokens.json", "additional_chat_templates", "chat_template.json")
UNLIMITED = int(1e30)  # what `transformers` writes for a tokenizer that knows no longest text


@dataclass(eq=False)
class FastTokenizer:
    """What a `PreTrainedTokenizerFast` of the same folder computes, by the same names."""

    core: Tokenizer
    config: dict[str, Any]  # tokenizer_config.json
    chat_template: str | None = None
    is_fast: ClassVar[bool] = True  # as `transformers` says of its own: the core is that of `tokenizers`

    @property
    def backend_tokenizer(self) -> Tokenizer:
        return self.core

    @property
    def bos_token(self) -> str | None:
        return self.config.get("bos_token")

    @property
    def eos_token(self) -> str | None:
        return self.config.get("eos_token")

    @property
    def pad_token(self) -> str | None:
        return self.config.get("pad_token")

    @property
    def unk_token(self) -> str | None:
        return self.config.get("unk_token")

    @property
    def bos_token_id(self) -> int | None:
        return self._id(self.bos_token)

    @property
    def eos_token_id(self) -> int | None:
        return self._id(self.eos_token)

    @property
    def pad_token_id(self) -> int | None:
        return self._id(self.pad_token)

    @property
    def unk_token_id(self) -> int | None:
        return self._id(self.unk_token)

    @property
    def model_max_length(self) -> int:
        return self.config.get("model_max_length") or UNLIMITED

    @property
    def special_tokens_map(self) -> dict[str, str]:
        return {name: self.config[name] for name in NAMED if self.config.get(name) is not None}

    def __len__(self) -> int:
        return self.core.get_vocab_size(with_added_tokens=True)

    def __call__(
        self, text: str, add_special_tokens: bool = True, return_offsets_mapping: bool = False, verbose: bool = True
    ) -> dict[str, list[Any]]:
        """Ids of one text, and if asked the characters that each stands for. `verbose` changes nothing: nothing is said."""
        del verbose
        encoded = self.core.encode(text, add_special_tokens=add_special_tokens)
        found: dict[str, list[Any]] = {"input_ids": encoded.ids}
        return found | {"offset_mapping": encoded.offsets} if return_offsets_mapping else found

    def decode(
        self, ids: Sequence[int], skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> str:
        """The text of ids. Nothing is cleaned up: a folder that wants it is not read here."""
        del clean_up_tokenization_spaces
        return self.core.decode(list(ids), skip_special_tokens=skip_special_tokens)

    @overload
    def convert_ids_to_tokens(self, ids: int) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]: ...
    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> str | list[str]:
        return self.core.id_to_token(ids) if isinstance(ids, int) else [self.core.id_to_token(i) for i in ids]

    def get_vocab(self) -> dict[str, int]:
        return self.core.get_vocab(with_added_tokens=True)

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, object]],
        tools: Sequence[Mapping[str, object]] | None = None,
        tokenize: Literal[False] = False,
        add_generation_prompt: bool = False,
    ) -> str:
        """The text of a conversation under the chat template; it becomes ids in `tokens.Codec`."""
        del tokenize
        if self.chat_template is None:
            raise ValueError("this tokenizer has no chat template; set chat_template")
        return render(self.chat_template, messages, tools, add_generation_prompt, self.special_tokens_map)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write tokenizer.json, tokenizer_config.json and the template, in the form in which `transformers` writes them."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {key: value for key, value in self.config.items() if key != "chat_template"}
        text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
        if self.chat_template is not None:
            (folder / "chat_template.jinja").write_text(self.chat_template, encoding="utf-8")
        self.core.save(str(folder / "tokenizer.json"))

    def ordinary(self) -> PreTrainedTokenizerFast:
        """The same tokenizer as one of `transformers`, which can be changed by its methods."""
        from transformers import PreTrainedTokenizerFast  # takes half a second to import

        left_out = ("tokenizer_class", "backend", "chat_template")
        rest = {key: value for key, value in self.config.items() if key not in left_out}
        return PreTrainedTokenizerFast(tokenizer_object=self.core, chat_template=self.chat_template, **rest)

    def _id(self, token: str | None) -> int | None:
        return None if token is None else self.core.token_to_id(token)


def tokenizer_at(source: str) -> FastTokenizer | PreTrainedTokenizerBase:
    """The tokenizer of a folder or a hub name; code that lies there is never run."""
    found = read_tokenizer(Path(source))
    if found is not None:
        return found
    from transformers import AutoTokenizer  # takes half a second to import

    return AutoTokenizer.from_pretrained(source, trust_remote_code=False)


def read_tokenizer(folder: Path) -> FastTokenizer | None:
    """The tokenizer of a plain folder; None where `transformers` must read it, or say what is wrong with it."""
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        model = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not _plain(config, model) or any((folder / name).exists() for name in OTHERS):
            return None
        core = Tokenizer.from_file(str(folder / "tokenizer.json"))
        template = folder / "chat_template.jinja"
        chat = template.read_text(encoding="utf-8") if template.is_file() else config.get("chat_template")
        found = FastTokenizer(core, config, chat)
        return found if _exact(found) else None
    except Exception:
        return None


def _plain(config: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    """Whether the settings say no more than which tokens are special, and how a conversation is written."""
    return (
        config.get("tokenizer_class") in CLASSES
        and model.get("model_type") in FAMILIES
        and SETTINGS.issuperset(config)
        and all(isinstance(config.get(name), str | None) for name in (*NAMED, "chat_template"))
        and not config.get("clean_up_tokenization_spaces")
    )


def _exact(tokenizer: FastTokenizer) -> bool:
    """Whether the core knows every special token, so that nothing would be added to it; texts are neither cut nor filled."""
    core, added = tokenizer.core, tokenizer.core.get_added_tokens_decoder()
    extra = [*(tokenizer.config.get("additional_special_tokens") or []), *(tokenizer.config.get("extra_special_tokens") or [])]
    special = {token.content for token in added.values() if token.special}
    listed = tokenizer.config.get("added_tokens_decoder") or {}
    same = all(
        int(index) in added and all(getattr(added[int(index)], key) == value for key, value in token.items())
        for index, token in listed.items()
    )
    named = special.issuperset([*tokenizer.special_tokens_map.values(), *extra])
    return named and same and core.truncation is None and core.padding is None
