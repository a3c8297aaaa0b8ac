# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Triggers that are off, as real servers show them."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


def test_a_trigger_that_is_off_is_told_until_it_is_on_again(database: Database) -> None:
    database.execute(
        'CREATE TABLE "User" (id int PRIMARY KEY)',
        'CREATE TABLE visit (who int REFERENCES "User")',
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        'CREATE TRIGGER stamped BEFORE INSERT ON "User" FOR EACH ROW EXECUTE FUNCTION stamp()',
    )
    before = database.finding("disabled_triggers")
    database.execute('ALTER TABLE "User" DISABLE TRIGGER stamped', "ALTER TABLE visit DISABLE TRIGGER ALL")
    during = database.finding("disabled_triggers", user="watcher")
    database.execute('ALTER TABLE "User" ENABLE TRIGGER ALL', "ALTER TABLE visit ENABLE TRIGGER ALL")
    after = database.finding("disabled_triggers")

    assert (before["status"], after["status"]) == ("ok", "ok")
    assert (during["status"], during["value"]) == ("warning", 3)
    assert during["evidence"][0] == "trigger stamped of public.User"
    assert during["evidence"][1].startswith("foreign key trigger RI_ConstraintTrigger")
