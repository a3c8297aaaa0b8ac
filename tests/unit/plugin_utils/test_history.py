# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import STATUSES
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history import schema
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.engine import parse_url
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.store import History, HistoryError, RunFacts
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import AT, DAY, finding, view


def facts(day=0, *, cadence="daily", run=None):
    return RunFacts(run or f"run-{cadence}-{day:03}", cadence, AT + day * DAY, "controller")


@pytest.fixture
def url(tmp_path):
    return parse_url(f"sqlite:///{tmp_path / 'history.db'}")


@pytest.fixture
def history(url):
    opened = History(url)
    yield opened
    opened.close()


def rows(url, table):
    with sqlalchemy.create_engine(url).connect() as connection:
        return connection.execute(sqlalchemy.select(table)).all()


def changes(seen):
    return {entry.item: entry.change.kind for entry in [*seen.entries, *seen.gone]}


def absorb(history, day, *findings, cadence="daily", run=None, **options):
    seen = view(*findings, **options)
    history.absorb(facts(day, cadence=cadence, run=run), [seen])
    return seen


def test_file_is_for_its_owner_alone(history, url):
    assert stat.S_IMODE(os.stat(url.database).st_mode) == 0o600


def test_since_is_when_the_status_came_to_be(history):
    absorb(history, 0, finding(status="ok"))
    absorb(history, 1, finding(status="warning"))
    absorb(history, 2, finding(status="warning"))
    (entry,) = absorb(history, 3, finding(status="warning")).entries
    assert (entry.change.kind, entry.change.since) == ("unchanged", AT + DAY)


def test_changes_over_five_runs(history):
    told = [
        changes(absorb(history, day, finding(status=status)))["ram"]
        for day, status in enumerate(["warning", "critical", "ok", "critical", "skipped"])
    ]
    assert told == ["first", "worse", "resolved", "new", "unseen"]


def test_cadences_are_compared_each_with_itself(history):
    absorb(history, 0, finding(status="ok"), cadence="weekly")
    absorb(history, 1, finding(status="critical"))
    weekly = absorb(history, 7, finding(status="critical"), cadence="weekly")
    assert changes(weekly) == {"ram": "new"}


def test_gone_is_told_once(history):
    absorb(history, 0, finding(status="critical"), finding(item="swap"))
    assert changes(absorb(history, 1, finding(item="swap"))) == {"ram": "gone", "swap": "unchanged"}
    assert changes(absorb(history, 2, finding(item="swap"))) == {"swap": "unchanged"}
    assert changes(absorb(history, 3, finding(status="critical"), finding(item="swap")))["ram"] == "new"


def test_taking_a_run_in_again_changes_nothing_and_tells_the_same(history, url):
    absorb(history, 0, finding(status="ok"), finding(item="swap", status="warning"))
    once = absorb(history, 1, finding(status="critical"))
    before = {table.name: rows(url, table) for table in schema.metadata.sorted_tables}
    again = absorb(history, 1, finding(status="critical"))
    assert changes(again) == changes(once) == {"ram": "new", "swap": "gone"}
    assert {table.name: rows(url, table) for table in schema.metadata.sorted_tables} == before


def test_an_earlier_run_that_comes_late_does_not_turn_the_present_back(history, url):
    absorb(history, 0, finding(status="ok"))
    absorb(history, 5, finding(status="critical"))
    absorb(history, 3, finding(status="ok"), run="late")
    assert [row.status for row in rows(url, schema.finding_state)] == ["critical"]


def test_an_unchanged_run_writes_no_state(history, url):
    absorb(history, 0, finding(status="warning"), finding(item="swap"))
    before = rows(url, schema.finding_state)
    absorb(history, 1, finding(status="warning"), finding(item="swap"))
    assert rows(url, schema.finding_state) == before
    assert len(rows(url, schema.host_run)) == 2


def test_trends_come_oldest_first_and_end_at_the_run(history):
    for day, value in enumerate([10, 20.5, 30]):
        absorb(history, day, finding(value=value, unit="%"))
    points = history.trends("web-1", [("host.memory", "ram")], until=AT + DAY)
    assert points == {("host.memory", "ram"): [(AT, 10), (AT + DAY, 20.5)]}
    assert history.trends("nobody", [("host.memory", "ram")], until=AT) == {}


