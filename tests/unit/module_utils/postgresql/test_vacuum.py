# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of vacuum and analyze: nothing about a healthy cluster, however many tables it has."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Limits, Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unmeasured import Unmeasured
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum import TOPIC, Progress, Running
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import NOW, SERVER, ask

DONE = NOW - timedelta(days=200)
TABLES = tuple(
    Table(
        20000 + number, "public", f"t{number}", rows=100_000.0, pages=1000, heap_bytes=8_192_000, xid_age=5,
        mxid_age=0, vacuumed=DONE, analyzed=DONE,
    )
    for number in range(1000)
)  # fmt: skip
BUSY = Progress(7, "shop", True, "orders", 20001, "scanning heap", 1200, 516, 1, 90000.0)
CHECKS = [check.id for check in TOPIC.checks]


def said(
    check: str, *changes: dict[str, Any], limits: Limits | Absent | None = None, server: Any = SERVER, **more: Any
) -> list[Finding]:
    """The findings of a check where the first of a thousand tables have changed in these ways."""
    changed = [replace(table, **change) for table, change in zip(TABLES, changes)]
    tables = (*changed, *TABLES[len(changed) :])
    findings, _metrics = ask(
        TOPIC,
        check if check.startswith("postgresql.") else f"postgresql.{check}",
        parts={"autovacuum": limits or Limits(), "vacuums": Running((), 0, 3), **more.pop("parts", {})},
        databases={"shop": {"tables": tables, "unmeasured": Unmeasured()}, **more.pop("databases", {})},
        server=server,
        **more,
    )
    return findings


@pytest.mark.parametrize("check", CHECKS)
def test_a_thousand_tables_in_order_are_one_ok_and_old_ones_that_nobody_writes_to_are_no_alarm(check: str) -> None:
    (finding,) = said(check)

    assert finding.status == "ok"
    assert finding.value in (0, None)
    assert finding.evidence == ()


@pytest.mark.parametrize("check", CHECKS)
def test_a_thousand_tables_in_disorder_are_few_findings_with_the_worst_as_evidence(check: str) -> None:
    bad = {
        "dead": 90_000,
        "inserted_since_vacuum": 90_000,
        "modified_since_analyze": 90_000,
        "options": {"autovacuum_enabled": "false"},
    }
    counts = {table.oid: 3 for table in TABLES}
    findings = said(
        check,
        *[bad] * 1000,
        limits=Limits(enabled=False),
        parts={"vacuums": Running((BUSY,) * 30, 3, 3)},
        databases={"other": {"tables": (), "unmeasured": Unmeasured(counts)}},
    )

    assert len(findings) <= 2
    assert all(len(finding.evidence) <= 20 for finding in findings)


def test_a_table_at_its_threshold_is_normal_and_one_far_above_is_told() -> None:
    (normal,) = said("vacuum_due", {"dead": 20_051})
    (behind,) = said("vacuum_due", {"dead": 60_150}, {"dead": 20_051})

    assert normal.status == "ok"
    assert "1 table of 1000 past the threshold" in normal.summary
    assert (behind.status, behind.value) == ("warning", 300)
    assert "public.t0: 60150 dead rows, threshold 20050; 2 tables of 1000 past" in behind.summary
    assert behind.evidence == (
        "public.t0: 60150 dead rows, threshold 20050",
        "public.t1: 20051 dead rows, threshold 20050",
    )


def test_a_small_table_that_is_written_all_the_time_is_no_alarm() -> None:
    assert said("vacuum_due", {"rows": 10.0, "dead": 4999})[0].status == "ok"
    (told,) = said("vacuum_due", {"rows": 10.0, "dead": 10_000})

    assert (told.status, told.value) == ("warning", 200)
    assert told.evidence == ("public.t0: 10000 dead rows, threshold 52 (taken as 5000)",)


