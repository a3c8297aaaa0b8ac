# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records and small journals for the tests of the report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, iso
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import journal
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import HostView, fold

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
DAY = 86400


class Stopped(Clock):
    """A clock that stands still and notes how long it was asked to sleep."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def finding(check="host.memory", item="ram", status="ok", **more) -> dict:
    return {"check": check, "item": item, "status": status, "summary": f"{check} {item} is {status}", **more}


def record(*findings, module="host_check", **more) -> dict:
    return {
        "schema": 1,
        "time": iso(NOW + timedelta(seconds=5)),
        "module": module,
        "subject": "host",
        "task": "Look",
        "kind": "check",
        "check_mode": False,
        "seconds": 1.5,
        "findings": list(findings),
        "metrics": [],
        **more,
    }


def view(*findings, host="web-1", module="host_check", **more) -> HostView:
    return fold(host, [record(*findings, module=module, **more)])


def write_run(
    reports: Path, hosts: dict, *, run="20260302T020000Z-00000001", now=NOW, cadence="daily", expected=None, **header
) -> str:
    """A run in a journal: ``{host: [records]}``."""
    folder = reports / "journal"
    journal.open_run(
        folder,
        {
            "schema": 1,
            "run": run,
            "started": iso(now),
            "cadence": cadence,
            "controller": "controller",
            "check_mode": False,
            "hosts": list(hosts) if expected is None else expected,
            **header,
        },
    )
    for host, records in hosts.items():
        for each in records:
            journal.append(folder, run, host, each)
    return run
