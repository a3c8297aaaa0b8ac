# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few sentences that every form of the report shares."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Fleet, RunInfo


def title(run: RunInfo) -> str:
    """``Daily maintenance``."""
    return f"{run.cadence.capitalize()} maintenance" if run.cadence else "Maintenance"


def headline(fleet: Fleet) -> str:
    """How things stand, in one or two sentences."""
    hosts = len(fleet.rows)
    if not hosts:
        return "No host was looked at."
    wanting = sum(row.wants_eyes for row in fleet.rows)
    if not wanting:
        said = f"Nothing needs attention on {counted(hosts, 'host')}."
    else:
        urgent = [
            f"{fleet.findings[status]} {status}"
            for status in ("critical", "unknown", "warning")
            if fleet.findings[status]
        ]
        verb = "needs" if wanting == 1 else "need"
        said = f"{wanting} of {counted(hosts, 'host')} {verb} attention" + (
            f": {', '.join(urgent)}." if urgent else "."
        )
    if fleet.compared:
        told = [f"{fleet.changes[kind].total} {word}" for kind, word in _TOLD if fleet.changes[kind].total]
        if told:
            said += f" Since the last run: {', '.join(told)}."
        elif not fleet.first_hosts:
            said += " Nothing has changed since the last run."
    return said


_TOLD = (
    ("new", "new"),
    ("worse", "worse"),
    ("unseen", "no longer looked at"),
    ("better", "better"),
    ("resolved", "resolved"),
    ("gone", "gone"),
)
