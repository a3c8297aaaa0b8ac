# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one pass over a log: blocks of lines in, a Tally out.

What happens to every line happens in C: one expression takes a block apart, a table turns each head into the list of
its route, and lists and counters do the rest. Python code runs for each distinct head, and for requests that ask for a
closer look.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.closer import CloserLook, ParseLine
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.expression import Columns
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.heads import (
    Cell,
    CellOf,
    Reader,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.memo import (
    NO_TIME,
    Heads,
    Seconds,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rows import Rows
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.tally import (
    Share,
    Tally,
    Window,
)

#: A block is taken apart in slices of one to two times so many bytes, which fit a processor's own cache (1 MiB) with
#: everything made of them. More is no quicker, and slower where others keep busy the cache that all share.
SLICE = 192 * 1024
#: Rows that are gathered before they are counted.
_GATHERED = 5_000
#: Answers of a route whose size is kept at each counting, so that a busy route costs no more than others: more of
#: them until so many are known.
_SIZES_KEPT, _SIZES_AT_FIRST, _SIZES_ENOUGH = 8, 100, 500
#: The least requests of a stretch for its share of errors to say something.
_WINDOW = 200
Parse = Callable[[bytes], Columns]


class Pass:
    """The state of a pass. Feed it blocks, then ask for its tally."""

    def __init__(self, *, parse: Parse, parse_line: ParseLine, reader: Reader, divisor: float, forwarded: bool) -> None:
        self.parse = parse
        self.parse_line = parse_line
        self.reader = reader
        self.forwarded = forwarded
        self.tally = Tally()
        self.cell_of = CellOf()
        self.heads = Heads(self._look)
        self.nonsense: list[int] = []
        self.closer = CloserLook(self.tally, reader.judge, parse_line, forwarded=forwarded)
        self.rows = Rows(Seconds(divisor))
        self.stretch_began = ""
        self.last_block = b""

    def run(self, blocks: Iterable[bytes]) -> Tally:
        """Count blocks of whole lines. Nothing that is made here refers back to itself, so the collector can rest."""
        with _no_collector():
            for block in blocks:
                for piece in slices(block):
                    self.feed(piece)
            self.count()
        for share in self.tally.shares.values():
            share.times.buckets.pop(NO_TIME, None)
        self.tally.overflowed = self.reader.routes.overflowed
        self.tally.unscored = self.reader.judge.unscored
        self.tally.shortened = self.reader.judge.shortened
        return self.tally

    def begin(self, stretch: int) -> None:
        """What is fed from here on is of this stretch of the log, for others read those between."""
        self.tally.logins.stretch = stretch

    def feed(self, block: bytes) -> None:
        """A block of whole lines."""
        columns = self.parse(block)
        tally = self.tally
        tally.lines += block.count(b"\n") if columns.lines is None else columns.lines
        self._mark_times(block)
        if not columns.heads:
            return
        addresses = _last_forwarded(columns.addresses) if self.forwarded else columns.addresses
        if addresses:
            tally.addresses.update(addresses)
        numbers = self.rows.add(columns, addresses)
        # A deque without room runs through in C.
        deque(map(list.append, map(self.heads.__getitem__, columns.heads), numbers), maxlen=0)
        self.closer.look(columns, self.rows, numbers.start)
        if columns.agents:
            self.closer.count_agents(columns.agents, addresses)
        self.closer.look_at_referrers(block)
        if len(self.rows) >= _GATHERED:
            self.count()

    def _look(self, head: bytes) -> list[int]:
        """The list that takes the numbers of a head's rows."""
        found = self.reader.look(head, self.cell_of)
        for route in self.reader.routes.take_new():
            for missed in self.closer.forget(route):
                self.heads.pop(missed, None)
        if found is None:
            return self.nonsense
        if isinstance(found, Cell):
            return found.rows
        self.closer.add(head, found)
        return self.closer.numbers

    def _mark_times(self, block: bytes) -> None:
        if not self.tally.began:
            self.tally.began = self._time_at(block, 0)
        if not len(self.rows):
            self.stretch_began = self._time_at(block, 0)
        self.last_block = block

    def _time_at(self, block: bytes, at: int) -> str:
        fields = self.parse_line(block, at)
        return clean(fields.get("time", b"").decode("latin-1"), limit=40) if fields else ""

    def count(self) -> None:
        """Count what was gathered, and forget it."""
        errors = requests = 0
        rows = self.rows
        self.nonsense.clear()
        for (route, status, attacks), cell in self.cell_of.cells.items():
            if not cell.rows:
                continue
            many = len(cell.rows)
            pick = _picker(cell.rows)
            requests += many
            share = self.tally.shares.get((route, status))
            if share is None:
                share = self.tally.shares[route, status] = Share()
            share.requests += many
            sizes = pick(rows.sizes)
            share.sent += sum(sizes)
            if rows.timed:
                share.times.buckets.update(pick(rows.times))
            if status >= "400":
                self.tally.failing.update(pick(rows.addresses))
                errors += many if status >= "500" else 0
            elif status[0] == "2" and not attacks:
                _keep_sizes(share, sizes)
            cell.rows.clear()
        self._close_stretch(errors, requests)
        self.rows = Rows(rows.seconds)
        if self.heads.trim():
            self.closer.forget_all()

    def _close_stretch(self, errors: int, requests: int) -> None:
        if not requests:
            return
        block = self.last_block
        ended = self._time_at(block, block.rfind(b"\n", 0, len(block) - 1) + 1) or self.tally.ended
        self.tally.ended = ended
        share = 100 * errors / requests
        if requests >= _WINDOW and share > self.tally.worst.share:
            self.tally.worst = Window(share, errors, requests, self.stretch_began, ended)


def slices(block: bytes) -> Iterator[bytes]:
    """A block in pieces of whole lines."""
    begin, end = 0, len(block)
    while end - begin > 2 * SLICE:
        cut = block.rfind(b"\n", begin, begin + SLICE) + 1
        if cut <= begin:
            cut = block.find(b"\n", begin) + 1 or end
        yield block[begin:cut]
        begin = cut
    if begin < end:
        yield block[begin:] if begin else block


def _picker(numbers: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """What takes these of a column, in C."""
    if len(numbers) > 1:
        return itemgetter(*numbers)
    (only,) = numbers
    return lambda column: (column[only],)


def _keep_sizes(share: Share, sizes: Sequence[int]) -> None:
    """Some sizes of ordinary answers, spread evenly."""
    wanted = _SIZES_KEPT if share.kept >= _SIZES_ENOUGH else _SIZES_AT_FIRST
    chosen = sizes[:: max(1, len(sizes) // wanted)]
    share.kept += len(chosen)
    for size in chosen:
        share.sizes.add(size)


def _last_forwarded(values: Sequence[bytes]) -> list[bytes]:
    """The last address of each X-Forwarded-For: the one that the nearest proxy saw, and that no client can choose."""
    return [value.rpartition(b",")[2].strip()[:64] for value in values]


@contextmanager
def _no_collector() -> Iterator[None]:
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
