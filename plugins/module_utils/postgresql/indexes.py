# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Index hygiene: invalid ones, remains of a broken rebuild, two of a kind, foreign keys that none supports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import (
    Family,
    ForeignKey,
    Index,
    collect_foreign_keys,
    collect_indexes,
    families,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Topic, View

_MEBI = 1024**2

CHECKS = (
    Check(
        "postgresql.index_invalid",
        "Invalid indexes",
        "Indexes that every write keeps up to date and no query uses, because building them broke off. Those that are "
        "being built, rebuilt or dropped at this moment do not count.",
        "fleetcare.maintenance.postgresql_reindex rebuilds them. Where a unique index fails again, its table holds "
        "duplicates; one of a partitioned table becomes valid once every partition has its part (ATTACH PARTITION).",
        "pg_index.indisvalid, pg_stat_progress_create_index, pg_locks",
        "",
        Levels(warning=1),
    ),
    Check(
        "postgresql.index_leftover",
        "Remains of rebuilt indexes",
        "Invalid indexes with names that end in _ccnew or _ccold: what a REINDEX CONCURRENTLY that was broken off "
        "leaves behind. Each takes as much disk as the index itself, and every further attempt adds one.",
        "fleetcare.maintenance.postgresql_reindex removes them; find out what broke the rebuild off.",
        "pg_index.indisvalid",
        "",
        Levels(warning=1),
    ),
    Check(
        "postgresql.index_duplicate",
        "Indexes of which an equal one exists",
        "Size of the indexes that do nothing which another valid index of the same table does not do: same columns, "
        "operators, order, predicate, and at least the same uniqueness.",
        "Drop the one that the evidence names with fleetcare.maintenance.postgresql_index, which records the way back; "
        "where it is there for a constraint, see that no ON CONFLICT names that, then ALTER TABLE ... DROP CONSTRAINT.",
        "pg_index",
        "B",
        Levels(info=1, warning=100 * _MEBI),
    ),
    Check(
        "postgresql.index_overlap",
        "Indexes that are the beginning of another",
        "Size of the indexes whose columns are the first columns of a wider index, which serves the same searches. The "
        "narrow one is smaller and can still be worth its keep where it is searched very often.",
        "Compare how often both are used; drop the narrow one with fleetcare.maintenance.postgresql_index.",
        "pg_index",
        "B",
        Levels(info=10 * _MEBI),
    ),
    Check(
        "postgresql.foreign_key_index",
        "Foreign keys without an index",
        "Size of the largest table with a foreign key that no index supports. To delete a row that the key points to, "
        "or to change its key, the server reads this whole table.",
        "Make the index that the evidence names with fleetcare.maintenance.postgresql_index, which builds it online.",
        "pg_constraint, pg_index",
        "B",
        Levels(info=10 * _MEBI, warning=1024 * _MEBI),
    ),
)
_SHOWN = 20


@dataclass(frozen=True)
class Superfluous:
    """An index that could go, and the one that does all that it does."""

    family: Family
    because: Index

    @property
    def words(self) -> str:
        index = self.family.root
        constraint = f", of constraint {index.constraint_name}" if index.constraint_name else ""
        return clean(
            f"{index.label} on {index.table_label} {index.columns}: {quantity(self.family.bytes, 'B')}, "
            f"{counted(self.family.scans, 'scan')}{constraint}; keep {self.because.label} {self.because.columns}"
        )


def is_removable(index: Index) -> bool:
    """Whether it could be dropped without taking a constraint, replication or a partition's part with it."""
    return (
        index.valid
        and not index.busy
        and not index.of_toast
        and index.parent is None
        and index.constraint_name is None
        and not (index.primary or index.exclusion or index.replica_identity or index.referenced)
    )


def is_second_key(index: Index) -> bool:
    """Whether it is there for a unique constraint alone, which another index may enforce as well."""
    return index.constraint_name is not None and is_removable(replace(index, constraint_name=None))


def finds_the_same(index: Index, other: Index) -> bool:
    """Whether both find the same rows in the same order by the same operators."""
    return (
        index.method == other.method
        and index.table_oid == other.table_oid
        and index.keys == other.keys
        and index.predicate == other.predicate
        and index.class_options == other.class_options
    )


