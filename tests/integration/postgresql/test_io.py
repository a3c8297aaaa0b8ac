# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches, temporary files, deadlocks and rollbacks as real servers count them."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


def work(database: Database, *statements: str) -> None:
    """Do something, and let the server count it at once instead of within a second."""
    with database.cluster.connect(database.name) as session:
        for statement in statements:
            session.execute(statement)  # type: ignore[arg-type]
        session.execute("SELECT pg_stat_force_next_flush()")


def since(database: Database, check: str, *statements: str, **params: Any) -> dict[str, Any]:
    """What a check says of these statements and of nothing before them."""
    database.findings(check, **params)
    work(database, *statements)
    return database.finding(check, **params)


def test_the_first_run_has_nothing_to_compare_with(database: Database) -> None:
    for finding in database.findings("cache_hit", "temp_files", "deadlocks", "rollbacks", "slru_hit"):
        assert finding["status"] == "skipped"
        assert "first" in finding["summary"]


def test_a_table_that_is_read_again_and_again_is_found_in_the_cache(database: Database) -> None:
    database.execute("CREATE TABLE big AS SELECT repeat('x', 1000) AS words FROM generate_series(1, 7000)")
    quiet = since(database, "cache_hit")
    busy = since(database, "cache_hit", *["SELECT count(*) FROM big"] * 12)

    assert quiet["status"] == "ok"
    assert "too few for a ratio" in quiet["summary"]
    assert busy["status"] == "ok"
    assert busy["value"] > 95
    assert busy["item"].endswith(f"/{database.name}")


def test_temporary_files_are_told_with_their_database(database: Database) -> None:
    sort = "SELECT count(*) FROM (SELECT g FROM generate_series(1, 300000) AS g ORDER BY md5(g::text)) AS sorted"
    few = since(database, "temp_files")
    many = since(
        database, "temp_files", "SET work_mem = '64kB'", sort, levels={"postgresql.temp_files": {"info": 1000}}
    )

    assert (few["status"], few["value"]) == ("ok", 0)
    assert many["status"] in ("info", "warning")
    assert many["evidence"][0].startswith(f"{database.name}: ")


def test_a_deadlock_is_counted(database: Database) -> None:
    database.execute("CREATE TABLE account (id int, balance int)", "INSERT INTO account VALUES (1, 0), (2, 0)")
    database.findings("deadlocks")
    first, second = database.connect(), database.connect()
    first.execute("SET deadlock_timeout = '1ms'")
    second.execute("SET deadlock_timeout = '1h'")
    for session, account in ((first, 1), (second, 2)):
        session.execute("BEGIN")
        session.execute("UPDATE account SET balance = 1 WHERE id = %s", (account,))
    thread = threading.Thread(target=second.execute, args=("UPDATE account SET balance = 2 WHERE id = 1",))
    thread.start()
    while not database.value("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", second.info.backend_pid):
        pass
    with pytest.raises(psycopg.errors.DeadlockDetected):
        first.execute("UPDATE account SET balance = 2 WHERE id = 2")
    thread.join()
    first.execute("ROLLBACK")
    first.execute("SELECT pg_stat_force_next_flush()")
    finding = database.finding("deadlocks")
    nothing_more = database.finding("deadlocks")

    assert (finding["status"], finding["value"]) == ("info", 1)
    assert finding["evidence"] == [f"{database.name}: 1"]
    assert (nothing_more["status"], nothing_more["value"]) == ("ok", 0)


def test_rollbacks_are_a_share_of_all_transactions(database: Database) -> None:
    few = since(database, "rollbacks")
    many = since(database, "rollbacks", "DO $$ BEGIN FOR i IN 1..1500 LOOP ROLLBACK; END LOOP; END $$")

    assert "too few for a ratio" in few["summary"]
    assert many["status"] == "warning"
    assert many["value"] > 90


def test_how_long_a_read_takes_is_known_with_track_io_timing_alone(database: Database) -> None:
    database.execute("CREATE TABLE big AS SELECT repeat('x', 1000) AS words FROM generate_series(1, 700)")
    unknown = database.finding("read_time")
    database.execute('ALTER ROLE tester IN DATABASE "postgres" SET track_io_timing = on')
    try:
        known = since(database, "read_time", "SELECT count(*) FROM big")
    finally:
        database.execute('ALTER ROLE tester IN DATABASE "postgres" RESET track_io_timing')

    assert unknown["status"] == "skipped"
    assert unknown["remedy"] == "Set track_io_timing = on."
    assert known["status"] == "ok"


def test_who_writes_is_told_where_the_server_tells(database: Database) -> None:
    database.findings("backend_*")
    findings = {finding["check"]: finding for finding in database.findings("backend_*")}

    assert findings["postgresql.backend_fsyncs"]["status"] == "ok"
    writes = findings["postgresql.backend_writes"]
    assert writes["status"] == ("skipped" if database.cluster.version == 15 else "ok")
    if database.cluster.version == 15:
        assert "PostgreSQL 16" in writes["remedy"]


def test_small_caches_that_are_asked_often_are_judged(database: Database) -> None:
    database.findings("slru_hit")
    quiet = database.finding("slru_hit")

    assert quiet["status"] == "ok"


def test_counters_that_were_reset_count_from_there(database: Database) -> None:
    work(database, "SELECT pg_stat_reset()", "DO $$ BEGIN FOR i IN 1..3000 LOOP ROLLBACK; END LOOP; END $$")
    database.findings("rollbacks")
    work(database, "SELECT pg_stat_reset()")
    work(database, "DO $$ BEGIN FOR i IN 1..1200 LOOP ROLLBACK; END LOOP; END $$")
    finding = database.finding("rollbacks")

    assert "1200 rolled back" in finding["evidence"][0]


def test_nobody_needs_a_right_for_it(database: Database) -> None:
    checks = ("cache_hit", "temp_files", "deadlocks", "rollbacks", "backend_*", "slru_hit")
    database.findings(*checks, user="nobody_special")
    statuses = {finding["status"] for finding in database.findings(*checks, user="nobody_special")}

    assert statuses <= ({"ok", "skipped"} if database.cluster.version == 15 else {"ok"})
