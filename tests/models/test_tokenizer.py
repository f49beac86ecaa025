"""The plain tokenizer gives what `transformers` gives from the same folder: ids, offsets, words, conversations and files."""

import json

import pytest
from jinja2 import TemplateError
from jinja2.exceptions import SecurityError
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.models.small import random_policy, tiny_policy
from trueline.core.types import Conversation, Tool, ToolCall
from trueline.models.policy import Policy
from trueline.models.tokenizer import FastTokenizer, read_tokenizer, tokenizer_at
from trueline.models.tokens import Codec, train_tokenizer

TEXTS = ("hello <|end|>world", " two  spaces\n\ttabs ", "naïve café 日本語 🙂", "", "<pad><eos>")
MESSAGES = [
    {"role": "system", "content": "Say <b>\"it\"</b> & 'go'"},
    {"role": "user", "content": "  é\n"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
    },
    {"role": "tool", "content": "7", "tool_call_id": "1", "name": None},
    {"role": "assistant", "content": "done"},
]
TOOLS = [{"type": "function", "function": {"name": "f", "description": "adds é <1>"}}]
TEMPLATES = {
    "blocks": "{% for m in messages %}\n    {% if loop.first %}\n  1\n    {% endif %}\n{{ m['content'] }}\n{% endfor %}\n",
    "json": "{{ messages | tojson }}|{{ tools | tojson(indent=2) }}|{{ {'b': 1, 'a': 'é<'} | tojson(sort_keys=true) }}",
    "escapes": "{{ tools | tojson(ensure_ascii=true, separators=(',', ':')) }}",
    "loops": "{% for m in messages %}{% if m.role == 'tool' %}{% break %}{% endif %}{% continue %}{% endfor %}end",
    "names": "{{ bos_token }}{{ eos_token }}{{ unk_token }}|{{ cls_token is defined }}|{{ documents is none }}",
    "state": "{% set n = namespace(i=0) %}{% for m in messages %}{% set n.i = n.i + 1 %}{% endfor %}{{ n.i }}{{ dict(a=1).a }}",
    "said": "{% for m in messages %}{% generation %}{% set x = 1 %}{{ m.content }}{% endgeneration %}{{ x }}{% endfor %}",
    "absent": "{{ messages[3].name is defined }}{{ messages[3].get('name', 'no') }}{{ messages[1].content | trim }}",
    "prompt": "{% if add_generation_prompt %}go{% endif %}{{ strftime_now('%Y') }}",
}


def trained(template: str | None = None) -> FastTokenizer:
    """A byte-level tokenizer with one more special token."""
    tokenizer = train_tokenizer(["hello world, the cat sat on the mat"] * 5, 320)
    tokenizer.core.add_special_tokens(["<|end|>"])
    tokenizer.chat_template = template or tokenizer.chat_template
    return tokenizer


@pytest.fixture
def pair(tmp_path):
    """One folder of a known family, read here and by transformers."""
    policy = tiny_policy()
    policy.codec = Codec.of(trained())
    policy.save(tmp_path)
    ours, theirs = tokenizer_at(str(tmp_path)), AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(ours, FastTokenizer)
    return ours, theirs


def test_ids_offsets_and_words_are_those_of_transformers(pair):
    """Every method that the package calls answers the same."""
    ours, theirs = pair
    for text in TEXTS:
        asked = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
        found, expected = ours(text, **asked), theirs(text, **asked)
        assert found["input_ids"] == expected["input_ids"]
        assert found["offset_mapping"] == expected["offset_mapping"]
        ids = found["input_ids"]
        assert ours.convert_ids_to_tokens(ids) == theirs.convert_ids_to_tokens(ids)
        for skip in (True, False):
            assert ours.decode(ids, skip_special_tokens=skip) == theirs.decode(ids, skip_special_tokens=skip)
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        assert getattr(ours, name) == getattr(theirs, name)
        assert getattr(ours, f"{name}_id") == getattr(theirs, f"{name}_id")
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert (len(ours), ours.get_vocab()) == (len(theirs), theirs.get_vocab())
    assert ours.model_max_length == theirs.model_max_length
    assert ours.convert_ids_to_tokens(5) == theirs.convert_ids_to_tokens(5)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("generation", [True, False])
def test_templates_read_as_in_transformers(pair, name, generation):
    """Whitespace, filters, loops, names and the tags of its own render the same, with tools and without."""
    ours, theirs = pair
    ours.chat_template = theirs.chat_template = TEMPLATES[name]
    for tools in (TOOLS, None):
        asked = {"tools": tools, "tokenize": False, "add_generation_prompt": generation}
        assert ours.apply_chat_template(MESSAGES, **asked) == theirs.apply_chat_template(MESSAGES, **asked)


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("{{ raise_exception('no') }}", TemplateError),
        ("{{ messages.append(1) }}", SecurityError),
        ("{{ ''.__class__.__mro__ }}", SecurityError),
        ("{% set n = namespace(_x=1) %}", SecurityError),
        ("{% set n = namespace() %}{% set n.__class__ = 1 %}", SecurityError),
        ("{{ messages | nothing }}", TemplateError),
        ("{% if %}", TemplateError),
    ],
)
def test_templates_are_refused_as_in_transformers(pair, template, error):
    """What a template may not do, and what is broken, raises the same error in both."""
    for tokenizer in pair:
        tokenizer.chat_template = template
        with pytest.raises(error):
            tokenizer.apply_chat_template(MESSAGES, tokenize=False)


