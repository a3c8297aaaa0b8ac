# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions: how many of those that may be, what works long, what waits idle with a transaction, who blocks whom."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.blockers import (
    direct_waiters,
    root_blockers,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.locks import Wish, wanted_locks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.statement import without_literals
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View

CHECKS = (
    Check(
        "postgresql.reachable",
        "The server answers",
        "Whether the server takes this login in at all, and since when it has run. Where it does not, no other check "
        "says anything.",
        "Read the server's log and docs/runbooks/postgresql.md; see whether its disk is full before starting it again.",
        "libpq",
    ),
    Check(
        "postgresql.connections",
        "Connections in use",
        "Sessions of clients, as a share of those that ordinary users may have: max_connections without what is kept "
        "for superusers (and, since PostgreSQL 16, for reserved_connections). Background processes do not count.",
        "Find who holds them (the metrics say by state); put a pool such as PgBouncer in between before raising "
        "max_connections.",
        "pg_stat_activity",
        "%",
        Levels(warning=80, critical=90),
    ),
    Check(
        "postgresql.long_query",
        "Longest running statement",
        "Age of the oldest statement that is being worked on right now. Idle sessions, replication, autovacuum and "
        "this check itself do not count.",
        "See what it does and whom it blocks; pg_cancel_backend(pid) ends the statement and keeps the session.",
        "pg_stat_activity.query_start",
        "s",
        Levels(warning=300, critical=3600),
    ),
    Check(
        "postgresql.long_transaction",
        "Longest transaction",
        "Age of the oldest open transaction of a client. While it is open, VACUUM cannot remove what has died since.",
        "Commit or roll back in the program; idle_in_transaction_session_timeout and transaction_timeout set limits.",
        "pg_stat_activity.xact_start",
        "s",
        Levels(warning=1800, critical=7200),
    ),
    Check(
        "postgresql.idle_in_transaction",
        "Longest idle in a transaction",
        "How long a session has done nothing with a transaction open, the usual fault of a program that forgot to "
        "commit.",
        "Mend the program; idle_in_transaction_session_timeout ends such sessions by itself.",
        "pg_stat_activity.state_change",
        "s",
        Levels(warning=300, critical=1800),
    ),
    Check(
        "postgresql.prepared_transaction",
        "Oldest prepared transaction",
        "Transactions of PREPARE TRANSACTION that nobody has ended. They outlast restarts, hold locks and stop VACUUM.",
        "Ask the transaction manager whether it still knows it, then COMMIT PREPARED or ROLLBACK PREPARED.",
        "pg_prepared_xacts",
        "s",
        Levels(warning=60, critical=3600),
    ),
    Check(
        "postgresql.blocking",
        "Sessions that wait for a lock",
        "How long the longest wait for a lock has lasted. The evidence is the tree of who waits for whom.",
        "Look at the root of the tree first: fleetcare.maintenance.postgresql_unblock ends it where it may be ended.",
        "pg_blocking_pids()",
        "s",
        Levels(warning=10, critical=60),
    ),
)

_ACTIVITY = """
SELECT pid, datname::text AS database, usename::text AS user_name, application_name AS application,
       coalesce(backend_type, '') AS kind, coalesce(state, '') AS state,
       coalesce(wait_event_type, '') AS waits_for,
       extract(epoch FROM clock_timestamp() - query_start)::float8 AS query_age,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS transaction_age,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS state_age,
       CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{}' END AS blocked_by,
       coalesce(query, '') AS statement
  FROM pg_stat_activity
 WHERE pid <> pg_backend_pid()
"""
_LIMITS = """
SELECT current_setting('max_connections')::int AS most,
       current_setting('superuser_reserved_connections')::int
       + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved
"""
_PREPARED = """
SELECT gid, database::text AS database, owner::text AS owner,
       extract(epoch FROM clock_timestamp() - prepared)::float8 AS age
  FROM pg_prepared_xacts
"""
_SHOWN = 20
_CLIENT = "client backend"
#: The state of a session with track_activities off.
_SILENT = "disabled"


