# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of syslog files: the ways in which daemons write time and sender.

``Nov 25 09:51:24 host sshd[450]: ...`` (RFC 3164: no year, the host's zone; with parts of a second or the year in front
where a template says so),
``Nov 25 09:51:24 host auth.info sshd[450]: ...`` (busybox's syslogd; with ``-S`` without host and facility),
``2026-11-25T09:51:24.5+00:00 host sshd[450]: ...`` (rsyslog's own; without a zone in the host's own) and
``<38>1 2026-11-25T09:51:24.5+00:00 host sshd 450 - - ...`` (RFC 5424).

Each may stand behind its priority (``<38>``), and each but the last without a host.
"""

from __future__ import annotations

import re
import time
from calendar import monthrange
from collections.abc import Callable
from datetime import datetime, timezone

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import MAX_MESSAGE, Line

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], start=1
    )
}
_SENDER = r"(?P<program>[^\s:\[]+)(?:\[(?P<pid>[^\]\s]*)\])?: ?(?P<message>.*)$"
#: The host's name does not end in a colon, or it would be the sender's.
_HOST = r"(?:\S*[^\s:] (?:[a-z0-9]{1,12}\.[a-z]{1,8} )?)?"
_PRIORITY = r"(?:<\d{1,3}>)?"
_PART = r"(?P<part>[.,]\d{1,9})?"
_TRADITIONAL = re.compile(
    _PRIORITY + r"(?P<stamp>(?:\d{4} )?[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d)" + _PART + " " + _HOST + _SENDER,
    re.DOTALL,
)
_MOMENT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
_ZONE = r"(?:Z|[+-]\d\d:?\d\d)"
_ISO = re.compile(rf"{_PRIORITY}(?P<stamp>{_MOMENT}){_PART}(?P<zone> ?{_ZONE})? " + _HOST + _SENDER, re.DOTALL)
_RFC5424 = re.compile(
    rf"{_PRIORITY}1 (?P<stamp>{_MOMENT}){_PART}(?P<zone>{_ZONE}) \S+ (?P<program>\S+) (?P<pid>\S+) \S+ "
    r'(?:-|(?:\[(?:[^\]"\\]|"(?:[^"\\]|\\.)*"|\\.)*\])+) ?(?P<message>.*)$',
    re.DOTALL,
)
#: A line may say in one breath that it was repeated so often; whoever writes more of it exaggerates.
MAX_TIMES = 1000
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*)\]$", re.DOTALL)
#: A stamp without a year may be so far ahead of our clock, in seconds, before it is taken for one of last year.
_AHEAD = 86400.0


class Stamps:
    """Reads lines of one host; ``now`` in Unix seconds decides which year is meant, ``local`` reads its own time."""

    def __init__(self, now: float, *, local: Callable[[tuple[int, ...]], float] | None = None) -> None:
        self._now = now
        self._local = local or _local
        self._known: tuple[str, float] = ("", 0.0)

    def read(self, raw: str) -> Line | None:
        """A line with its time and sender; None for one in none of the forms."""
        match = _TRADITIONAL.match(raw) or _ISO.match(raw) or _RFC5424.match(raw)
        if match is None:
            return None
        facts = match.groupdict()
        when = self._time(f"{facts['stamp']}{(facts.get('zone') or '').strip()}")
        if when is None:
            return None
        when += float(f"0.{facts['part'][1:]}") if facts["part"] else 0.0
        pid = match["pid"] or ""
        return Line(when, match["program"], match["message"].lstrip(" \ufeff"), pid="" if pid == "-" else pid)

    def _time(self, stamp: str) -> float | None:
        """Unix seconds of a time, whole."""
        # Lines of one second, and often of one minute, follow each other.
        if stamp == self._known[0]:
            return self._known[1]
        # 2026-11-25T09:51:24 is 19 characters long, and what stands behind it is a zone.
        when = iso_time(stamp) if stamp[4:5] == "-" and len(stamp) > 19 else self._in_our_zone(stamp)
        if when is not None:
            self._known = (stamp, when)
        return when

    def _in_our_zone(self, stamp: str) -> float | None:
        if stamp[4:5] == "-":
            return self._at(int(stamp[:4]), int(stamp[5:7]), int(stamp[8:10]), stamp[11:19])
        *year, name, day, clock = stamp.split()
        month = _MONTHS.get(name)
        if month is None:
            return None
        if year:
            return self._at(int(year[0]), month, int(day), clock)
        this_year = datetime.fromtimestamp(self._now + _AHEAD, timezone.utc).year
        # The newest year in which the day exists and is not ahead of us: 29 February may be seven years back.
        for candidate in range(this_year, this_year - 9, -1):
            when = self._at(candidate, month, int(day), clock)
            if when is not None and when <= self._now + _AHEAD:
                return when
        return None

    def _at(self, year: int, month: int, day: int, clock: str) -> float | None:
        """Unix seconds of a time in the host's own zone; None for one that there is not."""
        hour, minute, second = int(clock[:2]), int(clock[3:5]), int(clock[6:8])
        if not (year >= 1 and 1 <= month <= 12 and hour < 24 and minute < 60 and second <= 60):
            return None
        if not 1 <= day <= monthrange(year, month)[1]:
            return None
        try:
            return self._local((year, month, day, hour, minute, second))
        except (ValueError, OverflowError):
            return None


def iso_time(stamp: str) -> float | None:
    """Unix seconds of an ISO 8601 time with its zone; None for what is none. Python before 3.11 reads fewer forms."""
    text = stamp.replace(",", ".", 1)
    head, zone = (text[:-1], "+00:00") if text[-1:] in "Zz" else (text[:-6], text[-6:])
    if zone[0] not in "+-":
        head, zone = text[:-5], f"{text[-5:-2]}:{text[-2:]}"
    whole, _point, fraction = head.partition(".")
    try:
        moment = datetime.fromisoformat(f"{whole}{zone}")
        return moment.timestamp() + float(f"0.{fraction or 0}")
    except (ValueError, OverflowError):
        return None


def unrepeated(message: str) -> tuple[str, int]:
    """The part of a message that is looked at, and how often it came.

    rsyslog writes ``message repeated 3 times: [ ...]`` in the stead of three.
    """
    message = message[:MAX_MESSAGE]
    match = _REPEATED.match(message)
    return (match[2], min(int(match[1]), MAX_TIMES)) if match else (message, 1)


def _local(parts: tuple[int, ...]) -> float:
    return time.mktime((*parts, 0, 0, -1))  # type: ignore[arg-type]
