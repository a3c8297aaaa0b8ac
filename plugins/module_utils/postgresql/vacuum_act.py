# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a vacuum or an analyze: what the server counts before and after the statement, and a verdict."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import (
    Effect,
    NotNeeded,
    Step,
    Unachieved,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import repack_act
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    Login,
    QueryError,
    Session,
    driver,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import Sessions
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Limits
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import Budget
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_counters import Counters, count
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_need import FREEZING, vacuum_urges
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Job

_PROGRESS = """
SELECT phase, heap_blks_total AS pages, heap_blks_scanned AS scanned FROM pg_stat_progress_vacuum WHERE pid = %s
"""
_LOCK_NOT_AVAILABLE = "55P03"
_GONE = ("42P01", "3F000")
#: Seconds that a collector of statistics (before PostgreSQL 15) is given; it writes twice a second.
_COLLECTED = 5.0


class Left(NotNeeded):
    """A table that is left as it is for now: somebody else works on it, or what may be spent is spent."""


@dataclass(frozen=True)
class Manner:
    """How the statements are worded and what limits they run under; times in seconds, ``cost_delay`` in milliseconds.

    ``alone``: the server knows ``ONLY``; ``rings``: it knows BUFFER_USAGE_LIMIT; ``apart``: it knows PROCESS_TOAST.
    ``late``: what it counts shows a moment later.
    """

    lock_timeout: float = 2.0
    table_timeout: float = 3600.0
    cost_delay: float = 0.0
    truncate: bool = False
    index_cleanup: str = "auto"
    parallel: int | None = None
    buffer_usage_limit: str = ""
    alone: bool = False
    rings: bool = False
    apart: bool = True
    late: bool = False


def statements(job: Job, manner: Manner, *, schema: str, name: str) -> list[Any]:
    """What is sent for one job, put together by the driver; a rewrite is followed by a vacuum that marks its pages."""
    vacuum, analyze = _options(job, manner)
    found = []
    if job.full:
        found.append(_statement("VACUUM", ["FULL", "SKIP_LOCKED"], schema, name, alone=manner.alone))
    if job.vacuum:
        found.append(_statement("VACUUM", vacuum, schema, name, alone=manner.alone))
    else:
        found.append(_statement("ANALYZE", analyze, schema, name, alone=manner.alone))
    return found


def _options(job: Job, manner: Manner) -> tuple[list[Any], list[Any]]:
    sql = driver().sql
    ring: list[Any] = []
    if manner.buffer_usage_limit and manner.rings:
        ring = [sql.SQL("BUFFER_USAGE_LIMIT {}").format(sql.Literal(manner.buffer_usage_limit))]
    vacuum: list[Any] = ["SKIP_LOCKED"]
    if job.table.kind != "t" and manner.apart:
        # TOAST has counters of its own and is decided on by itself, as autovacuum does.
        vacuum.append("PROCESS_TOAST FALSE")
    if job.analyze:
        vacuum.append("ANALYZE")
    if not manner.truncate:
        vacuum.append("TRUNCATE FALSE")
    if manner.index_cleanup != "auto":
        vacuum.append(f"INDEX_CLEANUP {manner.index_cleanup.upper()}")
    if manner.parallel is not None:
        vacuum.append(sql.SQL("PARALLEL {}").format(sql.Literal(manner.parallel)))
    return [*vacuum, *ring], ["SKIP_LOCKED", *ring]


def _statement(verb: str, options: list[Any], schema: str, name: str, *, alone: bool) -> Any:
    sql = driver().sql
    worded = sql.SQL(", ").join(sql.SQL(option) if isinstance(option, str) else option for option in options)
    only = sql.SQL("ONLY ") if alone else sql.SQL("")
    return sql.SQL(f"{verb} ({{}}) {{}}{{}}").format(worded, only, sql.Identifier(schema, name))


