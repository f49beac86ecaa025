"""Targets around targets: a script, a memory on disk, a deployment."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from trueline.core.ports import Target
from trueline.core.types import GREEDY, Conversation, Message, Sampling, Tool, ToolCall
from trueline.targets.errors import TargetError
from trueline.targets.wrappers import Cached, Deployment, Scripted

HELLO = Conversation().say("user", "hello")


def reply(target: Target, conversation: Conversation = HELLO, sampling: Sampling = GREEDY):
    return asyncio.run(target.reply(conversation, sampling))


def echo(conversation: Conversation) -> str:
    return conversation.messages[-1].text[::-1]


def test_every_wrapper_is_a_target(tmp_path):
    """A wrapper can stand wherever a target can."""
    script = Scripted(answers=echo)
    for target in (script, Cached(target=script, folder=tmp_path), Deployment(label="d", target=script)):
        assert isinstance(target, Target)
        assert reply(target).text == "olleh"


def test_a_script_answers_in_order_and_remembers():
    """Texts and messages one after the other; what was asked is kept; at its end it says so."""
    call = ToolCall(name="find", arguments="{}")
    script = Scripted(answers=("one", Message(role="assistant", text="two", tool_calls=(call,))))
    assert reply(script).text == "one"
    assert reply(script, HELLO.say("user", "again")).tool_calls == (call,)
    assert [len(asked.messages) for asked in script.asked] == [1, 2]
    with pytest.raises(TargetError, match="2 answers and was asked once more"):
        reply(script)


def test_what_was_answered_is_not_asked_again(tmp_path):
    """The second time the answer comes from the folder, also for another object and another id of the conversation."""
    call = ToolCall(name="find", arguments="{", id="c1")
    script = Scripted(answers=(Message(role="assistant", text="é\ud800", tool_calls=(call,)),))
    first = reply(Cached(target=script, folder=tmp_path))
    renamed = replace(HELLO, id="other")
    again = reply(Cached(target=script, folder=tmp_path), renamed)
    assert len(script.asked) == 1
    assert again == replace(first, prompt=again.prompt)
    assert again.prompt.conversation == renamed


def test_another_question_is_another_question(tmp_path):
    """Name, words, roles, tools, temperature, seed and limit each make a question of its own."""
    script = Scripted(answers=lambda _: "x")
    cached = Cached(target=script, folder=tmp_path)
    asked = [
        (cached, HELLO, GREEDY),
        (cached, HELLO.say("user", ""), GREEDY),
        (cached, Conversation().say("system", "hello"), GREEDY),
        (cached, replace(HELLO, tools=(Tool(name="find"),)), GREEDY),
        (cached, HELLO, replace(GREEDY, temperature=0.5)),
        (cached, HELLO, replace(GREEDY, seed=1)),
        (cached, HELLO, replace(GREEDY, max_tokens=1)),
        (Cached(target=Scripted(answers=lambda _: "x", name="other"), folder=tmp_path), HELLO, GREEDY),
    ]
    for target, conversation, sampling in asked:
        reply(target, conversation, sampling)
    assert len(list(tmp_path.glob("*/*.json"))) == len(asked)


@pytest.mark.parametrize("torn", [b"", b'{"prompt": ', b"\xff\xfe", b"[]", b'{"text": "x"}', b"null"])
def test_a_torn_file_is_asked_anew(tmp_path, torn):
    """Whatever is left of an answer that was not written whole is passed over, and replaced."""
    script = Scripted(answers=("one", "two"))
    cached = Cached(target=script, folder=tmp_path)
    reply(cached)
    (file,) = tmp_path.glob("*/*.json")
    file.write_bytes(torn)
    assert reply(cached).text == "two"
    assert reply(cached).text == "two"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [file.name]


def test_a_killed_writers_leftovers_do_no_harm(tmp_path):
    """A temporary file that nobody finished is not read and not in the way."""
    script = Scripted(answers=("one",))
    cached = Cached(target=script, folder=tmp_path)
    key = cached.key(HELLO, GREEDY)
    (tmp_path / key[:2]).mkdir()
    (tmp_path / key[:2] / f".{key}.json.1-ab.tmp").write_text('{"prompt"')
    assert [reply(cached).text, reply(cached).text] == ["one", "one"]


class Slow:
    """A target that answers when it is told to."""

    name = "slow"

    def __init__(self) -> None:
        self.asked, self.go = 0, asyncio.Event()

    async def reply(self, conversation, sampling=GREEDY):
        self.asked += 1
        await self.go.wait()
        return await Scripted(answers=("done",)).reply(conversation, sampling)


def test_the_same_question_at_once_is_asked_once(tmp_path):
    """Ten ask at the same time, one question goes out; who gives up waiting takes the answer from nobody."""

    async def talk():
        slow = Slow()
        cached = Cached(target=slow, folder=tmp_path)
        waiting = [asyncio.create_task(cached.reply(HELLO)) for _ in range(10)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting[0].cancel()
        slow.go.set()
        said = await asyncio.gather(*waiting, return_exceptions=True)
        return slow.asked, said

    asked, said = asyncio.run(talk())
    assert asked == 1
    assert isinstance(said[0], asyncio.CancelledError)
    assert {completion.text for completion in said[1:]} == {"done"}


def test_a_failure_is_not_remembered(tmp_path):
    """An error is raised to who asked, and the next question is asked anew."""
    answers = iter([TargetError("busy"), "well"])

    def moody(_):
        said = next(answers)
        if isinstance(said, TargetError):
            raise said
        return said

    cached = Cached(target=Scripted(answers=moody), folder=tmp_path)
    with pytest.raises(TargetError, match="busy"):
        reply(cached)
    assert reply(cached).text == "well"


def test_a_deployment_goes_before_every_conversation():
    """One system message: its own prompt, its documents between marks, then what the conversation brings; its tools first."""
    script = Scripted(answers=lambda _: "x")
    own, brought = Tool(name="find"), Tool(name="read")
    deployed = Deployment(
        label="d", target=script, system="Be brief.", documents=("Open at nine.", "Closed\non Mondays."), tools=(own,)
    )
    said = reply(deployed, replace(Conversation().say("system", "Be kind.").say("user", "hello"), tools=(brought,)))
    (asked,) = script.asked
    system, user = asked.messages
    assert (system.role, user.text, asked.tools) == ("system", "hello", (own, brought))
    order = [
        "Be brief.",
        "<document 1>\nOpen at nine.\n</document 1>",
        "<document 2>\nClosed\non Mondays.\n</document 2>",
        "Be kind.",
    ]
    places = [system.text.index(part) for part in order]
    assert places == sorted(places)
    assert said.prompt.conversation.messages[0].text == "Be kind."
    assert said.model == deployed.name


def test_a_bare_deployment_adds_nothing():
    """Without settings the conversation arrives as it was put."""
    script = Scripted(answers=lambda _: "x")
    reply(Deployment(label="d", target=script))
    assert script.asked == [HELLO]


def test_a_deployment_fixes_its_sampling():
    """Temperature and limit of the deployment win over what is asked; the seed is the asker's."""
    seen = []

    class Watching:
        name = "watching"

        async def reply(self, conversation, sampling=GREEDY):
            seen.append(sampling)
            return await Scripted(answers=("x",)).reply(conversation, sampling)

    reply(Deployment(label="d", target=Watching(), temperature=0.0, max_tokens=5), sampling=Sampling(temperature=1.0, seed=7))
    assert seen == [Sampling(temperature=0.0, max_tokens=5, seed=7)]


def test_a_deployments_name_changes_with_what_is_deployed(tmp_path):
    """Every setting is part of the name, so that a memory never answers for an older version."""
    one = Deployment(label="d", target=Scripted(answers=lambda _: "x"))
    others = [
        replace(one, system="s"), replace(one, documents=("s",)), replace(one, tools=(Tool(name="s"),)),
        replace(one, temperature=0.0), replace(one, max_tokens=1), replace(one, label="e"),
        replace(one, target=Scripted(answers=lambda _: "x", name="s")),
    ]  # fmt: skip
    assert len({target.name for target in (one, *others)}) == 8
    assert one.name == replace(one).name
