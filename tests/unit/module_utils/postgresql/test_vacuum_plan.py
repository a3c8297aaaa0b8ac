# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vacuum by need decides to do, what it may cost, and how it is worded."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, Deadline
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.horizon import Holder
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import DatabaseName
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Limits, Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unmeasured import Unmeasured
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_act import (
    Manner,
    freeze_settings,
    statements,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import (
    Allowance,
    Budget,
    io_pressure,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_options import (
    ARGUMENTS,
    read_wanted,
    require_looked_at,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_plan import (
    KEPT,
    Decided,
    decide,
    in_order,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Choice, Ground, Held
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_words import (
    findings_of,
    metrics_of,
)

ORDERS = Table(20000, "public", "orders", rows=10_000.0, pages=100, heap_bytes=819_200, xid_age=5, dead=9000)
HOLDER = Holder("idle", "psql", "eve", "shop", 4711, 1200, 60.0, "SELECT 'secret'")
EVERYTHING = frozenset(range(30_000))


class Hands(Clock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=timezone.utc) + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at


def ground(*tables: Table, **more: Any) -> Ground:
    return Ground("shop", tables, **{"unmeasured": Unmeasured(), "allowed": EVERYTHING, **more})


def plan(found: Ground, choice: Choice | None = None, **more: Any) -> Decided:
    return decide(found, choice or Choice(), Limits(), **{"first": True, "alone": True, **more})


def steps(decided: Decided) -> list[tuple[str, str]]:
    return [(job.action, job.target) for job in decided.jobs]


def test_what_is_due_is_planned_with_its_reason_and_what_is_not_is_left() -> None:
    decided = plan(ground(ORDERS, replace(ORDERS, oid=20001, name="quiet", dead=0)))

    (job,) = decided.jobs
    assert job.as_dict() == {
        "action": "vacuum",
        "target": "shop public.orders",
        "reason": "9000 dead rows, threshold 2050",
        "reversible": False,
        "estimate": {"size_bytes": 819_200, "score": 4.39, "dead_rows": 9000, "index_bytes": 0},
    }
    assert (decided.due, decided.looked_at) == (1, 2)


@pytest.mark.parametrize(
    ("choice", "planned"),
    [
        (Choice(), ["orders", "TOAST"]),
        (Choice(tables=("public.*",)), ["orders", "TOAST"]),
        (Choice(tables=("*.nothing",)), []),
        (Choice(tables_exclude=("public.ord*",)), []),
        (Choice(vacuum=False), []),
        (Choice(share=10.0), []),
    ],
)
def test_the_user_chooses_among_the_tables(choice: Choice, planned: list[str]) -> None:
    toast = replace(
        ORDERS, oid=20001, kind="t", main=20000, main_schema="public", main_name="orders", schema="pg_toast"
    )
    decided = plan(ground(ORDERS, toast), choice)

    assert [job.target.split()[1].split(".")[-1] for job in decided.jobs] == planned


def test_tables_that_may_not_be_vacuumed_are_named_with_the_grant_and_not_one_by_one_without_end() -> None:
    tables = [replace(ORDERS, oid=number, name=f"t{number}") for number in range(KEPT + 50)]
    decided = plan(ground(*tables, allowed=frozenset({3}), grant="GRANT pg_maintain TO eve"))
    kept = list(decided.kept())

    assert steps(decided) == [("vacuum", "shop public.t3")]
    assert len(kept) == KEPT + 1
    assert kept[0] == {"target": "shop public.t0", "reason": "not allowed: GRANT pg_maintain TO eve"}
    assert kept[-1]["reason"].startswith("49 more")
    (finding,) = findings_of(CATALOGUE, "postgresql.vacuum", "db:5432", [decided], {}, Execution(), {})
    assert finding.remedy == "GRANT pg_maintain TO eve"


@pytest.mark.parametrize(
    ("changes", "xmin", "planned"),
    [
        ({}, 100, []),
        # The holder of that time is gone.
        ({}, 101, [("vacuum", "shop public.orders")]),
        # Inserted rows are read and marked whoever holds what.
        ({"inserted_since_vacuum": 9000}, 100, [("vacuum", "shop public.orders")]),
        ({"modified_since_analyze": 9000}, 100, [("analyze", "shop public.orders")]),
        ({"modified_since_analyze": 600}, 100, []),
    ],
)
def test_a_table_that_could_not_be_cleaned_waits_until_its_holder_is_gone(
    changes: dict[str, Any], xmin: int, planned: list[tuple[str, str]]
) -> None:
    decided = plan(
        ground(replace(ORDERS, **changes)), held_by=lambda _table: Held(xmin, HOLDER), remembered={20000: 100}
    )

    assert steps(decided) == planned
    if not planned:
        (kept,) = decided.kept()
        assert "pid 4711 eve@shop" in kept["reason"]
        assert "secret" not in kept["reason"]
        assert decided.remedy == HOLDER.remedy
        (finding,) = findings_of(CATALOGUE, "postgresql.vacuum", "db:5432", [decided], {}, None, {})
        assert finding.status == "warning"


def test_servers_that_cannot_analyze_a_partitioned_table_alone_do_not_analyze_its_partitions_twice() -> None:
    whole = Table(20010, "public", "part", kind="p", rows=1000.0)
    one = replace(ORDERS, oid=20011, name="one", child_of=20010, modified_since_analyze=9000)
    two = replace(ORDERS, oid=20012, name="two", child_of=20010, modified_since_analyze=9000, dead=0)
    old = plan(ground(whole, one, two), alone=False)
    new = plan(ground(whole, one, two), alone=True)

    assert steps(old) == [("vacuum", "shop public.one"), ("analyze", "shop public.part")]
    assert steps(new) == [
        ("vacuum and analyze", "shop public.one"),
        ("analyze", "shop public.two"),
        ("analyze", "shop public.part"),
    ]


def test_tables_of_all_databases_are_ordered_together_and_shared_ones_are_served_once() -> None:
    shared = replace(ORDERS, oid=1260, schema="pg_catalog", name="pg_authid", shared=True, dead=5000)
    first = plan(ground(replace(ORDERS, dead=3000), shared))
    second = decide(replace(ground(ORDERS, shared), database="b"), Choice(), Limits(), first=False, alone=True)

    assert [job.target for job in in_order([first, second])] == [
        "b public.orders",
        "shop pg_catalog.pg_authid",
        "shop public.orders",
    ]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"wasted": {20000: 29.0}}, "would win back 29 %"),
        ({"wasted": {20000: Absent("no pgstattuple", remedy="CREATE EXTENSION pgstattuple")}}, "CREATE EXTENSION"),
        ({"wasted": {20000: 90.0}, "allowed": frozenset()}, "not allowed"),
        (
            {"wasted": {20000: 90.0}, "disk": Disk(told=1_000_000)},
            "it takes 1.6 MiB of free disk, and there are 976.6 KiB",
        ),
    ],
)
def test_a_rewrite_needs_a_reason_and_room(found: dict[str, Any], reason: str) -> None:
    choice = Choice(full=(("shop", "public", "orders"), ("other", "public", "orders")))
    decided = plan(ground(ORDERS, **found), choice)

    assert "vacuum full" not in [action for action, _target in steps(decided)]
    assert reason in decided.refused[0][1]


