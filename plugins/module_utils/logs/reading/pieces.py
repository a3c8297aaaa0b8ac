# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading one piece of a log from its place to its end, and keeping the place right after every block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.lines import LineCutter
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.opening import (
    FINGERPRINT,
    UNPACKING,
    fingerprint,
    unpacked,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.places import Piece, Place

#: Larger blocks cost twice as much: the allocator gives them back to the system and takes them anew each time.
BLOCK = 1 << 16
Read = Callable[[int], bytes]


class PieceReader:
    """``read`` gives the blocks; ``spent`` is how many bytes were read, ``trouble`` why it ended too early.

    ``is_final``: nobody writes to this piece any more, so its last line counts although no newline ends it.
    """

    def __init__(self, piece: Piece, *, limit: int, is_final: bool) -> None:
        self.piece = piece
        self.place: Place = piece.place or piece.untouched()
        self.is_final = is_final
        self.spent = 0
        self.trouble = ""
        self.cutter = LineCutter(limit=limit, inside=self.place.inside)

    def read(self, budget: int | None) -> Iterator[bytes]:
        """Blocks of whole lines, until the end that the piece had when it was opened, or until the budget is spent."""
        if self.piece.is_read(self.place):
            return
        try:
            if self.piece.compression:
                with unpacked(self.piece.descriptor, self.piece.compression) as stream:
                    yield from self._from_stream(stream.read, budget)
            else:
                yield from self._from_file(budget)
        except UNPACKING as error:
            self.trouble = f"cannot be read to its end: {getattr(error, 'strerror', None) or error}"

    def _from_file(self, budget: int | None) -> Iterator[bytes]:
        descriptor, end = self.piece.descriptor, self.piece.facts.st_size
        begin = self.place.offset
        at = os.lseek(descriptor, begin, os.SEEK_SET)
        recent = os.pread(descriptor, min(FINGERPRINT, begin), max(0, begin - FINGERPRINT))
        while at < end:
            wanted = min(BLOCK, end - at)
            data = os.read(descriptor, wanted)
            if not data:
                break
            at += len(data)
            self.spent += len(data)
            yield from self._advance(data, at, recent)
            recent = data[-FINGERPRINT:] if len(data) >= FINGERPRINT else (recent + data)[-FINGERPRINT:]
            if budget is not None and self.spent >= budget and not self.cutter.overflowing:
                return
            if data[:1] == b"\0" and data.count(0) == len(data):
                at = self._over_hole(at, end)
        if self.piece.live and fingerprint(self.piece.window(0, self.place.head_length)) != self.place.head:
            self.trouble = "was emptied and written anew while it was read"
        elif at >= end:
            yield from self._finish(at, recent)

    def _over_hole(self, at: int, end: int) -> int:
        """A file that was truncated under its writer may begin with gigabytes of nothing."""
        try:
            there = min(end, os.lseek(self.piece.descriptor, at, os.SEEK_DATA))
        except OSError:
            there = at
        self.cutter.unfinished += there - at
        return os.lseek(self.piece.descriptor, there, os.SEEK_SET)

    def _from_stream(self, read: Read, budget: int | None) -> Iterator[bytes]:
        at, recent = 0, b""
        while at < self.place.offset:
            data = read(min(BLOCK, self.place.offset - at))
            if not data:
                self.trouble = "is shorter than what was read of it"
                return
            at += len(data)
            recent = (recent + data)[-FINGERPRINT:]
        while True:
            data = read(BLOCK)
            if not data:
                break
            at += len(data)
            self.spent += len(data)
            yield from self._advance(data, at, recent)
            recent = (recent + data)[-FINGERPRINT:]
            if budget is not None and self.spent >= budget and not self.cutter.overflowing:
                return
        yield from self._finish(at, recent)

    def _advance(self, data: bytes, at: int, recent: bytes) -> Iterator[bytes]:
        block = self.cutter.feed(data)
        consumed = data.rfind(b"\n") + 1
        if not consumed:
            return
        tail = data[consumed - FINGERPRINT : consumed] if consumed >= FINGERPRINT else recent + data[:consumed]
        self._settle(at - self.cutter.unfinished, tail[-FINGERPRINT:])
        if block:
            yield block

    def _finish(self, at: int, recent: bytes) -> Iterator[bytes]:
        """The last line, which has no newline yet."""
        unfinished = self.cutter.unfinished
        if not unfinished:
            self._settle(at, recent, done=True)
        elif self.cutter.overflowing:
            # The beginning of a line too long is given now, and its rest, whenever that comes, is dropped.
            last = self.cutter.finish()
            self._settle(at, recent, done=True, inside=True)
            if last:
                yield last
        elif not self.piece.live and (self.is_final or self.place.waiting == at):
            last = self.cutter.finish()
            self._settle(at, recent, done=True)
            yield last
        elif not self.piece.live:
            # Whoever still writes to the renamed log may end the line; the next run takes it as it is then.
            self._put(replace(self.place, waiting=at))

    def _settle(self, offset: int, tail: bytes, *, done: bool = False, inside: bool = False) -> None:
        fresh = self.place if self.place.head_length >= FINGERPRINT else self.piece.untouched()
        self._put(
            replace(
                self.place,
                head=fresh.head,
                head_length=fresh.head_length,
                offset=offset,
                tail=fingerprint(tail),
                done=done,
                inside=inside,
                waiting=0,
            )
        )

    def _put(self, place: Place) -> None:
        self.place = self.piece.place = place
