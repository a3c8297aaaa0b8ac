# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a log has been read, in a form that outlives every way of rotating it, and finding that place again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.names import COMPRESSIONS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.opening import (
    FINGERPRINT,
    UNPACKING,
    fingerprint,
    unpacked,
    unpacked_size,
)

#: Offset of a packed piece that counts as read, and whose length nobody has measured.
WHOLE = -1


@dataclass(frozen=True)
class Place:
    """A piece of a log and how far it has been read.

    ``offset`` is in bytes of its text, unpacked; ``head`` names its first ``head_length`` bytes and ``tail`` the last
    bytes (up to 256) before ``offset``; ``size`` and ``changed`` (nanoseconds) are the file's own when it was read, and
    ``done`` says that all of it has been.
    ``inside``: the offset lies within an over-long line. ``waiting``: the size at which a last line without a newline
    was left for the next run.
    """

    name: str
    live: bool
    device: int
    inode: int
    offset: int
    size: int
    changed: int
    head: str
    head_length: int
    tail: str
    done: bool = False
    inside: bool = False
    waiting: int = 0

    @property
    def packed(self) -> bool:
        return not self.live and self.name.endswith(tuple(COMPRESSIONS))

    @property
    def unread(self) -> int:
        """Bytes of the file that are still to be read: all of a packed one, for it is unpacked from its beginning."""
        if self.done:
            return 0
        return self.size if self.packed else max(0, self.size - self.offset)


def parse_places(remembered: Mapping[str, Any] | None) -> list[Place] | None:
    """The places of a mark; None for no mark, and for one that is damaged."""
    raw = (remembered or {}).get("places")
    if not isinstance(raw, list):
        return None
    kinds: dict[str, type] = {"name": str, "head": str, "tail": str, "live": bool, "inside": bool, "done": bool}
    places: list[Place] = []
    for entry in raw:
        if not isinstance(entry, dict) or set(entry) != {field.name for field in fields(Place)}:
            return None
        if not all(isinstance(value, kinds.get(name, int)) for name, value in entry.items()):
            return None
        places.append(Place(**entry))
    return places


@dataclass
class Piece:
    """An open file of a log: the live one, or an older one. ``place`` is how far it has been read."""

    path: str
    name: str
    live: bool
    compression: str
    descriptor: int
    facts: os.stat_result
    place: Place | None = None

    @property
    def identity(self) -> tuple[int, int]:
        return self.facts.st_dev, self.facts.st_ino

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def untouched(self) -> Place:
        """The place at this piece's very beginning."""
        head = self.window(0, FINGERPRINT)
        return Place(
            name=self.name,
            live=self.live,
            device=self.facts.st_dev,
            inode=self.facts.st_ino,
            offset=0,
            size=self.facts.st_size,
            changed=self.facts.st_mtime_ns,
            head=fingerprint(head),
            head_length=len(head),
            tail=fingerprint(b""),
        )

    def passed(self) -> Place:
        """The place at this piece's end, for one that counts as read."""
        place = self.untouched()
        if self.compression:
            return replace(place, offset=WHOLE, done=True)
        end = self.facts.st_size
        return replace(
            place, offset=end, done=True, tail=fingerprint(self.window(max(0, end - FINGERPRINT), FINGERPRINT))
        )

    def window(self, start: int, length: int) -> bytes:
        """Some bytes of the text; fewer where it ends before, none where it cannot be unpacked."""
        if not self.compression:
            return os.pread(self.descriptor, length, start)
        try:
            with unpacked(self.descriptor, self.compression) as stream:
                left = start
                while left > 0:
                    skipped = len(stream.read(min(left, 1 << 20)))
                    if not skipped:
                        return b""
                    left -= skipped
                return stream.read(length)
        except UNPACKING:
            return b""

    def is_read(self, place: Place) -> bool:
        """Whether nothing is left behind the place."""
        if place.done and (place.offset == WHOLE or self.is_unchanged(place)):
            return True
        if self.compression:
            return unpacked_size(self.descriptor, self.compression) == place.offset % 2**32
        return self.facts.st_size == place.offset

    def adopt(self, place: Place) -> Place:
        """A place in this text, whatever file it was in before, as this file's own."""
        return replace(
            place,
            name=self.name,
            live=self.live,
            device=self.facts.st_dev,
            inode=self.facts.st_ino,
            size=self.facts.st_size,
            changed=self.facts.st_mtime_ns,
            done=self.is_read(place),
        )

    def is_same_file(self, place: Place) -> bool:
        return self.identity == (place.device, place.inode)

    def is_unchanged(self, place: Place) -> bool:
        return self.is_same_file(place) and (self.facts.st_size, self.facts.st_mtime_ns) == (place.size, place.changed)

    def holds(self, place: Place) -> bool:
        """Whether the text up to the place is what was read: its beginning and its last bytes are the same."""
        if not self.compression and self.facts.st_size < max(place.offset, place.head_length):
            return False
        if fingerprint(self.window(0, place.head_length)) != place.head:
            return False
        if place.offset <= 0:
            return True
        if self.compression and unpacked_size(self.descriptor, self.compression) == place.offset % 2**32:
            return True
        start = max(0, place.offset - FINGERPRINT)
        return fingerprint(self.window(start, place.offset - start)) == place.tail

    def begins_with(self, other: Piece) -> bool:
        """Whether this text goes on from all of the other's, so that the other is nothing but a copy."""
        size = other.facts.st_size
        if other.compression:
            measured = unpacked_size(other.descriptor, other.compression)
            if measured is None:
                return False
            size = measured
        start = max(0, size - FINGERPRINT)
        return self.facts.st_size >= size and self.window(start, size - start) == other.window(start, size - start)


