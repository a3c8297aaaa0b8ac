# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which indexes are broken, superfluous or missing, from rows as servers give them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import (
    ForeignKey,
    Index,
    Key,
    families,
    read_index,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.indexes import (
    TOPIC,
    duplicates,
    is_removable,
    is_second_key,
    overlaps,
    replaces,
    supports,
    unsupported,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import ask

#: A row of PostgreSQL 17: CREATE INDEX "by it" ON "User" (lower("e mail") DESC, kind) INCLUDE (id) WHERE kind > 3
ROW: dict[str, Any] = {
    "oid": 17001, "table_oid": 17000, "schema": "public", "name": "by it", "table_name": "User", "table_kind": "r",
    "kind": "i", "method": "btree", "valid": True, "ready": True, "unique": False, "primary": False,
    "exclusion": False, "immediate": True, "replica_identity": False, "clustered": False,
    "nulls_not_distinct": False, "columns": ['(lower("e mail"))', "kind", "id"], "classes": "3126 1978",
    "collations": "100 0", "options": "3 0", "class_options": "", "predicate": "kind > 3", "parent": None,
    "constraint_name": None, "referenced": False, "busy": False, "bytes": 16384, "rows": 3000.0, "scans": 4,
    "last_scan": None, "owned": True, "maintained": False, "tablespace": 1663,
}  # fmt: skip


def index(oid: int = 1, *columns: str, **facts: Any) -> Index:
    plain: dict[str, Any] = {"table_oid": 100, "schema": "public", "name": f"i{oid}", "table_name": "t", "bytes": 8192}
    return Index(oid=oid, keys=tuple(map(Key, columns or ("a",))), **{**plain, **facts})


def key(oid: int = 1, *columns: str, **facts: Any) -> ForeignKey:
    plain: dict[str, Any] = {"parent": None, "schema": "public", "table_name": "t", "table_oid": 100, "bytes": 8192}
    return ForeignKey(oid=oid, name=f"f{oid}", columns=columns or ("a",), referenced="public.r", **{**plain, **facts})


def test_a_row_becomes_an_index_with_its_keys_and_what_it_includes() -> None:
    read = read_index(dict(ROW))

    assert read.keys == (Key('(lower("e mail"))', 3126, 100, 3), Key("kind", 1978, 0, 0))
    assert read.included == ("id",)
    assert read.columns == '((lower("e mail")), kind) INCLUDE (id) WHERE kind > 3'
    assert not read.enforces


@pytest.mark.parametrize(
    ("name", "valid", "expected"),
    [
        ("a_ccnew", False, True),
        ("a_ccold", False, True),
        ("a_ccnew12", False, True),
        ("a_ccnew", True, False),
        ("a_ccnewer", False, False),
        ("ccnew", False, False),
    ],
)
def test_remains_are_told_by_name_and_only_while_invalid(name: str, valid: bool, expected: bool) -> None:
    assert index(name=name, valid=valid).is_left_over is expected


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"table_oid": 101}, False),
        ({"method": "hash"}, False),
        ({"predicate": "a > 1"}, False),
        ({"keys": (Key("a", operators=1),)}, False),
        ({"keys": (Key("a", option=3),)}, False),
        ({"keys": (Key("a"), Key("b"))}, False),
        ({"valid": False}, False),
        ({"unique": True}, True),
        ({"included": ("b",)}, True),
        ({"class_options": "{siglen=32}"}, False),
    ],
)
def test_another_replaces_an_index_only_where_it_does_all_of_it(change: dict[str, Any], same: bool) -> None:
    assert replaces(replace(index(2), **change), index(1)) is same


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"unique": True}, True),
        ({"unique": True, "included": ("b",)}, True),
        ({"unique": True, "immediate": False}, False),
        ({"unique": True, "nulls_not_distinct": True}, False),
        ({"unique": False}, False),
    ],
)
def test_a_unique_one_is_replaced_only_by_what_enforces_the_same(other: dict[str, Any], expected: bool) -> None:
    assert replaces(replace(index(2), **other), index(1, unique=True)) is expected


def test_of_two_of_a_kind_the_constraint_stays_then_the_unique_then_the_used_then_the_old() -> None:
    key_index = index(9, constraint_name="t_pkey", unique=True, primary=True)
    unique, used, old, new = index(8, unique=True), index(7, scans=5), index(5), index(6)
    gone = [one.family.root.oid for one in duplicates([key_index, unique, used, old, new])]

    assert sorted(gone) == [5, 6, 7, 8]
    assert [one.family.root.oid for one in duplicates([used, old, new])] == [5, 6]
    assert [one.family.root.oid for one in duplicates([old, new])] == [6]


def test_a_constraint_that_another_key_enforces_too_is_superfluous() -> None:
    primary = index(1, constraint_name="t_pkey", unique=True, primary=True)
    second = index(2, constraint_name="t_id_key", unique=True, scans=9)
    (only,) = duplicates([second, primary])

    assert (only.family.root, only.because) == (second, primary)
    assert ", of constraint t_id_key; keep public.i1" in only.words
    # What a foreign key points to stays; of two constraints the one goes that waits for the end of a transaction in vain.
    assert duplicates([replace(second, referenced=True), primary]) == []
    late = replace(primary, primary=False, immediate=False)
    assert [one.family.root for one in duplicates([second, late])] == [late]


