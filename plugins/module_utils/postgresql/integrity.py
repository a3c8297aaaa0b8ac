# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Integrity: damaged pages that the server met, orders of text that changed beneath indexes, b-trees tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    driver,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View

CHECKS = (
    Check(
        "postgresql.checksum_failures",
        "Damaged pages",
        "Pages whose checksum was wrong when the server read them, in each database since its statistics were reset. "
        "The disk, its controller or memory gave back something else than was written.",
        "Stop writing to the database, copy its folder, and look at the disk and at the server's log for the file; "
        "restore from a backup taken before. pg_stat_reset() in that database ends the alarm once it is mended.",
        "pg_stat_database.checksum_failures",
        "",
        Levels(critical=1),
    ),
    Check(
        "postgresql.data_checksums",
        "Checksums of pages",
        "Whether the server would notice a page that the disk damaged. Without checksums it hands out what it reads.",
        "Run pg_checksums --enable while the server is stopped; it rewrites every file. PostgreSQL 18 and newer make "
        "new clusters with checksums.",
        "data_checksums",
    ),
    Check(
        "postgresql.collation_version",
        "Orders of text that have changed",
        "Whether the operating system still orders text as it did when the indexes were made. After an upgrade of the "
        "C library or of ICU an index on text can miss rows that are there, and let duplicates in.",
        "Run REINDEX DATABASE CONCURRENTLY in that database (or REINDEX of its indexes on text), then ALTER DATABASE "
        "... REFRESH COLLATION VERSION, or ALTER COLLATION ... REFRESH VERSION.",
        "pg_database.datcollversion, pg_collation.collversion",
        "",
        Levels(warning=1),
    ),
    Check(
        "postgresql.amcheck",
        "B-tree indexes that are damaged",
        "Walks b-tree indexes and sees whether everything in them is in order: those of the catalogue first, then "
        "others in an order that differs from day to day, until amcheck_size bytes of a database have been read. "
        "Writers are not held up.",
        "REINDEX INDEX CONCURRENTLY mends the index; then ask why (checksum_failures, collation_version, the disk) "
        "and see with pg_amcheck --heapallindexed whether the table itself is sound.",
        "bt_index_check() of the extension amcheck",
        "",
        Levels(critical=1),
    ),
)

_FAILURES = """
SELECT coalesce(datname::text, 'shared catalogue') AS database, checksum_failures AS failures,
       checksum_last_failure AS last
  FROM pg_stat_database WHERE checksum_failures IS NOT NULL
"""
_DATABASE_COLLATIONS = """
SELECT d.datname::text AS name, d.datcollversion AS known, pg_database_collation_actual_version(d.oid) AS actual
  FROM pg_database d
 WHERE d.datcollversion IS DISTINCT FROM pg_database_collation_actual_version(d.oid) AND d.datcollversion IS NOT NULL
 ORDER BY d.datname
"""
# Only collations that some index is ordered by: there are hundreds in the catalogue.
_INDEX_COLLATIONS = """
SELECT format('%I.%I', n.nspname, c.collname) AS name, c.collversion AS known,
       pg_collation_actual_version(c.oid) AS actual
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
 WHERE c.oid IN (SELECT unnest(indcollation) FROM pg_index)
   AND c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid) AND c.collversion IS NOT NULL
 ORDER BY 1
"""
_AMCHECK = """
SELECT n.nspname::text AS schema,
       has_schema_privilege(n.oid, 'USAGE')
       AND has_function_privilege(to_regprocedure(format('%I.bt_index_check(regclass)', n.nspname)), 'EXECUTE')
       AS allowed
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'
"""
_BTREES = """
SELECT c.oid::bigint AS oid, format('%%I.%%I', n.nspname, c.relname) AS name,
       c.relpages::bigint * current_setting('block_size')::bigint AS bytes
  FROM pg_index i
       JOIN pg_class c ON c.oid = i.indexrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree'
 WHERE c.relkind = 'i' AND i.indisvalid AND i.indisready AND c.relpersistence <> 't'
   AND (c.relpersistence = 'p' OR NOT pg_is_in_recovery())
   AND NOT EXISTS (SELECT 1 FROM pg_locks l
                    WHERE l.locktype = 'relation' AND l.relation IN (i.indexrelid, i.indrelid)
                      AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid())
 ORDER BY c.oid >= 16384, md5(%s || c.oid::text)
"""
#: Damaged data, a damaged index, a file that is not there, and a disk that does not give it back (manual, appendix A).
_CORRUPTED = ("XX001", "XX002", "58P01", "58030")
#: Indexes of about this many bytes go into one statement, which has the statement's time limit.
_BATCH = 32 * 1024**2


