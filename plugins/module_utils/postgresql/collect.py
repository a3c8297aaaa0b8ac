# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a cluster: one connection for it and one for each database, and only the parts that are asked for.

While the server computes for one connection, what it has said on another is taken in: the databases are asked by two
threads beside the one that asks the cluster, and a large database by both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    Login,
    QueryError,
    Session,
    connect,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import DatabaseName, Server, look
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.topics import CLUSTER, DATABASE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Collector, Settings, Snapshot

#: Connections at once beside the cluster's own.
_LANES = 2
#: Relations from which a database is asked over two connections; a fresh database has about 400.
_LARGE = 2000
_RELATIONS = "SELECT reltuples::bigint AS amount FROM pg_class WHERE oid = 'pg_catalog.pg_class'::regclass"
#: What takes about as long as all the rest.
_HALF = frozenset({"tables", "unmeasured", "sequences", "table_bloat", "index_bloat", "index_reads"})
#: What looks at sessions, and is asked while there is none of ours but the one that asks.
_SESSIONS = ("activity", "horizon", "lock_table", "origins")
_Found = dict[str, Reading[Any]]
_Divide = Callable[[DatabaseName, Sequence[str]], None]


@dataclass(frozen=True)
class _Job:
    """Parts that are asked of one database over one connection."""

    database: DatabaseName
    names: Sequence[str]
    future: Future[_Found]


def collect(parts: Collection[str], *, login: Login, settings: Settings) -> Snapshot:
    """Look at the cluster. Raises ConnectError where it does not let us in at all."""
    with connect(login, read_only=True) as session:
        server = look(session)
        wanted = [name for name in DATABASE if name in parts]
        names = [
            database
            for database in (server.databases if wanted else ())
            if not database.template and database.open and not _excluded(database, settings)
        ]
        inside = _Inside(login=login, settings=settings, server=server)
        early = {name for name in parts if name in _SESSIONS}
        found = _ask(CLUSTER, early, session=session, server=server, settings=settings)
        with inside.begun(names, wanted) as databases:
            found.update(_ask(CLUSTER, set(parts) - early, session=session, server=server, settings=settings))
    return Snapshot(server=server, now=server.now, parts=found, databases=databases)


def _excluded(database: DatabaseName, settings: Settings) -> bool:
    return any(fnmatchcase(database.name, glob) for glob in settings.databases_exclude)


@dataclass(frozen=True)
class _Inside:
    """Asks the databases of one cluster."""

    login: Login
    settings: Settings
    server: Server

    @contextmanager
    def begun(self, databases: Sequence[DatabaseName], wanted: Sequence[str]) -> Iterator[dict[str, Mapping[str, Any]]]:
        """Ask while the caller does something else; what was found is there at the end."""
        found: dict[str, Mapping[str, Any]] = {}
        asked: list[_Job] = []
        lanes = ThreadPoolExecutor(max_workers=_LANES)

        def divide(database: DatabaseName, names: Sequence[str]) -> None:
            asked.append(_Job(database, names, lanes.submit(self._ask, database, names)))

        try:
            asked.extend(_Job(one, wanted, lanes.submit(self._ask, one, wanted, divide=divide)) for one in databases)
            yield found
            # A database that is large joins the line once more, before the first job on it is done.
            for job in asked:
                found[job.database.name] = {**found.get(job.database.name, {}), **self._answers(job)}
        finally:
            lanes.shutdown(cancel_futures=True)

    def _answers(self, job: _Job) -> _Found:
        """What a job brought; where there was no room for its connection, it is asked again now."""
        try:
            try:
                return job.future.result()
            except ConnectError as error:
                if not error.crowded:
                    raise
                return self._ask(job.database, job.names)
        except Absent as absent:
            return dict.fromkeys(job.names, absent)
        except ConnectError as error:
            return dict.fromkeys(job.names, Absent(error.message, remedy=error.remedy, status="unknown"))

    def _ask(self, database: DatabaseName, names: Sequence[str], *, divide: _Divide | None = None) -> _Found:
        """The parts of one database; of a large one a half, and the other is left to ``divide``."""
        if not database.allowed:
            grant = self.server.grant("CONNECT", on="DATABASE", name=database.name)
            raise Absent(f"{self.server.user} may not connect to database {database.name}", remedy=grant)
        with connect(self.login, database=database.name, read_only=True) as own:
            rest = [name for name in names if name not in _HALF]
            if divide and 0 < len(rest) < len(names) and own.row(_RELATIONS)["amount"] >= _LARGE:
                divide(database, rest)
                names = [name for name in names if name in _HALF]
            return _ask(DATABASE, names, session=own, server=self.server, settings=self.settings)


def _ask(
    collectors: Mapping[str, Collector],
    parts: Collection[str],
    *,
    session: Session,
    server: Server,
    settings: Settings,
) -> dict[str, Reading[Any]]:
    return {
        name: attempt(collector, session=session, server=server, settings=settings)
        for name, collector in collectors.items()
        if name in parts
    }


def attempt(collector: Collector, *, session: Session, server: Server, settings: Settings) -> Any:
    """What a collector brings; a refused privilege, a time limit or a fault becomes an Absent, and the rest goes on."""
    try:
        return collector(session, server, settings)
    except Absent as absent:
        return absent
    except QueryError as error:
        if error.is_denied:
            return Absent(error.message, remedy=server.grant())
        if error.is_late:
            return Absent(
                f"not answered within the {session.login.statement_timeout:g} s that a statement may take",
                remedy="Raise statement_timeout, or look why the server is slow.",
                status="unknown",
            )
        return Absent(error.message, status="unknown")
    except ConnectError:
        raise
    except MaintenanceError as error:
        return Absent(error.message, remedy=error.remedy, status="unknown")
