# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Index work beside the running application: within its limits, alone, and without remains when it breaks off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    Login,
    QueryError,
    Session,
    driver,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import Index, indexes_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.interruption import interruptible
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import open_session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import (
    read_pressure,
    standby_lag,
)

# A key for pg_try_advisory_lock that nobody else is likely to use; it is let go with the session, however that ends.
_ALONE = 7133701809754865664
# Online work waits for the snapshots of its database and for all that holds a lock on the table; a prepared
# transaction has no session and no age that would end.
_IN_THE_WAY = """
WITH holding AS MATERIALIZED (
    SELECT DISTINCT pid FROM pg_locks
     WHERE locktype = 'relation' AND relation = %(table)s AND granted AND pid IS DISTINCT FROM pg_backend_pid()
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT a.pid, a.usename::text AS user_name, extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age
  FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
   AND extract(epoch FROM clock_timestamp() - a.xact_start) >= %(patience)s
   AND (a.backend_xmin IS NOT NULL OR a.pid IN (SELECT pid FROM holding))
 UNION ALL
SELECT 0, NULL, NULL FROM holding WHERE pid IS NULL
 ORDER BY age DESC NULLS FIRST LIMIT 1
"""
#: Seconds that a server is given to come back before what was broken off there is left to the next run.
_RESTARTED = 20.0
#: Seconds after which a server that supports it notices that nobody waits for a statement any more.
_NOTICED = "5s"
_NOTICE = """
SELECT set_config(name, %s, false) FROM pg_settings WHERE name = 'client_connection_check_interval'
"""


@dataclass(frozen=True)
class Limits:
    """What one piece of work may take: seconds of waiting for a lock, and seconds altogether."""

    lock_timeout: float
    seconds: float


def take_alone(session: Session) -> bool:
    """Whether no other run of an index repair is at work on this cluster; it stays so until the session ends."""
    return bool(session.row("SELECT pg_try_advisory_lock(%s) AS taken", (_ALONE,))["taken"])


def too_much(session: Session, server: Server, *, lag: int, pressure: float) -> str:
    """Why standbys and disks must not be given more to do; empty where they may. 0 turns either limit off."""
    if lag:
        try:
            behind, name = standby_lag(session, server)
        except Absent as absent:
            return absent.message
        if behind > lag:
            return f"standby {name} is {quantity(behind, 'B')} behind, and {quantity(lag, 'B')} are allowed"
    waited = read_pressure(session.login) if pressure else None
    if waited is not None and waited > pressure:
        return f"for {waited:.0f} % of the last minute all waited for the disks, and {pressure:g} % are allowed"
    return ""


def in_the_way(session: Session, *, table: int, patience: float) -> str:
    """Who would keep online work on a table waiting for longer than it may, as far as can be told; empty for nobody.

    What is broken off while somebody holds the table cannot be cleaned up either, so it had better not be begun.
    """
    for row in session.rows(_IN_THE_WAY, {"table": table, "patience": patience}):
        if not row["pid"]:
            return "a prepared transaction holds its table"
        return clean(
            f"it would wait for the transaction of pid {row['pid']} ({row['user_name']}), which has been open for "
            f"{duration(row['age'])}"
        )
    return ""


def worded(statement: str, *names: str) -> Any:
    """A statement with its names put in by the driver: ``worded("DROP INDEX {}", "public", "a")``."""
    sql = driver().sql
    return sql.SQL(statement).format(sql.Identifier(*names))


def work(session: Session, statement: Any, *, table: int, limits: Limits, single: bool = False) -> None:
    """Carry out a statement on the indexes of a table; when it breaks off, what it leaves behind is removed.

    Raises QueryError, ConnectError, and MaintenanceError where remains are left that could not be removed.
    """
    invalid = _invalid(session, table)
    pid = session.connection.info.backend_pid
    session.rows(_NOTICE, (_NOTICED,))
    session.set(lock_timeout=limits.lock_timeout, statement_timeout=limits.seconds)
    with interruptible():
        try:
            session.execute(statement, single=single)
        except BaseException as error:
            remains = _clean_up(session, pid, table=table, before=invalid, limits=limits)
            if remains and isinstance(error, MaintenanceError):
                raise MaintenanceError(f"{error.message} {remains}", remedy=error.remedy) from error
            raise
    session.set(lock_timeout=1.0, statement_timeout=session.login.statement_timeout)


def _invalid(session: Session, table: int) -> dict[int, Index]:
    return {index.oid: index for index in indexes_of(session, table=table) if not index.valid}


def _clean_up(session: Session, pid: int, *, table: int, before: dict[int, Index], limits: Limits) -> str:
    """Remove the indexes that have become invalid; returns what to say of those that stay."""
    own = session
    try:
        if session.broken or session.connection.info.transaction_status != driver().pq.TransactionStatus.IDLE:
            own = _another(session.login, session.database, pid)
        own.set(statement_timeout=max(60.0, session.login.statement_timeout))
        remains = [index for oid, index in _invalid(own, table).items() if oid not in before]
        stayed = [index.label for index in remains if not _drop(own, index, lock_timeout=limits.lock_timeout)]
    except MaintenanceError as error:
        return f"Whether it left something behind could not be looked at: {error.message}"
    finally:
        if own is not session:
            own.close()
    return clean(f"Left behind, to be removed by the next run: {', '.join(stayed)}.") if stayed else ""


def _another(login: Login, database: str, pid: int) -> Session:
    """A session in place of one that may hang: the server may still be at work for it. Raises ConnectError."""
    session = _open_patiently(login, database)
    try:
        # The statement has ended, or nobody waits for it any more.
        session.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE pid = %s AND application_name = current_setting('application_name') AND usename = current_user",
            (pid,),
        )
    except QueryError:
        session.close()
        return open_session(login, database=database)
    except ConnectError:
        session.close()
        raise
    return session


def _open_patiently(login: Login, database: str) -> Session:
    """Connect, to a server too that is only restarting. Raises ConnectError."""
    clock = Clock()
    until = clock.monotonic() + _RESTARTED
    while True:
        try:
            return open_session(login, database=database)
        except ConnectError:
            if clock.monotonic() >= until:
                raise
            clock.sleep(0.5)


def _drop(session: Session, index: Index, *, lock_timeout: float) -> bool:
    """Remove an invalid index: online, or where somebody's old transaction is in the way under a short full lock.

    Who waits for a full lock makes everybody after it wait too, so that is tried for a second only.
    """
    ways = (("DROP INDEX CONCURRENTLY IF EXISTS {}", lock_timeout), ("DROP INDEX IF EXISTS {}", 1.0))
    for statement, patience in ways:
        session.set(lock_timeout=patience)
        try:
            session.execute(worded(statement, index.schema, index.name))
        except QueryError:
            continue
        return True
    return False
