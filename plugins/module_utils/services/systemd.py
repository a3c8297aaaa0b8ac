# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager: what ``systemctl show`` says of units, and the few verbs that change one.

Sources: systemctl(1), org.freedesktop.systemd1(5), sd_booted(3).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import (
    MaintenanceError,
    OptionError,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

ASK_SECONDS = 30.0
#: A unit whose limit systemd does not tell has its default for each of stop and start (DefaultTimeoutStartSec=).
DEFAULT_JOB_SECONDS = 90.0
#: A unit may take for ever (``infinity``, the default of a oneshot's start) or longer than a repair can wait for.
LONGEST_JOB_SECONDS = 900.0
MARGIN_SECONDS = 10.0
_SUFFIXES = (
    "service", "socket", "target", "timer", "mount", "automount", "path", "slice", "scope", "swap", "device",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}")
_GLOB = re.compile(r"[A-Za-z0-9:_.\\@*?\[][A-Za-z0-9:_.\\@*?\[\]!-]{0,254}")
_PROPERTIES = (
    "Id", "Names", "Type", "LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "NRestarts", "MainPID",
    "MemoryCurrent", "ExecMainCode", "ExecMainStatus", "ConditionResult", "ConditionTimestampMonotonic", "TriggeredBy",
    "CanReload", "ActiveEnterTimestampMonotonic", "TimeoutStartUSec", "TimeoutStopUSec", "ControlGroup", "WantedBy",
    "RequiredBy",
)  # fmt: skip
#: systemd prints a counter without a value as this or as the largest unsigned number.
_UNSET = ("", "[not set]", str(2**64 - 1))
_SPANS: Mapping[str, float] = {
    "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800, "month": 2629800, "y": 31557600,
}  # fmt: skip


class SystemdError(MaintenanceError):
    """The service manager could not be asked, or refused."""


@dataclass(frozen=True)
class Unit:
    """One unit as the service manager knows it; ``memory`` in bytes, None where it is not accounted.

    ``active_since`` is on the monotonic clock in seconds, 0 where the unit never was active. ``start_seconds`` and
    ``stop_seconds`` are the unit's own limits: infinite where it has none, None where systemd does not tell.
    """

    name: str
    names: tuple[str, ...]
    kind: str
    load: str
    active: str
    sub: str
    result: str
    file_state: str
    restarts: int
    main_pid: int
    memory: int | None
    exit_code: int
    exit_status: int
    condition_failed: bool
    triggered_by: tuple[str, ...]
    wanted_by: tuple[str, ...]
    can_reload: bool
    active_since: float
    start_seconds: float | None
    stop_seconds: float | None
    control_group: str

    @property
    def exists(self) -> bool:
        return self.load not in ("not-found", "")

    @property
    def enabled(self) -> bool:
        return self.file_state in ("enabled", "enabled-runtime")

    def state(self) -> str:
        """The state as a person reads it: ``active (running)``, ``failed (exit status 3)``."""
        if not self.exists:
            return "not there"
        if self.load == "masked":
            return "masked"
        if self.active != "failed":
            return f"{self.active} ({self.sub})"
        # wait(2): CLD_EXITED is 1; everything else ended by a signal and exit_status is its number.
        if self.exit_status and self.exit_code == 1:
            return f"failed (exit status {self.exit_status})"
        if self.exit_status:
            return f"failed (signal {self.exit_status})"
        return f"failed ({self.result})"

    def answers_to(self, pattern: str) -> bool:
        """Whether one of the unit's names, aliases too, matches a glob."""
        return any(fnmatchcase(name, pattern) for name in (self.name, *self.names))

    def answers_to_exactly(self, name: str) -> bool:
        """Whether ``name`` is this unit's name or one of its aliases."""
        return name == self.name or name in self.names


def unit_name(raw: str, *, option: str) -> str:
    """A unit's full name, ``.service`` added where there is no suffix. Raises OptionError."""
    if not _NAME.fullmatch(raw) or raw.endswith(("@", "@.service")):
        raise OptionError(option, raw, "the name of one unit, such as nginx.service or app@1.service")
    return _with_suffix(raw)


def unit_pattern(raw: str, *, option: str) -> str:
    """A unit's full name or a glob for several. Raises OptionError."""
    if not _GLOB.fullmatch(raw) or raw.endswith(("@", "@.service")):
        raise OptionError(option, raw, "the name of a unit or a glob, such as nginx.service or app@*.service")
    return _with_suffix(raw)


def is_pattern(name: str) -> bool:
    """Whether a name is a glob."""
    return any(sign in name for sign in "*?[")


def _with_suffix(raw: str) -> str:
    return raw if raw.rpartition(".")[2] in _SUFFIXES else f"{raw}.service"


def booted() -> bool:
    """Whether systemd is the service manager here, found out as sd_booted(3) does."""
    return os.path.isdir("/run/systemd/system") and command.which("systemctl") is not None


def show(names: Iterable[str]) -> list[Unit]:
    """The units with these names or globs, asked for in one call; each unit once. Raises SystemdError.

    A glob matches the units in memory: all that are active, have failed, or are wanted by one of those. Without
    ``--all`` it would pass over those that are inactive.
    """
    try:
        done = command.run(
            ["systemctl", "show", "--all", f"--property={','.join(_PROPERTIES)}", "--", *dict.fromkeys(names)],
            timeout=ASK_SECONDS,
        )
    except command.CommandUnfinished as error:
        raise SystemdError(str(error)) from error
    if done.rc != 0:
        raise SystemdError(f"systemctl cannot be asked: {done.first_error()}")
    return parse_show(done.stdout)


def parse_show(text: str) -> list[Unit]:
    """The units in the output of ``systemctl show``: ``Key=value`` lines, a blank line between units."""
    units: dict[str, Unit] = {}
    for block in text.split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if values.get("Id"):
            units.setdefault(values["Id"], _unit(values))
    return list(units.values())


def _unit(values: Mapping[str, str]) -> Unit:
    return Unit(
        name=values["Id"],
        names=tuple(values.get("Names", "").split()),
        kind=values.get("Type", ""),
        load=values.get("LoadState", ""),
        active=values.get("ActiveState", ""),
        sub=values.get("SubState", ""),
        result=values.get("Result", ""),
        file_state=values.get("UnitFileState", ""),
        restarts=_count(values.get("NRestarts", "")) or 0,
        main_pid=_count(values.get("MainPID", "")) or 0,
        memory=_count(values.get("MemoryCurrent", "")),
        exit_code=_count(values.get("ExecMainCode", "")) or 0,
        exit_status=_count(values.get("ExecMainStatus", "")) or 0,
        # A unit that nobody has tried to start yet shows "no" as well, with no time.
        condition_failed=values.get("ConditionResult") == "no"
        and bool(_count(values.get("ConditionTimestampMonotonic", ""))),
        triggered_by=tuple(values.get("TriggeredBy", "").split()),
        wanted_by=tuple(f"{values.get('WantedBy', '')} {values.get('RequiredBy', '')}".split()),
        can_reload=values.get("CanReload") == "yes",
        active_since=(_count(values.get("ActiveEnterTimestampMonotonic", "")) or 0) / 1e6,
        start_seconds=span_seconds(values.get("TimeoutStartUSec", "")),
        stop_seconds=span_seconds(values.get("TimeoutStopUSec", "")),
        control_group=values.get("ControlGroup", ""),
    )


def _count(raw: str) -> int | None:
    return int(raw) if raw not in _UNSET and raw.isascii() and raw.isdigit() else None


def span_seconds(raw: str) -> float | None:
    """A time span as systemd prints it (``1min 30s``) in seconds; None for what is no span."""
    if raw == "infinity":
        return math.inf
    total = 0.0
    for part in raw.split():
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([a-z]+)", part)
        if match is None or match[2] not in _SPANS:
            return None
        total += float(match[1]) * _SPANS[match[2]]
    return total if raw.strip() else None


def job_seconds(unit: Unit) -> float:
    """How long a repair waits for systemd to stop and start a unit: the unit's own limits and a little more.

    Each of the two is bounded by ``LONGEST_JOB_SECONDS``.
    """
    limits = (unit.stop_seconds, unit.start_seconds)
    spans = (DEFAULT_JOB_SECONDS if limit is None else min(limit, LONGEST_JOB_SECONDS) for limit in limits)
    return sum(spans) + MARGIN_SECONDS


def act(verb: str, unit: str, *, timeout: float) -> None:
    """``systemctl restart|start|reload`` one unit and wait for it. Raises SystemdError with systemd's own words."""
    try:
        done = command.run(["systemctl", "--no-ask-password", verb, "--", unit], timeout=timeout)
    except command.CommandUnfinished as error:
        raise SystemdError(f"'systemctl {verb} {unit}' did not end within {timeout:g} s.") from error
    if done.rc != 0:
        raise SystemdError(f"'systemctl {verb} {unit}' failed: {done.first_error()}")


def status_lines(unit: str) -> list[str]:
    """What ``systemctl status`` prints of a unit without its log, cleaned."""
    return _told(["systemctl", "status", "--no-pager", "--full", "--lines=0", "--", unit])


def journal_lines(unit: str, *, lines: int) -> list[str]:
    """The last ``lines`` lines of a unit's journal, oldest first, cleaned."""
    return _told(["journalctl", f"--unit={unit}", f"--lines={lines}", "--no-pager", "--quiet", "--output=short-iso"])


def _told(argv: Sequence[str]) -> list[str]:
    try:
        done = command.run(argv, timeout=ASK_SECONDS)
    except (command.CommandMissing, command.CommandUnfinished) as error:
        return [clean(str(error))]
    return [line for raw in done.lines() if (line := clean(raw))] or [clean(done.first_error())]
