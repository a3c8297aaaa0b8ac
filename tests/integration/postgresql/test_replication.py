# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A primary and a standby with a slot: who is behind, who receives, who is the primary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from ansible_collections.fleetcare.maintenance.tests.images.containers import hosts
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import (
    PASSWORD,
    VERSIONS,
    Cluster,
    Database,
)

SLOT = "the_standby"


@dataclass
class Pair:
    """Two servers of one cluster; each is asked through a ``Database`` of its own."""

    primary: Database
    standby: Database

    def write(self) -> None:
        """Write a little on the primary."""
        self.primary.execute("SELECT txid_current()", "SELECT pg_logical_emit_message(true, 'test', 'written')")

    def position(self) -> str:
        written: str = self.primary.value("SELECT pg_current_wal_lsn()::text")
        return written

    def catch_up(self) -> None:
        """Until the primary has heard that all is replayed."""
        position = self.position()
        while not self.primary.value(
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn >= %s::pg_lsn", position
        ):
            pass


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: f"PostgreSQL {version}")
def servers(
    request: pytest.FixtureRequest, clusters: Callable[[int], Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Cluster]]:
    """Each version's server, and a standby of it in a container of its own."""
    version = request.param
    primary = clusters(version)
    image = f"postgresql{version}"
    with hosts({f"{image}-standby": image}, directory=tmp_path_factory.mktemp("standby")) as fleet:
        standby = Cluster(fleet[f"{image}-standby"], version)
        make_standby(standby, of=primary)
        yield primary, standby
        standby.host.stop()
        with primary.connect() as session:
            session.execute(
                "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE active_pid IS NOT NULL"
            )
            session.execute("SELECT pg_drop_replication_slot(%s)", (SLOT,))


def make_standby(standby: Cluster, *, of: Cluster) -> None:
    """Throw the cluster of a container away and make it a copy that follows another."""
    data = f"/var/lib/postgresql/{standby.version}/main"
    source = f"host={of.host.address} user=tester password={PASSWORD} application_name=follower"
    standby.host.execute(["systemctl", "stop", f"postgresql@{standby.version}-main"])
    standby.host.execute(["rm", "-rf", data])
    standby.host.execute(
        [
            "runuser", "-u", "postgres", "--", "pg_basebackup", "--pgdata", data, "--dbname", source, "--checkpoint=fast",
            "--write-recovery-conf", "--create-slot", "--slot", SLOT,
        ]
    )  # fmt: skip
    standby.host.execute(["systemctl", "start", f"postgresql@{standby.version}-main"])


@pytest.fixture
def pair(servers: tuple[Cluster, Cluster], tmp_path: Path) -> Pair:
    primary, standby = servers
    both = Pair(
        Database(primary, "postgres", tmp_path / "primary"),
        Database(standby, "postgres", tmp_path / "standby"),
    )
    both.catch_up()
    return both


def test_a_standby_that_has_replayed_everything_is_not_behind(pair: Pair) -> None:
    pair.write()
    pair.catch_up()
    seconds, volume = pair.primary.findings("replication_lag*")
    (own,) = pair.standby.findings("replication_lag")
    standby = pair.standby.finding("standby")

    assert (seconds["status"], volume["status"], own["status"]) == ("ok", "ok", "ok")
    assert seconds["item"].endswith(f" follower@{pair.standby.cluster.host.address}")
    assert own["value"] == 0
    assert (standby["status"], standby["summary"]) == ("ok", "this standby receives and replays")


def test_a_standby_that_does_not_replay_falls_behind(pair: Pair) -> None:
    pair.standby.execute("SELECT pg_wal_replay_pause()")
    try:
        while not pair.standby.value("SELECT pg_is_wal_replay_paused()"):
            pass
        pair.write()
        while not pair.standby.value("SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()"):
            pass
        position = pair.position()
        while not pair.primary.value(
            "SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= %s::pg_lsn", position
        ):
            pass
        levels = {"postgresql.replication_lag_bytes": {"warning": 1}, "postgresql.replication_lag": {"warning": 0}}
        volume = pair.primary.finding("replication_lag_bytes", levels=levels)
        own = pair.standby.finding("replication_lag", levels=levels)
        standby = pair.standby.finding("standby")
    finally:
        pair.standby.execute("SELECT pg_wal_replay_resume()")

    assert volume["status"] == "warning"
    assert volume["value"] > 0
    assert own["status"] == "warning"
    assert "received and not replayed" in own["summary"]
    assert (standby["status"], standby["summary"]) == ("warning", "this standby receives, but replay is paused")


