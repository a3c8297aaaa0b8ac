# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as real servers take, refuse and delay them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


@pytest.fixture
def reset(database: Database) -> Iterator[None]:
    """The server's settings are shared with other tests: after the test they are as they were."""
    yield
    database.execute("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
    while database.value("SELECT count(*) FROM pg_settings WHERE sourcefile LIKE '%%auto.conf' OR pending_restart"):
        pass


def alter(database: Database, setting: str, value: str) -> None:
    """ALTER SYSTEM, and wait until the server has read its files."""
    loaded = database.value("SELECT pg_conf_load_time()")
    database.execute(f"ALTER SYSTEM SET {setting} = '{value}'", "SELECT pg_reload_conf()")
    while database.value("SELECT pg_conf_load_time()") == loaded:
        pass


@pytest.mark.usefixtures("reset")
def test_a_changed_setting_is_told_once_and_then_is_the_known_one(database: Database) -> None:
    first = database.finding("settings_changed")
    quiet = database.finding("settings_changed")
    alter(database, "work_mem", "12MB")
    changed = database.finding("settings_changed")
    again = database.finding("settings_changed")

    assert (first["status"], quiet["status"], again["status"]) == ("skipped", "ok", "ok")
    assert (changed["status"], changed["value"]) == ("info", 1)
    assert changed["evidence"] == ["work_mem: 4096 kB -> 12288 kB"]


def test_a_restart_is_told_once(database: Database) -> None:
    unit = f"postgresql@{database.cluster.version}-main"
    first, running = database.finding("restarted"), database.finding("restarted", user="nobody_special")
    database.cluster.host.execute(["systemctl", "restart", unit])
    told, after = database.finding("restarted"), database.finding("restarted")

    assert [one["status"] for one in (first, running, told, after)] == ["skipped", "ok", "info", "ok"]


def test_settings_of_roles_and_databases_are_settings_too(database: Database) -> None:
    name = database.name.replace('"', '""')
    database.finding("settings_changed")
    database.execute(
        f'ALTER ROLE nobody_special IN DATABASE "{name}" SET search_path = "Shop", public',
        f"ALTER DATABASE \"{name}\" SET app.api_key = 'hidden-key'",
    )
    changed = database.finding("settings_changed")

    assert changed["evidence"] == [
        f"app.api_key of database {database.name}: new, a value that is not shown",
        f'search_path of role nobody_special in database {database.name}: new, "Shop", public',
    ]
    state = "".join(path.read_text() for path in database.state_dir.rglob("*") if path.is_file())
    assert "search_path" in state
    assert "hidden-key" not in state


@pytest.mark.usefixtures("reset")
def test_what_waits_for_a_restart_is_no_error_of_the_files(database: Database) -> None:
    before = {finding["check"]: finding["value"] for finding in database.findings("pending_restart", "settings_errors")}
    alter(database, "max_connections", "150")
    findings = {finding["check"]: finding for finding in database.findings("pending_restart", "settings_errors")}

    pending = findings["postgresql.pending_restart"]
    assert set(before.values()) == {0}
    assert (pending["status"], pending["value"]) == ("warning", 1)
    assert pending["evidence"][0].startswith("max_connections: 100 -> 150 (")
    assert "postgresql.auto.conf" in pending["evidence"][0]
    assert findings["postgresql.settings_errors"]["status"] == "ok"


@pytest.mark.usefixtures("reset")
def test_alter_system_that_outdoes_the_file_is_told(database: Database) -> None:
    fine = database.finding("alter_system")
    alter(database, "shared_buffers", "96MB")
    outdone = database.finding("alter_system")

    assert (fine["status"], fine["value"]) == ("ok", 0)
    assert (outdone["status"], outdone["value"]) == ("info", 1)
    assert outdone["evidence"][0].startswith("shared_buffers: 96MB, not 128MB as in /etc/postgresql/")


def test_a_line_that_the_server_cannot_use_is_found_before_it_has_to_start_with_it(database: Database) -> None:
    host, version = database.cluster.host, database.cluster.version
    settings = f"/etc/postgresql/{version}/main/conf.d/broken.conf"
    rules = f"/etc/postgresql/{version}/main/pg_hba.conf"
    host.write(settings, "wrok_mem = 4MB\n")
    host.execute(["sed", "-i", "$ a host all all nonsense/99 trust", rules])
    broken = database.finding("settings_errors")
    host.execute(["rm", settings])
    host.execute(["sed", "-i", "/nonsense/d", rules])
    mended = database.finding("settings_errors")

    assert (broken["status"], broken["value"]) == ("critical", 2)
    assert broken["evidence"][0].startswith(f"{settings}, line 1: wrok_mem unrecognized")
    assert "pg_hba.conf, line " in broken["evidence"][1]
    assert mended["status"] == "ok"


@pytest.mark.usefixtures("reset")
def test_settings_that_risk_the_data_are_told_with_what_they_risk(database: Database) -> None:
    # The tests' own servers run without fsync.
    before = database.finding("unsafe_settings")
    alter(database, "zero_damaged_pages", "on")
    risky = database.finding("unsafe_settings")

    assert [line.partition(" ")[0] for line in before["evidence"]] == ["fsync"]
    assert risky["status"] == "critical"
    assert any(line.startswith("zero_damaged_pages = on: ") for line in risky["evidence"])


def test_a_member_of_pg_monitor_sees_settings_and_is_told_what_the_files_take(database: Database) -> None:
    checks = ("settings_changed", "pending_restart", "unsafe_settings", "settings_errors", "alter_system")
    database.findings(*checks, user="watcher")
    findings = {
        finding["check"]: finding for finding in database.findings(*checks, user="watcher", login_db=database.name)
    }

    assert findings["postgresql.settings_changed"]["status"] == "ok"
    assert findings["postgresql.pending_restart"]["status"] == "ok"
    for check in ("postgresql.settings_errors", "postgresql.alter_system"):
        assert findings[check]["status"] == "skipped"
        assert "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings()" in findings[check]["remedy"]
    grants = findings["postgresql.settings_errors"]["remedy"].partition(": ")[2]
    database.execute(*grants.split("; "))

    granted = database.findings("settings_errors", "alter_system", user="watcher", login_db=database.name)
    assert [finding["status"] for finding in granted] == ["ok", "ok"]


def test_another_login_s_settings_are_not_compared(database: Database) -> None:
    database.finding("settings_changed", user="tester")
    other = database.finding("settings_changed", user="nobody_special")

    assert other["status"] == "skipped"
    assert "another login" in other["summary"]