def replaces(other: Index, index: Index) -> bool:
    """Whether ``other`` does all that ``index`` does."""
    if other.oid == index.oid or not other.valid or not finds_the_same(index, other):
        return False
    if not set(index.included) <= {*other.included, *(key.text for key in other.keys)}:
        return False
    return not index.unique or (
        other.unique and other.immediate >= index.immediate and other.nulls_not_distinct == index.nulls_not_distinct
    )


def is_beginning_of(index: Index, other: Index) -> bool:
    """Whether the columns of ``index`` are the first of a wider ``other`` that serves the same searches."""
    width = len(index.keys)
    return (
        index.method == other.method == "btree"
        and index.table_oid == other.table_oid
        and other.valid
        and not index.unique
        and width < len(other.keys)
        and index.keys == other.keys[:width]
        and index.predicate == other.predicate
        and set(index.included) <= {*other.included, *(key.text for key in other.keys)}
    )


def duplicates(indexes: Sequence[Index]) -> list[Superfluous]:
    """Indexes that an equal one makes superfluous, the largest first; of two of a kind one always stays."""
    found: list[Superfluous] = []
    for group in _by_table(indexes).values():
        kept: list[Index] = []
        for family in sorted(group, key=lambda one: _worth(one.root), reverse=True):
            index = family.root
            because = next((other for other in kept if replaces(other, index)), None)
            if because is not None and (is_removable(index) or is_second_key(index)):
                found.append(Superfluous(family, because))
            else:
                kept.append(index)
    return sorted(found, key=lambda one: (-one.family.bytes, one.family.root.oid))


def overlaps(indexes: Sequence[Index], *, equal: Sequence[Superfluous] | None = None) -> list[Superfluous]:
    """Indexes that a wider one makes superfluous, the largest first; the ``equal`` ones are not told again."""
    gone = {one.family.root.oid for one in (duplicates(indexes) if equal is None else equal)}
    found: list[Superfluous] = []
    for group in _by_table(indexes).values():
        staying = [family.root for family in group if family.root.oid not in gone]
        for family in group:
            index = family.root
            if index.oid in gone or not is_removable(index):
                continue
            because = next((other for other in staying if is_beginning_of(index, other)), None)
            if because is not None:
                found.append(Superfluous(family, because))
    return sorted(found, key=lambda one: (-one.family.bytes, one.family.root.oid))


def _by_table(indexes: Sequence[Index]) -> Mapping[int, list[Family]]:
    """Families of the tables with more than one index; a partition's part of another index counts as its table's."""
    known = {family.root.oid: family for family in families(indexes)}
    groups: dict[int, list[Family]] = {}
    for index in indexes:
        groups.setdefault(index.table_oid, []).append(known.get(index.oid) or Family(index))
    return {table: group for table, group in groups.items() if len(group) > 1}


def _worth(index: Index) -> tuple[int, bool, int, int, int]:
    """What is rather kept: what cannot go, a constraint, the unique, with more columns, with more use, the older."""
    hold = 0 if is_removable(index) else 1 if is_second_key(index) else 2
    return (hold, index.unique, len(index.included), index.scans, -index.oid)


def supports(index: Index, columns: Sequence[str]) -> bool:
    """Whether the rows with certain values in these columns are found by it."""
    if not index.valid or index.method not in ("btree", "hash"):
        return False
    wanted = set(columns)
    # A search for equality implies that the column is not null, and the planner knows it.
    if index.predicate and not set(index.predicate.split(" AND ")) <= {f"{column} IS NOT NULL" for column in wanted}:
        return False
    return {key.text for key in index.keys[: len(wanted)]} == wanted


@dataclass(frozen=True)
class Unsupported:
    """A foreign key that no index supports, with the sizes of its table or of those partitions that lack one."""

    key: ForeignKey
    bytes: int
    tables: int

    @property
    def words(self) -> str:
        key = self.key
        columns = f"({', '.join(key.columns)})"
        of = f" in {counted(self.tables, 'partition')}" if key.table_kind == "p" else ""
        return clean(
            f"{key.schema}.{key.table_name} {columns}{of}: {quantity(self.bytes, 'B')}, to {key.referenced}, "
            f"of which {counted(key.writes, 'row')} changed or went"
        )


