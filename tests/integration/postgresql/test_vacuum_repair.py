# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``postgresql_vacuum`` against real servers: what it serves, what it leaves, and that nothing stays behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
from datetime import timedelta
from threading import Thread
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_run import LOCK, vacuum
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database

#: The catalogs of a new database come from a template whose counters nobody has: they are none of these tests' business.
OWN = ["public.*", "Sales Dept.*"]


def repair(database: Database, *, check: bool = False, **params: Any) -> dict[str, Any]:
    """One run of the module against this database alone."""
    return database.perform(
        vacuum,
        arguments=ARGUMENTS,
        name="postgresql_vacuum",
        repair=True,
        check_mode=check,
        **{"tables": OWN, "io_pressure_max": 0, "levels": {}, **params},
    )


def finding(result: dict[str, Any]) -> dict[str, Any]:
    """The finding on the database."""
    (only,) = [entry for entry in result["findings"] if "/" in entry["item"]]
    found: dict[str, Any] = only
    return found


def targets(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(entry["action"], entry["target"].split('"quoted" ', 1)[1]) for entry in entries]


def fill(database: Database, *names: str, rows: int = 2000) -> None:
    """Tables in order, each with rows that nobody has touched since the last vacuum and analyze."""
    for name in names:
        database.execute(
            f"CREATE TABLE {name} (id int PRIMARY KEY, note text)",
            f"INSERT INTO {name} SELECT n, 'note ' || n FROM generate_series(1, {rows}) n",  # noqa: S608
        )
    database.execute(*(f"VACUUM (ANALYZE) {name}" for name in names))


def holding(database: Database) -> Any:
    """A session whose snapshot keeps all that dies from now on."""
    session = database.connect()
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session.execute("SELECT 1")
    return session


def test_quartet_postgresql_vacuum(database: Database) -> None:
    database.execute('CREATE SCHEMA "Sales Dept"')
    fill(database, "quiet", "dead", '"Sales Dept"."Order ""Items"""', "inserted")
    database.execute(
        "DELETE FROM dead WHERE id <= 1500",
        'UPDATE "Sales Dept"."Order ""Items""" SET note = \'new\' WHERE id <= 300',
        "INSERT INTO inserted SELECT n, 'x' FROM generate_series(5001, 7000) n",
        "CREATE TABLE restored AS SELECT n AS id FROM generate_series(1, 10) n",
    )
    runs = [repair(database, check=check) for check in (True, False, True, False)]

    assert [run["changed"] for run in runs] == [True, True, False, False]
    assert runs[0]["plan"] == runs[1]["plan"]
    assert [run["plan"] for run in runs[2:]] == [[], []]
    expected = [
        ("vacuum and analyze", "public.inserted"),
        ("vacuum and analyze", "public.dead"),
        ("analyze", "public.restored"),
        ("vacuum and analyze", 'Sales Dept.Order "Items"'),
    ]
    assert sorted(targets(runs[0]["plan"])) == sorted(expected)
    assert targets(runs[1]["applied"]) == targets(runs[1]["plan"])
    assert runs[1]["failures"] == runs[1]["kept"] == []
    dead = next(entry for entry in runs[1]["applied"] if entry["target"].endswith("public.dead"))
    assert (dead["before"]["dead_rows"], dead["after"]["dead_rows"]) == (1500, 0)
    assert (dead["before"]["rows"], dead["after"]["rows"]) == (2000, 500)
    restored = next(entry for entry in runs[1]["applied"] if entry["target"].endswith("public.restored"))
    assert (
        restored["before"]["bytes"]
        == restored["after"]["bytes"]
        == database.value("SELECT pg_relation_size('restored')")
    )
    assert [finding(runs[0])["status"], finding(runs[1])["status"]] == ["info", "ok"]
    assert "4 done" in finding(runs[1])["summary"]
    assert [entry["status"] for entry in runs[3]["findings"]] == ["ok"]
    assert database.finding("statistics_missing")["value"] == 0