def test_the_beginning_of_a_wider_one_is_told_but_not_one_that_goes_itself() -> None:
    wide, twin, narrow, unique = index(1, "a", "b"), index(2, "a", "b"), index(3, "a"), index(4, "a", unique=True)
    found = overlaps([wide, twin, narrow, unique])

    assert [(one.family.root.oid, one.because.oid) for one in found] == []
    found = overlaps([wide, twin, narrow])
    assert [(one.family.root.oid, one.because.oid) for one in found] == [(3, 1)]
    assert overlaps([index(1, "b", "a"), index(2, "a")]) == []


def test_the_parts_of_an_index_of_a_partitioned_table_count_with_it() -> None:
    whole, twin = index(1, kind="I", bytes=0), index(2, kind="I", bytes=0)
    parts = [index(10 + of, table_oid=200, parent=of, scans=of) for of in (1, 2)]
    (only,) = duplicates([whole, twin, *parts])

    assert only.family.root is whole or only.family.root is twin
    assert only.family.bytes == 8192
    assert [len(family.members) for family in families([whole, twin, *parts])] == [1, 1]


INDEXES = st.lists(
    st.builds(
        lambda oid, columns, facts: index(oid, *columns, **facts),
        st.integers(1, 30),
        st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True),
        st.fixed_dictionaries(
            {},
            optional={
                "table_oid": st.sampled_from([100, 101]),
                "unique": st.booleans(),
                "valid": st.booleans(),
                "immediate": st.booleans(),
                "constraint_name": st.sampled_from([None, "c"]),
                "predicate": st.sampled_from(["", "a > 1"]),
                "included": st.sampled_from([(), ("z",)]),
                "scans": st.integers(0, 2),
                "replica_identity": st.booleans(),
            },
        ),
    ),
    max_size=12,
    unique_by=lambda one: one.oid,
)


@given(INDEXES)
def test_what_is_superfluous_can_go_all_at_once_and_nothing_is_lost(indexes: list[Index]) -> None:
    gone = duplicates(indexes)
    oids = {one.family.root.oid for one in gone}
    staying = [one for one in indexes if one.oid not in oids]

    for one in gone:
        assert is_removable(one.family.root) or is_second_key(one.family.root)
        assert any(replaces(other, one.family.root) for other in staying)
    narrow = overlaps(indexes)
    assert not oids & {one.family.root.oid for one in narrow}
    assert all(is_removable(one.family.root) and not one.family.root.unique for one in narrow)
    assert duplicates(staying) == []


@pytest.mark.parametrize(
    ("columns", "one", "expected"),
    [
        (("a",), index(1, "a", "b"), True),
        (("a", "b"), index(1, "b", "a"), True),
        (("a", "b"), index(1, "a"), False),
        (("b",), index(1, "a", "b"), False),
        (("a",), index(1, "a", predicate="a IS NOT NULL"), True),
        (("a", "b"), index(1, "a", "b", predicate="a IS NOT NULL AND b IS NOT NULL"), True),
        (("a",), index(1, "a", predicate="b IS NOT NULL"), False),
        (("a",), index(1, "a", valid=False), False),
        (("a",), index(1, "a", method="hash"), True),
        (("a",), index(1, "a", method="gin"), False),
    ],
)
def test_an_index_supports_a_foreign_key_by_its_first_columns(
    columns: tuple[str, ...], one: Index, expected: bool
) -> None:
    assert supports(one, columns) is expected


def test_foreign_keys_of_partitions_are_told_as_that_of_their_table() -> None:
    whole = key(1, table_kind="p", bytes=0)
    parts = [key(2, parent=1, table_oid=201), key(3, parent=1, table_oid=202), key(4, parent=1, table_oid=203)]
    found = unsupported([whole, *parts], [index(5, table_oid=202)])

    assert [(one.key.oid, one.bytes, one.tables) for one in found] == [(1, 16384, 2)]
    # To a partitioned table a key has a row for each of its partitions.
    twice = [key(1), key(2, parent=1), key(3, parent=2)]
    assert [(one.key.oid, one.bytes, one.tables) for one in unsupported(twice, [])] == [(1, 8192, 1)]


def test_every_database_has_one_finding_and_an_unreachable_one_says_why() -> None:
    broken = index(1, valid=False, name="x\x1b[31m", bytes=3 * 1024**2)
    databases = {
        "shop": {"index_facts": (broken, index(2, "b", valid=False, busy=True)), "foreign_keys": ()},
        "other": {"index_facts": Absent("no way in", remedy="GRANT"), "foreign_keys": Absent("no way in")},
    }
    found, metrics = ask(TOPIC, "postgresql.index_invalid", databases=databases)

    assert [(one.item, one.status) for one in found] == [
        ("localhost:5432/shop", "warning"), ("localhost:5432/other", "skipped"),
    ]  # fmt: skip
    assert found[0].evidence == ("public.x on public.t: 3 MiB",)
    assert metrics["postgresql.index_invalid", "localhost:5432/shop"] == 1
    keys, _metrics = ask(TOPIC, "postgresql.foreign_key_index", databases=databases)
    assert sorted(one.item for one in keys)[0] == "localhost:5432/other"


def test_a_thousand_duplicates_are_one_finding_with_the_worst_of_them() -> None:
    many = [index(oid, table_oid=oid // 2, bytes=oid * 8192) for oid in range(2, 2002)]
    found, metrics = ask(TOPIC, "postgresql.index_duplicate", databases={"shop": {"index_facts": tuple(many)}})

    assert len(found) == len(metrics) == 1
    assert "1000 indexes" in found[0].summary
    assert found[0].evidence[0].startswith("public.i2001 ")
    assert found[0].evidence[-1] == "and 981 more"
