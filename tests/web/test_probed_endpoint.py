"""A probed model behind HTTP: clients can tell what was stopped, and of everything else nothing changes.

pytest tests/web/test_probed_endpoint.py
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.calling import trueline
from tests.models.small import tiny_policy
from tests.targets.test_probed import halving
from tests.web.asking import HELLO, app_of, ask, events
from trueline.targets.local import LocalModel
from trueline.targets.probed import MESSAGE, Probed

DRAWN = re.compile(r'"(id|created)":[^,}]+')  # what is another each time
BODY = {**HELLO, "temperature": 1.0, "seed": 3, "max_tokens": 6}


def serving(stop: bool):
    """A model behind a probe that stops everything, or nothing; and the same model alone."""
    model = LocalModel(tiny_policy(), "tiny")
    target = Probed(model, replace(halving(model), threshold=-1e9 if stop else 1e9))
    return app_of(target, spelling=target), app_of(model)


def test_what_was_stopped_ends_as_a_filter_ends_it():
    """Whole, with log-probabilities and in a stream: the message, and the finish reason that clients know."""
    app, _ = serving(stop=True)
    whole, spelled, stream = ask(app, BODY, {**BODY, "logprobs": True}, {**BODY, "stream": True})
    for response in (whole, spelled):
        (choice,) = response.json()["choices"]
        assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", MESSAGE)
    assert [token["token"] for token in spelled.json()["choices"][0]["logprobs"]["content"]] == [MESSAGE]
    told = [piece["choices"][0] for piece in events(stream)]
    assert "".join(choice["delta"].get("content", "") for choice in told) == MESSAGE
    assert told[-1]["finish_reason"] == "content_filter"


def test_what_passes_is_told_as_without_a_probe():
    """To the byte but for ids and the time: whole, streamed, in several choices and with log-probabilities."""
    bodies = [BODY, {**BODY, "stream": True}, {**BODY, "n": 2}, {**BODY, "logprobs": True, "top_logprobs": 2}]
    app, alone = serving(stop=False)
    for one, other in zip(ask(app, *bodies), ask(alone, *bodies), strict=True):
        assert one.status_code == 200
        assert DRAWN.sub("", one.text) == DRAWN.sub("", other.text)


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/v1#far", "openai:gpt-x"])
def test_a_remote_target_cannot_have_a_probe(target, tmp_path, monkeypatch):
    """Bad usage, in one line that says where a probe belongs."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    ended = trueline("serve", target, "--probe", tmp_path, "--port", "0")
    assert ended.code == 2
    assert "expected a model in this process" in ended.err


def test_a_probe_of_another_model_is_not_served(tmp_path):
    """Refused before a connection is taken."""
    other = LocalModel(tiny_policy(seed=1), "other")
    halving(other).save(tmp_path / "probe")
    tiny_policy().save(tmp_path / "model")
    ended = trueline("serve", tmp_path / "model", "--probe", tmp_path / "probe", "--port", "0", "--threads", "1")
    assert ended.code == 2
    assert "one of another" in ended.err
