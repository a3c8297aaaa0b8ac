# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report for node_exporter's textfile collector.

The form is the text exposition format 0.0.4: all samples of a family stand together, so each family is collected in a
part of its own until the last host has been seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK, STATUSES
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Fleet, RunInfo
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import HostView
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.outputs import OutputFile, Part
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.checklist import Ticked

MAPPING = ", ".join(f"{rank} {status}" for status, rank in RANK.items())
#: name, help
FAMILIES: tuple[tuple[str, str], ...] = (
    ("maintenance_check_status", f"Status of a finding: {MAPPING}. Suppressed findings count as skipped."),
    ("maintenance_check_value", "What was measured, in the unit of the label."),
    ("maintenance_host_status", f"Worst status of a host without what is suppressed: {MAPPING}."),
    ("maintenance_run_timestamp_seconds", "When the run began, in Unix time."),
    ("maintenance_run_status", f"Worst status of the run: {MAPPING}."),
    ("maintenance_run_hosts", "Hosts of the run by their status."),
    ("maintenance_run_findings", "Findings of the run by status; suppressed ones count as suppressed alone."),
    ("maintenance_run_faults", "Modules that failed, and hosts whose journal could not be read."),
    ("maintenance_cadence_age_seconds", "How long ago a cadence last ran, at the time of this report."),
)


def label(value: str) -> str:
    """A label value in the exposition format: backslash, quote and newline are escaped."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """One sample line."""
    inner = ",".join(f'{key}="{label(text)}"' for key, text in labels.items())
    number = repr(value) if isinstance(value, float) and math.isfinite(value) else str(value)
    return f"{name}{{{inner}}} {number}\n"


class PrometheusReport:
    """Collects the samples; :meth:`end` writes the file."""

    def __init__(self, path: Path, run: RunInfo) -> None:
        # The exporter runs as a user of its own and has to be able to read the file.
        self.file = OutputFile(path, mode=0o644)
        self._run = run
        self._parts = {name: Part(path.parent) for name, _help in FAMILIES}

    def add(self, view: HostView) -> None:
        base = f'host="{label(view.host)}",cadence="{label(self._run.cadence)}"'
        status, value = self._parts["maintenance_check_status"], self._parts["maintenance_check_value"]
        for entry in view.entries:
            named = f'{base},check="{label(entry.check)}",item="{label(entry.item)}"'
            rank = RANK["skipped"] if entry.suppressed else RANK[entry.status]
            status.write(f"maintenance_check_status{{{named}}} {rank}\n")
            if entry.value is not None:
                value.write(f'maintenance_check_value{{{named},unit="{label(entry.unit)}"}} {entry.value!r}\n')
        self._parts["maintenance_host_status"].write(f"maintenance_host_status{{{base}}} {RANK[view.status]}\n")

    def end(self, fleet: Fleet, checklist: Iterable[Ticked], cadences: Iterable[Mapping[str, Any]]) -> None:
        base = {"cadence": self._run.cadence}
        self._sample("maintenance_run_timestamp_seconds", base, self._run.started)
        self._sample("maintenance_run_status", base, RANK[fleet.status])
        self._sample("maintenance_run_faults", base, fleet.fault_total)
        for status in STATUSES:
            self._sample("maintenance_run_hosts", {**base, "status": status}, fleet.hosts[status])
        for standing in (*STATUSES, "suppressed"):
            self._sample("maintenance_run_findings", {**base, "status": standing}, fleet.findings[standing])
        for cadence in cadences:
            if cadence["age_seconds"] is None:
                continue
            labels = {"cadence": str(cadence["cadence"]), "report": self._run.cadence}
            self._sample("maintenance_cadence_age_seconds", labels, int(cadence["age_seconds"]))
        for name, text in FAMILIES:
            self.file.write(f"# HELP {name} {text}\n# TYPE {name} gauge\n")
            self.file.append(self._parts[name])
            self._parts[name].close()

    def _sample(self, name: str, labels: Mapping[str, str], value: float) -> None:
        self._parts[name].write(sample(name, labels, value))
