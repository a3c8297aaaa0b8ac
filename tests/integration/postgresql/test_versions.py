# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of real servers and of the extensions in their databases."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


def test_a_server_is_as_far_behind_as_its_own_number_says(database: Database) -> None:
    finding = database.finding("minor_version")
    own = database.value("SELECT current_setting('server_version_num')::int")

    assert f"PostgreSQL {own // 10000}.{own % 10000}" in finding["summary"]
    assert finding["value"] >= 0


def test_days_until_support_ends(database: Database) -> None:
    finding = database.finding("support_end")

    assert finding["unit"] == "d"
    assert f"support of PostgreSQL {database.cluster.version} ends" in finding["summary"]


def test_an_extension_that_stayed_behind_is_told_and_brought_along(database: Database) -> None:
    database.execute("CREATE EXTENSION pg_stat_statements VERSION '1.8'", "CREATE EXTENSION amcheck")
    behind = database.finding("extensions")
    database.execute("ALTER EXTENSION pg_stat_statements UPDATE")
    mended = database.finding("extensions")

    assert (behind["status"], behind["value"]) == ("info", 1)
    assert behind["evidence"][0].startswith(f"{database.name}: pg_stat_statements 1.8, the server has 1.")
    assert (mended["status"], mended["value"]) == ("ok", 0)


def test_an_extension_whose_files_are_gone_is_a_warning(database: Database) -> None:
    database.execute("CREATE EXTENSION citext", "UPDATE pg_extension SET extname = 'lost' WHERE extname = 'citext'")
    lost, _all = database.findings("extensions")

    assert lost["status"] == "warning"
    assert lost["item"].endswith(" lost")
    assert "files of extension lost" in lost["summary"]


def test_no_privilege_is_needed(database: Database) -> None:
    findings = database.findings("minor_version", "support_end", "extensions", user="nobody_special")

    assert "skipped" not in {finding["status"] for finding in findings}
