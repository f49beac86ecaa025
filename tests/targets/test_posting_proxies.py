"""Proxies and certificates: a proxy of the environment is used and sees no key, and who cannot prove itself is not asked."""

from __future__ import annotations

import asyncio
import base64
import shutil
import ssl
import subprocess

import pytest

from tests.targets.serving import OK, answering, posted, send, serving
from tests.targets.toy import came
from trueline.targets.errors import UnreachableError
from trueline.targets.naming import address_of
from trueline.targets.posting import NoReplyError


@pytest.fixture
def _no_proxy(monkeypatch):
    """The environment names no proxy."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


LOGIN = b"proxy-authorization: basic " + base64.b64encode(b"me:p@ss").lower()


@pytest.mark.usefixtures("_no_proxy")
@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTP_PROXY"])
def test_a_proxy_of_the_environment_is_used(monkeypatch, variable):
    """It gets each request with its own user and password; NO_PROXY names what goes without it."""

    async def talk() -> list[bytes]:
        async with answering(OK) as (proxy, heads):
            monkeypatch.setenv(variable, proxy.replace("//", "//me:p%40ss@").removesuffix("/v1"))
            assert (await posted("http://models.test/v1")).body == b"{}"
            return heads

    (head,) = asyncio.run(talk())
    assert head.startswith(b"POST http://models.test/v1 HTTP/1.1")
    assert LOGIN in head.lower()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(lambda handler: send(handler, came(body=b"{}"))) as target:
        assert asyncio.run(posted(address_of(target).url)).body == b"{}"


@pytest.mark.usefixtures("_no_proxy")
def test_a_proxy_of_https_sees_no_key(monkeypatch):
    """It is asked for a tunnel, with its own password and without any header of the question's; a refusal of its is told."""
    heads = []

    async def serve(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async def talk() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            monkeypatch.setenv("HTTPS_PROXY", f"me:p%40ss@127.0.0.1:{server.sockets[0].getsockname()[1]}")
            with pytest.raises(NoReplyError, match="the proxy does not let the request through"):
                await posted("https://models.test/v1", authorization="secret")

    asyncio.run(talk())
    assert heads[0].startswith(b"CONNECT models.test:443 HTTP/1.1")
    assert LOGIN in heads[0].lower()
    assert b"secret" not in heads[0]


@pytest.mark.usefixtures("_no_proxy")
def test_a_proxy_of_another_kind_is_refused(monkeypatch):
    """SOCKS is not spoken here: said before anything is sent, and without the proxy's password."""
    monkeypatch.setenv("HTTP_PROXY", "socks5://me:secret@h:1")
    with pytest.raises(
        UnreachableError, match="expected a proxy http://HOST:PORT in the environment, got one of 'socks5'"
    ) as no:
        asyncio.run(posted("http://models.test/v1"))
    assert "secret" not in str(no.value)


def test_a_server_without_tls_is_told():
    """https where plain HTTP is spoken is an error of TLS."""
    with serving(lambda handler: None) as target, pytest.raises(NoReplyError, match="expected a server that speaks TLS"):
        asyncio.run(posted(address_of(target).url.replace("http:", "https:")))


@pytest.mark.skipif(not shutil.which("openssl"), reason="a certificate is made with openssl, which is not here")
def test_a_certificate_that_nobody_signed_is_told(tmp_path):
    """A server that vouches for itself is not believed, and no question reaches it."""
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "1"]
    subprocess.run(
        ["openssl", "req", "-x509", *made, "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
        check=True,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")

    async def talk() -> list[bytes]:
        async with answering(OK, tls=tls) as (url, heads):
            with pytest.raises(NoReplyError, match="expected a certificate that this machine trusts"):
                await posted(url)
            return heads

    assert asyncio.run(talk()) == []
