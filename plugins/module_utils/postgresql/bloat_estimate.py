# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many pages a table or a b-tree would need for its rows, from the statistics of its columns; nothing is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import QueryError, Session

# A relation whose pages are fewer than the floor cannot waste as much as the floor, so it is not asked for at all.
# Rows and pages are both as of the last vacuum or analyze, so that they belong together. What nobody has vacuumed or
# analyzed since it was empty, as after a restore or pg_upgrade, the catalog knows nothing of: its file is asked, unless
# it is locked, and how many rows are in it stays unknown (-1).
_HEAPS = """
WITH locked AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_locks
     WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
       AND database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
), known AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, c.relnamespace, n.nspname, c.reltuples, c.relpages, c.reloptions,
           %(exact)s AND c.relpages <= 1 AND c.oid NOT IN (SELECT relation FROM locked) AS untold
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 't' AND (c.relpages <= 1 OR c.relpages >= %(pages)s)
), sized AS MATERIALIZED (
    SELECT k.*, CASE WHEN untold THEN coalesce(pg_relation_size(oid, 'main'), 0)
                                      / current_setting('block_size')::bigint ELSE relpages END AS pages FROM known k
), large AS MATERIALIZED (
    SELECT s.*, CASE WHEN pages > greatest(relpages, 1) THEN -1 ELSE reltuples END AS rows
      FROM sized s WHERE pages >= %(pages)s
)
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       main_n.nspname || '.' || main.relname AS main, c.rows::float8 AS rows, c.pages AS pages,
       (SELECT option_value::int FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor') AS fill,
       current_setting('block_size')::int AS block,
       c.relkind = 't' OR has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT') AS allowed,
       a.widths, a.nulls, a.lengths, a.aligns
  FROM large c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class main ON c.relkind = 't' AND main.reltoastrelid = c.oid
  LEFT JOIN pg_namespace main_n ON main_n.oid = main.relnamespace
  LEFT JOIN (
    SELECT b.oid, array_agg(s.avg_width ORDER BY a.attnum) AS widths,
           array_agg(s.null_frac::float8 ORDER BY a.attnum) AS nulls,
           array_agg(a.attlen::int ORDER BY a.attnum) AS lengths,
           array_agg(a.attalign::text ORDER BY a.attnum) AS aligns
      FROM large b
      JOIN pg_attribute a ON a.attrelid = b.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_stats s
        ON s.schemaname = b.nspname AND s.tablename = b.relname AND s.attname = a.attname AND NOT s.inherited
     WHERE b.relkind <> 't'
     GROUP BY b.oid
  ) a ON a.oid = c.oid
"""
# Proc 4 of an operator class says that equal keys look the same, so that b-trees keep equal keys once.
_TREES = """
WITH locked AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_locks
     WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
       AND database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
), known AS MATERIALIZED (
    SELECT c.oid, c.relname, n.nspname, c.reltuples, c.relpages, c.reloptions, i.indrelid, i.indkey, i.indclass,
           %(exact)s AND c.relpages <= 1 AND c.oid NOT IN (SELECT relation FROM locked) AS untold, i.indisunique,
           i.indpred IS NOT NULL AS partial, i.indnkeyatts, t.relname AS table_name,
           tn.nspname AS table_schema, t.reltuples AS table_rows
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_index i ON i.indexrelid = c.oid AND i.indisvalid AND i.indisready
      JOIN pg_class t ON t.oid = i.indrelid AND t.relpersistence <> 't' AND t.relkind IN ('r', 'm')
      JOIN pg_namespace tn ON tn.oid = t.relnamespace
      JOIN pg_am am ON am.oid = c.relam AND am.amname = 'btree'
     WHERE c.relkind = 'i' AND (c.relpages <= 1 OR c.relpages >= %(pages)s)
), sized AS MATERIALIZED (
    SELECT k.*, CASE WHEN untold THEN coalesce(pg_relation_size(oid, 'main'), 0)
                                      / current_setting('block_size')::bigint ELSE relpages END AS pages FROM known k
), large AS MATERIALIZED (
    SELECT s.*, CASE WHEN pages > greatest(relpages, 1) THEN -1 WHEN reltuples > 0 OR partial THEN reltuples
                     ELSE table_rows END AS rows
      FROM sized s WHERE pages >= %(pages)s
)
SELECT c.oid::bigint AS oid, c.nspname::text AS schema, c.relname::text AS name,
       c.table_schema || '.' || c.table_name AS main,
       c.rows::float8 AS rows, c.pages AS pages,
       (SELECT option_value::int FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor') AS fill,
       current_setting('block_size')::int AS block,
       has_table_privilege(c.indrelid, 'SELECT') OR has_any_column_privilege(c.indrelid, 'SELECT') AS allowed,
       NOT c.indisunique AND array_length(c.indkey::int2[], 1) = c.indnkeyatts
       AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions)
                        WHERE option_name = 'deduplicate_items' AND NOT option_value::bool)
       AND NOT EXISTS (SELECT FROM pg_opclass o
                        WHERE o.oid = ANY (c.indclass::oid[])
                          AND NOT EXISTS (SELECT FROM pg_amproc p
                                           WHERE p.amprocfamily = o.opcfamily AND p.amprocnum = 4
                                             AND p.amproclefttype = o.opcintype)) AS merges,
       a.widths, a.nulls, a.lengths, a.aligns, a.distincts
  FROM large c
  JOIN (
    SELECT b.oid, array_agg(s.avg_width ORDER BY a.attnum) AS widths,
           array_agg(s.null_frac::float8 ORDER BY a.attnum) AS nulls,
           array_agg(a.attlen::int ORDER BY a.attnum) AS lengths,
           array_agg(a.attalign::text ORDER BY a.attnum) AS aligns,
           array_agg(s.n_distinct::float8 ORDER BY a.attnum) AS distincts
      FROM large b
      JOIN pg_attribute a ON a.attrelid = b.oid AND a.attnum > 0
      LEFT JOIN pg_attribute k ON k.attrelid = b.indrelid AND k.attnum = b.indkey[a.attnum - 1] AND k.attnum > 0
      LEFT JOIN pg_stats s
        ON s.schemaname = b.nspname AND NOT s.inherited AND s.attname = coalesce(k.attname, a.attname)
       AND s.tablename = CASE WHEN k.attname IS NULL THEN b.relname ELSE b.table_name END
     GROUP BY b.oid
  ) a ON a.oid = c.oid
"""
_KINDS: Mapping[str, str] = {"r": "table", "m": "materialized view", "t": "TOAST"}
_ALIGNS: Mapping[str, int] = {"c": 1, "s": 2, "i": 4, "d": 8}
_PAGE_HEADER = 24
_LINE_POINTER = 4
#: Longer values have a header of four bytes and are aligned, shorter ones begin anywhere.
_SHORT_VALUE = 126
_ROW_POINTER = 6
_FEW_ROWS = 4


