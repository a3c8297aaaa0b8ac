# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login for maintenance as real servers take it: check, run, check, run, and what it may do then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.login import ARGUMENTS, login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.scram import matches
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database

NAME = 'Main "tenance"'
PASSWORD = "it's $only 100% for tests"


@pytest.fixture
def server(database: Database) -> Iterator[Database]:
    """A server whose login is gone after the test."""
    yield database
    for name in (NAME, "maintenance"):
        quoted = name.replace('"', '""')
        if database.rows("SELECT 1 FROM pg_roles WHERE rolname = %s", name):
            for place in (database.name, "postgres"):
                with database.cluster.connect(place) as session:
                    session.execute(f'DROP OWNED BY "{quoted}"')
            database.execute(f'DROP ROLE "{quoted}"')


def serve(server: Database, **params: Any) -> dict[str, Any]:
    return server.perform(
        login,
        arguments={**ARGUMENTS, "name": {**ARGUMENTS["name"], "default": NAME}},
        name="postgresql_login",
        repair=True,
        **{"login_db": server.name, "password": PASSWORD, **params},
    )


def steps(result: dict[str, Any], key: str = "plan") -> list[tuple[str, str]]:
    return [(step["action"], step["target"]) for step in result[key]]


def test_quartet_postgresql_login(server: Database) -> None:
    planned, done = serve(server, check_mode=True), serve(server)
    planned_again, done_again = serve(server, check_mode=True), serve(server)

    assert (planned["changed"], done["changed"], planned_again["changed"], done_again["changed"]) == (
        True,
        True,
        False,
        False,
    )
    assert steps(planned) == steps(done) == steps(done, "applied")
    assert steps(done_again) == []
    assert [finding["status"] for finding in done_again["findings"]] == ["ok"]
    assert done["applied"][0]["before"]["there"] is False
    assert done["applied"][-1]["after"]["files"] is True
    assert PASSWORD not in str([planned, done, planned_again, done_again])
    maintain = "pg_maintain" in [row["rolname"] for row in server.rows("SELECT rolname FROM pg_roles")]
    assert [entry["target"] for entry in done["kept"]] == ([] if maintain else [f"pg_maintain to {NAME}"])


def test_the_login_gets_in_and_sees_what_it_is_for(server: Database) -> None:
    serve(server)
    checks = ("connections", "settings_errors", "access_rules", "pending_restart")
    with psycopg.connect(
        host=server.cluster.host.address, user=NAME, password=PASSWORD, dbname=server.name, connect_timeout=5
    ) as session:
        assert session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
    found = server.findings(*checks, login_user=NAME, login_password=PASSWORD, login_db=server.name)

    assert {finding["status"] for finding in found} <= {"ok", "info"}
    assert len(found) == len(checks)


def test_a_password_that_the_server_made_itself_is_known_again(server: Database) -> None:
    serve(server, password=None)
    quoted, text = NAME.replace('"', '""'), PASSWORD.replace("'", "''")
    server.execute(f"ALTER ROLE \"{quoted}\" PASSWORD '{text}'")
    kept = server.value("SELECT rolpassword FROM pg_authid WHERE rolname = %s", NAME)

    assert matches(PASSWORD, kept)
    assert not matches("another", kept)
    assert steps(serve(server)) == []
    assert steps(serve(server, password="another")) == [("set", f"password of {NAME}")]


def test_whoever_may_not_make_logins_is_told_and_nothing_is_changed(server: Database) -> None:
    result = serve(server, user="watcher")

    assert result["changed"] is False
    assert result["findings"][0]["status"] == "warning"
    assert "permission denied" in result["failures"][0]["error"]
    assert server.rows("SELECT 1 FROM pg_roles WHERE rolname = %s", NAME) == []


@pytest.mark.parametrize("cluster", [15, 17], indirect=True)
def test_bootstrap_makes_a_login_that_the_cadences_can_use(
    cluster: Cluster, server: Database, make_controller: Callable[..., Controller]
) -> None:
    (host,) = cluster.fleet or {}
    variables = {
        "bootstrap_postgresql_password": PASSWORD,
        # A login is made whenever somebody asks for it.
        "maintenance_freezes": [
            {"from": "2020-01-01T00:00:00+00:00", "to": "2100-01-01T00:00:00+00:00", "reason": "no repairs"}
        ],
        "postgresql_login_host": "127.0.0.1",
        "postgresql_login_user": "maintenance",
        "postgresql_login_password": PASSWORD,
    }
    controller = make_controller(cluster.fleet, groups={"postgresql": [host]}, variables=variables)
    first = controller.playbook("fleetcare.maintenance.bootstrap")
    second = controller.playbook("fleetcare.maintenance.bootstrap")
    (result,) = controller.module("postgresql_check", {**as_options(variables), "checks": ["connections"]}).values()

    assert first.returncode == 0, first.stdout + first.stderr
    assert "changed=0" in second.stdout, second.stdout
    assert [finding["status"] for finding in result["findings"]] == ["ok"]
    assert PASSWORD not in first.stdout + second.stdout


def as_options(variables: dict[str, Any]) -> dict[str, Any]:
    """The connection options of a module from the role's variables."""
    return {
        name.removeprefix("postgresql_"): value
        for name, value in variables.items()
        if name.startswith("postgresql_login_")
    }
