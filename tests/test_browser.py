"""Tests of what tests of pages stand on: the browser, the hands and the accessibility check find the faults that are there."""

import asyncio
import base64
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tests.accessible import assert_accessible
from tests.browser import DARK, PHONE, missing
from tests.walking import Hands, assert_fits, focus

pytestmark = pytest.mark.slow

SCRIPT = "document.title = 'scripted'; addEventListener('keydown', event => document.title = event.key)"
HASH = base64.b64encode(sha256(SCRIPT.encode()).digest()).decode()
STRICT = f"default-src 'none'; script-src 'sha256-{HASH}'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
ICON = '<link rel="icon" href="data:,">'


def app(body: str, head: str = "", policy: str = STRICT) -> Starlette:
    """One page, of a site that has a strict policy."""
    text = f'<!doctype html><html lang="en"><head><title>t</title>{ICON}{head}</head><body><main>{body}</main></body></html>'

    def show(_):
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    return Starlette(routes=[Route("/", show)])


def test_a_page_without_a_fault_passes(page, serve, faults):
    """A page that keeps its policy has no faults, and its own scripts run."""
    page.goto(serve(app(f"<h1>Hello</h1><script>{SCRIPT}</script>")))
    assert page.title() == "scripted"
    assert faults.all() == []
    assert_accessible(page)


def test_the_policy_holds(page, serve, faults):
    """An inline script, an inline style and a handler in an attribute are stopped, and each is told."""
    body = '<script>document.title = "broken"</script><p style="color: red">x</p><img alt="" src="data:," onerror="alert(1)">'
    page.goto(serve(app(body)))
    page.wait_for_function("document.images[0].complete", timeout=5000)
    assert page.title() == "t"
    told = faults.take("Content Security Policy stopped inline")
    assert {kind for kind in ("script-src-elem", "style-src-attr", "script-src-attr") for line in told if kind in line} == {
        "script-src-elem",
        "style-src-attr",
        "script-src-attr",
    }
    faults.take("Content Security Policy|violates")
    assert faults.all() == []


def test_what_leaves_this_machine_is_told_and_never_arrives(page, serve, faults):
    """A request to any other host is a fault, and its name has no address."""
    page.goto(serve(app('<img alt="" src="http://elsewhere.test/x.png">', policy="")))
    assert faults.take("leaves this machine") == ["request: http://elsewhere.test/x.png leaves this machine"]
    assert "ERR_NAME_NOT_RESOLVED" in faults.take("elsewhere.test")[0]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("console.error('it broke')", "console: it broke"),
        ("throw new Error('it fell')", "script: it fell"),
        ("alert('who is there')", "dialog: 'who is there'"),
        ("new WebSocket('ws://elsewhere.test/')", "request: ws://elsewhere.test/ leaves"),
        ("fetch('/nowhere')", "console: Failed to load resource: the server responded with a status of 404"),
    ],
)
def test_what_a_person_would_not_see_is_told(page, serve, faults, script, told):
    """Console errors, errors of scripts, dialogs, sockets to elsewhere and failed requests are faults."""
    page.goto(serve(app(f"<h1>x</h1><script>{script}</script>", policy="")))
    if "nowhere" in script or "elsewhere" in script:
        page.wait_for_load_state("networkidle")
    faults.take(told)
    if "elsewhere" in script:
        faults.take("WebSocket connection")
    assert faults.all() == []


def test_a_fault_that_nobody_took_fails_the_test(pytester, monkeypatch):
    """The fixture itself fails a test whose page had a fault."""
    if words := missing():
        pytest.skip(words)
    pytester.makepyfile(
        """
        pytest_plugins = ["tests.browser"]

        def test_page(page):
            page.set_content("<script>console.error('it broke')</script>")
        """
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the pages had faults:*"])


def test_a_test_may_run_its_own_event_loop(page, faults):
    """Playwright's suspended loop does not keep a test from running one, before, between and after its calls."""

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    assert asyncio.run(answer()) == 42
    with page.expect_console_message() as told:
        page.set_content("<script>confirm('sure?'); console.log('asked')</script>")
    assert told.value.text == "asked"
    assert asyncio.run(answer()) == 42
    assert page.evaluate("6 * 7") == 42
    faults.take("sure")


def test_no_loop_runs_where_no_page_is_asked_for():
    """After a test with a page, the next test of the worker finds its thread as it left it."""
    assert asyncio._get_running_loop() is None


def test_hands_use_the_keyboard_only(page, serve, faults):
    """Tab comes to a button whose focus shows, Enter presses it; a mouse is a fault, and so is a focus that does not show."""
    hands = Hands(page)
    script = "document.querySelector('button').onclick = () => document.title = 'pressed'"
    head = "<style>input { outline: none }</style>"
    page.goto(serve(app(f"<a href='#'>one</a><button>two</button><input name='three'><script>{script}</script>", head, "")))
    button, field = page.get_by_role("button", name="two"), page.get_by_role("textbox")
    hands.tab_to(button)
    assert focus(page) == "button two"
    hands.press("Enter")
    assert page.title() == "pressed"
    with pytest.raises(AssertionError, match="the focus does not show on 'input three'"):
        hands.tab_to(field)
    hands.write("né")
    assert field.input_value() == "né"
    hands.tab_to(button, "Shift+Tab")
    with pytest.raises(AssertionError, match=r"Tab does not come to .* it passed"):
        hands.tab_to(page.get_by_role("main"), most=2)
    assert faults.all() == []
    button.click()
    faults.take("a mouse was used")


def test_a_phone_and_the_dark(new_page, serve):
    """A page wider than a phone is told, and so is what is too small to touch; in the dark a page is told so."""
    head = "<meta name='viewport' content='width=device-width'>"
    url = serve(app("<h1>fits</h1><button style='height: 30px; width: 30px'>x</button>", head, ""))
    phone = new_page(**PHONE)
    phone.goto(url)
    assert_fits(phone)
    phone.set_content(f"{head}<p style='width: 700px'>wide</p>")
    with pytest.raises(AssertionError, match=r"wider than its screen:\n<p style"):
        assert_fits(phone)
    phone.set_content(f"{head}<button style='height: 9px'>x</button>")
    with pytest.raises(AssertionError, match=r"smaller than 24 pixels:\n<button"):
        assert_fits(phone)
    assert new_page(**DARK).evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


def test_serious_faults_of_accessibility_are_told(page, serve):
    """A button without a name and a text that cannot be read fail, with the element; the page's policy is not loosened."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = "<style>p { color: #aaa; background: #fff }</style>"
    page.goto(serve(app("<h1>Hello</h1><button></button><p>pale</p>", head, policy)))
    with pytest.raises(AssertionError, match="is not accessible") as caught:
        assert_accessible(page)
    told = str(caught.value)
    assert "critical: Buttons must have discernible text" in told
    assert "button:" in told
    assert "color-contrast" in told
