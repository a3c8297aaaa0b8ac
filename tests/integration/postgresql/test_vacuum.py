# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables as real servers count them, and what is said of vacuum and analyze."""

from __future__ import annotations

from threading import Thread
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import connect, read_login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import look
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import (
    Limits,
    Table,
    collect_limits,
    collect_tables,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_need import need_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database

ROWS = 20_000


def login_to(database: Database, **options: Any) -> Any:
    """The connection options as a module reads them."""
    given = {
        "login_unix_socket": None,
        "login_db": database.name,
        "ssl_mode": "prefer",
        "ca_cert": None,
        "ssl_cert": None,
        "ssl_key": None,
        "peer_user": "postgres",
        "connect_timeout": 10,
        "statement_timeout": 30.0,
        **database.cluster.login(),
        **options,
    }
    return read_login(given)


def tables_of(database: Database) -> dict[str, Table]:
    with connect(login_to(database), read_only=True) as session:
        return {table.label: table for table in collect_tables(session, look(session), Settings())}


@pytest.fixture(autouse=True)
def tidy_shared_catalogs(database: Database) -> None:
    """What all databases share shows in this one too, with what every other test has left in it."""
    shared = database.rows("SELECT oid::regclass::text AS name FROM pg_class WHERE relisshared AND relkind = 'r'")
    database.execute(f"VACUUM (ANALYZE) {', '.join(row['name'] for row in shared)}")


def fill(database: Database, name: str = "public.orders", rows: int = ROWS) -> None:
    """A table with rows and without any need: vacuumed and analyzed."""
    database.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, note text)",
        f"INSERT INTO {name} SELECT n, 'note ' || n FROM generate_series(1, {rows}) n",  # noqa: S608
    )
    database.execute(f"VACUUM (ANALYZE) {name}")


def test_a_table_is_brought_with_its_sizes_counters_and_options(database: Database) -> None:
    fill(database)
    database.execute(
        "ALTER TABLE orders SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.5)",
        "DELETE FROM orders WHERE id <= 100",
        "INSERT INTO orders SELECT n, repeat(md5(n::text), 4) FROM generate_series(30001, 30010) n",
    )
    table = tables_of(database)["public.orders"]

    (sizes,) = database.rows(
        "SELECT pg_total_relation_size('orders') AS total, pg_indexes_size('orders') AS indexes,"
        " pg_relation_size('orders') + pg_relation_size('orders', 'fsm') + pg_relation_size('orders', 'vm') AS heap"
    )
    assert (table.total_bytes, table.index_bytes, table.heap_bytes) == (
        sizes["total"],
        sizes["indexes"],
        sizes["heap"],
    )
    assert (table.dead, table.inserted_since_vacuum, table.modified_since_analyze) == (100, 10, 110)
    assert (table.live, table.rows) == (ROWS - 90, ROWS)
    assert table.options == {"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.5"}
    assert table.vacuumed is not None
    assert table.analyzed is not None
    assert (table.all_frozen is not None) == (database.cluster.version >= 18)
    assert not table.system
    assert not table.locked


def test_partitions_toast_views_temporary_and_foreign_tables_are_told_apart(database: Database) -> None:
    database.execute(
        "CREATE TABLE part (id int, big text) PARTITION BY RANGE (id)",
        'CREATE TABLE "Part One" PARTITION OF part FOR VALUES FROM (0) TO (10)',
        "CREATE MATERIALIZED VIEW stored AS SELECT 1 AS one",
        "CREATE UNLOGGED TABLE quick (id int)",
        "CREATE EXTENSION file_fdw",
        "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
        "CREATE FOREIGN TABLE abroad (line text) SERVER files OPTIONS (filename '/etc/hostname')",
        "CREATE VIEW shown AS SELECT 1 AS one",
    )
    other = database.connect()
    other.execute("CREATE TEMP TABLE fleeting (id int)")
    tables = tables_of(database)

    assert tables["public.part"].kind == "p"
    assert tables["public.Part One"].child_of == tables["public.part"].oid
    assert tables["public.Part One"].partition
    assert tables["TOAST of public.Part One"].main == tables["public.Part One"].oid
    assert tables["public.stored"].kind == "m"
    assert tables["public.quick"].persistence == "u"
    (temporary,) = [table for label, table in tables.items() if label.endswith(".fleeting")]
    assert temporary.is_temporary
    assert not [label for label in tables if "abroad" in label or "shown" in label]
    assert tables["pg_catalog.pg_class"].system
    assert tables["pg_catalog.pg_database"].shared


