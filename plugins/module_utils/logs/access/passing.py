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
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import repeat

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.attacks import Verdict
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.expression import Columns
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.heads import (
    Cell,
    CellOf,
    Head,
    Reader,
    script,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.memo import (
    LONG_HEAD,
    NO_TIME,
    Heads,
    Row,
    Seconds,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.tally import (
    MAX_ANSWERED,
    MAX_NAMES,
    Answered,
    Share,
    Tally,
    Window,
)

#: A block is taken apart in slices that fit a processor's cache with everything made of them.
SLICE = 128 * 1024
#: Rows that are gathered before they are counted, and how many of a cell are too few to be worth it.
_GATHERED, _FEW = 5_000, 60
#: Different texts of times that a route and status counts before they become buckets.
_MAX_TEXTS = 4000
#: Answers of a route whose size is kept at each counting, so that a busy route costs no more than others: more of
#: them until so many are known.
_SIZES_KEPT, _SIZES_AT_FIRST, _SIZES_ENOUGH = 8, 100, 500
#: The least requests of a stretch for its share of errors to say something.
_WINDOW = 200
#: User agents that count as attacks.
_MAX_FLAGGED = 200
#: Texts of times that all routes together hold.
_MAX_ALL_TEXTS = 100_000
#: Bytes that are rare in a log and begin what makes a referrer unusual, and how it goes on.
_SIGNS = (b"$", b"<", b"{")
_UNUSUAL = frozenset([b"${", b"{ ", b"{:", *(b"<%c" % letter for letter in b"sSiI/")])

Parse = Callable[[bytes], Columns]
ParseLine = Callable[[bytes, int], "dict[str, bytes] | None"]


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
        self.seconds = Seconds(divisor)
        self.failing: set[bytes] = set()
        self.nonsense: list[bytes] = []
        #: Rows of heads that ask for a closer look, in the order of their lines, and what is known of such heads.
        self.closer: list[bytes] = []
        self.closely: dict[bytes, Head] = {}
        #: Heads of what is not there; the next lines may show that their route is one of the application's after all.
        self.provisional: list[bytes] = []
        self.flagged: dict[bytes, Verdict] = {}
        self.flagged_seen: dict[bytes, int] = {}
        self.gathered = 0
        self.waiting = 0
        self.place = 0
        self.stretch_began = ""
        self.last_block = b""

    def run(self, blocks: Iterable[tuple[int, bytes]]) -> Tally:
        """Count numbered blocks. Nothing that is made in here refers back to itself, so the collector can rest."""
        with _no_collector():
            for number, block in blocks:
                self.place = max(self.place, number << 32)
                for piece in slices(block):
                    self.feed(piece)
            self.count(last=True)
            for share in self.tally.shares.values():
                self._fold_times(share)
        self.tally.overflowed = self.reader.routes.overflowed
        return self.tally

    def feed(self, block: bytes) -> None:
        """A block of whole lines."""
        columns = self.parse(block)
        tally = self.tally
        self._mark_times(block)
        rows = len(columns.heads)
        if not rows:
            return
        addresses = _last_forwarded(columns.addresses) if self.forwarded else columns.addresses
        if addresses:
            tally.addresses.update(addresses)
        places = list(map(self.heads.__getitem__, columns.heads))
        row_of = zip(columns.sizes or repeat(b"-"), columns.times or repeat(b"-"), addresses or repeat(b"-"))
        # A deque without room runs through in C.
        deque(map(list.extend, places, row_of), maxlen=0)
        if self.closer:
            self._look_closer_at([head for head, place in zip(columns.heads, places) if place is self.closer])
        self.gathered += rows
        if self.failing:
            self._name_users(columns, addresses)
        if columns.agents:
            self._count_agents(columns.agents, addresses)
        for sign in _SIGNS:
            if sign in block:
                self._look_at_referrers(block, sign)
        if self.gathered >= _GATHERED:
            self.count()

    def _look(self, head: bytes) -> list[bytes]:
        """The list that takes the rows of a head."""
        found = self.reader.look(head, self.cell_of)
        if found is None:
            return self.nonsense
        if isinstance(found, Cell):
            return found.rows
        self.closely[head] = found
        if found.part == "missing" and not found.verdict.attack:
            self.provisional.append(head)
        return self.closer

    def _look_closer_at(self, heads: Sequence[bytes]) -> None:
        """Rows whose heads, given in the order of their lines, are not ordinary; they count in their cells as well."""
        values = iter(self.closer)
        missing: list[bytes] = []
        for head, row in zip(heads, zip(values, values, values)):
            known = self.closely[head]
            known.cell.rows.extend(row)
            if known.part == "missing" and not known.verdict.attack:
                missing.append(known.path.encode("utf-8", "replace"))
            else:
                self._look_closer(head, known, row)
        self.closer.clear()
        self.tally.missing.update(missing)
        for head in heads:
            if len(head) > LONG_HEAD:
                self.closely.pop(head, None)

    def _mark_times(self, block: bytes) -> None:
        if not self.tally.began:
            self.tally.began = self._time_at(block, 0)
        if not self.gathered:
            self.stretch_began = self._time_at(block, 0)
        self.last_block = block

    def _time_at(self, block: bytes, at: int) -> str:
        fields = self.parse_line(block, at)
        return clean(fields.get("time", b"").decode("latin-1"), limit=40) if fields else ""

    def _count_agents(self, agents: Sequence[bytes], addresses: Sequence[bytes]) -> None:
        counter = self.tally.agents
        for agent in counter.update(agents):
            verdict = self.reader.judge.judge_agent(agent)
            if verdict.attack and len(self.flagged) < _MAX_FLAGGED:
                self.flagged[agent] = verdict
        if not self.flagged:
            return
        counts = counter.counts
        present = [agent for agent in self.flagged if counts[agent] != self.flagged_seen.get(agent, 0)]
        if present and addresses:
            for agent, address in zip(agents, addresses):
                if agent in self.flagged:
                    self._note_attack(self.flagged[agent], address, place="(user agent)")
        for agent in present:
            self.flagged_seen[agent] = counts[agent]

    def _look_at_referrers(self, block: bytes, sign: bytes) -> None:
        """Only lines that hold what no browser's referrer does are taken apart for theirs."""
        at = block.find(sign)
        while at >= 0:
            end = block.find(b"\n", at)
            if block[at : at + 2] in _UNUSUAL:
                fields = self.parse_line(block, block.rfind(b"\n", 0, at) + 1) or {}
                referrer = fields.get("referer", b"")
                if sign in referrer:
                    verdict = self.reader.judge.judge_agent(referrer)
                    if verdict.attack:
                        self._note_attack(verdict, self._address(fields), place="(referrer)")
                at = end - 1
            at = block.find(sign, at + 1)

    def _note_attack(self, verdict: Verdict, address: bytes, *, place: str) -> None:
        self.tally.add_attack(verdict.kinds[0], place)
        suspect = self.tally.suspect(_text(address))
        if suspect:
            suspect.attacks += 1
            suspect.score += verdict.score
            suspect.kinds[verdict.kinds[0]] += 1

    def _look_closer(self, head: bytes, known: Head, row: Row) -> None:
        """A row whose head is an attack, a login or an upload; it is counted in its cell as well."""
        size, _seconds, address = row
        self.place += 1
        if known.verdict.attack:
            self._note_answer(known, size, address)
        if known.part:
            self._note_part(known, address)
        if known.part == "failure":
            self.failing.add(head)

    def _name_users(self, columns: Columns, addresses: Sequence[bytes]) -> None:
        """Who failed to log in, of those lines that name a user."""
        failing, self.failing = self.failing, set()
        if not columns.users:
            return
        for head, user, raw_address in zip(columns.heads, columns.users, addresses or repeat(b"-")):
            if head in failing and user not in (b"-", b"", b'""'):
                name, address = _text(user), _text(raw_address)
                self.tally.add_user(name, address)
                suspect = self.tally.suspects.get(address)
                if suspect and len(suspect.users) < MAX_NAMES:
                    suspect.users.add(name)

    def _address(self, fields: dict[str, bytes]) -> bytes:
        address = fields.get("address", b"-")
        return address.rpartition(b",")[2].strip() if self.forwarded else address

    def _note_answer(self, known: Head, size: bytes, address: bytes) -> None:
        self._note_attack(known.verdict, address, place=known.place)
        if known.cell.status[0] == "2":
            if len(self.tally.answered) < MAX_ANSWERED:
                self.tally.answered.append(
                    Answered(
                        route=known.cell.route,
                        place=known.place,
                        kind=known.verdict.kinds[0],
                        address=_text(address),
                        size=int(size) if size.isdigit() else 0,
                    )
                )
            else:
                self.tally.more_answered += 1

    def _note_part(self, known: Head, address: bytes) -> None:
        tally = self.tally
        if known.part == "upload":
            tally.uploads[known.cell.route] += 1
            if script(known.path):
                _count_bounded(tally.written, known.path)
        elif known.part == "fetch":
            _count_bounded(tally.fetched, known.path)
        elif known.part == "success":
            tally.add_login(_text(address), self.place)
        else:
            suspect = tally.suspect(_text(address))
            if suspect:
                suspect.failures += 1
                suspect.first_failure = self.place if suspect.first_failure < 0 else suspect.first_failure

    def count(self, *, last: bool = False) -> None:
        """Count what was gathered, and forget it; what a cell has few of may wait, but for the last time."""
        errors = requests = 0
        self.nonsense.clear()
        for head in self.provisional:
            self.heads.pop(head, None)
            self.closely.pop(head, None)
        self.provisional.clear()
        few = 0 if last or self.waiting > _GATHERED else _FEW
        self.waiting = 0
        for (route, status, attacks), cell in self.cell_of.cells.items():
            rows = cell.rows
            many = len(rows) // 3
            requests += many - cell.waiting
            errors += many - cell.waiting if status >= "500" else 0
            cell.waiting = many if many < few else 0
            if cell.waiting or not many:
                self.waiting += many
                continue
            share = self.tally.shares.get((route, status))
            if share is None:
                share = self.tally.shares[route, status] = Share()
            share.requests += many
            sizes = rows[0::3]
            share.sent += _total(sizes)
            self._count_times(share, rows[1::3])
            if status >= "400":
                self.tally.failing.update(rows[2::3])
            elif status[0] == "2" and not attacks:
                _keep_sizes(share, sizes)
            rows.clear()
        self._close_stretch(errors, requests)
        self.gathered = 0
        if self.heads.trim():
            self.closely.clear()
        if sum(len(share.texts) for share in self.tally.shares.values()) > _MAX_ALL_TEXTS:
            for share in self.tally.shares.values():
                self._fold_times(share)

    def _count_times(self, share: Share, times: list[bytes]) -> None:
        if times[0] == b"-" and times.count(b"-") == len(times):
            return
        share.texts.update(times)
        if len(share.texts) > _MAX_TEXTS:
            self._fold_times(share)

    def _fold_times(self, share: Share) -> None:
        buckets = share.times.buckets
        for text, many in share.texts.items():
            buckets[self.seconds[text]] += many
        buckets.pop(NO_TIME, None)
        share.texts.clear()

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
    while end - begin > SLICE:
        cut = block.rfind(b"\n", begin, begin + SLICE) + 1
        if cut <= begin:
            cut = block.find(b"\n", begin) + 1 or end
        yield block[begin:cut]
        begin = cut
    if begin < end:
        yield block[begin:] if begin else block


def _keep_sizes(share: Share, sizes: list[bytes]) -> None:
    """Some sizes of ordinary answers, spread evenly."""
    wanted = _SIZES_KEPT if share.kept >= _SIZES_ENOUGH else _SIZES_AT_FIRST
    chosen = sizes[:: max(1, len(sizes) // wanted)]
    share.kept += len(chosen)
    for size in chosen:
        if size.isdigit():
            share.sizes.add(int(size))


def _total(sizes: list[bytes]) -> int:
    try:
        return sum(map(int, sizes))
    except ValueError:
        return sum(int(size) for size in sizes if size.isdigit())


def _last_forwarded(values: Sequence[bytes]) -> list[bytes]:
    """The last address of each X-Forwarded-For: the one that the nearest proxy saw, and that no client can choose."""
    return [value.rpartition(b",")[2].strip()[:64] for value in values]


def _count_bounded(counter: Counter[str], key: str, limit: int = 1000) -> None:
    if key in counter or len(counter) < limit:
        counter[key] += 1


@lru_cache(maxsize=4096)
def _text(raw: bytes) -> str:
    return clean(raw[:400].decode("utf-8", "replace"), limit=60)


@contextmanager
def _no_collector() -> Iterator[None]:
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
