# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vacuum by need has to know: tables, rights and missing statistics of each database, who holds the horizon."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import QueryError, Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk, look_at_disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.horizon import Holder, holders
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import Sessions
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.rewrite_ground import with_rewrites
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import DatabaseName, Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import (
    Limits,
    Table,
    count_tables,
    tables_by_catalog,
    tables_that_may_be_due,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unmeasured import collect_unmeasured
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_act import Manner
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_options import Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Choice, Ground
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
_KNOWN = """
SELECT current_setting('vacuum_buffer_usage_limit', true) IS NOT NULL AS there,
       to_regprocedure('pg_catalog.pg_stat_force_next_flush()') IS NOT NULL AS flushes
"""


@dataclass
class Looks:
    """What was found in each database, and those that could not be looked at."""

    grounds: list[Ground] = field(default_factory=list)
    absent: dict[str, Absent] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """What is looked for in every database; ``maintains``: the server has a privilege of its own for maintenance."""

    server: Server
    choice: Choice
    limits: Limits
    disk: Disk
    maintains: bool

    @property
    def narrow(self) -> bool:
        """Whether it is enough to see the tables that something may be due for: none has to be known by its name."""
        choice = self.choice
        return not (choice.tables or choice.tables_exclude or choice.full or choice.repack)


def look_at_all(session: Session, sessions: Sessions, server: Server, wanted: Wanted, limits: Limits) -> Looks:
    """Look at every database that is not left out, several at once."""
    rewriting = bool(wanted.choice.full or wanted.choice.repack)
    disk = look_at_disk(session, told=wanted.free_bytes) if rewriting else Disk()
    search = Search(server, wanted.choice, limits, disk, maintains=session.row(_PRIVILEGE)["there"])

    def look(database: DatabaseName) -> Ground | Absent:
        try:
            return _look(session, search) if database.name == session.database else _look_in(database, sessions, search)
        except Absent as absent:
            return absent
        except QueryError as error:
            return Absent(error.message, status="unknown")

    chosen = [one for one in server.databases if one.open and not one.template and not _left_out(one, wanted)]
    looks = Looks()
    with ThreadPoolExecutor(wanted.jobs) as workers:
        for database, found in zip(chosen, workers.map(look, chosen)):
            if isinstance(found, Absent):
                looks.absent[database.name] = found
            else:
                looks.grounds.append(found)
    return looks


def _left_out(database: DatabaseName, wanted: Wanted) -> bool:
    return any(fnmatchcase(database.name, glob) for glob in wanted.databases_exclude)


def _look_in(database: DatabaseName, sessions: Sessions, search: Search) -> Ground:
    server = search.server
    if not database.allowed:
        grant = server.grant("CONNECT", on="DATABASE", name=database.name)
        raise Absent(f"{server.user} may not connect to database {database.name}", remedy=grant)
    try:
        with sessions.looking(database.name) as own:
            return _look(own, search)
    except ConnectError as error:
        raise Absent(error.message, remedy=error.remedy, status="unknown") from None


def _look(session: Session, search: Search) -> Ground:
    server = search.server
    unmeasured = collect_unmeasured(session, server, Settings())
    if search.narrow:
        tables = tables_that_may_be_due(
            session,
            unmeasured=unmeasured.counts,
            xid_age=search.limits.freeze_max_age * search.choice.share,
            mxid_age=search.limits.multixact_freeze_max_age * search.choice.share,
        )
    else:
        tables = tables_by_catalog(session)
    owner = "only a table's owner, or the database's, may vacuum it"
    ground = Ground(
        database=session.database,
        tables=tables,
        unmeasured=unmeasured,
        allowed=_allowed(session, search, tables),
        grant=server.grant("pg_maintain") if search.maintains else owner,
        counted=count_tables(session) if search.narrow else None,
    )
    return with_rewrites(ground, session, server, search.choice, search.disk)


def _allowed(session: Session, search: Search, tables: tuple[Table, ...]) -> frozenset[int]:
    if search.server.superuser:
        return frozenset(table.oid for table in tables)
    allowed = {row["oid"] for row in session.rows(_OWNED)}
    if search.maintains:
        allowed |= {row["oid"] for row in session.rows(_MAINTAINED)}
    return frozenset(allowed)


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
    known = session.row(_KNOWN)
    return replace(
        wanted,
        alone=knows_only(server),
        rings=known["there"],
        # No object tells of PROCESS_TOAST, but this view came with the same version, 14.
        apart=server.has("pg_stat_wal"),
        late=not known["flushes"],
    )
