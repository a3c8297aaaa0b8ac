# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of a repair: who works goes on with the connection of who has looked, and none is left at the end."""

from __future__ import annotations

from contextlib import closing

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import ARGUMENTS, read_login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import Sessions
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.waiting import one_version

OURS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'fleetcare.maintenance' AND datname = current_database()"
)
READ_ONLY = "SHOW default_transaction_read_only"
PID = "SELECT pg_backend_pid() AS pid"


@pytest.fixture
def sessions(database: Database) -> Sessions:
    defaults = {name: spec.get("default") for name, spec in ARGUMENTS.items()}
    return Sessions(read_login({**defaults, **database.cluster.login()}), most=1)


@one_version
def test_who_works_goes_on_where_somebody_has_looked(database: Database, sessions: Sessions) -> None:
    with sessions.looking(database.name) as looking:
        pid = looking.row(PID)["pid"]
        assert looking.row(READ_ONLY) == {"default_transaction_read_only": "on"}
    with closing(sessions.working(database.name)) as working:
        assert working.row(PID)["pid"] == pid
        assert working.row(READ_ONLY) == {"default_transaction_read_only": "off"}
        with closing(sessions.working(database.name)) as another:
            assert another.row(PID)["pid"] != pid


@one_version
def test_a_connection_that_was_cut_while_it_rested_is_replaced(database: Database, sessions: Sessions) -> None:
    with sessions.looking(database.name) as looking:
        pid = looking.row(PID)["pid"]
    database.rows("SELECT pg_terminate_backend(%s, 10000)", pid)

    with closing(sessions.working(database.name)) as working:
        assert working.row(PID)["pid"] != pid


@one_version
def test_no_more_rest_than_may_and_none_at_the_end(database: Database, sessions: Sessions) -> None:
    with sessions.looking(database.name), sessions.looking(database.name):
        pass
    assert len(sessions.resting) == 1
    sessions.close()
    assert sessions.resting == []
    with database.connect() as watching:
        while watching.execute(OURS).fetchall():
            pass