@dataclass(frozen=True)
class Failures:
    """Checksums that were wrong when a page of a database was read."""

    database: str
    failures: int
    last: datetime | None


@dataclass(frozen=True)
class Checksums:
    enabled: bool
    failures: tuple[Failures, ...]


@dataclass(frozen=True)
class Collation:
    """A collation, or a database's own, whose version is not the one that the indexes were made with."""

    name: str
    known: str
    actual: str | None

    @property
    def words(self) -> str:
        return f"{self.name}: made with {self.known}, now {self.actual or 'none'}"


@dataclass(frozen=True)
class Btree:
    oid: int
    name: str
    bytes: int


@dataclass
class Walk:
    """What a test of b-trees saw: how much of how much, what is broken, and what could not be looked at."""

    total: int
    total_bytes: int
    checked: int = 0
    checked_bytes: int = 0
    broken: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    stopped: str = ""


def collect_checksums(session: Session, server: Server, _settings: Settings) -> Checksums:
    if not server.has("pg_stat_database", "checksum_failures"):
        raise Absent("this server does not count wrong checksums, which PostgreSQL 12 and newer do")
    enabled = session.row("SELECT current_setting('data_checksums') = 'on' AS enabled")["enabled"]
    return Checksums(enabled, tuple(Failures(**row) for row in session.rows(_FAILURES)))


def collect_database_collations(session: Session, _server: Server, _settings: Settings) -> tuple[Collation, ...]:
    known = "SELECT to_regprocedure('pg_database_collation_actual_version(oid)') IS NOT NULL AS known"
    if not session.row(known)["known"]:
        return ()
    return tuple(Collation(**row) for row in session.rows(_DATABASE_COLLATIONS))


def collect_index_collations(session: Session, _server: Server, _settings: Settings) -> tuple[Collation, ...]:
    return tuple(Collation(**row) for row in session.rows(_INDEX_COLLATIONS))


def collect_amcheck(session: Session, server: Server, settings: Settings) -> Walk:
    found = session.rows(_AMCHECK)
    if not found:
        raise Absent(
            f"extension amcheck is not there in database {clean(session.database)}",
            remedy=f"In database {clean(session.database)}: CREATE EXTENSION amcheck",
        )
    schema = found[0]["schema"]
    if not found[0]["allowed"]:
        user = server.user.replace('"', '""')
        raise Absent(
            f"{clean(server.user)} may not run bt_index_check in database {clean(session.database)}",
            remedy=f'GRANT EXECUTE ON FUNCTION {clean(schema)}.bt_index_check(regclass) TO "{user}"',
        )
    btrees = [Btree(**row) for row in session.rows(_BTREES, (f"{server.now:%Y-%m-%d}",))]
    walk = Walk(total=len(btrees), total_bytes=sum(one.bytes for one in btrees))
    sql = driver().sql
    query = sql.SQL("SELECT {}.bt_index_check(oid::regclass) FROM unnest(%s::oid[]) oid").format(sql.Identifier(schema))
    for batch in batches(btrees, most=settings.amcheck_size):
        _test(session, query, batch, walk)
        if walk.stopped:
            break
    return walk


