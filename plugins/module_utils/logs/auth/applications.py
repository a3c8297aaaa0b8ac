# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins to applications, by patterns of the user's own with the named groups ``user``, ``address`` and ``time``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import (
    Event,
    Kind,
    Line,
    address_of,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.stamp import iso_time

_GROUPS = frozenset({"user", "address", "time"})
#: Longer lines are cut before a pattern sees them: some patterns take the square of a line's length.
MAX_LINE = 4096


@dataclass(frozen=True)
class Application:
    """One application: the files it logs to, and how a failure and a success read in them."""

    name: str
    files: tuple[str, ...]
    failure: re.Pattern[str]
    success: re.Pattern[str] | None

    def read(self, text: str) -> tuple[Event, Line] | None:
        """The login that a line tells of; a time of 0 where the pattern names none."""
        text = text[:MAX_LINE]
        for kind, pattern in ((Kind.FAILED, self.failure), (Kind.ACCEPTED, self.success)):
            match = pattern.search(text) if pattern else None
            if match:
                named = match.groupdict()
                event = Event(
                    kind,
                    user=named.get("user") or "",
                    address=address_of((named.get("address") or "").strip("[]")),
                    method=self.name,
                )
                return event, Line(_time(named.get("time") or ""), self.name, text)
        return None


def read_applications(raw: Sequence[Mapping[str, Any]]) -> tuple[Application, ...]:
    """The option ``applications``, checked. Raises OptionError."""
    return tuple(_applications(raw))


def _applications(raw: Sequence[Mapping[str, Any]]) -> Iterator[Application]:
    for at, entry in enumerate(raw):
        place = f"applications[{at}]"
        if not entry["files"]:
            raise OptionError(f"{place}.files", entry["files"], "at least one file or glob")
        for file_at, path in enumerate(entry["files"]):
            if not path.startswith("/"):
                raise OptionError(f"{place}.files[{file_at}]", path, "an absolute path or glob")
        failure = _pattern(entry["failure"], option=f"{place}.failure")
        success = _pattern(entry["success"], option=f"{place}.success") if entry.get("success") else None
        name = clean(entry["name"], limit=40).replace(" ", "-")
        if not name:
            raise OptionError(f"{place}.name", entry["name"], "a name")
        yield Application(name, tuple(entry["files"]), failure, success)


def _pattern(text: str, *, option: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise OptionError(option, text, f"a regular expression ({error})") from None
    if "user" not in pattern.groupindex and "address" not in pattern.groupindex:
        raise OptionError(option, text, "a regular expression with a group (?P<user>...) or (?P<address>...)")
    strange = sorted(set(pattern.groupindex) - _GROUPS)
    if strange:
        expected = f"a regular expression whose groups are user, address and time, and not {clean(strange[0])}"
        raise OptionError(option, text, expected)
    return pattern


def _time(text: str) -> float:
    """Unix seconds of an ISO 8601 time, of one like ``25/Nov/2026:09:51:24 +0100``, or of a number of seconds."""
    if not text:
        return 0.0
    if text.replace(".", "", 1).isdecimal():
        seconds = float(text[:20])
        # Thirteen digits and more are milliseconds.
        return seconds / 1000 if seconds > 1e11 else seconds
    when = iso_time(text.replace(" ", "T", 1)) if text[:4].isdecimal() else None
    if when is not None:
        return when
    try:
        return datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except (ValueError, OverflowError):
        return 0.0
