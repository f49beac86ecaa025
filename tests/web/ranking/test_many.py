"""Ten annotators at once over HTTP: the overlap holds, nothing is lost, nothing is doubled."""

from __future__ import annotations

import pytest

from tests.web.ranking.crowd import PEOPLE, Crowd
from tests.web.ranking.seated import house

pytestmark = pytest.mark.slow


def test_ten_annotators_at_once(url, serve):
    """Each asks for items, keeps a draft and submits, until there is nothing; every item has its overlap and no answer more."""
    here = house(url, n=12, overlap=3, accounts={name: ["annotator"] for name in PEOPLE})
    crowd = Crowd(here, serve(here.app))
    crowd.start()
    crowd.check(url, n=12, overlap=3)
    assert crowd.sent.total() == 36
