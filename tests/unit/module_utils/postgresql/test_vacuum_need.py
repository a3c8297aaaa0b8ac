# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a table needs, by the rules of the server's autovacuum.c."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import (
    Limits,
    Table,
    read_options,
    read_table,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_need import (
    covering,
    need_of,
    needs,
    switched_off,
)

LIMITS = Limits()
#: A row of PostgreSQL 15, as the query brings it.
ROW = {
    "oid": 16397,
    "schema": "public",
    "name": "orders",
    "kind": "r",
    "persistence": "p",
    "partition": False,
    "shared": False,
    "parent": False,
    "system": False,
    "child_of": None,
    "main": None,
    "main_schema": None,
    "main_name": None,
    "options": ["fillfactor=70", "autovacuum_vacuum_scale_factor=0.5"],
    "rows": 20000.0,
    "pages": 130,
    "all_frozen": None,
    "xid_age": 12,
    "mxid_age": 0,
    "live": 19910,
    "dead": 100,
    "inserted_since_vacuum": 10,
    "modified_since_analyze": 110,
    "vacuumed": None,
    "analyzed": None,
    "heap_bytes": 1097728,
    "index_bytes": 466944,
    "toast_bytes": 8192,
    "locked": False,
    "estimated": False,
}


def table(**changes: object) -> Table:
    """A table of 10,000 rows in perfect order."""
    base = Table(20000, "public", "orders", rows=10_000.0, pages=100, xid_age=100, mxid_age=0)
    return replace(base, **changes)  # type: ignore[arg-type]


def causes(one: Table, limits: Limits = LIMITS, **more: object) -> tuple[list[str], list[str]]:
    found = need_of(one, limits, **more)  # type: ignore[arg-type]
    return [urge.cause for urge in found.vacuum], [urge.cause for urge in found.analyze]


def test_a_row_of_the_server_is_read() -> None:
    found = read_table(dict(ROW))

    assert found.options == {"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.5"}
    assert found.total_bytes == 1097728 + 466944 + 8192
    assert found.label == "public.orders"
    assert read_options(["check_option=a=b", "user_catalog_table="]) == {
        "check_option": "a=b",
        "user_catalog_table": "",
    }


@pytest.mark.parametrize(
    ("changes", "vacuum", "analyze"),
    [
        ({}, [], []),
        ({"dead": 2050}, [], []),
        ({"dead": 2051}, ["dead"], []),
        ({"inserted_since_vacuum": 3000}, [], []),
        ({"inserted_since_vacuum": 3001}, ["inserted"], []),
        ({"modified_since_analyze": 1050}, [], []),
        ({"modified_since_analyze": 1051}, [], ["modified"]),
        ({"xid_age": 200_000_000}, [], []),
        ({"xid_age": 200_000_001}, ["xid"], []),
        ({"mxid_age": 400_000_001}, ["multixact"], []),
        # Nobody has counted yet: thresholds as of an empty table.
        ({"rows": -1.0, "dead": 51}, ["dead"], []),
        ({"rows": -1.0, "dead": 50}, [], []),
        # What is due anyway takes along what is half due.
        ({"dead": 2051, "modified_since_analyze": 526}, ["dead"], ["modified"]),
        ({"dead": 2051, "modified_since_analyze": 525}, ["dead"], []),
        ({"dead": 1026, "modified_since_analyze": 1051}, ["dead"], ["modified"]),
        ({"dead": 1025, "modified_since_analyze": 1051}, [], ["modified"]),
        # Frozen pages lower the threshold of inserts, on servers that count them.
        ({"inserted_since_vacuum": 1001, "all_frozen": 100}, ["inserted"], []),
        ({"inserted_since_vacuum": 2000, "all_frozen": 50}, [], []),
        ({"inserted_since_vacuum": 2001, "all_frozen": 50}, ["inserted"], []),
        ({"inserted_since_vacuum": 3001, "all_frozen": 0}, ["inserted"], []),
    ],
)
def test_the_thresholds_of_the_server(changes: dict[str, object], vacuum: list[str], analyze: list[str]) -> None:
    assert causes(table(**changes)) == (vacuum, analyze)


@pytest.mark.parametrize(
    ("options", "changes", "vacuum"),
    [
        ({"autovacuum_vacuum_threshold": "10", "autovacuum_vacuum_scale_factor": "0"}, {"dead": 11}, ["dead"]),
        ({"autovacuum_vacuum_scale_factor": "0.5"}, {"dead": 5050}, []),
        ({"autovacuum_vacuum_insert_threshold": "-1"}, {"inserted_since_vacuum": 10**9}, []),
        ({"autovacuum_vacuum_insert_scale_factor": "1"}, {"inserted_since_vacuum": 11_001}, ["inserted"]),
        ({"autovacuum_freeze_max_age": "100000"}, {"xid_age": 100_001}, ["xid"]),
        # A table cannot put freezing off.
        ({"autovacuum_freeze_max_age": "2000000000"}, {"xid_age": 200_000_001}, ["xid"]),
        ({"autovacuum_multixact_freeze_max_age": "10000"}, {"mxid_age": 10_001}, ["multixact"]),
        # -1 as what a table says of the others means that the server's setting counts.
        ({"autovacuum_vacuum_threshold": "-1"}, {"dead": 2051}, ["dead"]),
    ],
)
def test_the_storage_parameters_of_a_table_go_before(
    options: dict[str, str], changes: dict[str, object], vacuum: list[str]
) -> None:
    assert causes(table(options=options, **changes))[0] == vacuum