def test_nothing_said_is_an_error_in_both(pair):
    """There is no conversation without a message."""
    for tokenizer in pair:
        with pytest.raises(ValueError, match="at least one message"):
            tokenizer.apply_chat_template([], tokenize=False)


def test_a_codec_is_the_same_on_either(pair):
    """Examples, their loss masks and prompts do not depend on who read the folder."""
    talk = Conversation(tools=(Tool(name="f", description="adds"),)).say("user", "hello")
    talk = talk.say("assistant", "the cat", (ToolCall(name="f", arguments="1"),)).say("tool", "7").say("assistant", "sat")
    ours, theirs = (Codec.of(tokenizer) for tokenizer in pair)
    assert ours.example(talk) == theirs.example(talk)
    assert ours.prompt(talk) == theirs.prompt(talk)
    assert ours.document("the mat") == theirs.document("the mat")
    assert ours.text(ours.ids("the mat")) == theirs.text(ours.ids("the mat"))


def test_a_folder_of_transformers_is_read_and_written_back(tmp_path, pair):
    """Files that transformers wrote come out as they went in, byte for byte; what was changed is read there."""
    _, theirs = pair
    tiny_policy().save(tmp_path / "theirs")
    theirs.save_pretrained(tmp_path / "theirs")
    ours = read_tokenizer(tmp_path / "theirs")
    ours.save_pretrained(tmp_path / "ours")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    ours.chat_template = "{{ messages[0].content }} é\r\n"
    tiny_policy().save(tmp_path / "ours")
    ours.save_pretrained(tmp_path / "ours")
    again = AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert again.chat_template == read_tokenizer(tmp_path / "ours").chat_template
    assert again.get_vocab() == ours.get_vocab()
    assert again.special_tokens_map == ours.special_tokens_map


def test_the_twin_can_be_changed(pair):
    """The same tokenizer as one of transformers encodes alike, and leaves ours as it is when it grows."""
    ours, _ = pair
    twin = ours.ordinary()
    assert isinstance(twin, PreTrainedTokenizerFast)
    assert all(twin(t, add_special_tokens=False)["input_ids"] == ours(t, add_special_tokens=False)["input_ids"] for t in TEXTS)
    assert (twin.special_tokens_map, twin.chat_template) == (ours.special_tokens_map, ours.chat_template)
    before = len(ours)
    twin.add_tokens(["zebra"])
    assert (len(ours), len(twin)) == (before, before + 1)


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer_class": "Qwen2Tokenizer"},
        {"tokenizer_class": None},
        {"auto_map": {"AutoTokenizer": "mine.Mine"}},
        {"clean_up_tokenization_spaces": True},
        {"split_special_tokens": True},
        {"image_token": "<image>"},
        {"cls_token": "<not there>"},
        {"eos_token": {"__type": "AddedToken", "content": "<eos>"}},
        {"chat_template": [{"name": "default", "template": "x"}]},
        {"added_tokens_decoder": {"0": {"content": "<pad>", "lstrip": True}}},
        {"extra_special_tokens": ["<new>"]},
    ],
)
def test_a_folder_that_says_more_is_left_to_transformers(tmp_path, change):
    """Whatever could change an id or a text beyond tokenizer.json is read by transformers."""
    tiny_policy().save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert read_tokenizer(tmp_path) is None


def test_files_that_say_more_are_left_to_transformers(tmp_path):
    """So is a folder with further files of tokens, one that cuts its texts, one of another family, and a torn one."""
    tiny_policy().save(tmp_path)
    assert read_tokenizer(tmp_path) is not None
    for name in ("special_tokens_map.json", "added_tokens.json"):
        (tmp_path / name).write_text("{}")
        assert read_tokenizer(tmp_path) is None
        (tmp_path / name).unlink()
    core = read_tokenizer(tmp_path).core
    core.enable_truncation(8)
    core.save(str(tmp_path / "tokenizer.json"))
    assert read_tokenizer(tmp_path) is None
    (tmp_path / "tokenizer.json").write_text("{")
    assert read_tokenizer(tmp_path) is None
    random_policy("gpt2").save(tmp_path / "gpt2")
    assert read_tokenizer(tmp_path / "gpt2") is None
    assert Policy.load(tmp_path / "gpt2").codec.tokenizer.eos_token == "<eos>"
