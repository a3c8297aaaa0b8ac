# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of real servers that keep others waiting: who is ended, who is not, and that those who waited go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.waiting import (
    APP,
    Shop,
    one_version,
    opened,
    reason,
    repair,
    steps,
)


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    with opened(database) as shop:
        yield shop


def test_quartet_postgresql_unblock(shop: Shop) -> None:
    holder = shop.hold()
    blocking = shop.work(holder)
    waiting = [shop.wait(), shop.wait()]
    runs = [repair(shop, check_mode=check) for check in (True, False, True, False)]

    assert [run["changed"] for run in runs] == [True, True, False, False]
    assert [run["status"] for run in runs] == ["warning", "ok", "ok", "ok"]
    assert steps(runs[0], "plan") == steps(runs[1], "plan") == steps(runs[1], "applied")
    assert isinstance(blocking.join(), psycopg.errors.QueryCanceled)
    assert [statement.join() for statement in waiting] == [None, None]
    (step,), (done,) = runs[1]["plan"], runs[1]["applied"]
    assert step["action"] == "cancel"
    assert step["target"].startswith(f"pid {holder.info.backend_pid} {APP}@")
    assert "(billing) since 2" in step["target"]
    assert re.search(
        r"; 2 sessions wait for it, the longest for [\d.]+ s \(ShareLock on public\.account\)$", step["reason"]
    )
    assert step["reversible"] is False
    assert (step["estimate"]["state"], step["estimate"]["waiting"]) == ("active", 2)
    assert (done["before"]["state"], done["before"]["waiting"]) == ("active", 2)
    assert done["after"] == {
        "ended": "statement",
        "state": "idle in transaction (aborted)",
        "waiting": 0,
        "waiting_for_others": 0,
    }
    assert runs[1]["failures"] == runs[1]["kept"] == []
    assert "4711" not in str([run["findings"] for run in runs])
    assert "pg_sleep" not in str(runs)


def test_who_is_idle_in_a_transaction_is_ended_only_where_that_is_allowed(shop: Shop) -> None:
    holder = shop.hold()
    waiting = shop.wait()
    before, planned, done = repair(shop), repair(shop, terminate=True, check_mode=True), repair(shop, terminate=True)

    assert (before["changed"], before["plan"], before["status"]) == (False, [], "warning")
    assert reason(before) == "it is idle in transaction, so there is no statement to cancel, and terminate is false"
    assert "terminate: true" in before["findings"][0]["remedy"]
    assert [step["action"] for step in planned["plan"]] == ["terminate"]
    assert steps(planned, "plan") == steps(done, "applied")
    assert done["applied"][0]["after"]["state"] == "gone"
    assert waiting.join() is None
    with pytest.raises(psycopg.errors.AdminShutdown):
        holder.execute("SELECT 1")


@one_version
def test_what_a_savepoint_keeps_locked_after_a_cancel_is_a_failure_until_it_may_be_terminated(shop: Shop) -> None:
    """The cancel takes back what came after the savepoint; the lock from before it stays."""
    first = shop.hold("SAVEPOINT here")
    blocking, waiting = shop.work(first), shop.wait()
    cancelled = repair(shop, patience=0.2)
    (failure,) = cancelled["failures"]

    assert (cancelled["changed"], cancelled["applied"], cancelled["status"]) == (True, [], "warning")
    assert failure["done"] is True
    assert "the session is idle in transaction (aborted) and still keeps 1 session waiting" in failure["error"]
    assert "terminate: true" in failure["error"]
    assert isinstance(blocking.join(), psycopg.errors.QueryCanceled)
    first.execute("ROLLBACK TO here")
    again = shop.work(first)
    done = repair(shop, patience=0.2, terminate=True)

    assert steps(done, "applied") == [("cancel or terminate", cancelled["plan"][0]["target"])]
    assert done["applied"][0]["after"]["ended"] == "session"
    assert isinstance(again.join(), psycopg.errors.QueryCanceled)
    assert waiting.join() is None


@one_version
def test_a_session_that_may_be_terminated_is_only_cancelled_where_that_is_enough(shop: Shop) -> None:
    holder = shop.hold()
    blocking, waiting = shop.work(holder), shop.wait()
    (done,) = repair(shop, terminate=True)["applied"]

    assert done["after"]["ended"] == "statement"
    assert isinstance(blocking.join(), psycopg.errors.QueryCanceled)
    assert waiting.join() is None
    holder.rollback()
    assert holder.execute("SELECT 1 AS one").fetchone() == {"one": 1}


@one_version
def test_a_superuser_is_spared_by_everybody(shop: Shop) -> None:
    shop.work(shop.hold(user="tester"))
    shop.wait()
    result = repair(shop, terminate=True)

    assert (result["changed"], result["status"]) == (False, "warning")
    assert reason(result) == "it is the session of a superuser, which is never ended"


def test_a_prepared_transaction_is_named_and_left(shop: Shop) -> None:
    holder = shop.hold("PREPARE TRANSACTION 'order 7'")
    other = shop.session()
    for statement in ("BEGIN", "INSERT INTO account VALUES ('eve', 1)", "SELECT 1"):
        other.execute(statement)  # type: ignore[arg-type]
    other.rollback()
    waiting = shop.wait()
    result = repair(shop, terminate=True)
    holder.execute("ROLLBACK PREPARED 'order 7'")

    assert result["plan"] == []
    assert result["kept"][0]["target"] == f"prepared transaction order 7 of {APP}@{shop.database.name}"
    assert "ROLLBACK PREPARED" in result["findings"][0]["remedy"]
    assert waiting.join() is None


