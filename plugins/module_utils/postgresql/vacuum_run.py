# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``postgresql_vacuum``: look at every table, decide, serve what needs it within the budget, say what came of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution, execute
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import vacuum_ground
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    Login,
    QueryError,
    Session,
    read_login,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.horizon import Holder, oldest_holder
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import Sessions, connect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server, look
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import (
    Limits,
    Table,
    collect_limits,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_act import Doer, Manner
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import (
    Allowance,
    Budget,
    Watcher,
    read_pressure,
    standby_lag,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_options import (
    Wanted,
    read_wanted,
    require_looked_at,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_plan import (
    Decided,
    decide,
    in_order,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Held, Job
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_words import (
    findings_of,
    metrics_of,
)

CHECK = "postgresql.vacuum"
#: Whoever holds this advisory lock in ``login_db`` is at work; the server drops it with the connection.
LOCK = 7_310_028_120_861
#: So many tables that could not be cleaned are remembered.
REMEMBERED = 1000


def vacuum(context: Context) -> Result:
    """The whole repair."""
    login, wanted = read_login(context.params), read_wanted(context.params)
    try:
        with connect(login, read_only=True) as session, closing(Sessions(login, most=wanted.jobs)) as sessions:
            return _on(session, sessions, context, wanted)
    except ConnectError as error:
        return _not_begun(context, login, "critical", error.message, remedy=error.remedy)


def _not_begun(context: Context, login: Login, status: Status, reason: str, *, remedy: str = "") -> Result:
    finding = context.catalogue.stated(CHECK, login.place, status, reason.rstrip("."), remedy=remedy)
    return Result(findings=[finding], plan=[])


def _on(session: Session, sessions: Sessions, context: Context, wanted: Wanted) -> Result:
    login = session.login
    server = look(session)
    if server.in_recovery:
        return _not_begun(context, login, "skipped", "a standby is vacuumed by its primary")
    require_looked_at(wanted, server.databases)
    limits = collect_limits(session, server)
    if not limits.counted:
        remedy = "Set track_counts = on and reload the server."
        return _not_begun(context, login, "skipped", "the server does not count what there is to vacuum", remedy=remedy)
    if not session.row("SELECT pg_try_advisory_lock(%s) AS alone", (LOCK,))["alone"]:
        return _not_begun(context, login, "skipped", "another postgresql_vacuum is at work on this server")
    try:
        lag = standby_lag(session, server) if wanted.allowance.lag else (0.0, "")
    except Absent as absent:
        remedy = f"{absent.remedy}, or set replica_lag_max: 0."
        return _not_begun(context, login, "skipped", absent.message, remedy=remedy)
    horizon = Horizon(session, server)
    memory = _remembered(context, login)
    looks = vacuum_ground.look_at_all(session, sessions, server, wanted, limits)
    decided = [
        decide(
            ground,
            wanted.choice,
            limits,
            first=number == 0,
            alone=vacuum_ground.knows_only(server),
            held_by=horizon.at_the_start(ground.database),
            remembered=memory.get(ground.database, {}),
        )
        for number, ground in enumerate(looks.grounds)
    ]
    plan = in_order(decided)
    execution = None
    if not context.check_mode:
        work = Work(context, sessions, server, wanted, limits, horizon, session)
        execution = work.carry_out(plan, lag=lag)
    return Result(
        findings=findings_of(context.catalogue, CHECK, login.place, decided, looks.absent, execution, horizon.remedies),
        metrics=metrics_of(CHECK, login.place, decided, execution),
        memory={**context.memory, login.place: _to_remember(decided, horizon, memory)},
        plan=list(plan),
        execution=execution,
        kept=[entry for one in decided for entry in one.kept()],
    )


class Horizon:
    """Who keeps dead rows, as at the start of the run and now.

    ``stuck`` is what could not be cleaned because of it, and ``remedies``, by database, what would free it.

    The age of a snapshot changes from moment to moment, its transaction id does not.
    """

    def __init__(self, session: Session, server: Server) -> None:
        self.session = session
        self.server = server
        self.stuck: dict[str, dict[int, int]] = {}
        self.remedies: dict[str, str] = {}
        # One session serves several workers, and a look at the horizon is a transaction of two statements.
        self.guard = threading.RLock()
        self.first = self._look()

    def _look(self) -> tuple[tuple[Holder, int], ...]:
        try:
            with self.guard:
                return vacuum_ground.horizon(self.session, self.server)
        except (Absent, QueryError):
            return ()

    def at_the_start(self, database: str) -> Callable[[Table], Held | None]:
        return lambda table: _held(self.first, database, table)

    def words(self, job: Job) -> str:
        """Who holds what the vacuum of a table has left, for the failure; kept in mind for the next run."""
        if not self.server.monitors:
            self.remedies.setdefault(job.database, self.server.grant())
            return "who holds it cannot be seen by this login"
        now = _held(self._look(), job.database, job.table)
        if now is None:
            return "nobody holds it any more, the next run cleans it"
        before = _held(self.first, job.database, job.table)
        if before is not None and before.xmin == now.xmin:
            # It has been there all the time, so that another vacuum could do no better as long as it stays.
            with self.guard:
                self.stuck.setdefault(job.database, {})[job.table.oid] = now.xmin
        self.remedies[job.database] = now.holder.remedy
        return f"it is held by this: {now.holder.words}"


def _held(found: Sequence[tuple[Holder, int]], database: str, table: Table) -> Held | None:
    xmins = dict(found)
    holder = oldest_holder(xmins, database, catalog=table.system, shared=table.shared)
    return Held(xmins[holder], holder) if holder is not None else None


class Work:
    """The workers, each with a connection of its own, and one who watches what they cost."""

    def __init__(
        self,
        context: Context,
        sessions: Sessions,
        server: Server,
        wanted: Wanted,
        limits: Limits,
        horizon: Horizon,
        session: Session,
    ) -> None:
        self.server = server
        self.sessions = sessions
        self.login = session.login
        self.session = session
        self.horizon = horizon
        self.allowance: Allowance = wanted.allowance
        self.budget = Budget(wanted.allowance, context.clock, context.deadline)
        self.deadline = context.deadline
        manner = vacuum_ground.manner(wanted.manner, server, session)
        self.doers = [self._doer(manner, limits, horizon, wanted) for _number in range(wanted.jobs)]

    def _doer(self, manner: Manner, limits: Limits, horizon: Horizon, wanted: Wanted) -> Doer:
        return Doer(
            login=self.login,
            sessions=self.sessions,
            manner=manner,
            limits=limits,
            budget=self.budget,
            verdict=horizon.words,
            share=wanted.choice.share,
        )

    def carry_out(self, plan: Sequence[Job], *, lag: tuple[float, str]) -> Execution:
        """A stage after the other, several jobs of it at once."""
        self.budget.feed(lag=lag, pressure=read_pressure(self.login))
        watcher = Watcher(self._look, self.budget, self._cancel)
        watcher.start()
        outcome = Execution()
        try:
            for stage in _stages(plan):
                for part in self._at_once(stage):
                    outcome.applied += part.applied
                    outcome.failed += part.failed
                    outcome.left += part.left
        finally:
            watcher.end()
            for doer in self.doers:
                doer.close()
        return outcome

    def _at_once(self, jobs: Sequence[Job]) -> list[Execution]:
        """What came of each job, in the order of the plan."""
        waiting = deque(enumerate(jobs))
        outcomes: dict[int, Execution] = {}

        def serve(doer: Doer) -> None:
            while True:
                try:
                    number, job = waiting.popleft()
                except IndexError:
                    return
                outcomes[number] = execute([job], doer, deadline=self.deadline)

        threads = [threading.Thread(target=serve, args=(doer,), daemon=True) for doer in self.doers[: len(jobs)]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [outcomes[number] for number in sorted(outcomes)]

    def _look(self) -> None:
        """Measure what the work costs; nothing goes on unwatched."""
        lag = (0.0, "")
        try:
            with self.horizon.guard:
                if self.allowance.lag:
                    lag = standby_lag(self.session, self.server)
                for doer in self.doers:
                    doer.follow(self.session)
        except ConnectError:
            self.budget.stop("the server went away from who watched the work")
        except (Absent, QueryError) as error:
            self.budget.stop(f"what the work costs could not be seen any more: {error.message}")
        self.budget.feed(lag=lag, pressure=read_pressure(self.login))

    def _cancel(self) -> None:
        for doer in self.doers:
            doer.cancel()


def _stages(plan: Sequence[Job]) -> list[list[Job]]:
    stages: dict[int, list[Job]] = {}
    for job in plan:
        stages.setdefault(job.stage, []).append(job)
    return [stages[key] for key in sorted(stages)]


def _remembered(context: Context, login: Login) -> dict[str, dict[int, int]]:
    """Behind which transaction id tables could not be cleaned, by database and oid."""
    found: dict[str, dict[int, int]] = {}
    entry = context.memory.get(login.place)
    held = entry.get("held") if isinstance(entry, dict) else None
    for database, tables in held.items() if isinstance(held, dict) else ():
        if isinstance(tables, dict):
            found[str(database)] = {
                int(oid): xmin for oid, xmin in tables.items() if str(oid).isdigit() and isinstance(xmin, int)
            }
    return found


def _to_remember(
    decided: Sequence[Decided], horizon: Horizon, memory: Mapping[str, Mapping[int, int]]
) -> dict[str, Any]:
    """What could not be cleaned in this run, and what was left alone in it for the same reason."""
    kept: dict[str, dict[str, int]] = {}
    left = REMEMBERED
    for one in decided:
        before = memory.get(one.database, {})
        entries = {table.oid: before[table.oid] for table, _reason in one.held if table.oid in before}
        entries.update(horizon.stuck.get(one.database, {}))
        if entries and left > 0:
            kept[one.database] = {str(oid): xmin for oid, xmin in list(entries.items())[:left]}
            left -= len(kept[one.database])
    return {"held": kept}