def test_a_table_that_somebody_has_locked_does_not_hold_up_the_look(database: Database) -> None:
    fill(database)
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
    table = tables_of(database)["public.orders"]

    assert table.locked
    assert table.estimated
    assert table.heap_bytes == table.pages * 8192 > 0


def test_the_limits_are_those_of_the_server(database: Database) -> None:
    with connect(login_to(database), read_only=True) as session:
        limits = collect_limits(session, look(session))

    expected = Limits(enabled=False, vacuum_max_threshold=100_000_000 if database.cluster.version >= 18 else -1)
    assert limits == expected


def test_a_table_in_order_is_ok_and_one_with_dead_rows_is_told(database: Database) -> None:
    fill(database)
    before = database.finding("vacuum_due")
    database.execute("DELETE FROM orders WHERE id <= 18000")
    broken = database.finding("vacuum_due")
    database.execute("VACUUM orders")
    after = database.finding("vacuum_due")

    assert [before["status"], broken["status"], after["status"]] == ["ok", "warning", "ok"]
    # 18000 dead rows against max(50 + 0.2 * 20000, 5000).
    assert broken["value"] == 360
    assert broken["evidence"][0] == "public.orders: 18000 dead rows, threshold 4050 (taken as 5000)"
    assert broken["item"].endswith(database.name)
    assert "postgresql_vacuum" in broken["remedy"]


def test_a_toast_is_told_by_the_name_of_its_table(database: Database) -> None:
    database.execute(
        'CREATE TABLE "User" (id int, big text)',
        'ALTER TABLE "User" ALTER big SET STORAGE EXTERNAL',
        """INSERT INTO "User" SELECT n, repeat('x', 20000) FROM generate_series(1, 1500) n""",
    )
    database.execute('VACUUM (ANALYZE) "User"')
    database.execute('DELETE FROM "User"')
    finding = database.finding("vacuum_due")

    assert finding["evidence"][0].startswith("TOAST of public.User: ")


def test_inserts_alone_make_a_vacuum_due_and_changes_an_analyze(database: Database) -> None:
    fill(database)
    database.execute("INSERT INTO orders SELECT n, 'x' FROM generate_series(100001, 120000) n")
    findings = {finding["check"]: finding for finding in database.findings("vacuum_due", "analyze_due")}

    vacuum, analyze = findings["postgresql.vacuum_due"], findings["postgresql.analyze_due"]
    assert vacuum["evidence"] == ["public.orders: 20000 rows inserted since the last vacuum, threshold 5000"]
    assert analyze["evidence"] == [
        "public.orders: 20000 rows changed since the last analyze, threshold 2050 (taken as 5000)"
    ]
    assert [vacuum["status"], analyze["status"]] == ["warning", "warning"]


def test_a_restored_table_lacks_statistics_and_one_new_expression_is_enough(database: Database) -> None:
    database.execute("CREATE TABLE empty (id int)")
    before = database.finding("statistics_missing")
    database.execute(
        "CREATE TABLE orders AS SELECT n AS id, n::text AS note FROM generate_series(1, 100) n",
    )
    restored = database.finding("statistics_missing")
    database.execute("ANALYZE")
    analyzed = database.finding("statistics_missing")
    database.execute("CREATE INDEX ON orders (lower(note))")
    expression = database.finding("statistics_missing")
    database.execute("ANALYZE orders", "CREATE STATISTICS pair ON id, note FROM orders")
    extended = database.finding("statistics_missing")
    database.execute("ANALYZE orders")
    mended = database.finding("statistics_missing")

    shown = [before, restored, analyzed, expression, extended, mended]
    assert [finding["value"] for finding in shown] == [0, 1, 0, 1, 1, 0]
    assert [finding["status"] for finding in shown] == ["ok", "warning", "ok", "warning", "warning", "ok"]
    assert restored["evidence"][0].startswith("public.orders: 2 columns")
    assert expression["evidence"][0].startswith("public.orders: 1 column")


