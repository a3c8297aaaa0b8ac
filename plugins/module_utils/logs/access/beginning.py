# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the last hours of a log begin that was never reviewed before: what is older is nobody's news."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta, timezone

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.opening import (
    Unreadable,
    open_folder,
    open_log,
)

#: So many bytes are looked at for a time; within as many it is looked for line by line.
_WINDOW = 1 << 16
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: The times of nginx, Apache and their JSON: $time_local and %t, $time_iso8601, $msec.
_STAMP = re.compile(
    rb"(?P<day>\d\d)/(?P<month>[A-Z][a-z]{2})/(?P<year>\d{4}):(?P<clock>\d\d:\d\d:\d\d) (?P<zone>[-+]\d{4})"
    rb"|(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?P<offset>Z|[-+]\d\d:?\d\d)"
    rb"|(?<![\d.])(?P<epoch>[1-9]\d{9})\.\d{3,6}(?![\d.])"
)


def bytes_since(path: str, oldest: datetime) -> int | None:
    """How many bytes before its end a log's lines are as young as ``oldest``.

    None where it cannot be read, or its lines hold no time that is known. Lines are taken to stand in order.
    """
    directory, name = os.path.split(os.path.abspath(path))
    try:
        folder = open_folder(directory)
    except Unreadable:
        return None
    try:
        descriptor, facts = open_log(name, folder)
    except Unreadable:
        return None
    finally:
        os.close(folder)
    try:
        return _search(descriptor, facts.st_size, oldest)
    finally:
        os.close(descriptor)


def _search(descriptor: int, size: int, oldest: datetime) -> int | None:
    first = _time_at(descriptor, 0)
    if first is None or first >= oldest:
        return None if first is None else size
    low, high = 0, size
    while high - low > _WINDOW:
        middle = (low + high) // 2
        moment = _time_at(descriptor, middle)
        if moment is None:
            return None
        low, high = (middle, high) if moment < oldest else (low, middle)
    return size - _line_since(descriptor, low, size, oldest)


def _line_since(descriptor: int, low: int, size: int, oldest: datetime) -> int:
    """Where the first line begins that is young enough, at or soon after ``low``; the end of the log where none is."""
    text = os.pread(descriptor, 2 * _WINDOW, low)
    for match in _STAMP.finditer(text):
        moment = moment_of(match)
        if moment and moment >= oldest:
            return low + text.rfind(b"\n", 0, match.start()) + 1
    return size


def _time_at(descriptor: int, offset: int) -> datetime | None:
    """The time of the first line that begins at or after an offset and has one.

    Of several the latest: others are what somebody asked for (``?since=``) or called himself, and one that is too late
    only has the log begun too early.
    """
    text = os.pread(descriptor, _WINDOW, offset)
    begin = text.find(b"\n") + 1 if offset else 0
    match = _STAMP.search(text, begin)
    if match is None:
        return None
    end = text.find(b"\n", match.start())
    stamps = _STAMP.finditer(text, match.start(), end if end >= 0 else len(text))
    return max((moment for moment in map(moment_of, stamps) if moment), default=None)


def moment_of(match: re.Match[bytes]) -> datetime | None:
    """The moment that a stamp means; None for one that no calendar has."""
    found = {name: value.decode() for name, value in match.groupdict().items() if value}
    try:
        if "epoch" in found:
            return datetime.fromtimestamp(int(found["epoch"]), timezone.utc)
        if "iso" in found:
            # Before Python 3.11 the standard library wants the colon.
            offset = re.sub(r"(\d\d)(\d\d)", r"\1:\2", found["offset"])
            return parse_time(found["iso"] + offset, option="time")
        hours, minutes = int(found["zone"][1:3]), int(found["zone"][3:])
        zone = timezone(timedelta(hours=hours, minutes=minutes) * (-1 if found["zone"][0] == "-" else 1))
        month = _MONTHS.index(found["month"]) + 1
        hour, minute, second = map(int, found["clock"].split(":"))
        return datetime(int(found["year"]), month, int(found["day"]), hour, minute, min(second, 59), tzinfo=zone)
    except (ValueError, OptionError):
        return None
