# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The use of an index by a primary and its standby: what one of them scans is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.test_replication import (
    Pair,
    pair,
    servers,
)

__all__ = ["pair", "servers"]
CHECK = "index_unused"
LOW: dict[str, Any] = {"statistics_days": 0, "index_floor": 0, "levels": {"postgresql.index_unused": {"info": 1}}}


@pytest.fixture
def used(pair: Pair) -> Iterator[Pair]:
    """A pair with two indexes, one of which the standby scans now and then."""
    pair.primary.execute(
        'CREATE TABLE "Use" (a int, b int)',
        'INSERT INTO "Use" SELECT n, n FROM generate_series(1, 3000) n',
        'CREATE INDEX "there" ON "Use" (a)',
        'CREATE INDEX nowhere ON "Use" (b)',
        'ANALYZE "Use"',
    )
    pair.write()
    pair.catch_up()
    yield pair
    pair.primary.execute('DROP TABLE "Use"')
    pair.catch_up()


def scan(cluster: Cluster) -> None:
    with cluster.connect() as session:
        session.execute("SET enable_seqscan = off")
        session.execute('SELECT count(*) FROM "Use" WHERE a = 3')
    with cluster.connect() as session:
        query = "SELECT coalesce(sum(idx_scan), 0) AS scans FROM pg_stat_user_indexes WHERE relname = 'Use'"
        while not session.execute(query).fetchone()["scans"]:  # type: ignore[index]
            pass


def test_with_a_standby_that_is_not_named_there_is_no_verdict(used: Pair) -> None:
    finding = used.primary.finding(CHECK, **LOW)

    assert finding["status"] == "skipped"
    assert "1 standby streams from here, and 0 may be asked" in finding["summary"]
    assert "replicas" in finding["remedy"]


def test_what_the_standby_scans_is_used(used: Pair) -> None:
    scan(used.standby.cluster)
    # Until servers tell when the last scan was, one scan is use for as long as the statistics reach back.
    options = {**LOW, "statistics_days": 1e-9}
    login = {"login_host": used.standby.cluster.host.address}
    for user in ("tester", "watcher", "nobody_special"):
        finding = used.primary.finding(CHECK, **options, replicas=[login], user=user)
        assert "on 2 servers" in finding["summary"]
        assert "public.nowhere on public.Use" in str(finding["evidence"])
    tells_last_scan = used.primary.cluster.version >= 16
    assert ("public.there" in str(finding["evidence"])) is tells_last_scan
    recent = used.primary.finding(CHECK, **{**LOW, "statistics_days": 0.0005}, replicas=[login])
    # Either the statistics do not reach back 43 s, or the scan lies within them.
    assert "public.there" not in str(recent)


@pytest.mark.parametrize(
    ("login", "status", "words"),
    [
        ({"login_port": 1}, "unknown", "a replica could not be asked"),
        ({"login_host": "PRIMARY"}, "skipped", "is no standby of this cluster"),
    ],
)
def test_a_replica_that_cannot_be_asked_leaves_no_verdict(
    used: Pair, login: dict[str, Any], status: str, words: str
) -> None:
    if login.get("login_host"):
        login = {"login_host": used.primary.cluster.host.address}
    finding = used.primary.finding(CHECK, **LOW, replicas=[{"login_host": used.standby.cluster.host.address, **login}])
    assert finding["status"] == status
    assert words in finding["summary"]


def test_a_standby_gives_no_verdict_alone(used: Pair) -> None:
    finding = used.standby.finding(CHECK, **LOW)
    assert (finding["status"], finding["summary"]) == ("skipped", "a standby counts its own scans alone")
