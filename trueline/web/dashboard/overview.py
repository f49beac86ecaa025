"""The first page: what stands, at a glance: runs, campaigns, findings, alerts, and the guard's last day."""

from __future__ import annotations

from trueline.store.latest import latest_runs
from trueline.store.watches import alerts, watches
from trueline.web.dashboard.findings import counts
from trueline.web.dashboard.folders import run_folders
from trueline.web.dashboard.guard import day_of_traffic
from trueline.web.dashboard.shown import Json
from trueline.web.dashboard.shown import run as run_told
from trueline.web.dashboard.standing import standings
from trueline.web.dashboard.watches import alert
from trueline.web.site.room import Asked

LISTED = 5


def show_overview(asked: Asked) -> Json:
    """What stands now."""
    database = asked.site.database
    folders = run_folders(asked.site.runs)
    campaigns = latest_runs(database, attacked=True, limit=LISTED)
    found = watches(database)
    names = {one.id: one.name for one in found}
    day = day_of_traffic(asked)
    return {
        "runs": [run_told(one.run, one) for one in folders[:LISTED]],
        "runs_total": len(folders),
        "campaigns": standings(database, campaigns.runs, folders),
        "findings": counts(asked),
        "alerts": [alert(one, names) for one in alerts(database, limit=LISTED)],
        "watches": [{"name": one.name, "state": one.state, "due": one.due} for one in found[:LISTED]],
        "guard": {name: day[name] for name in ("since", "decisions", "exchanges", "actions")},
    }
