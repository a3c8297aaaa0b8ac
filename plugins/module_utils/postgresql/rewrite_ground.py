# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rewrite has to know of the tables named for it: their size now, what it wins back, the disk, the tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import QueryError, Session, driver
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.repack import look_for_repack
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Choice, Ground

_EXTENSION = """
SELECT n.nspname::text AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pgstattuple'
"""
_WASTED = "SELECT approx_free_space + dead_tuple_len AS wasted, table_len FROM {}.pgstattuple_approx(%s::oid::regclass)"
_SIZES = """
SELECT coalesce(pg_table_size(%(oid)s), 0) AS heap_bytes, coalesce(pg_indexes_size(%(oid)s), 0) AS index_bytes,
       0 AS toast_bytes,
       (SELECT CASE WHEN c.reltablespace <> 0 THEN c.reltablespace ELSE d.dattablespace END
          FROM pg_class c, pg_database d WHERE c.oid = %(oid)s AND d.datname = current_database())::bigint AS tablespace
"""


def with_rewrites(ground: Ground, session: Session, server: Server, choice: Choice, disk: Disk) -> Ground:
    """The ground of a database with what the tables named for a rewrite need; as it was where none is named."""
    full = {(schema, name) for database, schema, name in choice.full if database == ground.database}
    repack = {(schema, name) for database, schema, name in choice.repack if database == ground.database}
    named = [
        table for table in ground.tables if (table.schema, table.name) in full | repack and table.kind in ("r", "m")
    ]
    if not full | repack:
        return ground
    sized: dict[int, Table] = {}
    tablespaces: dict[int, int] = {}
    for table in named:
        row = session.row(_SIZES, {"oid": table.oid})
        tablespaces[table.oid] = row.pop("tablespace") or 0
        sized[table.oid] = replace(table, **row)
    oids = [table.oid for table in named if (table.schema, table.name) in repack]
    return replace(
        ground,
        tables=tuple(sized.get(table.oid, table) for table in ground.tables),
        wasted=_wasted(session, server, named),
        tablespaces=tablespaces,
        disk=disk,
        repack=look_for_repack(session, server, oids) if repack else None,
    )


def _wasted(session: Session, server: Server, named: list[Table]) -> Mapping[int, float | Absent]:
    """How much of each table is not in use, in percent: dead, or free."""
    extension = session.rows(_EXTENSION) if named else []
    if not extension:
        absent = Absent(
            "without pgstattuple it is not known what a rewrite would win back", remedy="CREATE EXTENSION pgstattuple"
        )
        return {table.oid: absent for table in named}
    return {table.oid: _wasted_by(session, server, table, schema=extension[0]["schema"]) for table in named}


def _wasted_by(session: Session, server: Server, table: Table, *, schema: str) -> float | Absent:
    sql = driver().sql
    query = sql.SQL(_WASTED).format(sql.Identifier(schema))
    try:
        (row,) = session.rows(query, (table.oid,))
    except QueryError as error:
        remedy = server.grant("pg_stat_scan_tables") if error.is_denied else ""
        return Absent(f"what a rewrite would win back could not be asked: {error.message}", remedy=remedy)
    return 100.0 * row["wasted"] / row["table_len"] if row["table_len"] else 0.0