def test_metrics_are_measured_too(history):
    metric = {"name": "host.uptime", "item": "system", "value": 5, "unit": "s"}
    absorb(history, 0, finding(), metrics=[metric])
    assert history.trends("web-1", [("host.uptime", "system")], until=AT) == {("host.uptime", "system"): [(AT, 5)]}


def test_old_numbers_and_lost_hosts_are_forgotten(history, url):
    history.absorb(facts(0), [view(finding(value=1, unit="%")), view(finding(value=1, unit="%"), host="lost")])
    history.record_run(facts(0), status="ok", hosts=2)
    history.absorb(facts(40), [view(finding(value=2, unit="%"))], retention_days=30)
    history.record_run(facts(40), status="ok", hosts=1, retention_days=30)
    assert [row.name for row in rows(url, schema.host)] == ["web-1"]
    assert [row.value for row in rows(url, schema.measurement)] == [2]
    assert [row.id for row in rows(url, schema.run)] == ["run-daily-040"]
    # What holds since long ago is still known.
    assert len(rows(url, schema.finding_state)) == 1


def test_run_times_newest_first(history):
    for day in range(3):
        history.record_run(facts(day), status="ok", hosts=day)
    assert history.run_times() == {"daily": [(AT + 2 * DAY, 2), (AT + DAY, 1), (AT, 0)]}


def test_two_writers_at_once_lose_nothing(url):
    History(url).close()

    def write(writer):
        own = History(url)
        for day in range(5):
            hosts = [view(finding(value=day, unit="%"), host=f"w{writer}-{number}") for number in range(20)]
            own.absorb(facts(day, run=f"{writer}-{day}"), hosts)
        own.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    assert len(rows(url, schema.host_run)) == 3 * 5 * 20
    assert len(rows(url, schema.measurement)) == 3 * 5 * 20


def test_a_newer_schema_is_refused_with_a_sentence(history, url):
    with sqlalchemy.create_engine(url).begin() as connection:
        connection.execute(sqlalchemy.update(schema.about).values(value="99"))
    with pytest.raises(MaintenanceError, match=r"schema 99.*Update the collection"):
        History(url)


def test_an_older_schema_is_brought_up_step_by_step(history, url):
    done = []
    steps = {1: lambda _connection: done.append(1), 2: lambda _connection: done.append(2)}
    with sqlalchemy.create_engine(url).begin() as connection:
        schema.prepare(connection, version=3, migrations=steps)
    assert done == [1, 2]
    assert [row.value for row in rows(url, schema.about)] == ["3"]


def test_every_version_has_its_migration():
    assert set(schema.MIGRATIONS) == set(range(1, schema.VERSION))


def test_not_a_database_is_told_with_its_place(tmp_path):
    path = tmp_path / "history.db"
    path.write_text("this is no database, " * 100)
    with pytest.raises(HistoryError, match=r"history\.db cannot be opened"):
        History(parse_url(f"sqlite:///{path}"))


def test_an_unreachable_server_is_told_without_its_password():
    url = parse_url("postgresql://user:hunter2@127.0.0.1:1/history")
    with pytest.raises(HistoryError, match="cannot be opened") as caught:
        History(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("raw", ["", "mysql://u:hunter2@h/d", "sqlite://", "history.db", "://"])
def test_a_wrong_url_is_told_without_its_password(raw):
    with pytest.raises(OptionError, match="maintenance_store_url") as caught:
        parse_url(raw)
    assert "hunter2" not in str(caught.value)


STATUS_RUNS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(STATUSES), max_size=3), min_size=1, max_size=6
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STATUS_RUNS)
def test_the_state_is_always_that_of_the_last_run(tmp_path_factory, runs):
    url = parse_url(f"sqlite:///{tmp_path_factory.mktemp('h') / 'history.db'}")
    history = History(url)
    for day, statuses in enumerate(runs):
        absorb(history, day, *(finding(item=item, status=status) for item, status in statuses.items()))
    history.close()
    present = {row.item: row.status for row in rows(url, schema.finding_state) if not row.gone}
    assert present == runs[-1]