def test_a_standby_that_lost_its_primary_is_an_alarm(pair: Pair) -> None:
    source = pair.standby.value("SELECT current_setting('primary_conninfo')")
    change = sql.SQL("ALTER SYSTEM SET primary_conninfo = {}")

    def follow(text: str) -> None:
        with pair.standby.cluster.connect() as session:
            session.execute(change.format(sql.Literal(text)))
            session.execute("SELECT pg_reload_conf()")

    follow("host=127.0.0.1 port=1")
    try:
        while pair.standby.value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"):
            pass
        lost = pair.standby.finding("standby")
        primary = {finding["check"]: finding for finding in pair.primary.findings("replication_lag", "slot_inactive")}
        while not primary["postgresql.slot_inactive"].get("evidence"):
            primary = {
                finding["check"]: finding for finding in pair.primary.findings("replication_lag", "slot_inactive")
            }
    finally:
        follow(source)
    pair.catch_up()
    back = pair.standby.finding("standby")

    assert lost["status"] == "critical"
    assert "the WAL receiver is" in lost["summary"]
    assert f": {SLOT}: physical" in primary["postgresql.slot_inactive"]["evidence"][0]
    assert primary["postgresql.replication_lag"]["status"] == "skipped"
    assert back["status"] == "ok"
    assert PASSWORD not in str([lost, primary, back])


def test_commits_that_wait_for_a_standby_that_is_not_there(pair: Pair) -> None:
    nobody = pair.primary.finding("synchronous")

    def wanted(names: str) -> dict[str, Any]:
        with pair.primary.cluster.connect() as session:
            session.execute("SET synchronous_commit = off")
            session.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(sql.Literal(names)))
            session.execute("SELECT pg_reload_conf()")
        # The walsender tells once it has read its configuration too.
        for state in ("sync",) if names else ("async",):
            while not pair.primary.value("SELECT count(*) FROM pg_stat_replication WHERE sync_state = %s", state):
                pass
        return pair.primary.finding("synchronous")

    try:
        enough, short = wanted("FIRST 1 (follower)"), wanted("FIRST 2 (follower, other)")
    finally:
        none = wanted("")

    assert [nobody["status"], enough["status"], short["status"], none["status"]] == [
        "skipped",
        "ok",
        "critical",
        "skipped",
    ]
    assert short["summary"] == "1 standby can confirm commits, 2 wanted"
    assert "follower@" in short["evidence"][0]


def test_there_is_exactly_one_primary(pair: Pair) -> None:
    replica = {"login_host": pair.standby.cluster.host.address}
    unasked = pair.primary.finding("one_primary")
    one = pair.primary.finding("one_primary", replicas=[replica])
    seen_from_there = pair.standby.finding("one_primary", replicas=[{"login_host": pair.primary.cluster.host.address}])
    silent = pair.primary.finding("one_primary", replicas=[replica, {"login_host": "127.0.0.1", "login_port": 1}])
    twice = pair.primary.finding("one_primary", replicas=[{"login_host": pair.primary.cluster.host.address}])
    none = pair.standby.finding("one_primary", replicas=[replica])

    assert unasked["status"] == "skipped"
    assert "replicas" in unasked["remedy"]
    assert one["status"] == seen_from_there["status"] == "ok"
    assert f"{pair.primary.cluster.host.address}:5432 is the one primary of 2 servers" in one["summary"]
    assert silent["status"] == "unknown"
    assert twice["status"] == "critical"
    assert none["status"] == "critical"


