# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes of real servers, rebuilt and removed beside other sessions, and nothing left behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import index_watch, reindex_act
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.reindex import ARGUMENTS, reindex
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import Allowance
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import PASSWORD, Database
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.test_indexes import building, fill


def repair(database: Database, **params: Any) -> dict[str, Any]:
    return database.perform(
        reindex, arguments=ARGUMENTS, name="postgresql_reindex", repair=True, **{"bloat_bytes": 100000, **params}
    )


def invalid(database: Database) -> list[str]:
    rows = database.rows(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid ORDER BY 1"
    )
    return [row["relname"] for row in rows]


def break_off(database: Database, statement: str) -> None:
    """Leave an invalid index behind."""
    with building(database, statement):
        pass


def bloat(database: Database) -> None:
    """An index of which nearly everything is air."""
    database.execute(
        'CREATE TABLE "Log" (id int, line text)',
        "INSERT INTO \"Log\" SELECT n, 'line ' || n FROM generate_series(1, 40000) n",
        'CREATE INDEX "by line" ON "Log" (line)',
        'DELETE FROM "Log" WHERE id % 20 <> 0',
        'VACUUM ANALYZE "Log"',
    )


def actions(result: dict[str, Any], key: str) -> list[tuple[str, str]]:
    return [(entry["action"], entry["target"].rsplit(" ", 1)[-1]) for entry in result[key]]


def broken(database: Database) -> None:
    fill(database)
    database.execute('CREATE INDEX by_kind ON "User" (kind)')
    break_off(database, 'CREATE INDEX CONCURRENTLY "by_Mail" ON "User" ("e mail")')
    break_off(database, "REINDEX INDEX CONCURRENTLY by_kind")
    bloat(database)
    assert invalid(database) == ["by_Mail", "by_kind_ccnew"]


def test_quartet_postgresql_reindex(database: Database) -> None:
    broken(database)
    size = database.value("SELECT pg_relation_size('\"by line\"')")
    runs = [repair(database, check_mode=check) for check in (True, False, True, False)]

    assert [run["changed"] for run in runs] == [True, True, False, False]
    assert runs[0]["plan"] == runs[1]["plan"]
    assert actions(runs[1], "plan") == actions(runs[1], "applied")
    assert [entry["action"] for entry in runs[1]["plan"]] == ["drop", "reindex", "reindex"]
    assert [run["status"] for run in runs] == ["warning", "ok", "ok", "ok"]
    assert [entry["failures"] for entry in runs] == [[], [], [], []]
    assert invalid(database) == []
    (rebuilt,) = [entry for entry in runs[1]["applied"] if entry["target"].endswith("by line")]
    assert rebuilt["before"] == {"valid": True, "bytes": size}
    assert rebuilt["after"]["bytes"] == database.value("SELECT pg_relation_size('\"by line\"')")
    assert rebuilt["after"]["freed_bytes"] == size - rebuilt["after"]["bytes"] > size / 2
    assert {metric["name"] for metric in runs[1]["metrics"]} == {"postgresql.reindex_freed"}


def test_check_mode_changes_nothing(database: Database) -> None:
    broken(database)
    repair(database, check_mode=True)
    assert invalid(database) == ["by_Mail", "by_kind_ccnew"]
    assert not database.state_dir.exists()


def test_a_rebuild_that_has_to_wait_too_long_leaves_nothing_behind(database: Database) -> None:
    bloat(database)
    holder = database.connect()
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    holder.execute("SELECT 1")
    result = repair(database, lock_timeout=4)

    (failure,) = result["failures"]
    assert "lock timeout" in failure["error"]
    assert "Left behind" not in failure["error"]
    assert failure["done"] is False
    assert (result["changed"], result["status"]) == (False, "warning")
    assert invalid(database) == []
    holder.execute("ROLLBACK")
    assert repair(database)["status"] == "ok"


def test_what_could_not_be_removed_is_told_and_removed_by_the_next_run(database: Database) -> None:
    bloat(database)
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute('UPDATE "Log" SET line = line WHERE id = 20')
    result = repair(database, lock_timeout=4)

    assert "Left behind, to be removed by the next run: public.by line_ccnew." in result["failures"][0]["error"]
    assert invalid(database) == ["by line_ccnew"]
    holder.execute("ROLLBACK")
    assert actions(repair(database), "applied") == [("drop", "line_ccnew"), ("reindex", "line")]
    assert invalid(database) == []


