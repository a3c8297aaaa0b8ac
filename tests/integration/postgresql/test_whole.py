# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks at once, as each of the logins that one meets."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.topics import QUESTIONS
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


@pytest.mark.parametrize("user", ["tester", "watcher", "nobody_special"])
def test_every_check_has_an_answer_or_a_reason_twice_in_a_row(database: Database, user: str) -> None:
    database.execute(
        'CREATE TABLE "User" (id serial PRIMARY KEY, "Full Name" text)',
        'CREATE TABLE "Order" (id int, owner int REFERENCES "User") PARTITION BY RANGE (id)',
        'CREATE TABLE "Order 1" PARTITION OF "Order" FOR VALUES FROM (1) TO (1000)',
        'INSERT INTO "User" ("Full Name") SELECT repeat(\'x\', 5000) FROM generate_series(1, 500)',
    )
    for _run in range(2):
        findings = database.findings(user=user)

        assert {finding["check"] for finding in findings} == set(QUESTIONS)
        assert [finding for finding in findings if finding["status"] == "unknown"] == []
        silent = [one["check"] for one in findings if one["status"] == "skipped" and not one["summary"]]
        assert silent == []


def test_what_a_login_without_rights_is_told_to_grant_can_be_granted(database: Database) -> None:
    """Every statement that a remedy names as a whole is one that the server takes."""
    findings = database.findings(user="nobody_special", login_db=database.name)
    remedies = {one["remedy"] for one in findings if one["status"] == "skipped" and "remedy" in one}
    grants = {part.strip() for remedy in remedies for part in remedy.rpartition(": ")[2].split(";") if "GRANT " in part}
    whole = sorted(grant for grant in grants if grant.startswith("GRANT ") and grant.endswith('TO "nobody_special"'))

    assert 'GRANT pg_monitor TO "nobody_special"' in whole
    session = database.connect()
    for grant in whole:
        session.execute("BEGIN")
        session.execute(grant)
        session.execute("ROLLBACK")


def test_a_healthy_server_gives_few_findings_however_many_tables(database: Database) -> None:
    few = database.perform()
    database.execute(*(f'CREATE TABLE "t {number}" (id int PRIMARY KEY)' for number in range(60)))
    many = database.perform()

    assert len(many["findings"]) <= len(few["findings"]) + 2
    assert len(many["metrics"]) <= len(few["metrics"]) + 20