def test_the_highest_threshold_of_newer_servers() -> None:
    limits = replace(LIMITS, vacuum_max_threshold=1000)

    assert causes(table(dead=1001), limits)[0] == ["dead"]
    assert causes(table(dead=1001, options={"autovacuum_vacuum_max_threshold": "-1"}), limits)[0] == []
    assert causes(table(dead=501, options={"autovacuum_vacuum_max_threshold": "500"}), limits)[0] == ["dead"]


def test_a_toast_goes_by_its_table_unless_it_has_parameters_of_its_own() -> None:
    main = table(options={"autovacuum_vacuum_threshold": "5000", "autovacuum_enabled": "false"})
    toast = table(oid=20001, kind="t", main=20000, main_schema="public", main_name="orders", dead=3000)

    assert toast.label == "TOAST of public.orders"
    assert causes(toast, main=main)[0] == []
    assert not need_of(replace(toast, dead=9000), LIMITS, main=main).enabled
    assert causes(replace(toast, options={"autovacuum_vacuum_threshold": "50"}), main=main)[0] == ["dead"]
    assert causes(replace(toast, modified_since_analyze=10**6), main=main)[1] == []


def test_what_has_no_statistics_is_analyzed_but_not_pg_statistic_itself() -> None:
    assert causes(table(), unmeasured=2)[1] == ["unmeasured"]
    assert causes(table(oid=2619, modified_since_analyze=10**6), unmeasured=2)[1] == []
    assert (
        need_of(table(), LIMITS, unmeasured=1).words == "1 column, expression or statistics object without statistics"
    )


def test_a_table_that_is_switched_off_is_due_all_the_same_and_says_so() -> None:
    found = need_of(table(dead=5000, options={"autovacuum_enabled": "off"}), LIMITS)

    assert found.due
    assert found.words == "5000 dead rows, threshold 2050; autovacuum is off for it"


@pytest.mark.parametrize(
    ("raw", "off"),
    [("false", True), ("FAL", True), ("off", True), ("of", True), ("no", True), ("n", True), ("0", True),
     ("true", False), ("on", False), ("o", False), ("yes", False), ("1", False)],
)  # fmt: skip
def test_a_switch_is_read_as_the_server_reads_it(raw: str, off: bool) -> None:
    assert switched_off(table(options={"autovacuum_enabled": raw})) == off


def test_the_most_urgent_comes_first_and_the_end_of_all_ids_before_everything() -> None:
    found = needs(
        [
            table(oid=1, dead=3000),
            table(oid=2, dead=2_000_000),
            table(oid=3, xid_age=1_700_000_000),
            table(oid=4, persistence="t", dead=10**9),
            table(oid=5),
        ],
        LIMITS,
    )

    assert [need.table.oid for need in found] == [3, 2, 1]


def test_a_share_of_the_thresholds_can_be_enough() -> None:
    assert causes(table(dead=1100), share=0.5)[0] == ["dead"]
    assert causes(table(dead=3000), share=2.0)[0] == []


def test_a_partitioned_table_counts_what_has_changed_below_it_at_any_depth() -> None:
    tables = [
        table(oid=1, kind="p", rows=1000.0),
        table(oid=2, kind="p", child_of=1, rows=1000.0),
        table(oid=3, child_of=2, modified_since_analyze=100),
        table(oid=4, child_of=1, modified_since_analyze=51),
    ]
    found = {need.table.oid: need for need in needs(tables, LIMITS)}

    assert set(found) == {1}
    assert found[1].analyze[0].value == 151
    assert found[1].vacuum == ()
    assert covering(found.values(), tables) == {2: 1, 3: 1, 4: 1}
    assert covering([], tables) == {}


sizes = st.integers(0, 10**7)


@given(
    rows=st.floats(-1, 10**7), dead=sizes, inserted=sizes, modified=sizes,
    factor=st.floats(0, 1), base=st.integers(0, 10**4),
)  # fmt: skip
def test_after_the_work_nothing_is_due(
    rows: float, dead: int, inserted: int, modified: int, factor: float, base: int
) -> None:
    """Whatever was left undone does not become due by the number of rows that the work has brought to light."""
    options = {
        "autovacuum_vacuum_scale_factor": str(factor),
        "autovacuum_vacuum_threshold": str(base),
        "autovacuum_analyze_scale_factor": str(factor),
        "autovacuum_analyze_threshold": str(base),
    }
    # All that was deleted is dead and has changed, so that the rows have not become fewer than by that.
    modified = max(modified, dead)
    before = table(
        rows=rows, dead=dead, inserted_since_vacuum=inserted, modified_since_analyze=modified, options=options
    )
    need = need_of(before, LIMITS)
    if not need.due:
        return
    after = replace(
        before,
        rows=max(0.0, max(0.0, rows) - dead),
        dead=0 if need.vacuum else dead,
        inserted_since_vacuum=0 if need.vacuum else inserted,
        modified_since_analyze=0 if need.analyze else modified,
    )
    if need.vacuum and not need.analyze:
        # The limit that autovacuum itself has: a scale factor of 1 leaves no room.
        assert not need_of(after, LIMITS).analyze or factor > 0.99
    else:
        again = need_of(after, LIMITS)
        assert not [urge for urge in again.vacuum if urge.cause == "dead"] or factor > 0.99
        assert not again.analyze
