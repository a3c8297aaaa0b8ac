# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as growth and as loss between two runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.growth import (
    TOPIC,
    Before,
    compare,
    read_before,
    remember,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import DatabaseName
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)

GIB = 1024**3
ORDERS = Table(16401, "public", "Orders", rows=1000, live=1000, heap_bytes=3 * GIB, index_bytes=GIB)
YESTERDAY = replace(SERVER, now=NOW - timedelta(days=1))


def then_and_now(before: tuple[Table, ...], now: tuple[Table, ...], check: str) -> list[Finding]:
    """What a check says of a database's tables that were ``before`` a day ago."""
    asked = {check.partition(".")[2]: True}
    written = remember(
        Snapshot(server=YESTERDAY, now=YESTERDAY.now, parts=asked, databases={"shop": {"tables": before}})
    )
    memory = remembered(YESTERDAY, **written)
    findings, _metrics = ask(TOPIC, check, databases={"shop": {"tables": now}}, memory=memory)
    return findings


def test_a_table_twice_as_large_has_grown_by_all_of_it() -> None:
    (finding,) = then_and_now((ORDERS,), (replace(ORDERS, heap_bytes=7 * GIB),), "postgresql.table_growth")

    assert (finding.item, finding.status, finding.value) == ("localhost:5432/shop public.Orders", "warning", 100)
    assert "public.Orders: 4 GiB -> 8 GiB (+100 %) in 1 d" in finding.summary