def test_a_rewritten_table_and_its_toast_are_not_vacuumed_before() -> None:
    toast = replace(
        ORDERS, oid=20001, kind="t", main=20000, main_schema="public", main_name="orders", schema="pg_toast"
    )
    decided = plan(ground(ORDERS, toast, wasted={20000: 90.0}), Choice(full=(("shop", "public", "orders"),)))

    assert steps(decided) == [("vacuum full", "shop public.orders")]
    assert plan(
        ground(ORDERS, wasted={20000: 90.0}), Choice(full=(("shop", "public", "orders"),), full_max_bytes=1)
    ).refused


@pytest.mark.parametrize(
    ("changes", "manner", "expected"),
    [
        ({}, Manner(), 'VACUUM (SKIP_LOCKED, PROCESS_TOAST FALSE, TRUNCATE FALSE) "public"."orders"'),
        (
            {"modified_since_analyze": 9000},
            Manner(alone=True, rings=True, buffer_usage_limit="2MB", parallel=2, index_cleanup="off", truncate=True),
            (
                "VACUUM (SKIP_LOCKED, PROCESS_TOAST FALSE, ANALYZE, INDEX_CLEANUP OFF, PARALLEL 2, BUFFER_USAGE_LIMIT '2MB') "
                'ONLY "public"."orders"'
            ),
        ),
        ({"dead": 0, "modified_since_analyze": 9000}, Manner(), 'ANALYZE (SKIP_LOCKED) "public"."orders"'),
        ({"kind": "t"}, Manner(buffer_usage_limit="2MB"), 'VACUUM (SKIP_LOCKED, TRUNCATE FALSE) "public"."orders"'),
        ({}, Manner(apart=False), 'VACUUM (SKIP_LOCKED, TRUNCATE FALSE) "public"."orders"'),
    ],
)
def test_a_statement_holds_what_the_server_knows_and_nothing_else(
    changes: dict[str, Any], manner: Manner, expected: str
) -> None:
    (job,) = plan(ground(replace(ORDERS, **changes))).jobs
    (statement,) = statements(job, manner, schema="public", name="orders")

    assert statement.as_string(None) == expected


