# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal has on logins and on the kernel since the last run, entry by entry (journalctl(1)).

Only here is it known who really sent a line: the fields that begin with ``_`` are the kernel's word
(systemd.journal-fields(7)).
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import which
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import Line, clock_words
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.output import Output

#: Facilities auth and authpriv, whoever logs there; sshd however it logs; sudo and su; who speaks in their names; the
#: kernel. Several values of a field are alternatives, and so are the groups around a plus sign.
MATCHES = (
    "SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10", "+",
    "_COMM=sshd", "_COMM=sshd-session", "_COMM=sshd-auth", "_COMM=sudo", "_COMM=su", "_COMM=login", "+",
    "_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_UNIT=sshd.service", "+",
    "SYSLOG_IDENTIFIER=sshd", "SYSLOG_IDENTIFIER=sshd-session", "SYSLOG_IDENTIFIER=sudo", "SYSLOG_IDENTIFIER=su", "+",
    "_TRANSPORT=kernel",
)  # fmt: skip
_FIELDS = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_UID,_COMM,_EXE,_TRANSPORT"
_PLACES = ("/var/log/journal/*/system.journal", "/run/log/journal/*/system.journal")
_SECONDS = 300.0
_CLOCK_STEP = 1e6
#: What is longer than this is no entry of a login.
_ENTRY = 1 << 20


@dataclass
class Journal:
    """One reading. ``mark()`` says where the next one goes on; ``lost`` why lines are missing, ``behind`` what is left.

    ``remembered`` is an earlier mark, or nothing; then reading begins at ``begin``, in Unix seconds, as ``now`` is.
    """

    remembered: Mapping[str, Any]
    begin: float
    now: float
    budget: int
    places: Sequence[str] = _PLACES
    lines: int = 0
    lost: str = ""
    behind: bool = False
    trouble: str = ""
    _cursor: str = field(init=False, default="")
    _until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        cursor, until = self.remembered.get("cursor"), self.remembered.get("until")
        self._cursor = cursor if isinstance(cursor, str) else ""
        self._until = float(until) if isinstance(until, (int, float)) else 0.0

    def require(self) -> None:
        """Raises Absent where there is no journal, or none that this user may read."""
        found = [path for place in self.places for path in glob.glob(place)]
        if which("journalctl") is None or not found:
            raise Absent("there is no journal on this host")
        if not any(os.access(path, os.R_OK) for path in found):
            raise Absent(
                "the journal cannot be read", remedy="Run the check with become, or as a member of systemd-journal."
            )

    def entries(self) -> Iterator[Line]:
        """The lines, oldest first."""
        start = f"--since=@{int(self._until or self.begin)}"
        if self._until:
            self._look_for_loss()
        if self._cursor and not self.lost:
            start = f"--after-cursor={self._cursor}"
        spent = 0
        for raw in self._run([start, f"--output-fields={_FIELDS}", *MATCHES]):
            spent += len(raw)
            entry = _parsed(raw)
            if entry is None:
                continue
            cursor = entry.get("__CURSOR")
            self._cursor = cursor if isinstance(cursor, str) else self._cursor
            line = line_of(entry)
            if line is not None:
                self.lines += 1
                yield line
            if spent >= self.budget:
                self.behind = True
                return

    def mark(self) -> dict[str, Any]:
        # A cursor that journalctl does not take is given up, and the next run goes by time.
        cursor = "" if self.trouble and not self.lines else self._cursor
        return {"cursor": cursor, "until": self._until if self.behind or self.trouble else self.now}

    def _look_for_loss(self) -> None:
        for raw in self._run(["--output-fields=_PID"]):
            entry = _parsed(raw) or {}
            oldest = int(entry.get("__REALTIME_TIMESTAMP", 0)) / _CLOCK_STEP
            if oldest > self._until:
                self.lost = (
                    f"the journal begins at {clock_words(oldest)}, after the last run of {clock_words(self._until)}"
                )
            return

    def _run(self, arguments: Sequence[str]) -> Iterator[bytes]:
        """The output of journalctl line by line; left before its end, or after too long, it is killed."""
        argv = ["journalctl", "--quiet", "--no-pager", "--all", "--output=json", *arguments]
        try:
            for block in Output(argv, timeout=_SECONDS, limit=_ENTRY).blocks():
                yield from block.splitlines(keepends=True)
        except MaintenanceError as error:
            self.trouble = error.message


def line_of(entry: Mapping[str, Any]) -> Line | None:
    """An entry of the journal as a line; None for one without words or time."""
    message, when = _text(entry.get("MESSAGE")), _text(entry.get("__REALTIME_TIMESTAMP"))
    if not message or not when.isdecimal():
        return None
    uid = _text(entry.get("_UID"))
    program = "kernel" if entry.get("_TRANSPORT") == "kernel" else _text(entry.get("SYSLOG_IDENTIFIER"))
    return Line(
        when=int(when) / _CLOCK_STEP,
        program=program,
        message=message.lstrip(" "),
        pid=_text(entry.get("SYSLOG_PID")) or _text(entry.get("_PID")),
        uid=int(uid) if uid.isdecimal() else None,
        comm=_text(entry.get("_COMM")),
        exe=_text(entry.get("_EXE")),
    )


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(raw)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _text(value: object) -> str:
    """A field: text, a list of byte values where it is not UTF-8, or a list of texts where it was given twice."""
    if isinstance(value, list) and value and all(isinstance(one, int) and 0 <= one < 256 for one in value):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value[0]
    return value if isinstance(value, str) else ""
