"""Walking through a page as some people must: with the keyboard only, on a phone.

hands = Hands(page)                       # before the page is opened: from then on, a mouse is a fault
page.goto(url)
hands.tab_to(page.get_by_role("button", name="Next"))
hands.press("Enter")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_NO_MOUSE = """for (const kind of ["pointerdown", "mousedown"])
    addEventListener(kind, event => event.isTrusted && console.error(`a ${event.pointerType || "mouse"} was used`), true)"""
_FOCUS = """() => {
    const at = document.activeElement
    if (!at || at === document.body) return "nothing"
    const name = at.getAttribute("aria-label") || at.innerText || at.value || at.getAttribute("name") || at.id || ""
    return `${at.tagName.toLowerCase()} ${name.trim().slice(0, 40)}`
}"""
_SEEN = """at => {
    const style = getComputedStyle(at)
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none"
}"""
_OUTSIDE = """() => {
    const wide = document.scrollingElement
    if (wide.scrollWidth <= wide.clientWidth) return []
    return [...document.body.querySelectorAll("*")]
        .filter(at => at.getBoundingClientRect().right > wide.clientWidth + 1)
        .slice(0, 8).map(at => at.outerHTML.slice(0, 100))
}"""
_SMALL = """least => [...document.querySelectorAll("button, select, input:not([type=hidden]), summary, [role=button]")]
    .filter(at => at.checkVisibility())
    .filter(at => {
        const box = (at.closest("label") || at).getBoundingClientRect()
        return box.width && box.height && Math.min(box.width, box.height) < least
    }).map(at => at.outerHTML.slice(0, 100))"""


class Hands:
    """Hands on a keyboard. From the next page on, a press of the mouse or a finger is an error on its console."""

    def __init__(self, page: Page) -> None:
        self._page = page
        page.add_init_script(_NO_MOUSE)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, by the names that browsers give them: "Tab", "Enter", "1", "Control+Z"."""
        for key in keys:
            self._page.keyboard.press(key)

    def write(self, text: str) -> None:
        """Write where the focus is."""
        self._page.keyboard.type(text)

    def tab_to(self, there: Locator, key: str = "Tab", most: int = 80) -> None:
        """Press Tab until the focus is on an element, and see that it shows there; `Shift+Tab` goes back."""
        passed = []
        for _ in range(most):
            self.press(key)
            if there.evaluate("at => at === document.activeElement"):
                assert there.evaluate(_SEEN), f"the focus does not show on {focus(self._page)!r}"
                return
            passed.append(focus(self._page))
        raise AssertionError(f"{key} does not come to {there}; it passed {passed}")


def focus(page: Page) -> str:
    """Say what has the focus: its tag and its name."""
    return str(page.evaluate(_FOCUS))


def assert_fits(page: Page, least: int = 24) -> None:
    """Nothing sticks out to the right, and nothing that is touched is smaller than WCAG 2.2 asks for (2.5.8: 24 pixels)."""
    if outside := page.evaluate(_OUTSIDE):
        raise AssertionError("the page is wider than its screen:\n" + "\n".join(outside))
    if small := page.evaluate(_SMALL, least):
        raise AssertionError(f"smaller than {least} pixels:\n" + "\n".join(small))