@one_version
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"waiting_for": 3600.0}, "it keeps nobody waiting for 1 h yet, which is waiting_for"),
        ({"waiters": 2}, "1 session waits for it, and waiters is 2"),
    ],
)
def test_what_is_below_the_limits_is_no_alarm(shop: Shop, options: dict[str, Any], said: str) -> None:
    shop.work(shop.hold())
    shop.wait()
    result = repair(shop, **options)

    assert (result["plan"], result["status"], reason(result)) == ([], "ok", said)
    assert "1 session waits for a lock" in result["findings"][0]["summary"]


@one_version
@pytest.mark.parametrize(
    ("application", "options", "said"),
    [
        ("pg_dump", {}, "applications_exclude has ^pg_dump(all)?$"),
        ("fleetcare.maintenance", {}, "applications_exclude has ^fleetcare\\.maintenance$"),
        ("billing", {"users_exclude": ["shop*"]}, "users_exclude has shop*"),
        ("billing", {"databases_exclude": ["test*"]}, "databases_exclude has test*"),
    ],
)
def test_who_is_excluded_is_left_alone_and_told(
    shop: Shop, application: str, options: dict[str, Any], said: str
) -> None:
    shop.work(shop.hold(application=application))
    shop.wait()
    result = repair(shop, terminate=True, **options)

    assert (result["plan"], result["status"], reason(result)) == ([], "warning", said)


@one_version
def test_nobody_is_ended_for_those_who_wait_on_purpose(shop: Shop) -> None:
    leader = shop.session()
    leader.execute("BEGIN")
    leader.execute("SELECT pg_advisory_xact_lock(1)")
    shop.work(leader)
    shop.wait("SELECT pg_advisory_lock(1)")
    shop.wait("CREATE INDEX CONCURRENTLY ON account (owner)", user="tester")
    result = repair(shop, terminate=True)

    assert (result["plan"], result["status"]) == ([], "ok")
    assert "advisory lock" in reason(result)


def test_the_right_to_end_others_is_named_where_it_is_missing(shop: Shop) -> None:
    blocking = shop.work(shop.hold())
    shop.wait()
    unseeing, unable = repair(shop, user="nobody_special"), repair(shop, user="watcher")
    shop.database.execute("GRANT pg_signal_backend TO watcher")
    try:
        able = repair(shop, user="watcher")
    finally:
        shop.database.execute("REVOKE pg_signal_backend FROM watcher")

    assert (unseeing["status"], unseeing["plan"]) == ("skipped", [])
    assert unseeing["findings"][0]["remedy"] == 'GRANT pg_monitor TO "nobody_special"'
    assert (unable["status"], unable["plan"]) == ("warning", [])
    assert reason(unable) == "watcher may not end the work of others"
    assert unable["findings"][0]["remedy"] == 'GRANT pg_signal_backend TO "watcher"'
    assert len(able["applied"]) == 1
    assert isinstance(blocking.join(), psycopg.errors.QueryCanceled)


@pytest.mark.parametrize("cluster", [17, 18], indirect=True)
def test_an_autovacuum_is_cancelled_where_it_may_be_and_one_against_wraparound_is_left(
    shop: Shop, request: pytest.FixtureRequest
) -> None:
    database = shop.database
    database.execute(
        "ALTER SYSTEM SET autovacuum = on",
        "ALTER SYSTEM SET autovacuum_naptime = '1s'",
        "SELECT pg_reload_conf()",
    )
    request.addfinalizer(lambda: _reset(database.cluster))
    database.execute(
        "ALTER TABLE account SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)",
        "INSERT INTO account SELECT repeat('x', 500), n FROM generate_series(1, 20000) n",
        "DELETE FROM account",
    )
    _vacuumed(database, "autovacuum: VACUUM%")
    # A session that waits ends an ordinary autovacuum by itself, as soon as it looks for a deadlock.
    patient = {"user": "tester", "options": "-c deadlock_timeout=1h"}
    waiting = shop.wait("LOCK TABLE account", **patient)
    watched = repair(shop, user="watcher", terminate=True)
    done = repair(shop, terminate=True)

    assert watched["plan"] == []
    assert "pg_signal_autovacuum_worker" in watched["findings"][0]["remedy"]
    assert [step["action"] for step in done["applied"]] == ["cancel"]
    assert waiting.join() is None
    waiting.session.rollback()

    database.execute(
        "TRUNCATE account",
        # What is there to prevent wraparound is not kept from it.
        "ALTER TABLE account SET (autovacuum_enabled = off, autovacuum_freeze_max_age = 100000)",
        "INSERT INTO account SELECT repeat('x', 500), n FROM generate_series(1, 20000) n",
        "DO $$ BEGIN FOR n IN 1..100100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$",
    )
    _vacuumed(database, "autovacuum: VACUUM%(to prevent wraparound)")
    shop.wait("LOCK TABLE account", **patient)
    urgent = repair(shop, terminate=True)

    assert (urgent["plan"], urgent["status"]) == ([], "warning")
    assert "to prevent wraparound" in reason(urgent)


def _vacuumed(database: Database, text: str) -> None:
    """Wait until autovacuum has the table."""
    while not database.value(
        "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE a.query LIKE %s AND l.granted "
        "AND a.backend_type = 'autovacuum worker' AND l.relation = 'account'::regclass",
        text,
    ):
        pass


def _reset(cluster: Cluster) -> None:
    with cluster.connect() as session:
        for name in ("", "_naptime"):
            session.execute(f"ALTER SYSTEM RESET autovacuum{name}")  # type: ignore[arg-type]
        session.execute("SELECT pg_reload_conf()")
