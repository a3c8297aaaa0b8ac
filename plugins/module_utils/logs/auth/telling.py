# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reading itself has to say: whether a source could be read, whole, and in a form that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED, Loss
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.places import Place
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.worded import (
    REST,
    loss_words,
    packed_words,
)

BECOME = "Run the check with become."
FORMS = "Name a file in a form that docs/logs.md lists, or have the daemon write one (rsyslog: RSYSLOG_FileFormat)."
MISSING = "Name the file that is written, or see that the program writes its log."
_NAMED = 3


@dataclass
class Heard:
    """What came of reading one source: whether it could be read and why not; lines, and those in no known form."""

    read: bool = False
    trouble: str = ""
    lines: int = 0
    odd: int = 0

    @property
    def formless(self) -> bool:
        """There were lines, and not one of them could be told the time and sender of."""
        return self.read and 0 < self.lines <= self.odd


@dataclass
class Telling:
    """Gathers findings on sources."""

    catalogue: Catalogue
    book: LevelBook
    findings: list[Finding] = field(default_factory=list)

    def say(self, check: str, item: str, status: Status, words: str, *, remedy: str = "") -> None:
        self.findings.append(self.catalogue.stated(check, item, status, words, remedy=remedy))

    def unreadable(self, path: str, reason: str, *, gone: bool) -> None:
        """A file that is not there, is no file, or may not be read; only for the last of these a right is missing."""
        remedy = MISSING if gone else remedy_for(reason)
        self.say("logs.readable", path, "unknown" if gone else "skipped", f"it {reason}", remedy=remedy)

    def read(self, item: str, heard: Heard) -> None:
        """A source that was read to its end, or as far as the budget goes."""
        lines = counted(heard.lines, "new line")
        if heard.formless:
            words = f"{lines} read, and none has a form that is known"
            self.say("logs.readable", item, "unknown", words, remedy=FORMS)
        else:
            self.say("logs.readable", item, "ok", f"{lines} read")

    def missing(self, item: str, lost: Loss | None, behind: int, packed: Sequence[Place] = ()) -> None:
        """What is missing of what was read, and what is left of it, ``packed`` pieces among that."""
        status, words = loss_words(lost) if lost else ("ok", "no line was lost")
        self.say("logs.lost", item, status, words)
        if behind == UNMEASURED:
            self.say("logs.behind", item, "info", REST)
        else:
            phrase = "left for the next run"
            note = packed_words(packed)
            self.findings.append(
                self.catalogue.measured("logs.behind", item, behind, phrase, book=self.book, note=note)
            )

    def skipped(self, item: str, odd: int, lines: int) -> None:
        """The share of lines that were cut, or have no time and sender where a syslog daemon writes them."""
        if odd:
            share = round(100 * odd / max(1, lines, odd), 2)
            note = f"{odd} of {counted(lines, 'line')}"
            phrase = "lines that are too long, or in no form of syslog"
            self.findings.append(
                self.catalogue.measured("logs.skipped_lines", item, share, phrase, book=self.book, note=note)
            )


def remedy_for(reason: str) -> str:
    """What to do about a file that cannot be read: rights help only where they are what is missing."""
    return BECOME if "permission denied" in reason else ""


def absence(expected: Sequence[str], heard: Mapping[str, Heard]) -> Absent | None:
    """Why nothing can be said of what stands in these files; None where one of them was understood."""
    if not heard:
        return Absent(f"none of {', '.join(expected)} is there")
    if not any(one.read for one in heard.values()):
        reasons = [f"{path} {one.trouble}" for path, one in heard.items()]
        more = f"; and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
        remedy = next(filter(None, map(remedy_for, reasons)), "")
        return Absent("; ".join(reasons[:_NAMED]) + more, remedy=remedy)
    if sum(one.lines for one in heard.values()) and all(one.formless for one in heard.values() if one.lines):
        lines = counted(sum(one.lines for one in heard.values()), "new line")
        read = ", ".join(path for path, one in heard.items() if one.read and one.lines)
        return Absent(f"none of {lines} of {read} has a form that is known", remedy=FORMS, status="unknown")
    return None
