# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""logrotate's status file: when it rotated which log last. Source: man 8 logrotate; writeState in logrotate.c."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent

#: Debian's and Red Hat's.
FILES = ("/var/lib/logrotate/status", "/var/lib/logrotate/logrotate.status", "/var/lib/logrotate.status")
MAX_FILE = 8 * 1024 * 1024
_ENTRY = re.compile(r'"(?P<log>(?:[^"\\]|\\.)*)" (?P<moment>\d+-\d+-\d+-\d+:\d+:\d+|\d+-\d+-\d+)')


@dataclass(frozen=True)
class Status:
    """The entries by log, and when the file was last written; ``written`` None and no entries before the first run.

    ``since`` is when the folder of the status was made, as near as the file system tells: installed about then.
    """

    path: str
    written: datetime | None
    entries: Mapping[str, datetime]
    since: datetime | None = None


def parse(text: str) -> dict[str, datetime]:
    """The entries of a status file; times in it are local ones of the host."""
    entries = {}
    for found in _ENTRY.finditer(text):
        moment = _local(found["moment"])
        if moment:
            entries[re.sub(r"\\(.)", r"\1", found["log"])] = moment
    return entries


def _local(text: str) -> datetime | None:
    figures = [int(figure) for figure in re.split("[-:]", text)]
    year, month, day, hour, minute, second = [*figures, 0, 0, 0][:6]
    try:
        stamp = time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
        return datetime.fromtimestamp(stamp, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def collect_status() -> Status:
    """The status of this host. Raises Absent where there is not even a place for it, and PermissionError."""
    for path in FILES:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                facts = os.fstat(stream.fileno())
                return Status(path, _moment(facts.st_mtime), parse(stream.read(MAX_FILE)))
        except FileNotFoundError:
            continue
    folder = os.path.dirname(FILES[0])
    try:
        return Status(FILES[0], None, {}, since=_moment(os.stat(folder).st_mtime))
    except FileNotFoundError:
        raise Absent(f"there is neither {folder} nor a status file elsewhere: logrotate is not installed") from None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), timezone.utc)