def test_a_hostile_name_stays_a_name() -> None:
    (job,) = plan(ground(ORDERS)).jobs
    (statement,) = statements(job, Manner(), schema='a"b', name='x"; DROP TABLE y; --')

    assert statement.as_string(None).endswith('"a""b"."x""; DROP TABLE y; --"')


def test_an_old_table_is_read_whole_and_frozen_well_below_its_limit() -> None:
    options = {"autovacuum_freeze_max_age": "100000"}
    (job,) = plan(ground(replace(ORDERS, dead=0, xid_age=150_000, options=options))).jobs
    (young,) = plan(ground(ORDERS)).jobs

    assert freeze_settings(job, Limits()) == {
        "vacuum_freeze_table_age": 0,
        "vacuum_multixact_freeze_table_age": 0,
        "vacuum_freeze_min_age": 10_000,
    }
    assert freeze_settings(young, Limits()) == {}


def budget(**more: Any) -> tuple[Budget, Hands]:
    clock = Hands()
    at = more.pop("at", None)
    deadline = Deadline(clock, clock.now() + timedelta(seconds=at) if at is not None else None)
    return Budget(Allowance(**more), clock, deadline), clock


def test_a_standby_that_is_behind_for_too_long_ends_the_run() -> None:
    spent, clock = budget(lag=1000, patience=60.0)

    assert not spent.feed(lag=(999.0, "s1"))
    assert spent.admit() == ""
    assert not spent.feed(lag=(1_073_741_824.0, "s1"))
    clock.at = 59.0
    assert not spent.feed(lag=(2048.0, "s1"))
    assert not spent.feed(lag=(0.0, ""))
    assert spent.admit() == ""
    clock.at = 100.0
    assert not spent.feed(lag=(2048.0, "s1"))
    clock.at = 160.0
    assert spent.feed(lag=(2048.0, "s1"))
    assert spent.admit() == "standby s1 is 2 KiB behind, and 1000 B is the limit"


def test_disks_that_keep_all_waiting_end_the_run_and_0_is_no_limit() -> None:
    spent, clock = budget(pressure=40.0, patience=0.0)
    assert spent.feed(pressure=55.5)
    assert "for 56 % of the last minute" in spent.admit()

    free, clock = budget(pressure=0.0, lag=0, patience=0.0, total=0.0)
    clock.at = 1e9
    assert not free.feed(pressure=100.0, lag=(1e18, ""))
    assert free.admit() == ""
    assert free.left() == float("inf")


