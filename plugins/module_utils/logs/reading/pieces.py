# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading one piece of a log from its place to its end, and knowing the place behind every block that was given."""

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
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.spans import (
    LONGEST,
    Span,
    Stretch,
    reach,
)

#: Larger blocks cost twice as much: the allocator gives them back to the system and takes them anew each time.
BLOCK = 1 << 16
Read = Callable[[int], bytes]


class PieceReader:
    """``read`` gives the lines; ``spent`` is how many bytes were read, ``trouble`` why it ended too early.

    ``is_final``: nobody writes to this piece any more, so its last line counts although no newline ends it.
    ``by_place``: lines may be told by their place in the file, and then only what is odd is read here.
    """

    def __init__(self, piece: Piece, cutter: LineCutter, *, is_final: bool, by_place: bool = False) -> None:
        self.piece = piece
        self.place: Place = piece.place or piece.untouched()
        self.is_final = is_final
        self.by_place = by_place
        self.spent = 0
        self.trouble = ""
        self.cutter = cutter
        #: Offset and last bytes of what was given since the place was last put down.
        self._given: tuple[int, bytes] | None = None

    def read(self, budget: int | None) -> Iterator[Stretch]:
        """Whole lines, until the end that the piece had when it was opened, or until the budget is spent."""
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
        finally:
            self.settle()

    def settle(self) -> None:
        """Put down the place behind what was given last: to do so for every block costs as much as to read it."""
        given, self._given = self._given, None
        if given:
            self._settle(*given)

    def _gave(self, offset: int, tail: bytes) -> None:
        """Note what is behind the lines that are given next, ``tail`` being the last bytes before ``offset``."""
        self._given = offset, tail
        if self.place.head_length < FINGERPRINT:
            # What the log begins with is to be known before it can be written anew.
            self.settle()

    def _from_file(self, budget: int | None) -> Iterator[Stretch]:
        descriptor, end = self.piece.descriptor, self.piece.facts.st_size
        at = self.place.offset
        recent = self._before(at)
        while at < end:
            there = self._reach(at, end, budget)
            if there > at:
                span, at = Span(descriptor, at, there - at), there
                self.spent += span.length
                recent = self._before(at)
                self._gave(at, recent)
                yield span
            else:
                data = os.pread(descriptor, min(BLOCK, end - at), at)
                if not data:
                    break
                at += len(data)
                self.spent += len(data)
                block = self._advance(data, at, recent)
                recent = data[-FINGERPRINT:] if len(data) >= FINGERPRINT else (recent + data)[-FINGERPRINT:]
                if self.by_place and b"\n" in data and not self.cutter.overflowing:
                    # The line that goes on is whole in the file.
                    at -= self._put_back()
                    recent = self._before(at)
                elif data[:1] == b"\0" and data.count(0) == len(data):
                    at = self._over_hole(at, end)
                if block:
                    yield block
            if budget is not None and self.spent >= budget and not self.cutter.overflowing:
                return
        self.settle()
        if self.piece.live and fingerprint(self.piece.window(0, self.place.head_length)) != self.place.head:
            self.trouble = "was emptied and written anew while it was read"
        elif at >= end:
            yield from self._finish(at, recent)

    def _before(self, at: int) -> bytes:
        return os.pread(self.piece.descriptor, min(FINGERPRINT, at), max(0, at - FINGERPRINT))

    def _reach(self, at: int, end: int, budget: int | None) -> int:
        """How far the lines from ``at`` on can be told by their place; ``at`` where they have to be read."""
        if not self.by_place or self.cutter.unfinished or self.cutter.overflowing:
            return at
        longest = LONGEST if budget is None else min(LONGEST, max(BLOCK, budget - self.spent))
        return reach(self.piece.descriptor, at, min(end, at + longest), limit=self.cutter.limit)

    def _put_back(self) -> int:
        """Forget the line that goes on, so that it is read anew; returns how many bytes that are."""
        back = self.cutter.put_back()
        self.spent -= back
        return back

    def _over_hole(self, at: int, end: int) -> int:
        """A file that was truncated under its writer may begin with gigabytes of nothing."""
        try:
            there = min(end, os.lseek(self.piece.descriptor, at, os.SEEK_DATA))
        except OSError:
            there = at
        self.cutter.unfinished += there - at
        return there

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
            block = self._advance(data, at, recent)
            recent = (recent + data)[-FINGERPRINT:]
            if block:
                yield block
            if budget is not None and self.spent >= budget and not self.cutter.overflowing:
                return
        self.settle()
        yield from self._finish(at, recent)

    def _advance(self, data: bytes, at: int, recent: bytes) -> bytes:
        """The lines that end in ``data``, which ends at ``at``; ``recent`` is what is before it."""
        block = self.cutter.feed(data)
        consumed = data.rfind(b"\n") + 1
        if not consumed:
            return b""
        tail = data[consumed - FINGERPRINT : consumed] if consumed >= FINGERPRINT else recent + data[:consumed]
        self._gave(at - self.cutter.unfinished, tail[-FINGERPRINT:])
        return block

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