def test_age_is_told_of_tables_that_somebody_writes_to() -> None:
    (written,) = said("vacuum_age", {"dead": 1000}, {"dead": 10**6, "vacuumed": None})
    (analyzed,) = said("analyze_age", {"modified_since_analyze": 999}, {"modified_since_analyze": 1000})

    assert (written.status, written.value) == ("warning", 200)
    assert "1 table never, as far back as the counters go" in written.summary
    assert written.evidence == ("public.t0: 200 d ago, 1000 rows since", "public.t1: never, 1000000 rows since")
    assert analyzed.evidence == ("public.t1: 200 d ago, 1000 rows since",)


def test_a_table_of_the_catalog_is_never_too_old() -> None:
    assert said("vacuum_age", {"dead": 10**6, "system": True})[0].value == 0


@pytest.mark.parametrize("check", ["vacuum_due", "analyze_due", "vacuum_age", "analyze_age"])
def test_without_counters_nothing_is_said_to_be_in_order(check: str) -> None:
    (uncounted,) = said(check, limits=Limits(counted=False))
    (standby,) = said(check, server=replace(SERVER, in_recovery=True))

    assert (uncounted.status, uncounted.remedy) == ("skipped", "Set track_counts = on and reload the server.")
    assert standby.status == "skipped"
    assert "its primary does" in standby.summary


def test_a_database_that_could_not_be_looked_at_is_told_beside_the_others() -> None:
    findings = said("vacuum_due", databases={"shut": {"tables": Absent("not allowed", remedy="GRANT")}})

    assert [(finding.item, finding.status) for finding in findings] == [
        ("localhost:5432/shop", "ok"),
        ("localhost:5432/shut", "skipped"),
    ]


def test_tables_that_all_databases_share_are_told_once() -> None:
    shared = Table(1260, "pg_catalog", "pg_authid", shared=True, rows=10.0, dead=50_000)
    findings, _metrics = ask(
        TOPIC,
        "postgresql.vacuum_due",
        parts={"autovacuum": Limits()},
        databases={"a": {"tables": (shared,)}, "b": {"tables": (shared,)}},
    )

    assert [finding.value for finding in findings] == [1000, 0]


def test_what_lacks_statistics_is_told_the_largest_first() -> None:
    unmeasured = Unmeasured({20000: 2, 20001: 1})
    tables = (replace(TABLES[0], heap_bytes=8192), TABLES[1], TABLES[2])
    findings, _metrics = ask(
        TOPIC,
        "postgresql.statistics_missing",
        databases={"shop": {"tables": tables, "unmeasured": unmeasured}},
    )

    assert (findings[0].status, findings[0].value) == ("warning", 2)
    assert findings[0].evidence == (
        "public.t1: 1 column, expression or statistics object without statistics",
        "public.t0: 2 columns, expressions or statistics objects without statistics",
    )


def test_autovacuum_that_is_off_is_told_of_the_server_and_of_tables() -> None:
    findings = said(
        "autovacuum_off", {"options": {"autovacuum_enabled": "off"}}, limits=Limits(enabled=False, counted=False)
    )

    assert [finding.status for finding in findings] == ["warning", "info"]
    assert "autovacuum and track_counts off" in findings[0].summary
    assert findings[1].evidence == ("public.t0",)


def test_workers_that_are_all_busy_alarm_only_when_they_stay_so() -> None:
    (finding,) = said("autovacuum_workers", parts={"vacuums": Running((BUSY,), 3, 3)})

    assert (finding.status, finding.value) == ("warning", 100)
    assert finding.levels is not None
    assert finding.levels["for"] == 3


def test_a_running_vacuum_is_told_with_its_progress() -> None:
    by_hand = replace(BUSY, automatic=False, name=None, pages=0, scanned=0, passes=0, seconds=None)
    (finding,) = said("vacuum_running", parts={"vacuums": Running((by_hand, BUSY), 1, 3)})

    assert finding.status == "warning"
    assert finding.evidence == (
        (
            "pid 7 autovacuum of orders in shop: scanning heap, 43 % of 1200 pages scanned, 1 pass over its indexes, "
            "for 1 d 1 h"
        ),
        "pid 7 VACUUM of oid 20001 in shop: scanning heap, 0 % of 0 pages scanned, for 0 s",
    )
