# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on a server while it is repaired, the same for every repair: told in a sentence, and nothing stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from psycopg import sql

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Work
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import (
    index,
    reindex,
    unblock,
    vacuum_options,
    vacuum_run,
)
from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import PASSWORD, Cluster, Database

VERSION = 17
SMALL = "/small"
#: An expression that takes its time, so that what works with it can be met half-way: a second for two hundred rows.
SLOW = "CREATE OR REPLACE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT $1 + (SELECT 0 FROM pg_sleep(%s)) $$"
TABLE = (
    SLOW % 0,
    "CREATE TABLE busy (id int, note text)",
    "INSERT INTO busy SELECT n, repeat('x', 2000) FROM generate_series(1, 200) n",
)
COLUMN = index.ARGUMENTS["columns"]["options"]


@dataclass(frozen=True)
class Repair:
    """One repair, the state that needs it, and how it is called."""

    work: Work
    arguments: Mapping[str, Any]
    needed: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=dict)


REPAIRS = {
    "postgresql_vacuum": Repair(
        vacuum_run.vacuum,
        vacuum_options.ARGUMENTS,
        (*TABLE, "CREATE INDEX by_slow ON busy (slow(id))", "UPDATE busy SET note = note || '.'"),
        {"tables": ["public.*"], "io_pressure_max": 0, "lock_timeout": 1.0},
    ),
    "postgresql_reindex": Repair(
        reindex.reindex,
        reindex.ARGUMENTS,
        # As it is left when building it is broken off.
        (
            *TABLE,
            "CREATE INDEX by_slow ON busy (slow(id))",
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_slow'::regclass",
        ),
        {"io_pressure_percent": 0.0, "lock_timeout": 1.0},
    ),
    "postgresql_index": Repair(
        index.index,
        index.ARGUMENTS,
        TABLE,
        {
            "table": "busy",
            "columns": [{**dict.fromkeys(COLUMN), "descending": False, "expression": "slow(id)"}],
            "io_pressure_percent": 0.0,
            "lock_timeout": 1.0,
        },
    ),
}


@pytest.fixture(scope="module")
def cluster(start_hosts: Callable[..., Fleet]) -> Cluster:
    """A server of their own, for it is restarted, made a standby, and has a disk that is soon full."""
    fleet = start_hosts({"faults": f"postgresql{VERSION}"}, options=[f"--tmpfs={SMALL}:size=24m,mode=1777"])
    return Cluster(fleet["faults"], VERSION, fleet=fleet)


@dataclass(frozen=True)
class Runner:
    """A repair at a database."""

    name: str
    database: Database

    def __call__(self, **params: Any) -> dict[str, Any]:
        one = REPAIRS[self.name]
        own = {"login_db": self.database.name} if self.name == "postgresql_index" else {}
        return self.database.perform(
            one.work, arguments=one.arguments, name=self.name, repair=True, **{**own, **one.params, **params}
        )


@pytest.fixture(params=REPAIRS)
def repair(request: pytest.FixtureRequest, database: Database) -> Iterator[Runner]:
    """Each repair in turn, in need; afterwards nothing of it may be there."""
    database.execute(*REPAIRS[request.param].needed)
    yield Runner(request.param, database)
    while left_behind(database):
        pass


def left_behind(database: Database) -> list[Any]:
    """Sessions of ours, and what a broken-off build leaves: the server drops a lost session when it notices."""
    return database.rows(
        "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'fleetcare%' UNION ALL "
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE NOT i.indisvalid AND c.relname <> 'by_slow'"
    )


def untouched(result: dict[str, Any]) -> bool:
    return not result["changed"] and not result["plan"] and not result.get("applied")