@dataclass(frozen=True)
class Column:
    """A column's statistics: average ``width``, share of ``nulls``, ``length`` (-1 varies), alignment, distinct."""

    width: int
    nulls: float
    length: int
    align: str
    distinct: float = -1.0


@dataclass(frozen=True)
class Relation:
    """A table, TOAST or b-tree with what is known of its size. ``columns`` is None where statistics are missing.

    ``allowed``: this login may see statistics of it. ``fill`` is None where the fillfactor is the usual one.
    ``merges``: a b-tree that keeps equal keys once.
    """

    oid: int
    schema: str
    name: str
    kind: str
    main: str | None
    rows: float
    pages: int
    fill: int | None
    block: int
    allowed: bool
    columns: tuple[Column, ...] | None
    merges: bool = False

    @property
    def label(self) -> str:
        """Its name for people: ``public.orders``, ``TOAST of public.orders``, ``public.orders_pkey``."""
        return clean(f"TOAST of {self.main}" if self.kind == "TOAST" and self.main else f"{self.schema}.{self.name}")

    @property
    def bytes(self) -> int:
        return self.pages * self.block

    @property
    def needed_pages(self) -> int | None:
        """How many pages it would have if it were written anew; None where that cannot be told."""
        if self.kind == "TOAST":
            # Four full chunks fit on a page; the last chunk of a value is smaller, so this is the most it needs.
            return None if self.rows < 0 else math.ceil(self.rows / 4)
        if self.rows < 0 or self.columns is None or (self.kind == "index" and self.rows == 0):
            return None
        return _tree_pages(self, self.columns) if self.kind == "index" else _heap_pages(self, self.columns)

    @property
    def wasted(self) -> int | None:
        """Bytes that writing it anew would free; None where that cannot be told."""
        needed = self.needed_pages
        return None if needed is None else max(0, self.pages - needed) * self.block