def test_time_ends_the_run_by_whatever_comes_first() -> None:
    spent, clock = budget(total=100.0)
    clock.at = 100.0
    assert spent.admit() == "the time budget of 1 min 40 s was spent"

    closed, clock = budget(total=100.0, at=50)
    assert closed.left() == 50
    clock.at = 50.0
    assert closed.admit() == "the window had closed"


def test_with_less_than_the_server_can_wait_for_nothing_is_begun() -> None:
    spent, clock = budget(total=100.0, at=200)
    clock.at = 99.9995
    assert spent.admit() == "the time budget of 1 min 40 s was spent"

    closed, clock = budget(total=200.0, at=100)
    clock.at = 99.9995
    assert closed.admit() == "the window had closed"


def test_the_pressure_of_the_kernel_is_read() -> None:
    text = "some avg10=9.00 avg60=8.00 avg300=7.00 total=1\nfull avg10=1.00 avg60=23.45 avg300=3.00 total=4\n"

    assert io_pressure(text) == 23.45
    assert io_pressure("") is None
    assert Path("/proc/pressure").name == "pressure"


def defaults(**more: Any) -> dict[str, Any]:
    return {**{name: spec.get("default") for name, spec in ARGUMENTS.items()}, **more}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("jobs", 0), ("jobs", 33), ("need_percent", 29), ("lock_timeout", float("nan")), ("table_timeout", 0.0),
        ("io_pressure_max", 101.0), ("buffer_usage_limit", "2MB'; DROP TABLE x; --"), ("parallel", -1),
        ("full_min_percent", 0.0), ("total_time", -1.0), ("buffer_usage_limit", "127kB"), ("buffer_usage_limit", "1TB"),
    ],
)  # fmt: skip
def test_an_option_that_makes_no_sense_is_refused(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=option):
        read_wanted(defaults(**{option: value}))


def test_a_table_to_rewrite_is_in_a_database_that_is_looked_at() -> None:
    databases = [
        DatabaseName(oid=at, name=name, open=name != "closed", template=name == "template1", allowed=True)
        for at, name in enumerate(["shop", "scratch_1", "closed", "template1"])
    ]

    def named(option: str, database: str) -> None:
        table = {"database": database, "schema": "public", "table": "orders"}
        require_looked_at(read_wanted(defaults(databases_exclude=["scratch_*"], **{option: [table]})), databases)

    named("full", "shop")
    for option in ("full", "repack"):
        for name in ("shopp", "scratch_1", "closed", "template1"):
            with pytest.raises(OptionError, match=f"{option}.*{name}.public.orders"):
                named(option, name)


def test_the_defaults_are_understood_and_nothing_to_do_is_refused() -> None:
    assert read_wanted(defaults()).jobs == 2
    for ring in ("0", "128", "16GB"):
        assert read_wanted(defaults(buffer_usage_limit=ring)).manner.buffer_usage_limit == ring
    with pytest.raises(OptionError):
        read_wanted(defaults(vacuum=False, analyze=False))


def test_databases_with_nothing_to_do_are_one_finding_and_those_that_were_not_seen_are_told() -> None:
    quiet = [replace(plan(ground()), database=f"d{number}", looked_at=10) for number in range(50)]
    findings = findings_of(
        CATALOGUE, "postgresql.vacuum", "db:5432", quiet, {"shut": Absent("no", remedy="GRANT")}, Execution(), {}
    )

    assert [(finding.item, finding.status) for finding in findings] == [("db:5432/shut", "skipped"), ("db:5432", "ok")]
    assert findings[1].summary == "nothing is due in 50 databases with 500 tables"


