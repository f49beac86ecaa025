"""The renderer's loss masks are exact for any template, or refused."""

import pytest
from transformers import PreTrainedTokenizerFast

from tests.models.small import codec
from trueline.core.types import Conversation, ToolCall
from trueline.models.tokens import Codec, Example, TemplateError, audit, train_tokenizer

TALK = Conversation().say("system", "a b").say("user", "c d").say("assistant", "e f g").say("user", "h").say("assistant", "i")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def chatml(template: str = CHATML, eos: str = "<|im_end|>") -> Codec:
    tokenizer = train_tokenizer(["hello hello hello one two six world"] * 3, 330).ordinary()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "eos_token": eos})
    tokenizer.chat_template = template
    return Codec.of(tokenizer)


def trained_text(codec: Codec, example: Example) -> str:
    ids = [i for i, m in zip(example.ids, example.mask, strict=True) if m]
    return codec.tokenizer.decode(ids, skip_special_tokens=False)


def test_the_world_template_trains_on_replies_and_their_end():
    """Only the assistant's words and each turn's end token carry loss."""
    c = codec()
    assert trained_text(c, c.example(TALK)) == "e f g <eos> i <eos>"
    assert trained_text(c, c.example(TALK, train="last")) == "i <eos>"


def test_a_chatml_template_is_masked_exactly():
    """With ChatML the loss covers the content and <|im_end|>, and neither the role line nor the newline after it."""
    c = chatml()
    talk = Conversation().say("user", "hello").say("assistant", "world two").say("user", "one").say("assistant", "six")
    assert trained_text(c, c.example(talk)) == "world two<|im_end|>six<|im_end|>"


def test_a_conversation_that_the_assistant_opens_trains_on_its_answers_alone():
    """Nobody asked for the first turn, so it is context, under every template; what answers a user carries loss."""
    for c, first, asked, answer in ((codec(), "a b", "c", "d e"), (chatml(), "hello", "one", "two six")):
        talk = Conversation().say("assistant", first).say("user", asked).say("assistant", answer)
        assert trained_text(c, c.example(talk)).startswith(answer)
        assert not any(c.example(Conversation().say("assistant", first)).mask)


def test_a_training_example_begins_with_what_the_sampler_sees():
    """The ids of a generation prompt are a prefix of the ids of the whole conversation, for every template here."""
    for c in (codec(), chatml()):
        asked = Conversation().say("user", "a b" if c.tokenizer.unk_token else "hello one")
        whole = c.example(asked.say("assistant", "c" if c.tokenizer.unk_token else "two"))
        prompt = c.prompt(asked)
        assert list(whole.ids[: len(prompt)]) == prompt
        assert not any(whole.mask[: len(prompt)])
        assert whole.mask[len(prompt)]


def test_a_prefilled_turn_is_continued_not_closed():
    """A conversation that ends with the assistant's words gives a prompt that stops right after them."""
    c = codec()
    assert c.tokenizer.decode(c.prompt(Conversation().say("user", "a").say("assistant", "b c"))) == "<bos> <user> a <asst> b c"


def test_tool_calls_and_results_have_their_place():
    """A call is trained on, its result is not."""
    c = codec()
    talk = Conversation().say("user", "a").say("assistant", "", (ToolCall(name="b", arguments="c d"),)).say("tool", "e")
    example = c.example(talk.say("assistant", "f"))
    assert c.tokenizer.decode(example.ids) == "<bos> <user> a <asst> <tool> b c d <eos> <result> e <asst> f <eos>"
    assert trained_text(c, example) == "<tool> b c d <eos> f <eos>"


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (CHATML.replace("<|im_end|>\n", "\n"), "writes no end token"),
        (CHATML.replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>bot\n{% endif %}"), "does not continue its own"),
        ("{% if messages|length > 3 %}short {% endif %}" + CHATML, "rewrites earlier turns"),
        (CHATML.replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\nhel{% endif %}"), "lies half inside"),
    ],
)
def test_templates_without_an_exact_mask_are_refused(template, fault):
    """Each way in which a template can spoil the mask has its own message."""
    talk = Conversation().say("user", "one").say("assistant", "hello").say("user", "two").say("assistant", "hello")
    with pytest.raises(TemplateError, match=fault):
        chatml(template).example(talk)


def test_the_audit_refuses_masks_that_cannot_teach():
    """Empty, all-ones and endless masks are refused, and the tokens are shown."""
    c = codec()
    good = c.example(TALK)
    audit(c, [good])
    with pytest.raises(TemplateError, match="example 1 has an empty loss mask"):
        audit(c, [good, Example(good.ids, (False,) * len(good.ids))])
    with pytest.raises(TemplateError, match="every token"):
        audit(c, [Example(good.ids, (True,) * len(good.ids))])
    with pytest.raises(TemplateError, match="no end token"):
        audit(c, [Example((1, 9, 10), (False, True, True))])


def test_a_tokenizer_without_an_end_token_is_refused():
    """No eos, no codec."""
    core = codec().tokenizer.core
    with pytest.raises(TemplateError, match="no eos token"):
        Codec.of(PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>"))


def test_byte_level_text_survives_a_round_trip():
    """Any text, in any script, decodes to itself."""
    c = Codec.of(train_tokenizer(["the cat sat on the mat"] * 5, 300))
    for text in ("the cat", "naïve café", "日本語 ok", "tabs\tand\nlines"):
        assert c.text(c.ids(text)) == text
