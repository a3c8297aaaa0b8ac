# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From lines to events, and from events to templates with their counts, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import traces
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.formats import (
    Entry,
    Format,
    at_least,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.severity import RANK, Level
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.templates import example, template

MOST_TEMPLATES = 2000
_MEMO_ENTRIES = 8192
#: Levels and templates look at no more of a line than this.
_MEMO_LINE = 2100
#: One digit for all: without them ``step7 error: x`` would be ``step error: x``, which says its level in another place.
_ZEROS = bytes.maketrans(b"123456789", b"000000000")


def _shape(line: bytes) -> bytes:
    """The line with ``0`` for every number, or a few of them for a long one."""
    return line[:_MEMO_LINE].translate(_ZEROS).replace(b"000", b"0").replace(b"00", b"0")


@dataclass
class Kind:
    """A kind of error: its template, how often it came, its worst level, and one of its lines."""

    text: str
    level: Level
    count: int = 0
    example: str = ""


@dataclass
class Digest:
    """What a log had to say: events by level, kinds by template, and what is not in them.

    ``other`` counts events whose kinds did not fit; ``ignored`` those that the user does not want to hear of.
    ``lines`` counts all lines, ``unread`` those that passed the sieve and do not have the log's format, ``form``.
    """

    lines: int = 0
    levels: dict[Level, int] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    other: int = 0
    ignored: int = 0
    unread: int = 0
    notable: int = 0
    form: str = ""

    @property
    def events(self) -> int:
        return sum(self.levels.values())

    def count(self, kind: Kind | None, level: Level) -> None:
        self.levels[level] = self.levels.get(level, 0) + 1
        if kind is None:
            self.other += 1
        else:
            kind.count += 1


def together(one: Digest, other: Digest) -> Digest:
    """Two files of one log as one."""
    both = Digest(form=other.form or one.form)
    for digest in (one, other):
        for level, times in digest.levels.items():
            both.levels[level] = both.levels.get(level, 0) + times
        for text, kind in digest.kinds.items():
            known = both.kinds.get(text)
            if known is None and len(both.kinds) >= MOST_TEMPLATES:
                both.other += kind.count
                continue
            if known is None:
                known = both.kinds[text] = Kind(text, kind.level, 0, kind.example)
            known.count += kind.count
            known.level = max(known.level, kind.level, key=RANK.__getitem__)
        for name in ("other", "ignored", "unread", "notable", "lines"):
            setattr(both, name, getattr(both, name) + getattr(digest, name))
    return both


@dataclass
class Wanted:
    """What counts: from which level on, what beside, and what not."""

    least: Level = "error"
    include: Sequence[re.Pattern[bytes]] = ()
    ignore: Sequence[re.Pattern[bytes]] = ()
    examples: bool = False


class Known(NamedTuple):
    """What a line's shape says of it; ``alone``: it never goes on from a line that is alone too."""

    kind: Kind | None
    level: Level
    alone: bool


_NO_EVENT = Known(None, "low", alone=False)


class Scanner:
    """Feeds on the lines that passed the sieve and keeps traces together with the lines above them."""

    def __init__(self, form: Format, wanted: Wanted) -> None:
        self.form = form
        self.wanted = wanted
        self.digest = Digest(form=form.name)
        #: What was found out of a line of this shape; lines of a kind differ in little but digits.
        self._memo: dict[bytes, Known] = {}
        self._lines: list[bytes] = []
        self._level: Level = "error"
        self._writer = b""
        self._last = 0
        self._shape = b""
        #: Whether what is open is one line that no other of those that stand alone can go on from.
        self._alone = False

    def feed(self, lines: Iterable[tuple[int, bytes, bool]]) -> None:
        """Lines with their numbers, in order; what passed no sieve is only there for the line above to go on."""
        memo, plain, quick = self._memo, self.form.plain, self.form.plain and not self.wanted.include
        for number, line, passed in lines:
            if not passed and not self._lines:
                continue
            shape = _shape(line) if quick else b""
            known = memo.get(shape)
            alone = known is not None and known.alone and len(line) <= _MEMO_LINE
            if self._lines:
                # Where one error follows another, as in a flood of them, there is no trace to look for.
                if not (alone and self._alone) and number <= self._last + 2 and (not line or self._joins(number, line)):
                    continue
                self._close()
                # What was open may have been the first of this line's kind.
                known = known or memo.get(shape)
            if known is not None:
                if known is not _NO_EVENT:
                    self._lines, self._level, self._last = [line], known.level, number
                    self._writer, self._shape, self._alone = b"", shape, alone
                continue
            if plain and line[:1] in (b" ", b"\t"):
                # It goes on from something that was no error.
                continue
            entry = self._read(line)
            if entry is None:
                self.digest.unread += 1
                continue
            level = self._judge(entry)
            if level is None:
                if quick:
                    self._remember(shape, _NO_EVENT)
                continue
            self._open(number, entry, level, shape)

    def finish(self) -> Digest:
        if self._lines:
            self._close()
        return self.digest

    def _read(self, line: bytes) -> Entry | None:
        """The entry of a line; None for one that is not understood, whatever it is that its writer came upon."""
        try:
            return self.form.read(line)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            return None

    def _judge(self, entry: Entry) -> Level | None:
        """The level at which an entry counts; None for one that does not."""
        if entry.level and at_least(entry.level, self.wanted.least):
            return entry.level
        if self.form.notable and self.form.notable(entry.text):
            self.digest.notable += 1
            return "warning"
        if any(pattern.search(entry.text) for pattern in self.wanted.include):
            return entry.level if entry.level in ("warning", "fatal") else "error"
        return None

    def _joins(self, number: int, line: bytes) -> bool:
        """Whether the line belongs to the event that is open; if so it is in it now."""
        if self.form.plain:
            text, writer = line, b""
            if self._writer:
                entry = self._read(line)
                text, writer = (entry.text, entry.writer) if entry else (line, b"")
        else:
            read = self._read(line)
            if read is None:
                return False
            text, writer = read.text, read.writer
        if writer != self._writer or not traces.continues(text, self._lines):
            return False
        if number > self._last + 1 and not traces.may_follow_blank(text):
            return False
        self._lines.append(text)
        self._last = number
        self._alone = False
        if traces.is_crash(text):
            self._level = "fatal"
        return True

    def _open(self, number: int, entry: Entry, level: Level, shape: bytes) -> None:
        self._lines = entry.text.split(b"\n") if b"\n" in entry.text else [entry.text]
        self._level = level
        self._writer = entry.writer
        self._last = number
        # The prefix of a syslog daemon holds the number of a process, which a shape has not.
        self._shape = b"" if entry.writer else shape
        self._alone = False

    def _close(self) -> None:
        """Count the event that is open."""
        lines, level, self._lines = self._lines, self._level, []
        alone = len(lines) == 1
        if alone and self._shape and self._shape in self._memo:
            known = self._memo[self._shape]
            if known is not _NO_EVENT:
                self.digest.count(known.kind, known.level)
            return
        if any(pattern.search(line) for pattern in self.wanted.ignore for line in lines):
            self.digest.ignored += 1
            return
        essence = lines[0] if alone else traces.essence(lines)
        kind = self._kind(template(essence), level, lines)
        self.digest.count(kind, level)
        if alone and self._shape and not self.wanted.ignore:
            self._remember(self._shape, Known(kind, level, traces.stands_alone(self._shape)))

    def _kind(self, text: str, level: Level, lines: Sequence[bytes]) -> Kind | None:
        kind = self.digest.kinds.get(text)
        if kind is None:
            if len(self.digest.kinds) >= MOST_TEMPLATES:
                return None
            kind = self.digest.kinds[text] = Kind(text, level)
            if self.wanted.examples:
                kind.example = example(b" | ".join(lines[:4]))
        elif RANK[level] > RANK[kind.level]:
            kind.level = level
        return kind

    def _remember(self, shape: bytes, known: Known) -> None:
        if len(self._memo) >= _MEMO_ENTRIES:
            self._memo.clear()
        self._memo[shape] = known
