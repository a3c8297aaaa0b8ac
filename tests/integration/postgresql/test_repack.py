# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``postgresql_vacuum`` with ``repack``: tables rewritten beside other sessions, and nothing of the tool left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from psycopg import sql

from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.test_vacuum_repair import targets

NAME = 'a "b" c'
Repair = Callable[..., dict[str, Any]]


@pytest.fixture(params=(15, 18), ids=lambda version: f"PostgreSQL {version}")
def cluster(request: pytest.FixtureRequest, clusters: Callable[[int], Cluster]) -> Cluster:
    """The oldest and the newest pg_repack."""
    return clusters(request.param)


@pytest.fixture
def repair(database: Database, make_controller: Callable[..., Controller]) -> Repair:
    """The module as it runs on the server's own host, as root over the socket; the program is there."""
    assert database.cluster.fleet
    controller = make_controller(database.cluster.fleet)
    others = [
        row["datname"] for row in database.rows("SELECT datname FROM pg_database") if row["datname"] != database.name
    ]

    def repaired(*tables: str, check: bool = False, **params: Any) -> dict[str, Any]:
        arguments = {
            "databases_exclude": others,
            "tables": ["no.table"],
            "repack": [{"database": database.name, "table": table} for table in tables or (NAME,)],
            "io_pressure_max": 0,
            "unseen_bytes": 0,
            **params,
        }
        return controller.module("postgresql_vacuum", arguments, check=check)[database.cluster.host.name]

    return repaired


def bloat(database: Database) -> None:
    """A table that is nine tenths air, and the extensions."""
    database.execute(
        "CREATE EXTENSION pg_repack",
        "CREATE EXTENSION pgstattuple",
        'CREATE TABLE "a ""b"" c" (id int PRIMARY KEY, line text)',
        """INSERT INTO "a ""b"" c" SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n""",
        'DELETE FROM "a ""b"" c" WHERE id % 10 <> 0',
        'VACUUM (ANALYZE) "a ""b"" c"',
    )


def size(database: Database) -> int:
    return int(database.value("""SELECT pg_total_relation_size('"a ""b"" c"')"""))


def left_behind(database: Database) -> list[str]:
    """What of the tool is in the database beside its extension, and its sessions."""
    rows = database.rows(
        "SELECT c.relname::text AS name FROM pg_class c WHERE c.relnamespace = 'repack'::regnamespace "
        "AND c.relname ~ '_[0-9]+$' UNION ALL SELECT t.typname FROM pg_type t "
        "WHERE t.typnamespace = 'repack'::regnamespace AND t.typname ~ '^pk_[0-9]+$' "
        "UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE '%%repack%%' UNION ALL SELECT application_name "
        "FROM pg_stat_activity WHERE application_name LIKE 'fleetcare%%' OR application_name LIKE '%%repack%%'"
    )
    return [row["name"] for row in rows]


@contextmanager
def holding(database: Database, statement: str) -> Iterator[Any]:
    session = database.connect()
    session.execute("BEGIN")
    session.execute(statement)  # type: ignore[arg-type]
    yield session
    session.rollback()


def test_quartet_repack(database: Database, repair: Repair) -> None:
    bloat(database)
    before = size(database)
    runs = [repair(check=check) for check in (True, False, True, False)]

    assert [run["changed"] for run in runs] == [True, True, False, False], runs
    assert runs[0]["plan"] == runs[1]["plan"]
    assert targets(runs[1]["applied"]) == targets(runs[1]["plan"]) == [("repack", f"public.{NAME}")]
    (applied,) = runs[1]["applied"]
    assert applied["before"] == {"bytes": before}
    assert applied["after"] == {"bytes": size(database)}
    assert size(database) < before / 4
    assert database.value('SELECT count(*) FROM "a ""b"" c"') == 2000
    assert left_behind(database) == []
    assert "would win back" in runs[2]["kept"][0]["reason"]


def test_what_stands_in_the_way_is_said_before_anything_is_begun(database: Database, repair: Repair) -> None:
    database.execute("CREATE EXTENSION pgstattuple", "CREATE TABLE bare (id int)", 'CREATE TABLE "a ""b"" c" (id int)')
    without = repair(check=True)
    database.execute("CREATE EXTENSION pg_repack")
    told = repair(NAME, "bare", "gone", check=True)
    database.execute(
        'ALTER TABLE "a ""b"" c" ADD PRIMARY KEY (id)', 'INSERT INTO "a ""b"" c" SELECT generate_series(1, 1000)'
    )
    small = repair(check=True, repack_max_bytes=1)
    full_disk = repair(check=True, free_bytes=1, full_min_percent=1)
    program = f"/usr/lib/postgresql/{database.cluster.version}/bin/pg_repack"
    database.cluster.host.execute(["mv", program, f"{program}.away"])
    missing = repair(check=True)
    database.cluster.host.execute(["mv", f"{program}.away", program])

    assert [run["plan"] for run in (without, told, small, full_disk, missing)] == [[]] * 5
    assert "CREATE EXTENSION pg_repack" in without["kept"][0]["reason"]
    assert ["needs a primary key" in entry["reason"] for entry in told["kept"]] == [True, True, False]
    assert "there is no such table" in told["kept"][2]["reason"]
    assert "repack_max_bytes is 1 B" in small["kept"][0]["reason"]
    assert "of free disk, and there are 1 B" in full_disk["kept"][0]["reason"]
    assert "the program pg_repack is not on this host" in missing["kept"][0]["reason"]