def test_a_vacuum_that_cannot_clean_names_who_holds_the_rows_and_is_not_repeated_in_vain(database: Database) -> None:
    fill(database, "dead")
    holder = holding(database)
    database.execute("DELETE FROM dead WHERE id <= 1500")
    first = repair(database)
    second = repair(database)
    database.execute("DELETE FROM dead WHERE id <= 1600")
    third = repair(database, check=True)
    holder.rollback()
    freed = repair(database)
    last = repair(database)

    (failure,) = first["failures"]
    assert failure["done"]
    assert first["changed"]
    assert "the vacuum ran and could not clean: 1500 dead rows" in failure["error"]
    assert (
        f"it is held by this: idle transaction of pid {holder.info.backend_pid} tester@{database.name}"
        in failure["error"]
    )
    assert f"pg_terminate_backend({holder.info.backend_pid})" in finding(first)["remedy"]
    assert finding(first)["status"] == "warning"
    assert not second["changed"]
    assert second["plan"] == []
    assert finding(second)["status"] == "warning"
    assert "this still holds it: idle transaction of pid" in second["kept"][0]["reason"]
    assert f"pg_terminate_backend({holder.info.backend_pid})" in finding(second)["remedy"]
    assert third["plan"] == []
    assert targets(freed["applied"])[0][1] == "public.dead"
    assert freed["applied"][0]["after"]["dead_rows"] == 0
    assert last["plan"] == []


def test_a_table_that_somebody_has_locked_is_left_without_waiting(database: Database) -> None:
    fill(database, "dead", "other")
    database.execute("DELETE FROM dead WHERE id <= 1500", "DELETE FROM other WHERE id <= 1500")
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute("LOCK TABLE dead IN ACCESS EXCLUSIVE MODE")
    locked = repair(database, lock_timeout=3600.0)
    holder.rollback()
    after = repair(database)

    assert targets(locked["applied"]) == [("vacuum and analyze", "public.other")]
    assert "another session has locked it" in locked["kept"][0]["reason"]
    assert finding(locked)["status"] == "info"
    assert targets(after["applied"]) == [("vacuum and analyze", "public.dead")]


def test_an_index_that_somebody_has_locked_costs_no_more_than_the_budget(database: Database) -> None:
    fill(database, "dead")
    database.execute("DELETE FROM dead WHERE id <= 1500")
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute("REINDEX INDEX dead_pkey")
    result = repair(database, lock_timeout=0.05)
    holder.rollback()

    assert result["applied"] == []
    assert "locked" in str(result["kept"])


def test_a_window_that_has_closed_leaves_all(database: Database) -> None:
    fill(database, "dead")
    database.execute("DELETE FROM dead WHERE id <= 1500")
    clock = Clock()
    result = repair(database, deadline=iso(clock.now() - timedelta(seconds=1)))

    assert not result["changed"]
    assert "the window had closed" in result["kept"][0]["reason"]
    assert len(result["plan"]) == 1


def test_a_table_that_takes_too_long_is_stopped_and_the_next_is_served(database: Database) -> None:
    fill(database, "large", rows=20_000)
    fill(database, "small")
    database.execute("DELETE FROM large WHERE id <= 19000", "DELETE FROM small WHERE id <= 600")
    slow_down(database)
    result = repair(database, table_timeout=0.5, cost_delay=100, jobs=1, vacuum=True, analyze=False)
    after = repair(database, analyze=False)

    failed = {target for _action, target in targets(result["failures"])}
    assert "public.large" in failed
    assert "table_timeout is 500 ms" in result["failures"][0]["error"]
    assert not result["failures"][0]["done"]
    assert "public.large" in {target for _action, target in targets(after["applied"])}


def test_a_time_budget_ends_the_run(database: Database) -> None:
    fill(database, "large", rows=20_000)
    fill(database, "small")
    database.execute("DELETE FROM large WHERE id <= 19000", "DELETE FROM small WHERE id <= 600")
    slow_down(database)
    result = repair(database, total_time=0.5, cost_delay=100, jobs=1)

    assert "the time budget of 500 ms was spent" in result["failures"][0]["error"]
    assert "the time budget of 500 ms was spent" in result["kept"][0]["reason"]


def test_an_old_table_is_frozen_far_enough_not_to_be_due_again(database: Database) -> None:
    fill(database, "old")
    database.execute("ALTER TABLE old SET (autovacuum_freeze_max_age = 100000)")
    with database.connect() as session:
        session.execute("DO $$BEGIN FOR i IN 1..110000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END$$")
    first, second = repair(database), repair(database)

    assert "transactions since the oldest row was frozen, threshold 100000" in first["plan"][0]["reason"]
    assert targets(first["applied"])[0][1] == "public.old"
    assert first["applied"][0]["after"]["xid_age"] < 50_000
    before, after = first["applied"][0]["before"]["xid_age"], first["applied"][0]["after"]["xid_age"]
    assert any(f"age in transactions {before} to {after}" in line for line in finding(first)["evidence"])
    assert second["plan"] == []


