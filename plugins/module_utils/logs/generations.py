# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that a rotation gave: whose generation a file is, and of which day at the latest. Live names are none.

Forms of logrotate (man 8 logrotate: ``start``, ``extension``, ``dateext``, ``dateformat``), of Python's logging
handlers, of logback and of Tomcat. A name that fits no form is not a rotated one, and is left alone: what may be
removed is judged by fewer forms than what may be read.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase

_PACKED = r"(?P<packed>\.(?:gz|bz2|xz|zst|lz4|lzma|Z))?"
_EXTENSION = r"(?P<extension>\.(?:log|err|out|txt|json|csv))?"
_NUMBERED = re.compile(rf"(?P<log>.+)\.(?P<number>[0-9]{{1,3}}){_EXTENSION}{_PACKED}")
_DATED = re.compile(
    r"(?P<log>.+?)[-._]"
    r"(?P<year>[0-9]{4})(?P<dash>[-_]?)(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})"
    r"(?:[-_T]?[0-9]{2}(?:[-:]?[0-9]{2}){0,2})?"
    r"(?P<number>[.-][0-9]{1,3})?"
    rf"{_EXTENSION}{_PACKED}"
)
#: What is called so is a log wherever it lies.
_LOG = re.compile(
    r"(?:.*[._-])?(?:log|err|out)(?:\.(?:txt|json|csv))?|"
    r"(?:sys|mail|last|fail|tally|xfer|main|reject|panic|access|error)log|"
    r"log\.(?:smbd|nmbd|winbindd(?:-idmap)?)",
    re.IGNORECASE,
)
#: What is called so may be something else, such as a page of a manual, unless the log itself lies beside it.
_WELL_KNOWN = re.compile(
    r"messages|secure|auth|cron|mail|spooler|kern|dmesg|[bw]tmp|debug|daemon|user|boot|warn|localmessages|firewall|"
    r"access|error|stdout|stderr|(?:mail|news)\.[a-z]+|.*[a-z].*\.json",
    re.IGNORECASE,
)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Rotated:
    """A generation of ``log``; ``until`` is the end of the day in its name, None where there is none."""

    log: str
    number: int
    until: datetime | None


def parse(name: str) -> Rotated | None:
    """What a rotated name says; None for every other, whatever it is.

    ``app.log.3``, ``app.log.3.gz``, ``app.3.log``, ``app.log-20260131``, ``app-2026-01-31.log.gz``.
    """
    if _CONTROLS.search(name) or name.startswith(".") or "/" in name:
        return None
    dated = _DATED.fullmatch(name)
    if dated:
        until = _end_of_day(dated)
        if until:
            number = int(dated["number"][1:]) if dated["number"] else 0
            return Rotated(dated["log"] + (dated["extension"] or ""), number, until)
    numbered = _NUMBERED.fullmatch(name)
    if numbered:
        return Rotated(numbered["log"] + (numbered["extension"] or ""), int(numbered["number"]), None)
    return None


def generations(names: Collection[str], *, called: Collection[str] = ()) -> dict[str, Rotated]:
    """The rotated names among those of one folder. ``called`` are globs of logs that are not called like one.

    Segments of tables (``16397.2``), libraries (``libfoo.so.2``), pages of manuals (``tool.3.gz``) and backups
    (``db-20250102.gz``) are named as generations are. So a name counts only where its log is called like one. One with
    the number in the middle (``Xorg.0.log``) has to have its log beside it. What other names are generations of is live
    itself.
    """
    present = frozenset(names)
    found = {
        name: rotated
        for name in present
        for rotated in [parse(name)]
        if rotated and _is_sure(name, rotated, present, called)
    }
    live = {rotated.log for rotated in found.values()}
    return {name: rotated for name, rotated in found.items() if name not in live}


def is_log(name: str) -> bool:
    """Whether a name is that of a log and of nothing else, by what it is called."""
    return bool(_LOG.fullmatch(name))


def is_unprintable(name: str) -> bool:
    """Whether a name cannot be written down in a line as it is."""
    return bool(_CONTROLS.search(name))


def _is_sure(name: str, rotated: Rotated, present: frozenset[str], called: Collection[str]) -> bool:
    if any(fnmatchcase(rotated.log, glob) for glob in called):
        return True
    if rotated.log in present:
        return is_log(rotated.log) or bool(_WELL_KNOWN.fullmatch(rotated.log))
    return is_log(rotated.log) and (rotated.until is not None or name.startswith(rotated.log))


def _end_of_day(found: re.Match[str]) -> datetime | None:
    try:
        day = datetime(int(found["year"]), int(found["month"]), int(found["day"]), tzinfo=timezone.utc)
    except ValueError:
        return None
    # What was written on that day is no older than its end, in whatever zone; the year 9999 has no end.
    return day + timedelta(days=1) if 1990 <= day.year < 9999 else None
