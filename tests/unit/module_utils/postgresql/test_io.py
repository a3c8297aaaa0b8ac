# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches, temporary files and who writes, from counters of two runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import Counters
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.io import (
    TOPIC,
    DatabaseCounters,
    remember,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)

HOUR = timedelta(hours=1)
EARLIER = replace(SERVER, now=NOW - HOUR)
NEW = replace(SERVER, views={"pg_stat_io": frozenset({"writes"})})
#: A row of pg_stat_database of PostgreSQL 17.
SHOP = {
    "commits": 26_112, "rollbacks": 4, "read": 1_204, "hit": 3_000_412, "temp_files": 0, "temp_bytes": 0,
    "deadlocks": 0, "conflicts": 0, "read_ms": 91.5,
}  # fmt: skip
IO = {
    "client backend/normal": Counters({"reads": 900, "writes": 20, "fsyncs": 0}),
    "client backend/bulkwrite": Counters({"reads": 0, "writes": 90_000, "fsyncs": 0}),
    "checkpointer/normal": Counters({"reads": 0, "writes": 40_000, "fsyncs": 300}),
    "background writer/normal": Counters({"reads": 0, "writes": 100, "fsyncs": 0}),
}


def databases(_timed: bool = True, /, **more: dict[str, float]) -> dict[str, Any]:
    """The counters an hour later, each database with what it did more than nothing."""
    return {
        "database_counters": DatabaseCounters(
            {
                name: Counters({field: value + grown.get(field, 0) for field, value in SHOP.items()})
                for name, grown in more.items()
            },
            _timed,
        )
    }


def memory(*names: str) -> dict[str, Any]:
    snapshot = Snapshot(EARLIER, EARLIER.now, parts=databases(True, **{name: {} for name in names}))
    return remembered(EARLIER, **remember(snapshot))


def io(**more: dict[str, float]) -> dict[str, Any]:
    """pg_stat_io an hour later; keywords are backend types with underscores, of the context normal."""
    grown = {f"{name.replace('_', ' ')}/normal": values for name, values in more.items()}
    return {
        "io": {
            name: Counters({field: value + grown.get(name, {}).get(field, 0) for field, value in one.counts.items()})
            for name, one in IO.items()
        }
    }


def io_memory() -> dict[str, Any]:
    return remembered(EARLIER, **remember(Snapshot(EARLIER, EARLIER.now, parts={"io": IO})))


def test_the_first_run_says_that_it_is_the_first() -> None:
    for check in ("cache_hit", "temp_files", "deadlocks", "rollbacks"):
        (finding,), metrics = ask(TOPIC, f"postgresql.{check}", parts=databases(shop={}))
        assert finding.status == "skipped"
        assert "first" in finding.summary
        assert not metrics


def test_a_cache_is_judged_by_what_it_did_since_the_last_run() -> None:
    parts = databases(shop={"hit": 60_000, "read": 40_000}, blog={"hit": 99_000, "read": 1_000})
    findings, metrics = ask(TOPIC, "postgresql.cache_hit", parts=parts, memory=memory("shop", "blog"))

    assert [(finding.item, finding.status, finding.value) for finding in findings] == [
        ("localhost:5432/shop", "warning", 60.0),
        ("localhost:5432/blog", "ok", 99.0),
    ]
    assert "60000 of 100000 since the last run, 1 h ago" in findings[0].summary
    assert metrics["postgresql.cache_hit", "localhost:5432/blog"] == 99.0


def test_databases_that_read_next_to_nothing_are_one_finding() -> None:
    parts = databases(shop={"read": 9}, blog={"read": 9})
    (finding,), metrics = ask(TOPIC, "postgresql.cache_hit", parts=parts, memory=memory("shop", "blog"))

    assert finding.status == "ok"
    assert "2 databases asked for fewer than 10000 blocks" in finding.summary
    assert not metrics


def test_databases_that_are_all_new_are_not_ok() -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.deadlocks", parts=databases(shop={}), memory=memory("blog"))

    assert finding.status == "skipped"


