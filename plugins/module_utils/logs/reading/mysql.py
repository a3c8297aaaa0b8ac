# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error log of a MySQL server from its table ``performance_schema.error_log``, from where the last run stopped.

Source: MySQL manual, "The error_log Table"; sql/server_component/log_sink_perfschema.cc. The table is a ring of 5 MiB,
in the order in which its entries were written. The server gives each a time of its own, later than the one before even
where the clock was set back, and the same again when it fills the table from its file at a start. So the mark is the
time, code and thread of the last entries: pages begin with the entry that was read last, and where that is not in
its page, entries were lost.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.client import open_session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.login import Login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED, Loss
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.mysql_table import (
    FIRST,
    LAST,
    Entry,
    Facts,
    ServerTable,
    require_table,
    worded,
)

#: Entries of one page: an entry has at most 8 KiB, mostly 200 bytes.
PAGE = 1000
#: How many of the last entries the mark knows, and of how many servers behind one address.
KNOWN_ROWS, KNOWN_SERVERS = 32, 4


class Table(Protocol):
    """The table, as far as following it takes."""

    def page(self, since: int, most: int) -> list[Entry]:
        """The first entries from a time on, at most so many, in their order."""

    def newest(self, most: int) -> list[Entry]:
        """The last entries, in their order."""

    def begin_of_last(self, entries: int) -> int:
        """The time of the first of the last so many entries; the first time of all where there are fewer."""

    def close(self) -> None:
        """Nothing more is asked."""


@dataclass
class MysqlTrail:
    """What there is to read of a server's log: like a ``Trail``, with lines as in the server's file in ``blocks()``."""

    table: Table
    facts: Facts
    since: int = FIRST
    #: Entries at the beginning that were read before.
    seen: Counter[str] = field(default_factory=Counter)
    #: The newest entry there was when this was made: what comes while we read is the next run's.
    until: int = 0
    budget: int | None = None
    first_seen: bool = False
    losses: list[Loss] = field(default_factory=list)
    lines: int = 0
    cut_lines: int = 0
    behind: int = 0
    #: The last entries that were read, and those of other servers that answered here before.
    known: deque[str] = field(default_factory=lambda: deque(maxlen=KNOWN_ROWS))
    others: dict[str, list[str]] = field(default_factory=dict)

    def blocks(self) -> Iterator[bytes]:
        """Blocks of lines. Raises MaintenanceError; the connection is closed at the end in any case."""
        try:
            yield from self._pages()
        finally:
            self.table.close()

    def _pages(self) -> Iterator[bytes]:
        at, seen, spent, begun = self.since, +self.seen, 0, bool(self.seen)
        while at <= self.until:
            page = self.table.page(at, PAGE)
            if begun and not any(one.id in seen for one in page):
                # Entries that are written faster than they are read overtake us.
                self.losses.append(Loss("entries were overwritten while the table was read"))
            fresh = [one for one in _without(page, seen) if one.stamp <= self.until]
            if fresh:
                block = b"".join(one.line() for one in fresh)
                self.known.extend(one.id for one in fresh)
                self.lines += len(fresh)
                spent += len(block)
                yield block
            if len(page) < PAGE or page[-1].stamp > self.until:
                return
            if self.budget is not None and spent >= self.budget:
                self.behind = UNMEASURED
                return
            begun = page[-1].stamp > at
            at = page[-1].stamp + (not begun)
            seen = Counter(one.id for one in page if one.stamp == at)

    def mark(self) -> dict[str, Any]:
        """Where the next run goes on: the last entries of each server that answered here."""
        servers = {**self.others, self.facts.server: list(self.known)}
        time = int(self.known[-1].split(" ", 1)[0]) / 1e6 if self.known else 0.0
        return {"servers": dict(list(servers.items())[-KNOWN_SERVERS:]), "time": time}


def _without(page: Sequence[Entry], seen: Counter[str]) -> list[Entry]:
    """The entries of a page that were not read before."""
    left = +seen
    fresh = []
    for one in page:
        if left[one.id] > 0:
            left[one.id] -= 1
        else:
            fresh.append(one)
    return fresh


