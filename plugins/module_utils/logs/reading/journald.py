# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of systemd from where the last run stopped. Source: journalctl(1), systemd.journal-fields(7).

The mark is the cursor of the newest entry of the whole journal, whatever is chosen from it; an entry chosen by its unit
may rightly be so old that it was vacuumed long ago. When the entry of the mark is gone, entries behind it may be too.
"""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import run, which
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED, Loss
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.output import Output

FIELDS = ("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_PID", "_COMM", "_TRANSPORT")
#: The system's own journal, on the disk and in memory.
PLACES = ("/var/log/journal/*/system.journal", "/run/log/journal/*/system.journal")
_TIMEOUT = 600.0
#: What is longer than this is no entry of a log.
_ENTRY = 1 << 20
_CURSOR = re.compile(r"s=([0-9a-f]+);i=([0-9a-f]+);.*\bt=([0-9a-f]{1,16})\b")
_LINE_CURSOR = re.compile(rb'"__CURSOR" ?: ?"([^"]{1,400})"')


def any_of(*, units: Sequence[str] = (), identifiers: Sequence[str] = (), kernel: bool = False) -> tuple[str, ...]:
    """Matches of which any will do (``-u`` and ``-t`` would narrow each other); none, for all, without a word."""
    units = [unit if "." in unit else f"{unit}.service" for unit in units]
    terms = [[f"_SYSTEMD_UNIT={unit}"] for unit in units]
    # What systemd itself says of a unit: that it failed, or was killed.
    terms += [[f"UNIT={unit}", "_PID=1"] for unit in units]
    terms += [[f"SYSLOG_IDENTIFIER={identifier}"] for identifier in identifiers]
    terms += [["_TRANSPORT=kernel"]] if kernel else []
    joined: list[str] = []
    for number, term in enumerate(terms):
        joined += (["+"] if number else []) + term
    return tuple(joined)


def require_journal(places: Sequence[str] = PLACES) -> None:
    """Raises Absent where there is no journal, or none that this user may read.

    Who may read a journal of his own alone would find the system's without errors.
    """
    found = [path for place in places for path in glob.glob(place)]
    if which("journalctl") is None or not found:
        raise Absent("there is no journal on this host")
    if not any(os.access(path, os.R_OK) for path in found):
        raise Absent(
            "the journal cannot be read", remedy="Run the check with become, or as a member of systemd-journal."
        )


@dataclass
class JournalTrail:
    """What there is to read of the journal: like a ``Trail``, with entries as JSON, one a line, in ``blocks()``.

    ``start`` are the arguments that say where reading begins; ``until`` is the cursor of the newest entry there was
    when this was made, empty for an empty journal: what comes while we read is the next run's. ``trouble`` says why
    journalctl ended before it had given everything; what it gave until then counts, and the next run goes on behind it.
    """

    matches: Sequence[str] = ()
    fields: Sequence[str] = FIELDS
    after: str = ""
    start: Sequence[str] = ()
    until: str = ""
    budget: int | None = None
    first_seen: bool = False
    losses: list[Loss] = field(default_factory=list)
    lines: int = 0
    cut_lines: int = 0
    behind: int = 0
    trouble: str = ""
    _reached: str = ""
    _finished: bool = False

    def blocks(self) -> Iterator[bytes]:
        """Entries from the start on. Raises MaintenanceError where there is not one of them."""
        if not self.until or self.after == self.until:
            self._finished = True
            return
        argv = ["journalctl", "-o", "json", "--all", "--no-pager", "-q", "--output-fields", ",".join(self.fields)]
        output = Output([*argv, *self.start, *self.matches], timeout=_TIMEOUT, budget=self.budget, limit=_ENTRY)
        try:
            for block in output.blocks():
                kept = self._up_to_end(block)
                if kept:
                    self.lines += kept.count(b"\n")
                    found = _LINE_CURSOR.findall(kept)
                    self._reached = found[-1].decode("ascii", "replace") if found else self._reached
                    yield kept
                if len(kept) < len(block):
                    break
        except MaintenanceError as error:
            if not self._reached:
                raise
            self.trouble = error.message
        self.cut_lines = output.cutter.cut_lines
        self._finished = not (output.stopped or self.trouble)
        self.behind = 0 if self._finished else UNMEASURED

    def _up_to_end(self, block: bytes) -> bytes:
        """The part of a block that is not newer than ``until``."""
        cursors = _LINE_CURSOR.findall(block)
        if not cursors or not is_newer(cursors[-1].decode("ascii", "replace"), self.until):
            return block
        kept = []
        for line in block.splitlines(keepends=True):
            found = _LINE_CURSOR.search(line)
            if found and is_newer(found.group(1).decode("ascii", "replace"), self.until):
                break
            kept.append(line)
        return b"".join(kept)

    def mark(self) -> dict[str, Any]:
        """Where the next run goes on, right at any moment between two blocks; ``time`` helps where the cursor fails."""
        cursor = (self.until if self._finished else self._reached) or self.after
        return {"cursor": cursor, "time": _microseconds(cursor) / 1e6}


def is_newer(cursor: str, than: str) -> bool:
    """Whether an entry was written after another: by its number in one sequence, else by its time."""
    one, other = _CURSOR.match(cursor), _CURSOR.match(than)
    if not one or not other:
        return False
    if one.group(1) == other.group(1):
        return int(one.group(2), 16) > int(other.group(2), 16)
    return int(one.group(3), 16) > int(other.group(3), 16)


def follow_journal(
    remembered: Mapping[str, Any] | None,
    *,
    matches: Sequence[str] = (),
    fields: Sequence[str] = FIELDS,
    first_entries: int | None = 0,
    first_time: float | None = None,
    budget: int | None = None,
) -> JournalTrail:
    """What is new in the journal since ``remembered``. Raises MaintenanceError where journalctl does not answer.

    A journal never seen is begun ``first_entries`` of those that are chosen before its end, at its start for None, or
    at ``first_time`` in Unix seconds.
    """
    trail = JournalTrail(matches, fields, budget=budget)
    newest = _entry("-n", "1")
    trail.until = newest or ""
    cursor, time = (remembered or {}).get("cursor"), (remembered or {}).get("time")
    if remembered and cursor == "":
        # An empty journal has no cursor, and all that came since is new.
        trail.first_seen = True
    elif isinstance(cursor, str) and _CURSOR.match(cursor):
        trail.after = cursor
        _go_on(trail, newest)
    elif remembered and isinstance(time, (int, float)) and 0 < time < 1e11:
        trail.start = _since(time)
        trail.losses.append(Loss("what was remembered of the journal is damaged; reading went on by time", 0))
    else:
        trail.first_seen = True
        if remembered:
            trail.losses.append(Loss("what was remembered of the journal is damaged, so it was begun anew"))
        if first_time is not None:
            trail.start = _since(first_time)
        elif first_entries == 0:
            trail.after = trail.until
        elif first_entries is not None:
            trail.start = ["-n", str(first_entries)]
    return trail


def _go_on(trail: JournalTrail, newest: str | None) -> None:
    """Begin behind the entry that was read last, or, where that is gone, at the next one there is."""
    trail.start = ["--after-cursor", trail.after]
    nearest = _entry("--cursor", trail.after, "-n", "1")
    if newest is None:
        trail.losses.append(Loss("the journal is empty, and was not when it was read last"))
    elif nearest != trail.after:
        gone = f"the entry that was read last, of {_worded(trail.after)}, is no longer in the journal"
        if nearest and is_newer(nearest, trail.after):
            # Older releases of journalctl pass over the entry behind a cursor whose own entry is gone.
            trail.start = ["--cursor", nearest]
            trail.losses.append(Loss(f"{gone}, which goes on at {_worded(nearest)}"))
        else:
            trail.start = [] if nearest else trail.start
            trail.losses.append(Loss(f"{gone}, nor may be some after it"))


def _since(time: float) -> list[str]:
    return ["--since", f"@{int(time)}"]


def _microseconds(cursor: str) -> int:
    found = _CURSOR.match(cursor)
    return int(found.group(3), 16) if found else 0


def _worded(cursor: str) -> str:
    try:
        return f"{datetime.fromtimestamp(_microseconds(cursor) // 10**6, timezone.utc):%Y-%m-%d %H:%M:%S}Z"
    except (ValueError, OverflowError, OSError):
        return "an unknown time"


def _entry(*arguments: str) -> str | None:
    """The cursor of the first entry that journalctl gives; None where it gives none."""
    argv = ["journalctl", "-o", "json", "--no-pager", "-q", "--output-fields", "__CURSOR", *arguments]
    done = run(argv, timeout=60.0)
    if done.rc != 0:
        raise MaintenanceError(f"journalctl failed: {done.first_error()}.")
    try:
        return str(json.loads(done.stdout.splitlines()[0])["__CURSOR"])
    except (ValueError, IndexError, KeyError, TypeError):
        return None
