# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as data: what ``schema/report-1.json`` describes, written a host at a time and a host a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import STATUSES
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.crossings import Crossing
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import SHOWN, Fleet, RunInfo
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import Change, Entry, HostView, Repair
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.outputs import OutputFile
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.checklist import Ticked

SCHEMA = 1


def _plain(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def run_document(run: RunInfo) -> dict[str, Any]:
    """The head of the report."""
    return {
        "id": run.id,
        "cadence": run.cadence,
        "started": run.started_text,
        "controller": run.controller,
        "by": run.by,
        "check_mode": run.check_mode,
        "limit": run.limit,
        "ansible": run.ansible,
        "expected_hosts": len(run.expected),
    }


def host_document(view: HostView) -> dict[str, Any]:
    """Everything the report says of one host."""
    return {
        "host": view.host,
        "status": view.status,
        "recorded": view.recorded,
        "unreachable": view.unreachable,
        "counts": view.counts(),
        "seconds": round(view.seconds, 3),
        "findings": [entry_document(entry) for entry in view.entries],
        "gone": [entry_document(entry) for entry in view.gone],
        "repairs": [_repair_document(repair) for repair in view.repairs],
        "faults": view.faults,
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """One finding; what it does not have is left out."""
    document: dict[str, Any] = {
        "check": entry.check,
        "item": entry.item,
        "status": entry.status,
        "summary": entry.summary,
        "module": entry.module,
    }
    if entry.value is not None:
        document["value"] = entry.value
        document["unit"] = entry.unit
    for name in ("levels", "evidence", "remedy", "owners", "suppressed"):
        if value := getattr(entry, name):
            document[name] = value
    if entry.change is not None:
        document["change"] = _change_document(entry.change)
    return document


def _change_document(change: Change) -> dict[str, Any]:
    document: dict[str, Any] = {"kind": change.kind, "since": change.since}
    if change.before:
        document["before"] = change.before
    return document


def _repair_document(repair: Repair) -> dict[str, Any]:
    return {name: getattr(repair, name) for name in Repair.__slots__}


def _crossing_document(crossing: Crossing) -> dict[str, Any]:
    return {name: getattr(crossing, name) for name in Crossing.__slots__}


class JsonReport:
    """Streams the report; :meth:`end` completes it."""

    def __init__(self, path: Path, run: RunInfo) -> None:
        self.file = OutputFile(path)
        self.file.write(f'{{"schema":{SCHEMA},"run":{_plain(run_document(run))},"hosts":[')
        self._separator = "\n"

    def add(self, view: HostView) -> None:
        self.file.write(f"{self._separator}{_plain(host_document(view))}")
        self._separator = ",\n"

    def end(self, fleet: Fleet, checklist: Iterable[Ticked], cadences: Iterable[Mapping[str, Any]]) -> None:
        closing = {
            "status": fleet.status,
            "counts": {
                "hosts": {status: fleet.hosts[status] for status in STATUSES},
                "findings": {status: fleet.findings[status] for status in (*STATUSES, "suppressed")},
                "changes": {kind: listed.total for kind, listed in fleet.changes.items()} if fleet.compared else {},
                "faults": fleet.fault_total,
            },
            "crossings": [_crossing_document(crossing) for crossing in fleet.crossings.several()[:SHOWN]],
            "checklist": [ticked.as_dict() for ticked in checklist],
            "cadences": list(cadences),
        }
        self.file.write("\n]," + _plain(closing)[1:] + "\n")
