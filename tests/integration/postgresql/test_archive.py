# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archiver of a real server that fails and is mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database


def by_check(database: Database, *checks: str, **params: Any) -> dict[str, Any]:
    return {finding["check"].split(".")[1]: finding for finding in database.findings(*checks, **params)}


def make_older(database: Database, name: str, *, seconds: int) -> None:
    """As if the last run had been so much earlier."""
    (path,) = database.state_dir.iterdir()
    document = json.loads(path.read_text())
    (place,) = [key for key in document["generations"][0]["data"] if ":" in key]
    entry = document["generations"][0]["data"][place][name]
    entry["at"] = (datetime.fromisoformat(entry["at"].replace("Z", "+00:00")) - timedelta(seconds=seconds)).isoformat()
    path.write_text(json.dumps(document))


def test_without_an_archive_there_is_nothing_to_judge(database: Database) -> None:
    for finding in database.findings("archiver", "archive_waiting"):
        assert finding["status"] == "skipped"
        assert "archive_mode is off" in finding["summary"]


@pytest.fixture
def archiving(cluster: Cluster) -> Iterator[str]:
    """The server with an archive_command that fails; the name of its configuration file."""
    service = f"postgresql@{cluster.version}-main"
    configuration = f"/etc/postgresql/{cluster.version}/main/conf.d/zz-archive.conf"
    cluster.host.write(configuration, "archive_mode = on\narchive_command = 'test -e /tmp/the-archive-is-there'\n")
    cluster.host.execute(["systemctl", "restart", service])
    yield configuration
    cluster.host.execute(["rm", "-f", configuration, "/tmp/the-archive-is-there"])
    cluster.host.execute(["systemctl", "restart", service])


def switch_wal(database: Database) -> None:
    database.execute("SELECT pg_logical_emit_message(false, 'test', 'something to archive')", "SELECT pg_switch_wal()")


def test_an_archiver_that_fails_and_one_that_is_mended(database: Database, archiving: str) -> None:
    switch_wal(database)
    while not database.value("SELECT failed_count FROM pg_stat_archiver"):
        pass
    failing = by_check(database, "archiver", "archive_waiting")
    again = by_check(database, "archiver")
    make_older(database, "waiting", seconds=120)
    stuck = by_check(database, "archiver")
    database.cluster.host.execute(["touch", "/tmp/the-archive-is-there"])
    while database.value("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%%.ready'"):
        # A reload wakes it from the minute that it waits after a failure.
        database.execute("SELECT pg_reload_conf()")
    mended = by_check(database, "archiver", "archive_waiting")

    assert failing["archiver"]["status"] == "warning"
    assert "the last attempt to archive failed, for 0000" in failing["archiver"]["summary"]
    assert failing["archive_waiting"]["value"] >= 1
    assert "MiB, the oldest for" in failing["archive_waiting"]["summary"]
    assert again["archiver"]["status"] == "warning"
    assert stuck["archiver"]["status"] == "critical"
    assert "has not moved since the last run" in stuck["archiver"]["summary"]
    assert mended["archiver"]["status"] == "ok"
    assert mended["archive_waiting"]["value"] == 0
    # The command may hold a password.
    assert "the-archive-is-there" not in str([failing, stuck, mended])


def test_an_archive_mode_without_a_command_fills_the_disk(database: Database, archiving: str) -> None:
    database.cluster.host.write(archiving, "archive_mode = on\narchive_command = ''\n")
    database.execute("SELECT pg_reload_conf()")
    while database.value("SELECT current_setting('archive_command')"):
        pass
    superuser = database.finding("archiver")
    monitor = database.finding("archiver", user="watcher")
    database.execute("SELECT 1")

    assert superuser["status"] == monitor["status"] == "critical"
    assert "neither archive_command nor archive_library" in superuser["summary"]