def test_a_partitioned_table_and_a_parent_lack_statistics_of_the_whole(database: Database) -> None:
    database.execute(
        "CREATE TABLE part (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE part_one PARTITION OF part FOR VALUES FROM (0) TO (1000)",
        "INSERT INTO part SELECT generate_series(1, 999)",
        "ANALYZE part_one",
        "CREATE TABLE mother (id int)",
        "INSERT INTO mother SELECT generate_series(1, 999)",
        "ANALYZE mother",
        "CREATE TABLE child () INHERITS (mother)",
        "INSERT INTO child SELECT generate_series(1, 999)",
        "ANALYZE child",
    )
    lacking = database.finding("statistics_missing")
    database.execute("ANALYZE part", "ANALYZE mother")
    mended = database.finding("statistics_missing")

    assert sorted(line.split(":")[0] for line in lacking["evidence"]) == [
        "public.mother",
        "public.part",
    ]
    assert mended["value"] == 0


def test_what_no_analyze_ever_measures_is_not_missing(database: Database) -> None:
    database.execute(
        # The sample of an analyze has no row that these indexes have.
        "CREATE TABLE orders AS SELECT n AS id, n::text AS note FROM generate_series(1, 100) n",
        "CREATE INDEX ON orders (lower(note)) WHERE id < 0",
        "CREATE TABLE many AS SELECT n AS id, n::text AS note FROM generate_series(1, 40000) n",
        "CREATE INDEX ON many (lower(note)) WHERE id = 4711",
        # Nor what goes with a column that somebody has forbidden to measure.
        "CREATE TABLE pairs AS SELECT n AS id, n AS other FROM generate_series(1, 100) n",
        "ALTER TABLE pairs ALTER id SET STATISTICS 0",
        "CREATE STATISTICS pair ON id, other FROM pairs",
        # Nor is there anything in here.
        "CREATE TABLE part (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE part_one PARTITION OF part FOR VALUES FROM (0) TO (1000) PARTITION BY RANGE (id)",
        "CREATE TABLE part_first PARTITION OF part_one FOR VALUES FROM (0) TO (500)",
        "VACUUM (ANALYZE) orders, many, pairs",
    )
    nothing = database.finding("statistics_missing")
    database.execute("INSERT INTO part VALUES (1)", "CREATE INDEX ON orders (upper(note)) WHERE id > 50")
    something = database.finding("statistics_missing")

    assert nothing["value"] == 0, nothing["evidence"]
    assert sorted(line.split(":")[0] for line in something["evidence"]) == [
        "public.orders",
        "public.part",
        "public.part_first",
        "public.part_one",
    ]


def test_a_monitor_is_told_of_tables_never_analyzed_and_that_it_sees_no_columns(database: Database) -> None:
    database.execute("CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 100) n")
    finding = database.finding("statistics_missing", user="watcher")

    assert finding["evidence"] == ["public.orders: never analyzed"]
    assert "only tables that were never analyzed could be seen" in finding["summary"]


def test_a_table_is_old_only_where_somebody_has_written_to_it(database: Database) -> None:
    fill(database)
    quiet = {finding["check"]: finding for finding in database.findings("vacuum_age", "analyze_age")}
    database.execute("UPDATE orders SET note = 'new' WHERE id <= 5000")
    written = {finding["check"]: finding for finding in database.findings("vacuum_age", "analyze_age")}

    for check in ("postgresql.vacuum_age", "postgresql.analyze_age"):
        assert quiet[check]["value"] == 0
        assert "0 tables written to since" in quiet[check]["summary"]
        assert "1 table written to since" in written[check]["summary"]
        assert written[check]["evidence"][0].startswith("public.orders: ")
    levels = {"postgresql.vacuum_age": {"info": None, "warning": 0}}
    assert database.finding("vacuum_age", levels=levels)["status"] == "warning"


def test_a_server_and_a_table_without_autovacuum_are_told(database: Database) -> None:
    fill(database)
    before = database.findings("autovacuum_off")
    database.execute("ALTER TABLE orders SET (autovacuum_enabled = FAL, toast.autovacuum_enabled = no)")
    after = database.findings("autovacuum_off")

    # The servers of these tests have it off.
    assert [finding["status"] for finding in before] == ["warning"]
    assert "autovacuum off" in before[0]["summary"]
    assert [finding["status"] for finding in after] == ["warning", "info"]
    assert after[1]["evidence"] == ["public.orders", "TOAST of public.orders"]


