# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of its units, asked once (man 1 systemctl, show; man 5 org.freedesktop.systemd1)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent

_KINDS = ("service", "timer", "mount", "automount", "socket", "swap", "path")
_PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "StateChangeTimestamp", "Unit", "Persistent",
    "LastTriggerUSec", "NextElapseUSecRealtime", "NextElapseUSecMonotonic",
)  # fmt: skip
_SPANS = {
    "y": 31557600.0, "month": 2629800.0, "w": 604800.0, "d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0,
    "ms": 0.001, "us": 0.000001,
}  # fmt: skip
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(month|min|ms|us|y|w|d|h|s)\b")


@dataclass(frozen=True)
class Unit:
    """One loaded unit; ``since`` is when it came into its present state."""

    name: str
    active: str
    sub: str
    result: str
    restarts: int
    since: datetime | None


@dataclass(frozen=True)
class Timer:
    """A timer and when it ran and should run; None where systemd knows of no such moment."""

    name: str
    waiting: bool
    persistent: bool
    activates: str
    last: datetime | None
    due: datetime | None


@dataclass(frozen=True)
class Units:
    """All units that matter, and the state of the manager."""

    units: tuple[Unit, ...]
    timers: tuple[Timer, ...]


def parse_moment(text: str) -> datetime | None:
    """A time as systemctl prints it with TZ=UTC, ``Sun 2026-11-22 06:01:30 UTC``; None for ``n/a`` and nothing."""
    fields = text.split()
    if len(fields) != 4 or fields[3] != "UTC":
        return None
    try:
        return datetime.strptime(f"{fields[1]} {fields[2][:8]}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def parse_span(text: str) -> float | None:
    """A time span as systemctl prints it, ``38min 51.885633s``, in seconds; None for 0, infinity and nothing."""
    parts = _SPAN.findall(text)
    return sum(float(figure) * _SPANS[unit] for figure, unit in parts) if parts else None


def parse_units(text: str, *, booted: datetime, exclude: Sequence[str]) -> Units:
    """The blocks of ``systemctl show``. ``booted`` is the moment at which the monotonic clock stood at zero."""
    units, timers = [], []
    for block in text.split("\n\n"):
        entry = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        name = entry.get("Id", "")
        gone = entry.get("LoadState") in ("not-found", "masked") and entry.get("ActiveState") != "failed"
        if not name or gone or any(fnmatchcase(name, pattern) for pattern in exclude):
            continue
        units.append(_unit(name, entry))
        if name.endswith(".timer") and entry.get("ActiveState") == "active":
            timers.append(_timer(name, entry, booted=booted))
    return Units(tuple(units), tuple(timers))


def _unit(name: str, entry: dict[str, str]) -> Unit:
    restarts = entry.get("NRestarts", "")
    return Unit(
        name=name,
        active=entry.get("ActiveState", ""),
        sub=entry.get("SubState", ""),
        result=entry.get("Result", ""),
        restarts=int(restarts) if restarts.isdigit() else 0,
        since=parse_moment(entry.get("StateChangeTimestamp", "")),
    )


def _timer(name: str, entry: dict[str, str], *, booted: datetime) -> Timer:
    span = parse_span(entry.get("NextElapseUSecMonotonic", ""))
    moments = [parse_moment(entry.get("NextElapseUSecRealtime", "")), span and booted + timedelta(seconds=span)]
    known = [moment for moment in moments if isinstance(moment, datetime)]
    return Timer(
        name=name,
        waiting=entry.get("SubState") == "waiting",
        persistent=entry.get("Persistent") == "yes",
        activates=entry.get("Unit", ""),
        last=parse_moment(entry.get("LastTriggerUSec", "")),
        due=min(known) if known else None,
    )


def collect_units(*, booted: datetime, exclude: Sequence[str]) -> Units:
    """Ask systemd. Raises Absent where it is not the init system or does not answer."""
    if not os.path.isdir("/run/systemd/system"):
        raise Absent("systemd is not the init system of this host")
    argv = ["systemctl", "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", *(f"*.{kind}" for kind in _KINDS)]
    try:
        done = command.run(argv, timeout=20.0, env={"TZ": "UTC", "SYSTEMD_COLORS": "0"})
    except command.CommandMissing as error:
        raise Absent(str(error)) from error
    except command.CommandUnfinished as error:
        raise Absent(
            str(error), status="unknown", remedy="Look at systemd itself: journalctl -u init.scope."
        ) from error
    if done.rc != 0:
        raise Absent(f"systemctl show failed: {done.first_error()}", status="unknown")
    return parse_units(done.stdout, booted=booted, exclude=exclude)