def batches(btrees: Sequence[Btree], *, most: int) -> Iterator[list[Btree]]:
    """Indexes in the order given, together not above ``most`` bytes, in portions that a statement can do."""
    left, batch, size = most, [], 0
    for btree in btrees:
        if btree.bytes > left:
            continue
        left -= btree.bytes
        batch.append(btree)
        size += btree.bytes
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _test(session: Session, query: Any, batch: Sequence[Btree], walk: Walk) -> None:
    """Test some indexes at once; where one of them makes the statement fail, halves of them, down to that one."""
    try:
        session.rows(query, ([one.oid for one in batch],))
    except QueryError as error:
        if error.is_late:
            walk.stopped = f"stopped after {session.login.statement_timeout:g} s"
        elif len(batch) > 1:
            middle = len(batch) // 2
            _test(session, query, batch[:middle], walk)
            if not walk.stopped:
                _test(session, query, batch[middle:], walk)
        elif error.state in _CORRUPTED:
            _count(batch, walk)
            walk.broken.append(f"{batch[0].name}: {error.message}")
        else:
            walk.passed_over.append(f"{batch[0].name}: {error.message}")
        return
    _count(batch, walk)


def _count(batch: Sequence[Btree], walk: Walk) -> None:
    walk.checked += len(batch)
    walk.checked_bytes += sum(one.bytes for one in batch)


def checksum_failures(view: View) -> Iterator[Answer]:
    checksums: Checksums = view.part("checksums")
    if not checksums.enabled:
        raise Absent("checksums of pages are off, so that nobody would notice", remedy=_enable(view))
    damaged = sorted((one for one in checksums.failures if one.failures), key=lambda one: -one.failures)
    yield from view.measure(
        "postgresql.checksum_failures",
        view.place,
        sum(one.failures for one in damaged),
        "pages read with a wrong checksum",
        evidence=[
            f"{one.database}: {one.failures}, last at {iso(one.last) if one.last else 'a time unknown'}"
            for one in damaged
        ],
    )


def _enable(view: View) -> str:
    return view.catalogue["postgresql.data_checksums"].remedy


def data_checksums(view: View) -> Iterator[Answer]:
    enabled = view.part("checksums").enabled
    words = "pages have checksums" if enabled else "pages have no checksums, so that damage by the disk goes unseen"
    yield view.state("postgresql.data_checksums", view.place, "ok" if enabled else "info", words)


def collation_version(view: View) -> Iterator[Answer]:
    databases: tuple[Collation, ...] = view.part("database_collations")
    found = list(view.in_databases("index_collations"))
    lines = [
        *(f"database {one.words}" for one in databases),
        *(f"in {database}, {one.words}" for database, several in found for one in several),
    ]
    yield from view.measure(
        "postgresql.collation_version",
        view.place,
        len(lines),
        "orders of text that have changed beneath indexes",
        note=f"in {counted(len(found), 'database')}",
        evidence=lines,
    )
    yield from view.absences("postgresql.collation_version", "index_collations")


def amcheck(view: View) -> Iterator[Answer]:
    walks: list[tuple[str, Walk]] = list(view.in_databases("amcheck"))
    checked, total = (sum(getattr(walk, name) for _name, walk in walks) for name in ("checked", "total"))
    seen, there = (sum(getattr(walk, name) for _name, walk in walks) for name in ("checked_bytes", "total_bytes"))
    stopped = next((f", {walk.stopped}" for _name, walk in walks if walk.stopped), "")
    yield from view.measure(
        "postgresql.amcheck",
        view.place,
        sum(len(walk.broken) for _name, walk in walks),
        "damaged b-tree indexes",
        note=f"{checked} of {counted(total, 'index', 'indexes')} looked at, "
        f"{quantity(seen, 'B')} of {quantity(there, 'B')}{stopped}",
        evidence=[f"{database}: {line}" for database, walk in walks for line in (*walk.broken, *walk.passed_over)],
    )
    yield from view.absences("postgresql.amcheck", "amcheck")


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.checksum_failures": (checksum_failures, ("checksums",)),
        "postgresql.data_checksums": (data_checksums, ("checksums",)),
        "postgresql.collation_version": (collation_version, ("database_collations", "index_collations")),
        "postgresql.amcheck": (amcheck, ("amcheck",)),
    },
    cluster={"checksums": collect_checksums, "database_collations": collect_database_collations},
    database={"index_collations": collect_index_collations, "amcheck": collect_amcheck},
)