def test_a_table_that_others_hold_is_left_and_nobody_is_thrown_out(database: Database, repair: Repair) -> None:
    bloat(database)
    with holding(database, 'LOCK TABLE "a ""b"" c" IN ACCESS EXCLUSIVE MODE') as session:
        locked = repair(lock_timeout=1)
        assert session.info.transaction_status.name == "INTRANS"
    with holding(database, 'SELECT count(*) FROM "a ""b"" c"') as session:
        # An open transaction is as old as the lock that is waited for before the run begins.
        while not database.value(
            "SELECT bool_or(now() - xact_start > '1 s') FROM pg_stat_activity WHERE state LIKE 'idle in%'"
        ):
            pass
        read = repair(lock_timeout=1)
        session.execute("SELECT 1")
    assert (locked["applied"], read["applied"]) == ([], [])
    assert "transaction of pid" in read["kept"][0]["reason"]
    assert left_behind(database) == []


def test_what_an_earlier_one_has_left_is_removed_and_the_table_rewritten(database: Database, repair: Repair) -> None:
    bloat(database)
    oid = database.value("""SELECT '"a ""b"" c"'::regclass::oid::bigint""")
    with database.cluster.connect(database.name) as session:
        row = session.execute("SELECT * FROM repack.tables WHERE relid = %s", (oid,)).fetchone()
        assert row
        for column in ("create_pktype", "create_log", "create_trigger", "enable_trigger"):
            statement = row[column]
            session.execute(statement)
    database.execute("""INSERT INTO "a ""b"" c" VALUES (-1, 'recorded for nobody')""")
    assert database.value(f"SELECT count(*) FROM repack.log_{oid}") == 1  # noqa: S608
    planned, done, again = repair(check=True), repair(), repair()

    assert targets(planned["plan"]) == targets(done["applied"])
    assert [action for action, _target in targets(done["applied"])] == ["clear up after pg_repack", "repack"]
    assert again["plan"] == []
    assert left_behind(database) == []
    database.execute("""INSERT INTO "a ""b"" c" VALUES (-2, 'recorded no more')""")


def slow(database: Database) -> None:
    """An index that takes ten seconds to build."""
    bloat(database)
    quoted = sql.Identifier(database.name).as_string(None)
    function = "FUNCTION slow(text) RETURNS text IMMUTABLE LANGUAGE sql AS"
    database.execute(
        f"CREATE {function} 'SELECT $1'",
        'CREATE INDEX ON "a ""b"" c" (slow(line)) WHERE id < 400',
        f"CREATE OR REPLACE {function} $$ SELECT $1 || (SELECT '' FROM pg_sleep(0.25)) $$",  # noqa: S608
        f"ALTER DATABASE {quoted} SET search_path = public",
    )


def test_a_repack_that_takes_too_long_is_stopped_and_leaves_nothing_behind(database: Database, repair: Repair) -> None:
    slow(database)
    late = repair(table_timeout=1.0)
    assert late["applied"] == []
    assert "the time for it was up" in late["failures"][0]["error"]
    assert late["failures"][0]["done"] is False
    assert left_behind(database) == []


@pytest.mark.parametrize("cluster", [18], indirect=True)
@pytest.mark.parametrize("killed", ["the session", "the module"])
def test_what_is_killed_half_way_leaves_nothing_behind(database: Database, repair: Repair, killed: str) -> None:
    slow(database)
    results: list[dict[str, Any]] = []
    thread = Thread(target=lambda: results.append(repair()))
    thread.start()
    building = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'fleetcare.maintenance repack %' AND query LIKE 'CREATE %INDEX%'"
    while not database.rows(building):
        pass
    if killed == "the session":
        database.rows(f"SELECT pg_terminate_backend(pid) FROM ({building}) AS found")  # noqa: S608
    else:
        database.cluster.host.execute(["sh", "-c", "kill -KILL $(ps -o ppid= -C timeout)"])
    thread.join()
    while left_behind(database):
        pass

    if killed == "the session":
        assert "pg_repack did not do it: " in results[0]["failures"][0]["error"]
    assert database.value('SELECT count(*) FROM "a ""b"" c"') == 2000
