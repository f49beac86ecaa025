"""What tests of the desk in a real browser wait for, and look up afterwards.

They ask for `serve` before `new_page`, so that pages, which save drafts and renew themselves, are closed before the server is.
"""

from __future__ import annotations

import re

from trueline.store.ranking import answers

WORK = "/ranking/one/work"


def heard(page, words):
    """Wait until the live region says so."""
    page.locator("[data-live]").filter(has_text=re.compile(re.escape(words))).wait_for()


def ready(page):
    """Wait until the page's script is there."""
    page.locator("html[data-ready]").wait_for(state="attached")


def last(here, status):
    return [one for one in answers(here.database, "one") if one.status == status][-1]