SNAKEOIL = "/etc/ssl/certs/ssl-cert-snakeoil.pem"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"login_port": 1}, "Connection refused"),
        ({"login_host": "no-such-host.invalid"}, "no-such-host.invalid"),
        ({"login_password": "wrong-one"}, "password authentication failed"),
        ({"login_user": "no_such_role"}, "password authentication failed"),
        ({"login_db": "no such database"}, 'database "no such database" does not exist'),
        ({"ssl_mode": "verify-full", "ca_cert": "authority"}, "does not match host name"),
        ({"ssl_mode": "verify-ca", "ca_cert": "stranger"}, "certificate verify failed"),
    ],
    ids=["refused", "unknown host", "password", "role", "database", "another name", "another authority"],
)
def test_who_is_not_let_in_says_so_and_touches_nothing(
    database: Database, repair: Runner, tmp_path: Path, params: dict[str, Any], said: str
) -> None:
    if "ca_cert" in params:
        source = SNAKEOIL if params["ca_cert"] == "authority" else "/etc/ssl/certs/ca-certificates.crt"
        (tmp_path / "ca.pem").write_text(database.cluster.host.execute(["cat", source]).stdout)
        params = {**params, "ca_cert": str(tmp_path / "ca.pem")}
    result = repair(**params)

    (finding,) = result["findings"]
    assert untouched(result)
    assert finding["status"] == "critical"
    assert said in finding["summary"]
    assert finding["remedy"]
    assert "wrong-one" not in str(result)
    assert PASSWORD not in str(result)


def test_the_same_certificate_is_taken_where_its_name_is_not_asked_for(
    database: Database, repair: Runner, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(database.cluster.host.execute(["cat", SNAKEOIL]).stdout)
    result = repair(ssl_mode="verify-ca", ca_cert=str(tmp_path / "ca.pem"), check_mode=True)
    assert len(result["plan"]) == 1


def test_a_server_without_tls_is_told_from_one_that_is_away(database: Database, repair: Runner) -> None:
    database.execute("ALTER SYSTEM SET ssl = off", "SELECT pg_reload_conf()")
    try:
        while database.value("SHOW ssl") != "off":
            pass
        result = repair(ssl_mode="require")
    finally:
        database.execute("ALTER SYSTEM RESET ssl", "SELECT pg_reload_conf()")
    assert untouched(result)
    assert "server does not support SSL" in result["findings"][0]["summary"]
    assert "ssl_mode" in result["findings"][0]["remedy"]


def test_limits_that_a_role_has_for_short_work_do_not_end_long_work(database: Database, repair: Runner) -> None:
    """Neither the statement's nor the session's: our own limits are set by the options."""
    limits = {
        "statement_timeout": "100ms",
        "transaction_timeout": "300ms",
        "idle_session_timeout": "300ms",
        "idle_in_transaction_session_timeout": "300ms",
        "lock_timeout": "1ms",
    }
    database.execute(
        f"CREATE ROLE hurried SUPERUSER LOGIN PASSWORD '{PASSWORD}'",
        *(f"ALTER ROLE hurried SET {name} = '{value}'" for name, value in limits.items()),
        SLOW % 0.005,
    )
    try:
        result = repair(user="hurried")
    finally:
        database.execute("DROP OWNED BY hurried", "DROP ROLE hurried")
    assert result["failures"] == result["kept"] == []
    assert len(result["applied"]) == 1


def test_a_table_that_another_session_has_locked_is_left_in_time(database: Database, repair: Runner) -> None:
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
    while not database.value("SELECT now() - xact_start > '1 s' FROM pg_stat_activity WHERE state LIKE 'idle in%'"):
        pass
    locked = repair()
    holder.rollback()
    after = repair()

    assert not locked["changed"]
    assert "lock" in str(locked["kept"] + locked["findings"]) or "transaction of pid" in str(locked["kept"])
    assert len(after["applied"]) == 1


def half_way(database: Database, thread: Thread) -> None:
    """Wait until the slow expression is evaluated for us."""
    while thread.is_alive() and not database.value(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fleetcare.maintenance' "
        "AND wait_event = 'PgSleep'"
    ):
        pass


@pytest.mark.parametrize("fault", ["the session is ended", "the server restarts"])
def test_who_is_interrupted_half_way_says_so_and_the_next_run_does_it(
    database: Database, repair: Runner, fault: str
) -> None:
    database.execute(SLOW % 0.02)
    results: list[dict[str, Any]] = []
    thread = Thread(target=lambda: results.append(repair()))
    thread.start()
    half_way(database, thread)
    if fault == "the server restarts":
        database.cluster.host.execute(["pg_ctlcluster", str(VERSION), "main", "restart", "--mode", "fast"])
    else:
        database.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fleetcare.maintenance' "
            "AND wait_event = 'PgSleep'"
        )
    thread.join()
    while left_behind(database):
        pass
    database.execute(SLOW % 0)
    again = repair()

    (failure,) = results[0]["failures"]
    assert "was lost" in failure["error"]
    assert results[0]["applied"] == []
    assert len(again["applied"]) == 1, again


