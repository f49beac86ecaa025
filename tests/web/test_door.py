"""Who may come in: programs that ask this machine by its own name, with the key where there is one; no web page."""

from __future__ import annotations

import logging

import pytest

from tests.web.asking import HELLO, app_of, ask, error_of, get
from trueline.targets.wrappers import Scripted
from trueline.web.door import Rules

KEY = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8000", 200), ("evil.test", 403),
        ("127.0.0.1.evil.test", 403), ("localhost.evil.test:8000", 403), ("", 403), ("[::2]:80", 403),
    ],
)  # fmt: skip
def test_a_name_that_points_here_is_not_enough(host, status):
    """A site whose name leads to 127.0.0.1 (DNS rebinding) sends that name as Host, and is turned away."""
    assert get(app_of(Scripted(answers=())), "/health", host=host).status_code == status


def test_on_an_open_address_any_name_will_do():
    """Listening for other machines, the endpoint does not know what they call it."""
    app = app_of(Scripted(answers=()), rules=Rules(loopback=False))
    assert get(app, "/health", host="models.test").status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://evil.test", 403), ("null", 403), ("http://localhost:3000", 403), ("http://127.0.0.1:8000", 200)],
)
@pytest.mark.parametrize("loopback", [True, False])
def test_web_pages_are_not_served(origin, status, loopback):
    """A browser says from which page a request comes: only our own address will do, and nothing is told to any other."""
    target = Scripted(answers=("yes",))
    (response,) = ask(app_of(target, rules=Rules(loopback=loopback)), HELLO, headers={"origin": origin})
    assert response.status_code == status
    assert len(target.asked) == (status == 200)
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (f"Bearer {KEY}", 200),
        (None, 401),
        ("", 401),
        ("Bearer wrong", 401),
        (KEY, 401),
        (f"bearer {KEY} ", 401),
        ("Bearer é", 401),
    ],
)
def test_the_key_must_be_shown(caplog, shown, status):
    """Where there is a key, no request is answered without it; it is in no error and no log."""
    app = app_of(Scripted(answers=("yes",)), rules=Rules(key=KEY))
    headers = {} if shown is None else {"authorization": shown.encode()}
    with caplog.at_level(logging.DEBUG):
        (response,) = ask(app, HELLO, headers=headers)
    assert response.status_code == status
    if status == 401:
        assert (error_of(response)["code"], response.headers["www-authenticate"]) == ("invalid_api_key", "Bearer")
    assert KEY not in response.text + caplog.text + repr(Rules(key=KEY))


def test_models_need_the_key_and_health_does_not():
    """What the endpoint serves is told to who has the key; that it lives, to anyone."""
    app = app_of(Scripted(answers=()), rules=Rules(key=KEY))
    assert get(app, "/v1/models").status_code == 401
    assert get(app, "/v1/nothing").status_code == 401
    assert get(app, "/health").status_code == 200


def test_a_path_that_is_not_there_has_the_shape_of_every_error():
    """404 and 405 are OpenAI's errors too."""
    app = app_of(Scripted(answers=()))
    assert error_of(get(app, "/v1/embeddings"))["type"] == "invalid_request_error"
    assert get(app, "/v1/chat/completions").status_code == 405