def follow_table(
    table: Table,
    facts: Facts,
    remembered: Mapping[str, Any] | None,
    *,
    first_rows: int | None = None,
    budget: int | None = None,
) -> MysqlTrail:
    """What is new in a table. One never seen is begun ``first_rows`` before its end, or at its start for None."""
    trail = MysqlTrail(table, facts, budget=budget)
    newest = table.newest(1)
    trail.until = newest[-1].stamp if newest else 0
    known, damaged = _remembered(remembered)
    read = known.pop(facts.server, None)
    trail.others = known
    if damaged:
        trail.losses.append(Loss("what was remembered of the server is damaged, so its log was begun anew"))
    if read is None:
        trail.first_seen = True
        if known:
            words = "another server answers here than in the last run, and what that one has written since is not read"
            trail.losses.append(Loss(words))
        _begin(trail, first_rows)
    elif read:
        trail.known.extend(read)
        _go_on(trail, read)
    # A table that was empty is read from its start.
    return trail


def _begin(trail: MysqlTrail, first_rows: int | None) -> None:
    if first_rows == 0:
        trail.known.extend(one.id for one in trail.table.newest(KNOWN_ROWS))
        trail.until = 0
    elif first_rows is not None:
        trail.since = trail.table.begin_of_last(first_rows)


def _go_on(trail: MysqlTrail, read: Sequence[str]) -> None:
    """Begin behind the entry that was read last, or where that is gone behind the newest one that is still there."""
    last = _stamp(read[-1])
    if _find(trail, read[-1], read):
        return
    oldest = trail.table.page(FIRST, 1)
    gone = f"the entry that was read last, of {worded(last)}, is no longer in the table"
    if trail.facts.started > last:
        gone += f", which the server made anew when it was started at {worded(trail.facts.started)}"
    if not oldest:
        trail.losses.append(Loss(gone))
    elif oldest[0].stamp > last:
        trail.losses.append(Loss(f"{gone}, and begins at {worded(oldest[0].stamp)}"))
    elif any(_find(trail, one, read) for one in reversed(read[:-1])):
        trail.losses.append(Loss(f"{gone}, nor may be some after it"))
    elif trail.until > last:
        trail.since = last + 1
        trail.losses.append(Loss(f"{gone}, nor may be some after it"))
    elif trail.facts.now < last:
        trail.losses.append(Loss(f"{gone}: the server's clock was set back, and all that is there was read"))
    else:
        trail.losses.append(Loss(f"{gone}, and all that is there is older"))
        trail.known.clear()
        trail.known.extend(one.id for one in trail.table.newest(KNOWN_ROWS))
        trail.until = 0


def _find(trail: MysqlTrail, one: str, read: Sequence[str]) -> bool:
    """Whether an entry is still there; the trail then begins behind it."""
    stamp = _stamp(one)
    if not any(entry.id == one for entry in trail.table.page(stamp, KNOWN_ROWS) if entry.stamp == stamp):
        return False
    trail.since = stamp
    trail.seen = Counter(other for other in read if _stamp(other) == stamp)
    return True


def _remembered(mark: Mapping[str, Any] | None) -> tuple[dict[str, list[str]], bool]:
    """The entries that were read last, by server, and whether the mark is damaged."""
    if not mark:
        return {}, False
    try:
        servers = {str(name): [str(one) for one in ids] for name, ids in mark["servers"].items()}
        if not all(0 < _stamp(one) < LAST for ids in servers.values() for one in ids):
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}, True
    return servers, False


def follow_server(
    login: Login,
    remembered: Mapping[str, Any] | None,
    *,
    first_rows: int | None = None,
    budget: int | None = None,
) -> MysqlTrail:
    """What is new in a server's log; the trail closes the connection.

    Raises MaintenanceError, and Absent for a server without the table.
    """
    session = open_session(login)
    try:
        facts = require_table(session)
        return follow_table(ServerTable(session), facts, remembered, first_rows=first_rows, budget=budget)
    except BaseException:
        session.close()
        raise


def _stamp(known: str) -> int:
    return int(known.split(" ", 1)[0])
