# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every table of a database with its counters, options, ages and sizes, in one query: what several topics look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import moment
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import QueryError, Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings

# The size of a relation is asked under a lock, so one that is locked, or about to be, would hold up the whole query:
# of such a one the pages that pg_class knows stand in. The server's functions are asked and not pg_stat_all_tables,
# which adds up all indexes of every table for counters that are not needed here. A relation without a page has no map
# of free or visible ones either, and an index has none of visible ones.
_TABLES = """
WITH knows AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = 'pg_catalog.pg_class'::regclass AND attname = 'relallfrozen') AS relallfrozen
), locked AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_locks
     WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
       AND database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
), measured AS MATERIALIZED (
    SELECT c.oid, c.relkind, c.relpages, locked.relation IS NOT NULL AS locked,
           CASE WHEN %(exact)s AND locked.relation IS NULL THEN coalesce(pg_relation_size(c.oid, 'main'), 0)
           END AS bytes
      FROM pg_class c LEFT JOIN locked ON locked.relation = c.oid
     WHERE c.relkind IN ('r', 'm', 't', 'i')
), sized AS MATERIALIZED (
    SELECT oid, locked,
           CASE WHEN bytes IS NULL THEN relpages::bigint * current_setting('block_size')::bigint
                WHEN bytes = 0 THEN 0
                WHEN relkind = 'i' THEN bytes + coalesce(pg_relation_size(oid, 'fsm'), 0)
                ELSE bytes + coalesce(pg_relation_size(oid, 'fsm') + pg_relation_size(oid, 'vm'), 0) END AS bytes
      FROM measured
), indexed AS (
    SELECT i.indrelid, sum(s.bytes)::bigint AS bytes, bool_or(s.locked) AS locked
      FROM pg_index i JOIN sized s ON s.oid = i.indexrelid GROUP BY i.indrelid
)
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.relpersistence::text AS persistence, c.relispartition AS partition, c.relisshared AS shared,
       c.relhassubclass AS parent, c.oid < 16384 AS system,
       inherited.inhparent::bigint AS child_of,
       main.oid::bigint AS main, main_n.nspname::text AS main_schema, main.relname::text AS main_name,
       coalesce(c.reloptions, '{}') AS options,
       greatest(c.reltuples, -1)::float8 AS rows, c.relpages AS pages,
       CASE WHEN (SELECT relallfrozen FROM knows) THEN (to_jsonb(c) ->> 'relallfrozen')::int END AS all_frozen,
       CASE WHEN c.relfrozenxid <> '0' THEN age(c.relfrozenxid) END AS xid_age,
       CASE WHEN c.relminmxid <> '0' THEN mxid_age(c.relminmxid) END AS mxid_age,
       pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_dead_tuples(c.oid) AS dead,
       pg_stat_get_ins_since_vacuum(c.oid) AS inserted_since_vacuum,
       pg_stat_get_mod_since_analyze(c.oid) AS modified_since_analyze,
       extract(epoch FROM greatest(pg_stat_get_last_vacuum_time(c.oid),
                                   pg_stat_get_last_autovacuum_time(c.oid)))::float8 AS vacuumed,
       extract(epoch FROM greatest(pg_stat_get_last_analyze_time(c.oid),
                                   pg_stat_get_last_autoanalyze_time(c.oid)))::float8 AS analyzed,
       coalesce(own.bytes, 0) AS heap_bytes, coalesce(indexes.bytes, 0) AS index_bytes,
       (coalesce(toast.bytes, 0) + coalesce(toast_indexes.bytes, 0))::bigint AS toast_bytes,
       coalesce(own.locked, false) AS locked,
       coalesce(own.locked, false) OR coalesce(indexes.locked, false) OR coalesce(toast.locked, false)
       OR coalesce(toast_indexes.locked, false) OR NOT %(exact)s AS estimated
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN sized own ON own.oid = c.oid
  LEFT JOIN indexed indexes ON indexes.indrelid = c.oid
  LEFT JOIN sized toast ON toast.oid = c.reltoastrelid AND c.reltoastrelid <> 0
  LEFT JOIN indexed toast_indexes ON toast_indexes.indrelid = c.reltoastrelid AND c.reltoastrelid <> 0
  LEFT JOIN pg_inherits inherited ON inherited.inhrelid = c.oid AND c.relispartition
  LEFT JOIN pg_class main ON c.relkind = 't' AND main.reltoastrelid = c.oid
  LEFT JOIN pg_namespace main_n ON main_n.oid = main.relnamespace
 WHERE c.relkind IN ('r', 'm', 't', 'p')
   AND (%(due)s::bigint[] IS NULL OR c.oid::bigint = ANY(%(due)s)
        OR c.relkind = 'p' OR c.relispartition OR c.reloptions IS NOT NULL OR main.reloptions IS NOT NULL
        OR pg_stat_get_dead_tuples(c.oid) > 0 OR pg_stat_get_ins_since_vacuum(c.oid) > 0
        OR pg_stat_get_mod_since_analyze(c.oid) > 0
        OR (c.relfrozenxid <> '0' AND age(c.relfrozenxid) > %(xid_age)s)
        OR (c.relminmxid <> '0' AND mxid_age(c.relminmxid) > %(mxid_age)s))
 ORDER BY c.oid
"""
_COUNT = """
SELECT count(*) FILTER (WHERE NOT relisshared) AS own, count(*) FILTER (WHERE relisshared) AS shared
  FROM pg_class WHERE relkind IN ('r', 'm', 't', 'p')
"""
_LIMITS = """
SELECT current_setting('autovacuum')::bool AS enabled, current_setting('track_counts')::bool AS counted,
       current_setting('autovacuum_vacuum_threshold')::int AS vacuum_threshold,
       current_setting('autovacuum_vacuum_scale_factor')::float8 AS vacuum_scale_factor,
       coalesce(current_setting('autovacuum_vacuum_max_threshold', true)::int, -1) AS vacuum_max_threshold,
       current_setting('autovacuum_vacuum_insert_threshold')::int AS vacuum_insert_threshold,
       current_setting('autovacuum_vacuum_insert_scale_factor')::float8 AS vacuum_insert_scale_factor,
       current_setting('autovacuum_analyze_threshold')::int AS analyze_threshold,
       current_setting('autovacuum_analyze_scale_factor')::float8 AS analyze_scale_factor,
       current_setting('autovacuum_freeze_max_age')::int AS freeze_max_age,
       current_setting('autovacuum_multixact_freeze_max_age')::int AS multixact_freeze_max_age,
       coalesce(current_setting('vacuum_failsafe_age', true)::int, 1600000000) AS failsafe_age
"""
_KINDS = {"r": "table", "m": "materialized view", "t": "TOAST", "p": "partitioned table"}