def test_a_toast_is_vacuumed_without_its_table(database: Database) -> None:
    database.execute(
        'CREATE TABLE "User" (id int, big text)',
        'ALTER TABLE "User" ALTER big SET STORAGE EXTERNAL',
        """INSERT INTO "User" SELECT n, repeat('x', 20000) FROM generate_series(1, 200) n""",
        # Most of the rows have nothing in the TOAST.
        """INSERT INTO "User" SELECT n, 'x' FROM generate_series(1, 20000) n""",
    )
    database.execute('VACUUM (ANALYZE) "User"')
    database.execute("""UPDATE "User" SET big = repeat('y', 20000) WHERE id <= 200 AND big LIKE 'xx%'""")
    first, second = repair(database), repair(database)

    assert targets(first["applied"]) == [("vacuum", "TOAST of public.User")]
    assert first["applied"][0]["after"]["dead_rows"] == 0
    assert second["plan"] == []


def test_a_partitioned_table_is_analyzed_with_its_partitions(database: Database) -> None:
    database.execute(
        "CREATE TABLE part (id int, note text) PARTITION BY RANGE (id)",
        "CREATE TABLE part_one PARTITION OF part FOR VALUES FROM (0) TO (10000)",
        "CREATE TABLE part_two PARTITION OF part FOR VALUES FROM (10000) TO (20000)",
        "INSERT INTO part SELECT n, 'x' FROM generate_series(1, 19999) n",
    )
    first, second = repair(database, jobs=4), repair(database)
    database.execute("DELETE FROM part WHERE id < 9000")
    third, fourth = repair(database, jobs=4), repair(database)

    assert targets(first["applied"])[-1] == ("analyze", "public.part")
    assert first["failures"] == first["kept"] == second["plan"] == []
    assert {target for _action, target in targets(third["applied"])} == {"public.part", "public.part_one"}
    assert fourth["plan"] == []
    assert not database.rows("SELECT 1 FROM pg_stat_all_tables WHERE relname = 'part_two' AND analyze_count = 0")


def test_a_parent_does_not_drag_its_children_along(database: Database) -> None:
    fill(database, "mother")
    database.execute("CREATE TABLE child () INHERITS (mother)")
    database.execute("INSERT INTO child SELECT n, 'x' FROM generate_series(1, 10) n", "DELETE FROM mother")
    database.execute("ANALYZE child")
    repair(database)

    assert database.value("SELECT vacuum_count FROM pg_stat_all_tables WHERE relname = 'mother'") == 2
    assert database.value("SELECT vacuum_count FROM pg_stat_all_tables WHERE relname = 'child'") == 0


def test_a_login_without_rights_is_told_what_would_let_it(database: Database) -> None:
    fill(database, "dead", "own")
    database.execute("DELETE FROM dead WHERE id <= 1500", "DELETE FROM own WHERE id <= 1500")
    database.execute("ALTER TABLE own OWNER TO nobody_special")
    result = repair(database, user="nobody_special")
    told = finding(result)

    assert targets(result["applied"]) == [("vacuum and analyze", "public.own")]
    assert "1 that this login may not vacuum" in told["summary"]
    assert told["status"] == "skipped"
    if database.cluster.version >= 17:
        assert told["remedy"] == 'GRANT pg_maintain TO "nobody_special"'
    else:
        assert told["remedy"] == "only a table's owner, or the database's, may vacuum it"


def test_whoever_may_maintain_may_vacuum(database: Database) -> None:
    if database.cluster.version < 17:
        role = "ALTER DATABASE {} OWNER TO nobody_special"
    else:
        role = "GRANT pg_maintain TO nobody_special"
    fill(database, "dead")
    database.execute("DELETE FROM dead WHERE id <= 1500")
    quoted = '"' + database.name.replace('"', '""') + '"'
    database.execute(role.format(quoted))
    result = repair(database, user="nobody_special")
    if database.cluster.version >= 17:
        database.execute("REVOKE pg_maintain FROM nobody_special")
    else:
        database.execute(f"ALTER DATABASE {quoted} OWNER TO tester")

    assert targets(result["applied"]) == [("vacuum and analyze", "public.dead")]


