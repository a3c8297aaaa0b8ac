# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A subscription between two databases of one real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


@pytest.fixture
def subscriber(database: Database) -> Iterator[Database]:
    """The test's database, subscribed to one beside it whose table has the rows 1 and 2."""
    publisher = f"{database.name} published"
    with database.cluster.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(publisher)))
    with database.cluster.connect(publisher) as session:
        session.execute("CREATE TABLE item (id int PRIMARY KEY)")
        session.execute("CREATE PUBLICATION items FOR TABLE item")
        session.execute("SELECT pg_create_logical_replication_slot('feed', 'pgoutput')")
        session.execute("INSERT INTO item VALUES (1), (2)")
    source = sql.Literal(f"host=/var/run/postgresql user=postgres dbname='{publisher}'")
    with database.cluster.connect(database.name) as session:
        session.execute("CREATE TABLE item (id int PRIMARY KEY)")
        session.execute(
            sql.SQL(
                'CREATE SUBSCRIPTION "The Feed" CONNECTION {} PUBLICATION items '
                "WITH (create_slot = false, slot_name = 'feed', copy_data = false, enabled = false)"
            ).format(source)
        )
    yield database
    database.execute(
        'ALTER SUBSCRIPTION "The Feed" DISABLE',
        'ALTER SUBSCRIPTION "The Feed" SET (slot_name = NONE)',
        'DROP SUBSCRIPTION "The Feed"',
    )
    while database.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'feed' AND active"):
        pass
    with database.cluster.connect() as session:
        session.execute("SELECT pg_drop_replication_slot('feed')")
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(publisher)))


def test_a_subscription_that_fails_and_is_mended(subscriber: Database) -> None:
    disabled = subscriber.finding("subscriptions")
    subscriber.execute("INSERT INTO item VALUES (2)", 'ALTER SUBSCRIPTION "The Feed" ENABLE')
    while not subscriber.value("SELECT sum(apply_error_count) FROM pg_stat_subscription_stats"):
        pass
    failing = subscriber.finding("subscriptions", user="watcher")
    subscriber.execute("DELETE FROM item")
    while subscriber.value("SELECT count(*) FROM item") < 2:
        pass
    subscriber.findings("subscriptions")
    mended = subscriber.finding("subscriptions", user="nobody_special")

    assert disabled["status"] == "info"
    assert disabled["item"].endswith('"quoted" The Feed')
    assert failing["status"] in ("warning", "critical")
    assert "since the last run" in failing["summary"]
    assert mended["status"] == "ok"
    assert "1 subscription, each with its worker" in mended["summary"]


def test_without_subscriptions_there_is_nothing_to_judge(database: Database) -> None:
    assert database.finding("subscriptions")["status"] == "skipped"
