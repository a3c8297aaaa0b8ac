# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How full the server's lock table is, and what those who wait for a lock wait for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    connect,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View

CHECKS = (
    Check(
        "postgresql.lock_table",
        "Room for locks",
        "Objects that are locked at this moment, as a share of those that the server has room for. When it is full, "
        "statements fail with 'out of shared memory'. Locks that a session keeps to itself (fast path) do not count.",
        "See who holds so many: a dump or a transaction over thousands of tables or partitions. Raise "
        "max_locks_per_transaction, which takes a restart.",
        "pg_locks",
        "%",
        Levels(warning=50, critical=80),
    ),
)

# Room is made for max_locks_per_transaction objects for each process that may be and each prepared transaction.
_ROOM = """
SELECT current_setting('max_locks_per_transaction')::bigint
       * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int
          + current_setting('max_worker_processes')::int + current_setting('max_wal_senders')::int
          + coalesce(current_setting('autovacuum_worker_slots', true),
                     current_setting('autovacuum_max_workers'))::int + 1) AS room,
       (SELECT count(*) FROM (SELECT DISTINCT locktype, database, relation, page, tuple, virtualxid,
                                              transactionid::text, classid, objid, objsubid
                                FROM pg_locks WHERE NOT fastpath AND mode <> 'SIReadLock'
                                               AND pid IS DISTINCT FROM pg_backend_pid()) objects) AS locked
"""
_HOLDERS = """
SELECT l.pid, coalesce(a.usename::text, a.backend_type, '') AS who, coalesce(a.datname::text, '-') AS database,
       coalesce(a.application_name, '') AS application, count(*) AS locks
  FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE NOT l.fastpath AND l.mode <> 'SIReadLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
 GROUP BY l.pid, 2, 3, 4 ORDER BY count(*) DESC, l.pid LIMIT 10
"""
_WANTED = """
SELECT DISTINCT ON (l.pid) l.pid, l.mode, l.locktype AS kind, l.relation::bigint AS relation,
       d.datname::text AS database, coalesce(extract(epoch FROM clock_timestamp() - l.waitstart), 0)::float8 AS waited
  FROM pg_locks l LEFT JOIN pg_database d ON d.oid = l.database
 WHERE NOT l.granted AND l.pid IS NOT NULL ORDER BY l.pid, l.waitstart
"""
_OLD_WANTED = """
SELECT DISTINCT ON (l.pid) l.pid, l.mode, l.locktype AS kind, l.relation::bigint AS relation,
       d.datname::text AS database, NULL::float8 AS waited
  FROM pg_locks l LEFT JOIN pg_database d ON d.oid = l.database
 WHERE NOT l.granted AND l.pid IS NOT NULL ORDER BY l.pid
"""
_NAMES = "SELECT oid::bigint AS oid, oid::regclass::text AS name FROM pg_class WHERE oid = ANY (%s::oid[])"
#: Databases that are connected to for the names of tables that somebody waits for.
_NAMED = 3


@dataclass(frozen=True)
class Wish:
    """A lock that a process waits for: ``AccessExclusiveLock on public.orders``.

    ``waited`` seconds until now, None where the server does not tell (before PostgreSQL 14).
    """

    words: str
    waited: float | None


@dataclass(frozen=True)
class LockTable:
    """Objects ``locked`` of those that there is ``room`` for, and who holds most locks."""

    locked: int
    room: int
    holders: tuple[str, ...] = ()


def collect_lock_table(session: Session, _server: Server, _settings: Settings) -> LockTable:
    holders = []
    for row in session.rows(_HOLDERS):
        program = f" ({row['application']})" if row["application"] else ""
        # A prepared transaction has no process.
        who = f"pid {row['pid']} {row['who']}@{row['database']}{program}" if row["pid"] else "prepared transactions"
        holders.append(clean(f"{who}: {counted(row['locks'], 'lock')}"))
    return LockTable(**session.row(_ROOM), holders=tuple(holders))


def lock_table(view: View) -> Iterator[Answer]:
    locks: LockTable = view.part("lock_table")
    yield from view.measure(
        "postgresql.lock_table",
        view.place,
        100.0 * locks.locked / max(1, locks.room),
        "room for locks in use",
        note=f"{locks.locked} of {counted(locks.room, 'object')}",
        evidence=locks.holders,
    )


def wanted_locks(session: Session, server: Server) -> dict[int, Wish]:
    """What each process waits for, by its pid."""
    rows = session.rows(_WANTED if server.has("pg_locks", "waitstart") else _OLD_WANTED)
    relations: dict[str, set[int]] = {}
    for row in rows:
        if row["relation"] and row["database"]:
            relations.setdefault(row["database"], set()).add(row["relation"])
    names = {place: _names(session, place, relations[place]) for place in list(relations)[:_NAMED]}
    wanted = {}
    for row in rows:
        known = names.get(row["database"], {}).get(row["relation"], f"relation {row['relation']}")
        # Who waits for a row waits for the transaction that changed it.
        target = {"transactionid": "a transaction", "virtualxid": "a transaction"}.get(row["kind"], row["kind"])
        if row["relation"]:
            target = known if row["kind"] == "relation" else f"a {row['kind']} of {known}"
        wanted[row["pid"]] = Wish(clean(f"{row['mode']} on {target}"), row["waited"])
    return wanted


def _names(session: Session, database: str, oids: set[int]) -> Mapping[int, str]:
    """Names of tables, which only their own database knows; none where it lets nobody in."""
    try:
        if database == session.database:
            return {row["oid"]: row["name"] for row in session.rows(_NAMES, (list(oids),))}
        with connect(session.login, database=database, read_only=True) as other:
            return {row["oid"]: row["name"] for row in other.rows(_NAMES, (list(oids),))}
    except (ConnectError, QueryError):
        return {}


TOPIC = Topic(
    checks=CHECKS,
    questions={"postgresql.lock_table": (lock_table, ("lock_table",))},
    cluster={"lock_table": collect_lock_table},
)