@pytest.mark.parametrize(
    ("check", "grown", "status", "value"),
    [
        ("temp_files", {"temp_bytes": 3600 * 1024**2, "temp_files": 7}, "info", 1024**2),
        ("temp_files", {"temp_bytes": 3600 * 11 * 1024**2, "temp_files": 7}, "warning", 11 * 1024**2),
        ("temp_files", {}, "ok", 0),
        ("deadlocks", {"deadlocks": 1}, "info", 1),
        ("deadlocks", {"deadlocks": 10}, "warning", 10),
        ("rollbacks", {"rollbacks": 600, "commits": 400}, "warning", 60),
        ("read_time", {"read": 1000, "read_ms": 12_000.0}, "warning", 12),
        ("read_time", {"read": 1000, "read_ms": 60_000.0}, "critical", 60),
    ],
)
def test_levels(check: str, grown: dict[str, float], status: str, value: float) -> None:
    (finding,), _metrics = ask(
        TOPIC, f"postgresql.{check}", parts=databases(shop=grown, idle={}), memory=memory("shop", "idle")
    )

    assert finding.status == status
    assert finding.value == pytest.approx(value)
    assert all("idle" not in line for line in finding.evidence)


def test_few_transactions_make_no_ratio() -> None:
    parts = databases(shop={"rollbacks": 900, "commits": 0})
    (finding,), metrics = ask(TOPIC, "postgresql.rollbacks", parts=parts, memory=memory("shop"))

    assert finding.status == "ok"
    assert finding.value is None
    assert not metrics


def test_without_track_io_timing_nobody_knows_how_long_reads_take() -> None:
    parts = databases(False, shop={"read": 1000, "read_ms": 0.0})
    (finding,), _metrics = ask(TOPIC, "postgresql.read_time", parts=parts, memory=memory("shop"))

    assert finding.status == "skipped"
    assert finding.remedy == "Set track_io_timing = on."


def test_the_worst_small_cache_is_named() -> None:
    before = {name: Counters({"hit": 0, "read": 0}) for name in ("Subtrans", "Xact", "Notify")}
    now = {
        "Subtrans": Counters({"hit": 15_000, "read": 5_000}),
        "Xact": Counters({"hit": 90_000, "read": 10}),
        "Notify": Counters({"hit": 0, "read": 9}),
    }
    past = remembered(EARLIER, **remember(Snapshot(EARLIER, EARLIER.now, parts={"slru": before})))
    (finding,), _metrics = ask(TOPIC, "postgresql.slru_hit", parts={"slru": now}, memory=past)

    assert (finding.status, finding.value) == ("warning", 75.0)
    assert "Subtrans" in finding.summary
    assert len(finding.evidence) == 2


def test_pages_that_sessions_write_are_compared_with_those_of_the_background() -> None:
    parts = io(client_backend={"writes": 8_000}, checkpointer={"writes": 2_000})
    (finding,), _metrics = ask(TOPIC, "postgresql.backend_writes", parts=parts, server=NEW, memory=io_memory())

    assert (finding.status, finding.value) == ("warning", 80.0)
    assert finding.evidence[0] == "client backend: 8000 pages"


def test_bulk_work_writes_its_own_pages_by_design() -> None:
    parts = io(checkpointer={"writes": 20_000})
    parts["io"]["client backend/bulkwrite"] = Counters({"reads": 0, "writes": 900_000, "fsyncs": 0})
    (finding,), _metrics = ask(TOPIC, "postgresql.backend_writes", parts=parts, server=NEW, memory=io_memory())

    assert (finding.status, finding.value) == ("ok", 0)
    assert "20000 pages written" in finding.summary


def test_a_server_without_pg_stat_io_does_not_tell_who_writes() -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.backend_writes", parts=io(), memory=io_memory())

    assert finding.status == "skipped"
    assert "PostgreSQL 16" in finding.remedy


def test_what_the_checkpointer_syncs_is_its_work() -> None:
    parts = io(client_backend={"fsyncs": 2}, checkpointer={"fsyncs": 400})
    (finding,), metrics = ask(TOPIC, "postgresql.backend_fsyncs", parts=parts, server=NEW, memory=io_memory())

    assert (finding.status, finding.value) == ("info", 2)
    assert finding.evidence == ("client backend/normal: 2",)
    assert metrics["postgresql.io_writes", "localhost:5432"] == 0
