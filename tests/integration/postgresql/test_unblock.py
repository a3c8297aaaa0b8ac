# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of real servers that keep others waiting: who is ended, who is not, and that those who waited go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import unblock, unblock_act
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import PASSWORD, Cluster, Database

APP = "shopkeeper"
WAITED = "SELECT coalesce(bool_and(clock_timestamp() - waitstart >= '1 s'), false) FROM pg_locks WHERE NOT granted"
#: Versions differ in their locks and rights, which the first tests look at; the others say the same on each.
one_version = pytest.mark.parametrize("cluster", [17], indirect=True)


@dataclass
class Statement:
    """A statement of a session that takes as long as it takes; ``error`` is what became of it."""

    session: psycopg.Connection[Any]
    text: str
    error: psycopg.Error | None = None
    thread: Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.session.execute(self.text)  # type: ignore[arg-type]
        except psycopg.Error as error:
            self.error = error

    def join(self) -> psycopg.Error | None:
        self.thread.join()
        return self.error


@dataclass
class Shop:
    """A database with a table over which sessions of a program meet."""

    database: Database
    statements: list[Statement] = field(default_factory=list)
    sessions: list[psycopg.Connection[Any]] = field(default_factory=list)

    def session(self, *, user: str = APP, application: str = "billing", **options: Any) -> psycopg.Connection[Any]:
        session = self.database.connect(user=user, application_name=application, **options)
        self.sessions.append(session)
        return session

    def hold(self, *more: str, **options: Any) -> psycopg.Connection[Any]:
        """A session that has the table locked and is then idle in its transaction."""
        session = self.session(**options)
        for statement in ("BEGIN", "LOCK TABLE account IN ROW EXCLUSIVE MODE", *more):
            session.execute(statement)  # type: ignore[arg-type]
        return session

    def work(self, session: psycopg.Connection[Any], text: str = "SELECT 4711, pg_sleep(3600)") -> Statement:
        """Something that the session is at until it is stopped; returns when the server says that it is."""
        statement = Statement(session, text)
        self.statements.append(statement)
        self.until(
            statement,
            "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND wait_event IS NOT NULL",
        )
        return statement

    def wait(self, text: str = "LOCK TABLE account IN SHARE MODE", **options: Any) -> Statement:
        """A session that waits for a lock, and has for a second when this returns."""
        session = self.session(**options)
        if text.startswith("LOCK"):
            session.execute("BEGIN")
        statement = self.work(session, text)
        self.until(statement, f"{WAITED} AND pid = %s")
        return statement

    def until(self, statement: Statement, query: str) -> None:
        """Wait until the server says so of the session of a statement."""
        while not self.database.value(query, statement.session.info.backend_pid):
            assert statement.thread.is_alive(), statement.error


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    database.execute(
        f"CREATE ROLE {APP} LOGIN PASSWORD '{PASSWORD}'",
        "CREATE TABLE account (owner text, balance int)",
        "GRANT ALL ON account TO PUBLIC",
    )
    shop = Shop(database)
    yield shop
    database.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    for statement in shop.statements:
        statement.join()
    for session in shop.sessions:
        session.close()
    database.execute(f"DROP OWNED BY {APP}", f"DROP ROLE {APP}")


def repair(shop: Shop, **params: Any) -> dict[str, Any]:
    return shop.database.perform(
        unblock.unblock,
        arguments=unblock.ARGUMENTS,
        name="postgresql_unblock",
        repair=True,
        **{"waiting_for": 1.0, "patience": 5.0, **params},
    )


def steps(result: dict[str, Any], key: str) -> list[tuple[str, str]]:
    return [(entry["action"], entry["target"]) for entry in result[key]]


def reason(result: dict[str, Any]) -> str:
    (entry,) = result["kept"]
    return str(entry["reason"])


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
    assert re.search(r"; 2 sessions wait for it, the longest for [\d.]+ s \(ShareLock on account\)$", step["reason"])
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


def test_what_a_savepoint_keeps_locked_after_a_cancel_is_a_failure_until_it_may_be_terminated(shop: Shop) -> None:
    """The cancel takes back what came after the savepoint; the lock from before it stays."""
    first = shop.hold("SAVEPOINT here")
    blocking, waiting = shop.work(first), shop.wait()
    cancelled = repair(shop, patience=0.2)
    (failure,) = cancelled["failures"]

    assert (cancelled["changed"], cancelled["applied"], cancelled["status"]) == (True, [], "warning")
    assert failure["done"] is True
    assert "it is idle in transaction (aborted) and still keeps 1 session waiting" in failure["error"]
    assert "terminate: true" in failure["error"]
    assert isinstance(blocking.join(), psycopg.errors.QueryCanceled)
    first.execute("ROLLBACK TO here")
    again = shop.work(first)
    done = repair(shop, patience=0.2, terminate=True)

    assert steps(done, "applied") == [("cancel or terminate", cancelled["plan"][0]["target"])]
    assert done["applied"][0]["after"]["ended"] == "session"
    assert isinstance(again.join(), psycopg.errors.QueryCanceled)
    assert waiting.join() is None


def test_a_session_that_may_be_terminated_is_only_cancelled_where_that_is_enough(shop: Shop) -> None:
    holder = shop.hold()
    blocking, waiting = shop.work(holder), shop.wait()
    (done,) = repair(shop, terminate=True)["applied"]

    assert done["after"]["ended"] == "statement"
    assert isinstance(blocking.join(), psycopg.errors.QueryCanceled)
    assert waiting.join() is None
    holder.rollback()
    assert holder.execute("SELECT 1 AS one").fetchone() == {"one": 1}


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