@dataclass(frozen=True)
class Table:
    """A relation that holds rows (or, with kind ``p``, whose partitions do) as the catalog and the counters know it.

    ``kind`` is ``r`` table, ``m`` materialized view, ``t`` TOAST, ``p`` partitioned; ``persistence`` is ``p``
    permanent, ``u`` unlogged, ``t`` temporary (of whatever session). ``rows`` is -1 where nobody has counted yet.
    Ages are in transactions, None where the relation has none. ``main``, ``main_schema`` and ``main_name`` are the
    table that a TOAST belongs to, ``child_of`` the partitioned table that a partition does. A ``shared`` one shows in
    every database and is the same in all. ``estimated`` says that some of the sizes are those of the catalog, because
    the relation was locked. ``all_frozen`` is None where the server does not count it.
    """

    oid: int
    schema: str
    name: str
    kind: str = "r"
    persistence: str = "p"
    partition: bool = False
    shared: bool = False
    parent: bool = False
    system: bool = False
    child_of: int | None = None
    main: int | None = None
    main_schema: str | None = None
    main_name: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    rows: float = -1.0
    pages: int = 0
    all_frozen: int | None = None
    xid_age: int | None = None
    mxid_age: int | None = None
    live: int = 0
    dead: int = 0
    inserted_since_vacuum: int = 0
    modified_since_analyze: int = 0
    vacuumed: datetime | None = None
    analyzed: datetime | None = None
    heap_bytes: int = 0
    index_bytes: int = 0
    toast_bytes: int = 0
    locked: bool = False
    estimated: bool = False

    @property
    def label(self) -> str:
        """Its name for people: ``public.orders``, ``TOAST of public.orders``."""
        if self.kind == "t" and self.main_name is not None:
            return clean(f"TOAST of {self.main_schema}.{self.main_name}")
        return clean(f"{self.schema}.{self.name}")

    @property
    def what(self) -> str:
        """Its kind in words."""
        return _KINDS[self.kind]

    @property
    def total_bytes(self) -> int:
        """What pg_total_relation_size() says: heap, indexes and TOAST with its index."""
        return self.heap_bytes + self.index_bytes + self.toast_bytes

    @property
    def is_temporary(self) -> bool:
        return self.persistence == "t"


