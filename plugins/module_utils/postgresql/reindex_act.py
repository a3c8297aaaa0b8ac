# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a rebuild: look once more, build beside the running application, see what it brought."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Deadline
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import (
    Effect,
    NotNeeded,
    Step,
    Unachieved,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    Login,
    Session,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import Index, indexes_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_watch import watched
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.online import (
    Limits,
    in_the_way,
    too_much,
    worded,
    work,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import open_session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.reindex_plan import (
    Decision,
    Wanted,
    lacks_disk,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import Allowance

#: Share of its size by which a swollen index has to shrink for the rebuild to have been worth it.
_WORTH = 0.05


@dataclass
class Sessions:
    """One session for each database that has work, opened when its turn comes and again where it broke."""

    login: Login
    stack: ExitStack
    opened: dict[str, Session] = field(default_factory=dict)

    def of(self, database: str) -> Session:
        """Raises ConnectError."""
        session = self.opened.get(database)
        if session is None or session.broken:
            session = open_session(self.login, database=database)
            self.stack.callback(session.close)
            self.opened[database] = session
        return session


@dataclass
class Doer:
    """Does one step at a time. ``sizes`` are what rebuilt indexes take now, by database and label."""

    sessions: Sessions
    decisions: Mapping[str, Decision]
    wanted: Wanted
    disk: Disk
    deadline: Deadline
    lock_timeout: float
    server: Server
    lag: int
    pressure: float
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)

    def __call__(self, step: Step) -> Effect:
        """Rebuild or remove one index and see that it is so. Raises MaintenanceError where it is not."""
        decision = self.decisions[step.target]
        session = self.sessions.of(decision.database)
        index = self._still_needed(session, decision)
        if step.action == "drop":
            return self._drop(session, index)
        return self._rebuild(session, decision, index)

    def _still_needed(self, session: Session, decision: Decision) -> Index:
        """The index as it is now: the steps before this one may have taken hours. Raises NotNeeded."""
        now = _find(session, decision.index)
        if now is None or now.oid != decision.index.oid:
            raise NotNeeded("it is no longer there, or not the same")
        if now.valid and decision.need != "bloated":
            raise NotNeeded("it is valid by now")
        if now.busy:
            raise NotNeeded("somebody builds, rebuilds or drops it just now")
        waiting = in_the_way(session, table=now.table_oid, patience=self.lock_timeout)
        if waiting:
            raise NotNeeded(waiting)
        if decision.need == "bloated" and now.bytes < decision.index.bytes * (1 - _WORTH):
            raise NotNeeded(f"it has shrunk to {quantity(now.bytes, 'B')} by now")
        return now

    def _limits(self) -> Limits:
        return Limits(
            lock_timeout=self.lock_timeout, seconds=max(1.0, min(self.wanted.index_seconds, self.deadline.left()))
        )

    def _drop(self, session: Session, index: Index) -> Effect:
        statement = worded("DROP INDEX CONCURRENTLY {}", index.schema, index.name)
        work(session, statement, table=index.table_oid, limits=self._limits())
        if _find(session, index) is not None:
            raise Unachieved(f"{index.label} was dropped and is there again.")
        return Effect(before=_facts(index), after={"present": False})

    def _rebuild(self, session: Session, decision: Decision, index: Index) -> Effect:
        lacking = lacks_disk(index, self.disk, self.wanted) or too_much(
            session, self.server, lag=self.lag, pressure=self.pressure
        )
        if lacking:
            raise NotNeeded(lacking)
        statement = worded("REINDEX INDEX CONCURRENTLY {}", index.schema, index.name)
        with watched(session, self.server, Allowance(lag=self.lag, pressure=self.pressure)):
            work(session, statement, table=index.table_oid, limits=self._limits())
        now = _find(session, index)
        if now is None or not now.valid:
            raise Unachieved(f"After the rebuild {index.label} is {'not valid' if now else 'not there'}.")
        self.sizes.setdefault(decision.database, {})[now.label] = now.bytes
        if decision.need == "bloated" and now.bytes > index.bytes * (1 - _WORTH):
            raise Unachieved(
                f"{index.label} took {quantity(index.bytes, 'B')} before and takes {quantity(now.bytes, 'B')} now: the "
                "estimate was wrong, and it is left alone until it has grown."
            )
        return Effect(before=_facts(index), after={**_facts(now), "freed_bytes": index.bytes - now.bytes})


def _find(session: Session, index: Index) -> Index | None:
    found = indexes_of(session, table=index.table_oid)
    return next((one for one in found if (one.schema, one.name) == (index.schema, index.name)), None)


def _facts(index: Index) -> dict[str, Any]:
    return {"valid": index.valid, "bytes": index.bytes}