def unsupported(keys: Sequence[ForeignKey], indexes: Sequence[Index]) -> list[Unsupported]:
    """Foreign keys without an index, the largest table first; those of partitions as the one that they are parts of."""
    by_table: dict[int, list[Index]] = {}
    for index in indexes:
        by_table.setdefault(index.table_oid, []).append(index)
    by_oid = {key.oid: key for key in keys}
    lacking: dict[int, dict[int, int]] = {}
    for key in keys:
        # A partitioned table holds no rows; its partitions have the same key and are asked one by one.
        if key.table_kind == "p" or any(supports(index, key.columns) for index in by_table.get(key.table_oid, ())):
            continue
        lacking.setdefault(_root(key, by_oid).oid, {})[key.table_oid] = key.bytes
    found = [Unsupported(by_oid[oid], sum(tables.values()), len(tables)) for oid, tables in lacking.items()]
    return sorted(found, key=lambda one: (-one.bytes, one.key.oid))


def _root(key: ForeignKey, by_oid: Mapping[int, ForeignKey]) -> ForeignKey:
    while key.parent is not None and key.parent in by_oid:
        key = by_oid[key.parent]
    return key


def invalid(view: View) -> Iterator[Answer]:
    yield from _broken(view, "postgresql.index_invalid", "invalid indexes", left_over=False)


def leftover(view: View) -> Iterator[Answer]:
    yield from _broken(view, "postgresql.index_leftover", "remains of rebuilt indexes", left_over=True)


def _broken(view: View, check: str, phrase: str, *, left_over: bool) -> Iterator[Answer]:
    for database, indexes in view.in_databases("index_facts"):
        broken = sorted(
            (one for one in indexes if not one.valid and not one.busy and one.is_left_over == left_over),
            key=lambda one: (-one.bytes, one.oid),
        )
        yield from view.measure(
            check,
            view.item(database),
            len(broken),
            phrase,
            note=quantity(sum(one.bytes for one in broken), "B") if broken else "",
            evidence=[f"{one.label} on {one.table_label}: {quantity(one.bytes, 'B')}{_why(one)}" for one in broken],
        )
    yield from view.absences(check, "index_facts")


def _why(index: Index) -> str:
    if index.kind == "I":
        return ", partitioned: some partition lacks its part"
    return ", unique: its table may hold duplicates" if index.unique and not index.is_left_over else ""


def duplicate(view: View) -> Iterator[Answer]:
    for database, indexes in view.in_databases("index_facts"):
        found = _duplicates(view, database, indexes)
        yield from _superfluous(view, "postgresql.index_duplicate", database, found, "duplicate indexes")
    yield from view.absences("postgresql.index_duplicate", "index_facts")


def _duplicates(view: View, database: str, indexes: Sequence[Index]) -> list[Superfluous]:
    return view.once(f"duplicates of {database}", partial(duplicates, indexes))


def overlap(view: View) -> Iterator[Answer]:
    for database, indexes in view.in_databases("index_facts"):
        found = overlaps(indexes, equal=_duplicates(view, database, indexes))
        yield from _superfluous(view, "postgresql.index_overlap", database, found, "overlapping indexes")
    yield from view.absences("postgresql.index_overlap", "index_facts")


def _superfluous(view: View, check: str, database: str, found: Sequence[Superfluous], phrase: str) -> Iterator[Answer]:
    yield from view.measure(
        check,
        view.item(database),
        sum(one.family.bytes for one in found),
        phrase,
        note=counted(len(found), "index", "indexes") if found else "",
        evidence=[one.words for one in found],
    )


def foreign_key_index(view: View) -> Iterator[Answer]:
    indexes = dict(view.in_databases("index_facts"))
    for database, keys in view.in_databases("foreign_keys"):
        if database not in indexes:
            continue
        found = unsupported(keys, indexes[database])
        yield from view.measure(
            "postgresql.foreign_key_index",
            view.item(database),
            found[0].bytes if found else 0,
            "largest table with a foreign key that no index supports",
            note=counted(len(found), "such key") if found else "",
            evidence=[one.words for one in found],
        )
    absences = (view.absences("postgresql.foreign_key_index", part) for part in ("index_facts", "foreign_keys"))
    # A database that lets nobody in lacks both, for the one reason.
    yield from dict.fromkeys(absence for found in absences for absence in found)


_INDEXES = ("index_facts",)

TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.index_invalid": (invalid, _INDEXES),
        "postgresql.index_leftover": (leftover, _INDEXES),
        "postgresql.index_duplicate": (duplicate, _INDEXES),
        "postgresql.index_overlap": (overlap, _INDEXES),
        "postgresql.foreign_key_index": (foreign_key_index, ("index_facts", "foreign_keys")),
    },
    database={"index_facts": collect_indexes, "foreign_keys": collect_foreign_keys},
)