def recognise(pieces: Sequence[Piece], places: Sequence[Place]) -> list[Place]:
    """Give every piece that was met before its place; returns the places that no piece holds any more.

    ``pieces`` are in the order they were written, the live one last.
    """
    left = list(places)
    for test in (_is_unchanged, _is_same_log, _has_same_text):
        for place in list(left):
            # The newest is asked first: of two equal texts the older is the copy.
            found = next((piece for piece in reversed(pieces) if piece.place is None and test(piece, place)), None)
            if found:
                found.place = found.adopt(place)
                left.remove(place)
    _settle_copies(pieces)
    return left


def _is_unchanged(piece: Piece, place: Place) -> bool:
    return piece.is_unchanged(place)


def _is_same_log(piece: Piece, place: Place) -> bool:
    return piece.is_same_file(place) and piece.holds(place)


def _has_same_text(piece: Piece, place: Place) -> bool:
    return place.head_length > 0 and piece.holds(place)


def _settle_copies(pieces: Sequence[Piece]) -> None:
    """Tell a copy of the live log from what a truncation left: both begin with the text that was read.

    A copy adds nothing. Where the live log does not go on from it, the live log was emptied after it had been copied:
    reading goes on in the copy, and begins anew in the live log.
    """
    live = next((piece for piece in pieces if piece.live), None)
    if live is None or live.place is None or live.place.head_length == 0:
        return
    place = live.place
    for piece in pieces:
        if piece is live or piece.place is not None or not piece.holds(place):
            continue
        if live.begins_with(piece):
            piece.place = piece.passed()
        else:
            piece.place = piece.adopt(place)
            live.place = None
            return


def find_again(piece: Piece, place: Place) -> int | None:
    """Where a text that was written anew goes on from what was read: behind the last line with the same bytes before.

    ``tail -n 1000 log > new; mv new log`` and an editor leave such a text. None where there is no such line.
    """
    length = min(place.offset, FINGERPRINT)
    if length < 64:
        return None
    found, at, before = None, 0, b""
    while True:
        data = os.pread(piece.descriptor, 1 << 20, at)
        if not data:
            return found
        text = before + data
        newline = text.find(b"\n", len(before))
        while newline >= 0:
            end = newline + 1
            if end >= length and fingerprint(text[end - length : end]) == place.tail:
                found = at - len(before) + end
            newline = text.find(b"\n", end)
        at += len(data)
        before = text[-FINGERPRINT:]


def as_mark(places: Sequence[Place], *, apart: bool = False) -> dict[str, Any]:
    return {"places": [asdict(place) for place in places], **({"apart": True} if apart else {})}
