# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's share of a retention: which archived files may go, and having journalctl remove exactly those.

journald counts a file by its first entry, so ``--vacuum-time`` by itself also takes files that hold young entries. Here
a file is as old as its last change, and what is handed to journalctl is the moment that parts those that go from those
that stay. Sources: man 1 journalctl; src/libsystemd/sd-journal/journal-vacuum.c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, number, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import (
    PERSISTENT,
    Archived,
    Folder,
    collect_folders,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.policy import JournalLimits

TIMEOUT = 120.0
#: Two files whose first entries are nearer than this cannot be told apart for certain while time goes on.
APART = timedelta(seconds=30)


@dataclass(frozen=True)
class Vacuum:
    """The archived files of a folder that go, oldest first, and why.

    ``kept`` says what held back the next one; ``waits`` is true where it was the budget.
    """

    folder: Folder
    going: tuple[Archived, ...]
    reason: str
    kept: str = ""
    waits: bool = False

    @property
    def used(self) -> int:
        return sum(file.used for file in self.going)


@dataclass(frozen=True)
class Room:
    """What of a run's budget is left: files and bytes, None for no limit."""

    files: int
    bytes: int | None

    def less(self, files: int, used: int) -> Room:
        return Room(self.files - files, None if self.bytes is None else self.bytes - used)

    def __str__(self) -> str:
        size = "" if self.bytes is None else f" and {quantity(max(0, self.bytes), 'B')}"
        return f"what is left of the budget of this run is {counted(max(0, self.files), 'file')}{size}"


def plan(
    folder: Folder,
    limits: JournalLimits,
    *,
    now: datetime,
    room: Room | None = None,
    holds: Callable[[str], str] = lambda path: "",
) -> Vacuum:
    """The longest run of oldest files that a limit wants gone, and that floor, holds and budget let go.

    journalctl removes the oldest files and leaves none of them out, so the first that has to stay ends the run.
    ``holds`` says for a path what holds it.
    """
    going: list[Archived] = []
    kept, waits = "", False
    left = folder.used
    reasons: list[str] = []
    for file in folder.archived:
        why = _beyond(file, left=left, limits=limits, now=now)
        if not why:
            break
        stays = holds(f"{folder.path}/{file.name}")
        if not stays and now - file.changed < timedelta(days=limits.least_days):
            stays = f"was written to within {number(limits.least_days)} days"
        if not stays and room and (room.files < 1 or (room.bytes is not None and room.bytes < file.used)):
            stays, waits = f"takes {quantity(file.used, 'B')}, and {room}", True
        if stays:
            kept = f"{file.name} {why}, but {stays}"
            break
        reasons.append(why)
        going.append(file)
        left -= file.used
        room = room.less(1, file.used) if room else None
    while going and len(going) < len(folder.archived) and folder.archived[len(going)].head - _youngest(going) < APART:
        going.pop()
    reason = _reason(reasons[: len(going)])
    return Vacuum(folder, tuple(going), reason, kept, waits)


def _reason(reasons: Sequence[str]) -> str:
    amounts = {why: reasons.count(why) for why in dict.fromkeys(reasons)}
    return "; ".join(f"{counted(amount, 'archived file')}: each {why}" for why, amount in amounts.items())


def _youngest(files: Sequence[Archived]) -> datetime:
    """The first entry that is youngest, which after a clock was set back need not be that of the last file."""
    return max(file.head for file in files)


def _beyond(file: Archived, *, left: int, limits: JournalLimits, now: datetime) -> str:
    if limits.days is not None and now - file.changed > timedelta(days=limits.days):
        return f"is older than {number(limits.days)} days"
    if limits.most_bytes is not None and left > limits.most_bytes:
        return f"is beyond {quantity(limits.most_bytes, 'B')}"
    return ""


def carry_out(vacuum: Vacuum, *, clock: Clock) -> Folder:
    """Have journalctl remove the files, and return the folder as it is then. Raises MaintenanceError."""
    span = clock.now() - _youngest(vacuum.going) - timedelta(microseconds=1)
    microseconds = span // timedelta(microseconds=1)
    done = run(["journalctl", f"--directory={vacuum.folder.path}", f"--vacuum-time={microseconds}us"], timeout=TIMEOUT)
    if done.rc != 0:
        raise MaintenanceError(f"journalctl could not remove archived files: {done.first_error()}.")
    return next(
        (folder for folder in collect_folders((PERSISTENT,)) if folder.path == vacuum.folder.path),
        Folder(vacuum.folder.path, (), 0),
    )
