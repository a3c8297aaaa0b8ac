# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what is new in the journal, in the files of syslog and in those of applications, each line once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import firewall
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.applications import Application
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.blocks import Blocks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import MAX_MESSAGE, Line
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.journal import (
    FIELDS,
    MATCHES,
    read_entry,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.options import Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.progress import Progress
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.review import Review
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.senders import ODD
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.stamp import Stamps, unrepeated
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.telling import (
    MISSING,
    Heard,
    Telling,
    absence,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.files import live_logs
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import follow, joined
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.journald import (
    follow_journal,
    require_journal,
)

#: The usual files of logins and of the kernel, of which the first that is there is read: Debian's, Red Hat's, and the
#: one file of busybox's syslogd (Alpine) and of SUSE.
LOGIN_FILES = ("/var/log/auth.log", "/var/log/secure", "/var/log/messages")
KERNEL_FILES = ("/var/log/kern.log", "/var/log/messages")
#: Where logins may stand among everything else, or may not.
SHARED_FILES = ("/var/log/messages",)
JOURNAL = "logins in the journal"
DAMAGED = "'journalctl --verify' says whether its files are damaged."
#: Files that one run reads, and of which it remembers how far.
MAX_FILES = 200
#: Characters of a line that are looked at: those of its message, and room for its time and sender.
_MAX_RAW = MAX_MESSAGE + 1024


@dataclass
class Collector:
    """One reading. ``begin`` is the Unix time before which lines of a source that is met for the first time are old."""

    wanted: Wanted
    review: Review
    blocks: Blocks
    tell: Telling
    remembered: Mapping[str, Any]
    now: float
    marks: dict[str, Any] = field(default_factory=dict)
    journal_mark: Mapping[str, Any] = field(default_factory=dict)
    #: The file of everything that is known to have logins.
    login_file: str = ""
    #: Why logins, or the kernel's messages, could not be read at all.
    no_logins: Absent | None = None
    no_kernel: Absent | None = None

    def __post_init__(self) -> None:
        self._stamps = Stamps(self.now)
        self._oldest = self.begin
        self._times: list[float] = []
        self.progress = Progress(self.remembered, now=self.now, begin=self.begin)

    @property
    def begin(self) -> float:
        return self.now - self.wanted.first_seconds

    @property
    def logins(self) -> Reading[Review]:
        return self.no_logins or self.review

    @property
    def kernel(self) -> Reading[Blocks]:
        return self.no_kernel or self.blocks

    def read(self) -> None:
        """Everything that is new, from where it is to be had."""
        if self.wanted.source == "files" or not self.read_journal():
            self.read_files()
        else:
            self._keep_marks([*LOGIN_FILES, *KERNEL_FILES])
        self.read_applications()

    def kept(self) -> dict[str, Any]:
        """How far everything was read, for the next run."""
        until = self.progress.as_data([*self.marks, JOURNAL] if self.journal_mark else self.marks)
        return {"files": self.marks, "journal": self.journal_mark, "login_file": self.login_file, "until": until}

    def _keep_marks(self, paths: Iterable[str]) -> None:
        """Files that are not read in this run, and will be in another."""
        self.marks.update({path: known for path in paths for known in [self._known(path)] if known})

    # --- journal ---------------------------------------------------------------------------------------------

    def read_journal(self) -> bool:
        """The journal; False where there is none, or none that may be read, and files may be read in its place."""
        known = self.remembered.get("journal")
        # A journal that cannot be read for once is read on from the same place when it can be.
        remembered = self.journal_mark = known if isinstance(known, dict) else {}
        try:
            require_journal()
        except Absent as absent:
            if self.wanted.source == "auto" and self._first(LOGIN_FILES):
                return False
            self.no_logins = self.no_kernel = absent
            self.tell.say("logs.readable", JOURNAL, absent.status, absent.message, remedy=absent.remedy)
            return True
        # What files told meanwhile is not told again.
        self._oldest = self.progress.until([*LOGIN_FILES, *KERNEL_FILES])
        self._times = []
        before = self._counts()
        try:
            trail = follow_journal(
                remembered, matches=MATCHES, fields=FIELDS, first_time=self.begin, budget=self.wanted.max_bytes
            )
            odd = self._take_entries(trail.blocks())
        except MaintenanceError as error:
            words = f"the journal cannot be read on: {error.message}"
            self.tell.say("logs.readable", JOURNAL, "unknown", words, remedy=DAMAGED)
            self.no_logins = self.no_kernel = Absent(error.message, status="unknown")
            return True
        # What was taken before journalctl failed is told below, and the next run goes on behind it.
        self.journal_mark = trail.mark()
        heard = Heard(read=True, lines=trail.lines, odd=odd)
        self._cover(JOURNAL, known=bool(remembered), whole=not trail.behind, before=before)
        self.review.formless += odd
        self.no_logins = self.no_kernel = absence([], {"the journal": heard})
        if trail.trouble:
            words = f"the journal cannot be read on after {counted(trail.lines, 'new line')}: {trail.trouble}"
            self.tell.say("logs.readable", JOURNAL, "unknown", words, remedy=DAMAGED)
        else:
            self.tell.read(JOURNAL, heard)
        self.tell.missing(JOURNAL, joined(trail.losses), 0 if trail.trouble else trail.behind)
        self.tell.skipped(JOURNAL, max(trail.cut_lines, odd), trail.lines)
        return True

    def _take_entries(self, blocks: Iterator[bytes]) -> int:
        """How many entries were not understood: no line may end the reading of all the others."""
        odd = 0
        for block in blocks:
            for raw in block.splitlines():
                try:
                    line = read_entry(raw)
                    if line is not None:
                        self.take(line)
                    else:
                        odd += 1
                except ODD:
                    odd += 1
        return odd

    # --- files -----------------------------------------------------------------------------------------------

    def read_files(self) -> None:
        """The files of syslog: those that are named, or the usual ones."""
        named, empty = live_logs(self.wanted.files)
        named += self._vanished(named)
        for pattern in empty:
            self.tell.say("logs.readable", pattern, "unknown", f"{pattern}: no such file", remedy=MISSING)
        logins = named or self._first(LOGIN_FILES)
        kernel = [] if named else self._first(KERNEL_FILES)
        paths = self._within(list(dict.fromkeys([*logins, *kernel])), "files")
        # What the journal told is not told again; the times in files are whole seconds.
        told = self.progress.until([JOURNAL]) // 1 if self.wanted.source == "auto" else 0.0
        heard = {path: self._read_file(path, self._take_syslog, after=told) for path in paths}
        for_logins = {path: heard[path] for path in logins if path in heard}
        for_kernel = {path: heard[path] for path in kernel or named if path in heard}
        self.review.formless += sum(one.odd for one in for_logins.values())
        self.no_logins = absence(self.wanted.files or LOGIN_FILES, for_logins)
        self.no_kernel = absence(self.wanted.files or KERNEL_FILES, for_kernel)
        if self.no_logins is None and not named and logins[0] in SHARED_FILES:
            self._doubt_shared(logins[0])

    def _within(self, paths: Sequence[str], item: str) -> Sequence[str]:
        """As many as one run reads; of the others it is told that they were not read, and how far they are is kept."""
        left = paths[MAX_FILES:]
        if left:
            words = f"{counted(len(left), 'file')} not read, for one run reads {MAX_FILES}: from {left[0]} on"
            self.tell.say("logs.readable", item, "unknown", words, remedy="Name fewer files.")
            self._keep_marks(left)
        return paths[:MAX_FILES]

    def _doubt_shared(self, path: str) -> None:
        """A file of everything may be one without logins (``authpriv.none``); where it once had some, it has all."""
        self.login_file = path if self.review.lines or self.remembered.get("login_file") == path else ""
        if not self.login_file:
            apart = ", ".join(one for one in LOGIN_FILES if one not in SHARED_FILES)
            self.no_logins = Absent(
                f"none of {apart} is there, and {path} has no line of sshd, sudo or su",
                remedy="Name the file that logins are logged to in files.",
            )

    def _first(self, paths: Sequence[str]) -> list[str]:
        """The first that is there, or that was read before: its older pieces may go on from there."""
        return [path for path in paths if os.path.lexists(path) or self._known(path)][:1]

    def _known(self, path: str) -> Mapping[str, Any] | None:
        marks = self.remembered.get("files")
        known = marks.get(path) if isinstance(marks, dict) else None
        return known if isinstance(known, dict) else None

    def _vanished(self, present: Sequence[str]) -> list[str]:
        """Named files that were read before and are not there now."""
        marks = self.remembered.get("files")
        return [
            path
            for path in (marks if isinstance(marks, dict) else ())
            if path not in present and any(fnmatchcase(path, pattern) for pattern in self.wanted.files)
        ]

    def read_applications(self) -> None:
        """The files of the user's own applications."""
        for application in self.wanted.applications:
            paths, _empty = live_logs(application.files)
            named = ", ".join(application.files)
            if not paths:
                words = f"{named}: no file of {application.name} is there"
                self.tell.say("logs.readable", named, "unknown", words, remedy=MISSING)
            for path in self._within(paths, named):
                self._read_file(path, self._reader_of(application))

    def _read_file(self, path: str, take: Callable[[str], bool], *, after: float = 0.0) -> Heard:
        """Read what is new in a file. ``take`` says whether the form of a line is known; ``after`` is a Unix time."""
        known = self._known(path)
        self._oldest = max(after, 0.0 if known else self.begin)
        self._times = []
        before = self._counts()
        trail = follow(path, known, first=self.wanted.max_bytes, budget=self.wanted.max_bytes)
        odd = 0
        for block in trail.blocks():
            for raw in block.decode("utf-8", "replace").split("\n"):
                try:
                    odd += 1 if raw and not take(raw) else 0
                except ODD:
                    odd += 1
        self.marks[path] = trail.mark()
        # Between a rotation and the next line there may be no log, and its older pieces are all there is to read.
        older = trail.gone and bool(trail.pieces)
        heard = Heard(older or not trail.unreadable, trail.unreadable, trail.lines, odd)
        if older:
            words = f"it is not there; {counted(trail.lines, 'new line')} read from its older pieces"
            self.tell.say("logs.readable", path, "info", words)
        elif trail.unreadable:
            self.tell.unreadable(path, trail.unreadable, gone=trail.gone)
        else:
            self.tell.read(path, heard)
        if heard.read:
            self._cover(path, known=bool(known), whole=not trail.behind, before=before)
        if trail.lost or not trail.unreadable:
            self.tell.missing(path, trail.lost, trail.behind, trail.packed)
            self.tell.skipped(path, trail.cut_lines + odd, trail.lines)
        return heard

    def _counts(self) -> tuple[int, int]:
        return self.review.failures, self.blocks.packets

    def _cover(self, source: str, *, known: bool, whole: bool, before: tuple[int, int]) -> None:
        """Note which span of time a source was read over, and what it brought."""
        failures, packets = (now - then for now, then in zip(self._counts(), before))
        self.progress.add(source, known=known, times=self._times, whole=whole, failures=failures, packets=packets)

    def _take_syslog(self, raw: str) -> bool:
        line = self._stamps.read(raw[:_MAX_RAW])
        if line is not None:
            self.take(line)
        return line is not None

    def _reader_of(self, application: Application) -> Callable[[str], bool]:
        def take(raw: str) -> bool:
            told = application.read(raw)
            # A login without a time is taken, for it was read for the first time.
            if told is not None and (not told[1].when or told[1].when >= self._oldest):
                self._meet(told[1].when)
                self.review.happen(*told)
            # An application may log whatever it likes between its logins.
            return True

        return take

    # --- lines -----------------------------------------------------------------------------------------------

    def take(self, line: Line) -> None:
        """A line of the host's own, from wherever it came."""
        if line.when < self._oldest:
            return
        self._meet(line.when)
        if line.program == "kernel":
            message, times = unrepeated(line.message)
            packet = firewall.parse(message)
            if packet is not None and line.uid is not None:
                # The kernel is no process, so it has no user.
                self.review.disbelieve(line, message, times)
            elif packet is not None:
                self.blocks.take(packet, line.when, times)
        else:
            self.review.take(line)

    def _meet(self, when: float) -> None:
        """The times of the first and of the last line of a source."""
        if when:
            first, last = self._times or (when, when)
            self._times = [min(first, when), max(last, when)]
