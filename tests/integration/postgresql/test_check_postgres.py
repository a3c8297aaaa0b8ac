# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster, broken in many ways, as check_postgres sees it and as we do: it raises no alarm that we do not."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import State
from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet, Host
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database
from ansible_collections.fleetcare.maintenance.tests.peers.check_postgres import ACTIONS, OUT_OF_SCOPE

BROKEN = [name for name, action in ACTIONS.items() if action.alarming is not None]
ALARMS = ("warning", "critical")
#: At first autovacuum does what it has to; then it is to leave alone what the test does, and the rest is to break.
LIVELY = {"autovacuum": "on", "autovacuum_naptime": "1s"}
SETTINGS = {
    "archive_mode": "on",
    "archive_command": "false",
    "autovacuum_naptime": "1d",
    "autovacuum_freeze_max_age": "100000",
    "max_connections": "20",
    "max_wal_size": "64MB",
}
#: What was there before it broke.
SOUND = (
    "CREATE TABLE swollen AS SELECT i AS id, repeat('x', 200) AS words FROM generate_series(1, 40000) i",
    "DELETE FROM swollen WHERE id % 10 > 0",
    "CREATE TABLE written (id serial PRIMARY KEY, words text)",
    "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "CREATE TRIGGER stamped BEFORE UPDATE ON written FOR EACH ROW EXECUTE FUNCTION stamp()",
    "INSERT INTO written (words) SELECT repeat('x', 100) FROM generate_series(1, 5000)",
    "VACUUM ANALYZE swollen, written",
    "DELETE FROM written WHERE id <= 3000",
)
BREAKS = (
    # What a subtransaction writes takes an id of its own.
    "CREATE TABLE burnt (id int)",
    "DO $$ BEGIN FOR i IN 1..160000 LOOP BEGIN INSERT INTO burnt VALUES (i); EXCEPTION WHEN others THEN END; END LOOP; END $$",
    "DO $$ BEGIN FOR i IN 1..3000 LOOP PERFORM i; ROLLBACK; END LOOP; END $$",
    "SELECT pg_create_physical_replication_slot('nobody', true)",
    "SELECT setval('written_id_seq', 2100000000)",
    "ALTER TABLE written DISABLE TRIGGER stamped",
    "ALTER SYSTEM SET work_mem = '5MB'",
    "SELECT pg_reload_conf()",
    "SELECT count(*) FROM swollen",
    "SELECT count(*) FROM generate_series(1, 12000) i JOIN LATERAL (SELECT 1 FROM written WHERE id = i + 3000) w ON true",
    *("INSERT INTO burnt VALUES (0)", "SELECT pg_switch_wal()") * 20,
    "CHECKPOINT",
    "INSERT INTO written (words) SELECT repeat('y', 1000) FROM generate_series(1, 4000)",
)


@pytest.fixture(scope="module")
def peer(start_hosts: Callable[..., Fleet]) -> Cluster:
    return Cluster(start_hosts({"peer": "postgresql17peers"})["peer"], 17)