def test_a_rewrite_is_done_where_it_wins_enough_and_only_then(database: Database) -> None:
    fill(database, "bloated", "large", "dense", rows=5000)
    database.execute("DELETE FROM bloated WHERE id <= 4500", "DELETE FROM large WHERE id <= 4500")
    named = [{"database": database.name, "schema": "public", "table": name} for name in ("bloated", "dense", "no such")]
    without = repair(database, check=True, full=named)
    database.execute("CREATE SCHEMA ext", "CREATE EXTENSION pgstattuple SCHEMA ext")
    size = database.value("SELECT pg_total_relation_size('bloated')")
    small = repair(database, check=True, full=named, full_max_bytes=size - 1)
    planned, done, again = (repair(database, check=check, full=named) for check in (True, False, False))

    assert "CREATE EXTENSION pgstattuple" in str(without["kept"])
    assert ("vacuum full", "public.bloated") not in targets(without["plan"])
    assert "full_max_bytes" in str(small["kept"])
    assert targets(planned["plan"]) == targets(done["applied"])
    assert targets(done["applied"])[-1] == ("vacuum full", "public.bloated")
    assert "a rewrite would win back" in str(done["kept"])
    assert "there is no such table" in str(done["kept"])
    assert database.value("SELECT pg_total_relation_size('bloated')") < size / 2
    assert again["plan"] == []


def test_two_at_once_do_not_get_in_each_other_s_way(database: Database) -> None:
    fill(database, "dead")
    database.execute("DELETE FROM dead WHERE id <= 1500")
    other = database.cluster.connect()
    other.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    busy = repair(database)
    other.close()

    assert busy["plan"] == []
    assert "another postgresql_vacuum is at work" in busy["findings"][0]["summary"]
    assert busy["findings"][0]["status"] == "skipped"


def test_the_wishes_of_the_user_are_understood_by_the_server(database: Database) -> None:
    fill(database, "dead")
    database.execute("DELETE FROM dead WHERE id <= 1500")
    result = repair(
        database, buffer_usage_limit="2 MB", parallel=1, index_cleanup="on", truncate=True, cost_delay=1, jobs=3
    )

    assert targets(result["applied"]) == [("vacuum and analyze", "public.dead")]


def test_nobody_is_left_connected_after_a_run(database: Database) -> None:
    fill(database, "dead", "more", "much")
    database.execute(*(f"DELETE FROM {name} WHERE id <= 1500" for name in ("dead", "more", "much")))  # noqa: S608
    repair(database, jobs=3)
    while database.rows("SELECT 1 FROM pg_stat_activity WHERE application_name = 'fleetcare.maintenance'"):
        pass


def slow_down(database: Database) -> None:
    """A rest after each page, once there is a ``cost_delay``."""
    quoted = '"' + database.name.replace('"', '""') + '"'
    database.execute(f"ALTER DATABASE {quoted} SET vacuum_cost_limit = 1")


def slow(database: Database) -> None:
    slow_down(database)
    fill(database, "large", "larger", rows=20_000)
    database.execute("DELETE FROM large WHERE id <= 19000", "DELETE FROM larger WHERE id <= 19000")


def await_vacuum(database: Database) -> int:
    """The backend that vacuums in this database."""
    while True:
        rows = database.rows("SELECT pid FROM pg_stat_progress_vacuum WHERE datname = current_database()")
        if rows:
            return int(rows[0]["pid"])


def in_thread(database: Database, **params: Any) -> tuple[Thread, list[dict[str, Any]]]:
    results: list[dict[str, Any]] = []
    thread = Thread(target=lambda: results.append(repair(database, **params)))
    thread.start()
    return thread, results


def test_a_backend_that_is_killed_costs_its_table_and_no_other(database: Database) -> None:
    slow(database)
    thread, results = in_thread(database, cost_delay=100, jobs=1, total_time=2.0)
    database.execute(f"SELECT pg_terminate_backend({await_vacuum(database)})")
    thread.join()

    (result,) = results
    assert len(result["failures"]) + len(result["kept"]) == 2
    assert "was lost" in result["failures"][0]["error"]
    assert repair(database)["failures"] == []


def test_a_cancelled_vacuum_is_a_failure_that_says_so(database: Database) -> None:
    slow(database)
    thread, results = in_thread(database, cost_delay=100, jobs=1, total_time=2.0)
    database.execute(f"SELECT pg_cancel_backend({await_vacuum(database)})")
    thread.join()

    assert "somebody cancelled it" in results[0]["failures"][0]["error"]


