# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints and the WAL of real servers."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


def by_check(database: Database, *checks: str, **params: Any) -> dict[str, Any]:
    return {finding["check"].split(".")[1]: finding for finding in database.findings(*checks, **params)}


def test_checkpoints_that_somebody_asked_for_came_before_their_time(database: Database) -> None:
    first = database.finding("checkpoints_requested")
    few = database.finding("checkpoints_requested")
    database.execute("CREATE TABLE written (at int)")
    for _checkpoint in range(6):
        database.execute("INSERT INTO written VALUES (1)", "CHECKPOINT")
    # The checkpointer counts when it has answered.
    requested = database.finding("checkpoints_requested")
    while "too few" in requested["summary"]:
        database.execute("INSERT INTO written VALUES (1)", "CHECKPOINT")
        requested = database.finding("checkpoints_requested")

    assert first["status"] == "skipped"
    assert few["status"] == "ok"
    assert "too few for a ratio" in few["summary"]
    assert (requested["status"], requested["value"]) == ("warning", 100)
    assert "written, a checkpoint every" in requested["evidence"][1]


def test_a_checkpoint_is_late_only_where_there_is_something_to_write(database: Database) -> None:
    database.execute("CREATE TABLE written (words text)", "CHECKPOINT")
    idle = database.finding("checkpoint_age")
    database.execute("INSERT INTO written SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
    busy = database.finding("checkpoint_age", levels={"postgresql.checkpoint_age": {"warning": 0, "critical": None}})

    assert idle["status"] == "ok"
    assert "nothing to write since" in idle["summary"]
    assert busy["status"] == "warning"
    assert "MiB of WAL since, for" in busy["summary"]


def test_wal_that_was_written_since_the_last_run(database: Database) -> None:
    database.findings("wal_rate")
    database.execute(
        "CREATE TABLE written (words text)",
        "INSERT INTO written SELECT repeat('x', 1000) FROM generate_series(1, 5000)",
    )
    finding = database.finding("wal_rate")

    assert finding["status"] == "ok"
    assert finding["value"] > 0
    assert "MiB in" in finding["summary"]


def test_pg_wal_is_measured(database: Database) -> None:
    small = database.finding("wal_size")
    files = database.value("SELECT count(*) FROM pg_ls_waldir()")
    full = database.finding("wal_size", levels={"postgresql.wal_size": {"warning": 0.001}})

    assert small["status"] == "ok"
    assert f"in {files} file" in small["summary"]
    assert full["status"] == "warning"
    assert full["evidence"] == ["max_wal_size 1 GiB, wal_keep_size 0 B"]


def test_what_a_monitor_sees_and_what_nobody_else_does(database: Database) -> None:
    checks = ("checkpoint*", "wal_*", "archive*")
    database.findings(*checks, user="watcher")
    monitor = by_check(database, *checks, user="watcher")
    nobody = by_check(database, *checks, user="nobody_special")

    assert {name for name, finding in monitor.items() if finding["status"] == "skipped"} == {
        "archiver",
        "archive_waiting",
    }
    assert nobody["wal_size"]["status"] == "skipped"
    assert nobody["wal_size"]["remedy"] == 'GRANT pg_monitor TO "nobody_special"'
    assert nobody["checkpoints_requested"]["status"] == "ok"
