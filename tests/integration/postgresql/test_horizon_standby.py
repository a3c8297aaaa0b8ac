# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A standby that holds the horizon of its primary, and what can be asked of the standby itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.horizon import oldest_holder
from ansible_collections.fleetcare.maintenance.tests.images.containers import hosts
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import (
    VERSIONS,
    Cluster,
    Database,
)
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.test_horizon import burn, seen
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.test_replication import SLOT, make_standby


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: f"PostgreSQL {version}")
def servers(
    request: pytest.FixtureRequest, clusters: Callable[[int], Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Cluster]]:
    """Each version's server, and a standby of it that tells it what its own queries still need."""
    version = request.param
    primary = clusters(version)
    image = f"postgresql{version}"
    with hosts({f"{image}-feedback": image}, directory=tmp_path_factory.mktemp("feedback")) as fleet:
        standby = Cluster(fleet[f"{image}-feedback"], version)
        make_standby(standby, of=primary)
        with standby.connect() as session:
            session.execute("ALTER SYSTEM SET hot_standby_feedback = on")
            session.execute("ALTER SYSTEM SET wal_receiver_status_interval = '1s'")
            session.execute("SELECT pg_reload_conf()")
        yield primary, standby
        standby.host.stop()
        with primary.connect() as session:
            session.execute(
                "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE active_pid IS NOT NULL"
            )
            session.execute("SELECT pg_drop_replication_slot(%s)", (SLOT,))


@pytest.fixture
def primary(servers: tuple[Cluster, Cluster], tmp_path: Path) -> Database:
    return Database(servers[0], "postgres", tmp_path / "primary")


@pytest.fixture
def standby(servers: tuple[Cluster, Cluster], tmp_path: Path) -> Database:
    return Database(servers[1], "postgres", tmp_path / "standby")


def until(database: Database, query: str) -> None:
    while not database.value(query):
        pass


def test_a_query_on_a_standby_holds_the_primary_through_its_slot_or_without_one(
    primary: Database, standby: Database
) -> None:
    with standby.cluster.connect() as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT 1")
        until(primary, "SELECT count(*) FROM pg_replication_slots WHERE xmin IS NOT NULL")
        burn(primary, 20)
        by_slot = oldest_holder(seen(primary), "any database")
        finding = primary.finding("xmin_horizon")
        with standby.cluster.connect() as other:
            other.execute("ALTER SYSTEM SET primary_slot_name = ''")
            other.execute("SELECT pg_reload_conf()")
        until(
            primary,
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND backend_xmin IS NOT NULL",
        )
        primary.execute(
            f"SELECT pg_drop_replication_slot('{SLOT}')", f"SELECT pg_create_physical_replication_slot('{SLOT}')"
        )
        by_feedback = oldest_holder(seen(primary), "any database")
        session.execute("COMMIT")

    assert by_slot is not None
    assert (by_slot.kind, by_slot.name, by_slot.database) == ("slot", SLOT, None)
    assert by_slot.age >= 20
    assert f"replication slot {SLOT}" in "".join(finding["evidence"])
    assert by_feedback is not None
    assert (by_feedback.kind, by_feedback.name) == ("standby", "follower")


def test_a_standby_answers_all_that_is_asked_of_ages_sizes_sequences_and_space(
    primary: Database, standby: Database
) -> None:
    primary.execute(
        "CREATE EXTENSION IF NOT EXISTS pgstattuple",
        "CREATE UNLOGGED TABLE quick (id serial)",
        "CREATE TABLE swollen AS SELECT i AS id, repeat('x', 100) AS note FROM generate_series(1, 20000) i",
        "CREATE INDEX by_id ON swollen (id)",
        "DELETE FROM swollen WHERE id % 4 > 0",
        "VACUUM ANALYZE swollen",
    )
    until(standby, "SELECT count(*) FROM pg_stat_user_tables WHERE relname = 'swollen'")
    written = primary.value("SELECT pg_current_wal_lsn()::text")
    until(standby, f"SELECT pg_last_wal_replay_lsn() >= '{written}'")
    checks = ("*wraparound", "freeze_age", "xmin_horizon", "sequences", "*_bloat", "size", "*_growth", "*_shrinkage")
    standby.findings(*checks)
    findings = standby.findings(*checks, bloat_floor=262144)
    primary.execute("DROP TABLE quick, swollen", "DROP EXTENSION pgstattuple")

    assert {finding["status"] for finding in findings} <= {"ok", "info", "warning"}
    (table,) = [finding for finding in findings if finding["item"].endswith(" public.swollen")]
    assert "(measured)" in table["summary"]
