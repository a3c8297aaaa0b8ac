# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, who can do everything, as real servers have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database

ROLES = ("audit_app", "Audit Ops", "audit_short")


@pytest.fixture
def roles(database: Database) -> Iterator[Database]:
    """A server whose roles a test may add to; those it added are gone afterwards."""
    yield database
    database.execute(*(f'DROP ROLE IF EXISTS "{role}"' for role in ROLES))


def test_a_login_that_can_run_programs_counts_as_a_superuser(roles: Database) -> None:
    before = roles.finding("superusers")
    roles.execute(
        "CREATE ROLE audit_app LOGIN", 'CREATE ROLE "Audit Ops" LOGIN IN ROLE pg_execute_server_program, tester'
    )
    after = roles.finding("superusers", user="nobody_special")

    assert (before["status"], before["value"]) == ("info", 2)
    assert set(before["evidence"]) == {"postgres: superuser", "tester: superuser"}
    assert after["value"] == 3
    assert "Audit Ops: through pg_execute_server_program, tester" in after["evidence"]


def test_the_next_password_to_expire_is_told_before_it_does(roles: Database) -> None:
    fine = roles.finding("password_expiry")
    roles.execute(
        "CREATE ROLE audit_app LOGIN VALID UNTIL 'infinity'",
        "CREATE ROLE \"Audit Ops\" LOGIN VALID UNTIL '2001-01-01'",
        "DO $$ BEGIN EXECUTE format('CREATE ROLE audit_short LOGIN VALID UNTIL %L', now() + '9 days'); END $$",
    )
    soon = roles.finding("password_expiry", user="nobody_special")

    assert fine["status"] == "ok"
    assert soon["status"] == "warning"
    assert soon["value"] == pytest.approx(9, abs=0.1)
    assert soon["evidence"] == ["audit_short: in 9.0 d", "Audit Ops: expired"]


def test_a_password_kept_as_md5_is_told_to_a_superuser_alone(roles: Database) -> None:
    fine = roles.finding("password_hashes")
    roles.execute("SET password_encryption = 'md5'; CREATE ROLE audit_app LOGIN PASSWORD 'x'")
    weak = roles.finding("password_hashes")
    hidden = roles.finding("password_hashes", user="watcher")

    assert (fine["status"], fine["value"]) == ("ok", 0)
    assert (weak["status"], weak["evidence"]) == ("warning", ["audit_app"])
    assert hidden["status"] == "skipped"
    assert "superuser" in hidden["remedy"]


def test_a_rule_that_trusts_other_machines_is_critical(database: Database) -> None:
    host, rules = database.cluster.host, f"/etc/postgresql/{database.cluster.version}/main/pg_hba.conf"
    fine = database.finding("access_rules")
    host.execute(["sed", "-i", "$ a host shop all 10.0.0.0/8 trust", rules])
    host.execute(["sed", "-i", "$ a local shop all trust", rules])
    open_door = database.finding("access_rules")
    host.execute(["sed", "-i", "/ trust$/d", rules])
    mended = database.finding("access_rules")

    assert (fine["status"], mended["status"]) == ("ok", "ok")
    assert open_door["status"] == "critical"
    assert "host trust for all in shop from 10.0.0.0/255.0.0.0" in open_door["evidence"][0]
    assert "local trust" in open_door["evidence"][1]


def test_rules_are_hidden_from_pg_monitor_until_they_are_granted(database: Database) -> None:
    hidden = database.finding("access_rules", user="watcher", login_db=database.name)
    database.execute(*hidden["remedy"].partition(": ")[2].split("; "))
    seen = database.finding("access_rules", user="watcher", login_db=database.name)

    assert (hidden["status"], seen["status"]) == ("skipped", "ok")


def test_sessions_without_encryption_are_told_with_where_they_come_from(database: Database) -> None:
    before = database.finding("connections_plain", user="watcher")
    database.connect(sslmode="disable")
    database.connect(sslmode="require")
    after = database.finding("connections_plain", user="watcher")
    refused = database.finding("connections_plain", user="nobody_special")

    assert after["value"] == before["value"] + 1
    assert after["status"] == "info"
    assert any(line.startswith(f"tester@{database.name} from ") and line.endswith(": 1") for line in after["evidence"])
    assert refused["remedy"] == 'GRANT pg_monitor TO "nobody_special"'