@pytest.fixture(scope="module")
def broken(peer: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The cluster in trouble, after a run that has seen it sound."""
    with peer.connect() as session:
        session.execute("CREATE DATABASE broken")
    alter_system(peer, LIVELY)
    database = Database(peer, "broken", tmp_path_factory.mktemp("broken") / "state")
    with database.stack:
        database.execute(*SOUND)
        while not database.value("SELECT count(*) FROM pg_stat_user_tables WHERE last_autoanalyze IS NOT NULL"):
            pass
        while not database.value("SELECT count(*) FROM pg_stat_user_tables WHERE last_autovacuum IS NOT NULL"):
            pass
        database.perform()
        alter_system(peer, SETTINGS)
        # What is read after it comes from the disk.
        peer.host.execute(["systemctl", "restart", "postgresql@17-main"])
        prepared = database.connect()
        prepared.execute("BEGIN")
        prepared.execute("CREATE TABLE kept ()")
        prepared.execute("PREPARE TRANSACTION 'forgotten'")
        database.execute(*BREAKS)
        with sessions(database):
            yield database


def alter_system(cluster: Cluster, settings: Mapping[str, str]) -> None:
    with cluster.connect() as session:
        for name, value in settings.items():
            session.execute(f"ALTER SYSTEM SET {name} = '{value}'")  # type: ignore[call-overload]
        session.execute("SELECT pg_reload_conf()")


@contextlib.contextmanager
def sessions(database: Database) -> Iterator[None]:
    """A session idle in a transaction, one that waits for its lock, one at work, and many that do nothing."""
    idle = database.cluster.connect(database.name)
    idle.execute("BEGIN")
    # What may still be read: check_postgres waits for a table that is locked until its time is up.
    idle.execute("LOCK TABLE swollen IN EXCLUSIVE MODE")
    threads = [
        threading.Thread(target=until_ended, args=(database.cluster.connect(database.name), statement))
        for statement in ("DELETE FROM swollen", "SELECT pg_sleep(600)")
    ]
    for thread in threads:
        thread.start()
    fillers = [database.cluster.connect(database.name) for _number in range(8)]
    # Long enough for what counts in whole seconds.
    while database.value("SELECT clock_timestamp() - state_change < '2 s' FROM pg_stat_activity WHERE pid = %s",
                         idle.info.backend_pid):  # fmt: skip
        pass
    try:
        yield
    finally:
        for session in (idle, *fillers):
            session.close()
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        for thread in threads:
            thread.join()


def until_ended(session: psycopg.Connection[Any], statement: str) -> None:
    with contextlib.suppress(psycopg.Error), contextlib.closing(session):
        session.execute(statement)  # type: ignore[call-overload]


def forget_the_cluster(database: Database) -> None:
    """What remains of the last run is that of another cluster; check_postgres is told so on its command line."""
    state = State(directory=database.state_dir, module="postgresql_check", consumer="default", acknowledged=None)
    remembered = state.load()
    for place in remembered.values():
        if "identity" in place:
            place["identity"]["data"]["cluster"] = "4711"
    state.save(remembered)


@pytest.fixture(scope="module")
def ours(broken: Database) -> dict[str, list[dict[str, Any]]]:
    """Our findings on it, by check, with the levels that the actions are given."""
    forget_the_cluster(broken)
    levels: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name in BROKEN:
        action = ACTIONS[name]
        if "login_port" in action.options:
            continue
        for check in action.checks:
            if action.levels:
                assert levels.setdefault(f"postgresql.{check}", action.levels) == action.levels
        options.update(action.options)
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in broken.perform(levels=levels, **options)["findings"]:
        found.setdefault(finding["check"].removeprefix("postgresql."), []).append(finding)
    return found


def asked(host: Host, action: str, arguments: str) -> tuple[int, str]:
    """What check_postgres says on the host itself: its exit status, 1 warning and 2 critical, and its words."""
    argv = ["runuser", "-u", "postgres", "--", "check_postgres", f"--action={action}", "--dbname=broken"]
    done = host.execute([*argv, *arguments.split()], check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", BROKEN)
def test_each_alarm_of_check_postgres_is_one_of_ours(
    name: str, broken: Database, ours: dict[str, list[dict[str, Any]]]
) -> None:
    action = ACTIONS[name]
    status, words = asked(broken.cluster.host, name, action.alarming or "")
    findings = [finding for check in action.checks for finding in ours[check]]
    if "login_port" in action.options:
        findings = broken.findings(*action.checks, **action.options)

    assert status in ((0,) if action.blind else (1, 2)), words
    if action.fact:
        assert {finding["status"] for finding in findings} <= {"ok", "info", *ALARMS}
        assert "17." in " ".join(finding["summary"] for finding in findings)
    else:
        assert any(finding["status"] in ALARMS for finding in findings), findings


def test_who_waits_is_told_with_the_table_in_another_database_than_the_login_is_in(
    ours: dict[str, list[dict[str, Any]]],
) -> None:
    (finding,) = ours["blocking"]

    assert finding["evidence"][1].endswith(" for RowExclusiveLock on public.swollen")


def test_another_cluster_is_critical_once(broken: Database, ours: dict[str, list[dict[str, Any]]]) -> None:
    (finding,) = ours["cluster_id"]

    assert finding["status"] == "critical"
    assert finding["summary"].endswith("then 4711")
    assert broken.finding("cluster_id")["status"] == "ok"


def test_every_action_is_answered_or_named_as_none_of_ours(peer: Cluster) -> None:
    said = peer.host.execute(["check_postgres", "--help"]).stdout
    there = set(re.findall(r"^ ([a-z_]+) +- ", said, flags=re.MULTILINE))

    assert len(there) > 50
    assert there == set(ACTIONS) | set(OUT_OF_SCOPE)
    assert not set(ACTIONS) & set(OUT_OF_SCOPE)