@one_version
def test_who_has_gone_by_the_time_is_not_needed_any_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = shop.hold()
    waiting = shop.wait()

    def execute(*arguments: Any, **more: Any) -> Any:
        holder.rollback()
        waiting.join()
        return real(*arguments, **more)

    real = unblock.execute
    monkeypatch.setattr(unblock, "execute", execute)
    result = repair(shop, terminate=True)

    assert len(result["plan"]) == 1
    assert (result["changed"], result["failures"], result["status"]) == (False, [], "ok")
    assert reason(result) == "terminate was planned, but its transaction has ended by itself, and the session is idle"
    assert not (shop.database.state_dir / "postgresql_unblock.ledger").exists()


@one_version
@pytest.mark.parametrize("change", ["another transaction", "works again"])
def test_the_signal_itself_looks_once_more(shop: Shop, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """What happens in the last moment, when all has been looked at and the budget is charged."""
    holder = shop.hold()
    waiting = shop.wait()

    def charge(*_arguments: Any, **_more: Any) -> None:
        if change == "works again":
            shop.work(holder)
            return
        holder.execute("ROLLBACK")
        holder.execute("BEGIN")
        holder.execute("SELECT 1")

    monkeypatch.setattr(Ledger, "charge", charge)
    result = repair(shop, terminate=True)

    assert (result["changed"], result["failures"]) == (False, [])
    assert "it is not what it was any more" in reason(result)
    assert not holder.closed
    assert waiting.thread.is_alive() == (change == "works again")


@one_version
@pytest.mark.parametrize("name", ["started", "began"])
def test_another_with_the_same_pid_is_not_hit(shop: Shop, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As if it had got the pid of the one that was planned for."""
    holder = shop.hold()
    blocking = shop.work(holder)
    shop.wait()
    monkeypatch.setattr(unblock_act.Doer, "_require_needed", lambda *_arguments: None)
    real = unblock_act._parameters
    monkeypatch.setattr(
        unblock_act, "_parameters", lambda process: real(replace(process, **{name: getattr(process, name) - 1}))
    )
    result = repair(shop, terminate=True)

    assert (result["changed"], result["applied"], result["failures"]) == (False, [], [])
    assert blocking.thread.is_alive()


@one_version
def test_of_two_at_once_one_does_it(shop: Shop) -> None:
    blocking = shop.work(shop.hold())
    waiting = shop.wait()
    results: list[dict[str, Any]] = []
    threads = [Thread(target=lambda: results.append(repair(shop))) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [entry["action"] for result in results for entry in result["applied"]] == ["cancel"]
    assert [result["failures"] for result in results] == [[], []]
    assert isinstance(blocking.join(), psycopg.errors.QueryCanceled)
    assert waiting.join() is None


@one_version
def test_while_another_is_at_work_nothing_is_looked_at(shop: Shop) -> None:
    other = shop.database.cluster.connect("postgres")
    other.execute("SELECT pg_advisory_lock(%s)", (unblock.LOCK,))
    result = repair(shop)
    other.close()

    assert (result["status"], result["plan"]) == ("skipped", [])
    assert reason(result) == "another postgresql_unblock is at work on this server"


@one_version
def test_the_budgets_of_a_run_and_of_a_day_are_kept_by_all(shop: Shop) -> None:
    """Two in the way of others; the one with more waiters comes first, and what is left is told."""
    shop.database.execute("CREATE TABLE orders (id int)", "GRANT ALL ON orders TO PUBLIC")
    few = shop.session()
    few.execute("BEGIN")
    few.execute("LOCK TABLE orders")
    many = shop.hold()
    waiting = [shop.wait("LOCK TABLE orders"), shop.wait(), shop.wait()]
    first = repair(shop, terminate=True)
    second = repair(shop, terminate=True, max_sessions_per_day=1, state_consumer="another")
    third = repair(shop, terminate=True, max_sessions_per_day=2)

    assert [step["target"].split()[1] for step in first["applied"]] == [str(many.info.backend_pid)]
    assert first["status"] == "warning"
    assert "max_sessions is 1" in reason(first)
    assert second["plan"] == []
    assert "1 session ended in the last 24 h, this run included, and max_sessions_per_day is 1" in reason(second)
    assert [step["target"].split()[1] for step in third["applied"]] == [str(few.info.backend_pid)]
    assert [statement.join() for statement in waiting] == [None, None, None]


@one_version
def test_who_cannot_be_counted_is_not_ended(shop: Shop) -> None:
    shop.work(shop.hold())
    shop.wait()
    shop.database.state_dir.mkdir(mode=0o700)
    (shop.database.state_dir / "postgresql_unblock.ledger").write_text("{")
    result = repair(shop)

    assert (result["plan"], result["status"]) == ([], "warning")
    assert "how many were ended today is not known" in reason(result)


@pytest.mark.parametrize("cluster", [17, 18], indirect=True)
def test_an_autovacuum_is_cancelled_where_it_may_be_and_one_against_wraparound_is_left(
    shop: Shop, request: pytest.FixtureRequest
) -> None:
    database = shop.database
    database.execute(
        "ALTER SYSTEM SET autovacuum = on",
        "ALTER SYSTEM SET autovacuum_naptime = '1s'",
        "ALTER SYSTEM SET autovacuum_vacuum_cost_delay = '100ms'",
        "ALTER SYSTEM SET autovacuum_vacuum_cost_limit = 1",
        "SELECT pg_reload_conf()",
    )
    request.addfinalizer(lambda: _reset(database.cluster))
    database.execute(
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
        "ALTER TABLE account SET (autovacuum_freeze_max_age = 100000)",
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
        for name in ("", "_naptime", "_vacuum_cost_delay", "_vacuum_cost_limit"):
            session.execute(f"ALTER SYSTEM RESET autovacuum{name}")  # type: ignore[arg-type]
        session.execute("SELECT pg_reload_conf()")