def test_a_run_that_is_killed_leaves_no_vacuum_behind(database: Database) -> None:
    slow(database)
    child = multiprocessing.get_context("fork").Process(target=repair, args=(database,), kwargs={"cost_delay": 100})
    child.start()
    pid = await_vacuum(database)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    while database.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid):
        pass
    assert repair(database)["failures"] == []


def receiver(database: Database) -> str:
    """A program that streams the WAL as a standby does; its process on the server's host, once it has caught up."""
    command = "PGPASSWORD=tests-only setsid pg_receivewal -h 127.0.0.1 -U tester -D /tmp/wal --status-interval 1"
    script = f"rm -rf /tmp/wal; mkdir /tmp/wal; {command} > /dev/null 2>&1 & echo $!"
    started = database.cluster.host.execute(["sh", "-c", script])
    while not database.rows("SELECT 1 FROM pg_stat_replication WHERE write_lsn IS NOT NULL"):
        pass
    return started.stdout.strip()


def test_a_standby_that_is_behind_stops_the_work_and_who_cannot_see_it_does_not_begin(database: Database) -> None:
    fill(database, "dead")
    host, pid = database.cluster.host, receiver(database)
    host.execute(["kill", "-STOP", pid])
    database.execute("DELETE FROM dead WHERE id <= 1500")
    behind = repair(database, replica_lag_max=1, patience=0.0)
    blind = repair(database, user="nobody_special")
    tolerant = repair(database, check=True, replica_lag_max=0)
    host.execute(["kill", "-KILL", pid])
    while database.rows("SELECT 1 FROM pg_stat_replication"):
        pass
    after = repair(database, replica_lag_max=1)

    assert behind["applied"] == []
    assert "standby pg_receivewal is " in behind["kept"][0]["reason"]
    assert [found["status"] for found in blind["findings"]] == ["skipped"]
    assert blind["findings"][0]["remedy"].startswith('GRANT pg_monitor TO "nobody_special"')
    assert blind["plan"] == []
    assert len(tolerant["plan"]) == len(after["applied"]) == 1


def test_work_that_runs_is_ended_when_a_standby_falls_behind(database: Database) -> None:
    slow(database)
    pid = receiver(database)
    limit = {"replica_lag_max": 2**20, "patience": 2.0}
    thread, results = in_thread(database, cost_delay=100, jobs=1, total_time=60.0, **limit)
    await_vacuum(database)
    database.cluster.host.execute(["kill", "-STOP", pid])
    database.execute("CREATE TABLE more AS SELECT n FROM generate_series(1, 100000) n")
    thread.join()
    database.cluster.host.execute(["kill", "-KILL", pid])
    while database.rows("SELECT 1 FROM pg_stat_replication"):
        pass

    (result,) = results
    assert len(result["failures"]) + len(result["kept"]) == len(result["plan"])
    assert "standby pg_receivewal is " in str(result["failures"] + result["kept"])
    assert not result["failures"] or "pages scanned" in result["failures"][0]["error"]


def test_a_server_that_is_restarted_in_the_middle_ends_the_run_and_the_next_goes_on(database: Database) -> None:
    slow(database)
    thread, results = in_thread(database, cost_delay=100, jobs=1, total_time=60.0)
    await_vacuum(database)
    version = str(database.cluster.version)
    database.cluster.host.execute(["pg_ctlcluster", version, "main", "restart", "--mode", "fast"])
    thread.join()
    again = repair(database)

    (result,) = results
    assert "was lost" in result["failures"][0]["error"]
    assert "the server went away" in result["kept"][0]["reason"]
    assert {target for _action, target in targets(again["applied"])} == {"public.large", "public.larger"}


def test_the_catalog_is_served_too(database: Database) -> None:
    database.execute(
        "DO $$BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s (a int, b int)', i); "
        "EXECUTE format('DROP TABLE t%s', i); END LOOP; END$$"
    )
    first, second = repair(database, tables=[]), repair(database, tables=[])

    assert "pg_catalog.pg_class" in {target for _action, target in targets(first["applied"])}
    assert first["failures"] == []
    assert [target for _action, target in targets(second["plan"]) if target == "pg_catalog.pg_class"] == []