@dataclass(frozen=True)
class Backend:
    """A row of pg_stat_activity. Ages in seconds, None where the server tells none.

    ``wants`` is the lock that it waits for, for ``waited`` seconds.
    """

    pid: int
    database: str | None
    user_name: str | None
    application: str
    kind: str
    state: str
    waits_for: str
    query_age: float | None
    transaction_age: float | None
    state_age: float | None
    blocked_by: tuple[int, ...]
    statement: str
    wants: str = ""
    waited: float = 0.0

    @property
    def words(self) -> str:
        """Who it is and what it does, without anybody's data."""
        who = f"pid {self.pid} {self.user_name or 'nobody'}@{self.database or '-'}"
        program = f" ({self.application})" if self.application else ""
        return clean(f"{who}{program}: {self.state or self.kind}: {without_literals(self.statement)}")


@dataclass(frozen=True)
class Activity:
    """All sessions but our own; ``most`` connections may be, ``reserved`` of them not for ordinary users."""

    backends: tuple[Backend, ...]
    most: int
    reserved: int

    @property
    def clients(self) -> tuple[Backend, ...]:
        return tuple(backend for backend in self.backends if backend.kind == _CLIENT)


@dataclass(frozen=True)
class Prepared:
    gid: str
    database: str
    owner: str
    age: float


def collect_activity(session: Session, server: Server, _settings: Settings) -> Activity:
    if not server.monitors:
        raise Absent("this login sees its own sessions alone", remedy=server.grant())
    rows = session.rows(_ACTIVITY)
    wanted = wanted_locks(session, server) if any(row["blocked_by"] for row in rows) else {}
    return Activity(tuple(_backend(row, wanted.get(row["pid"])) for row in rows), **session.row(_LIMITS))


def _backend(row: Mapping[str, Any], wish: Wish | None) -> Backend:
    waited = wish.waited if wish else 0.0
    return Backend(
        **{**row, "blocked_by": tuple(row["blocked_by"])},
        wants=wish.words if wish else "",
        # A statement may work for hours before it has to wait; where nobody tells, its age is all there is to go by.
        waited=(row["state_age"] or 0.0) if waited is None else waited,
    )


def collect_prepared(session: Session, _server: Server, _settings: Settings) -> tuple[Prepared, ...]:
    return tuple(Prepared(**row) for row in session.rows(_PREPARED))


def reachable(view: View) -> Iterator[Answer]:
    server = view.cluster.server
    role = "a standby" if server.in_recovery else "a primary"
    up = duration((server.now - server.started).total_seconds())
    yield view.state(
        "postgresql.reachable",
        view.place,
        "ok",
        f"PostgreSQL {clean(server.version)} answers as {role}, up for {up}, to {clean(server.user)}",
    )


def connections(view: View) -> Iterator[Answer]:
    activity: Activity = view.part("activity")
    usable = max(1, activity.most - activity.reserved)
    clients = activity.clients
    holders = Counter(f"{client.user_name}@{client.database} {client.application}".strip() for client in clients)
    yield from view.measure(
        "postgresql.connections",
        view.place,
        100.0 * len(clients) / usable,
        "connections in use",
        note=f"{len(clients)} of {usable}, {activity.reserved} more kept for superusers",
        evidence=[clean(f"{name}: {amount}") for name, amount in holders.most_common(_SHOWN)],
    )
    states = Counter(client.state or "unknown" for client in clients)
    states["waiting"] = sum(1 for client in clients if client.waits_for == "Lock")
    for state, amount in states.items():
        yield Metric("postgresql.sessions", f"{view.place} {state}", amount)


def long_query(view: View) -> Iterator[Answer]:
    working = [backend for backend in _counted(view) if backend.state == "active"]
    yield from _longest(view, "postgresql.long_query", working, "query_age", "longest running statement")
    yield from _silent(view, "postgresql.long_query")


def long_transaction(view: View) -> Iterator[Answer]:
    yield from _longest(
        view, "postgresql.long_transaction", _counted(view), "transaction_age", "longest open transaction"
    )
    yield from _silent(view, "postgresql.long_transaction")


def idle_in_transaction(view: View) -> Iterator[Answer]:
    idle = [backend for backend in _counted(view) if backend.state.startswith("idle in transaction")]
    yield from _longest(view, "postgresql.idle_in_transaction", idle, "state_age", "longest idle in a transaction")
    yield from _silent(view, "postgresql.idle_in_transaction")


