"""`secrets`: what opens doors is taken out, placeholders and prose are left. Every token here is made up on the spot."""

from __future__ import annotations

import base64
import random
import re
import string

import pytest

from tests.guard.rails.fakes import asked, check, edited, pieces, said
from trueline.core.config import ConfigError
from trueline.core.types import Conversation
from trueline.guard.exchange import Exchange, Piece
from trueline.guard.rails import Secrets
from trueline.guard.rails.secret_rules import RULES
from trueline.guard.rails.secrets import entropy

DRAW = random.Random(7)


def made(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Random characters."""
    return "".join(DRAW.choice(alphabet) for _ in range(length))


HEX = "0123456789abcdef"
TOKENS = {
    "aws_access_key": "AKIA" + made(16, string.ascii_uppercase + "234567"),
    "gcp_api_key": "AIza" + made(35),
    "github_token": "ghp_" + made(36),
    "github_fine_grained": "github_pat_" + made(82),
    "gitlab_token": "glpat-" + made(20),
    "slack_token": "xoxb-" + made(12, string.digits) + "-" + made(24),
    "slack_webhook": "hooks.slack.com/services/T" + made(8) + "/B" + made(8) + "/" + made(24),
    "stripe_key": "sk_live_" + made(24),
    "openai_key": "sk-proj-" + made(40) + "T3BlbkFJ" + made(40),
    "anthropic_key": "sk-ant-api03-" + made(95),
    "huggingface_token": "hf_" + made(34, string.ascii_letters),
    "npm_token": "npm_" + made(36),
    "pypi_token": "pypi-AgEIcHlwaS5vcmc" + made(80),
    "sendgrid_key": "SG." + made(22) + "." + made(43),
    "telegram_token": "123456789:AA" + made(33),
    "digitalocean_token": "dop_v1_" + made(64, HEX),
    "databricks_token": "dapi" + made(32, HEX),
    "shopify_token": "shpat_" + made(32, HEX),
    "vault_token": "hvs." + made(90),
    "jwt": "eyJ" + made(30) + ".eyJ" + made(60) + "." + made(43),
    "discord_token": "M" + made(24) + "." + made(6) + "." + made(38),
}


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_is_taken_out(name):
    """A token of each format gives way to the name of its rule, on both sides."""
    for exchange, side in ((asked(f"use {TOKENS[name]} please"), "input"), (said(f"use {TOKENS[name]} please"), "output")):
        ruling = check(Secrets(), exchange, side)
        assert edited(ruling, exchange, side) == f"use [{name}] please"


def test_there_are_rules_for_many_services():
    """More than sixty services have a format, and no two rules one name."""
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names)) > 100
    assert len({re.split("_", name)[0] for name in names}) > 60


def test_a_private_key_goes_whole():
    """All lines of a key go, the footer too, and prose about keys stays."""
    body = "\n".join(made(64) for _ in range(6)) + "\n" + made(20) + "=="
    exchange = asked(f"here:\n-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\nthanks")
    assert edited(check(Secrets(), exchange), exchange) == "here:\n[private_key]\nthanks"
    escaped = asked('{"k": "-----BEGIN PRIVATE KEY-----\\n' + body.replace("\n", "\\n") + '\\n-----END PRIVATE KEY-----\\n"}')
    assert "[private_key]" in edited(check(Secrets(), escaped), escaped)
    assert check(Secrets(), asked("a file that starts with -----BEGIN PRIVATE KEY----- is a key")).action == "allow"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgres://app:s3cr3t-Pw@db.example.org/x", "postgres://app:[url_password]@db.example.org/x"),
        ("password = 'hunter2-Blue9'", "password = '[password]'"),
        ('{"api_key": "q8Zr2mLp0x"}', '{"api_key": "[password]"}'),
        ("export DB_PASSWORD=q8Zr2mLp0x; run", "export DB_PASSWORD=[password]; run"),
        ("The password is Tr0ub4dor&3 today", "The password is [password] today"),
    ],
)
def test_an_assigned_password_goes_and_its_name_stays(text, left):
    """Only the value is taken out."""
    exchange = asked(text)
    assert edited(check(Secrets(), exchange), exchange) == left


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "x" * 36,
        "AKIAIOSFODNN7EXAMPLE",
        "password = os.environ['DB_PASSWORD']",
        "password: ${DB_PASSWORD}",
        "api_key=YOUR_API_KEY_1",
        "password=<your password>",
        "the password is required, and the token is limited",
        "password: sunshine",
        "token = tokenizer.encode(text)",
        "secret: https://example.org/page/12",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "max_tokens: 4096, top_p: 0.95",
        "uuid 550e8400-e29b-41d4-a716-446655440000",
        "http://example.org:8080/a@b",
    ],
)
def test_placeholders_code_and_prose_are_left(text):
    """What stands for a secret, reads it from elsewhere, or only speaks of it, is none."""
    assert check(Secrets(), asked(text)).action == "allow"


def test_a_value_under_a_telling_key_goes():
    """Where key and value are pieces of their own, the path tells."""
    piece = Piece(side="input", place="tool_call", text="q8Zr2mLp0x", path=("messages", 1, "input", "dbPassword"))
    token = Piece(side="input", place="other", text="Hello1!", path=("logprobs", 0, "token"))
    exchange = Exchange(endpoint="messages", conversation=Conversation(), asked=(piece, token))
    ruling = check(Secrets(), exchange)
    assert [(edit.path, edit.text) for edit in ruling.edits] == [(piece.path, "[password]")]


def test_a_token_in_base64_takes_its_run_with_it():
    """The whole encoded run gives way."""
    exchange = asked("see " + base64.b64encode(f"key {TOKENS['github_token']}".encode()).decode())
    assert "[github_token]" in edited(check(Secrets(), exchange), exchange)


def test_what_is_allowed_passes_as_it_is_written():
    """A token on the list passes, another does not."""
    rail = Secrets(allow=(TOKENS["github_token"],))
    assert check(rail, asked(TOKENS["github_token"])).action == "allow"
    assert check(rail, asked(TOKENS["npm_token"])).action == "redact"


def test_assignments_are_turned_off():
    """Without them only formats count."""
    assert check(Secrets(assigned=False), asked("password = 'hunter2-Blue9'")).action == "allow"


def test_the_floor_decides():
    """A body below the floor is no token."""
    token = "ghp_" + "ab" * 18
    assert check(Secrets(entropy=1.0), asked(token)).action == "redact"
    assert check(Secrets(entropy=3.0), asked(token)).action == "allow"


def test_entropy_is_that_of_the_letters():
    """Equal shares of 2^n letters have n bits."""
    assert [entropy("ab" * 8), entropy("abcdefgh"), entropy("")] == [1.0, 3.0, 0.0]


def test_a_floor_that_is_none_is_refused():
    """Bits a character are 0 to 6."""
    with pytest.raises(ConfigError, match="entropy"):
        Secrets(entropy=9)


def test_several_pieces_are_read():
    """Each piece has its own edits."""
    both = Exchange(endpoint="chat", conversation=Conversation(), asked=pieces("hi", f"x {TOKENS['npm_token']}"))
    assert {edit.path[2] for edit in check(Secrets(), both).edits} == {1}
