# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cadences on a host with a server of each version: as root over the socket, with nothing set."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import PASSWORD, Cluster, Database

MAKE = Callable[..., Controller]
#: A run takes seconds, and what differs between versions is tested without one.
debian12 = pytest.mark.parametrize("cluster", [15], indirect=True)
debian13 = pytest.mark.parametrize("cluster", [17], indirect=True)


@pytest.fixture
def controller(cluster: Cluster, make_controller: MAKE) -> Controller:
    """A controller that knows the host and nothing of its server."""
    return make_controller(cluster.fleet, variables={"maintenance_fail_on": "never"})


def records(controller: Controller, module: str) -> list[dict[str, Any]]:
    """What the journal has of a module, in the order of the runs."""
    lines = [
        json.loads(line)
        for path in sorted(controller.directory.glob("reports/journal/*/postgresql*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return [record for record in lines if record.get("module") == module]


def run(controller: Controller, cadence: str, *arguments: str) -> str:
    done = controller.playbook(f"fleetcare.maintenance.{cadence}", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("cluster", "cadence"),
    [(15, "daily"), (17, "weekly"), (18, "monthly"), (15, "quarterly"), (18, "quarterly")],
    indirect=["cluster"],
)
def test_a_cadence_finds_the_server_and_asks_it(controller: Controller, cadence: str) -> None:
    run(
        controller,
        cadence,
        "--extra-vars",
        json.dumps({"postgresql_quarterly_reindex": True, "postgresql_daily_unblock": True}),
    )
    (record,) = records(controller, "postgresql_check")
    repairs = [
        one
        for module in ("postgresql_unblock", "postgresql_vacuum", "postgresql_reindex")
        for one in records(controller, module)
    ]
    checks = {finding["check"]: finding["status"] for finding in record["findings"]}

    assert [one["fault"] for one in (record, *repairs) if "fault" in one] == []
    assert [one["module"] for one in repairs] == {
        "daily": ["postgresql_unblock"],
        "monthly": ["postgresql_vacuum"],
        "quarterly": ["postgresql_reindex"],
    }.get(cadence, [])
    assert checks["postgresql.reachable"] == checks["postgresql.connections"] == "ok"
    assert ("postgresql.vacuum_due" in checks) == (cadence != "daily")
    assert ("postgresql.index_unused" in checks) == (cadence in ("monthly", "quarterly"))
    assert checks.get("postgresql.data_directory") == ("ok" if cadence == "quarterly" else None)
    assert "unknown" not in checks.values()


@debian13
def test_a_month_s_vacuum_serves_what_needs_it_and_check_mode_says_so_before(
    database: Database, controller: Controller
) -> None:
    database.execute(
        'CREATE TABLE "Order" (id int PRIMARY KEY, note text)',
        "INSERT INTO \"Order\" SELECT id, 'x' FROM generate_series(1, 2000) id",
        'DELETE FROM "Order" WHERE id % 2 = 0',
        "SELECT pg_stat_force_next_flush()",
    )
    run(controller, "monthly", "--check")
    run(controller, "monthly")
    run(controller, "monthly")
    planned, done, again = records(controller, "postgresql_vacuum")

    assert [record["fault"] for record in (planned, done, again) if "fault" in record] == []
    wanted = {(step["action"], step["target"]) for step in planned["plan"] if database.name in step["target"]}
    assert wanted
    assert wanted == {(step["action"], step["target"]) for step in done["applied"] if database.name in step["target"]}
    assert [step for step in again["plan"] if database.name in step["target"]] == []


@debian13
def test_a_server_in_a_container_is_reached_by_its_port(cluster: Cluster, controller: Controller) -> None:
    login = {
        "postgresql_login_host": "127.0.0.1",
        "postgresql_login_user": "watcher",
        "postgresql_login_password": PASSWORD,
    }
    run(controller, "daily", "--extra-vars", json.dumps(login))
    (record,) = records(controller, "postgresql_check")

    assert record["findings"][0]["item"] == "127.0.0.1:5432"
    assert "to watcher" in record["findings"][0]["summary"] or record["findings"][0]["status"] == "ok"
    assert PASSWORD not in json.dumps(record)


@debian12
def test_a_server_that_is_down_is_an_alarm_where_one_is_expected(cluster: Cluster, make_controller: MAKE) -> None:
    unit = f"postgresql@{cluster.version}-main"
    (name,) = cluster.fleet or {}
    expected = make_controller(cluster.fleet, groups={"postgresql": [name]}, variables={"maintenance_fail_on": "never"})
    cluster.host.execute(["systemctl", "stop", unit])
    try:
        run(expected, "daily")
    finally:
        cluster.host.execute(["systemctl", "start", unit])
    (record,) = records(expected, "postgresql_check")

    critical = [finding["check"] for finding in record["findings"] if finding["status"] == "critical"]
    assert critical == ["postgresql.reachable"]


@debian12
def test_a_server_that_was_merely_found_and_takes_no_stranger_is_no_alarm_until_it_has_let_us_in(
    cluster: Cluster, controller: Controller
) -> None:
    cluster.host.execute(["rm", "-rf", "/var/lib/fleetcare-maintenance"])
    stranger = json.dumps({"postgresql_peer_user": "maint"})
    run(controller, "daily", "--extra-vars", stranger)
    run(controller, "daily")
    run(controller, "daily", "--extra-vars", stranger)
    before, known, after = records(controller, "postgresql_check")

    assert {finding["status"] for finding in before["findings"]} == {"skipped"}
    assert 'role "maint" does not exist' in before["findings"][0]["summary"]
    assert "login_user" in before["findings"][0]["remedy"]
    assert known["status"] != "critical"
    assert after["status"] == "critical"
