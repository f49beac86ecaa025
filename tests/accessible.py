"""Accessibility faults, found by axe-core (from npm; MPL-2.0, never copied into the repository).

    assert_accessible(page)

It is read from `TRUELINE_AXE` (the path of axe.min.js), or from where `make pages` puts it. The browser runs it as its
developer tools would, so that the page's own policy (CSP) stays as strict as it is.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

INSTALLED = Path("axe/node_modules/axe-core/axe.min.js")
GRAVE = ("serious", "critical")
_RUN = """async () => {
    const found = await axe.run(document, {resultTypes: ["violations"], preload: false})
    return found.violations.map(({id, impact, help, helpUrl, nodes}) =>
        ({id, impact, help, helpUrl, nodes: nodes.map(({target, failureSummary}) => ({target, failureSummary}))}))
}"""


def assert_accessible(page: Page) -> None:
    """Fail on serious and critical faults, each with its elements and where to read about it."""
    grave = [fault for fault in faults_of(page) if fault["impact"] in GRAVE]
    assert not grave, f"{page.url} is not accessible:\n" + "\n".join(map(_told, grave))


def faults_of(page: Page) -> list[dict[str, Any]]:
    """Every fault that axe-core finds, whatever its impact."""
    path = axe()
    if path is None:
        pytest.skip("no axe-core: npm install --prefix .venv/axe axe-core (make pages does it), or set TRUELINE_AXE")
    page.evaluate(f"{_source(path)};0")
    return list(page.evaluate(_RUN))


def axe() -> Path | None:
    """Where axe-core lies, if it does."""
    if named := os.environ.get("TRUELINE_AXE"):
        return Path(named)
    places = (Path(sys.prefix), Path(__file__).parents[1] / ".venv")
    return next((place / INSTALLED for place in places if (place / INSTALLED).is_file()), None)


@cache
def _source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _told(fault: dict[str, Any]) -> str:
    shown = [
        f"    {' '.join(map(str, node['target']))}: {' '.join(node['failureSummary'].split())}" for node in fault["nodes"][:5]
    ]
    more = ["    ..."] if len(fault["nodes"]) > 5 else []
    return "\n".join([f"{fault['impact']}: {fault['help']} ({fault['id']}, {fault['helpUrl']})", *shown, *more])
