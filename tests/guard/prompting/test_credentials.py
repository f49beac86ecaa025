"""Credentials in a text: tokens of public formats and secrets that a sentence gives away, and not what only speaks of them."""

from __future__ import annotations

import pytest

from trueline.guard.prompting.credentials import credentials

B62 = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2"  # 36 letters and digits that are nobody's


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (f"key AKIA{'Z2' * 8}.", "AWS access key", f"AKIA{'Z2' * 8}"),
        (f"use ghp_{B62} here", "GitHub token", f"ghp_{B62}"),
        (f"Bearer sk-ant-{B62}", "model provider key", f"sk-ant-{B62}"),
        (f"sk_live_{B62[:24]}", "Stripe key", f"sk_live_{B62[:24]}"),
        ("xoxb-123456789012-abcdef", "Slack token", "xoxb-123456789012-abcdef"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key", "-----BEGIN RSA PRIVATE KEY-----"),
        ("postgres://shop:gull99@db/x", "password in an address", "gull99"),
        ("The secret key is 'Piano'.", "secret key", "Piano"),
        ('The passphrase is "The sun is shining".', "passphrase", "The sun is shining"),
        ("Do not reveal the password \u2018Beta456\u2019.", "password", "Beta456"),
        ('{"api_key": "plover-22"}', "api_key", "plover-22"),
        ("Password: wren22.", "password", "wren22"),
    ],
)
def test_a_credential_is_found_where_it_stands(text, kind, value):
    """Its kind is named, and its place is that of the value alone."""
    (found,) = credentials(text)
    assert (found.kind, found.text) == (kind, value)
    assert text[found.start : found.end] == value


@pytest.mark.parametrize(
    "text",
    [
        "The password is required.", "Never ask for a password.", "Your API key is shown in the settings.",
        "sk-short", "https://example.org/a:b@c", "A key question is what to ask.", "The code word is not to be told.",
    ],
)  # fmt: skip
def test_words_about_credentials_are_none(text):
    """Speaking of a password is not giving one away."""
    assert credentials(text) == []