@dataclass(frozen=True)
class Limits:
    """The server's own settings of autovacuum; a table's storage parameters go before them.

    ``enabled``: autovacuum is switched on; ``counted``: what it goes by is counted. A threshold of -1 is switched off.
    """

    enabled: bool = True
    counted: bool = True
    vacuum_threshold: int = 50
    vacuum_scale_factor: float = 0.2
    vacuum_max_threshold: int = -1
    vacuum_insert_threshold: int = 1000
    vacuum_insert_scale_factor: float = 0.2
    analyze_threshold: int = 50
    analyze_scale_factor: float = 0.1
    freeze_max_age: int = 200_000_000
    multixact_freeze_max_age: int = 400_000_000
    failsafe_age: int = 1_600_000_000


def collect_tables(session: Session, _server: Server, _settings: Settings) -> tuple[Table, ...]:
    """All relations with rows of the session's database, shared and temporary ones and the catalog's included."""
    try:
        return _tables(session, exact=True)
    except QueryError as error:
        # Somebody has locked a relation between the look at the locks and the look at its size.
        if not error.is_locked:
            raise
        return tables_by_catalog(session)


def tables_by_catalog(session: Session) -> tuple[Table, ...]:
    """The same with the sizes of the last vacuum or analyze, for those who do not go by them: in half the time."""
    return _tables(session, exact=False)


def tables_that_may_be_due(
    session: Session, *, unmeasured: Iterable[int], xid_age: float, mxid_age: float
) -> tuple[Table, ...]:
    """Those of the catalog that something can be due for: written to, old, partitioned, with options of their own.

    Where nothing was written since the last vacuum and analyze, no threshold is passed. ``unmeasured`` are oids of
    tables that lack statistics, the ages those up to which nothing has to be frozen.
    """
    return _tables(session, exact=False, due=list(unmeasured), xid_age=xid_age, mxid_age=mxid_age)


def count_tables(session: Session) -> tuple[int, int]:
    """How many relations with rows are the database's own, and how many all databases share."""
    row = session.row(_COUNT)
    return row["own"], row["shared"]


def _tables(
    session: Session,
    *,
    exact: bool,
    due: list[int] | None = None,
    xid_age: float = 0.0,
    mxid_age: float = 0.0,
) -> tuple[Table, ...]:
    given = {"exact": exact, "due": due, "xid_age": xid_age, "mxid_age": mxid_age}
    return tuple(map(read_table, session.many(_TABLES, given)))


def read_table(row: dict[str, Any]) -> Table:
    """A row of the query as a table; the row is used up."""
    row["options"] = read_options(row["options"])
    row["vacuumed"], row["analyzed"] = moment(row["vacuumed"]), moment(row["analyzed"])
    return Table(**row)


def read_options(raw: Sequence[str]) -> dict[str, str]:
    """Storage parameters by name, as pg_class keeps them: ``fillfactor=70``."""
    pairs = (option.partition("=") for option in raw)
    return {name: value for name, _sign, value in pairs}


def collect_limits(session: Session, _server: Server, _settings: Settings | None = None) -> Limits:
    return Limits(**session.row(_LIMITS))
