"""A real browser for tests of pages: Playwright drives Debian's Chromium, one to each worker, a fresh profile to each test.

    def test_a_page(page, serve):
        page.goto(serve(app) + "/ranking")

What a person would not see makes the test fail: a console error, an error in a script, what the page's own policy (CSP)
stopped, a request that leaves this machine, a dialog. `faults.take("403")` takes the ones that a test expects. Nothing is
downloaded here, and Playwright's own browsers are never used; where something is absent, the tests are skipped and say how
to install it. tests/walking.py has hands that use the keyboard only, tests/accessible.py asks axe-core.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

HERE = ("127.0.0.1", "localhost")  # who may be asked
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, " + ", ".join(f"EXCLUDE {host}" for host in HERE),  # no other name has an address
)  # fmt: skip
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DARK = {"color_scheme": "dark"}
PATIENCE = 15_000  # milliseconds that an action may wait for its element; a busy machine is slow

_TELL_OF_POLICY = """document.addEventListener("securitypolicyviolation", told => console.error(
    `Content Security Policy stopped ${told.blockedURI} (${told.effectiveDirective}), line ${told.lineNumber}`))"""


def missing() -> str:
    """Say what has to be installed before a browser can be opened; nothing where all is there."""
    if not shutil.which("chromium"):
        return "no chromium on PATH: apt-get install chromium (make pages does it)"
    if not find_spec("playwright"):
        return "no Playwright: pip install playwright (make pages does it)"
    return ""


@contextmanager
def opened() -> Iterator[Browser]:
    """Open Chromium, and close it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Faults:
    """What went wrong in the contexts of one test."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._contexts: list[BrowserContext] = []

    def watch(self, context: BrowserContext) -> None:
        """Listen to all pages of a context, those that a page opens too."""
        self._contexts.append(context)
        context.add_init_script(_TELL_OF_POLICY)
        context.on("console", lambda said: said.type == "error" and self._told.append(f"console: {said.text} ({_at(said)})"))
        context.on("weberror", lambda found: self._told.append(f"script: {found.error}"))
        context.on("request", self._asked)
        context.on("dialog", self._interrupted)
        context.on("page", self._appeared)

    def all(self) -> list[str]:
        """Everything that has gone wrong so far."""
        for page in (page for context in self._contexts for page in context.pages if not page.is_closed()):
            page.evaluate("0")  # its answer comes after what the page had to tell
        return list(self._told)

    def take(self, pattern: str) -> list[str]:
        """Take out the faults in which a pattern is found; there must be one."""
        taken = [told for told in self.all() if re.search(pattern, told)]
        assert taken, f"expected a fault like {pattern!r}, got {self._told}"
        self._told = [told for told in self._told if told not in taken]
        return taken

    def _asked(self, request: Any) -> None:
        self._reached(request.url)

    def _reached(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme not in ("data", "blob", "about") and address.hostname not in HERE:
            self._told.append(f"request: {url} leaves this machine")

    def _interrupted(self, dialog: Any) -> None:
        self._told.append(f"dialog: {dialog.message!r}")
        dialog.dismiss()

    def _appeared(self, page: Page) -> None:
        page.on("crash", lambda _: self._told.append(f"crash: {page.url}"))
        page.on("websocket", lambda socket: self._reached(socket.url))


@pytest.fixture(scope="session")
def _opened() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    if words := missing():
        pytest.skip(words)
    with opened() as browser:
        loop = asyncio.get_running_loop()
        with _running(None):  # other tests of this worker run loops of their own
            yield browser, loop


@pytest.fixture
def browser(_opened: tuple[Browser, asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Give the worker's browser. `asyncio.run` works beside it, though Playwright keeps its loop marked as running."""
    browser, loop = _opened
    run = asyncio.run

    def beside(*given: Any, **options: Any) -> Any:
        with _running(None):
            return run(*given, **options)

    monkeypatch.setattr(asyncio, "run", beside)
    with _running(loop):
        yield browser


@pytest.fixture
def faults() -> Faults:
    """Give what went wrong in the test's pages."""
    return Faults()


@pytest.fixture
def new_page(browser: Browser, faults: Faults, serve: object) -> Iterator[Callable[..., Page]]:
    """Open pages, each as another person would: `new_page()`, `new_page(**PHONE)`, `new_page(**DARK)`. They close before
    what serves them ends (`serve`): a page that still loads something would tell of it as a fault."""
    contexts: list[BrowserContext] = []

    def new(**options: Any) -> Page:
        contexts.append(browser.new_context(**{"reduced_motion": "reduce", "service_workers": "block", **options}))
        contexts[-1].set_default_timeout(PATIENCE)
        faults.watch(contexts[-1])
        return contexts[-1].new_page()

    yield new
    told = faults.all()
    for context in contexts:
        context.close()
    assert not told, "the pages had faults:\n" + "\n".join(told)


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """Give one page, on a screen of the usual size."""
    return new_page()


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Serve an ASGI app from a thread on a free port of the loopback, and say its address."""
    import uvicorn

    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any) -> str:
        door = socket.socket()
        door.bind(("127.0.0.1", 0))
        door.listen(128)  # who comes before the app is up waits here
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{door.getsockname()[1]}"

    yield start
    for server, _ in running:
        server.should_exit = True
    for server, thread in running:
        thread.join(timeout=30)
        assert server.started, "the app did not start; what uvicorn printed says why"
        assert not thread.is_alive(), "the app does not end"


def _at(said: Any) -> str:
    return f"{said.location['url']}:{said.location['lineNumber']}"


@contextmanager
def _running(loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """Say which event loop runs in this thread: Playwright's where it is called, none where something else goes on."""
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(before)
