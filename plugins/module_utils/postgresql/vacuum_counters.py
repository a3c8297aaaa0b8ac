# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server counts of one table: before and after a vacuum or an analyze, and what that says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import NotNeeded
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table

# Without a size that is asked of the file: whoever has locked the table would hold this up. VACUUM and ANALYZE write
# the pages that they have found into pg_class.
_COUNTERS = """
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relfilenode::bigint AS file,
       greatest(c.reltuples, -1)::float8 AS rows, c.relpages AS pages,
       CASE WHEN c.relfrozenxid <> '0' THEN age(c.relfrozenxid) END AS xid_age,
       CASE WHEN c.relminmxid <> '0' THEN mxid_age(c.relminmxid) END AS mxid_age,
       (to_jsonb(c) ->> 'relallfrozen')::int AS all_frozen,
       pg_stat_get_dead_tuples(c.oid) AS dead, pg_stat_get_ins_since_vacuum(c.oid) AS inserted_since_vacuum,
       pg_stat_get_mod_since_analyze(c.oid) AS modified_since_analyze,
       greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS vacuumed,
       greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analyzed,
       -- Its size is asked under a lock; of one that is locked, or has no file, what the catalog knows stands in. A
       -- partitioned table has -1 pages once it has been analyzed.
       CASE WHEN c.relkind = 'p' OR EXISTS (SELECT FROM pg_locks l
                                             WHERE l.locktype = 'relation' AND l.relation = c.oid
                                               AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid())
            THEN greatest(c.relpages, 0)::bigint * current_setting('block_size')::bigint
            ELSE coalesce(pg_relation_size(c.oid, 'main'), 0) END AS bytes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s
"""


@dataclass(frozen=True)
class Counters:
    """What the server says of one table at one moment."""

    schema: str
    name: str
    file: int
    rows: float
    pages: int
    xid_age: int | None
    mxid_age: int | None
    all_frozen: int | None
    dead: int
    inserted_since_vacuum: int
    modified_since_analyze: int
    vacuumed: datetime | None
    analyzed: datetime | None
    bytes: int

    def shown(self) -> dict[str, Any]:
        """As results carry it."""
        return {
            "rows": int(self.rows) if self.rows >= 0 else None,
            "dead_rows": self.dead,
            "inserted_rows": self.inserted_since_vacuum,
            "modified_rows": self.modified_since_analyze,
            "xid_age": self.xid_age,
            "mxid_age": self.mxid_age,
            "bytes": self.bytes,
        }

    def applied_to(self, table: Table) -> Table:
        return replace(
            table,
            rows=self.rows,
            pages=self.pages,
            all_frozen=self.all_frozen,
            xid_age=self.xid_age,
            mxid_age=self.mxid_age,
            dead=self.dead,
            inserted_since_vacuum=self.inserted_since_vacuum,
        )


def count(session: Session, oid: int) -> Counters:
    """Raises NotNeeded where there is no such table any more."""
    rows = session.rows(_COUNTERS, (oid,))
    if not rows:
        raise NotNeeded("it is there no more")
    return Counters(**rows[0])
