# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts logrotate on this host: its systemd timer, or cron where systemd is not the service manager.

Sources: man 1 systemctl (show), man 5 systemd.timer, man 8 run-parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent

TIMER, SERVICE = "logrotate.timer", "logrotate.service"
CRON_FILES = ("/etc/cron.daily/logrotate", "/etc/cron.hourly/logrotate", "/etc/cron.d/logrotate")
CRONS = frozenset(("cron", "crond", "fcron", "anacron", "busybox"))
_PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,Result,ExecMainStatus,LastTriggerUSec,ExecMainExitTimestamp"
)


@dataclass(frozen=True)
class Schedule:
    """``by`` is what starts logrotate, empty for nothing; ``failure`` how its last run ended, empty for well."""

    by: str
    hindrance: str = ""
    failure: str = ""


def parse_units(text: str) -> dict[str, dict[str, str]]:
    """The blocks of ``systemctl show`` by the unit's id."""
    units: dict[str, dict[str, str]] = {}
    for block in text.split("\n\n"):
        fields = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        if fields.get("Id"):
            units[fields["Id"]] = fields
    return units


def of_units(units: Mapping[str, Mapping[str, str]]) -> Schedule:
    """What the timer and its service say."""
    timer, service = units.get(TIMER, {}), units.get(SERVICE, {})
    failure = ""
    if service.get("ActiveState") == "failed" or service.get("Result", "success") != "success":
        failure = f"{service.get('Result', 'failed')}, exit status {service.get('ExecMainStatus', '?')}"
    if timer.get("LoadState") == "masked":
        return Schedule("", f"{TIMER} is masked", failure)
    if timer.get("LoadState") != "loaded":
        return Schedule("", f"there is no {TIMER}", failure)
    if timer.get("ActiveState") != "active":
        return Schedule("", f"{TIMER} is {timer.get('ActiveState', 'unknown')}", failure)
    if timer.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "generated", "transient"):
        return Schedule(
            TIMER, f"{TIMER} runs, but is {timer.get('UnitFileState') or 'not enabled'}: not after a boot", failure
        )
    return Schedule(TIMER, "", failure)


def of_cron(files: Iterable[str], programs: Iterable[str]) -> Schedule:
    """What cron will do, by its files that can be run and the programs that run."""
    found = next(iter(files), "")
    if not found:
        return Schedule("", f"there is none of {', '.join(CRON_FILES)}")
    if not CRONS & set(programs):
        return Schedule("", f"{found} is there, but no cron runs")
    return Schedule(found)


def collect_schedule() -> Schedule:
    """Ask systemd; cron where that is not the service manager, or has no timer. Raises Absent, MaintenanceError."""
    by_systemd = None
    if os.path.isdir("/run/systemd/system"):
        done = command.run(["systemctl", "show", TIMER, SERVICE, f"--property={_PROPERTIES}"], timeout=30)
        if done.rc != 0:
            raise Absent(f"systemctl could not be asked: {done.first_error()}", status="unknown")
        units = parse_units(done.stdout)
        by_systemd = of_units(units)
        # Debian's cron.daily/logrotate leaves the work to the timer wherever systemd runs.
        if by_systemd.by or units.get(TIMER, {}).get("LoadState") == "loaded":
            return by_systemd
    cron = of_cron((path for path in CRON_FILES if _runs(path)), _programs())
    return cron if cron.by or by_systemd is None else by_systemd


def _runs(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    if path.startswith("/etc/cron.d/"):
        return True
    if os.path.isdir("/run/systemd/system"):
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                if "/run/systemd/system" in stream.read(65536):
                    return False
        except OSError:
            return False
    return os.access(path, os.X_OK)


def _programs() -> set[str]:
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/comm", encoding="utf-8", errors="replace") as stream:
                    found.add(stream.read().strip())
            except OSError:
                continue
    return found