def test_a_login_without_rights_still_sees_the_counters_and_nothing_of_running_vacuums(database: Database) -> None:
    fill(database)
    database.execute("DELETE FROM orders WHERE id <= 18000")
    findings = {
        finding["check"]: finding
        for finding in database.findings("vacuum_due", "vacuum_running", "autovacuum_workers", user="nobody_special")
    }

    assert findings["postgresql.vacuum_due"]["status"] == "warning"
    for check in ("postgresql.vacuum_running", "postgresql.autovacuum_workers"):
        assert findings[check]["status"] == "skipped"
        assert findings[check]["remedy"] == 'GRANT pg_monitor TO "nobody_special"'


def test_a_running_vacuum_says_how_far_it_is(database: Database) -> None:
    fill(database)
    worker = database.connect()
    worker.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")

    def work() -> None:
        with pytest.raises(psycopg.errors.QueryCanceled):
            worker.execute("VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) orders")

    thread = Thread(target=work)
    thread.start()
    while not database.value("SELECT count(*) FROM pg_stat_progress_vacuum WHERE pid = %s", worker.info.backend_pid):
        pass
    finding = database.finding("vacuum_running", login_db=database.name)
    database.execute(f"SELECT pg_cancel_backend({worker.info.backend_pid})")
    thread.join()

    (line,) = [line for line in finding["evidence"] if line.startswith(f"pid {worker.info.backend_pid} ")]
    assert f"VACUUM of public.orders in {database.name}: " in line
    assert "pages scanned" in line


def test_what_is_decided_is_what_autovacuum_does(database: Database) -> None:
    """The server's own autovacuum, turned on for a moment, serves exactly the tables that are called due."""
    names = ["quiet", "dead", "dead_own", "inserted", "modified", "off"]
    for name in names:
        fill(database, name, 2000)
    database.execute(
        "DELETE FROM dead WHERE id <= 500",
        "ALTER TABLE dead_own SET (autovacuum_vacuum_threshold = 10, autovacuum_vacuum_scale_factor = 0)",
        "DELETE FROM dead_own WHERE id <= 11",
        "INSERT INTO inserted SELECT n, 'x' FROM generate_series(5001, 7000) n",
        "UPDATE modified SET note = 'x' WHERE id <= 260",
        "ALTER TABLE off SET (autovacuum_enabled = off)",
        "DELETE FROM off",
        "DELETE FROM quiet WHERE id <= 100",
    )
    with connect(login_to(database), read_only=True) as session:
        limits = collect_limits(session, look(session))
    needed = {name: need_of(tables_of(database)[f"public.{name}"], limits) for name in names}
    by_autovacuum = autovacuumed(database, names)

    assert {
        name: (
            any(urge.due() for urge in need.vacuum) and need.enabled,
            any(urge.due() for urge in need.analyze) and need.enabled,
        )
        for name, need in needed.items()
    } == by_autovacuum


def autovacuumed(database: Database, names: list[str]) -> dict[str, tuple[bool, bool]]:
    """What autovacuum does to each table once it is on, whether it vacuums and whether it analyzes."""
    database.execute(
        # It comes by once a second, and a table that is surely due tells that it has come by.
        "CREATE TABLE canary (id int)",
        "INSERT INTO canary SELECT generate_series(1, 3000)",
        "ALTER SYSTEM SET autovacuum_naptime = '1s'",
        "ALTER SYSTEM SET autovacuum = on",
        "SELECT pg_reload_conf()",
    )
    try:
        while not database.value("SELECT autovacuum_count FROM pg_stat_all_tables WHERE relname = 'canary'"):
            pass
        # A second visit is over when a table that became due after the first has been served.
        database.execute("DELETE FROM canary")
        while database.value("SELECT autovacuum_count FROM pg_stat_all_tables WHERE relname = 'canary'") < 2:
            pass
    finally:
        database.execute(
            "ALTER SYSTEM RESET autovacuum_naptime", "ALTER SYSTEM RESET autovacuum", "SELECT pg_reload_conf()"
        )
    return {
        row["relname"]: (row["autovacuum_count"] > 0, row["autoanalyze_count"] > 0)
        for row in database.rows(
            "SELECT relname, autovacuum_count, autoanalyze_count FROM pg_stat_all_tables WHERE relname = ANY(%s)", names
        )
    }
