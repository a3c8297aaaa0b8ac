# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every index and foreign key of a database, in one query each: what the checks and the repairs of indexes look at."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import moment
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import QueryError, Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings

# What a BRIN index sums up is a matter of its storage parameters, as what a GiST index does is of its classes' options.
# An index that is being built, rebuilt or dropped looks like one that is broken. Who builds one holds a lock on the
# table and shows in the progress view (its pid does to everybody), who rebuilds or drops one locks the index itself.
# The size of a locked relation would have to wait for its lock; of such a one the pages of the catalog stand in.
_INDEXES = """
WITH knows AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pg_catalog.pg_stat_all_indexes'::regclass
                                              AND attname = 'last_idx_scan') AS last_idx_scan
), locked AS MATERIALIZED (
    SELECT relation, pid, mode = 'AccessExclusiveLock' AS fully, granted
      FROM pg_locks
     WHERE locktype = 'relation' AND pid IS DISTINCT FROM pg_backend_pid()
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                    'AccessExclusiveLock')
), building AS MATERIALIZED (
    SELECT DISTINCT locked.relation FROM locked JOIN pg_stat_progress_create_index p USING (pid) WHERE locked.granted
), enforced AS MATERIALIZED (
    SELECT k.conindid, min(k.conname::text) FILTER (WHERE k.contype IN ('p', 'u', 'x')) AS name,
           bool_or(k.contype = 'f') AS referenced
      FROM pg_constraint k WHERE k.conindid <> 0 GROUP BY k.conindid
), counted AS MATERIALIZED (
    SELECT s.indexrelid, s.idx_scan,
           CASE WHEN (SELECT last_idx_scan FROM knows) THEN (to_jsonb(s) ->> 'last_idx_scan')::timestamptz
           END AS last_idx_scan
      FROM pg_stat_all_indexes s WHERE s.idx_scan > 0
)
SELECT i.indexrelid::bigint AS oid, i.indrelid::bigint AS table_oid, n.nspname::text AS schema,
       c.relname::text AS name, t.relname::text AS table_name, t.relkind::text AS table_kind, c.relkind::text AS kind,
       am.amname::text AS method, i.indisvalid AS valid, i.indisready AS ready, i.indisunique AS unique,
       i.indisprimary AS primary, i.indisexclusion AS exclusion, i.indimmediate AS immediate,
       i.indisreplident AS replica_identity, i.indisclustered AS clustered,
       CASE WHEN i.indisunique THEN coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false)
            ELSE false END AS nulls_not_distinct,
       ARRAY(SELECT CASE k.attnum WHEN 0 THEN '(' || pg_get_indexdef(i.indexrelid, k.place::int, true) || ')'
                                  ELSE quote_ident(a.attname) END
               FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
               LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
              ORDER BY k.place) AS columns,
       i.indclass::text AS classes, i.indcollation::text AS collations, i.indoption::text AS options,
       CASE am.amname WHEN 'brin' THEN coalesce(c.reloptions::text, '') ELSE '' END ||
       coalesce((SELECT string_agg(a.attoptions::text, ' ' ORDER BY a.attnum) FROM pg_attribute a
                  WHERE a.attrelid = i.indexrelid AND a.attoptions IS NOT NULL), '') AS class_options,
       coalesce(pg_get_expr(i.indpred, i.indrelid, true), '') AS predicate,
       parent.inhparent::bigint AS parent,
       enforced.name AS constraint_name, coalesce(enforced.referenced, false) AS referenced,
       EXISTS (SELECT FROM locked WHERE locked.relation = i.indexrelid AND locked.granted)
       OR i.indrelid IN (SELECT relation FROM building) AS busy,
       CASE WHEN c.relkind = 'I' THEN 0
            WHEN %(exact)s AND NOT EXISTS (SELECT FROM locked WHERE locked.relation = i.indexrelid AND locked.fully)
            THEN coalesce(pg_relation_size(i.indexrelid), 0)
            ELSE c.relpages::bigint * current_setting('block_size')::bigint END AS bytes,
       greatest(t.reltuples, 0)::float8 AS rows,
       coalesce(counted.idx_scan, 0) AS scans, extract(epoch FROM counted.last_idx_scan)::float8 AS last_scan,
       pg_has_role(t.relowner, 'USAGE') AS owned,
       CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_maintain')
            THEN has_table_privilege(t.oid, 'MAINTAIN') ELSE false END AS maintained,
       coalesce(nullif(c.reltablespace, 0), (SELECT dattablespace FROM pg_database
                                               WHERE datname = current_database()))::bigint AS tablespace
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am am ON am.oid = c.relam
  LEFT JOIN pg_inherits parent ON parent.inhrelid = i.indexrelid
  LEFT JOIN enforced ON enforced.conindid = i.indexrelid
  LEFT JOIN counted ON counted.indexrelid = i.indexrelid
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND i.indrelid >= 16384
   AND CASE WHEN %(table)s::oid IS NULL THEN c.relpersistence <> 't' ELSE i.indrelid = %(table)s::oid END
 ORDER BY i.indexrelid
"""
_FOREIGN_KEYS = """
WITH locked AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_locks
     WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT k.oid::bigint AS oid, nullif(k.conparentid, 0)::bigint AS parent, k.conname::text AS name,
       n.nspname::text AS schema, t.relname::text AS table_name, t.oid::bigint AS table_oid,
       t.relkind::text AS table_kind, rn.nspname::text || '.' || r.relname::text AS referenced,
       ARRAY(SELECT quote_ident(a.attname) FROM unnest(k.conkey) WITH ORDINALITY c (attnum, place)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.attnum
              ORDER BY c.place) AS columns,
       CASE WHEN t.relkind = 'p' THEN 0
            WHEN %(exact)s AND t.oid NOT IN (SELECT relation FROM locked) THEN coalesce(pg_relation_size(t.oid), 0)
            ELSE t.relpages::bigint * current_setting('block_size')::bigint END AS bytes,
       pg_stat_get_tuples_deleted(r.oid) + pg_stat_get_tuples_updated(r.oid) AS writes
  FROM pg_constraint k
  JOIN pg_class t ON t.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_class r ON r.oid = k.confrelid
  JOIN pg_namespace rn ON rn.oid = r.relnamespace
 WHERE k.contype = 'f' AND t.relpersistence <> 't'
 ORDER BY k.oid
"""
#: What REINDEX CONCURRENTLY calls an index that it has not finished, or has replaced (PostgreSQL manual, REINDEX).
_LEFT_OVER = re.compile(r"_cc(?:new|old)\d*$")


