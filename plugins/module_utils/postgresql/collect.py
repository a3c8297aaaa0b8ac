# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a cluster: one connection for it and one for each database, and only the parts that are asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    ConnectError,
    Login,
    QueryError,
    Session,
    connect,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import DatabaseName, Server, look
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.topics import CLUSTER, DATABASE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Collector, Settings, Snapshot


def collect(parts: Collection[str], *, login: Login, settings: Settings) -> Snapshot:
    """Look at the cluster. Raises ConnectError where it does not let us in at all."""
    with connect(login, read_only=True) as session:
        server = look(session)
        found = _ask(CLUSTER, parts, session=session, server=server, settings=settings)
        wanted = [name for name in DATABASE if name in parts]
        databases: dict[str, Mapping[str, Reading[Any]]] = {}
        for database in server.databases if wanted else ():
            if database.template or not database.open or _excluded(database, settings):
                continue
            databases[database.name] = _ask_in(
                database, parts, session=session, login=login, server=server, settings=settings
            )
    return Snapshot(server=server, now=server.now, parts=found, databases=databases)


def _excluded(database: DatabaseName, settings: Settings) -> bool:
    return any(fnmatchcase(database.name, glob) for glob in settings.databases_exclude)


def _ask_in(
    database: DatabaseName,
    parts: Collection[str],
    *,
    session: Session,
    login: Login,
    server: Server,
    settings: Settings,
) -> dict[str, Reading[Any]]:
    """The parts of one database, on the connection that is there or on one of its own."""
    if database.name == session.database:
        return _ask(DATABASE, parts, session=session, server=server, settings=settings)
    try:
        if not database.allowed:
            grant = server.grant("CONNECT", on="DATABASE", name=database.name)
            raise Absent(f"{server.user} may not connect to database {database.name}", remedy=grant)
        with connect(login, database=database.name, read_only=True) as own:
            return _ask(DATABASE, parts, session=own, server=server, settings=settings)
    except Absent as absent:
        return dict.fromkeys((name for name in DATABASE if name in parts), absent)
    except ConnectError as error:
        lost = Absent(error.message, remedy=error.remedy, status="unknown")
        return dict.fromkeys((name for name in DATABASE if name in parts), lost)


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
