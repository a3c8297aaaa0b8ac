# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that the planner knows nothing of: what has rows and no statistics, as after a restore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings

# What an analyze would measure and has not: columns, those of all children of a table, expressions of an index,
# extended statistics. The indexes of a partitioned table itself are never measured, nor is an expression of which the
# sample has no row, because the index has next to none of the table's, nor what takes a column that is not measured.
_COLUMNS = """
WITH wanted AS (
    SELECT oid, relkind, relhassubclass, reltuples FROM pg_class
     WHERE relkind IN ('r', 'm', 'p') AND relpersistence <> 't' AND reltuples <> 0 AND oid >= 16384
), lacking AS (
    SELECT c.oid FROM wanted c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget IS DISTINCT FROM 0 AND a.attgenerated <> 'v'
       AND NOT EXISTS (SELECT FROM pg_statistic s
                        WHERE s.starelid = c.oid AND s.staattnum = a.attnum AND s.stainherit = (c.relkind = 'p'))
    UNION ALL
    SELECT c.oid FROM wanted c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relkind = 'r' AND c.relhassubclass AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
       AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget IS DISTINCT FROM 0 AND a.attgenerated <> 'v'
       AND NOT EXISTS (SELECT FROM pg_statistic s
                        WHERE s.starelid = c.oid AND s.staattnum = a.attnum AND s.stainherit)
    UNION ALL
    SELECT c.oid FROM wanted c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_attribute a ON a.attrelid = i.indexrelid
      JOIN pg_class x ON x.oid = i.indexrelid
      JOIN LATERAL (SELECT 300 * current_setting('default_statistics_target')::int AS rows) sample ON true
     WHERE c.relkind <> 'p' AND i.indexprs IS NOT NULL AND i.indkey[a.attnum - 1] = 0
       AND a.attstattarget IS DISTINCT FROM 0
       AND (i.indpred IS NULL OR (x.reltuples >= 1 AND (c.reltuples <= sample.rows
                                                        OR x.reltuples * sample.rows >= 10 * c.reltuples)))
       AND NOT EXISTS (SELECT FROM pg_statistic s WHERE s.starelid = i.indexrelid AND s.staattnum = a.attnum)
    UNION ALL
    SELECT c.oid FROM wanted c JOIN pg_statistic_ext e ON e.stxrelid = c.oid
     WHERE e.stxstattarget IS DISTINCT FROM 0
       AND NOT EXISTS (SELECT FROM pg_statistic_ext_data d WHERE d.stxoid = e.oid)
       AND NOT EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attnum = ANY (e.stxkeys::int2[]) AND a.attstattarget = 0)
), found AS MATERIALIZED (
    SELECT oid, count(*) AS missing FROM lacking GROUP BY oid
)"""
# pg_class.reltuples is -1 until the first analyze, or vacuum.
_TABLES = """
WITH found AS MATERIALIZED (
    SELECT oid, 1 AS missing FROM pg_class
     WHERE relkind IN ('r', 'm', 'p') AND relpersistence <> 't' AND reltuples = -1 AND oid >= 16384
)"""
# In a table without a single page there is nothing to measure, and in a partitioned one whose parts have none. How
# large a file is can be asked only where nobody has locked the table, and need be only of one that no vacuum has
# counted yet.
_FILLED = """
SELECT f.oid::bigint AS oid, f.missing FROM found f JOIN pg_class c ON c.oid = f.oid
 WHERE EXISTS (
    WITH RECURSIVE part AS (
        SELECT c.oid, c.relkind, c.relpages
        UNION ALL
        SELECT k.oid, k.relkind, k.relpages
          FROM part JOIN pg_inherits i ON i.inhparent = part.oid JOIN pg_class k ON k.oid = i.inhrelid
         WHERE part.relkind = 'p'
    )
    SELECT FROM part
     WHERE CASE WHEN part.relkind = 'p' THEN false
                WHEN part.relkind = 'f' OR part.relpages > 0 THEN true
                WHEN EXISTS (SELECT FROM pg_locks l WHERE l.relation = part.oid AND l.mode = 'AccessExclusiveLock')
                THEN false
                ELSE pg_relation_size(part.oid) > 0 END
 )
"""
_READABLE = """
SELECT has_table_privilege('pg_catalog.pg_statistic', 'SELECT')
       AND has_table_privilege('pg_catalog.pg_statistic_ext_data', 'SELECT') AS readable
"""


@dataclass(frozen=True)
class Unmeasured:
    """How many parts of a table lack statistics, by oid; ``exact`` is False where only whole tables could be seen."""

    counts: Mapping[int, int] = field(default_factory=dict)
    exact: bool = True

    def of(self, table: Table) -> int:
        return self.counts.get(table.oid, 0)


def collect_unmeasured(session: Session, _server: Server, _settings: Settings) -> Unmeasured:
    exact = session.row(_READABLE)["readable"]
    found = session.many((_COLUMNS if exact else _TABLES) + _FILLED)
    return Unmeasured({row["oid"]: row["missing"] for row in found}, exact=exact)
