# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole lines as they lie in a file, told by their place, so that whoever passes them on need not read them first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple, Union

#: No span is longer: so much is read at once by who has to read it after all.
LONGEST = 1 << 20
#: The last newline of a window is nearly always in its last bytes.
_GLANCE = 512


class Span(NamedTuple):
    """``length`` bytes of an open file from ``offset`` on: whole lines, of which none has to be cut.

    The descriptor is good until the next stretch is asked for.
    """

    descriptor: int
    offset: int
    length: int

    def read(self) -> bytes:
        """The lines themselves; fewer where the file was truncated meanwhile, and the last one may then be cut."""
        parts: list[bytes] = []
        at, end = self.offset, self.offset + self.length
        while at < end:
            data = os.pread(self.descriptor, end - at, at)
            if not data:
                break
            parts.append(data)
            at += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def begin(self, size: int) -> bytes:
        """The first bytes, at most ``size``."""
        return os.pread(self.descriptor, min(size, self.length), self.offset)


#: Part of a log: its lines, or where they lie.
Stretch = Union[bytes, Span]


def size_of(stretch: Stretch) -> int:
    return stretch.length if isinstance(stretch, Span) else len(stretch)


def text_of(stretch: Stretch) -> bytes:
    """Whole lines; what a truncation cut is ended by a newline."""
    if not isinstance(stretch, Span):
        return stretch
    text = stretch.read()
    return text if not text or text.endswith(b"\n") else text + b"\n"


def reach(descriptor: int, begin: int, end: int, *, limit: int) -> int:
    """How far there are whole lines of at most ``limit`` bytes from ``begin`` on, where a line begins.

    A window one byte longer than the limit that begins with a line holds a newline, or the line is too long: so the
    last newline of each window is all that has to be looked for.
    """
    at = begin
    while at < end:
        newline = _last_newline(descriptor, at, min(at + limit + 1, end))
        if newline < 0:
            break
        at = newline + 1
    return at


def _last_newline(descriptor: int, begin: int, end: int) -> int:
    """Where the last newline between two offsets is; -1 where there is none."""
    for start in _starts(begin, end):
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found
    return -1


def _starts(begin: int, end: int) -> Iterator[int]:
    if end - begin > _GLANCE:
        yield end - _GLANCE
    yield begin