def test_nothing_is_begun_that_would_have_to_wait_for_an_old_transaction(database: Database) -> None:
    bloat(database)
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute('SELECT count(*) FROM "Log"')
    while not database.value(
        "SELECT bool_or(now() - xact_start > '0.2 s') FROM pg_stat_activity WHERE state LIKE 'idle in%'"
    ):
        pass
    result = repair(database, lock_timeout=0.2)

    assert (result["changed"], result["failures"]) == (False, [])
    assert f"transaction of pid {holder.info.backend_pid} (tester)" in result["kept"][0]["reason"]
    holder.execute("PREPARE TRANSACTION 'held'")
    result = repair(database)
    holder.execute("ROLLBACK PREPARED 'held'")
    assert "a prepared transaction holds its table" in result["kept"][0]["reason"]


def test_a_rebuild_that_the_server_cancels_leaves_nothing_behind(database: Database) -> None:
    bloat(database)
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute('UPDATE "Log" SET line = line WHERE id = 20')
    stopped: list[int] = []

    def kill() -> None:
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND query LIKE 'REINDEX%' AND wait_event_type = 'Lock'"
        )
        while not stopped:
            stopped.extend(row["pg_terminate_backend"] for row in database.rows(query))
        while not database.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'DROP INDEX CONC%' "
            "AND wait_event_type = 'Lock'"
        ):
            pass
        holder.execute("ROLLBACK")

    thread = threading.Thread(target=kill)
    thread.start()
    result = repair(database)
    thread.join()

    assert "was lost" in result["failures"][0]["error"]
    assert invalid(database) == []
    assert repair(database)["status"] == "ok"


def test_a_module_that_is_told_to_stop_cleans_up_first(database: Database) -> None:
    bloat(database)
    holder = database.connect()
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    holder.execute("SELECT 1")

    def stop() -> None:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'REINDEX%' "
            "AND wait_event_type = 'Lock'"
        )
        while not database.value(query):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        repair(database)
    thread.join()

    assert invalid(database) == []
    others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fleetcare.maintenance'"
    while database.value(others):
        pass


def test_a_server_that_restarts_in_between_is_cleaned_up_when_it_is_back(database: Database) -> None:
    bloat(database)
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute('UPDATE "Log" SET line = line WHERE id = 20')
    version = database.cluster.version

    def restart() -> None:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'REINDEX%' "
            "AND wait_event_type = 'Lock'"
        )
        while not database.value(query):
            pass
        database.cluster.host.execute(["systemctl", "restart", f"postgresql@{version}-main"])

    thread = threading.Thread(target=restart)
    thread.start()
    result = repair(database)
    thread.join()
    holder.close()

    assert "was lost" in result["failures"][0]["error"]
    assert "Left behind" not in result["failures"][0]["error"]
    assert invalid(database) == []


