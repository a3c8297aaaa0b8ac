# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report task itself returns: the few lines for the console, and the figures for those who register it."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Listed
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.words import headline
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.report import Outcome

_ROWS = 20


def result(outcome: Outcome) -> dict[str, Any]:
    """The task's result; ``failed`` where the run has to fail."""
    fleet = outcome.fleet
    lines = _lines(outcome)
    return {
        "changed": False,
        "failed": bool(outcome.failed),
        "msg": lines,
        "console": lines,
        "run": fleet.run.id,
        "status": fleet.status,
        "counts": {
            "hosts": dict(fleet.hosts),
            "findings": dict(fleet.findings),
            "changes": {kind: listed.total for kind, listed in fleet.changes.items()} if fleet.compared else {},
        },
        "report": outcome.paths,
        "worst": [_row(listed) for listed in list(fleet.worst)[:_ROWS]],
        "faults": [{"host": host, "fault": fault} for host, fault in fleet.faults],
        "cadences": outcome.cadences,
        "notices": outcome.notices,
        "problems": outcome.problems,
    }


def _row(listed: Listed) -> dict[str, str]:
    entry = listed.entry
    return {
        "host": listed.host,
        "check": entry.check,
        "item": entry.item,
        "status": entry.status,
        "summary": entry.summary,
    }


def _lines(outcome: Outcome) -> list[str]:
    lines = [headline(outcome.fleet)]
    lines += [
        f"The {cadence['cadence']} run is late: {cadence['summary']}."
        for cadence in outcome.cadences
        if cadence["late"]
    ]
    if outcome.notices:
        lines.append(_notices(outcome.notices))
    shown = outcome.paths.get("html") or next(iter(outcome.paths.values()), "")
    if shown:
        lines.append(f"Report: {shown}")
    return [*lines, *outcome.failed]


def _notices(notices: list[dict[str, Any]]) -> str:
    lost = [notice for notice in notices if not notice["sent"]]
    said = f"{counted(len(notices) - len(lost), 'notice')} sent"
    if lost:
        first = lost[0]
        said += (
            f", {len(lost)} not: {first['owner']}, contact {first['contact']} ({first['service']}): {first['error']}"
        )
    return said + "."
