# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts logrotate on this host: its systemd timer, or cron where systemd is not the service manager.

Sources: man 1 systemctl (show), man 5 systemd.timer, man 8 run-parts, man 5 crontab; Alpine's busybox crond, which runs
what lies in /etc/periodic.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent

TIMER, SERVICE = "logrotate.timer", "logrotate.service"
CRON_FILES = (
    "/etc/cron.daily/logrotate",
    "/etc/cron.hourly/logrotate",
    "/etc/cron.d/logrotate",
    "/etc/periodic/daily/logrotate",
    "/etc/periodic/hourly/logrotate",
    "/etc/periodic/15min/logrotate",
)
#: Where a line may start logrotate: the system's table, and root's with Debian, Red Hat and Alpine.
CRONTABS = ("/etc/crontab", "/var/spool/cron/crontabs/root", "/var/spool/cron/root", "/etc/crontabs/root")
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
        return Schedule("", f"there is none of {', '.join(CRON_FILES)}, and no table of cron names logrotate")
    if not CRONS & set(programs):
        return Schedule("", f"{found} is there, but no cron runs")
    return Schedule(found)


def collect_schedule() -> Schedule:
    """Ask systemd; cron where that is no service manager or does not start it. Raises Absent, MaintenanceError."""
    by_systemd, managed = None, os.path.isdir("/run/systemd/system")
    if managed:
        done = command.run(["systemctl", "show", TIMER, SERVICE, f"--property={_PROPERTIES}"], timeout=30)
        if done.rc != 0:
            raise Absent(f"systemctl could not be asked: {done.first_error()}", status="unknown")
        by_systemd = of_units(parse_units(done.stdout))
        if by_systemd.by:
            return by_systemd
    cron = of_cron(cron_files(managed=managed), _programs())
    return cron if cron.by or by_systemd is None else by_systemd


def cron_files(root: str = "", *, managed: bool) -> Iterator[str]:
    """The files below ``root`` by which cron starts logrotate. ``managed``: systemd is the service manager."""
    yield from (path for path in CRON_FILES if _starts(root, path, managed=managed))
    for path in CRONTABS:
        if any("logrotate" in line for line in _text(root + path).splitlines() if not line.lstrip().startswith("#")):
            yield path


def _starts(root: str, path: str, *, managed: bool) -> bool:
    if not os.path.isfile(root + path):
        return False
    if path.startswith("/etc/cron.d/"):
        return True
    # Debian's cron.daily/logrotate leaves the work to the timer wherever systemd runs.
    if managed and "/run/systemd/system" in _text(root + path):
        return False
    return os.access(root + path, os.X_OK)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(65536)
    except OSError:
        return ""


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