def large_heaps(session: Session, *, least: int, block: int) -> tuple[Relation, ...]:
    """Tables, materialized views and TOAST of at least so many bytes, temporary ones left out."""
    rows = _large(session, _HEAPS, pages=max(1, least // block))
    return tuple(_relation({**row, "kind": _KINDS[row["kind"]]}) for row in rows)


def large_trees(session: Session, *, least: int, block: int) -> tuple[Relation, ...]:
    """Valid b-tree indexes of at least so many bytes."""
    rows = _large(session, _TREES, pages=max(1, least // block))
    return tuple(_relation({**row, "kind": "index"}) for row in rows)


def _large(session: Session, query: str, *, pages: int) -> list[dict[str, Any]]:
    try:
        return session.many(query, {"pages": pages, "exact": True})
    except QueryError as error:
        # Somebody has locked a relation between the look at the locks and the look at its file.
        if not error.is_locked:
            raise
        return session.many(query, {"pages": pages, "exact": False})


def _relation(row: Mapping[str, Any]) -> Relation:
    plain = {name: row[name] for name in row if name not in ("widths", "nulls", "lengths", "aligns", "distincts")}
    return Relation(**plain, columns=_columns(row))


def _columns(row: Mapping[str, Any]) -> tuple[Column, ...] | None:
    widths = row["widths"]
    # A column without statistics has been added since the last ANALYZE, or may not be looked at.
    if widths is None or any(width is None for width in widths):
        return None
    distincts = row.get("distincts") or [-1.0] * len(widths)
    return tuple(map(Column, widths, row["nulls"], row["lengths"], row["aligns"], distincts))


def _aligned(size: float, to: int = 8) -> int:
    return math.ceil(size / to) * to


def data_width(columns: Sequence[Column]) -> float:
    """The average width of a row's data, with the gaps that alignment leaves between its columns and at its end.

    A gap depends on where the column before it ends, within eight bytes: after a NULL sometimes here, sometimes there,
    after a value of any length anywhere.
    """
    width = 0.0
    ends = [1.0, *[0.0] * 7]
    for column in columns:
        varies = column.length < 0
        align = 1 if varies and column.width <= _SHORT_VALUE else _ALIGNS[column.align]
        after = [chance * column.nulls for chance in ends]
        for end, chance in enumerate(ends):
            taken = -end % align + column.width
            width += chance * (1 - column.nulls) * taken
            for at in range(8) if varies else ((end + taken) % 8,):
                after[at] += chance * (1 - column.nulls) / (8 if varies else 1)
        ends = after
    return width + sum(chance * (-end % 8) for end, chance in enumerate(ends))


def _heap_pages(relation: Relation, columns: Sequence[Column]) -> int:
    header = _aligned(23 + (math.ceil(len(columns) / 8) if any(column.nulls for column in columns) else 0))
    row = header + data_width(columns) + _LINE_POINTER
    room = (relation.block - _PAGE_HEADER) * (relation.fill or 100) / 100
    per_page = room / row
    # A page holds whole rows. Of such that are nearly as large as a page, large and small ones share one.
    if per_page >= _FEW_ROWS:
        per_page = math.floor(per_page)
    return math.ceil(relation.rows / per_page)


def _tree_pages(relation: Relation, columns: Sequence[Column]) -> int:
    nullable = any(column.nulls for column in columns)
    key = (16 if nullable else 8) + data_width(columns)
    room = (relation.block - _PAGE_HEADER - 16) * (relation.fill or 90) / 100
    size = relation.rows * (key + _LINE_POINTER)
    if relation.merges:
        # The rows of one key are listed behind it, in pieces of up to a tenth of a page.
        per_piece = max(1.0, (relation.block / 10 - key) / _ROW_POINTER)
        keys = distinct_keys(relation.rows, columns)
        pieces = max(keys, keys + (relation.rows - keys) / per_piece)
        size = min(size, pieces * (key + _LINE_POINTER) + _ROW_POINTER * relation.rows)
    # The first page is the index's own; inner pages hold a key for each page below.
    leaves = math.ceil(size / room)
    return 1 + leaves + math.ceil(leaves * (key + _LINE_POINTER) / room)


def distinct_keys(rows: float, columns: Sequence[Column]) -> float:
    """How many different keys there are at most, if the columns had nothing to do with each other."""
    keys = 1.0
    for column in columns:
        distinct = column.distinct if column.distinct > 0 else -column.distinct * rows
        keys *= max(1.0, distinct + (1 if column.nulls else 0))
    return min(rows, keys)