@pytest.mark.parametrize(
    ("now", "status", "value"),
    [
        (replace(ORDERS, heap_bytes=0, index_bytes=0, live=0, rows=-1), "critical", 100),
        (replace(ORDERS, heap_bytes=GIB // 2, index_bytes=GIB // 2, live=250, rows=250), "warning", 75),
        (replace(ORDERS, heap_bytes=GIB, index_bytes=GIB), "ok", None),
        (replace(ORDERS, heap_bytes=GIB, index_bytes=GIB, live=0, rows=1000), "ok", None),
        (replace(ORDERS, heap_bytes=0, index_bytes=0, live=0, rows=-1, estimated=True), "ok", None),
        (replace(ORDERS, index_bytes=GIB - 1000, live=0, rows=0), "ok", None),
        (replace(ORDERS, oid=1, live=10, rows=10, heap_bytes=0, index_bytes=0), "critical", 100),
        (replace(ORDERS, oid=1), "ok", None),
        (replace(ORDERS, name="Archive"), "ok", None),
    ],
    ids=[
        "truncated",
        "deleted",
        "compacted",
        "compacted after a crash",
        "locked",
        "hardly",
        "made anew, empty",
        "made anew",
        "renamed",
    ],
)
def test_a_loss_is_one_of_rows_and_not_of_space_alone(now: Table, status: str, value: float | None) -> None:
    (finding,) = then_and_now((ORDERS,), (now,), "postgresql.table_shrinkage")

    assert (finding.status, finding.value) == (status, value)


def test_a_table_that_is_gone_is_lost_and_a_partition_has_had_its_time() -> None:
    partition = replace(ORDERS, oid=2, name="log_2025", partition=True)
    findings = then_and_now((ORDERS, partition), (), "postgresql.table_shrinkage")

    assert [(finding.item, finding.value) for finding in findings] == [("localhost:5432/shop public.Orders", 100)]


def test_temporary_shared_and_toast_relations_are_no_tables_of_their_own() -> None:
    others = (
        replace(ORDERS, oid=2, persistence="t"),
        replace(ORDERS, oid=3, shared=True),
        replace(ORDERS, oid=4, kind="t"),
        replace(ORDERS, oid=5, kind="p"),
        replace(ORDERS, oid=6, system=True),
    )
    (finding,) = then_and_now(others, (), "postgresql.table_shrinkage")

    assert finding.status == "ok"


def test_a_database_that_was_not_looked_at_before_is_skipped_and_the_others_are_not() -> None:
    memory = remembered(YESTERDAY, table_growth={"shop": {}})
    databases = {"shop": {"tables": ()}, "new": {"tables": ()}, "shut": {"tables": Absent("may not connect")}}
    findings, _metrics = ask(TOPIC, "postgresql.table_growth", databases=databases, memory=memory)

    assert [(finding.item, finding.status) for finding in findings] == [
        ("localhost:5432/shop", "ok"),
        ("localhost:5432/new", "skipped"),
        ("localhost:5432/shut", "skipped"),
    ]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_damaged_memory_is_no_memory(raw: Any) -> None:
    before = read_before(raw)

    assert before is None or all(isinstance(entry, Before) for entry in before)


SIZES = st.integers(0, 20 * GIB)


@given(st.lists(SIZES, max_size=30), st.lists(SIZES, max_size=30))
def test_every_table_is_compared_with_itself_and_none_twice(then: list[int], now: list[int]) -> None:
    before = [Before(f"public.t{oid}", oid, size, 10, False) for oid, size in enumerate(then)]
    tables = [Table(oid, "public", f"t{oid}", heap_bytes=size, live=10) for oid, size in enumerate(now)]
    changes, new = compare(before, tables, floor=GIB)

    assert [(change.before, change.now) for change, _compacted in changes] == [
        (size, now[oid] if oid < len(now) else None) for oid, size in enumerate(then)
    ]
    assert new == [f"public.t{oid}" for oid, size in enumerate(now) if oid >= len(then) and size >= GIB]


def test_what_is_remembered_is_the_largest_tables_and_bounded() -> None:
    tables = tuple(Table(oid, "public", f"t{oid}", heap_bytes=oid) for oid in range(1000))
    asked = {"database_growth": True, "table_shrinkage": True, "sizes": {"shop": 5, "shut": None}}
    looked = Snapshot(
        server=SERVER, now=NOW, parts=asked, databases={"shop": {"tables": tables}, "shut": {"tables": Absent("no")}}
    )
    kept = remember(looked)

    assert set(kept) == {"database_growth", "table_shrinkage"}
    assert kept["database_growth"] == {"shop": 5}
    assert list(kept["table_shrinkage"]) == ["shop"]
    assert len(kept["table_shrinkage"]["shop"]) == 300
    assert "public.t999" in kept["table_shrinkage"]["shop"]


def test_a_run_that_compares_nothing_leaves_what_the_next_comparison_looks_back_to() -> None:
    looked = Snapshot(server=SERVER, now=NOW, parts={"sizes": {"shop": 5}}, databases={"shop": {"tables": (ORDERS,)}})

    assert remember(looked) == {}


def databases(*names: str) -> tuple[DatabaseName, ...]:
    return tuple(DatabaseName(at, name, True, False, True) for at, name in enumerate(names))


def test_databases_are_compared_and_one_that_may_not_be_asked_any_more_is_not_gone() -> None:
    before = {"shop": 10 * GIB, "old": GIB, "shut": GIB, "odd": "?"}
    memory = remembered(YESTERDAY, database_growth=before, database_shrinkage=before)
    server = replace(SERVER, databases=databases("shop", "shut", "odd"))
    sizes = {"sizes": {"shop": 4 * GIB, "shut": None, "odd": 5}}
    shrunk, _metrics = ask(TOPIC, "postgresql.database_shrinkage", parts=sizes, memory=memory, server=server)
    grown, _metrics = ask(TOPIC, "postgresql.database_growth", parts=sizes, memory=memory, server=server)

    assert [(finding.item, finding.status, finding.value) for finding in shrunk] == [
        ("localhost:5432/old", "critical", 100),
        ("localhost:5432/shop", "warning", 60),
    ]
    assert [(finding.item, finding.status) for finding in grown] == [("localhost:5432", "ok")]
    assert grown[0].summary == "none grew by 100 MiB or more in 1 d"


def test_where_no_size_may_be_asked_nothing_is_compared() -> None:
    memory = remembered(YESTERDAY, database_growth={"shop": GIB})
    findings, metrics = ask(TOPIC, "postgresql.database_growth", parts={"sizes": {"shop": None}}, memory=memory)

    assert [finding.status for finding in findings] == ["skipped"]
    assert metrics == {}
