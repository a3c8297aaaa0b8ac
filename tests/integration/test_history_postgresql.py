# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history in PostgreSQL, as several controllers share it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history import schema
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.engine import parse_url
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.store import History, HistoryError, RunFacts
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.report import Request, produce
from ansible_collections.fleetcare.maintenance.tests.benchmarks import simulate
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import (
    AT,
    DAY,
    NOW,
    Stopped,
    finding,
    view,
)

pytestmark = pytest.mark.integration

PASSWORD = "tr0ubador"


@pytest.fixture(scope="module")
def server(start_hosts):
    """A host with Debian's PostgreSQL 15 that takes passwords from the bridge."""
    host = start_hosts(["store"], image="debian12")["store"]
    host.execute(["apt-get", "update", "-q"])
    host.execute(
        ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qy", "--no-install-recommends", "postgresql"]
    )
    host.execute(["tee", "-a", "/etc/postgresql/15/main/pg_hba.conf"], stdin="host all maintenance all scram-sha-256\n")
    host.write("/etc/postgresql/15/main/conf.d/bridge.conf", "listen_addresses = '*'\nfsync = off\n")
    host.execute(["systemctl", "restart", "postgresql@15-main"])
    ask(host, f"CREATE ROLE maintenance LOGIN PASSWORD '{PASSWORD}'")
    return host


def ask(host, statement):
    argv = ["runuser", "-u", "postgres", "--", "psql", "-v", "ON_ERROR_STOP=1", "-qtA", "-d", "postgres", "-f", "-"]
    return host.execute(argv, stdin=statement + ";").stdout.strip()


@pytest.fixture
def database(server, request):
    """The URL of an empty database, as an inventory has it."""
    name = f"history_{abs(hash(request.node.name))}"
    ask(server, f"CREATE DATABASE {name} OWNER maintenance")
    return f"postgresql://maintenance:{PASSWORD}@{server.address}/{name}"


def rows(database, table):
    with sqlalchemy.create_engine(parse_url(database)).connect() as connection:
        return connection.execute(sqlalchemy.select(table)).all()


def test_changes_trends_and_retention_are_those_of_sqlite(database):
    history = History(parse_url(database))
    told = []
    for day, status in enumerate(["ok", "warning", "warning", "critical", "skipped", "ok"]):
        seen = view(finding(status=status, value=day, unit="%"), finding(item="swap"))
        history.absorb(RunFacts(f"run-{day}", "daily", AT + day * DAY), [seen], retention_days=3)
        history.record_run(RunFacts(f"run-{day}", "daily", AT + day * DAY), status=status, hosts=1, retention_days=3)
        change = next(entry.change for entry in seen.entries if entry.change and entry.item == "ram")
        told.append((change.kind, (change.since - AT) // DAY))
    assert told == [("first", 0), ("new", 1), ("unchanged", 1), ("worse", 3), ("unseen", 4), ("unchanged", 5)]
    key = ("host.memory", "ram")
    assert history.trends("web-1", [key], until=AT + 9 * DAY) == {key: [(AT + day * DAY, day) for day in (2, 3, 4, 5)]}
    assert [hosts for _at, hosts in history.run_times()["daily"]] == [1, 1, 1, 1]
    history.close()


def test_controllers_that_start_at_once_share_one_history(database):
    def controller(number):
        history = History(parse_url(database))
        for day in range(6):
            hosts = [
                view(finding(status="ok" if day % 2 else "warning", value=day), host=f"h{each}") for each in range(60)
            ]
            # The same hosts in opposite orders: what locks in the order it is given would deadlock here.
            history.absorb(RunFacts(f"{number}-{day}", "daily", AT + day * DAY), hosts[:: 1 if number % 2 else -1])
        history.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(controller, range(4)))
    assert len(rows(database, schema.host)) == 60
    assert {row.status for row in rows(database, schema.finding_state)} == {"ok"}
    assert len(rows(database, schema.about)) == 1


def test_a_report_over_two_days(database, tmp_path):
    for number in range(2):
        run = simulate.journal_run(tmp_path / "journal", number=number, hosts=60)
        request = Request(reports=tmp_path, run=run, store_url=database, fail_on="never")
        outcome = produce(request, clock=Stopped(NOW + timedelta(days=number)))
        assert outcome.problems == []
    assert json.loads((tmp_path / "latest.json").read_text(encoding="utf-8"))["counts"]["changes"]["new"]
    assert not (tmp_path / "history.db").exists()


def test_a_wrong_password_is_a_sentence_without_it(database):
    with pytest.raises(HistoryError, match="cannot be opened") as caught:
        History(parse_url(database.replace(PASSWORD, "hunter2")))
    assert "hunter2" not in str(caught.value)
