# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases and tables that have become much larger or much smaller since the last run that compared them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import (
    clean,
    counted,
    duration,
    number,
    quantity,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.sizes import (
    collect_sizes,
    known_sizes,
    label,
    own_tables,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table, collect_tables
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Recalled,
    Settings,
    Snapshot,
    Topic,
    View,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.worst import Candidate, tell

_SOURCE = "pg_class and its files, compared with the last run"
CHECKS = (
    Check(
        "postgresql.database_growth",
        "Databases that grew",
        "How much larger a database is than at the last run. A change of less than growth_floor does not count.",
        "See which of its tables grew (postgresql.table_growth), and whether somebody deletes what has had its time.",
        "pg_database_size(), compared with the last run",
        "%",
        Levels(info=50, warning=100),
    ),
    Check(
        "postgresql.database_shrinkage",
        "Databases that shrank",
        "How much smaller a database is than at the last run; one that is gone has shrunk by 100 %.",
        "Find out who removed what (the server's log, postgresql.table_shrinkage) while the backups still have it.",
        "pg_database_size(), compared with the last run",
        "%",
        Levels(warning=30, critical=80),
    ),
    Check(
        "postgresql.table_growth",
        "Tables that grew",
        "How much larger a table is, with its indexes and TOAST, than at the last run. A change of less than "
        "growth_floor does not count, and a new table has not grown.",
        "See whether it is rows or bloat (postgresql.table_bloat), and whether old rows should be gone by now.",
        _SOURCE,
        "%",
        Levels(info=50, warning=100),
    ),
    Check(
        "postgresql.table_shrinkage",
        "Tables that shrank",
        "How much smaller a table is than at the last run; one that is gone has shrunk by 100 %. A partition that is "
        "gone, and a table that holds as many rows in less space, do not count.",
        "Find out who removed what (the server's log) while the backups still have it.",
        _SOURCE,
        "%",
        Levels(warning=50, critical=90),
    ),
)

_REMEMBERED = 300


@dataclass(frozen=True)
class Before:
    """A table as it was at the last run."""

    label: str
    oid: int
    bytes: int
    rows: float
    partition: bool


@dataclass(frozen=True)
class Change:
    """A database or a table then and now; ``now`` is None where it is gone."""

    label: str
    before: int
    now: int | None

    @property
    def delta(self) -> int:
        return (self.now or 0) - self.before

    @property
    def words(self) -> str:
        became = "gone" if self.now is None else quantity(self.now, "B")
        sign = "+" if self.delta > 0 else "-"
        share = number(round(100.0 * abs(self.delta) / self.before, 1)) if self.before else "0"
        return clean(f"{self.label}: {quantity(self.before, 'B')} -> {became} ({sign}{share} %)")


def asked(_session: Session, _server: Server, _settings: Settings) -> bool:
    """Whether a comparison is asked for: what one in three months looks back to, a daily look must not move on."""
    return True


def database_growth(view: View) -> Iterator[Answer]:
    changes, since = _database_changes(view, "database_growth")
    yield from _grown(view, "postgresql.database_growth", view.place, "", changes, since=since)


def database_shrinkage(view: View) -> Iterator[Answer]:
    changes, since = _database_changes(view, "database_shrinkage")
    yield from _shrunk(view, "postgresql.database_shrinkage", view.place, "", changes, since=since)


def _database_changes(view: View, name: str) -> tuple[list[Change], str]:
    before = view.recall(name)
    known = known_sizes(view)
    there = {database.name for database in view.cluster.server.databases}
    changes = []
    for name, amount in before.data.items():
        if isinstance(amount, int) and (name in known or name not in there):
            changes.append(Change(name, amount, known.get(name)))
    return changes, duration(before.seconds(view.cluster.now))


def table_growth(view: View) -> Iterator[Answer]:
    check = "postgresql.table_growth"
    recalled = view.recall("table_growth")
    since = duration(recalled.seconds(view.cluster.now))
    for database, before, tables in _then_and_now(view, recalled):
        if before is None:
            yield _first_look(view, check, database)
            continue
        changes, new = compare(before, tables, floor=view.settings.growth_floor)
        grown = [change for change, _compacted in changes]
        note = f"{counted(len(new), 'new table')}: {', '.join(new[:3])}" if new else ""
        yield from _grown(view, check, view.item(database), database, grown, since=since, note=note)
    yield from view.absences(check, "tables")


def table_shrinkage(view: View) -> Iterator[Answer]:
    check = "postgresql.table_shrinkage"
    recalled = view.recall("table_shrinkage")
    since = duration(recalled.seconds(view.cluster.now))
    for database, before, tables in _then_and_now(view, recalled):
        if before is None:
            yield _first_look(view, check, database)
            continue
        changes, _new = compare(before, tables, floor=view.settings.growth_floor)
        lost = [change for change, compacted in changes if not compacted]
        floor = view.settings.growth_floor
        tight = sum(1 for change, compacted in changes if compacted and -change.delta >= floor)
        note = f"{counted(tight, 'table')} with as many rows in less space" if tight else ""
        yield from _shrunk(view, check, view.item(database), database, lost, since=since, note=note)
    yield from view.absences(check, "tables")


def _then_and_now(view: View, recalled: Recalled) -> Iterator[tuple[str, list[Before] | None, list[Table]]]:
    for database, tables in view.in_databases("tables"):
        yield database, read_before(recalled.data.get(database)), own_tables(tables)


def _first_look(view: View, check: str, database: str) -> Answer:
    reason = "this run is the first to look at this database, the next one compares with it"
    return view.state(check, view.item(database), "skipped", reason)


def compare(
    before: Sequence[Before], tables: Sequence[Table], *, floor: int
) -> tuple[list[tuple[Change, bool]], list[str]]:
    """What became of each table, and whether that was but a compaction; and the labels of the large new ones.

    A table is the same if its number is, whatever its name, or its name, where it was made anew.
    """
    by_oid = {table.oid: table for table in tables}
    by_label = {label(table): table for table in tables}
    changes = []
    matched = set()
    for old in before:
        table = by_oid.get(old.oid) or by_label.get(old.label)
        if table is None:
            if not old.partition:
                changes.append((Change(old.label, old.bytes, None), False))
            continue
        matched.add(table.oid)
        if not table.estimated:
            change = Change(label(table), old.bytes, table.total_bytes)
            changes.append((change, _is_compacted(old, table)))
    new = [label(table) for table in tables if table.oid not in matched and table.total_bytes >= floor]
    # Where the last run could not remember all, one that it did not know may have been there.
    return changes, new if len(before) < _REMEMBERED else []


def _is_compacted(old: Before, table: Table) -> bool:
    """Whether a table lost far less of its rows than of its size, as by VACUUM FULL or without an index."""
    if table.total_bytes >= old.bytes or old.rows <= 0:
        return False
    lost_bytes = 1 - table.total_bytes / old.bytes
    lost_rows = 1 - _rows(table) / old.rows
    return lost_rows < lost_bytes / 2


def _rows(table: Table) -> float:
    # The counter begins at 0 after a crash, the catalog's figure is from the last vacuum or analyze.
    return max(0.0, float(table.live), table.rows)


def _grown(
    view: View, check: str, item: str, database: str, changes: Sequence[Change], *, since: str, note: str = ""
) -> Iterator[Answer]:
    floor = view.settings.growth_floor
    grown = [change for change in changes if change.delta >= floor]
    # What was next to nothing is measured against the floor: its share would say nothing.
    shares = [100.0 * change.delta / max(change.before, floor, 1) for change in grown]
    yield from _told(view, check, item, database, grown, shares, since=since, note=note, did="grew")


def _shrunk(
    view: View, check: str, item: str, database: str, changes: Sequence[Change], *, since: str, note: str = ""
) -> Iterator[Answer]:
    shrunk = [change for change in changes if -change.delta >= max(1, view.settings.growth_floor)]
    shares = [100.0 * -change.delta / change.before for change in shrunk]
    yield from _told(view, check, item, database, shrunk, shares, since=since, note=note, did="shrank")


def _told(
    view: View,
    check: str,
    item: str,
    database: str,
    changes: Sequence[Change],
    shares: Sequence[float],
    *,
    since: str,
    note: str,
    did: str,
) -> Iterator[Answer]:
    ending = f"; {note}" if note else ""
    candidates = [
        Candidate(
            view.item(database, change.label) if database else view.item(change.label),
            share,
            change.words,
            note=f"{change.words} in {since}{ending}",
        )
        for change, share in zip(changes, shares)
    ]
    floor = quantity(view.settings.growth_floor, "B")
    nothing = f"none {did} by {floor} or more in {since}{ending}"
    yield from tell(view, check, item, candidates, f"{did} most", each=did, nothing=nothing)


def read_before(raw: object) -> list[Before] | None:
    """What the last run wrote down of a database's tables; None where it did not look at it."""
    if not isinstance(raw, dict):
        return None
    before = []
    for name, entry in raw.items():
        try:
            oid, amount, rows, partition = entry
            before.append(Before(str(name), int(oid), int(amount), float(rows), bool(partition)))
        except (TypeError, ValueError):
            continue
    return before


def remember(snapshot: Snapshot) -> Mapping[str, Mapping[str, Any]]:
    """The sizes of the databases, and of the largest tables of each, for each of the checks that was asked."""
    kept: dict[str, Mapping[str, Any]] = {}
    sizes = snapshot.parts.get("sizes")
    if isinstance(sizes, Mapping):
        known = {name: amount for name, amount in sizes.items() if amount is not None}
        kept.update({name: known for name in ("database_growth", "database_shrinkage") if name in snapshot.parts})
    tables: dict[str, dict[str, Any]] = {}
    for database, parts in snapshot.databases.items():
        reading = parts.get("tables")
        if isinstance(reading, tuple):
            exact = [table for table in own_tables(reading) if not table.estimated]
            largest = sorted(exact, key=lambda table: -table.total_bytes)[:_REMEMBERED]
            tables[database] = {
                label(table): [table.oid, table.total_bytes, _rows(table), table.partition] for table in largest
            }
    if tables:
        kept.update({name: tables for name in ("table_growth", "table_shrinkage") if name in snapshot.parts})
    return kept


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.database_growth": (database_growth, ("sizes", "database_growth")),
        "postgresql.database_shrinkage": (database_shrinkage, ("sizes", "database_shrinkage")),
        "postgresql.table_growth": (table_growth, ("tables", "table_growth")),
        "postgresql.table_shrinkage": (table_shrinkage, ("tables", "table_shrinkage")),
    },
    cluster={
        "sizes": collect_sizes,
        **dict.fromkeys(("database_growth", "database_shrinkage", "table_growth", "table_shrinkage"), asked),
    },
    database={"tables": collect_tables},
    remember=remember,
)
