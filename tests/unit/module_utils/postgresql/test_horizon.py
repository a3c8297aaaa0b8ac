# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ages and holders of the horizon are said to mean."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.horizon import (
    TOPIC,
    WRAP,
    Ages,
    Holder,
    oldest_holder,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import ask

SHOP = Ages("shop", 120_000_000, 900, True, False, 200_000_000, 400_000_000)
TEMPLATE = Ages("template0", 90_000_000, 900, False, False, 200_000_000, 400_000_000)
IDLE = Holder("idle", "psql", "eve", "shop", 4711, 1200, 7384.0, "UPDATE account SET balance = 12 WHERE owner = 'bob'")
STATEMENT = Holder("statement", "report", "bob", "archive", 4712, 90, 12.0, "SELECT 1")
PREPARED = Holder("prepared", "order-17", "eve", "shop", None, 300, 60.0)
SLOT = Holder("slot", "standby_2", None, None, None, 700, None)
CATALOG_SLOT = Holder("catalog slot", "cdc", None, None, 77, 9000, None)
STANDBY = Holder("standby", "walreceiver", "replicator", None, 99, 500, 3600.0, "START_REPLICATION 0/0")


def parts(*ages: Ages, holders: object = ()) -> dict[str, object]:
    return {"ages": ages, "horizon": holders}


def test_a_full_freeze_age_is_no_alarm_for_it_is_when_autovacuum_begins() -> None:
    findings, metrics = ask(TOPIC, "postgresql.freeze_age", parts=parts(replace(SHOP, xid_age=200_000_000)))

    assert [finding.status for finding in findings] == ["ok"]
    assert metrics["postgresql.freeze_age", "localhost:5432"] == 100


def test_well_behind_the_schedule_is_told_by_database_with_its_worst_tables_and_who_holds_it_up() -> None:
    ages = parts(replace(SHOP, xid_age=640_000_000), TEMPLATE, holders=(IDLE,))
    tables = (
        Table(1, "public", "fresh", xid_age=100, mxid_age=3),
        Table(2, "public", "Order Item", xid_age=640_000_000, mxid_age=3),
        Table(3, "pg_temp_3", "basket", persistence="t", xid_age=300_000_000, mxid_age=3),
        Table(4, "public", "parent", kind="p"),
    )
    findings, _metrics = ask(
        TOPIC, "postgresql.freeze_age", parts=ages, databases={"shop": {"tables": tables}, "locked": {}}
    )

    told, rest = findings
    assert (told.item, told.status, told.value) == ("localhost:5432/shop", "critical", 320)
    assert "pid 4711" in told.evidence[0]
    assert told.evidence[1].startswith("table public.Order Item: 320 %")
    assert "which nobody else can vacuum" in told.evidence[2]
    assert len(told.evidence) == 4
    assert (rest.item, rest.status, rest.value) == ("localhost:5432", "ok", 45)
    assert "template0" in rest.summary


def test_a_lower_limit_of_a_table_counts_for_its_toast_too_unless_that_has_its_own() -> None:
    options = {"autovacuum_freeze_max_age": "100000000"}
    main = Table(1, "public", "doc", options=options, xid_age=10, mxid_age=1)
    toast = Table(
        2, "pg_toast", "pg_toast_1", kind="t", main=1, main_schema="public", main_name="doc", xid_age=190_000_000
    )
    own = replace(toast, options={"autovacuum_freeze_max_age": "150000000"})
    higher = replace(toast, options={"autovacuum_freeze_max_age": "1500000000"})

    values = [
        ask(TOPIC, "postgresql.freeze_age", parts=parts(SHOP), databases={"shop": {"tables": (main, piece)}})[0][0]
        for piece in (toast, own, higher)
    ]

    assert [finding.value for finding in values] == [190, 126.6667, 95]
    assert "TOAST of public.doc" in values[0].summary


def test_multixacts_count_as_much_as_transaction_ids() -> None:
    findings, _metrics = ask(TOPIC, "postgresql.freeze_age", parts=parts(replace(SHOP, mxid_age=700_000_000)))

    assert (findings[0].status, findings[0].value) == ("warning", 175)


