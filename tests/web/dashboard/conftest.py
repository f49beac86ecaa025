"""Charts are drawn in the tests that look at them in a browser; others need their values alone: a drawing costs 60 ms."""

from __future__ import annotations

import pytest

from trueline.web.site import drawing


@pytest.fixture(autouse=True)
def _drawn_at_once(request, monkeypatch):
    if not request.module.__name__.endswith("_browser"):
        monkeypatch.setattr(drawing.DRAWER, "_draw", lambda _: '<svg xmlns="http://www.w3.org/2000/svg"/>')
        drawing.DRAWER._kept.clear()
        yield
        drawing.DRAWER._kept.clear()
    else:
        yield
