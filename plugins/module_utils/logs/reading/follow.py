# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a log from run to run, through every way of rotating it, so that no line is missed unsaid or read twice.

``follow`` finds the place where the last run stopped by what stands there and not by a name or a number alone: the log
may have been renamed, copied and truncated, packed, given a date, or written anew. What cannot be followed is told as a
``Loss``. The bytes between two marks are read once; whoever keeps the mark only when a run's result is safe loses
nothing when the run is not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.lines import LINE_LIMIT, LineCutter
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.names import (
    in_order,
    may_be_live,
    rotated_names,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.opening import (
    FINGERPRINT,
    Unreadable,
    fingerprint,
    open_folder,
    open_log,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.pieces import PieceReader
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.places import (
    Piece,
    Place,
    as_mark,
    find_again,
    parse_places,
    recognise,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.spans import Stretch, text_of

#: How many older pieces, read to their ends, a mark still knows; two suffice, the others are for who deletes some.
KNOWN_PIECES = 4
#: Of pieces that may be logs of other workers all are known, up to so many.
_KNOWN_NUMBERED = 200
_ATTEMPTS = 3
#: What is left for the next run where nobody can say how many bytes that is.
UNMEASURED = -1

#: How a log that was never seen before is begun: at its end, at its start, or this many bytes before its end.
First = Union[str, int]


@dataclass(frozen=True)
class Loss:
    """Lines that cannot be read any more: why, and how many bytes of them, where that is known."""

    reason: str
    bytes: int | None = None


def joined(losses: Sequence[Loss]) -> Loss | None:
    """All losses as one, None for none; its bytes are known only where those of all are."""
    if len(losses) <= 1:
        return losses[0] if losses else None
    sizes = [loss.bytes for loss in losses]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    return Loss("; ".join(dict.fromkeys(loss.reason for loss in losses)), total)


@dataclass
class Trail:
    """What there is to read of one log since its mark. Read ``blocks()`` once; ``mark()`` is where the next run begins.

    ``unreadable`` says why the live log cannot be read, in words that go on from its path; ``gone``: it is not there.
    ``behind`` is how many bytes of files were left for the next run because the budget was spent, and ``packed`` the
    packed pieces among them, of which nobody knows how much text is left. ``first_seen``: no mark of it was known.
    ``lines`` counts what ``blocks()`` gave; ``cut_lines`` were longer than the limit, by ``cut_bytes``.
    """

    path: str
    pieces: list[Piece] = field(default_factory=list)
    unreadable: str = ""
    gone: bool = False
    first_seen: bool = False
    losses: list[Loss] = field(default_factory=list)
    budget: int | None = None
    limit: int = LINE_LIMIT
    lines: int = 0
    bytes_read: int = 0
    cut_lines: int = 0
    cut_bytes: int = 0
    behind: int = 0
    packed: list[Place] = field(default_factory=list)
    #: Logs of other workers, with numbers in front of the extension, are no pieces of this one.
    apart: bool = False
    #: Those that were taken for pieces until now, with the marks from which they are to be followed on their own.
    neighbours: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Places of what cannot be opened now, and may be again.
    pending: list[Place] = field(default_factory=list)
    _reader: PieceReader | None = None

    @property
    def lost(self) -> Loss | None:
        return joined(self.losses)

    def blocks(self, *, count: bool = True) -> Iterator[bytes]:
        """Blocks of up to about 64 KiB that hold whole lines and end with a newline, in the order they were written.

        The last line of the live log is left for the next run until its newline is there. Lines longer than ``limit``
        are cut. May be abandoned between two blocks; then ``mark()`` is the place behind the last block taken.
        ``count``: whether ``lines`` counts them, which takes as long as to read them.
        """
        for stretch in self._stretches(by_place=False, count=count):
            yield text_of(stretch)

    def stretches(self) -> Iterator[Stretch]:
        """The same lines as ``blocks()``, where it can be as places in the file; ``lines`` does not count those."""
        return self._stretches(by_place=True, count=True)

    def _stretches(self, *, by_place: bool, count: bool) -> Iterator[Stretch]:
        spent = 0
        newest = next((piece for piece in reversed(self.pieces) if not piece.live), None)
        for piece in self.pieces:
            if self.budget is not None and spent >= self.budget:
                break
            is_final = piece.compression != "" or piece is not newest
            cutter = LineCutter(limit=self.limit, inside=bool(piece.place and piece.place.inside), count=count)
            reader = self._reader = PieceReader(piece, cutter, is_final=is_final, by_place=by_place)
            left = None if self.budget is None else self.budget - spent
            try:
                yield from reader.read(left)
            finally:
                spent += reader.spent
                self.bytes_read += reader.spent
                self.lines += reader.cutter.lines
                self.cut_lines += reader.cutter.cut_lines
                self.cut_bytes += reader.cutter.cut_bytes
                piece.close()
            if reader.trouble:
                self.losses.append(Loss(f"{piece.path} {reader.trouble}"))
        places = [piece.place for piece in self.pieces if piece.place] if self._stopped(spent) else []
        self.behind = sum(place.unread for place in places)
        self.packed = [place for place in places if place.packed and place.unread]
        self.close()

    def _stopped(self, spent: int) -> bool:
        return self.budget is not None and spent >= self.budget

    def mark(self) -> dict[str, Any]:
        """Where the next run goes on, fit for JSON; right at any moment between two blocks."""
        if self._reader:
            self._reader.settle()
        places = [piece.place for piece in self.pieces if piece.place]
        read = [place for place in places if place.done and not place.live]
        name = os.path.basename(self.path)
        numbered = [place for place in read if may_be_live(name, place.name)]
        forgotten = set(read[:-KNOWN_PIECES]) - set(numbered[-_KNOWN_NUMBERED:])
        kept = [place for place in places if place not in forgotten]
        return as_mark(kept + self.pending, apart=self.apart)

    def close(self) -> None:
        for piece in self.pieces:
            piece.close()


def follow(
    path: str,
    remembered: Mapping[str, Any] | None,
    *,
    first: First = "end",
    budget: int | None = None,
    limit: int = LINE_LIMIT,
    tell_apart: bool = False,
) -> Trail:
    """What is new in a log since ``remembered``, the mark of an earlier run, or None.

    ``first`` says how a log never seen before is begun: ``"end"``, ``"start"``, or a number of bytes before its end.
    ``budget`` is how many bytes may be read, all of them when None. Never raises for what is on the disk.
    ``tell_apart``: what proves to be the log of another worker is left to the caller, in ``neighbours``; otherwise what
    is new in it is read as if it were a piece.
    """
    apart = tell_apart and (remembered or {}).get("apart") is True
    trail = Trail(path=path, budget=budget, limit=limit, apart=apart)
    places = parse_places(remembered)
    for attempt in range(_ATTEMPTS):
        unopened, moved = _collect(trail)
        if not moved or attempt == _ATTEMPTS - 1:
            break
        trail.close()
    if places is None:
        trail.first_seen = True
        if remembered:
            trail.losses.append(Loss("what was remembered of this log is damaged, so it was begun anew"))
        _begin(trail.pieces, first)
    else:
        if tell_apart and not trail.apart:
            places = _tell_apart(trail, places)
        _go_on(trail, places, unopened)
    return trail


def _tell_apart(trail: Trail, places: list[Place]) -> list[Place]:
    """Set logs of other workers apart from older pieces; returns the places of what is left.

    Both may be named ``worker-1.log`` beside ``worker.log``. Whoever wrote to the newest piece may still do so for a
    while, and rotation moves all others on; one of these that has grown where it lies is a log of its own, and so are
    all that are named like it.
    """
    directory, name = os.path.split(os.path.abspath(trail.path))
    numbered = [piece for piece in trail.pieces if not piece.live and may_be_live(name, piece.name)]
    known = {place.name: place for place in places if not place.live}
    met = {piece.name: known[piece.name] for piece in numbered if piece.name in known}
    same = [piece for piece in numbered if piece.name in met and _is_same(piece, met[piece.name])]
    grown = [piece for piece in same if piece.facts.st_size > met[piece.name].size]
    if not any(piece is not numbered[-1] for piece in grown):
        return places
    trail.apart = True
    for piece in numbered:
        place = [replace(met[piece.name], live=True, waiting=0)] if piece in same else []
        trail.neighbours[os.path.join(directory, piece.name)] = as_mark(place) if place else {}
        piece.close()
    trail.pieces = [piece for piece in trail.pieces if piece not in numbered]
    return [place for place in places if place.live or not may_be_live(name, place.name)]


def _is_same(piece: Piece, place: Place) -> bool:
    return piece.is_same_file(place) and piece.holds(place)


def _collect(trail: Trail) -> tuple[dict[str, str], bool]:
    """Open the live log and its older pieces.

    Returns the older ones that cannot be opened, with the reason, and whether the log was rotated meanwhile.
    """
    directory, name = os.path.split(os.path.abspath(trail.path))
    trail.pieces, trail.unreadable, trail.gone = [], "", False
    unopened: dict[str, str] = {}
    try:
        folder = open_folder(directory)
    except Unreadable as error:
        trail.unreadable, trail.gone = f"{error.reason} ({directory})", error.gone
        return unopened, False
    try:
        live = _open_live(trail, name, folder)
        older = _open_older(directory, name, folder, unopened, apart=trail.apart)
        duplicates = [piece for piece in older if live and piece.identity == live.identity]
        for piece in duplicates:
            piece.close()
        trail.pieces = [piece for piece in older if piece not in duplicates] + ([live] if live else [])
        return unopened, _moved(name, folder, live)
    finally:
        os.close(folder)


def _open_live(trail: Trail, name: str, folder: int) -> Piece | None:
    try:
        descriptor, facts = open_log(name, folder)
    except Unreadable as error:
        trail.unreadable, trail.gone = error.reason, error.gone
        return None
    return Piece(trail.path, name, True, "", descriptor, facts)


def _open_older(directory: str, live: str, folder: int, unopened: dict[str, str], *, apart: bool) -> list[Piece]:
    """The older pieces, in the order they were written."""
    try:
        names = rotated_names(live, os.listdir(folder))
    except OSError:
        # A folder may be entered and not listed: the live log is read all the same.
        return []
    names = [rotated for rotated in names if not (apart and rotated.may_be_live)]
    pieces: dict[str, Piece] = {}
    for rotated in names:
        try:
            descriptor, facts = open_log(rotated.name, folder)
        except Unreadable as error:
            if not error.gone and "permission" in error.reason:
                unopened[rotated.name] = error.reason
            continue
        path = os.path.join(directory, rotated.name)
        pieces[rotated.name] = Piece(path, rotated.name, False, rotated.compression, descriptor, facts)
    present = [(rotated, pieces[rotated.name].facts.st_mtime_ns) for rotated in names if rotated.name in pieces]
    return [pieces[rotated.name] for rotated in in_order(present)]


def _moved(name: str, folder: int, live: Piece | None) -> bool:
    """Whether the live log's name leads to another file by now."""
    try:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return live is not None
    return live is not None and (facts.st_dev, facts.st_ino) != live.identity


def _begin(pieces: Sequence[Piece], first: First) -> None:
    """A log never seen before: its older pieces count as read, the live one from where it is to be begun."""
    for piece in pieces:
        if not piece.live:
            piece.place = piece.passed()
            continue
        size = piece.facts.st_size
        wanted = 0 if first == "start" else size if first == "end" else max(0, size - int(first))
        offset = _line_start(piece, wanted, forward=first != "end")
        tail = piece.window(max(0, offset - FINGERPRINT), min(offset, FINGERPRINT))
        piece.place = replace(piece.untouched(), offset=offset, tail=fingerprint(tail), done=offset == size)


def _line_start(piece: Piece, offset: int, *, forward: bool) -> int:
    """The first byte of a line at or after the offset, or at or before it; the offset itself in a line too long."""
    if offset <= 0:
        return 0
    if piece.window(offset - 1, 1) == b"\n":
        return offset
    if forward:
        newline = piece.window(offset, LINE_LIMIT).find(b"\n")
        return offset if newline < 0 else offset + newline + 1
    start = max(0, offset - LINE_LIMIT)
    newline = piece.window(start, offset - start).rfind(b"\n")
    return start + newline + 1 if newline >= 0 else 0 if start == 0 else offset


def _go_on(trail: Trail, places: Sequence[Place], unopened: Mapping[str, str]) -> None:
    """Find the places again, see which pieces are new, and tell what is missing."""
    # An empty log has nothing to know it by but its inode, which any new file may have got; its pieces are new anyway.
    missing = recognise(trail.pieces, [place for place in places if place.head_length])
    older = [piece for piece in trail.pieces if not piece.live]
    live = next((piece for piece in trail.pieces if piece.live), None)
    known = [at for at, piece in enumerate(older) if piece.place]
    since = max((place.changed for place in places if not place.live), default=None)
    name = os.path.basename(trail.path)
    for at, piece in enumerate(older):
        # Written to since, and not the newest: a log of another worker, which is new.
        beside = since is not None and piece.facts.st_mtime_ns > since and may_be_live(name, piece.name)
        # What is older than the newest piece that is known was read before it, or was there before the first run.
        newer = at > known[-1] if known else since is None or piece.facts.st_mtime_ns >= since
        if piece.place is None and (newer or beside):
            piece.place = piece.untouched()
        elif piece.place is None:
            piece.close()
    trail.pieces = [piece for piece in trail.pieces if piece.live or piece.place]
    for place in missing:
        _miss(trail, place, live, unopened)
    faceless = next((place for place in places if not place.head_length), None)
    if faceless and not known:
        _doubt(trail, faceless, others_known=since is not None)
    if live and live.place is None:
        live.place = live.untouched()
    if missing:
        for name, reason in unopened.items():
            trail.losses.append(Loss(f"{name} {reason}, and may hold lines that were not read"))


def _doubt(trail: Trail, place: Place, *, others_known: bool) -> None:
    """The log was empty: whether all that was written since is here can be told from its older pieces alone."""
    if others_known:
        reason = "it was empty when it was read last, and none of the older pieces known then is left"
    elif not any(piece.is_same_file(place) for piece in trail.pieces) and len(trail.pieces) <= 1:
        reason = "it was empty when it was read last, and has been replaced since"
    else:
        return
    trail.losses.append(Loss(f"{reason}, so lines may have come and gone"))


def _miss(trail: Trail, place: Place, live: Piece | None, unopened: Mapping[str, str]) -> None:
    """A place that nothing holds any more."""
    hidden = live is None and not trail.gone
    if place.name in unopened or (hidden and (place.live or not trail.pieces)):
        trail.pending.append(place)
        return
    if not place.live:
        if place.unread:
            size = None if place.packed else place.unread
            trail.losses.append(Loss(f"{place.name} is gone before all of it had been read", size))
        return
    again = find_again(live, place) if live and live.place is None else None
    if live and again is not None:
        live.place = replace(live.adopt(place), offset=again, done=again == live.facts.st_size)
        live.place = replace(live.place, head=live.untouched().head, head_length=live.untouched().head_length)
        trail.losses.append(Loss("it was written anew; reading went on behind the last line read before", 0))
        return
    if live is None:
        reason = "it is gone, and no older piece goes on from where it was read last"
    elif live.is_same_file(place):
        reason = "it was emptied or written anew, and no older piece goes on from where it was read last"
    else:
        reason = "it was replaced, and no older piece goes on from where it was read last"
    trail.losses.append(Loss(reason))