def test_a_disk_that_fills_up_costs_the_work_and_nothing_else(database: Database, repair: Runner) -> None:
    """Where nobody could know it before, as from another host."""
    rewrite = {"full": [{"database": database.name, "schema": "public", "table": "busy"}], "full_min_percent": 1.0}
    database.execute("CREATE EXTENSION pgstattuple")
    with small_disk(database, free=8192):
        result = repair(**(rewrite if repair.name == "postgresql_vacuum" else {}))
        while left_behind(database):
            pass
        assert result["applied"] == [], result
        assert "No space left on device" in result["failures"][0]["error"]
        assert database.value("SELECT count(*) FROM busy") == 200
    assert repair()["failures"] == []


@pytest.mark.parametrize("module", ["postgresql_vacuum", "postgresql_reindex"])
def test_on_the_server_s_own_host_a_full_disk_is_seen_before(
    database: Database, make_controller: Callable[..., Controller], module: str
) -> None:
    assert database.cluster.fleet
    database.execute(*REPAIRS[module].needed, "CREATE EXTENSION pgstattuple")
    named = {
        "postgresql_vacuum": {
            "tables": ["no.table"],
            "full": [{"database": database.name, "table": "busy"}],
            "full_min_percent": 1,
            "databases_exclude": ["postgres"],
        },
        "postgresql_reindex": {"databases": [database.name]},
    }
    with small_disk(database, free=4096):
        controller = make_controller(database.cluster.fleet)
        result = controller.module(module, named[module], check=True)["faults"]
    assert result["plan"] == []
    assert "of free disk, and there are 4 KiB" in result["kept"][0]["reason"]


@contextmanager
def small_disk(database: Database, *, free: int) -> Iterator[None]:
    """What there is, and what will be, on a disk with so many bytes left; afterwards there is room again."""
    host, quoted = database.cluster.host, sql.Identifier(database.name).as_string(None)
    host.execute(["install", "-d", "-o", "postgres", f"{SMALL}/space"])
    database.execute(f"CREATE TABLESPACE small LOCATION '{SMALL}/space'")
    database.execute(
        "ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE small",
        "ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE small",
        f"ALTER DATABASE {quoted} SET default_tablespace = small",
    )
    room = int(host.execute(["stat", "--file-system", "--format", "%a", SMALL]).stdout) * 4096
    host.execute(["fallocate", "-l", str(room - free), f"{SMALL}/filler"])
    yield
    host.execute(["rm", f"{SMALL}/filler"])
    database.execute(
        f"ALTER DATABASE {quoted} RESET default_tablespace",
        "ALTER TABLE ALL IN TABLESPACE small SET TABLESPACE pg_default",
        "ALTER INDEX ALL IN TABLESPACE small SET TABLESPACE pg_default",
        # A checkpoint lets go of files that are removed already.
        "CHECKPOINT",
        "DROP TABLESPACE small",
    )


def test_a_standby_is_left_to_its_primary(cluster: Cluster, tmp_path: Path) -> None:
    """The last one: nothing can be made on it for a while, and afterwards it is a primary of another timeline."""
    host, folder = cluster.host, f"/var/lib/postgresql/{VERSION}/main"
    host.execute(["pg_ctlcluster", str(VERSION), "main", "stop", "--mode", "fast"])
    host.execute(["install", "-o", "postgres", "/dev/null", f"{folder}/standby.signal"])
    host.execute(["pg_ctlcluster", str(VERSION), "main", "start"])
    database = Database(cluster, "postgres", tmp_path / "state")
    results = [Runner(name, database)() for name in REPAIRS]
    results.append(
        database.perform(unblock.unblock, arguments=unblock.ARGUMENTS, name="postgresql_unblock", repair=True)
    )
    host.execute(["pg_ctlcluster", str(VERSION), "main", "promote"])

    for result in results:
        assert untouched(result)
        assert [finding["status"] for finding in result["findings"]] == ["skipped"]
        assert "standby" in result["findings"][0]["summary"]