def test_a_standby_alone_answers_what_it_can(pair: Pair) -> None:
    pair.standby.findings()
    findings = pair.standby.findings()
    statuses = {finding["check"]: finding["status"] for finding in findings}
    faults = [finding for finding in findings if finding["status"] == "unknown"]

    assert not faults
    assert statuses["postgresql.reachable"] == "ok"
    for check in ("cache_hit", "checkpoints_requested", "checkpoint_age", "wal_rate", "wal_size", "temp_files"):
        assert statuses[f"postgresql.{check}"] == "ok", check


def test_a_standby_that_makes_no_restartpoints_is_told_by_its_own_clock(pair: Pair) -> None:
    pair.primary.execute("CHECKPOINT")
    pair.catch_up()
    pair.standby.execute("CHECKPOINT")
    redo = pair.standby.value("SELECT redo_lsn::text FROM pg_control_checkpoint()")
    idle = pair.standby.finding("checkpoint_age")
    pair.primary.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 2 * 1024 * 1024))")
    pair.write()
    pair.catch_up()
    limit = pair.standby.value("SELECT extract(epoch FROM current_setting('checkpoint_timeout')::interval)::int")
    busy = pair.standby.finding("checkpoint_age", levels={"postgresql.checkpoint_age": {"warning": 0}})
    age = pair.standby.value("SELECT extract(epoch FROM now() - checkpoint_time)::float8 FROM pg_control_checkpoint()")

    assert (idle["status"], "nothing to write since" in idle["summary"]) == ("ok", True)
    # No restartpoint came in between: what is told is of the one that was asked for.
    assert pair.standby.value("SELECT redo_lsn::text FROM pg_control_checkpoint()") == redo
    assert busy["status"] == "warning"
    assert 0 < busy["value"] <= 100 * age / limit
    assert "of WAL since" in busy["summary"]


def test_a_query_that_replay_ends_is_counted(pair: Pair) -> None:
    pair.primary.execute("CREATE TABLE IF NOT EXISTS item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    pair.catch_up()
    pair.standby.findings("recovery_conflicts")
    quiet = pair.standby.finding("recovery_conflicts")
    pair.standby.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0", "SELECT pg_reload_conf()")
    try:
        while pair.standby.value("SELECT current_setting('max_standby_streaming_delay')") != "0":
            pass
        reader = pair.standby.cluster.connect()
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM item")
        pair.primary.execute("DELETE FROM item", "VACUUM item")
        ended = 0
        while not ended:
            ended = pair.standby.value("SELECT sum(conflicts) FROM pg_stat_database")
        with pytest.raises(psycopg.OperationalError):
            reader.execute("SELECT count(*) FROM item")
        reader.close()
    finally:
        pair.standby.execute("ALTER SYSTEM RESET max_standby_streaming_delay", "SELECT pg_reload_conf()")
    finding = pair.standby.finding("recovery_conflicts")

    assert (quiet["status"], quiet["value"]) == ("ok", 0)
    assert (finding["status"], finding["value"]) == ("info", ended)
    assert finding["evidence"] == [f"postgres: {ended}"]


def test_a_primary_is_no_standby(pair: Pair) -> None:
    for finding in pair.primary.findings("standby", "recovery_conflicts"):
        assert (finding["status"], finding["summary"]) == ("skipped", "this server is a primary")


def test_who_sees_how_far_standbys_are(pair: Pair) -> None:
    checks = ("replication_lag*", "synchronous", "standby")
    monitor = [finding["status"] for finding in pair.primary.findings("replication_lag*", user="watcher")]
    nobody = pair.primary.findings("replication_lag*", user="nobody_special")
    own = pair.standby.findings(*checks, user="watcher")
    hidden = pair.standby.finding("standby", user="nobody_special")

    assert monitor == ["ok", "ok"]
    assert {finding["remedy"] for finding in [*nobody, hidden]} == {'GRANT pg_monitor TO "nobody_special"'}
    assert {finding["check"]: finding["status"] for finding in own}["postgresql.standby"] == "ok"
