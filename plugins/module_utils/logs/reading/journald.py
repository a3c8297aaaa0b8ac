# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of systemd from where the last run stopped. Source: journalctl(1), systemd.journal-fields(7).

The mark is the cursor of the newest entry of the whole journal, whatever is chosen from it; an entry chosen by its unit
may rightly be so old that it was vacuumed long ago. When the entry of the mark is gone, entries behind it may be too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import run, which
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import Loss
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.output import Output

FIELDS = ("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_PID", "_COMM", "_TRANSPORT")
FOLDERS = ("/var/log/journal", "/run/log/journal")
_TIMEOUT = 600.0
_CURSOR = re.compile(r"s=([0-9a-f]+);i=([0-9a-f]+);.*\bt=([0-9a-f]+)")
_LINE_CURSOR = re.compile(rb'"__CURSOR" ?: ?"([^"]{1,400})"')


@dataclass(frozen=True)
class Selection:
    """Which entries are wanted: all when nothing is said, else those of any of these."""

    units: Sequence[str] = ()
    identifiers: Sequence[str] = ()
    kernel: bool = False

    def arguments(self) -> list[str]:
        """Matches of which any will do; ``-u`` and ``-t`` would narrow each other."""
        units = [unit if "." in unit else f"{unit}.service" for unit in self.units]
        terms = [[f"_SYSTEMD_UNIT={unit}"] for unit in units]
        # What systemd itself says of a unit: that it failed, or was killed.
        terms += [[f"UNIT={unit}", "_PID=1"] for unit in units]
        terms += [[f"SYSLOG_IDENTIFIER={identifier}"] for identifier in self.identifiers]
        terms += [["_TRANSPORT=kernel"]] if self.kernel else []
        joined: list[str] = []
        for number, term in enumerate(terms):
            joined += (["+"] if number else []) + term
        return joined


@dataclass
class JournalTrail:
    """What there is to read of the journal: like a ``Trail``, with entries as JSON, one a line, in ``blocks()``."""

    selection: Selection
    after: str = ""
    begin: str = ""
    until: str = ""
    budget: int | None = None
    first_entries: int | None = None
    first_seen: bool = False
    losses: list[Loss] = field(default_factory=list)
    lines: int = 0
    cut_lines: int = 0
    behind: int = 0

    def blocks(self) -> Iterator[bytes]:
        """Entries since the mark, up to the newest there was when this began. Raises MaintenanceError."""
        if not self.until or self.after == self.until or self.first_entries == 0:
            return
        since = ["--after-cursor", self.after] if self.after else []
        # Where the entry of a cursor is gone, older releases of journalctl pass over the one behind it as well.
        since = ["--cursor", self.begin] if self.begin else since
        if not self.after and self.first_entries is not None:
            since = ["-n", str(self.first_entries)]
        argv = ["journalctl", "-o", "json", "--all", "--no-pager", "-q", "--output-fields", ",".join(FIELDS), *since]
        output = Output([*argv, *self.selection.arguments()], timeout=_TIMEOUT, budget=self.budget, limit=1 << 20)
        last = b""
        for block in output.blocks():
            kept = self._up_to_end(block)
            if kept:
                self.lines += kept.count(b"\n")
                last = kept
                yield kept
            if len(kept) < len(block):
                break
        self.cut_lines = output.cutter.cut_lines
        if output.stopped:
            self.behind = 1
            found = _LINE_CURSOR.findall(last)
            self.until = found[-1].decode("ascii", "replace") if found else self.after

    def _up_to_end(self, block: bytes) -> bytes:
        """The part of a block that is not newer than the mark to come: what comes while we read is the next run's."""
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
        return {"cursor": self.until or self.after}


def is_newer(cursor: str, than: str) -> bool:
    """Whether an entry was written after another: by its number in one sequence, else by its time."""
    one, other = _CURSOR.match(cursor), _CURSOR.match(than)
    if not one or not other:
        return False
    if one.group(1) == other.group(1):
        return int(one.group(2), 16) > int(other.group(2), 16)
    return int(one.group(3), 16) > int(other.group(3), 16)


def why_not(*, folders: Sequence[str] = FOLDERS) -> str:
    """Why there is no journal to read here; empty when there is one."""
    if which("journalctl") is None:
        return "journalctl is not installed on this host"
    if not any(os.path.isdir(folder) and os.listdir(folder) for folder in folders if os.access(folder, os.R_OK)):
        return "there is no journal on this host, or none that this user may read"
    return ""


def follow_journal(
    remembered: Mapping[str, Any] | None,
    *,
    selection: Selection = Selection(),
    first_entries: int | None = 0,
    budget: int | None = None,
) -> JournalTrail:
    """What is new in the journal since ``remembered``. Raises MaintenanceError where journalctl does not answer.

    ``first_entries`` is how many entries before its end a journal never seen is begun; None for all of them.
    """
    trail = JournalTrail(selection, budget=budget)
    newest = _entry("-n", "1")
    trail.until = str(newest.get("__CURSOR", "")) if newest else ""
    cursor = (remembered or {}).get("cursor")
    if not isinstance(cursor, str) or not cursor:
        trail.first_seen = True
        trail.first_entries = first_entries
        if remembered:
            # An empty journal has no cursor, and all that came since is new.
            trail.first_entries = None
        return trail
    trail.after = cursor
    found = _entry("--cursor", cursor, "-n", "1")
    if newest is None:
        trail.losses.append(Loss("the journal is empty, and was not when it was read last"))
    elif not found or str(found.get("__CURSOR", "")) != cursor:
        nearest = str(found.get("__CURSOR", "")) if found else ""
        if nearest and is_newer(nearest, cursor):
            trail.begin = nearest
        elif nearest:
            trail.after = ""
        trail.losses.append(Loss("the entry that was read last is no longer in the journal, nor may be some after it"))
    return trail


def _entry(*arguments: str) -> dict[str, Any] | None:
    argv = ["journalctl", "-o", "json", "--no-pager", "-q", "--output-fields", "__CURSOR", *arguments]
    done = run(argv, timeout=60.0)
    if done.rc != 0:
        raise MaintenanceError(f"journalctl failed: {done.first_error()}.")
    try:
        entry = json.loads(done.stdout.splitlines()[0])
    except (ValueError, IndexError):
        return None
    return entry if isinstance(entry, dict) else None