def freeze_settings(job: Job, limits: Limits) -> dict[str, int]:
    """What makes the vacuum of an old table read all its pages, and freeze enough of it not to be due again at once."""
    if not job.need.freezes:
        return {}
    found = {"vacuum_freeze_table_age": 0, "vacuum_multixact_freeze_table_age": 0}
    for urge in job.need.vacuum:
        if urge.cause in FREEZING:
            name = "vacuum_freeze_min_age" if urge.cause == "xid" else "vacuum_multixact_freeze_min_age"
            found[name] = int(min(urge.threshold // 10, 50_000_000 if urge.cause == "xid" else 5_000_000))
    return found


@dataclass
class Doer:
    """One worker: its connection, and what it does with it. ``verdict`` words why a table could not be cleaned.

    ``limited`` is the statement_timeout of the connection, in seconds.
    """

    login: Login
    sessions: Sessions
    manner: Manner
    limits: Limits
    budget: Budget
    verdict: Callable[[Job], str]
    share: float = 1.0
    session: Session | None = None
    limited: float = 0.0
    notices: list[tuple[str, str]] = field(default_factory=list)
    at_work: str = ""
    repacking: int = 0
    seen: str = ""
    guard: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, step: Step) -> Effect:
        """Do one job and look what it brought. Raises MaintenanceError where it did not."""
        if not isinstance(step, Job):
            raise TypeError("not a step of this repair")
        against = self.budget.admit()
        if against:
            raise Left(against)
        try:
            return self._do(step)
        except ConnectError as error:
            self._drop()
            if error.refused:
                # Whatever takes a server down, it does not get better from being asked for the next table.
                self.budget.stop(f"the server went away while {step.target} was worked on")
            raise

    def cancel(self) -> None:
        """Have the server end what this worker waits for; from another thread."""
        with self.guard:
            if self.session is not None and self.at_work:
                self.session.cancel()
            table, database = self.repacking, self.session.database if self.session is not None else ""
        if table:
            repack_act.end_from_outside(self.login, database=database, table=table)

    def close(self) -> None:
        self._drop()

    def follow(self, session: Session) -> None:
        """See through another session how far the work is, for what is said of it should it have to be stopped."""
        with self.guard:
            pid = self.session.connection.info.backend_pid if self.session is not None and self.at_work else 0
        for row in session.rows(_PROGRESS, (pid,)) if pid else ():
            if row["pages"] is not None:
                share = 100 * row["scanned"] // max(1, row["pages"])
                self.seen = f"; it was at: {row['phase']}, {share} % of {row['pages']} pages scanned"

    def _do(self, job: Job) -> Effect:
        session = self._in(job.database)
        if job.remains is not None:
            return repack_act.clear(session, job, lock_timeout=self.manner.lock_timeout)
        if job.program:
            return self._repack(session, job)
        before = count(session, job.table.oid)
        self._still_needed(job, before)
        self.seen = ""
        started = self.budget.clock.monotonic()
        self._carry_out(session, job, before, started=started)
        after = self._counted(session, job, before)
        self._proven(job, before, after)
        self._judge(job, before, after)
        return Effect(before=before.shown(), after=after.shown())

    def _repack(self, session: Session, job: Job) -> Effect:
        self.seen = ""
        self.repacking = job.table.oid
        limit = min(self.manner.table_timeout, self.budget.left())
        try:
            return repack_act.repack(session, job, lock_timeout=self.manner.lock_timeout, seconds=limit)
        except NotNeeded as error:
            raise Left(error.message) from None
        except MaintenanceError as error:
            if self.budget.stopped and not isinstance(error, (Unachieved, ConnectError)):
                raise MaintenanceError(f"stopped: {self.budget.stopped}; {error.message}") from None
            raise
        finally:
            self.repacking = 0

    def _in(self, database: str) -> Session:
        if self.session is not None and (self.session.database != database or self.session.broken):
            self._drop()
        if self.session is None:
            session = self.sessions.working(database)
            session.connection.add_notice_handler(self._heard)
            session.set(lock_timeout=self.manner.lock_timeout, vacuum_cost_delay=f"{self.manner.cost_delay:g}ms")
            self.limited = 0.0
            # A run that is killed leaves no vacuum behind: the server looks whether anybody still listens.
            # Where it cannot look, it says so, and the time limit of the statement has to do.
            _try(lambda: session.set(client_connection_check_interval=2.0))
            with self.guard:
                self.session = session
        return self.session

    def _heard(self, notice: Any) -> None:
        # What it says is there only while it is handed over.
        self.notices.append((str(notice.sqlstate or ""), clean(notice.message_primary or "")))

    def _drop(self) -> None:
        with self.guard:
            session, self.session, self.at_work = self.session, None, ""
        if session is not None:
            session.close()

    def _still_needed(self, job: Job, before: Counters) -> None:
        """Raises NotNeeded where somebody else has done it since it was planned."""
        vacuumed = job.vacuum and _newer(before.vacuumed, job.table.vacuumed)
        analyzed = job.analyze and _newer(before.analyzed, job.table.analyzed)
        if not job.full and (vacuumed or not job.vacuum) and (analyzed or not job.analyze):
            raise NotNeeded("somebody else, or autovacuum, has done it meanwhile")

    def _carry_out(self, session: Session, job: Job, before: Counters, *, started: float) -> None:
        changed = freeze_settings(job, self.limits)
        session.set(**changed)
        try:
            for statement in statements(job, self.manner, schema=before.schema, name=before.name):
                # What a killed or stopped run has begun must end with it.
                self._limit(session, min(self.manner.table_timeout, self.budget.left()))
                self.notices.clear()
                self.at_work = job.target
                session.execute(statement)
                self._refuse_skipped()
        except QueryError as error:
            raise self._worded(error, job, seconds=self.budget.clock.monotonic() - started) from None
        finally:
            self.at_work = ""
            if not session.broken:
                # The questions before and after have time of their own.
                self._limit(session, max(self.limited, self.login.statement_timeout))
                for name in changed:
                    session.rows(
                        "SELECT set_config(%s, (SELECT reset_val FROM pg_settings WHERE name = %s), false)",
                        (name, name),
                    )

    def _limit(self, session: Session, seconds: float) -> None:
        # The server takes whole milliseconds, and none of them as no limit at all.
        seconds = max(1, int(seconds * 1000)) / 1000
        if seconds != self.limited:
            session.set(statement_timeout=seconds)
            self.limited = seconds

    def _refuse_skipped(self) -> None:
        """Raises where the server said that it has left the table out."""
        for state, _message in self.notices:
            if state == _LOCK_NOT_AVAILABLE:
                raise Left("another session has locked it")

    def _worded(self, error: QueryError, job: Job, *, seconds: float) -> MaintenanceError:
        if error.is_locked:
            return Left(f"another session has it locked for more than {duration(self.manner.lock_timeout)}")
        if error.state in _GONE:
            return NotNeeded("it is there no more")
        if error.is_late:
            if self.budget.stopped:
                return MaintenanceError(f"stopped after {duration(seconds)}: {self.budget.stopped}{self.seen}")
            if self.limited < self.manner.table_timeout and seconds >= self.limited:
                return MaintenanceError(f"stopped after {duration(seconds)}: {self.budget.spent()}{self.seen}")
            return MaintenanceError(
                f"stopped after {duration(seconds)}: table_timeout is {duration(self.manner.table_timeout)}, or "
                f"somebody cancelled it{self.seen}"
            )
        return error

    def _counted(self, session: Session, job: Job, before: Counters) -> Counters:
        """What the server counts afterwards, also where its collector of statistics takes a moment to write it down."""
        until = self.budget.clock.monotonic() + (_COLLECTED if self.manner.late else 0.0)
        while True:
            after = count(session, job.table.oid)
            if _is_done(job, before, after) or self.budget.clock.monotonic() >= until:
                return after
            self.budget.clock.sleep(0.1)

    def _proven(self, job: Job, before: Counters, after: Counters) -> None:
        """Raises MaintenanceError where the server does not count what was asked of it as done."""
        if not _is_done(job, before, after):
            said = "; ".join(message for _state, message in self.notices) or "it did not say why"
            raise MaintenanceError(f"the server left it out: {said}")

    def _judge(self, job: Job, before: Counters, after: Counters) -> None:
        """Raises Unachieved where the vacuum ran and what made it necessary is still there."""
        if not job.vacuum or job.full:
            return
        remaining = {
            urge.cause: urge for urge in vacuum_urges(after.applied_to(job.table), self.limits, job.table.options)
        }
        stuck = [
            remaining[urge.cause].words
            for urge in job.need.vacuum
            if urge.cause in remaining and urge.cause != "inserted" and remaining[urge.cause].due(self.share)
        ]
        if stuck:
            won = f"dead rows {before.dead} before, {after.dead} after"
            raise Unachieved(f"the vacuum ran and could not clean: {'; '.join(stuck)} ({won}); {self.verdict(job)}")


def _is_done(job: Job, before: Counters, after: Counters) -> bool:
    if job.full and after.file == before.file:
        return False
    return (not job.vacuum or _newer(after.vacuumed, before.vacuumed)) and (
        not job.analyze or _newer(after.analyzed, before.analyzed)
    )


def _newer(moment: datetime | None, than: datetime | None) -> bool:
    return moment is not None and (than is None or moment > than)


def _try(action: Callable[[], None]) -> None:
    try:
        action()
    except QueryError:
        return
