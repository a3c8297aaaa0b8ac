# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream of bytes becomes blocks of whole lines, at next to no cost over reading it and never holding a long line."""

from __future__ import annotations

LINE_LIMIT = 64 * 1024


class LineCutter:
    """Feeds on pieces of a stream in order; ``feed`` gives back whole lines, each at most ``limit`` bytes long.

    ``unfinished`` is how many bytes of the stream at its end have not been given back, for their line goes on.
    ``inside`` says that the stream begins within a line whose beginning was given back before: the rest is dropped.
    ``lines`` counts whole lines, unless ``count`` is false.
    """

    def __init__(self, *, limit: int = LINE_LIMIT, inside: bool = False, count: bool = True) -> None:
        self.limit = limit
        self.count = count
        self.lines = 0
        self.cut_lines = 0
        self.cut_bytes = 0
        self.unfinished = 0
        #: The line that goes on has more than ``limit`` bytes, and only its beginning is kept.
        self.overflowing = inside
        self._dropping = inside
        self._kept = b""

    def feed(self, data: bytes) -> bytes:
        """Whole lines that end in this piece, joined, with a newline at the end; empty when none ends in it."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._prolong(data)
            return b""
        if self.overflowing:
            begin = data.find(b"\n")
            self.cut_bytes += begin
            block = data[begin + 1 : end] if self._dropping else self._kept + data[begin:end]
            self._dropping = self.overflowing = False
        else:
            block = self._kept + data[:end] if self._kept else data[:end] if end < len(data) else data
        self._kept = b""
        self.unfinished = 0
        if end < len(data):
            self._prolong(data[end:])
        return self._shortened(block)

    def finish(self) -> bytes:
        """The last line, although no newline ends it."""
        kept, self._kept = self._kept, b""
        dropped = self._dropping
        self.unfinished = 0
        self._dropping = self.overflowing = False
        if dropped or not kept:
            return b""
        self.lines += 1
        return kept + b"\n"

    def put_back(self) -> int:
        """Forget the line that goes on, and is not too long; returns how many bytes of the stream that are."""
        unfinished, self.unfinished = self.unfinished, 0
        self._kept = b""
        return unfinished

    def _prolong(self, data: bytes) -> None:
        self.unfinished += len(data)
        if self.overflowing:
            self.cut_bytes += len(data)
            return
        # A writer whose log was truncated under it leaves a hole of zeros before its next line.
        if not self._kept and data[:1] == b"\0":
            data = data.lstrip(b"\0")
        self._kept += data
        if len(self._kept) > self.limit:
            self.cut_lines += 1
            self.cut_bytes += len(self._kept) - self.limit
            self._kept = self._kept[: self.limit]
            self.overflowing = True

    def _shortened(self, block: bytes) -> bytes:
        """The block without what its over-long lines have too much."""
        if self.count:
            self.lines += block.count(b"\n")
        limit, size, at, begin = self.limit, len(block), 0, 0
        parts: list[bytes] = []
        # A window as long as the limit that holds no newline lies within a line that is too long; so a few looks
        # backwards a block are enough, and no line has to be looked at.
        while at + limit < size:
            newline = block.rfind(b"\n", at, at + limit + 1)
            if newline >= 0:
                at = newline + 1
                continue
            newline = block.find(b"\n", at + limit)
            parts.append(block[begin : at + limit])
            self.cut_lines += 1
            self.cut_bytes += newline - at - limit
            begin = newline
            at = newline + 1
        if not parts:
            return block
        parts.append(block[begin:])
        return b"".join(parts)
