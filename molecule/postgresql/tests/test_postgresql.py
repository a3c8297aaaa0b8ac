# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a month does to a server: what needed a vacuum has had one, once, and as the check mode before it had said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

REPORTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "reports"


@pytest.fixture(scope="module")
def runs(host):
    """What the journal has of the vacuums: that of check mode, the first, the second."""
    name = host.backend.get_hostname()
    lines = [
        json.loads(line)
        for path in sorted(REPORTS.glob(f"journal/*/{name}.jsonl"))
        for line in path.read_text().splitlines()
    ]
    vacuums = [record for record in lines if record.get("module") == "postgresql_vacuum"]
    return sorted(vacuums, key=lambda record: record["time"])


def ask(host, query):
    told = host.run("runuser -u postgres -- psql -XAt -d shop -c %s", query)
    assert told.rc == 0, told.stderr
    return told.stdout.strip()


def test_check_mode_said_what_the_run_did_and_the_next_had_nothing_to_do(runs):
    assert [(run["check_mode"], run["changed"]) for run in runs] == [(True, True), (False, True), (False, False)]
    told, done, again = runs
    # What making the tables has left in the catalog is served along.
    served = [step["target"] for step in done["applied"]]
    assert [target for target in served if target.startswith("shop public.")] == ["shop public.orders"]
    assert done["plan"] == told["plan"]
    assert sorted(step["target"] for step in told["plan"]) == sorted(served)
    assert (done["failures"], done["kept"], again["plan"]) == ([], [], [])


def test_the_table_has_been_vacuumed_once_and_the_other_one_not_at_all(host):
    counted = "SELECT relname, vacuum_count, n_dead_tup FROM pg_stat_user_tables ORDER BY relname"
    # Both were vacuumed when they were made.
    assert ask(host, counted).splitlines() == ["customers|1|0", "orders|2|0"]


def test_nobody_is_left_connected(host):
    assert ask(host, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'fleetcare%'") == "0"


def test_the_report_names_the_database(host):
    pages = sorted(REPORTS.rglob("*.html"))
    assert pages
    assert "/shop" in pages[-1].read_text()