@pytest.mark.parametrize(
    ("table", "unmeasured", "words"),
    [
        ({"dead": 9000}, 0, "dead rows 9000 to 0"),
        ({"dead": 0, "inserted_since_vacuum": 30_000}, 0, "rows inserted since the last vacuum 30000 to 0"),
        ({"dead": 0, "xid_age": 300_000_000}, 0, "age in transactions 300000000 to 40"),
        ({"dead": 0, "mxid_age": 500_000_000}, 0, "age in multixacts 500000000 to 7"),
        ({"dead": 0, "modified_since_analyze": 8000}, 0, "changed rows 8000 to 0"),
        ({"dead": 0}, 2, "statistics made anew"),
        ({"dead": 0, "kind": "p"}, 2, "statistics made anew"),
    ],
)
def test_afterwards_what_made_it_due_is_shown(table: dict[str, Any], unmeasured: int, words: str) -> None:
    one = replace(ORDERS, **table)
    decided = plan(replace(ground(one), unmeasured=Unmeasured({one.oid: unmeasured} if unmeasured else {})))
    (job,) = decided.jobs
    before = {
        "dead_rows": one.dead, "inserted_rows": one.inserted_since_vacuum, "modified_rows": one.modified_since_analyze,
        "xid_age": one.xid_age, "mxid_age": one.mxid_age, "bytes": 819_200,
    }  # fmt: skip
    after = {**before, "dead_rows": 0, "inserted_rows": 0, "modified_rows": 0, "xid_age": 40, "mxid_age": 7}
    entry = {"action": job.action, "target": job.target, "before": before, "after": after, "seconds": 1.5}
    (finding,) = findings_of(CATALOGUE, "postgresql.vacuum", "db:5432", [decided], {}, Execution(applied=[entry]), {})

    assert finding.evidence == (f"{job.action} shop public.orders: {words} in 1.5 s",)


def test_afterwards_a_rewrite_shows_its_size() -> None:
    job = replace(plan(ground(ORDERS)).jobs[0], full=True, action="vacuum full")
    decided = replace(plan(ground(ORDERS)), jobs=(job,))
    entry = {
        "action": "vacuum full", "target": job.target, "seconds": 1.5,
        "before": {"bytes": 4096 * 1024, "dead_rows": 0}, "after": {"bytes": 1024 * 1024, "dead_rows": 0},
    }  # fmt: skip
    (finding,) = findings_of(CATALOGUE, "postgresql.vacuum", "db:5432", [decided], {}, Execution(applied=[entry]), {})

    assert finding.evidence == ("vacuum full shop public.orders: 4 MiB to 1 MiB in 1.5 s",)


def test_a_size_that_the_catalog_does_not_know_is_not_said_to_be_none() -> None:
    (job,) = plan(ground(replace(ORDERS, pages=0, heap_bytes=0, index_bytes=8192))).jobs

    assert set(job.estimate) == {"score", "dead_rows"}


def test_what_came_of_a_plan_is_counted_and_shown() -> None:
    decided = plan(ground(*(replace(ORDERS, oid=number, name=f"t{number}") for number in range(4))))
    counters = {"rows": 1, "dead_rows": 9000, "modified_rows": 5}
    execution = Execution(
        applied=[
            {"action": "vacuum", "target": "shop public.t0", "before": counters, "after": {**counters, "dead_rows": 0},
             "seconds": 1.5},
        ],
        failed=[
            {"action": "vacuum", "target": "shop public.t1", "error": "could not clean", "done": True},
            {"action": "vacuum", "target": "shop public.t2", "error": "stopped", "done": False},
        ],
        left=[{"target": "shop public.t3", "reason": "locked"}],
    )  # fmt: skip
    (finding,) = findings_of(
        CATALOGUE, "postgresql.vacuum", "db:5432", [decided], {}, execution, {"shop": "End pid 4711."}
    )

    assert finding.status == "warning"
    assert finding.summary == (
        "4 of 4 tables needed vacuum or analyze; 1 done; 1 vacuumed that could not be cleaned; 1 failed; "
        "1 left for another time"
    )
    assert finding.evidence == (
        "shop public.t1: could not clean",
        "shop public.t2: stopped",
        "shop public.t3: locked",
        "vacuum shop public.t0: dead rows 9000 to 0 in 1.5 s",
    )
    assert finding.remedy == "End pid 4711."
    assert [
        (metric.name, metric.value) for metric in metrics_of("postgresql.vacuum", "db:5432", [decided], execution)
    ] == [
        ("postgresql.vacuum_needed", 4),
        ("postgresql.vacuum_served", 1),
    ]
