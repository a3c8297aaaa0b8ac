# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that a run has left early: what came after the task that failed was not looked at, and the report must say so.

A module that fails tells of itself in its record. A task that fails before its module is reached, by a variable that is
not defined, leaves no record, and what was found before it would stand there as if it were everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import tally
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import journal
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.maintenance import CATALOGUE

FAULT = "the run stopped early on this host: a task failed, and what comes after it was not looked at"
#: What the fault is of, beside the names of modules.
ITEM = "run"


def hosts_of(variables: Mapping[str, Any]) -> list[str]:
    """The hosts of the play that failed before it, or in it; from Ansible's own variables."""
    going_on = set(variables.get("ansible_play_hosts") or ())
    return [str(host) for host in variables.get("ansible_play_hosts_all") or () if host not in going_on]


def note(folder: Path, run: str, host: str, *, clock: Clock, check_mode: bool) -> str:
    """Record that a host was left early, unless its last record says what is wrong.

    Returns why it could not be recorded, in a sentence, or nothing.
    """
    try:
        last = journal.last_record(folder, run, host) or {}
        if last.get("fault") or last.get("unreachable"):
            return ""
        finding = CATALOGUE.stated("maintenance.fault", ITEM, "unknown", FAULT)
        record = {
            "schema": 1,
            "time": iso(clock.now()),
            "module": "report",
            "subject": "maintenance",
            "task": "",
            "kind": "control",
            "check_mode": check_mode,
            "seconds": 0.0,
            "status": finding.status,
            "summary": tally([finding.status]),
            "changed": False,
            "findings": [finding.as_dict()],
            "metrics": [],
            "fault": FAULT,
        }
        journal.append(folder, run, host, record)
    except MaintenanceError as error:
        return f"That the run stopped early on {host} cannot be recorded: {error}"
    return ""
