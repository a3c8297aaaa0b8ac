# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vacuum by need has to know: tables, rights and missing statistics of each database, who holds the horizon."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    ConnectError,
    Login,
    QueryError,
    Session,
    connect,
    driver,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.horizon import Holder, holders
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import DatabaseName, Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table, tables_by_catalog
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unmeasured import collect_unmeasured
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_act import Manner
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_options import Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_plan import Choice, Ground
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings

# VACUUM asks who owns the table, or the database; since there is a privilege of its own, it asks for that as well.
_OWNED = """
SELECT c.oid::bigint AS oid FROM pg_class c, pg_database d
 WHERE d.datname = current_database() AND c.relkind IN ('r', 'm', 't', 'p')
   AND (pg_has_role(c.relowner, 'USAGE') OR (NOT c.relisshared AND pg_has_role(d.datdba, 'USAGE')))
"""
_MAINTAINED = """
SELECT c.oid::bigint AS oid FROM pg_class c
 WHERE c.relkind IN ('r', 'm', 't', 'p') AND has_table_privilege(c.oid, 'MAINTAIN')
"""
_PRIVILEGE = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_maintain') AS there"
_ANCHOR = "SELECT age('3'::xid) AS anchor"
_EXTENSION = """
SELECT n.nspname::text AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pgstattuple'
"""
_WASTED = "SELECT approx_free_space + dead_tuple_len AS wasted, table_len FROM {}.pgstattuple_approx(%s::oid::regclass)"
_SIZES = """
SELECT coalesce(pg_table_size(%(oid)s), 0) AS heap_bytes, coalesce(pg_indexes_size(%(oid)s), 0) AS index_bytes,
       0 AS toast_bytes
"""
_DIRECTORY = "SELECT setting AS path FROM pg_settings WHERE name = 'data_directory'"
_RING = "SELECT current_setting('vacuum_buffer_usage_limit', true) IS NOT NULL AS there"


@dataclass
class Looks:
    """What was found in each database, and those that could not be looked at."""

    grounds: list[Ground] = field(default_factory=list)
    absent: dict[str, Absent] = field(default_factory=dict)


def look_at_all(session: Session, login: Login, server: Server, wanted: Wanted) -> Looks:
    """Look at every database that is not left out, one after the other."""
    looks = Looks()
    maintains = session.row(_PRIVILEGE)["there"]
    free = _free_bytes(session, login) if wanted.choice.full else None
    for database in server.databases:
        if database.template or not database.open or _left_out(database, wanted):
            continue
        try:
            if database.name == session.database:
                ground = _look(session, server, wanted.choice, maintains=maintains)
            else:
                ground = _look_in(database, login, server, wanted.choice, maintains=maintains)
        except Absent as absent:
            looks.absent[database.name] = absent
        except QueryError as error:
            looks.absent[database.name] = Absent(error.message, status="unknown")
        else:
            looks.grounds.append(replace(ground, free_bytes=free))
    return looks


def _left_out(database: DatabaseName, wanted: Wanted) -> bool:
    return any(fnmatchcase(database.name, glob) for glob in wanted.databases_exclude)


def _look_in(database: DatabaseName, login: Login, server: Server, choice: Choice, *, maintains: bool) -> Ground:
    if not database.allowed:
        grant = server.grant("CONNECT", on="DATABASE", name=database.name)
        raise Absent(f"{server.user} may not connect to database {database.name}", remedy=grant)
    try:
        with connect(login, database=database.name, read_only=True) as own:
            return _look(own, server, choice, maintains=maintains)
    except ConnectError as error:
        raise Absent(error.message, remedy=error.remedy, status="unknown") from None


def _look(session: Session, server: Server, choice: Choice, *, maintains: bool) -> Ground:
    tables = _with_sizes(session, choice, tables_by_catalog(session))
    allowed = {row["oid"] for row in session.rows(_OWNED)}
    if maintains and not server.superuser:
        allowed |= {row["oid"] for row in session.rows(_MAINTAINED)}
    return Ground(
        database=session.database,
        tables=tables,
        unmeasured=collect_unmeasured(session, server, Settings()),
        allowed=frozenset(allowed),
        grant=server.grant("pg_maintain") if maintains else "only a table's owner, or the database's, may vacuum it",
        wasted=_wasted(session, server, choice, tables),
    )


def _wasted(
    session: Session, server: Server, choice: Choice, tables: tuple[Table, ...]
) -> Mapping[int, float | Absent]:
    named = {(schema, name) for database, schema, name in choice.full if database == session.database}
    wanted = [table for table in tables if (table.schema, table.name) in named and table.kind in ("r", "m")]
    return {table.oid: _wasted_by(session, server, table) for table in wanted}


def _with_sizes(session: Session, choice: Choice, tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """The tables named for a rewrite with the sizes that their files have now."""
    named = {(schema, name) for database, schema, name in choice.full if database == session.database}
    found = []
    for table in tables:
        if (table.schema, table.name) in named and table.kind in ("r", "m"):
            row = session.row(_SIZES, {"oid": table.oid})
            table = replace(table, **row)
        found.append(table)
    return tuple(found)


def _wasted_by(session: Session, server: Server, table: Table) -> float | Absent:
    """How much of a table is not in use, in percent: dead, or free."""
    extension = session.rows(_EXTENSION)
    if not extension:
        return Absent(
            "without pgstattuple it is not known what a rewrite would win back", remedy="CREATE EXTENSION pgstattuple"
        )
    sql = driver().sql
    query = sql.SQL(_WASTED).format(sql.Identifier(extension[0]["schema"]))
    try:
        (row,) = session.rows(query, (table.oid,))
    except QueryError as error:
        remedy = server.grant("pg_stat_scan_tables") if error.is_denied else ""
        return Absent(f"what a rewrite would win back could not be asked: {error.message}", remedy=remedy)
    return 100.0 * row["wasted"] / row["table_len"] if row["table_len"] else 0.0


def _free_bytes(session: Session, login: Login) -> int | None:
    """What is free where the data is; None where that cannot be known from this host."""
    if not login.over_socket:
        return None
    paths = session.rows(_DIRECTORY)
    try:
        told = os.statvfs(paths[0]["path"])
    except (IndexError, OSError):
        return None
    return told.f_bavail * told.f_frsize


def horizon(session: Session, server: Server) -> tuple[tuple[Holder, int], ...]:
    """All who hold rows, each with the transaction id of its snapshot. Raises Absent, QueryError.

    Within one transaction the server tells all ages from the same moment (xid_age() in its xid.c).
    """
    with session.connection.transaction():
        anchor = session.row(_ANCHOR)["anchor"]
        found = holders(session, server)
    return tuple((holder, (anchor - holder.age) & 0xFFFFFFFF) for holder in found)


def knows_only(server: Server) -> bool:
    """Whether VACUUM and ANALYZE know ONLY: no object tells, but these columns came with the same version."""
    return server.has("pg_stat_all_tables", "total_analyze_time")


def manner(wanted: Manner, server: Server, session: Session) -> Manner:
    """The user's wishes as far as this server knows them."""
    return replace(wanted, alone=knows_only(server), rings=bool(_known(session)["there"]))


def _known(session: Session) -> dict[str, Any]:
    return session.row(_RING)
