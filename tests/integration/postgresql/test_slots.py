# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication slots of real servers: held, forgotten, lost, spilling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


@pytest.fixture
def slot(database: Database) -> Iterator[str]:
    """A physical slot that holds WAL and that nobody uses."""
    name = "forgotten"
    database.execute(f"SELECT pg_create_physical_replication_slot('{name}', true)")
    yield name
    database.execute(f"SELECT pg_drop_replication_slot('{name}')")


@pytest.fixture
def logical(database: Database) -> Iterator[str]:
    """A logical slot of the test's own database."""
    name = "feed"
    database.execute(f"SELECT pg_create_logical_replication_slot('{name}', 'test_decoding')")
    yield name
    database.execute(f"SELECT pg_drop_replication_slot('{name}')")


def write(database: Database, *, segments: int) -> None:
    for _segment in range(segments):
        database.execute("SELECT pg_logical_emit_message(false, 'test', 'something')", "SELECT pg_switch_wal()")


def by_check(database: Database, **params: Any) -> dict[str, Any]:
    return {finding["check"].split(".")[1]: finding for finding in database.findings("slot_*", **params)}


def test_without_slots_there_is_nothing_to_judge(database: Database) -> None:
    assert {finding["status"] for finding in database.findings("slot_*")} == {"skipped"}


def test_a_slot_that_nobody_uses_holds_more_and_more(database: Database, slot: str) -> None:
    before = by_check(database)
    write(database, segments=3)
    after = by_check(database, levels={"postgresql.slot_wal": {"warning": 32 * 1024**2}})
    shown = after["slot_inactive"]["evidence"][0]

    assert before["slot_wal"]["status"] == before["slot_status"]["status"] == "ok"
    assert after["slot_wal"]["status"] == "warning"
    assert after["slot_wal"]["evidence"][0].startswith("forgotten: physical, reserved, nobody connected, holds ")
    assert "1 slot that nobody uses" in after["slot_inactive"]["summary"]
    assert f": {slot}: physical" in shown
    assert after["slot_remaining"]["status"] == "skipped"
    assert after["slot_remaining"]["remedy"].startswith("Set max_slot_wal_keep_size")


def test_the_age_of_a_slot_without_a_client_grows_from_run_to_run(database: Database, slot: str) -> None:
    levels = {"postgresql.slot_inactive": {"warning": 0, "critical": None}}
    ages: list[float] = []
    while len(ages) < 2 or ages[-1] <= ages[0]:
        finding = database.finding("slot_inactive", levels=levels)
        ages.append(finding["value"])

    assert finding["status"] == "warning"


def test_a_limit_breaks_a_slot_and_tells_before(database: Database, slot: str) -> None:
    database.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '48MB'", "SELECT pg_reload_conf()")
    try:
        while not database.value("SELECT safe_wal_size FROM pg_replication_slots WHERE slot_name = %s", slot):
            pass
        near = by_check(database)
        write(database, segments=8)
        database.execute("CHECKPOINT")
        lost = by_check(database)
    finally:
        database.execute("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")

    assert near["slot_remaining"]["status"] == "critical"
    assert f"until slot {slot} breaks" in near["slot_remaining"]["summary"]
    assert lost["slot_status"]["status"] == "critical"
    assert lost["slot_status"]["item"].endswith(f" {slot}")
    assert "has lost its WAL" in lost["slot_status"]["summary"]
    assert lost["slot_inactive"]["value"] == 0


def test_logical_decoding_that_spills(database: Database, logical: str) -> None:
    database.execute("CREATE TABLE item (words text)")
    database.findings("slot_spill")
    quiet = database.finding("slot_spill")
    with database.cluster.connect(database.name) as session:
        session.execute("INSERT INTO item SELECT repeat('x', 100) FROM generate_series(1, 5000)")
        session.execute("SET logical_decoding_work_mem = '64kB'")
        session.execute("SELECT count(*) FROM pg_logical_slot_peek_changes(%s, NULL, NULL)", (logical,))
    finding = database.finding("slot_spill", levels={"postgresql.slot_spill": {"info": 1000}})

    assert (quiet["status"], quiet["value"]) == ("ok", 0)
    assert finding["status"] == "info"
    assert finding["evidence"][0].startswith(f"{logical}: ")


def test_a_login_without_rights_sees_slots_too(database: Database, slot: str) -> None:
    found = by_check(database, user="nobody_special")

    assert found["slot_status"]["status"] == "ok"
    assert found["slot_wal"]["status"] == "ok"
