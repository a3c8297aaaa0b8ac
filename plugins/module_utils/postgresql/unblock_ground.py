# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``postgresql_unblock`` has to know: who keeps whom waiting for a lock, how long already, and what each is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, moment
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.blockers import (
    direct_waiters,
    kept_waiting,
    root_blockers,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.locks import wanted_locks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server

# A time is compared with itself later on, so it is asked for in whole microseconds, as the server keeps it. What an
# autovacuum does is told by its text alone; one that may have been cut off could have hidden what it is for.
_PROCESSES = """
SELECT a.pid, a.leader_pid AS leader, a.pid = pg_backend_pid() AS own, coalesce(a.backend_type, '') AS kind,
       coalesce(a.datname::text, '') AS database, coalesce(a.usename::text, '') AS user_name,
       coalesce(a.application_name, '') AS application, coalesce(a.state, '') AS state,
       (extract(epoch FROM a.backend_start) * 1000000)::bigint AS started,
       (extract(epoch FROM a.xact_start) * 1000000)::bigint AS began,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age,
       coalesce(r.rolsuper, true) AS superuser, coalesce(pg_has_role(a.usesysid, 'USAGE'), false) AS allowed,
       coalesce(a.query LIKE 'autovacuum: %' AND a.query NOT LIKE '%(to prevent wraparound)%'
                AND octet_length(a.query) < (SELECT setting::int FROM pg_settings
                                              WHERE name = 'track_activity_query_size') - 1, false) AS ordinary,
       coalesce(l.locktype, '') AS waits_for,
       coalesce(extract(epoch FROM clock_timestamp() - l.waitstart), 0)::float8 AS waited,
       CASE WHEN l.pid IS NOT NULL THEN pg_blocking_pids(l.pid) ELSE '{}' END AS blocked_by
  FROM pg_stat_activity a
  LEFT JOIN pg_roles r ON r.oid = a.usesysid
  LEFT JOIN pg_locks l ON l.pid = a.pid AND NOT l.granted
"""
# A prepared transaction keeps a lock on its own id, by which it is known among all that have no process.
_PREPARED = """
SELECT DISTINCT p.gid, p.owner::text AS owner, p.database::text AS database
  FROM pg_locks w
  JOIN pg_locks h ON h.granted AND h.pid IS NULL AND h.locktype = w.locktype
   AND ROW(h.database, h.relation, h.page, h.tuple, h.virtualxid, h.transactionid, h.classid, h.objid, h.objsubid)
       IS NOT DISTINCT FROM
       ROW(w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid, w.objid, w.objsubid)
  JOIN pg_locks t ON t.locktype = 'transactionid' AND t.granted AND t.pid IS NULL
   AND t.virtualtransaction = h.virtualtransaction
  JOIN pg_prepared_xacts p ON p.transaction = t.transactionid
 WHERE NOT w.granted ORDER BY p.gid
"""
#: Waits that are meant: programs take advisory locks to wait for each other, and online work on an index waits until
#: every older transaction has ended.
MEANT: Mapping[str, str] = {
    "advisory": "for an advisory lock, which programs wait for on purpose",
    "virtualxid": "until older transactions have ended, as online work on an index does",
}
CLIENT, AUTOVACUUM = "client backend", "autovacuum worker"


@dataclass(frozen=True)
class Process:
    """A process of the server. ``started`` and ``began`` (its transaction) are microseconds since 1970, ages seconds.

    ``leader`` is whom a parallel worker works for. ``superuser`` and ``allowed`` (this login has all rights of its
    user) are those of its user, ``ordinary`` says of an autovacuum that it is not there to prevent wraparound.
    ``waits_for`` is the kind of lock that it waits for, for ``waited`` seconds, and ``blocked_by`` whom it waits for.
    """

    pid: int
    database: str = ""
    user_name: str = ""
    application: str = ""
    kind: str = CLIENT
    state: str = ""
    started: int = 0
    began: int | None = None
    age: float | None = None
    leader: int | None = None
    own: bool = False
    superuser: bool = False
    allowed: bool = False
    ordinary: bool = False
    waits_for: str = ""
    waited: float = 0.0
    blocked_by: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """Who it is, without anybody's data: ``pid 7 eve@shop (psql) since 2026-03-01T12:00:00.000Z``.

        The time tells it from another that gets the same pid later.
        """
        who = f"{self.user_name}@{self.database}" if self.kind == CLIENT else f"{self.kind} in {self.database or '-'}"
        program = f" ({clean(self.application, limit=63)})" if self.application and self.kind == CLIENT else ""
        since = moment(self.started / 1e6)
        return clean(f"pid {self.pid} {who}{program} since {iso(since) if since else '-'}")


@dataclass(frozen=True)
class Blocker:
    """The root of a tree: who waits for nobody and keeps others waiting.

    ``waiters``: for how many seconds it has kept each session waiting, by pid, also those that wait for one that waits
    for it; without those that ``meant`` to wait, by pid the kind of lock. ``wants`` is the lock that the one waits for
    that has waited longest. ``process`` is None for prepared transactions, which are then named, and for one that was
    gone a moment later.
    """

    pid: int
    process: Process | None
    waiters: Mapping[int, float]
    meant: Mapping[int, str] = field(default_factory=dict)
    wants: str = ""
    prepared: tuple[str, ...] = ()

    @property
    def longest(self) -> float:
        return max(self.waiters.values(), default=0.0)

    @property
    def words(self) -> str:
        if self.process is not None:
            return self.process.words
        if self.pid:
            return f"pid {self.pid}"
        return clean("prepared transaction " + (", ".join(self.prepared) or "(which one is not known)"))


@dataclass(frozen=True)
class Ground:
    """All root blockers, and how many sessions wait for a lock, the longest for ``longest`` seconds."""

    blockers: tuple[Blocker, ...] = ()
    waiting: int = 0
    longest: float = 0.0


def look_at_locks(session: Session, server: Server) -> Ground:
    """Ask who waits for whom at this moment. Raises ConnectError, QueryError."""
    processes = [Process(**{**row, "blocked_by": tuple(row["blocked_by"])}) for row in session.rows(_PROCESSES)]
    if not any(process.blocked_by for process in processes):
        return Ground()
    prepared: tuple[str, ...] = ()
    if any(0 in process.blocked_by for process in processes):
        prepared = tuple(f"{row['gid']} of {row['owner']}@{row['database']}" for row in session.rows(_PREPARED))
    wanted = {pid: wish.words for pid, wish in wanted_locks(session, server).items()}
    return survey(processes, wanted=wanted, prepared=prepared)


def survey(processes: Iterable[Process], *, wanted: Mapping[int, str], prepared: tuple[str, ...] = ()) -> Ground:
    """The root blockers among all processes; the worst first. ``wanted`` is what each waits for, by pid."""
    by_pid = {process.pid: process for process in processes}
    blocked_by, waited, kinds, wants = _as_leaders(by_pid, wanted)
    waiters = direct_waiters(blocked_by)
    found = []
    for root in root_blockers(blocked_by):
        process = by_pid.get(root)
        age = process.age if process and process.age is not None else float("inf")
        kept = kept_waiting(root, blocked_by, waited, within=max(0.0, age))
        meant = {pid: kinds[pid] for pid in kept if kinds[pid] in MEANT}
        first = max(waiters[root], key=lambda pid: (pid not in meant, kept[pid]))
        found.append(
            Blocker(
                pid=root,
                process=process,
                waiters={pid: seconds for pid, seconds in kept.items() if pid not in meant},
                meant=meant,
                wants=wants.get(first, ""),
                prepared=prepared if root == 0 else (),
            )
        )
    return Ground(
        blockers=tuple(sorted(found, key=lambda one: (-len(one.waiters), -one.longest, one.pid))),
        waiting=len(blocked_by),
        longest=max(waited.values(), default=0.0),
    )


def _as_leaders(
    by_pid: Mapping[int, Process], wanted: Mapping[int, str]
) -> tuple[dict[int, tuple[int, ...]], dict[int, float], dict[int, str], dict[int, str]]:
    """Who waits, for whom, how long, for which kind of lock and for what: a parallel worker's wait is its leader's."""
    blocked_by: dict[int, tuple[int, ...]] = {}
    waited: dict[int, float] = {}
    kinds: dict[int, str] = {}
    wants: dict[int, str] = {}
    for process in by_pid.values():
        who = process.leader or process.pid
        blockers = tuple(pid for pid in dict.fromkeys(process.blocked_by) if pid != who)
        if not blockers:
            continue
        blocked_by[who] = tuple(dict.fromkeys((*blocked_by.get(who, ()), *blockers)))
        if process.waited >= waited.get(who, 0.0):
            waited[who], kinds[who] = process.waited, process.waits_for
            wants[who] = wanted.get(process.pid, "")
    return blocked_by, waited, kinds, wants