@dataclass(frozen=True)
class Key:
    """A column or expression as it is indexed; ``text`` is a quoted name, or an expression in parentheses."""

    text: str
    operators: int = 0
    collation: int = 0
    option: int = 0


@dataclass(frozen=True)
class Index:
    """An index as the catalog and the counters know it; ``kind`` is ``i``, or ``I`` for one of a partitioned table.

    ``parent`` is the index of the partitioned table that this one is a part of. ``constraint_name`` is the key or
    exclusion constraint that it enforces, ``referenced`` says that foreign keys point to it. ``busy``: somebody builds,
    rebuilds or drops it just now. ``owned`` and ``maintained`` are what this login may do.
    """

    oid: int
    table_oid: int
    schema: str
    name: str
    table_name: str
    keys: tuple[Key, ...]
    included: tuple[str, ...] = ()
    table_kind: str = "r"
    kind: str = "i"
    method: str = "btree"
    valid: bool = True
    ready: bool = True
    unique: bool = False
    primary: bool = False
    exclusion: bool = False
    immediate: bool = True
    replica_identity: bool = False
    clustered: bool = False
    nulls_not_distinct: bool = False
    class_options: str = ""
    predicate: str = ""
    parent: int | None = None
    constraint_name: str | None = None
    referenced: bool = False
    busy: bool = False
    bytes: int = 0
    rows: float = 0.0
    scans: int = 0
    last_scan: datetime | None = None
    owned: bool = True
    maintained: bool = False
    tablespace: int = 1663

    @property
    def label(self) -> str:
        return clean(f"{self.schema}.{self.name}")

    @property
    def table_label(self) -> str:
        return clean(f"{self.schema}.{self.table_name}")

    @property
    def is_left_over(self) -> bool:
        """Whether a REINDEX CONCURRENTLY that broke off has left it behind."""
        # That of a partitioned table is never rebuilt itself, its partitions' are.
        return not self.valid and self.kind == "i" and bool(_LEFT_OVER.search(self.name))

    @property
    def of_toast(self) -> bool:
        return self.table_kind == "t"

    @property
    def enforces(self) -> bool:
        """Whether it does more than to find rows: a key, a constraint, what replication or foreign keys rest on."""
        return (
            self.unique
            or self.primary
            or self.exclusion
            or self.replica_identity
            or self.referenced
            or self.constraint_name is not None
        )

    @property
    def columns(self) -> str:
        """Its columns for people: ``(owner, created) INCLUDE (title) WHERE open``."""
        words = f"({', '.join(key.text for key in self.keys)})"
        if self.included:
            words += f" INCLUDE ({', '.join(self.included)})"
        return clean(f"{words} WHERE {self.predicate}" if self.predicate else words)


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; ``parent`` is the one of the partitioned table that it is a part of.

    ``bytes`` is the size of the table that has it, ``writes`` how many rows of the referenced table have been deleted
    or updated since the counters were reset.
    """

    oid: int
    parent: int | None
    name: str
    schema: str
    table_name: str
    table_oid: int
    columns: tuple[str, ...]
    referenced: str
    table_kind: str = "r"
    bytes: int = 0
    writes: int = 0


@dataclass(frozen=True)
class Family:
    """An index together with those of the partitions: what is used, measured and dropped as one."""

    root: Index
    members: tuple[Index, ...] = field(default=())

    @property
    def bytes(self) -> int:
        return sum(index.bytes for index in (self.root, *self.members))

    @property
    def scans(self) -> int:
        return sum(index.scans for index in (self.root, *self.members))

    @property
    def last_scan(self) -> datetime | None:
        return max((index.last_scan for index in (self.root, *self.members) if index.last_scan), default=None)

    @property
    def oids(self) -> tuple[int, ...]:
        return tuple(index.oid for index in (self.root, *self.members))


def collect_indexes(session: Session, _server: Server | None = None, _settings: Settings | None = None) -> Any:
    """All indexes of the session's database but the catalog's and those of temporary tables."""
    return indexes_of(session)


def indexes_of(session: Session, *, table: int | None = None) -> tuple[Index, ...]:
    """All indexes, or those of one table. Raises QueryError, ConnectError."""
    return tuple(read_index(row) for row in _unlocked(session, _INDEXES, {"table": table}))


def collect_foreign_keys(session: Session, _server: Server, _settings: Settings) -> tuple[ForeignKey, ...]:
    rows = _unlocked(session, _FOREIGN_KEYS, {})
    return tuple(ForeignKey(**{**row, "columns": tuple(row["columns"])}) for row in rows)


def _unlocked(session: Session, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return session.many(query, {**parameters, "exact": True})
    except QueryError as error:
        # Somebody has locked a relation between the look at the locks and the look at its size.
        if not error.is_locked:
            raise
        return session.many(query, {**parameters, "exact": False})


def read_index(row: dict[str, Any]) -> Index:
    """A row of the query as an index; the row is used up."""
    columns = row.pop("columns")
    vectors = [_vector(row.pop(name)) for name in ("classes", "collations", "options")]
    keys = tuple(map(_key, columns, *vectors))
    row["last_scan"] = moment(row["last_scan"])
    return Index(keys=keys, included=tuple(columns[len(keys) :]), **row)


@lru_cache(maxsize=1024)
def _vector(words: str) -> tuple[int, ...]:
    return tuple(map(int, words.split()))


@lru_cache(maxsize=1024)
def _key(text: str, operators: int, collation: int, option: int) -> Key:
    return Key(text, operators, collation, option)


def families(indexes: Sequence[Index]) -> list[Family]:
    """Indexes by what they are a part of, in the order of their roots."""
    by_oid = {index.oid: index for index in indexes}
    members: dict[int, list[Index]] = {}
    for index in indexes:
        root = _root(index, by_oid)
        if root is not index:
            members.setdefault(root.oid, []).append(index)
    return [Family(index, tuple(members.get(index.oid, ()))) for index in indexes if _root(index, by_oid) is index]


def _root(index: Index, by_oid: Mapping[int, Index]) -> Index:
    while index.parent is not None and index.parent in by_oid:
        index = by_oid[index.parent]
    return index