def prepared_transaction(view: View) -> Iterator[Answer]:
    prepared = sorted(view.part("prepared"), key=lambda entry: -entry.age)
    yield from view.measure(
        "postgresql.prepared_transaction",
        view.place,
        prepared[0].age if prepared else 0.0,
        "oldest prepared transaction",
        note=counted(len(prepared), "prepared transaction"),
        evidence=[
            clean(f"{one.gid} of {one.owner} in {one.database}: {duration(one.age)}") for one in prepared[:_SHOWN]
        ],
    )


def blocking(view: View) -> Iterator[Answer]:
    activity: Activity = view.part("activity")
    waiting = [backend for backend in activity.backends if backend.blocked_by]
    yield from view.measure(
        "postgresql.blocking",
        view.place,
        max((backend.waited for backend in waiting), default=0.0),
        "longest wait for a lock",
        note=f"{counted(len(waiting), 'session')} waiting",
        evidence=blocking_tree(activity.backends)[:_SHOWN],
    )


def blocking_tree(backends: Sequence[Backend]) -> list[str]:
    """Who waits for whom, a line each, the roots first and those who wait for them indented below."""
    by_pid = {backend.pid: backend for backend in backends}
    blocked_by = {backend.pid: backend.blocked_by for backend in backends}
    waiting = direct_waiters(blocked_by)
    lines: list[str] = []
    told: set[int] = set()

    def tell(pid: int, depth: int) -> None:
        known = by_pid.get(pid)
        # A prepared transaction blocks with pid 0, a session that is gone by now with one that nobody has.
        words = known.words if known else ("a prepared transaction" if pid == 0 else f"pid {pid}, which is gone")
        age = f", waits for {duration(known.waited)}" if known and known.blocked_by else ""
        age += f" for {known.wants}" if known and known.blocked_by and known.wants else ""
        lines.append(f"{'. ' * depth}{words}{age}")
        if pid in told:
            return
        told.add(pid)
        for waiter in waiting.get(pid, ()):
            tell(waiter, depth + 1)

    # Two that wait for each other have no root; the server ends such a deadlock by itself.
    for pid in root_blockers(blocked_by) or list(waiting):
        if pid not in told:
            tell(pid, 0)
    return lines


def _counted(view: View) -> list[Backend]:
    """The clients whose long work is worth a word: without those that the user has left out."""
    activity: Activity = view.part("activity")
    queries = [re.compile(expression) for expression in view.settings.queries_exclude]
    programs = [re.compile(expression) for expression in view.settings.applications_exclude]
    return [
        client
        for client in activity.clients
        if not any(expression.search(client.statement) for expression in queries)
        and not any(expression.search(client.application) for expression in programs)
    ]


def _longest(view: View, check: str, backends: Sequence[Backend], age: str, phrase: str) -> Iterator[Answer]:
    ages = sorted(
        ((getattr(backend, age), backend) for backend in backends if getattr(backend, age) is not None),
        key=lambda entry: -entry[0],
    )
    yield from view.measure(
        check,
        view.place,
        max(0.0, ages[0][0]) if ages else 0.0,
        phrase,
        evidence=[f"{duration(max(0.0, seconds))}: {backend.words}" for seconds, backend in ages[:_SHOWN]],
    )


def _silent(view: View, check: str) -> Iterator[Answer]:
    """Sessions of which the server notes neither a state nor a time: nobody knows for how long they have been at it."""
    silent = [client for client in _counted(view) if client.state == _SILENT]
    if silent:
        yield view.state(
            check,
            f"{view.place} (not told)",
            "skipped",
            f"what {counted(len(silent), 'session does', 'sessions do')} is not told: track_activities is off there",
            evidence=[client.words for client in silent[:_SHOWN]],
            remedy="Set track_activities = on; ALTER ROLE or DATABASE ... RESET it where it is off for one.",
        )


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.reachable": (reachable, ()),
        "postgresql.connections": (connections, ("activity",)),
        "postgresql.long_query": (long_query, ("activity",)),
        "postgresql.long_transaction": (long_transaction, ("activity",)),
        "postgresql.idle_in_transaction": (idle_in_transaction, ("activity",)),
        "postgresql.prepared_transaction": (prepared_transaction, ("prepared",)),
        "postgresql.blocking": (blocking, ("activity",)),
    },
    cluster={"activity": collect_activity, "prepared": collect_prepared},
)
