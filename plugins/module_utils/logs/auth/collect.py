# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what is new in the journal, in the files of syslog and in those of applications, each line once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import firewall
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.applications import Application
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.blocks import Blocks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import Line
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.journal import Journal
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.options import Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.review import Review
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.stamp import Stamps, unrepeated
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.files import live_logs
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import Trail, follow

#: The usual files of logins and of the kernel, of which the first that is there is read.
LOGIN_FILES = ("/var/log/auth.log", "/var/log/secure")
KERNEL_FILES = ("/var/log/kern.log", "/var/log/messages")
JOURNAL = "logins in the journal"
#: Files that one run reads, and of which it remembers how far.
MAX_FILES = 200


@dataclass
class Collector:
    """One reading. ``begin`` is the Unix time before which lines of a source that is met for the first time are old."""

    wanted: Wanted
    review: Review
    blocks: Blocks
    catalogue: Catalogue
    book: LevelBook
    remembered: Mapping[str, Any]
    now: float
    findings: list[Finding] = field(default_factory=list)
    marks: dict[str, Any] = field(default_factory=dict)
    journal_mark: dict[str, Any] = field(default_factory=dict)
    #: Why logins, or the kernel's messages, could not be read at all.
    no_logins: Absent | None = None
    no_kernel: Absent | None = None

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
        self.read_applications()

    def kept(self) -> dict[str, Any]:
        """How far everything was read, for the next run."""
        return {"files": self.marks, "journal": self.journal_mark}

    def read_journal(self) -> bool:
        """The journal; False where there is none, or none that may be read, and files may be read in its place."""
        known = self.remembered.get("journal")
        remembered = known if isinstance(known, dict) else {}
        journal = Journal(remembered, begin=self.begin, now=self.now, budget=self.wanted.max_bytes)
        try:
            journal.require()
        except Absent as absent:
            if self.wanted.source == "auto" and _first(LOGIN_FILES):
                return False
            self.no_logins = self.no_kernel = absent
            self._say("logs.readable", JOURNAL, absent.status, absent.message)
            return True
        self._oldest = 0.0
        for line in journal.entries():
            self.take(line)
        self.journal_mark = journal.mark()
        self._tell_journal(journal)
        return True

    def _tell_journal(self, journal: Journal) -> None:
        if journal.trouble:
            self._say("logs.readable", JOURNAL, "unknown", f"the journal cannot be read on: {journal.trouble}")
            if not journal.lines:
                self.no_logins = self.no_kernel = Absent(journal.trouble, status="unknown")
        else:
            self._say("logs.readable", JOURNAL, "ok", f"the journal: {counted(journal.lines, 'new line')} read")
        if journal.lost:
            self._say("logs.lost", JOURNAL, "warning", f"lines were lost: {journal.lost}")
        else:
            self._say("logs.lost", JOURNAL, "ok", "the journal: no line was lost")
        if journal.behind:
            self._say("logs.behind", JOURNAL, "info", "the journal: the rest is left for the next run (max_bytes)")

    # --- files -----------------------------------------------------------------------------------------------

    def read_files(self) -> None:
        """The files of syslog: those that are named, or the usual ones."""
        named, empty = live_logs(self.wanted.files)
        for pattern in empty:
            self._say("logs.readable", pattern, "unknown", f"{pattern}: no such file")
        logins = named or _first(LOGIN_FILES)
        kernel = [] if named else _first(KERNEL_FILES)
        read = {path: self._read_file(path, self._take_syslog) for path in [*logins, *kernel][:MAX_FILES]}
        if not any(read.get(path) for path in logins):
            self.no_logins = _absent(self.wanted.files or LOGIN_FILES, logins)
        if not any(read.get(path) for path in kernel or named):
            self.no_kernel = _absent(self.wanted.files or KERNEL_FILES, kernel or named)

    def read_applications(self) -> None:
        """The files of the user's own applications."""
        for application in self.wanted.applications:
            paths, _empty = live_logs(application.files)
            if not paths:
                named = ", ".join(application.files)
                self._say("logs.readable", named, "unknown", f"{named}: no file of {application.name} is there")
            for path in paths[:MAX_FILES]:
                self._read_file(path, self._reader_of(application))

    def _read_file(self, path: str, take: Callable[[str], None]) -> bool:
        """Read what is new in a file; whether it could be read."""
        marks = self.remembered.get("files")
        known = marks.get(path) if isinstance(marks, dict) else None
        self._oldest = 0.0 if known else self.begin
        trail = follow(path, known, first=self.wanted.max_bytes, budget=self.wanted.max_bytes)
        for block in trail.blocks():
            for raw in block.decode("utf-8", "replace").split("\n"):
                if raw:
                    take(raw)
        self.marks[path] = trail.mark()
        self._tell(trail)
        return not trail.unreadable

    def _tell(self, trail: Trail) -> None:
        """What became of a file."""
        path = trail.path
        if trail.unreadable:
            self._say("logs.readable", path, "unknown" if trail.gone else "skipped", f"{path} {trail.unreadable}")
        else:
            self._say("logs.readable", path, "ok", f"{path}: {counted(trail.lines, 'new line')} read")
        lost = trail.lost
        if lost:
            size = f", about {quantity(lost.bytes, 'B')}" if lost.bytes else ""
            self._say("logs.lost", path, "warning", f"{path}: lines were lost{size}: {lost.reason}")
        elif not trail.unreadable:
            self._say("logs.lost", path, "ok", f"{path}: no line was lost")
        if not trail.unreadable:
            phrase = f"{path}: left for the next run"
            self.findings.append(self.catalogue.measured("logs.behind", path, trail.behind, phrase, book=self.book))

    def _take_syslog(self, raw: str) -> None:
        line = self._stamps.read(raw)
        if line is not None:
            self.take(line)

    def __post_init__(self) -> None:
        self._stamps = Stamps(self.now)
        self._oldest = self.begin

    def _reader_of(self, application: Application) -> Callable[[str], None]:
        def take(raw: str) -> None:
            told = application.read(raw)
            # A login without a time is taken, for it was read for the first time.
            if told is not None and (not told[1].when or told[1].when >= self._oldest):
                self.review.happen(*told)

        return take

    # --- lines -----------------------------------------------------------------------------------------------

    def take(self, line: Line) -> None:
        """A line of the host's own, from wherever it came."""
        if line.when < self._oldest:
            return
        if line.program == "kernel":
            message, times = unrepeated(line.message)
            packet = firewall.parse(message)
            if packet is not None:
                self.blocks.take(packet, line.when, times)
        else:
            self.review.take(line)

    def _say(self, check: str, item: str, status: Status, words: str) -> None:
        remedy = "Run the check with become." if status == "skipped" else ""
        self.findings.append(self.catalogue.stated(check, item, status, words, remedy=remedy))


def _first(paths: Sequence[str]) -> list[str]:
    return [path for path in paths if os.path.exists(path)][:1]


def _absent(expected: Sequence[str], there: Sequence[str]) -> Absent:
    if there:
        return Absent(f"{', '.join(there)} cannot be read", remedy="Run the check with become.")
    return Absent(f"none of {', '.join(expected)} is there")