def test_the_end_of_the_ids_is_judged_against_what_there_are() -> None:
    findings, metrics = ask(
        TOPIC,
        "postgresql.wraparound",
        parts=parts(replace(SHOP, xid_age=1_700_000_000), TEMPLATE, holders=(CATALOG_SLOT, IDLE, STATEMENT)),
    )

    told, rest = findings
    assert (told.item, told.status) == ("localhost:5432/shop", "critical")
    assert f"1700000000 of {WRAP}" in told.summary
    # What another database's statement holds keeps the shared catalogs from being frozen, so it is named as well.
    assert len(told.evidence) == 3
    assert rest.status == "ok"
    assert "takes no connections" in rest.summary
    assert metrics["postgresql.wraparound", "localhost:5432"] == metrics["postgresql.wraparound", "localhost:5432/shop"]


def test_ages_are_told_although_the_holders_may_not_be_seen() -> None:
    hidden = Absent("this login does not see the snapshots of others", remedy="GRANT pg_monitor TO watcher")
    findings, _metrics = ask(
        TOPIC, "postgresql.multixact_wraparound", parts=parts(replace(SHOP, mxid_age=WRAP // 2), holders=hidden)
    )

    assert (findings[0].status, findings[0].value, findings[0].evidence) == ("warning", 50, ())


def test_what_a_broken_off_drop_has_left_is_to_be_dropped_and_has_no_age() -> None:
    left = replace(SHOP, name='old "shop"', xid_age=2_000_000_000, mxid_age=2_000_000_000, invalid=True, open=True)
    found = {
        name: ask(TOPIC, f"postgresql.{name}", parts=parts(SHOP, left))[0]
        for name in ("wraparound", "multixact_wraparound", "freeze_age")
    }

    assert {name: [one.status for one in findings] for name, findings in found.items()} == {
        "wraparound": ["ok", "warning"],
        "multixact_wraparound": ["ok"],
        "freeze_age": ["ok"],
    }
    assert found["wraparound"][1].item == 'localhost:5432/old "shop"'
    assert found["wraparound"][1].remedy == 'End what was begun: DROP DATABASE "old ""shop""".'


def test_an_id_from_the_future_is_critical() -> None:
    findings, _metrics = ask(TOPIC, "postgresql.freeze_age", parts=parts(replace(SHOP, xid_age=-5)))

    assert [finding.status for finding in findings] == ["ok", "critical"]
    assert "future" in findings[1].summary


def test_the_horizon_names_its_oldest_holder_and_how_to_end_it() -> None:
    held = replace(CATALOG_SLOT, age=60_000_000)
    found = (held, IDLE, SLOT, STANDBY, PREPARED, STATEMENT)
    findings, metrics = ask(TOPIC, "postgresql.xmin_horizon", parts=parts(SHOP, holders=found))

    (finding,) = findings
    assert (finding.status, finding.value) == ("critical", 60_000_000)
    assert "held by a logical replication slot" in finding.summary
    assert "pg_drop_replication_slot" in finding.remedy
    assert finding.evidence == (
        "logical replication slot cdc of pid 77, 60000000 transactions old",
        (
            "idle transaction of pid 4711 eve@shop (psql), 1200 transactions old, held for 2 h 3 min: "
            "UPDATE account SET balance = ? WHERE owner = ?"
        ),
        "replication slot standby_2, 700 transactions old",
        (
            "standby with hot_standby_feedback of pid 99 replicator@- (walreceiver), 500 transactions old, "
            "held for 1 h: START_REPLICATION ?/?"
        ),
        "prepared transaction order-17 of eve@shop, 300 transactions old, held for 1 min",
        "running transaction of pid 4712 bob@archive (report), 90 transactions old, held for 12 s: SELECT ?",
    )
    assert metrics["postgresql.xmin_horizon_of", "localhost:5432 prepared"] == 300
    assert metrics["postgresql.xmin_horizon_of", "localhost:5432 process"] == 0


def test_nobody_holding_the_horizon_is_ok() -> None:
    findings, _metrics = ask(TOPIC, "postgresql.xmin_horizon", parts=parts(SHOP))

    assert (findings[0].status, findings[0].value) == ("ok", 0)
    assert "nobody holds any" in findings[0].summary


def test_who_holds_a_table_depends_on_its_database_and_on_what_it_is() -> None:
    found = (CATALOG_SLOT, IDLE, SLOT, STATEMENT)

    assert oldest_holder(found, "shop") is IDLE
    assert oldest_holder(found, "archive") is SLOT
    assert oldest_holder(found, "shop", catalog=True) is CATALOG_SLOT
    assert oldest_holder((IDLE, STATEMENT), "archive", shared=True) is IDLE
    assert oldest_holder((IDLE,), "archive") is None
