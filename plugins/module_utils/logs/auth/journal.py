# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entries of the journal tell of logins and of the kernel, and what they say (journalctl(1)).

Only here is it known who really sent a line: the fields that begin with ``_`` are the kernel's word
(systemd.journal-fields(7)).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import Line

#: Facilities auth and authpriv, whoever logs there; sshd however it logs; sudo and su; who speaks in their names; the
#: kernel. Several values of a field are alternatives, and so are the groups around a plus sign.
MATCHES = (
    "SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10", "+",
    "_COMM=sshd", "_COMM=sshd-session", "_COMM=sshd-auth", "_COMM=sudo", "_COMM=su", "_COMM=login", "+",
    "_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_UNIT=sshd.service", "+",
    "SYSLOG_IDENTIFIER=sshd", "SYSLOG_IDENTIFIER=sshd-session", "SYSLOG_IDENTIFIER=sudo", "SYSLOG_IDENTIFIER=su", "+",
    "_TRANSPORT=kernel",
)  # fmt: skip
FIELDS = ("MESSAGE", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "_PID", "_UID", "_COMM", "_EXE", "_TRANSPORT")


def line_of(entry: Mapping[str, Any]) -> Line | None:
    """An entry of the journal as a line; None for one without words or time."""
    message, when = _text(entry.get("MESSAGE")), _text(entry.get("__REALTIME_TIMESTAMP"))
    if not message or not when.isdecimal() or len(when) > 18:
        return None
    uid = _text(entry.get("_UID"))
    kernel = entry.get("_TRANSPORT") == "kernel"
    program = "kernel" if kernel else _text(entry.get("SYSLOG_IDENTIFIER"))
    return Line(
        when=int(when) / 1e6,
        program=program,
        message=message.lstrip(" "),
        pid=_text(entry.get("SYSLOG_PID")) or _text(entry.get("_PID")),
        # Root may write to the kernel's own log, and the kernel itself is nobody.
        uid=int(uid) if uid.isdecimal() and len(uid) <= 10 and not kernel else None,
        comm=_text(entry.get("_COMM")),
        exe=_text(entry.get("_EXE")),
    )


def read_entry(raw: bytes) -> Line | None:
    """A line of ``journalctl -o json``; None for one that was cut, or has no words."""
    try:
        entry = json.loads(raw)
    except ValueError:
        return None
    return line_of(entry) if isinstance(entry, dict) else None


def _text(value: object) -> str:
    """A field: text, a list of byte values where it is not UTF-8, or a list of texts where it was given twice."""
    if isinstance(value, list) and value and all(isinstance(one, int) and 0 <= one < 256 for one in value):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value[0]
    return value if isinstance(value, str) else ""