def test_a_rebuild_that_strains_the_disks_for_too_long_is_stopped(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bloat(database)
    holder = database.connect()
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    holder.execute("SELECT 1")
    monkeypatch.setattr(index_watch, "read_pressure", lambda _login: 99.0)
    monkeypatch.setattr(reindex_act, "Allowance", partial(Allowance, patience=0.0))
    result = repair(database)

    (failure,) = result["failures"]
    assert failure["error"].startswith("Stopped: for 99 % of the last minute all waited for the disks")
    assert "canceling statement" in failure["error"]
    assert invalid(database) == []


def test_without_room_on_the_disk_nothing_is_built(database: Database) -> None:
    bloat(database)
    told = repair(database, free_bytes=1000)
    unseen = repair(database, unseen_bytes=1000)

    assert told["plan"] == unseen["plan"] == []
    assert "of free disk, and there are 1000 B" in told["kept"][0]["reason"]
    assert "how much is free is not known: the server keeps its data elsewhere" in unseen["kept"][0]["reason"]
    assert told["status"] == "warning"


def test_the_deadline_and_the_number_of_indexes_end_a_run(database: Database) -> None:
    broken(database)
    few = repair(database, check_mode=True, maximum_indexes=1)
    late = repair(database, deadline="2000-01-01T00:00:00Z")

    assert [entry["action"] for entry in few["plan"]] == ["drop"]
    assert {entry["reason"] for entry in few["kept"]} == {"maximum_indexes of this run, 1, is reached"}
    assert late["changed"] is False
    assert len(late["kept"]) == 3
    assert invalid(database) == ["by_Mail", "by_kind_ccnew"]


def test_a_login_that_does_not_own_the_table_is_told_so(database: Database) -> None:
    broken(database)
    result = repair(database, user="watcher", lock_timeout=5)
    assert result["plan"] == []
    assert any("watcher does not own public.User" in entry["reason"] for entry in result["kept"])


def test_pg_maintain_is_enough_to_rebuild_where_the_server_has_it(database: Database) -> None:
    bloat(database)
    there = database.value("SELECT count(*) FROM pg_roles WHERE rolname = 'pg_maintain'")
    database.execute(f"CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor{', pg_maintain' * there}")
    try:
        # Without the privilege to read the table its statistics are hidden, and what is hidden is no need.
        database.execute('GRANT SELECT ON "Log" TO keeper')
        result = repair(database, user="keeper")
        assert actions(result, "applied") == [("reindex", "line")] * there
        assert len(result["kept"]) == 1 - there
    finally:
        database.execute("DROP OWNED BY keeper", "DROP ROLE keeper")


def test_bloat_that_cannot_be_told_is_not_called_none(database: Database) -> None:
    bloat(database)
    none, hidden = repair(database, user="nobody_special")["findings"]
    assert (none["status"], hidden["status"]) == ("ok", "skipped")
    assert hidden["item"].endswith(" (bloat)")
    assert "of 1 large b-tree index the bloat is not known" in hidden["summary"]


def test_a_database_that_lets_the_login_not_in_says_which_grant_would(database: Database) -> None:
    name = database.name.replace('"', '""')
    database.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
    result = repair(database, user="nobody_special", databases=[database.name])
    (finding,) = result["findings"]
    assert finding["status"] == "skipped"
    assert finding["remedy"].startswith('GRANT CONNECT ON DATABASE "test')


def test_an_index_that_is_being_built_is_left_alone(database: Database) -> None:
    fill(database)
    with building(database, 'CREATE INDEX CONCURRENTLY by_mail ON "User" ("e mail")'):
        result = repair(database)
    assert result["plan"] == []
    assert [entry["reason"] for entry in result["kept"]] == ["somebody builds, rebuilds or drops it just now"]


def test_only_one_repair_of_indexes_is_at_work_on_a_cluster(database: Database) -> None:
    broken(database)
    with database.cluster.connect() as session:
        session.execute("SELECT pg_advisory_lock(7133701809754865664)")
        result = repair(database)
    assert (result["status"], result["plan"]) == ("skipped", [])
    assert "at work on this cluster" in result["findings"][0]["summary"]


def test_a_unique_index_over_duplicates_fails_and_leaves_nothing_more_behind(database: Database) -> None:
    fill(database)
    database.execute('INSERT INTO "User" SELECT id + 3000, "e mail" FROM "User"')
    with database.cluster.connect(database.name) as session, pytest.raises(Exception, match="could not create unique"):
        session.execute('CREATE UNIQUE INDEX CONCURRENTLY by_mail ON "User" ("e mail")')
    result = repair(database)

    assert "could not create unique index" in result["failures"][0]["error"]
    assert invalid(database) == ["by_mail"]
    assert "user1" not in str(result)


def test_what_toast_left_behind_is_removed(database: Database) -> None:
    fill(database)
    break_off(database, 'REINDEX TABLE CONCURRENTLY "User"')
    assert [name for name in invalid(database) if name.startswith("pg_toast")]
    result = repair(database)

    assert result["failures"] == []
    assert invalid(database) == []


def test_a_server_that_is_not_there_is_a_finding(database: Database) -> None:
    result = repair(database, login_port=1)
    assert (result["status"], result["plan"], result["changed"]) == ("critical", [], False)


def test_the_module_runs_on_the_server_s_own_host_as_root_over_the_socket(
    database: Database, make_controller: Callable[..., Controller]
) -> None:
    bloat(database)
    assert database.cluster.fleet
    controller = make_controller(database.cluster.fleet)
    # Without the free disk of its own host it would not build a byte.
    arguments = {"databases": [database.name], "bloat_bytes": 100000, "unseen_bytes": 0}
    runs = [
        controller.module("postgresql_reindex", arguments, check=check)[database.cluster.host.name]
        for check in (True, False, True)
    ]
    assert [run["changed"] for run in runs] == [True, True, False], runs
    assert actions(runs[1], "applied") == [("reindex", "line")]
