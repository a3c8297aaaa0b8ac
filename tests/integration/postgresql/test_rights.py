# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What everybody may do in a database, and how its folder lies on the disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database


def test_schemas_in_which_everybody_may_create_are_told_and_closed(database: Database) -> None:
    fine = database.finding("public_create")
    name = database.name.replace('"', '""')
    database.execute(
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        'CREATE SCHEMA "Open Door"',
        'GRANT CREATE ON SCHEMA "Open Door" TO PUBLIC',
        f'GRANT CREATE ON DATABASE "{name}" TO PUBLIC',
    )
    wide = database.finding("public_create", user="nobody_special")
    database.execute(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        'DROP SCHEMA "Open Door"',
        f'REVOKE CREATE ON DATABASE "{name}" FROM PUBLIC',
    )
    closed = database.finding("public_create")

    assert (fine["value"], closed["value"]) == (0, 0)
    assert (wide["status"], wide["value"]) == ("warning", 3)
    assert wide["evidence"] == [
        f"{database.name}: {what}" for what in ('schema "Open Door"', "schema public", "the database itself")
    ]


def test_functions_with_their_owner_s_rights_need_a_search_path_of_their_own(database: Database) -> None:
    database.execute(
        'CREATE FUNCTION "Pay Out"(amount int) RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ SELECT 1 $$',
        "CREATE FUNCTION closed() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
        "AS $$ SELECT 1 $$",
        "CREATE FUNCTION plain() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$",
        "CREATE FUNCTION parsed() RETURNS int LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC SELECT 1; END",
    )
    open_path = database.finding("security_definer", user="nobody_special")
    database.execute('ALTER FUNCTION "Pay Out"(int) SET search_path = pg_catalog, pg_temp')
    closed = database.finding("security_definer")

    assert (open_path["status"], open_path["value"]) == ("info", 1)
    assert open_path["evidence"] == [f'{database.name}: public."Pay Out"(amount integer) of superuser tester']
    assert (closed["status"], closed["value"]) == ("ok", 0)


def test_the_folder_is_not_looked_at_from_another_machine(database: Database) -> None:
    finding = database.finding("data_directory")

    assert finding["status"] == "skipped"
    assert "network" in finding["summary"]


def test_the_folder_is_looked_at_on_the_server_s_own_host(
    cluster: Cluster, make_controller: Callable[..., Controller]
) -> None:
    controller, path = make_controller(cluster.fleet), f"/var/lib/postgresql/{cluster.version}/main"

    def found() -> dict[str, Any]:
        """As root, over the socket, which is what the module does when nobody says otherwise."""
        (result,) = controller.module("postgresql_check", {"checks": ["data_directory"]}).values()
        (finding,) = result["findings"]
        return dict(finding)

    fine = found()
    cluster.host.execute(["chmod", "0755", path])
    wide = found()
    cluster.host.execute(["chmod", "0700", path])

    assert (fine["status"], fine["summary"]) == ("ok", f"{path} has mode 0700 and belongs to postgres")
    assert wide["status"] == "critical"
    assert "others than its owner" in wide["summary"]
